"""`install`, `export` and `rm`: packages come, are written out, and go."""

from collections.abc import Callable

import click

from cellbank.cli.console import Console, at_terminal
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, PACKAGE, REF, from_option
from cellbank.cli.text import size, some

OVERWRITE = "Overwrite? (y/n)"


@command("install", example="cellbank install aics/aics_23\ncellbank install aics/aics_23/fovs")
@click.argument("ref", metavar="REF", type=REF)
@from_option()
@click.option("-y", "--yes", is_flag=True, help="Replace an older revision without asking.")
@click.option("--metadata-only", is_flag=True, help="Leave images out until they are loaded.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be downloaded.")
@click.option("--allow-older", is_flag=True, help="Accept a remote whose history went back.")
def install(
    console: Console,
    ref: str,
    from_: str | None,
    yes: bool,
    metadata_only: bool,
    dry_run: bool,
    allow_older: bool,
) -> None:
    """Bring a package, or a part of it: only what is not here yet.

    With --metadata-only come its tree and all documents; everything else comes when it is loaded.

    Where another revision is installed, you are asked at a terminal before it is replaced;
    elsewhere it is replaced. The earlier one stays and can be loaded as owner/name@revision.
    """
    from cellbank.api import having

    with console.watching() as watch:
        done = having.install(
            ref,
            from_,
            metadata_only=metadata_only,
            dry_run=dry_run,
            allow_older=allow_older,
            confirm=_confirm(console, yes=yes),
            watch=watch,
        )
    if dry_run:
        console.show(
            done,
            f"{done.package}: {some(done.objects, 'object')} ({done.bytes} bytes, "
            f"{size(done.bytes)}) to download, {size(done.free_bytes)} free",
        )
    elif console.json:
        console.done(done, "")


def _confirm(console: Console, *, yes: bool) -> Callable[[str], bool] | None:
    """Return what answers a question: the person at the terminal, or `--yes` where that is enough.

    A package of the same name from another remote is another package: `--yes` does not cover it.
    """
    if yes:
        return lambda question: question == OVERWRITE
    return (lambda question: _ask(console, question)) if at_terminal() else None


def _ask(console: Console, question: str) -> bool:
    answer = console.ask(question)
    if not answer:
        console.note("Nothing was changed.")
    return answer


@command("export", example="cellbank export aics/aics_23/fovs ./fovs")
@click.argument("ref", metavar="REF", type=REF)
@click.argument("folder", metavar="DEST", type=FOLDER)
@click.option("-f", "--force", is_flag=True, help="Overwrite files that are in the way.")
def export(console: Console, ref: str, folder: str, force: bool) -> None:
    """Write a package, or a part of it, as plain files into a folder."""
    from cellbank.api import having

    with console.watching() as watch:
        done = having.export(ref, folder, force=force, watch=watch)
    console.done(done, f"{some(done.files, 'file')}, {size(done.bytes)} written to {done.folder}")


@command("rm", example="cellbank rm demo/nuclei --yes")
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(console: Console, ref: str, yes: bool) -> None:
    """Remove a package from the store.

    All that only it has goes with it. Remotes keep theirs.
    """
    from cellbank.api import having
    from cellbank.model.reference import Package

    package = Package.parse(ref)
    if not yes:
        if not at_terminal():
            raise click.UsageError(f"removing {package} needs --yes where nobody can be asked")
        if not console.ask(f"Remove {package} from this store? (y/n)"):
            console.note("Nothing was removed.")
            return
    done = having.remove(str(package))
    later = ""
    if done.condemned:
        later = f"; {some(done.condemned, 'object')} that may be in use will go with a later gc"
    console.done(done, f"{done.package} removed, {size(done.bytes)} freed{later}")
