"""A draft of a package of cell lines: records change by table, and all that follows from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import msgspec

from cellbank.cells.declared import declared
from cellbank.cells.described import schema_of
from cellbank.cells.kinds import GROUPS, KINDS
from cellbank.cells.problems import Problems
from cellbank.cells.rebuilding import Changes, Rebuilding
from cellbank.cells.standing import Workplace, workplace
from cellbank.cells.updating import Checker, Update
from cellbank.model.errors import BadInput, ProblemsFound
from cellbank.model.manifest import Entry
from cellbank.model.names import near
from cellbank.model.progress import Said, Watcher, ignore
from cellbank.packages.build import Built, Prepared
from cellbank.packages.draft import ENTRIES, Draft
from cellbank.packages.edits import Edits, normal
from cellbank.packages.nodes import View
from cellbank.packages.recording import Stamp
from cellbank.packages.rows import Table, table_of


class RecordDraft(Draft):
    """A draft that knows records.

    Invariant: documents, SCHEMA and metadata tables say the same, whatever was changed; they are
    written when the draft is built, and only those of records that changed.

    Parameters
    ----------
    view
        The revision that it begins with.
    stamp
        As `Draft` takes it.
    watch
        Is told of progress.
    """

    def __init__(self, view: View, stamp: Callable[[str], Stamp], watch: Watcher = ignore) -> None:
        super().__init__(view, stamp, watch)
        self._groups = [name for name in view.whole.children("")[0] if name in GROUPS]
        self._changed: dict[str, dict[str, dict[str, Any]]] = {}
        self._removed: dict[str, set[str]] = {}
        self._rebuilding: Rebuilding | None = None

    # --- by table

    def update(self, table: str, rows: Any) -> int:
        """Change metadata by a table; see `Draft.update`."""
        group = KINDS[table].group if table in KINDS else table
        if group == ENTRIES:
            return super().update(ENTRIES, rows)
        if group not in self._groups:
            close = near(table, [*self._groups, ENTRIES])
            has = f"It has: {', '.join([*self._groups, ENTRIES])}."
            advice = f"Did you mean {' or '.join(close)}?" if close else has
            raise BadInput(f"{self.label} has no table {table!r:.60}", advice)
        return self._take(group, table_of(rows))

    def _take(self, group: str, given: Table) -> int:
        problems = Problems()
        with workplace(self._view) as work:
            update = self._checked(group, given, work, problems)
        if problems.errors:
            raise _found(given.place, problems)
        changed = self._note(group, update)
        self._say_elsewhere(group, {name for row in update.changed.values() for name in row})
        return changed

    def _checked(self, group: str, given: Table, work: Workplace, problems: Problems) -> Update:
        specs = self._specs(group)
        if not specs and GROUPS[group].schema not in schema_of(self._view):
            advice = "Records can change where SCHEMA says what their attributes are."
            raise BadInput(f"{self.label} says nothing of the attributes of {group}", advice)
        gone = self._removed.get(group, set())
        return Checker(group, specs, work.of(group), gone, problems).check(given)

    def _specs(self, group: str) -> dict[str, Any]:
        return declared(schema_of(self._view), GROUPS[group].name)

    def _note(self, group: str, update: Update) -> int:
        """Note what changes, and what is again as it was; return how many records differ."""
        noted = self._changed.setdefault(group, {})
        count = 0
        for one in {**update.changed, **update.same}:
            row = noted.setdefault(one, {})
            before = dict(row)
            row.update(update.changed.get(one, {}))
            for name in update.same.get(one, ()):
                row.pop(name, None)
            count += row != before
            if not row:
                del noted[one]
        return count

    def _say_elsewhere(self, group: str, names: Iterable[str]) -> None:
        """Say where an attribute stands that comes from the same place as one that changes."""
        for name in sorted(names):
            origin = self._specs(group)[name].origin
            for other in self._groups:
                theirs = self._specs(other).get(name) if other != group else None
                if theirs is not None and origin == theirs.origin != "baseline":
                    what = f"{other} have {name} too, of the same origin ({origin})"
                    self._watch(Said(f"{what}: it does not change there by itself"))

    # --- entries

    def remove(self, path: str) -> None:
        """Take out an entry, a group, or a record, which other records then name no more.

        Raises `EntryNotFound`: There is none. Raises `BadInput`: It is a part that its record, or
        the package, cannot be without.
        """
        path = normal(path)
        records = self._records_at(path)
        super().remove(path)
        for group, one in records:
            self._removed.setdefault(group, set()).add(one)
            self._changed.get(group, {}).pop(one, None)

    def _records_at(self, path: str) -> list[tuple[str, str]]:
        """Return the records that are removed with all that is at a path."""
        group, _, one = path.partition("/")
        if group not in self._groups or "/" in one:
            return []
        paths = self._edits.paths(path) if path != group else self._edits.paths(group)
        names = dict.fromkeys(found.split("/")[1] for found in paths if found.count("/") > 1)
        return [(group, name) for name in names]

    def _check_removal(self, path: str, removed: Iterable[str]) -> None:
        # All of a record may go, not its document alone.
        if not self._records_at(path):
            super()._check_removal(path, removed)

    def _check_open(self, path: str, deed: str) -> None:
        parts = path.split("/")
        if path == "SCHEMA" and deed != "meta":
            raise BadInput("SCHEMA follows from the records", "Change these: draft.update(…)")
        if parts[0] not in GROUPS or deed == "meta":
            return
        if deed == "rename":
            what = f"{path} is of a record, whose parts have their names"
            raise BadInput(what, "Set or remove it, or give another path.")
        if len(parts) < 3 or not self._has_record(parts[0], parts[1]):
            advice = "New records come by a recipe: cellbank build OWNER RECIPE"
            raise BadInput(f"{path} would be of a record that is not there", advice)
        if parts[2] == "info":
            advice = f'Change it by table: draft.update("{parts[0]}", …)'
            raise BadInput(f"{path} is the document of a record", advice)

    def _has_record(self, group: str, one: str) -> bool:
        return self._edits.find(f"{group}/{one}/info/load") is not None

    # --- building

    def _build(self, stamp: Stamp, watch: Watcher, executor: Executor | None) -> Built:
        changes = Changes(
            {group: rows for group, rows in self._changed.items() if rows},
            {group: ids for group, ids in self._removed.items() if ids},
        )
        with workplace(self._view) as work:
            specs = {group: self._specs(group) for group in self._groups}
            self._rebuilding = Rebuilding(work, specs, changes, self._edits)
            try:
                return super()._build(self._rebuilding.stamped(stamp), watch, executor)
            finally:
                self._rebuilding = None

    def _complete(self) -> Edits:
        assert self._rebuilding is not None  # noqa: S101  set by `_build`, which asks for this
        problems = Problems()
        made = self._rebuilding.documents(problems)
        if problems.errors:
            raise _found(self.label, problems)
        edits = self._edits.copy()
        for source in made:
            edits.enter(source)
        return edits

    def _prepared(self, edits: Edits) -> Prepared:
        rebuilding = self._rebuilding
        assert rebuilding is not None  # noqa: S101

        def tables(entries: Sequence[Entry]) -> Mapping[str, bytes]:
            return rebuilding.tables(entries)

        return msgspec.structs.replace(super()._prepared(edits), tables=tables)

    def __repr__(self) -> str:
        count = sum(map(len, self._changed.values())) + sum(map(len, self._removed.values()))
        said = f"{count:,} {'record' if count == 1 else 'records'}"
        return f"{super().__repr__()[: -len(' changed>')]}, {said} changed>"


def _found(place: str, problems: Problems) -> ProblemsFound:
    found = ProblemsFound(place, [msgspec.to_builtins(one) for one in problems.found()])
    found.advice = "Mend them. Nothing was changed."
    return found
