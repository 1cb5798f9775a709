"""Ways to do one thing with an image, each in a process of its own, with just its library.

`ways.py LIBRARY TASK PATH DEPTH` does it once. Without a task, lines of JSON come in: task, path,
depth, then it does it once and prints a number that tells whether it came out right; or a number,
then it does it so many times, but for no more than a second, and prints what each took. It runs
with other environments' Python, and needs none of our modules.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

CHANNEL, CHANNELS = 2, 7
ENOUGH = 1.0
PERCENT = 90


class Cellbank:
    """cellbank."""

    def __init__(self) -> None:
        from cellbank import images

        self.open: Callable[[str], Any] = images.open

    def shape(self, image: Any) -> Any:
        """Return how long the axes are."""
        return image.shape

    def plane(self, image: Any, z: int) -> Any:
        """Return a plane of an open image."""
        return image.read(C=CHANNEL, Z=z)

    def close(self, image: Any) -> None:
        """Let go of an image."""

    def project(self, path: str, how: str) -> Any:
        """Fold Z away."""
        return self.open(path).project(how)

    def percentile(self, path: str) -> Any:
        """Take a percentile of one channel over Z."""
        return self.open(path).project(PERCENT, C=CHANNEL)

    def rgb(self, path: str) -> Any:
        """Combine three channels."""
        return self.open(path).rgb(0, 1, 2)

    def composite(self, path: str) -> Any:
        """Combine all channels."""
        return self.open(path).composite()

    def thumbnail(self, path: str) -> Any:
        """Make a small picture."""
        return self.open(path).thumbnail()


class Tifffile:
    """tifffile, with one page at a time where that suffices."""

    def __init__(self) -> None:
        import tifffile

        self._library = tifffile

    def open(self, path: str) -> Any:
        """Open a file, and find out what is in it."""
        file = self._library.TiffFile(path)
        self._channels = file.series[0].shape[1]
        return file

    def shape(self, file: Any) -> Any:
        """Return how long the axes are."""
        return file.series[0].shape

    def plane(self, file: Any, z: int) -> Any:
        """Return a page."""
        return file.pages[z * self._channels + CHANNEL].asarray()

    def close(self, file: Any) -> None:
        """Close a file."""
        file.close()

    def project(self, path: str, how: str) -> Any:
        """Fold Z away by hand, page by page."""
        add = {"max": np.maximum, "mean": np.add}[how]
        file = self.open(path)
        depth, channels, *shape = file.series[0].shape
        kind = {"max": file.pages[0].dtype, "mean": np.float64}[how]
        found = np.zeros((channels, *shape), kind)
        for number, page in enumerate(file.pages):
            place = found[number % channels]
            add(place, page.asarray(), out=place)
        file.close()
        return found / depth if how == "mean" else found


class Held(Tifffile):
    """tifffile, with all pages found before anything is timed."""

    def open(self, path: str) -> Any:
        """Open a file and look at all its directories."""
        file = super().open(path)
        self._pages = [file.pages[number] for number in range(len(file.pages))]
        return file

    def plane(self, file: Any, z: int) -> Any:
        """Return a page."""
        return self._pages[z * self._channels + CHANNEL].asarray()


class Imread(Tifffile):
    """tifffile, the whole file at once, as the walk-through has it; or one page of it."""

    def open(self, path: str) -> Any:
        """Give the path back: each reading opens the file anew."""
        return path

    def plane(self, file: Any, z: int) -> Any:
        """Read a page whose number the caller knows."""
        return self._library.imread(file, key=z * CHANNELS + CHANNEL)

    def close(self, file: Any) -> None:
        """Nothing is open."""

    def project(self, path: str, how: str) -> Any:
        """Read all, then fold channel by channel."""
        data = self._library.imread(path)
        fold = {"max": np.max, "mean": np.mean}[how]
        return np.stack([fold(data[:, channel], 0) for channel in range(data.shape[1])])

    def percentile(self, path: str) -> Any:
        """Read all, then take the percentile."""
        return np.percentile(self._library.imread(path)[:, CHANNEL], PERCENT, 0)

    def rgb(self, path: str) -> Any:
        """Combine three channels as the walk-through does, but for its rounding."""
        data = self._library.imread(path)
        made = []
        for channel in range(3):
            plane = np.max(data[:, channel], 0).astype("float64")
            low, high = plane.min(), plane.max()
            made.append(np.floor((plane - low) / (high - low) * 255 + 0.5).astype("uint8"))
        return np.stack(made, axis=-1)


class Memmap(Imread):
    """tifffile, the file mapped into memory."""

    def project(self, path: str, how: str) -> Any:
        """Fold all of it."""
        return np.array(getattr(self._library.memmap(path, mode="r"), how)(0))


class Dask(Tifffile):
    """dask over tifffile's own Zarr view of a file."""

    def project(self, path: str, how: str) -> Any:
        """Fold lazily."""
        import dask.array as da

        array = da.from_zarr(self._library.imread(path, aszarr=True))
        return getattr(array, how)(0).compute()


class Bioio:
    """bioio by its lazy ways; with aicsimageio they have the same names."""

    def __init__(self) -> None:
        from bioio import BioImage

        self.open: Callable[[str], Any] = BioImage

    def shape(self, image: Any) -> Any:
        """Return how long the axes are, in the order of the files here."""
        size = image.dims
        return size.Z, size.C, size.Y, size.X

    def plane(self, image: Any, z: int) -> Any:
        """Return a plane."""
        return image.get_image_dask_data("YX", T=0, C=CHANNEL, Z=z).compute()

    def close(self, image: Any) -> None:
        """Let go of an image."""

    def project(self, path: str, how: str) -> Any:
        """Fold lazily."""
        lazy = self.open(path).get_image_dask_data("CZYX", T=0)
        return getattr(lazy, how)(1).compute()


class Aicsimageio(Bioio):
    """aicsimageio by its lazy ways."""

    def __init__(self) -> None:
        from aicsimageio import AICSImage

        self.open = AICSImage


class Whole:
    """Of bioio and aicsimageio: all pixels at once."""

    open: Callable[[str], Any]

    def project(self, path: str, how: str) -> Any:
        """Read all, then fold channel by channel."""
        data = self.open(path).get_image_data("CZYX", T=0)
        fold = {"max": np.max, "mean": np.mean}[how]
        return np.stack([fold(channel, 0) for channel in data])


class WholeBioio(Whole, Bioio):
    """bioio, all pixels at once."""


class WholeAicsimageio(Whole, Aicsimageio):
    """aicsimageio, all pixels at once."""


class Zarr:
    """zarr-python, on the full size of an OME-Zarr."""

    def __init__(self) -> None:
        import zarr

        self._library = zarr

    def open(self, path: str) -> Any:
        """Open the array."""
        return self._library.open_array(f"{path}/0", mode="r")

    def shape(self, array: Any) -> Any:
        """Return how long the axes are."""
        return array.shape

    def plane(self, array: Any, z: int) -> Any:
        """Return a plane."""
        return array[CHANNEL, z]

    def close(self, array: Any) -> None:
        """Let go of an array."""


class Reading:
    """Nothing but reading the bytes of a file: what no way that sees all of them can beat."""

    def project(self, path: str, how: str) -> Any:
        """Read all bytes into the same small buffer."""
        buffer = bytearray(624 * 924 * 2)
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while file.readinto(buffer):
                pass


LIBRARIES = {
    "cellbank": Cellbank,
    "tifffile": Tifffile,
    "tifffile, pages held": Held,
    "tifffile.imread": Imread,
    "tifffile.memmap": Memmap,
    "tifffile, dask": Dask,
    "bioio": Bioio,
    "bioio, all at once": WholeBioio,
    "aicsimageio": Aicsimageio,
    "aicsimageio, all at once": WholeAicsimageio,
    "zarr": Zarr,
    "reading the file": Reading,
}


def prepared(library: Any, task: str, path: str, depth: int) -> Callable[[], Any]:
    """Return what is to be timed; what it returns is the same for every library."""
    if task == "open":
        return lambda: _closing(library, path, library.shape)
    if task == "open, plane":
        return lambda: _closing(library, path, lambda image: library.plane(image, depth // 2))
    if task == "plane":
        image, places = library.open(path), cycle(range(depth))
        return lambda: library.plane(image, next(places))
    if task in {"max", "mean"}:
        return lambda: library.project(path, task)
    return lambda: getattr(library, task)(path)


def _closing(library: Any, path: str, use: Callable[[Any], Any]) -> Any:
    image = library.open(path)
    found = use(image)
    library.close(image)
    return found


def main() -> None:
    """Do one thing, or what comes in: things to be ready for, and how often to do them."""
    library = LIBRARIES[sys.argv[1]]()
    if len(sys.argv) > 2:
        prepared(library, *sys.argv[2:4], int(sys.argv[4]))()
        return
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, list):
            do = prepared(library, *asked)
            print(json.dumps(_sum(do())), flush=True)
            continue
        seconds = []
        while len(seconds) < asked and sum(seconds) < ENOUGH:
            start = time.perf_counter()
            do()
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


def _sum(found: Any) -> float | None:
    return None if found is None else float(np.sum(found, dtype="float64"))


if __name__ == "__main__":
    main()
