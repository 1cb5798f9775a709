"""Verifying: every object of a package hashed again, damage named, and fetched if asked."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import BadPack, CellbankError, Damaged, IntegrityError
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.local import file_digest
from cellbank.storage.packs import TRAILER_BYTES, PackIndex, cut, decode_block, write_packs
from cellbank.storage.place import object_key
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.transfer import Counter, Plan, fetch, filling

THREADS: Final = 2


class Damage(msgspec.Struct, frozen=True):
    """One damaged entry: its package, its path, and what is wrong.

    The path is empty where the list of entries itself is damaged.
    """

    package: str
    path: str
    digest: str
    reason: str
    size: int = 0

    def __str__(self) -> str:
        place = f"{self.package}/{self.path}" if self.path else f"{self.package} (its manifest)"
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
    executor: Executor | None = None,
) -> list[Damage]:
    """Hash every object of these entries; return what is damaged or missing."""
    counter = Counter("verify", sum(entry.size for entry in entries), watch)
    bad: dict[str, str] = {}
    large = {e.digest: e for e in entries if e.size >= SMALL_BELOW}
    small = {e.digest: e.size for e in entries if e.size < SMALL_BELOW}
    small |= {e.pieces: 0 for e in entries if e.pieces is not None}

    def check(entry: Entry) -> None:
        path = store.object_path(entry.digest, entry.size)
        if path is None:
            bad[entry.digest] = _why_absent(store, entry)
            return
        try:
            found, _ = file_digest(path, counter.add)
        except OSError as error:
            bad[entry.digest] = f"cannot be read ({error.strerror})"
            return
        if found != entry.digest:
            bad[entry.digest] = f"its bytes have changed (found {found[:12]}, {path})"

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
    return [
        Damage(str(package), entry.path, entry.digest, bad[digest], entry.size)
        for entry in entries
        for digest in (entry.digest, entry.pieces)
        if digest in bad
    ]


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
        inside = [(digest, spot) for digest, spot in index.items() if digest in left]
        blocks: dict[int, bytes | None] = {}
        for digest, spot in sorted(inside, key=lambda item: item[1]):
            if spot[0] not in blocks:
                blocks = {spot[0]: _block(store, packs.key(name), index.block(spot[0], name), name)}
            plain = blocks[spot[0]]
            try:
                if plain is None:
                    raise BadPack(name, "a block is damaged")
                cut(plain, spot, digest, name)
            except IntegrityError:
                bad[digest] = f"its bytes in the pack {name[:12]} have changed"
            else:
                left.discard(digest)
                bad.pop(digest, None)
                counter.add(wanted[digest])
    for digest in left - bad.keys():
        try:
            store.read_small(package, digest)
        except IntegrityError:
            bad[digest] = "its bytes are missing" if not packs.bad else "its pack is damaged"
    return {digest: why for digest, why in bad.items() if digest in left}


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
        if damage.size >= SMALL_BELOW:
            _quarantine(store, object_key(damage.digest))
    packs = store.packs(package)
    packs.refresh()
    suspects = dict.fromkeys(packs.bad)
    for damage in damaged:
        if damage.size < SMALL_BELOW:
            suspects |= dict.fromkeys(
                n for n, index in packs.indexes().items() if index.find(damage.digest)
            )
    for name in suspects:
        good = list(_salvage(store, packs.key(name), name))
        with filling(store) as batch:
            for pack in write_packs(good):
                batch.add(packs.key(digest_of(pack)), pack)
            batch.commit()
        if digest_of(store.files.read(packs.key(name))) != name:
            _quarantine(store, packs.key(name))
    packs.refresh()


def _salvage(store: Store, key: str, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the good objects of a pack that is damaged somewhere."""
    data = store.files.read(key)
    if digest_of(data) == name:
        return
    try:
        yield from _good_objects(store, key, name)
    except IntegrityError:
        return


def _good_objects(store: Store, key: str, name: str) -> Iterator[tuple[str, bytes]]:
    tail = store.files.read_range(key, -TRAILER_BYTES, TRAILER_BYTES)
    need = PackIndex.tail_bytes(tail, name)
    index = PackIndex.parse(store.files.read_range(key, -need, need), name)
    for digest, spot in index.items():
        plain = _block(store, key, index.block(spot[0], name), name)
        if plain is None:
            continue
        try:
            yield digest, cut(plain, spot, digest, name)
        except IntegrityError:
            continue


def _quarantine(store: Store, key: str) -> None:
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
    """Fetch what is damaged from a remote; return what is repaired, and what is still damaged."""
    set_aside(store, package, damaged)
    documents: list[str] = []
    other: list[str] = []
    parts: list[str] = []
    large: dict[str, int] = {}
    for damage in damaged:
        entry = entries[damage.path]
        if entry.pieces is not None:
            parts.append(entry.pieces)
        if entry.size >= SMALL_BELOW:
            if store.object_path(entry.digest, entry.size) is None:
                large[entry.digest] = entry.size
        else:
            (documents if entry.is_document else other).append(entry.digest)
    here = store.has_small(package, [*parts, *documents, *other])
    plan = Plan(
        [d for d in parts if d not in here],
        [d for d in documents if d not in here],
        [d for d in other if d not in here],
        large,
        len(damaged),
        sum(damage.size for damage in damaged),
    )
    try:
        fetch(store, remote, package, plan, watch)
    except (Damaged, CellbankError):
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
