"""`lock` and `sync`: a file says what a folder needs, and exactly that comes."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, REF, from_option
from cellbank.cli.text import short, size, some

FILE = "cellbank.lock"


@command("lock", example="cellbank lock aics/aics_23 aics/cell_lines")
@click.argument("refs", metavar="REF…", type=REF, nargs=-1, required=True)
@from_option()
@click.option("--file", metavar="FILE", type=FOLDER, default=FILE, help=f"Default: {FILE}.")
def lock(console: Console, refs: tuple[str, ...], from_: str | None, file: str) -> None:
    """Write down revisions and questions in cellbank.lock in this folder.

    `cellbank sync`, or `cellbank install` without a package, brings exactly the same bytes
    anywhere. What is not installed is locked as its remote has it now.
    """
    from cellbank.api import locking

    done = locking.lock(refs, file, from_)
    lines = [
        f"{name} @{short(one.revision)} from {one.address}"
        + ("" if one.want.everything else f", only {one.want}")
        for name, one in sorted(done.packages.items())
    ]
    console.done(done, [*lines, f"{file} {'written' if done.changed else 'is as it was'}"])


@command("sync", example="cellbank sync")
@click.argument("file", metavar="[FILE]", type=FOLDER, default=FILE)
@from_option()
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be downloaded.")
def sync(console: Console, file: str, from_: str | None, dry_run: bool) -> None:
    """Bring exactly what a lock file names: the same bytes anywhere.

    The default is cellbank.lock in this folder.

    With --from the remote is found where it is now; it must be the same one, by its id.
    """
    run_sync(console, file, from_, dry_run=dry_run)


def run_sync(console: Console, file: str, from_: str | None, *, dry_run: bool) -> None:
    """Do what `sync` does; `install` without a package does it, too."""
    from cellbank.api import locking

    with console.watching() as watch:
        done = locking.sync(file, from_, dry_run=dry_run, watch=watch)
    will = "to download" if dry_run else "downloaded"
    lines = [
        f"{one.package} @{short(one.revision)}: {some(one.objects, 'object')} "
        f"({size(one.bytes)}) {will}"
        for one in done
    ]
    if dry_run:
        console.show(done, lines)
    else:
        console.done(done, lines)
