"""Subsets: which entries of a revision are wanted here, kept as a manifest of their own."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from cellbank.model.log import Table
from cellbank.model.manifest import Entry, Manifest, ManifestReader
from cellbank.model.reference import Package
from cellbank.model.want import Choice, Want
from cellbank.packages.facts import type_of
from cellbank.storage import transfer
from cellbank.storage.store import Store
from cellbank.storage.transfer import Plan

ROOT: Final = "documents"
"""What entries at the root of a package are counted as."""


class Asked(msgspec.Struct, frozen=True):
    """A revision whose manifest and metadata tables are in the store, to be asked.

    `say` is told what a person should know of the answer.
    """

    store: Store
    package: Package
    revision: str
    reader: ManifestReader
    tables: Mapping[str, Table]
    say: Callable[[str], None]


Choose = Callable[[Choice, Asked], list[Entry]]
"""Returns the entries that a choice selects; what can do so is handed down from above."""


class Selected(msgspec.Struct, frozen=True):
    """What is wanted, the entries that must be here, and the manifests that `want` names."""

    want: Want
    entries: list[Entry]
    lists: list[Manifest] = []


class Amount(msgspec.Struct, frozen=True):
    """So many objects, and so many bytes in them."""

    objects: int = 0
    bytes: int = 0


class Breakdown(msgspec.Struct, frozen=True):
    """What an install brings, by kind (the first part of the path) and type, and what is here."""

    kinds: dict[str, Amount] = {}
    types: dict[str, Amount] = {}
    here: Amount = Amount()

    @classmethod
    def of(cls, entries: Iterable[Entry], plan: Plan) -> "Breakdown":
        """Return how a plan to bring these entries is made up; each object counts once."""
        missing = plan.documents.keys() | plan.other.keys() | plan.large.keys()
        once = {entry.digest: entry for entry in entries}.values()
        new = [entry for entry in once if entry.digest in missing]
        here = [entry for entry in once if entry.digest not in missing]
        return cls(
            _amounts((kind_of(entry.path), entry.size) for entry in new),
            _amounts((type_of(entry.name), entry.size) for entry in new),
            Amount(len(here), sum(entry.size for entry in here)),
        )


def _amounts(sizes: Iterable[tuple[str, int]]) -> dict[str, Amount]:
    objects: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, size in sizes:
        objects[name] += 1
        total[name] += size
    return {name: Amount(objects[name], total[name]) for name in sorted(objects)}


def kind_of(path: str) -> str:
    """Return what an entry is counted as: its group, such as `fovs`."""
    first, slash, _ = path.partition("/")
    return first if slash else ROOT


def extended(choices: Sequence[Choice], choice: Choice | None) -> list[Choice]:
    """Return what is chosen when one more choice is added: parts are kept together.

    Where the same was chosen before, but only its documents, it is chosen in full from now on.
    """
    if choice is None or choice in choices or _with_documents(choice, only=False) in choices:
        return list(choices)
    if not choice.is_parts:
        sparse = _with_documents(choice, only=True)
        return [*(one for one in choices if one != sparse), choice]
    parts = {path for one in choices if one.is_parts for path in one.paths} | {*choice.paths}
    made = Choice(paths=sorted(_outermost(parts)))
    at = next((at for at, one in enumerate(choices) if one.is_parts), len(choices))
    return [*choices[:at], made, *choices[at + 1 :]]


def _with_documents(choice: Choice, *, only: bool) -> Choice:
    return msgspec.structs.replace(choice, documents=only)


def _inside(path: str, paths: Iterable[str]) -> bool:
    return any(path == part or path.startswith(f"{part}/") for part in paths)


def _outermost(paths: set[str]) -> set[str]:
    return {path for path in paths if not _inside(path, paths - {path})}


def plain_said(choice: Choice | None, tables: Iterable[str]) -> Choice | None:
    """Return a choice that says so where a sample is of entries: records are not told of then."""
    if choice is None or not choice.sample or choice.kind or "fovs" in tables:
        return choice
    return msgspec.structs.replace(choice, kind="entries")


def select(want: Want, asked: Asked, choose: Choose | None) -> Selected:
    """Return what `want` selects of a revision, its lists made anew."""
    must: dict[str, Entry] = {}
    shown: dict[str, Entry] = {}
    for choice in want.choices:
        if choice.is_parts:
            found = [entry for part in choice.paths for entry in _of_part(asked.reader, part)]
        else:
            assert choose is not None  # noqa: S101
            found = choose(choice, asked)
        shown |= {entry.path: entry for entry in found}
        must |= {e.path: e for e in found if e.is_document or not choice.documents}
    lists = [Manifest.of(must.values())] if want.choices else []
    if len(shown) > len(must):
        lists.append(Manifest.of(shown.values()))
    listed, named, *_ = [*(one.revision for one in lists), "", ""]
    if want.metadata:
        must |= {entry.path: entry for entry in asked.reader if entry.is_document}
    made = msgspec.structs.replace(want, list=listed, shown=named)
    return Selected(made, sorted(must.values(), key=attrgetter("path")), lists)


def _of_part(reader: ManifestReader, part: str) -> Iterable[Entry]:
    one = reader.find(part)
    return reader.under(part) if one is None else [one]


def keep_lists(store: Store, package: Package, selected: Selected) -> None:
    """Keep the manifests of what was chosen, so that it can be told for ever."""
    parts: dict[str, bytes] = {}
    for made in selected.lists:
        parts |= {made.revision: made.data, **made.pages}
    here = store.has_small(package, parts)
    fresh = [(digest, data) for digest, data in parts.items() if digest not in here]
    if fresh:
        transfer.keep_small(store, package, fresh)
