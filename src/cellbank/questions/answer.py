"""An answer: rows, and what their columns hold; as a data frame, and as text."""

import shutil
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cellbank.model.errors import BadInput
from cellbank.model.shown import shower
from cellbank.questions.formats import apart, plain, table
from cellbank.questions.kinds import Kind

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]
    import polars
    import pyarrow  # type: ignore[import-untyped]

WIDTH: Final = 120
"""So wide is what is printed where nobody knows how wide a line may be."""
_HUGE: Final = ("hugeint", "uhugeint")
_DIGITS: Final = 39
"""So many has the largest of them."""
_PANDAS: Final = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "Int64"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger"), "Int64"),
    "ubigint": "UInt64",
    # The sum of whole numbers: it mostly has room in what others reckon with.
    **dict.fromkeys(_HUGE, "Int64"),
    "double": "float64",
    "float": "float64",
    "boolean": "boolean",
    "varchar": "string",
    "date": "datetime64[s]",
    "timestamp": "datetime64[us]",
}
"""Types that have a place for what is not known: a passage stays a whole number."""
_DATES: Final = ("date", "timestamp")
"""Outside of the years 1 to 9999 these are text."""


class Answer:
    """The answer to a question: a table, its rows in the order in which they came.

    A value: it needs no store and no connection any more.

    Parameters
    ----------
    names
        Of the columns.
    kinds
        What the columns hold.
    rows
        The rows.

    Examples
    --------
    >>> import cellbank
    >>> answer = cellbank.query("demo/nuclei", "SELECT path, size FROM entries ORDER BY path")
    >>> answer.columns, len(answer)
    (['path', 'size'], 2)
    >>> [row["path"] for row in answer]
    ['README.md', 'images/nuclei.ome.tif']
    """

    def __init__(
        self, names: Sequence[str], kinds: Sequence[Kind], rows: list[tuple[Any, ...]]
    ) -> None:
        self._names = list(names)
        self._kinds = list(kinds)
        self._rows = rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._names)

    @property
    def types(self) -> list[str]:
        """What the columns hold, as SQL spells it, such as `VARCHAR` or `BIGINT[]`."""
        return [kind.name for kind in self._kinds]

    @property
    def kinds(self) -> list[Kind]:
        """What the columns hold, taken apart: lists and structs have parts."""
        return list(self._kinds)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows: text, numbers, dates, lists, dictionaries; None is not known."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = self._names
        return (dict(zip(names, row, strict=True)) for row in self._rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return dict(zip(self._names, self._rows[number], strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        return (self._names, self._kinds, self._rows) == (other._names, other._kinds, other._rows)

    __hash__ = None  # type: ignore[assignment]

    # --- as data frames

    def _values(self) -> list[list[Any]]:
        return [list(column) for column in zip(*self._rows, strict=True)] or [
            [] for _ in self._names
        ]

    def df(self) -> "pandas.DataFrame":
        """Return it as a data frame of pandas.

        Integers stay integers where some are not known, dates are dates, lists and structs stay
        what they are. Raises `BadInput`: pandas is not installed.
        """
        library = _library("pandas")
        made = [
            _series(library, values, kind)
            for values, kind in zip(self._values(), self._kinds, strict=True)
        ]
        frame: pandas.DataFrame = library.DataFrame(
            dict(enumerate(made)), index=library.RangeIndex(len(self))
        )
        frame.columns = self._names
        return frame

    def pl(self) -> "polars.DataFrame":
        """Return it as a data frame of polars; raises `BadInput`: polars is not installed."""
        library = _library("polars")
        columns = zip(apart(self._names), self._values(), self._kinds, strict=True)
        frame: polars.DataFrame = library.DataFrame(
            [_polars_series(library, name, values, kind) for name, values, kind in columns]
        )
        return frame

    def arrow(self) -> "pyarrow.Table":
        """Return it as a table of Arrow; raises `BadInput`: pyarrow is not installed."""
        pyarrow = _library("pyarrow")
        columns = zip(self._values(), self._kinds, strict=True)
        arrays = [_arrow_array(pyarrow, values, kind) for values, kind in columns]
        return pyarrow.Table.from_arrays(arrays, names=self._names)

    # --- as text

    def __str__(self) -> str:
        width = shutil.get_terminal_size((WIDTH, 0)).columns
        return "\n".join(table(self, width=width))

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self, include=include, exclude=exclude)


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise BadInput(f"{name} is not installed", f"Install it: pip install {name}") from None


def _series(pandas: Any, values: list[Any], kind: Kind) -> Any:
    try:
        return pandas.Series(values, dtype=_PANDAS.get(kind.id, "object"))
    except (TypeError, ValueError, OverflowError):
        # A date before year 1 or after 9999, a number that is too large for its type there.
        return pandas.Series(values, dtype="object")


def _polars_series(polars: Any, name: str, values: list[Any], kind: Kind) -> Any:
    try:
        return polars.Series(name, values, _polars_type(polars, kind), strict=True)
    except (TypeError, OverflowError, polars.exceptions.PolarsError):
        if kind.id in _DATES:
            return polars.Series(name, _as_text(values), polars.String)
        return polars.Series(name, values, _polars_type(polars, kind), strict=False)


def _as_text(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else plain(value) for value in values]


def _polars_type(polars: Any, kind: Kind) -> Any:
    known = {
        "tinyint": polars.Int8,
        "smallint": polars.Int16,
        "integer": polars.Int32,
        "bigint": polars.Int64,
        "utinyint": polars.UInt8,
        "usmallint": polars.UInt16,
        "uinteger": polars.UInt32,
        "ubigint": polars.UInt64,
        "float": polars.Float32,
        "double": polars.Float64,
        "boolean": polars.Boolean,
        "varchar": polars.String,
        "date": polars.Date,
        "timestamp": polars.Datetime("us"),
    }
    if kind.id == "list" and kind.parts:
        inner = _polars_type(polars, kind.parts[0][1])
        return None if inner is None else polars.List(inner)
    if kind.id == "struct":
        fields = [(name, _polars_type(polars, one)) for name, one in kind.parts]
        if any(inner is None for _, inner in fields):
            return None
        return polars.Struct([polars.Field(*field) for field in fields])
    return known.get(kind.id)


def _arrow_array(pyarrow: Any, values: list[Any], kind: Kind) -> Any:
    try:
        return pyarrow.array(values, _arrow_type(pyarrow, kind))
    except (OverflowError, pyarrow.ArrowException):
        if kind.id in _HUGE:
            exact = [None if value is None else Decimal(value) for value in values]
            return pyarrow.array(exact, pyarrow.decimal256(_DIGITS, 0))
        # It has no such numbers, no such dates, no maps whose keys are no text.
        return pyarrow.array(_as_text(values), pyarrow.string())


def _arrow_type(pyarrow: Any, kind: Kind) -> Any:
    known = {
        "tinyint": pyarrow.int8(),
        "smallint": pyarrow.int16(),
        "integer": pyarrow.int32(),
        "bigint": pyarrow.int64(),
        "utinyint": pyarrow.uint8(),
        "usmallint": pyarrow.uint16(),
        "uinteger": pyarrow.uint32(),
        "ubigint": pyarrow.uint64(),
        "float": pyarrow.float32(),
        "double": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "varchar": pyarrow.string(),
        "date": pyarrow.date32(),
        "timestamp": pyarrow.timestamp("us"),
    }
    if kind.id == "list" and kind.parts:
        inner = _arrow_type(pyarrow, kind.parts[0][1])
        return None if inner is None else pyarrow.list_(inner)
    if kind.id == "struct":
        fields = [(name, _arrow_type(pyarrow, one)) for name, one in kind.parts]
        return None if any(inner is None for _, inner in fields) else pyarrow.struct(fields)
    return known.get(kind.id)
