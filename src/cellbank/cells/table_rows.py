"""One table, read: its columns, its rows, and the number by which people know each row."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from cellbank.cells.problems import Problems
from cellbank.model.names import near


class Rows(msgspec.Struct):
    """The rows of a table.

    `place` is how the table is shown: `wells.csv`, `segmentations.sqlite:cells`, `postgres:fovs`.
    `first` is the number of the first row as people count: where a sheet or text file has its
    names in row 1, that is 2; it is 1 in Parquet files and databases. `numbers` are the numbers of
    all rows where some were left out between them (blank ones, bad ones).

    Invariant: every row has as many values as the table has columns, the unusable ones too.
    """

    place: str
    columns: dict[str, int]
    rows: list[tuple[Any, ...]]
    first: int
    numbers: list[int] | None = None

    def number(self, index: int) -> int:
        """Return the number by which people know the row at `index`."""
        return self.first + index if self.numbers is None else self.numbers[index]


def numbered(
    place: str, columns: dict[str, int], rows: list[tuple[Any, ...]], numbers: list[int]
) -> Rows:
    """Return rows that may have gaps between them."""
    first = numbers[0] if numbers else 2
    whole = not numbers or numbers[-1] == first + len(rows) - 1
    return Rows(place, columns, rows, first, None if whole else numbers)


def columns_of(
    place: str, names: Sequence[str], row: int | None, problems: Problems
) -> dict[str, int]:
    """Return name → index of the columns that can be used; a name must be there once."""
    columns: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            continue
        if name in columns:
            problems.error(
                place,
                f"columns {columns[name] + 1} and {index + 1} both have the name {name!r}",
                "Give each column a name of its own.",
                row=row,
                column=name,
            )
        else:
            columns[name] = index
    return columns


def warn_nameless(
    place: str,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    row: int,
    problems: Problems,
) -> None:
    """Warn of columns that hold something and have no name, so that nobody can ask for them."""
    blank = [index for index, name in enumerate(names) if not name]
    if not blank:
        return
    used = {i for values in rows for i in blank if values[i] not in ("", None)}
    for index in sorted(used):
        problems.warn(
            place,
            f"column {index + 1} has no name and is not used",
            "Give it a name in the header, or remove it.",
            row=row,
        )


def warn_empty(place: str, problems: Problems) -> None:
    """Warn of a table without rows."""
    problems.warn(place, "has no rows", "Check that this is the table you mean.")


def plain(value: Any) -> Any:
    """Return a value of a database as a value that JSON knows, dates aside."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, (list, tuple, set)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value


PLAIN_TYPES = (str, int, float, bool, type(None))


def plain_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows of a database with plain values; columns that are plain already cost little."""
    if not rows:
        return rows
    odd = [
        index
        for index in range(len(rows[0]))
        if not all(type(row[index]) in PLAIN_TYPES for row in rows)
    ]
    if not odd:
        return rows
    made = []
    for row in rows:
        values = list(row)
        for index in odd:
            values[index] = plain(values[index])
        made.append(tuple(values))
    return made


def did_you_mean(word: str, names: Iterable[str], otherwise: str) -> str:
    """Return an advice that names what looks like `word`, or all there is where that is little."""
    names = list(names)
    if close := near(word, names):
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(sorted(names)[:10])}." if names else otherwise
