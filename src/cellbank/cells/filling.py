"""Attributes filled in: from a column, a constant, the row's own columns, or another table."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from cellbank.cells.attributes import Given
from cellbank.cells.columns import Columns, nothing, text_of
from cellbank.cells.recipe import Attribute, Field
from cellbank.cells.table_rows import Rows
from cellbank.cells.values import Missing, Spec, convert, is_null, struct


class Constant(NamedTuple):
    """A value that a recipe gives a field, the same in every struct."""

    value: Any


class Filler:
    """Fills in the attributes of the records of one kind."""

    def __init__(self, columns: Columns, tables: Mapping[str, Rows]) -> None:
        self._columns = columns
        self._tables = tables

    def values(self, given: Given) -> list[Any]:
        """Return the value of every chosen row; those that come through others are empty yet."""
        spec, said = given.spec, given.said
        count = len(self._columns)
        if said is None or said.through:
            return [nothing(spec) for _ in range(count)]
        if said.value is not msgspec.UNSET:
            return [self._constant(spec, said)] * count
        if said.table:
            return self._from_table(spec, said)
        if said.fields and not said.column:
            return self._from_row(spec, said)
        name = said.column or spec.name
        cells = self._columns.cells(name)
        if cells is None:
            return [nothing(spec) for _ in range(count)]
        return [self._columns.cell(at, name, cell, spec) for at, cell in enumerate(cells)]

    def _constant(self, spec: Spec, said: Attribute) -> Any:
        try:
            value = convert(said.value, spec)
            wrong = f"{spec.name} is empty" if not spec.nullable and value in (None, []) else ""
        except Missing:
            value, wrong = nothing(spec), f"{said.value!r} stands where nothing is known"
        except ValueError as error:
            value, wrong = nothing(spec), str(error)
        if wrong:
            column = f"records.{self._columns.kind}.attributes.{spec.name}.value"
            self._columns.problems.error(
                "the recipe", wrong, "Mend it in the recipe.", column=column
            )
        return value

    def _from_row(self, spec: Spec, said: Attribute) -> list[Any]:
        """Return lists of one struct, made of the row's own columns; empty if all are."""
        columns = []
        for field in spec.fields:
            given = said.fields.get(field.name)
            name = (given if isinstance(given, str) else given.column if given else "") or ""
            value = getattr(given, "value", msgspec.UNSET)
            if value is not msgspec.UNSET:
                columns.append((field, "", [value] * len(self._columns)))
            else:
                cells = self._columns.cells(name or field.name)
                columns.append((field, name or field.name, cells or [None] * len(self._columns)))
        made = []
        for at in range(len(self._columns)):
            values = {
                field.name: self._columns.cell(at, column, cells[at], field)
                for field, column, cells in columns
                if not (column and is_null(cells[at]) and field.nullable)
            }
            full = {field.name: values.get(field.name, nothing(field)) for field in spec.fields}
            made.append(
                [full] if values and any(c and c in values for c in _named(columns)) else []
            )
        return made

    def _from_table(self, spec: Spec, said: Attribute) -> list[Any]:
        """Return lists of structs, one for each row of another table that belongs to this one."""
        other = self._tables.get(said.table)
        count = len(self._columns)
        if other is None:
            return [[] for _ in range(count)]
        theirs = [self._columns.column(name, other) for name in said.on]
        mine = [self._columns.cells(name) for name in said.on.values()]
        order = self._columns.column(said.order, other) if said.order else None
        sources = {field.name: self._source(field, said, other) for field in spec.fields}
        if None in theirs or None in mine or None in sources.values():
            return [[] for _ in range(count)]
        by_key: dict[tuple[str | None, ...], list[tuple[Any, ...]]] = {}
        for row in other.rows:
            by_key.setdefault(tuple(text_of(row[i or 0]) for i in theirs), []).append(row)
        if order is not None:
            for rows in by_key.values():
                rows.sort(key=lambda row: (row[order] is None, _number_or_text(row[order])))
        return [
            self._structs(
                at, by_key.get(tuple(text_of(c[at]) for c in mine if c), []), other, spec, sources
            )
            for at in range(count)
        ]

    def _source(self, field: Spec, said: Attribute, other: Rows) -> "int | Constant | None":
        """Return the column of a field, or its constant, or None after saying it has neither."""
        given = said.fields.get(field.name)
        if isinstance(given, Field) and given.value is not msgspec.UNSET:
            return Constant(given.value)
        name = given.column if isinstance(given, Field) else given
        return self._columns.column(name or field.name, other)

    def _structs(
        self,
        at: int,
        rows: list[tuple[Any, ...]],
        other: Rows,
        spec: Spec,
        sources: Mapping[str, "int | Constant | None"],
    ) -> list[dict[str, Any]]:
        made = []
        for row in rows:
            item = {
                name: source.value if isinstance(source, Constant) else row[source or 0]
                for name, source in sources.items()
            }
            try:
                made.append(struct(item, spec))
            except ValueError as error:
                self._columns.error(at, spec.name, f"{other.place}: {error}", "Mend it there.")
        if not made and not spec.nullable:
            self._columns.error(at, spec.name, f"{other.place} has no row for it", "Add one there.")
        return made


def _named(columns: list[tuple[Spec, str, list[Any]]]) -> list[str]:
    """Return the fields that have a column."""
    return [field.name for field, column, _ in columns if column]


def _number_or_text(value: Any) -> tuple[int, float, str]:
    try:
        return (0, float(value), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(value))
