"""A registry as a remote: the contract of remotes, spoken over HTTP (docs/protocol.md)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cellbank.model.errors import (
    BadAnswer,
    Damaged,
    InvalidName,
    InvalidReference,
    NotCanonical,
    NotFound,
    Unreachable,
)
from cellbank.model.log import Draft, Kept, check_chain
from cellbank.model.manifest import ManifestReader
from cellbank.model.reference import Package
from cellbank.storage.http_api import (
    MAX_LIST_BYTES,
    MAX_RECORD_BYTES,
    ROOT,
    Api,
    PackagesAnswer,
    PlaceAnswer,
    WhoAnswer,
    is_word,
    path_of,
)
from cellbank.storage.http_client import HttpClient, Tries
from cellbank.storage.http_exchange import Request, Trouble
from cellbank.storage.http_streams import Enough, ObjectStream, PackStream, RangeStream
from cellbank.storage.http_upload import HttpUpload
from cellbank.storage.remote import Remote, Sink

MAX_DIGESTS: Final = 65_536
"""So many small objects are asked for in one request."""
RECORDS: Final = 64
MAX_RECORDS_BYTES: Final = 64 << 20
"""Of one answer: more than 64 records with ten thousand versions each."""
PROGRESS_BYTES: Final = 1 << 20
"""A connection that brought so much before it broke counts as progress."""
BEYOND_END: Final = 416


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
        self._api = Api(self._client)
        self.address = self._client.address
        self._id = ""

    @property
    def id(self) -> str:  # type: ignore[override]
        """The identity of the place behind the registry; asked for once."""
        if not self._id:
            found = self._api.json(Request("GET", f"{ROOT}/place"), PlaceAnswer)
            if found.format != 1 or not is_word(found.id):
                raise BadAnswer(self.address, "its place is of another format")
            self._id = found.id
        return self._id

    def whoami(self) -> str:
        """Return who the registry says we are; nothing for nobody."""
        return self._ask().json(Request("GET", f"{ROOT}/whoami"), WhoAnswer).name

    def stop(self) -> None:
        """Break off all that is under way in other threads; what is asked later works again."""
        self._client.stop.set()

    def begin(self) -> None:
        """Begin something new, from one thread: what was stopped before is over."""
        self._client.stop.clear()

    def _ask(self) -> Api:
        """Return the API for something new."""
        self.begin()
        return self._api

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    # --- reading

    def packages(self) -> list[Package]:
        """Return the packages that we may see, sorted."""
        request = Request("GET", f"{ROOT}/packages", limit=MAX_LIST_BYTES)
        names = self._ask().json(request, PackagesAnswer).packages
        try:
            return sorted(Package.parse(name) for name in names)
        except (InvalidName, InvalidReference):
            raise BadAnswer(self.address, "it lists packages with impossible names") from None

    def newest(self, package: Package) -> Kept:
        """Return the newest record of a package, else raise `PackageNotFound`."""
        request = Request("GET", path_of(package), limit=MAX_RECORD_BYTES)
        return self._ask().record(self._client.send(request).body, package)

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
            if newer is None:
                raise BadAnswer(self.address, "it gives a log without any record")
            if newer.record.number == 0:
                return
            found = self._records_before(package, newer.record.number)
            if not found:
                raise NotCanonical(f"the log of {package}", "its older records are missing")

    def _records_before(self, package: Package, number: int | None) -> list[Kept]:
        query = f"?limit={RECORDS}" + ("" if number is None else f"&before={number}")
        path = f"{path_of(package)}/log{query}"
        answer = self._client.send(Request("GET", path, limit=MAX_RECORDS_BYTES))
        return [self._api.record(line, package) for line in answer.body.splitlines() if line]

    def fetch_packs(
        self, package: Package, digests: Iterable[str], sink: Callable[[bytes], None]
    ) -> None:
        """Give `sink` packs that hold those of the small objects that are there, nothing else."""
        self._ask()
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), MAX_DIGESTS):
            self._fetch_batch(package, wanted[start : start + MAX_DIGESTS], sink)

    def _fetch_batch(
        self, package: Package, wanted: list[str], sink: Callable[[bytes], None]
    ) -> None:
        tries = Tries(self._client.stop)
        stream = PackStream(self.address, set(wanted), sink)
        while stream.lacking and not stream.ended:
            # What has come is not asked for again.
            rest = [digest for digest in wanted if digest in stream.lacking]
            stream.restart()
            request = Request(
                "POST",
                f"{path_of(package)}/objects/small",
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
        stream = ObjectStream(self.address, start, sink)
        while True:
            before = stream.at
            ranged = (f"Range: bytes={before}-",) if before else ()
            path = f"{path_of(package)}/objects/{digest}"
            request = Request("GET", path, headers=ranged, sink=stream.take, accept=(BEYOND_END,))
            try:
                stream.restart()
                answer = self._client.once(request)
            except Trouble as trouble:
                if stream.at - before >= PROGRESS_BYTES:
                    tries.progressed()
                tries.again(trouble)
            except NotFound:
                raise self._lacks(package, digest) from None
            else:
                if answer.head.status == BEYOND_END and not before:
                    raise BadAnswer(self.address, "it refuses to send an object")
                return

    def read_range(self, package: Package, digest: str, start: int, stop: int) -> bytes:
        """Return the bytes of a large object from `start` to before `stop`."""
        tries = Tries(self._client.stop)
        stream = RangeStream(self.address, start, stop)
        while not stream.done:
            before = len(stream.data)
            try:
                self._ask_range(package, digest, stream)
            except Enough:
                break
            except Trouble as trouble:
                if len(stream.data) - before >= PROGRESS_BYTES:
                    tries.progressed()
                tries.again(trouble)
            except NotFound:
                raise self._lacks(package, digest) from None
        return bytes(stream.data)

    def _ask_range(self, package: Package, digest: str, stream: RangeStream) -> None:
        """Ask once for what has not come of a stretch; raises `Trouble` where less is sent."""
        stream.restart()
        request = Request(
            "GET",
            f"{path_of(package)}/objects/{digest}",
            headers=(stream.header,),
            sink=stream.take,
            accept=(BEYOND_END,),
        )
        if self._client.once(request).head.status == BEYOND_END:
            raise Damaged(
                f"{package}: the object {digest} is cut short at {self.address}",
                "Tell its owner; the package may have to be pushed there again.",
            )
        if not stream.done:
            raise Trouble(Unreachable(self.address, "it sends less than was asked for"))

    def _lacks(self, package: Package, digest: str) -> Damaged:
        return Damaged(
            f"{package}: {self.address} does not give the object {digest}",
            "Tell its owner; the package may have to be pushed there again.",
        )

    # --- writing

    def upload(
        self, package: Package, revision: str, header: bytes, reader: ManifestReader
    ) -> "HttpUpload":
        """Begin a push, or go on with one that broke off."""
        return HttpUpload(self._ask(), package, header, reader)

    def append(self, package: Package, draft: Draft) -> Kept:
        """Append an event that brings no objects."""
        return self._ask().send_draft(package, f"{path_of(package)}/log", draft)
