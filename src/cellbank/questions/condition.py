"""The short form: a condition, columns and groups, for people who write no SQL.

The SQL that comes of it has the texts of the question in it only after they were parsed as one
expression each, with nothing behind it.
"""
# ruff: noqa: S608

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cellbank.cells.conditions import ConditionError, Part, Resolver, records_sql
from cellbank.cells.kinds import KINDS
from cellbank.model.errors import BadQuestion
from cellbank.model.names import near
from cellbank.questions import views
from cellbank.questions.engine import COMPARE, Engine
from cellbank.questions.question import Question, bad

_ALONE: Final = re.compile(r'[\w."]+').fullmatch


def kind_asked(engine: Engine, kind: str) -> str:
    """Return the table that a kind means: `fovs`, also for `fov`.

    Raises `BadQuestion`: There is none; what there is, is told.
    """
    group = KINDS[kind].group if kind in KINDS else kind
    if not group:
        group = "fovs" if "fovs" in engine.groups else views.ENTRIES
    if group not in engine.names:
        close = near(group, engine.names)
        has = "" if close else f"There are: {', '.join(engine.names)}."
        what = f"there are no {group} in {_label(engine)}"
        raise bad(kind, what, near=close, advice=has)
    return group


def _label(engine: Engine) -> str:
    labels = [one.source.label for one in engine.sources]
    return labels[0] if len(labels) == 1 else f"these {len(labels)} packages"


class Short(msgspec.Struct, frozen=True):
    """The SQL of a question in the short form, and what was made of each text in it."""

    sql: str
    texts: tuple[tuple[str, Part], ...]

    def place(self, start: int, stop: int) -> tuple[str, int, int] | None:
        """Return which text, and where in it, became a place in the SQL; None: it is ours."""
        if start < 0:
            # Of fields of edits DuckDB says no place.
            found = [(text, 0, len(text)) for text, part in self.texts if part.edits]
            return found[0] if len(found) == 1 else None
        for text, part in self.texts:
            at = self.sql.find(part.sql)
            while at >= 0:
                if at <= start < at + len(part.sql):
                    begin, end = part.in_text(start - at, min(stop - at, len(part.sql)))
                    return text, begin, min(end, len(text))
                at = self.sql.find(part.sql, at + 1)
        return None


def short_sql(engine: Engine, question: Question) -> Short:
    """Return the SQL of a question in the short form; raises `BadQuestion`."""
    group = kind_asked(engine, question.kind)
    resolver = _resolver(engine, group, question)
    where = _condition(engine, resolver, group, question.where) if question.where.strip() else None
    columns = [_told(resolver.column, one) for one in question.columns]
    groups = [_told(resolver.column, one) for one in question.group_by]
    if groups:
        sql = _grouped(engine, group, where, columns, groups)
    else:
        sql = _listed(engine, group, where, columns)
    said = [*question.columns, *question.group_by]
    texts = [*zip(said, [*columns, *groups], strict=True)]
    if where is not None:
        texts.insert(0, (question.where, where))
    return Short(_checked(engine, sql, question), tuple(texts))


def _checked(engine: Engine, sql: str, question: Question) -> str:
    """Return our SQL, read again as everybody's: a condition may have a SELECT in it."""
    try:
        return engine.resolve(sql)
    except BadQuestion as error:
        reason = error.message.partition("\n")[0]
        advice = "" if error.near else error.advice
        raise bad(question.text, reason, near=error.near, advice=advice) from None


def ids_sql(engine: Engine, kind: str, where: str, *, steady: bool = False) -> str:
    """Return the SQL of the ids of the records that fit a condition."""
    group = kind_asked(engine, kind)
    question = Question(where=where, kind=group, steady=steady)
    part = _condition(engine, _resolver(engine, group, question), group, where)
    return _checked(engine, _fitting(engine, group, part), question)


def _condition(engine: Engine, resolver: Resolver, group: str, said: str) -> Part:
    """Return a condition with its names resolved; raises `BadQuestion`.

    A name alone must hold true and false: of `--where passage>40` without quotes a shell leaves
    `passage`, and SQL would take every number but 0 for true.
    """
    part = _told(resolver.condition, said)
    alone = _ALONE(said.strip()) is not None
    if alone and engine.kind(part.sql, _from(engine, group, [part])).id != "boolean":
        start, stop = said.index(said.strip()), len(said.rstrip())
        advice = f"{COMPARE} Put all of it in quotes."
        raise bad(said, f"{said.strip()} alone is no condition", (start, stop), advice=advice)
    return part


def _resolver(engine: Engine, group: str, question: Question) -> Resolver:
    # Tables are brought when a name is looked for in them, not before.
    columns = _Columns(engine, group)
    return Resolver(engine.parser, group, columns, steady=question.steady)


class _Columns(dict[str, dict[str, list[str]]]):
    """Group → its columns; what they are is found out when it is asked for."""

    def __init__(self, engine: Engine, group: str) -> None:
        super().__init__({name: {} for name in (group, *engine.groups)})
        self._engine = engine

    def __getitem__(self, group: str) -> dict[str, list[str]]:
        return self._engine.fields(group)

    def get(self, group: str, default: object = None) -> dict[str, list[str]]:
        """Return the columns of a group, none where there is no such group."""
        return self[group] if group in self else {}  # noqa: SIM401  `[]` looks it up


def _told(resolve: Callable[[str], Part], said: str) -> Part:
    try:
        return resolve(said)
    except ConditionError as error:
        place = (error.start, error.stop)
        raise bad(said, error.reason, place, error.near, error.advice) from None


def _key(engine: Engine, group: str) -> str:
    name = "path" if group == views.ENTRIES else "id"
    return f"({group}.package, {group}.{name})" if engine.several else f"{group}.{name}"


def _from(engine: Engine, group: str, parts: Sequence[Part]) -> str:
    for part in parts:
        engine.need({*part.groups, group, *(["lines"] if part.edits else [])})
    return records_sql(group, parts, keyed=engine.several)


def _fitting(engine: Engine, group: str, part: Part) -> str:
    key = _key(engine, group)
    return f"SELECT {key} FROM {_from(engine, group, [part])} WHERE ({part.sql})"


def _listed(engine: Engine, group: str, where: Part | None, columns: Sequence[Part]) -> str:
    order = f"ORDER BY {_key(engine, group)}"
    shown = ", ".join(part.sql for part in columns) or f"{group}.*"
    parts = [*columns]
    condition = ""
    if where is not None and (where.groups or where.edits):
        # A condition about others says which records, not how often each is shown.
        condition = f"WHERE {_key(engine, group)} IN ({_fitting(engine, group, where)}) "
    elif where is not None:
        condition = f"WHERE ({where.sql}) "
    if columns and engine.several and {"package", "*"}.isdisjoint(part.name for part in columns):
        shown = f"{group}.package, {shown}"
    if any(_sums_up(engine, part) for part in columns):
        order = ""
    return f"SELECT {shown} FROM {_from(engine, group, parts)} {condition}{order}"


def _grouped(
    engine: Engine,
    group: str,
    where: Part | None,
    columns: Sequence[Part],
    groups: Sequence[Part],
) -> str:
    """Return the SQL that counts records a group, or shows the columns that are asked for."""
    shown = [part.sql for part in groups]
    said = {part.name for part in groups}
    shown += [part.sql for part in columns if part.name not in said]
    if not columns:
        shown.append(f"count(DISTINCT {_key(engine, group)}) AS records")
    condition = f"WHERE ({where.sql}) " if where is not None else ""
    parts = [*columns, *groups]
    if where is not None and not _shares(where, parts):
        condition = f"WHERE {_key(engine, group)} IN ({_fitting(engine, group, where)}) "
    numbers = ", ".join(str(number) for number in range(1, len(groups) + 1))
    source = _from(engine, group, parts)
    return (
        f"SELECT {', '.join(shown)} FROM {source} {condition}GROUP BY {numbers} ORDER BY {numbers}"
    )


def _shares(where: Part, parts: Sequence[Part]) -> bool:
    """Whether a condition is about nothing that is not shown: the same well, the same edit."""
    groups = set().union(*(part.groups for part in parts))
    return where.groups <= groups and (not where.edits or any(part.edits for part in parts))


def _sums_up(engine: Engine, part: Part) -> bool:
    """Whether a column is of all records together, such as `count(*)`."""
    return bool(part.functions) and not part.functions.isdisjoint(engine.aggregates)
