"""`import`: a folder that another package manager made becomes a package."""

from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, PACKAGE
from cellbank.cli.text import columns, short, size, some
from cellbank.model.errors import ProblemsFound

if TYPE_CHECKING:
    from cellbank.api.importing import Imported


@command(
    "import",
    example="cellbank import aics/label_free ./label_free --dry-run\n"
    "cellbank import aics/label_free ./label_free",
)
@click.argument("package", metavar="OWNER/NAME", type=PACKAGE)
@click.argument("folder", metavar="FOLDER", type=FOLDER)
@click.option("--plain", is_flag=True, help="Make entries with metadata, no records.")
@click.option("--title", default="", help="Of the package; default: the folder's name.")
@click.option("-m", "--message", default="", help="What it is, for the log.")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each column.")
def import_(
    console: Console,
    package: str,
    folder: str,
    plain: bool,
    title: str,
    message: str,
    dry_run: bool,
) -> None:
    """Make a package of a folder of Quilt 3 or quilt3distribute.

    Its metadata.csv names files by column. Fields of view and what belongs to them become records,
    where the table has them; else every file becomes an entry, with what the table says of it.
    What became of each column is told.
    """
    import msgspec

    from cellbank.api import importing
    from cellbank.cli.families import show_problems

    try:
        with console.watching(beside=True) as watch:
            imported = importing.import_quilt(
                package,
                folder,
                plain=plain,
                title=title,
                message=message,
                dry_run=dry_run,
                watch=watch,
            )
    except ProblemsFound as error:
        if console.json:
            console.show({"problems": error.problems}, [])
        else:
            show_problems(console, error.problems)
        raise
    if not console.quiet:
        show_problems(console, [msgspec.to_builtins(problem) for problem in imported.problems])
    console.done(imported, _lines(imported))


def _lines(imported: "Imported") -> list[str]:
    lines = columns([("column", "what became of it"), *imported.columns.items()])
    made = list(lines)
    if imported.reason:
        made.append(f"No records: {imported.reason}")
    if imported.left:
        made.append(f"{some(imported.left, 'file')} not taken (--plain takes all)")
    counts = ", ".join(f"{count:,} {group}" for group, count in imported.records.items() if count)
    what = f"records: {counts}" if counts else "files with metadata"
    built = imported.built
    if built is None:
        return [*made, f"Would become {what}"]
    package = f"{built.package}@{short(built.revision)}"
    entries = f"{some(built.entries, 'entry', 'entries')}, {size(built.size)}"
    return [*made, f"{package}: {entries}; {what}"]
