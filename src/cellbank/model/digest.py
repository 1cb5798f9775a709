"""Digests: BLAKE3-256 of bytes, written as 64 lower-case hex digits."""

import re
from typing import Final

from blake3 import blake3

PIECE_BYTES: Final = 1 << 20
"""Length of a piece of a large object (the last may be shorter)."""
PIECES_ABOVE: Final = 8 << 20
"""Objects larger than this have a list of piece digests."""
SMALL_BELOW: Final = 128 << 10
"""Objects smaller than this travel and rest in packs."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
is_digest = _DIGEST.fullmatch


def digest_of(data: bytes | memoryview) -> str:
    """Return the digest of `data`."""
    return blake3(data).hexdigest()


class PieceHasher:
    """Digest of a stream and, beside it, the digests of its consecutive 1 MiB pieces."""

    def __init__(self) -> None:
        self._whole = blake3()
        self._piece = blake3()
        self._room = PIECE_BYTES
        self._pieces: list[bytes] = []
        self.size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the stream."""
        self._whole.update(data)
        view = memoryview(data)
        self.size += len(view)
        while view:
            part = view[: self._room]
            self._piece.update(part)
            self._room -= len(part)
            view = view[len(part) :]
            if not self._room:
                self._close_piece()

    def _close_piece(self) -> None:
        self._pieces.append(self._piece.digest())
        self._piece = blake3()
        self._room = PIECE_BYTES

    def digest(self) -> str:
        """Return the digest of all bytes taken so far."""
        return self._whole.hexdigest()

    def piece_list(self) -> bytes:
        """Return the 32-byte digests of all pieces, one after the other. Call once, at the end."""
        if self._room != PIECE_BYTES:
            self._close_piece()
        return b"".join(self._pieces)
