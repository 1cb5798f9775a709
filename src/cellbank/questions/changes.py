"""What changed in the metadata from one revision to another: record by record, by attribute."""
# ruff: noqa: S608  names in this SQL are ours or quoted, and nothing of a question is in it

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cellbank.cells.kinds import KINDS
from cellbank.cells.metadata import quoted
from cellbank.model.errors import BadInput
from cellbank.model.names import near
from cellbank.questions import views
from cellbank.questions.engine import Engine

DERIVED = ("path", "url", "digest", "size")
"""Of the image; that it is another one is one change, not four."""


class Change(msgspec.Struct, frozen=True):
    """An attribute of a record that is not what it was; `None` is not known, or not there."""

    attribute: str
    old: Any
    new: Any


class ChangedRecord(msgspec.Struct, frozen=True):
    """A record that is not what it was: its group, its id, and what of it changed."""

    kind: str
    id: str
    changes: list[Change]


class RecordChanges(msgspec.Struct, frozen=True):
    """What differs between the records of two revisions.

    `added` and `removed` are group → ids; `attributes` are group → names that only the new
    revision has, or only the old one.
    """

    added: dict[str, list[str]]
    removed: dict[str, list[str]]
    changed: list[ChangedRecord]
    attributes_added: dict[str, list[str]]
    attributes_removed: dict[str, list[str]]

    def __bool__(self) -> bool:
        return bool(
            self.added
            or self.removed
            or self.changed
            or self.attributes_added
            or self.attributes_removed
        )


def changed(engine: Engine, kind: str) -> RecordChanges:
    """Return what differs between the first source and the second, in one kind or in all."""
    old, new = engine.sources
    groups = _groups(engine, kind)
    found = RecordChanges({}, {}, [], {}, {})
    for group in groups:
        engine.need({group})
        before = engine.columns_of(0, group) if group in old.tables else []
        after = engine.columns_of(1, group) if group in new.tables else []
        _note(found.attributes_added, group, [one for one in after if one not in before])
        _note(found.attributes_removed, group, [one for one in before if one not in after])
        if before and after:
            _note(found.removed, group, _only(engine, group, 0, 1))
            _note(found.added, group, _only(engine, group, 1, 0))
            both = [one for one in after if one in before and one != "id"]
            found.changed.extend(_records(engine, group, both))
        elif before or after:
            ids = _all(engine, group, 0 if before else 1)
            _note(found.removed if before else found.added, group, ids)
    return found


def _groups(engine: Engine, kind: str) -> list[str]:
    group = KINDS[kind].group if kind in KINDS else kind
    if not group:
        return engine.groups
    if group not in engine.groups:
        close = near(group, engine.groups)
        advice = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(engine.groups)}."
        raise BadInput(f"there are no records {group!r} in these revisions", advice)
    return [group]


def _note(where: dict[str, list[str]], group: str, names: Sequence[str]) -> None:
    if names:
        where[group] = list(names)


def _only(engine: Engine, group: str, there: int, not_there: int) -> list[str]:
    here, other = views.of_source(there, group), views.of_source(not_there, group)
    return _ids(
        engine, f"SELECT id FROM {here} WHERE id NOT IN (SELECT id FROM {other}) ORDER BY 1"
    )


def _all(engine: Engine, group: str, number: int) -> list[str]:
    return _ids(engine, f"SELECT id FROM {views.of_source(number, group)} ORDER BY 1")


def _ids(engine: Engine, sql: str) -> list[str]:
    return [row[0] for row in _rows(engine, sql)]


def _rows(engine: Engine, sql: str) -> Iterator[tuple[Any, ...]]:
    batches = engine.rows(sql, "diff --records")
    next(batches)
    for batch in batches:
        yield from batch


def _records(engine: Engine, group: str, names: Sequence[str]) -> list[ChangedRecord]:
    """Return the records that are in both, and differ."""
    shown = [name for name in names if name not in DERIVED] + (
        ["digest"] if "digest" in names else []
    )
    if not shown:
        return []
    differs = [f"a.{quoted(name)} IS DISTINCT FROM b.{quoted(name)}" for name in shown]
    values = [f"a.{quoted(name)}, b.{quoted(name)}" for name in shown]
    sql = (
        f"SELECT a.id, {', '.join([*differs, *values])} FROM {views.of_source(0, group)} a "
        f"JOIN {views.of_source(1, group)} b ON a.id = b.id "
        f"WHERE {' OR '.join(differs)} ORDER BY a.id"
    )
    found = []
    for name, *rest in _rows(engine, sql):
        flags, pairs = rest[: len(shown)], rest[len(shown) :]
        changes = [
            Change("image" if one == "digest" else one, pairs[2 * at], pairs[2 * at + 1])
            for at, one in enumerate(shown)
            if flags[at]
        ]
        found.append(ChangedRecord(group, name, changes))
    return found
