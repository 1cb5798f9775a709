"""The table of pieces: digests of parts of large metadata tables, so that a part can be checked.

The log names a table by one digest of all its bytes. Who asks one column of a large one over a
network would have to fetch all of it to check anything. This table, one more of the revision, has
the digests of the consecutive parts of the others; its own digest stands in the log.
"""

from collections.abc import Mapping
from typing import Any, Final

from cellbank.cells.duck import duckdb_library
from cellbank.model.digest import digest_of

KIND: Final = "pieces"
COLUMNS: Final = {
    "kind": "VARCHAR",
    "digest": "VARCHAR",
    "length": "BIGINT",
    "pieces": "VARCHAR[]",
}
LENGTH: Final = 64 << 10
"""Long enough that the digests are a two-thousandth of the table; short beside a column's part."""
LISTED_ABOVE: Final = 2 << 20
"""A smaller table is fetched whole."""
_SHORTEST: Final = 4 << 10
_LONGEST: Final = 1 << 20
_SOUND: Final = f"length BETWEEN {_SHORTEST} AND {_LONGEST} AND len(pieces) <= {1 << 20}"
"""Of shorter pieces there would be requests without end; longer ones would fill the memory."""
_MOST: Final = 100
"""There is a row a kind."""


def rows_of(made: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return a row for each of the tables that is large: its digest, and those of its pieces."""
    return [
        {
            "kind": group,
            "digest": digest_of(data),
            "length": LENGTH,
            "pieces": [
                digest_of(memoryview(data)[at : at + LENGTH]) for at in range(0, len(data), LENGTH)
            ],
        }
        for group, data in sorted(made.items())
        if len(data) > LISTED_ABOVE
    ]


def pieces_in(database: Any, path: str) -> dict[str, tuple[str, int, list[str]]]:
    """Return what a file with this table says: group → digest, length of pieces, their digests.

    Somebody pushed it. What in it is none of that is left out: those tables are fetched whole.
    """
    duckdb = duckdb_library()

    asked = f"SELECT kind, digest, length, pieces FROM read_parquet(?) WHERE {_SOUND} LIMIT {_MOST}"  # noqa: S608  ours
    try:
        rows = database.execute(asked, [path]).fetchall()
    except duckdb.Error:
        return {}
    return {
        kind: (digest, length, pieces)
        for kind, digest, length, pieces in rows
        if isinstance(length, int)
        and isinstance(pieces, list)
        and all(isinstance(one, str) for one in (kind, digest, *pieces))
    }
