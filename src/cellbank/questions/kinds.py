"""What a column of an answer holds."""

from typing import Any

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """The type of a column.

    Attributes
    ----------
    name
        As SQL spells it: `VARCHAR`, `BIGINT[]`, `STRUCT(gene VARCHAR)[]`.
    id
        What it is: `varchar`, `bigint`, `list`, `struct` …
    parts
        Of a list its items (without a name), of a struct its fields.
    """

    name: str
    id: str
    parts: tuple[tuple[str, "Kind"], ...] = ()

    @property
    def nested(self) -> bool:
        """Whether its values are lists, structs or maps."""
        return bool(self.parts) or self.id in ("list", "array", "struct", "map", "union")

    @property
    def fields(self) -> list[str]:
        """The fields of the structs that it is a list of, mostly none."""
        if self.id != "list" or not self.parts or self.parts[0][1].id != "struct":
            return []
        return [name for name, _ in self.parts[0][1].parts]


def kind_of(given: Any) -> Kind:
    """Return what one of DuckDB's types says."""
    parts: tuple[tuple[str, Kind], ...] = ()
    if given.id in ("list", "array", "struct", "map", "union"):
        parts = tuple(
            (
                "" if name in ("child", "size") and given.id in ("list", "array") else name,
                kind_of(one),
            )
            for name, one in given.children
            if not isinstance(one, int)
        )
    return Kind(str(given), given.id, parts)
