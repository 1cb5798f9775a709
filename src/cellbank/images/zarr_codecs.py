"""Undoing what Zarr chunks were encoded with, into no more memory than a chunk needs.

Ours, because the common decoders believe what the bytes say of themselves: a few bytes could ask
for any amount of memory, and blosc reads behind its input where that says it is longer.
"""

import struct
from collections.abc import Callable
from typing import Any, Final


class CannotDecode(Exception):
    """The bytes are damaged, or encoded in a way that is not read here."""


def undo(codecs: tuple[str, ...], data: bytes, size: int) -> bytes:
    """Return the bytes that were encoded by `codecs`, one after the other.

    Parameters
    ----------
    codecs
        Names of those that make bytes of bytes; how they were set, the bytes say.
    data
        Encoded.
    size
        How many bytes there must be in the end.

    Returns
    -------
    bytes
        Exactly so many.

    Raises
    ------
    CannotDecode
        The bytes are damaged, or fewer or more come out.
    """
    for left in range(len(codecs) - 1, -1, -1):
        # What a step before made of its input can be a little longer than that.
        most = size if left == 0 else size + size // 8 + 1024
        try:
            data = _DECODERS[codecs[left]](data, most)
        except CannotDecode:
            raise
        except Exception as error:  # noqa: BLE001  codecs raise whatever they like
            told = str(error).partition("\n")[0][:200]
            raise CannotDecode(f"does not decode: {told}") from None
    if len(data) != size:
        raise CannotDecode(f"decodes to {len(data)} bytes instead of {size}")
    return data


def is_known(name: str) -> bool:
    """Tell whether a step that makes bytes of bytes can be undone."""
    return name in _DECODERS


def _blosc(data: bytes, most: int) -> bytes:
    import imagecodecs

    if len(data) < 16:
        raise CannotDecode("is truncated")
    size, _, encoded = struct.unpack_from("<III", data, 4)
    if encoded != len(data):
        raise CannotDecode(f"is truncated: it has {len(data)} of {encoded} bytes")
    if size > most:
        raise CannotDecode(f"says that it decodes to {size} bytes, which is too much")
    return bytes(imagecodecs.blosc_decode(data, out=size)) if size else b""


def _zstd(data: bytes, most: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.zstd_decode(data, out=most))


def _gzip(data: bytes, most: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.gzip_decode(data, out=most))


def _zlib(data: bytes, most: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.deflate_decode(data, out=most))


def _lz4(data: bytes, most: int) -> bytes:
    """Decode one block of LZ4 with its length before it."""
    import imagecodecs

    (size,) = struct.unpack_from("<I", data)
    if size > most:
        raise CannotDecode(f"says that it decodes to {size} bytes, which is too much")
    return bytes(imagecodecs.lz4_decode(data[4:], out=size))


def _bz2(data: bytes, most: int) -> bytes:
    import bz2

    return _stream(bz2.BZ2Decompressor(), data, most)


def _lzma(data: bytes, most: int) -> bytes:
    import lzma

    return _stream(lzma.LZMADecompressor(memlimit=1 << 28), data, most)


def _stream(decoder: Any, data: bytes, most: int) -> bytes:
    # One byte more than allowed, so that more than that is seen.
    found = bytes(decoder.decompress(data, most + 1))
    if not decoder.eof and len(found) <= most:
        raise CannotDecode("is truncated")
    return found


def _crc32c(data: bytes, most: int) -> bytes:
    del most
    import google_crc32c

    body = data[:-4]
    if len(data) < 4 or struct.pack("<I", google_crc32c.value(body)) != data[-4:]:
        raise CannotDecode("has a wrong checksum")
    return body


_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _crc32c,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _zlib,
    "zstd": _zstd,
}
