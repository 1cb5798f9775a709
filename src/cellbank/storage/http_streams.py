"""What comes in over HTTP piece by piece: packs, the bytes of an object, a list of digests."""

from collections.abc import Callable
from typing import Final

from cellbank.model.errors import BadAnswer
from cellbank.storage.http_exchange import Head
from cellbank.storage.local import Data
from cellbank.storage.packs import MAX_PACK_BYTES, TRAILER_BYTES, PackIndex
from cellbank.storage.remote import Sink

PARTIAL: Final = 206
MAX_SKIPPED_BYTES: Final = 64 << 20
"""Where ranges are not known, so much of an object is let pass before what was asked for."""


class PackStream:
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

    def take(self, _head: Head, chunk: memoryview) -> None:
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


class ObjectStream:
    """Gives on the bytes of one object, from where it stands, whatever part of it is sent."""

    def __init__(self, address: str, at: int, sink: Sink) -> None:
        self._address = address
        self.at = at
        self._sink = sink
        self._skip = -1

    def restart(self) -> None:
        """Begin with a new answer."""
        self._skip = -1

    def take(self, head: Head, chunk: memoryview) -> None:
        """Take the next bytes."""
        if self._skip < 0:
            self._skip = self._to_skip(head)
        view = chunk[self._skip :]
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


class Enough(Exception):
    """All that was asked for is here; what more is sent need not come."""


class RangeStream:
    """Collects the bytes of a stretch of an object, whatever part of the object is sent.

    Invariant: `data` is what stands in the object from `start` on, and never goes beyond `stop`.
    """

    def __init__(self, address: str, start: int, stop: int) -> None:
        self._address = address
        self._start = start
        self._stop = stop
        self._stream = ObjectStream(address, start, self._keep)
        self.data = bytearray()

    @property
    def header(self) -> str:
        """The request header that asks for what has not come."""
        return f"Range: bytes={self._start + len(self.data)}-{self._stop - 1}"

    @property
    def done(self) -> bool:
        """Whether all is here."""
        return len(self.data) == self._stop - self._start

    def restart(self) -> None:
        """Begin with a new answer."""
        self._stream.restart()

    def take(self, head: Head, chunk: memoryview) -> None:
        """Take the next bytes; raises `Enough` where more comes than was asked for."""
        if head.status != PARTIAL and self._start > MAX_SKIPPED_BYTES:
            raise BadAnswer(self._address, "it sends whole objects where parts are asked for")
        self._stream.take(head, chunk)

    def _keep(self, chunk: Data) -> None:
        room = self._stop - self._start - len(self.data)
        self.data += memoryview(chunk)[:room]
        if len(chunk) > room:
            raise Enough


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
