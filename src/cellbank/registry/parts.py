"""A large object on its way in: bytes are hashed as they are written, and count only when right."""

import threading

from cellbank.model.errors import BadInput, DigestMismatch
from cellbank.storage.layout import object_key
from cellbank.storage.local import Hasher, LocalBatch, LocalBucket, Part, read_chunks


class WrongOffset(Exception):
    """The bytes do not go on where the part ends; `offset` is where it does."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Expected:
    """What the pushed manifest says of one large object."""

    def __init__(self, digest: str, size: int, pieces: str | None) -> None:
        self.digest = digest
        self.size = size
        self.pieces = pieces


class Incoming:
    """The part of one large object that has arrived in one upload.

    Invariant: `arrived` bytes are in the part and in the hash, neither more nor less. Of several
    requests for one object the last may write; the others were given up by their sender.
    """

    def __init__(
        self, bucket: LocalBucket, upload: str, expected: Expected, *, adopt: bool
    ) -> None:
        self._stem = f"{expected.digest}.{upload}"
        self._bucket = bucket
        self._expected = expected
        self._lock = threading.Lock()
        self._turn = 0
        self._part: Part | None = None
        self._restart()
        if adopt:
            self._adopt()

    def _restart(self) -> None:
        self.arrived = 0
        self._hasher = Hasher(pieces=self._expected.pieces is not None)

    def _adopt(self) -> None:
        part = Part.adopt(self._bucket.staging, self._stem)
        if part is None:
            return
        if part.size > self._expected.size:
            part.discard()
            return
        for chunk in read_chunks(part.path):
            self._hasher.update(chunk)
        self._part = part
        self.arrived = part.size

    def start(self, offset: int) -> int:
        """Return the turn of a request that sends bytes from `offset`.

        Raises `WrongOffset`: the part ends elsewhere.
        """
        with self._lock:
            self._turn += 1
            if offset != self.arrived:
                raise WrongOffset(self.arrived)
            return self._turn

    def write(self, turn: int, chunks: list[bytes]) -> int:
        """Add bytes; return how many have arrived.

        Raises `WrongOffset`: another request has taken over.
        Raises `BadInput`: there are more bytes than the object has.
        Raises `OSError`: the disk refused: what had arrived is dropped.
        """
        with self._lock:
            if turn != self._turn:
                raise WrongOffset(self.arrived)
            if self.arrived + sum(map(len, chunks)) > self._expected.size:
                raise BadInput(f"the object {self._expected.digest[:12]} has fewer bytes")
            if not chunks:
                return self.arrived
            part = self._part = self._part or Part.new(self._bucket.staging, self._stem)
            try:
                for chunk in chunks:
                    part.write(chunk)
                    self._hasher.update(chunk)
                    self.arrived += len(chunk)
            except OSError:
                # A part of the last bytes may be in the file: it does not fit the hash any more.
                self._drop()
                raise
            return self.arrived

    def _drop(self) -> None:
        if self._part is not None:
            self._part.discard()
            self._part = None
        self._restart()

    def finish(self, batch: LocalBatch) -> bool:
        """Hand the part to the batch if it is complete; say whether it was.

        Raises `DigestMismatch`: it has other bytes than its digest names: it is dropped.
        """
        expected = self._expected
        with self._lock:
            if self.arrived < expected.size or self._part is None:
                return False
            try:
                where = f"the object {expected.digest[:12]}"
                self._hasher.check(where, expected.digest, expected.pieces)
            except DigestMismatch:
                self._drop()
                raise
            batch.take(object_key(expected.digest), self._part)
            self._part = None
            return True

    def release(self) -> None:
        """Let go of the part; it stays in staging for the next to go on with."""
        with self._lock:
            self._turn += 1
            if self._part is not None:
                self._part.keep()
                self._part = None
