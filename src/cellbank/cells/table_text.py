"""Tables that are text: CSV and its relatives, in any encoding, row by row as a spreadsheet counts.

Python's own reader is used and not DuckDB's: that one leaves blank and bad lines out without a
trace, so that no number of a row below one could be trusted.
"""

import codecs
import csv
import io
from pathlib import Path
from typing import Any, Final

from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import Rows, columns_of, numbered, warn_empty, warn_nameless

DELIMITERS: Final = (",", ";", "\t", "|")
_NO_DELIMITERS: Final = ('"', "\n", "\r", "\0")
_SAMPLE: Final = 64 * 1024
_SAMPLE_ROWS: Final = 50


def read_text(
    path: str, place: str, delimiter: str, encoding: str, problems: Problems
) -> Rows | None:
    """Return the rows of a CSV file, all values as text, or None after an error."""
    text = _decoded(Path(path).read_bytes(), place, encoding, problems)
    if text is None:
        return None
    if "\0" in text:
        problems.error(
            place,
            "has a NUL character: it is no text, or text in another encoding",
            "Name the encoding in the recipe (`encoding: utf-16`), or write the file anew.",
            row=_row_at(text[: text.index("\0")]),
        )
        return None
    if len(delimiter) > 1 and delimiter != "\\t":
        problems.error(place, f"{delimiter!r} is not one character", "Mend `delimiter`.")
        return None
    if delimiter in _NO_DELIMITERS:
        what = f"{delimiter!r} cannot stand between values"
        problems.error(place, what, "Mend `delimiter`.")
        return None
    mark = {"": find_delimiter(text), "\\t": "\t"}.get(delimiter, delimiter)
    return _Reading(place, problems).rows(text, mark)


def _decoded(data: bytes, place: str, encoding: str, problems: Problems) -> str | None:
    name = encoding or "utf-8"
    try:
        codec = codecs.lookup(name).name
        text = data.decode("utf-8-sig" if codec == "utf-8" else codec)
    except UnicodeDecodeError as error:
        return _undecodable(data, error, place, name, problems)
    except (LookupError, ValueError):
        problems.error(
            place,
            f"{encoding!r} is not an encoding that is known",
            "Write `encoding: utf-8`, `latin-1` or `utf-16`.",
        )
        return None
    return text.removeprefix("\ufeff")


UTF16_ADVICE: Final = "Save it as UTF-8. (A recipe may name another: `encoding: utf-16`.)"


def _undecodable(
    data: bytes, error: UnicodeDecodeError, place: str, encoding: str, problems: Problems
) -> str | None:
    before = error.object[: error.start].decode(error.encoding, "replace")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        what, advice, row = "is UTF-16", UTF16_ADVICE, None
    else:
        byte = error.object[error.start]
        what = f"is not {encoding}: there is a byte {byte:#04x} that cannot be"
        advice = "Save it as UTF-8. (A recipe may name another: `encoding: latin-1`.)"
        row = _row_at(before)
    problems.error(place, what, advice, row=row)
    # So that everything else that is wrong is found, too; nothing is built from it.
    return None if row is None or encoding.startswith("utf-16") else data.decode("latin-1")


def _row_at(before: str) -> int:
    """Return the number of the row that comes after this text, or is begun by it."""
    records = csv.reader(io.StringIO(f"{before}x", newline=""), delimiter=find_delimiter(before))
    try:
        return sum(1 for _ in records)
    except csv.Error:
        return before.count("\n") + 1


def find_delimiter(text: str) -> str:
    """Return the delimiter by which most rows have as many values as the header; else a comma."""
    best, best_score = ",", (0.0, 0)
    for mark in DELIMITERS:
        widths = []
        sample = csv.reader(io.StringIO(text[:_SAMPLE], newline=""), delimiter=mark)
        try:
            for record in sample:
                if any(record):
                    widths.append(len(record))
                if len(widths) == _SAMPLE_ROWS:
                    break
        except csv.Error:
            pass
        if not widths or widths[0] < 2:
            continue
        # The last one may be cut in the middle.
        whole = widths[:-1] if len(widths) > 2 else widths
        score = (round(whole.count(widths[0]) / len(whole), 1), widths[0])
        if score > best_score:
            best, best_score = mark, score
    return best


class _Reading:
    """A CSV file, read once from its first row to its last.

    Invariant: `number` is the spreadsheet's number of the row that was read last.
    """

    def __init__(self, place: str, problems: Problems) -> None:
        self.place = place
        self.problems = problems
        self.number = 0
        self.names: list[str] = []
        self.header_row = 1
        self.found: list[tuple[Any, ...]] = []
        self.numbers: list[int] = []

    def rows(self, text: str, delimiter: str) -> Rows | None:
        """Return all rows that are whole; say what is wrong with the others."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        while True:
            lines = reader.line_num
            self.number += 1
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                if not self._went_wrong(str(error), reader.line_num - lines):
                    break
                continue
            self._take(record)
        if not self.names:
            self.problems.error(
                self.place, "is empty", "It needs at least a row with the names of its columns."
            )
            return None
        if not self.found:
            warn_empty(self.place, self.problems)
        warn_nameless(self.place, self.names, self.found, self.header_row, self.problems)
        columns = columns_of(self.place, self.names, self.header_row, self.problems)
        made = numbered(self.place, columns, self.found, self.numbers)
        if not self.numbers:
            made.first = self.header_row + 1
        return made

    def _take(self, record: list[str]) -> None:
        width = len(self.names)
        if len(record) == width and any(record):
            self.found.append(tuple(record))
            self.numbers.append(self.number)
        elif not any(record):
            return
        elif not width:
            self.names, self.header_row = [name.strip() for name in record], self.number
        elif len(record) > width and not any(record[width:]):
            self.found.append(tuple(record[:width]))
            self.numbers.append(self.number)
        else:
            self.problems.error(
                self.place,
                f"has {len(record)} values where the header names {width} columns",
                "Put a value with the delimiter in it between quotes, or add what is missing.",
                row=self.number,
            )

    def _went_wrong(self, reason: str, lines: int) -> bool:
        """Say what stopped the reader; return whether the next row can be told from this one."""
        too_long = "field limit" in reason
        lost = "unexpected end of data" in reason or (too_long and lines > 1)
        if lost:
            what = "opens a quote that is never closed; what follows was not read"
        elif too_long:
            what = f"has a value of more than {csv.field_size_limit()} characters"
        else:
            what = "has text after a closing quote"
        self.problems.error(
            self.place,
            what,
            'Write a value that has quotes as "…", and each quote in it twice.',
            row=self.number,
        )
        return not lost
