"""Single cells out of a field of view: the box around a label, its pixels, its masks."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.cells.boxes import Box, label_boxes
from cellbank.images.image import Image
from cellbank.model.errors import BadImage, BadInput, NotFound

KEPT_BYTES: Final = 128 << 20
"""So much of a field's segmentations is kept in memory, unless told, in small types."""
_TOGETHER: Final = 16 << 20
"""So much of a segmentation is read at once."""
AXES: Final = "ZYX"


class Crop(msgspec.Struct, frozen=True, eq=False):
    """One cell of a field of view.

    `image` is (C, Z, Y, X), its channels are named by `channels`; masks are (Z, Y, X) of bool.
    `box` says where in the field it lies: a slice for each of Z, Y and X. `pixel_size` is in µm.
    """

    field: str
    """The id of the field of view."""
    label: int
    box: dict[str, slice]
    channels: tuple[str, ...]
    image: NDArray[Any]
    cell: NDArray[np.bool_]
    nucleus: NDArray[np.bool_] | None = None
    """None where the field has no segmentation of nuclei; nowhere true where the cell has none."""
    structure: NDArray[np.bool_] | None = None
    """Of the whole box: what of it is in the cell is `structure & cell`."""
    pixel_size: dict[str, float] | None = None

    def __repr__(self) -> str:
        where = ", ".join(f"{axis} {at.start}:{at.stop}" for axis, at in self.box.items())
        shown = ", ".join(self.channels)
        return f"<Crop of cell {self.label} in {self.field}: {where}; {shown}>"


class Cutter:
    """Cuts cells out of one field of view.

    Invariant: the image is read in boxes only; segmentations are kept as long as they fit in
    `kept_bytes`, and else read in boxes, too.

    Parameters
    ----------
    image
        Of the field.
    segmentations
        `cell`, and perhaps `nuclei` and `structure`: of the same Z, Y, X.
    where
        The field's id.
    kept_bytes
        So much of its segmentations is kept in memory between two crops; default: `KEPT_BYTES`.
    """

    def __init__(
        self,
        image: Image,
        segmentations: Mapping[str, Image],
        where: str,
        *,
        kept_bytes: int | None = None,
    ) -> None:
        self._kept_bytes = KEPT_BYTES if kept_bytes is None else kept_bytes
        self._image = image
        self._segmentations = segmentations
        self._where = where
        self._kept: dict[str, NDArray[Any]] = {}

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """The box of each cell, by its label, sorted."""
        return label_boxes(_planes(self._segmentations["cell"], self._where))

    def cut(
        self,
        label: int,
        margin: int | Mapping[str, int],
        channels: Sequence[int] | None,
        *,
        masked: bool,
    ) -> Crop:
        """Return a cell; parameters are those of `Record.crop`, channels by number."""
        box = _widened(self._box(label), _margins(margin), self._size)
        names = dict(zip(AXES, box, strict=True))
        cell = self._labels("cell", box) == label
        image = self._read(channels, names)
        if masked:
            image[:, ~cell] = 0
        nuclei, structure = self._labels("nuclei", box), self._labels("structure", box)
        numbers = self._numbers(channels)
        return Crop(
            self._where,
            label,
            names,
            tuple(self._image.channels[number].title for number in numbers),
            image,
            cell,
            None if nuclei is None else nuclei == label,
            None if structure is None else structure != 0,
            self._image.pixel_size,
        )

    @property
    def _size(self) -> tuple[int, ...]:
        return tuple(self._image.sizes.get(axis, 1) for axis in AXES)

    def _box(self, label: Any) -> Box:
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            raise BadInput(f"{label!r:.60} is no label", "Labels are whole numbers above 0.")
        if label == 0:
            raise BadInput("the label 0 is the background", f"Cells: {_some(self.boxes)}")
        if label not in self.boxes:
            near = sorted(sorted(self.boxes, key=lambda other: abs(other - label))[:3])
            advice = f"Near it: {', '.join(map(str, near))}. Cells: {_some(self.boxes)}"
            raise NotFound(f"{self._where} has no cell {label}", advice if near else "It has none.")
        return self.boxes[int(label)]

    def _numbers(self, channels: Sequence[int] | None) -> list[int]:
        return [c.index for c in self._image.used] if channels is None else list(channels)

    def _read(self, channels: Sequence[int] | None, box: Mapping[str, Any]) -> NDArray[Any]:
        return self._image.read(axes=f"C{AXES}", T=0, C=self._numbers(channels), **box)

    def _labels(self, name: str, box: Box) -> Any:
        """Return a segmentation in a box, or None where the field has none."""
        if name not in self._segmentations:
            return None
        if name not in self._kept and not self._keep(name):
            where: dict[str, Any] = dict(zip(AXES, box, strict=True))
            return self._segmentations[name].read(axes=AXES, T=0, C=0, **where)
        return self._kept[name][box]

    def _keep(self, name: str) -> bool:
        """Keep a segmentation in memory if there is room, in the smallest type that holds it."""
        room = self._kept_bytes - sum(kept.nbytes for kept in self._kept.values())
        pixels = int(np.prod(self._size))
        highest = 1 if name == "structure" else max(self.boxes, default=0)
        small = np.min_scalar_type(highest)
        if pixels * small.itemsize > room:
            return False
        kept = np.empty(self._size, small)
        for z, plane in enumerate(_planes(self._segmentations[name], self._where)):
            kept[z] = plane != 0 if name == "structure" else _within(plane, highest)
        self._kept[name] = kept
        return True


def _planes(image: Image, where: str) -> Iterator[NDArray[Any]]:
    """Yield the planes of a segmentation, a few read together."""
    if image.dtype.kind not in "ui":
        raise BadImage(f"a segmentation of {where}", f"has {image.dtype}, not whole numbers")
    depth, height, width = (image.sizes.get(axis, 1) for axis in AXES)
    step = max(1, _TOGETHER // max(1, height * width * image.dtype.itemsize))
    for start in range(0, depth, step):
        yield from image.read(axes=AXES, T=0, C=0, Z=slice(start, min(start + step, depth)))


def _within(plane: NDArray[Any], highest: int) -> NDArray[Any]:
    """Return labels without those above: a nucleus without a cell may not fit in the type."""
    return np.where((plane < 0) | (plane > highest), 0, plane)


def _margins(margin: Any) -> tuple[int, ...]:
    said = dict(margin) if isinstance(margin, Mapping) else dict.fromkeys(AXES, margin)
    if not said.keys() <= set(AXES) or not all(map(_is_margin, said.values())):
        advice = 'Give a whole number from 0, or some by axis: {"Y": 8, "X": 8}.'
        raise BadInput(f"{margin!r:.60} is no margin", advice)
    return tuple(int(said.get(axis, 0)) for axis in AXES)


def _is_margin(number: Any) -> bool:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        return False
    return int(number) >= 0


def _widened(box: Box, margins: Sequence[int], size: Sequence[int]) -> Box:
    return tuple(
        slice(max(0, at.start - more), min(end, at.stop + more))
        for at, more, end in zip(box, margins, size, strict=True)
    )


def _some(labels: Mapping[int, Box]) -> str:
    shown = [str(label) for label in labels]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "…", *shown[-2:]])
