"""OME-Zarr as pixels: an image in a folder of chunks, on a disk or in a package.

Zarr itself is not needed: reading a plane this way takes a fraction of the time, and no chunk can
ask for more memory than its shape.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images import ngff
from cellbank.images.channel import Channel
from cellbank.images.directory import MAX_SIDE
from cellbank.images.header import Header, planes_of
from cellbank.images.ome import Ome, ome_of
from cellbank.images.omexml import MAX_PLANES
from cellbank.images.pixels import MAX_PLANE, Pixels, allocated
from cellbank.images.source import translated
from cellbank.images.xmltree import MAX_XML, InvalidOme, read_tree
from cellbank.images.zarr_array import Array
from cellbank.images.zarr_files import Node, files_of
from cellbank.images.zarr_groups import Group, chosen_of, find, labels_of, listed
from cellbank.model.errors import BadImage

BUFFER: Final = 64 << 20
"""Bytes of planes that are read together, so that no chunk is decoded twice."""
MAX_CHUNKS: Final = 1 << 18
"""Chunks of one plane."""
_XML: Final = "OME/METADATA.ome.xml"


class ZarrPixels(Pixels):
    """An image of an OME-Zarr folder.

    Invariant: opened, it has read metadata only; a plane reads no chunk that does not overlap it.

    Parameters
    ----------
    source
        The folder, or a group of a package.
    scene
        The number or the name of an image: its path in the folder, such as `E/6/0` of a plate. Also
        the path of one that is not listed, such as `labels/nuclei`.
    name
        For messages, where the source has no path.
    """

    def __init__(
        self, source: str | os.PathLike[str] | Node, scene: int | str = 0, *, name: str = ""
    ) -> None:
        self._source = source
        self._files = files_of(source, name)
        self.name = self._files.name
        with translated(self.name):
            root = Group.read(self._files, "")
            self.scenes = root.scenes()
            chosen = chosen_of(self.scenes, scene, self.name)
            group, number = find(root, self.scenes, chosen)
            images = ngff.multiscales_of(group.metadata, self.name)
            if not 0 <= number < len(images):
                raise BadImage(self.name, f"it has no image {chosen}", listed(self.scenes, root))
            self._open(group, ngff.parse_multiscale(images[number], self.name), chosen)

    def _open(self, group: Group, said: ngff.Multiscale, scene: str) -> None:
        start = f"{group.path}/" if group.path else ""
        self._arrays = [Array(self._files, f"{start}{p}", group.zarr_format) for p in said.paths]
        self._check(said)
        first, letters = self._arrays[0].layout, said.letters
        self._across = y, x = letters.index("Y"), letters.index("X")
        self.levels = tuple((a.layout.shape[y], a.layout.shape[x]) for a in self._arrays)
        # An axis of length 1 says nothing; TIFF's are left out as well.
        leading = [n for n, a in enumerate(letters) if a not in "YX" and first.shape[n] > 1]
        self._leading = tuple(leading)
        axes = f"{''.join(letters[n] for n in leading)}YX"
        shape = tuple(first.shape[n] for n in (*leading, y, x))
        if planes_of(axes, shape) > MAX_PLANES or max(shape[-2:]) > MAX_SIDE:
            raise BadImage(self.name, f"its shape is {first.shape}, which is too large")
        count = first.shape[letters.index("C")] if "C" in letters else 1
        channels, note = ngff.channels_of(group.metadata, count)
        notes = [note] if note else []
        self._ome: Ome | None = None
        self.channels = self._with_ome(channels, scene, notes)
        self._labels = labels_of(group)
        self.header = Header(
            format=f"ome-zarr {ngff.version_of(group.metadata, group.zarr_format)}",
            axes=axes,
            shape=shape,
            dtype=first.dtype.name,
            channels=tuple(channel.name for channel in self.channels),
            pixel_size=said.pixel_size,
            planes=planes_of(axes, shape),
            compressed=bool(first.codecs),
            big_endian=first.dtype.newbyteorder("=") != first.dtype,
            images=len(self.scenes),
            notes=tuple(notes),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Paths of its label images; each can be opened as a scene."""
        return self._labels

    def unlisted(self, name: str) -> "ZarrPixels":
        """Return the image at a path in the folder, such as `labels/nuclei`."""
        return ZarrPixels(self._source, name, name=self.name)

    @property
    def ome(self) -> Ome | None:
        """What OME-XML says, if it lies beside the images."""
        return self._ome

    def planes(
        self, numbers: Sequence[int], rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        """Yield planes; each chunk is decoded once for neighbours that fit into 64 MB together."""
        shape = self.sample_shape(rows, columns)
        size = int(np.prod(shape, dtype=object)) * self.dtype.itemsize
        if size > MAX_PLANE:
            raise BadImage(self.name, f"a plane of {size} bytes is too large to be read whole")
        for batch in self._batches(numbers, level, max(1, BUFFER // max(1, size))):
            buffer = allocated((len(batch), *shape), self.dtype, self.name)
            self.fill(buffer, batch, rows, columns, level)
            yield from buffer

    def fill(
        self,
        out: NDArray[Any],
        numbers: Sequence[int],
        rows: slice,
        columns: slice,
        level: int = 0,
    ) -> None:
        """Read planes into `out`; each chunk is decoded once."""
        with translated(self.name):
            array = self._arrays[level]
            places = [self._place(number, level) for number in numbers]
            by_chunk: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
            chunks = array.layout.chunks
            for slot, place in enumerate(places):
                key = tuple(p // n for p, n in zip(place, chunks, strict=True))
                by_chunk.setdefault(key, []).append((slot, place))
            for key, members in by_chunk.items():
                self._fill(out, array, key, members, (rows, columns))

    def _fill(
        self,
        out: NDArray[Any],
        array: Array,
        key: tuple[int, ...],
        members: Sequence[tuple[int, tuple[int, ...]]],
        region: tuple[slice, slice],
    ) -> None:
        """Read the planes that lie in the same chunks."""
        y, x = self._across
        chunks, fill = array.layout.chunks, array.layout.fill
        down, across = (
            range(r.start // chunks[n], -(-r.stop // chunks[n]))
            for r, n in zip(region, (y, x), strict=True)
        )
        if len(down) * len(across) > MAX_CHUNKS:
            raise BadImage(self.name, f"a plane of {len(down) * len(across)} chunks is too large")
        for row, column in itertools.product(down, across):
            place = list(key)
            place[y], place[x] = row, column
            chunk = array.chunk(tuple(place))
            (into_y, from_y), (into_x, from_x) = (
                _overlap(r, part, chunks[n])
                for r, part, n in zip(region, (row, column), (y, x), strict=True)
            )
            for slot, inside_ in members:
                if chunk is None:
                    out[slot, into_y, into_x] = fill
                    continue
                which: list[Any] = [p % n for p, n in zip(inside_, chunks, strict=True)]
                which[y], which[x] = from_y, from_x
                found = chunk[tuple(which)]
                out[slot, into_y, into_x] = found if y < x else found.T

    def _place(self, number: int, level: int) -> tuple[int, ...]:
        """Return where a plane lies in the array of a level; 0 for Y and X.

        A level may have fewer planes than the first: it gives the one that covers the same place.
        """
        full, own = self._arrays[0].layout.shape, self._arrays[level].layout.shape
        place = [0] * len(own)
        for axis in reversed(self._leading):
            number, at = divmod(number, full[axis])
            place[axis] = at * own[axis] // full[axis]
        if number:
            raise BadImage(self.name, f"it has {self.header.planes} planes")
        return tuple(place)

    def _batches(self, numbers: Sequence[int], level: int, most: int) -> Iterator[Sequence[int]]:
        """Cut `numbers` where no chunk lies on both sides, or else where memory ends."""
        chunks = self._arrays[level].layout.chunks
        if all(chunks[axis] == 1 for axis in self._leading):
            yield from ([number] for number in numbers)
            return
        at = 0
        while at < len(numbers):
            window = numbers[at : at + most]
            keys = [
                tuple(p // n for p, n in zip(self._place(number, level), chunks, strict=True))
                for number in window
            ]
            last = {key: n for n, key in enumerate(keys)}
            end = 0
            for n, key in enumerate(keys):
                if n > end:
                    break
                end = max(end, last[key])
            yield window[: end + 1]
            at += end + 1

    def _check(self, said: ngff.Multiscale) -> None:
        first = self._arrays[0].layout
        for path, array in zip(said.paths, self._arrays, strict=True):
            layout = array.layout
            if len(layout.shape) != len(said.axes):
                reason = f"{path} has {len(layout.shape)} axes, its metadata name {len(said.axes)}"
                raise BadImage(self.name, reason)
            if layout.dtype.newbyteorder("=") != first.dtype.newbyteorder("="):
                reason = f"{path} has {layout.dtype.name} pixels, others have {first.dtype.name}"
                raise BadImage(self.name, reason)

    def _with_ome(
        self, channels: tuple[Channel, ...], scene: str, notes: list[str]
    ) -> tuple[Channel, ...]:
        """Read the OME-XML beside the images, and take from it what the other metadata lack."""
        try:
            data = self._files.read(_XML, MAX_XML)
            if data is None:
                return channels
            root, found = read_tree(data, self.name)
            self._ome = ome_of(root, data.decode(errors="replace"))
            notes += found
        except (BadImage, InvalidOme) as error:
            notes.append(f"its OME-XML is not read: {error}")
            return channels
        number = self.scenes.index(scene) if scene in self.scenes else -1
        if not 0 <= number < len(self._ome.images):
            return channels
        image = self._ome.images[number]
        self.acquired = image.acquired
        if len(image.channels) != len(channels):
            return channels
        return tuple(map(_completed, channels, image.channels))


def _completed(channel: Channel, other: Channel) -> Channel:
    """Return a channel with what another knows and it does not."""
    more = {
        key: getattr(other, key)
        for key in ("name", "color", "wavelength", "excitation", "fluor")
        if getattr(channel, key) is None
    }
    return msgspec.structs.replace(channel, **more)


def _overlap(region: slice, part: int, length: int) -> tuple[slice, slice]:
    """Return where a chunk goes in a region, and what of it."""
    start = max(region.start, part * length)
    stop = min(region.stop, (part + 1) * length)
    into = slice(start - region.start, stop - region.start)
    return into, slice(start - part * length, stop - part * length)
