"""Checking packages: every byte hashed again, and mended where it can be fetched."""

from cellbank import config as _config
from cellbank.api.session import address_of, need_address, open_store, remote_at, watcher_or_default
from cellbank.config import Config
from cellbank.model.errors import (
    IntegrityError,
    NotFound,
)
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.packages import install as _install
from cellbank.packages import resolve
from cellbank.packages import verify as _verify
from cellbank.packages.verify import Damage, Verified
from cellbank.storage import transfer
from cellbank.storage.store import Store


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
    references = (
        [Reference.parse(ref)] if ref else [Reference(p) for p in store.installed_packages()]
    )
    entries = size = 0
    damaged: list[Damage] = []
    repaired: list[Damage] = []
    for reference in references:
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
    installed = store.need_installed(package)
    revision = resolve.in_store(store, reference)
    repaired: list[Damage] = []
    try:
        entries = _wanted_entries(store, package, revision)
    except IntegrityError as error:
        lost = Damage(str(package), "", revision, str(error))
        if not repair:
            return Verified(1, 0, 0, [lost], [])
        _verify.set_aside(store, package, [lost])
        try:
            with remote_at(config, need_address(config, store, package, from_)) as remote:
                transfer.fetch_manifest(store, remote, package, revision)
                if installed.want.list:
                    _install.install(store, remote, reference, _install.Options(explicit=True))
        except (NotFound, IntegrityError):
            return Verified(1, 0, 0, [lost], [])
        repaired.append(lost)
        entries = _wanted_entries(store, package, revision)
    damaged = _verify.verify_revision(store, package, revision, entries, watch)
    if damaged and repair:
        address = address_of(config, store, package, from_)
        if address:
            by_path = {entry.path: entry for entry in entries}
            with store.transaction(), remote_at(config, address) as remote:
                done, damaged = _verify.repair(store, remote, package, damaged, by_path, watch)
            repaired += done
    return Verified(1, len(entries), sum(entry.size for entry in entries), damaged, repaired)


def _wanted_entries(store: Store, package: Package, revision: str) -> list[Entry]:
    installed = store.need_installed(package)
    whole = list(store.reader(package, revision))
    if installed.revision == revision and installed.want.list:
        return list(store.reader(package, installed.want.list))
    return whole
