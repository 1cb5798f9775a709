"""Projections: an axis folded away plane by plane, in memory for the result and a few planes."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cellbank.images.pixels import Pixels, allocated
from cellbank.images.reading import plane_numbers, region
from cellbank.images.selecting import Axis, Selection
from cellbank.model.errors import BadInput

How = str | float
THREADS: Final = 2
"""Reading waits for memory as much as adding does: more than two hardly help."""
_LONG: Final = 32 << 20
"""Bytes below which one thread is done before another has started."""
BUFFER: Final = 48 << 20
"""Bytes of a stack of rows whose percentiles are taken at once."""


_MANY: Final = 1 << 15
"""Fewer planes of 16 bits add up to no more than 31."""


class Fold(NamedTuple):
    """How planes are folded: what comes of the first, and how another is added."""

    dtype: Callable[[np.dtype[Any]], Any]
    add: Callable[..., Any]


_FOLDS: Final = {
    "max": Fold(lambda dtype: dtype, np.maximum),
    "min": Fold(lambda dtype: dtype, np.minimum),
    "sum": Fold(lambda dtype: np.add.reduce(np.zeros(1, dtype)).dtype, np.add),
    "mean": Fold(lambda dtype: np.mean(np.zeros(1, dtype)).dtype, np.add),
}


def project(
    pixels: Pixels, selection: Selection, over: str, how: How, level: int = 0
) -> NDArray[Any]:
    """Fold axes away.

    Parameters
    ----------
    pixels
        The image.
    selection
        What of it is wanted.
    over
        Which of the leading axes are folded; those that the file leaves out change nothing.
    how
        `max`, `min`, `mean`, `sum`, or a percentile from 0 to 100.
    level
        Which of the image's levels.

    Returns
    -------
    NDArray[Any]
        All axes in their order, those that are folded or dropped with length 1. Exactly what numpy
        gives for the whole array: same type, same values.

    Raises
    ------
    BadInput
        There is no such projection, or nothing is selected.
    """
    fold = _FOLDS.get(how) if isinstance(how, str) else None
    if fold is None and not (_is_number(how) and 0 <= float(how) <= 100):
        names = ", ".join(_FOLDS)
        raise BadInput(f"there is no projection {how!r}", f"Take {names}, or a percentile: 0-100.")
    if fold is None and pixels.dtype.kind == "c":
        raise BadInput(f"{pixels.name}: complex numbers have no percentiles", "Take the mean.")
    if not all(axis.places for axis in selection.all):
        raise BadInput(f"{pixels.name}: nothing of it is selected", "Select one plane at least.")
    one = {axis.name: Axis(axis.name, (0,), kept=True) for axis in selection.leading}
    outer = tuple(one[a.name] if a.name in over else a for a in selection.leading)
    inner = tuple(a if a.name in over else one[a.name] for a in selection.leading)
    folded = plane_numbers(pixels, inner)
    stacks = [[start + n for n in folded] for start in plane_numbers(pixels, outer)]
    rows, inner_rows = region(selection.y)
    columns, inner_columns = region(selection.x)
    job = _Job(pixels, stacks, level, rows, columns, (inner_rows, inner_columns))
    # Halves overflow, infinities make NaN: that is what the numbers are, and no news.
    with np.errstate(all="ignore"):
        found = job.percentile(float(how)) if fold is None else job.fold(fold, mean=how == "mean")
    found = found[:, job.inner[0]][:, :, job.inner[1]]
    return found.reshape(*(len(axis.places) for axis in outer), *found.shape[1:])


def _is_number(how: Any) -> bool:
    return isinstance(how, Real) and not isinstance(how, bool)


def _percentile(block: NDArray[Any], how: float) -> NDArray[Any]:
    """Take a percentile along the first axis, whose places are put in another order.

    numpy selects values one stack at a time; sorting whole numbers is several times faster, and
    then it need only go between two planes, at the very place that it would find itself.
    """
    if block.dtype.kind not in "iu":
        return np.asarray(np.percentile(block, how, axis=0))
    block.sort(axis=0)
    at = (len(block) - 1) * (how / 100)
    below = math.floor(at)
    return np.asarray(np.quantile(block[below : below + 2], at - below, axis=0))


class _Job(NamedTuple):
    pixels: Pixels
    stacks: list[list[int]]
    """For each plane of the result, the numbers of those that are folded into it."""
    level: int
    rows: slice
    columns: slice
    inner: tuple[slice | list[int], slice | list[int]]
    """Which of these rows and columns are wanted."""

    def fold(self, fold: Fold, *, mean: bool) -> NDArray[Any]:
        """Add plane after plane, in the order in which they lie in the file if that is asked."""
        pixels, rows, columns = self.pixels, self.rows, self.columns
        dtype = np.dtype(self._adding(fold, mean=mean))
        shape = (len(self.stacks), *pixels.sample_shape(rows, columns))
        made = allocated(shape, dtype, pixels.name)
        parts = self._parts(made[:1].nbytes)
        if len(parts) == 1:
            self._add(fold, made, parts[0])
        else:
            with ThreadPoolExecutor(len(parts)) as pool:
                for done in [pool.submit(self._add, fold, made, part) for part in parts]:
                    done.result()
        if mean:
            # As numpy does: in a larger type, if that is what the division makes.
            out = made if made.dtype.kind in "fc" else None
            made = np.true_divide(made, np.intp(len(self.stacks[0])), out=out, casting="unsafe")
        return made.astype(fold.dtype(pixels.dtype), copy=False)

    def _parts(self, plane_bytes: int) -> list[range]:
        """Return which planes of the result are made side by side."""
        count, depth = len(self.stacks), len(self.stacks[0])
        if not self.pixels.side_by_side or count * depth * plane_bytes < _LONG:
            return [range(count)]
        threads = min(THREADS, count, os.cpu_count() or 1)
        return [range(first, count, threads) for first in range(threads)]

    def _add(self, fold: Fold, made: NDArray[Any], part: range) -> None:
        """Fold the stacks of some planes of the result, each plane when it comes in the file."""
        jobs = [(number, place) for place in part for number in self.stacks[place]]
        if all(self.stacks[place] == sorted(self.stacks[place]) for place in part):
            jobs.sort()
        begun: set[int] = set()
        numbers = [number for number, _ in jobs]
        planes = self.pixels.planes(numbers, self.rows, self.columns, self.level)
        # Halves overflow, infinities make NaN: that is what the numbers are, and no news.
        with np.errstate(all="ignore"):
            for (_, place), plane in zip(jobs, planes, strict=True):
                if place in begun:
                    fold.add(made[place], plane, out=made[place], casting="unsafe")
                else:
                    made[place] = plane
                    begun.add(place)

    def _adding(self, fold: Fold, *, mean: bool) -> Any:
        """Return the type in which planes are added up: a small one where its sums are exact."""
        given = self.pixels.dtype
        small = given.itemsize <= 2 and given.kind in "iu" and len(self.stacks[0]) < _MANY
        if small and fold.add is np.add:
            return np.int32 if given.kind == "i" else np.uint32
        if mean and given == np.float16:
            return np.float32  # as numpy does
        return fold.dtype(given)

    def percentile(self, how: float) -> NDArray[Any]:
        """Take percentiles of so many rows at once as fit into the buffer."""
        pixels, rows, columns = self.pixels, self.rows, self.columns
        shape = pixels.sample_shape(rows, columns)
        # Truth values are counted as 0 and 1.
        kind = pixels.dtype if pixels.dtype.kind != "b" else np.dtype(np.uint8)
        dtype = np.percentile(np.zeros(1, kind), how).dtype
        made = allocated((len(self.stacks), *shape), dtype, pixels.name)
        for place, stack in enumerate(self.stacks):
            for part in self._blocks(len(stack), rows, shape):
                whole = (len(stack), part.stop - part.start, *shape[1:])
                block = allocated(whole, kind, pixels.name)
                pixels.fill(block, stack, part, columns, self.level)
                into = slice(part.start - rows.start, part.stop - rows.start)
                made[place, into] = _percentile(block, how)
        return made

    def _blocks(self, depth: int, rows: slice, shape: tuple[int, ...]) -> Iterator[slice]:
        row = max(math.prod(shape[1:]), 1) * max(depth, 1) * max(self.pixels.dtype.itemsize, 8)
        step = max(1, BUFFER // row)
        for start in range(rows.start, rows.stop, step):
            yield slice(start, min(start + step, rows.stop))
