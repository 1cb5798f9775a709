"""Saving an image as OME-TIFF or OME-Zarr: whole, under its name, or not at all."""

import contextlib
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.image_data import ImageData
from cellbank.images.ometiff import write_ome_tiff
from cellbank.images.omewriting import OME_TYPES
from cellbank.images.omexml import MAX_PLANES
from cellbank.images.picturing import all_colors, shown_channels
from cellbank.images.zarr_writing import COMPRESSIONS, Plan, Writer, levels_of
from cellbank.model.errors import BadImage, BadInput, CellbankError, DiskError, WouldOverwrite

_TIFF: Final = (".tif", ".tiff")
_ZARR: Final = (".zarr",)
_SAMPLES: Final = {
    3: (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff")),
    4: (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff"), ("opacity", "#ffffff")),
}


def save(
    image: ImageData,
    path: str | os.PathLike[str],
    *,
    version: str = "0.5",
    levels: int | None = None,
    compression: str | None = "auto",
    labels: bool = False,
    overwrite: bool = False,
) -> None:
    """Save an image: exactly the same pixels, names and colours of channels, pixel sizes.

    One plane is in memory at a time. The file or folder has its name when it is complete; what
    fails leaves nothing.

    Parameters
    ----------
    image
        Any; what is in use of its channels is kept as well.
    path
        `.ome.tif`, `.ome.tiff`, `.tif` or `.tiff` is OME-TIFF; `.ome.zarr` or `.zarr` is OME-Zarr.
    version
        Of OME-Zarr: `0.4` or `0.5`.
    levels
        How many sizes an OME-Zarr gets, each half the one before. Default: until it is small.
    compression
        OME-TIFF: None or `zlib`; OME-Zarr: None, `blosc`, `zstd` or `gzip`. `auto` is none for
        OME-TIFF, so that planes can be read straight from the disk, and `blosc` for OME-Zarr.
    labels
        The pixels are numbers of objects: smaller levels take one of four, not the mean.
    overwrite
        Replace what is there.

    Raises
    ------
    BadInput
        The name has another ending, or an option does not fit the format.
    BadImage
        The image is damaged, or the format has no such axes or pixels.
    WouldOverwrite
        Something is there already.
    DiskError
        The disk refused.

    Examples
    --------
    >>> import io, numpy as np
    >>> from cellbank import images
    >>> file, planes = io.BytesIO(), np.ones((2, 4, 6), "uint16")
    >>> images.write_ome_tiff(file, planes, axes="CYX", shape=planes.shape, dtype="uint16")
    >>> folder = getfixture("tmp_path") / "cells.ome.zarr"
    >>> images.open(file).save(folder)
    >>> images.open(folder)
    <Image CYX 2 × 4 × 6 uint16>
    """
    if not isinstance(image, ImageData):
        advice = "Open one, or write an array with write_ome_tiff."
        raise BadInput(f"{type(image).__name__} is no image", advice)
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (*_TIFF, *_ZARR):
        raise BadInput(
            f"{target.name or path!r}: an image is not saved under this name",
            "It must end with .ome.tiff or .ome.zarr.",
        )
    _check_axes(image)
    if suffix in _TIFF and image.dtype != np.bool_ and image.dtype.name not in OME_TYPES:
        reason = f"OME-TIFF has no {image.dtype} pixels"
        raise BadImage(image.name, reason, "Save it as .ome.zarr; labels as uint32.")
    compression = _compression(compression, suffix)
    if suffix in _TIFF and levels not in {None, 1}:
        raise BadInput("an OME-TIFF is saved in one size", "Leave `levels` out, or save .ome.zarr.")
    plan = _plan(image, version, levels, compression, labels=labels) if suffix in _ZARR else None
    _check_target(target, folder=plan is not None, overwrite=overwrite)
    with _disk(target), _beside(target, overwrite=overwrite) as place:
        if plan is None:
            _save_tiff(image, place, compression)
        else:
            _save_zarr(image, place, plan, target.name)


def _check_axes(image: ImageData) -> None:
    if set(image.axes) - set("TCZYXS"):
        raise BadInput(
            f"{image.name}: its axes {image.axes} have no names that can be saved",
            "Say what they are: images.open(path, axes='ZYX').",
        )


def _compression(said: str | None, suffix: str) -> str | None:
    known = ("zlib",) if suffix in _TIFF else COMPRESSIONS
    if said == "auto":
        return None if suffix in _TIFF else "blosc"
    if said is not None and said not in known:
        raise BadInput(
            f"there is no compression {said!r} for {suffix}", f"Take None or {' or '.join(known)}."
        )
    return said


def _plan(
    image: ImageData, version: str, levels: int | None, compression: str | None, *, labels: bool
) -> Plan:
    if version not in {"0.4", "0.5"}:
        raise BadInput(f"OME-Zarr {version} is not written", "Take 0.4 or 0.5.")
    if levels is not None and not 1 <= levels <= 32:
        raise BadInput(f"{levels} levels cannot be written", "Take 1 to 32.")
    sizes = image.sizes
    # Samples become channels: OME-Zarr has no others.
    samples = sizes.pop("S", 1)
    if samples > 1:
        sizes["C"] = sizes.get("C", 1) * samples
    axes = "".join(axis for axis in "TCZYX" if axis in sizes)
    height, width = sizes["Y"], sizes["X"]
    dtype = np.dtype("uint8") if image.dtype == np.bool_ else image.dtype
    return Plan(
        axes=axes,
        shape=tuple(sizes[axis] for axis in axes),
        dtype=dtype.newbyteorder("<"),
        levels=levels_of(height, width, levels),
        version=version,
        compression=compression,
        labels=labels,
    )


# --- the formats ---------------------------------------------------------------------------------


def _save_tiff(image: ImageData, place: Path, compression: Any) -> None:
    names = tuple(channel.name for channel in image.channels)
    known = any(_detailed(channel) for channel in image.channels)
    with place.open("xb") as file:
        write_ome_tiff(
            file,
            _planes(image),
            axes=image.axes,
            shape=image.shape,
            dtype="uint8" if image.dtype == np.bool_ else image.dtype.name,
            channels=names if any(names) else (),
            details=image.channels if known else (),
            acquired=image.acquisition_date,
            pixel_size={a: n for a, n in (image.pixel_size or {}).items() if a in "ZYX"},
            compression=compression,
        )
        file.flush()
        os.fsync(file.fileno())


def _detailed(channel: Channel) -> bool:
    return bool(channel.color or channel.wavelength or channel.excitation or channel.fluor)


def _save_zarr(image: ImageData, place: Path, plan: Plan, name: str) -> None:
    place.mkdir()
    writer = Writer(place, plan)
    leading = image.axes[: image.axes.index("Y")]
    samples = image.sizes.get("S", 1)
    everywhere = itertools.product(*(range(image.sizes[axis]) for axis in leading))
    for at, plane in zip(everywhere, _planes(image), strict=True):
        known = dict(zip(leading, at, strict=True))
        for number in range(samples):
            if samples > 1:
                known["C"] = dict(zip(leading, at, strict=True)).get("C", 0) * samples + number
            where = tuple(known[axis] for axis in plan.axes[:-2])
            writer.put(where, plane[..., number] if "S" in image.axes else plane)
    stem = name[: -len(".zarr")].removesuffix(".ome")
    sizes = {a: n for a, n in (image.pixel_size or {}).items() if a in plan.axes}
    writer.finish(stem, _channels(image, samples), sizes)


def _planes(image: ImageData) -> Iterator[NDArray[Any]]:
    height, width = image.levels[0]
    count = image.pixels.header.planes
    if count > MAX_PLANES:
        raise BadInput(f"{image.name}: {count} planes are too many", "Save parts of it.")
    for plane in image.pixels.planes(range(count), slice(0, height), slice(0, width)):
        yield plane.astype(np.uint8) if plane.dtype == np.bool_ else plane


def _channels(image: ImageData, samples: int) -> tuple[Channel, ...]:
    """Return the channels as they are written: each with a colour; of samples, one for each."""
    if samples == 1:
        colors = all_colors(image.channels, shown_channels(image, None))
        return tuple(
            msgspec.structs.replace(channel, index=number, color=channel.color or color)
            for number, (channel, color) in enumerate(zip(image.channels, colors, strict=True))
        )
    known = _SAMPLES.get(samples, tuple((f"sample {n}", "#ffffff") for n in range(samples)))
    several = len(image.channels) > 1
    return tuple(
        Channel(
            name=f"{channel.title}, {name}" if several else name,
            index=number * samples + n,
            color=color,
        )
        for number, channel in enumerate(image.channels)
        for n, (name, color) in enumerate(known)
    )


# --- the disk ------------------------------------------------------------------------------------


def _check_target(target: Path, *, folder: bool, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise BadInput(f"there is no folder {target.parent}", "Make it first.")
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise WouldOverwrite([str(target)], "saving", "Choose another name, or overwrite=True.")
    if target.is_dir() != folder:
        what = "a folder" if target.is_dir() else "a file"
        raise BadInput(f"{target} is {what}, which is not replaced", "Choose another name.")
    marks = ("zarr.json", ".zgroup")
    if folder and any(target.iterdir()) and not any((target / mark).exists() for mark in marks):
        raise BadInput(f"{target} is no Zarr folder, it is not replaced", "Choose another name.")


@contextlib.contextmanager
def _beside(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a place beside the target that takes its name at the end, or is removed."""
    token = secrets.token_hex(4)
    place = target.with_name(f".{target.name}.{token}.partial")
    try:
        yield place
        old = target.with_name(f".{target.name}.{token}.old")
        if place.is_dir() and overwrite and target.exists():
            # No name can be moved over a folder that is not empty.
            target.rename(old)
            try:
                place.rename(target)
            except BaseException:
                old.rename(target)
                raise
            _remove(old)
        else:
            place.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        _remove(place)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


@contextlib.contextmanager
def _disk(target: Path) -> Iterator[None]:
    try:
        yield
    except CellbankError:
        raise
    except OSError as error:
        raise DiskError(str(target), error.strerror or str(error)) from None
