"""README of a package, from a template: what is in it, and how to use and cite it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import msgspec

from cellbank.cells.family import Member, counts_of
from cellbank.cells.kinds import KINDS
from cellbank.cells.recipe import Recipe


class Channels:
    """Which channels the fields of view have, and how many have each."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, bool, str]] = Counter()

    def add(self, info: Mapping[str, Any]) -> None:
        """Take the `info` of a field of view."""
        for channel in info.get("channels") or ():
            note = channel.get("note") or ""
            self._seen[str(channel.get("dye_name")), bool(channel.get("use")), str(note)] += 1

    def lines(self) -> list[str]:
        """Return the lines of the table of channels, by name; none without channels."""
        if not self._seen:
            return []
        noted = any(note for _, _, note in self._seen)
        made = ["| channel | real data | fields of view |" + " note |" * noted]
        made.append("|---|---|---:|" + "---|" * noted)
        for (name, use, note), count in sorted(self._seen.items()):
            line = f"| {_cell(name)} | {'yes' if use else 'no'} | {count:,} |"
            made.append(line + f" {_cell(note)} |" * noted)
        return made


def readme_of(package: str, member: Member, recipe: Recipe, channels: Channels, axes: str) -> bytes:
    """Return the README of a package; it depends on the recipe and the records only.

    `axes` are those of the image of the first field of view, empty if there is none.
    """
    owner, name = package.split("/")
    counts = counts_of(member)
    shown = {
        **msgspec.structs.asdict(recipe),
        "package": package,
        "owner": owner,
        "name": name,
        "title": member.title,
        "about": member.about,
        "groups": [group_line(group, count) for group, count in sorted(counts.items())],
        "example_path": f"fovs/{min(member.chosen['fovs'], default='ID')}",
        "counted": counts["fovs"],
        "axes": axes,
        "shown": _shown(axes),
        "channels": channels.lines(),
        "condition": _condition(recipe),
    }
    return (_template().render(shown).strip() + "\n").encode()


def group_line(group: str, count: int) -> str:
    """Return the line of a group in the table of contents."""
    image = bool(count) and KIND_OF[group].image and group != "wells"
    words = KIND_OF[group].words + ", with their images" * image
    return f"| `{group}` | {count:,} | {words} |"


KIND_OF = {kind.group: kind for kind in KINDS.values()}


def _shown(axes: str) -> str:
    """Return the expression of the plane that is shown of `channel`: the maximum over Z."""
    left = axes.replace("C", "")
    index = ", ".join([":"] * axes.find("C") + ["channel"]) if "C" in axes else ""
    plane = f"image[{index}]" if index else "image"
    for axis in "TZ":
        if axis in left:
            plane += f".max(axis={left.index(axis)})"
            left = left.replace(axis, "")
    return plane


def _condition(recipe: Recipe) -> str:
    """Return a condition that can be asked of these records."""
    attributes = recipe.records.fov.attributes
    for name, test in _CONDITIONS:
        if name in attributes:
            return test
    return 'info["lines"]'


_CONDITIONS: Iterable[tuple[str, str]] = (
    ("cell_viability", '(info["cell_viability"] or 0) > 98'),
    ("passage", '(info["passage"] or 0) < 40'),
    ("clone", 'info["clone"] is not None'),
)


@cache
def _template() -> jinja2.Template:
    text = files("cellbank.cells").joinpath("README.md.jinja").read_text(encoding="utf-8")
    # Markdown, not HTML: what shows it cleans it.
    environment = jinja2.Environment(  # noqa: S701
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")
