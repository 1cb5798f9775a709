"""A lab's tables, wherever they are: files of a folder or databases, read whole and as they are.

Values keep the type that the place gives them (text in CSV); what they mean is for others to say.
"""

import re
from pathlib import PurePath
from typing import Final

from cellbank.cells import recipe
from cellbank.cells.folder import find_file
from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import Rows

FORMATS: Final = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
"""What the end of a file's name says that it is."""

_SELECT = re.compile(
    r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL
)


def format_of(table: recipe.Table) -> str:
    """Return the format of a table: named, or told by the end of its file's name, or empty."""
    if table.postgres:
        return "postgres"
    return table.format or FORMATS.get(PurePath(table.file).suffix.lower(), "")


def place_of(table: recipe.Table) -> str:
    """Return how a table is shown: `wells.csv`, `all.sqlite:wells`, `postgres:wells`."""
    part = table.sheet or table.table or ("query" if table.query else "")
    where = "postgres" if table.postgres else table.file
    return f"{where}:{part}" if part else where


def read_table(table: recipe.Table, root: str, problems: Problems) -> Rows | None:
    """Return the rows of a table, or None after an error that leaves none.

    `root` is the folder of the recipe: no table lies outside of it. `problems` gets all that is
    wrong, each with its row.
    """
    place, kind = place_of(table), format_of(table)
    if not _is_sound(table, place, kind, problems):
        return None
    if kind == "postgres":
        from cellbank.cells.table_postgres import read_postgres

        return read_postgres(table.postgres, place, table.table, table.query, problems)
    path = find_file(root, table.file, problems)
    if path is None:
        return None
    try:
        return _read_file(path, place, kind, table, problems)
    except ModuleNotFoundError as missing:
        advice = "Install it: pip install 'cellbank[cells]'"
        problems.error(place, f"needs {missing.name}, which is not installed", advice)
        return None
    except OSError as error:
        problems.error(
            place,
            f"cannot be read: {error.strerror or error}",
            "Mend the file or its permissions.",
        )
        return None


def _read_file(
    path: str, place: str, kind: str, table: recipe.Table, problems: Problems
) -> Rows | None:
    # Each library is imported where a table needs it.
    if kind == "parquet":
        from cellbank.cells.table_parquet import read_parquet

        return read_parquet(path, place, problems)
    if kind == "excel":
        from cellbank.cells.table_sheets import read_sheet

        return read_sheet(path, place, table.sheet, problems)
    if kind == "sqlite":
        from cellbank.cells.table_sqlite import read_sqlite

        return read_sqlite(path, place, table.table, table.query, problems)
    from cellbank.cells.table_text import read_text

    mark = table.delimiter or ("\t" if kind == "tsv" else "")
    return read_text(path, place, mark, table.encoding, problems)


def _is_sound(table: recipe.Table, place: str, kind: str, problems: Problems) -> bool:
    """Whether the recipe says enough, and no more, to read the table."""
    if bool(table.file) == bool(table.postgres):
        problems.error(place or "a table", "needs either `file` or `postgres`", "Name one.")
        return False
    if not kind:
        advice = f"Name its `format`: {', '.join(sorted(set(FORMATS.values())))}."
        problems.error(place, "is no format that its name tells", advice)
        return False
    if kind in ("sqlite", "postgres"):
        if bool(table.table) == bool(table.query):
            problems.error(place, "needs either `table` or `query`", "Name one.")
            return False
        if table.query and not _SELECT.match(table.query):
            problems.error(place, "`query` is not a SELECT", "Write one SELECT, or WITH … SELECT.")
            return False
    return True


__all__ = ["FORMATS", "Rows", "format_of", "place_of", "read_table"]
