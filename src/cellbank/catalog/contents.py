"""What lies in a revision, in one pass over its entries: counts by type, and the top of the tree.

However large the package is, what is kept is small: of a long group the first and last children.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

import msgspec

from cellbank.model.manifest import Entry
from cellbank.packages.facts import type_of

SHOWN: Final = (20, 5, 4)
"""At each level of the tree: so many of the first children, and so many of the last."""

_LABELS: Final = {
    "csv": "CSV",
    "czi": "CZI",
    "gif": "GIF",
    "h5": "HDF5",
    "html": "HTML",
    "ipynb": "notebook",
    "jpeg": "JPEG",
    "jpg": "JPEG",
    "json": "JSON",
    "md": "Markdown",
    "none": "no extension",
    "npy": "NumPy",
    "npz": "NumPy",
    "parquet": "Parquet",
    "pdf": "PDF",
    "png": "PNG",
    "svg": "SVG",
    "tif": "TIFF",
    "tiff": "TIFF",
    "tsv": "TSV",
    "txt": "text",
    "xlsx": "Excel",
    "xml": "XML",
    "yaml": "YAML",
    "yml": "YAML",
    "zip": "ZIP",
}
_NAMED: Final = {"README": "Markdown", "SCHEMA": "JSON"}
"""The documents of a package, which have no extension."""
_RECORDS: Final = {"info/load": "JSON", "image/load": "OME-TIFF"}
"""The two entries of a record, which need none either."""


class Branch(msgspec.Struct, frozen=True):
    """A group or an entry; of a group the children that are shown, and how many there are."""

    name: str
    is_group: bool
    entries: int
    size: int
    children: int = 0
    first: tuple["Branch", ...] = ()
    last: tuple["Branch", ...] = ()

    @property
    def hidden(self) -> int:
        """How many children lie between the first and the last."""
        return self.children - len(self.first) - len(self.last)


class Contents(msgspec.Struct, frozen=True):
    """The top of the tree, its groups, and the entries counted by file type."""

    root: Branch
    types: tuple[tuple[str, int], ...]
    groups: tuple[Branch, ...]


def type_label(entry: Entry) -> str:
    """Return the file type of an entry as a person calls it."""
    name = entry.name
    if name.lower().endswith((".ome.tif", ".ome.tiff")):
        return "OME-TIFF"
    extension = type_of(name)
    if extension == "none":
        known = _NAMED.get(entry.path) or _RECORDS.get("/".join(entry.path.split("/")[-2:]))
        return known or _LABELS["none"]
    return _LABELS.get(extension, f".{extension}"[:20])


def contents_of(entries: Iterable[Entry]) -> Contents:
    """Return what lies in a revision whose entries come in the order of their paths."""
    root = _Growing("", is_group=True, depth=0)
    types: Counter[str] = Counter()
    for entry in entries:
        types[type_label(entry)] += 1
        root.add(entry.path.split("/", len(SHOWN)), entry.size)
    tree = root.branch()
    counted = sorted(types.items(), key=lambda item: (-item[1], item[0]))
    groups = tuple(child for child in (*tree.first, *tree.last) if child.is_group)
    return Contents(tree, tuple(counted), groups)


class _Growing:
    """A branch while entries are added; they come in order, so each group is met once."""

    __slots__ = ("children", "depth", "entries", "first", "is_group", "last", "name", "size")

    def __init__(self, name: str, *, is_group: bool, depth: int) -> None:
        self.name = name
        self.is_group = is_group
        self.depth = depth
        self.entries = self.size = self.children = 0
        self.first: list[_Growing] = []
        self.last: deque[_Growing] = deque(maxlen=SHOWN[depth] if depth < len(SHOWN) else 0)

    def add(self, parts: list[str], size: int) -> None:
        """Take an entry that lies below this, at `parts`."""
        self.entries += 1
        self.size += size
        if self.depth < len(SHOWN) and parts:
            self._child(parts[0], is_group=len(parts) > 1).add(parts[1:], size)

    def _child(self, name: str, *, is_group: bool) -> "_Growing":
        newest = self.last[-1] if self.last else (self.first[-1] if self.first else None)
        if newest is not None and newest.name == name:
            return newest
        child = _Growing(name, is_group=is_group, depth=self.depth + 1)
        self.children += 1
        (self.first if len(self.first) < SHOWN[self.depth] else self.last).append(child)
        return child

    def branch(self) -> Branch:
        """Return it as a value."""
        first = tuple(child.branch() for child in self.first)
        last = tuple(child.branch() for child in self.last)
        return Branch(self.name, self.is_group, self.entries, self.size, self.children, first, last)
