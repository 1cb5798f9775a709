"""What the columns of a table look like: how full, how many values, which type, which unit."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from cellbank.cells.table_rows import Rows
from cellbank.cells.values import Missing, Spec, convert, is_null

DATE_FORMS: Final = (
    "%Y-%m-%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%m/%d/%y",
)
_UNITS: Final = (
    (re.compile(r"[_ (\[](um|µm|μm|micron|microns)[)\]]?$", re.IGNORECASE), "µm"),
    (re.compile(r"[_ (\[](nm)[)\]]?$", re.IGNORECASE), "nm"),
    (re.compile(r"[_ (\[](ms|msec)[)\]]?$", re.IGNORECASE), "ms"),
    (re.compile(r"[_ (\[](s|sec|seconds)[)\]]?$", re.IGNORECASE), "s"),
    (re.compile(r"[_ (\[](h|hours)[)\]]?$", re.IGNORECASE), "h"),
    (re.compile(r"[_ (\[](degc|celsius|°c)[)\]]?$", re.IGNORECASE), "°C"),
    (re.compile(r"[_ (\[](percent|pct|%)[)\]]?$", re.IGNORECASE), "%"),
)
_IMAGE: Final = re.compile(r"\.(tiff?|czi|nd2|lif|zarr)$", re.IGNORECASE)


class Column(msgspec.Struct):
    """A column of a table: its values that are there, as text, too."""

    name: str
    rows: int
    values: list[Any]
    texts: set[str]

    @property
    def full(self) -> bool:
        """Whether every row has a value."""
        return bool(self.rows) and len(self.values) == self.rows

    @property
    def unique(self) -> bool:
        """Whether it tells all rows apart."""
        return self.full and len(self.texts) == self.rows

    @property
    def has_paths(self) -> bool:
        """Whether it has names of images."""
        return bool(self.values) and all(_IMAGE.search(text) for text in self.texts)

    @property
    def words(self) -> str:
        """How full it is, and of what, for a comment."""
        if not self.values:
            return f"empty in all of {self.rows} rows"
        if self.unique:
            return f"unique in {self.rows} of {self.rows} rows"
        count = len(self.texts)
        said = f"filled in {len(self.values)} of {self.rows} rows"
        return f"{said}, {count} value{'s' if count != 1 else ''}"


def columns_in(rows: Rows) -> dict[str, Column]:
    """Return the columns of a table, by their names."""
    found = {}
    for name, index in rows.columns.items():
        values = [row[index] for row in rows.rows if not is_null(row[index])]
        texts = {as_text(value) for value in values}
        found[name] = Column(name, len(rows.rows), values, texts)
    return found


def as_text(value: Any) -> str:
    """Return a value as it would be written in a cell."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else str(value)


def fits(values: Iterable[Any], spec: Spec) -> bool:
    """Whether the builder would take all of these values."""
    try:
        for value in values:
            convert(value, spec)
    except (ValueError, Missing):
        return False
    return True


def date_forms(column: Column) -> list[str]:
    """Return the forms that all days of a column have, the likeliest first."""
    if not column.values:
        return []
    return [form for form in DATE_FORMS if fits(column.values, Spec("", "date", format=form))]


def type_of(column: Column) -> str:
    """Return the narrowest type that takes all values of a column."""
    values = column.values
    if not values:
        return "string"
    if all(isinstance(value, (list, tuple)) for value in values):
        inner = [part for value in values for part in value]
        if inner and all(isinstance(part, dict) for part in inner):
            return "list[struct]"
        return f"list[{scalar_type(inner)}]"
    found = scalar_type(values)
    return "date" if found == "string" and date_forms(column) else found


def scalar_type(values: Sequence[Any]) -> str:
    """Return the narrowest type of single values; a 0 or 1 is a number, not a truth."""
    texts = {as_text(value) for value in values}
    if any(re.fullmatch(r"[+-]?0\d+", text) for text in texts):
        return "string"  # 007 is a name
    for kind in ("integer", "number"):
        if values and fits(values, Spec("", kind)):
            return kind
    if values and fits(values, Spec("", "boolean")):
        return "boolean"
    return "string"


def unit_of(name: str) -> str:
    """Return the unit that the name of a column ends in, or nothing."""
    return next((unit for form, unit in _UNITS if form.search(name)), "")


def plain_name(name: str) -> str:
    """Return a name as an attribute would have it: `Seed Date (µm)` → `seed_date`."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", text)
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")
