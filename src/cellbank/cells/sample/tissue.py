"""The cells around the nuclei of one field of view: which pixel is whose, how far to the border."""

from typing import Final

import numpy as np
import numpy.typing as npt

from cellbank.cells.sample.nuclei import Indices, Labels, Nuclei, Plane

BOTTOM_UM: Final = 3.6
"""Height of the coverslip in the real stack: the lowest nuclei are little above it."""
TOP_UM: Final = 14.2
REACH_UM: Final = 9.0
"""No cell reaches further from its nucleus."""


class Tissue:
    """The cells of one field of view: columns that lean a little, each around its nucleus.

    `owner` (Y, X) is the number of the cell at middle height, 0 beside the colony, `border` the
    distance in µm to the next cell, `away` that to the nucleus, `top` the height of the surface.
    Invariant: a voxel of a nucleus is a voxel of the cell with the same number.
    """

    def __init__(self, nuclei: Nuclei, rng: np.random.Generator) -> None:
        self.nuclei = nuclei
        self.pixel = nuclei.window.voxel[1]
        self.depth, *plane = nuclei.window.shape
        self.plane = (plane[0], plane[1])
        self.seeds = self._footprints()
        self.owner, self.away = self._nearest()
        self.border = self._to_border()
        # Where walls leaned further, there would be gaps between those of coarse planes.
        leans = [np.clip(self.smooth(rng, 6.0), -1, 1) for _ in range(4)]
        self._lean = [lean * (1.6 / self.pixel) for lean in leans]
        bulge = 1.6 * (1 - np.exp(-self.border / 2.5)) + 0.5 * self.smooth(rng, 8.0)
        self.top = (TOP_UM + bulge).astype(np.float32)

    def smooth(self, rng: np.random.Generator, size: float) -> Plane:
        """Return noise (Y, X) about 0 with a spread of 1, and spots of some size in µm."""
        from scipy import ndimage

        # Made at the coarseness it has anyway: a wide blur of a large plane is slow.
        step = max(size / 4, self.pixel)
        height, width = (int(n * self.pixel / step) + 3 for n in self.plane)
        sigma = size / 2.4 / step
        coarse = ndimage.gaussian_filter(
            rng.standard_normal((height, width), np.float32), sigma, mode="wrap"
        )
        coarse /= max(float(coarse.std()), 1e-6)
        at = np.ix_(*(np.arange(n) * (self.pixel / step) for n in self.plane))
        rows, columns = np.broadcast_arrays(*at)
        order = 1 if step > self.pixel else 0
        made: Plane = ndimage.map_coordinates(coarse, [rows, columns], order=order, mode="nearest")
        return made.astype(np.float32)

    def height(self, z: int) -> float:
        """Return the height of a plane in µm of the real stack."""
        return self.nuclei.window.start[0] + (z + 0.5) * self.nuclei.window.voxel[0]

    def at(self, z: int) -> Indices:
        """Return the place at middle height, as a flat index, of every pixel of a plane (Y, X)."""
        lean = (self.height(z) - 9.5) / 6.0
        by, bx, wavy, wavx = self._lean
        rows = np.arange(self.plane[0])[:, None] + lean * by + 0.4 * wavy
        columns = np.arange(self.plane[1]) + lean * bx + 0.4 * wavx
        y = np.clip(np.rint(rows), 0, self.plane[0] - 1).astype(np.intp)
        x = np.clip(np.rint(columns), 0, self.plane[1] - 1).astype(np.intp)
        flat: Indices = y * self.plane[1] + x
        return flat

    def within(self, z: int) -> npt.NDArray[np.bool_]:
        """Return where a plane (Y, X) lies between coverslip and surface."""
        height = self.height(z)
        within: npt.NDArray[np.bool_] = (self.top >= height) & (height >= BOTTOM_UM)
        return within

    def cells(self, z: int) -> Labels:
        """Return the number of the cell at every pixel of a plane (Y, X), 0 beside them."""
        nuclei = self.nuclei.labels(z)
        column = np.where(self.within(z), self.owner.ravel()[self.at(z)], 0)
        return np.where(nuclei > 0, nuclei, column)

    def complete(self) -> frozenset[int]:
        """Return the cells that are seen whole: none of their voxels is at a side of the field."""
        touching: set[int] = set()
        whole: set[int] = set()
        for z in range(self.depth):
            cells = self.cells(z)
            for side in (cells[0], cells[-1], cells[:, 0], cells[:, -1]):
                touching.update(np.unique(side).tolist())
            whole.update(np.unique(self.nuclei.labels(z)).tolist())
        return frozenset(whole - touching - self.nuclei.merged - {0})

    def _footprints(self) -> Labels:
        """Return the nuclei seen from above; those at middle height lie over the others."""
        order = sorted(range(self.depth), key=lambda z: abs(self.height(z) - 9.5))
        seen = self.nuclei.labels(order[0])
        for z in order[1:]:
            np.copyto(seen, self.nuclei.labels(z), where=seen == 0)
        return seen

    def _nearest(self) -> tuple[Labels, Plane]:
        from scipy import ndimage

        away, (y, x) = ndimage.distance_transform_edt(
            self.seeds == 0, sampling=self.pixel, return_indices=True
        )
        owner = self.seeds[y, x]
        owner[away > REACH_UM] = 0
        return owner, away.astype(np.float32)

    def _to_border(self) -> Plane:
        from scipy import ndimage

        inside = np.ones(self.plane, bool)
        across, down = self.owner[:, 1:] != self.owner[:, :-1], self.owner[1:] != self.owner[:-1]
        inside[:, 1:] &= ~across
        inside[1:] &= ~down
        distance: Plane = ndimage.distance_transform_edt(inside, sampling=self.pixel)
        return distance.astype(np.float32)
