"""Opening an image, whatever it is: a path, a folder, a file, a node of a package."""

import io
import os
import stat
from typing import Any, Final

import msgspec

from cellbank.images.channel import Channel
from cellbank.images.header import planes_of
from cellbank.images.image import Image
from cellbank.images.pixels import Pixels
from cellbank.images.source import Source, name_of, opened, shared
from cellbank.model.errors import AxisNotFound, BadImage, BadInput
from cellbank.model.names import near

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open(  # noqa: A001  images.open, as webbrowser.open and gzip.open
    source: Any, *, scene: int | str = 0, axes: str = "", reader: str | None = None
) -> Image:
    """Open an image; only its header is read.

    Parameters
    ----------
    source
        The path of a TIFF file or of an OME-Zarr folder; a binary file that can be moved in; an
        entry of a package, or a group that holds an OME-Zarr or nothing but one entry.
    scene
        Which image of a file that holds several: its number or its name. In an OME-Zarr also the
        path of one that is not counted among them, such as `labels/nuclei`.
    axes
        What the axes are, such as `ZYX`, where the file does not say it or says it wrong.
    reader
        `bioio` reads by that library; by default it does so only what is neither TIFF nor OME-Zarr.

    Returns
    -------
    Image
        Its planes are read when they are asked for.

    Raises
    ------
    BadImage
        It is no image, or damaged, or has no such scene.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> import io, numpy as np
    >>> from cellbank import images
    >>> file = io.BytesIO()
    >>> planes = np.zeros((2, 4, 6), "uint16")
    >>> images.write_ome_tiff(
    ...     file, planes, axes="CYX", shape=planes.shape, dtype="uint16", channels=["DNA", "EGFP"]
    ... )
    >>> image = images.open(file)
    >>> image
    <Image CYX 2 × 4 × 6 uint16, DNA, EGFP>
    >>> image.read(C="EGFP", Y=slice(0, 2)).shape
    (2, 6)
    """
    if isinstance(source, Image):
        return source
    if isinstance(scene, bool) or not isinstance(scene, int | str):
        raise BadInput(f"{scene!r:.60} is no scene", "Give its number or its name.")
    number = scene if isinstance(scene, int) else 0
    pixels = _pixels(source, number, reader)
    if isinstance(scene, str) and pixels.scenes[number] != scene:
        found = pixels.unlisted(scene) if scene not in pixels.scenes else None
        if found is None and scene not in pixels.scenes:
            close = near(scene, list(pixels.scenes))
            there = ", ".join(pixels.scenes[:10])
            advice = f"Did you mean {' or '.join(close)}?" if close else f"It has {there}."
            raise BadImage(pixels.name, f"it has no scene {scene!r}", advice)
        pixels = found or _pixels(source, pixels.scenes.index(scene), reader)
    if axes:
        _name_axes(pixels, axes)
    return Image(pixels)


def _pixels(source: Any, scene: int, reader: str | None) -> Pixels:
    if reader not in {None, "bioio"}:
        raise BadInput(f"there is no reader {reader!r}", "Leave it out, or say 'bioio'.")
    source = _alone(source)
    # A group's children are attributes, so its type is asked.
    kind = type(source)
    if hasattr(kind, "filename") and hasattr(kind, "open"):
        return _of_entry(source, scene, reader)
    if hasattr(kind, "_read_file"):
        from cellbank.images.zarr_pixels import ZarrPixels

        return ZarrPixels(source, scene=scene)
    if isinstance(source, (str, os.PathLike)):
        return _of_path(os.fspath(source), scene, reader)
    if not (hasattr(source, "read") and hasattr(source, "seek")):
        what = f"an image cannot be opened from a {kind.__name__}"
        record = hasattr(kind, "has_image")
        advice = "Take its image: record.image" if record else "Give a path, a file or a node."
        raise BadInput(what, advice)
    if isinstance(source, io.TextIOBase):
        raise BadInput("an image cannot be opened from a file of text", "Open it with mode 'rb'.")
    return _of_file(source, name_of(source), scene)


def _alone(source: Any) -> Any:
    """Return the only entry of a group (`image`, which has `load`); else what was given."""
    kind = type(source)
    if hasattr(kind, "_read_file") and hasattr(kind, "__len__") and len(source) == 1:
        only = source[0]
        return only if hasattr(type(only), "filename") else source
    return source


def _of_entry(entry: Any, scene: int, reader: str | None) -> Pixels:
    """Open an entry: by its path where its bytes are here, else as the file that it opens."""
    name = str(getattr(getattr(entry, "entry", None), "path", "") or entry.filename)
    if reader == "bioio":
        return _vendor(entry.named_path, name, scene)
    file = entry.open()
    path = getattr(file, "name", None)
    if isinstance(path, str) and os.path.isabs(path) and os.path.isfile(path):
        file.close()
        if not _is_tiff(path, name):
            return _vendor(entry.named_path, name, scene)
        return _tiff(path, name, scene)
    return _of_file(file, name, scene)


def _of_path(path: str, scene: int, reader: str | None) -> Pixels:
    if reader == "bioio":
        return _vendor(path, path, scene)
    if "\0" in path:
        raise BadInput(f"{path!r:.60} is no path", "Name one file.")
    if stat.S_ISDIR(os.stat(path).st_mode):
        from cellbank.images.zarr_pixels import ZarrPixels

        return ZarrPixels(path, scene=scene)
    return _tiff(path, path, scene) if _is_tiff(path, path) else _vendor(path, path, scene)


def _of_file(file: Any, name: str, scene: int) -> Pixels:
    source = shared(file)
    if not _is_tiff(source, name):
        raise BadImage(name, "it is no TIFF file", "Open other formats by their path.")
    return _tiff(source, name, scene)


def _is_tiff(source: Source, name: str) -> bool:
    with opened(source, name) as window:
        return window.at(0, min(4, window.size)) in _TIFF


def _tiff(source: Source, name: str, scene: int) -> Pixels:
    from cellbank.images.tiff_pixels import TiffPixels

    return TiffPixels(source, name, scene)


def _vendor(path: str, name: str, scene: int) -> Pixels:
    from cellbank.images.vendor_pixels import VendorPixels

    return VendorPixels(path, name=name, scene=scene)


def _name_axes(pixels: Pixels, declared: str) -> None:
    """Give the axes the names that were said."""
    header = pixels.header
    last = header.axes[header.axes.index("Y") :]
    kept = "".join(axis for axis in declared if axis in last or axis in "TCZ")
    if kept != declared or not declared.endswith(last) or len(set(declared)) != len(declared):
        reason = f"{declared!r} are no axes for {header.axes} {header.shape}"
        raise AxisNotFound(pixels.name, declared, reason, "They are T, C and Z, then YX or YXS.")
    if len(declared) > len(header.axes):
        # An axis of length 1 may be named; files leave it out.
        declared = "".join(axis for axis in declared if axis in header.axes)
    if len(declared) != len(header.axes):
        raise AxisNotFound(
            pixels.name, declared, f"it has {len(header.axes)} axes, {header.axes} {header.shape}"
        )
    pixels.header = msgspec.structs.replace(
        header, axes=declared, planes=planes_of(declared, header.shape)
    )
    count = pixels.header.sizes.get("C", 1)
    if count != len(pixels.channels):
        pixels.channels = tuple(Channel(None, number) for number in range(count))
