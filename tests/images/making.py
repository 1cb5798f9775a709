"""Images for the tests: small, made here, in the many forms in which TIFF comes."""

import io
from typing import Any

import numpy as np
import tifffile

from cellbank.images.ometiff import write_ome_tiff

STACK = (np.arange(3 * 2 * 20 * 30).reshape(3, 2, 20, 30) * 7 % 1999).astype(np.uint16)
COLOUR = (np.arange(20 * 30 * 3).reshape(20, 30, 3) % 251).astype(np.uint8)


def tiff(data: Any = STACK, **how: Any) -> bytes:
    """Return a TIFF file as tifffile writes it."""
    file = io.BytesIO()
    how.setdefault("photometric", "minisblack")
    tifffile.imwrite(file, data, **how)
    return file.getvalue()


def ome(data: Any = STACK, axes: str = "ZCYX", **how: Any) -> bytes:
    """Return an OME-TIFF as we write it."""
    file = io.BytesIO()
    leading = axes.index("Y")
    planes = data.reshape(-1, *data.shape[leading:])
    write_ome_tiff(file, planes, axes=axes, shape=data.shape, dtype=data.dtype.name, **how)
    return file.getvalue()


def described(xml: str, data: Any = STACK) -> bytes:
    """Return a TIFF file with this description."""
    return tiff(data, description=xml, metadata=None)


def ome_text(pixels: str = "", inside: str = "", *, root: str = "", sizes: str = "") -> str:
    """Return OME-XML for `STACK`."""
    sizes = sizes or 'SizeX="30" SizeY="20" SizeZ="3" SizeC="2" SizeT="1"'
    order = "" if "DimensionOrder" in pixels else 'DimensionOrder="XYCZT"'
    return (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" {root}>'
        '<Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" {order} Type="uint16" {sizes} {pixels}>{inside}</Pixels>'
        "</Image></OME>"
    )


FORMS: dict[str, bytes] = {
    "ours": ome(channels=["DNA", "membrane"], pixel_size={"Z": 0.29, "Y": 0.1, "X": 0.1}),
    "ours, compressed": ome(compression="zlib"),
    "OME by tifffile": tiff(ome=True, metadata={"axes": "ZCYX"}),
    "BigTIFF, big-endian": tiff(bigtiff=True, byteorder=">"),
    "ImageJ": tiff(imagej=True, metadata={"axes": "ZCYX"}),
    "ImageJ, one directory": tiff(imagej=True, metadata={"axes": "ZCYX"}, truncate=True),
    "tifffile's, one directory": tiff(truncate=True),
    "no metadata": tiff(metadata=None),
    "one page": tiff(STACK[0, 0], metadata=None),
    "strips": tiff(rowsperstrip=3),
    "tiles": tiff(tile=(16, 16)),
    "LZW, predictor": tiff(compression="lzw", predictor=True, rowsperstrip=7),
    "Deflate, tiles": tiff(compression="zlib", tile=(16, 16)),
    "PackBits": tiff(compression="packbits"),
    "Zstandard": tiff(compression="zstd"),
    "LZMA": tiff(compression="lzma"),
    "JPEG 2000": tiff(compression="jpeg2000"),
    "JPEG": tiff(COLOUR, photometric="rgb", compression="jpeg"),
    "RGB": tiff(COLOUR, photometric="rgb"),
    "RGB in planes": tiff(
        COLOUR.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"
    ),
    "one bit": tiff(STACK[0, 0] > 900),
    "floats": tiff(STACK.astype(np.float32), compression="zlib", predictor=True),
    "signed": tiff(STACK.astype(np.int32) - 1000, byteorder=">"),
}
