"""Tables in Parquet files, through a DuckDB that can open nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cellbank.cells.duck import opened
from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import Rows, columns_of, plain_rows, warn_empty, warn_nameless

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WITH_ZONE: Final = "TIMESTAMP WITH TIME ZONE"


def read_parquet(path: str, place: str, problems: Problems) -> Rows | None:
    """Return the rows of a Parquet file, typed as they are in it, or None after an error."""
    import duckdb

    if set(path) & set("*?[]"):
        problems.error(place, "has one of * ? [ ] in its path", "Rename the file or its folder.")
        return None
    try:
        names, rows = _parquet(path)
    except (duckdb.Error, ValueError, OverflowError) as error:
        problems.error(
            place,
            f"cannot be read as Parquet: {str(error).splitlines()[0]}",
            "Check that it is a whole Parquet file; write it anew.",
        )
        return None
    if not rows:
        warn_empty(place, problems)
    warn_nameless(place, names, rows, 1, problems)
    return Rows(place, columns_of(place, names, None, problems), rows, 1)


def _parquet(path: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    quoted = path.replace("'", "''")
    with opened(threads=2) as database:
        # Nothing but this file can be opened from here on.
        database.execute(f"SET allowed_paths = ['{quoted}']")
        database.execute("SET enable_external_access = false")
        table = f"read_parquet('{quoted}', hive_partitioning = false)"
        types = [str(c[1]) for c in database.execute(f"SELECT * FROM {table} LIMIT 0").description]  # noqa: S608
        alias = [f"c{i}" for i in range(len(types))]
        # DuckDB would want another library for times with a zone; numbers need none.
        wanted = [
            f"epoch_us({name})" if kind == _WITH_ZONE else name
            for name, kind in zip(alias, types, strict=True)
        ]
        rows = database.execute(
            f"SELECT {', '.join(wanted)} FROM {table} AS t({', '.join(alias)})"  # noqa: S608
        ).fetchall()
        # DuckDB takes `a` and `A` for one name and changes it; the file itself does not.
        names = _top_names(
            database.execute(
                f"SELECT name, num_children FROM parquet_schema('{quoted}')"  # noqa: S608
            ).fetchall()
        )
    zoned = [i for i, kind in enumerate(types) if kind == _WITH_ZONE]
    return names, plain_rows(_with_times(rows, zoned) if zoned else rows)


def _top_names(schema: list[tuple[Any, ...]]) -> list[str]:
    """Return the columns of a Parquet schema, which is a tree written from its root down."""
    names = []
    index = 1
    while index < len(schema):
        names.append(str(schema[index][0]))
        open_nodes = 1
        while open_nodes:
            open_nodes += (schema[index][1] or 0) - 1
            index += 1
    return names


def _with_times(rows: list[tuple[Any, ...]], zoned: list[int]) -> list[tuple[Any, ...]]:
    made = []
    for row in rows:
        values = list(row)
        for index in zoned:
            if values[index] is not None:
                values[index] = _EPOCH + timedelta(microseconds=values[index])
        made.append(tuple(values))
    return made
