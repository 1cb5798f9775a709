"""What a package's SCHEMA declares, as specifications: what may be set, and of which type."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cellbank.cells.described import ISO
from cellbank.cells.kinds import KINDS, relations_of
from cellbank.cells.metadata import SQL_TYPES
from cellbank.cells.values import Spec

_TYPES: Final = {*SQL_TYPES, "list[string]", "list[integer]", "list[number]", "list[struct]"}


def declared(schema: Mapping[str, Any], kind: str) -> dict[str, Spec]:
    """Return the attributes that a SCHEMA declares for a kind, without the relation lists.

    What it says that is no specification, because somebody else wrote it, is passed over.
    """
    said = schema.get(KINDS[kind].schema)
    relations = relations_of(kind)
    found = {}
    for name, one in said.items() if isinstance(said, dict) else ():
        spec = _spec(name, one)
        if spec is not None and name not in relations:
            found[name] = spec
    return found


def _spec(name: str, said: Any) -> Spec | None:
    if not isinstance(said, dict) or said.get("type") not in _TYPES:
        return None
    fields = said.get("fields")
    inner = [_spec(*field) for field in fields.items()] if isinstance(fields, dict) else []
    texts = {key: said[key] for key in ("description", "unit", "format", "origin") if key in said}
    try:
        made = msgspec.convert({"name": name, "type": said["type"], **texts}, Spec)
    except msgspec.ValidationError:
        return None
    return msgspec.structs.replace(
        made,
        nullable=said.get("nullable") is not False,
        format=made.format or (ISO if made.type == "date" else ""),
        fields=tuple(field for field in inner if field is not None),
    )
