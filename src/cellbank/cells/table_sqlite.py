"""Tables in SQLite files: read only, one SELECT, by Python's own library.

DuckDB would have to fetch an extension for these while it runs.
"""

import contextlib
import os
import sqlite3
from typing import Any, Final
from urllib.parse import quote

from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import Rows, columns_of, did_you_mean, plain_rows, warn_empty

_MAGIC: Final = b"SQLite format 3\0"
_ALLOWED: Final = frozenset(
    [sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE]
)
_WRITE_AHEAD: Final = 2


def read_sqlite(path: str, place: str, table: str, query: str, problems: Problems) -> Rows | None:
    """Return the rows of a table, a view or a query, or None after an error."""
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(20)
    if not head.startswith(_MAGIC):
        problems.error(
            place,
            "is not an SQLite database",
            "Check the file, or name its `format` in the recipe.",
        )
        return None
    try:
        with contextlib.closing(_connection(path, head)) as database:
            names = _tables(database)
            if table and table not in names:
                advice = did_you_mean(table, names, "Look at its tables.")
                problems.error(place, f"has no table {table!r}", advice)
                return None
            found = _selected(database, table, query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        problems.error(
            place,
            f"cannot be read: {error}",
            "Mend the query: one SELECT." if query else "Check the database.",
        )
        return None
    columns, rows = found
    if not rows:
        warn_empty(place, problems)
    return Rows(place, columns_of(place, columns, None, problems), plain_rows(rows), 1)


def _connection(path: str, head: bytes) -> sqlite3.Connection:
    # A database with a write-ahead log that is not there has no writer; opened in the usual way
    # it would get one, in a folder that is not ours to write to.
    idle = head[18] == _WRITE_AHEAD and not os.path.exists(f"{path}-wal")  # noqa: PTH110
    address = f"file:{quote(path)}?mode=ro{'&immutable=1' if idle else ''}"
    return sqlite3.connect(address, uri=True)


def _tables(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    return [name for (name,) in found if not name.startswith("sqlite_")]


def _selected(
    database: sqlite3.Connection, table: str, query: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    def permit(action: int, *_: str | None) -> int:
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    if query:
        database.set_authorizer(permit)
    quoted = table.replace('"', '""')
    cursor = database.execute(query or f'SELECT * FROM "{quoted}"')  # noqa: S608
    if cursor.description is None:
        raise sqlite3.OperationalError("the query gives no rows")
    return [str(column[0]) for column in cursor.description], cursor.fetchall()
