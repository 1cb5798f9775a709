"""The documents of a package: `info` of every record, as bytes that depend on the tables only."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cellbank.cells.kinds import KINDS, relations_of
from cellbank.cells.records import Found

Chosen = Mapping[str, set[str]]
"""Group → ids of the records that are in a package."""

_GROUPS: Final = {kind: relations_of(kind) for kind in KINDS}
_encoder: Final = msgspec.json.Encoder()


def info_of(
    record: Found, related: Mapping[str, list[str]], chosen: Chosen | None
) -> dict[str, Any]:
    """Return the `info` of a record: its attributes, then its relation lists.

    The lists name only what is in the package (`chosen`; None is everything).
    """
    info = dict(record.values)
    for group in _GROUPS[record.kind]:
        ids = related.get(group, [])
        info[group] = ids if chosen is None else [i for i in ids if i in chosen[group]]
    return info


def as_bytes(document: object) -> bytes:
    """Return a document as JSON for people and programs: indented, keys in their order."""
    return msgspec.json.format(_encoder.encode(document), indent=2) + b"\n"


def info_path(kind: str, name: str) -> str:
    """Return the path of the `info` of a record in a package."""
    return f"{KINDS[kind].group}/{name}/info/load"


def image_path(kind: str, name: str) -> str:
    """Return the path of the image of a record in a package."""
    return f"{KINDS[kind].group}/{name}/image/load"
