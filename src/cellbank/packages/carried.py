"""Entries that a package takes as they are, by their digests: of its own past, or of another."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import NotFetched
from cellbank.model.manifest import Entry, make_entry
from cellbank.model.reference import Package
from cellbank.storage.store import Store


class Carried(msgspec.Struct, frozen=True, gc=False):
    """An entry whose bytes are not read: it is what the entry of another revision was.

    `entry` is as it will be: its path, file name and `meta` may be new. Small objects are in the
    packs of `package`. `absent` says that the bytes need not be in this store, because nobody
    wanted them here.
    """

    entry: Entry
    package: Package
    absent: bool = False

    def at(self, path: str) -> "Carried":
        """Return the same at another path; a file name that was the default stays the default."""
        entry = self.entry
        moved = make_entry(
            path,
            entry.digest,
            entry.size,
            pieces=entry.pieces,
            filename=entry.filename,
            meta=entry.meta,
        )
        return Carried(moved, self.package, self.absent)

    def with_meta(self, meta: Mapping[str, Any] | None, filename: str | None) -> "Carried":
        """Return the same with other metadata, or another file name; None leaves what is there."""
        entry = self.entry
        changed = make_entry(
            entry.path,
            entry.digest,
            entry.size,
            pieces=entry.pieces,
            filename=entry.filename if filename is None else filename,
            meta=entry.meta if meta is None else dict(meta),
        )
        return Carried(changed, self.package, self.absent)


class Carrying:
    """Carries entries into a package: what of them is not in its packs comes from others' packs.

    Parameters
    ----------
    store
        The store.
    packed
        Whether a small object is in the package, or will be.
    is_here
        Whether a large object is in the store, for the record that will name it.
    """

    def __init__(
        self, store: Store, packed: Callable[[str], bool], is_here: Callable[[str, int], bool]
    ) -> None:
        self._store = store
        self._packed = packed
        self._is_here = is_here
        self._wanted: dict[Package, dict[str, Carried]] = {}

    def add(self, one: Carried) -> None:
        """Take an entry; raises `NotFetched` if its bytes are neither here nor may stay away."""
        entry = one.entry
        for digest in (entry.pieces, entry.digest if entry.size < SMALL_BELOW else None):
            if digest is not None and not self._packed(digest):
                self._wanted.setdefault(one.package, {}).setdefault(digest, one)
        if entry.size >= SMALL_BELOW and not one.absent and not self._is_there(entry):
            raise NotFetched(str(one.package), entry.path)

    def _is_there(self, entry: Entry) -> bool:
        if self._is_here(entry.digest, entry.size):
            return True
        # In a borrowed store it is as good as here.
        return self._store.object_path(entry.digest, entry.size) is not None

    def small(self) -> Iterable[tuple[Carried, str, bytes]]:
        """Yield small objects and lists of pieces that must come along: whose, digest, bytes.

        Raises `NotFetched`: One is not in the store, and may not stay away.
        """
        for package, wanted in self._wanted.items():
            left = dict(wanted)
            for digest, data in self._store.read_many(package, list(wanted)):
                yield left.pop(digest), digest, data
            for one in left.values():
                if not one.absent:
                    raise NotFetched(str(package), one.entry.path)
