"""Collecting garbage: what no log and no installed package names is removed, slowly or alone."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import SMALL_BELOW, digest_of, is_digest
from cellbank.model.errors import IntegrityError
from cellbank.model.manifest import Entry, decode_header, decode_page
from cellbank.model.reference import Package
from cellbank.model.want import decode_installed
from cellbank.storage import disk
from cellbank.storage.compact import sorts
from cellbank.storage.layout import object_key
from cellbank.storage.local import remove_stale_staging
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.place import Place, check_writable
from cellbank.storage.store import Store

WAIT: Final = timedelta(hours=24)

Due = Callable[[Entry], bool]
"""Whether an entry must be here."""


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
    for package, revisions in roots(store, earlier=earlier, skip=skip).items():
        small = marked.small.setdefault(package, set())
        read: set[str] = set()
        for record in store.records(package):
            if record.record.history:
                small.add(record.record.history)
                marked.large.add(record.record.history)
        for table in store.named_tables(package):
            small.add(table.digest)
            marked.large.add(table.digest)
        lazy = _in_part(store, package)
        for revision in revisions:
            if revision not in lazy:
                _mark_revision(store, package, revision, small, marked.large, read)
        for revision, due in lazy.items():
            _mark_revision(store, package, revision, small, marked.large, set(), due)
    return marked


def _in_part(store: Place, package: Package) -> dict[str, Due]:
    """Return the manifests that name more than must be here: what else is here is a cache."""
    installed = store.installed_here(package)
    if installed is None or installed.want.everything:
        return {}
    logged = {kept.record.revision for kept in store.records(package)}
    want = installed.want
    found: dict[str, Due] = {want.shown: _nothing} if want.shown else {}
    found[installed.revision] = _documents if want.metadata else _nothing
    # Where all was chosen the list may be that very manifest: everything in it must be here.
    whole = logged | {want.list}
    return {revision: due for revision, due in found.items() if revision not in whole}


def _documents(entry: Entry) -> bool:
    return entry.is_document


def _nothing(_: Entry) -> bool:
    return False


def roots(store: Place, *, earlier: bool, skip: Package | None = None) -> dict[Package, list[str]]:
    """Return the revisions that are named, by package."""
    found: dict[Package, list[str]] = {}
    for package in store.packages():
        if package == skip:
            continue
        found[package] = [k.record.revision for k in store.records(package) if k.record.revision]
    for owner in store.bucket.names("pkgs"):
        for name in store.bucket.names(f"pkgs/{owner}"):
            package = Package(owner, name)
            if package == skip:
                continue
            installed = decode_installed(store.bucket.read(f"pkgs/{package}"), f"pkgs/{package}")
            revisions = found.setdefault(package, [])
            revisions.append(installed.revision)
            revisions += filter(None, (installed.want.list, installed.want.shown))
            if earlier:
                here = Place.has_small(store, package, installed.earlier)
                revisions += [r for r in installed.earlier if r in here]
    return {package: list(dict.fromkeys(revisions)) for package, revisions in found.items()}


def _mark_revision(
    store: Place,
    package: Package,
    revision: str,
    small: set[str],
    large: set[str],
    read: set[str],
    due: Due | None = None,
) -> None:
    """Mark what a revision reaches; headers and pages that were `read` are not read again.

    That one is marked does not say that it was read: an entry may have the bytes of a header. With
    `due` only those entries are reached that must be here.
    """
    if revision in read:
        return
    header = decode_header(store.read_small(package, revision))
    small.add(revision)
    read.add(revision)
    for page in header.pages:
        if page.digest in read:
            continue
        small.add(page.digest)
        read.add(page.digest)
        for entry in decode_page(store.read_small(package, page.digest)):
            if due is not None and not due(entry):
                continue
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
        garbage = dict(_garbage(store, marked))
        if not alone:
            return _collect_slowly(store, marked, garbage, now)
        for name in store.files.names("gc"):
            store.files.delete(f"gc/{name}")
        before = _forget_earlier(store)
        done = _sweep(store, marked, garbage, 0, packs=True)
        return Collected(before.removed + done.removed, before.bytes + done.bytes, 0)


def _collect_slowly(
    store: Store, marked: Marked, garbage: dict[str, int], now: datetime
) -> Collected:
    """Remove what was condemned a day ago and not sent again since; condemn the rest."""
    verdicts = store.verdicts()
    fresh = garbage.keys() - {d for verdict in verdicts.values() for d in verdict.condemned}
    if fresh:
        _condemn(store, fresh, now)
    ripe = {name: v for name, v in verdicts.items() if now - v.time >= WAIT}
    doomed = {
        digest: garbage[digest]
        for verdict in ripe.values()
        for digest in verdict.condemned
        if digest in garbage and not _sent_again(store, digest, verdict.time)
    }
    done = _sweep(store, marked, doomed, len(fresh), packs=False)
    for name in ripe:
        store.files.delete(f"gc/{name}")
    return done


def _sent_again(store: Store, digest: str, condemned: datetime) -> bool:
    """Whether an object came after it was condemned: the record that names it is still to come."""
    try:
        changed = os.stat(store.files.path(object_key(digest))).st_ctime
    except FileNotFoundError:
        return False
    # Verdicts are dated in whole seconds.
    return changed > condemned.timestamp() + 1


def remove_package(store: Store, package: Package) -> Collected:
    """Remove a package from the store: its name, its log, and what only it had.

    While somebody else writes to the store, large objects that only this package had stay,
    condemned, and its packs, on which who installs or builds it anew may count, until a collection
    is alone.
    """
    check_writable(store)
    before = _package_bytes(store, package)
    mine: set[str] = set()
    try:
        named = roots(store, earlier=True).get(package, [])
        mine |= {t.digest for t in store.named_tables(package) if t.size >= SMALL_BELOW}
    except IntegrityError:
        # What cannot be read names nothing that we know of; a collection finds what is left.
        named = []
    for revision in named:
        try:
            _mark_revision(store, package, revision, set(), mine, set())
        except IntegrityError:
            continue
    with disk.exclusive_lock(store.files.path("lock")) as alone:
        others = mark(store, skip=package, earlier=True)
        _forget(store, package)
        if alone:
            _remove_packs(store, package)
        kept = others.large.union(*others.small.values())
        garbage = {d: store.files.size(object_key(d)) or 0 for d in mine - kept}
        if not alone:
            if garbage:
                _condemn(store, garbage, datetime.now(UTC))
            return Collected(0, 0, len(garbage))
        done = _sweep(store, others, garbage, 0, packs=False)
        return Collected(done.removed, done.bytes + before, 0)


def _package_bytes(store: Store, package: Package) -> int:
    folder = f"packages/{package}/packs"
    return sum(store.files.size(f"{folder}/{name}") or 0 for name in store.files.names(folder))


def _forget(store: Store, package: Package) -> None:
    """Remove what says that a package is here: its log newest record first.

    A log without its newest records is an older one; without its oldest it would be damaged, and
    whoever was stopped here could never go on.
    """
    log = f"packages/{package}/log"
    with store.alone():
        store.forget_installed(package)
        for name in store.files.names(log):
            store.files.delete(f"{log}/{name}")
        store.files.delete(f"packages/{package}/access.json")


def _remove_packs(store: Store, package: Package) -> None:
    root = f"packages/{package}"
    for name in store.files.names(f"{root}/packs"):
        store.files.delete(f"{root}/packs/{name}")
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


def _forget_earlier(store: Store) -> Collected:
    """Drop earlier installed revisions from what can be loaded: their objects are going.

    Where the disk is full even for that, what those do not name either goes first.
    """
    try:
        _drop_earlier(store)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        reached = mark(store, earlier=True)
        made_room = _sweep(store, reached, dict(_garbage(store, reached)), 0, packs=False)
        _drop_earlier(store)
        return made_room
    return Collected(0, 0, 0)


def _drop_earlier(store: Store) -> None:
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
