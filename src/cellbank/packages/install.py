"""Installing: a revision of a remote becomes one that can be loaded here."""

from collections.abc import Callable

import msgspec

from cellbank.model.errors import ChainRefused, IntegrityError, OtherContent, OtherRemote
from cellbank.model.log import Kept, Table
from cellbank.model.progress import Said, Watcher, ignore
from cellbank.model.reference import Package, Reference
from cellbank.model.want import Choice, Installed, Want
from cellbank.packages.resolve import at_remote, check_path
from cellbank.packages.subset import (
    Asked,
    Breakdown,
    Choose,
    Selected,
    extended,
    keep_lists,
    plain_said,
    select,
)
from cellbank.storage import disk, transfer
from cellbank.storage.compact import compact
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables, plan_tables, tables_at
from cellbank.storage.transfer import Plan


class Installation(msgspec.Struct, frozen=True):
    """What an install did, or, when it was only asked, would do.

    `objects` and `bytes` come; `want` and `entries` tell what is wanted, here already or not;
    `parts`, only where it was asked what would come, how it is made up.
    """

    package: str
    revision: str
    objects: int
    bytes: int
    changed: bool
    free_bytes: int
    remote: str
    want: str = "all"
    entries: int = 0
    parts: Breakdown | None = None


class Options(msgspec.Struct, frozen=True):
    """How to install.

    `confirm` is asked before an older revision is replaced; `explicit` says that the user named
    the remote in this very call; `metadata` leaves out all entries that are no documents;
    `choice` is what `choose` shall select; `exact` is to become all that is wanted, whatever was
    before; `everything` ends a subset.
    """

    metadata: bool = False
    choice: Choice | None = None
    choose: Choose | None = None
    exact: Want | None = None
    everything: bool = False
    explicit: bool = False
    dry_run: bool = False
    allow_older: bool = False
    confirm: Callable[[str], bool] | None = None
    watch: Watcher = ignore


def install(store: Store, remote: Remote, reference: Reference, options: Options) -> Installation:
    """Bring a package, or what of it the reference's path or a choice names, into the store.

    A plain install of a subset brings what the same questions select of the revision.

    Raises `OtherRemote` if the name is here from elsewhere, `PackageNotFound`, `RevisionNotFound`
    and `EntryNotFound` with near names, `DiskFull` before the first byte, `ChainRefused` if the
    remote shows an older history than before.
    """
    done = None
    while done is None:
        # Once more where another process said meanwhile what is installed: both are wanted.
        done = _install(store, remote, reference, options)
    return done


def _install(
    store: Store, remote: Remote, reference: Reference, options: Options
) -> Installation | None:
    """Do what `install` does; None if what is installed here changed meanwhile."""
    package = reference.package

    def say(text: str) -> None:
        options.watch(Said(text))

    with store.transaction():
        say("Downloading package metadata...")
        newest = remote.newest(package)
        before = _own(store, package)
        _check_origin(store, before, remote, package, options)
        _note_seen(store, remote, package, newest, options)
        revision = at_remote(remote, reference, newest)
        _warn(newest, reference, say)
        reader = transfer.fetch_manifest(store, remote, package, revision)
        check_path(reader, package, reference.path, remote.address)
        tables = _tables(remote, package, revision, newest, before, say)
        options = msgspec.structs.replace(options, choice=plain_said(options.choice, tables))
        want = wanted(reference.path, before, revision, options)
        if want.has_questions:
            # What is chosen is looked for in them: they come before anything else.
            tables = fetch_tables(store, remote, package, tables, options.watch)
        asked = Asked(store, package, revision, reader, tables, say)
        selected = everything(asked) if want.everything else select(want, asked, options.choose)
        _check_exact(package, selected.want, options.exact)
        want = selected.want
        _say_what(package, want, options, say)
        plan = transfer.plan_fetch(selected.entries, transfer.present_in(store, package))
        more = plan_tables(store, package, tables)
        result = Installation(
            str(package),
            revision,
            plan.objects + more.objects,
            plan.bytes + more.bytes,
            changed=False,
            free_bytes=disk.free_bytes(store.root),
            remote=remote.address,
            want=str(want),
            entries=len(selected.entries),
        )
        if options.dry_run:
            return msgspec.structs.replace(result, parts=Breakdown.of(selected.entries, plan))
        if (
            before is not None
            and _same(before, revision, want, remote)
            and not (plan or plan.parts or more)
            and (before.tables == tables or store.tables(package, revision) == tables)
        ):
            say(f"{package} is up to date")
            _ask_there(store, remote, package, before)
            store.note_base(remote.id, package, revision)
            return result
        if before is not None and before.revision != revision:
            say(f"{package} already installed.")
            if options.confirm is not None and not options.confirm("Overwrite? (y/n)"):
                return result
        say(f"Downloading {result.objects} objects ({result.bytes} bytes)...")
        transfer.check_room(store, result.bytes)
        _bring(store, remote, package, plan, options.watch)
        tables = fetch_tables(store, remote, package, tables, options.watch)
        keep_lists(store, package, selected)
        # What was fetched just now is new; what was here may have been condemned meanwhile.
        counted = {entry.digest for entry in selected.entries}
        counted |= {table.digest for table in tables.values()}
        store.check_spared(counted - plan.large.keys() - more.large.keys())
        record = _installed(package, revision, remote, newest, want, before, tables)
        with store.alone():
            if _own(store, package) != before:
                return None
            store.set_installed(package, record)
        store.note_base(remote.id, package, revision)
        compact(store, package, [revision, *record.earlier])
        changed = bool(plan or plan.parts) or record != before
        return msgspec.structs.replace(result, changed=changed)


def _note_seen(
    store: Store, remote: Remote, package: Package, newest: Kept, options: Options
) -> None:
    """Remember the newest record of the remote, if it may be believed."""
    try:
        transfer.note_seen(store, remote, package, newest, allow_older=options.allow_older)
    except ChainRefused:
        # What was written down is known by its digest, whichever history leads there: it may come
        # from an older one, which is not believed for that.
        if options.exact is None:
            raise


def _check_exact(package: Package, want: Want, exact: Want | None) -> None:
    """Raise `OtherContent` if what was written down selects something else than it did."""
    for expected, found in zip(_lists_of(exact), _lists_of(want), strict=True):
        if expected and expected != found:
            raise OtherContent(str(package), expected, found)


def _lists_of(want: Want | None) -> tuple[str, str]:
    return (want.list, want.shown) if want is not None else ("", "")


def _say_what(package: Package, want: Want, options: Options, say: Callable[[str], None]) -> None:
    if options.metadata and not want.metadata:
        say(f"{package} is installed in full already, and stays so")
    elif want.has_questions and options.choice is None and not options.exact:
        say(f"{package} is installed in part ({want}); for all of it: --all")
    elif want.everything and options.choice is not None:
        say(f"{package} is installed in full already, and stays so")


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
    if before.address == remote.address:
        return
    with store.alone():
        if _own(store, package) == before:
            store.set_installed(package, msgspec.structs.replace(before, address=remote.address))


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


def wanted(path: str, before: Installed | None, revision: str, options: Options) -> Want:
    """Return what is wanted after an install, its lists not made yet.

    A part, and what a choice selects, add to the parts, the choices and the metadata that are
    here, and metadata to these. Plainly installed, a subset stays one; anything else becomes whole.
    """
    if options.exact is not None:
        return options.exact
    old = before.want if before is not None else Want()
    choice = Choice(paths=[path]) if path else options.choice
    if choice is None and not options.metadata:
        return old if old.has_questions and not options.everything else Want()
    if before is not None and old.everything and before.revision == revision:
        return Want()
    return Want.of(extended(old.choices, choice), metadata=options.metadata or old.metadata)


def everything(asked: Asked) -> Selected:
    """Return what is selected where all of a revision is wanted."""
    return Selected(Want(), list(asked.reader))


def _same(before: Installed, revision: str, want: Want, remote: Remote) -> bool:
    return before.revision == revision and before.want == want and before.remote == remote.id


def _bring(store: Store, remote: Remote, package: Package, plan: Plan, watch: Watcher) -> None:
    if plan or plan.parts:
        transfer.fetch(store, remote, package, plan, watch)


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
