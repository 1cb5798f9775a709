"""Checking packages: every byte hashed again, and mended where it can be fetched."""

import msgspec

from cellbank import config as _config
from cellbank.api.session import address_of, remote_at, watcher_or_default, whole
from cellbank.api.subsetting import chooser
from cellbank.config import Config
from cellbank.model.errors import IntegrityError, NotFound
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.model.want import Installed
from cellbank.packages import install as _install
from cellbank.packages import resolve
from cellbank.packages import verify as _verify
from cellbank.packages.opening import open_store
from cellbank.packages.verify import Damage, Verified
from cellbank.storage import transfer
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables


def verify(
    ref: str | None = None,
    *,
    repair: bool = False,
    from_: str | None = None,
    watch: Watcher | None = None,
) -> Verified:
    """Hash every object of a package, or of all packages, again.

    Parameters
    ----------
    ref
        The package; default: all in the store.
    repair
        Fetch what is damaged from where the package came from.
    from_
        Fetch it from this remote instead.
    watch
        Is told of progress.

    Returns
    -------
    Verified
        What was checked; every damaged entry by package and path; what was repaired.
    """
    config = _config.read()
    store = open_store(config)
    watcher = watcher_or_default(watch)
    references = [whole(ref)] if ref else [Reference(p) for p in store.installed_packages()]
    entries = size = 0
    damaged: list[Damage] = []
    repaired: list[Damage] = []
    for reference in references:
        with store.held():
            checked = _verify_one(config, store, reference, watcher, repair=repair, from_=from_)
        entries += checked.entries
        size += checked.bytes
        damaged += checked.damaged
        repaired += checked.repaired
    return Verified(len(references), entries, size, damaged, repaired)


def _verify_one(
    config: Config,
    store: Store,
    reference: Reference,
    watch: Watcher,
    *,
    repair: bool,
    from_: str | None,
) -> Verified:
    package = reference.package
    lost = _unreadable(store, package)
    if lost and repair:
        _restore(config, store, package, from_)
        if not _unreadable(store, package):
            rest = _verify_one(config, store, reference, watch, repair=True, from_=from_)
            return msgspec.structs.replace(rest, repaired=[*lost, *rest.repaired])
    if lost:
        return Verified(1, 0, 0, lost, [])
    revision = resolve.in_store(store, reference)
    address = address_of(config, store, package, from_) if repair else ""
    found, entries = _look(store, package, revision, watch)
    damaged = found
    if found and repair:
        with store.transaction():
            _verify.set_aside(store, package, found)
            damaged, entries = _look(store, package, revision, watch)
            if damaged and address:
                with remote_at(config, address) as remote:
                    _mend(store, remote, reference, revision, damaged, entries, watch)
                damaged, entries = _look(store, package, revision, watch)
    still = {(damage.path, damage.table) for damage in damaged}
    repaired = [damage for damage in found if (damage.path, damage.table) not in still]
    return Verified(1, len(entries), sum(entry.size for entry in entries), damaged, repaired)


def _unreadable(store: Store, package: Package) -> list[Damage]:
    """Return what of the package's own files, not its objects, cannot be read."""
    owner = store.owner_of(package)
    try:
        store.need_installed(package)
        for _ in owner.records(package):
            pass
    except IntegrityError as error:
        return [Damage(str(package), "", "", error.message)]
    return []


def _restore(config: Config, store: Store, package: Package, from_: str | None) -> None:
    """Put what says what is installed in place again: from the log here, else from a remote."""
    try:
        store.installed(package)
    except IntegrityError:
        pass
    else:
        return
    newest = store.newest(package)
    if newest is not None and newest.record.state.latest:
        record, latest = newest.record, newest.record.state.latest
        made = Installed(str(package), latest, store.id, "", newest.digest, record.number)
        with store.alone():
            store.set_installed(package, made)
        return
    address = address_of(config, store, package, from_)
    if not address:
        return
    with remote_at(config, address) as remote:
        _install.install(store, remote, Reference(package), _install.Options(explicit=True))


def _look(
    store: Store, package: Package, revision: str, watch: Watcher
) -> tuple[list[Damage], list[Entry]]:
    """Return what is damaged, and the entries that were checked."""
    try:
        entries, spare = _wanted_entries(store, package, revision)
        tables = store.tables(package, revision)
    except IntegrityError as error:
        return [Damage(str(package), "", revision, error.message)], []
    found = _verify.verify_revision(
        store, package, revision, entries, watch, tables=tables, spare=spare
    )
    return found, entries


def _mend(
    store: Store,
    remote: Remote,
    reference: Reference,
    revision: str,
    damaged: list[Damage],
    entries: list[Entry],
    watch: Watcher,
) -> None:
    """Fetch what is damaged, as far as the remote has it."""
    package = reference.package
    try:
        if not entries:
            transfer.fetch_manifest(store, remote, package, revision)
            installed = store.need_installed(package)
            if not installed.want.everything:
                # The lists of what was chosen are made anew.
                same = _install.Options(explicit=True, choose=chooser(), exact=installed.want)
                _install.install(store, remote, Reference(package, revision=revision), same)
            # Now that the list of entries is back, more damage can be seen.
            damaged, entries = _look(store, package, revision, watch)
            _verify.set_aside(store, package, damaged)
        by_path = {entry.path: entry for entry in entries}
        _verify.repair(store, remote, package, [d for d in damaged if d.path], by_path, watch)
        bad = {damage.table for damage in damaged}
        tables = {k: t for k, t in store.tables(package, revision).items() if k in bad}
        fetch_tables(store, remote, package, tables, watch)
    except (NotFound, IntegrityError):
        # What is still damaged is found by the look that follows.
        return


def _wanted_entries(store: Store, package: Package, revision: str) -> tuple[list[Entry], set[str]]:
    """Return the entries that must be here and those that happen to be; and lists of pieces.

    An object that another package brought has no list of its pieces in this one: such lists need
    not be here.
    """
    installed = store.need_installed(package)
    whole = list(store.reader(package, revision))
    want = installed.want
    if want.everything:
        return whole, set()
    due: set[str] = set()
    current = installed.revision == revision
    if want.list and current:
        due = {entry.path for entry in store.reader(package, want.list)}
    if want.metadata and current:
        due |= {entry.path for entry in whole if entry.is_document}
    here = _verify.lying_here(store, package, whole)
    found = [entry for entry in whole if entry.path in due or entry.digest in here]
    spare = {e.pieces for e in found if e.pieces is not None and e.path not in due}
    spare -= {e.pieces for e in found if e.pieces is not None and e.path in due}
    return found, spare - store.has_small(package, spare)
