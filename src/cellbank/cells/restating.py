"""SCHEMA stated anew: of attributes whose values changed, what they hold now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from cellbank.cells.documents import as_bytes
from cellbank.cells.kinds import GROUPS
from cellbank.cells.schema import Seen, relation_specs
from cellbank.cells.standing import Standing, Workplace
from cellbank.cells.updating import Values
from cellbank.cells.values import Spec

FACTS: Final = ("coverage", "minimum", "maximum", "distinct", "values")

Infos = Callable[[str, Iterable[str]], Iterable[tuple[str, Any]]]
"""Gives ids and documents of those records of a kind whose documents are here."""


class Restating:
    """States what attributes hold, from the metadata tables and what changes in them.

    Parameters
    ----------
    work
        The tables as they are.
    specs
        Group → attribute → what it holds.
    rows
        Group → id → attribute or relation list → its new value.
    removed
        Group → ids of records that go.
    infos
        Reads documents: tables do not know how a day was spelled.
    """

    def __init__(
        self,
        work: Workplace,
        specs: Mapping[str, Mapping[str, Spec]],
        rows: Mapping[str, Values],
        removed: Mapping[str, set[str]],
        infos: Infos,
    ) -> None:
        self._work = work
        self._specs = specs
        self._rows = rows
        self._removed = removed
        self._infos = infos

    def schema(self, data: bytes) -> bytes:
        """Return SCHEMA with what these attributes hold now."""
        document = msgspec.json.decode(data)
        for group, names in self._affected().items():
            said = document.get(GROUPS[group].schema, {})
            for spec in names:
                if spec.name in said:
                    said[spec.name] = restated(said[spec.name], *self._before_after(group, spec))
        return as_bytes(document)

    def _affected(self) -> dict[str, list[Spec]]:
        """Return the attributes and lists whose values changed, by group."""
        found = {}
        for group in self._specs:
            names = {name for row in self._rows.get(group, {}).values() for name in row}
            specs = [*self._specs[group].values(), *relation_specs(GROUPS[group].name)]
            if not self._removed.get(group):
                specs = [spec for spec in specs if spec.name in names]
            if specs:
                found[group] = specs
        return found

    def _before_after(self, group: str, spec: Spec) -> tuple[Any, Any]:
        standing = self._work.of(group)
        gone, rows = self._removed.get(group, set()), self._rows.get(group, {})
        ids, before = standing.ids, self._spelled(group, spec, standing)
        kept = [
            (one, rows.get(one, {}).get(spec.name, value))
            for one, value in zip(ids, before, strict=True)
            if one not in gone
        ]
        names, after = [one for one, _ in kept], [value for _, value in kept]
        return seen(spec, ids, before), seen(spec, names, after)

    def _spelled(self, group: str, spec: Spec, standing: Standing) -> list[Any]:
        """Return the values of an attribute as documents have them, where it matters how."""
        values = standing.column(spec.name)
        if spec.is_list:
            values = [value or [] for value in values]
        if spec.type != "date" and not any(field.type == "date" for field in spec.fields):
            return values
        find = self._outermost_days if spec.type == "date" else self._first_lists
        wanted = [standing.ids[at] for at in find(group, spec, standing)]
        made = [_in_form(value, spec) for value in values]
        for one, info in self._infos(GROUPS[group].name, wanted):
            made[standing.places[one]] = info.get(spec.name)
        return made

    def _outermost_days(self, group: str, spec: Spec, standing: Standing) -> list[int]:
        """Return the records whose day is the first or the last, before or after."""
        days = standing.column(spec.name)
        gone, rows = self._removed.get(group, set()), self._rows.get(group, {})
        after = [
            None if one in gone or spec.name in rows.get(one, {}) else day
            for one, day in zip(standing.ids, days, strict=True)
        ]
        ends = set()
        for known in (days, after):
            there = [day for day in known if day is not None]
            ends |= {min(there), max(there)} if there else set()
        return [at for at, day in enumerate(days) if day in ends]

    def _first_lists(self, group: str, spec: Spec, standing: Standing) -> list[int]:
        """Return the first record that has a list, before and after."""
        gone, rows = self._removed.get(group, set()), self._rows.get(group, {})
        pairs = [*enumerate(zip(standing.ids, standing.column(spec.name), strict=True))]
        before = (at for at, (_, value) in pairs if value)
        after = (
            at
            for at, (one, value) in pairs
            if value and one not in gone and spec.name not in rows.get(one, {})
        )
        return [at for at in {next(before, -1), next(after, -1)} if at >= 0]


def _in_form(value: Any, spec: Spec) -> Any:
    """Return a value of a table as documents may have it."""
    if spec.fields:
        return [
            {**item, **{f.name: _in_form(item[f.name], f) for f in spec.fields if f.name in item}}
            for item in value
        ]
    if spec.type == "date" and value is not None:
        return date.fromisoformat(value).strftime(spec.format)
    return value


def seen(spec: Spec, ids: Sequence[str], values: Sequence[Any]) -> Seen:
    """Return what an attribute was seen to hold in these records."""
    made = Seen(spec)
    made.add(ids, values)
    return made


def restated(said: Mapping[str, Any], before: Seen, after: Seen) -> dict[str, Any]:
    """Return what SCHEMA says of an attribute, after its values changed.

    Example and types are those of the whole source that a family was made from. Where they came
    from records of this package they follow them; else they are left as they were.
    """
    made = {name: value for name, value in said.items() if name not in FACTS}
    made["example_value"] = _example(said.get("example_value"), before, after)
    elsewhere = set(said.get("value_types") or ()) - set(before.types())
    made["value_types"] = sorted({*elsewhere, *after.types()})
    return made | after.facts()


def _example(said: Any, before: Seen, after: Seen) -> Any:
    if said == before.example() or said in (None, []):
        return after.example()
    return after.least(said)
