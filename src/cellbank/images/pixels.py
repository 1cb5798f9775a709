"""Where the pixels of one image come from, whatever the format: its header, and its planes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.header import Header
from cellbank.images.ome import Ome
from cellbank.model.errors import BadInput

MAX_RATIO = 10_000
"""A file that declares more pixels a byte than this, and many, is a bomb."""
ALWAYS_ALLOWED = 256 << 20

MAX_PLANE = 1 << 31
"""Bytes of what is decoded at once."""

UNNAMED = "QIJKLMNO"
"""What axes are called that a file does not name; from the last to the first."""


class Pixels(ABC):
    """One image of a file: what it says of itself, and its planes.

    Invariant: a plane is YX, or YXS where the header's axes end so; planes are numbered in C order
    over the axes before. What is wrong with the content is a `BadImage`, whatever library reads it.
    """

    name: str
    """For messages."""
    header: Header
    """Axes `T`, `C`, `Z` in any order, each once, then `YX` or `YXS`; unnamed: `UNNAMED`."""
    levels: tuple[tuple[int, int], ...]
    """Height and width of the full size, then of smaller versions."""
    channels: tuple[Channel, ...]
    """At least one."""
    scenes: tuple[str, ...]
    """Names of all images in the file; this is one of them."""
    acquired: datetime | None = None
    side_by_side: bool = False
    """Whether several threads read faster than one: from a disk, not from afar."""

    @property
    def ome(self) -> Ome | None:
        """What OME-XML says, if there is any."""
        return None

    @abstractmethod
    def planes(
        self, numbers: Sequence[int], rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        """Yield planes, one after the other, in this machine's byte order.

        Parameters
        ----------
        numbers
            Of the planes, within the header's.
        rows
            Of a region with step 1, inside the level's height. Nothing else is read.
        columns
            The same, inside the level's width.
        level
            Which of `levels`.

        Returns
        -------
        Iterator[NDArray[Any]]
            (rows, columns) or (rows, columns, samples) each.
        """

    def plane(self, number: int, rows: slice, columns: slice, level: int = 0) -> NDArray[Any]:
        """Return one plane, or a region of it."""
        return next(iter(self.planes([number], rows, columns, level)))

    def fill(
        self,
        out: NDArray[Any],
        numbers: Sequence[int],
        rows: slice,
        columns: slice,
        level: int = 0,
    ) -> None:
        """Read planes into `out`, (numbers, rows, columns[, samples])."""
        for place, plane in zip(out, self.planes(numbers, rows, columns, level), strict=True):
            place[...] = plane

    def sample_shape(self, rows: slice, columns: slice) -> tuple[int, ...]:
        """Return the shape of a region of a plane."""
        header = self.header
        last = (header.shape[-1],) if header.axes.endswith("S") else ()
        return (rows.stop - rows.start, columns.stop - columns.start, *last)

    def unlisted(self, name: str) -> "Pixels | None":
        """Return an image beside `scenes`, such as labels; None where a format has none such."""
        del name
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels, in this machine's byte order."""
        return np.dtype(self.header.dtype)


def allocated(
    shape: tuple[int, ...], dtype: Any, name: str, *, zeroed: bool = False
) -> NDArray[Any]:
    """Return an empty array; raises `BadInput` where it does not fit in memory."""
    try:
        return np.zeros(shape, dtype) if zeroed else np.empty(shape, dtype)
    except (MemoryError, ValueError):
        raise too_large(name, math.prod(shape) * np.dtype(dtype).itemsize) from None


def too_large(name: str, length: int) -> BadInput:
    """Return the error of an array of so many bytes that does not fit in memory."""
    return BadInput(
        f"{name}: {length / 1e9:.1f} GB do not fit in memory",
        "Read a part of it, or lazily: image.dask().",
    )
