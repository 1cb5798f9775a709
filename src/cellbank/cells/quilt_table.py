"""The table of a folder that Quilt 3 or quilt3distribute made: rows, and the files they name."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from cellbank.cells.problems import Problem, Problems
from cellbank.cells.recipe import Table as Place
from cellbank.cells.tables import read_table
from cellbank.model.errors import BadInput, NotFound, ProblemsFound

TABLES: Final = ("metadata.csv", "metadata.parquet", "manifest.csv", "manifest.parquet")
ASSOCIATES: Final = "associates"
_LOOKED_AT: Final = 50
"""So many values tell whether a column names files."""


class Quilt(msgspec.Struct, frozen=True):
    """A folder's table: rows by column, and which columns name files of the folder.

    In `files` a value is the path of the file in the folder, or nothing where there is none; `gone`
    tells of each that is named and not there.
    """

    place: str
    rows: list[dict[str, Any]]
    columns: list[str]
    files: list[str]
    gone: list[Problem] = []

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
    rows = [{key: _known(row[at]) for key, at in found.columns.items()} for row in found.rows]
    columns = [key for key in found.columns if key != ASSOCIATES]
    if ASSOCIATES in found.columns:
        columns += _spread(rows, columns)
    files = [key for key in columns if _names_files(folder, key, (row[key] for row in rows))]
    gone = Problems()
    for key in files:
        for at, row in enumerate(rows):
            value, row[key] = row[key], _path_in(folder, key, row[key])
            if value is not None and row[key] is None:
                what = f"there is no file {value} in the folder"
                gone.warn(
                    name, what, "Copy it there, or mend the cell.", row=found.number(at), column=key
                )
    return Quilt(name, rows, columns, files, gone.found())


def _known(value: Any) -> Any:
    """Return the value of a cell; None for the texts that pandas writes where there is nothing."""
    if isinstance(value, str):
        value = value.strip()
    return None if value in ("", "nan", "NaN", "None") or value != value else value  # noqa: PLR0124


def _spread(rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> list[str]:
    """Give each row what its `associates` name, as columns; return those that are new."""
    known = set(columns)
    added: dict[str, None] = {}
    parsed = [(row, _associates(row.pop(ASSOCIATES, None))) for row in rows]
    for _, associates in parsed:
        added |= dict.fromkeys(key for key in associates if key not in known)
    for row, associates in parsed:
        for key in added:
            row[key] = associates.get(key)
    return list(added)


def _associates(value: Any) -> Mapping[str, Any]:
    """Return the files that belong to a row: name → path, the first of several."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            try:
                # As Python prints a dictionary.
                value = json.loads(value.replace("'", '"'))
            except ValueError:
                return {}
    if not isinstance(value, Mapping):
        return {}
    return {
        str(key): (one[0] if isinstance(one, list) and one else one) for key, one in value.items()
    }


def _names_files(folder: Path, column: str, values: Iterable[Any]) -> bool:
    """Whether most of a column's values are files of the folder."""
    looked = [value for value in values if value is not None][:_LOOKED_AT]
    if not all(isinstance(value, str) for value in looked):
        return False
    there = sum(_path_in(folder, column, value) is not None for value in looked)
    return bool(looked) and there * 2 > len(looked)


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
        if (folder / path).is_file():
            return path
    return None
