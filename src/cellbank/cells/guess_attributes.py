"""The attributes of a kind, guessed from the columns of its table: each a line with its reason."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from cellbank.cells.guess_columns import (
    Column,
    date_forms,
    fits,
    plain_name,
    scalar_type,
    type_of,
    unit_of,
)
from cellbank.cells.guess_kinds import Kindred, Seen, about
from cellbank.cells.kinds import KINDS, Attribute
from cellbank.cells.values import Spec

SPELLINGS: Final = {
    "cell_line": "line",
    "cell_line_id": "line_id",
    "barcode": "plate_barcode",
    "viability": "cell_viability",
    "passage_number": "passage",
    "seeding_date": "seed_date",
    "date_seeded": "seed_date",
    "coating": "coating_type",
    "microscope": "instrument",
    "instrument_id": "instrument",
    "gene_name": "gene",
    "gene_symbol": "gene",
    "crrna": "cr_rna",
    "crispr_rna": "cr_rna",
    "tag": "tag_location",
    "plasmid": "donor_plasmid",
    "protein_tag": "fluorescent_protein",
}
"""Other names of standard attributes."""
DESCRIPTIONS: Final = {
    "imaged_on": "day on which it was imaged",
    "imaging_date": "day on which it was imaged",
    "objective": "objective of the microscope",
    "scene": "number of the scene in the microscope's file",
    "position": "number of the position in the well",
    "row": "row of the well on its plate",
    "col": "column of the well on its plate",
    "column": "column of the well on its plate",
    "protein": "protein that is tagged",
    "structure": "structure of the cell that is tagged",
    "drug": "drug that was given",
    "operator": "who did it",
    "workflow": "workflow that it came from",
}
"""Of names that are no standard attributes and often there."""
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*")
_RESERVED: Final = frozenset({"true", "false", "null", "y", "n", "yes", "no", "on", "off"})
_VOXEL: Final = re.compile(
    r"(?:(?:voxel|pixel|physical)_?(?:size|scale)?_?([zyx])(?:_um|_micron)?"
    r"|([zyx])_?(?:voxel|pixel)_?(?:size)?(?:_um)?)"
)


class Line(NamedTuple):
    """An attribute of the recipe; `active` unless people must decide first.

    `parts` are what is said of it, `fields` what is said of each field of its structs.
    """

    name: str
    parts: list[tuple[str, str]]
    why: str
    active: bool = True
    fields: list[tuple[str, str]] = []  # noqa: RUF012  never changed

    @property
    def text(self) -> str:
        """The attribute on one line."""
        fields = [("fields", flow(self.fields))] if self.fields else []
        return f"{self.name}: {flow([*self.parts, *fields])}"

    @property
    def block(self) -> list[str]:
        """The attribute with each field on a line of its own."""
        lines = [f"{self.name}:", *(f"  {part}: {text}" for part, text in self.parts)]
        return [*lines, "  fields:", *(f"    {name}: {text}" for name, text in self.fields)]


def quoted(text: str) -> str:
    """Return a text as YAML, between quotes where it could be taken for something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    said = json.dumps(text, ensure_ascii=False)
    # To YAML, U+0085 and U+2028 end a line, and it takes no other control characters.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in said)


def flow(parts: Iterable[tuple[str, str]]) -> str:
    """Return fields as one line of YAML."""
    return f"{{{', '.join(f'{name}: {text}' for name, text in parts)}}}"


def voxel_columns(seen: Seen) -> dict[str, Column]:
    """Return the columns with the size of a voxel, by axis."""
    found: dict[str, Column] = {}
    for column in seen.columns.values():
        match = _VOXEL.fullmatch(plain_name(column.name))
        if match and column.full and scalar_type(column.values) in ("integer", "number"):
            found.setdefault((match[1] or match[2]).upper(), column)
    return {axis: found[axis] for axis in "ZYX" if axis in found}


class Attributes:
    """Guesses the attributes of one kind; `others` are all tables, `made` all kinds."""

    def __init__(self, kindred: Kindred, made: dict[str, Kindred], others: list[Seen]) -> None:
        self._kindred = kindred
        self._made = made
        self._others = others
        self._columns = kindred.seen.columns
        self._used: set[str] = set()

    def lines(self) -> list[Line]:
        """Return the standard attributes, then the lab's own columns for people to decide."""
        kind = KINDS[self._kindred.kind]
        found = []
        for name, standard in kind.attributes.items():
            line = self._standard(name, standard)
            if line is not None:
                found.append(line)
        if not kind.attributes:
            return found
        return found + [self._own(c) for c in self._columns.values() if not self._is_used(c)]

    def _is_used(self, column: Column) -> bool:
        kindred = self._kindred
        links = [link.name for link in kindred.links.values()]
        voxels = [c.name for c in voxel_columns(kindred.seen).values()]
        image = [kindred.image.name] if kindred.image else []
        key = [kindred.key.name] if kindred.key else []
        return column.name in {*self._used, *links, *voxels, *image, *key, *kindred.where}

    def _column_of(self, name: str) -> Column | None:
        for column in self._columns.values():
            plain = plain_name(column.name)
            if name in (column.name, plain, SPELLINGS.get(plain)):
                return column
        # The key of a plate is its barcode, that of a line its name.
        for kind, own in (("plate", "plate_barcode"), ("line", "line")):
            if name == own and self._kindred.kind == kind:
                return self._kindred.key
            if name == own and own != "line" and kind in self._kindred.links:
                return self._kindred.links[kind]
        return None

    # --- standard attributes

    def _standard(self, name: str, standard: Attribute) -> Line | None:
        if standard.fields:
            return self._structs(name, standard)
        column = self._column_of(name)
        if column is None:
            return self._through(name)
        self._used.add(column.name)
        parts, doubt = self._typed(column, standard.type)
        if column.name != name:
            parts.insert(0, ("column", quoted(column.name)))
        return Line(name, parts, f"{column.words}{doubt}")

    def _typed(self, column: Column, kind: str) -> tuple[list[tuple[str, str]], str]:
        """Return type, format and whether it may be empty; and what people should look at."""
        doubt = ""
        form = ""
        if kind == "date":
            forms = date_forms(column)
            form = forms[0] if forms else ""
            if len(forms) > 1:
                doubt = f". TODO: check the format, it could be {' or '.join(forms[1:])}"
        spec = Spec("", kind, format=form or "%Y-%m-%d")
        if not fits(column.values, spec):
            wanted, kind = kind, scalar_type(column.values)
            doubt = f". TODO: {wanted} is usual, and not all values are"
            form = ""
        parts = [("type", quoted(kind) if "[" not in kind else f'"{kind}"')]
        if form and any(isinstance(value, str) for value in column.values):
            parts.append(("format", f'"{form}"'))
        if column.full:
            parts.append(("nullable", "false"))
        return parts, doubt

    def _through(self, name: str) -> Line | None:
        """Return an attribute that the record above knows and this one does not."""
        for kind in self._kindred.links:
            above = self._made[kind]
            theirs = Attributes(above, self._made, self._others)
            standard = KINDS[kind].attributes.get(name)
            source = theirs._standard(name, standard) if standard else None
            if source is not None:
                # The form of a day is said where it is used, too.
                said = [part for part in source.parts if part[0] in ("type", "format")]
                return Line(name, [("through", kind), *said], f"{above.seen.name} has it")
        return None

    # --- lists of structs

    def _structs(self, name: str, standard: Attribute) -> Line | None:
        column = self._column_of(name)
        if column is not None and type_of(column) == "list[struct]":
            self._used.add(column.name)
            fields = [(quoted(f), self._field(f, column)) for f in _keys_in(column)]
            return Line(name, [("column", quoted(column.name))], column.words, fields=fields)
        assert standard.fields is not None  # noqa: S101  the caller looked
        from_rows = self._from_rows(standard.fields)
        if len(from_rows) > 1:
            why = "one a row: its columns are here"
            return Line(name, [], why, fields=list(from_rows.items()))
        return self._from_table(name, standard.fields)

    def _field(self, name: str, column: Column) -> str:
        values = [item[name] for row in column.values for item in row if item.get(name) is not None]
        count = sum(len(row) for row in column.values)
        parts = [("type", scalar_type(values))]
        if len(values) == count:
            parts.append(("nullable", "false"))
        return flow(parts)

    def _from_rows(self, fields: dict[str, Attribute]) -> dict[str, str]:
        found = {}
        for name, standard in fields.items():
            column = self._column_of(name)
            if column is not None and not self._is_used(column):
                parts, _ = self._typed(column, standard.type)
                if column.name != name:
                    parts.insert(0, ("column", quoted(column.name)))
                found[name] = flow(parts)
        if len(found) > 1:
            self._used |= {c.name for n in found if (c := self._column_of(n)) is not None}
        return found

    def _from_table(self, name: str, fields: dict[str, Attribute]) -> Line | None:
        """Return structs of another table that has a row for each and names this record."""
        key = self._kindred.key
        for seen in self._others:
            if key is None or seen is self._kindred.seen:
                continue
            named = {plain_name(c.name): c for c in seen.columns.values()}
            found = [field for field in fields if field in named]
            for column in seen.columns.values():
                is_link = about(self._kindred.kind, column.name) and column.texts <= key.texts
                if found and is_link and column.texts and not column.unique:
                    on = flow([(quoted(column.name), quoted(key.name))])
                    inside = [(f, flow([("column", quoted(named[f].name))])) for f in found]
                    parts = [("table", seen.name), ("on", on)]
                    return Line(name, parts, f"{seen.name} has a row for each", fields=inside)
        return None

    # --- the lab's own

    def _own(self, column: Column) -> Line:
        name = plain_name(column.name) or "attribute"
        kind = type_of(column)
        parts: list[tuple[str, str]] = []
        fields: list[tuple[str, str]] = []
        if name != column.name or kind == "list[struct]":
            parts.append(("column", quoted(column.name)))
        if kind == "list[struct]":
            fields = [(quoted(f), self._field(f, column)) for f in _keys_in(column)]
        else:
            typed, _ = self._typed(column, kind)
            parts += typed
        if unit := unit_of(column.name):
            parts.append(("unit", quoted(unit)))
        said = DESCRIPTIONS.get(name, "TODO: what it is")
        parts.append(("description", quoted(said)))
        return Line(name, parts, column.words, active=False, fields=fields)


def _keys_in(column: Column) -> list[str]:
    rows: Iterable[Any] = column.values
    return list(dict.fromkeys(key for row in rows for item in row for key in item))
