"""`build` and `push`: files become a package, a package goes to a remote."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, PACKAGE, reader_options, to_option, who_reads
from cellbank.cli.text import short, size, some

if TYPE_CHECKING:
    from cellbank.api.making import Pushed

SHOWN_NAMES = 20


@command(
    "build",
    example="cellbank build demo/nuclei ./images --message 'first images'\n"
    "cellbank build aics cellbank.yaml",
)
@click.argument("package", metavar="OWNER/NAME | OWNER", type=PACKAGE)
@click.argument("folder", metavar="FOLDER | RECIPE", type=FOLDER)
@click.option("-m", "--message", default="", help="What changed, for the log.")
@click.option("--allow-empty", is_flag=True, help="Accept a folder without files.")
@click.option("--fix-names", is_flag=True, help="Map file names that break the rules.")
@click.option("--strict", is_flag=True, help="With a recipe: take warnings for errors.")
def build(
    console: Console,
    package: str,
    folder: str,
    message: str,
    allow_empty: bool,
    fix_names: bool,
    strict: bool,
) -> None:
    """Make packages in the store: one of a folder, or a family by a recipe.

    OWNER/NAME FOLDER packages all files in the folder. OWNER RECIPE makes the cell-line packages
    that the recipe (cellbank.yaml) asks for, from a lab's tables and images. What was packaged
    before and looks unchanged is not read. Nothing is sent.
    """
    from cellbank.api import making

    if "/" not in package:
        if allow_empty or fix_names:
            raise click.UsageError("--allow-empty and --fix-names are for OWNER/NAME FOLDER")
        if Path(package).is_dir() and folder.count("/") == 1 and not Path(folder).exists():
            raise click.UsageError(f"the name comes first: cellbank build {folder} {package}")
        from cellbank.cli.families import build_family

        build_family(console, package, folder, message, strict=strict)
        return
    if strict:
        raise click.UsageError("--strict is for OWNER RECIPE")
    with console.watching() as watch:
        built = making.build(
            package,
            folder,
            message=message,
            allow_empty=allow_empty,
            fix_names=fix_names,
            watch=watch,
        )
    for old, new in list(built.mapped.items())[:SHOWN_NAMES]:
        console.note(f"{old} is packaged as {new}")
    if len(built.mapped) > SHOWN_NAMES:
        console.note(f"… and {len(built.mapped) - SHOWN_NAMES} more names were mapped")
    what = f"{some(built.entries, 'entry', 'entries')}, {size(built.size)}"
    new = f"{some(built.read_files, 'file')} read, {size(built.added_bytes)} new"
    kept = "" if built.changed else " (unchanged)"
    console.done(built, f"{built.package}@{short(built.revision)}{kept}: {what}; {new}")


@command(
    "push",
    example="cellbank push demo/nuclei --to https://cells.example.org\ncellbank push 'aics/*'",
)
@click.argument("ref", metavar="REF | PATTERN", type=PACKAGE)
@to_option()
@click.option("--as", "as_", type=PACKAGE, metavar="NAME", help="As a package of its own.")
@click.option("-m", "--message", default="", help="What changed; default: as it was built with.")
@reader_options()
@click.option("--force", is_flag=True, help="Push on top of a revision you have not seen.")
def push(  # noqa: PLR0917
    console: Console,
    ref: str,
    to: str | None,
    as_: str | None,
    message: str,
    public: bool,
    private: bool,
    force: bool,
) -> None:
    """Send a package to a remote: only what the remote lacks.

    A pattern with * sends all packages of the store that fit it, one after the other. With --as a
    subset is sent as a package of that name, whose log says what it was derived from.
    """
    from cellbank.api import making

    if as_ is not None and "*" in ref:
        raise click.UsageError("--as names one package, and a pattern may name many")

    everyone = who_reads(public=public, private=private)
    pushed = []
    for package in _fitting(ref) if "*" in ref else [ref]:
        with console.watching() as watch:
            one = making.push(
                package,
                to,
                as_=as_,
                message=message,
                public=everyone,
                force=force,
                watch=watch,
            )
        pushed.append(one)
        # What arrived is said at once: of many, a later one may fail.
        if not console.json:
            console.done(one, _arrived(one))
    if console.json:
        console.done(pushed if "*" in ref else pushed[0], [])


def _fitting(pattern: str) -> list[str]:
    from cellbank.api import asking
    from cellbank.model.errors import NotFound

    found = [listed.package for listed in asking.ls(pattern) if not listed.borrowed]
    if not found:
        raise NotFound(f"no package in the store fits {pattern}", "List what is there: cellbank ls")
    return found


def _arrived(pushed: "Pushed") -> str:
    said = "is now at" if pushed.changed else "was already at"
    named = f"{pushed.package}@{short(pushed.revision)}"
    return f"{named} {said} {pushed.remote} ({size(pushed.bytes)})"
