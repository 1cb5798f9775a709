"""Which values of an array are shown black and which white: chosen for one to see something."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellbank.model.errors import BadInput

Limits = tuple[float, float]
"""What is black and what is white. Whole numbers for an array of whole numbers."""

DARKEST: Final = 1.0
"""So many per cent of the pixels may be black."""
BRIGHTEST: Final = 99.9
"""All but so many per cent may be white."""

_FAR: Final = 4
"""What is so many windows above the darkest does not belong to the window."""
_SIGNAL: Final = 1e-5
"""Fewer pixels than this part are no signal but faults of the camera."""
_BRIGHT_SIGNAL: Final = 95.0
_BLOCK: Final = 1 << 18
_DIGIT: Final = 16


def auto_limits(array: ArrayLike, *, low: float = DARKEST, high: float = BRIGHTEST) -> Limits:
    """Return the values to show black and white.

    They are two percentiles. Where a channel is so sparse that nearly all of it is background (at
    least one pixel of 100,000 lies farther than four windows above), white is where the signal is,
    at its 95th percentile: else a window of one or two grey levels would show only noise.

    Parameters
    ----------
    array
        Any shape, any numbers. NaN and infinities do not count; of complex numbers the magnitude
        does. All values are looked at, in blocks; nothing is copied or sorted as a whole.
    low
        Percentile that is black.
    high
        Percentile that is white.

    Returns
    -------
    Limits
        Black and white, both values of the array, of Python's `int` for whole numbers. They are
        the same where all values are; (0, 1) where there is none, and for truth values.

    Raises
    ------
    BadInput
        The array is not of numbers, or the percentiles are none.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images import auto_limits
    >>> plane = np.zeros((100, 100), np.uint16)
    >>> plane[50, 40:45] = 4000, 4010, 4020, 4030, 4040
    >>> auto_limits(plane)
    (0, 4030)
    """
    if not 0 <= low <= high <= 100:
        raise BadInput(f"{low:g} and {high:g} are no percentiles", "Give 0 ≤ low ≤ high ≤ 100.")
    values = _Values(array)
    if not values.count:
        return (0, 1) if values.whole else (0.0, 1.0)
    if values.kind == "b":
        return (0, 1)
    black, white = values.percentile(low), values.percentile(high)
    far = values.above(black + _FAR * (white - black))
    if far >= (1 if white == black else max(1, _SIGNAL * values.count)):
        signal = int(_BRIGHT_SIGNAL / 100 * (far - 1))
        white = values.at(values.count - far + signal)
    if white == black:
        black = values.at(0)
    return black, white


def extremes(array: ArrayLike) -> Limits:
    """Return the smallest and the largest value that is neither NaN nor infinite.

    Parameters
    ----------
    array
        Any shape, any numbers; of complex numbers the magnitude counts.

    Returns
    -------
    Limits
        As `auto_limits` returns them; (0, 1) where there is no value.

    Raises
    ------
    BadInput
        The array is not of numbers.
    """
    low: Any = None
    high: Any = None
    found = numbers(array)
    for block in _finite_blocks(found):
        if block.size:
            least, most = block.min().item(), block.max().item()
            low = least if low is None else min(low, least)
            high = most if high is None else max(high, most)
    if low is None:
        return (0, 1) if found.dtype.kind in "biu" else (0.0, 1.0)
    return (int(low), int(high)) if found.dtype.kind == "b" else (low, high)


def numbers(array: ArrayLike) -> NDArray[Any]:
    """Return what is given as an array; raise `BadInput` unless it is one of numbers."""
    found = np.asarray(array)
    if found.dtype.kind not in "biufc":
        raise BadInput(f"{found.dtype} is no type of pixels", "Give an array of numbers.")
    return found


def plain(block: NDArray[Any]) -> NDArray[Any]:
    """Return a block in a type that can be counted: complex as magnitude, no long doubles."""
    if block.dtype.kind == "c":
        # A magnitude may be too large for its type, then it is infinite.
        with np.errstate(over="ignore"):
            block = np.abs(block)
    if block.dtype.kind == "f" and block.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            block = block.astype(np.float64)
    return block


def _finite_blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all values that are finite, block by block, in the machine's byte order."""
    if not array.size:
        return
    # Buffered: an array that is not in one piece is copied by the block, never as a whole.
    blocks = np.nditer(
        array,
        flags=["external_loop", "buffered"],
        op_dtypes=[array.dtype.newbyteorder("=")],
        order="K",
        casting="equiv",
        buffersize=_BLOCK,
    )
    for part in blocks:
        block = plain(np.asarray(part))
        if block.dtype.kind == "f":
            finite = np.isfinite(block)
            yield block if finite.all() else block[finite]
        else:
            yield block


class _Values:
    """The finite values of an array in order, without sorting them.

    A value's bits, as a whole number that grows with the value, are counted 16 at a time: one pass
    over the array tells how many values begin with which 16 bits, the next ones look at those that
    begin like the one that is wanted.
    """

    def __init__(self, array: ArrayLike) -> None:
        self._array = numbers(array)
        dtype = plain(np.empty(0, self._array.dtype)).dtype.newbyteorder("=")
        self.kind = dtype.kind
        self.whole = self.kind in "biu"
        self._dtype = dtype
        self._bits = 8 * dtype.itemsize
        self._firsts = self._histogram(lambda keys: keys, max(self._bits - _DIGIT, 0))
        self.count = int(self._firsts.sum())

    def percentile(self, percent: float) -> float:
        """Return the value that so many per cent of all are not above."""
        return self.at(round(percent / 100 * (self.count - 1)))

    def at(self, rank: int) -> float:
        """Return the value of this rank; the smallest has 0."""
        shift = max(self._bits - _DIGIT, 0)
        found, rank = _find(self._firsts, rank)
        while shift:
            shift -= _DIGIT
            begin, length = found, shift + _DIGIT
            digits = self._histogram(lambda keys, b=begin, n=length: keys[keys >> n == b], shift)  # type: ignore[misc]
            digit, rank = _find(digits, rank)
            found = found << _DIGIT | digit
        return self._value(found)

    def above(self, value: float) -> int:
        """Return how many values are larger than this one."""
        # A limit that the type cannot hold is infinite.
        with np.errstate(over="ignore"):
            return sum(int((block > value).sum()) for block in _finite_blocks(self._array))

    def _histogram(
        self, choose: Callable[[NDArray[Any]], NDArray[Any]], shift: int
    ) -> NDArray[np.int64]:
        length = 1 << min(self._bits, _DIGIT)
        counts = np.zeros(length, np.int64)
        for block in _finite_blocks(self._array):
            digits = choose(self._keys(block)) >> shift & (length - 1)
            counts += np.bincount(digits.astype(np.intp), minlength=length)
        return counts

    def _keys(self, block: NDArray[Any]) -> NDArray[Any]:
        unsigned = np.dtype(f"u{self._dtype.itemsize}")
        keys: NDArray[Any] = block.view(unsigned)
        sign = unsigned.type(1 << self._bits - 1)
        if self.kind == "i":
            keys = keys ^ sign
        if self.kind == "f":
            # The larger a negative number's bits are, the smaller it is.
            keys = np.where(keys & sign, ~keys, keys | sign)
        return keys

    def _value(self, key: int) -> float:
        sign = 1 << self._bits - 1
        if self.kind == "i":
            return key - sign
        if self.kind == "f":
            bits = key ^ sign if key & sign else ~key & (2 * sign - 1)
            unsigned = np.dtype(f"u{self._dtype.itemsize}")
            # No negative zero: it would be shown with its sign.
            return float(np.array(bits, unsigned).view(self._dtype)) + 0.0
        return key


def _find(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """Return the bin in which a rank lies, and the rank inside of it."""
    ends = np.cumsum(counts)
    found = int(np.searchsorted(ends, rank, side="right"))
    return found, rank - int(ends[found] - counts[found])
