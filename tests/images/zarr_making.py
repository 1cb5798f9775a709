"""OME-Zarr folders for the tests, written by zarr-python: as others write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr

VOLUME = (np.arange(2 * 3 * 5 * 40 * 50).reshape(2, 3, 5, 40, 50) * 7 % 1999).astype(np.uint16)
"""TCZYX."""
UNITS = {"t": ("time", "second"), "c": ("channel", None)}


def axes_of(axes: str, unit: str | None = "micrometer") -> list[dict[str, str]]:
    """Return axes as 0.4 and 0.5 describe them."""
    found = []
    for axis in axes:
        kind, its_unit = UNITS.get(axis, ("space", unit))
        found.append({"name": axis, "type": kind} | ({"unit": its_unit} if its_unit else {}))
    return found


def multiscale(axes: str, count: int = 1, **more: Any) -> dict[str, Any]:
    """Return an entry of multiscales: µm, 0.29 along z, 0.1 in the plane."""
    sizes = {"z": 0.29, "y": 0.1, "x": 0.1}
    return {
        "axes": axes_of(axes),
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {
                        "type": "scale",
                        "scale": [sizes.get(a, 1.0) * (2**level if a in "yx" else 1) for a in axes],
                    }
                ],
            }
            for level in range(count)
        ],
    } | more


def describe(folder: Path, metadata: dict[str, Any], zarr_format: int = 3) -> Path:
    """Make a folder a group with these metadata; what it holds stays."""
    folder.mkdir(parents=True, exist_ok=True)
    if zarr_format == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps(metadata))
    else:
        attributes = {"ome": {"version": "0.5"} | metadata}
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (folder / "zarr.json").write_text(json.dumps(group))
    return folder


def image(
    folder: Path,
    data: Any = VOLUME[0],
    axes: str = "czyx",
    *,
    zarr_format: int = 3,
    levels: int = 1,
    more: dict[str, Any] | None = None,
    **how: Any,
) -> Path:
    """Write an image; its smaller levels are every second pixel."""
    how.setdefault("chunks", (*(1,) * (data.ndim - 2), 16, 32))
    for level in range(levels):
        part = data[..., :: 2**level, :: 2**level]
        array = zarr.create_array(
            folder / str(level),
            shape=part.shape,
            dtype=how.pop("dtype", data.dtype),
            zarr_format=zarr_format,
            **how,
        )
        array[:] = part
    version = {"version": "0.4"} if zarr_format == 2 else {}
    described = {"multiscales": [multiscale(axes, levels, **version)]} | (more or {})
    return describe(folder, described, zarr_format)
