"""The table of a folder that Quilt 3 or quilt3distribute made: rows, and the files they name."""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from cellbank.cells.problems import Problem, Problems
from cellbank.cells.quilt_columns import FILES, snake
from cellbank.cells.recipe import Table as Place
from cellbank.cells.tables import read_table
from cellbank.model.errors import BadInput, NotFound, ProblemsFound

TABLES: Final = ("metadata.csv", "metadata.parquet", "manifest.csv", "manifest.parquet")
ASSOCIATES: Final = "associates"
_LOOKED_AT: Final = 50
"""So many values tell whether a column names files."""


class Quilt(msgspec.Struct, frozen=True):
    """A folder's table: rows by column, and which columns name files of the folder.

    In `files` a value is the path of the file in the folder, or nothing where there is none.
    `numbers` are those by which people know the rows, `problems` what should be looked at.
    """

    place: str
    rows: list[dict[str, Any]]
    columns: list[str]
    files: list[str]
    numbers: Sequence[int] = ()
    problems: Sequence[Problem] = ()

    def named(self) -> set[str]:
        """Return the paths of all files that rows name."""
        return {row[name] for row in self.rows for name in self.files if row[name]}


def read_quilt(folder: Path) -> Quilt:
    """Return the table of a folder.

    Raises `NotFound`: There is no folder, or no table in it. Raises `ProblemsFound`: It cannot be
    read.
    """
    if folder.is_file():
        raise BadInput(f"{folder} is not a folder", "Name the folder with the metadata.csv.")
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", "Name the folder with the metadata.csv.")
    name = next((one for one in TABLES if (folder / one).is_file()), None)
    if name is None:
        advice = "Package it as it is: cellbank build OWNER/NAME FOLDER"
        raise NotFound(f"{folder} has no metadata.csv, so it is none of quilt3distribute", advice)
    problems = Problems()
    found = read_table(Place(file=name), str(folder), problems)
    if found is None or problems.errors:
        raise ProblemsFound(name, [msgspec.to_builtins(one) for one in problems.found()])
    if not found.rows:
        raise BadInput(f"{name} has no rows", "There is nothing to import.")
    given = [{key: _known(row[at]) for key, at in found.columns.items()} for row in found.rows]
    rows, numbers = _once(given, [found.number(at) for at in range(len(given))], name, problems)
    columns = [key for key in found.columns if key != ASSOCIATES]
    if ASSOCIATES in found.columns:
        columns += _spread(rows, numbers, columns, name, problems)
    files = [key for key in columns if _names_files(folder, key, [row[key] for row in rows])]
    for key in files:
        lost: dict[str, int] = {}
        for row, number in zip(rows, numbers, strict=True):
            path = _path_in(folder, key, row[key])
            if path is None and row[key] is not None:
                lost.setdefault(str(row[key]), number)
            row[key] = path
        if lost:
            first, number = next(iter(lost.items()))
            what = f"{len(lost):,} of the files that it names are not in the folder: {first:.80}"
            advice = "What is only in them is left out: put them there and import again."
            problems.warn(name, what, advice, row=number, column=key)
    return Quilt(name, rows, columns, files, numbers, problems.found())


def _once(
    rows: list[dict[str, Any]], numbers: list[int], place: str, problems: Problems
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the rows without those that say the same as one before."""
    kept = dict(zip(map(repr, reversed(rows)), reversed(range(len(rows))), strict=True))
    first = sorted(kept.values())
    if len(first) < len(rows):
        count = len(rows) - len(first)
        what = f"{count:,} {'row says' if count == 1 else 'rows say'} the same as one before"
        again = next(at for at in range(len(rows)) if at >= len(first) or first[at] != at)
        problems.warn(place, what, "They are taken once.", row=numbers[again])
    return [rows[at] for at in first], [numbers[at] for at in first]


def _known(value: Any) -> Any:
    """Return the value of a cell; None for the texts that pandas writes where there is nothing."""
    if isinstance(value, str):
        value = value.strip()
    return None if value in ("", "nan", "NaN", "None") or value != value else value  # noqa: PLR0124


def _spread(
    rows: Iterable[dict[str, Any]],
    numbers: Iterable[int],
    columns: Iterable[str],
    place: str,
    problems: Problems,
) -> list[str]:
    """Give each row what its `associates` name, as columns; return those that are new."""
    known = set(columns)
    added: dict[str, None] = {}
    parsed = []
    odd: list[int] = []
    several: dict[str, list[int]] = {}
    for row, number in zip(rows, numbers, strict=True):
        said = row.pop(ASSOCIATES, None)
        associates = _associates(said)
        if associates is None:
            associates = {}
            odd.append(number)
        for key, one in associates.items():
            if isinstance(one, list):
                associates[key] = one[0] if one else None
                if len(one) > 1:
                    several.setdefault(key, []).append(number)
        parsed.append((row, associates))
        added |= dict.fromkeys(key for key in associates if key not in known)
    for row, associates in parsed:
        for key in added:
            row[key] = associates.get(key)
    if odd:
        what = f"of {len(odd):,} rows they cannot be read"
        advice = "Write them as JSON: a name and a path for each file."
        problems.warn(place, what, advice, row=odd[0], column=ASSOCIATES)
    for key, found in several.items():
        what = f"{len(found):,} {'row has' if len(found) == 1 else 'rows have'} several {key:.60}"
        advice = "The first is taken. Give each of the others a row, or a name, of its own."
        problems.warn(place, what, advice, row=found[0], column=ASSOCIATES)
    return list(added)


def _associates(value: Any) -> dict[str, Any] | None:
    """Return the files that belong to a row: name → path, or a list of them; None: it is odd."""
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            try:
                # As Python prints a dictionary.
                value = ast.literal_eval(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
    if not isinstance(value, Mapping):
        return None
    return {str(key): one for key, one in value.items()}


def _names_files(folder: Path, column: str, values: Iterable[Any]) -> bool:
    """Whether most of a column's values are files of the folder; of a known column, any."""
    known = [value for value in values if value is not None]
    looked = known[:_LOOKED_AT]
    if not all(isinstance(value, str) for value in looked):
        return False
    there = sum(_path_in(folder, column, value) is not None for value in looked)
    if not there and snake(column) in FILES:
        return any(_path_in(folder, column, value) is not None for value in known)
    return there * 2 > len(looked) or bool(there and snake(column) in FILES)


def _path_in(folder: Path, column: str, value: Any) -> str | None:
    """Return the path in the folder of the file that a cell names, wherever it was once."""
    if not isinstance(value, str):
        return None
    parts = [part for part in PurePosixPath(value.replace("\\", "/")).parts if part != "/"]
    if not parts or ".." in parts:
        return None
    tries = [parts, parts[-2:], [column, parts[-1]]]
    for one in tries:
        path = "/".join(one)
        # A text that is too long for a path is none.
        with suppress(OSError):
            if (folder / path).is_file():
                return path
    return None
