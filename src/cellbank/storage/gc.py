"""Collecting garbage: what no log and no installed package names is removed, slowly or alone."""

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import SMALL_BELOW, digest_of, is_digest
from cellbank.model.errors import IntegrityError
from cellbank.model.manifest import decode_header, decode_page
from cellbank.model.reference import Package
from cellbank.model.want import decode_installed
from cellbank.storage import disk
from cellbank.storage.compact import sorts
from cellbank.storage.local import LocalBucket
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.place import Place, check_writable, object_key
from cellbank.storage.store import Store

WAIT: Final = timedelta(hours=24)
STALE_SECONDS: Final = 24 * 3600


class Collected(msgspec.Struct, frozen=True):
    """What a collection did: removed now, or condemned to be removed by a later one."""

    removed: int
    bytes: int
    condemned: int


class Marked(msgspec.Struct):
    """What may not be removed: large objects, and small ones by package."""

    large: set[str]
    small: dict[Package, set[str]]


def mark(store: Place, *, skip: Package | None = None, earlier: bool = False) -> Marked:
    """Return everything that logs and installed packages reach.

    Anything unreadable on the way raises: then nothing may be removed. With `earlier`, revisions
    that were installed before count too.
    """
    marked = Marked(set(), {})
    for package, revisions in roots(store, earlier=earlier).items():
        if package == skip:
            continue
        small = marked.small.setdefault(package, set())
        for record in store.records(package):
            if record.record.history:
                small.add(record.record.history)
                marked.large.add(record.record.history)
        for revision in revisions:
            _mark_revision(store, package, revision, small, marked.large)
    return marked


def roots(store: Place, *, earlier: bool) -> dict[Package, list[str]]:
    """Return the revisions that are named, by package."""
    found: dict[Package, list[str]] = {}
    for package in store.packages():
        found[package] = [k.record.revision for k in store.records(package) if k.record.revision]
    for owner in store.bucket.names("pkgs"):
        for name in store.bucket.names(f"pkgs/{owner}"):
            package = Package(owner, name)
            installed = decode_installed(store.bucket.read(f"pkgs/{package}"), f"pkgs/{package}")
            revisions = found.setdefault(package, [])
            revisions.append(installed.revision)
            if installed.want.list:
                revisions.append(installed.want.list)
            if earlier:
                here = Place.has_small(store, package, installed.earlier)
                revisions += [r for r in installed.earlier if r in here]
    return {package: list(dict.fromkeys(revisions)) for package, revisions in found.items()}


def _mark_revision(
    store: Place, package: Package, revision: str, small: set[str], large: set[str]
) -> None:
    if revision in small:
        return
    header = decode_header(store.read_small(package, revision))
    small.add(revision)
    for page in header.pages:
        if page.digest in small:
            continue
        small.add(page.digest)
        for entry in decode_page(store.read_small(package, page.digest)):
            (small if entry.size < SMALL_BELOW else large).add(entry.digest)
            if entry.pieces is not None:
                small.add(entry.pieces)
                large.add(entry.pieces)


def collect(store: Store, *, now: datetime | None = None) -> Collected:
    """Remove what nothing reaches.

    Alone in the store (no transaction is open) it removes at once. Else it condemns, and a later
    call, 24 hours on, removes what is still unreachable.
    """
    check_writable(store)
    now = now or datetime.now(UTC)
    remove_stale_staging(store.files)
    with disk.exclusive_lock(store.files.path("lock")) as alone:
        marked = mark(store)
        condemned, ripe = _condemned(store, now)
        garbage = dict(_garbage(store, marked))
        if not alone:
            fresh = garbage.keys() - condemned
            if fresh:
                _condemn(store, fresh, now)
            garbage = {key: size for key, size in garbage.items() if key in ripe}
            return _sweep(store, marked, garbage, len(fresh), packs=False)
        for name in store.files.names("gc"):
            store.files.delete(f"gc/{name}")
        _forget_earlier(store)
        return _sweep(store, marked, garbage, 0, packs=True)


def remove_package(store: Store, package: Package) -> Collected:
    """Remove a package from the store: its name, its log, and what only it had.

    Large objects that only this package had stay, condemned, while somebody else writes to the
    store.
    """
    check_writable(store)
    before = _package_bytes(store, package)
    mine: set[str] = set()
    for revision in roots(store, earlier=True).get(package, []):
        try:
            _mark_revision(store, package, revision, set(), mine)
        except IntegrityError:
            continue
    with disk.exclusive_lock(store.files.path("lock")) as alone:
        others = mark(store, skip=package, earlier=True)
        store.forget_installed(package)
        _remove_below(store, package)
        kept = others.large.union(*others.small.values())
        garbage = {d: store.files.size(object_key(d)) or 0 for d in mine - kept}
        if not alone:
            _condemn(store, garbage, datetime.now(UTC))
            return Collected(0, before, len(garbage))
        done = _sweep(store, others, garbage, 0, packs=False)
        return Collected(done.removed, done.bytes + before, 0)


def _package_bytes(store: Store, package: Package) -> int:
    folder = f"packages/{package}/packs"
    return sum(store.files.size(f"{folder}/{name}") or 0 for name in store.files.names(folder))


def _remove_below(store: Store, package: Package) -> None:
    """Remove the log first, newest record last: a reader sees the whole log or none of it."""
    root = f"packages/{package}"
    for name in reversed(store.files.names(f"{root}/log")):
        store.files.delete(f"{root}/log/{name}")
    for name in store.files.names(f"{root}/packs"):
        store.files.delete(f"{root}/packs/{name}")
    store.files.delete(f"{root}/access.json")
    for folder in (f"{root}/log", f"{root}/packs", root):
        disk.remove_folder(store.files.path(folder))
    store.packs(package).refresh()


def _garbage(store: Store, marked: Marked) -> Iterator[tuple[str, int]]:
    """Yield the large objects that nothing reaches, with their sizes."""
    small = set().union(*marked.small.values())
    for folder in store.files.names("objects"):
        for digest in store.files.names(f"objects/{folder}"):
            if is_digest(digest) and digest not in marked.large and digest not in small:
                yield digest, store.files.size(object_key(digest)) or 0


def _condemned(store: Store, now: datetime) -> tuple[set[str], set[str]]:
    """Return all that is condemned, and what has been for 24 hours."""
    every: set[str] = set()
    ripe: set[str] = set()
    for name in store.files.names("gc"):
        document = canonical.decode(store.files.read(f"gc/{name}"))
        digests = set(document["condemned"])
        every |= digests
        if now - datetime.fromisoformat(document["time"]) >= WAIT:
            ripe |= digests
    return every, ripe


def _condemn(store: Store, digests: Iterable[str], now: datetime) -> None:
    document = {
        "condemned": sorted(digests),
        "format": 1,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    data = canonical.encode(document)
    store.files.create(f"gc/{digest_of(data)[:32]}", data)


def _sweep(
    store: Store, marked: Marked, garbage: dict[str, int], condemned: int, *, packs: bool
) -> Collected:
    removed, freed = 0, 0
    for digest, size in garbage.items():
        if disk.remove(store.files.path(object_key(digest))):
            removed += 1
            freed += size
    if packs:
        for owner in store.files.names("packages"):
            for name in store.files.names(f"packages/{owner}"):
                package = Package(owner, name)
                count, bytes_ = rewrite_packs(store, package, marked.small.get(package, set()))
                removed += count
                freed += bytes_
    _empty_cache(store)
    return Collected(removed, freed, condemned)


def rewrite_packs(store: Store, package: Package, keep: set[str]) -> tuple[int, int]:
    """Write packs anew without what nothing reaches; return (objects, bytes) gone."""
    packs = store.packs(package)
    packs.refresh()
    removed, before, after = 0, 0, 0
    held: dict[str, bytes] = {}
    old: list[str] = []
    for name, index in list(packs.indexes().items()):
        inside = set(index.digests())
        if inside <= keep:
            continue
        removed += len(inside - keep)
        before += store.files.size(packs.key(name)) or 0
        if inside & keep:
            pack = store.files.read(packs.key(name))
            held |= {d: data for d, data in read_pack(pack, name) if d in keep}
        old.append(name)
    if not old:
        return 0, 0
    batch = store.files.batch()
    try:
        if held:
            revisions = [
                r for p, found in roots(store, earlier=False).items() if p == package for r in found
            ]
            groups = sorts(store, package, revisions)
            groups[2] |= dict.fromkeys(held.keys() - set().union(*groups))
            for group in groups:
                for pack in write_packs((d, held.pop(d)) for d in group if d in held):
                    batch.add(packs.key(digest_of(pack)), pack)
                    after += len(pack)
        batch.commit()
    finally:
        batch.abandon()
    for name in old:
        store.files.delete(packs.key(name))
    packs.refresh()
    return removed, max(before - after, 0)


def _forget_earlier(store: Store) -> None:
    """Drop earlier installed revisions from what can be loaded: their objects are going."""
    for owner in store.files.names("pkgs"):
        for name in store.files.names(f"pkgs/{owner}"):
            package = Package(owner, name)
            data = store.files.read(f"pkgs/{package}")
            installed = decode_installed(data, f"pkgs/{package}")
            logged = {kept.record.revision for kept in store.records(package)}
            kept = [revision for revision in installed.earlier if revision in logged]
            if kept != installed.earlier:
                store.set_installed(package, msgspec.structs.replace(installed, earlier=kept))


def _empty_cache(store: Store) -> None:
    """Remove files of the cache whose objects can be had again."""
    for name in store.files.names("unpacked"):
        disk.remove(store.files.path(f"unpacked/{name}"))
    for digest in store.files.names("caches/named"):
        folder = store.files.path(f"caches/named/{digest}")
        for name in os.listdir(folder):
            disk.remove(f"{folder}/{name}")
        disk.remove_folder(folder)


def remove_stale_staging(bucket: LocalBucket) -> int:
    """Remove what was left in staging for more than 24 hours and has no living writer."""
    gone = 0
    for name in bucket.names("staging"):
        path = bucket.path(f"staging/{name}")
        try:
            if time.time() - os.stat(path).st_mtime < STALE_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if disk.try_lock(descriptor):
                gone += disk.remove(path)
        finally:
            os.close(descriptor)
    return gone
