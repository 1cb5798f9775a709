"""Records as their tables give them: key, id, attributes, what they belong to, their image."""

import re
from typing import Any, Final

import msgspec

from cellbank.cells.attributes import Given, given_attributes
from cellbank.cells.columns import Columns, text_of
from cellbank.cells.filling import Filler
from cellbank.cells.kinds import KINDS
from cellbank.cells.links import Pointers
from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Recipe, Record
from cellbank.cells.table_rows import Rows
from cellbank.cells.values import shown
from cellbank.model.names import path_problem

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
        self._above = above
        self._problems = problems
        self._folded: dict[str, str] = {}
        self._columns = Columns(kind, record, tables[record.table], problems)
        self._filler = Filler(self._columns, tables)
        keys = {name: kept.keys for name, kept in above.items()}
        self._pointers = Pointers(self._columns, record, keys)
        specs = {name: {g.spec.name: g.spec for g in kept.specs} for name, kept in above.items()}
        self._specs = given_attributes(kind, record, tables, specs)

    def read(self) -> Kept:
        """Return the records, without those whose key or id cannot be used."""
        keys = self._keys()
        ids = self._ids()
        columns = {given.spec.name: self._filler.values(given) for given in self._specs}
        links = {kind: self._pointers.above(kind) for kind in KINDS[self._kind].above}
        files, voxels = self._pointers.files(), self._pointers.voxels()
        kept = Kept(self._specs, {}, {})
        for at in range(len(self._columns)):
            row = self._columns.number(at)
            key, name = keys[at], ids[at]
            if key is None or name is None or not self._is_new(kept, key, name, row):
                continue
            found = Found(
                self._kind,
                name,
                key,
                self._columns.table.place,
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

    def _keys(self) -> list[str | None]:
        cells = self._columns.cells(self._record.key)
        if cells is None:
            return [None] * len(self._columns)
        keys = [text_of(cell) for cell in cells]
        for at, key in enumerate(keys):
            if key is None:
                self._columns.error(at, self._record.key, "the key is empty", "Give the row a key.")
        return keys

    def _ids(self) -> list[str | None]:
        """Return the id of each row: the template filled in, odd characters made `_`."""
        template = self._record.id or DEFAULT_ID[self._columns.kind] % self._record.key
        parts = _HOLE.split(template)
        filled: list[list[str | None]] = []
        for number, part in enumerate(parts):
            if number % 2 == 0:
                filled.append([part] * len(self._columns))
                continue
            cells = self._columns.cells(part)
            filled.append([text_of(cell) for cell in cells or [None] * len(self._columns)])
            if cells is not None and part != self._record.key:
                self._tell_empty(part, filled[-1], template)
        ids: list[str | None] = []
        for at, pieces in enumerate(zip(*filled, strict=True)):
            ids.append(self._id(at, pieces, template))
        return ids

    def _tell_empty(self, column: str, texts: list[str | None], template: str) -> None:
        for at, text in enumerate(texts):
            if text is None:
                what = f"is empty, and the id {template} is made of it"
                advice = "Fill it in, or change `id` in the recipe."
                self._columns.error(at, column, what, advice)

    def _id(self, at: int, pieces: tuple[str | None, ...], template: str) -> str | None:
        if None in pieces:
            return None
        name = _ODD.sub("_", "".join(str(piece) for piece in pieces))
        if not name.strip("_") or len(name) > MAX_ID_BYTES:
            self._columns.error(
                at,
                self._record.key,
                f"{shown(name)} cannot be an id: it must have 1 to {MAX_ID_BYTES} characters",
                f"Change the template {template} in the recipe; ids are never cut.",
            )
            return None
        if reason := path_problem(name):
            self._columns.error(
                at,
                self._record.key,
                f"{name} cannot be an id: {reason}",
                "Change the template `id` in the recipe, or the key.",
            )
            return None
        return name

    def _is_new(self, kept: Kept, key: str, name: str, row: int) -> bool:
        other = kept.records.get(kept.keys.get(key, ""))
        if other is not None:
            self._columns.problems.error(
                self._columns.table.place,
                f"the key {shown(key)} stands in row {other.row} already",
                "Keep one of the rows.",
                row=row,
                column=self._record.key,
            )
            return False
        # Many file systems do not tell capitals from small letters.
        other = kept.records.get(self._folded.setdefault(name.lower(), name))
        if other is not None:
            ids = name if other.id == name else f"{name}, but for its capitals"
            self._columns.problems.error(
                self._columns.table.place,
                f"{shown(key)} and {shown(other.key)} (row {other.row}) both get the id {ids}",
                "Rename one of them, or change the template `id` in the recipe.",
                row=row,
                column=self._record.key,
            )
            return False
        return True

    def _inherit(self, kept: Kept) -> None:
        """Fill in the attributes that come through a record above."""
        for given in self._specs:
            if given.said is None or not given.said.through:
                continue
            name, kind = given.said.column or given.spec.name, given.said.through
            above = self._above.get(kind)
            if above is None:
                continue
            needed = not given.said.nullable
            told = any(g.spec.name == name and not g.spec.nullable for g in above.specs)
            for record in kept.records.values():
                values = _through(record, kind, name, self._above)
                if any(value != values[0] for value in values):
                    what = f"its {kind}s have different values of {name}"
                    advice = f"Give {given.spec.name} a column of its own."
                    self._problems.error(record.place, what, advice, row=record.row)
                    continue
                if values:
                    record.values[given.spec.name] = values[0]
                # Where the record above must have it, too, that was told there.
                if needed and not (values and (told or values[0] not in (None, []))):
                    what = f"{given.spec.name} is empty: its {kind} has none"
                    advice = "Fill it in there, or say `nullable: true` here."
                    self._problems.error(record.place, what, advice, row=record.row)


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
