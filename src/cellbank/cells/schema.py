"""SCHEMA: what every attribute of every kind means, where it comes from, and what it holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cellbank.cells.kinds import KINDS, SCHEMA_ORDER, relations_of
from cellbank.cells.values import Spec, iso_date

LISTED: Final = 20
"""So many distinct values are listed; of more, only the number is given."""
SHOWN_ITEMS: Final = 3
_LINE_ORDER: Final = (
    "cell_segs",
    "nuclei_segs",
    "wells",
    "line_id",
    "edits",
    "fovs",
    "structure_segs",
    "plates",
    "line",
)
_TYPE_NAMES: Final = {
    str: "<type 'str'>",
    int: "<type 'int'>",
    float: "<type 'float'>",
    bool: "<type 'bool'>",
    list: "<type 'list'>",
    dict: "<type 'dict'>",
    type(None): "<type 'NoneType'>",
}
"""As the first packages of cell lines spelled them; readers of those go by it."""


class Seen:
    """What an attribute was seen to hold: in the whole source, or in one package."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._distinct: set[Any] = set()
        self._first: tuple[str, Any] | None = None
        self._types: set[type] = set()
        self._count = 0
        self._have = 0

    def add(self, name: str, value: Any) -> None:
        """Take the value of a record."""
        self._count += 1
        self._types.add(value.__class__)
        if value is None or value == []:
            return
        self._have += 1
        if not self._spec.is_list:
            self._distinct.add(value)
            return
        if self._first is None or name < self._first[0]:
            self._first = (name, value)
        if not self._spec.fields:
            self._distinct.update(value)

    def _order(self, value: Any) -> Any:
        return iso_date(value, self._spec.format) if self._spec.type == "date" else value

    def example(self) -> Any:
        """Return the first value in sorted order; of lists, the start of that of the first id."""
        if self._spec.is_list:
            return self._first[1][:SHOWN_ITEMS] if self._first else []
        return min(self._distinct, key=self._order) if self._distinct else None

    def types(self) -> list[str]:
        """Return the names of the types seen."""
        return sorted(_TYPE_NAMES[kind] for kind in self._types)

    def facts(self) -> dict[str, Any]:
        """Return coverage, and distinct values or the smallest and the largest."""
        facts: dict[str, Any] = {
            "coverage": round(self._have / self._count, 6) if self._count else 0.0
        }
        if self._spec.type in ("integer", "number", "date"):
            if self._distinct:
                facts["minimum"] = min(self._distinct, key=self._order)
                facts["maximum"] = max(self._distinct, key=self._order)
        elif not self._spec.fields:
            facts["distinct"] = len(self._distinct)
            if len(self._distinct) <= LISTED and not _is_relation(self._spec):
                facts["values"] = sorted(self._distinct)
        return facts


def _is_relation(spec: Spec) -> bool:
    return spec.type == "list[string]" and spec.origin == "baseline" and spec.name in _RELATED


_RELATED: Final = {kind.group for kind in KINDS.values()}


def relation_specs(kind: str) -> list[Spec]:
    """Return the specifications of the relation lists of a kind."""
    words = {one.group: one.words for one in KINDS.values()}
    return [
        Spec(
            group,
            "list[string]",
            f"ids of the {words[group]} that belong to this one, sorted",
            nullable=False,
        )
        for group in relations_of(kind)
    ]


class Collected:
    """What all attributes of all kinds were seen to hold."""

    def __init__(self, specs: Mapping[str, Sequence[Spec]]) -> None:
        self.specs = {kind: [*own, *relation_specs(kind)] for kind, own in specs.items()}
        self.seen = {
            kind: {spec.name: Seen(spec) for spec in own} for kind, own in self.specs.items()
        }

    def add(self, kind: str, name: str, info: Mapping[str, Any]) -> None:
        """Take the `info` of a record."""
        for attribute, seen in self.seen[kind].items():
            seen.add(name, info[attribute])


def schema_of(here: Collected, source: Collected) -> dict[str, Any]:
    """Return the SCHEMA of a package.

    Examples and types are those of the whole source, so that all packages of a family show the
    same; coverage and range are those of this package.
    """
    return {
        KINDS[kind].schema: {
            spec.name: _attribute(spec, here.seen[kind][spec.name], source.seen[kind][spec.name])
            for spec in _ordered(kind, here.specs[kind])
        }
        for kind in SCHEMA_ORDER
        if kind in here.specs
    }


def _ordered(kind: str, specs: Iterable[Spec]) -> list[Spec]:
    if kind != "line":
        return list(specs)
    places = {name: place for place, name in enumerate(_LINE_ORDER)}
    return sorted(specs, key=lambda spec: places.get(spec.name, len(places)))


def _attribute(spec: Spec, here: Seen, source: Seen) -> dict[str, Any]:
    said: dict[str, Any] = {
        "description": spec.description,
        "example_value": source.example(),
        "origin": spec.origin,
        "value_types": source.types(),
        "type": spec.type,
        "nullable": spec.nullable,
    }
    if spec.unit:
        said["unit"] = spec.unit
    if spec.format:
        said["format"] = spec.format
    if spec.fields:
        said["fields"] = {field.name: _field(field) for field in spec.fields}
    return said | here.facts()


def _field(spec: Spec) -> dict[str, Any]:
    said = {
        "description": spec.description,
        "origin": spec.origin,
        "type": spec.type,
        "nullable": spec.nullable,
    }
    return said | ({"unit": spec.unit} if spec.unit else {})
