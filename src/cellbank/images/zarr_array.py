"""One Zarr array: what its metadata say, and its chunks, decoded one at a time.

Zarr 2 and 3 (https://zarr-specs.readthedocs.io): regular grids, the common codecs, shards.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.zarr_codecs import CannotDecode, is_known, undo
from cellbank.images.zarr_files import Files
from cellbank.model.errors import BadImage

MAX_JSON: Final = 16 << 20
MAX_CHUNK: Final = 1 << 30
"""Bytes of a chunk when it is decoded."""
_MAX_INDEX: Final = 1 << 24
_MAX_LENGTH: Final = 1 << 40
_KEPT_INDEXES: Final = 64
_NONE: Final = (1 << 64) - 1
_TYPES: Final = {
    *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)),
    *("bool", "float16", "float32", "float64", "complex64", "complex128"),
}


class Unread(Exception):
    """The metadata make no sense, or ask for what is not read here."""


class Shards(msgspec.Struct, frozen=True):
    """How chunks lie together in one file."""

    grid: tuple[int, ...]
    """How many chunks along each axis."""
    codecs: tuple[str, ...]
    """What encoded the index, after its numbers became bytes."""
    order: str
    at_end: bool


class Layout(msgspec.Struct, frozen=True):
    """What the metadata of an array say."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    """As stored."""
    fill: Any
    axes: tuple[int, ...]
    """In which order the axes lie in an encoded chunk."""
    codecs: tuple[str, ...]
    prefix: str
    separator: str
    shards: Shards | None = None

    @property
    def size(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunks) * self.dtype.itemsize


def read_json(files: Files, path: str) -> dict[str, Any] | None:
    """Return the object in a JSON file; None where there is no such file."""
    data = files.read(path, MAX_JSON)
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadImage(files.name, f"{path} is no JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise BadImage(files.name, f"{path} is no JSON object")
    return found


class Array:
    """One array of a Zarr folder.

    Invariant: a chunk is decoded into no more memory than its shape needs.
    """

    def __init__(self, files: Files, path: str, zarr_format: int) -> None:
        self._files = files
        self._path = path
        said = read_json(files, f"{path}/{'zarr.json' if zarr_format == 3 else '.zarray'}")
        if said is None:
            raise BadImage(files.name, f"the array {path} is missing")
        try:
            self.layout = _of_3(said) if zarr_format == 3 else _of_2(said)
            _check(self.layout)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            raise BadImage(files.name, f"the metadata of {path} make no sense") from None
        except Unread as error:
            raise BadImage(files.name, f"{path}: {error}") from None
        self._indexes: dict[str, NDArray[Any] | None] = {}

    def chunk(self, place: tuple[int, ...]) -> NDArray[Any] | None:
        """Return a chunk, whole, with the axes of the array; None where all of it is fill value."""
        layout = self.layout
        if layout.shards is None:
            where = self._key(place)
            # What does not compress becomes a little longer.
            data = self._files.read(where, layout.size + layout.size // 8 + 4096)
        else:
            where, data = self._in_shard(place, layout.shards)
        if data is None:
            return None
        try:
            decoded = undo(layout.codecs, data, layout.size)
        except CannotDecode as error:
            raise BadImage(self._files.name, f"{where} {error}") from None
        stored = tuple(layout.chunks[axis] for axis in layout.axes)
        array = np.frombuffer(decoded, layout.dtype).reshape(stored)
        return array.transpose(np.argsort(layout.axes))

    def _key(self, place: tuple[int, ...]) -> str:
        return f"{self._path}/{self.layout.prefix}{self.layout.separator.join(map(str, place))}"

    def _in_shard(self, place: tuple[int, ...], shards: Shards) -> tuple[str, bytes | None]:
        where = self._key(tuple(p // n for p, n in zip(place, shards.grid, strict=True)))
        if where not in self._indexes:
            if len(self._indexes) >= _KEPT_INDEXES:
                self._indexes.clear()
            self._indexes[where] = self._index(where, shards)
        index = self._indexes[where]
        if index is None:
            return where, None
        start, length = map(
            int, index[tuple(p % n for p, n in zip(place, shards.grid, strict=True))]
        )
        if start == length == _NONE:
            return where, None
        if max(start, length) >= _MAX_LENGTH or length > 2 * self.layout.size + 4096:
            raise BadImage(self._files.name, f"{where} has a damaged index")
        return where, self._files.part(where, start, length)

    def _index(self, where: str, shards: Shards) -> NDArray[Any] | None:
        size = math.prod(shards.grid) * 16
        length = size + 4 * len(shards.codecs)
        data = self._files.part(where, -length if shards.at_end else 0, length)
        if data is None:
            return None
        try:
            decoded = undo(shards.codecs, data, size)
        except CannotDecode as error:
            raise BadImage(self._files.name, f"the index of {where} {error}") from None
        return np.frombuffer(decoded, f"{shards.order}u8").reshape(*shards.grid, 2)


# --- metadata ------------------------------------------------------------------------------------


def _check(layout: Layout) -> None:
    if len(layout.shape) != len(layout.chunks) or not layout.shape:
        raise Unread("its chunks do not fit its shape")
    if min(layout.shape) < 1 or min(layout.chunks) < 1:
        raise Unread(f"its shape is {layout.shape}, its chunks are {layout.chunks}")
    if layout.size > MAX_CHUNK:
        raise Unread(f"a chunk of {layout.size} bytes is too large")
    if layout.shards is not None and math.prod(layout.shards.grid) * 16 > _MAX_INDEX:
        raise Unread("a shard has too many chunks")


def _numbers(said: Any) -> tuple[int, ...]:
    if not isinstance(said, list) or len(said) > 32:
        raise Unread("its shape is not understood")
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in said):
        raise Unread("its shape is not understood")
    return tuple(said)


def _of_2(said: Mapping[str, Any]) -> Layout:
    """Read `.zarray`."""
    shape = _numbers(said["shape"])
    if not isinstance(said["dtype"], str):
        raise Unread("its pixels are records")
    dtype = np.dtype(said["dtype"])
    if dtype.name not in _TYPES:
        raise Unread(f"its pixels are of the type {dtype.name}")
    filters = said.get("filters") or []
    compressor = said.get("compressor")
    steps = [{"name": step["id"]} for step in [*filters, *([compressor] if compressor else [])]]
    order = tuple(range(len(shape)))
    return Layout(
        shape=shape,
        chunks=_numbers(said["chunks"]),
        dtype=dtype,
        fill=_fill(said.get("fill_value"), dtype),
        axes=order[::-1] if said.get("order") == "F" else order,
        codecs=tuple(_codec(step) for step in steps),
        prefix="",
        separator=_separator(said.get("dimension_separator", ".")),
    )


def _of_3(said: Mapping[str, Any]) -> Layout:
    """Read the `zarr.json` of an array."""
    if said["node_type"] != "array" or said["zarr_format"] != 3:
        raise Unread("it is no array of Zarr 3")
    if said.get("storage_transformers"):
        raise Unread("storage transformers are not read")
    grid = said["chunk_grid"]
    if grid["name"] != "regular":
        raise Unread(f"chunks in a grid that is {str(grid['name'])[:40]} are not read")
    if said["data_type"] not in _TYPES:
        raise Unread(f"its pixels are of the type {str(said['data_type'])[:40]}")
    chunks = _numbers(grid["configuration"]["chunk_shape"])
    shards, codecs = None, said["codecs"]
    if _name(codecs[0]) == "sharding_indexed":
        if len(codecs) > 1:
            raise Unread("shards that are encoded as a whole are not read")
        outer, inside = chunks, codecs[0]["configuration"]
        chunks, codecs = _numbers(inside["chunk_shape"]), inside["codecs"]
        shards = _shards(outer, chunks, inside)
    axes, endian, steps = _steps(codecs, len(chunks))
    dtype = np.dtype(said["data_type"])
    encoding = said["chunk_key_encoding"]
    plain = _name(encoding) == "v2"
    if not plain and _name(encoding) != "default":
        raise Unread("the names of its chunks are not understood")
    settings = (encoding.get("configuration") or {}) if isinstance(encoding, dict) else {}
    separator = _separator(settings.get("separator", "." if plain else "/"))
    return Layout(
        shape=_numbers(said["shape"]),
        chunks=chunks,
        dtype=dtype.newbyteorder(endian),
        fill=_fill(said.get("fill_value"), dtype),
        axes=axes,
        codecs=steps,
        prefix="" if plain else f"c{separator}",
        separator=separator,
        shards=shards,
    )


def _shards(outer: tuple[int, ...], chunks: tuple[int, ...], said: Mapping[str, Any]) -> Shards:
    if len(outer) != len(chunks) or any(n < 1 or m % n for m, n in zip(outer, chunks, strict=True)):
        raise Unread(f"shards of {outer} do not consist of chunks of {chunks}")
    grid = tuple(m // n for m, n in zip(outer, chunks, strict=True))
    axes, order, codecs = _steps(said["index_codecs"], len(grid) + 1)
    if axes != tuple(range(len(axes))) or any(codec != "crc32c" for codec in codecs):
        raise Unread("an index of shards that is compressed is not read")
    return Shards(grid, codecs, order, said.get("index_location", "end") == "end")


def _steps(said: Any, count: int) -> tuple[tuple[int, ...], str, tuple[str, ...]]:
    """Return the order of axes, the byte order, and what is done to the bytes then."""
    axes, endian = tuple(range(count)), ""
    steps = list(said)
    while steps and _name(steps[0]) == "transpose":
        order = tuple(steps.pop(0)["configuration"]["order"])
        if sorted(order) != list(range(count)):
            raise Unread("its axes are transposed in a way that makes no sense")
        axes = tuple(axes[n] for n in order)
    if not steps or _name(steps[0]) != "bytes":
        raise Unread(f"the codec {_name(steps[0]) if steps else 'bytes'} is not read")
    first = steps.pop(0)
    settings = (first.get("configuration") or {}) if isinstance(first, dict) else {}
    endian = {"little": "<", "big": ">"}[settings.get("endian", "little")]
    return axes, endian, tuple(_codec(step) for step in steps)


def _name(said: Any) -> str:
    """Return the name of an extension; a bare name is one without configuration."""
    return said if isinstance(said, str) else str(said["name"])


def _codec(said: Any) -> str:
    name = _name(said).removeprefix("numcodecs.")
    if not is_known(name):
        raise Unread(f"the codec {name[:40]} is not read; save it with blosc, zstd or gzip")
    return name


def _separator(said: Any) -> str:
    if said not in {".", "/"}:
        raise Unread("the names of its chunks are not understood")
    return str(said)


def _fill(said: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of what is not stored; zero where none is said."""
    if said is None:
        return dtype.type(0)
    if isinstance(said, list):
        real, imaginary = (_fill(part, np.dtype("f8")) for part in said)
        return dtype.type(complex(real, imaginary))
    if isinstance(said, str) and said.startswith("0x"):
        return np.frombuffer(bytes.fromhex(said[2:]), dtype.newbyteorder(">"))[0]
    if isinstance(said, str):
        if dtype.kind not in "fc":
            raise Unread(f"its fill value is {said[:40]!r}")
        said = float(said)
    with np.errstate(all="ignore"):
        return np.array([said]).astype(dtype)[0]
