"""What a question can name: tables, tables beside what they belong to, entries; as SQL.

All names in this SQL are ours or quoted; no question's text is in it.
"""
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from typing import Final

from cellbank.cells.conditions import Part, records_sql
from cellbank.cells.kinds import GROUPS, KINDS
from cellbank.cells.metadata import quoted, text
from cellbank.model.digest import SMALL_BELOW
from cellbank.questions.sources import Source

ENTRIES: Final = "entries"
FULL: Final = "_full"
ABOVE: Final = ("fovs", "wells", "plates", "lines")
"""What a record can belong to, the nearest first."""


def names_of(sources: Sequence[Source]) -> list[str]:
    """Return the names of all that can be asked of these sources."""
    there = {group for source in sources for group in source.kinds}
    groups = [kind.group for kind in KINDS.values() if kind.group in there]
    return [*groups, *(group + FULL for group in groups if above(group, there)), ENTRIES]


def needed_for(name: str, groups: Sequence[str]) -> list[str]:
    """Return the groups whose tables a name needs, of those that there are."""
    group = name.removesuffix(FULL)
    if group not in groups:
        return []
    return [group, *above(group, groups)] if name.endswith(FULL) else [group]


def above(group: str, there: Sequence[str] | set[str]) -> list[str]:
    """Return the groups that records of a group belong to, the nearest first."""
    if group == "lines":
        return []
    start = ABOVE.index(group) + 1 if group in ABOVE else 0
    return [other for other in ABOVE[start:] if other in there]


def of_source(number: int, name: str) -> str:
    """Return the name of what one source alone has of a table."""
    return quoted(f"{number} {name}")


def table_view(number: int, group: str, file: str, columns: Sequence[str], before: str) -> str:
    """Return the SQL that makes the view of a table of one source, `url` beside `path`."""
    shown = [quoted(name) for name in columns]
    if {"path", "digest"} <= {*columns} and "url" not in columns:
        shown.insert(columns.index("path") + 1, f"{_url(before, 'id', '.ome.tif')} AS url")
    made = of_source(number, group)
    return f"CREATE VIEW {made} AS SELECT {', '.join(shown)} FROM read_parquet({text(file)})"


def entries_view(number: int, before: str) -> str:
    """Return the SQL that makes the view of the entries of one source."""
    whole = f"CASE WHEN size >= {SMALL_BELOW} THEN {_url(before, 'filename', '')} END"
    return (
        f"CREATE VIEW {of_source(number, ENTRIES)} AS "
        f"SELECT path, {whole} AS url, digest, size, type, filename, meta "
        f"FROM {of_source(number, 'entries as read')}"
    )


def _url(before: str, name: str, extension: str) -> str:
    """Return the SQL of the address of an object.

    A registry looks at no question mark; who goes by the extension of an address does.
    """
    if before.startswith("http"):
        return f"{text(before)} || digest || '?name=' || url_encode({name}) || {text(extension)}"
    return f"{text(before)} || digest[1:2] || '/' || digest"


def whole_view(name: str, labels: Mapping[int, str], *, several: bool) -> str:
    """Return the SQL that makes the view of a table of all sources; several have `package`."""
    if not several:
        return f"CREATE VIEW {name} AS SELECT * FROM {of_source(min(labels), name)}"
    parts = [
        f"SELECT {text(label)} AS package, * FROM {of_source(number, name)}"
        for number, label in labels.items()
    ]
    return f"CREATE VIEW {name} AS {' UNION ALL BY NAME '.join(parts)}"


def full_view(
    group: str, columns: Mapping[str, Mapping[str, Sequence[str]]], *, several: bool
) -> str:
    """Return the SQL of records beside their field, well, plate, lines and edits.

    What they have and a record has too stays the record's; `well` and `plate` have all of theirs.
    A record is there once for each of its lines and their edits: mostly once.
    """
    over = above(group, [*columns])
    shown = [f"{group}.{quoted(name)}" for name in columns[group]]
    taken = {name.lower() for name in columns[group]}

    def show(sql: str, name: str) -> None:
        if name.lower() not in taken:
            taken.add(name.lower())
            shown.append(f"{sql} AS {quoted(name)}")

    for other in over:
        ours = {"id", "path", "url", "digest", "size", "package", *GROUPS}
        for name in columns[other]:
            if name not in ours:
                show(f"{other}.{quoted(name)}", name)
    edits = [*columns.get("lines", {}).get("edits", ())]
    for name in edits:
        show(f'"__edits"."__edit".{quoted(name)}', name)
    for other in over:
        if other in ("wells", "plates"):
            fields = [f"{quoted(name)} := {other}.{quoted(name)}" for name in columns[other]]
            show(f"struct_pack({', '.join(fields)})", other.removesuffix("s"))
    part = Part("", frozenset(over), edits=bool(edits))
    joined = records_sql(group, [part], keyed=several)
    return f"CREATE VIEW {group}{FULL} AS SELECT {', '.join(shown)} FROM {joined}"
