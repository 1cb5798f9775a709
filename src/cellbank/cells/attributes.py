"""Attributes of a kind: what the recipe says, over what is standard, as one specification each."""

from collections.abc import Mapping

import msgspec

from cellbank.cells.kinds import KINDS
from cellbank.cells.kinds import Attribute as Standard
from cellbank.cells.recipe import Attribute, Field, Record
from cellbank.cells.table_rows import Rows
from cellbank.cells.values import Missing, Spec, convert


class Given(msgspec.Struct, frozen=True):
    """An attribute as the recipe gives it, and its specification."""

    spec: Spec
    said: Attribute | None


Specs = Mapping[str, Mapping[str, Spec]]
"""Kind → attribute → its specification, for the kinds above."""


def given_attributes(
    kind: str, record: Record, tables: Mapping[str, Rows], above: Specs
) -> list[Given]:
    """Return the attributes of a kind: the standard ones in their order, then the lab's own."""
    standard = KINDS[kind].attributes
    names = [*standard, *(name for name in record.attributes if name not in standard)]
    places = {name: rows.place for name, rows in tables.items()}
    given = [_given(name, record, standard.get(name), places) for name in names]
    return [_inherited(one, above) for one in given]


def _inherited(given: Given, above: Specs) -> Given:
    """Return an attribute that comes through another record as it is there, if not said anew."""
    said = given.said
    if said is None or not said.through:
        return given
    theirs = above.get(said.through, {}).get(said.column or given.spec.name)
    if theirs is None:
        return given
    spec = msgspec.structs.replace(
        theirs,
        name=given.spec.name,
        description=said.description or theirs.description,
        unit=said.unit or theirs.unit,
        nullable=said.nullable and theirs.nullable,
    )
    return Given(spec, said)


def _given(
    name: str, record: Record, standard: Standard | None, places: Mapping[str, str]
) -> Given:
    if name not in record.attributes:
        assert standard is not None  # noqa: S101  the names are those of one or the other
        return Given(_standard_spec(name, standard), None)
    said = record.attributes[name]
    if not isinstance(said, Attribute):
        said = Attribute(column=said or "")
    # The struct's own rows may lie in another table than the record's.
    place = places.get(said.table or record.table, said.table)
    return Given(_spec(name, said, standard, place), said)


def _standard_spec(name: str, standard: Standard) -> Spec:
    return Spec(
        name,
        standard.type,
        standard.description,
        standard.unit,
        fields=tuple(_standard_spec(*field) for field in (standard.fields or {}).items()),
    )


def _spec(name: str, said: Attribute, standard: Standard | None, place: str) -> Spec:
    kind = said.type or (standard.type if standard else "string")
    if said.fields:
        kind = "list[struct]"
    fields: dict[str, Field | str | None] = dict(said.fields)
    if kind == "list[struct]" and not fields and standard and standard.fields:
        fields = dict.fromkeys(standard.fields)
    known = (standard.fields or {}) if standard else {}
    return msgspec.structs.replace(
        _base(name, said, standard, kind, _origin_of(name, said, place)),
        one_of=tuple(_choice(choice, kind) for choice in said.one_of),
        minimum=said.minimum,
        maximum=said.maximum,
        fields=tuple(
            _field_spec(key, field, known.get(key), place, said.column)
            for key, field in fields.items()
        ),
    )


def _base(
    name: str, said: Attribute | Field, standard: Standard | None, kind: str, origin: str
) -> Spec:
    """Return what attributes and fields have in common; where nothing is said, it is standard."""
    return Spec(
        name,
        kind,
        said.description or (standard.description if standard else ""),
        said.unit or (standard.unit if standard else ""),
        said.nullable,
        said.format or ("%Y-%m-%d" if kind == "date" else ""),
        said.separator,
        origin=origin,
    )


def _field_spec(
    name: str, said: Field | str | None, standard: Standard | None, place: str, inside: str
) -> Spec:
    """Return the specification of a field; `inside` is the column that holds whole structs."""
    if not isinstance(said, Field):
        said = Field(column=said or "")
    kind = said.type or (standard.type if standard else "string")
    where = f"{place}/{inside}" if inside else place
    return _base(name, said, standard, kind, _origin(name, said.column, said.value, where))


def _choice(choice: object, kind: str) -> object:
    """Return an allowed value as the attribute has it: 12 in YAML is the text 12 of a string."""
    try:
        return convert(choice, Spec("", kind.removeprefix("list[").removesuffix("]")))
    except (ValueError, Missing, KeyError):
        return choice


def _origin(name: str, column: str, value: object, place: str) -> str:
    """Return where a value comes from: table and column, or `baseline`."""
    return f"{place}/{column or name}" if value is msgspec.UNSET else "baseline"


def _origin_of(name: str, said: Attribute, place: str) -> str:
    """Return where an attribute comes from; structs of several columns come from their table."""
    if said.table or (said.fields and not said.column):
        return place
    return _origin(name, said.column, said.value, place)
