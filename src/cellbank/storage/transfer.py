"""The way between a store and a remote: what must move, and moving it."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import chain
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadPack,
    ChainRefused,
    Damaged,
    DigestMismatch,
    DiskFull,
    NetworkError,
    NotFetched,
    NotFound,
    Unreachable,
)
from cellbank.model.log import Draft, Kept, Table
from cellbank.model.manifest import Entry, ManifestReader, check_manifest, decode_header
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.cache import FOLDER, Cache
from cellbank.storage.jobs import Counter, run_all
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import COMMIT_BYTES, Hasher, LocalBatch, Part
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.remote import Remote, Upload
from cellbank.storage.store import Store

PUSH_TRIES: Final = 3


class Plan(msgspec.Struct, frozen=True):
    """What an install must fetch; decided before the first byte moves.

    The large objects are given by an entry that has them.
    """

    parts: list[str]
    documents: dict[str, int]
    other: dict[str, int]
    large: dict[str, Entry]
    objects: int
    bytes: int

    def __bool__(self) -> bool:
        return self.objects > 0


def plan_fetch(
    entries: Iterable[Entry], have: Callable[[set[str], dict[str, int]], set[str]]
) -> Plan:
    """Return what must be fetched for these entries.

    Parameters
    ----------
    entries
        The entries that are wanted, in order of their paths.
    have
        Given small digests and large ones with their sizes, returns those that are here.

    Returns
    -------
    Plan
        What is not here, by sort, each in order of paths.
    """
    parts: dict[str, int] = {}
    documents: dict[str, int] = {}
    other: dict[str, int] = {}
    large: dict[str, Entry] = {}
    for entry in entries:
        if entry.pieces is not None:
            parts[entry.pieces] = 32 * (-(-entry.size // (1 << 20)))
        if entry.size >= SMALL_BELOW:
            large[entry.digest] = entry
        elif entry.is_document:
            documents[entry.digest] = entry.size
        else:
            other[entry.digest] = entry.size
    for digest in documents.keys() & other.keys():
        del other[digest]
    sizes = {digest: entry.size for digest, entry in large.items()}
    here = have({*parts, *documents, *other}, sizes)
    missing = {d: s for d, s in (documents | other | sizes).items() if d not in here}
    return Plan(
        [digest for digest in parts if digest not in here],
        {digest: size for digest, size in documents.items() if digest not in here},
        {digest: size for digest, size in other.items() if digest not in here},
        {digest: entry for digest, entry in large.items() if digest not in here},
        len(missing),
        sum(missing.values()),
    )


def table_entries(tables: Mapping[str, Table]) -> list[Entry]:
    """Return tables as entries, for what moves and checks objects; `path` is for messages."""
    return [
        Entry(path=f"table {kind}", digest=table.digest, size=table.size)
        for kind, table in tables.items()
    ]


def present_in(store: Store, package: Package) -> Callable[[set[str], dict[str, int]], set[str]]:
    """Return what `plan_fetch` asks: which objects the store has, and a collection spares."""

    def have(small: set[str], large: dict[str, int]) -> set[str]:
        condemned = store.condemned()
        found = store.has_small(package, small)
        for digest, size in large.items():
            if store.object_path(digest, size) is not None:
                found.add(digest)
        return found - condemned

    return have


@contextmanager
def filling(store: Store) -> Iterator[LocalBatch]:
    """Give a batch of the store that leaves nothing behind."""
    batch = store.files.batch()
    try:
        yield batch
    finally:
        batch.abandon()


# --- store ← remote -----------------------------------------------------------------------------


def note_seen(
    store: Store,
    remote: Remote,
    package: Package,
    newest: Kept,
    *,
    allow_older: bool = False,
    base: str | None = None,
) -> None:
    """Remember the newest record of a remote, if its history goes on from the one that we saw.

    `base` is what was pushed there just now.

    Raises `ChainRefused`: It is an older history, or another one.
    """
    try:
        _note_seen(store, remote, package, newest, allow_older=allow_older, base=base)
    except ChainRefused:
        # Somebody else may have noted what was appended since `newest` was asked for.
        newest = remote.newest(package)
        _note_seen(store, remote, package, newest, allow_older=allow_older, base=base)


def _note_seen(
    store: Store,
    remote: Remote,
    package: Package,
    newest: Kept,
    *,
    allow_older: bool,
    base: str | None,
) -> None:
    before = store.seen(remote.id, package)
    if before is not None and not allow_older and newest.record.number > before.number:
        digest = newest.record.previous
        if newest.record.number > before.number + 1:
            digest = _digest_in_log(remote, package, newest, before.number)
        if digest != before.digest:
            reason = f"its record {before.number} has changed"
            raise ChainRefused(str(package), remote.address, reason)
    store.note_seen(remote.id, remote.address, package, newest, allow_older=allow_older, base=base)


def _digest_in_log(remote: Remote, package: Package, newest: Kept, number: int) -> str:
    """Return the digest of a record in the chain that ends in `newest`, or nothing."""
    for kept in remote.records(package):
        if kept.record.number == newest.record.number and kept.digest != newest.digest:
            return ""
        if kept.record.number == number:
            return kept.digest
    return ""


def fetch_manifest(store: Store, remote: Remote, package: Package, revision: str) -> ManifestReader:
    """Bring the header and the pages of a revision into the store, checked as a receiver must.

    Raises `NotCanonical`, `DigestMismatch`, `Damaged`: The remote gives something else than what
    the revision names.
    """
    fresh: dict[str, bytes] = {}
    if not store.has_small(package, [revision]) - store.condemned():
        fresh |= remote.read_small(package, [revision])
    header_data = fresh.get(revision) or store.read_small(package, revision)
    header = decode_header(header_data)
    pages = [page.digest for page in header.pages]
    here = store.has_small(package, pages) - store.condemned()
    lacking = [digest for digest in pages if digest not in here]
    fresh |= remote.read_small(package, lacking)
    if fresh:
        check_manifest(
            header_data, lambda digest: fresh.get(digest) or store.read_small(package, digest)
        )
        keep_small(store, package, [(d, fresh[d]) for d in [revision, *pages] if d in fresh])
    return store.reader(package, revision)


def keep_small(store: Store, package: Package, objects: Iterable[tuple[str, bytes]]) -> None:
    """Keep small objects in packs of the package, durable on return."""
    with filling(store) as batch:
        for pack in write_packs(objects):
            batch.add(package_key(package, "packs", digest_of(pack)), pack)
        batch.commit()
    store.packs(package).refresh()


def check_room(store: Store, needed: int) -> None:
    """Raise `DiskFull` if the disk of the store has less than `needed` bytes free."""
    free = disk.free_bytes(store.root)
    if needed > free:
        cached = Cache(store.files.path(FOLDER), 0).size()
        raise DiskFull(store.root, needed, free, cached)


def fetch(
    store: Store,
    remote: Remote,
    package: Package,
    plan: Plan,
    watch: Watcher = ignore,
    executor: Executor | None = None,
) -> None:
    """Bring the objects of a plan into the store; on return they are durable.

    Raises `DiskFull`: Before the first byte, if they would not fit. Raises `DigestMismatch`,
    `Damaged`, `NetworkError`, `Interrupted`: What was verified until then is kept.
    """
    check_room(store, plan.bytes + (1 << 20) * bool(plan))
    remote.begin()
    counter = Counter("download", plan.bytes, watch, remote.stop)
    with filling(store) as batch:
        try:
            _fetch_small(store, remote, package, plan, batch, counter)
            jobs = [
                _large_job(store, remote, package, batch, counter, entry)
                for entry in plan.large.values()
            ]
            run_all(jobs, counter, executor)
        finally:
            batch.commit()
    store.packs(package).refresh()


def _fetch_small(
    store: Store,
    remote: Remote,
    package: Package,
    plan: Plan,
    batch: LocalBatch,
    counter: Counter,
) -> None:
    for wanted in (dict.fromkeys(plan.parts, -1), plan.documents, plan.other):
        lacking = dict(wanted)

        def take(
            pack: bytes, wanted: dict[str, int] = wanted, lacking: dict[str, int] = lacking
        ) -> None:
            where = f"a pack from {remote.address}"
            got = _check_pack(pack, where, wanted, lacking)
            batch.add(package_key(package, "packs", digest_of(pack)), pack)
            counter.add(got)

        if wanted:
            remote.fetch_packs(package, wanted, take)
        if lacking:
            raise Damaged(
                f"{package}: {remote.address} does not give {len(lacking)} objects, among them "
                f"{min(lacking)}",
                "Tell its owner; the package may have to be pushed there again.",
            )


def _check_pack(pack: bytes, where: str, wanted: Mapping[str, int], lacking: dict[str, int]) -> int:
    """Check that a pack holds what was asked for and nothing else; return how many bytes."""
    got = 0
    for digest, data in read_pack(pack, where):
        size = wanted.get(digest)
        if size is None:
            raise BadPack(where, f"it holds {digest[:12]}, which nobody asked for")
        if size >= 0 and size != len(data):
            raise DigestMismatch(where, f"{size} bytes of {digest[:12]}", f"{len(data)} bytes")
        got += max(size, 0)
        lacking.pop(digest, None)
    return got


def _large_job(
    store: Store,
    remote: Remote,
    package: Package,
    batch: LocalBatch,
    counter: Counter,
    entry: Entry,
) -> Callable[[], None]:
    def job() -> None:
        # Wrong bytes may be the fault of one connection: try once more from the start.
        for attempt in (1, 2):
            try:
                _fetch_large(store, remote, package, batch, counter, entry)
            except DigestMismatch:
                if attempt == 2:
                    raise
            else:
                return

    return job


def _fetch_large(
    store: Store,
    remote: Remote,
    package: Package,
    batch: LocalBatch,
    counter: Counter,
    entry: Entry,
) -> None:
    digest, size = entry.digest, entry.size
    where = f"{package}/{entry.path} (object {digest[:12]}) from {remote.address}"
    part = batch.part(digest)
    hasher = Hasher(pieces=entry.pieces is not None)
    done = False
    try:
        if part.size > size:
            part = _start_over(store, part, digest)
        for chunk in part.chunks() if part.size else ():
            hasher.update(chunk)
            counter.add(len(chunk))

        def take(chunk: bytes | bytearray | memoryview) -> None:
            if part.size + len(chunk) > size:
                raise DigestMismatch(where, f"{size} bytes", "more")
            hasher.update(chunk)
            part.write(chunk)
            counter.add(len(chunk))

        if part.size < size:
            remote.fetch_object(package, digest, part.size, take)
        if part.size < size:
            raise NetworkError(f"{where}: it broke off", "Run the same command: it goes on.")
        hasher.check(where, digest, entry.pieces)
        done = True
    except DigestMismatch:
        counter.add(-part.size)
        part.discard()
        raise
    finally:
        if done:
            batch.take(object_key(digest), part)
        elif os.path.exists(part.path):
            part.keep()
    if batch.staged_bytes > COMMIT_BYTES:
        batch.commit()


def _start_over(store: Store, part: Part, digest: str) -> Part:
    part.discard()
    return Part.new(store.files.staging, digest)


# --- store → remote -----------------------------------------------------------------------------


def push(
    store: Store,
    remote: Remote,
    package: Package,
    draft: Draft,
    *,
    public: bool | None = None,
    watch: Watcher = ignore,
    executor: Executor | None = None,
) -> Kept:
    """Send a revision, and the tables that the draft names, to a remote.

    Only what it lacks is sent, the record last.

    Raises `Damaged`: Something of the revision is not in this store. Raises `PushConflict`: The
    remote moved on.
    """
    revision = draft.revision
    reader = store.reader(package, revision)
    header = store.read_small(package, revision)
    upload = remote.upload(package, revision, header, reader)
    try:
        for pack in _packs(store, package, _in_order(reader, revision, upload.pages())):
            upload.send_pack(pack)
        for attempt in range(PUSH_TRIES):
            _send(store, package, reader, draft.tables, upload, Way(watch, executor, remote.stop))
            try:
                return upload.append(draft, public=public)
            except (Damaged, NotFound):
                # The registry was restarted and lacks what it had not kept: send that again.
                if attempt == PUSH_TRIES - 1:
                    raise
        raise Unreachable(remote.address, "it was restarted again and again")
    finally:
        upload.close()


def _in_order(reader: ManifestReader, revision: str, wanted: set[str]) -> list[str]:
    digests = [revision, *(page.digest for page in reader.header.pages)]
    return [digest for digest in dict.fromkeys(digests) if digest in wanted]


def _packs(store: Store, package: Package, digests: list[str]) -> Iterator[bytes]:
    """Yield packs with these objects, from this store and borrowed ones."""
    if not digests:
        return
    own = store.has_small(package, digests) if not store.borrowed else set()
    if own >= set(digests):
        yield from store.packs_of(package, digests)
        return
    yield from write_packs((digest, store.read_small(package, digest)) for digest in digests)


def _check_small(
    store: Store, package: Package, entries: Iterable[Entry], wanted: set[str]
) -> None:
    """Raise `NotFetched` before anything is sent if a small object is not in the store."""
    lacking = wanted - store.has_small(package, wanted)
    if lacking:
        path = next(entry.path for entry in entries if entry.digest in lacking)
        raise NotFetched(str(package), path)


class Way(msgspec.Struct, frozen=True):
    """Who watches a transfer, what runs its jobs, and what breaks them off."""

    watch: Watcher = ignore
    executor: Executor | None = None
    break_off: Callable[[], None] | None = None


def _send(
    store: Store,
    package: Package,
    reader: ManifestReader,
    tables: Mapping[str, Table],
    upload: Upload,
    way: Way,
) -> None:
    missing = upload.missing(tables)
    lacking = missing.small | missing.large.keys()
    if not lacking:
        return
    plan = plan_fetch(reader, lambda smalls, larges: {*smalls, *larges} - lacking)
    planned = {*plan.parts, *plan.documents, *plan.other, *plan.large}
    more = plan_fetch(
        table_entries(tables), lambda smalls, larges: {*smalls, *larges} - (lacking - planned)
    )
    large = plan.large | more.large
    paths = {}
    for digest, entry in large.items():
        path = store.object_path(digest, entry.size)
        if path is None:
            raise NotFetched(str(package), entry.path)
        paths[digest] = path
    entries = chain(reader, table_entries(tables))
    _check_small(store, package, entries, {*plan.documents, *plan.other, *more.other})
    counter = Counter("upload", plan.bytes + more.bytes, way.watch, way.break_off)
    for group in ([*plan.parts, *more.other], plan.documents, plan.other):
        for pack in _packs(store, package, list(group)):
            upload.send_pack(pack)
    counter.add(plan.bytes + more.bytes - sum(entry.size for entry in large.values()))

    def job(digest: str) -> Callable[[], None]:
        return lambda: upload.send_object(digest, large[digest].size, paths[digest], counter.add)

    run_all([job(digest) for digest in large], counter, way.executor)
