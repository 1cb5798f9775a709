"""`install`, `export` and `rm`: packages come, are written out, and go."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console, at_terminal
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, PACKAGE, REF, from_option
from cellbank.cli.text import columns, size, some

if TYPE_CHECKING:
    from cellbank.packages.install import Installation

OVERWRITE = "Overwrite? (y/n)"


@command(
    "install",
    example="cellbank install aics/aics_23\ncellbank install aics/aics_23/fovs\n"
    "cellbank install aics/cell_lines --where \"gene = 'TJP1' and cell_viability > 98\"",
)
@click.argument("ref", metavar="[REF]", type=REF, required=False)
@from_option()
@click.option("-y", "--yes", is_flag=True, help="Replace an older revision without asking.")
@click.option(
    "--where", metavar="CONDITION", help="Only records that fit, and what is theirs; in quotes."
)
@click.option("--kind", metavar="KIND", help="What the condition is about, if not fovs.")
@click.option(
    "--path", metavar="GLOB", multiple=True, help="Only entries whose path fits; may be repeated."
)
@click.option("--kinds", metavar="K,…", help="Only entries of these groups.")
@click.option("--sample", metavar="N", type=int, help="Only so many records, of all lines alike.")
@click.option(
    "--seed", metavar="S", type=int, default=0, help="Another number, other records; default: 0."
)
@click.option("--no-related", is_flag=True, help="Only the records, not what belongs to them.")
@click.option("--metadata-only", is_flag=True, help="Leave images out until they are loaded.")
@click.option("--all", "all_", is_flag=True, help="All of it, where a part was chosen before.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be downloaded.")
@click.option("--allow-older", is_flag=True, help="Accept a remote whose history went back.")
def install(  # noqa: PLR0913, PLR0917
    console: Console,
    ref: str | None,
    from_: str | None,
    yes: bool,
    where: str | None,
    kind: str | None,
    path: tuple[str, ...],
    kinds: str | None,
    sample: int | None,
    seed: int,
    no_related: bool,
    metadata_only: bool,
    all_: bool,
    dry_run: bool,
    allow_older: bool,
) -> None:
    """Bring a package, or a part of it: only what is not here yet.

    A part that was chosen by --where, --kinds, --path or --sample stays so: another choice adds to
    it, and a plain install brings it up to date.

    With --metadata-only come its tree and all documents; everything else comes when it is loaded.

    Where another revision is installed, you are asked at a terminal before it is replaced;
    elsewhere it is replaced. The earlier one stays and can be loaded as owner/name@revision.

    Without REF, what cellbank.lock in this folder names is brought, as by `cellbank sync`.
    """
    from cellbank.api import having

    if ref is None:
        options = (where, kind, path, kinds, sample, no_related, metadata_only, all_)
        _install_locked(console, from_, any(options), dry_run=dry_run)
        return

    groups = [one.strip() for one in (kinds or "").split(",") if one.strip()]
    if kinds is not None and not groups:
        raise click.UsageError("--kinds names no group")
    with console.watching() as watch:
        done = having.install(
            ref,
            from_,
            where=where,
            kind=kind,
            path=path,
            kinds=groups,
            sample=sample,
            seed=seed,
            related=not no_related,
            metadata_only=metadata_only,
            all_=all_,
            dry_run=dry_run,
            allow_older=allow_older,
            confirm=_confirm(console, yes=yes),
            watch=watch,
        )
    if dry_run:
        console.show(done, _would_come(done))
    elif console.json:
        console.done(done, "")


def _install_locked(
    console: Console, from_: str | None, has_options: bool, *, dry_run: bool
) -> None:
    """Bring what the lock file of this folder names."""
    from pathlib import Path

    from cellbank.cli.locking import FILE, run_sync

    if has_options:
        raise click.UsageError("name the package that a part is to be chosen of")
    if not Path(FILE).exists():
        raise click.UsageError(f"no package is named, and there is no {FILE} in this folder")
    run_sync(console, FILE, from_, dry_run=dry_run)


def _would_come(done: "Installation") -> list[str]:
    """Return what an install would bring: in all, by kind and type, and what is here."""
    exact, rounded = f"{done.bytes} bytes", size(done.bytes)
    amount = exact if exact == rounded else f"{exact}, {rounded}"
    lines = [
        f"{done.package}: {some(done.objects, 'object')} ({amount}) to download, "
        f"{size(done.free_bytes)} free"
    ]
    if done.parts is None or done.want == "all":
        return lines
    lines.append(f"wanted: {done.want} ({some(done.entries, 'entry', 'entries')})")
    rows = [
        [title if not at else "", name, some(amount.objects, "object"), size(amount.bytes)]
        for title, amounts in (("by kind", done.parts.kinds), ("by type", done.parts.types))
        for at, (name, amount) in enumerate(amounts.items())
    ]
    here = done.parts.here
    rows.append(["here", "", some(here.objects, "object"), size(here.bytes)])
    return lines + columns(rows, right=[2, 3])


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

    with console.answering(), console.watching() as watch:
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
