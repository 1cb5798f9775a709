"""A lab's export with many fields of view and tiny images, written fast.

Run as a program of its own (`cell_lines.py FOLDER FOVS`): numpy's memory would else be counted as
that of the processes that are measured.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np

from cellbank.images import write_ome_tiff

CHANNELS = ("CMDRP", "EGFP", "H3342", "Bright_100X")
LINES = 10
WELLS_A_PLATE = 25
FOVS_A_WELL = 20
RECIPE = """format: 1
title: Many fields of view
tables:
  lines: {file: lines.csv}
  plates: {file: plates.csv}
  wells: {file: wells.csv}
  fovs: {file: fovs.csv}
records:
  line: {table: lines, key: line, attributes: {line: line, edits: {fields: {gene: gene}}}}
  plate: {table: plates, key: plate, attributes: {plate_barcode: plate, plate_type: type}}
  well:
    table: wells
    key: well
    plate: plate
    line: line
    attributes: {cell_viability: , passage: , clone: , seed_date: {format: "%m/%d/%Y"}}
  fov:
    table: fovs
    key: fov
    well: well
    image: {file: image}
    attributes:
      instrument:
      content_type: content
      image_ids: image_id
      cell_viability: {through: well}
      passage: {through: well}
      clone: {through: well}
      seed_date: {through: well, format: "%m/%d/%Y"}
packages:
  per_line: {name: "{line}"}
  all: cell_lines
  sample: {fovs: 100}
"""


def write_export(folder: Path, fovs: int) -> None:
    """Write tables, images of 4 × 8 × 8 pixels, each another, and the recipe."""
    folder.mkdir(parents=True)
    wells = -(-fovs // FOVS_A_WELL)
    _table(folder / "lines.csv", ["line", "gene"], ([f"AICS-{10 + i}", f"G{i}"] for i in range(10)))
    plates = ([3500000000 + i, "10cm"] for i in range(-(-wells // WELLS_A_PLATE)))
    _table(folder / "plates.csv", ["plate", "type"], plates)
    columns = ["well", "plate", "line", "cell_viability", "passage", "clone", "seed_date"]
    _table(folder / "wells.csv", columns, (_well(i) for i in range(wells)))
    columns = ["fov", "well", "image", "instrument", "image_id", "content"]
    _table(folder / "fovs.csv", columns, (_fov(folder, i) for i in range(fovs)))
    (folder / "cellbank.yaml").write_text(RECIPE)


def _table(path: Path, columns: list[str], rows: object) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _well(number: int) -> list[object]:
    plate = 3500000000 + number // WELLS_A_PLATE
    line = f"AICS-{10 + number % LINES}"
    viability = 95 + number % 50 / 10
    return [f"w{number}", plate, line, viability, 20 + number % 20, number % 30, "10/16/2017"]


def _fov(folder: Path, number: int) -> list[object]:
    image = f"images/{number // 1000:03d}/{number}.ome.tif"
    path = folder / image
    if number % 1000 == 0:
        path.parent.mkdir(parents=True)
    path.write_bytes(_image()[:-8] + number.to_bytes(8, "little"))
    well = f"w{number // FOVS_A_WELL}"
    return [f"{number:032x}", well, image, f"ZSD{number % 3}", number, "100X_zstack"]


_made: list[bytes] = []


def _image() -> bytes:
    if not _made:
        file = io.BytesIO()
        planes = np.zeros((len(CHANNELS), 8, 8), np.uint16)
        size = {"Y": 0.1, "X": 0.1}
        write_ome_tiff(
            file,
            iter(planes),
            axes="CYX",
            shape=planes.shape,
            dtype="uint16",
            channels=CHANNELS,
            pixel_size=size,
        )
        _made.append(file.getvalue())
    return _made[0]


if __name__ == "__main__":
    write_export(Path(sys.argv[1]), int(sys.argv[2]))
