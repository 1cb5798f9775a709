"""A folder of quilt3distribute as a lab: tables a kind, and the recipe that makes records of it."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank.cells.problems import Problem, Problems
from cellbank.cells.quilt_columns import (
    ATTRIBUTES,
    FILES,
    KEYS,
    LINE_FIELDS,
    VOXELS,
    dye_of,
    own_name,
    snake,
    type_of,
)
from cellbank.cells.quilt_table import Quilt
from cellbank.model.errors import BadImage

FOLDER: Final = "cellbank_import"
"""Where in the folder the tables are written."""

Row = dict[str, Any]


class Plan(msgspec.Struct):
    """What becomes of a folder: tables, the recipe, and what became of each column.

    `reason` says why it cannot become records, where it cannot; `problems` what is doubtful.
    """

    tables: dict[str, list[Row]] = {}
    recipe: dict[str, Any] = {}
    columns: dict[str, str] = {}
    reason: str = ""
    problems: list[Problem] = []


def plan_of(quilt: Quilt, folder: Path, title: str, name: str) -> Plan:
    """Return the tables and the recipe that make records of a folder, or why there are none."""
    return _Planning(quilt, folder, title, name).plan()


class _Planning:
    """Turns one table into a table a kind."""

    def __init__(self, quilt: Quilt, folder: Path, title: str, name: str) -> None:
        self._quilt = quilt
        self._folder = folder
        self._title = title
        self._name = name
        self._snake: dict[str, str] = {}
        for column in quilt.columns:
            self._snake.setdefault(snake(column), column)
        self._columns: dict[str, str] = {}
        self._images = self._by_kind()
        self._keys = {kind: self._first(names) for kind, names in KEYS.items()}
        self._problems = Problems()

    def _first(self, names: Iterable[str]) -> str | None:
        return next((self._snake[name] for name in names if name in self._snake), None)

    def _by_kind(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for column in self._quilt.files:
            kind = FILES.get(snake(column))
            if kind is not None and kind not in found:
                found[kind] = column
                self._columns[column] = f"images of {kind} records"
            else:
                self._columns[column] = "not taken: no records have such files"
        return found

    def plan(self) -> Plan:
        """Return what becomes of the folder."""
        key, image = self._keys["fov"], self._images.get("fov")
        if key is None or image is None:
            lacks = "no column FOVId" if key is None else "no column with images of fields of view"
            return Plan(columns=self._columns, reason=f"{self._quilt.place} has {lacks}")
        fields = self._fields(key, image)
        if not fields:
            return Plan(columns=self._columns, reason="no row names a field and its image")
        tables = {"fovs": fields, **self._above(fields)}
        records = self._records(tables)
        cells = self._cells(key, tables, records)
        if cells:
            tables["cells"] = cells
        recipe = {
            "format": 1,
            "title": self._title,
            "tables": {name: {"file": f"{FOLDER}/{name}.csv"} for name in tables},
            "records": records,
            "packages": {"all": self._name},
        }
        columns = {c: self._columns[c] for c in self._quilt.columns}
        return Plan(tables, recipe, columns, problems=self._problems.found())

    # --- rows

    def _fields(self, key: str, image: str) -> list[Row]:
        """Return a row a field of view: the first that names it."""
        self._columns[key] = "key of the fields of view"
        made: dict[str, Row] = {}
        others: dict[str, tuple[int, str]] = {}
        for number, row in zip(self._quilt.numbers, self._quilt.rows, strict=True):
            if row[key] is None or row[image] is None:
                continue
            one = _text(row[key])
            found = made.setdefault(one, {"fov": one})
            images = {kind: row[column] for kind, column in self._images.items() if kind != "fov"}
            for name, value in {**self._links(row), "image": row[image], **images}.items():
                if value is not None and found.setdefault(name, value) != value:
                    what = f"field {one} is said to have {name} {found[name]} and {value}"
                    others.setdefault(name, (number, what))
        for number, what in others.values():
            self._problems.warn(self._quilt.place, what, "The first is taken.", row=number)
        self._add_channels(made)
        return list(made.values())

    def _links(self, row: Row) -> Row:
        plate, well, name = self._keys["plate"], self._keys["well"], self._snake.get("well_name")
        links: Row = {}
        if (line := self._keys["line"]) and row[line] is not None:
            links["line"] = _text(row[line])
        if plate and row[plate] is not None:
            links["plate"] = _text(row[plate])
        if plate and name and row[plate] is not None and row[name] is not None:
            links["well"] = f"plate_{_text(row[plate])}_well_{_text(row[name])}"
        elif well and row[well] is not None:
            links["well"] = f"well_{_text(row[well])}"
        return links

    def _above(self, fields: list[Row]) -> dict[str, list[Row]]:
        """Return lines, plates and wells, each once."""
        self._say_key("line", "key of the lines")
        self._say_key("plate", "key of the plates")
        self._say_key("well", "well of the fields of view")
        found: dict[str, dict[str, Row]] = {"lines": {}, "plates": {}, "wells": {}}
        for row in fields:
            for kind, group in (("line", "lines"), ("plate", "plates"), ("well", "wells")):
                if row.get(kind):
                    above = {k: row[k] for k in ("line", "plate") if kind == "well" and row.get(k)}
                    found[group].setdefault(row[kind], {kind: row[kind], **above})
        return {group: list(rows.values()) for group, rows in found.items() if rows}

    def _say_key(self, kind: str, what: str) -> None:
        column = self._keys[kind]
        if column is not None:
            self._columns.setdefault(column, what)

    def _add_channels(self, fields: Mapping[str, Row]) -> None:
        """Name the channels of each image: by itself, else by the columns that number them."""
        from cellbank import images

        numbers = {column: dye for column in self._quilt.columns if (dye := dye_of(column))}
        for column, dye in numbers.items():
            self._columns[column] = f"number of the channel {dye}"
        if not numbers:
            return
        key = self._keys["fov"]
        first = {_text(row[key]): row for row in reversed(self._quilt.rows)} if key else {}
        for name, field in fields.items():
            row = first[name]
            places = {
                int(number): dye
                for column, dye in numbers.items()
                # What is no number, or has no end, numbers no channel.
                if (number := _number(row[column])) is not None
            }
            try:
                channels = images.open(self._folder / field["image"]).channels
            except (BadImage, OSError):
                # The build tells of it.
                continue
            said = [
                {
                    "dye_name": one.name or places.get(one.index, f"channel {one.index}"),
                    "use": one.index in places,
                }
                for one in channels
            ]
            field["channels"] = msgspec.json.encode(said).decode()

    # --- the recipe

    def _records(self, tables: dict[str, list[Row]]) -> dict[str, Any]:
        links = {"line": "lines", "plate": "plates", "well": "wells"}
        records: dict[str, Any] = {}
        if "lines" in tables:
            records["line"] = self._line(tables["lines"])
        if "plates" in tables:
            attributes = {"plate_barcode": "plate"}
            records["plate"] = {"table": "plates", "key": "plate", "attributes": attributes}
        if "wells" in tables:
            records["well"] = {"table": "wells", "key": "well", "id": "{well}"}
            records["well"] |= {k: k for k in ("plate", "line") if links[k] in tables}
            records["well"]["attributes"] = {"plate_barcode": "plate"} if "plates" in tables else {}
        records["fov"] = {"table": "fovs", "key": "fov"}
        records["fov"] |= {kind: kind for kind, group in links.items() if group in tables}
        records["fov"]["image"] = {"file": "image", **self._voxels(tables["fovs"])}
        records["fov"]["attributes"] = self._attributes(tables["fovs"])
        for kind in ("cell_seg", "nuclei_seg", "structure_seg"):
            rows = [row for row in tables["fovs"] if row.get(kind)]
            if rows:
                tables[f"{kind}s"] = [{"fov": row["fov"], "image": row[kind]} for row in rows]
                image = {"file": "image"}
                records[kind] = {"table": f"{kind}s", "key": "fov", "fov": "fov", "image": image}
        return records

    def _line(self, rows: list[Row]) -> dict[str, Any]:
        key = self._keys["line"]
        fields: dict[str, str] = {}
        for name, field in LINE_FIELDS.items():
            column = self._snake.get(name)
            if column is None or field in fields or key is None:
                continue
            known = self._by_key(key, column)
            if all(len(values) <= 1 for values in known.values()):
                fields[field] = field
                self._columns[column] = f"edits.{field} of the lines"
                for row in rows:
                    row[field] = next(iter(known.get(row["line"], ())), None)
        attributes: dict[str, Any] = {"line": None}
        if fields:
            attributes["edits"] = {"fields": fields}
        return {"table": "lines", "key": "line", "attributes": attributes}

    def _by_key(self, key: str, column: str) -> dict[str, set[str]]:
        """Return key → the values of a column in its rows."""
        found: dict[str, set[str]] = {}
        for row in self._quilt.rows:
            if row[key] is not None and row[column] is not None:
                found.setdefault(_text(row[key]), set()).add(_text(row[column]))
        return found

    def _voxels(self, fields: list[Row]) -> dict[str, Any]:
        sizes = {}
        for name, axis in VOXELS.items():
            column = self._snake.get(name)
            if column is not None:
                sizes[axis] = f"voxel_{axis}"
                self._columns[column] = f"size of a voxel along {axis}"
                self._copy(column, fields, f"voxel_{axis}")
        whole = sizes and all(row.get(name) for row in fields for name in sizes.values())
        return {"voxel_size": sizes} if whole else {}

    def _copy(self, column: str, fields: list[Row], name: str) -> None:
        known = self._by_key(self._keys["fov"] or "", column)
        for row in fields:
            row[name] = next(iter(known.get(row["fov"], ())), None)

    def _attributes(self, fields: list[Row]) -> dict[str, Any]:
        """Return the attributes of fields of view: columns that have one value a field."""
        made: dict[str, Any] = {}
        if any("channels" in row for row in fields):
            made["channels"] = None
        for name, column in self._snake.items():
            standard = ATTRIBUTES.get(name)
            if standard is not None and self._is_of_fields(column) and standard not in made:
                made[standard] = standard
                said = self._columns.get(column)
                self._columns[column] = (
                    f"{said}, {standard}" if said else f"{standard} of the fields"
                )
                self._copy(column, fields, standard)
        for name, axis in VOXELS.items():
            scale = self._snake.get(name)
            if scale is not None and self._is_of_fields(scale):
                made[name] = {"column": f"voxel_{axis}", "type": "number", "unit": "µm"}
                self._columns[scale] += f", {name} of the fields"
        for column in self._quilt.columns:
            if column not in self._columns and self._is_of_fields(column):
                name = own_name(column, {*made, "image", *fields[0]})
                made[name] = {"column": name, "type": self._type(column)}
                self._columns[column] = f"{name} of the fields"
                self._copy(column, fields, name)
        return made

    def _is_of_fields(self, column: str) -> bool:
        found = self._by_key(self._keys["fov"] or "", column)
        return bool(found) and all(len(values) == 1 for values in found.values())

    def _type(self, column: str) -> str:
        return type_of(row[column] for row in self._quilt.rows)

    # --- cells

    def _cells(
        self, key: str, tables: Mapping[str, list[Row]], records: dict[str, Any]
    ) -> list[Row]:
        """Return a row a cell, of what differs within a field; it becomes structs of the field."""
        rest = [column for column in self._quilt.columns if column not in self._columns]
        known = {row["fov"] for row in tables["fovs"]}
        rest = [c for c in rest if any(row[c] is not None for row in self._quilt.rows)]
        for column in self._quilt.columns:
            self._columns.setdefault(column, "cells of the fields" if column in rest else "empty")
        if not rest:
            return []
        names: dict[str, str] = {}
        for column in rest:
            names[column] = own_name(column, names.values())
            self._columns[column] = f"cells.{names[column]} of the fields"
        fields = {name: {"type": self._type(column)} for column, name in names.items()}
        order = next(
            (names[c] for c in rest if snake(c) in ("cell_index", "this_cell_index")), None
        )
        records["fov"]["attributes"]["cells"] = {
            "description": "what is known of each cell",
            "fields": fields,
            "table": "cells",
            "on": {"fov": "fov"},
            "order": order or next(iter(names.values())),
        }
        return [
            {"fov": _text(row[key]), **{name: row[column] for column, name in names.items()}}
            for row in self._quilt.rows
            if row[key] is not None and _text(row[key]) in known
        ]


def _text(value: Any) -> str:
    """Return a key as text: a whole number has no .0, however a table program wrote it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    head, dot, zeros = text.partition(".")
    return head if dot and head.isdigit() and not zeros.strip("0") else text


def _number(value: Any) -> float | None:
    with suppress(TypeError, ValueError):
        number = float(value)
        return number if math.isfinite(number) else None
    return None
