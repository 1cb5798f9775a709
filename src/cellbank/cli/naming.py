"""`version` and `tag`: names for revisions, at the package's remote or in the store."""

from collections.abc import Mapping

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command, group
from cellbank.cli.names import PACKAGE, at_option, to_option
from cellbank.cli.text import columns, short


def _named(console: Console, package: str, kind: str, name: str, revision: str) -> None:
    said = f"{package}: {kind} {name} names {short(revision)}"
    console.done({"package": package, kind: name, "revision": revision}, said)


def _list(console: Console, kind: str, package: str, names: Mapping[str, str]) -> None:
    rows = sorted(names.items())
    console.show(dict(rows), columns([(name, short(revision)) for name, revision in rows]))
    if not rows:
        console.note(f"{package} has no {kind}.")


@command("add", example="cellbank version add aics/aics_23 1.0 latest")
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.argument("version", metavar="VERSION")
@click.argument("revision", metavar="REVISION")
@to_option()
def version_add(console: Console, ref: str, version: str, revision: str, to: str | None) -> None:
    """Give a revision a version, once and for ever."""
    from cellbank.api import naming

    _named(console, ref, "version", version, naming.version(ref, version, revision, to))


@command("list", example="cellbank version list aics/aics_23")
@click.argument("ref", metavar="REF", type=PACKAGE)
@at_option()
def version_list(console: Console, ref: str, to: str | None) -> None:
    """Print the versions of a package and the revisions they name."""
    from cellbank.api import naming

    _list(console, "version", ref, naming.names(ref, to).versions)


@command("add", example="cellbank tag add aics/aics_23 reviewed latest")
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.argument("tag", metavar="TAG")
@click.argument("revision", required=False, metavar="[REVISION]")
@to_option()
def tag_add(console: Console, ref: str, tag: str, revision: str | None, to: str | None) -> None:
    """Point a tag at a revision; a tag that is there moves.

    Without REVISION it is the one that REF names.
    """
    from cellbank.api import asking, naming
    from cellbank.model.reference import Reference

    package = str(Reference.parse(ref).package)
    whole = revision or asking.inspect(ref, to).revision
    _named(console, package, "tag", tag, naming.tag(package, tag, whole, to))


@command("remove", example="cellbank tag remove aics/aics_23 reviewed")
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.argument("tag", metavar="TAG")
@click.argument("revision", required=False, metavar="[REVISION]")
@to_option()
def tag_remove(console: Console, ref: str, tag: str, revision: str | None, to: str | None) -> None:
    """Remove a tag; with REVISION only if it still names that."""
    from cellbank.api import naming
    from cellbank.model.errors import NameConflict

    holds = naming.names(ref, to).tags.get(tag, "")
    if revision and holds and not holds.startswith(revision):
        raise NameConflict(ref, f"tag {tag}", holds)
    naming.tag(ref, tag, None, to)
    console.done({"package": ref, "tag": tag, "revision": holds}, f"{ref}: tag {tag} removed")


@command("list", example="cellbank tag list aics/aics_23")
@click.argument("ref", metavar="REF", type=PACKAGE)
@at_option()
def tag_list(console: Console, ref: str, to: str | None) -> None:
    """Print the tags of a package and the revisions they name now."""
    from cellbank.api import naming

    state = naming.names(ref, to)
    latest = {"latest": state.latest} if state.latest else {}
    _list(console, "tag", ref, {**latest, **state.tags})


version = group(
    "version",
    help="Give revisions versions, which never move, and list them.",
    example="cellbank version add aics/aics_23 1.0 latest",
    commands=[version_add, version_list],
)
tag = group(
    "tag",
    help="Point tags at revisions, which may move, and list them.",
    example="cellbank tag add aics/aics_23 reviewed",
    commands=[tag_add, tag_remove, tag_list],
)
