"""The tree of a draft: the entries of a revision, those that are put in place of them or away."""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from cellbank.model.canonical import check_meta
from cellbank.model.errors import BadInput, EntryNotFound, InvalidPaths, NotCanonical
from cellbank.model.manifest import Entry
from cellbank.model.names import near, path_problem, path_problems, unicode_problem
from cellbank.packages.carried import Carried
from cellbank.packages.nodes import View
from cellbank.packages.scan import Source

Item = Source | Carried
"""What an entry is to be: something to take, or an entry that is there already."""


class Edits:
    """What a revision is to become, entry by entry.

    Invariant: no path is both an entry and a group. What is in `put` comes in place of what the
    revision has at that path.

    Parameters
    ----------
    view
        The revision.
    absent
        Whether bytes of its entries may stay away.
    """

    def __init__(self, view: View, *, absent: bool) -> None:
        self._view = view
        # Of a subset all of it, also what its tree does not show.
        self._reader = view.whole
        self._absent = absent
        self.put: dict[str, Item] = {}
        self.gone: set[str] = set()
        self._new = False

    def __len__(self) -> int:
        return len(self.put.keys() | self.gone)

    def copy(self) -> "Edits":
        """Return the same, to be changed apart."""
        made = Edits(self._view, absent=self._absent)
        made.put, made.gone, made._new = dict(self.put), set(self.gone), self._new
        return made

    # --- looking

    def find(self, path: str) -> Item | None:
        """Return the entry at a path, or None."""
        if path in self.put:
            return self.put[path]
        entry = None if path in self.gone else self._reader.find(path)
        return None if entry is None else self.carry(entry)

    def need(self, path: str) -> Item:
        """Return the entry at a path; raises `EntryNotFound` with what is near."""
        path = normal(path)
        found = self.find(path)
        if found is None:
            raise self.lacks(path)
        return found

    def lacks(self, path: str) -> EntryNotFound:
        """Return the error for a path where nothing is."""
        parent, _, name = path.rpartition("/")
        children = [
            other[len(parent) :].strip("/").partition("/")[0] for other in self.paths(parent)
        ]
        close = [f"{parent}/{one}".lstrip("/") for one in near(name, dict.fromkeys(children))]
        return EntryNotFound(self._view.label, path, close)

    def below(self, path: str) -> dict[str, Item]:
        """Return the entry at a path, or all in the group there; raises `EntryNotFound`."""
        one = self.find(path)
        if one is not None:
            return {path: one}
        found = {inside: item for inside in self.paths(path) if (item := self.find(inside))}
        if not path or not found:
            raise self.lacks(path)
        return found

    def paths(self, group: str = "") -> Iterator[str]:
        """Yield the paths of all entries in a group, of all without one; in no order."""
        for entry in self._reader.under(group):
            if entry.path not in self.gone and entry.path not in self.put:
                yield entry.path
        prefix = f"{group}/" if group else ""
        for path in list(self.put):
            if path.startswith(prefix):
                yield path

    def has_group(self, path: str) -> bool:
        """Whether any entry lies in a group."""
        return next(self.paths(path), None) is not None

    def place_problem(self, path: str, *, group: bool = False) -> str | None:
        """Return why nothing can be put at a path, or None; a `group` may be there already."""
        why = path_problem(path) or unicode_problem(path)
        if why:
            return why
        for at, sign in enumerate(path):
            if sign == "/" and self.find(path[:at]) is not None:
                return f"{path[:at]} is an entry, nothing can be below it"
        if not group and self.find(path) is None and self.has_group(path):
            return "it is a group"
        return None

    # --- changing

    def enter(self, item: Item) -> None:
        """Put an entry in its place."""
        path = path_of(item)
        self._new = self._new or self.find(path) is None
        self.put[path] = item

    def drop(self, path: str) -> None:
        """Take an entry away."""
        self.put.pop(path, None)
        if self._reader.find(path) is not None:
            self.gone.add(path)

    # --- building

    def carry(self, entry: Entry) -> Carried:
        """Return an entry of the revision as it is."""
        return Carried(entry, self._view.package, self._absent)

    def sources(self) -> list[Source]:
        """Return what must be taken, in the order of the paths."""
        found = [item for item in self.put.values() if isinstance(item, Source)]
        return sorted(found, key=lambda source: source.path)

    def carried(self) -> Iterator[Carried]:
        """Yield the entries that are there already."""
        for entry in self._reader:
            if entry.path not in self.gone and entry.path not in self.put:
                yield self.carry(entry)
        for item in self.put.values():
            if isinstance(item, Carried):
                yield item

    def check(self) -> None:
        """Check all paths together, where any is new; raises `InvalidPaths`."""
        problems = path_problems(sorted(self.paths())) if self._new else {}
        if problems:
            raise broken([f"{path!r}: {why}" for path, why in problems.items()])


def normal(path: str) -> str:
    """Return a path as entries have it."""
    return unicodedata.normalize("NFC", path).strip("/")


def broken(shown: Iterable[str]) -> InvalidPaths:
    """Return the error for paths that cannot be."""
    made = InvalidPaths([*shown])
    made.advice = "Choose other paths. Nothing was changed."
    return made


def path_of(item: Item) -> str:
    """Return where an entry is to be."""
    return item.entry.path if isinstance(item, Carried) else item.path


def moved(item: Item, path: str) -> Item:
    """Return the same entry at another path."""
    return item.at(path) if isinstance(item, Carried) else msgspec.structs.replace(item, path=path)


def meta_of(item: Item) -> dict[str, Any]:
    """Return the metadata of an entry."""
    return dict((item.entry.meta if isinstance(item, Carried) else item.meta) or {})


_FACTS: Final = ("url", "digest", "size", "type", "filename", "meta")
"""The columns of the table `entries` that questions are asked about, beside `path`."""


def fields_in(row: Mapping[str, Any], item: Item) -> dict[str, Any]:
    """Return what a row says of the metadata of an entry.

    A row with the entry's own `digest` is of an answer about the table `entries`: what follows
    from the bytes in it is none. Raises `BadInput`: Its `meta` is not the entry's.
    """
    if not isinstance(item, Carried) or row.get("digest") != item.entry.digest:
        return dict(row)
    said = row.get("meta")
    if said not in (None, "") and _json(said) != meta_of(item):
        raise BadInput(
            "meta cannot be set as a whole", "Leave the column out; give each field its own."
        )
    return {name: value for name, value in row.items() if name not in _FACTS}


def _json(said: Any) -> Any:
    try:
        return json.loads(said) if isinstance(said, str) else said
    except ValueError:
        return None


def described(item: Item, meta: Mapping[str, Any] | None, filename: str | None) -> Item:
    """Return an entry with other metadata and file name; None leaves what it has.

    Raises `BadInput`: The metadata cannot be kept.
    """
    if meta is not None:
        meta = _kept(meta, path_of(item))
    if isinstance(item, Carried):
        return item.with_meta(meta, filename)
    return msgspec.structs.replace(
        item,
        meta=item.meta if meta is None else dict(meta),
        filename=item.filename if filename is None else filename,
    )


def _kept(meta: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return metadata as they come back: what is in them is copied."""
    try:
        return dict(msgspec.json.decode(check_meta(dict(meta), f"the metadata of {path}")))
    except NotCanonical as error:
        advice = "Metadata are what JSON can say: at most 64 KiB, 32 levels deep."
        raise BadInput(f"the metadata of {path} cannot be kept: {_reason(error)}", advice) from None


def _reason(error: NotCanonical) -> str:
    return error.message.rpartition("allowed form: ")[2]
