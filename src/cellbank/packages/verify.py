"""Verifying: every object of a package hashed again, damage named, and fetched if asked."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadPack,
    CellbankError,
    DigestMismatch,
    DiskError,
    IntegrityError,
    Interrupted,
    NetworkError,
)
from cellbank.model.log import Table
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.jobs import Counter
from cellbank.storage.layout import object_key
from cellbank.storage.local import Hasher, file_digest, read_chunks
from cellbank.storage.packs import TRAILER_BYTES, PackIndex, cut, decode_block, write_packs
from cellbank.storage.remote import NO_TABLES, Remote
from cellbank.storage.store import Store
from cellbank.storage.transfer import Plan, fetch, filling, table_entries

THREADS: Final = 2
UNKNOWN: Final = -1
"""The size of a part of a manifest, which no entry tells."""


class Damage(msgspec.Struct, frozen=True):
    """One damaged entry: its package, its path, and what is wrong.

    The path is empty where the list of entries itself is damaged, or a table, whose kind `table`
    tells then.
    """

    package: str
    path: str
    digest: str
    reason: str
    size: int = 0
    table: str = ""

    def __str__(self) -> str:
        what = f"its table {self.table}" if self.table else "its manifest"
        place = f"{self.package}/{self.path}" if self.path else f"{self.package} ({what})"
        return f"{place}: {self.reason}"


class Verified(msgspec.Struct, frozen=True):
    """What a verification found."""

    packages: int
    entries: int
    bytes: int
    damaged: list[Damage]
    repaired: list[Damage]

    @property
    def good(self) -> bool:
        """Whether nothing damaged is left."""
        return not self.damaged


def verify_revision(
    store: Store,
    package: Package,
    revision: str,
    entries: list[Entry],
    watch: Watcher = ignore,
    *,
    executor: Executor | None = None,
    tables: Mapping[str, Table] = NO_TABLES,
    spare: Collection[str] = (),
) -> list[Damage]:
    """Hash every object of these entries and tables; return what is damaged or missing.

    Lists of pieces in `spare` need not be here.
    """
    every = [*table_entries(tables), *entries]
    counter = Counter("verify", sum(entry.size for entry in every), watch)
    bad: dict[str, str] = {}
    large = {e.digest: e for e in every if e.size >= SMALL_BELOW}
    small = {e.digest: e.size for e in every if e.size < SMALL_BELOW}
    lists = {e.pieces for e in entries if e.pieces is not None}
    small |= dict.fromkeys(lists.difference(spare), UNKNOWN)
    parts = [revision, *(page.digest for page in store.reader(package, revision).header.pages)]
    small |= dict.fromkeys(parts, UNKNOWN)

    def check(entry: Entry) -> None:
        path = store.object_path(entry.digest, entry.size)
        if path is None:
            bad[entry.digest] = _why_absent(store, entry)
            return
        hasher = Hasher(pieces=entry.pieces is not None)
        try:
            for chunk in read_chunks(path):
                hasher.update(chunk)
                counter.add(len(chunk))
            hasher.check(path, entry.digest, entry.pieces)
        except DigestMismatch:
            bad[entry.digest] = f"its bytes have changed ({path})"
        except OSError as error:
            bad[entry.digest] = f"it cannot be read ({error.strerror}, {path})"

    own = executor is None
    pool = executor or ThreadPoolExecutor(THREADS)
    try:
        futures = [pool.submit(check, entry) for entry in large.values()]
        bad |= check_small(store, package, small, counter)
        for future in futures:
            future.result()
    except BaseException:
        counter.stop.set()
        raise
    finally:
        if own and isinstance(pool, ThreadPoolExecutor):
            pool.shutdown(cancel_futures=True)
    lost = [Damage(str(package), "", part, bad[part]) for part in parts if part in bad]
    lost = lost[:1] + [
        # Where only the list of its pieces is bad, the object is good and stays.
        Damage(str(package), entry.path, digest, bad[digest], size)
        for entry in entries
        for digest, size in ((entry.digest, entry.size), (entry.pieces, 0))
        if digest is not None and digest in bad
    ]
    return lost + [
        Damage(str(package), "", table.digest, bad[table.digest], table.size, kind)
        for kind, table in tables.items()
        if table.digest in bad
    ]


def lying_here(store: Store, package: Package, entries: Iterable[Entry]) -> set[str]:
    """Return the digests of those entries that have bytes in the store, good or bad."""
    small: set[str] = set()
    found: set[str] = set()
    for entry in entries:
        if entry.size < SMALL_BELOW:
            small.add(entry.digest)
        elif (
            store.object_path(entry.digest, entry.size) is not None
            or store.files.size(object_key(entry.digest)) is not None
        ):
            found.add(entry.digest)
    return found | store.has_small(package, small)


def _why_absent(store: Store, entry: Entry) -> str:
    path = store.files.path(object_key(entry.digest))
    try:
        return f"it has {os.stat(path).st_size} bytes instead of {entry.size} ({path})"
    except OSError:
        return "its bytes are missing"


def check_small(
    store: Store, package: Package, wanted: dict[str, int], counter: Counter
) -> dict[str, str]:
    """Return which of these small objects are damaged or missing, and why."""
    bad: dict[str, str] = {}
    left = set(wanted)
    packs = store.packs(package)
    packs.refresh()
    for name, index in packs.indexes().items():
        inside = {digest: spot[2] for digest, spot in index.items() if digest in left}
        if not inside:
            continue
        if _pack_digest(store, packs.key(name)) == name:
            for digest, size in inside.items():
                if wanted[digest] in (UNKNOWN, size):
                    left.discard(digest)
                else:
                    bad[digest] = f"it has {size} bytes instead of {wanted[digest]}"
            counter.add(sum(inside.values()))
            continue
        readable = {digest for digest, _ in _good_objects(store, packs.key(name), name)}
        for digest in inside:
            how = ", though its bytes can be read" if digest in readable else ""
            bad[digest] = f"the pack {name[:12]} that holds it has changed{how}"
    # All at once first: to decode a block for each of its objects takes long.
    with suppress(IntegrityError):
        for digest, _ in store.read_many(package, left - bad.keys()):
            left.discard(digest)
    for digest in left - bad.keys():
        try:
            store.read_small(package, digest)
        except IntegrityError:
            bad[digest] = "its pack is damaged" if packs.bad else "its bytes are missing"
    return {digest: why for digest, why in bad.items() if digest in left}


def _pack_digest(store: Store, key: str) -> str:
    """Return the digest of a pack; the name it should have, unless it was damaged or rewritten."""
    try:
        return digest_of(store.files.read(key))
    except FileNotFoundError:
        return ""


def _block(store: Store, key: str, place: tuple[int, int, int, int], where: str) -> bytes | None:
    offset, length, plain_length, codec = place
    try:
        return decode_block(store.files.read_range(key, offset, length), plain_length, codec, where)
    except (IntegrityError, OSError):
        return None


# --- repair -------------------------------------------------------------------------------------


def set_aside(store: Store, package: Package, damaged: Iterable[Damage]) -> None:
    """Move damaged files out of the way, to `quarantine/`; good objects of a bad pack are kept."""
    for damage in damaged:
        if damage.size >= SMALL_BELOW and not _is_good(store, damage.digest):
            _quarantine(store, object_key(damage.digest))
    packs = store.packs(package)
    packs.refresh()
    for name in [*packs.indexes(), *packs.bad]:
        if digest_of(store.files.read(packs.key(name))) == name:
            continue
        good = list(_good_objects(store, packs.key(name), name))
        with filling(store) as batch:
            for pack in write_packs(good):
                batch.add(packs.key(digest_of(pack)), pack)
            batch.commit()
        _quarantine(store, packs.key(name))
    packs.refresh()


def _good_objects(store: Store, key: str, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the good objects of a pack that is damaged somewhere; none if its index is."""
    try:
        tail = store.files.read_range(key, -TRAILER_BYTES, TRAILER_BYTES)
        need = PackIndex.tail_bytes(tail, name)
        index = PackIndex.parse(store.files.read_range(key, -need, need), name)
    except (BadPack, FileNotFoundError):
        return
    blocks: dict[int, bytes | None] = {}
    for digest, spot in sorted(index.items(), key=lambda item: item[1]):
        if spot[0] not in blocks:
            blocks = {spot[0]: _block(store, key, index.block(spot[0], name), name)}
        plain = blocks[spot[0]]
        if plain is None:
            continue
        try:
            yield digest, cut(plain, spot, digest, name)
        except IntegrityError:
            continue


def _is_good(store: Store, digest: str) -> bool:
    """Whether an object is what its name says, whatever an entry says of it: others may have it."""
    try:
        return file_digest(store.files.path(object_key(digest))) == digest
    except OSError:
        return False


def _quarantine(store: Store, key: str) -> None:
    """Move a damaged file to `quarantine/`."""
    source = store.files.path(key)
    if not os.path.exists(source):
        return
    folder = store.files.path("quarantine")
    disk.make_folders(folder)
    disk.rename(source, f"{folder}/{disk.random_name(os.path.basename(key))}")


def repair(
    store: Store,
    remote: Remote,
    package: Package,
    damaged: list[Damage],
    entries: dict[str, Entry],
    watch: Watcher = ignore,
) -> tuple[list[Damage], list[Damage]]:
    """Fetch what is damaged from a remote; return what is repaired, and what is still damaged.

    What is damaged has been set aside before.
    """
    documents: dict[str, int] = {}
    other: dict[str, int] = {}
    parts: list[str] = []
    large: dict[str, Entry] = {}
    for damage in damaged:
        entry = entries[damage.path]
        if entry.pieces is not None:
            parts.append(entry.pieces)
        if entry.size >= SMALL_BELOW:
            if store.object_path(entry.digest, entry.size) is None:
                large[entry.digest] = entry
        else:
            (documents if entry.is_document else other)[entry.digest] = entry.size
    here = store.has_small(package, [*parts, *documents, *other])
    plan = Plan(
        [d for d in parts if d not in here],
        {d: size for d, size in documents.items() if d not in here},
        {d: size for d, size in other.items() if d not in here},
        large,
        len(damaged),
        sum(damage.size for damage in damaged),
    )
    try:
        fetch(store, remote, package, plan, watch)
    except Interrupted:
        raise
    except (NetworkError, DiskError):
        # It would be the same with each of them.
        return [], damaged
    except CellbankError:
        if len(damaged) == 1:
            return [], damaged
        # One that cannot be had must not keep the others from being repaired.
        repaired, left = [], []
        for damage in damaged:
            done, not_done = repair(store, remote, package, [damage], entries, watch)
            repaired += done
            left += not_done
        return repaired, left
    return damaged, []
