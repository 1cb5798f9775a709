"""Families: which packages one source makes, and which records are in each."""

import re
from collections.abc import Iterable, Iterator, Mapping
from threading import Timer
from typing import Any, Final

import msgspec
from blake3 import blake3

from cellbank.cells import recipe
from cellbank.cells.conditions import ConditionError, Resolver, records_sql
from cellbank.cells.kinds import KINDS
from cellbank.cells.metadata import Tables, columns_of, connect, quoted
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept
from cellbank.cells.relations import Relations
from cellbank.cells.values import Spec
from cellbank.model.errors import InvalidName
from cellbank.model.names import check_name

CONDITION_SECONDS: Final = 120.0
"""Of 100,000 fields of view in 10,000 wells, a condition is answered in a few."""
_HOLE: Final = re.compile(r"\{([^{}]+)\}")
_ODD: Final = re.compile(r"[^0-9a-z_]")


class Member(msgspec.Struct, frozen=True):
    """A package of a family: its name, what it is, and its records (group → ids)."""

    name: str
    sort: str
    title: str
    about: str
    chosen: dict[str, set[str]]


class Family:
    """The members of a family, decided from the records alone."""

    def __init__(
        self,
        made: recipe.Recipe,
        found: Mapping[str, Kept],
        relations: Relations,
        problems: Problems,
        place: str,
    ) -> None:
        self._recipe = made
        self._found = found
        self._relations = relations
        self._problems = problems
        self._place = place
        self._names: dict[str, str] = {}

    def members(self, tables: Tables, specs: Mapping[str, list[Spec]]) -> list[Member]:
        """Return the members, the largest first, so that the others find its objects.

        `tables` holds all records, for conditions.
        """
        if "fov" not in self._found:
            return []
        packages = self._recipe.packages
        members = [*self._all(packages.all)]
        if packages.per_line:
            members += self._per_line(packages.per_line)
        if packages.sample:
            members += self._sample(packages.sample)
        for name, subset in packages.subsets.items():
            members += self._subset(name, subset, tables, specs)
        return sorted(members, key=lambda m: (-sum(map(len, m.chosen.values())), m.name))

    def _take_name(self, name: str, whose: str) -> bool:
        """Whether a package can have this name; else why not is a problem."""
        column = "packages"
        try:
            check_name("a package", name)
        except InvalidName as error:
            self._error(f"{whose}: {error.message}", error.advice, column)
            return False
        if name in self._names:
            self._error(
                f"{self._names[name]} and {whose} both get the name {name}",
                "Give one of them another name.",
                column,
            )
            return False
        self._names[name] = whose
        return True

    def _error(self, what: str, advice: str, column: str) -> None:
        self._problems.error(self._place, what, advice, column=column)

    def _all(self, name: str) -> Iterator[Member]:
        if name and self._take_name(name, "packages.all"):
            about = "It has everything: all lines, plates, wells, fields of view, segmentations."
            yield Member(name, "all", self._recipe.title, about, self._relations.everything())

    def _per_line(self, per_line: recipe.PerLine) -> Iterator[Member]:
        kept = self._found.get("line")
        for line in sorted(kept.records.values(), key=lambda r: r.id) if kept else ():
            name = self._name_of(per_line.name, line)
            if name and self._take_name(name, line.id):
                genes = [str(edit["gene"]) for edit in line.values["edits"] if edit.get("gene")]
                named = str(line.values.get("line") or line.key)
                about = f"It has the line {named}" + (f" ({', '.join(genes)})" if genes else "")
                about += " and all that belongs to it."
                title = f"{self._recipe.title}: {named}"
                chosen = self._relations.of_line(line.id)
                yield Member(name, "line", title, about, chosen)

    def _name_of(self, template: str, line: Found) -> str | None:
        values = {"key": line.key, "id": line.id, **line.values}
        holes = _HOLE.findall(template)
        unknown = [hole for hole in holes if values.get(hole) in (None, "", [])]
        if unknown:
            self._problems.error(
                line.place,
                f"{line.id} has no {unknown[0]}, which the name of its package is made of",
                "Fill it in, or change packages.per_line.name in the recipe.",
                row=line.row,
                column=unknown[0],
            )
            return None
        filled = _HOLE.sub(lambda hole: str(values[hole[1]]), template)
        return _ODD.sub("_", filled.lower())

    def _sample(self, sample: recipe.Sample) -> Iterator[Member]:
        if self._take_name(sample.name, "packages.sample"):
            by_line: dict[str, list[str]] = {}
            for fov in self._found["fov"].records:
                lines = self._relations.of_record("fov", fov).get("lines", [""])
                by_line.setdefault(lines[0], []).append(fov)
            chosen = stratified(by_line, sample.fovs, sample.seed)
            if not chosen:
                self._warn_empty("there is no field of view", "packages.sample")
                return
            about = (
                f"It has {len(chosen)} fields of view, taken by chance from all lines alike "
                f"(seed {sample.seed}), and all that belongs to them."
            )
            title = f"{self._recipe.title}: a random sample"
            yield Member(sample.name, "sample", title, about, self._relations.closure(chosen))

    def _warn_empty(self, what: str, column: str) -> None:
        """Warn of a package without records, unless an error has told why there are none."""
        if not self._problems.errors:
            advice = "The package would be empty and is not made."
            self._problems.warn(self._place, what, advice, column=column)

    def _subset(
        self, name: str, subset: recipe.Subset, tables: Tables, specs: Mapping[str, list[Spec]]
    ) -> Iterator[Member]:
        if not self._take_name(name, f"packages.subsets.{name}"):
            return
        column = f"packages.subsets.{name}.where"
        try:
            chosen = select(subset.where, tables, specs)
        except ConditionError as error:
            self._error(f"{subset.where}: {error}", "Mend the condition.", column)
            return
        if not chosen:
            self._warn_empty(f"no field of view fits {subset.where}", column)
            return
        about = subset.description or (
            f"It has the fields of view with `{subset.where}`, and all that belongs to them."
        )
        title = subset.title or f"{self._recipe.title}: {name}"
        yield Member(name, "subset", title, about, self._relations.closure(chosen))


def stratified(by_line: Mapping[str, Iterable[str]], count: int, seed: int) -> list[str]:
    """Return up to `count` ids, as many of each line as can be; the same ones for the same seed.

    An id's place in the draw depends on the seed and the id alone: a field that is added or
    removed changes little.
    """
    left = {
        line: sorted(ids, key=lambda name: blake3(f"{seed}:{name}".encode()).digest(), reverse=True)
        for line, ids in sorted(by_line.items())
    }
    chosen: list[str] = []
    while len(chosen) < count and any(left.values()):
        for ids in left.values():
            if ids and len(chosen) < count:
                chosen.append(ids.pop())
    return sorted(chosen)


def select(where: str, tables: Tables, specs: Mapping[str, list[Spec]]) -> list[str]:
    """Return the ids of the fields of view that fit a condition (`cells/conditions.py`)."""
    import duckdb

    with connect(tables.spill) as database:
        for kind in specs:
            table = quoted(KINDS[kind].group)
            # The names are ours; the path is that of a file we made.
            database.execute(f"CREATE TABLE {table} AS SELECT * FROM {tables.rows_of(kind)}")  # noqa: S608
        database.execute("SET enable_external_access = false")
        asked = _asked(where, database, specs)
        clock = Timer(CONDITION_SECONDS, database.interrupt)
        clock.start()
        try:
            # Only what is ours can be reached: nothing lies in this database but the records.
            rows = database.execute(asked).fetchall()
        except duckdb.InterruptException:
            reason = f"it takes more than {CONDITION_SECONDS:g} seconds"
            raise ConditionError(reason) from None
        except duckdb.Error as error:
            raise ConditionError(str(error).partition("\n")[0]) from None
        finally:
            clock.cancel()
            # It must not stop what is closed.
            clock.join()
    return sorted(row[0] for row in rows)


def _asked(where: str, database: Any, specs: Mapping[str, list[Spec]]) -> str:
    """Return the SQL of the fields of view that fit a condition."""
    columns = {
        KINDS[kind].group: dict.fromkeys(columns_of(kind, given), ())
        | {spec.name: [field.name for field in spec.fields] for spec in given}
        for kind, given in specs.items()
    }
    part = Resolver(database, "fovs", columns, steady=True).condition(where)
    return f"SELECT DISTINCT fovs.id FROM {records_sql('fovs', [part])} WHERE {part.sql}"  # noqa: S608


def counts_of(member: Member) -> dict[str, int]:
    """Return how many records of each kind a package has, in the order of the kinds."""
    return {kind.group: len(member.chosen.get(kind.group, ())) for kind in KINDS.values()}


def records_of(member: Member, found: Mapping[str, Kept]) -> Iterator[tuple[str, Found]]:
    """Yield the records of a package, in the order of their paths."""
    for kind in sorted(KINDS.values(), key=lambda kind: kind.group):
        if kind.name in found:
            records = found[kind.name].records
            for name in sorted(member.chosen[kind.group]):
                yield kind.name, records[name]


Info = dict[str, Any]
