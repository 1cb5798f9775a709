"""What was measured of images, as tables."""

from collections.abc import Iterable
from statistics import median

from image_processes import IMPORT_SECONDS, IMPORTS, SHOWN_SECONDS, Far
from images import Found, Measured, Task
from measure import Sample
from measure import median as middle
from tables import MB, is_met, table

MOST_MEMORY, MOST_SHARE = 150 * MB, 1 / 4


def images_table(found: Iterable[tuple[Task, Measured]], *, quick: bool) -> list[str]:
    """Return the table of all tasks: of each way its time, and beside that of another."""
    head = ("task", "way", "ms", "fastest", "×", "aim", "met", "peak MB", "aim", "met")
    rows, missing = [head], {}
    for task, measured in found:
        for way, one in measured.items():
            first = way == task.ways[0]
            rows.append((task.title if first else "", way, *_cells(task, way, measured, quick)))
            missing |= {way: one.missing} if one.missing else {}
    return [*table(rows), "", *(f"{way}: {reason}." for way, reason in missing.items())]


def _cells(task: Task, way: str, measured: Measured, quick: bool) -> tuple[str, ...]:
    one = measured[way]
    if one.missing:
        return ("–", *[""] * 7)
    aimed = way == task.ways[0] and not quick
    aim, good = _aim(task, one) if aimed else ("", "")
    memory, enough = _memory_aim(task, one, measured) if aimed else ("", "")
    times = f"{median(one.ratios):.2f}" if one.ratios else ""
    peak = f"{one.memory / MB:.0f}" if one.memory else ""
    return (_ms(median(one.seconds)), _ms(min(one.seconds)), times, aim, good, peak, memory, enough)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{2 if seconds < 0.1 else 0}f}"


def _aim(task: Task, one: Found) -> tuple[str, str]:
    if task.most_seconds is not None:
        aim = f"{task.most_seconds * 1000:.0f} ms"
        return aim, is_met(median(one.seconds), task.most_seconds)
    if task.most_times is not None:
        return f"{task.most_times:.2f} ×", is_met(median(one.ratios), task.most_times)
    return "", ""


def _memory_aim(task: Task, one: Found, measured: Measured) -> tuple[str, str]:
    if task.task != "max":
        return "", ""
    most = min(MOST_MEMORY, MOST_SHARE * measured[task.against].memory)
    return f"{most / MB:.0f}", is_met(one.memory, most)


def imports_table(found: dict[str, list[Sample] | str]) -> list[str]:
    """Return the table of processes that import something; an import costs what it adds."""
    bare = middle(found["python"]).wall
    rows = [("import", "wall ms", "beyond python", "aim", "met", "MB")]
    missing = {name: why for name, why in found.items() if isinstance(why, str)}
    for name in ("python", *IMPORTS):
        samples = found[name]
        if isinstance(samples, str):
            rows.append((name, "–", *[""] * 4))
            continue
        took = middle(samples)
        more = took.wall - bare
        aimed = name.startswith("cellbank.")
        rows.append(
            (
                name,
                f"{took.wall * 1000:.0f}",
                f"{more * 1000:.0f}",
                f"{IMPORT_SECONDS * 1000:.0f} ms" if aimed else "",
                is_met(more, IMPORT_SECONDS) if aimed else "",
                f"{took.memory / MB:.0f}",
            )
        )
    return [*table(rows), *(f"{name}: {why}." for name, why in missing.items())]


def far_table(found: dict[str, Far]) -> list[str]:
    """Return the table of one plane of an image that lies in a registry."""
    ways = found["whole"], found["afar"]
    return table(
        [
            ("step", "installed whole, ms", "from afar, ms"),
            *(
                (step, *(_ms(median(way.seconds[step])) for way in ways))
                for step in ways[0].seconds
            ),
            ("MB over HTTP", *(f"{way.bytes / MB:.1f}" for way in ways)),
            ("requests", *(str(way.requests) for way in ways)),
        ]
    )


def shown_table(found: dict[str, list[float]], *, quick: bool) -> list[str]:
    """Return the table of a package that shows itself."""
    rows = [("step", "ms", "aim", "met")]
    for step, took in found.items():
        if step.startswith("kB"):
            continue
        aimed = step == "shown, nothing cached" and not quick
        good = is_met(median(took), SHOWN_SECONDS) if aimed else ""
        rows.append((step, _ms(median(took)), f"{SHOWN_SECONDS:.0f} s" if aimed else "", good))
    return [*table(rows), "", f"It is {median(found['kB']):.0f} kB of HTML."]
