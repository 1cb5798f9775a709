"""Images of other formats become OME-TIFF: exactly the same pixels, and axes that were said."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.header import Header, planes_of, read_header
from cellbank.images.ometiff import write_ome_tiff
from cellbank.images.planes import read_planes
from cellbank.images.source import opened
from cellbank.model.errors import BadImage

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Conversion(msgspec.Struct, frozen=True):
    """What becomes one OME-TIFF."""

    files: tuple[str, ...]
    """One file, or one a channel (each YX, or with Z or T before)."""
    channels: tuple[str | None, ...] = ()
    """Names in the order of C, or of the files; empty: what the file says."""
    axes: str = ""
    """Needed where a file does not name its axes: such as `ZYX`."""
    pixel_size: dict[str, float] = {}
    """µm by axis; goes before what the file says."""


class Stack(msgspec.Struct, frozen=True):
    """An image that can be read plane by plane, whatever its format."""

    path: str
    header: Header
    planes: Callable[[], Iterator[NDArray[Any]]]


def convert(conversion: Conversion, file: BinaryIO) -> Header:
    """Write files as one OME-TIFF with the same pixels, one plane (a channel) in memory.

    Types stay as they are; only pixels of one bit become uint8.

    Parameters
    ----------
    conversion
        The files, and what they do not say themselves.
    file
        Seekable and open for writing; written from its beginning.

    Returns
    -------
    Header
        That of the new file.

    Raises
    ------
    BadImage
        A file is damaged, holds several images or does not fit the others; axes are missing;
        or OME-TIFF has no such pixels.
    """
    if not conversion.files:
        raise BadImage("the conversion", "it names no file")
    stacks = [_plain(_named(_open(path), conversion.axes)) for path in conversion.files]
    stack = stacks[0] if len(stacks) == 1 else _merged(stacks)
    header = stack.header
    channels = conversion.channels or header.channels
    pixel_size = header.pixel_size | conversion.pixel_size
    write_ome_tiff(
        file,
        stack.planes(),
        axes=header.axes,
        shape=header.shape,
        dtype=header.dtype,
        channels=channels,
        pixel_size=pixel_size,
    )
    return _squeezed(header, tuple(channels), pixel_size)


def _open(path: str) -> Stack:
    with opened(path) as window:
        is_tiff = window.at(0, min(4, window.size)) in _TIFF
    if not is_tiff:
        from cellbank.images.vendor_pixels import open_vendor

        header, planes = open_vendor(path)
        return Stack(path, header, planes)
    header = read_header(path)
    if header.images > 1:
        raise BadImage(
            path, f"it holds {header.images} images", "Save each of them as a file of its own."
        )
    return Stack(path, header, lambda: read_planes(path))


def _named(stack: Stack, declared: str) -> Stack:
    """Give unnamed axes the names that were declared for them."""
    header, path = stack.header, stack.path
    known = set(header.axes) <= set("TCZYXS")
    if not declared:
        if known:
            return stack
        guess = "ZYX" if len(header.axes) == 3 else "ZCYX"
        raise BadImage(
            path,
            f"it does not name its axes, its shape is {header.shape}",
            f"Say what they are in the recipe, such as `axes: {guess}`: they are never guessed.",
        )
    if "S" in header.axes and "S" not in declared:
        last = header.axes.endswith("S")
        declared = declared.replace("YX", "YXS" if last else "SYX")
    if known:
        # An axis of length 1 may be declared; files leave it out.
        declared = "".join(axis for axis in declared if axis in header.axes)
    fits = len(declared) == len(header.axes) and len(set(declared)) == len(declared)
    fits = fits and all(
        said in {axis, *"QI"} for said, axis in zip(header.axes, declared, strict=False)
    )
    if not fits:
        raise BadImage(
            path,
            f"the axes {declared} do not fit it: it is {header.axes} {header.shape}",
            "Mend `axes` in the recipe.",
        )
    return _replaced(stack, axes=declared)


def _plain(stack: Stack) -> Stack:
    """Bring an image into the form in which OME-TIFF is written: samples last, whole bytes."""
    if stack.header.dtype == "bool":
        bits, made = stack.planes, _replaced(stack, dtype="uint8")
        stack = Stack(stack.path, made.header, lambda: (p.astype(np.uint8) for p in bits()))
    header, planes = stack.header, stack.planes
    if not header.axes.endswith("SYX"):
        return stack
    axes = header.axes.replace("SYX", "YXS")
    samples, height, width = header.shape[-3:]
    made = _replaced(stack, axes=axes, shape=(*header.shape[:-3], height, width, samples))
    return Stack(stack.path, made.header, lambda: _interleaved(planes(), samples))


def _interleaved(planes: Iterator[NDArray[Any]], samples: int) -> Iterator[NDArray[Any]]:
    for first in planes:
        yield np.stack([first, *(next(planes) for _ in range(samples - 1))], axis=-1)


def _merged(stacks: list[Stack]) -> Stack:
    """Put images of one channel each together."""
    first = stacks[0]
    if set(first.header.axes) & set("CS"):
        raise BadImage(first.path, f"one channel of several has the axes {first.header.axes}")
    for other in stacks[1:]:
        for what in ("axes", "shape", "dtype"):
            ours, theirs = getattr(first.header, what), getattr(other.header, what)
            if ours != theirs:
                reason = f"{what} {theirs}, but {first.path} has {what} {ours}"
                raise BadImage(other.path, reason)
    header = first.header
    names = tuple(name for s in stacks for name in (s.header.channels or (None,)))
    made = msgspec.structs.replace(
        header,
        axes=header.axes.replace("YX", "CYX"),
        shape=(*header.shape[:-2], len(stacks), *header.shape[-2:]),
        channels=names if any(names) else (),
    )
    return Stack(
        first.path,
        made,
        lambda: (p for all_ in zip(*(s.planes() for s in stacks), strict=True) for p in all_),
    )


def _replaced(stack: Stack, **values: Any) -> Stack:
    return Stack(stack.path, msgspec.structs.replace(stack.header, **values), stack.planes)


def _squeezed(
    header: Header, channels: tuple[str | None, ...], pixel_size: dict[str, float]
) -> Header:
    """Return the header as it is read from what was written."""
    kept = [(a, n) for a, n in header.sizes.items() if n > 1 or a in "YX"]
    axes, shape = "".join(a for a, _ in kept), tuple(n for _, n in kept)
    count = header.sizes.get("C", 1)
    return Header(
        format="ome-tiff",
        axes=axes,
        shape=shape,
        dtype=header.dtype,
        channels=channels or (None,) * count,
        pixel_size={axis: pixel_size[axis] for axis in "ZYX" if axis in pixel_size},
        planes=planes_of(axes, shape),
    )
