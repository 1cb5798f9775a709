"""What a question in SQL names and calls, and whether it may be asked at all.

DuckDB parses it; what is allowed is listed. The database that answers could not reach a file, a
network or a setting either: this says so in time, and in words.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from cellbank.cells.computing import (
    ADVICE,
    CALLED,
    TABLE_FUNCTIONS,
    called,
    is_known,
    parsed,
    why_not,
)
from cellbank.model.names import near
from cellbank.questions.question import bad

ONLY: Final = "a question is one SELECT, WITH, DESCRIBE or SUMMARIZE"
ALONE: Final = "Ask one, with nothing before or behind it; a question changes nothing."
CONDITION: Final = "SQL begins with SELECT. A condition: --where (where= in Python)."
_BEGINS: Final = re.compile(r"\W*(select|with|from|describe|summarize)\b", re.IGNORECASE).match
_NOWHERE: Final = 2**64 - 1


class Asked(msgspec.Struct):
    """What a question names."""

    tables: set[str] = set()
    named: list[tuple[str, int, int]] = []


def read_question(database: Any, sql: str, known: Sequence[str]) -> set[str]:
    """Return which of the known tables a question names.

    Raises `BadQuestion`: It is no question, or calls what it must not, or names another table.
    """
    node = _statement(database, sql)
    found = Asked()
    for one, own in _nodes(node):
        _check_call(database, one, sql)
        _look_at(one, own, found, sql)
    for name, start, stop in found.named:
        if name.lower() in known:
            found.tables.add(name.lower())
        else:
            close = near(name, known)
            has = "" if close else f"There are: {', '.join(known)}."
            raise bad(sql, f"there is no table {name}", (start, stop), close, has)
    return found.tables


def _statement(database: Any, sql: str) -> dict[str, Any]:
    document = parsed(database, sql)
    if document["error"]:
        message = str(document["error_message"])
        if document.get("error_type") == "not implemented":
            raise bad(sql, ONLY, advice=ALONE)
        place = document.get("position")
        if place is None:
            raise bad(sql, message)
        start = int(place)
        length = json.loads(document.get("location", "[0,1]"))[1]
        at = _in_characters(sql, start, start + length)
        raise bad(sql, message, at, advice="" if _BEGINS(sql) else CONDITION)
    statements = document["statements"]
    if len(statements) != 1:
        raise bad(sql, ONLY, advice=ALONE) if statements else bad(sql, "nothing is asked")
    return dict(statements[0]["node"])


def _nodes(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Yield nodes, each with the tables of the question's own that it can see."""
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        node, own = waiting.pop()
        if isinstance(node, list):
            waiting += [(one, own) for one in node]
        elif isinstance(node, dict):
            if node.get("type") == "RECURSIVE_CTE_NODE":
                own |= {_lower(node["cte_name"])}
            # A table of WITH is seen by those behind it and by the rest, and not outside.
            for one in (node.get("cte_map") or {}).get("map", ()):
                waiting.append((one["value"], own))
                own |= {_lower(one["key"])}
            yield node, own
            waiting += [(one, own) for name, one in node.items() if name != "cte_map"]


def _look_at(node: dict[str, Any], own: frozenset[str], found: Asked, sql: str) -> None:
    kind = node.get("type")
    if node.get("class") == "PARAMETER":
        raise bad(sql, "a question has no parameters", _place(sql, node))
    if not is_known(node):
        raise bad(sql, ONLY, _place(sql, node), advice=ALONE)
    if kind == "BASE_TABLE":
        _look_at_table(node, own, found, sql)
    elif kind == "SHOW_REF" and not node.get("query"):
        raise bad(sql, ONLY, _place(sql, node), advice="What there is: --describe")


def _look_at_table(node: dict[str, Any], own: frozenset[str], found: Asked, sql: str) -> None:
    schema, catalog = node.get("schema_name", ""), node.get("catalog_name", "")
    if schema not in ("", "main") or catalog not in ("", "memory"):
        raise bad(sql, "there is no such table", _place(sql, node))
    # With a schema before it a name is none of the question's own.
    if schema or catalog or _lower(node["table_name"]) not in own:
        found.named.append((str(node["table_name"]), *_place(sql, node)))


def _lower(name: object) -> str:
    """Return a name as DuckDB compares it: only ASCII has no case."""
    return str(name).encode().lower().decode()


def _check_call(database: Any, node: dict[str, Any], sql: str) -> None:
    name, allowed = called(node), CALLED
    if node.get("type") == "TABLE_FUNCTION":
        name, allowed = called(node["function"]), TABLE_FUNCTIONS
    if name and name not in allowed:
        said, close = why_not(database, "a question", name)
        raise bad(sql, said, _place(sql, node), close, "" if close else ADVICE)


def _place(sql: str, node: dict[str, Any]) -> tuple[int, int]:
    start = int(node.get("query_location", _NOWHERE))
    if start >= _NOWHERE:
        return -1, -1
    return _in_characters(sql, start, start + int(node.get("query_location_length") or 1))


def _in_characters(sql: str, start: int, stop: int) -> tuple[int, int]:
    data = sql.encode()
    return len(data[:start].decode(errors="ignore")), len(data[:stop].decode(errors="ignore"))
