"""Installing: a revision of a remote becomes one that can be loaded here."""

from collections.abc import Callable, Iterable
from operator import attrgetter

import msgspec

from cellbank.model.errors import IntegrityError, OtherRemote
from cellbank.model.log import Kept, Table
from cellbank.model.manifest import Entry, Manifest, ManifestReader
from cellbank.model.progress import Said, Watcher, ignore
from cellbank.model.reference import Package, Reference
from cellbank.model.want import Installed, Want
from cellbank.packages.resolve import at_remote, check_path
from cellbank.storage import disk, transfer
from cellbank.storage.compact import compact
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables, plan_tables, tables_at
from cellbank.storage.transfer import Plan


class Installation(msgspec.Struct, frozen=True):
    """What an install did, or, when it was only asked, would do."""

    package: str
    revision: str
    objects: int
    bytes: int
    changed: bool
    free_bytes: int
    remote: str


class Options(msgspec.Struct, frozen=True):
    """How to install.

    `confirm` is asked before an older revision is replaced; `explicit` says that the user named
    the remote in this very call; `metadata` leaves out all entries that are no documents.
    """

    metadata: bool = False
    explicit: bool = False
    dry_run: bool = False
    allow_older: bool = False
    confirm: Callable[[str], bool] | None = None
    watch: Watcher = ignore


def install(store: Store, remote: Remote, reference: Reference, options: Options) -> Installation:
    """Bring a package, or the part of it that the reference's path names, into the store.

    Raises `OtherRemote` if the name is here from elsewhere, `PackageNotFound`, `RevisionNotFound`
    and `EntryNotFound` with near names, `DiskFull` before the first byte, `ChainRefused` if the
    remote shows an older history than before.
    """
    package = reference.package

    def say(text: str) -> None:
        options.watch(Said(text))

    with store.transaction():
        say("Downloading package metadata...")
        newest = remote.newest(package)
        before = _own(store, package)
        _check_origin(store, before, remote, package, options)
        transfer.note_seen(store, remote, package, newest, allow_older=options.allow_older)
        revision = at_remote(remote, reference, newest)
        _warn(newest, reference, say)
        reader = transfer.fetch_manifest(store, remote, package, revision)
        want, entries = wanted(
            reader, reference.path, before, revision, package, metadata=options.metadata
        )
        if options.metadata and not want.metadata:
            say(f"{package} is installed in full already, and stays so")
        plan = transfer.plan_fetch(entries, transfer.present_in(store, package))
        tables = _tables(remote, package, revision, newest, before, say)
        more = plan_tables(store, package, tables)
        result = Installation(
            str(package),
            revision,
            plan.objects + more.objects,
            plan.bytes + more.bytes,
            changed=False,
            free_bytes=disk.free_bytes(store.root),
            remote=remote.address,
        )
        if options.dry_run:
            return result
        if (
            before is not None
            and _same(before, revision, want, remote)
            and not (plan or plan.parts or more)
            and (before.tables == tables or store.tables(package, revision) == tables)
        ):
            say(f"{package} is up to date")
            _ask_there(store, remote, package, before)
            _builds_on(store, remote, package, newest, revision)
            return result
        if before is not None and before.revision != revision:
            say(f"{package} already installed.")
            if options.confirm is not None and not options.confirm("Overwrite? (y/n)"):
                return result
        say(f"Downloading {result.objects} objects ({result.bytes} bytes)...")
        transfer.check_room(store, result.bytes)
        _bring(store, remote, package, plan, options.watch)
        tables = fetch_tables(store, remote, package, tables, options.watch)
        want = _keep_list(store, package, want, reader)
        # What was fetched just now is new; what was here may have been condemned meanwhile.
        counted = {entry.digest for entry in entries} | {t.digest for t in tables.values()}
        store.check_spared(counted - plan.large.keys() - more.large.keys())
        record = _installed(package, revision, remote, newest, want, before, tables)
        store.set_installed(package, record)
        _builds_on(store, remote, package, newest, revision)
        compact(store, package, [revision, *record.earlier])
        changed = bool(plan or plan.parts) or record != before
        return msgspec.structs.replace(result, changed=changed)


def _tables(
    remote: Remote,
    package: Package,
    revision: str,
    newest: Kept,
    before: Installed | None,
    say: Callable[[str], None],
) -> dict[str, Table]:
    """Return the tables of the revision; those that are here where the log cannot tell."""
    try:
        return tables_at(remote, package, revision, newest)
    except IntegrityError as error:
        say(f"{package} is installed without its newest tables: {error.message}")
        return before.tables if before is not None and before.revision == revision else {}


def _ask_there(store: Store, remote: Remote, package: Package, before: Installed) -> None:
    """Remember the address of the remote, if the same place is found under another one now."""
    if before.address != remote.address:
        store.set_installed(package, msgspec.structs.replace(before, address=remote.address))


def _builds_on(store: Store, remote: Remote, package: Package, newest: Kept, revision: str) -> None:
    """Remember that the next build here builds on this revision: not before it was taken."""
    store.note_seen(remote.id, remote.address, package, newest, allow_older=True, base=revision)


def _own(store: Store, package: Package) -> Installed | None:
    """Return what is installed in this very store, not in a borrowed one."""
    try:
        return store.installed(package) if store.owner_of(package) is store else None
    except IntegrityError:
        # It cannot be read, so it is not relied on: this install puts a good one in its place.
        return None


def _check_origin(
    store: Store, before: Installed | None, remote: Remote, package: Package, options: Options
) -> None:
    if before is None or before.remote == remote.id or options.explicit:
        return
    have = "a build in this store" if before.remote == store.id else before.address or before.remote
    question = f"{package} is here from {have}. Replace it from {remote.address}? (y/n)"
    if options.confirm is None or not options.confirm(question):
        raise OtherRemote(str(package), have, remote.address)


def _warn(newest: Kept, reference: Reference, say: Callable[[str], None]) -> None:
    state = newest.record.state
    if reference.version in state.yanked:
        reason = state.yanked[reference.version] or "no reason given"
        say(f"{reference.package}=={reference.version} was withdrawn: {reason}")
    if state.moved_to:
        say(f"{reference.package} has moved to {state.moved_to}")


def wanted(
    reader: ManifestReader,
    path: str,
    before: Installed | None,
    revision: str,
    package: Package,
    *,
    metadata: bool = False,
) -> tuple[Want, list[Entry]]:
    """Return what is wanted after an install of `path`, or of the metadata, and its entries.

    A part adds to the parts and the metadata that are here, and metadata to the parts.
    """
    if not path and not metadata:
        return Want(), list(reader)
    check_path(reader, package, path)
    old = before.want if before is not None else Want()
    if before is not None and old.everything and before.revision == revision:
        return Want(), list(reader)
    parts = sorted(_outermost({path, *old.paths} - {""}))
    want = Want(metadata=metadata or old.metadata, paths=parts)
    return want, entries_of(reader, want)


def entries_of(reader: ManifestReader, want: Want) -> list[Entry]:
    """Return the entries of a revision that are metadata or lie in parts, as `want` says."""
    chosen = {entry.path: entry for part in want.paths for entry in _of_part(reader, part)}
    if want.metadata:
        chosen |= {entry.path: entry for entry in reader if entry.is_document}
    return sorted(chosen.values(), key=attrgetter("path"))


def _of_part(reader: ManifestReader, part: str) -> Iterable[Entry]:
    one = reader.find(part)
    return reader.under(part) if one is None else [one]


def _inside(path: str, paths: Iterable[str]) -> bool:
    return any(path == part or path.startswith(f"{part}/") for part in paths)


def _outermost(paths: set[str]) -> set[str]:
    return {path for path in paths if not _inside(path, paths - {path})}


def _same(before: Installed, revision: str, want: Want, remote: Remote) -> bool:
    old = msgspec.structs.replace(before.want, list="")
    return before.revision == revision and old == want and before.remote == remote.id


def _bring(store: Store, remote: Remote, package: Package, plan: Plan, watch: Watcher) -> None:
    if plan or plan.parts:
        transfer.fetch(store, remote, package, plan, watch)


def _keep_list(store: Store, package: Package, want: Want, reader: ManifestReader) -> Want:
    """Keep the manifest of the entries in parts, so that what belongs here can be told for ever."""
    if not want.paths:
        return want
    made = Manifest.of(entries_of(reader, Want(paths=want.paths)))
    parts = {made.revision: made.data, **made.pages}
    here = store.has_small(package, parts)
    fresh = [(digest, data) for digest, data in parts.items() if digest not in here]
    if fresh:
        transfer.keep_small(store, package, fresh)
    return msgspec.structs.replace(want, list=made.revision)


def _installed(
    package: Package,
    revision: str,
    remote: Remote,
    newest: Kept,
    want: Want,
    before: Installed | None,
    tables: dict[str, Table],
) -> Installed:
    earlier = [before.revision, *before.earlier] if before else []
    return Installed(
        str(package),
        revision,
        remote.id,
        remote.address,
        newest.digest,
        newest.record.number,
        want,
        [old for old in dict.fromkeys(earlier) if old != revision],
        tables,
    )
