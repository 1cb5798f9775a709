"""The metadata tables of a revision, on their way from a remote into a store."""

from collections.abc import Mapping

from cellbank.model.errors import IntegrityError
from cellbank.model.log import Kept, Table, tables_of
from cellbank.model.progress import Said, Watcher, ignore
from cellbank.model.reference import Package
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.transfer import Plan, fetch, plan_fetch, present_in, table_entries


def tables_at(remote: Remote, package: Package, revision: str, newest: Kept) -> dict[str, Table]:
    """Return the tables of a revision at a remote whose newest record is given.

    Raises `NotCanonical`, `NetworkError`: The log cannot be read as far as needed.
    """
    found = tables_of([newest], revision)
    if found or newest.record.number == 0:
        return found
    return tables_of(remote.records(package), revision)


def plan_tables(store: Store, package: Package, tables: Mapping[str, Table]) -> Plan:
    """Return what must be fetched for these tables."""
    return plan_fetch(table_entries(tables), present_in(store, package))


def fetch_tables(
    store: Store,
    remote: Remote,
    package: Package,
    tables: Mapping[str, Table],
    watch: Watcher = ignore,
) -> dict[str, Table]:
    """Bring tables into the store, as many as can be had; return those that are here.

    A table follows from the entries: one that cannot be had is told, and keeps nothing else back.

    Raises `DiskFull`, `NetworkError`, `Interrupted`: As `fetch` does.
    """
    plan = plan_tables(store, package, tables)
    try:
        if plan:
            fetch(store, remote, package, plan, watch)
    except IntegrityError as error:
        if len(tables) > 1:
            found: dict[str, Table] = {}
            for kind, table in tables.items():
                found |= fetch_tables(store, remote, package, {kind: table}, watch)
            return found
        watch(Said(f"The table {min(tables)} of {package} is left out: {error.message}"))
        return {}
    return dict(tables)
