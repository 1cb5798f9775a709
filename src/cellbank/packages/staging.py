"""Files taken into the store ahead of the packages that will name them, each read once."""

import io
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock
from typing import Any, BinaryIO, Final

import msgspec

from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW, digest_of
from cellbank.model.errors import CellbankError
from cellbank.model.reference import Package
from cellbank.packages.copying import copy_unchanged, read_unchanged
from cellbank.packages.scan import Known, Look, Source, StatCache, now
from cellbank.storage import disk
from cellbank.storage.jobs import Counter
from cellbank.storage.layout import object_key
from cellbank.storage.local import COMMIT_BYTES, Hasher, LocalBatch, Part, read_chunks
from cellbank.storage.store import Store

KEPT_BYTES: Final = 64 << 20
"""So many bytes of small files are kept in memory between their reading and their packing."""


class Stager:
    """Takes files, or what is made of them, into the store; a shelf for the builds that follow.

    Invariant: a large object that `take` returned is in `batch` or in the store. Nothing names
    it yet: if no package does, it is garbage like any other. A collection that runs meanwhile may
    condemn it; what we hold is told to have come again (`hold`).

    Parameters
    ----------
    store
        The store.
    folder
        The folder whose looks are remembered.
    siblings
        Packages whose packs may have what is wanted.
    """

    def __init__(self, store: Store, folder: str, siblings: Iterable[Package] = ()) -> None:
        self.cache = StatCache(store, folder)
        self._store = store
        self.batch: LocalBatch | None = None
        self._siblings = list(siblings)
        self._condemned = store.condemned()
        self._held: set[str] = set()
        self._pieces: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0
        self._fresh: set[str] = set()
        self._packed: dict[str, Package] = {}
        self._lock = Lock()
        self.read_files = 0
        self.added_bytes = 0

    # --- taking

    def known(self, source: Source) -> Known | None:
        """Return what is known of a file that is unchanged, its object still being here."""
        known = self.cache.find(source.file, source.look)
        return known if known is not None and self.has(known) else None

    def has(self, known: Known) -> bool:
        """Whether the bytes can be had without reading the file they came from."""
        if known.look.size < SMALL_BELOW:
            return True
        return known.digest in self._held or self._is_here(known)

    def _is_here(self, known: Known) -> bool:
        key = object_key(known.digest)
        here = (
            known.digest not in self._condemned
            and self._store.files.size(key) == known.look.size
            and (known.pieces is None or self.pieces(known.pieces) is not None)
        )
        if here:
            self._held.add(known.digest)
        return here

    def take(self, source: Source, counter: Counter) -> Known:
        """Read a file: a large one into the store, of a small one the digest is learned."""
        self.read_files += 1
        looked = now()
        if source.look.size < SMALL_BELOW:
            data = read_unchanged(source)
            counter.add(len(data))
            digest = digest_of(data)
            self._fresh.add(digest)
            self._keep(digest, data)
            return self.cache.learn(source.file, source.look, digest, None, looked)
        read, part, digest, pieces = copy_unchanged(source, self._store.files.staging, counter)
        name = self._take_part(part, digest, pieces)
        return self.cache.learn(read.file, read.look, digest, name, looked)

    def make(self, fill: Callable[[BinaryIO], Any]) -> Known:
        """Take what `fill` writes into a file that can be sought in."""
        part = Part.new(self._store.files.staging, "made")
        try:
            with io.BufferedRandom(PartFile(part), 1 << 20) as file:
                fill(file)
            part.size = os.stat(part.path).st_size
            hasher = Hasher(pieces=part.size > PIECES_ABOVE)
            for chunk in read_chunks(part.path):
                hasher.update(chunk)
        except BaseException:
            part.discard()
            raise
        digest, pieces = hasher.digests()
        look = Look(part.size, 0, 0, 0)
        if part.size < SMALL_BELOW:
            with open(part.path, "rb") as small:
                data = small.read()
            if not self._keep(digest, data):
                disk.write_cache(self._aside(digest), data)
            part.discard()
            return Known(look, digest, None)
        return Known(look, digest, self._take_part(part, digest, pieces or b""))

    def _take_part(self, part: Part, digest: str, pieces: bytes) -> str | None:
        """Take a large object; return the digest of its list of pieces, which is kept aside."""
        name = digest_of(pieces) if pieces else None
        if name is not None:
            self._pieces[name] = pieces
            disk.write_cache(self._aside(name), pieces)
        with self._lock:
            twice = digest in self._held
            self._held.add(digest)
        here = self._store.files.size(object_key(digest)) == part.size
        if twice or (here and digest not in self._condemned):
            part.discard()
            return name
        assert self.batch is not None  # noqa: S101  set before anything is taken
        self.added_bytes += part.size
        self.batch.take(object_key(digest), part)
        if self.batch.staged_bytes > COMMIT_BYTES:
            self.batch.commit()
        return name

    def _keep(self, digest: str, data: bytes) -> bool:
        """Keep a small object in memory if there is room; say whether it is there."""
        if digest not in self._kept and self._kept_bytes + len(data) <= KEPT_BYTES:
            self._kept[digest] = data
            self._kept_bytes += len(data)
        return digest in self._kept

    def path(self, known: Known, file: str) -> str:
        """Return where the bytes can be read, once the batch is committed."""
        if known.look.size < SMALL_BELOW:
            return file
        return self._store.files.path(object_key(known.digest))

    # --- as a shelf

    def small(self, digest: str) -> bytes | None:
        """Return the bytes of a small object, if they are at hand."""
        data = self._kept.get(digest)
        if data is None and digest in self._packed:
            with suppress(CellbankError, OSError):
                data = self._store.read_small(self._packed[digest], digest)
        # What was read just now is in no package yet; to search all of them takes long.
        if data is None and digest not in self._fresh:
            data = self._set_aside(digest) or self._from_sibling(digest)
        return data

    def pieces(self, digest: str) -> bytes | None:
        """Return a list of pieces, if it is at hand."""
        data = self._pieces.get(digest) or self._set_aside(digest) or self._from_sibling(digest)
        if data is not None:
            # Another build that ends removes what lies aside.
            self._pieces[digest] = data
        return data

    def _set_aside(self, digest: str) -> bytes | None:
        """Return what was put aside, if it is there and whole."""
        with suppress(OSError):
            with open(self._aside(digest), "rb") as file:
                data = file.read()
            if digest_of(data) == digest:
                return data
        return None

    def holds(self, digest: str) -> bool:
        """Whether a large object is in the store for these builds."""
        return digest in self._held

    def hold(self, digest: str) -> None:
        """Let the collection that condemned an object see that it came again."""
        # Somebody else's file cannot be touched: it is named before the day is over.
        with suppress(PermissionError):
            disk.touch(self._store.files.path(object_key(digest)))

    def _from_sibling(self, digest: str) -> bytes | None:
        for package in self._siblings:
            with suppress(CellbankError, OSError):
                return self._store.read_small(package, digest)
        return None

    def add_sibling(self, package: Package, digests: Iterable[str]) -> None:
        """Look in this package's packs too from now on: these small objects are in them."""
        self._siblings = [package, *(other for other in self._siblings if other != package)]
        for digest in digests:
            self._packed.setdefault(digest, package)

    def _aside(self, digest: str) -> str:
        return self._store.files.path(f"caches/pieces/{digest}")

    def finish(self) -> None:
        """Remember the files for the next build; what was set aside is in packages now."""
        self.cache.save()
        for digest in os.listdir(folder) if os.path.isdir(folder := self._aside("")) else ():
            disk.remove(f"{folder}/{digest}")


class PartFile(io.RawIOBase):
    """A part as a file that can be read and sought in, each write through the disk's door."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def writable(self) -> bool:
        """Whether it can be written."""
        return True

    def seekable(self) -> bool:
        """Whether one can move in it."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place; return it."""
        return os.lseek(self._part.descriptor, offset, whence)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes."""
        return os.readv(self._part.descriptor, [buffer])

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, here unless a size is given."""
        size = self.tell() if size is None else size
        disk.truncate(self._part.descriptor, size, self._part.path)
        return size

    def write(self, data: Any) -> int:
        """Write bytes where we are."""
        view = memoryview(data).cast("B")
        disk.write(self._part.descriptor, view, self._part.path)
        return len(view)


class Made(msgspec.Struct, frozen=True):
    """An object that was made of files that looked like this."""

    looks: tuple[Look, ...]
    known: Known
