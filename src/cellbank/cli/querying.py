"""`query`: questions about metadata, of packages that are installed or are not."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cellbank.cli.console import Console, emit, emit_bytes
from cellbank.cli.group import command
from cellbank.cli.names import PACKAGE, from_option
from cellbank.cli.text import ascii_json, safe_json
from cellbank.model.errors import BadInput, NotFound, WouldOverwrite

if TYPE_CHECKING:
    from cellbank.api.querying import Asked

FORMATS: Final = {
    ".csv": "csv",
    ".json": "json",
    ".parquet": "parquet",
    ".md": "markdown",
    ".txt": "table",
}
COPY_BYTES: Final = 1 << 20
_SQL: Final = re.compile(r"\W*(select|with|from|describe|summarize)\b", re.IGNORECASE).match
ROWS: Final = 40
"""So many rows of a longer answer are drawn at a terminal."""


@command(
    "query",
    example='cellbank query aics/aics_23 "SELECT gene, count(*) FROM fovs_full GROUP BY gene"\n'
    "cellbank query aics/aics_23 --where \"gene = 'TJP1'\" --columns id,url\n"
    "cellbank query 'aics/*' --group-by gene --format csv\n"
    "cellbank query aics/aics_23 --describe --kind wells",
)
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.argument("sql", metavar="[SQL]", required=False)
@click.option(
    "-w", "--where", metavar="CONDITION", help="Records that fit, in quotes; in place of SQL."
)
@click.option("-c", "--columns", metavar="NAME,…", help="What to show; default: all columns.")
@click.option(
    "-g", "--group-by", metavar="NAME,…", help="Count records by it, or show --columns of each."
)
@click.option("-k", "--kind", metavar="KIND", help="What is asked about; default: fovs.")
@click.option("--describe", is_flag=True, help="What can be asked: names, types, units, examples.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet", "markdown"]),
    help="How to write the answer; default: as the name of FILE ends; table at the prompt.",
)
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write it there; default: stdout."
)
@click.option("-f", "--force", is_flag=True, help="Overwrite a file that is in the way.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", default=30, help="It may take so long; default: 30."
)
@click.option("--memory", default="1GB", metavar="SIZE", help="Memory it may take; default: 1GB.")
@from_option()
def query(  # noqa: PLR0913, PLR0917
    console: Console,
    ref: str,
    sql: str | None,
    where: str | None,
    columns: str | None,
    group_by: str | None,
    kind: str | None,
    describe: bool,
    form: str | None,
    output: str | None,
    force: bool,
    timeout: float,
    memory: str,
    from_: str | None,
) -> None:
    """Ask about the metadata of a package, installed or not.

    SQL is one SELECT over lines, plates, wells, fovs, cell_segs, nuclei_segs, structure_segs, the
    same with _full behind (records beside what they belong to), and entries. REF may have * and ?
    for several packages. A kind is one of these tables.
    """
    if not (sql or where or columns or group_by or kind or describe):
        raise click.UsageError("ask something: SQL, --where, --columns, --group-by or --describe")
    if sql and (where or columns or group_by) and not _SQL(sql):
        raise click.UsageError(
            f"{sql} stands alone: names are separated by commas, a condition stands in quotes"
        )
    output = None if output == "-" else output
    form = "json" if console.json else form or _form_of(output)
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("--format parquet is not for a terminal: --output FILE, or > FILE")
    if output is not None:
        _check_output(output, force=force)
    from cellbank.questions.process import asker

    # It gets ready while the rest of us is loaded.
    asker.start()
    from cellbank.api import querying

    with console.watching(beside=True) as watch, _said_as_options():
        asked = querying.asked(
            ref,
            sql,
            where=where,
            columns=columns,
            group_by=group_by,
            kind=kind,
            describe=describe,
            timeout=timeout,
            memory=memory,
            from_=from_,
            watch=watch,
        )
        if form == "parquet" and output is None:
            _print_parquet(asked)
        elif form == "parquet":
            rows = querying.write_parquet(asked, str(output))
            console.done(None, _rows_in(rows, output))
        elif output is not None:
            rows = _write(output, form, asked)
            if not console.json:
                console.done(None, _rows_in(rows, output))
        else:
            _print(form, asked)


def _rows_in(rows: int, output: str | None) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'} in {output}"


def _form_of(output: str | None) -> str:
    end = Path(output or "").suffix.lower()
    if end and end not in FORMATS:
        raise click.UsageError(f"{output} ends in none of {', '.join(FORMATS)}; or say --format")
    return FORMATS.get(end, "table")


def _check_output(output: str, *, force: bool) -> None:
    path = Path(output)
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", "Make it first, or name another.")
    if path.is_dir():
        raise BadInput(f"{output} is a folder", "Name a file.")
    if path.exists() and not path.is_file():
        raise BadInput(f"{output} is no plain file", "Name one, or leave --output out for stdout.")
    if path.exists() and not force:
        error = WouldOverwrite([output])
        error.message = f"{output} is there already"
        error.advice = "Choose another name, or say --force. Nothing was written."
        raise error


@contextmanager
def _said_as_options() -> Iterator[None]:
    """Name options as they are at the prompt where they cannot go together."""
    try:
        yield
    except BadInput as error:
        if error.message.startswith("SQL and the short form"):
            raise click.UsageError(
                "SQL says all: leave out --where, --columns, --group-by, --kind and --describe"
            ) from None
        if error.message.startswith("a description"):
            raise click.UsageError(
                "--describe tells all that can be asked: leave out --where, --columns, --group-by"
            ) from None
        raise


# --- writing


def _print(form: str, asked: "Asked") -> None:
    there = sys.stdout.isatty()
    if form == "table":
        _print_table(asked, there=there)
        return
    encoding = sys.stdout.encoding or "utf-8"
    for text in _texts(form, asked, [0]):
        shown = safe_json(text) if there or form == "json" else text
        if form == "json":
            try:
                shown.encode(encoding)
            except UnicodeEncodeError:
                shown = ascii_json(shown)
        emit(shown)


def _print_table(asked: "Asked", *, there: bool) -> None:
    """Write a table: at a terminal as wide as that, and of a long one its two ends."""
    from cellbank.questions.formats import table

    width = shutil.get_terminal_size((0, 0)).columns if there else 0
    lines = table(asked.answer(), width=width, rows=ROWS if there else -1)
    emit("".join(f"{_harmless(line)}\n" for line in lines))


def _print_parquet(asked: "Asked") -> None:
    """Write an answer to stdout as Parquet, when it is whole."""
    import tempfile

    from cellbank.api.querying import write_parquet
    from cellbank.storage import disk

    folder = Path(tempfile.gettempdir()) / disk.random_name("cellbank")
    disk.make_folders(str(folder), 0o700)
    try:
        file = folder / "answer"
        write_parquet(asked, str(file))
        with file.open("rb") as written:
            while data := written.read(COPY_BYTES):
                emit_bytes(data)
    finally:
        disk.remove_tree(str(folder))


def _harmless(line: str) -> str:
    from cellbank.cli.text import safe

    return safe(line)


def _write(output: str, form: str, asked: "Asked") -> int:
    """Write an answer into a file, as a whole or not at all; return how many rows it has."""
    from cellbank.questions.formats import table
    from cellbank.storage import disk

    count = [0]
    with disk.new_file(os.path.abspath(output)) as file:  # noqa: PTH100  no link is followed
        if form == "table":
            answer = asked.answer()
            count[0] = len(answer)
            file.write("\n".join([*table(answer, rows=-1), ""]).encode())
        else:
            for text in _texts(form, asked, count):
                file.write(text.encode())
    return count[0]


def _texts(form: str, asked: "Asked", count: list[int]) -> Iterator[str]:
    """Yield an answer as text, as it comes; `count` gets how many rows it has."""
    from cellbank.questions import formats

    names, kinds, batches = asked.batches()

    def counted() -> Iterable[Any]:
        for rows in batches:
            count[0] += len(rows)
            yield rows

    if form == "csv":
        yield from formats.csv_lines(names, counted())
    elif form == "json":
        yield from formats.json_lines(names, counted())
    else:
        yield from formats.markdown_lines(names, kinds, counted())
