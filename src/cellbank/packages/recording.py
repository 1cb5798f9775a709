"""The last step of a build: its record in the log, and what is installed now."""

import os
from collections.abc import Callable

import msgspec

from cellbank.model.errors import PushConflict
from cellbank.model.log import Derivation, Draft, Kept, Table
from cellbank.model.reference import Package
from cellbank.model.want import Installed, Want
from cellbank.packages.copying import TRIES
from cellbank.storage.store import Store


class Stamp(msgspec.Struct, frozen=True):
    """What the log says of a revision beside what it is: who, when, and why.

    `writer` is the program that wrote the metadata tables, `derived_from` what it is a subset of.
    """

    author: str = ""
    time: str = ""
    message: str = ""
    writer: str = ""
    derived_from: Derivation | None = None


def record(
    store: Store,
    package: Package,
    revision: str,
    stamp: Stamp,
    tables: dict[str, Table],
    want: Want,
    check: Callable[[], None],
) -> bool:
    """Append the revision to the log, unless it is the latest; then say that it is installed.

    `check` may raise before; what it looks at stays so until all is said.
    """
    with store.alone():
        check()
        latest, newest = _append(store, package, revision, stamp, tables)
        _say_installed(store, package, revision, newest, tables, want)
    return latest != revision


def _append(
    store: Store, package: Package, revision: str, stamp: Stamp, tables: dict[str, Table]
) -> tuple[str, Kept | None]:
    """Append the revision unless it is the latest; return what was the latest, and the record."""
    for attempt in range(TRIES * TRIES):
        newest = store.newest(package)
        latest = newest.record.state.latest if newest else ""
        same = latest == revision
        if same and (not tables or store.tables(package, revision) == tables):
            break
        draft = Draft(
            event="tables" if same else "push",
            nonce=os.urandom(16).hex(),
            revision=revision,
            base="" if same else latest,
            author=stamp.author,
            time=stamp.time,
            message=stamp.message,
            tables=tables,
            derived_from=None if same else stamp.derived_from,
        )
        try:
            return latest, store.append(package, draft)
        except PushConflict:
            # Another build of the same package was quicker: ours comes after it.
            if attempt == TRIES * TRIES - 1:
                raise
    return latest, newest


def _say_installed(
    store: Store,
    package: Package,
    revision: str,
    newest: Kept | None,
    tables: dict[str, Table],
    want: Want,
) -> None:
    before = store.installed_here(package)
    elsewhere = before is not None and before.remote != store.id
    # Tables that were lost and made anew are in the log; those that came with it are no more.
    anew = before is not None and before.tables not in ({}, tables)
    if before is None or before.revision != revision or before.want != want or anew:
        earlier = [before.revision, *before.earlier] if before else []
        store.set_installed(
            package,
            Installed(
                str(package),
                revision,
                before.remote if before else store.id,
                before.address if before else "",
                # A record of our own log says nothing of the remote that the package came from.
                newest.digest if newest and not elsewhere else "",
                newest.record.number if newest and not elsewhere else 0,
                want,
                earlier=[r for r in dict.fromkeys(earlier) if r != revision],
            ),
        )
