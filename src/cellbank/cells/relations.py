"""Relations: which records belong together, both ways, complete and sorted."""

from collections.abc import Iterable, Mapping
from typing import Final

from cellbank.cells.kinds import KINDS
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept

SEGMENTATIONS: Final = ("cell_seg", "nuclei_seg", "structure_seg")

Lists = dict[str, list[str]]
"""Group → ids, sorted: the relation lists of one record."""


class Relations:
    """The relation lists of all records.

    Invariant: what `a` lists lists `a`; every id is that of a record; a kind never lists itself.
    """

    def __init__(self, found: Mapping[str, Kept]) -> None:
        self._found = found
        self._up: dict[str, dict[str, Lists]] = {}
        self._down: dict[str, dict[str, dict[str, set[str]]]] = {
            kind: {name: {} for name in kept.records} for kind, kept in found.items()
        }

    @classmethod
    def of(cls, found: Mapping[str, Kept], problems: Problems) -> "Relations":
        """Return the relations of these records; contradictions are problems."""
        made = cls(found)
        for kind, kept in found.items():
            made._up[kind] = {
                record.id: made._above(record, problems) for record in kept.records.values()
            }
        made._turn()
        made._join_siblings()
        return made

    # --- upwards

    def _above(self, record: Found, problems: Problems) -> Lists:
        """Return what a record belongs to, through others too; what it says itself comes first."""
        lists: dict[str, list[str]] = {}
        for kind, ids in record.above.items():
            lists.setdefault(KINDS[kind].group, []).extend(ids)
        for kind, ids in record.above.items():
            for name in ids:
                self._take_over(record, kind, self._up[kind].get(name, {}), lists, problems)
        return {group: sorted(set(ids)) for group, ids in lists.items() if ids}

    def _take_over(
        self, record: Found, kind: str, theirs: Lists, lists: Lists, problems: Problems
    ) -> None:
        """Add what the record of a kind above belongs to, unless the record says it itself."""
        for group, ids in theirs.items():
            said = [
                i for k, named in record.above.items() if KINDS[k].group == group for i in named
            ]
            if not said:
                lists.setdefault(group, []).extend(ids)
            elif not set(said) <= set(ids):
                problems.error(
                    record.place,
                    f"{record.id} names {', '.join(said)}, its {kind} {', '.join(ids)}",
                    "Mend one of the two.",
                    row=record.row,
                )

    # --- downwards

    def _turn(self) -> None:
        for kind, records in self._up.items():
            group = KINDS[kind].group
            for name, lists in records.items():
                for above, ids in lists.items():
                    self._add(above, ids, group, (name,))
        for kind in ("well", "fov"):
            for lists in self._up.get(kind, {}).values():
                self._add("plates", lists.get("plates", ()), "lines", lists.get("lines", ()))
                self._add("lines", lists.get("lines", ()), "plates", lists.get("plates", ()))
        # A field may say its line itself where its well does not.
        for lists in self._up.get("fov", {}).values():
            self._add("wells", lists.get("wells", ()), "lines", lists.get("lines", ()))
            self._add("lines", lists.get("lines", ()), "wells", lists.get("wells", ()))
            self._add("wells", lists.get("wells", ()), "plates", lists.get("plates", ()))
            self._add("plates", lists.get("plates", ()), "wells", lists.get("wells", ()))

    def _add(self, group: str, ids: Iterable[str], other: str, names: Iterable[str]) -> None:
        """Note that the records `ids` of a group list the records `names` of another."""
        kind = _KIND_OF[group]
        for name in ids:
            lists = self._down[kind][name]
            if other in lists:
                lists[other].update(names)
            else:
                lists[other] = set(names)

    def _join_siblings(self) -> None:
        """Let the segmentations of a field list each other."""
        for lists in self._down.get("fov", {}).values():
            groups = {g: ids for g, ids in lists.items() if _KIND_OF[g] in SEGMENTATIONS}
            for group, ids in groups.items():
                for other, theirs in groups.items():
                    if other != group:
                        self._add(group, ids, other, theirs)

    # --- asking

    def of_record(self, kind: str, name: str) -> Lists:
        """Return the relation lists of a record, sorted; groups without any are left out."""
        up, down = self._up[kind][name], self._down[kind][name]
        if not down:
            return up
        return {
            group: sorted({*up.get(group, ()), *down.get(group, ())}) for group in {**up, **down}
        }

    def closure(self, fovs: Iterable[str]) -> dict[str, set[str]]:
        """Return the fields of view and all that belongs to them: group → ids."""
        chosen: dict[str, set[str]] = {kind.group: set() for kind in KINDS.values()}
        for name in fovs:
            chosen["fovs"].add(name)
            for group, ids in self.of_record("fov", name).items():
                chosen[group].update(ids)
        return chosen

    def of_line(self, line: str) -> dict[str, set[str]]:
        """Return a line and all that belongs to it: group → ids."""
        chosen = {kind.group: set[str]() for kind in KINDS.values()}
        chosen |= {group: set(ids) for group, ids in self.of_record("line", line).items()}
        chosen["lines"] = {line}
        return chosen

    def everything(self) -> dict[str, set[str]]:
        """Return all records: group → ids."""
        return {
            kind.group: set(self._found[name].records) if name in self._found else set()
            for name, kind in KINDS.items()
        }


_KIND_OF: Final = {kind.group: name for name, kind in KINDS.items()}
