"""A push to a registry, step by step; it goes on where it broke off."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadAnswer, DigestMismatch, NotFound
from cellbank.model.log import Draft, Kept, Table
from cellbank.model.manifest import ManifestReader
from cellbank.model.reference import Package
from cellbank.storage.http_api import Api, Offset, path_of
from cellbank.storage.http_client import Tries
from cellbank.storage.http_exchange import Answer, FilePart, Request, Trouble
from cellbank.storage.http_streams import decode_missing
from cellbank.storage.local import file_digest
from cellbank.storage.packs import write_packs
from cellbank.storage.remote import NO_TABLES, Missing, Upload

MAX_MISSING_BYTES: Final = 1 << 30
CONFLICT: Final = 409


class HttpUpload(Upload):
    """A push to a registry.

    Invariant: the registry's word counts for how much of an object has arrived, not ours.
    """

    def __init__(
        self,
        api: Api,
        package: Package,
        header: bytes,
        reader: ManifestReader,
    ) -> None:
        self._api = api
        self._client = api.client
        self._package = package
        self._header = header
        self._reader = reader
        self._arrived: dict[str, int] = {}
        self._tables = NO_TABLES
        self._begin()

    def _begin(self) -> None:
        found = self._api.begin(self._package, self._header)
        self._path = f"{path_of(self._package)}/uploads/{found.upload}"
        self._part_size = found.part_size
        self._lacks = set(found.lacks)

    def pages(self) -> set[str]:
        """Return the digests of the header and pages that the registry lacks."""
        return self._lacks

    def missing(self, tables: Mapping[str, Table] = NO_TABLES) -> Missing:
        """Return the objects of the manifest and the tables that the registry lacks."""
        self._tables = tables
        body = msgspec.json.encode(tables) if tables else b""
        path = f"{self._path}/missing"
        request = Request("POST", path, body, limit=MAX_MISSING_BYTES, patience=4)
        small, large = decode_missing(self._send(request).body, self._api.address)
        self._arrived = dict(large)
        return Missing(small, large)

    def send_pack(self, pack: bytes) -> None:
        """Send a pack of small objects."""
        self._send(Request("POST", f"{self._path}/packs", pack, patience=4))

    def send_object(
        self, digest: str, size: int, path: str, progress: Callable[[int], None]
    ) -> None:
        """Send a large object from a file; raises `DigestMismatch` if the file has other bytes."""
        at = self._arrived.get(digest, 0)
        progress(at)
        for attempt in (1, 2):
            try:
                self._send_from(digest, size, path, at, progress)
            except DigestMismatch:
                found = file_digest(path)
                if found != digest:
                    raise DigestMismatch(path, digest, found) from None
                if attempt == 2:
                    raise
                # Our file is right: the bytes were changed on the way, or before we came.
                progress(-size)
                at = 0
            else:
                return

    def _send_from(
        self, digest: str, size: int, path: str, at: int, progress: Callable[[int], None]
    ) -> None:
        tries = Tries(self._client.stop)
        while at < size:
            length = min(self._part_size, size - at)
            part = FilePart(path, at, length, progress)
            target = f"{self._path}/objects/{digest}?offset={at}"
            try:
                answer = self._client.once(
                    Request("PUT", target, part, accept=(CONFLICT,), patience=2)
                )
            except Trouble as trouble:
                tries.again(trouble)
                continue
            except NotFound:
                self._rejoin()
                at = self._moved(progress, at, self._arrived.get(digest, size))
                continue
            arrived = self._offset(answer)
            if answer.head.status == CONFLICT:
                progress(-length)
                tries.again(Trouble(BadAnswer(self._api.address, "it loses what we send")))
            elif arrived != at + length:
                raise BadAnswer(self._api.address, "it counts other bytes than were sent")
            else:
                tries.progressed()
                at = arrived
                continue
            at = self._moved(progress, at, arrived)

    def _offset(self, answer: Answer) -> int:
        try:
            return msgspec.json.decode(answer.body, type=Offset).offset
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise BadAnswer(self._api.address, "it does not say how much arrived") from None

    @staticmethod
    def _moved(progress: Callable[[int], None], old: int, new: int) -> int:
        progress(new - old)
        return new

    def _send(self, request: Request) -> Answer:
        try:
            return self._client.send(request)
        except NotFound:
            path = self._path
            self._rejoin()
            moved = request.path.replace(path, self._path, 1)
            return self._client.send(msgspec.structs.replace(request, path=moved))

    def _rejoin(self) -> None:
        """Begin again where the registry was restarted: it knows what is on its disk."""
        self._begin()
        parts = [d for d in self._reader_digests() if d in self._lacks]
        for pack in write_packs((digest, self._part(digest)) for digest in parts):
            self._client.send(Request("POST", f"{self._path}/packs", pack, patience=4))
        self.missing(self._tables)

    def _reader_digests(self) -> list[str]:
        pages = [page.digest for page in self._reader.header.pages]
        return list(dict.fromkeys([digest_of(self._header), *pages]))

    def _part(self, digest: str) -> bytes:
        return self._header if digest == digest_of(self._header) else self._reader.read_page(digest)

    def append(self, draft: Draft, *, public: bool | None = None) -> Kept:
        """Have all that was sent made durable, then the record appended; return it."""
        choice = "" if public is None else f"?public={'true' if public else 'false'}"
        return self._api.send_draft(self._package, f"{self._path}/commit{choice}", draft)

    def close(self) -> None:
        """Let go; the registry keeps what arrived for a day, and the same push goes on from it."""
