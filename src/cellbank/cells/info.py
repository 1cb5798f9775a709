"""What is known of a record, typed: its attributes by name, structs in it as well."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cellbank.cells.described import NOTHING, Described
from cellbank.model.errors import AttributeNotFound
from cellbank.model.names import near

SHOWN: Final = 3
"""So many items of a list are printed."""
WIDTH: Final = 100


class Info(Mapping[str, Any]):
    """An `info` document, or a struct in one: read only, its values typed.

    Dates are `datetime.date`, integers `int`, what is not known None, structs `Info` again. A value
    that is not what its type says stays what it is. `as_dict` gives the document itself.

    Parameters
    ----------
    document
        As its JSON says it.
    types
        What its attributes hold, as far as anybody says.
    where
        What it is of, for messages and its title; empty for a struct.

    Examples
    --------
    >>> types = {"seed_date": Described("date", "%m/%d/%Y")}
    >>> info = Info({"seed_date": "10/16/2017", "edits": [{"gene": "TJP1"}]}, types)
    >>> info.seed_date, info["edits"][0].gene
    (datetime.date(2017, 10, 16), 'TJP1')
    >>> info.as_dict()
    {'seed_date': '10/16/2017', 'edits': [{'gene': 'TJP1'}]}
    """

    __slots__ = ("_document", "_types", "_where")

    def __init__(
        self,
        document: Mapping[str, Any],
        types: Mapping[str, Described] | None = None,
        where: str = "",
    ) -> None:
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_types", types or {})
        object.__setattr__(self, "_where", where)

    _document: Mapping[str, Any]
    _types: Mapping[str, Described]
    _where: str

    def as_dict(self) -> dict[str, Any]:
        """Return the document as it was published: a copy, its dates the publisher's texts."""
        return {name: _copied(value) for name, value in self._document.items()}

    # --- as a mapping

    def __getitem__(self, name: str) -> Any:
        if name not in self._document:
            where = self._where or "the struct"
            advice = f"It has: {', '.join(self._document)}." if self._document else ""
            raise AttributeNotFound(where, name, near(str(name), self._document), advice)
        return _typed(self._document[name], self._types.get(name, NOTHING))

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def __contains__(self, name: object) -> bool:
        return name in self._document

    # --- attributes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"info cannot be changed in place ({name})")

    def __dir__(self) -> list[str]:
        own = [name for name in vars(Mapping) if not name.startswith("_")]
        return sorted({*filter(str.isidentifier, self._document), *own, "as_dict"})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Info):
            return self._document == other._document
        return isinstance(other, Mapping) and self._document == other

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return Info, (self._document, self._types, self._where)

    # --- as text

    def __repr__(self) -> str:
        if not self._where:
            said = ", ".join(f"{name}={_shown(value)}" for name, value in self.items())
            return f"Info({said})"
        width = max(map(len, self._document), default=0)
        lines = [f"<Info of {self._where}>"]
        for name, value in self.items():
            line = f"{name:<{width}}  {_shown(value)}"
            lines.append(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")
        return "\n".join(lines)


def _typed(value: Any, said: Described) -> Any:
    if isinstance(value, dict):
        return Info(value, said.fields)
    if isinstance(value, list):
        # A new list each time: whoever changes it changes nothing here.
        return [_typed(item, said) for item in value]
    return said.typed(value)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return str(value) if hasattr(value, "isoformat") else repr(value)
    shown = ", ".join(map(_shown, value[:SHOWN]))
    return f"[{shown}, … {len(value):,} in all]" if len(value) > SHOWN else f"[{shown}]"
