"""Having packages: install, load, export, remove and the collection of garbage."""

import os
from collections.abc import Callable, Sequence

import msgspec

from cellbank import config as _config
from cellbank.api.session import (
    address_of,
    inside_of,
    need_address,
    remote_at,
    watcher_or_default,
    whole,
)
from cellbank.api.subsetting import choice_of, chooser, get_ready
from cellbank.config import Config
from cellbank.model.errors import BadInput, NotFound
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.packages import export as _export
from cellbank.packages import install as _install
from cellbank.packages import resolve
from cellbank.packages.export import Exported
from cellbank.packages.far import open_far
from cellbank.packages.install import Installation
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode, View
from cellbank.packages.opening import open_store
from cellbank.packages.policy import Policy, policy_of
from cellbank.storage import gc as _gc
from cellbank.storage.gc import Collected
from cellbank.storage.store import Store


class Removed(msgspec.Struct, frozen=True):
    """What a removal freed."""

    package: str
    bytes: int
    condemned: int


def install(  # noqa: PLR0913  what may be chosen, by name
    ref: str,
    from_: str | None = None,
    *,
    where: str | None = None,
    kind: str | None = None,
    path: str | Sequence[str] | None = None,
    kinds: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 0,
    related: bool = True,
    metadata_only: bool = False,
    all_: bool = False,
    dry_run: bool = False,
    allow_older: bool = False,
    confirm: Callable[[str], bool] | None = None,
    watch: Watcher | None = None,
) -> Installation:
    """Bring a package, or a part of it, from a remote into the store: only what is not there.

    What was chosen by a condition or a pattern stays so: a call without any brings what the same
    questions select of the newest revision. README, SCHEMA and the metadata tables always come.
    Earlier revisions stay and can be loaded by `owner/name@revision`.

    Parameters
    ----------
    ref
        The package; perhaps a tag, version or revision of it; perhaps a path in it.
    from_
        A URL, a folder or the name of a remote; default: `CELLBANK_REMOTE`, else where the package
        came from, else the default remote.
    where
        A condition: only the records that fit come, and what belongs to them. A second call adds.
        A name in it is an attribute of the field of view, else of its well, plate and lines.
    kind
        The kind of record that the condition is about, if not `fovs`. A package of plain files
        has `entries`.
    path
        Patterns such as `fovs/*/info`: only entries that fit, or lie in a group that fits, come.
    kinds
        Only entries of these groups come, such as `["fovs", "cell_segs"]`.
    sample
        So many of the records that fit, as many of each line as can be.
    seed
        Decides which ones; the same seed draws the same records.
    related
        Whether the wells, plates, lines and segmentations of the records come too.
    metadata_only
        Leave out all entries that are no documents. They are fetched when they are loaded, and
        `node.open()` reads only those parts of them that are asked for. What is installed in full
        stays so.
    all_
        All of the package, where a part of it was chosen before.
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
    InvalidReference
        A choice, or the metadata, of a part was asked for.
    BadQuestion
        The condition cannot be asked; names that are near are told.
    DigestMismatch
        The remote gave wrong bytes, twice. Nothing was installed.
    """
    choice = choice_of(
        where=where,
        kind=kind,
        path=path,
        kinds=kinds,
        sample=sample,
        seed=seed,
        related=related,
        documents=metadata_only,
    )
    if all_ and (choice is not None or metadata_only or Reference.parse(ref).path):
        raise BadInput("all of the package and a part of it were asked for", "Ask for one of them.")
    reference = whole(ref) if metadata_only or choice is not None else Reference.parse(ref)
    get_ready(choice)
    config = _config.read()
    store = open_store(config)
    address = need_address(config, store, reference.package, from_)
    options = _install.Options(
        metadata=metadata_only and choice is None,
        choice=choice,
        choose=chooser(),
        everything=all_,
        explicit=from_ is not None,
        dry_run=dry_run,
        allow_older=allow_older,
        confirm=confirm,
        watch=watcher_or_default(watch),
    )
    with remote_at(config, address) as remote:
        return _install.install(store, remote, reference, options)


def load(
    ref: str,
    from_: str | None = None,
    *,
    fetch: str | None = None,
    confirm: Callable[[str], bool] | None = None,
) -> GroupNode | DataNode:
    """Return the node that a reference names: a package, a group or an entry.

    A package that is not installed is opened where it is: nothing is installed, its tree and
    tables come when they are looked at, and of images those parts that are read.

    Parameters
    ----------
    ref
        `owner/name`, perhaps with a tag, version or revision, perhaps with a path.
    from_
        Open it at this remote, installed or not: a URL, a folder or the name of a remote. Without
        it a package that is not installed is looked for at `CELLBANK_REMOTE`, else at the default
        remote; a revision of an installed one that is not here is not looked for.
    fetch
        What happens where bytes are wanted that are not here: `fetch`, `ask` or `refuse`; default:
        `CELLBANK_FETCH`, else as configured, else `fetch`.
    confirm
        Is asked before anything is fetched; needed by `ask`.

    Returns
    -------
    PackageNode, GroupNode or DataNode
        Nothing is read but the pages of the manifest that are needed.

    Raises
    ------
    NotInstalled
        The package is not in the store, and no remote is known.
    PackageNotFound, RevisionNotFound
        The remote does not have it either.
    EntryNotFound
        It has no such path. `LeftOut`: It has, but not the subset of it that was installed.

    Examples
    --------
    >>> import cellbank
    >>> cellbank.load("demo/nuclei/images")
    <GroupNode>
    nuclei.ome.tif
    """
    reference = Reference.parse(ref)
    config = _config.read()
    policy = None
    if fetch is not None or confirm is not None:
        policy = policy_of(fetch, confirm, config.fetch)
    view = _view(config, open_store(config), reference, from_, policy)
    root = PackageNode(view, "")
    if not reference.path:
        return root
    resolve.check_in_view(view, reference.path)
    return root[reference.path]


def _view(
    config: Config, store: Store, reference: Reference, from_: str | None, policy: Policy | None
) -> View:
    package = reference.package
    if from_ is None:
        try:
            view = resolve.view_of(store, reference)
        except NotFound:
            # A revision of an installed package that is not here was let go of.
            known = address_of(config, store, package, None)
            if not known or store.installed(package) is not None:
                raise
        else:
            view.policy = policy
            return view
    return open_far(store, reference, need_address(config, store, package, from_), policy)


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
    store = open_store(_config.read())
    if not os.fspath(folder):
        raise BadInput("no folder is named", "Name the folder to write into.")
    if inside_of(os.fspath(folder), store.root):
        raise BadInput(f"{folder} lies in the store", "Name a folder of your own.")
    with store.held():
        view = resolve.view_of(store, reference)
        resolve.check_in_view(view, reference.path)
        return _export.export(
            view, reference.path, os.fspath(folder), force=force, watch=watcher_or_default(watch)
        )


def remove(ref: str) -> Removed:
    """Remove a package from the store, with all that only it had; remotes are not touched."""
    package = Package.parse(ref)
    store = open_store(_config.read())
    if store.files.size(f"pkgs/{package}") is None and not store.revisions(package):
        store.need_installed(package)
    if store.owner_of(package) is not store:
        raise BadInput(f"{package} lies in another store of CELLBANK_PATH", "Remove it there.")
    done = _gc.remove_package(store, package)
    return Removed(str(package), done.bytes, done.condemned)


def gc() -> Collected:
    """Remove what no installed package and no log names; earlier installed revisions go too.

    So does what was fetched of packages that are installed with their metadata only.
    """
    return _gc.collect(open_store(_config.read()))
