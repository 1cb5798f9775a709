"""`edit`: what a package says is changed by tables, and a new revision built of it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import PACKAGE
from cellbank.cli.text import short, size, some
from cellbank.model.errors import ProblemsFound

if TYPE_CHECKING:
    from cellbank.api.editing import Edited


@command(
    "edit",
    example="cellbank edit aics/aics_23 --set fovs.csv --message 'clones filled in'\n"
    "cellbank edit demo/nuclei --set entries=stains.csv",
)
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.option(
    "--set",
    "tables",
    metavar="[TABLE=]FILE",
    multiple=True,
    required=True,
    help="A table with what changes: CSV, TSV, Parquet or Excel. It may be given several times.",
)
@click.option("-m", "--message", default="", help="What changed, for the log.")
def edit(console: Console, ref: str, tables: tuple[str, ...], message: str) -> None:
    """Change what a package says by tables, and build it anew.

    TABLE is a group of records, such as fovs, whose rows are told apart by the column id, or
    entries, by path; the name of the file tells which, unless it is said. Only the rows and columns
    in the file change; an empty cell says that nothing is known. New records and attributes come by
    a recipe. No image is read. Nothing is sent.
    """
    from cellbank.api import editing

    files = [_named(table) for table in tables]
    try:
        with console.watching(beside=True) as watch:
            edited = editing.edit_tables(ref, files, message=message, watch=watch)
    except ProblemsFound as error:
        from cellbank.cli.families import show_problems

        if console.json:
            console.show({"problems": error.problems}, [])
        else:
            show_problems(console, error.problems)
        raise
    console.done(edited, _line(edited))


def _named(table: str) -> tuple[str, str]:
    """Return which table is meant, and the file."""
    name, sign, file = table.partition("=")
    if sign and file and "/" not in name and os.sep not in name:
        return name, file
    return Path(table).name.partition(".")[0], table


def _line(edited: "Edited") -> str:
    built = edited.built
    changed = ", ".join(f"{count:,} of {name}" for name, count in edited.tables.items())
    kept = "" if built.changed else " (unchanged)"
    what = f"{some(built.entries, 'entry', 'entries')}, {size(built.size)}"
    new = f"changed: {changed}; {size(built.added_bytes)} new"
    return f"{built.package}@{short(built.revision)}{kept}: {what}; {new}"
