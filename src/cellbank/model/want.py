"""What of a package is installed here, and what for: the content of `pkgs/<owner>/<name>`."""

import msgspec

from cellbank.model import canonical
from cellbank.model.errors import NotCanonical, RuleBroken
from cellbank.model.log import Table, check_tables


class Want(msgspec.Struct, frozen=True, omit_defaults=True):
    """What someone asked for: everything (all fields at their defaults), the metadata, or a part.

    `list` is the digest of the header of a manifest of the chosen entries.
    """

    metadata: bool = False
    question: str = ""
    kinds: list[str] = []
    paths: list[str] = []
    sample: int = 0
    seed: int = 0
    related: bool = True
    list: str = ""

    @property
    def everything(self) -> bool:
        """Whether all entries are wanted."""
        return not self.list and not self.metadata

    def __str__(self) -> str:
        if self.everything:
            return "all"
        return ", ".join(["metadata"] * self.metadata + self.paths) or "part"


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


def encode_installed(installed: Installed) -> bytes:
    """Return the canonical bytes."""
    document = msgspec.to_builtins(installed)
    want = installed.want
    if want.everything:
        document["want"] = "all"
    elif want == Want(metadata=True):
        document["want"] = "metadata"
    return canonical.encode({"format": 1, **document}, "an installed package")


def decode_installed(data: bytes, where: str) -> Installed:
    """Return the installed package that these bytes spell, else raise `NotCanonical`."""
    document = canonical.decode(data, where)
    if not isinstance(document, dict) or document.get("format") != 1:
        raise NotCanonical(where, "not of format 1")
    match document.get("want"):
        case "all":
            document["want"] = {}
        case "metadata":
            document["want"] = {"metadata": True}
    try:
        installed = msgspec.convert(document, Installed)
        check_tables(installed.tables)
    except (msgspec.ValidationError, RuleBroken) as error:
        raise NotCanonical(where, str(error)) from None
    return installed
