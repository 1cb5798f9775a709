"""Records as their tables give them: key, id, attributes, what they belong to, their image."""

import re
from typing import Any, Final

import msgspec

from cellbank.cells.attributes import Given, given_attributes
from cellbank.cells.kinds import KINDS
from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Attribute, Link, Recipe, Record
from cellbank.cells.table_rows import Rows, did_you_mean
from cellbank.cells.values import Missing, Spec, convert, is_null, shown, struct

DEFAULT_ID: Final = {
    "line": "line_{%s}",
    "plate": "plate_{%s}",
    "well": "{%s}",
    "fov": "fov_{%s}",
    "cell_seg": "cell_{%s}",
    "nuclei_seg": "nuc_{%s}",
    "structure_seg": "struct_{%s}",
}
_HOLE: Final = re.compile(r"\{([^{}]+)\}")
_ODD: Final = re.compile(r"[^0-9A-Za-z_]")
MAX_ID_BYTES: Final = 255


class Found(msgspec.Struct, gc=False):
    """A record: its row, its values, and the ids of the records that it names as above it."""

    kind: str
    id: str
    key: str
    place: str
    row: int
    values: dict[str, Any]
    above: dict[str, list[str]]
    files: tuple[str, ...] = ()
    voxel: dict[str, float] = {}


class Kept(msgspec.Struct):
    """All records of a kind, by id, with the specifications of their attributes."""

    specs: list[Given]
    records: dict[str, Found]
    keys: dict[str, str]


Tables = dict[str, Rows]


def read_records(recipe: Recipe, tables: Tables, problems: Problems) -> dict[str, Kept]:
    """Return the records of every kind that the recipe has; all that is wrong is in `problems`."""
    found: dict[str, Kept] = {}
    for kind in KINDS:
        record: Record | None = getattr(recipe.records, kind)
        if record is None or record.table not in tables:
            continue
        found[kind] = Reader(kind, record, tables, found, problems).read()
    return found


class Reader:
    """Reads the records of one kind; those above it have been read before."""

    def __init__(
        self,
        kind: str,
        record: Record,
        tables: Tables,
        above: dict[str, Kept],
        problems: Problems,
    ) -> None:
        self._kind = kind
        self._record = record
        self._tables = tables
        self._table = tables[record.table]
        self._above = above
        self._problems = problems
        self._chosen = self._choose()
        self._specs = given_attributes(kind, record, self._table)

    def read(self) -> Kept:
        """Return the records, without those whose key or id cannot be used."""
        keys = self._keys()
        ids = self._ids()
        columns = {given.spec.name: self._values(given) for given in self._specs}
        links = {kind: self._links(kind) for kind in KINDS[self._kind].above}
        files, voxels = self._files(), self._voxels()
        kept = Kept(self._specs, {}, {})
        for at, index in enumerate(self._chosen):
            row = self._table.number(index)
            key, name = keys[at], ids[at]
            if key is None or name is None or not self._is_new(kept, key, name, row):
                continue
            found = Found(
                self._kind,
                name,
                key,
                self._table.place,
                row,
                {attribute: values[at] for attribute, values in columns.items()},
                {kind: above[at] for kind, above in links.items() if above},
                files[at],
                voxels[at],
            )
            kept.keys[key] = name
            kept.records[name] = found
        self._inherit(kept)
        return kept

    # --- which rows

    def _choose(self) -> list[int]:
        rows = self._table.rows
        chosen = range(len(rows))
        tests = []
        for column, value in self._record.where.items():
            at = self._column(column)
            if at is not None:
                tests.append((at, _plain(value)))
        return [i for i in chosen if all(_plain(rows[i][at]) == value for at, value in tests)]

    def _column(self, name: str, rows: Rows | None = None) -> int | None:
        """Return the index of a column; a problem names what is near where there is none."""
        table = rows or self._table
        if name in table.columns:
            return table.columns[name]
        self._problems.error(
            table.place,
            f"there is no column {name!r}, which the recipe names for {self._kind}",
            did_you_mean(name, table.columns, "Name another in the recipe."),
            column=name,
        )
        return None

    def _cells(self, name: str) -> list[Any] | None:
        at = self._column(name)
        if at is None:
            return None
        return [self._table.rows[index][at] for index in self._chosen]

    def _error(self, at: int, column: str, what: str, advice: str) -> None:
        self._problems.error(
            self._table.place,
            what,
            advice,
            row=self._table.number(self._chosen[at]),
            column=column,
        )

    # --- keys and ids

    def _keys(self) -> list[str | None]:
        cells = self._cells(self._record.key)
        if cells is None:
            return [None] * len(self._chosen)
        keys = [_text(cell) for cell in cells]
        for at, key in enumerate(keys):
            if key is None:
                self._error(at, self._record.key, "the key is empty", "Give the row a key.")
        return keys

    def _ids(self) -> list[str | None]:
        """Return the id of each row: the template filled in, odd characters made `_`."""
        template = self._record.id or DEFAULT_ID[self._kind] % self._record.key
        parts = _HOLE.split(template)
        filled: list[list[str | None]] = []
        for number, part in enumerate(parts):
            if number % 2 == 0:
                filled.append([part] * len(self._chosen))
                continue
            cells = self._cells(part) or [None] * len(self._chosen)
            filled.append([_text(cell) for cell in cells])
        ids: list[str | None] = []
        for at, pieces in enumerate(zip(*filled, strict=True)):
            ids.append(self._id(at, pieces, template))
        return ids

    def _id(self, at: int, pieces: tuple[str | None, ...], template: str) -> str | None:
        if None in pieces:
            return None
        name = _ODD.sub("_", "".join(str(piece) for piece in pieces))
        if not name.strip("_") or len(name) > MAX_ID_BYTES:
            self._error(
                at,
                self._record.key,
                f"{shown(name)} cannot be an id: it must have 1 to {MAX_ID_BYTES} characters",
                f"Change the template {template} in the recipe; ids are never cut.",
            )
            return None
        return name

    def _is_new(self, kept: Kept, key: str, name: str, row: int) -> bool:
        other = kept.records.get(kept.keys.get(key, ""))
        if other is not None:
            self._problems.error(
                self._table.place,
                f"the key {shown(key)} stands in row {other.row} already",
                "Keep one of the rows.",
                row=row,
                column=self._record.key,
            )
            return False
        other = kept.records.get(name)
        if other is not None:
            self._problems.error(
                self._table.place,
                f"{shown(key)} and {shown(other.key)} (row {other.row}) both get the id {name}",
                "Rename one of them, or change the template `id` in the recipe.",
                row=row,
                column=self._record.key,
            )
            return False
        return True

    # --- attributes

    def _values(self, given: Given) -> list[Any]:
        spec, said = given.spec, given.said
        count = len(self._chosen)
        if said is None or said.through:
            return [_nothing(spec) for _ in range(count)]
        if said.value is not msgspec.UNSET:
            return [self._constant(spec, said)] * count
        if said.table:
            return self._from_table(spec, said)
        if said.fields and not said.column:
            return self._from_row(spec, said)
        name = said.column or spec.name
        cells = self._cells(name)
        if cells is None:
            return [_nothing(spec) for _ in range(count)]
        return [self._cell(at, name, cell, spec) for at, cell in enumerate(cells)]

    def _constant(self, spec: Spec, said: Attribute) -> Any:
        try:
            return convert(said.value, spec)
        except (ValueError, Missing) as error:
            self._problems.error(
                "the recipe",
                f"the value of {self._kind}.{spec.name}: {error}",
                "Mend it in the recipe.",
            )
            return _nothing(spec)

    def _cell(self, at: int, column: str, cell: Any, spec: Spec) -> Any:
        """Return the value of a cell; what is wrong with it becomes a problem."""
        try:
            value = convert(cell, spec)
        except Missing:
            self._missing(at, column, cell, spec)
            return _nothing(spec)
        except ValueError as error:
            self._error(
                at, column, str(error), f"Mend the cell, or the type of {spec.name} in the recipe."
            )
            return _nothing(spec)
        if (value is None or value == []) and not spec.nullable:
            self._error(
                at,
                column,
                f"{spec.name} is empty",
                "Fill it in, or say `nullable: true` in the recipe.",
            )
        return value

    def _missing(self, at: int, column: str, cell: Any, spec: Spec) -> None:
        tell = self._problems.warn if spec.nullable else self._problems.error
        tell(
            self._table.place,
            f"{shown(cell)} stands where nothing is known",
            "Leave the cell empty." if spec.nullable else f"Fill in {spec.name}.",
            row=self._table.number(self._chosen[at]),
            column=column,
        )

    def _from_row(self, spec: Spec, said: Attribute) -> list[Any]:
        """Return lists of one struct, made of the row's own columns; empty if all are."""
        columns = []
        for field in spec.fields:
            given = said.fields.get(field.name)
            name = (given if isinstance(given, str) else given.column if given else "") or ""
            value = getattr(given, "value", msgspec.UNSET)
            if value is not msgspec.UNSET:
                columns.append((field, "", [value] * len(self._chosen)))
            else:
                cells = self._cells(name or field.name)
                columns.append((field, name or field.name, cells or [None] * len(self._chosen)))
        made = []
        for at in range(len(self._chosen)):
            values = {
                field.name: self._cell(at, column, cells[at], field)
                for field, column, cells in columns
                if not (column and is_null(cells[at]) and field.nullable)
            }
            full = {field.name: values.get(field.name, _nothing(field)) for field in spec.fields}
            made.append(
                [full] if values and any(c and c in values for c in _named(columns)) else []
            )
        return made

    def _from_table(self, spec: Spec, said: Attribute) -> list[Any]:
        """Return lists of structs, one for each row of another table that belongs to this one."""
        other = self._tables.get(said.table)
        count = len(self._chosen)
        if other is None:
            return [[] for _ in range(count)]
        theirs = [self._column(name, other) for name in said.on]
        mine = [self._cells(name) for name in said.on.values()]
        order = self._column(said.order, other) if said.order else None
        if None in theirs or None in mine:
            return [[] for _ in range(count)]
        by_key: dict[tuple[str | None, ...], list[tuple[Any, ...]]] = {}
        for row in other.rows:
            by_key.setdefault(tuple(_text(row[i or 0]) for i in theirs), []).append(row)
        if order is not None:
            for rows in by_key.values():
                rows.sort(key=lambda row: (row[order] is None, _number_or_text(row[order])))
        return [
            self._structs(
                at, by_key.get(tuple(_text(c[at]) for c in mine if c), []), other, spec, said
            )
            for at in range(count)
        ]

    def _structs(
        self,
        at: int,
        rows: list[tuple[Any, ...]],
        other: Rows,
        spec: Spec,
        said: Attribute,
    ) -> list[dict[str, Any]]:
        made = []
        for row in rows:
            item = {}
            for field in spec.fields:
                given = said.fields.get(field.name)
                name = (given if isinstance(given, str) else given.column if given else "") or ""
                index = other.columns.get(name or field.name)
                item[field.name] = getattr(given, "value", None) if index is None else row[index]
            try:
                made.append(struct(item, spec))
            except ValueError as error:
                self._error(at, spec.name, f"{other.place}: {error}", "Mend it there.")
        if not made and not spec.nullable:
            self._error(at, spec.name, f"{other.place} has no row for it", "Add one there.")
        return made

    # --- what it belongs to, and its image

    def _links(self, kind: str) -> list[list[str]]:
        """Return the ids of the records of a kind above; a key that leads nowhere is a problem."""
        link: Link | str = getattr(self._record, kind)
        if not link:
            return [[] for _ in self._chosen]
        column, separator = (link, "") if isinstance(link, str) else (link.column, link.separator)
        cells = self._cells(column)
        if cells is None:
            return [[] for _ in self._chosen]
        return [self._linked(at, kind, column, cell, separator) for at, cell in enumerate(cells)]

    def _linked(self, at: int, kind: str, column: str, cell: Any, separator: str) -> list[str]:
        above = self._above.get(kind)
        if isinstance(cell, (list, tuple)):
            keys = [_text(part) for part in cell]
        else:
            text = _text(cell)
            keys = [_text(part) for part in text.split(separator)] if text and separator else [text]
        found = []
        for key in keys:
            if key is None:
                self._problems.warn(
                    self._table.place,
                    f"belongs to no {kind}",
                    f"Name its {kind}.",
                    row=self._table.number(self._chosen[at]),
                    column=column,
                )
            elif above is not None and key in above.keys:
                found.append(above.keys[key])
            else:
                self._error(
                    at,
                    column,
                    f"there is no {kind} {shown(key)}",
                    f"Add it to the {kind}s, or mend the key.",
                )
        return list(dict.fromkeys(found))

    def _files(self) -> list[tuple[str, ...]]:
        image = self._record.image
        if image is None:
            return [()] * len(self._chosen)
        names = [image.file] if isinstance(image.file, str) else list(image.file.values())
        columns = [self._cells(name) for name in names]
        if None in columns:
            return [()] * len(self._chosen)
        folder = f"{image.folder.rstrip('/')}/" if image.folder else ""
        made: list[tuple[str, ...]] = []
        for at, cells in enumerate(zip(*(column or [] for column in columns), strict=True)):
            texts = [_text(cell) for cell in cells]
            if None in texts:
                if self._kind != "well":
                    column = names[texts.index(None)]
                    self._error(at, column, "names no image", "Name one, or remove the row.")
                made.append(())
            else:
                made.append(tuple(f"{folder}{text}" for text in texts))
        return made

    def _voxels(self) -> list[dict[str, float]]:
        image = self._record.image
        made: list[dict[str, float]] = [{} for _ in self._chosen]
        spec = Spec("voxel_size", "number", minimum=0)
        for axis, size in (image.voxel_size if image else {}).items():
            cells = self._cells(size) if isinstance(size, str) else [size] * len(made)
            for at, cell in enumerate(cells or ()):
                value = self._cell(at, str(size), cell, spec)
                if value is not None:
                    made[at][axis] = value
        return made

    def _inherit(self, kept: Kept) -> None:
        """Fill in the attributes that come through a record above."""
        for given in self._specs:
            if given.said is None or not given.said.through:
                continue
            name, kind = given.said.column or given.spec.name, given.said.through
            above = self._above.get(kind)
            for record in kept.records.values():
                values = _through(record, kind, name, self._above) if above else []
                if values and not (len(values) > 1 and any(v != values[0] for v in values)):
                    record.values[given.spec.name] = values[0]
                elif values:
                    self._problems.error(
                        record.place,
                        f"its {kind}s have different values of {name}",
                        f"Give {given.spec.name} a column of its own.",
                        row=record.row,
                    )


def _through(record: Found, kind: str, attribute: str, above: dict[str, Kept]) -> list[Any]:
    """Return the values that the records of a kind above have, directly or through their own."""
    ids = record.above.get(kind, [])
    if not ids:
        ids = [
            name
            for middle, named in record.above.items()
            for one in named
            for name in above[middle].records[one].above.get(kind, [])
        ]
    return [above[kind].records[one].values.get(attribute) for one in dict.fromkeys(ids)]


def _named(columns: list[tuple[Spec, str, list[Any]]]) -> list[str]:
    """Return the fields that have a column."""
    return [field.name for field, column, _ in columns if column]


def _nothing(spec: Spec) -> Any:
    return [] if spec.is_list else None


_text_spec: Final = Spec("", "string")


def _text(cell: Any) -> str | None:
    """Return a key as text, or None for an empty cell."""
    if cell.__class__ is str:
        return cell.strip() or None
    try:
        value = convert(cell, _text_spec)
    except (ValueError, Missing):
        return None
    return str(value) if value is not None else None


def _plain(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, bool) else str(_text(value))


def _number_or_text(value: Any) -> tuple[int, float, str]:
    try:
        return (0, float(value), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(value))
