"""From what a user typed to a revision, at a remote or in the store."""

from cellbank.model.errors import EntryNotFound, NotInstalled, PackageNotFound
from cellbank.model.log import Kept, State
from cellbank.model.manifest import ManifestReader
from cellbank.model.names import near
from cellbank.model.reference import Package, Reference, by_name, by_prefix
from cellbank.packages.nodes import View
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store


def at_remote(remote: Remote, reference: Reference, newest: Kept) -> str:
    """Return the revision that a reference names at a remote whose newest record is given."""
    package, state = reference.package, newest.record.state
    if state.deleted or not (state.latest or state.versions or state.tags):
        raise PackageNotFound(str(package), remote.address)
    if reference.revision:
        wanted = reference.revision
        if len(wanted) == 64 and wanted in {state.latest, *state.tags.values()}:
            return wanted
        logged = [kept.record.revision for kept in remote.records(package) if kept.record.revision]
        return by_prefix(package, wanted, logged, remote.address)
    return _by_state(reference, state, remote.address)


def _by_state(reference: Reference, state: State, at: str = "") -> str:
    package = reference.package
    if reference.tag == "latest" or not (reference.tag or reference.version):
        return state.latest
    if reference.tag:
        return by_name(package, "tag", reference.tag, state.tags, at)
    return by_name(package, "version", reference.version, state.versions, at)


def in_store(store: Store, reference: Reference) -> str:
    """Return the revision that a reference names among those in the store.

    Raises `NotInstalled`, `RevisionNotFound` or `AmbiguousReference`, each with what is near.
    """
    package = reference.package
    if not reference.qualifier:
        return store.need_installed(package).revision
    here = store.revisions(package)
    if not here:
        close = near(str(package), map(str, store.installed_packages()))
        raise NotInstalled(f"{package}{reference.qualifier}", close)
    if reference.revision:
        return by_prefix(package, reference.revision, here)
    revision = _by_state(reference, state_in_store(store, package))
    if not store.has_small(package, [revision]):
        raise NotInstalled(f"{package}{reference.qualifier}")
    return revision


def state_in_store(store: Store, package: Package) -> State:
    """Return the tags and versions that the store knows: of its own log, or as seen at a remote."""
    installed = store.installed(package)
    owner = store.owner_of(package)
    if installed is not None and installed.remote != owner.id:
        seen = owner.seen(installed.remote, package)
        if seen is not None:
            return seen.state
    newest = owner.newest(package)
    if newest is not None:
        return newest.record.state
    return State(latest=installed.revision if installed else "")


def view_of(store: Store, reference: Reference) -> View:
    """Return the revision that a reference names, ready to be looked into."""
    revision = in_store(store, reference)
    installed = store.installed(reference.package)
    current = installed is not None and installed.revision == revision
    return View(store, reference.package, revision, current=current)


def check_in_view(view: View, path: str) -> None:
    """Check that a path is in a view, as `check_path` does; raises `LeftOut` too."""
    if not _is_there(view.reader, path):
        raise view.lacks(path, _near(view.reader, path))


def check_path(reader: ManifestReader, package: Package, path: str, at: str = "") -> None:
    """Check that a path names a group or an entry, else raise `EntryNotFound` with near names.

    `at` is the remote that the manifest was read from, if it was.
    """
    if not _is_there(reader, path):
        raise EntryNotFound(str(package), path, _near(reader, path), at)


def _is_there(reader: ManifestReader, path: str) -> bool:
    return not path or reader.find(path) is not None or reader.has_group(path)


def _near(reader: ManifestReader, path: str) -> list[str]:
    parent, _, name = path.rpartition("/")
    groups, data = reader.children(parent)
    return [f"{parent}/{other}" if parent else other for other in near(name, [*groups, *data])]
