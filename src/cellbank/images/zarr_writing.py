"""Writing OME-Zarr, plane by plane: chunks, smaller levels, and at last what they are.

OME-NGFF 0.4 in Zarr 2 and 0.5 in Zarr 3. The same input gives the same bytes.
"""

import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.limits import Limits, auto_limits, extremes

CHUNK: Final = 1 << 20
"""Bytes of a chunk, at most."""
SMALLEST: Final = 256
"""Levels are added until none of their sides is longer."""
COMPRESSIONS: Final = ("blosc", "zstd", "gzip")
_LEVELS: Final = {"blosc": 3, "zstd": 3, "gzip": 5}
_KINDS: Final = {"T": "time", "C": "channel"}


class Plan(msgspec.Struct, frozen=True):
    """What is known of a folder before its pixels are seen."""

    axes: str
    """`T`, `C`, `Z` in this order, then `YX`."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Little-endian."""
    levels: tuple[tuple[int, int], ...]
    version: str
    compression: str | None
    labels: bool
    """Smaller levels take one pixel of four, not their mean."""

    @property
    def chunk(self) -> tuple[int, int]:
        """Height and width of a chunk: large enough, and no more padded than needed."""
        side = math.isqrt(CHUNK // self.dtype.itemsize)
        height, width = (math.ceil(n / math.ceil(n / side)) for n in self.shape[-2:])
        return height, width

    def level_shape(self, level: int) -> tuple[int, ...]:
        """Return the shape of a level."""
        return (*self.shape[:-2], *self.levels[level])

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a chunk: one plane, or a part of it."""
        return (*(1 for _ in self.shape[:-2]), *self.chunk)


def levels_of(height: int, width: int, count: int | None) -> tuple[tuple[int, int], ...]:
    """Return the sizes of `count` levels, each half the one before; None: until it is small."""
    found = [(height, width)]
    while len(found) < (count or 64) and (count or max(found[-1]) > SMALLEST):
        found.append(((found[-1][0] + 1) // 2, (found[-1][1] + 1) // 2))
    return tuple(found)


def halved(plane: NDArray[Any], *, labels: bool = False) -> NDArray[Any]:
    """Return a plane of half the height and width.

    Parameters
    ----------
    plane
        (Y, X), any numbers.
    labels
        Take one pixel of four; else their mean, of whole numbers rounded.

    Returns
    -------
    NDArray[Any]
        The same type. Of an odd row or column at the end there are no four.
    """
    if labels:
        return plane[::2, ::2]
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    four = [plane[y::2, x::2] for y, x in itertools.product((0, 1), repeat=2)]
    if plane.dtype.kind not in "iu":
        wide = np.result_type(plane.dtype, np.float64)
        total = sum(part.astype(wide) / 4 for part in four)
        return np.asarray(total).astype(plane.dtype)
    if plane.dtype.itemsize == 8:
        # The sum of four may be too large for any type.
        low = sum((part & 3 for part in four), start=np.zeros_like(four[0]))
        found = sum((part >> 2 for part in four), start=(low + 2) >> 2)
        return np.asarray(found)
    wide = np.dtype(np.int64 if plane.dtype.itemsize == 4 else np.int32)
    return ((sum((part.astype(wide) for part in four), start=wide.type(2))) >> 2).astype(
        plane.dtype
    )


class Writer:
    """An OME-Zarr folder that is being written.

    Invariant: one plane and its smaller versions are in memory; what the folder is, is written at
    last.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._extremes: dict[int, Limits] = {}
        self._brightest: dict[int, NDArray[Any]] = {}
        for level in range(len(plan.levels)):
            name, said = _array(plan, level)
            self._write(f"{level}/{name}", _json(said))

    def put(self, place: tuple[int, ...], plane: NDArray[Any]) -> None:
        """Write a plane: its place along the axes before Y and X, and its pixels."""
        plan = self._plan
        self._look(place, plane)
        for level in range(len(plan.levels)):
            if level:
                plane = halved(plane, labels=plan.labels)
            self._put(level, place, plane)
        at = self._channel(place)
        bright = self._brightest.get(at)
        if not plan.labels and plane.dtype.kind != "c":
            self._brightest[at] = plane.copy() if bright is None else np.fmax(bright, plane)

    def finish(
        self, name: str, channels: Sequence[Channel], pixel_size: Mapping[str, float]
    ) -> None:
        """Write what the folder is, and see that all of it is on the disk."""
        plan = self._plan
        metadata: dict[str, Any] = {"multiscales": [_multiscale(plan, name, pixel_size)]}
        if not plan.labels:
            metadata["omero"] = {
                "channels": [self._said(channel) for channel in channels],
                "rdefs": {"defaultT": 0, "defaultZ": self._middle(), "model": "color"},
            }
        if plan.version == "0.4":
            metadata["multiscales"][0]["version"] = "0.4"
            if "omero" in metadata:
                metadata["omero"]["version"] = "0.4"
            metadata["_ARRAY_DIMENSIONS"] = list(plan.axes.lower())
            self._write(".zgroup", _json({"zarr_format": 2}))
            self._write(".zattrs", _json(metadata))
        else:
            attributes = {"ome": {"version": plan.version, **metadata}}
            group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            self._write("zarr.json", _json(group))
        _sync(self._folder)

    def _channel(self, place: tuple[int, ...]) -> int:
        return place[self._plan.axes.index("C")] if "C" in self._plan.axes else 0

    def _middle(self) -> int:
        sizes = dict(zip(self._plan.axes, self._plan.shape, strict=True))
        return sizes.get("Z", 1) // 2

    def _look(self, place: tuple[int, ...], plane: NDArray[Any]) -> None:
        """Remember the smallest and the largest value of a channel."""
        at = self._channel(place)
        low, high = extremes(plane)
        if at in self._extremes:
            low, high = min(low, self._extremes[at][0]), max(high, self._extremes[at][1])
        self._extremes[at] = (low, high)

    def _said(self, channel: Channel) -> dict[str, Any]:
        """Return a channel as `omero` describes it; `use` is an addition of ours."""
        low, high = self._extremes.get(channel.index, (0, 1))
        bright = self._brightest.get(channel.index)
        start, end = channel.window or ((low, high) if bright is None else auto_limits(bright))
        said: dict[str, Any] = {
            "active": channel.use is not False,
            "coefficient": 1,
            "color": (channel.color or "#ffffff").removeprefix("#").upper(),
            "family": "linear",
            "inverted": False,
            "window": {"end": end, "max": high, "min": low, "start": start},
        }
        more = {
            "label": channel.name or channel.fluor,
            "emissionWave": channel.wavelength,
            "excitationWave": channel.excitation,
            "use": channel.use,
        }
        return said | {key: value for key, value in more.items() if value is not None}

    def _put(self, level: int, place: tuple[int, ...], plane: NDArray[Any]) -> None:
        plan = self._plan
        height, width = plan.chunk
        for y, x in itertools.product(
            range(math.ceil(plane.shape[0] / height)), range(math.ceil(plane.shape[1] / width))
        ):
            part = plane[y * height : (y + 1) * height, x * width : (x + 1) * width]
            if not part.any():
                continue  # all of it is the fill value
            chunk = np.zeros((height, width), plan.dtype)
            chunk[: part.shape[0], : part.shape[1]] = part
            where = "/".join(map(str, (*place, y, x)))
            start = f"{level}/" if plan.version == "0.4" else f"{level}/c/"
            self._write(start + where, _encoded(chunk, plan))

    def _write(self, path: str, data: bytes) -> None:
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _encoded(chunk: NDArray[Any], plan: Plan) -> bytes:
    import imagecodecs

    data, level = chunk.tobytes(), _LEVELS.get(plan.compression or "", 0)
    if plan.compression == "blosc":
        size = plan.dtype.itemsize
        return bytes(
            imagecodecs.blosc_encode(
                data, level, compressor="zstd", shuffle=1, typesize=size, numthreads=1
            )
        )
    if plan.compression == "zstd":
        return bytes(imagecodecs.zstd_encode(data, level))
    if plan.compression == "gzip":
        return bytes(imagecodecs.gzip_encode(data, level))
    return data


def _array(plan: Plan, level: int) -> tuple[str, dict[str, Any]]:
    """Return the name and the content of the metadata of an array."""
    step = _LEVELS.get(plan.compression or "", 0)
    blosc = {"cname": "zstd", "clevel": step, "blocksize": 0}
    shape, chunks = plan.level_shape(level), plan.chunk_shape
    fill = [0.0, 0.0] if plan.dtype.kind == "c" else 0
    if plan.version == "0.4":
        codecs = {
            "blosc": {"id": "blosc", "shuffle": 1, **blosc},
            "zstd": {"id": "zstd", "level": step},
            "gzip": {"id": "gzip", "level": step},
        }
        return ".zarray", {
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunks,
            "dtype": plan.dtype.str,
            "fill_value": fill,
            "order": "C",
            "filters": None,
            "compressor": codecs.get(plan.compression or ""),
            "dimension_separator": "/",
        }
    settings = {
        "blosc": {"shuffle": "shuffle", "typesize": plan.dtype.itemsize, **blosc},
        "zstd": {"level": step, "checksum": False},
        "gzip": {"level": step},
    }
    one = plan.dtype.itemsize == 1
    codecs_3: list[dict[str, Any]] = [
        {"name": "bytes"} if one else {"name": "bytes", "configuration": {"endian": "little"}}
    ]
    if plan.compression:
        codecs_3.append({"name": plan.compression, "configuration": settings[plan.compression]})
    return "zarr.json", {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": plan.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs_3,
        "attributes": {},
        "dimension_names": list(plan.axes.lower()),
    }


def _multiscale(plan: Plan, name: str, pixel_size: Mapping[str, float]) -> dict[str, Any]:
    axes: list[dict[str, str]] = []
    for axis in plan.axes:
        said = {"name": axis.lower(), "type": _KINDS.get(axis, "space")}
        axes.append(said | ({"unit": "micrometer"} if axis in pixel_size else {}))
    how = "the first of 2 × 2 pixels" if plan.labels else "the mean of 2 × 2 pixels"
    return {
        "name": name,
        "axes": axes,
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": _transformations(plan, level, pixel_size),
            }
            for level in range(len(plan.levels))
        ],
        "type": "nearest" if plan.labels else "mean",
        "metadata": {"description": f"each level is half the one before: {how}"},
    }


def _transformations(
    plan: Plan, level: int, pixel_size: Mapping[str, float]
) -> list[dict[str, Any]]:
    factors = [1 << level if axis in "YX" else 1 for axis in plan.axes]
    sizes = [float(pixel_size.get(axis, 1.0)) for axis in plan.axes]
    found: list[dict[str, Any]] = [
        {"type": "scale", "scale": [f * s for f, s in zip(factors, sizes, strict=True)]}
    ]
    if level and not plan.labels:
        # The centre of a mean lies between the pixels.
        moved = [(f - 1) / 2 * s for f, s in zip(factors, sizes, strict=True)]
        found.append({"type": "translation", "translation": moved})
    return found


def _json(said: Any) -> bytes:
    return json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _sync(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        for name in [*names, ""]:
            descriptor = os.open(f"{place}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
