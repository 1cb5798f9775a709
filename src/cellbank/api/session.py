"""What every public function opens first: the configuration, the store, the remote."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from cellbank import config as _config
from cellbank.config import Config
from cellbank.model.errors import (
    IntegrityError,
    InvalidReference,
    NotFound,
    NotInstalled,
    PackageNotFound,
    RemoteNotFound,
)
from cellbank.model.log import Draft
from cellbank.model.manifest import ManifestReader, decode_header
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.model.watching import default_watcher
from cellbank.packages import resolve
from cellbank.packages.nodes import View
from cellbank.packages.opening import open_remote, open_store
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store


@contextmanager
def remote_at(config: Config, address: str, *, create: bool = False) -> Iterator[Remote]:
    """Give the remote at an address, and let go of it."""
    remote = open_remote(config, address, create=create)
    try:
        yield remote
    finally:
        remote.close()


def address_of(config: Config, store: Store, package: Package | None, named: str | None) -> str:
    """Return the address of the remote to use, or nothing.

    The order: what the call names, `CELLBANK_REMOTE`, where the package came from, the default.
    """
    if named:
        return config.address_of(named)
    if config.remote:
        return config.address_of(config.remote)
    try:
        installed = store.installed(package) if package is not None else None
    except IntegrityError:
        # Where it came from cannot be read any more.
        installed = None
    if installed is not None and installed.remote != store.id and installed.address:
        return installed.address
    return config.default_address


def need_address(config: Config, store: Store, package: Package, named: str | None) -> str:
    """Return the address of the remote to use, else raise `RemoteNotFound`."""
    address = address_of(config, store, package, named)
    if not address:
        raise RemoteNotFound("")
    return address


def watcher_or_default(watch: Watcher | None) -> Watcher:
    """Return what shall be told of progress."""
    return default_watcher() if watch is None else watch


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_draft(
    event: str,
    config: Config,
    revision: str = "",
    base: str = "",
    message: str = "",
    name: str = "",
    expect: str = "",
) -> Draft:
    """Return an event of this user, now."""
    return Draft(
        event=event,
        nonce=os.urandom(16).hex(),
        author=config.author,
        time=now(),
        revision=revision,
        base=base,
        message=message,
        name=name,
        expect=expect,
    )


def latest_at(remote: Remote, package: Package) -> str:
    """Return the latest revision of a package at a remote, or nothing."""
    try:
        return remote.newest(package).record.state.latest
    except PackageNotFound:
        return ""


def inside_of(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies in it, whatever links lead there."""
    root = os.path.realpath(folder).rstrip("/") + "/"
    return f"{os.path.realpath(path)}/".startswith(root)


def fits(package: Package, pattern: str) -> bool:
    """Whether a pattern fits a package."""
    names = [str(package)] if "/" in pattern else [str(package), package.owner, package.name]
    return any(fnmatchcase(name, pattern) for name in names)


def whole(ref: str) -> Reference:
    """Return the reference that `ref` spells; raises `InvalidReference` if it names a part."""
    reference = Reference.parse(ref)
    if reference.path:
        state = f"{reference.package}{reference.qualifier}"
        raise InvalidReference(
            ref, "only a whole package can stand here, not a part", f"Write {state}."
        )
    return reference


class AtRemote:
    """One revision of a package at a remote, its pages fetched at once."""

    def __init__(self, remote: Remote, reference: Reference) -> None:
        package = reference.package
        self.package = package
        self.newest = remote.newest(package)
        self.revision = resolve.at_remote(remote, reference, self.newest)
        self.where = remote.address
        header = decode_header(remote.read_small(package, [self.revision])[self.revision])
        pages = remote.read_small(package, [page.digest for page in header.pages])
        self.reader = self.whole = ManifestReader(header, pages.__getitem__)


@contextmanager
def looking(ref: str, from_: str | None = None) -> Iterator[tuple[Reference, View | AtRemote]]:
    """Give what a reference names: from the store, or, if it is not there, from the remote."""
    reference = Reference.parse(ref)
    config = _config.read()
    store = open_store(config)
    found = None if from_ else _in_store(config, store, reference)
    if found is not None:
        yield reference, found
        return
    address = address_of(config, store, reference.package, from_)
    with remote_at(config, address) as remote:
        yield reference, AtRemote(remote, reference)


def _in_store(config: Config, store: Store, reference: Reference) -> View | None:
    """Return what a reference names in the store, or None where a remote can be asked for it."""
    try:
        return resolve.view_of(store, reference)
    except NotFound as error:
        remote = address_of(config, store, reference.package, None)
        if remote and (reference.qualifier or isinstance(error, NotInstalled)):
            return None
        raise
