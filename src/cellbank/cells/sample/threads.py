"""Threads and dots in the cells, as clouds of points that are drawn plane by plane."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from cellbank.cells.sample.nuclei import Plane
from cellbank.cells.sample.tissue import BOTTOM_UM, Tissue

Floats = npt.NDArray[np.float32]

SHARP_UM: Final = 0.16
"""Blur of the microscope in the plane."""
BRIGHTEST: Final = 2.5
"""Of a dot; the mean is 1."""
DEEP_UM: Final = 0.55
"""Blur of the microscope along Z."""


class Style(msgspec.Struct, frozen=True):
    """How threads run: lengths in µm, `bend` in radians a µm, heights as shares of the cell's.

    `start` is how far from the nucleus they begin; `rise` is the spread of their slope.
    """

    count: int
    length: float
    bend: float
    low: float
    high: float
    start: tuple[float, float] = (0.0, 99.0)
    rise: float = 0.1
    together: bool = False
    outside: bool = True


class Cloud:
    """Points in a field of view, each with a weight, sorted by height.

    Invariant: the light of a line of points about a pixel apart is about 1 where it is in focus.
    """

    def __init__(self, tissue: Tissue, points: Floats, weights: Floats, step: float) -> None:
        order = np.argsort(points[:, 0], kind="stable")
        self._tissue = tissue
        self._points, self._weights = points[order], weights[order]
        self._step = step
        self._deep = max(DEEP_UM, 0.45 * tissue.nuclei.window.voxel[0])

    def plane(self, z: int) -> Plane:
        """Return the light of the points in a plane (Y, X)."""
        from scipy import ndimage

        height, deep = self._tissue.height(z), self._deep
        low, high = np.searchsorted(self._points[:, 0], (height - 2.5 * deep, height + 2.5 * deep))
        near = self._points[low:high]
        weights = self._weights[low:high] * np.exp(-(((near[:, 0] - height) / deep) ** 2) / 2)
        rows, columns = self._tissue.plane
        flat = near[:, 1].astype(np.intp) * columns + near[:, 2].astype(np.intp)
        summed = np.bincount(flat, weights, rows * columns).reshape(rows, columns)
        sigma = max(SHARP_UM / self._tissue.pixel, 0.55)
        scale = self._step * np.sqrt(2 * np.pi) * sigma
        light = ndimage.gaussian_filter(summed.astype(np.float32), sigma) * np.float32(scale)
        # Heaps saturate: a single one must not outshine all else.
        drawn: Plane = light / (1 + light / 4)
        return drawn


def threads(tissue: Tissue, style: Style, rng: np.random.Generator) -> Cloud:
    """Return threads that run through the cells and end at their borders.

    Parameters
    ----------
    tissue
        The cells.
    style
        How the threads run; `count` is for each cell.
    rng
        Decides where they begin and turn.

    Returns
    -------
    Cloud
        Points about a pixel apart.
    """
    starts = _starts(tissue, style, rng)
    step = 0.8
    steps = max(int(style.length / (tissue.pixel * step)), 2)
    columns = tissue.plane[1]
    own = tissue.owner.ravel()[starts]
    if style.together:
        angles = rng.uniform(0, 2 * np.pi, int(own.max(initial=0)) + 1)[own]
        angles = angles + rng.normal(0, 0.15, len(starts))
    else:
        angles = rng.uniform(0, 2 * np.pi, len(starts))
    # A walk turns by chance: the spread of its direction grows with the root of the way.
    bends = rng.standard_normal((len(starts), steps)) * style.bend * np.sqrt(tissue.pixel * step)
    angle = angles[:, None] + np.cumsum(bends, 1)
    y = (starts // columns)[:, None] + step * np.cumsum(np.sin(angle), 1)
    x = (starts % columns)[:, None] + step * np.cumsum(np.cos(angle), 1)
    z = _heights(tissue, style, starts, rng)[:, None] + rng.normal(
        0, style.rise, (len(starts), 1)
    ) * (np.arange(steps) * tissue.pixel * step)
    return _kept(tissue, style, (z, y, x), own, step)


def _starts(tissue: Tissue, style: Style, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    low, high = style.start
    allowed = (tissue.owner > 0) & (tissue.away >= low) & (tissue.away <= high)
    places = np.flatnonzero(allowed)
    # As many as for whole cells, by area: a cell has about 180 µm².
    share = allowed.size * tissue.pixel**2 / 180
    return rng.choice(places, int(style.count * share)) if len(places) else places


def _heights(
    tissue: Tissue, style: Style, starts: npt.NDArray[np.intp], rng: np.random.Generator
) -> Floats:
    share = rng.uniform(style.low, style.high, len(starts))
    heights: Floats = BOTTOM_UM + share * (tissue.top.ravel()[starts] - BOTTOM_UM)
    return heights


def _kept(
    tissue: Tissue,
    style: Style,
    way: tuple[npt.NDArray[np.floating[Any]], ...],
    own: npt.NDArray[np.int32],
    step: float,
) -> Cloud:
    """Return the points of each thread up to where it leaves its cell, or meets the nucleus."""
    z, y, x = way
    rows, columns = tissue.plane
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    flat = np.where(inside, y.astype(np.intp) * columns + x.astype(np.intp), 0)
    inside &= tissue.owner.ravel()[flat] == own[:, None]
    inside &= (z > BOTTOM_UM) & (z < tissue.top.ravel()[flat])
    if style.outside:
        middle = (z > 6.0) & (z < 13.0)
        inside &= ~(middle & (tissue.seeds.ravel()[flat] > 0))
    inside = np.logical_and.accumulate(inside, 1)
    points = np.stack([z[inside], y[inside], x[inside]], 1).astype(np.float32)
    return Cloud(tissue, points, np.ones(len(points), np.float32), step)


def dots(
    tissue: Tissue,
    where: npt.NDArray[np.bool_],
    each_um2: float,
    height: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]],
    rng: np.random.Generator,
    grains: int = 1,
    size: tuple[float, float] = (0.0, 0.0),
) -> Cloud:
    """Return dots, each perhaps a heap of grains.

    Parameters
    ----------
    tissue
        The cells.
    where
        The pixels (Y, X) that a dot may be at.
    each_um2
        So many dots a µm² of those.
    height
        The height in µm of dots at these flat places.
    rng
        Decides where they are.
    grains
        So many points a dot.
    size
        Spread of the grains of a dot in µm, along Z and in the plane.

    Returns
    -------
    Cloud
        The grains, of uneven weight.
    """
    places = np.flatnonzero(where)
    count = int(len(places) * tissue.pixel**2 * each_um2)
    chosen = rng.choice(places, count) if len(places) else places
    rows, columns = tissue.plane
    z, y, x = height(chosen), chosen // columns + 0.5, chosen % columns + 0.5
    points = np.repeat(np.stack([z, y, x], 1), grains, axis=0)
    points += rng.standard_normal(points.shape) * [
        size[0], size[1] / tissue.pixel, size[1] / tissue.pixel
    ]  # fmt: skip
    inside = (points[:, 1:] >= 0).all(1) & (points[:, 1] < rows) & (points[:, 2] < columns)
    weights = np.repeat(np.minimum(rng.gamma(2.0, 0.5, len(chosen)), BRIGHTEST), grains)
    sigma = max(SHARP_UM / tissue.pixel, 0.55)
    kept = points[inside].astype(np.float32), weights[inside].astype(np.float32)
    return Cloud(tissue, *kept, step=float(np.sqrt(2 * np.pi) * sigma))
