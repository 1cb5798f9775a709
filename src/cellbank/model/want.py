"""What of a package is installed here, and what for: the content of `pkgs/<owner>/<name>`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cellbank.model import canonical
from cellbank.model.errors import NotCanonical, RuleBroken
from cellbank.model.log import Table, check_tables
from cellbank.model.patterns import is_pattern


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one question, or one list of paths, selects of a package.

    Attributes
    ----------
    question
        A condition about records; empty for all of them.
    kind
        The group of records that it is about; empty for fields of view.
    kinds
        Groups of records that may come; none for all.
    paths
        Patterns of paths (`model/patterns.py`) that may come; none for all.
    sample
        How many of the records that fit; 0 for all.
    seed
        Decides which ones.
    related
        Whether what belongs to the records comes too.
    documents
        Whether only documents come, and everything else when it is loaded.
    """

    question: str = ""
    kind: str = ""
    kinds: list[str] = []
    paths: list[str] = []
    sample: int = 0
    seed: int = 0
    related: bool = True
    documents: bool = False

    @property
    def asks(self) -> bool:
        """Whether records must be looked for in the metadata tables."""
        return bool(self.question or self.kind or self.sample)

    @property
    def is_parts(self) -> bool:
        """Whether it only names parts of the tree, as references do."""
        return self == Choice(paths=self.paths) and not any(map(is_pattern, self.paths))

    def __str__(self) -> str:
        if self == Choice(paths=self.paths):
            return ", ".join(self.paths)
        said = [f"where {self.question}"] if self.question else []
        if self.kind or self.sample:
            number = f"{self.sample} " if self.sample else ""
            said.insert(0, f"{number}{self.kind or 'fovs'}")
        if self.sample:
            said.append(f"seed {self.seed}")
        if self.kinds:
            said.append(f"kinds {', '.join(self.kinds)}")
        if self.paths:
            said.append(f"paths {', '.join(self.paths)}")
        if not self.related:
            said.append("without what belongs to them")
        if self.documents:
            said.append("documents only")
        return ", ".join(said)


class Want(Choice, frozen=True, omit_defaults=True):
    """What someone asked for: everything (all fields at their defaults), the metadata, or a part.

    A part is the choice that the fields tell, and those in `also`. `list` is the digest of the
    header of a manifest of the chosen entries, `shown` of one that has those, too, that come when
    they are loaded; empty where that is the same.
    """

    metadata: bool = False
    also: list[Choice] = []
    list: str = ""
    shown: str = ""

    @classmethod
    def of(cls, choices: Sequence[Choice], *, metadata: bool = False) -> "Want":
        """Return what is wanted where these were chosen; no list of it is made yet."""
        if not choices:
            return cls(metadata=metadata)
        first, *rest = choices
        return cls(**fields_of(first), metadata=metadata, also=rest)

    @property
    def choices(self) -> "tuple[Choice, ...]":
        """All that was chosen, in its order."""
        first = Choice(**fields_of(self))
        return (*([first] if first != Choice() else []), *self.also)

    @property
    def has_questions(self) -> bool:
        """Whether anything was chosen otherwise than by naming parts."""
        return any(not choice.is_parts for choice in self.choices)

    @property
    def is_subset(self) -> bool:
        """Whether the tree shows only what was chosen: by questions, not by naming parts."""
        return not self.metadata and self.has_questions

    @property
    def is_sparse(self) -> bool:
        """Whether some of what the tree shows comes only when it is loaded."""
        return self.metadata or bool(self.shown)

    @property
    def everything(self) -> bool:
        """Whether all entries are wanted."""
        return not self.list and not self.metadata and not self.choices

    def __str__(self) -> str:
        if self.everything:
            return "all"
        said = ["metadata"] * self.metadata + [str(choice) for choice in self.choices]
        return (", " if all(c.is_parts for c in self.choices) else "; ").join(said) or "part"


def fields_of(choice: Choice) -> dict[str, Any]:
    """Return the fields of a choice."""
    return {name: getattr(choice, name) for name in Choice.__struct_fields__}


class Installed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One package in this store: where it came from, its revision, and what of it is wanted.

    `earlier` lists revisions that were installed before and may still be loaded by `@revision`;
    `tables` are those of the revision that are here.
    """

    package: str
    revision: str
    remote: str
    address: str = ""
    record: str = ""
    number: int = 0
    want: Want = Want()
    earlier: list[str] = []
    tables: dict[str, Table] = {}


def want_to(want: Want) -> Any:
    """Return what is wanted as documents have it: `all`, `metadata` or an object."""
    if want.everything:
        return "all"
    return "metadata" if want == Want(metadata=True) else msgspec.to_builtins(want)


def want_from(given: Any) -> Want:
    """Return what a document says is wanted.

    Raises `NotCanonical`: It says nothing that is known here.
    """
    match given:
        case "all":
            return Want()
        case "metadata":
            return Want(metadata=True)
    try:
        if isinstance(given, dict):
            _check_fields(given, Want)
            for one in given.get("also", ()):
                _check_fields(one, Choice)
        return msgspec.convert(given, Want)
    except (msgspec.ValidationError, TypeError, AttributeError) as error:
        raise NotCanonical("what is wanted", str(error)) from None


def _check_fields(given: dict[str, Any], kind: type[Choice]) -> None:
    """Refuse a field that is not known: what a newer cellbank wants is more than we would bring."""
    if unknown := sorted(given.keys() - {*kind.__struct_fields__}):
        raise NotCanonical("what is wanted", f"{unknown[0]!r:.60} is not known here")


def encode_installed(installed: Installed) -> bytes:
    """Return the canonical bytes."""
    document = msgspec.to_builtins(installed)
    document.pop("want", None)
    want = want_to(installed.want)
    return canonical.encode({"format": 1, **document, "want": want}, "an installed package")


def decode_installed(data: bytes, where: str) -> Installed:
    """Return the installed package that these bytes spell, else raise `NotCanonical`."""
    document = canonical.decode(data, where)
    if not isinstance(document, dict) or document.get("format") != 1:
        raise NotCanonical(where, "not of format 1")
    want = want_from(document.pop("want", {}))
    try:
        installed = msgspec.convert(document, Installed)
        check_tables(installed.tables)
    except (msgspec.ValidationError, RuleBroken) as error:
        raise NotCanonical(where, str(error)) from None
    return msgspec.structs.replace(installed, want=want)
