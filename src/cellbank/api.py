"""The public functions: what `import cellbank` offers, and the prompt calls."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec

from cellbank import config as _config
from cellbank.config import Config
from cellbank.model.errors import (
    BadInput,
    EmptyPackage,
    IntegrityError,
    InvalidReference,
    NotFound,
    NotInstalled,
    NotSignedIn,
    PackageNotFound,
    RemoteNotFound,
)
from cellbank.model.log import Draft
from cellbank.model.manifest import Changes, ManifestReader, compare
from cellbank.model.manifest import Entry as _Entry
from cellbank.model.names import check_tag, check_version
from cellbank.model.names import near as _near
from cellbank.model.progress import Progress, Said, Watcher, ignore
from cellbank.model.reference import Package, Reference
from cellbank.packages import build as _build
from cellbank.packages import export as _export
from cellbank.packages import facts, resolve, scan
from cellbank.packages import install as _install
from cellbank.packages import verify as _verify
from cellbank.packages.build import Built
from cellbank.packages.export import Exported
from cellbank.packages.facts import Branch, Citation, Event, Inspection, Share
from cellbank.packages.install import Installation
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode, View
from cellbank.packages.verify import Damage, Verified
from cellbank.storage import disk, transfer
from cellbank.storage import gc as _gc
from cellbank.storage.gc import Collected
from cellbank.storage.remote import BucketRemote, Remote
from cellbank.storage.store import Store

__all__ = [
    "Branch",
    "Built",
    "Changes",
    "Citation",
    "Collected",
    "Damage",
    "DataNode",
    "Event",
    "Exported",
    "GroupNode",
    "Inspection",
    "Installation",
    "Listed",
    "PackageNode",
    "Progress",
    "Pushed",
    "Removed",
    "Said",
    "Share",
    "Verified",
    "build",
    "cite",
    "diff",
    "du",
    "export",
    "gc",
    "inspect",
    "install",
    "load",
    "log",
    "login",
    "logout",
    "ls",
    "push",
    "remotes",
    "remove",
    "tag",
    "tree",
    "verify",
    "version",
    "whoami",
]

default_watcher: Callable[[], Watcher] = lambda: ignore  # noqa: E731
"""What shows progress where the caller hands in nothing; the face sets it."""


class Pushed(msgspec.Struct, frozen=True):
    """What a push did."""

    package: str
    revision: str
    remote: str
    number: int
    bytes: int
    changed: bool


class Listed(msgspec.Struct, frozen=True):
    """One package of a list; `str` of it is `owner/name`."""

    package: str
    revision: str
    where: str = ""
    want: str = "all"
    borrowed: bool = False

    def __str__(self) -> str:
        return self.package


class Removed(msgspec.Struct, frozen=True):
    """What a removal freed."""

    package: str
    bytes: int
    condemned: int


# --- opening what a call needs ------------------------------------------------------------------


def _open_store(config: Config) -> Store:
    return Store.at(config.home, config.store_paths)


def _open_remote(config: Config, address: str, *, create: bool = False) -> Remote:
    if address.startswith(("http://", "https://")):
        from cellbank.storage.http_remote import HttpRemote

        token = _config.token_for(config, address)
        return HttpRemote(address, token, config.timeout)
    return BucketRemote.open(address, create=create)


@contextmanager
def _remote(config: Config, address: str, *, create: bool = False) -> Iterator[Remote]:
    remote = _open_remote(config, address, create=create)
    try:
        yield remote
    finally:
        remote.close()


def _address(config: Config, store: Store, package: Package | None, named: str | None) -> str:
    """Return the address of the remote to use, or nothing.

    The order: what the call names, `CELLBANK_REMOTE`, where the package came from, the default.
    """
    if named:
        return config.address_of(named)
    if config.remote:
        return config.address_of(config.remote)
    installed = store.installed(package) if package is not None else None
    if installed is not None and installed.remote != store.id and installed.address:
        return installed.address
    return config.default_address


def _need_address(config: Config, store: Store, package: Package, named: str | None) -> str:
    address = _address(config, store, package, named)
    if not address:
        raise RemoteNotFound("")
    return address


def _watcher(watch: Watcher | None) -> Watcher:
    return default_watcher() if watch is None else watch


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _draft(event: str, config: Config, **fields: str) -> Draft:
    return Draft(
        event=event, nonce=secrets.token_hex(16), author=config.author, time=_now(), **fields
    )


# --- making ---------------------------------------------------------------------------------------


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
    sources, mapped = scan.scan(os.fspath(folder), fix_names=fix_names)
    if not sources and not allow_empty:
        raise EmptyPackage(os.fspath(folder))
    return _build.build(
        _open_store(config),
        name,
        os.fspath(folder),
        sources,
        message=message,
        author=config.author,
        time=_now(),
        mapped=mapped,
        watch=_watcher(watch),
        executor=executor,
    )


def push(
    ref: str,
    to: str | None = None,
    *,
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
        raise InvalidReference(ref, "a whole package is pushed, not a part")
    package, config = reference.package, _config.read()
    store = _open_store(config)
    revision = resolve.in_store(store, reference)
    address = _need_address(config, store, package, to)
    with store.transaction(), _remote(config, address, create=True) as remote:
        seen = store.seen(remote.id, package)
        latest = _latest(remote, package)
        size = store.reader(package, revision).header.bytes
        if latest == revision:
            newest = remote.newest(package)
        else:
            base = latest if force else (seen.state.latest if seen else "")
            draft = _draft(
                "push",
                config,
                revision=revision,
                base=base,
                message=message or _message_of(store, package, revision),
            )
            newest = transfer.push(
                store,
                remote,
                package,
                draft,
                public=public,
                watch=_watcher(watch),
                executor=executor,
            )
        store.note_seen(remote.id, remote.address, package, newest, allow_older=force)
        _came_from(store, package, revision, remote, newest.digest, newest.record.number)
        return Pushed(
            str(package),
            revision,
            remote.address,
            newest.record.number,
            size,
            changed=latest != revision,
        )


def _latest(remote: Remote, package: Package) -> str:
    try:
        return remote.newest(package).record.state.latest
    except PackageNotFound:
        return ""


def _message_of(store: Store, package: Package, revision: str) -> str:
    for kept in store.records(package):
        if kept.record.revision == revision:
            return kept.record.message
    return ""


def _came_from(
    store: Store, package: Package, revision: str, remote: Remote, record: str, number: int
) -> None:
    """Remember the remote that a package was pushed to as the one it comes from."""
    installed = store.installed(package)
    if installed is None or installed.revision != revision:
        return
    now = msgspec.structs.replace(
        installed, remote=remote.id, address=remote.address, record=record, number=number
    )
    if now != installed:
        store.set_installed(package, now)


# --- having -----------------------------------------------------------------------------------------


def install(
    ref: str,
    from_: str | None = None,
    *,
    dry_run: bool = False,
    allow_older: bool = False,
    confirm: Callable[[str], bool] | None = None,
    watch: Watcher | None = None,
) -> Installation:
    """Bring a package, or a part of it, from a remote into the store: only what is not there.

    Earlier revisions stay and can be loaded by `owner/name@revision`.

    Parameters
    ----------
    ref
        The package; perhaps a tag, version or revision of it; perhaps a path in it.
    from_
        A URL, a folder or the name of a remote; default: `CELLBANK_REMOTE`, else where the package
        came from, else the default remote.
    dry_run
        Only say what would be fetched.
    allow_older
        Accept a remote that shows an older history than we have seen.
    confirm
        Is asked before another revision is replaced; default: go ahead.
    watch
        Is told of progress.

    Returns
    -------
    Installation
        The revision and what was fetched.

    Raises
    ------
    PackageNotFound, RevisionNotFound, EntryNotFound
        It is not there; the advice has near names.
    OtherRemote
        The name is here from another remote, and `from_` was not given.
    DiskFull
        Before the first byte.
    DigestMismatch
        The remote gave wrong bytes, twice. Nothing was installed.
    """
    reference = Reference.parse(ref)
    config = _config.read()
    store = _open_store(config)
    address = _need_address(config, store, reference.package, from_)
    options = _install.Options(
        explicit=from_ is not None,
        dry_run=dry_run,
        allow_older=allow_older,
        confirm=confirm,
        watch=_watcher(watch),
    )
    with _remote(config, address) as remote:
        return _install.install(store, remote, reference, options)


def load(ref: str) -> GroupNode | DataNode:
    """Return the node that a reference names: a package, a group or an entry.

    Parameters
    ----------
    ref
        `owner/name`, perhaps with a tag, version or revision, perhaps with a path.

    Returns
    -------
    PackageNode, GroupNode or DataNode
        Nothing is read but the pages of the manifest that are needed.

    Raises
    ------
    NotInstalled
        The package is not in the store.
    EntryNotFound
        It has no such path.

    Examples
    --------
    >>> import cellbank
    >>> cellbank.load("demo/nuclei/images")
    <GroupNode>
    nuclei.ome.tif
    """
    reference = Reference.parse(ref)
    view = resolve.view_of(_open_store(_config.read()), reference)
    root = PackageNode(view, "")
    if not reference.path:
        return root
    resolve.check_path(view, reference.path)
    return root[reference.path]


def export(
    ref: str,
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    watch: Watcher | None = None,
) -> Exported:
    """Write the tree of a package, or a part of it, as plain files straight into a folder.

    Raises `WouldOverwrite` before anything is written if a file is in the way and `force` is not
    given.
    """
    reference = Reference.parse(ref)
    view = resolve.view_of(_open_store(_config.read()), reference)
    resolve.check_path(view, reference.path)
    return _export.export(
        view, reference.path, os.fspath(folder), force=force, watch=_watcher(watch)
    )


def remove(ref: str) -> Removed:
    """Remove a package from the store, with all that only it had; remotes are not touched."""
    package = Package.parse(ref)
    store = _open_store(_config.read())
    if not store.revisions(package):
        store.need_installed(package)
    if store.owner_of(package) is not store:
        raise BadInput(f"{package} lies in another store of CELLBANK_PATH", "Remove it there.")
    done = _gc.remove_package(store, package)
    return Removed(str(package), done.bytes, done.condemned)


def gc() -> Collected:
    """Remove what no installed package and no log names; earlier installed revisions go too."""
    return _gc.collect(_open_store(_config.read()))


# --- asking -----------------------------------------------------------------------------------------


def ls(pattern: str = "*", from_: str | None = None) -> list[Listed]:
    """Return the packages in the store, or at a remote, whose `owner/name` fits a pattern.

    A pattern without `/` also fits owners and names alone.
    """
    config = _config.read()
    store = _open_store(config)
    if from_ is not None:
        with _remote(config, config.address_of(from_)) as remote:
            found = [p for p in remote.packages() if _fits(p, pattern)]
            return [Listed(str(p), _latest(remote, p), remote.address) for p in found]
    listed = []
    for package in store.installed_packages():
        if _fits(package, pattern):
            here = store.need_installed(package)
            want = "all" if here.want.everything else ", ".join(here.want.paths) or "part"
            borrowed = store.owner_of(package) is not store
            listed.append(Listed(str(package), here.revision, here.address, want, borrowed))
    return listed


def _fits(package: Package, pattern: str) -> bool:
    names = [str(package)] if "/" in pattern else [str(package), package.owner, package.name]
    return any(fnmatchcase(name, pattern) for name in names)


@contextmanager
def _looking(ref: str, from_: str | None = None) -> Iterator[tuple[Reference, View | _Remote]]:
    """Give what a reference names: from the store, or, if it is not there, from the remote."""
    reference = Reference.parse(ref)
    config = _config.read()
    store = _open_store(config)
    if from_ is None:
        try:
            yield reference, resolve.view_of(store, reference)
            return
        except NotInstalled:
            address = _address(config, store, reference.package, None)
            if not address:
                raise
        except NotFound:
            address = _address(config, store, reference.package, None)
            if not (reference.qualifier and address):
                raise
    else:
        address = config.address_of(from_)
    with _remote(config, address) as remote:
        yield reference, _Remote(remote, reference)


class _Remote:
    """One revision of a package at a remote, its pages fetched at once."""

    def __init__(self, remote: Remote, reference: Reference) -> None:
        package = reference.package
        self.package = package
        self.newest = remote.newest(package)
        self.revision = resolve.at_remote(remote, reference, self.newest)
        self.where = remote.address
        from cellbank.model.manifest import decode_header

        header = decode_header(remote.read_small(package, [self.revision])[self.revision])
        pages = remote.read_small(package, [page.digest for page in header.pages])
        self.reader = ManifestReader(header, pages.__getitem__)


def inspect(ref: str, from_: str | None = None) -> Inspection:
    """Return the facts of a package: size, counts by file type, revision, versions, tags.

    It tells of the store, and asks the remote only when the package is not here.
    """
    with _looking(ref, from_) as (reference, found):
        if isinstance(found, _Remote):
            state = found.newest.record.state
            return facts.inspect(
                found.package,
                found.revision,
                found.reader,
                state,
                where=found.where,
                installed=False,
                want="",
            )
        store, package = found.store, found.package
        here = store.need_installed(package)
        return facts.inspect(
            package,
            found.revision,
            found.reader,
            resolve.state_in_store(store, package),
            where=here.address,
            installed=True,
            want="all" if here.want.everything else ", ".join(here.want.paths) or "part",
        )


def tree(ref: str, depth: int | None = None, from_: str | None = None) -> Branch:
    """Return the tree of a package, or of a part of it, so many levels deep."""
    with _looking(ref, from_) as (reference, found):
        if not isinstance(found, _Remote):
            resolve.check_path(found, reference.path)
        title = str(reference)
        return facts.tree(found.reader, reference.path, title, depth)


def log(ref: str, to: str | None = None) -> list[Event]:
    """Return the history of a package, newest first: of its remote, else of the store."""
    reference = Reference.parse(ref)
    config = _config.read()
    store = _open_store(config)
    address = _address(config, store, reference.package, to)
    if address:
        try:
            with _remote(config, address) as remote:
                return [Event.of(kept.record) for kept in remote.records(reference.package)]
        except (PackageNotFound, RemoteNotFound):
            if to or store.newest(reference.package) is None:
                raise
    if store.newest(reference.package) is None:
        store.need_installed(reference.package)
    return [Event.of(kept.record) for kept in store.records(reference.package)]


def diff(old: str, new: str) -> Changes:
    """Return what differs between two revisions: added, removed, changed and renamed entries."""
    with _looking(old) as (_, before), _looking(new) as (_, after):
        return compare(before.reader, after.reader)


def du(pattern: str = "*") -> list[Share]:
    """Return what each package in the store holds alone, and what it shares with others."""
    store = _open_store(_config.read())
    named = {
        package: revisions
        for package, revisions in _gc.roots(store, earlier=True).items()
        if revisions
    }
    return [
        share
        for share in facts.shares(store, named)
        if _fits(Package.parse(share.package), pattern)
    ]


def cite(ref: str, from_: str | None = None) -> Citation:
    """Return how to cite a revision: as text, BibTeX and CFF."""
    with _looking(ref, from_) as (reference, found):
        if isinstance(found, _Remote):
            state, where = found.newest.record.state, found.where
        else:
            state = resolve.state_in_store(found.store, found.package)
            where = found.store.need_installed(found.package).address
    author, date = "", ""
    for event in _history(ref, where):
        if event.revision == found.revision:
            author, date = event.author, event.time
    shown = where if "://" in where else ""
    return facts.cite(found.package, found.revision, state, author=author, date=date, where=shown)


def _history(ref: str, where: str) -> Sequence[Event]:
    try:
        return log(str(Reference.parse(ref).package), where or None)
    except (OSError, NotFound, IntegrityError):
        return []


# --- checking -----------------------------------------------------------------------------------------


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
    store = _open_store(config)
    watcher = _watcher(watch)
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
            with _remote(config, _need_address(config, store, package, from_)) as remote:
                transfer.fetch_manifest(store, remote, package, revision)
                if installed.want.list:
                    _install.install(store, remote, reference, _install.Options(explicit=True))
        except (NotFound, IntegrityError):
            return Verified(1, 0, 0, [lost], [])
        repaired.append(lost)
        entries = _wanted_entries(store, package, revision)
    damaged = _verify.verify_revision(store, package, revision, entries, watch)
    if damaged and repair:
        address = _address(config, store, package, from_)
        if address:
            by_path = {entry.path: entry for entry in entries}
            with store.transaction(), _remote(config, address) as remote:
                done, damaged = _verify.repair(store, remote, package, damaged, by_path, watch)
            repaired += done
    return Verified(1, len(entries), sum(entry.size for entry in entries), damaged, repaired)


def _wanted_entries(store: Store, package: Package, revision: str) -> list[_Entry]:
    installed = store.need_installed(package)
    whole = list(store.reader(package, revision))
    if installed.revision == revision and installed.want.list:
        return list(store.reader(package, installed.want.list))
    return whole


# --- names of revisions ---------------------------------------------------------------------------------


def version(ref: str, name: str, revision: str, to: str | None = None) -> str:
    """Give a revision a version name, once and for ever; return the whole revision."""
    return _name_revision("version", ref, check_version(name), revision, to)


def tag(ref: str, name: str, revision: str | None = None, to: str | None = None) -> str:
    """Point a tag at a revision, or remove it if the revision is None; return the revision."""
    return _name_revision("tag", ref, check_tag(name), revision or "", to)


def _name_revision(event: str, ref: str, name: str, revision: str, to: str | None) -> str:
    package = Package.parse(ref)
    config = _config.read()
    store = _open_store(config)
    address = _address(config, store, package, to)
    if not address:
        newest = store.newest(package)
        if newest is None:
            store.need_installed(package)
            raise RemoteNotFound("")
        with store.transaction():
            own = BucketRemote(store)
            return _append_name(store, own, config, package, event, name, revision)
    with _remote(config, address) as remote:
        return _append_name(store, remote, config, package, event, name, revision)


def _append_name(
    store: Store,
    remote: Remote,
    config: Config,
    package: Package,
    event: str,
    name: str,
    revision: str,
) -> str:
    newest = remote.newest(package)
    whole = ""
    if revision:
        whole = resolve.at_remote(remote, Reference.parse(f"{package}@{revision}"), newest)
    state = newest.record.state
    expect = state.tags.get(name, "") if event == "tag" else ""
    if event == "tag" and not revision and not expect:
        close = [f"{package}:{other}" for other in _near(name, state.tags)]
        from cellbank.model.errors import RevisionNotFound

        raise RevisionNotFound(str(package), f"tag {name}", close)
    draft = _draft(event, config, name=name, revision=whole, expect=expect)
    kept = remote.append(package, draft)
    if remote.id != store.id:
        store.note_seen(remote.id, remote.address, package, kept)
    return whole


# --- remotes and tokens ---------------------------------------------------------------------------------


def remotes() -> dict[str, str]:
    """Return the named remotes and their addresses; the default one comes first."""
    settings = _config.read().settings
    names = sorted(settings.remotes, key=lambda name: (name != settings.default, name))
    return {name: settings.remotes[name].address for name in names}


def _save_settings(config: Config, settings: _config.Settings) -> None:
    data = msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"
    disk.make_folders(config.folder)
    disk.replace_whole(config.settings_file, data, config.folder)


def _save_tokens(config: Config, tokens: dict[str, str]) -> None:
    data = msgspec.json.encode({a: t for a, t in sorted(tokens.items()) if a}) + b"\n"
    disk.make_folders(config.folder, 0o700)
    disk.replace_whole(config.tokens_file, data, config.folder, mode=0o600)


def add_remote(name: str, address: str) -> str:
    """Give a remote a name; the first one becomes the default. Return its address."""
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise BadInput(f"{name!r} cannot name a remote", "Use letters, digits, - and _.")
    config = _config.read()
    whole = config.address_of(address) if address not in config.settings.remotes else address
    known = {**config.settings.remotes, name: _config.RemoteConfig(whole)}
    default = config.settings.default or name
    _save_settings(config, msgspec.structs.replace(config.settings, remotes=known, default=default))
    return whole


def remove_remote(name: str) -> None:
    """Forget the name of a remote; raises `RemoteNotFound`."""
    config = _config.read()
    if name not in config.settings.remotes:
        raise RemoteNotFound(name)
    known = {n: r for n, r in config.settings.remotes.items() if n != name}
    default = "" if config.settings.default == name else config.settings.default
    _save_settings(config, msgspec.structs.replace(config.settings, remotes=known, default=default))


def default_remote(name: str | None = None) -> str:
    """Return the name of the default remote, after setting it if one is given."""
    config = _config.read()
    if name is None:
        return config.settings.default
    if name not in config.settings.remotes:
        raise RemoteNotFound(name)
    _save_settings(config, msgspec.structs.replace(config.settings, default=name))
    return name


def login(url: str, token: str) -> str:
    """Sign in to a registry: check the token, keep it for this user alone; return who we are.

    Where there is no default remote, the registry becomes it.
    """
    config = _config.read()
    address = config.address_of(url)
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"{url} is not a registry", "Name its URL: http://… or https://…")
    from cellbank.storage.http_remote import HttpRemote

    remote = HttpRemote(address, token, config.timeout)
    try:
        who = remote.whoami()
    finally:
        remote.close()
    if not who:
        raise NotSignedIn(address)
    _save_tokens(config, {**config.tokens, remote.address: token})
    if not config.settings.default:
        name = "default"
        known = {**config.settings.remotes, name: _config.RemoteConfig(remote.address)}
        _save_settings(
            config, msgspec.structs.replace(config.settings, remotes=known, default=name)
        )
    return who


def logout(url: str | None = None) -> list[str]:
    """Forget the token of a registry, or of all; return the addresses."""
    config = _config.read()
    address = config.address_of(url) if url else None
    gone = [known for known in config.tokens if known and address in (None, known)]
    if gone:
        _save_tokens(config, {a: t for a, t in config.tokens.items() if a not in gone})
    return gone


def whoami(url: str | None = None) -> dict[str, str]:
    """Return who we are at each registry that we are signed in to, asking it."""
    config = _config.read()
    from cellbank.storage.http_remote import HttpRemote

    addresses = [config.address_of(url)] if url else [a for a in config.tokens if a]
    found = {}
    for address in addresses:
        remote = HttpRemote(address, _config.token_for(config, address), config.timeout)
        try:
            found[address] = remote.whoami()
        finally:
            remote.close()
    if not found:
        raise NotSignedIn(url or "the registry's URL")
    return found


def running_in_notebook() -> bool:
    """Whether this Python runs in a notebook or at an interactive IPython prompt."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None
