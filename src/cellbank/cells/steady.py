"""What in a condition may give something else another day: a subset asks it again."""

from collections.abc import Iterator
from typing import Any, Final

from cellbank.cells.computing import called, nodes_in

NOW: Final = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
"""Names without parentheses that DuckDB takes for the time."""
SAMPLE: Final = "a sample"
NOWHERE: Final = 2**64 - 1
"""What DuckDB gives as the place of something that nobody wrote."""
_MORE: Final = {"ago", "current_localtime", "current_localtimestamp", "version"}
"""Functions that DuckDB takes for steady, and that are not."""


def unsteady_in(tree: Any, database: Any) -> Iterator[tuple[str, int, int]]:
    """Yield what may give something else the next time, and where, in bytes; in subqueries, too.

    Parameters
    ----------
    tree
        An expression, as DuckDB parses it.
    database
        A DuckDB, which knows its functions.

    Yields
    ------
    tuple[str, int, int]
        A name, where it begins and where it ends.
    """
    asked = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    functions = {row[0] for row in database.execute(asked).fetchall()} | _MORE
    for node in nodes_in(tree):
        name = called(node) or _named(node)
        # With one argument it is the time from then to now.
        since = name == "age" and len(node.get("arguments", ())) == 1
        if since or name in functions or name.lower() in NOW:
            start = int(node.get("query_location", NOWHERE))
            yield name, start, start + len(name)
        if node.get("sample"):
            yield SAMPLE, NOWHERE, NOWHERE


def _named(node: dict[str, Any]) -> str:
    """Return the bare name that could be one for the time, if it is."""
    names: list[str] = node["column_names"] if node.get("class") == "COLUMN_REF" else []
    return names[0] if len(names) == 1 and names[0].lower() in NOW else ""
