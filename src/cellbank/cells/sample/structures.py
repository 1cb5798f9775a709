"""The tagged structure of each line: what its EGFP channel would show, around the real nuclei."""

from collections.abc import Callable
from typing import Final

import numpy as np

from cellbank.cells.sample.nuclei import Labels, Plane
from cellbank.cells.sample.threads import Cloud, Style, dots, threads
from cellbank.cells.sample.tissue import BOTTOM_UM, Tissue

Draw = Callable[[int], Plane]
"""Plane number → light (Y, X) about 0 to 1, without noise."""


def structure_of(gene: str, tissue: Tissue, rng: np.random.Generator) -> Draw:
    """Return what draws the structure that a gene's protein marks."""
    return _BY_GENE[gene](tissue, rng)


def envelope(tissue: Tissue, z: int) -> Plane:
    """Return the shells of the nuclei in a plane (Y, X): where inside and outside meet."""
    from scipy import ndimage

    sigma = max(0.22 / tissue.pixel, 0.7)
    below, here, above = (
        (tissue.nuclei.labels(min(max(n, 0), tissue.depth - 1)) > 0).astype(np.float32)
        for n in (z - 1, z, z + 1)
    )
    soft = ndimage.gaussian_filter(here, sigma)
    # Seen from above a shell is thin: its caps are darker than its sides.
    flat = ndimage.gaussian_filter(np.maximum(abs(here - below), abs(here - above)), 2 * sigma)
    rim = 4 * soft * (1 - soft) * (1 - 0.7 * flat)
    cap = ndimage.gaussian_filter(here * (1 - below * above), 1.5 * sigma)
    shell: Plane = np.maximum(rim, 0.42 * cap)
    return shell


def walls(tissue: Tissue, z: int, thick_um: float) -> Plane:
    """Return the walls between cells in a plane (Y, X)."""
    wide = max(thick_um, 0.55 * tissue.pixel)
    border = tissue.border.ravel()[tissue.at(z)]
    light: Plane = (np.exp(-((border / wide) ** 2)) * tissue.within(z)).astype(np.float32)
    return light


def _layer(tissue: Tissue, z: int, middle: Plane | float, thick_um: float) -> Plane:
    """Return how much of a layer at some height is in focus in a plane (Y, X)."""
    thick = max(thick_um, 0.6 * tissue.nuclei.window.voxel[0])
    light = np.exp(-(((tissue.height(z) - middle) / thick) ** 2))
    return np.broadcast_to(np.asarray(light, np.float32), tissue.plane)


def _tight_junctions(tissue: Tissue, rng: np.random.Generator) -> Draw:
    """A net along the borders of cells, near their upper side."""
    from scipy import ndimage

    at = tissue.at(tissue.depth // 2)
    owner, border = tissue.owner.ravel()[at], tissue.border.ravel()[at]
    net = np.exp(-((border / max(0.2, 0.6 * tissue.pixel)) ** 2))
    net *= np.clip(0.75 + 0.25 * tissue.smooth(rng, 3.0), 0.3, 1.4)
    knots = ndimage.gaussian_filter(_corners(owner), max(0.35 / tissue.pixel, 0.7))
    net += knots / max(float(knots.max()), 1e-6)
    net = ndimage.gaussian_filter(net, max(0.12 / tissue.pixel, 0.5))
    height = tissue.top - 1.6 + 0.4 * tissue.smooth(rng, 7.0)

    def draw(z: int) -> Plane:
        light: Plane = (net * _layer(tissue, z, height, 0.7)).astype(np.float32)
        return light

    return draw


def _corners(owner: Labels) -> Plane:
    """Return 1 where three cells or more meet in a plane (Y, X)."""
    blocks = np.stack([owner[:-1, :-1], owner[:-1, 1:], owner[1:, :-1], owner[1:, 1:]])
    different = (np.diff(np.sort(blocks, 0), axis=0) != 0).sum(0) + 1
    return np.pad((different >= 3).astype(np.float32), ((0, 1), (0, 1)))


def _lamina(tissue: Tissue, _rng: np.random.Generator) -> Draw:
    return lambda z: envelope(tissue, z)


def _microtubules(tissue: Tissue, rng: np.random.Generator) -> Draw:
    near = Style(26, 12.0, 0.28, 0.05, 0.9, start=(0.0, 2.0))
    below = Style(22, 14.0, 0.25, 0.02, 0.25, outside=False)
    return _sum(0.55, threads(tissue, near, rng), threads(tissue, below, rng))


def _mitochondria(tissue: Tissue, rng: np.random.Generator) -> Draw:
    style = Style(55, 3.2, 0.9, 0.1, 0.75, start=(0.3, 4.5), rise=0.2)
    return _sum(0.8, threads(tissue, style, rng))


def _actin(tissue: Tissue, rng: np.random.Generator) -> Draw:
    fibres = threads(
        tissue, Style(14, 12.0, 0.06, 0.01, 0.08, rise=0.01, together=True, outside=False), rng
    )
    tufts = threads(tissue, Style(40, 0.8, 1.0, 0.93, 1.0, rise=0.5, outside=False), rng)

    def draw(z: int) -> Plane:
        low = 0.35 + 0.6 * _layer(tissue, z, tissue.top - 1.2, 1.2)
        threads_here = 0.5 * fibres.plane(z) + 0.45 * tufts.plane(z)
        return np.asarray(walls(tissue, z, 0.3) * low + threads_here, np.float32)

    return draw


def _bundles(tissue: Tissue, rng: np.random.Generator) -> Draw:
    style = Style(9, 10.0, 0.08, 0.01, 0.07, rise=0.01, together=True, outside=False)
    fibres = threads(tissue, style, rng)
    beads = np.clip(0.6 + 0.8 * tissue.smooth(rng, 0.8), 0.1, 2.0)

    def draw(z: int) -> Plane:
        belt = walls(tissue, z, 0.35) * _layer(tissue, z, tissue.top - 1.4, 1.0)
        light: Plane = (fibres.plane(z) * 0.8 + 0.7 * belt) * beads
        return light

    return draw


def _reticulum(tissue: Tissue, rng: np.random.Generator) -> Draw:
    """A net of thin sheets: where two slow waves of noise, turning with the height, are zero."""
    waves = [tissue.smooth(rng, 2.0) for _ in range(4)]
    density = np.exp(-tissue.away / 4.0) * (tissue.owner > 0) * (1 - np.exp(-tissue.border / 0.7))

    def draw(z: int) -> Plane:
        turn = tissue.height(z) * 0.15
        one = np.cos(turn) * waves[0] + np.sin(turn) * waves[1]
        two = np.cos(0.7 * turn) * waves[2] + np.sin(0.7 * turn) * waves[3]
        net = np.exp(-((one / 0.25) ** 2)) + np.exp(-((two / 0.25) ** 2))
        outside = (tissue.nuclei.labels(z) == 0) & tissue.within(z)
        light = 0.45 * net * density.ravel()[tissue.at(z)] * outside + 0.6 * envelope(tissue, z)
        return np.asarray(light, np.float32)

    return draw


def _nucleoli(tissue: Tissue, rng: np.random.Generator) -> Draw:
    from scipy import ndimage

    deep = ndimage.distance_transform_edt(tissue.seeds > 0, sampling=tissue.pixel) > 1.6

    def height(places: np.ndarray) -> np.ndarray:
        return 9.3 + rng.normal(0, 0.9, len(places))

    heaps = dots(tissue, deep, 0.05, height, rng, grains=50, size=(0.6, 0.6))

    def draw(z: int) -> Plane:
        inside = tissue.nuclei.labels(z) > 0
        light: Plane = (0.16 * heaps.plane(z) + np.float32(0.04)) * inside
        return light

    return draw


def _desmosomes(tissue: Tissue, rng: np.random.Generator) -> Draw:
    at_border = (tissue.border < max(0.2, 0.5 * tissue.pixel)) & (tissue.owner > 0)

    def height(places: np.ndarray) -> np.ndarray:
        share = np.clip(rng.normal(0.7, 0.2, len(places)), 0.05, 0.97)
        top = tissue.top.ravel()[places]
        return np.asarray(BOTTOM_UM + share * (top - BOTTOM_UM))

    return _sum(0.9, dots(tissue, at_border, 1.6, height, rng, grains=2, size=(0.15, 0.1)))


def _golgi(tissue: Tissue, rng: np.random.Generator) -> Draw:
    """Ribbons heaped on one side of each nucleus."""
    beside = (tissue.away > 0.5) & (tissue.away < 2.0) & (tissue.border > 0.8)

    def height(places: np.ndarray) -> np.ndarray:
        return rng.uniform(9.0, 12.5, len(places))

    heaps = dots(tissue, beside, 0.035, height, rng, grains=60, size=(0.8, 1.1))

    def draw(z: int) -> Plane:
        light: Plane = np.float32(0.22) * heaps.plane(z) * (tissue.nuclei.labels(z) == 0)
        return light

    return draw


def _sum(light: float, *clouds: Cloud) -> Draw:
    def draw(z: int) -> Plane:
        total = np.sum([cloud.plane(z) for cloud in clouds], 0)
        return np.asarray(light * total, np.float32)

    return draw


_BY_GENE: Final[dict[str, Callable[[Tissue, np.random.Generator], Draw]]] = {
    "SEC61B": _reticulum,
    "TOMM20": _mitochondria,
    "TUBA1B": _microtubules,
    "LMNB1": _lamina,
    "FBL": _nucleoli,
    "ACTB": _actin,
    "DSP": _desmosomes,
    "TJP1": _tight_junctions,
    "MYH10": _bundles,
    "ST6GAL1": _golgi,
}
