"""Every error that cellbank raises on purpose: one tree, an exit code and an HTTP status each.

::

    CellbankError
    ├── RuleBroken (2)       InvalidName InvalidPaths InvalidReference AmbiguousReference
    │                        AmbiguousAttribute EmptyPackage BadInput BadImage BadQuestion
    │                        ProblemsFound
    ├── NotSignedIn (3)      Forbidden
    ├── NotFound (4)         PackageNotFound RevisionNotFound EntryNotFound NotInstalled NotFetched
    │                        LeftOut RemoteNotFound AttributeNotFound
    │                        ChannelNotFound AxisNotFound
    ├── IntegrityError (5)   DigestMismatch NotCanonical BadPack Damaged ChainRefused OtherContent
    ├── NetworkError (6)     Unreachable BadAnswer Offline
    ├── DiskError (7)        DiskFull NewerFormat
    ├── Conflict (8)         PushConflict NameConflict WouldOverwrite OtherRemote RemoteMoved
    └── Interrupted (130)

``error.message`` says what failed, ``error.advice`` what to do, ``str(error)`` both. ``args`` are
the facts the class was made from, so an error can be pickled, sent over the wire and made again.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

_is_plain: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII).fullmatch


class CellbankError(Exception):
    """Something that cellbank can name went wrong."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 400
    message: str = ""
    advice: str = ""

    def __new__(cls, *facts: Any) -> Self:
        """Keep the facts; an OSError would keep none of them where `__init__` is ours."""
        error = super().__new__(cls)
        error.args = facts
        return error

    def __init__(self, message: str, advice: str = "") -> None:
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}. {self.advice}" if self.advice else self.message


def _near(names: Sequence[str]) -> str:
    return f"Did you mean {' or '.join(names)}?" if names else ""


def _pasted(text: str) -> str:
    """Return a word of a command as a shell takes it."""
    if _is_plain(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def _from(address: str, option: str = "--from") -> str:
    """Return what a command needs where a package is at no remote that is known by itself."""
    return f" {option} {_pasted(address)}" if address else ""


# --- 2: usage, or input that breaks a rule -----------------------------------------------------


class RuleBroken(CellbankError, ValueError):
    """The input breaks a rule of the formats or of the command."""


class BadInput(RuleBroken):
    """An argument cannot be used as it is."""


class InvalidName(RuleBroken):
    """An owner, package, tag or version that is not allowed."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        self.message = f"{name!r} cannot be the name of {kind}: {reason}"
        self.advice = "Choose another name (docs/formats.md, Names)."
        allowed = re.sub("[^a-z0-9_]", "_", name.lower())
        if kind in ("an owner", "a package") and allowed != name and "a" <= allowed[:1] <= "z":
            self.advice = f"Did you mean {allowed}?"


class InvalidPaths(RuleBroken):
    """Entry paths that break the rules, all of them; up to twenty are shown."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        lines = [f"{count} path{'s break' if count != 1 else ' breaks'} the rules:"]
        lines += [f"  {problem}" for problem in self.problems[:20]]
        if count > 20:
            lines.append(f"  … and {count - 20} more")
        self.message = "\n".join(lines)
        self.advice = "Rename them, or build with --fix-names to map them. Nothing was built."


class InvalidReference(RuleBroken):
    """Text that does not parse as a reference."""

    def __init__(self, text: str, reason: str, advice: str = "") -> None:
        self.message = f"{text!r} is not a reference: {reason}"
        self.advice = advice or (
            "Write owner/name, owner/name:tag, owner/name==version or owner/name@revision, "
            "each may be followed by /sub/path."
        )


class AmbiguousReference(RuleBroken, LookupError):
    """A revision prefix, or an attribute, that fits more than one."""

    def __init__(self, text: str, candidates: Sequence[str]) -> None:
        self.candidates = list(candidates)
        self.message = f"{text} is ambiguous: it fits {', '.join(self.candidates)}"
        self.advice = "Write more of it."


class AmbiguousAttribute(AmbiguousReference, AttributeError):
    """An attribute of a group that could mean several of its children."""


class EmptyPackage(RuleBroken):
    """A folder without any file."""

    def __init__(self, folder: str) -> None:
        self.message = f"{folder} has no files"
        self.advice = "Build an empty package with --allow-empty, if that is what you want."


class BadImage(RuleBroken):
    """An image file that is damaged, or not what it must be."""

    def __init__(self, where: str, reason: str, advice: str = "") -> None:
        self.message = f"{where}: {reason}"
        self.advice = advice


class BadQuestion(RuleBroken):
    """A question that cannot be asked, may not be asked, or was stopped.

    `start` and `stop` are its place in the question, in characters; −1 where none can be told.
    """

    def __init__(
        self,
        question: str,
        reason: str,
        start: int = -1,
        stop: int = -1,
        near: Sequence[str] = (),
        advice: str = "",
    ) -> None:
        self.near = list(near)
        self.message = "\n".join([reason, *_pointed(question, start, stop)])
        self.advice = " ".join(said for said in (_near(self.near), advice) if said)


def _pointed(text: str, start: int, stop: int) -> list[str]:
    """Return the line of a text that a place is in, and below it a line that points there."""
    if not 0 <= start <= len(text):
        return []
    first = text.rfind("\n", 0, start) + 1
    line = text[first:].partition("\n")[0].replace("\t", " ")
    cut = max(start - first - 60, 0)
    shown = ("…" if cut else "") + line[cut : cut + 100]
    at = start - first - cut + bool(cut)
    return [f"  {shown}", "  " + " " * at + "^" * max(min(stop - start, len(shown) - at), 1)]


class ProblemsFound(RuleBroken):
    """What is wrong with a recipe, or with the tables and images that it names: all of it."""

    def __init__(self, title: str, problems: Sequence[Any]) -> None:
        # Over the wire anything may come.
        self.problems: list[dict[str, Any]] = [
            dict(problem) for problem in problems if isinstance(problem, Mapping)
        ]
        warnings = sum(problem.get("severity") == "warning" for problem in self.problems)
        counts = {"error": len(problems) - warnings, "warning": warnings}
        said = [f"{n} {word}{'s' if n != 1 else ''}" for word, n in counts.items() if n]
        self.message = f"{title}: {', '.join(said)}"
        self.advice = "Mend them, then build again. Nothing was built."


# --- 3: sign-in -------------------------------------------------------------------------------


class NotSignedIn(CellbankError, PermissionError):
    """The registry wants to know who is asking."""

    exit_code = 3
    http_status = 401

    def __init__(self, remote: str) -> None:
        self.message = f"{remote} needs a valid token for this" if remote else "not signed in"
        self.advice = f"Sign in: cellbank login {remote or 'URL'}"


class Forbidden(NotSignedIn):
    """The registry knows who is asking, and that is not enough."""

    http_status = 403

    def __init__(self, remote: str, what: str) -> None:
        self.message = f"{remote}: you may not {what}"
        self.advice = f"Sign in as someone who may: cellbank login {remote}"


# --- 4: not found -----------------------------------------------------------------------------


class NotFound(CellbankError, LookupError):
    """What was named is not there."""

    exit_code = 4
    http_status = 404


class PackageNotFound(NotFound):
    """No package of this name at this place."""

    def __init__(self, package: str, where: str, near: Sequence[str] = ()) -> None:
        self.message = f"{package} is not at {where}"
        self.advice = _near(near) or f"List what is there: cellbank ls --from {where}"


class RevisionNotFound(NotFound):
    """The package has no such revision, version or tag."""

    def __init__(
        self, package: str, qualifier: str, near: Sequence[str] = (), address: str = ""
    ) -> None:
        self.message = f"{package} has no {qualifier}"
        history = f"cellbank log {package}{_from(address, '--to')}"
        self.advice = _near(near) or f"List its history: {history}"


class EntryNotFound(NotFound, AttributeError, KeyError):
    """The package has no such path."""

    def __init__(
        self, package: str, path: str, near: Sequence[str] = (), address: str = ""
    ) -> None:
        self.message = f"{package} has no {path}"
        self.advice = _near(near) or f"List what it has: cellbank tree {package}{_from(address)}"


class AttributeNotFound(NotFound, AttributeError, KeyError):
    """A record, or what is known of it, has nothing of this name."""

    def __init__(self, where: str, name: str, near: Sequence[str] = (), advice: str = "") -> None:
        self.message = f"{where} has no {name}"
        self.advice = " ".join(said for said in (_near(near), advice) if said)


class NotInstalled(NotFound):
    """The package is not in this store."""

    def __init__(self, package: str, near: Sequence[str] = (), address: str = "") -> None:
        self.message = f"{package} is not installed"
        self.advice = f"Install it: cellbank install {package}{_from(address)}"
        if near:
            self.advice = f"{_near(near)} Or install it: cellbank install {package}"


class NotFetched(NotFound):
    """The entry belongs to the package, but its bytes were not installed."""

    def __init__(self, package: str, path: str, reason: str = "", address: str = "") -> None:
        named = _pasted(f"{package}/{path}")
        self.message = f"{package}/{path} was not installed with the rest"
        self.advice = f"Fetch it: cellbank install {named}"
        if reason:
            self.message = f"{package}/{path} is not here, and {reason}"
            self.advice = f"Fetch it: cellbank fetch {named}{_from(address)}"


class LeftOut(NotFetched, EntryNotFound):
    """The path belongs to the package, but not to the subset of it that was installed."""

    def __init__(self, package: str, path: str) -> None:
        self.message = f"{package}/{path} is not in the subset that was installed"
        self.advice = f"Add it: cellbank install {_pasted(f'{package}/{path}')}"


class RemoteNotFound(NotFound):
    """No remote is known by this name, or none is set."""

    def __init__(self, name: str, advice: str = "") -> None:
        self.message = f"no remote {name!r} is known" if name else "no remote is set"
        if "/" in name:
            self.message = f"there is no remote at {name}"
        self.advice = advice or (
            "Name one with --to or --from (a URL, a folder or a name), set CELLBANK_REMOTE, "
            "or add one: cellbank remote add NAME URL"
        )


class ChannelNotFound(NotFound, KeyError):
    """The image has no such channel."""

    def __init__(
        self, where: str, channel: str, near: Sequence[str] = (), known: Sequence[str] = ()
    ) -> None:
        self.message = f"{where} has no channel {channel}"
        some = f"{', '.join(known[:12])}{' …' if len(known) > 12 else ''}"
        self.advice = _near(near) or f"It has {some or 'one channel without a name'}."


class AxisNotFound(NotFound, KeyError):
    """The image has no such axis, or the axis is not so long."""

    def __init__(self, where: str, axis: str, reason: str, advice: str = "") -> None:
        self.message = f"{where}: {axis}: {reason}"
        self.advice = advice


# --- 5: integrity -----------------------------------------------------------------------------


class IntegrityError(CellbankError):
    """Bytes that are not what they must be."""

    exit_code = 5
    http_status = 422


class DigestMismatch(IntegrityError):
    """The bytes we read are not the bytes the manifest promised."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        self.message = f"{where}: expected {expected}, found {found}"
        self.advice = (
            "Nothing was changed. Try again, or find damage with: cellbank verify --repair"
        )


class NotCanonical(IntegrityError):
    """A document that does not have the one form it must have."""

    def __init__(self, what: str, reason: str) -> None:
        self.message = f"{what} is not in its one allowed form: {reason}"
        self.advice = "It was not accepted. It was damaged, or written by a program that errs."


class OtherContent(IntegrityError):
    """What is to be brought is not what it was when it was written down."""

    def __init__(self, package: str, expected: str, found: str) -> None:
        self.message = (
            f"{package}: what is locked does not select the same entries any more "
            f"(expected the list {expected[:12]}, found {found[:12]})"
        )
        self.advice = (
            "The lock file was changed. Write it anew: cellbank lock. Nothing was changed."
        )


class BadPack(IntegrityError):
    """A pack that breaks the format."""

    def __init__(self, where: str, reason: str) -> None:
        self.message = f"{where} is not a good pack: {reason}"
        self.advice = "Find and mend damage with: cellbank verify --repair"


class Damaged(IntegrityError):
    """Something that should be here is missing or changed."""

    def __init__(self, what: str, advice: str = "") -> None:
        self.message = what
        self.advice = advice or "Mend what can be fetched again: cellbank verify --repair"


class ChainRefused(IntegrityError):
    """The remote shows an older or a different history than we saw before."""

    def __init__(self, package: str, where: str, reason: str) -> None:
        self.message = f"{where} shows another history of {package} than before: {reason}"
        self.advice = "Ask its owner. To accept it nevertheless: --allow-older"


# --- 6: network -------------------------------------------------------------------------------


class NetworkError(CellbankError, ConnectionError):
    """The remote could not be talked to."""

    exit_code = 6
    http_status = 502


class Unreachable(NetworkError):
    """No answer, or it broke off."""

    def __init__(self, where: str, reason: str) -> None:
        self.message = f"{where}: {reason}"
        self.advice = "Check the address and the network, then run the same command: it goes on."


class Offline(NetworkError):
    """The network is needed, and not to be used."""

    def __init__(self, where: str) -> None:
        self.message = f"{where} was not asked: CELLBANK_OFFLINE is set"
        self.advice = "Unset it to use the network. What is here: cellbank ls"


class BadAnswer(NetworkError):
    """An answer that no registry gives."""

    def __init__(self, where: str, reason: str) -> None:
        self.message = f"{where} does not answer like a cellbank registry: {reason}"
        self.advice = "Check the address; a sign-in page or a proxy may stand in between."


# --- 7: disk ----------------------------------------------------------------------------------


class DiskError(CellbankError, OSError):
    """The disk refused."""

    exit_code = 7
    http_status = 507

    def __init__(self, where: str, reason: str) -> None:
        self.message = f"{where}: {reason}"
        self.advice = "Nothing was lost. Mend the disk, then run the same command: it goes on."

    def __str__(self) -> str:
        return CellbankError.__str__(self)


class DiskFull(DiskError):
    """There is less free space than is needed; `cached` bytes there are a cache of ours."""

    def __init__(self, where: str, needed: int, free: int, cached: int = 0) -> None:
        self.message = f"disk full: {needed} bytes needed in {where}, {free} bytes free"
        self.advice = "Nothing was changed. Free space, then run the same command."
        if cached:
            self.advice += f" Our own cache has {cached} bytes: cellbank cache --clear"


class NewerFormat(DiskError):
    """A place that a newer cellbank made."""

    def __init__(self, where: str, needs: str) -> None:
        self.message = f"{where} was made by a newer cellbank (it needs {needs})"
        self.advice = "Upgrade cellbank. Nothing was changed."


# --- 8: conflict ------------------------------------------------------------------------------


class Conflict(CellbankError):
    """Somebody else was there first."""

    exit_code = 8
    http_status = 409


class PushConflict(Conflict):
    """The package moved on since we last saw it."""

    def __init__(self, package: str, latest: str, base: str) -> None:
        seen = f"you last saw {base[:12]}" if base else "you have not seen it yet"
        self.message = f"{package} is now at revision {latest[:12]} there; {seen}"
        self.advice = (
            f"See what is new: cellbank install {package} --yes; then build and push again "
            "(or push --force: the other revision stays in the log)."
        )


class NameConflict(Conflict):
    """A version that is taken, or a tag that somebody else moved."""

    def __init__(self, package: str, what: str, holds: str) -> None:
        self.message = f"{package}: {what} already names {holds[:12] or 'nothing'}"
        self.advice = "Versions never move; choose another. A tag: look at it, then try again."


class WouldOverwrite(Conflict, FileExistsError):
    """Files that stand where an export, or what else is said, would write."""

    def __init__(
        self,
        paths: Sequence[str],
        what: str = "export",
        advice: str = "Choose another folder, or say --force.",
    ) -> None:
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        self.message = f"{what} would overwrite {shown}"
        self.advice = f"{advice} Nothing was written."

    def __str__(self) -> str:
        return CellbankError.__str__(self)


class OtherRemote(Conflict):
    """The name is here already, from somewhere else."""

    def __init__(self, package: str, have: str, asked: str) -> None:
        self.message = f"{package} is here from {have}, not from {asked}"
        if have == asked:
            self.message = (
                f"{asked} is another place than the one {package} is here from: made anew?"
            )
        self.advice = f"To replace it: cellbank install {package} --from {asked}"


class RemoteMoved(Conflict):
    """Another place is found where a remote was."""

    def __init__(self, package: str, remote: str, address: str) -> None:
        self.message = (
            f"{address} is another place than the remote {remote[:12]} that {package} is locked to"
        )
        self.advice = "Say where that is now: cellbank sync --from REMOTE. Nothing was changed."


class Interrupted(CellbankError, KeyboardInterrupt):
    """The user said stop."""

    exit_code = 130
    http_status = 499

    def __init__(self) -> None:
        self.message = "stopped"
        self.advice = "What was finished is kept: the same command goes on from there."


# --- the wire ---------------------------------------------------------------------------------


def _tree(base: type[CellbankError]) -> dict[str, type[CellbankError]]:
    found = {base.__name__: base}
    for child in base.__subclasses__():
        found |= _tree(child)
    return found


def error_classes() -> dict[str, type[CellbankError]]:
    """Every class of the tree by its name."""
    return _tree(CellbankError)


def to_wire(error: CellbankError) -> dict[str, Any]:
    """Return the error as plain values: its class and the facts it was made from."""
    facts = [list(f) if isinstance(f, (list, tuple)) else f for f in error.args]
    return {"error": type(error).__name__, "facts": facts, "message": error.message}


def from_wire(document: Any, fallback: CellbankError) -> CellbankError:
    """Return the error that `document` tells of, or `fallback` where it makes no sense."""
    if not isinstance(document, dict) or not isinstance(document.get("facts"), list):
        return fallback
    made = error_classes().get(str(document.get("error")))
    if made is None:
        return fallback
    try:
        return made(*document["facts"])
    except (TypeError, ValueError, AttributeError):
        return fallback
