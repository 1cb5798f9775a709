"""All records of a kind as a table of pandas or polars, a row a record."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import msgspec

from cellbank.cells.described import Described, described, document_of
from cellbank.cells.documents import image_path, info_path
from cellbank.cells.duck import opened
from cellbank.cells.info import Info
from cellbank.cells.kinds import GROUPS, KINDS, relations_of
from cellbank.cells.metadata import quoted, text
from cellbank.cells.presence import records_here
from cellbank.model.errors import AttributeNotFound, BadInput
from cellbank.model.names import near
from cellbank.packages.nodes import DataNode, GroupNode, View

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]
    import polars

_SQL_TYPES: Final = {
    "bigint": "integer",
    "double": "number",
    "boolean": "boolean",
    "date": "date",
    "varchar": "string",
}
_PANDAS: Final = {
    "integer": "Int64",
    "number": "float64",
    "boolean": "boolean",
    "date": "datetime64[s]",
    "string": "string",
}
"""Types that have a place for what is not known: a passage stays a whole number."""


class Column(msgspec.Struct):
    """A column: its type as recipes name it, and a value a record; None is not known."""

    type: Described
    values: list[Any]


@overload
def table(
    node: GroupNode,
    kind: str | None = None,
    *,
    as_: Literal["pandas"] = "pandas",
    columns: Sequence[str] | None = None,
) -> "pandas.DataFrame": ...
@overload
def table(
    node: GroupNode,
    kind: str | None = None,
    *,
    as_: Literal["polars"],
    columns: Sequence[str] | None = None,
) -> "polars.DataFrame": ...
def table(
    node: GroupNode,
    kind: str | None = None,
    *,
    as_: str = "pandas",
    columns: Sequence[str] | None = None,
) -> Any:
    """Return the records of a kind as a table, a row a record, sorted by id.

    It is read from the package's metadata table, where that is here, else from the documents: what
    is in it is the same. Of a package of which a part was installed, it has the records of that
    part; `frame.attrs["missing"]` (pandas) is how many records of the package are not here.

    Parameters
    ----------
    node
        A group of records, such as `package.fovs`; or a package, with `kind`.
    kind
        The group or the kind, such as `fovs` or `fov`.
    as_
        `pandas` or `polars`.
    columns
        Names of columns; default: all. These are the attributes, the relation lists and, of kinds
        with images, `path`, `digest` and `size` of the image.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        Ids are the index (pandas), or the column `id` (polars). Integers stay integers where some
        are not known, dates are dates, lists and structs stay what they are.

    Raises
    ------
    BadInput
        The node has no records of this kind, or pandas or polars is not installed.
    AttributeNotFound
        There is no such column; names that are near are told.

    Examples
    --------
    >>> import cellbank.cells
    >>> fovs = cellbank.cells.table(package.fovs)  # doctest: +SKIP
    >>> fovs[fovs.cell_viability > 98].passage.mean()  # doctest: +SKIP
    """
    if as_ not in ("pandas", "polars"):
        raise BadInput(f"no table of {as_!r:.60} can be made", "Say as_='pandas' or as_='polars'.")
    view, group = _group(node, kind)
    if isinstance(columns, str):
        columns = [columns]
    try:
        return _read(view, group, as_, columns)
    except ModuleNotFoundError as missing:
        name = missing.name or as_
        install = "'cellbank[cells]'" if name == "duckdb" else name
        advice = f"Install it: pip install {install}"
        raise BadInput(f"{name} is not installed", advice) from None


def _group(node: Any, kind: str | None) -> tuple[View, str]:
    if not isinstance(node, GroupNode):
        raise BadInput(f"{node!r:.60} is no group of records", "Give one, such as package.fovs.")
    path = node._path
    group = KINDS[kind].group if kind in KINDS else kind
    there = [name for name in GroupNode(node._view, "")._group_keys() if name in GROUPS]
    if path:
        if path not in GROUPS or group not in (None, path):
            advice = f"Give one of: {', '.join(f'package.{name}' for name in there)}"
            raise BadInput(f"{node._view.label}/{path} is no group of {kind or 'records'}", advice)
        return node._view, path
    if group is None or group not in there:
        close = near(group or "", there)
        advice = f"Did you mean {close[0]}?" if close else f"It has: {', '.join(there) or 'none'}."
        what = f"no records {kind!r:.60}" if kind else "several kinds of records"
        raise BadInput(f"{node._view.label} has {what}", advice)
    return node._view, group


def _read(view: View, group: str, as_: str, columns: Sequence[str] | None) -> Any:
    file = _table_file(view, group)
    if as_ == "polars":
        return _polars(view, group, file, columns)
    if file is None:
        found = _from_documents(view, GROUPS[group].name)
        chosen = {name: found[name] for name in _chosen(found, columns, group)}
        frame = _pandas(found["id"].values, chosen)
        frame.attrs["missing"] = len(view.whole.children(group)[0]) - len(frame)
        return frame
    ids, found = _from_parquet(file, group, columns)
    here = _here(view, group, ids)
    kept = [at for at, name in enumerate(ids) if name in here]
    for column in found.values():
        column.values = [column.values[at] for at in kept]
    frame = _pandas([ids[at] for at in kept], found)
    frame.attrs["missing"] = len(ids) - len(frame)
    return frame


def _table_file(view: View, group: str) -> str | None:
    """Return the Parquet file of a kind, or None where it is not here."""
    return view.table_file(group)


def _here(view: View, group: str, ids: Iterable[str]) -> set[str]:
    return set(records_here(view, GROUPS[group].name, ids))


def _chosen(found: Iterable[str], columns: Sequence[str] | None, group: str) -> list[str]:
    names = [name for name in found if name != "id"]
    if columns is None:
        return names
    for name in columns:
        if name not in ("id", *names):
            advice = f"It has: {', '.join(names)}."
            raise AttributeNotFound(f"the table of {group}", str(name), near(name, names), advice)
    return [name for name in columns if name != "id"]


# --- from the metadata table


def _from_parquet(
    file: str, group: str, columns: Sequence[str] | None
) -> tuple[list[str], dict[str, Column]]:
    # The path is that of our own file, and quoted; names are those of its columns.
    source = f"read_parquet({text(file)})"
    with opened() as database:
        there = database.sql(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608
        names = ["id", *_chosen(there.columns, columns, group)]
        shown = ", ".join(map(quoted, names))
        read = database.sql(f"SELECT {shown} FROM {source} ORDER BY id")  # noqa: S608
        types = [Described(_SQL_TYPES.get(kind.id, "")) for kind in read.types]
        rows = read.fetchall()
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    pairs = zip(types, values, strict=True)
    found = dict(zip(names, (Column(*pair) for pair in pairs), strict=True))
    return found.pop("id").values, found


# --- from the documents


def _from_documents(view: View, kind: str) -> dict[str, Column]:
    """Return the columns as the metadata table has them, made of the documents that are here."""
    group = KINDS[kind].group
    ids = sorted(records_here(view, kind, view.children(group)[0]))
    types = {
        **described(view, kind),
        **dict.fromkeys(relations_of(kind), Described("list[string]")),
    }
    infos = [Info(document_of(DataNode(view, info_path(kind, one))), types) for one in ids]
    names = list(dict.fromkeys(name for info in infos for name in info if name != "id"))
    found = {"id": Column(Described("string"), ids)}
    for name in names or [*types]:
        values = [_plain(info[name]) if name in info else None for info in infos]
        found[name] = Column(types.get(name, Described()), values)
    if KINDS[kind].image:
        found |= _image_columns(view, kind, ids)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Info):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _image_columns(view: View, kind: str, ids: Sequence[str]) -> dict[str, Column]:
    entries = [view.reader.find(image_path(kind, one)) for one in ids]
    return {
        name: Column(Described(form), [entry and getattr(entry, name) for entry in entries])
        for name, form in (("path", "string"), ("digest", "string"), ("size", "integer"))
    }


# --- as frames


def _pandas(ids: Sequence[str], columns: Mapping[str, Column]) -> Any:
    import pandas

    index = pandas.Index(list(ids), name="id", dtype=object if not ids else None)
    made = {}
    for name, column in columns.items():
        try:
            made[name] = pandas.Series(
                column.values, index, dtype=_PANDAS.get(column.type.type, "object")
            )
        except (TypeError, ValueError, OverflowError):
            # A document has something else than it should.
            made[name] = pandas.Series(column.values, index, dtype="object")
    return pandas.DataFrame(made, index=index)


def _polars(view: View, group: str, file: str | None, columns: Sequence[str] | None) -> Any:
    import polars

    if file is not None:
        there = list(polars.read_parquet_schema(file))
        names = ["id", *_chosen(there, columns, group)]
        frame = polars.read_parquet(file, columns=names, glob=False).select(names).sort("id")
        here = _here(view, group, frame["id"].to_list())
        if len(here) < len(frame):
            frame = frame.filter(polars.col("id").is_in(list(here)))
        return frame
    found = _from_documents(view, GROUPS[group].name)
    names = ["id", *_chosen(found, columns, group)]
    return polars.DataFrame([_polars_column(name, found[name]) for name in names])


def _polars_column(name: str, column: Column) -> Any:
    import polars

    try:
        return polars.Series(name, column.values, _polars_type(column.type))
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
        # A document has something else than it should: what it has is told as text.
        texts = [None if value is None else str(value) for value in column.values]
        return polars.Series(name, texts, polars.String)


def _polars_type(said: Described) -> Any:
    import polars

    known = {
        "integer": polars.Int64,
        "number": polars.Float64,
        "boolean": polars.Boolean,
        "date": polars.Date,
        "string": polars.String,
    }
    if said.fields:
        fields = [polars.Field(name, _polars_type(field)) for name, field in said.fields.items()]
        return polars.List(polars.Struct(fields))
    if said.type.startswith("list["):
        return polars.List(known.get(said.type[5:-1], polars.String))
    return known.get(said.type)
