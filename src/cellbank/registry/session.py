"""One push, as the registry sees it: what has come, what lacks, and what survives a restart."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cellbank.model.digest import digest_of
from cellbank.model.errors import (
    BadInput,
    Damaged,
    DigestMismatch,
    DiskFull,
    IntegrityError,
    RuleBroken,
)
from cellbank.model.log import Kept, Table
from cellbank.model.reference import Package
from cellbank.registry.index import Index
from cellbank.registry.parts import Incoming, WrongOffset
from cellbank.registry.pushed import Named, Pushed
from cellbank.storage import disk
from cellbank.storage.layout import package_key
from cellbank.storage.local import LocalBatch, LocalBucket, Part, read_file
from cellbank.storage.packs import read_pack
from cellbank.storage.place import Place

COMMIT_BYTES: Final = 256 << 20
"""What has arrived goes to its final place at least this often: a restart costs no more."""


class Session:
    """One push to one package, as the registry sees it.

    Invariant: `sent` lists objects of this manifest, or of its tables, that came in this push, were
    verified, and are in their final place; the journal lists no others.
    """

    def __init__(
        self,
        place: Place,
        files: LocalBucket,
        index: Index,
        readable: Callable[[], Iterable[Package]],
        package: Package,
        name: str,
        pushed: Pushed,
    ) -> None:
        self.package = package
        self.name = name
        self.pushed = pushed
        self.touched = time.monotonic()
        self._place = place
        self._files = files
        self._index = index
        self._readable = readable
        self._lock = threading.RLock()
        self.broken = False
        self._held = contextlib.ExitStack()
        # A collection of garbage sees that somebody writes, and waits.
        self._held.enter_context(disk.shared_lock(files.path("lock")))
        self._batch: LocalBatch = files.batch()
        self._staged: set[str] = set()
        self._counted: set[str] = set()
        self.sent: set[str] = set()
        self._incoming: dict[str, Incoming] = {}
        self._journal: Part | None = None
        self._noted: set[str] = set()
        self._left: set[str] = set()
        self._condemned: set[str] = set()

    def open(self) -> None:
        """Look at what came before a restart, and at what is here anyway."""
        with self._lock:
            if self._journal is None:
                self._journal = self._open_journal()
                self._left = self._left_parts()
                self._condemned = self._place.condemned()
                self._take_parts_that_are_here()

    # --- what survives a restart

    def _open_journal(self) -> Part:
        stem = f"upload.{self.name}"
        journal = Part.adopt(self._files.staging, stem)
        if journal is None:
            return Part.new(self._files.staging, stem)
        data = read_file(journal.path)
        self._noted = {data[at : at + 32].hex() for at in range(0, len(data) - 31, 32)}
        return journal

    def _left_parts(self) -> set[str]:
        names = (name.split(".") for name in self._files.names("staging"))
        return {parts[0] for parts in names if parts[1:2] == [self.name]}

    def _take_parts_that_are_here(self) -> None:
        """Read the pages that this package has already, or that came before a restart."""
        reach = self._index.reach(self.package)
        here = [d for d in self.pushed.parts if d in reach.small or d in self._noted]
        # A damaged pack is as good as none: what lay in it is sent again.
        with contextlib.suppress(IntegrityError):
            for digest, data in self._place.read_many(self.package, here):
                if self.pushed.parts[digest] == len(data) and digest not in self._condemned:
                    self.pushed.take(digest, data)
                    self._counted.add(digest)
        if not self._lacking_parts():
            self._check_manifest()

    def _check_manifest(self) -> None:
        """Check the manifest, which is whole now; count what the journal notes and is here."""
        named = self.pushed.check()
        self._count_noted(named, self._noted)

    def _count_noted(self, named: Named, noted: set[str]) -> None:
        """Count those of the objects in the journal that are named and really here."""
        small = noted & named.small.keys()
        large = {d: named.large[d].size for d in noted & named.large.keys()}
        self.sent |= self._place.has_small(self.package, small) | self._place.has_large(large)
        self.sent -= self._condemned

    def _lacking_parts(self) -> list[str]:
        return [digest for digest in self.pushed.parts if digest not in self._known()]

    def _known(self) -> set[str]:
        return self.sent | self._staged | self._counted

    def _commit(self) -> None:
        """Give what is staged its final place, and note it."""
        self._check_sound()
        # Only what was handed to the batch before is noted: more may be handed to it meanwhile.
        fresh = set(self._staged)
        try:
            self._batch.commit()
            if self._journal is not None and fresh:
                self._journal.write(b"".join(map(bytes.fromhex, sorted(fresh))))
        except BaseException:
            # What could not be made durable is gone, and we cannot tell what that was.
            self.broken = True
            raise
        self._staged -= fresh
        self.sent |= fresh

    def _check_sound(self) -> None:
        if self.broken:
            raise Damaged("the registry lost a part of this push", "Run the same command again.")

    def _commit_if_much(self) -> None:
        if self._batch.staged_bytes > COMMIT_BYTES:
            with self._lock:
                self._commit()

    # --- the steps of a push

    def lacks(self) -> list[str]:
        """Return the parts of the manifest that are lacking, in order."""
        with self._lock:
            return self._lacking_parts()

    def take_pack(self, pack: bytes) -> None:
        """Take a pack: parts of the manifest until that is whole, then small objects.

        Raises `BadPack`, `DigestMismatch`, `NotCanonical`, `InvalidPaths` or `BadInput`: it is
        refused as a whole.
        """
        with self._lock:
            inside = []
            manifest = self.pushed.named is None
            for digest, data in read_pack(pack, "the pack"):
                if manifest:
                    self.pushed.take(digest, data)
                else:
                    self.pushed.check_object(digest, data)
                inside.append(digest)
            if self._known().issuperset(inside):
                return
            key = package_key(self.package, "packs", digest_of(pack))
            if manifest and not set(self.pushed.parts) - self._known() - set(inside):
                self._check_manifest()
            self._batch.add(key, pack)
            self._staged.update(inside)
        self._commit_if_much()

    def need_named(self) -> Named:
        """Return what the push names; raises `BadInput` while parts of the manifest are lacking."""
        if self.pushed.named is None:
            raise BadInput("the manifest is not complete", "Send its header and pages first.")
        return self.pushed.named

    def missing(self, tables: Mapping[str, Table]) -> tuple[set[str], dict[str, int]]:
        """Return the small objects that are lacking, and the large ones with what arrived.

        `tables` are all that the push brings; their objects count like those of the manifest.

        Raises `DiskFull`: they would not fit.
        """
        self.need_named()
        with self._lock:
            self.pushed.name_tables(tables)
            named = self.need_named()
            mine = {table.digest for table in tables.values()}
            self._count_noted(named, self._noted & mine - self.sent)
            # So that a restart finds what came until now.
            self._commit()
            known = self._known()
            reach = self._index.reach(self.package)
            small = {d for d, size in named.small.items() if reach.small.get(d) == size}
            small = self._place.has_small(self.package, small - known) - self._condemned
            lacking = named.small.keys() - known - small
            sizes = {d: e.size for d, e in named.large.items() if d not in known}
            whole = self._large_here(sizes)
            arrived = {
                d: self._incoming_of(d).arrived if self._begun(d) else 0
                for d in sizes.keys() - whole
            }
            for digest in [d for d, count in arrived.items() if count == sizes[d]]:
                arrived[digest] = 0
                # It came whole before a restart: nobody will send its last byte again.
                with contextlib.suppress(DigestMismatch):
                    self._arrived(digest, self._incoming[digest])
                    del arrived[digest]
            needed = sum(sizes[d] - count for d, count in arrived.items())
            needed += sum(named.small[d] for d in lacking)
            if needed > (free := disk.free_bytes(self._files.root)):
                raise DiskFull(self._files.root, needed, free)
            return lacking, arrived

    def _large_here(self, sizes: dict[str, int]) -> set[str]:
        """Return those of the large objects that the caller may read, and that are really here."""
        reach = self._index.reach(self.package)
        mine = {d for d, size in sizes.items() if reach.large.get(d) == size}
        rest = self._place.has_large({d: s for d, s in sizes.items() if d not in mine})
        theirs: set[str] = set()
        if rest:
            theirs = self._index.elsewhere(list(self._readable()), {d: sizes[d] for d in rest})
        found = self._place.has_large({d: sizes[d] for d in mine}) | theirs
        return found - self._condemned

    def _begun(self, digest: str) -> bool:
        return digest in self._incoming or digest in self._left

    def _incoming_of(self, digest: str) -> Incoming:
        with self._lock:
            if digest not in self._incoming:
                expected = self.need_named().large.get(digest)
                if expected is None:
                    raise BadInput(f"the manifest does not name the object {digest}")
                adopt = digest in self._left
                self._left.discard(digest)
                self._incoming[digest] = Incoming(self._files, self.name, expected, adopt=adopt)
            return self._incoming[digest]

    def touch(self) -> None:
        """Say that something moves."""
        self.touched = time.monotonic()

    def size_of(self, digest: str) -> int:
        """Return the size of a large object of the manifest, else raise `BadInput`."""
        expected = self.need_named().large.get(digest)
        if expected is None:
            raise BadInput(f"the manifest does not name the object {digest}")
        return expected.size

    def receive(self, digest: str, turn: int, offset: int, chunks: list[bytes]) -> tuple[int, int]:
        """Take bytes of a large object; return the turn of this request, and what has arrived.

        `turn` is 0 with the first bytes of a request. Raises `WrongOffset` if they do not go on
        where the last ended, and `DigestMismatch` if with them the object is whole and wrong.
        """
        self.touch()
        size = self.size_of(digest)
        if digest in self.sent or digest in self._staged:
            raise WrongOffset(size)
        incoming = self._incoming_of(digest)
        turn = turn or incoming.start(offset)
        arrived = incoming.write(turn, chunks)
        if arrived == size:
            self._arrived(digest, incoming)
        return turn, arrived

    def _arrived(self, digest: str, incoming: Incoming) -> None:
        """Take a large object that is complete now."""
        try:
            done = incoming.finish(self._batch)
        finally:
            if not incoming.arrived:
                self._incoming.pop(digest, None)
        if done:
            with self._lock:
                self._incoming.pop(digest, None)
                self._staged.add(digest)
            self._commit_if_much()

    def finish(self, tables: Mapping[str, Table], append: Callable[[], Kept]) -> Kept:
        """Make all that came durable, check that nothing lacks, then append the record."""
        with self._lock:
            small, large = self.missing(tables)
            if small or large:
                count = len(small) + len(large)
                raise Damaged(
                    f"{count} objects of this push have not arrived", "Run the same command again."
                )
            self._check_all_here()
            if self._place.condemned() & (self._all_named() - self.sent):
                raise RuleBroken(
                    "the registry is being cleaned of objects that this push counts on",
                    "Run the same command again.",
                )
            return append()

    def _all_named(self) -> set[str]:
        named = self.need_named()
        return self.pushed.parts.keys() | named.small.keys() | named.large.keys()

    def _check_all_here(self) -> None:
        """Look at every object once more before a record says that it is here."""
        named = self.need_named()
        small = self.pushed.parts.keys() | named.small.keys()
        lost = small - self._place.has_small(self.package, small)
        sizes = {digest: expected.size for digest, expected in named.large.items()}
        lost |= sizes.keys() - self._place.has_large(sizes)
        self.broken = self.broken or bool(lost)
        self._check_sound()

    def release(self, *, done: bool) -> None:
        """Let go; unless the push is done, what came stays for the next try."""
        with self._lock:
            for incoming in self._incoming.values():
                incoming.release()
            if not done and not self.broken:
                with contextlib.suppress(OSError):
                    self._commit()
            self._batch.abandon()
            if self._journal is not None:
                self._journal.discard() if done else self._journal.keep()
                self._journal = None
            self._held.close()
