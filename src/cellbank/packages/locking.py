"""Lock files: which revisions, and what of them, a folder needs; the same bytes on any machine."""

import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import is_digest
from cellbank.model.errors import BadInput, CellbankError, Conflict, NewerFormat, NotFound
from cellbank.model.reference import Reference
from cellbank.model.want import Want, want_from, want_to
from cellbank.storage import disk
from cellbank.storage.local import read_file

FORMAT: Final = 1
FILE: Final = "cellbank.lock"
LONGEST_ADDRESS: Final = 4096

_has_marks: Final = re.compile(rb"^(<{7}|>{7})( |$)", re.MULTILINE).search
_is_place: Final = re.compile("[0-9a-f]{32}").fullmatch


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One package of a lock file.

    Attributes
    ----------
    reference
        What was asked for when it was locked.
    revision
        Its 64 digits.
    remote
        The id of the remote; wherever that is found, it is the same place.
    address
        Where the remote was.
    want
        What of the revision is needed, with the digest of the list of a subset.
    """

    reference: str
    revision: str
    remote: str
    address: str
    want: Want = Want()


def encode_lock(packages: Mapping[str, Locked]) -> bytes:
    """Return the bytes of a lock file: JSON, keys sorted, a value a line, made to be compared."""
    documents = {
        name: {
            "address": without_login(locked.address),
            "reference": locked.reference,
            "remote": locked.remote,
            "revision": locked.revision,
            "want": want_to(locked.want),
        }
        for name, locked in packages.items()
    }
    data = canonical.encode({"format": FORMAT, "packages": documents}, FILE)
    return msgspec.json.format(data, indent=2) + b"\n"


def decode_lock(data: bytes, where: str) -> dict[str, Locked]:
    """Return what a lock file says: `owner/name` → what is locked.

    Raises `BadInput`: It is none, or was changed so that it is none any more. Raises
    `NewerFormat`: A newer cellbank wrote it.
    """
    if _has_marks(data):
        raise _bad(where, "it has the marks of a merge in it")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(where, str(error)) from None
    version = document.get("format") if isinstance(document, dict) else None
    number = version if type(version) is int else 0
    if number > FORMAT:
        raise NewerFormat(where, f"lock files of format {number}")
    if number != FORMAT or not isinstance(document.get("packages"), dict):
        raise _bad(where, "it has no format and no packages")
    if unknown := sorted(document.keys() - {"format", "packages"}):
        raise _bad(where, f"{unknown[0]!r:.60} is not known")
    return {
        name: _locked(name, given, where) for name, given in sorted(document["packages"].items())
    }


def _locked(name: str, given: Any, where: str) -> Locked:
    """Return what a lock file says of one package."""
    if not isinstance(given, dict):
        raise _bad(where, f"{name:.80}: it is no object")
    try:
        want = want_from(given.get("want", "all"))
        locked = msgspec.convert({**given, "want": {}}, Locked)
        package = str(Reference.parse(locked.reference).package)
    except msgspec.ValidationError as error:
        raise _bad(where, f"{name:.80}: {error}") from None
    except CellbankError as error:
        raise _bad(where, f"{name:.80}: {error.message}") from None
    if package != name:
        raise _bad(where, f"{name:.80}: its reference names {package}")
    if not is_digest(locked.revision):
        raise _bad(where, f"{name}: its revision is not 64 hex digits")
    if len(locked.address) > LONGEST_ADDRESS or not locked.address.isprintable():
        raise _bad(where, f"{name}: its address is none")
    if not _is_place(locked.remote):
        raise _bad(where, f"{name}: its remote is not 32 hex digits")
    return msgspec.structs.replace(locked, want=want)


def _bad(where: str, reason: str) -> BadInput:
    return BadInput(
        f"{where} is no lock file: {reason}", "Write it anew: cellbank lock owner/name …"
    )


def without_login(address: str) -> str:
    """Return an address without a user and password: a lock file is for others, too."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def read_lock(path: str) -> dict[str, Locked]:
    """Return what the lock file at a path says.

    Raises `NotFound`: There is none. Raises as `decode_lock` does.
    """
    try:
        data = read_file(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        advice = "Write one: cellbank lock owner/name …"
        raise NotFound(f"there is no lock file {path}", advice) from None
    return decode_lock(data, path)


def write_lock(path: str, packages: Mapping[str, Locked]) -> bool:
    """Write a lock file, whole or not at all; return whether that changed it.

    Raises `BadInput`: A folder is there. Raises `Conflict`: What is there is no lock file.
    """
    data = encode_lock(packages)
    try:
        there = read_file(path)
    except FileNotFoundError:
        there = b""
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder", "Name a file.") from None
    if there == data:
        return False
    _check_replaceable(path, there)
    folder = os.path.dirname(os.path.abspath(path))
    disk.replace_whole(os.path.abspath(path), data, folder)
    return True


def _check_replaceable(path: str, there: bytes) -> None:
    """Keep what somebody else may need: only a lock file, whole or broken, is replaced."""
    if not there or path.endswith(".lock"):
        return
    try:
        decode_lock(there, path)
    except BadInput:
        what = f"{path} is there already, and is no lock file"
        raise Conflict(what, "Choose another name. Nothing was written.") from None
