"""A wider stack from two turned copies of a stack, sewn along a line between the nuclei."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

WIDTH: Final = 400
"""Of the sewn stack in voxels: the field of view of the microscope fits in."""
THROUGH_NUCLEUS: Final = 50.0
"""What it costs to sew through a pixel of a nucleus; beside them it costs about 1."""
STEP: Final = 2
"""So many pixels the seam may go aside from one row to the next."""

Intensity = npt.NDArray[np.uint16]
Labels = npt.NDArray[np.int32]


def sewn(
    images: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    turns: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Intensity, Labels]:
    """Return intensity and labels (Z, Y, X) of two copies beside each other.

    Parameters
    ----------
    images
        The intensity and its labels, both (Z, Y, X), as high as they are wide.
    turns
        How each copy is turned, 0 to 7: by 90° so often, from 4 on mirrored.
    rng
        Decides between seams that are equally good.

    Returns
    -------
    tuple[Intensity, Labels]
        Every pixel is that of one of the copies; the labels of the second follow those of the
        first.
    """
    stack, labels = images
    size = stack.shape[2]
    overlap = 2 * size - WIDTH
    left, right = (_turned(stack, turn) for turn in turns)
    left_labels, right_labels = (_turned(labels, turn).astype(np.int32) for turn in turns)
    right_labels[right_labels > 0] += int(labels.max())
    inside = left_labels[:, :, -overlap:].any(0) | right_labels[:, :, :overlap].any(0)
    cost = inside * THROUGH_NUCLEUS + rng.uniform(0.5, 1.5, inside.shape)
    seam = size - overlap + _cheapest_line(cost)
    from_left = np.arange(WIDTH) < seam[:, None]
    return _joined(left, right, from_left), _joined(left_labels, right_labels, from_left)


def _turned(stack: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    turned = np.rot90(stack, turn % 4, axes=(1, 2))
    return turned[:, :, ::-1] if turn >= 4 else turned


def _joined(
    left: npt.NDArray[Any], right: npt.NDArray[Any], from_left: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    depth, height, size = left.shape
    sewn = np.zeros((depth, height, WIDTH), left.dtype)
    sewn[:, :, WIDTH - size :] = right
    np.copyto(sewn[:, :, :size], left, where=from_left[:, :size])
    return sewn


def _cheapest_line(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the column, for every row, of the cheapest line from the top to the bottom."""
    sums = cost.copy()
    width = cost.shape[1]
    for row in range(1, len(cost)):
        padded = np.pad(sums[row - 1], STEP, constant_values=np.inf)
        sums[row] += np.min([padded[i : i + width] for i in range(2 * STEP + 1)], 0)
    line = np.empty(len(cost), np.intp)
    line[-1] = np.argmin(sums[-1])
    for row in range(len(cost) - 2, -1, -1):
        low = max(int(line[row + 1]) - STEP, 0)
        line[row] = low + np.argmin(sums[row, low : int(line[row + 1]) + STEP + 1])
    return line
