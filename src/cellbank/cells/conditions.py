"""Conditions about records: what a name in one means, and the SQL of the records that fit.

A name is that of a column of the kind asked about, else of its field of view (where a segmentation
is asked about), else of its well, plate and lines, or a field of one of their edits. `wells.clone`
says whose it is. DuckDB parses a condition; nothing else in it is touched.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cellbank.cells.computing import ADVICE, TOO_DEEP, parsed, refused_in, why_not
from cellbank.cells.kinds import GROUPS, relations_of
from cellbank.cells.metadata import quoted
from cellbank.cells.steady import NOW, NOWHERE, SAMPLE, unsteady_in
from cellbank.model.names import near

_CURLY: Final = "‘’“”„‚«»"  # noqa: RUF001
"""What word processors and web pages make of quotes."""
_BEFORE: Final = "SELECT 1 WHERE "
_EDIT: Final = '"__edits"."__edit"'

Columns = Mapping[str, Mapping[str, Sequence[str]]]
"""Group → its columns → the fields of the structs that a column is a list of, mostly none."""


class ConditionError(ValueError):
    """A condition that cannot be asked.

    Parameters
    ----------
    reason
        Why not.
    start
        Where in the condition that begins, in characters; −1 where no place can be told.
    stop
        Where it ends.
    near
        Names that are near the one that was not found, or that it could mean.
    advice
        What to do, where more can be said than those names.
    """

    def __init__(
        self,
        reason: str,
        start: int = -1,
        stop: int = -1,
        near: Sequence[str] = (),
        advice: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason, self.start, self.stop, self.near = reason, start, stop, tuple(near)
        self.advice = advice


class Part(msgspec.Struct, frozen=True):
    """An expression with its names resolved.

    `groups` are the kinds that must be joined for it, `edits` says whether the edits of lines;
    `functions` are those that it calls, `name` is what a column of it is called. `names` are the
    places of names in characters: begin and end in the SQL, begin and end in the text.
    """

    sql: str
    groups: frozenset[str] = frozenset()
    edits: bool = False
    name: str = ""
    functions: frozenset[str] = frozenset()
    names: tuple[tuple[int, int, int, int], ...] = ()

    def in_text(self, start: int, stop: int) -> tuple[int, int]:
        """Return which place in the text became a place in the SQL; of names all of them."""
        found = []
        for at, is_end in ((start, False), (stop, True)):
            here = at
            for begin, end, text_begin, text_end in self.names:
                if begin < at < end or at == (end if is_end else begin):
                    here = text_end if is_end else text_begin
                elif at >= end:
                    here = text_end + at - end
            found.append(here)
        return found[0], found[1]


class _Name(msgspec.Struct, frozen=True):
    """A name in an expression, and where it stands there, in bytes."""

    parts: tuple[str, ...]
    start: int
    stop: int


class _Read(msgspec.Struct):
    """What an expression is made of."""

    names: list[_Name] = []
    functions: list[tuple[str, int, int]] = []
    subquery: bool = False


class Resolver:
    """What names mean, for questions about one kind.

    Parameters
    ----------
    database
        A DuckDB; it only parses.
    group
        The kind asked about, such as `fovs`.
    columns
        The columns of all kinds that there are.
    steady
        Whether a condition is refused that may give something else another day.
    """

    def __init__(
        self, database: Any, group: str, columns: Columns, *, steady: bool = False
    ) -> None:
        self._database = database
        self._group = group
        self._columns = columns
        self._steady = steady
        self._above = _above(group, columns)

    def condition(self, text: str) -> Part:
        """Return a condition with its names resolved; raises `ConditionError`."""
        try:
            return self._resolved(text, _condition_in(self._parsed(_BEFORE, text)), len(_BEFORE))
        except RecursionError:
            raise ConditionError(TOO_DEEP) from None

    def column(self, text: str) -> Part:
        """Return one column to show with its names resolved; raises `ConditionError`."""
        before = "SELECT "
        item = _column_in(self._parsed(before, text))
        part = self._resolved(text, item, len(before))
        if item.get("class") == "STAR":
            return self._all(text, item, part)
        names = item.get("column_names")
        named = str(item.get("alias") or (names[-1] if names else text.strip()))
        if not item.get("alias"):
            part = msgspec.structs.replace(part, sql=f"{part.sql} AS {quoted(named)}")
        return msgspec.structs.replace(part, name=named)

    def _all(self, text: str, item: Mapping[str, Any], part: Part) -> Part:
        """Return all columns, perhaps some left out, of one kind and of nothing joined to it."""
        group = str(item.get("relation_name") or self._group).lower()
        place = (0, len(text))
        if group not in self._columns:
            raise ConditionError(f"there is no {group}", *place, near(group, self._columns))
        self._check_reached(group, place)
        if any(item.get(name) for name in ("replace_list", "rename_list")):
            raise ConditionError("columns can be left out of all, not changed there", *place)
        out = {str(name).lower() for name in item.get("exclude_list", ())}
        names = [name for name in self._columns[group] if name.lower() not in out]
        sql = ", ".join(f"{group}.{quoted(name)}" for name in names)
        groups = part.groups | ({group} - {self._group})
        return msgspec.structs.replace(
            part, sql=sql, groups=groups, name="*" if group == self._group else text.strip()
        )

    # --- parsing

    def _parsed(self, before: str, text: str) -> dict[str, Any]:
        """Return the tree of one SELECT, as DuckDB parses it."""
        # The line ends what a comment at the end of the text would swallow.
        document = parsed(self._database, f"{before}{text}\n")
        if document["error"]:
            if document.get("error_type") == "not implemented":
                raise ConditionError("it is more than one expression")
            start, stop = _place_of(document)
            raise ConditionError(
                str(document["error_message"]), *_in_text(before, text, start, stop)
            )
        if len(document["statements"]) != 1:
            raise ConditionError("it is more than one expression")
        return dict(document["statements"][0]["node"])

    def _resolved(self, text: str, tree: Any, offset: int) -> Part:
        found = _Read()
        for one in _walk(tree, found, frozenset()):
            start, stop = _spot(one, text, offset)
            raise ConditionError("this cannot stand in a condition", start, stop)
        if self._steady:
            self._check_steady(tree, text, offset)
        self._check_computing(tree, text, offset)
        data = text.encode()
        groups: set[str] = set()
        edits = False
        places: list[tuple[int, int, int, int]] = []
        made, at = "", 0
        for name in sorted(found.names, key=lambda name: name.start):
            start, stop = name.start - offset, name.stop - offset
            place = len(data[:start].decode()), len(data[:stop].decode())
            group, sql = self._meaning(name.parts, text, place)
            edits |= group == "edits"
            groups.add("lines" if group == "edits" else group)
            made += data[at:start].decode()
            places.append((len(made), len(made) + len(sql), *place))
            made += sql
            at = stop
        if found.subquery:
            # What it names in there is not ours to read: it finds what there is.
            groups |= set(self._above)
        sql = made + data[at:].decode()
        return Part(
            f"{sql}\n" if "--" in sql else sql,
            frozenset(groups - {"", self._group}),
            edits,
            functions=frozenset(name for name, *_ in found.functions),
            names=tuple(places),
        )

    def _check_computing(self, tree: Any, text: str, offset: int) -> None:
        for node, name in refused_in(tree):
            place = _spot(node, text, offset)
            if not name:
                raise ConditionError("this cannot stand in a condition", *place)
            said, close = why_not(self._database, "a condition", name)
            raise ConditionError(said, *place, close, "" if close else ADVICE)

    def _check_steady(self, tree: Any, text: str, offset: int) -> None:
        for name, start, stop in unsteady_in(tree, self._database):
            place = _in_text(" " * offset, text, start, stop)
            said = f"{name} may give something else the next time"
            advice = "Write the value itself, such as DATE '2017-10-16'."
            if name == SAMPLE:
                advice = "Say how many and which beside the condition: --sample 20 --seed 1"
            raise ConditionError(said, *place, advice=advice)

    # --- what a name means

    def _meaning(
        self, parts: tuple[str, ...], text: str, place: tuple[int, int]
    ) -> tuple[str, str]:
        """Return the group that a name is of, and its SQL."""
        first, *rest = parts
        if rest and first.lower() in self._columns:
            group = first.lower()
            self._check_reached(group, place)
            found = self._in_group(group, rest[0], place)
            edit = group == "lines" and self._edit_of_lines(found, rest, place)
            if edit:
                return edit
            if found is None:
                names = [f"{group}.{one}" for one in near(rest[0], self._columns[group])]
                raise ConditionError(f"{group} have no {rest[0]}", *place, names)
            return group, ".".join([group, quoted(found), *map(quoted, rest[1:])])
        for tier in self._tiers():
            meant = [one for group in tier if (one := self._candidate(group, parts, place))]
            if len(meant) > 1:
                names = [f"{group}.{first}" for group, _ in meant]
                raise ConditionError(f"{first} could mean {' or '.join(names)}", *place, names)
            if meant:
                return meant[0]
        if not rest and first.lower() in NOW:
            return "", first
        raise self._unknown(first, text, place)

    def _tiers(self) -> Iterator[tuple[str, ...]]:
        """Yield where a bare name is looked for, group after group; those at once are equals."""
        yield (self._group,)
        if "fovs" in self._above:
            yield ("fovs",)
        yield (*(group for group in self._above if group != "fovs"), "edits")

    def _candidate(
        self, group: str, parts: tuple[str, ...], place: tuple[int, int]
    ) -> tuple[str, str] | None:
        if group == "edits":
            return self._edit(parts, place)
        found = self._in_group(group, parts[0], place)
        if found is None:
            return None
        if found == "edits" and len(parts) > 1 and group == "lines":
            return self._edit(parts[1:], place)
        return group, ".".join([group, quoted(found), *map(quoted, parts[1:])])

    def _edit_of_lines(
        self, found: str | None, rest: Sequence[str], place: tuple[int, int]
    ) -> tuple[str, str] | None:
        """Return what `lines.gene` and `lines.edits.gene` mean, if it is of an edit."""
        if found == "edits":
            return self._edit(rest[1:], place) if len(rest) > 1 else None
        return self._edit(rest, place) if found is None else None

    def _edit(self, parts: Sequence[str], place: tuple[int, int]) -> tuple[str, str] | None:
        if "lines" not in (self._group, *self._above):
            return None
        fields = self._columns.get("lines", {}).get("edits", ())
        found = _spelled(parts[0], fields, place)
        if found is None:
            return None
        return "edits", ".".join([_EDIT, quoted(found), *map(quoted, parts[1:])])

    def _in_group(self, group: str, name: str, place: tuple[int, int]) -> str | None:
        return _spelled(name, self._columns[group], place)

    def _check_reached(self, group: str, place: tuple[int, int]) -> None:
        own = GROUPS.get(self._group)
        if group != self._group and (own is None or group not in relations_of(own.name)):
            raise ConditionError(f"{self._group} have nothing to do with {group}", *place)

    def _unknown(self, name: str, text: str, place: tuple[int, int]) -> ConditionError:
        names = {one for tier in self._tiers() for group in tier for one in self._names_of(group)}
        close = near(name, sorted(names))
        if plain := name.strip(_CURLY) if set(name) & set(_CURLY) else "":
            advice = f"Quotes must be straight, as programs write them: '{plain}'."
            return ConditionError(f"there is no {name}", *place, advice=advice)
        if text[place[0] : place[0] + 1] == '"' and not close:
            said = f"{name} is no name that is known here; texts stand in single quotes: '{name}'"
            return ConditionError(said, *place)
        return ConditionError(f"there is no {name}", *place, close, self._where_else(name, close))

    def _where_else(self, name: str, close: Sequence[str]) -> str:
        """Return what a name may have been meant to be where no other is near."""
        if close:
            return ""
        said = f"What can be asked: --describe. Texts stand in single quotes: '{name}'."
        field = f" Fields of meta: meta->>'{name}'." if "meta" in self._columns[self._group] else ""
        return f"{said}{field}"

    def _names_of(self, group: str) -> Iterable[str]:
        if group == "edits":
            return self._columns.get("lines", {}).get("edits", ())
        return self._columns.get(group, ())


def records_sql(group: str, parts: Iterable[Part], *, keyed: bool = False) -> str:
    """Return the SQL after FROM: records of a kind, each beside what the parts need.

    A record that belongs to several lines, or whose line has several edits, is there several
    times. With `keyed` records are told apart by their `package`, too.
    """
    needed = set().union(*(part.groups for part in parts))
    edits = any(part.edits for part in parts)
    inner, joins = group, []
    for other in sorted(needed - {group}):
        of = quoted(f"__of {other}")
        ids = f"CASE WHEN len({quoted(other)}) > 0 THEN {quoted(other)} ELSE [NULL] END"
        # Names are those of our kinds.
        inner = f"(SELECT *, unnest({ids}) AS {of} FROM {inner})"  # noqa: S608
        same = f" AND {other}.package = {group}.package" if keyed else ""
        joins.append(f"LEFT JOIN {other} ON {other}.id = {group}.{of}{same}")
    if edits:
        package = "package AS __package, " if keyed else ""
        each = "unnest(CASE WHEN len(edits) > 0 THEN edits ELSE [NULL] END) AS __edit"
        same = " AND __edits.__package = lines.package" if keyed else ""
        joins.append(
            f"LEFT JOIN (SELECT {package}id AS __id, {each} FROM lines) AS __edits "  # noqa: S608
            f"ON __edits.__id = lines.id{same}"
        )
    return " ".join([f"{inner} AS {group}", *joins])


def _above(group: str, columns: Columns) -> tuple[str, ...]:
    """Return the groups that records of a group belong to, the nearest first."""
    order = ("fovs", "wells", "plates", "lines")
    if group not in GROUPS or group == "lines":
        return ()
    start = order.index(group) + 1 if group in order else 0
    return tuple(other for other in order[start:] if other in columns)


def _spelled(name: str, known: Iterable[str], place: tuple[int, int]) -> str | None:
    """Return the one of the names that is meant, in whatever case it is written."""
    names = list(known)
    if name in names:
        return name
    folded = [one for one in names if one.lower() == name.lower()]
    if len(folded) > 1:
        raise ConditionError(f"{name} could mean {' or '.join(folded)}", *place, folded)
    return folded[0] if folded else None


def _condition_in(node: dict[str, Any]) -> Any:
    """Return the condition of `SELECT 1 WHERE …`, where there is nothing but that."""
    _check_alone(node)
    if len(node["select_list"]) != 1:
        raise ConditionError("it is more than a condition")
    if node.get("where_clause") is None:
        raise ConditionError("there is no condition")
    return node["where_clause"]


def _column_in(node: dict[str, Any]) -> dict[str, Any]:
    """Return the column of `SELECT …`, where there is nothing but that."""
    _check_alone(node)
    if len(node["select_list"]) != 1 or node.get("where_clause") is not None:
        raise ConditionError("it is more than one column")
    return dict(node["select_list"][0])


def _check_alone(node: dict[str, Any]) -> None:
    """Refuse a text that goes on after its expression: with another clause, or a UNION."""
    said = {name: node.get(name) for name in ("modifiers", "group_expressions", "group_sets")}
    said |= {name: node.get(name) for name in ("having", "sample", "qualify")}
    said["cte_map"] = node.get("cte_map", {}).get("map")
    come_from = node.get("from_table") or {}
    if (
        node.get("type") != "SELECT_NODE"
        or any(said.values())
        or come_from.get("type") != "EMPTY"
        or node.get("aggregate_handling") not in (None, "STANDARD_HANDLING")
    ):
        raise ConditionError("it is more than one expression")


def _walk(node: Any, found: _Read, bound: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Note names and functions of a tree; yield what cannot stand in an expression."""
    if isinstance(node, list):
        for one in node:
            yield from _walk(one, found, bound)
        return
    if not isinstance(node, dict):
        return
    match node.get("class"):
        case "STAR" | "POSITIONAL_REFERENCE" | "PARAMETER" | "DEFAULT":
            if not (node.get("class") == "STAR" and not node.get("columns")):
                yield node
            return
        case "COLUMN_REF":
            _note(node, found, bound)
            return
        case "LAMBDA":
            yield from _walk(node.get("expr"), found, bound | _parameters(node.get("lhs")))
            return
        case "SUBQUERY":
            found.subquery = True
            node = {name: one for name, one in node.items() if name != "subquery"}
        case "FUNCTION":
            start = int(node.get("query_location", NOWHERE))
            name = str(node.get("function_name", ""))
            found.functions.append((name, start, start + len(name)))
    for one in node.values():
        yield from _walk(one, found, bound)


def _note(node: Mapping[str, Any], found: _Read, bound: frozenset[str]) -> None:
    parts = tuple(node["column_names"])
    start = int(node.get("query_location", NOWHERE))
    if parts[0] in bound:
        return
    if start == NOWHERE:
        # What DuckDB made of a list comprehension: nobody wrote it.
        return
    found.names.append(_Name(parts, start, start + int(node["query_location_length"])))


def _parameters(node: Any) -> frozenset[str]:
    """Return the names of the parameters of a lambda."""
    if isinstance(node, list):
        return frozenset().union(*map(_parameters, node))
    if not isinstance(node, dict):
        return frozenset()
    if node.get("class") == "COLUMN_REF":
        return frozenset(node["column_names"])
    return frozenset().union(*map(_parameters, node.values()))


def _spot(node: Mapping[str, Any], text: str, offset: int) -> tuple[int, int]:
    start = int(node.get("query_location", NOWHERE))
    return _in_text(" " * offset, text, start, start + int(node.get("query_location_length", 1)))


def _place_of(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return where the parser says that the text is wrong, in bytes."""
    try:
        start = int(document["position"])
    except (KeyError, ValueError):
        return NOWHERE, NOWHERE
    try:
        length = json.loads(document["location"])[1]
    except (KeyError, ValueError, IndexError):
        length = 1
    return start, start + length


def _in_text(before: str, text: str, start: int, stop: int) -> tuple[int, int]:
    """Return a place in characters of the text that stands behind another."""
    if start >= NOWHERE:
        return -1, -1
    data = text.encode()
    start, stop = (min(max(at - len(before), 0), len(data)) for at in (start, stop))
    return tuple(len(data[:at].decode(errors="ignore")) for at in (start, stop))  # type: ignore[return-value]
