"""Building: files become entries, objects and packs in the store, and a record in the log."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from operator import attrgetter
from typing import Protocol

import msgspec

from cellbank.model.digest import PIECE_BYTES, PIECES_ABOVE, SMALL_BELOW, digest_of
from cellbank.model.errors import BadInput, Damaged
from cellbank.model.log import Table
from cellbank.model.manifest import Entry, Manifest, is_document, make_entry
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.model.want import Want
from cellbank.packages.carried import Carried, Carrying
from cellbank.packages.copying import copy_unchanged, read_unchanged, restless
from cellbank.packages.recording import Stamp, record
from cellbank.packages.scan import Known, Source, StatCache, now
from cellbank.storage import disk
from cellbank.storage.compact import compact
from cellbank.storage.jobs import Counter, run_all
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import CHUNK, COMMIT_BYTES, Hasher, LocalBatch
from cellbank.storage.packs import MAX_OBJECT_BYTES, PackWriter
from cellbank.storage.store import Store
from cellbank.storage.transfer import check_room, filling

MAX_FILE_BYTES = MAX_OBJECT_BYTES // 32 * PIECE_BYTES
"""128 GiB: a list of pieces has 32 bytes for each, and must fit in a pack."""


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


class Shelf(Protocol):
    """What was read before several packages are built of it: files, small objects, pieces."""

    cache: StatCache

    def small(self, digest: str) -> bytes | None:
        """Return the bytes of a small object, if they are at hand."""

    def pieces(self, digest: str) -> bytes | None:
        """Return a list of pieces, if it is at hand."""

    def holds(self, digest: str) -> bool:
        """Whether a large object is in the store for these builds."""

    def hold(self, digest: str) -> None:
        """Let the collection that condemned an object see that it came again."""


def _no_tables(_entries: Sequence[Entry]) -> Mapping[str, bytes]:
    return {}


def _nothing_to_check() -> None:
    pass


class Prepared(msgspec.Struct, frozen=True):
    """What a build adds whose sources were prepared: not any files, but records.

    `kind` stands in the header; `tables` makes the metadata tables that the log names with the
    revision, of the entries, when all sources were taken; what is on the `shelf` is not read again.
    `carried` are entries that come beside the sources, as they are. `want` is what will be wanted
    of the package here; `lists` makes the lists in it: `list` or `shown` → whether an entry is
    on it. `check` is called before the record is written, and may raise.
    """

    kind: str = "files"
    tables: Callable[[Sequence[Entry]], Mapping[str, bytes]] = _no_tables
    shelf: Shelf | None = None
    carried: Iterable[Carried] = ()
    want: Want = Want()
    lists: Mapping[str, Callable[[Entry], bool]] = {}
    check: Callable[[], None] = _nothing_to_check


class Builder:
    """One build: reads what changed, stages it, and writes the manifest.

    Invariant: nothing of the package changes before all its objects are durable.
    """

    def __init__(
        self, store: Store, package: Package, folder: str, watch: Watcher, shelf: Shelf | None
    ) -> None:
        self._store = store
        self._package = package
        self._watch = watch
        self._shelf = shelf
        self._cache = shelf.cache if shelf else StatCache(store, folder)
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
            if source.data is not None:
                done.append(self._take_bytes(source, source.data, batch))
                continue
            known = source.known or self._cache.find(source.file, source.look)
            if known is not None and self._has(known):
                done.append(_entry(source, known))
            elif source.look.size < SMALL_BELOW:
                small.append(source)
            else:
                large.append(source)
        _check_sizes(large)
        self._check_known(large)
        check_room(self._store, sum(source.look.size for source in [*small, *large]))
        counter = Counter("build", sum(s.look.size for s in [*small, *large]), self._watch)
        self._read_small(small, done, batch, counter)
        jobs = [self._large_job(source, done, batch, counter) for source in large]
        run_all(jobs, counter, executor)
        self.read_files += len(large)
        return done

    def carry(self, carried: Iterable[Carried], batch: LocalBatch) -> list[Entry]:
        """Return entries that are taken as they are; what the package lacks is in the batch."""
        carrying = Carrying(self._store, self._has_part, self._is_spared)
        done = []
        for one in carried:
            carrying.add(one)
            done.append(one.entry)
        for one, digest, data in carrying.small():
            if digest == one.entry.pieces:
                self._parts[digest] = data
            else:
                self._pack(one.entry, digest, data, batch)
        self._finish_packs(batch)
        return done

    def _has_part(self, digest: str) -> bool:
        return digest in self._packed or digest in self._parts

    def _is_spared(self, digest: str, size: int) -> bool:
        """Whether a large object is here; a collection that condemned it will see that it came."""
        key = object_key(digest)
        if digest not in self._condemned:
            return self._is_here(digest, size)
        if self._store.files.size(key) != size:
            return False
        # Somebody else's file cannot be touched: it is named before the day is over.
        with suppress(PermissionError):
            disk.touch(self._store.files.path(key))
        return True

    def _check_known(self, large: list[Source]) -> None:
        """Refuse to build on an object that was in the store and is no longer."""
        for source in large:
            if source.known is not None:
                raise Damaged(
                    f"{source.known.digest} is no longer in the store", "Build again: it is mended."
                )

    def _has(self, known: Known) -> bool:
        """Whether the store still has the bytes of a file that was read before."""
        if known.pieces is not None and not self._has_pieces(known.pieces):
            return False
        if known.look.size < SMALL_BELOW:
            return known.digest in self._packed
        return self._is_here(known.digest, known.look.size)

    def _has_pieces(self, digest: str) -> bool:
        """Whether a list of pieces is in the package, or on the shelf and soon in it."""
        if digest in self._packed or digest in self._parts:
            return True
        pieces = self._shelf.pieces(digest) if self._shelf else None
        if pieces is not None:
            self._parts[digest] = pieces
        return pieces is not None

    def _take_bytes(self, source: Source, data: bytes, batch: LocalBatch) -> Entry:
        """Take bytes that are here: into a pack, or as an object if they are many."""
        if len(data) < SMALL_BELOW:
            digest = digest_of(data)
            self._pack(source, digest, data, batch)
            return _entry(source, Known(source.look, digest, None))
        hasher = Hasher(pieces=len(data) > PIECES_ABOVE)
        hasher.update(data)
        digest, pieces = hasher.digests()
        if digest not in self._staged and not self._is_here(digest, len(data)):
            self._staged.add(digest)
            self.added_bytes += len(data)
            batch.add(object_key(digest), data)
        name = self._keep_pieces(pieces) if pieces else None
        return _entry(source, Known(source.look, digest, name))

    def _pack(self, source: Source | Entry, digest: str, data: bytes, batch: LocalBatch) -> None:
        if digest in self._packed:
            return
        self._packed.add(digest)
        self.added_bytes += len(data)
        name = source.filename or source.path
        writer = self._writers["documents" if is_document(name) else "other"]
        for pack in writer.add(digest, data):
            self._add_pack(pack, batch)

    def _read_small(
        self, sources: list[Source], done: list[Entry], batch: LocalBatch, counter: Counter
    ) -> None:
        uncounted = 0
        for source in sorted(sources, key=attrgetter("path")):
            known, data = self._small_data(source)
            done.append(_entry(source, known))
            self._pack(source, known.digest, data, batch)
            uncounted += len(data)
            if uncounted >= CHUNK:
                counter.add(uncounted)
                uncounted = 0
        counter.add(uncounted)
        self._finish_packs(batch)

    def _finish_packs(self, batch: LocalBatch) -> None:
        for writer in self._writers.values():
            for pack in writer.finish():
                self._add_pack(pack, batch)

    def _small_data(self, source: Source) -> tuple[Known, bytes]:
        """Return what is known of a small file, and its bytes: from the shelf, else read."""
        known = source.known or self._cache.find(source.file, source.look)
        if known is not None and self._shelf is not None:
            data = self._shelf.small(known.digest)
            if data is not None:
                return known, data
        if source.known is not None and not source.file:
            self._check_known([source])
        looked = now()
        data = read_unchanged(source)
        self.read_files += 1
        digest = digest_of(data)
        if source.known is not None and digest != source.known.digest:
            # It was checked as it was then.
            raise restless(source)
        return self._cache.learn(source.file, source.look, digest, None, looked), data

    def _add_pack(self, pack: bytes, batch: LocalBatch) -> None:
        batch.add(package_key(self._package, "packs", digest_of(pack)), pack)

    def _large_job(
        self, source: Source, done: list[Entry], batch: LocalBatch, counter: Counter
    ) -> Callable[[], None]:
        def job() -> None:
            looked = now()
            # What was read may be newer than what was listed.
            read, part, digest, pieces = copy_unchanged(source, self._store.files.staging, counter)
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
        held = self._shelf if self._shelf and self._shelf.holds(digest) else None
        if digest in self._condemned and held is None:
            return False
        if self._store.files.size(object_key(digest)) != size:
            return False
        if held is None:
            self._counted.add(digest)
        elif digest in self._condemned:
            held.hold(digest)
        return True

    def _keep_pieces(self, pieces: bytes) -> str:
        """Keep a list of pieces among the parts of manifests; return its digest."""
        digest = digest_of(pieces)
        if digest not in self._packed:
            # The manifest is written with it; until then it is not packed.
            self._parts[digest] = pieces
        return digest

    def manifest(self, entries: list[Entry], kind: str, batch: LocalBatch) -> Manifest:
        """Return the manifest of these entries; what the store lacks of it is in the batch."""
        made = Manifest.of(entries, kind)
        self._keep_parts({made.revision: made.data, **made.pages, **self._parts}, batch)
        return made

    def want(self, prepared: Prepared, entries: list[Entry], batch: LocalBatch) -> Want:
        """Return what will be wanted of the package here; its lists are in the batch."""
        made = {}
        for name, is_on in prepared.lists.items():
            listed = Manifest.of(filter(is_on, entries))
            self._keep_parts({listed.revision: listed.data, **listed.pages}, batch)
            made[name] = listed.revision
        return msgspec.structs.replace(prepared.want, **made)

    def _keep_parts(self, parts: Mapping[str, bytes], batch: LocalBatch) -> None:
        writer = PackWriter()
        for digest, data in parts.items():
            if digest in self._packed:
                continue
            if len(data) > MAX_OBJECT_BYTES:
                batch.add(object_key(digest), data)
                continue
            self._packed.add(digest)
            for pack in writer.add(digest, data):
                self._add_pack(pack, batch)
        for pack in writer.finish():
            self._add_pack(pack, batch)

    def check_spared(self) -> None:
        """Look once more, before the record, that all is spared that was found here.

        What the shelf holds is: a collection waits for a day, and then finds it named.
        """
        self._store.check_spared(self._counted)

    def has_tables(self, tables: Mapping[str, Table]) -> bool:
        """Whether there are tables, and this very store has all of them."""
        return bool(tables) and all(
            table.digest in self._packed
            if table.size < SMALL_BELOW
            else self._is_here(table.digest, table.size)
            for table in tables.values()
        )

    def tables(
        self, tables: Mapping[str, bytes], writer_name: str, batch: LocalBatch
    ) -> dict[str, Table]:
        """Take the metadata tables; return what the log says of them."""
        named = {}
        writer = PackWriter()
        for kind, data in sorted(tables.items()):
            digest = digest_of(data)
            named[kind] = Table(digest, len(data), writer_name)
            if len(data) >= SMALL_BELOW:
                if not self._is_here(digest, len(data)):
                    batch.add(object_key(digest), data)
            elif digest not in self._packed:
                self._packed.add(digest)
                for pack in writer.add(digest, data):
                    self._add_pack(pack, batch)
        for pack in writer.finish():
            self._add_pack(pack, batch)
        return named

    def finish(self) -> None:
        """Remember the files for the next build."""
        if self._shelf is None:
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


def build(
    store: Store,
    package: Package,
    folder: str,
    sources: Iterable[Source],
    *,
    stamp: Stamp,
    prepared: "Prepared | None" = None,
    watch: Watcher = ignore,
    executor: Executor | None = None,
) -> Built:
    """Make a revision of these sources and append it to the package's log in this store.

    Sources that are bytes come in the order of their paths.

    Raises `DiskFull`: Before anything is written, if it would not fit. Raises `BadInput`: A file
    changes while it is read.
    """
    with store.transaction(), filling(store) as batch:
        prepared = prepared or Prepared()
        builder = Builder(store, package, folder, watch, prepared.shelf)
        entries = builder.carry(prepared.carried, batch)
        entries += builder.entries(sources, batch, executor)
        made = builder.manifest(entries, prepared.kind, batch)
        want = builder.want(prepared, entries, batch)
        known = store.tables(package, made.revision)
        if not builder.has_tables(known):
            known = builder.tables(prepared.tables(entries), stamp.writer, batch)
        batch.commit()
        store.packs(package).refresh()
        builder.check_spared()
        changed = record(store, package, made.revision, stamp, known, want, prepared.check)
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
