"""What can be asked: attributes, types, units, coverage and examples, table by table."""

from typing import Any, Final

from cellbank.cells.kinds import GROUPS
from cellbank.cells.metadata import quoted
from cellbank.model.errors import IntegrityError, NotFound
from cellbank.questions import views
from cellbank.questions.condition import kind_asked
from cellbank.questions.engine import Engine
from cellbank.questions.kinds import Kind
from cellbank.questions.sources import Opened

EXAMPLES: Final = 3
COLUMNS: Final = ("table", "name", "type", "unit", "known", "examples", "description")
_TEXT: Final = Kind("VARCHAR", "varchar")
KINDS_OF_COLUMNS: Final = [_TEXT, _TEXT, _TEXT, _TEXT, Kind("DOUBLE", "double"), _TEXT, _TEXT]
_OURS: Final = {
    "package": "the package that the row is of",
    "id": "name of the record: the group in the package",
    "path": "path of the entry",
    "url": "address of its bytes",
    "digest": "BLAKE3-256 of its bytes",
    "size": "its bytes",
    "type": "extension of its file name",
    "filename": "its original file name",
    "meta": "its metadata",
}
_UNITS: Final = {"size": "bytes"}


def described(engine: Engine, kind: str) -> tuple[list[str], list[Kind], list[tuple[Any, ...]]]:
    """Return names, kinds and rows of a table that tells what can be asked.

    It has a row for each column of each table: what it holds, the share of rows in which it is
    known, and examples. What a SCHEMA says is taken from there, where it is of these rows: a part
    that became a package of its own has the SCHEMA of the whole. The rest is from the tables.
    """
    names = [kind_asked(engine, kind)] if kind else [*engine.groups, views.ENTRIES]
    said = _schemas(engine)
    rows: list[tuple[Any, ...]] = []
    for name in names:
        schema = said.get(GROUPS[name].schema, {}) if name in GROUPS else {}
        rows += _of_table(engine, name, schema if isinstance(schema, dict) else {})
    return list(COLUMNS), KINDS_OF_COLUMNS, rows


def _of_table(engine: Engine, name: str, schema: dict[str, Any]) -> list[tuple[Any, ...]]:
    columns = engine.columns(name)
    of_fields = _looked_at_fields(engine, name, schema)
    found = _looked_at(engine, name, columns, schema)
    rows = []
    for column, kind in columns.items():
        entry = schema.get(column)
        entry = entry if isinstance(entry, dict) else {}
        known, examples = found.get(column) or (entry.get("coverage"), _examples(entry))
        about = str(entry.get("description") or _OURS.get(column, ""))
        unit = str(entry.get("unit") or _UNITS.get(column, ""))
        rows.append((name, column, kind.name, unit, known, examples, about))
        rows += [
            (
                name,
                f"{column}.{field}",
                _type_of_field(kind, field),
                str(one.get("unit") or ""),
                *of_fields.get((column, field), (None, "")),
                str(one.get("description") or ""),
            )
            for field, one in _fields_said(entry, kind)
        ]
    return rows


def _fields_said(entry: dict[str, Any], kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """Return what a SCHEMA says of the fields of the structs that a column is a list of."""
    said = (entry.get("fields") or {}).items()
    return [(field, one) for field, one in said if isinstance(one, dict) and field in kind.fields]


def _type_of_field(kind: Kind, field: str) -> str:
    return dict(kind.parts[0][1].parts)[field].name


def _is_said(entry: Any) -> bool:
    return isinstance(entry, dict) and "coverage" in entry


def _examples(entry: dict[str, Any]) -> str:
    from cellbank.questions.formats import plain

    if values := entry.get("values"):
        shown = ", ".join(map(plain, values[:EXAMPLES]))
        return f"{shown}, …" if len(values) > EXAMPLES else shown
    if entry.get("minimum") is not None:
        return f"{plain(entry['minimum'])} … {plain(entry['maximum'])}"
    example = entry.get("example_value")
    return "" if example in (None, []) else plain(example)


def _looked_at(
    engine: Engine, name: str, columns: dict[str, Kind], schema: dict[str, Any]
) -> dict[str, tuple[float | None, str]]:
    """Return the share of rows in which a column is known, and an example, from the table.

    Columns that the SCHEMA tells of are left to it, if what it says is so. Tables that are read
    from afar are not read for that.
    """
    from cellbank.questions.formats import plain

    said = [column for column in columns if _is_said(schema.get(column))]
    far = engine.is_far(name)
    found = _in_table(engine, name, {c: k for c, k in columns.items() if not far or c not in said})
    if all(_is_so(schema[column], *found[column]) for column in said if not far):
        found = {column: found[column] for column in found if column not in said}
    return {
        column: (known, "" if least is None else plain(least))
        for column, (known, least, _) in found.items()
    }


def _is_so(entry: dict[str, Any], known: float | None, least: Any, most: Any) -> bool:
    """Whether what a SCHEMA says of a column is what its table has."""
    values = entry.get("values") or []
    if values and not isinstance(least, list) and (values[0], values[-1]) != (least, most):
        return False
    ends = ((entry.get("minimum"), least), (entry.get("maximum"), most))
    # Days stand there as texts, of a form of their own.
    numbers = [(said, there) for said, there in ends if isinstance(said, int | float)]
    return entry["coverage"] == (known or 0.0) and all(said == there for said, there in numbers)


def _in_table(
    engine: Engine, name: str, columns: dict[str, Kind]
) -> dict[str, tuple[float | None, Any, Any]]:
    """Return the share of rows in which each column is known, its least and its greatest value."""
    if not columns:
        return {}
    asked = []
    for column, kind in columns.items():
        has = f"len({quoted(column)}) > 0" if kind.id == "list" else f"{quoted(column)} IS NOT NULL"
        asked.append(f"avg(CASE WHEN {has} THEN 1.0 ELSE 0.0 END)")
        asked += [f"{end}({quoted(column)}) FILTER (WHERE {has})" for end in ("min", "max")]
    sql = f"SELECT {', '.join(asked)} FROM {name}"  # noqa: S608  names of our own
    _, rows = engine.rows(sql, f"--describe {name}")
    known = [None if share is None else round(share, 6) for share in rows[0][::3]]
    ends = zip(rows[0][1::3], rows[0][2::3], strict=True)
    return {column: (share, *end) for column, share, end in zip(columns, known, ends, strict=True)}


def _looked_at_fields(
    engine: Engine, name: str, schema: dict[str, Any]
) -> dict[tuple[str, str], tuple[float, str]]:
    """Return the share of rows in which a field is known in some struct, and an example of it."""
    from cellbank.questions.formats import plain

    fields = [
        (column, field)
        for column, kind in engine.columns(name).items()
        if isinstance(schema.get(column), dict)
        for field, _ in _fields_said(schema[column], kind)
    ]
    if not fields:
        return {}
    asked = []
    for column, field in fields:
        one = f"x.{quoted(field)}"
        known = f"[{one} for x in {quoted(column)} if {one} IS NOT NULL]"
        asked.append(f"avg(CASE WHEN len({known}) > 0 THEN 1.0 ELSE 0.0 END)")
        asked.append(f"min(list_min({known}))")
    sql = f"SELECT {', '.join(asked)} FROM {name}"  # noqa: S608  names of our own
    _, rows = engine.rows(sql, f"--describe {name}")
    found = rows[0]
    return {
        one: (
            round(found[2 * at] or 0.0, 6),
            "" if found[2 * at + 1] is None else plain(found[2 * at + 1]),
        )
        for at, one in enumerate(fields)
    }


def _schemas(engine: Engine) -> dict[str, Any]:
    """Return the SCHEMA of the first source that has one."""
    for one in engine.sources:
        found = _schema_of(one)
        if found:
            return found
    return {}


def _schema_of(one: Opened) -> dict[str, Any]:
    import json

    try:
        data = one.document("SCHEMA")
        found = json.loads(data) if data else {}
    except (ValueError, RecursionError, NotFound, IntegrityError):
        return {}
    return found if isinstance(found, dict) else {}
