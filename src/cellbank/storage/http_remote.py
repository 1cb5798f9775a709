"""A registry as a remote: the contract of remotes, spoken over HTTP (docs/protocol.md)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from cellbank.model.digest import digest_of
from cellbank.model.errors import (
    BadAnswer,
    Damaged,
    DigestMismatch,
    InvalidName,
    InvalidReference,
    NotCanonical,
    NotFound,
    Unreachable,
)
from cellbank.model.log import Draft, Kept, check_chain, decode_record
from cellbank.model.manifest import ManifestReader
from cellbank.model.reference import Package
from cellbank.storage.http_client import (
    Answer,
    FilePart,
    Head,
    HttpClient,
    Request,
    Tries,
    Trouble,
)
from cellbank.storage.local import file_digest
from cellbank.storage.packs import MAX_PACK_BYTES, TRAILER_BYTES, PackIndex, write_packs
from cellbank.storage.remote import Missing, Remote, Sink, Upload

API: Final = "/api/v1"
MAX_DIGESTS: Final = 65_536
"""So many small objects are asked for in one request."""
RECORDS: Final = 256
MAX_RECORD_BYTES: Final = 8 << 20
MAX_LIST_BYTES: Final = 64 << 20
MAX_MISSING_BYTES: Final = 1 << 30
PROGRESS_BYTES: Final = 1 << 20
"""A connection that brought so much before it broke counts as progress."""
MIN_PART, MAX_PART = 1 << 20, 1 << 30
PARTIAL, BEYOND_END, CONFLICT = 206, 416, 409

_Kind = TypeVar("_Kind")


class _PlaceAnswer(msgspec.Struct, frozen=True):
    id: str
    format: int


class _WhoAnswer(msgspec.Struct, frozen=True):
    name: str


class _PackagesAnswer(msgspec.Struct, frozen=True):
    packages: list[str]


class _UploadAnswer(msgspec.Struct, frozen=True):
    upload: str
    lacks: list[str]
    part_size: int


class _Offset(msgspec.Struct, frozen=True):
    offset: int


class HttpRemote(Remote):
    """A registry, as the client sees it.

    Parameters
    ----------
    url
        The address of the registry.
    token
        What to sign in with; empty for what is public.
    timeout
        Seconds after which a connection on which nothing moves is given up.
    """

    def __init__(self, url: str, token: str = "", timeout: float = 30.0) -> None:
        self._client = HttpClient(url, token, timeout)
        self.address = self._client.address
        self._id = ""

    @property
    def id(self) -> str:  # type: ignore[override]
        """The identity of the place behind the registry; asked for once."""
        if not self._id:
            found = self._json(Request("GET", f"{API}/place"), _PlaceAnswer)
            if found.format != 1 or not found.id.isalnum():
                raise BadAnswer(self.address, "its place is of another format")
            self._id = found.id
        return self._id

    def whoami(self) -> str:
        """Return who the registry says we are; nothing for nobody."""
        return self._json(Request("GET", f"{API}/whoami"), _WhoAnswer).name

    def stop(self) -> None:
        """Break off all that is under way; the remote is not used after that."""
        self._client.stop.set()

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _json(self, request: Request, kind: type[_Kind]) -> _Kind:
        return self._decoded(self._client.send(request), kind)

    def _decoded(self, answer: Answer, kind: type[_Kind]) -> _Kind:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            reason = f"its answer is {_kind_of(answer.head)}, and not what was asked for"
            raise BadAnswer(self.address, reason) from None

    def _record(self, data: bytes, package: Package) -> Kept:
        try:
            kept = decode_record(data)
        except NotCanonical:
            raise BadAnswer(self.address, "its answer is no record of a log") from None
        if kept.record.package != str(package):
            raise BadAnswer(self.address, f"it gives a record of {kept.record.package}")
        return kept

    # --- reading

    def packages(self) -> list[Package]:
        """Return the packages that we may see, sorted."""
        request = Request("GET", f"{API}/packages", limit=MAX_LIST_BYTES)
        names = self._json(request, _PackagesAnswer).packages
        try:
            return sorted(Package.parse(name) for name in names)
        except (InvalidName, InvalidReference):
            raise BadAnswer(self.address, "it lists packages with impossible names") from None

    def newest(self, package: Package) -> Kept:
        """Return the newest record of a package, else raise `PackageNotFound`."""
        request = Request("GET", _path(package), limit=MAX_RECORD_BYTES)
        return self._record(self._client.send(request).body, package)

    def records(self, package: Package) -> Iterator[Kept]:
        """Yield the records of a package, newest first, checked to be one chain."""
        first = self._records_before(package, None)
        return self._chain(package, first)

    def _chain(self, package: Package, found: list[Kept]) -> Iterator[Kept]:
        newer: Kept | None = None
        while True:
            for kept in found:
                if newer is not None:
                    check_chain(str(package), newer, kept)
                yield kept
                newer = kept
            if newer is None or newer.record.number == 0:
                return
            found = self._records_before(package, newer.record.number)
            if not found:
                raise NotCanonical(f"the log of {package}", "its older records are missing")

    def _records_before(self, package: Package, number: int | None) -> list[Kept]:
        query = f"?limit={RECORDS}" + ("" if number is None else f"&before={number}")
        limit = MAX_RECORD_BYTES * RECORDS
        answer = self._client.send(Request("GET", f"{_path(package)}/log{query}", limit=limit))
        return [self._record(line, package) for line in answer.body.splitlines() if line]

    def fetch_packs(
        self, package: Package, digests: Iterable[str], sink: Callable[[bytes], None]
    ) -> None:
        """Give `sink` packs that hold those of the small objects that are there, nothing else."""
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), MAX_DIGESTS):
            self._fetch_batch(package, wanted[start : start + MAX_DIGESTS], sink)

    def _fetch_batch(
        self, package: Package, wanted: list[str], sink: Callable[[bytes], None]
    ) -> None:
        tries = Tries(self._client.stop)
        stream = _PackStream(self.address, set(wanted), sink)
        while stream.lacking and not stream.ended:
            # What has come is not asked for again.
            rest = [digest for digest in wanted if digest in stream.lacking]
            stream.restart()
            request = Request(
                "POST",
                f"{_path(package)}/objects/small",
                b"".join(map(bytes.fromhex, rest)),
                sink=stream.take,
            )
            try:
                self._client.once(request)
                if not stream.ended:
                    raise Trouble(Unreachable(self.address, "the connection broke off"))
            except Trouble as trouble:
                if stream.moved:
                    tries.progressed()
                tries.again(trouble)

    def fetch_object(self, package: Package, digest: str, start: int, sink: Sink) -> None:
        """Give `sink` the bytes of a large object from `start`; the caller checks them."""
        tries = Tries(self._client.stop)
        stream = _ObjectStream(self.address, start, sink)
        while True:
            before = stream.at
            ranged = (f"Range: bytes={before}-",) if before else ()
            path = f"{_path(package)}/objects/{digest}"
            request = Request("GET", path, headers=ranged, sink=stream.take, accept=(BEYOND_END,))
            try:
                stream.restart()
                answer = self._client.once(request)
            except Trouble as trouble:
                if stream.at - before >= PROGRESS_BYTES:
                    tries.progressed()
                tries.again(trouble)
            except NotFound:
                raise Damaged(
                    f"{package}: {self.address} does not give the object {digest}",
                    "Tell its owner; the package may have to be pushed there again.",
                ) from None
            else:
                if answer.head.status == BEYOND_END and not before:
                    raise BadAnswer(self.address, "it refuses to send an object")
                return

    # --- writing

    def upload(
        self, package: Package, revision: str, header: bytes, reader: ManifestReader
    ) -> "HttpUpload":
        """Begin a push, or go on with one that broke off."""
        return HttpUpload(self, self._client, package, header, reader)

    def append(self, package: Package, draft: Draft) -> Kept:
        """Append an event that brings no objects."""
        return self.send_draft(package, f"{_path(package)}/log", draft)

    def send_draft(self, package: Package, path: str, draft: Draft) -> Kept:
        """Send a draft; return the record that it became, however often it had to be sent."""
        body = msgspec.json.encode(draft)
        request = Request("POST", path, body, limit=MAX_RECORD_BYTES, patience=4)
        kept = self._record(self._client.send(request).body, package)
        if kept.record.nonce != draft.nonce or kept.record.event != draft.event:
            raise BadAnswer(self.address, "it answers with the record of another event")
        return kept

    def begin(self, package: Package, header: bytes) -> _UploadAnswer:
        """Announce a revision; return what of its manifest the registry lacks."""
        request = Request("POST", f"{_path(package)}/uploads", header, limit=MAX_LIST_BYTES)
        found = self._json(request, _UploadAnswer)
        if not found.upload.isalnum() or not MIN_PART <= found.part_size <= MAX_PART:
            raise BadAnswer(self.address, "it offers an impossible upload")
        return found


class HttpUpload(Upload):
    """A push to a registry.

    Invariant: the registry's word counts for how much of an object has arrived, not ours.
    """

    def __init__(
        self,
        remote: HttpRemote,
        client: HttpClient,
        package: Package,
        header: bytes,
        reader: ManifestReader,
    ) -> None:
        self._remote = remote
        self._client = client
        self._package = package
        self._header = header
        self._reader = reader
        self._arrived: dict[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        found = self._remote.begin(self._package, self._header)
        self._path = f"{_path(self._package)}/uploads/{found.upload}"
        self._part_size = found.part_size
        self._lacks = set(found.lacks)

    def pages(self) -> set[str]:
        """Return the digests of the header and pages that the registry lacks."""
        return self._lacks

    def missing(self) -> Missing:
        """Return the objects of the manifest that the registry lacks."""
        request = Request("POST", f"{self._path}/missing", b"", limit=MAX_MISSING_BYTES, patience=4)
        small, large = decode_missing(self._send(request).body, self._remote.address)
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
                found, _ = file_digest(path)
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
                tries.again(Trouble(BadAnswer(self._remote.address, "it loses what we send")))
            elif arrived != at + length:
                raise BadAnswer(self._remote.address, "it counts other bytes than were sent")
            else:
                tries.progressed()
                at = arrived
                continue
            at = self._moved(progress, at, arrived)

    def _offset(self, answer: Answer) -> int:
        try:
            return msgspec.json.decode(answer.body, type=_Offset).offset
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise BadAnswer(self._remote.address, "it does not say how much arrived") from None

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
        self.missing()

    def _reader_digests(self) -> list[str]:
        pages = [page.digest for page in self._reader.header.pages]
        return list(dict.fromkeys([digest_of(self._header), *pages]))

    def _part(self, digest: str) -> bytes:
        return self._header if digest == digest_of(self._header) else self._reader.read_page(digest)

    def append(self, draft: Draft, *, public: bool | None = None) -> Kept:
        """Have all that was sent made durable, then the record appended; return it."""
        choice = "" if public is None else f"?public={'true' if public else 'false'}"
        return self._remote.send_draft(self._package, f"{self._path}/commit{choice}", draft)

    def close(self) -> None:
        """Let go; the registry keeps what arrived for a day, and the same push goes on from it."""


class _PackStream:
    """Cuts the body of an answer into packs.

    Invariant: every pack that is given on holds something that is lacking, and nothing else, so
    an answer cannot go on for ever.
    """

    def __init__(self, address: str, lacking: set[str], sink: Callable[[bytes], None]) -> None:
        self._address = address
        self.lacking = lacking
        self._sink = sink
        self._buffer = bytearray()
        self.ended = False
        self.moved = False

    def restart(self) -> None:
        """Begin with a new answer."""
        self._buffer = bytearray()
        self.moved = False

    def take(self, _head: Head, chunk: bytes) -> None:
        """Take the next bytes."""
        self._buffer += chunk
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[:8], "little")
            if length > MAX_PACK_BYTES or self.ended:
                raise BadAnswer(self._address, "it sends something else than packs")
            if len(self._buffer) < 8 + length:
                return
            if length == 0:
                self.ended = True
            else:
                self._give(bytes(memoryview(self._buffer)[8 : 8 + length]))
            del self._buffer[: 8 + length]

    def _give(self, pack: bytes) -> None:
        where = f"a pack from {self._address}"
        tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], where)
        inside = set(PackIndex.parse(pack[-tail:], where).digests())
        if not inside or not inside <= self.lacking:
            raise BadAnswer(self._address, "it sends objects that were not asked for")
        self._sink(pack)
        self.lacking -= inside
        self.moved = True


class _ObjectStream:
    """Gives on the bytes of one object, from where it stands, whatever part of it is sent."""

    def __init__(self, address: str, at: int, sink: Sink) -> None:
        self._address = address
        self.at = at
        self._sink = sink
        self._skip = -1

    def restart(self) -> None:
        """Begin with a new answer."""
        self._skip = -1

    def take(self, head: Head, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._skip < 0:
            self._skip = self._to_skip(head)
        view = memoryview(chunk)[self._skip :]
        self._skip -= len(chunk) - len(view)
        if len(view):
            self._sink(view)
            self.at += len(view)

    def _to_skip(self, head: Head) -> int:
        if head.headers.get("content-type", "").startswith("text/html"):
            raise BadAnswer(self._address, "it sends a web page in place of an object")
        if head.status != PARTIAL:
            # Someone between us does not know ranges: the whole object comes.
            return self.at
        said = head.headers.get("content-range", "")
        if not said.startswith(f"bytes {self.at}-"):
            raise BadAnswer(
                self._address, f"it sends another range than was asked for ({said[:60]})"
            )
        return 0


def decode_missing(body: bytes, address: str) -> tuple[set[str], dict[str, int]]:
    """Return the small digests, and the large ones with the bytes that have arrived."""
    count = int.from_bytes(body[:8], "little")
    end = 8 + 32 * count
    if len(body) < 8 or len(body) < end or (len(body) - end) % 40:
        raise BadAnswer(address, "its list of missing objects is cut short")
    small = {body[at : at + 32].hex() for at in range(8, end, 32)}
    large = {
        body[at : at + 32].hex(): int.from_bytes(body[at + 32 : at + 40], "little")
        for at in range(end, len(body), 40)
    }
    return small, large


def _path(package: Package) -> str:
    return f"{API}/packages/{package.owner}/{package.name}"


def _kind_of(head: Head) -> str:
    kind = head.headers.get("content-type", "").partition(";")[0]
    return "a web page" if kind == "text/html" else kind[:40] or "of no kind"
