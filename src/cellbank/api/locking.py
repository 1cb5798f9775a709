"""Lock files: `lock` writes down what a folder needs, `sync` brings exactly that."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cellbank import config as _config
from cellbank.api.session import need_address, remote_at, watcher_or_default, whole
from cellbank.api.subsetting import chooser
from cellbank.config import Config
from cellbank.model.errors import (
    BadInput,
    CellbankError,
    Interrupted,
    NotFound,
    RemoteMoved,
    RemoteNotFound,
    Unreachable,
)
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.packages import install as _install
from cellbank.packages import resolve
from cellbank.packages.install import Installation
from cellbank.packages.locking import FILE, Locked, read_lock, write_lock
from cellbank.packages.opening import open_store
from cellbank.storage import disk
from cellbank.storage.store import Store


class Lock(msgspec.Struct, frozen=True):
    """A lock file: where it is, whether that changed it, and what it says by package."""

    path: str
    changed: bool
    packages: dict[str, Locked]


def lock(
    refs: str | Sequence[str], path: str | os.PathLike[str] = FILE, from_: str | None = None
) -> Lock:
    """Write a lock file that names these packages: remotes, revisions, and what of them is here.

    Of an installed package it has the revision and the questions of the store; of any other, or of
    another version of it, all that the remote has under that reference now.

    Parameters
    ----------
    refs
        One reference or several.
    path
        The file; a lock file that is there is replaced.
    from_
        Where packages are that are not installed: a URL, a folder or the name of a remote.

    Returns
    -------
    Lock
        What was written.

    Raises
    ------
    BadInput
        A package is only in this store, or a part is named.
    Conflict
        What is there already is no lock file.
    PackageNotFound, RevisionNotFound
        It is not at the remote.
    """
    references = [whole(ref) for ref in ([refs] if isinstance(refs, str) else refs)]
    if not references:
        raise BadInput("no package is named", "Name those that shall be in the lock file.")
    config = _config.read()
    store = open_store(config)
    packages: dict[str, Locked] = {}
    for reference in references:
        name = str(reference.package)
        if name in packages:
            raise BadInput(f"{name} is named twice", "A lock file has one revision of a package.")
        packages[name] = _lock_one(config, store, reference, from_)
    target = os.fspath(path)
    changed = write_lock(target, packages)
    return Lock(str(Path(target).absolute()), changed, packages)


def _lock_one(config: Config, store: Store, reference: Reference, from_: str | None) -> Locked:
    installed = None if from_ else store.installed(reference.package)
    if installed is not None and _is_meant(store, reference, installed.revision):
        if not installed.address:
            package = reference.package
            raise BadInput(
                f"{package} is only in this store: nobody else could get it",
                f"Push it first: cellbank push {package}",
            )
        return Locked(
            str(reference),
            installed.revision,
            installed.remote,
            installed.address,
            installed.want,
        )
    address = need_address(config, store, reference.package, from_)
    with remote_at(config, address) as remote:
        newest = remote.newest(reference.package)
        revision = resolve.at_remote(remote, reference, newest)
        return Locked(str(reference), revision, remote.id, remote.address)


def _is_meant(store: Store, reference: Reference, installed: str) -> bool:
    """Whether a reference means the revision that is installed."""
    try:
        return resolve.in_store(store, reference) == installed
    except NotFound:
        return False


def sync(
    path: str | os.PathLike[str] = FILE,
    from_: str | None = None,
    *,
    dry_run: bool = False,
    watch: Watcher | None = None,
) -> list[Installation]:
    """Bring exactly what a lock file names: the same bytes wherever it is done.

    Packages that it does not name stay as they are. Where one cannot be had, those before it are
    here already, as the error says.

    Parameters
    ----------
    path
        The lock file.
    from_
        Where the remote is now, if it is not where it was: a URL, a folder or a name. It must be
        the same place, by its id.
    dry_run
        Only say what would be fetched.
    watch
        Is told of progress.

    Returns
    -------
    list[Installation]
        What was done for each package, in the order of their names.

    Raises
    ------
    NotFound
        There is no such file; `RevisionNotFound`: The remote does not have a revision any more.
    BadInput
        It is no lock file. `NewerFormat`: A newer cellbank wrote it.
    RemoteMoved
        Another place is found where the remote was.
    OtherContent
        The questions select something else than when it was locked: somebody changed the file.
    """
    config = _config.read()
    store = open_store(config)
    watcher = watcher_or_default(watch)
    done = []
    for name, locked in read_lock(os.fspath(path)).items():
        package = Package.parse(name)
        options = _install.Options(
            explicit=True,
            exact=locked.want,
            choose=chooser(),
            dry_run=dry_run,
            watch=watcher,
        )
        reference = Reference(package, revision=locked.revision)
        try:
            here = _as_it_is(store, package, locked)
            done.append(here or _bring(config, store, reference, locked, options, from_))
        except CellbankError as error:
            _tell_so_far(error, done)
            raise
    return done


def _tell_so_far(error: CellbankError, done: Sequence[Installation]) -> None:
    """Let an error say what was brought before it: of several packages, a later one may fail."""
    brought = [one.package for one in done if one.changed]
    if brought and not isinstance(error, Interrupted):
        advice = error.advice.replace("Nothing was changed.", "").strip()
        kept = f"{', '.join(brought)} {'was' if len(brought) == 1 else 'were'} brought before"
        error.advice = f"{advice} {kept}: the same command goes on from there.".lstrip()


def _as_it_is(store: Store, package: Package, locked: Locked) -> Installation | None:
    """Return what there is to tell where a package is as locked already: no remote is asked."""
    installed = store.installed_here(package)
    if installed is None or (installed.revision, installed.remote, installed.want) != (
        locked.revision,
        locked.remote,
        locked.want,
    ):
        return None
    return Installation(
        str(package),
        installed.revision,
        objects=0,
        bytes=0,
        changed=False,
        free_bytes=disk.free_bytes(store.root),
        remote=installed.address,
        want=str(installed.want),
    )


def _bring(
    config: Config,
    store: Store,
    reference: Reference,
    locked: Locked,
    options: _install.Options,
    from_: str | None,
) -> Installation:
    """Install what is locked from wherever the remote is now."""
    addresses = [config.address_of(from_)] if from_ else _addresses(config, locked)
    failed: CellbankError | None = None
    for address in addresses:
        try:
            with remote_at(config, address) as remote:
                if remote.id == locked.remote:
                    return _install.install(store, remote, reference, options)
            failed = failed or RemoteMoved(str(reference.package), locked.remote, address)
        except (RemoteNotFound, Unreachable) as error:
            failed = failed or error
    assert failed is not None  # noqa: S101  there was at least one address
    raise failed


def _addresses(config: Config, locked: Locked) -> list[str]:
    """Return where the remote may be: where it was, else any that is known here."""
    known = [remote.address for remote in config.settings.remotes.values()]
    if config.remote:
        known.insert(0, config.address_of(config.remote))
    return list(dict.fromkeys([locked.address, *known]))
