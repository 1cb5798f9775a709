"""Rows that somebody hands over, of whatever library: names, plain values, and their numbers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from cellbank.model.errors import BadInput

INDEXES = ("id", "path")
"""An index of pandas with such a name is a column like any other."""


class Table(msgspec.Struct, frozen=True):
    """Rows, each with what it says: a name that a row does not have is not said there.

    `place` is what messages call it: `fovs.csv`, or `the table` of a call in Python. Values are
    None where there is nothing. `numbers` are those by which people know the rows.
    """

    place: str
    names: list[str]
    rows: Sequence[Mapping[str, Any]]
    numbers: Sequence[int]


def table_of(given: Any, place: str = "the table") -> Table:
    """Return the rows of a data frame of pandas or polars, or of a list of mappings.

    Rows are counted from 1. Raises `BadInput`: It is something else, or a name is there twice.
    """
    if isinstance(given, Table):
        return given
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise _no_table(given, place)
    if _is_frame(given):
        names, rows = _of_frame(given)
    else:
        rows = list(given)
        if not all(isinstance(row, Mapping) for row in rows):
            raise _no_table(given, place)
        names = list(dict.fromkeys(name for row in rows for name in row))
    twice = {name for name in names if names.count(name) > 1}
    if twice or not all(isinstance(name, str) for name in names):
        odd = min(map(str, twice)) if twice else next(n for n in names if not isinstance(n, str))
        what = "there are two columns" if twice else "no text names the column"
        raise BadInput(f"{place}: {what} {odd!r:.60}", "Give each column a name of its own.")
    made = [{name: plain(value) for name, value in row.items()} for row in rows]
    return Table(place, names, made, range(1, len(made) + 1))


def _no_table(given: object, place: str) -> BadInput:
    advice = "Give a data frame of pandas or polars, or a list with a dictionary for each row."
    return BadInput(f"{place}: {given!r:.60} is no table", advice)


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and (
        hasattr(given, "to_dicts") or hasattr(given, "itertuples")
    )


def _of_frame(frame: Any) -> tuple[list[Any], list[dict[Any, Any]]]:
    """Return names and rows of a data frame; libraries are told apart by what they can do."""
    if hasattr(frame, "to_dicts"):
        return list(frame.columns), frame.to_dicts()
    if frame.index.name in INDEXES:
        frame = frame.reset_index()
    names = list(frame.columns)
    return names, [dict(zip(names, row, strict=True)) for row in frame.itertuples(False, None)]


def plain(value: Any) -> Any:
    """Return a value as JSON knows it, days aside; what stands for nothing (NaN) is None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    # Arrays and scalars of numpy; series of polars, which it has for lists in some places.
    unpack = getattr(value, "tolist", None) or getattr(value, "to_list", None)
    if unpack is not None:
        return plain(unpack())
    return _time(value)


def _time(value: Any) -> Any:
    """Return a day as it is, a time that is one as a day, None for no time; else what it is."""
    if isinstance(value, datetime):
        return _day(value)
    return None if _is_missing(value) else value


def _day(value: datetime) -> datetime | date | None:
    """Return a point in time as a day, where it is one: pandas knows no days."""
    if value != value:  # noqa: PLR0124  NaT
        return None
    at = value.time()
    return value.date() if not (at.hour or at.minute or at.second or at.microsecond) else value


def _is_missing(value: Any) -> bool:
    """Whether it is `pandas.NA`, which is not even equal to itself."""
    return type(value).__name__ in ("NAType", "NaTType")
