"""How an image looks as an item of a data set: channels chosen, Z folded away, cut to one size."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.cells.crops import Cutter
from cellbank.cells.one_record import SEGMENTATIONS, Record
from cellbank.images.image import Image
from cellbank.model.errors import BadInput
from cellbank.model.names import near

Item = dict[str, Any]
PROJECTIONS: Final = ("max", "mean", "sum", "min")


class Look(msgspec.Struct, frozen=True):
    """What is made of the image of a record, or of a cell; fields are those of `dataset`."""

    channels: tuple[str | int, ...] | None = None
    project: str | float | None = "max"
    Z: Any = None
    size: tuple[int, ...] = ()
    dtype: str | None = "float32"
    segmentations: tuple[str, ...] = ()
    margin: Any = 0
    masked: bool = False

    def check(self, *, crops: bool, group: str) -> None:
        """Check that all of it can be; raises `BadInput`."""
        if isinstance(self.project, str) and self.project not in PROJECTIONS:
            raise _none_of("projection", self.project, PROJECTIONS)
        if isinstance(self.project, int | float) and not 0 <= self.project <= 100:
            raise BadInput(f"{self.project} is no percentile", "Give a number from 0 to 100.")
        longest = 2 if self.project is not None or isinstance(self.Z, int) else 3
        if self.size and (
            len(self.size) not in (2, longest) or not all(map(_is_length, self.size))
        ):
            axes = "(Y, X)" if longest == 2 else "(Y, X) or (Z, Y, X)"
            raise BadInput(f"{self.size!r:.60} is no size", f"Give the lengths of {axes}.")
        for name in self.segmentations:
            if name not in SEGMENTATIONS:
                raise _none_of("segmentation", name, list(SEGMENTATIONS))
        if self.segmentations and (crops or group != "fovs"):
            advice = "Crops have their masks." if crops else "Ask for kind='fovs'."
            raise BadInput("segmentations come with fields of view", advice)
        if crops and (group != "fovs" or self.Z is not None):
            what = "Z is chosen of fields" if group == "fovs" else f"{group} have no cells"
            raise BadInput(what, "Leave `Z` out of crops, and ask for kind='fovs'.")
        try:
            np.dtype(self.dtype)
        except TypeError:
            raise BadInput(f"{self.dtype!r:.60} is no type of pixels", "Say float32.") from None

    # --- of a record

    def of_record(self, record: Record) -> Item:
        """Return the image of a record, (C, Y, X) or (C, Z, Y, X), and labels without C."""
        image = record.image
        item = {"image": self._sized(self._typed(self._read(image, self._numbers(record))))}
        if self.segmentations:
            found = record.segmentation_images()
            for name in self.segmentations:
                if name not in found:
                    has = f"It has: {', '.join(found) or 'none'}."
                    raise BadInput(f"{record.id} has no segmentation of {name} here", has)
                item[name] = self._sized(self._labels(found[name]))
        return item

    def _numbers(self, record: Record) -> list[int]:
        if self.channels is None:
            return [channel.index for channel in record.image.used]
        return [record.channel(name).index for name in self.channels]

    def _read(self, image: Image, numbers: Sequence[int]) -> NDArray[Any]:
        if self.project is None or isinstance(self.Z, int) or "Z" not in image.axes:
            axes = "CYX" if self._is_flat(image) else "CZYX"
            depth = (
                {"Z": 0 if "Z" not in image.axes else self.Z} if axes == "CYX" else {"Z": self.Z}
            )
            return image.read(axes=axes, T=0, C=[*numbers], **depth)
        planes = [image.project(self.project, "Z", T=0, C=number, Z=self.Z) for number in numbers]
        return np.stack(planes)

    def _is_flat(self, image: Image) -> bool:
        return isinstance(self.Z, int) or (self.project is not None and "Z" not in image.axes)

    def _labels(self, image: Image) -> NDArray[Any]:
        if isinstance(self.Z, int):
            return image.read(axes="YX", T=0, C=0, Z=self.Z).astype(np.int32)
        labels = image.read(axes="ZYX", T=0, C=0, Z=self.Z if "Z" in image.axes else None)
        # A label is seen where it is in any plane.
        return (labels if self.project is None else labels.max(axis=0)).astype(np.int32)

    # --- of a cell

    def of_cell(self, record: Record, cutter: Cutter, label: int) -> Item:
        """Return the image of a cell, as that of a record, and its masks."""
        numbers = None if self.channels is None else self._numbers(record)
        crop = cutter.cut(label, self.margin, numbers, masked=self.masked)
        item = {"label": label, "image": self._sized(self._typed(self._folded(crop.image)))}
        masks = {"cell": crop.cell, "nucleus": crop.nucleus, "structure": crop.structure}
        for name, mask in masks.items():
            if mask is not None:
                seen = mask if self.project is None else np.any(mask, axis=0, keepdims=True)[0]
                item[name] = self._sized(seen)
        return item

    def _folded(self, image: NDArray[Any]) -> NDArray[Any]:
        if self.project is None:
            return image
        if isinstance(self.project, str):
            wide: dict[str, Any] = {"dtype": np.float64} if self.project in ("mean", "sum") else {}
            return np.asarray(getattr(np, self.project)(image, axis=1, **wide))
        return np.asarray(np.percentile(image, self.project, axis=1))

    # --- of both

    def _typed(self, image: NDArray[Any]) -> NDArray[Any]:
        return image if self.dtype is None else image.astype(self.dtype, copy=False)

    def _sized(self, image: NDArray[Any]) -> NDArray[Any]:
        return fitted(image, self.size)


def fitted(image: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Return an image whose last axes have these lengths: cut around the middle, filled with 0."""
    if not size or image.shape[-len(size) :] == tuple(size):
        return image
    made = np.zeros((*image.shape[: -len(size)], *size), image.dtype)
    places = [_overlap(old, new) for old, new in zip(image.shape[-len(size) :], size, strict=True)]
    from_, to = ((..., *sides) for sides in zip(*places, strict=True))
    made[to] = image[from_]
    return made


def _overlap(old: int, new: int) -> tuple[slice, slice]:
    """Return what of an axis is taken, and where it is put."""
    length = min(old, new)
    start, target = (old - length) // 2, (new - length) // 2
    return slice(start, start + length), slice(target, target + length)


def _is_length(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def _none_of(what: str, name: str, known: Sequence[str]) -> BadInput:
    close = near(str(name), known)
    advice = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
    return BadInput(f"there is no {what} {name!r:.60}", advice)


def look_of(given: Mapping[str, Any]) -> Look:
    """Return a look from arguments as people give them: lists, or one channel alone."""
    channels = given["channels"]
    if isinstance(channels, str | int):
        channels = (channels,)
    names = given["segmentations"]
    size = given["size"] or ()
    return Look(
        None if channels is None else tuple(channels),
        given["project"],
        given["Z"],
        tuple(size) if isinstance(size, Sequence) else (size,),
        given["dtype"],
        (names,) if isinstance(names, str) else tuple(names),
        given["margin"],
        bool(given["masked"]),
    )
