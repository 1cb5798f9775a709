"""SCHEMA: what every attribute of every kind means, where it comes from, and what it holds."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from cellbank.cells.kinds import KINDS, SCHEMA_ORDER, relations_of
from cellbank.cells.values import Spec, iso_date

LISTED: Final = 20
"""So many distinct values are listed; of more, only the number is given."""
SHOWN_ITEMS: Final = 3
TOGETHER: Final = 2_000
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
        self._is_list = spec.is_list

    def add(self, names: Sequence[str], values: Sequence[Any]) -> None:
        """Take the values of records, by their names."""
        self._count += len(values)
        self._types.update(map(type, values))
        if not self._is_list:
            self._have += len(values) - values.count(None)
            self._distinct.update(values)
            return
        have = [pair for pair in zip(names, values, strict=True) if pair[1]]
        self._have += len(have)
        first = min(have, key=itemgetter(0), default=None)
        if first is not None and (self._first is None or first[0] < self._first[0]):
            self._first = first
        if not self._spec.fields:
            self._distinct.update(*(value for _, value in have))

    def _order(self, value: Any) -> Any:
        if self._spec.type != "date":
            return value
        # One day may be written in two ways: 9/2/2017, 09/02/2017.
        return iso_date(value, self._spec.format), value

    def example(self) -> Any:
        """Return the first value in sorted order; of lists, the start of that of the first id."""
        if self._is_list:
            return self._first[1][:SHOWN_ITEMS] if self._first else []
        return min(self._distinct - {None}, key=self._order, default=None)

    def least(self, other: Any) -> Any:
        """Return the example, or a value from elsewhere where that comes before it."""
        own = self.example()
        if self._is_list or own is None:
            return other
        try:
            return min(own, other, key=self._order)
        except TypeError:
            # What stands there is of another type, or no day.
            return own

    def types(self) -> list[str]:
        """Return the names of the types seen."""
        return sorted(_TYPE_NAMES[kind] for kind in self._types)

    def facts(self) -> dict[str, Any]:
        """Return coverage, and distinct values or the smallest and the largest."""
        distinct = self._distinct - {None}
        facts: dict[str, Any] = {
            "coverage": round(self._have / self._count, 6) if self._count else 0.0
        }
        if self._spec.type in ("integer", "number", "date"):
            if distinct:
                facts["minimum"] = min(distinct, key=self._order)
                facts["maximum"] = max(distinct, key=self._order)
        elif not self._spec.fields:
            facts["distinct"] = len(distinct)
            if len(distinct) <= LISTED and not _is_relation(self._spec):
                facts["values"] = sorted(distinct)
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
        self._kind = ""
        self._names: list[str] = []
        self._infos: list[Mapping[str, Any]] = []

    def add(self, kind: str, name: str, info: Mapping[str, Any]) -> None:
        """Take the `info` of a record."""
        if kind != self._kind or len(self._names) >= TOGETHER:
            self.flush()
            self._kind = kind
        self._names.append(name)
        self._infos.append(info)

    def flush(self) -> None:
        """Look at what waits, attribute by attribute: that is faster than record by record."""
        for attribute, seen in self.seen.get(self._kind, {}).items():
            seen.add(self._names, [info[attribute] for info in self._infos])
        self._names, self._infos = [], []


def schema_of(here: Collected, source: Collected) -> dict[str, Any]:
    """Return the SCHEMA of a package.

    Examples and types are those of the whole source, so that all packages of a family show the
    same; coverage and range are those of this package.
    """
    here.flush()
    source.flush()
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
    said |= {"unit": spec.unit} if spec.unit else {}
    return said | ({"format": spec.format} if spec.format else {})
