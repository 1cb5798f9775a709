"""Building: files become entries, objects and packs in the store, and a record in the log."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from operator import attrgetter

import msgspec
from blake3 import blake3

from cellbank.model.digest import PIECE_BYTES, PIECES_ABOVE, SMALL_BELOW, PieceHasher, digest_of
from cellbank.model.errors import BadInput, PushConflict
from cellbank.model.log import Draft, Kept
from cellbank.model.manifest import Entry, Manifest, is_document, make_entry
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.model.want import Installed
from cellbank.packages.scan import Known, Look, Source, StatCache, now
from cellbank.storage.compact import compact
from cellbank.storage.jobs import Counter, run_all
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import (
    CHUNK,
    COMMIT_BYTES,
    LocalBatch,
    Part,
    read_chunks,
    read_file,
)
from cellbank.storage.packs import MAX_OBJECT_BYTES, PackWriter
from cellbank.storage.store import Store
from cellbank.storage.transfer import check_room, filling

TRIES = 3
MAX_FILE_BYTES = MAX_OBJECT_BYTES // 32 * PIECE_BYTES
"""128 GiB: a list of pieces has 32 bytes for each, and must fit in a pack."""
_GONE = (FileNotFoundError, NotADirectoryError)
"""What is raised for a file that was there when the folder was read."""


class Built(msgspec.Struct, frozen=True):
    """What a build made."""

    package: str
    revision: str
    entries: int
    size: int
    added_bytes: int
    read_files: int
    changed: bool
    mapped: dict[str, str] = {}


class Stamp(msgspec.Struct, frozen=True):
    """What the log says of a revision beside what it is: who, when, and why."""

    author: str = ""
    time: str = ""
    message: str = ""


class Builder:
    """One build: reads what changed, stages it, and writes the manifest.

    Invariant: nothing of the package changes before all its objects are durable.
    """

    def __init__(self, store: Store, package: Package, folder: str, watch: Watcher) -> None:
        self._store = store
        self._package = package
        self._watch = watch
        self._cache = StatCache(store, folder)
        self._small = store.packs(package)
        self._small.refresh()
        self._condemned = store.condemned()
        self._packed = self._small.digests() - self._condemned
        self._writers = {"documents": PackWriter(), "other": PackWriter()}
        self.read_files = 0
        self.added_bytes = 0
        self._staged: set[str] = set()
        self._counted: set[str] = set()
        self._parts: dict[str, bytes] = {}

    def entries(
        self, sources: Iterable[Source], batch: LocalBatch, executor: Executor | None
    ) -> list[Entry]:
        """Return the entries of these sources; what the store lacks is in the batch."""
        done: list[Entry] = []
        small: list[Source] = []
        large: list[Source] = []
        for source in sources:
            known = self._cache.find(source.file, source.look)
            if known is not None and self._has(known):
                done.append(_entry(source, known))
            elif source.look.size < SMALL_BELOW:
                small.append(source)
            else:
                large.append(source)
        _check_sizes(large)
        check_room(self._store, sum(source.look.size for source in [*small, *large]))
        counter = Counter("build", sum(s.look.size for s in [*small, *large]), self._watch)
        self._read_small(small, done, batch, counter)
        jobs = [self._large_job(source, done, batch, counter) for source in large]
        run_all(jobs, counter, executor)
        self.read_files = len(small) + len(large)
        return done

    def _has(self, known: Known) -> bool:
        """Whether the store still has the bytes of a file that was read before."""
        if known.pieces is not None and known.pieces not in self._packed:
            return False
        if known.look.size < SMALL_BELOW:
            return known.digest in self._packed
        return self._is_here(known.digest, known.look.size)

    def _read_small(
        self, sources: list[Source], done: list[Entry], batch: LocalBatch, counter: Counter
    ) -> None:
        uncounted = 0
        for source in sorted(sources, key=attrgetter("path")):
            looked = now()
            data = _read_unchanged(source)
            digest = digest_of(data)
            known = self._cache.learn(source.file, source.look, digest, None, looked)
            done.append(_entry(source, known))
            if digest not in self._packed:
                self._packed.add(digest)
                self.added_bytes += len(data)
                name = source.filename or source.path
                writer = self._writers["documents" if is_document(name) else "other"]
                for pack in writer.add(digest, data):
                    self._add_pack(pack, batch)
            uncounted += len(data)
            if uncounted >= CHUNK:
                counter.add(uncounted)
                uncounted = 0
        counter.add(uncounted)
        for writer in self._writers.values():
            for pack in writer.finish():
                self._add_pack(pack, batch)

    def _add_pack(self, pack: bytes, batch: LocalBatch) -> None:
        batch.add(package_key(self._package, "packs", digest_of(pack)), pack)

    def _large_job(
        self, source: Source, done: list[Entry], batch: LocalBatch, counter: Counter
    ) -> Callable[[], None]:
        def job() -> None:
            looked = now()
            # What was read may be newer than what was listed.
            read, part, digest, pieces = self._copy_unchanged(source, counter)
            if digest in self._staged or self._is_here(digest, part.size):
                part.discard()
            else:
                self._staged.add(digest)
                self.added_bytes += part.size
                batch.take(object_key(digest), part)
                if batch.staged_bytes > COMMIT_BYTES:
                    batch.commit()
            name = self._keep_pieces(pieces) if pieces else None
            known = self._cache.learn(read.file, read.look, digest, name, looked)
            done.append(_entry(read, known))

        return job

    def _is_here(self, digest: str, size: int) -> bool:
        """Whether a large object is in the store, and no collection is about to take it."""
        here = digest not in self._condemned and (
            self._store.files.size(object_key(digest)) == size
        )
        if here:
            self._counted.add(digest)
        return here

    def _keep_pieces(self, pieces: bytes) -> str:
        """Keep a list of pieces among the parts of manifests; return its digest."""
        digest = digest_of(pieces)
        if digest not in self._packed:
            # The manifest is written with it; until then it is not packed.
            self._parts[digest] = pieces
        return digest

    def _copy_unchanged(self, source: Source, counter: Counter) -> tuple[Source, Part, str, bytes]:
        """Copy a large file to staging, hashing it; start anew if it changes meanwhile.

        Returns the source as it looked when it was copied, the part, its digest, its pieces.
        """
        for _ in range(TRIES):
            part = Part.new(self._store.files.staging, "build")
            try:
                digest, pieces, look = _copy(source, part, counter)
            except BaseException:
                part.discard()
                raise
            if look == source.look:
                return source, part, digest, pieces
            part.discard()
            counter.add(-part.size)
            source = msgspec.structs.replace(source, look=_look_again(source))
        raise _restless(source)

    def manifest(self, entries: list[Entry], kind: str, batch: LocalBatch) -> Manifest:
        """Return the manifest of these entries; what the store lacks of it is in the batch."""
        made = Manifest.of(entries, kind)
        writer = PackWriter()
        parts = {made.revision: made.data, **made.pages, **self._parts}
        for digest, data in parts.items():
            if digest in self._packed:
                continue
            if len(data) > MAX_OBJECT_BYTES:
                batch.add(object_key(digest), data)
                continue
            for pack in writer.add(digest, data):
                self._add_pack(pack, batch)
        for pack in writer.finish():
            self._add_pack(pack, batch)
        return made

    def check_spared(self) -> None:
        """Look once more, before the record, that all is spared that was found here."""
        self._store.check_spared(self._counted)

    def finish(self) -> None:
        """Remember the files for the next build."""
        self._cache.save()


def _check_sizes(sources: Iterable[Source]) -> None:
    """Refuse files whose list of pieces fits in no pack."""
    for source in sources:
        if source.look.size > MAX_FILE_BYTES:
            raise BadInput(f"{source.file} is larger than 128 GiB", "Split it. Nothing was built.")


def _entry(source: Source, known: Known) -> Entry:
    return make_entry(
        source.path,
        known.digest,
        known.look.size,
        pieces=known.pieces,
        filename=source.filename,
        meta=source.meta,
    )


def _restless(source: Source) -> BadInput:
    return BadInput(
        f"{source.file} changes while it is read", "Wait until nobody writes to it, then try again."
    )


def _look_again(source: Source) -> Look:
    try:
        return Look.of(os.stat(source.file))
    except _GONE:
        raise _restless(source) from None


def _read_unchanged(source: Source) -> bytes:
    try:
        data = read_file(source.file, source.look.size)
    except _GONE:
        raise _restless(source) from None
    if len(data) != source.look.size:
        raise _restless(source)
    return data


def _copy(source: Source, part: Part, counter: Counter) -> tuple[str, bytes, Look]:
    """Fill `part` from a file; return digest, list of pieces, and how the file looks now."""
    try:
        descriptor = os.open(source.file, os.O_RDONLY | os.O_CLOEXEC)
    except _GONE:
        raise _restless(source) from None
    try:
        hasher = PieceHasher() if source.look.size > PIECES_ABOVE else blake3()
        if part.clone(descriptor, os.fstat(descriptor).st_size):
            for chunk in read_chunks(part.path):
                hasher.update(chunk)
                counter.add(len(chunk))
        else:
            view = memoryview(bytearray(CHUNK))
            while count := os.readv(descriptor, [view]):
                hasher.update(view[:count])
                part.write(view[:count])
                counter.add(count)
        look = Look.of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if isinstance(hasher, PieceHasher):
        return hasher.digest(), hasher.piece_list(), look
    return hasher.hexdigest(), b"", look


def build(
    store: Store,
    package: Package,
    folder: str,
    sources: Iterable[Source],
    *,
    stamp: Stamp,
    kind: str = "files",
    watch: Watcher = ignore,
    executor: Executor | None = None,
) -> Built:
    """Make a revision of these sources and append it to the package's log in this store.

    Raises `DiskFull`: Before anything is written, if it would not fit. Raises `BadInput`: A file
    changes while it is read.
    """
    with store.transaction(), filling(store) as batch:
        builder = Builder(store, package, folder, watch)
        entries = builder.entries(sources, batch, executor)
        made = builder.manifest(entries, kind, batch)
        batch.commit()
        store.packs(package).refresh()
        builder.check_spared()
        changed = _record(store, package, made.revision, stamp)
        builder.finish()
        installed = store.installed(package)
        compact(store, package, installed.earlier if installed else ())
    return Built(
        str(package),
        made.revision,
        made.header.entries,
        made.header.bytes,
        builder.added_bytes,
        builder.read_files,
        changed,
    )


def _record(store: Store, package: Package, revision: str, stamp: Stamp) -> bool:
    """Append the revision to the log, unless it is the latest; then say that it is installed."""
    latest, newest = _append(store, package, revision, stamp)
    _say_installed(store, package, revision, newest)
    return latest != revision


def _append(store: Store, package: Package, revision: str, stamp: Stamp) -> tuple[str, Kept | None]:
    """Append the revision unless it is the latest; return what was the latest, and the record."""
    for attempt in range(TRIES * TRIES):
        newest = store.newest(package)
        latest = newest.record.state.latest if newest else ""
        if latest == revision:
            break
        draft = Draft(
            event="push",
            nonce=os.urandom(16).hex(),
            revision=revision,
            base=latest,
            author=stamp.author,
            time=stamp.time,
            message=stamp.message,
        )
        try:
            return latest, store.append(package, draft)
        except PushConflict:
            # Another build of the same package was quicker: ours comes after it.
            if attempt == TRIES * TRIES - 1:
                raise
    return latest, newest


def _say_installed(store: Store, package: Package, revision: str, newest: Kept | None) -> None:
    before = store.installed(package)
    elsewhere = before is not None and before.remote != store.id
    if before is None or before.revision != revision or not before.want.everything:
        earlier = [before.revision, *before.earlier] if before else []
        store.set_installed(
            package,
            Installed(
                str(package),
                revision,
                before.remote if before else store.id,
                before.address if before else "",
                # A record of our own log says nothing of the remote that the package came from.
                newest.digest if newest and not elsewhere else "",
                newest.record.number if newest and not elsewhere else 0,
                earlier=[r for r in dict.fromkeys(earlier) if r != revision],
            ),
        )
