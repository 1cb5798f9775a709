"""The tree of a package as HTML: it opens, and says how much lies in each group."""

import time
from collections.abc import Iterable
from typing import Final

from cellbank.model.manifest import Entry
from cellbank.notebook.markup import CODE, QUIET, Html, amount, element, sized, visible
from cellbank.notebook.pictures import Pictures, pictured_path

CHILDREN: Final = 12
"""So many children of a group are shown; then how many more there are."""
DEPTH: Final = 4
SECONDS: Final = 0.5
"""So long at most entries are counted."""
MAX_BYTES: Final = 100_000
"""Of the tree's HTML without its pictures."""
_LOOK: Final = 2048
"""After so many entries, look at the clock."""


class Place:
    """A group or an entry as it is shown: what lies in it is counted, the first are kept."""

    __slots__ = ("bytes", "children", "count", "entries", "is_group", "last", "name", "picture")

    def __init__(self, name: str, *, is_group: bool) -> None:
        self.name = name
        self.is_group = is_group
        self.entries = 0
        self.bytes = 0
        self.count = 0
        self.children: list[Place] = []
        self.last: Place | None = None
        self.picture = ""
        """The path of the first image in it."""

    def add(self, entry: Entry) -> None:
        """Count an entry that lies here."""
        self.entries += 1
        self.bytes += entry.size
        if not self.picture:
            found = pictured_path(entry)
            self.picture = found if self.is_group or found == entry.path else ""

    def child(self, name: str, *, is_group: bool) -> "Place":
        """Return the child of a name; entries come in order, so it is the last or a new one."""
        if self.last is None or self.last.name != name:
            self.last = Place(name, is_group=is_group)
            self.count += 1
            if len(self.children) < CHILDREN:
                self.children.append(self.last)
        return self.last


class Counted:
    """What was found below a path: the tree, and whether all of it was looked at in time."""

    def __init__(self, entries: Iterable[Entry], below: str, depth: int = DEPTH) -> None:
        self.root = Place(below.rpartition("/")[2], is_group=True)
        self.whole = True
        cut = len(below) + 1 if below else 0
        end = time.monotonic() + SECONDS
        for number, entry in enumerate(entries):
            if number % _LOOK == _LOOK - 1 and time.monotonic() > end:
                self.whole = False
                break
            self._add(entry, entry.path[cut:].split("/"), depth)

    def _add(self, entry: Entry, parts: list[str], depth: int) -> None:
        place = self.root
        place.add(entry)
        for level, name in enumerate(parts[:depth]):
            place = place.child(name, is_group=level < len(parts) - 1)
            place.add(entry)

    def amounts(self, place: Place) -> str:
        """Return how much lies in a place, in words."""
        least = "" if self.whole else "at least "
        return f"{least}{amount(place.entries, 'entry', 'entries')}, {sized(place.bytes)}"


class Tree:
    """Writes a counted tree, its pictures beside the children that stand open.

    Parameters
    ----------
    counted
        What is shown.
    pictures
        Where the pictures come from.
    """

    def __init__(self, counted: Counted, pictures: Pictures) -> None:
        self._counted = counted
        self._pictures = pictures
        self._bytes = 0

    def html(self) -> Html:
        """Return the list of the children."""
        # Pictures go to those that are seen without opening anything.
        shown = {
            id(child): self._pictures.of(child.picture) for child in self._counted.root.children
        }
        return self._children(self._counted.root, shown)

    def _children(self, place: Place, pictures: dict[int, Html]) -> Html:
        lines: list[Html] = []
        for child in sorted(place.children, key=lambda child: not child.is_group):
            if self._bytes > MAX_BYTES:
                break
            lines.append(self._line(child, pictures.get(id(child), Html())))
        if place.count > len(lines):
            more = f"… {place.count - len(lines):,} more"
            if not self._counted.whole:
                more = "… more"
            lines.append(element("li", more, style=f"list-style:none;{QUIET}"))
        return element("ul", *lines, style="list-style:none;margin:0;padding:0 0 0 1.2em")

    def _line(self, place: Place, picture: Html) -> Html:
        names = [place.name]
        while place.count == 1 and place.children:
            place = place.children[0]
            names.append(place.name)
        name = element("span", visible("/".join(names)), style=CODE)
        if not place.is_group:
            said = element("span", f" {sized(place.bytes)}", style=QUIET)
            line = element("li", picture, name, said, style="list-style:none;margin:0")
            self._bytes += len(line) - len(picture)
            return line
        said = element("span", f"  {self._counted.amounts(place)}", style=QUIET)
        head = element("summary", picture, name, "/", said, style="cursor:pointer")
        self._bytes += len(head) - len(picture) + 100
        inside = self._children(place, {}) if place.children else Html()
        return element("li", element("details", head, inside), style="list-style:none;margin:0")
