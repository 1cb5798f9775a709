"""What was measured, beside what was aimed at, as tables that can be read as they are."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median as middle

from families import Family, Took
from measure import Sample, median
from steps import Files

MB = 1e6

# How many times `cp -r` a step may take, at most; W2 on a disk: creating a file costs most there.
RATIOS = {"build": 1.0, "push, folder": 1.3, "install, folder": 1.5}
W2_BUILD_IN_MEMORY, W2_BUILD_ON_DISK = 1.5, 0.33
SECONDS = {
    "W1": {"push, HTTP": 3.5, "install, HTTP": 3.0, "verify": 0.8, "1 %": 0.25, "same": 0.15},
    "W2": {"push, HTTP": 1.0, "install, HTTP": 1.0, "verify": 0.5, "1 %": 0.4, "same": 0.35},
}
MEMORY = {"W1": 100 * MB, "W2": 150 * MB}
STEPS = (
    "cp -r",
    *("build", "push, folder", "install, folder", "push, HTTP", "install, HTTP"),
    *("1 %: build", "1 %: push, folder", "1 %: install, folder"),
    *("1 %: push, HTTP", "1 %: install, HTTP"),
    *("same: build", "same: push, folder", "same: install, folder"),
    *("same: push, HTTP", "same: install, HTTP"),
    "verify",
)
SUBSET_AIMS = {
    "first": ("plan 1 %, nothing here", 0.0),
    "again": ("plan 1 %, metadata here", 1.0),
}
"""Step → its name, and how many seconds it may take."""
MANIFEST_AIMS = {
    "write": ("write", 2.0),
    "read": ("read it all", 0.8),
    "list": ("list one group", 0.05),
    "compare-scattered": ("compare, 1,000 scattered changes", 0.5),
    "compare-neighbours": ("compare, 1,000 neighbouring changes", 0.05),
}
LIST_MEMORY = 60 * MB
START_AIMS = {"import cellbank": 0.060, "cellbank --version": 0.150}
BUILD_SECONDS = {"cells": 60}
IMAGES_READ = {"same: build": 0, "one cell of a table: build": 0, "one image: build": 1}
TOGETHER = 1000 * MB


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table whose columns are aligned; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|".join("-" * (w + 1) + ("-" if not n else ":") for n, w in enumerate(widths))
    return [lines[0], f"|{rule}|", *lines[1:]]


def is_met(value: float, aim: float) -> str:
    """Return whether an aim is met, as a table says it."""
    return "yes" if value <= aim else "**no**"


def _aim(files: Files, step: str, file_system: str) -> tuple[str, float] | None:
    """Return how the aim of a step is written, and its seconds."""
    ratio = RATIOS.get(step)
    if step == "build" and files.name == "W2":
        ratio = W2_BUILD_IN_MEMORY if file_system == "tmpfs" else W2_BUILD_ON_DISK
    if ratio is not None:
        return f"{ratio:.2g} × cp", ratio * median(files.samples["cp -r"]).wall
    kind = step.partition(":")[0] if ":" in step else step
    seconds = SECONDS[files.name].get(kind)
    return None if seconds is None else (f"{seconds} s", seconds)


def files_table(files: Files, file_system: str) -> list[str]:
    """Return the table of one workload, and what it occupies."""
    copy = median(files.samples["cp -r"]).wall
    head = ("step", "wall s", "× cp -r", "aim", "met", "CPU s", "server", "MB", "requests")
    rows = [head]
    for step in filter(files.samples.get, STEPS):
        took = median(files.samples[step])
        aim = None if files.quick else _aim(files, step, file_system)
        over_http = "HTTP" in step
        rows.append(
            (
                step,
                f"{took.wall:.2f}",
                f"{took.wall / copy:.2f}",
                aim[0] if aim else "",
                is_met(took.wall, aim[1]) if aim else "",
                f"{took.cpu:.2f}",
                f"{took.server_cpu:.2f}" if over_http else "",
                f"{took.memory / MB:.0f}",
                str(files.requests[step]) if over_http else "",
            )
        )
    return [*table(rows), "", *_notes(files)]


def _notes(files: Files) -> Iterable[str]:
    peak = max(
        sample.memory
        for step, samples in files.samples.items()
        for sample in samples
        if step != "cp -r"
    )
    aim = MEMORY[files.name]
    yield (
        f"Peak memory of the client: {peak / MB:.0f} MB "
        f"(aim {aim / MB:.0f} MB, met: {is_met(peak, aim)}); of the server: "
        f"{files.server_memory / MB:.0f} MB."
    )
    source = files.disk["source"]
    shares = (f"{name} {files.disk[name] / source:.2f}" for name in ("lab", "remote", "user"))
    yield (
        f"Bytes on disk: source {source / MB:,.0f} MB; as shares of it: store after build and "
        f"push, remote folder, store after install: {', '.join(shares)}."
    )


def family_table(family: Family) -> list[str]:
    """Return the table of the builds of one family, with what they read and added."""
    copy = median(family.copies)
    head = ("step", "wall s", "× cp -r", "aim", "met", "CPU s", "MB", "workers")
    rows = [(*head, "images read", "MB added", "MB read")]
    rows.append(("cp -r", f"{copy.wall:.1f}", "1.00", "", "", f"{copy.cpu:.1f}", *[""] * 5))
    for step, all_of_them in family.steps.items():
        took = _middle(all_of_them)
        aim, met = "", ""
        if step in IMAGES_READ:
            aim, met = f"{IMAGES_READ[step]} read", is_met(took.images_read, IMAGES_READ[step])
        elif family.name in BUILD_SECONDS and not family.quick:
            seconds = BUILD_SECONDS[family.name]
            aim, met = f"{seconds} s", is_met(took.sample.wall, seconds)
        rows.append(
            (
                step,
                f"{took.sample.wall:.1f}",
                f"{took.sample.wall / copy.wall:.2f}",
                aim,
                met,
                f"{took.sample.cpu:.1f}",
                f"{took.seen.main / MB:.0f}",
                f"{took.seen.workers / MB:.0f}",
                f"{took.images_read:,}",
                f"{took.added / MB:,.1f}",
                f"{took.seen.main_read / MB:,.0f} + {took.seen.workers_read / MB:,.0f}",
            )
        )
    return [*table(rows), "", *_family_notes(family)]


def _middle(all_of_them: Sequence[Took]) -> Took:
    """Return the median of each figure."""
    samples, seen, read, added = zip(*all_of_them, strict=True)
    return Took(
        median(samples),
        type(seen[0])(*map(middle, zip(*seen, strict=True))),
        round(middle(read)),
        round(middle(added)),
    )


def _together(family: Family) -> float:
    """Return the peak memory of process and workers together, in all steps and rounds."""
    return max(took.seen.together for steps in family.steps.values() for took in steps)


def _family_notes(family: Family) -> Iterable[str]:
    walls = [took.sample.wall for took in family.steps["build"]]
    copies = [copy.wall for copy in family.copies]
    peak = _together(family)
    aim = f" (aim {TOGETHER / MB:,.0f} MB, met: {is_met(peak, TOGETHER)})" * (
        family.name == "fields"
    )
    yield (
        f"Source: {family.files:,} files, {family.bytes / MB:,.0f} MB. Of all rounds: build "
        f"{min(walls):.1f} to {max(walls):.1f} s, `cp -r` {min(copies):.1f} to "
        f"{max(copies):.1f} s; load average {min(family.loads):.1f} to {max(family.loads):.1f}."
    )
    yield f"Peak memory of the process and its workers together: {peak / MB:,.0f} MB{aim}."


def growth(family: Family, twice: Family) -> str:
    """Return what a build of twice as many fields takes beside the first."""
    one, two = _middle(family.steps["build"]), _middle(twice.steps["build"])
    figures = (
        f"{name} {getattr(one.seen, at) / MB:,.0f} → {getattr(two.seen, at) / MB:,.0f} MB"
        for name, at in (("process", "main"), ("workers", "workers"), ("together", "together"))
    )
    return (
        f"Build of {twice.fovs} instead of {family.fovs} fields of view: {', '.join(figures)}; "
        f"CPU {one.sample.cpu:.1f} → {two.sample.cpu:.1f} s."
    )


def manifest_table(
    seconds: Mapping[str, Sequence[float]], samples: Mapping[str, Sequence[Sample]]
) -> list[str]:
    """Return the table of the steps with a large manifest, each in a process of its own."""
    rows = [("step", "work s", "aim", "met", "MB of the process")]
    for step, (name, aim) in MANIFEST_AIMS.items():
        took, memory = middle(seconds[step]), median(samples[step]).memory
        good = is_met(took, aim)
        limit = f"{aim} s"
        if step == "list":
            good = is_met(max(took / aim, memory / LIST_MEMORY), 1)
            limit += f", {LIST_MEMORY / MB:.0f} MB"
        rows.append((name, f"{took:.3f}", limit, good, f"{memory / MB:.0f}"))
    return table(rows)


def subset_table(
    seconds: Mapping[str, Sequence[float]], samples: Mapping[str, Sequence[Sample]]
) -> list[str]:
    """Return the table of planning a subset, each in a process of its own."""
    rows = [("step", "work s", "aim", "met", "CPU s", "MB of the process")]
    for step, (name, aim) in SUBSET_AIMS.items():
        took, process = middle(seconds[step]), median(samples[step])
        limit, good = (f"{aim} s", is_met(took, aim)) if aim else ("", "")
        memory = f"{process.memory / MB:.0f}"
        rows.append((name, f"{took:.2f}", limit, good, f"{process.cpu:.2f}", memory))
    return table(rows)


def start_table(samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Return the table of processes that do next to nothing; an import costs what it adds."""
    bare = median(samples["python"]).wall
    rows = [("step", "wall ms", "beyond python", "aim", "met", "CPU ms", "MB")]
    for step, found in samples.items():
        took, aim = median(found), START_AIMS.get(step)
        counted = took.wall - bare if step.startswith("import") else took.wall
        rows.append(
            (
                step,
                f"{took.wall * 1000:.0f}",
                f"{(took.wall - bare) * 1000:.0f}",
                f"{aim * 1000:.0f} ms" if aim else "",
                is_met(counted, aim) if aim else "",
                f"{took.cpu * 1000:.0f}",
                f"{took.memory / MB:.0f}",
            )
        )
    return table(rows)
