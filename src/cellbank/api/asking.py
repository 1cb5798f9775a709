"""Asking about packages: lists, facts, trees, history, differences, shares and citations."""

from collections.abc import Sequence

import msgspec

from cellbank import config as _config
from cellbank.api.session import (
    AtRemote,
    address_of,
    fits,
    latest_at,
    looking,
    remote_at,
    whole,
)
from cellbank.model.changes import Changes, compare
from cellbank.model.errors import (
    IntegrityError,
    NotFound,
    PackageNotFound,
    RemoteNotFound,
)
from cellbank.model.reference import Package, Reference
from cellbank.packages import citation, facts, resolve
from cellbank.packages.citation import Citation
from cellbank.packages.facts import Branch, Event, Inspection, Share
from cellbank.packages.opening import open_store
from cellbank.storage import gc as _gc


class Listed(msgspec.Struct, frozen=True):
    """One package of a list; `str` of it is `owner/name`."""

    package: str
    revision: str
    where: str = ""
    want: str = "all"
    borrowed: bool = False

    def __str__(self) -> str:
        return self.package


def ls(pattern: str = "*", from_: str | None = None) -> list[Listed]:
    """Return the packages in the store, or at a remote, whose `owner/name` fits a pattern.

    `*`, `?` and `[...]` stand for others; a pattern without `/` also fits owners and names alone.
    `from_` is the remote: a URL, a folder or a name.
    """
    config = _config.read()
    store = open_store(config)
    if from_ is not None:
        with remote_at(config, config.address_of(from_)) as remote:
            found = [p for p in remote.packages() if fits(p, pattern)]
            return [Listed(str(p), latest_at(remote, p), remote.address) for p in found]
    listed = []
    for package in store.installed_packages():
        if fits(package, pattern):
            try:
                here = store.need_installed(package)
            except IntegrityError:
                listed.append(Listed(str(package), "", want="damaged"))
                continue
            want = str(here.want)
            borrowed = store.owner_of(package) is not store
            listed.append(Listed(str(package), here.revision, here.address, want, borrowed))
    return listed


def inspect(ref: str, from_: str | None = None) -> Inspection:
    """Return the facts of a package: size, counts by file type, revision, versions, tags.

    It tells of the store, and asks the remote only when the package is not here.
    """
    with looking(str(whole(ref)), from_) as (_, found):
        if isinstance(found, AtRemote):
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
            want=str(here.want),
            of_entries=len(found.whole) if found.reader is not found.whole else 0,
        )


def tree(ref: str, depth: int | None = None, from_: str | None = None) -> Branch:
    """Return the tree of a package, or of a part of it; `depth` ends it after so many levels.

    `print` shows it as the prompt does; sizes are in bytes. What is not here is looked at where it
    is. Raises `NotInstalled`, `PackageNotFound`, `EntryNotFound`: the advice has near names.
    """
    with looking(ref, from_) as (reference, found):
        if isinstance(found, AtRemote):
            resolve.check_path(found.reader, found.package, reference.path, found.where)
        else:
            resolve.check_in_view(found, reference.path)
        title = str(reference)
        return facts.tree(found.reader, reference.path, title, depth)


def log(ref: str, to: str | None = None) -> list[Event]:
    """Return the history of a package, newest first: of its remote, else of the store.

    `to` is another remote: a URL, a folder or a name. Times are UTC.
    """
    reference = whole(ref)
    config = _config.read()
    store = open_store(config)
    address = address_of(config, store, reference.package, to)
    if address:
        try:
            with remote_at(config, address) as remote:
                return [Event.of(kept.record) for kept in remote.records(reference.package)]
        except (PackageNotFound, RemoteNotFound):
            if to or store.newest(reference.package) is None:
                raise
    if store.newest(reference.package) is None:
        store.need_installed(reference.package)
    return [Event.of(kept.record) for kept in store.records(reference.package)]


def diff(old: str, new: str) -> Changes:
    """Return what differs between two revisions: added, removed, changed and renamed entries.

    Both are references, such as `aics/aics_23==1.0`. False where nothing differs.
    """
    with looking(str(whole(old))) as (_, before), looking(str(whole(new))) as (_, after):
        return compare(before.whole, after.whole)


def du(pattern: str = "*") -> list[Share]:
    """Return how many bytes each package in the store holds alone, and shares with others.

    `pattern` is that of `ls`.
    """
    store = open_store(_config.read())
    named = {
        package: revisions
        for package, revisions in _gc.roots(store, earlier=True).items()
        if revisions
    }
    return [
        share for share in facts.shares(store, named) if fits(Package.parse(share.package), pattern)
    ]


def cite(ref: str, from_: str | None = None) -> Citation:
    """Return how to cite a revision: as `text`, `bibtex` and `cff`, each with all its digits."""
    with looking(str(whole(ref)), from_) as (_, found):
        if isinstance(found, AtRemote):
            state, where = found.newest.record.state, found.where
        else:
            state = resolve.state_in_store(found.store, found.package)
            where = found.store.need_installed(found.package).address
        said = citation.said_of(found.reader.find("README"))
    author, date = citation.credit(_history(ref, where), found.revision)
    shown = where if "://" in where else ""
    return citation.cite(
        found.package, found.revision, state, author=author, date=date, where=shown, said=said
    )


def _history(ref: str, where: str) -> Sequence[Event]:
    try:
        return log(str(Reference.parse(ref).package), where or None)
    except (OSError, NotFound, IntegrityError):
        return []
