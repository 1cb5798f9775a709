"""Importing what other package managers made: a folder of Quilt 3 becomes a package."""

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank import config as _config
from cellbank.api.families import RECIPE, build_family
from cellbank.api.session import inside_of, now, watcher_or_default
from cellbank.cells.problems import Problem
from cellbank.model.errors import BadInput, Conflict, ProblemsFound
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package
from cellbank.packages import build as _build
from cellbank.packages import scan
from cellbank.packages.build import Built
from cellbank.packages.opening import open_store
from cellbank.packages.recording import Stamp
from cellbank.storage import disk

MARK: Final = "# Made by `cellbank import`"
"""The first line of a recipe that may be written over."""


class Imported(msgspec.Struct, frozen=True):
    """What an import made.

    `kind` is `cell_lines` or `files`; `columns` says what became of each column of the table,
    `reason` why there are no records, where there are none; `left` are files that were not taken,
    `recipe` the file that was written, if records were made.
    """

    kind: str
    built: Built | None
    columns: dict[str, str]
    reason: str
    records: dict[str, int]
    left: int
    recipe: str
    problems: list[Problem]


def import_quilt(
    package: str,
    folder: str | os.PathLike[str],
    *,
    plain: bool = False,
    title: str = "",
    message: str = "",
    dry_run: bool = False,
    watch: Watcher | None = None,
) -> Imported:
    """Make a package of a folder that Quilt 3 or quilt3distribute made.

    Its table, `metadata.csv`, names files by column. Where it has fields of view (`FOVId`) and
    their images, they become records, with lines, plates, wells and segmentations as far as there
    are any: tables and a recipe are written into the folder (`cellbank.yaml`, `cellbank_import/`),
    so that you can mend them and build again. Else every file becomes an entry, with what the
    table says of it as its `meta`.

    Parameters
    ----------
    package
        `owner/name`.
    folder
        The folder.
    plain
        Make no records, even if they could be made.
    title
        Of the package, for people; default: made of the folder's name.
    message
        For the log.
    dry_run
        Only say what would become of it.
    watch
        Is told of progress.

    Returns
    -------
    Imported
        What was made, and what became of each column.

    Raises
    ------
    NotFound
        There is no such folder, or no table in it.
    ProblemsFound
        Table or images cannot become records: all that is wrong.
    Conflict
        The folder has a recipe of its own.
    """
    from cellbank.cells.quilt_records import plan_of
    from cellbank.cells.quilt_table import read_quilt

    name, root = Package.parse(package), Path(folder).absolute()
    config = _config.read()
    if inside_of(config.home, str(root)):
        raise BadInput(f"the store lies in {root}", "Import another folder.")
    quilt = read_quilt(root)
    plan = plan_of(quilt, root, title or root.name.replace("_", " "), name.name)
    if plain or plan.reason:
        return _as_files(name, root, quilt, plan.reason, message, dry_run=dry_run, watch=watch)
    counts = {table: len(rows) for table, rows in plan.tables.items() if table != "cells"}
    taken = {row["image"] for rows in plan.tables.values() for row in rows if row.get("image")}
    left = sum(1 for source in scan.scan(str(root))[0] if _is_left(source.path, taken, quilt.place))
    recipe = str(root / RECIPE)
    doubts = [*quilt.problems, *plan.problems]
    if dry_run:
        return Imported("cell_lines", None, plan.columns, "", counts, left, "", doubts)
    _write(root, plan.tables, plan.recipe)
    try:
        built = build_family(name.owner, recipe, message=message, watch=watch)
    except ProblemsFound as error:
        error.advice = (
            f"Mend {RECIPE} and build again, or import it as it is: "
            f"cellbank import --plain {name} {shlex.quote(os.fspath(folder))}"
        )
        raise
    doubts += built.problems
    return Imported(
        "cell_lines", built.packages[0], plan.columns, "", built.records, left, recipe, doubts
    )


def _is_left(path: str, taken: set[str], table: str) -> bool:
    from cellbank.cells.quilt_records import FOLDER

    return path not in taken and path not in (table, RECIPE) and not path.startswith(f"{FOLDER}/")


def _as_files(
    package: Package,
    root: Path,
    quilt: Any,
    reason: str,
    message: str,
    *,
    dry_run: bool,
    watch: Watcher | None,
) -> Imported:
    """Make a plain package: every file with what the table says of it."""
    from cellbank.cells.quilt_files import metas_of
    from cellbank.cells.quilt_records import FOLDER

    metas, cut = metas_of(quilt)
    columns = {
        name: "paths of files, in associates" if name in quilt.files else "meta of the files"
        for name in quilt.columns
    }
    problems = [*quilt.problems]
    problems += [
        Problem("warning", path, "the table says more of it than `meta` can hold", "It is cut.")
        for path in cut
    ]
    sources, _ = scan.scan(str(root))
    ours = _is_ours(root / RECIPE)
    sources = [
        msgspec.structs.replace(one, meta=metas[one.path]) if one.path in metas else one
        for one in sources
        # Left by an import that made records, or tried to.
        if not (ours and (one.path == RECIPE or one.path.startswith(f"{FOLDER}/")))
    ]
    built = None
    if not dry_run:
        config = _config.read()
        built = _build.build(
            open_store(config),
            package,
            str(root),
            sources,
            stamp=Stamp(config.author, now(), message),
            watch=watcher_or_default(watch),
        )
    return Imported("files", built, columns, reason, {}, 0, "", problems)


def _is_ours(path: Path) -> bool:
    """Whether an import wrote this recipe."""
    return path.is_file() and path.read_text("utf-8", "replace").startswith(MARK)


def _write(
    root: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], recipe: Mapping[str, Any]
) -> None:
    """Write tables and recipe into the folder; a recipe that we did not make is left alone."""
    from cellbank.cells.quilt_records import FOLDER

    path = root / RECIPE
    if path.exists() and not _is_ours(path):
        advice = "Move it away, or import it as it is: --plain."
        raise Conflict(f"{path} is there already", advice)
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with disk.new_file(str(root / FOLDER / f"{name}.csv")) as file:
            file.write(text.getvalue().encode())
    # JSON is YAML.
    document = msgspec.json.format(msgspec.json.encode(recipe), indent=2)
    with disk.new_file(str(path)) as file:
        file.write(f"{MARK}: mend it, then run cellbank build.\n".encode() + document + b"\n")
