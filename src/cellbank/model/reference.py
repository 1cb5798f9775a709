"""References: what a user types to name a package, a state of it, and a place in its tree."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

import msgspec

from cellbank.model.errors import AmbiguousReference, InvalidReference, RevisionNotFound
from cellbank.model.names import (
    check_name,
    check_tag,
    check_version,
    near,
    path_problem,
    version_key,
)

_GRAMMAR = re.compile(
    r"(?P<owner>[^/:=@]*)/(?P<name>[^/:=@]*)"
    r"(?::(?P<tag>[^/]*)|==(?P<version>[^/]*)|@(?P<revision>[^/]*))?"
    r"(?P<path>/.*)?",
    re.DOTALL,
)
_PREFIX = re.compile(r"[0-9a-f]{6,64}")


class Package(msgspec.Struct, frozen=True, order=True):
    """The name of a package: `owner/name`."""

    owner: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Package":
        """Return the package that `text` names.

        Raises `InvalidReference`: `text` is more, or something else, than `owner/name`. Raises
        `InvalidName`: The owner or the name is not allowed.
        """
        reference = Reference.parse(text)
        if reference != Reference(reference.package):
            advice = f"Write {reference.package}."
            raise InvalidReference(text, "only owner/name can stand here", advice)
        return reference.package

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


class Reference(msgspec.Struct, frozen=True):
    """A package, perhaps a state of it (tag, version or revision), perhaps a place in its tree.

    Invariant: at most one of `tag`, `version` and `revision` is set; `path` keeps the rules of
    entry paths and is empty for the whole package.
    """

    package: Package
    tag: str = ""
    version: str = ""
    revision: str = ""
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return the reference that `text` spells; the only place that knows the grammar.

        Raises `InvalidReference`: It does not follow the grammar. Raises `InvalidName`: One of its
        names is not allowed.
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise InvalidReference(text, "it is not of the form owner/name", _advice_for(text))
        if not found["owner"] or not found["name"]:
            raise InvalidReference(text, "an owner and a name are needed")
        if "*" in found["owner"] + found["name"]:
            advice = f"List what fits: cellbank ls {text!r}"
            raise InvalidReference(text, "one package is named here, no pattern", advice)
        package = Package(
            check_name("an owner", found["owner"]), check_name("a package", found["name"])
        )
        tag, version, revision = found["tag"], found["version"], found["revision"]
        if tag is not None:
            check_tag(tag)
        if version is not None:
            check_version(version)
        if revision is not None and not _PREFIX.fullmatch(revision):
            raise InvalidReference(text, "a revision is 6 to 64 hex digits (0-9 a-f)")
        path = (found["path"] or "").strip("/") if found["path"] != "/" else ""
        # Entries are in form NFC; a shell on macOS may complete a name in another.
        path = unicodedata.normalize("NFC", path)
        if path and (why := path_problem(path)):
            raise InvalidReference(text, f"its path has {why}")
        return cls(package, tag or "", version or "", revision or "", path)

    @property
    def qualifier(self) -> str:
        """The state that is named, as written: `:tag`, `==version`, `@revision` or nothing."""
        if self.tag:
            return f":{self.tag}"
        if self.version:
            return f"=={self.version}"
        return f"@{self.revision}" if self.revision else ""

    def __str__(self) -> str:
        path = f"/{self.path}" if self.path else ""
        return f"{self.package}{self.qualifier}{path}"


def _advice_for(text: str) -> str:
    """Return what to do where an address was given in place of a name."""
    if not text.startswith(("http://", "https://")):
        return ""
    place, _, name = text.rstrip("/").rpartition("/")
    place, _, owner = place.rpartition("/")
    return f"Name the package, and where it is by --from: {owner}/{name} --from {place}"


def by_prefix(package: Package, prefix: str, revisions: Iterable[str], at: str = "") -> str:
    """Return the one revision that begins with `prefix`; `at` is the remote that has them.

    Raises `RevisionNotFound`: None does. Raises `AmbiguousReference`: Several do.
    """
    found = sorted({revision for revision in revisions if revision.startswith(prefix)})
    if not found:
        raise RevisionNotFound(str(package), f"revision {prefix}", (), at)
    if len(found) > 1:
        raise AmbiguousReference(f"{package}@{prefix}", [f"{package}@{r[:16]}" for r in found])
    return found[0]


def by_name(package: Package, kind: str, name: str, names: Mapping[str, str], at: str = "") -> str:
    """Return the revision that the tag or version `name` names, else raise `RevisionNotFound`."""
    if name in names:
        return names[name]
    if kind == "version":
        # 1.0 and 1.0.0 are spellings of one version, and only one of them can have been given.
        same = (other for other in names if version_key(other) == version_key(name))
        found = next(same, None)
        if found is not None:
            return names[found]
    mark = ":" if kind == "tag" else "=="
    close = [f"{package}{mark}{other}" for other in near(name, names)]
    raise RevisionNotFound(str(package), f"{kind} {name}", close, at)
