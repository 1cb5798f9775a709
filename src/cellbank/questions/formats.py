"""Answers as text: a table for people, CSV, JSON and Markdown for others."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Protocol

import msgspec

from cellbank.questions.kinds import Kind

NUMBERS: Final = {
    *("tinyint", "smallint", "integer", "bigint", "hugeint", "float", "double", "decimal"),
    *("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"),
}
SHOWN: Final = 20
"""So many rows of a longer answer are printed, the first and the last."""
CELL: Final = 40
"""So many characters of a value are printed."""
UNKNOWN: Final = "—"
"""What stands in a table for people where nothing is known."""
_LEAST: Final = 6


class Table(Protocol):
    """What an answer is to who writes it down."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    @property
    def kinds(self) -> list[Kind]:
        """What the columns hold."""

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows."""


def apart(names: Sequence[str]) -> list[str]:
    """Return names of columns, with a number behind those that are there before: `id`, `id_1`."""
    found: list[str] = []
    for name in names:
        number = 0
        while (one := f"{name}_{number}" if number else name) in found:
            number += 1
        found.append(one)
    return found


def table(answer: Table, *, width: int = 0, rows: int = 0) -> list[str]:
    """Return an answer as lines of aligned columns, and how many rows it has.

    Parameters
    ----------
    answer
        The answer.
    width
        So wide is the terminal: long values are cut, then columns left out; 0 cuts no line.
    rows
        So many rows are shown, half of them the last; 0 shows 20 of a longer answer, −1 all.

    Returns
    -------
    list[str]
        The lines.
    """
    every = answer.rows()
    head, tail = ends(every, len(every) if rows < 0 else rows or SHOWN)
    numbers = [kind.id in NUMBERS for kind in answer.kinds]
    cells = [[_cell(value) for value in row] for row in [*head, *tail]]
    lines, shown = _aligned([answer.columns, *cells], numbers, width)
    if tail:
        lines.insert(1 + len(head), "…")
    count = f"{len(every):,} row{'s' if len(every) != 1 else ''}"
    if shown < len(numbers):
        count += f", {shown} of {len(numbers)} columns"
    return [*lines, f"({count})"]


def ends(rows: list[tuple[Any, ...]], most: int = SHOWN) -> tuple[list[Any], list[Any]]:
    """Return the first and the last rows, if they are more than `most`; else all and none."""
    if len(rows) <= most:
        return rows, []
    return rows[: (most + 1) // 2], rows[len(rows) - most // 2 :]


def _cell(value: Any) -> str:
    shown = UNKNOWN if value is None else plain(value)
    shown = " ".join(shown.split()) if "\n" in shown or "\t" in shown else shown
    return shown if len(shown) <= CELL else f"{shown[: CELL - 1]}…"


def _aligned(
    rows: Sequence[Sequence[str]], numbers: Sequence[bool], width: int
) -> tuple[list[str], int]:
    """Return rows as lines no wider than `width`, and how many columns they have room for."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = list(range(len(widths)))
    if width:
        widths = _narrowed(widths, width)
        while len(shown) > 1 and _width(widths, shown) > width:
            shown.pop()
    out = []
    for row in rows:
        cells = [_fitted(row[i], widths[i], right=numbers[i]) for i in shown]
        line = "  ".join(cells).rstrip()
        out.append(f"{line}  …" if len(shown) < len(widths) else line)
    return out, len(shown)


def _width(widths: Sequence[int], shown: Sequence[int]) -> int:
    """Return how wide a line of these columns is, with the mark of those left out."""
    return sum(widths[i] for i in shown) + 2 * (len(shown) - 1) + 3 * (len(shown) < len(widths))


def _narrowed(widths: list[int], width: int) -> list[int]:
    """Return widths that fit, the widest columns cut first, none below a few characters."""
    made = list(widths)
    room = width - 2 * (len(made) - 1)
    while sum(made) > room and max(made) > _LEAST:
        made[made.index(max(made))] -= 1
    return made


def _fitted(cell: str, width: int, *, right: bool) -> str:
    if len(cell) > width:
        cell = f"{cell[: max(width - 1, 0)]}…"
    return cell.rjust(width) if right else cell.ljust(width)


def told(value: Any) -> str:
    """Return a value as a line about it shows it, long ones cut."""
    return _cell(value)


def plain(value: Any) -> str:
    """Return a value as text: dates as in ISO 8601, lists and structs as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict, tuple)):
        return _json(value).decode()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(_known(value))


def _known(value: Any) -> Any:
    """Return a value as JSON can have it: no number without end, no key but text."""
    if isinstance(value, dict):
        return {str(name): _known(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(one) for one in value]
    if isinstance(value, float):
        # JSON has no word for these; a text is nearer to them than null.
        return value if value - value == 0 else str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return msgspec.Raw(str(value).encode())
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, timedelta):
        return str(value)
    return value


def csv_lines(names: Sequence[str], batches: Iterable[Sequence[Sequence[Any]]]) -> Iterator[str]:
    """Yield CSV (RFC 4180, lines as on Unix): nothing where nothing is known, JSON for lists."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    yield _taken(file)
    for rows in batches:
        writer.writerows([["" if one is None else plain(one) for one in row] for row in rows])
        yield _taken(file)


def _taken(file: io.StringIO) -> str:
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text


def json_lines(names: Sequence[str], batches: Iterable[Sequence[Sequence[Any]]]) -> Iterator[str]:
    """Yield one JSON array of objects, an object a line."""
    keys = apart(names)
    before = "[\n"
    for rows in batches:
        for row in rows:
            one = {key: _known(value) for key, value in zip(keys, row, strict=True)}
            yield f"{before}{msgspec.json.encode(one).decode()}"
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def markdown_lines(
    names: Sequence[str], kinds: Sequence[Kind], batches: Iterable[Sequence[Sequence[Any]]]
) -> Iterator[str]:
    """Yield a Markdown table; numbers stand to the right."""
    rule = ["--:" if kind.id in NUMBERS else "---" for kind in kinds]
    yield f"| {' | '.join(map(_escaped, names))} |\n| {' | '.join(rule)} |\n"
    for rows in batches:
        for row in rows:
            cells = ["" if one is None else _escaped(plain(one)) for one in row]
            yield f"| {' | '.join(cells)} |\n"


def _escaped(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
