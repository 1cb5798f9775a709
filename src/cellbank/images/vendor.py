"""Formats of microscopes' makers (CZI, ND2, LIF and more), read through bioio if it is there."""

import importlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellbank.images.header import Header, planes_of
from cellbank.images.source import translated
from cellbank.model.errors import BadImage


def open_vendor(path: str) -> tuple[Header, Callable[[], Iterator[NDArray[Any]]]]:
    """Return the header of an image that is no TIFF, and what reads its planes in that order."""
    with translated(path):
        image = _open(path)
        if len(image.scenes) > 1:
            raise BadImage(
                path, f"it holds {len(image.scenes)} scenes", "Save each as a file of its own."
            )
        sizes = dict(zip(image.dims.order, (int(n) for n in image.shape), strict=True))
        last = "YXS" if "S" in sizes else "YX"
        axes = "".join(a for a in "TZC" if sizes.get(a, 1) > 1) + last
        shape = tuple(sizes[axis] for axis in axes)
        found = image.physical_pixel_sizes
        said = {axis: getattr(found, axis) for axis in "ZYX"}
        names = image.channel_names or ()
        header = Header(
            format="vendor",
            axes=axes,
            shape=shape,
            dtype=np.dtype(image.dtype).name,
            channels=tuple(str(name) for name in names),
            pixel_size={axis: float(size) for axis, size in said.items() if size},
            planes=planes_of(axes, shape),
        )
    return header, lambda: _planes(path, image, header, last)


def _open(path: str) -> Any:
    advice = (
        "Install bioio and its reader for this format (https://bioio-devs.github.io/bioio), "
        "or save it as OME-TIFF."
    )
    try:
        read = importlib.import_module("bioio").BioImage
    except ImportError:
        raise BadImage(path, "it is no TIFF file", advice) from None
    try:
        return read(path)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  every reader has errors of its own
        told = str(error).strip().partition("\n")[0][:200]
        raise BadImage(path, f"it cannot be read: {told}", advice) from None


def _planes(path: str, image: Any, header: Header, last: str) -> Iterator[NDArray[Any]]:
    leading = header.axes[: -len(last)]
    dtype = np.dtype(header.dtype)
    with translated(path):
        for place in itertools.product(*(range(header.sizes[axis]) for axis in leading)):
            chosen = dict(zip(leading, place, strict=True))
            # As dask: `get_image_data` would read the whole image first.
            plane = image.get_image_dask_data(last, **chosen).compute()
            yield np.ascontiguousarray(plane, dtype)
