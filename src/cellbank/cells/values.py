"""Typed values from the cells of a table: what each type accepts, and what is wrong else."""

import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

LOOKS_MISSING: Final = frozenset({"nan", "null", "none", "#n/a", "n/a"})
"""Texts that programs write where there is nothing."""
_TRUE: Final = frozenset({"true", "yes", "t", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "f", "n", "0"})
_INTEGER: Final = re.compile(r"[+-]?\d+(\.0+)?")
_HALVES: Final = frozenset(map(chr, range(0xD800, 0xE000)))
"""Surrogates, which JSON can spell one by one and UTF-8 cannot."""
_MAX_INTEGER: Final = 2**53 - 1


class Spec(msgspec.Struct, frozen=True):
    """What an attribute holds, all defaults filled in."""

    name: str
    type: str
    description: str = ""
    unit: str = ""
    nullable: bool = True
    format: str = ""
    separator: str = ";"
    one_of: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    origin: str = "baseline"
    fields: tuple["Spec", ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether it holds a list, which is empty where there is nothing."""
        return self.type.startswith("list[")


class Unfit(ValueError):
    """The cell has something that its type does not accept; the text says what."""


class Missing(Exception):
    """The cell has a text that programs write for nothing."""


def is_null(raw: Any) -> bool:
    """Whether a cell is empty."""
    return raw is None or raw == "" or (isinstance(raw, str) and not raw.strip())


def _string(raw: Any, _spec: Spec) -> str:
    if isinstance(raw, str):
        if not raw.isascii() and not _HALVES.isdisjoint(raw):
            raise Unfit(f"{shown(raw)} is not text: it has half a character")
        return raw.strip()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float):
        # A workbook knows only one sort of number: 3500001464.0 is a barcode.
        return str(int(raw)) if raw.is_integer() else repr(raw)
    if isinstance(raw, (datetime, date)):
        return raw.isoformat()
    if isinstance(raw, int):
        return str(raw)
    raise Unfit(f"{shown(raw)} is not text")


def _integer(raw: Any, _spec: Spec) -> int:
    value: int | None = None
    if isinstance(raw, int) and not isinstance(raw, bool):
        value = raw
    elif isinstance(raw, float) and raw.is_integer():
        value = int(raw)
    elif isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
        value = int(raw.strip().partition(".")[0])
    if value is None:
        raise Unfit(f"{shown(raw)} is not an integer")
    if abs(value) > _MAX_INTEGER:
        raise Unfit(f"{shown(raw)} is too large for an integer")
    return value


def _number(raw: Any, _spec: Spec) -> float:
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        try:
            value = float(raw)
        except OverflowError:
            value = math.inf
    elif isinstance(raw, str):
        try:
            value = float("_" if "_" in raw else raw)
        except ValueError:
            raise Unfit(f"{shown(raw)} is not a number") from None
    else:
        raise Unfit(f"{shown(raw)} is not a number")
    if not math.isfinite(value):
        raise Unfit(f"{shown(raw)} is not a finite number")
    return value


def _boolean(raw: Any, _spec: Spec) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    text = str(raw).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Unfit(f"{shown(raw)} is neither true nor false")


def _date(raw: Any, spec: Spec) -> str:
    day = isinstance(raw, (datetime, date))
    text = raw.strftime(spec.format) if day else str(raw).strip()
    if iso_date(text, spec.format) is None:
        raise Unfit(f"{shown(raw)} is not a date in the form {spec.format}")
    return text


@lru_cache(maxsize=65536)
def iso_date(text: str, form: str) -> str | None:
    """Return a date in the form YYYY-MM-DD, or None if it does not have the form given."""
    try:
        return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007  a day, no time
    except ValueError:
        return None


_SCALARS: Final[dict[str, Callable[[Any, Spec], Any]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}


def convert(raw: Any, spec: Spec) -> Any:
    """Return the value of a cell; None (an empty list for a list) where the cell is empty.

    Raises `ValueError`: The cell has something else; the text says what. Raises `Missing`: It has
    a text, or a NaN, that stands for nothing.
    """
    if is_null(raw):
        return [] if spec.is_list else None
    if isinstance(raw, float) and math.isnan(raw):
        raise Missing
    if isinstance(raw, str) and raw.strip().lower() in LOOKS_MISSING:
        raise Missing
    if not spec.is_list:
        value = _SCALARS[spec.type](raw, spec)
        _check_range(value, spec)
        return value
    items = _items(raw, spec)
    if spec.fields:
        return [struct(item, spec) for item in items]
    inner = spec.type[5:-1]
    values = [_SCALARS[inner](item, spec) for item in items if not is_null(item)]
    for value in values:
        _check_range(value, spec)
    return values


def _items(raw: Any, spec: Spec) -> list[Any]:
    if isinstance(raw, (list, tuple)):
        return list(raw)
    if isinstance(raw, str) and raw.lstrip().startswith("["):
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            raise Unfit(f"{shown(raw)} is not a list in JSON") from None
        if isinstance(found, list):
            return found
    if spec.fields:
        raise Unfit(f"{shown(raw)} is not a list of structs")
    return str(raw).split(spec.separator) if isinstance(raw, str) else [raw]


def struct(item: Any, spec: Spec) -> dict[str, Any]:
    """Return a struct of a list, its fields in the order of the recipe."""
    if not isinstance(item, dict):
        raise Unfit(f"{shown(item)} is not a struct")
    unknown = set(item) - {field.name for field in spec.fields}
    if unknown:
        raise Unfit(f"the field {min(unknown)} is not declared")
    return {field.name: _field(item.get(field.name), field) for field in spec.fields}


def _field(raw: Any, field: Spec) -> Any:
    try:
        value = convert(raw, field)
    except Missing:
        value = None
    except ValueError as error:
        raise Unfit(f"{field.name}: {error}") from None
    if value is None and not field.nullable:
        raise Unfit(f"{field.name} is empty")
    return value


def _check_range(value: Any, spec: Spec) -> None:
    if spec.one_of and value not in spec.one_of:
        allowed = ", ".join(str(choice) for choice in spec.one_of)
        raise Unfit(f"{shown(value)} is not one of {allowed}")
    if spec.minimum is not None and value < spec.minimum:
        raise Unfit(f"{shown(value)} is less than {spec.minimum:g}")
    if spec.maximum is not None and value > spec.maximum:
        raise Unfit(f"{shown(value)} is more than {spec.maximum:g}")


def shown(raw: Any) -> str:
    """Return a cell as a message shows it: short, on one line."""
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}…"
