"""The packs of one package: which object lies in which, and reading them with distrust."""

import threading
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Final

from cellbank.model.digest import is_digest
from cellbank.model.errors import (
    BadPack,
)
from cellbank.model.reference import Package
from cellbank.storage.layout import package_key
from cellbank.storage.local import Bucket
from cellbank.storage.packs import (
    TRAILER_BYTES,
    LazyPackIndex,
    PackIndex,
    Spot,
    cut,
    decode_block,
)

MANY: Final = 256
"""For more look-ups than this it is quicker to read whole indexes."""


class PackSet:
    """The packs of one package: which object lies in which, and reading them.

    The listing of the folder is the truth; an index is read when it is first needed.

    Invariant: the table of indexes is replaced, never changed, so that other threads may read on.
    """

    def __init__(self, bucket: Bucket, package: Package) -> None:
        self._bucket = bucket
        self._package = package
        self._known: dict[str, LazyPackIndex] = {}
        self.bad: dict[str, str] = {}
        self._listed = False
        self._refreshing = threading.Lock()

    def key(self, name: str) -> str:
        """Return the key of a pack."""
        return package_key(self._package, "packs", name)

    def refresh(self) -> bool:
        """List the packs again; say whether the listing changed."""
        with self._refreshing:
            names = {n for n in self._bucket.names(self.key("").rstrip("/")) if is_digest(n)}
            old = self._known.keys() | self.bad.keys()
            if old != names:
                self.bad = {n: why for n, why in self.bad.items() if n in names}
                kept = {n: index for n, index in self._known.items() if n in names}
                self._known = kept | self._open(names - old)
            self._listed = True
            return old != names

    def _open(self, names: Iterable[str]) -> dict[str, LazyPackIndex]:
        found = {}
        for name in sorted(names):
            key = self.key(name)
            try:
                trailer = self._bucket.read_range(key, -TRAILER_BYTES, TRAILER_BYTES)
                found[name] = LazyPackIndex(partial(self._bucket.read_range, key), trailer, key)
            except BadPack as error:
                self.bad[name] = error.message
            except FileNotFoundError:
                continue
        return found

    def _list(self) -> dict[str, LazyPackIndex]:
        if not self._listed:
            self.refresh()
        return self._known

    def _whole(self, name: str, index: LazyPackIndex) -> PackIndex | None:
        """Return the whole index of a pack, or None if it is damaged or gone."""
        try:
            return index.whole()
        except BadPack as error:
            self.bad[name] = error.message
            self._known = {n: i for n, i in self._known.items() if n != name}
        except FileNotFoundError:
            pass
        return None

    def names(self) -> list[str]:
        """Return the names of the packs, as they were listed last."""
        return list(self._list())

    def indexes(self, *, up_to: int | None = None) -> dict[str, PackIndex]:
        """Return the whole index of every pack by its name, or of those with few objects."""
        opened = {
            name: self._whole(name, index)
            for name, index in self._list().items()
            if up_to is None or len(index) <= up_to
        }
        return {name: index for name, index in opened.items() if index is not None}

    def digests(self) -> set[str]:
        """Return the digests of all objects in all packs."""
        return {digest for index in self.indexes().values() for digest in index.digests()}

    def among(self, wanted: set[str]) -> set[str]:
        """Return those of the objects that are in some pack, going through the packs one by one."""
        found: set[str] = set()
        for index in self.indexes().values():
            found.update(wanted.intersection(index.digests()))
        return found

    def _spots(self, wanted: Collection[str]) -> dict[str, tuple[str, Spot]]:
        """Return where each of the objects lies that is in some pack."""
        asked = set(wanted)
        return {
            digest: (name, spot)
            for name, index in self.indexes().items()
            for digest, spot in index.items()
            if digest in asked
        }

    def find(self, digest: str) -> tuple[str, Spot] | None:
        """Return (pack, (block, offset, length)) of an object, or None."""
        for name, index in self._list().items():
            try:
                place = index.find(digest)
            except BadPack as error:
                self.bad[name] = error.message
                self._known = {n: i for n, i in self._known.items() if n != name}
                continue
            except FileNotFoundError:
                continue
            if place is not None:
                return name, place
        return None

    def read_many(self, digests: Iterable[str], missing: list[str]) -> Iterator[tuple[str, bytes]]:
        """Yield objects, each digest checked; those that are in no pack go to `missing`."""
        blocks: dict[tuple[str, int], list[tuple[str, Spot]]] = {}
        digests = list(digests)
        known = self._spots(digests) if len(digests) > MANY else None
        for digest in digests:
            found = known.get(digest) if known is not None else self.find(digest)
            if found is None:
                missing.append(digest)
            else:
                name, place = found
                blocks.setdefault((name, place[0]), []).append((digest, place))
        # In the order of the first object wanted of each block: the order of paths stays.
        for (name, block), inside in blocks.items():
            try:
                plain = self._read_block(name, block)
            except (FileNotFoundError, KeyError):
                # The pack was rewritten meanwhile.
                missing += [digest for digest, _ in inside]
                continue
            for digest, place in inside:
                yield digest, cut(plain, place, digest, self.key(name))

    def _read_block(self, name: str, block: int) -> bytes:
        key = self.key(name)
        offset, length, plain_length, codec = self._known[name].block(block, key)
        coded = self._bucket.read_range(key, offset, length)
        return decode_block(coded, plain_length, codec, key)
