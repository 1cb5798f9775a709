"""`ls`, `tree`, `inspect`, `log`, `diff` and `cite`: what there is to know about packages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import PACKAGE, REF, at_option, from_option
from cellbank.cli.text import columns, short, size, some, when

if TYPE_CHECKING:
    from cellbank.api.asking import Listed
    from cellbank.model.changes import Changes
    from cellbank.model.manifest import Entry
    from cellbank.packages.facts import Event, Inspection
    from cellbank.questions.changes import RecordChanges


@command("ls", example="cellbank ls\ncellbank ls 'aics_*' --from https://cells.example.org")
@click.argument("pattern", default="*", metavar="[PATTERN]", type=PACKAGE)
@from_option()
def ls(console: Console, pattern: str, from_: str | None) -> None:
    """List the packages in the store, or at a remote.

    PATTERN may have * ? and [...]; without a / it fits owners and names alone.
    """
    from cellbank.api import asking

    found = asking.ls(pattern, from_)
    console.show(found, columns([_listed(one, from_) for one in found]))
    if not found:
        where = f"at {from_}" if from_ else "in the store"
        fits = "" if pattern == "*" else f" that fits {pattern}"
        console.note(f"There is no package{fits} {where}.")


def _listed(one: "Listed", from_: str | None) -> list[str]:
    row = [one.package, short(one.revision)]
    if from_ is not None:
        return row
    part = "" if one.want == "all" else f"only {one.want}"
    return [*row, f"from {one.where}" if one.where else "built here", part]


@command("tree", example="cellbank tree aics/aics_23 --depth 1")
@click.argument("ref", metavar="REF", type=REF)
@click.option(
    "-d", "--depth", type=click.IntRange(min=0), metavar="N", help="So many levels; default: all."
)
@from_option()
def tree(console: Console, ref: str, depth: int | None, from_: str | None) -> None:
    """Print the tree of a package, or of a part of it."""
    from cellbank.api import asking

    branch = asking.tree(ref, depth, from_)
    console.show(branch, [branch.name, *branch.lines()])


@command("inspect", example="cellbank inspect aics/aics_23\ncellbank inspect aics/aics_23 --json")
@click.argument("ref", metavar="REF", type=PACKAGE)
@from_option()
def inspect(console: Console, ref: str, from_: str | None) -> None:
    """Print what a package is: size, revision, file types, names.

    It tells of the store, and asks the remote only when the package is not here.
    """
    from cellbank.api import asking

    facts = asking.inspect(ref, from_)
    console.show(facts, columns(list(_facts(facts))))


def _facts(facts: "Inspection") -> Iterator[tuple[str, str]]:
    yield "package", facts.package
    yield "revision", facts.revision
    yield (
        "entries",
        f"{facts.entries:,}" + (f" of {facts.of_entries:,}" if facts.of_entries else ""),
    )
    yield "size", f"{size(facts.size)} ({facts.size} bytes)"
    for kind, count in facts.types.items():
        yield ("types" if kind == next(iter(facts.types)) else ""), f"{kind}  {count:,}"
    for name, revision in facts.versions.items():
        yield "version", f"{name}  {short(revision)}"
    for name, revision in facts.tags.items():
        yield "tag", f"{name}  {short(revision)}"
    where = f"from {facts.where}" if facts.where else "built here"
    part = "" if facts.want == "all" else f", only {facts.want}"
    yield "installed", f"yes, {where}{part}" if facts.installed else f"no, it is at {facts.where}"


@command("log", example="cellbank log aics/aics_23")
@click.argument("ref", metavar="REF", type=PACKAGE)
@at_option()
def log(console: Console, ref: str, to: str | None) -> None:
    """Print the history of a package, newest first.

    It is that of its remote, else that of the store.
    """
    from cellbank.api import asking

    events = asking.log(ref, to)
    console.show(events, columns([_event(event) for event in events], right=(0,)))


def _event(event: "Event") -> list[str]:
    named = f"{event.event} {event.name}".strip()
    revision = short(event.revision) or "—"
    said = event.message
    if event.derived_from is not None:
        origin = event.derived_from
        said = f"{said} (from {origin.package}@{short(origin.revision)}".lstrip()
        said += f": {origin.question})" if origin.question else ")"
    return [str(event.number), when(event.time), named, revision, event.author, said]


@command(
    "diff",
    example="cellbank diff aics/aics_23==1.0 aics/aics_23==1.1\n"
    "cellbank diff --records aics/aics_23==1.0 aics/aics_23==1.1",
)
@click.argument("old", metavar="REF", type=PACKAGE)
@click.argument("new", metavar="REF", type=PACKAGE)
@click.option("--records", is_flag=True, help="Compare metadata: records and their attributes.")
@click.option("--kind", metavar="KIND", help="With --records: only these, such as wells.")
def diff(console: Console, old: str, new: str, records: bool, kind: str | None) -> None:
    """Print what differs between two revisions.

    + added, - removed, ~ changed, > renamed. The exit code is 0 either way.
    """
    if kind and not records:
        raise click.UsageError("--kind goes with --records")
    if records:
        _diff_records(console, old, new, kind)
        return
    from cellbank.api import asking

    changes = asking.diff(old, new)
    console.show(_changes(old, new, changes) if console.json else None, _lines(changes))
    console.note(
        f"{len(changes.added)} added, {len(changes.removed)} removed, "
        f"{len(changes.changed)} changed, {len(changes.renamed)} renamed"
        if changes
        else f"{old} and {new} do not differ"
    )


def _diff_records(console: Console, old: str, new: str, kind: str | None) -> None:
    from cellbank.api import querying

    found = querying.diff_records(old, new, kind=kind)
    console.show(found, _record_lines(found))
    added, removed = (sum(map(len, ids.values())) for ids in (found.added, found.removed))
    console.note(
        f"{some(added, 'record')} added, {removed} removed, {len(found.changed)} changed"
        if found
        else f"the records of {old} and {new} do not differ"
    )


def _record_lines(found: "RecordChanges") -> Iterator[str]:
    from cellbank.questions.formats import told

    for sign, names in (("+", found.attributes_added), ("-", found.attributes_removed)):
        yield from (f"{sign} {group}.{name}" for group in names for name in names[group])
    for sign, ids in (("+", found.added), ("-", found.removed)):
        yield from (f"{sign} {group}/{one}" for group in ids for one in ids[group])
    for record in found.changed:
        for change in record.changes:
            yield (
                f"~ {record.kind}/{record.id}  {change.attribute}: "
                f"{told(change.old)} → {told(change.new)}"
            )


def _lines(changes: "Changes") -> Iterator[str]:
    yield from (f"+ {entry.path}" for entry in changes.added)
    yield from (f"- {entry.path}" for entry in changes.removed)
    yield from (f"~ {after.path}" for _, after in changes.changed)
    yield from (f"> {before.path} → {after.path}" for before, after in changes.renamed)


def _whole(ref: str) -> dict[str, str]:
    from cellbank.api.session import looking

    with looking(ref) as (reference, found):
        return {"package": str(reference.package), "revision": found.revision}


def _changes(old: str, new: str, changes: "Changes") -> dict[str, object]:
    def one(entry: "Entry") -> dict[str, object]:
        return {"path": entry.path, "size": entry.size, "digest": entry.digest}

    def pair(before: "Entry", after: "Entry") -> dict[str, object]:
        return {"old": one(before), "new": one(after)}

    return {
        "old": _whole(old),
        "new": _whole(new),
        "added": [one(entry) for entry in changes.added],
        "removed": [one(entry) for entry in changes.removed],
        "changed": [pair(*both) for both in changes.changed],
        "renamed": [pair(*both) for both in changes.renamed],
    }


@command("cite", example="cellbank cite aics/aics_23==1.0 --format bibtex")
@click.argument("ref", metavar="REF", type=PACKAGE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "bibtex", "cff"]),
    help="One of the forms; default: all three.",
)
@from_option()
def cite(console: Console, ref: str, form: str | None, from_: str | None) -> None:
    """Print how to cite a package, as text, BibTeX and CFF."""
    from cellbank.api import asking

    citation = asking.cite(ref, from_)
    text = str(getattr(citation, form) if form else citation)
    console.show(citation, text.split("\n"))
