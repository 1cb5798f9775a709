"""Tables in a PostgreSQL database, in a transaction that cannot write.

DuckDB would have to fetch an extension for these while it runs.
"""

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import Rows, columns_of, did_you_mean, plain_rows, warn_empty

if TYPE_CHECKING:
    import psycopg

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_TIMEOUT_S: Final = 15


def read_postgres(
    address: str, place: str, table: str, query: str, problems: Problems
) -> Rows | None:
    """Return the rows of a table, a view or a query, or None after an error.

    No message has a word of what came from the environment, nor a password.
    """
    try:
        import psycopg
    except ImportError:
        advice = "Install it: pip install 'cellbank[postgres]'"
        problems.error(place, "needs psycopg, which is not installed", advice)
        return None
    filled = _filled(address, os.environ, place, problems)
    if filled is None:
        return None
    try:
        known = psycopg.conninfo.conninfo_to_dict(filled)
    except psycopg.Error:
        # Its words would show the address.
        advice = "Write postgresql://USER:${PASSWORD}@HOST:PORT/DATABASE."
        problems.error(place, "`postgres` is not an address of a database", advice)
        return None
    try:
        settings: dict[str, Any] = {"connect_timeout": _TIMEOUT_S} | known
        with psycopg.connect(**settings) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            columns, rows = _selected(connection, table, query)
    except psycopg.Error as error:
        _went_wrong(error, _secrets(address, known), place, table, problems)
        return None
    except _NoTable as error:
        advice = did_you_mean(table, error.args[0], "Look at the tables of the database.")
        problems.error(place, f"has no table {table!r}", advice)
        return None
    if not rows:
        warn_empty(place, problems)
    return Rows(place, columns_of(place, columns, None, problems), plain_rows(rows), 1)


class _NoTable(Exception):
    pass


def _filled(
    address: str, environment: Mapping[str, str], place: str, problems: Problems
) -> str | None:
    """Return the address with the values of ${NAME}, or None where one is not set."""
    whole = _VARIABLE.fullmatch(address.strip())
    missing = [name for name in _VARIABLE.findall(address) if name not in environment]
    for name in missing:
        problems.error(
            place, f"the environment has no {name}", f"Set it: export {name}=…", column="postgres"
        )
    if missing:
        return None

    def value(found: re.Match[str]) -> str:
        text = environment[found[1]]
        if whole:
            return text
        if "://" in address:
            return quote(text, safe="")
        return text.replace("\\", "\\\\").replace("'", "\\'")

    # The form that SQLAlchemy wants is accepted, too.
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", _VARIABLE.sub(value, address).strip())


def _secrets(address: str, known: Mapping[str, Any]) -> list[str]:
    values = [os.environ[name] for name in _VARIABLE.findall(address) if name in os.environ]
    values += [str(known[key]) for key in ("password", "sslpassword") if known.get(key)]
    return sorted({v for value in values for v in (value, quote(value, safe="")) if v}, key=len)


def _selected(
    connection: "psycopg.Connection[Any]", table: str, query: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    from psycopg import ProgrammingError, errors, sql

    if query:
        # Prepared, it can only be one statement: nothing after a `;` leaves the transaction.
        cursor = connection.execute(query.strip().rstrip(";").encode(), prepare=True)
    else:
        name = sql.Identifier(*table.split("."))
        try:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(name))
        except errors.UndefinedTable:
            connection.rollback()
            raise _NoTable(_tables(connection)) from None
    if cursor.description is None:
        raise ProgrammingError("the query gives no rows")
    return [column.name for column in cursor.description], cursor.fetchall()


def _tables(connection: "psycopg.Connection[Any]") -> list[str]:
    found = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return [name if schema == "public" else f"{schema}.{name}" for schema, name in found]


def _went_wrong(
    error: "psycopg.Error", secrets: list[str], place: str, table: str, problems: Problems
) -> None:
    from psycopg import OperationalError

    reason = " ".join(str(error).split()) or type(error).__name__
    for secret in reversed(secrets):
        reason = reason.replace(secret, "***")
    if isinstance(error, OperationalError):
        advice = "Check the address, the user, the password, and that the database runs."
    else:
        advice = f"Check the table {table}." if table else "Mend the query: one SELECT."
    problems.error(place, f"cannot be read: {reason}", advice)
