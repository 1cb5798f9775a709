"""The files that the benchmarks package: made from a seed, so that every run has the same bytes.

Run as a program of its own (`workloads.py NAME FOLDER [--quick] [--change ROUND]`): numpy's memory
would else be counted as that of the processes that are measured.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from zlib import compress

import numpy as np
import tifffile

SEED = 20260
ROWS, WIDTH, PLAIN_ROWS = 64, 1100, 1040
"""Rows of a strip, and the size of a plain image: 1040 × 1100 × 2 bytes are 2.3 MB."""
ZLIB_STRIPS = 25
"""Strips of a compressed image: so many have about as many bytes as a plain image."""


def shot_noise(rows: int, seed: int) -> np.ndarray:
    """Return an image (rows, WIDTH) uint16 with the noise of a camera: Poisson over a gradient."""
    generator = np.random.default_rng(seed)
    light = np.linspace(150, 900, WIDTH)[None, :].repeat(rows, 0)
    read_noise = generator.normal(100, 3, (rows, WIDTH))
    return (generator.poisson(light) + read_noise).astype(np.uint16)


class Images:
    """Makes many different images from one pool of noise: drawing each anew would take minutes."""

    def __init__(self, *, quick: bool) -> None:
        self._rows = ROWS if quick else PLAIN_ROWS
        self._strips = 1 if quick else ZLIB_STRIPS
        self._pool = shot_noise(2 * self._rows, SEED)
        self._coded = [
            compress(shot_noise(ROWS, SEED + 1 + n).tobytes(), 6)
            for n in range(2 if quick else 4 * ZLIB_STRIPS)
        ]

    def plain(self, file: Path, number: int) -> None:
        """Write an image without compression."""
        generator = np.random.default_rng([SEED, number])
        start, shift = generator.integers(self._rows), generator.integers(WIDTH)
        image = np.roll(self._pool[start : start + self._rows], shift, 1) + np.uint16(number % 50)
        tifffile.imwrite(file, image, photometric="minisblack", description=f"image {number}")

    def zlib(self, file: Path, number: int) -> None:
        """Write an image whose strips are compressed."""
        generator = np.random.default_rng([SEED, number])
        chosen = generator.integers(len(self._coded), size=self._strips)
        tifffile.imwrite(
            file,
            iter([self._coded[n] for n in chosen]),
            shape=(ROWS * self._strips, WIDTH),
            dtype=np.uint16,
            photometric="minisblack",
            compression="zlib",
            rowsperstrip=ROWS,
            description=f"image {number}",
        )


def document(file: Path, number: int) -> None:
    """Write a JSON document of 2 to 5 KB."""
    generator = np.random.default_rng([SEED, number])
    rows = int(generator.integers(40, 100))
    value = {
        "id": f"cell_{number:07}",
        "line": f"AICS-{number % 71}",
        "features": [round(float(x), 12) for x in generator.normal(0, 100, rows * 2 + 10)],
    }
    file.write_text(json.dumps(value, indent=1))


def w1(folder: Path, numbers: Iterator[int], *, quick: bool, every: int) -> None:
    """Write images and documents: 1,603 JSON and 830 TIFF files, 1.9 GB in all."""
    documents, images = (16, 10) if quick else (1603, 830)
    for name in ("info", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for n in range(0, documents, every):
        document(folder / f"info/{n:04}.json", next(numbers))
    draw = Images(quick=quick)
    for n in range(0, images, every):
        write = draw.zlib if n % 10 < 3 else draw.plain
        write(folder / f"images/{n:04}.tif", next(numbers))


def w2(folder: Path, numbers: Iterator[int], *, quick: bool, every: int) -> None:
    """Write 20,000 files of 4 KB that do not compress, 1,000 in a folder."""
    for n in range(0, 200 if quick else 20_000, every):
        place = folder / f"{n // 1000:02}"
        place.mkdir(parents=True, exist_ok=True)
        data = np.random.default_rng([SEED, next(numbers)]).bytes(4096)
        (place / f"{n:05}.bin").write_bytes(data)


WORKLOADS = {"W1": w1, "W2": w2}


def main() -> None:
    """Make a workload, or change one file in a hundred of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--change", type=int, default=0, metavar="ROUND")
    given = parser.parse_args()
    numbers = iter(range(given.change * 1_000_000, (given.change + 1) * 1_000_000))
    every = 100 if given.change else 1
    WORKLOADS[given.name](given.folder, numbers, quick=given.quick, every=every)


if __name__ == "__main__":
    main()
