"""The questions that a client asks a registry, and its answers as values (docs/protocol.md)."""

import re
from typing import Final, TypeVar

import msgspec

from cellbank.model.errors import BadAnswer, NotCanonical
from cellbank.model.log import Draft, Kept, decode_record
from cellbank.model.reference import Package
from cellbank.storage.http_client import HttpClient
from cellbank.storage.http_exchange import Answer, Head, Request

ROOT: Final = "/api/v1"
MAX_RECORD_BYTES: Final = 8 << 20
MAX_LIST_BYTES: Final = 64 << 20
MIN_PART: Final = 1 << 20
MAX_PART: Final = 1 << 30

_Kind = TypeVar("_Kind")

is_word = re.compile(r"[0-9A-Za-z]{1,64}").fullmatch
"""An identity that may stand in a path."""


class PlaceAnswer(msgspec.Struct, frozen=True):
    """Which place a registry serves."""

    id: str
    format: int


class WhoAnswer(msgspec.Struct, frozen=True):
    """Who we are; an empty name is nobody."""

    name: str


class PackagesAnswer(msgspec.Struct, frozen=True):
    """The packages that we may see."""

    packages: list[str]


class UploadAnswer(msgspec.Struct, frozen=True):
    """A push that has begun, and the parts of its manifest that are lacking."""

    upload: str
    lacks: list[str]
    part_size: int


class Offset(msgspec.Struct, frozen=True):
    """How much of an object has arrived."""

    offset: int


class Api:
    """A registry's API: every answer is checked to be of its kind before anyone sees it."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.address = client.address

    def json(self, request: Request, kind: type[_Kind]) -> _Kind:
        """Return the answer, which is JSON, as a value."""
        return self.decoded(self.client.send(request), kind)

    def decoded(self, answer: Answer, kind: type[_Kind]) -> _Kind:
        """Return the JSON of an answer as a value, else raise `BadAnswer`."""
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            reason = f"its answer is {_kind_of(answer.head)}, and not what was asked for"
            raise BadAnswer(self.address, reason) from None

    def record(self, data: bytes, package: Package) -> Kept:
        """Return a record of this package's log, else raise `BadAnswer`."""
        try:
            kept = decode_record(data)
        except NotCanonical:
            raise BadAnswer(self.address, "its answer is no record of a log") from None
        if kept.record.package != str(package):
            raise BadAnswer(self.address, f"it gives a record of {kept.record.package}")
        return kept

    def send_draft(self, package: Package, path: str, draft: Draft) -> Kept:
        """Send a draft; return the record that it became, however often it had to be sent."""
        body = msgspec.json.encode(draft)
        request = Request("POST", path, body, limit=MAX_RECORD_BYTES, patience=4)
        kept = self.record(self.client.send(request).body, package)
        if kept.record.nonce != draft.nonce or kept.record.event != draft.event:
            raise BadAnswer(self.address, "it answers with the record of another event")
        return kept

    def begin(self, package: Package, header: bytes) -> UploadAnswer:
        """Announce a revision; return what of its manifest the registry lacks."""
        request = Request("POST", f"{path_of(package)}/uploads", header, limit=MAX_LIST_BYTES)
        found = self.json(request, UploadAnswer)
        if not is_word(found.upload) or not MIN_PART <= found.part_size <= MAX_PART:
            raise BadAnswer(self.address, "it offers an impossible upload")
        return found


def path_of(package: Package) -> str:
    """Return the path of a package."""
    return f"{ROOT}/packages/{package.owner}/{package.name}"


def _kind_of(head: Head) -> str:
    kind = head.headers.get("content-type", "").partition(";")[0]
    return "a web page" if kind == "text/html" else kind[:40] or "of no kind"
