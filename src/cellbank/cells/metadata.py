"""Metadata tables: one Parquet file a kind, derived from the records, typed, lists as lists."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank.cells import pieces_table
from cellbank.cells.duck import opened
from cellbank.cells.kinds import KINDS, relations_of
from cellbank.cells.values import Spec, iso_date
from cellbank.storage import disk

SQL_TYPES: Final = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
}
WRITE_BYTES: Final = 1 << 20
LINE_BYTES: Final = 1 << 20
"""One record, if none is longer: a cell line with 100,000 fields of view has 5 MB. DuckDB takes
twice as much memory at once."""
STALE_SECONDS: Final = 7 * 24 * 3600
"""No package is a week in the making."""

_encoder: Final = msgspec.json.Encoder()


def sql_type(spec: Spec) -> str:
    """Return the type of a column."""
    if spec.fields:
        inner = ", ".join(f"{quoted(field.name)} {sql_type(field)}" for field in spec.fields)
        return f"STRUCT({inner})[]"
    if spec.is_list:
        return f"{SQL_TYPES.get(spec.type[5:-1], 'VARCHAR')}[]"
    return SQL_TYPES[spec.type]


def quoted(name: str) -> str:
    """Return a name as SQL spells it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as SQL spells it."""
    return "'" + value.replace("'", "''") + "'"


def columns_of(kind: str, specs: Sequence[Spec]) -> dict[str, str]:
    """Return the columns of the table of a kind: name → SQL type."""
    columns = {"id": "VARCHAR"} | {spec.name: sql_type(spec) for spec in specs}
    columns |= dict.fromkeys(relations_of(kind), "VARCHAR[]")
    if KINDS[kind].image:
        columns |= {"path": "VARCHAR", "digest": "VARCHAR", "size": "BIGINT"}
    return columns


class Lines:
    """The records of one kind, a line of JSON each, in a file that ends with the build."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.longest = LINE_BYTES
        self._descriptor = disk.create(path)
        self._waiting: list[bytes] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a record."""
        line = _encoder.encode(row)
        self._waiting.append(line)
        self._bytes += len(line)
        self.longest = max(self.longest, len(line) + 1)
        if self._bytes > WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            disk.write(self._descriptor, b"\n".join([*self._waiting, b""]), self.path)
        self._waiting, self._bytes = [], 0

    def close(self) -> None:
        """Close the file; what waits is no longer wanted."""
        os.close(self._descriptor)


class Tables:
    """The metadata tables of one package, in the making.

    Parameters
    ----------
    folder
        Where temporary files may lie; it is made, and removed by `close`.
    specs
        Kind → the specifications of its attributes.
    database
        A DuckDB (`connect`); to open one costs as much as to write three tables.
    """

    def __init__(self, folder: str, specs: Mapping[str, Sequence[Spec]], database: Any) -> None:
        _remove_stale(str(Path(folder).parent))
        disk.make_folders(folder)
        self._database = database
        self._folder = folder
        self._specs = specs
        self._lines: dict[str, Lines] = {}
        try:
            for kind in specs:
                self._lines[kind] = Lines(f"{folder}/{kind}.json")
        except BaseException:
            self.close()
            raise
        self._dates = {
            kind: [spec for spec in specs[kind] if spec.type == "date"] for kind in specs
        }
        self._dated = {
            kind: [s for s in specs[kind] if any(f.type == "date" for f in s.fields)]
            for kind in specs
        }

    def add(self, kind: str, name: str, info: Mapping[str, Any], image: Sequence[Any]) -> None:
        """Add a record: its id, its `info`, and path, digest and size of its image, if any."""
        row = {"id": name, **info}
        for spec in self._dates[kind]:
            if row[spec.name] is not None:
                row[spec.name] = iso_date(row[spec.name], spec.format)
        for spec in self._dated[kind]:
            row[spec.name] = [_dated(item, spec) for item in row[spec.name]]
        if image:
            row["path"], row["digest"], row["size"] = image
        self._lines[kind].add(row)

    def write(self) -> dict[str, bytes]:
        """Return group → the bytes of its Parquet file; and a table of the pieces of large ones."""
        made = {
            KINDS[kind].group: self._copied(kind, lines, columns_of(kind, self._specs[kind]))
            for kind, lines in self._lines.items()
        }
        return made | pieces_of(made, self._folder, self._database)

    def _copied(self, kind: str, lines: Lines, columns: Mapping[str, str]) -> bytes:
        lines.flush()
        source = f"SELECT * FROM {json_lines(lines, columns)}"  # noqa: S608  ours, or quoted
        return as_parquet(source, f"{self._folder}/{kind}.parquet", self._database)

    def rows_of(self, kind: str) -> str:
        """Return the SQL that gives the records of a kind, as they are so far."""
        lines = self._lines[kind]
        lines.flush()
        return json_lines(lines, columns_of(kind, self._specs[kind]))

    @property
    def spill(self) -> str:
        """A folder for what of the work on these tables does not fit in memory."""
        return f"{self._folder}/spill"

    def close(self) -> None:
        """Remove the temporary files."""
        for lines in self._lines.values():
            lines.close()
        disk.remove_tree(self._folder)


def as_parquet(rows: str, target: str, database: Any) -> bytes:
    """Return what a SELECT gives as a Parquet file; it lies at `target`, which is ours."""
    form = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
    database.execute(f"COPY ({rows}) TO {text(target)} ({form})")
    return Path(target).read_bytes()


def pieces_of(made: Mapping[str, bytes], folder: str, database: Any) -> dict[str, bytes]:
    """Return the table of the pieces of these tables, where any is large."""
    rows = pieces_table.rows_of(made)
    if not rows:
        return {}
    lines = Lines(f"{folder}/pieces.json")
    try:
        for row in rows:
            lines.add(row)
        lines.flush()
        source = f"SELECT * FROM {json_lines(lines, pieces_table.COLUMNS)}"  # noqa: S608  ours
        return {pieces_table.KIND: as_parquet(source, f"{folder}/pieces.parquet", database)}
    finally:
        lines.close()


def _remove_stale(folder: str) -> None:
    """Remove the temporary files that builds left here which were killed long ago."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for left in found:
            if time.time() - left.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
                disk.remove_tree(left.path)


def _dated(item: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """Return a struct with its dates as tables have them."""
    made = dict(item)
    for field in spec.fields:
        if field.type == "date" and made[field.name] is not None:
            made[field.name] = iso_date(made[field.name], field.format)
    return made


def connect(spill: str) -> AbstractContextManager[Any]:
    """Return a DuckDB that writes the same files from the same rows, wherever these come from.

    `spill` is the folder for what does not fit in memory.
    """
    return opened(
        spill,
        threads=1,
        preserve_insertion_order=True,
        memory_limit="512MB",
        # Else columns of another table that have no gap would be written as such that cannot.
        disabled_optimizers="statistics_propagation",
    )


def json_lines(lines: Lines, columns: Mapping[str, str]) -> str:
    """Return the SQL that reads a file of JSON lines with these columns."""
    typed = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in columns.items())
    return (
        f"read_json({text(lines.path)}, format='newline_delimited', columns={{{typed}}}, "
        f"maximum_object_size={lines.longest})"
    )


def writer_name() -> str:
    """Return the program that writes the tables, for the log."""
    from importlib.metadata import version

    return f"duckdb {version('duckdb')}"


def specs_of(given: Iterable[Any]) -> list[Spec]:
    """Return the specifications of attributes."""
    return [one.spec for one in given]
