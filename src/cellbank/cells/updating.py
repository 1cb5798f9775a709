"""Values that a table gives records: checked against what the package declares, all at once."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

from cellbank.cells.described import ISO
from cellbank.cells.kinds import GROUPS, relations_of
from cellbank.cells.problems import Problems
from cellbank.cells.standing import Standing
from cellbank.cells.values import Missing, Spec, convert, iso_date
from cellbank.model.names import near
from cellbank.packages.rows import Table

Values = dict[str, dict[str, Any]]
"""Id → attribute → value, as documents have it."""

IGNORED: Final = ("url", "package")
"""Columns of answers that say where something is."""
_IMAGE: Final = ("path", "digest", "size")
_NEW: Final = "New records come by a recipe: cellbank build OWNER RECIPE"
_SEARCHED: Final = 50_000
"""Near ones are looked for among no more ids than these: that takes long."""


class Update(msgspec.Struct, frozen=True):
    """What a table says: values that differ from what stands, and places where none does."""

    changed: Values
    same: dict[str, set[str]]


class Checker:
    """Checks one table about one group of records.

    Parameters
    ----------
    group
        Such as `fovs`.
    specs
        The attributes that can be set.
    standing
        What stands there now.
    gone
        Records that were removed.
    problems
        Gets all that is wrong.
    """

    def __init__(
        self,
        group: str,
        specs: Mapping[str, Spec],
        standing: Standing,
        gone: set[str],
        problems: Problems,
    ) -> None:
        self._group = group
        self._specs = specs
        self._standing = standing
        self._problems = problems
        self._places = {one: at for at, one in enumerate(standing.ids) if one not in gone}
        self._relations = relations_of(GROUPS[group].name)
        self._derived = {*self._relations, *(_IMAGE if GROUPS[group].image else ())}

    def check(self, given: Table) -> Update:
        """Return what the table says; what is wrong with it is in `problems`."""
        names = self._names(given)
        update = Update({}, {})
        rows: dict[str, int] = {}
        for row, number in zip(given.rows, given.numbers, strict=True):
            one = self._id(row, number, given.place, rows)
            if one is not None:
                self._row(one, {n: row[n] for n in names if n in row}, given.place, number, update)
        return update

    def _names(self, given: Table) -> list[str]:
        """Return the columns that can be used, after telling of the others."""
        if "id" not in given.names:
            advice = f"Name the records in it: those of {self._group}."
            self._problems.error(given.place, "has no column id", advice)
        known = [*self._specs, *self._derived]
        for name in given.names:
            if name not in ("id", *known, *IGNORED):
                close = near(name, self._specs)
                has = f"There are: {', '.join(self._specs) or 'none'}. New ones come by a recipe."
                advice = f"Did you mean {' or '.join(close)}?" if close else has
                what = f"{self._group} have no {name}"
                self._problems.error(given.place, what, advice, column=name)
        return [name for name in given.names if name in known]

    def _id(
        self, row: Mapping[str, Any], number: int, place: str, rows: dict[str, int]
    ) -> str | None:
        if row.get("id") in (None, ""):
            if "id" in row:
                self._problems.error(place, "the id is empty", "Fill it in.", row=number)
            return None
        one = str(row["id"]).strip()
        if one not in self._places:
            few = len(self._places) <= _SEARCHED and self._problems.errors < 20
            close = near(one, self._places) if few else []
            advice = f"Did you mean {' or '.join(close)}?" if close else _NEW
            what = f"{self._group} have no {one}"
            self._problems.error(place, what, advice, row=number, column="id")
            return None
        if one in rows:
            what = f"{one} is in row {rows[one]} already"
            self._problems.error(place, what, "Say it once.", row=number, column="id")
            return None
        rows[one] = number
        return one

    def _row(
        self, one: str, row: Mapping[str, Any], place: str, number: int, update: Update
    ) -> None:
        for name, raw in row.items():
            stands = self._standing.column(name)[self._places[one]]
            if name in self._derived:
                if not _equal(raw, stands, is_list=name in self._relations):
                    what = f"{one}: {name} follows from the package and cannot be set"
                    advice = "Leave the column out, or as it is."
                    self._problems.error(place, what, advice, row=number, column=name, record=one)
                continue
            spec = self._specs[name]
            try:
                value = value_of(raw, spec)
            except ValueError as error:
                advice = f"Give {_wanted(spec)}."
                said = f"{one}: {error}"
                self._problems.error(place, said, advice, row=number, column=name, record=one)
                continue
            if table_form(value, spec) == (stands if stands is not None else nothing(spec)):
                update.same.setdefault(one, set()).add(name)
            else:
                update.changed.setdefault(one, {})[name] = value


def value_of(raw: Any, spec: Spec) -> Any:
    """Return the value of a cell as documents have it.

    Raises `ValueError`: It does not fit; the text says what is wrong.
    """
    try:
        value = convert(_with_days(raw, spec), spec)
    except Missing:
        value = nothing(spec)
    if not spec.nullable and value in (None, []):
        raise ValueError(f"{spec.name} is empty")
    return value


def _with_days(raw: Any, spec: Spec) -> Any:
    """Return a cell whose days are days where they are written as metadata tables write them.

    Raises `ValueError`: It has a time of day, which the form of the dates would lose.
    """
    if spec.type == "date" and isinstance(raw, datetime) and raw.time() != time():
        kept = datetime.strptime(raw.strftime(spec.format), spec.format)  # noqa: DTZ007  compared
        if kept.time() == time():
            raise ValueError(f"{raw} has a time of day, and a date in the form {spec.format} none")
    if spec.type == "date" and isinstance(raw, str) and iso_date(raw.strip(), spec.format) is None:
        day = iso_date(raw.strip(), ISO)
        return raw if day is None else date.fromisoformat(day)
    if any(field.type == "date" for field in spec.fields):
        if isinstance(raw, str):
            try:
                raw = json.loads(raw)
            except ValueError:
                return raw
        if isinstance(raw, list) and all(isinstance(item, dict) for item in raw):
            days = {field.name: field for field in spec.fields if field.type == "date"}
            return [
                {
                    name: _with_days(part, days[name]) if name in days else part
                    for name, part in item.items()
                }
                for item in raw
            ]
    return raw


def nothing(spec: Spec) -> Any:
    """Return what stands where nothing is known."""
    return [] if spec.is_list else None


def table_form(value: Any, spec: Spec) -> Any:
    """Return a value of a document as tables have it: days in the form YYYY-MM-DD."""
    if spec.fields and isinstance(value, list):
        return [
            {field.name: table_form(item.get(field.name), field) for field in spec.fields}
            for item in value
        ]
    if spec.type == "date" and isinstance(value, str):
        return iso_date(value, spec.format)
    return value


def _wanted(spec: Spec) -> str:
    if spec.type == "date":
        return f"a day in the form {spec.format}"
    words = {"list[struct]": "a list of structs, as JSON in a text"}
    return words.get(spec.type, spec.type.replace("[", " of ").replace("]", ""))


def _equal(raw: Any, stands: Any, *, is_list: bool) -> bool:
    """Whether a table says what is there anyway."""
    if not is_list:
        return str(raw or "") == str(stands or "")
    try:
        given: Sequence[Any] = convert(raw, Spec("", "list[string]"))
    except (ValueError, Missing):
        return False
    return list(given) == list(stands or [])
