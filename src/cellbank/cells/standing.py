"""What stands in a package's records now, column by column, and the table with some of it changed.

It is read from the metadata table of the kind where that is here: no document is opened for it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from cellbank.cells.declared import declared
from cellbank.cells.described import document_of, schema_of
from cellbank.cells.documents import image_path, info_path
from cellbank.cells.kinds import GROUPS, relations_of
from cellbank.cells.metadata import (
    Lines,
    Tables,
    as_parquet,
    connect,
    json_lines,
    pieces_of,
    quoted,
    text,
)
from cellbank.packages.nodes import DataNode, View
from cellbank.storage import disk

Row = dict[str, Any]


@contextmanager
def workplace(view: View) -> Iterator["Workplace"]:
    """Give a place to work on the metadata tables of a package; it is gone with the block."""
    folder = view.store.files.path(f"caches/tables/{disk.random_name(view.package.owner)}")
    disk.make_folders(folder)
    try:
        with connect(f"{folder}/spill") as database:
            yield Workplace(view, folder, database)
    finally:
        disk.remove_tree(folder)


class Workplace:
    """The metadata tables of a package, opened.

    Parameters
    ----------
    view
        The revision.
    folder
        For temporary files.
    database
        A DuckDB (`metadata.connect`).
    """

    def __init__(self, view: View, folder: str, database: Any) -> None:
        self.view = view
        self._folder = folder
        self._database = database
        self._standing: dict[str, Standing] = {}

    def of(self, group: str) -> "Standing":
        """Return what stands in the records of a group."""
        if group not in self._standing:
            file = _file_of(self.view, group) or self._from_documents(group)
            self._standing[group] = Standing(group, file, self._folder, self._database)
        return self._standing[group]

    def pieces(self, made: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the table of the pieces of these tables, where any is large."""
        return pieces_of(made, self._folder, self._database)

    def _from_documents(self, group: str) -> str:
        """Return a table that is made of the documents, where there is none."""
        view, kind = self.view, GROUPS[group].name
        specs = declared(schema_of(view), kind)
        tables = Tables(f"{self._folder}/{group}", {kind: [*specs.values()]}, self._database)
        try:
            for name in sorted(_records_of(view, group)):
                info = document_of(DataNode(view, info_path(kind, name)))
                known = [*specs, *relations_of(kind)]
                entry = view.reader.find(image_path(kind, name))
                image = (entry.path, entry.digest, entry.size) if entry else ()
                tables.add(kind, name, {one: info.get(one) for one in known}, image)
            data = tables.write()[group]
        finally:
            tables.close()
        path = f"{self._folder}/{group}.made"
        disk.write_cache(path, data)
        return path


def _file_of(view: View, group: str) -> str | None:
    known = view.store.tables(view.package, view.revision).get(group)
    return None if known is None else view.store.file_of(view.package, known)


def _records_of(view: View, group: str) -> Iterable[str]:
    kind = GROUPS[group].name
    groups = view.reader.children(group)[0]
    return (name for name in groups if view.reader.find(info_path(kind, name)) is not None)


class Standing:
    """What stands in the records of one group: values as tables have them, days as ISO texts.

    Parameters
    ----------
    group
        Such as `fovs`.
    file
        Its Parquet file.
    folder
        For temporary files.
    database
        A DuckDB.
    """

    def __init__(self, group: str, file: str, folder: str, database: Any) -> None:
        self._group = group
        self._file = file
        self._source = f"read_parquet({text(file)})"
        self._folder = folder
        self._database = database
        # Names are those of our own columns, and quoted; the path is that of our own file.
        rows = database.execute(f"DESCRIBE SELECT * FROM {self._source}").fetchall()  # noqa: S608
        self.types: dict[str, str] = {row[0]: row[1] for row in rows}
        self._kept: dict[str, list[Any]] = {}

    def data(self) -> bytes:
        """Return the Parquet file."""
        return Path(self._file).read_bytes()

    @property
    def ids(self) -> list[str]:
        """The ids of all records, sorted."""
        return self.column("id")

    def column(self, name: str) -> list[Any]:
        """Return the values of a column, in the order of `ids`; None for one that is not there."""
        if name not in self._kept:
            if name not in self.types:
                return [None] * len(self.ids)
            asked = f"SELECT {quoted(name)} FROM {self._source} ORDER BY id"  # noqa: S608
            self._kept[name] = [_told(row[0]) for row in self._database.execute(asked).fetchall()]
        return self._kept[name]

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in `ids` each record stands."""
        return {one: at for at, one in enumerate(self.ids)}

    def value(self, one: str, name: str) -> Any:
        """Return one value of one record."""
        return self.column(name)[self.places[one]]

    def listing(self, name: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the records whose list `name` has any of these ids: id → the list."""
        if name not in self.types:
            return {}
        wanted = set(ids)
        pairs = zip(self.ids, self.column(name), strict=True)
        return {one: listed for one, listed in pairs if listed and not wanted.isdisjoint(listed)}

    def rewritten(self, changed: Mapping[str, Row], removed: Iterable[str]) -> bytes:
        """Return the Parquet file with rows changed: id → column → value; and without some."""
        names = list(dict.fromkeys(name for row in changed.values() for name in row))
        names = [name for name in self.types if name in names]
        lines = Lines(f"{self._folder}/{self._group}.changed")
        try:
            for one, row in changed.items():
                was = {name: self.value(one, name) for name in names if name not in row}
                lines.add({"id": one, "__changed": True, **was, **row})
            lines.flush()
            return self._copied(names, lines, [*removed])
        finally:
            lines.close()

    def _copied(self, names: Sequence[str], lines: Lines, removed: Sequence[str]) -> bytes:
        types = {name: self.types[name] for name in ("id", *names)} | {"__changed": "BOOLEAN"}
        shown = ", ".join(
            _either(quoted(name)) if name in names else f"t.{quoted(name)}" for name in self.types
        )
        gone = ", ".join(map(text, removed)) or "NULL"
        target = f"{self._folder}/{self._group}.parquet"
        changed = json_lines(lines, types)
        left = "" if not removed else f"WHERE t.id NOT IN ({gone}) "
        asked = f"SELECT {shown} FROM {self._source} t LEFT JOIN {changed} c USING (id) "  # noqa: S608
        return as_parquet(f"{asked}{left}ORDER BY t.id", target, self._database)


def _either(name: str) -> str:
    return f"CASE WHEN c.__changed THEN c.{name} ELSE t.{name} END AS {name}"


def _told(value: Any) -> Any:
    """Return a value of DuckDB as JSON lines have it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return [_told(item) for item in value]
    if isinstance(value, dict):
        return {name: _told(item) for name, item in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value
