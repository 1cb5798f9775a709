"""Images to measure with: a field of view with seven channels, as several writers store it.

Run as a program of its own (`image_files.py FOLDER DEPTH HEIGHT WIDTH FEW`): numpy's memory would
else be counted as that of the processes that are measured.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from cellbank import images

CHANNELS = ("Bright_1", "CMDRP", "EGFP", "Bright_2", "H3342", "TaRFP", "Bright_3")
PIXEL_SIZE = {"X": 0.108, "Y": 0.108, "Z": 0.29}


def write_images(folder: Path, shape: tuple[int, int, int], few: int) -> None:
    """Write the field uncompressed by tifffile and by us, and `few` planes of Z compressed."""
    depth, height, width = shape
    few = min(depth, few)
    said = {"axes": "ZCYX", "Channel": {"Name": list(CHANNELS)}}
    said |= {f"PhysicalSize{axis}": size for axis, size in PIXEL_SIZE.items()}
    common = {"ome": True, "metadata": said, "photometric": "minisblack"}
    whole = (depth, len(CHANNELS), height, width)
    planes = _planes(shape)
    tifffile.imwrite(folder / "tifffile.ome.tiff", planes, shape=whole, dtype="uint16", **common)
    with (folder / "cellbank.ome.tiff").open("wb") as file:
        images.write_ome_tiff(
            file,
            _planes(shape),
            axes="ZCYX",
            shape=whole,
            dtype="uint16",
            channels=CHANNELS,
            pixel_size=PIXEL_SIZE,
        )
    part = np.stack(list(_planes((few, height, width)))).reshape(few, *whole[1:])
    for name, how in {
        "zlib-tiles": {"compression": "zlib", "tile": (256, 256)},
        "zstd-tiles": {"compression": "zstd", "tile": (256, 256)},
        "zlib-strips": {"compression": "zlib", "rowsperstrip": 64},
    }.items():
        tifffile.imwrite(folder / f"{name}.ome.tiff", part, **common, **how)
    images.open(folder / "zlib-tiles.ome.tiff").save(folder / "field.ome.zarr")


def _planes(shape: tuple[int, int, int]) -> Iterator[NDArray[np.uint16]]:
    """Yield shot noise around a few bright spots, plane after plane, each another."""
    depth, height, width = shape
    noise = np.random.default_rng(4)
    y, x = np.mgrid[:height, :width]
    spots = sum(
        np.exp(-((y - height * a) ** 2 + (x - width * b) ** 2) / (height * width / 400))
        for a, b in noise.random((30, 2))
    )
    plane = noise.poisson(120 + 900 * spots).astype("uint16")
    for z in range(depth):
        for channel in range(len(CHANNELS)):
            yield np.roll(plane, (7 * z, 31 * channel), (0, 1)) + np.uint16(z + 50 * channel)


if __name__ == "__main__":
    depth, height, width, few = map(int, sys.argv[2:])
    write_images(Path(sys.argv[1]), (depth, height, width), few)
