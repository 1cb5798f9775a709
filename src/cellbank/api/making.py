"""Making packages and sending them: build and push."""

import os
from collections.abc import Mapping
from concurrent.futures import Executor

import msgspec

from cellbank import config as _config
from cellbank.api.session import (
    address_of,
    inside_of,
    latest_at,
    need_address,
    new_draft,
    now,
    remote_at,
    watcher_or_default,
)
from cellbank.config import Config
from cellbank.model.errors import (
    BadInput,
    EmptyPackage,
    InvalidReference,
)
from cellbank.model.log import Derivation, Table
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.packages import build as _build
from cellbank.packages import resolve, scan
from cellbank.packages.build import Built
from cellbank.packages.deriving import derive
from cellbank.packages.opening import open_store
from cellbank.packages.recording import Stamp
from cellbank.storage import transfer
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import tables_at


class Pushed(msgspec.Struct, frozen=True):
    """What a push did."""

    package: str
    revision: str
    remote: str
    number: int
    bytes: int
    changed: bool


def build(
    package: str,
    folder: str | os.PathLike[str],
    *,
    message: str = "",
    allow_empty: bool = False,
    fix_names: bool = False,
    watch: Watcher | None = None,
    executor: Executor | None = None,
) -> Built:
    """Make a revision of a package from all files below a folder, in the store.

    Files that were packaged before and look unchanged are not read. Nothing is sent anywhere.

    Parameters
    ----------
    package
        `owner/name`.
    folder
        The folder; its tree becomes the tree of the package.
    message
        What changed, for the log.
    allow_empty
        Accept a folder without files.
    fix_names
        Map file names that break the rules; the original is kept as the entry's `filename`.
    watch
        Is told of progress.
    executor
        Reads large files; default: a few threads.

    Returns
    -------
    Built
        The revision, and what had to be read and added.

    Raises
    ------
    NotFound
        There is no such folder.
    EmptyPackage
        It has no files.
    InvalidPaths
        Names that break the rules, or links that lead out: all of them.
    DiskFull
        Before anything is written.
    """
    name = Package.parse(package)
    config = _config.read()
    _check_apart(config.home, os.fspath(folder))
    sources, mapped = scan.scan(os.fspath(folder), fix_names=fix_names)
    if not sources and not allow_empty:
        raise EmptyPackage(os.fspath(folder))
    built = _build.build(
        open_store(config),
        name,
        os.fspath(folder),
        sources,
        stamp=Stamp(config.author, now(), message),
        watch=watcher_or_default(watch),
        executor=executor,
    )
    return msgspec.structs.replace(built, mapped=mapped)


def _check_apart(home: str, folder: str) -> None:
    """Refuse a folder that has the store in it: it would be packaged while it is written."""
    if not folder:
        raise BadInput("no folder is named", "Name the folder that holds the files.")
    if inside_of(home, folder):
        raise BadInput(
            f"the store lies in {folder}", "Build from another folder, or move CELLBANK_HOME."
        )


def push(
    ref: str,
    to: str | None = None,
    *,
    as_: str | None = None,
    message: str = "",
    public: bool | None = None,
    force: bool = False,
    watch: Watcher | None = None,
    executor: Executor | None = None,
) -> Pushed:
    """Send a package from the store to a remote: only what the remote lacks.

    Parameters
    ----------
    ref
        The package, or one revision of it.
    to
        A URL, a folder or the name of a remote; default: `CELLBANK_REMOTE`, else where the package
        came from, else the default remote.
    as_
        Push what the tree here shows as a package of this name: a subset becomes a package of its
        own, whose log says what it was derived from. It is built in the store first.
    message
        What changed, for the log; default: the message of the build.
    public
        Whether everyone may read the package there; default: as it is.
    force
        Push on top of revisions that this store has not seen; they stay in the log.
    watch
        Is told of progress.
    executor
        Sends large objects; default: four threads.

    Returns
    -------
    Pushed
        The revision and how many bytes it has.

    Raises
    ------
    PushConflict
        The remote has a revision that this store has not seen.
    NotInstalled
        The package is not in the store.
    """
    reference = Reference.parse(ref)
    if reference.path:
        raise InvalidReference(
            ref, "a whole package is pushed, not a part", f"Write {reference.package}."
        )
    config = _config.read()
    store = open_store(config)
    if as_ is not None:
        source, reference = reference, Reference(Package.parse(as_))
        with store.held():
            _derive(config, store, source, reference.package, message, watch)
        to = to or address_of(config, store, reference.package, None)
        to = to or address_of(config, store, source.package, None)
    package = reference.package
    revision = resolve.in_store(store, reference)
    address = need_address(config, store, package, to)
    with store.transaction(), remote_at(config, address, create=True) as remote:
        seen = store.seen(remote.id, package)
        latest = latest_at(remote, package)
        size = store.reader(package, revision).header.bytes
        tables = store.tables_here(package, store.tables(package, revision))
        event = _event(remote, package, revision, latest, public, tables)
        if event:
            base, said = "", message
            if event == "push":
                base = latest if force else (seen.base if seen else "")
                said = message or _message_of(store, package, revision)
            draft = new_draft(event, config, revision, base, said)
            newest = transfer.push(
                store,
                remote,
                package,
                msgspec.structs.replace(
                    draft, tables=tables, derived_from=_derivation_of(store, package, revision)
                ),
                public=public,
                watch=watcher_or_default(watch),
                executor=executor,
            )
        else:
            newest = remote.newest(package)
        transfer.note_seen(store, remote, package, newest, allow_older=force, base=revision)
        _came_from(store, package, revision, remote, newest.digest, newest.record.number)
        return Pushed(
            str(package),
            revision,
            remote.address,
            newest.record.number,
            size,
            changed=latest != revision or event == "tables",
        )


def _event(
    remote: Remote,
    package: Package,
    revision: str,
    latest: str,
    public: bool | None,
    tables: Mapping[str, Table],
) -> str:
    """Return what there is to push: the revision, only its tables, or nothing."""
    # Access travels with a push, so a wish for it is pushed even where nothing else is new.
    if latest != revision or public is not None:
        return "push"
    if not tables:
        return ""
    there = tables_at(remote, package, revision, remote.newest(package))
    known = {kind: table.digest for kind, table in there.items()}
    new = [kind for kind, table in tables.items() if known.get(kind) != table.digest]
    return "tables" if new else ""


def _derive(
    config: Config,
    store: Store,
    reference: Reference,
    target: Package,
    message: str,
    watch: Watcher | None,
) -> None:
    """Build the package that a subset becomes."""

    def tables() -> Mapping[str, bytes]:
        from cellbank.cells.part_tables import tables_of_part

        return tables_of_part(view)

    view = resolve.view_of(store, reference)
    stamp = Stamp(config.author, now(), message)
    if view.tables():
        from cellbank.cells.metadata import writer_name

        stamp = msgspec.structs.replace(stamp, writer=writer_name())
    derive(view, target, stamp, tables, watcher_or_default(watch))


def _derivation_of(store: Store, package: Package, revision: str) -> Derivation | None:
    for kept in store.records(package):
        if kept.record.revision == revision and kept.record.event == "push":
            return kept.record.derived_from
    return None


def _message_of(store: Store, package: Package, revision: str) -> str:
    for kept in store.records(package):
        if kept.record.revision == revision and kept.record.event == "push":
            return kept.record.message
    return ""


def _came_from(
    store: Store, package: Package, revision: str, remote: Remote, record: str, number: int
) -> None:
    """Remember the remote that a package was pushed to as the one it comes from."""
    with store.alone():
        installed = store.installed(package)
        here = store.owner_of(package) is store
        if installed is None or not here or installed.revision != revision:
            return
        now = msgspec.structs.replace(
            installed, remote=remote.id, address=remote.address, record=record, number=number
        )
        if now != installed:
            store.set_installed(package, now)
