"""Images for the tests: small, made here, in the many forms in which TIFF comes."""

import io
from typing import Any

import numpy as np
import tifffile

from cellbank.images.ometiff import write_ome_tiff

TIMES = (np.arange(2 * 3 * 2 * 20 * 30).reshape(2, 3, 2, 20, 30) * 11 % 4001).astype(np.uint16)
FIELD = (np.arange(2 * 90 * 110).reshape(2, 90, 110) * 13 % 3001).astype(np.uint16)
STACK = (np.arange(3 * 2 * 20 * 30).reshape(3, 2, 20, 30) * 7 % 1999).astype(np.uint16)
COLOURS = (np.arange(4 * 20 * 30 * 3).reshape(4, 20, 30, 3) % 241).astype(np.uint8)
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


def pyramid(
    data: Any = FIELD, axes: str = "CYX", *, steps: tuple[int, ...] = (2, 4), **how: Any
) -> bytes:
    """Return an OME-TIFF with smaller versions of each page (SubIFDs): every second pixel, …."""
    how = {"tile": (16, 32), "photometric": "minisblack", **how}
    rows = axes.index("Y")
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True, byteorder=how.pop("byteorder", "<")) as writer:
        writer.write(data, subifds=len(steps), metadata={"axes": axes}, **how)
        for step in steps:
            part = (*[slice(None)] * rows, slice(None, None, step), slice(None, None, step))
            writer.write(np.ascontiguousarray(data[part]), subfiletype=1, metadata=None, **how)
    return file.getvalue()


def scenes(*parts: Any, axes: str = "ZCYX") -> bytes:
    """Return an OME-TIFF with several images, named `part 0`, `part 1`, …."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        for number, part in enumerate(parts):
            metadata = {"axes": axes[-part.ndim :], "Name": f"part {number}"}
            writer.write(part, photometric="minisblack", metadata=metadata)
    return file.getvalue()


def unlike(*parts: Any) -> bytes:
    """Return a plain TIFF whose pages have nothing to do with each other."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for part in parts:
            writer.write(part, photometric="minisblack", metadata=None)
    return file.getvalue()


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
    "OME, pyramid": pyramid(compression="zlib"),
    "OME, pyramid, big-endian": pyramid(byteorder=">"),
    "OME, times": tiff(TIMES, ome=True, metadata={"axes": "TZCYX"}),
    "OME, one time": tiff(TIMES[:1], ome=True, metadata={"axes": "TZCYX"}),
    "OME, big-endian": tiff(ome=True, byteorder=">", metadata={"axes": "ZCYX"}),
    "OME, BigTIFF": tiff(ome=True, bigtiff=True, metadata={"axes": "ZCYX"}),
    "OME, colour": tiff(COLOURS, ome=True, photometric="rgb", metadata={"axes": "ZYXS"}),
    "OME, colour in planes": tiff(
        COLOURS.transpose(0, 3, 1, 2).copy(),
        ome=True,
        photometric="rgb",
        planarconfig="separate",
        metadata={"axes": "ZSYX"},
    ),
    "OME, scenes": scenes(STACK, TIMES[0]),
    "ImageJ, times and labels": tiff(
        TIMES,
        imagej=True,
        metadata={"axes": "TZCYX", "Labels": [f"label {n}" for n in range(12)]},
    ),
    "ImageJ, colour": tiff(COLOURS, imagej=True, photometric="rgb", metadata={"axes": "ZYXS"}),
    "halves, big-endian": tiff(STACK.astype(np.float16), byteorder=">", metadata=None),
    "doubles": tiff(STACK.astype(np.float64), compression="zlib", predictor=True),
    "complex": tiff(STACK[0].astype(np.complex64), metadata=None),
    "LZW, tiles, big-endian": tiff(compression="lzw", tile=(16, 16), byteorder=">"),
    "64 bits": tiff(STACK.astype(np.uint64) << 50, metadata=None),
}


class Counting(io.BytesIO):
    """A file that counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read, and count."""
        found = super().read(size)
        self.count += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        """Read, and count."""
        length = super().readinto(buffer)
        self.count += length
        return length
