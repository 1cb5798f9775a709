"""Reading one file: whole or copied, hashed on the way, and refused if it changes meanwhile."""

import os
from typing import Final

import msgspec
from blake3 import blake3

from cellbank.model.digest import PIECES_ABOVE, PieceHasher
from cellbank.model.errors import BadInput
from cellbank.packages.scan import Look, Source
from cellbank.storage.jobs import Counter
from cellbank.storage.local import CHUNK, Part, read_chunks, read_file

TRIES: Final = 3
_GONE: Final = (FileNotFoundError, NotADirectoryError)
"""What is raised for a file that was there when the folder was read."""


def copy_unchanged(
    source: Source, staging: str, counter: Counter
) -> tuple[Source, Part, str, bytes]:
    """Copy a file to `staging`, hashing it; start anew if it changes meanwhile.

    Returns the source as it looked when it was copied, the part, its digest, its pieces.
    """
    for _ in range(TRIES):
        part = Part.new(staging, "build")
        try:
            digest, pieces, look = _copy(source, part, counter)
        except BaseException:
            part.discard()
            raise
        if look == source.look:
            return source, part, digest, pieces
        part.discard()
        counter.add(-part.size)
        source = msgspec.structs.replace(source, look=look_again(source))
    raise restless(source)


def restless(source: Source) -> BadInput:
    """Return the error for a file that somebody writes to."""
    return BadInput(
        f"{source.file} changes while it is read", "Wait until nobody writes to it, then try again."
    )


def look_again(source: Source) -> Look:
    """Return how a file looks now."""
    try:
        return Look.of(os.stat(source.file))
    except _GONE:
        raise restless(source) from None


def read_unchanged(source: Source) -> bytes:
    """Return the bytes of a small file; raises `BadInput` if it is no longer as it was listed."""
    try:
        data = read_file(source.file, source.look.size)
    except _GONE:
        raise restless(source) from None
    if len(data) != source.look.size:
        raise restless(source)
    return data


def _copy(source: Source, part: Part, counter: Counter) -> tuple[str, bytes, Look]:
    """Fill `part` from a file; return digest, list of pieces, and how the file looks now."""
    try:
        descriptor = os.open(source.file, os.O_RDONLY | os.O_CLOEXEC)
    except _GONE:
        raise restless(source) from None
    try:
        hasher = PieceHasher() if source.look.size > PIECES_ABOVE else blake3()
        if part.clone(descriptor, os.fstat(descriptor).st_size):
            for chunk in read_chunks(part.path):
                hasher.update(chunk)
                counter.add(len(chunk))
        else:
            view = memoryview(bytearray(CHUNK))
            while count := os.readv(descriptor, [view]):
                hasher.update(view[:count])
                part.write(view[:count])
                counter.add(count)
        look = Look.of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if isinstance(hasher, PieceHasher):
        return hasher.digest(), hasher.piece_list(), look
    return hasher.hexdigest(), b"", look
