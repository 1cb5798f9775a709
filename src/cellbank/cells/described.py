"""What a package says that its attributes hold: by its SCHEMA, else by the standard attributes."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from cellbank.cells.kinds import KINDS, Attribute
from cellbank.cells.values import iso_date
from cellbank.model.errors import BadInput, NotFetched
from cellbank.packages.nodes import DataNode, View

ISO: Final = "%Y-%m-%d"
"""What a date looks like where nobody says. Other forms are never guessed: 2/3 is two days."""


class Described(msgspec.Struct, frozen=True):
    """The type of an attribute, the form of its dates, and what the fields of its structs hold."""

    type: str = ""
    format: str = ""
    fields: Mapping[str, "Described"] = {}

    def typed(self, value: Any) -> Any:
        """Return a scalar of a document as its type.

        Parameters
        ----------
        value
            As JSON has it.

        Returns
        -------
        Any
            What was given, where it does not fit the type.

        Examples
        --------
        >>> Described("date", "%m/%d/%Y").typed("10/16/2017")
        datetime.date(2017, 10, 16)
        >>> Described("integer").typed(36.0), Described("integer").typed("many")
        (36, 'many')
        """
        kind = self.type[5:-1] if self.type.startswith("list[") else self.type
        if isinstance(value, bool) or value is None:
            return value
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        if kind == "number" and isinstance(value, int) and abs(value) <= _EXACT:
            return float(value)
        if kind == "string" and isinstance(value, int):
            return str(value)
        if kind == "date" and isinstance(value, str):
            day = iso_date(value.strip(), self.format or ISO)
            return value if day is None else date.fromisoformat(day)
        return value


_EXACT: Final = 2**53
NOTHING: Final = Described()
"""Of an attribute of which nothing is known."""


def described(view: View, kind: str) -> dict[str, Described]:
    """Return what the attributes of a kind hold in a package, as far as anybody says."""
    known = _standard(KINDS[kind].attributes)
    said = schema_of(view).get(KINDS[kind].schema)
    for name, one in said.items() if isinstance(said, dict) else ():
        found = _of_schema(one)
        if found.type:
            # A SCHEMA may say of a list only that it is one.
            fields = found.fields or (known[name].fields if name in known else {})
            known[name] = Described(found.type, found.format, fields)
    return known


def _standard(attributes: Mapping[str, Attribute]) -> dict[str, Described]:
    return {
        name: Described(attribute.type, "", _standard(attribute.fields or {}))
        for name, attribute in attributes.items()
    }


def _of_schema(said: Any) -> Described:
    if not isinstance(said, dict):
        return NOTHING
    kind, form, fields = (said.get(name) for name in ("type", "format", "fields"))
    return Described(
        kind if isinstance(kind, str) else "",
        form if isinstance(form, str) else "",
        {name: _of_schema(one) for name, one in fields.items()} if isinstance(fields, dict) else {},
    )


_schemas: WeakKeyDictionary[View, dict[str, Any]] = WeakKeyDictionary()


def schema_of(view: View) -> dict[str, Any]:
    """Return the SCHEMA of a package, read once; empty where it has none, or none is here."""
    if view not in _schemas:
        there = view.is_group("", "SCHEMA") is False
        try:
            _schemas[view] = document_of(DataNode(view, "SCHEMA")) if there else {}
        except (NotFetched, BadInput):
            _schemas[view] = {}
    return _schemas[view]


def document_of(node: DataNode) -> dict[str, Any]:
    """Return the JSON object that an entry holds.

    Raises `BadInput`: It is something else. Raises `NotFetched`: It is not here.
    """
    where = f"{node._view.label}/{node._path}"
    advice = "Look at it: cellbank cat " + where
    try:
        document = json.loads(node.bytes())
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise BadInput(f"{where} is not JSON: {reason}", advice) from None
    if not isinstance(document, dict):
        raise BadInput(f"{where} is not a JSON object", advice)
    return document
