"""The channels of a field of view: what each is, and the camera that sees it."""

from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from cellbank.cells.sample.nuclei import Plane
from cellbank.cells.sample.structures import Draw, walls
from cellbank.cells.sample.threads import dots
from cellbank.cells.sample.tissue import BOTTOM_UM, Tissue

OFFSET: Final = 100.0
"""What the camera says in the dark."""
READ_NOISE: Final = 4.0
THRESHOLD: Final = 0.3
"""Share of full light from which on a pixel belongs to the segmented structure."""

SYNTHETIC: Final = "computed around real nuclei"
BLANK: Final = "computed: the blank between two exposures, noise alone"

Image = npt.NDArray[np.uint16]


class Channel(msgspec.Struct, frozen=True):
    """A channel as the tables have it."""

    dye_name: str
    use: bool
    synthetic: bool
    note: str | None

    def row(self) -> dict[str, Any]:
        """Return its values by their names."""
        return msgspec.structs.asdict(self)


ALL: Final = (
    Channel("CMDRP_2", use=False, synthetic=True, note=BLANK),
    Channel("CMDRP", use=True, synthetic=True, note=f"membrane, {SYNTHETIC}"),
    Channel("EGFP_2", use=False, synthetic=True, note=BLANK),
    Channel("EGFP", use=True, synthetic=True, note=f"tagged structure, {SYNTHETIC}"),
    Channel("H3342_2", use=False, synthetic=True, note=BLANK),
    Channel("H3342", use=True, synthetic=False, note=None),
    Channel("Bright_100X", use=True, synthetic=True, note=f"transmitted light, {SYNTHETIC}"),
)


def channels_of(count: int) -> tuple[Channel, ...]:
    """Return the seven channels, or the four that are all in use."""
    return ALL if count == 7 else tuple(channel for channel in ALL if channel.use)


def seen(light: Plane, rng: np.random.Generator) -> Image:
    """Return what the camera makes of photons: their own noise, its own, and its offset."""
    noise = rng.standard_normal(light.shape, np.float32)
    counts = OFFSET + light + noise * np.sqrt(light + READ_NOISE**2)
    image: Image = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    return image


def blank(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Return a plane (Y, X) between two exposures: dark, with a few hot pixels."""
    plane = seen(np.zeros(shape, np.float32), rng).ravel()
    count = max(plane.size // 400, 1)
    hot = rng.integers(0, plane.size, count)
    plane[hot] += rng.exponential(40.0, count).astype(np.uint16)
    return plane.reshape(shape)


class Membrane:
    """The dye that stains the membranes: walls, surfaces, a haze, and bright vesicles."""

    def __init__(self, tissue: Tissue, rng: np.random.Generator) -> None:
        self._tissue = tissue
        self._uneven = np.clip(0.65 + 0.3 * tissue.smooth(rng, 4.0), 0.1, 1.6)
        self._haze = np.clip(0.26 + 0.06 * tissue.smooth(rng, 3.0), 0.0, 1.0)

        def height(places: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
            return rng.uniform(BOTTOM_UM + 1, 15.0, len(places))

        cells = tissue.owner > 0
        self._small = dots(tissue, cells, 0.1, height, rng, grains=4, size=(0.3, 0.25))
        crowded = cells & (tissue.smooth(rng, 5.0) > 0.6)
        self._large = dots(tissue, crowded, 0.16, height, rng, grains=14, size=(0.4, 0.45))

    def plane(self, z: int) -> Plane:
        """Return the light in a plane (Y, X)."""
        tissue = self._tissue
        height = tissue.height(z)
        surface = np.exp(-(((height - tissue.top) / 0.9) ** 2))
        floor = np.exp(-(((height - BOTTOM_UM) / 0.8) ** 2))
        inside = tissue.within(z) & (tissue.owner > 0) & (tissue.nuclei.labels(z) == 0)
        light = walls(tissue, z, 0.4) * self._uneven + self._haze * inside
        light += 0.4 * surface * self._haze + 0.5 * floor * self._haze
        light += self._small.plane(z) + 0.8 * self._large.plane(z)
        return np.asarray(420 * light, np.float32)


class Bright:
    """Transmitted light: fine relief that turns over with the focus, and uneven lighting."""

    def __init__(self, tissue: Tissue, rng: np.random.Generator) -> None:
        from scipy import ndimage

        rows, columns = tissue.plane
        middle = tissue.nuclei.intensity(tissue.depth // 2).astype(np.float32)
        thick = np.exp(-((tissue.border / 0.7) ** 2)) * 1.3 - 0.5 * (tissue.seeds > 0)
        # Where a cell divides, its chromosomes are bright, and the cell is round and thick.
        thick = thick + 2.5 * np.clip((middle - 26000) / 20000, 0, 1)
        for strength, um in ((0.3, 2.0), (0.25, 1.0), (0.15, 0.5)):
            thick = thick + strength * tissue.smooth(rng, um)
        relief = [
            ndimage.gaussian_filter(thick.astype(np.float32), um / tissue.pixel)
            for um in (0.3, 0.6, 1.2, 2.2)
        ]
        self._bands = [near - far for near, far in pairwise(relief)]
        y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        slope = rng.uniform(-0.03, 0.03, 2)
        self._lamp = (1 + slope[0] * y + slope[1] * x - 0.02 * (x**2 + y**2)).astype(np.float32)
        self._tissue = tissue

    def plane(self, z: int) -> Plane:
        """Return the light in a plane (Y, X)."""
        focus = (self._tissue.height(z) - 8.0) / 5.0
        fine, middle, coarse = self._bands
        relief = np.exp(-(focus**2)) * 1.3 * fine - focus * 0.8 * middle - focus * 0.25 * coarse
        return np.asarray(5200 * self._lamp * (1 + 0.22 * relief), np.float32)


class Field:
    """All channels of a field of view, plane by plane.

    Invariant: the planes are asked for in their order, as each draws from the same noise.
    """

    def __init__(self, tissue: Tissue, draw: Draw, rng: np.random.Generator) -> None:
        self._tissue = tissue
        self._membrane = Membrane(tissue, rng)
        self._bright = Bright(tissue, rng)
        self._draw = draw
        self._rng = rng
        self.structure = np.zeros((tissue.depth, *tissue.plane), bool)
        """The segmented structure (Z, Y, X), of the planes that were drawn."""

    def plane(self, z: int, name: str) -> Image:
        """Return a plane (Y, X) of a channel."""
        if name.endswith("_2"):
            return blank(self._tissue.plane, self._rng)
        if name == "H3342":
            return self._tissue.nuclei.intensity(z)
        if name == "EGFP":
            light = self._draw(z)
            self.structure[z] = light > THRESHOLD
            return seen(np.asarray(12 + 900 * light, np.float32), self._rng)
        maker = self._membrane if name == "CMDRP" else self._bright
        return seen(maker.plane(z), self._rng)
