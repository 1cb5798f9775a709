"""What the metadata of OME-Zarr say: axes, levels, channels, and which images lie in a folder.

OME-NGFF 0.1 to 0.4 (in Zarr 2) and 0.5 (in Zarr 3), https://ngff.openmicroscopy.org. Read
leniently where it does not matter, and nothing is guessed: a length without a unit is no length.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cellbank.images.channel import Channel
from cellbank.images.omexml import to_micrometre
from cellbank.images.pixels import UNNAMED
from cellbank.images.zarr_files import inside
from cellbank.model.errors import BadImage

MAX_LEVELS: Final = 64
MAX_IMAGES: Final = 100_000
_MAX_AXES: Final = 8
_READ: Final = re.compile(r"0\.[1-5]([.-].*)?")
_COLOR: Final = re.compile("#?([0-9A-Fa-f]{6})([0-9A-Fa-f]{2})?")
_MICROMETRES: Final = {
    "yoctometer": 1e-18,
    "zeptometer": 1e-15,
    "attometer": 1e-12,
    "femtometer": 1e-9,
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "hectometer": 1e8,
    "kilometer": 1e9,
    "inch": 25_400.0,
    "foot": 304_800.0,
    "yard": 914_400.0,
}
"""The units of the specification in which something of this world can be measured."""


class Axis(msgspec.Struct, frozen=True):
    """One axis."""

    letter: str
    """`T`, `C`, `Z`, `Y`, `X`; one of `UNNAMED` for another."""
    micrometres: float | None = None
    """How long its unit is; None where nothing is said, or it is no length."""


class Multiscale(msgspec.Struct, frozen=True):
    """One image, in one or more sizes."""

    name: str
    axes: tuple[Axis, ...]
    """In the order of the arrays' dimensions."""
    paths: tuple[str, ...]
    """Of its arrays, the largest first."""
    pixel_size: dict[str, float]
    """µm by axis, of the largest; only what is said."""

    @property
    def letters(self) -> str:
        """The letters of its axes."""
        return "".join(axis.letter for axis in self.axes)


def metadata_of(attributes: Mapping[str, Any], *, zarr_format: int) -> Mapping[str, Any]:
    """Return the part of a group's attributes that OME-Zarr speaks in."""
    if zarr_format == 2:
        return attributes
    found = attributes.get("ome")
    return found if isinstance(found, dict) else attributes


def version_of(metadata: Mapping[str, Any], zarr_format: int) -> str:
    """Return the version that is said, else the last one in this format of Zarr."""
    return next(iter(_versions(metadata)), "0.4" if zarr_format == 2 else "0.5")


def check_version(metadata: Mapping[str, Any], name: str) -> None:
    """Check that these metadata are of a version that is read here."""
    for version in _versions(metadata):
        if not _READ.fullmatch(version):
            raise BadImage(
                name,
                f"it is OME-Zarr {version[:40]}, which is not read",
                "Save it as OME-Zarr 0.4 or 0.5.",
            )


def _versions(metadata: Mapping[str, Any]) -> list[str]:
    images = metadata.get("multiscales")
    parts = [metadata, metadata.get("plate"), metadata.get("well")]
    parts += images[:1] if isinstance(images, list) else []
    said = [part.get("version") for part in parts if isinstance(part, dict)]
    return [str(version) for version in said if version is not None]


def multiscales_of(metadata: Mapping[str, Any], name: str) -> list[Any]:
    """Return the images of one group as they are described; empty where there are none."""
    found = metadata.get("multiscales")
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > MAX_IMAGES:
        raise BadImage(name, "its multiscales are no list of images")
    return found


def parse_multiscale(said: Any, name: str) -> Multiscale:
    """Read one entry of multiscales."""
    if not isinstance(said, dict):
        raise BadImage(name, "its multiscales describe no image")
    axes = _axes(said.get("axes", list("tczyx")), name)
    datasets = said.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise BadImage(name, "its multiscales name no array")
    if len(datasets) > MAX_LEVELS:
        raise BadImage(name, f"it has {len(datasets)} levels, more than {MAX_LEVELS}")
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise BadImage(name, "its multiscales name no array")
    label = said.get("name")
    return Multiscale(
        name=label if isinstance(label, str) else "",
        axes=axes,
        paths=tuple(inside(dataset.get("path"), name) for dataset in datasets),
        pixel_size=_pixel_size(axes, _scale(datasets[0], axes), _scale(said, axes)),
    )


def _axes(said: Any, name: str) -> tuple[Axis, ...]:
    """Read axes: by name, and by type where the name is free."""
    if not isinstance(said, list) or not 2 <= len(said) <= _MAX_AXES:
        raise BadImage(name, "its axes are not understood")
    # Before 0.4 an axis was its name, and before 0.3 there were none.
    described = [{"name": axis} if isinstance(axis, str) else axis for axis in said]
    if not all(isinstance(a, dict) and isinstance(a.get("name"), str) for a in described):
        raise BadImage(name, "it has an axis without a name")
    letters = [_letter(axis) for axis in described]
    free = [letter for letter in "ZYX" if letter not in letters]
    spaces = [n for n, letter in enumerate(letters) if letter == "space"]
    for number in reversed(spaces):
        letters[number] = free.pop() if free else "other"
    others = iter(UNNAMED)
    for number in reversed(range(len(letters))):
        if letters[number] == "other":
            letters[number] = next(others)
    shown = "".join(letters)
    if "X" not in letters or "Y" not in letters or any(shown.count(a) > 1 for a in "TCZYX"):
        names = ", ".join(str(axis["name"])[:20] for axis in described)
        raise BadImage(name, f"its axes {names} are not understood", "They must have y and x.")
    return tuple(
        Axis(letter, _unit(axis.get("unit")) if letter in "ZYX" else None)
        for letter, axis in zip(letters, described, strict=True)
    )


def _letter(axis: Mapping[str, Any]) -> str:
    called, kind = axis["name"].upper(), axis.get("type")
    if called in {"T", "C", "Z", "Y", "X"}:
        return str(called)
    return {"time": "T", "channel": "C", "space": "space"}.get(str(kind), "other")


def _unit(said: Any) -> float | None:
    if not isinstance(said, str):
        return None
    return _MICROMETRES.get(said.lower()) or to_micrometre(1.0, said)


def _scale(said: Mapping[str, Any], axes: tuple[Axis, ...]) -> list[float] | None:
    """Return the scale of a list of transformations; None where there is none that can be used."""
    found = said.get("coordinateTransformations")
    for one in found if isinstance(found, list) else []:
        scale = one.get("scale") if isinstance(one, dict) else None
        if (
            isinstance(scale, list)
            and len(scale) == len(axes)
            and all(isinstance(s, int | float) and not isinstance(s, bool) for s in scale)
        ):
            return [float(s) for s in scale]
    return None


def _pixel_size(
    axes: tuple[Axis, ...], own: list[float] | None, common: list[float] | None
) -> dict[str, float]:
    if own is None and common is None:
        return {}
    ones = [1.0] * len(axes)
    sizes = {
        axis.letter: first * second * axis.micrometres
        for axis, first, second in zip(axes, own or ones, common or ones, strict=True)
        if axis.micrometres is not None
    }
    return {a: sizes[a] for a in "ZYX" if a in sizes and math.isfinite(sizes[a]) and sizes[a] > 0}


def channels_of(metadata: Mapping[str, Any], count: int) -> tuple[tuple[Channel, ...], str]:
    """Return `count` channels as `omero` describes them, and a note where it does not fit."""
    omero = metadata.get("omero")
    said = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(said, list):
        return tuple(Channel(None, number) for number in range(count)), ""
    note = ""
    if len(said) != count:
        note = f"{len(said)} channels are described, the image has {count}"
    described = said[:count] + [None] * (count - len(said))
    return tuple(_channel(one, number) for number, one in enumerate(described)), note


def _channel(said: Any, index: int) -> Channel:
    if not isinstance(said, dict):
        return Channel(None, index)
    label, color, use = said.get("label"), said.get("color"), said.get("use")
    matched = _COLOR.fullmatch(color) if isinstance(color, str) else None
    return Channel(
        name=str(label) if isinstance(label, str | int) and label != "" else None,
        index=index,
        color=f"#{matched[1].lower()}" if matched else None,
        wavelength=_number(said.get("emissionWave")),
        excitation=_number(said.get("excitationWave")),
        # `active` only says what a viewer showed at last; `use` is ours.
        use=use if isinstance(use, bool) else None,
        window=_window(said.get("window")),
    )


def _number(said: Any) -> float | None:
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return float(said) if math.isfinite(said) and said > 0 else None


def _window(said: Any) -> tuple[float, float] | None:
    ends = [said.get("start"), said.get("end")] if isinstance(said, dict) else []
    if len(ends) < 2 or any(isinstance(e, bool) or not isinstance(e, int | float) for e in ends):
        return None
    low, high = (float(end) for end in ends if end is not None)
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def paths_in(said: Any, name: str) -> list[str]:
    """Return the paths of a list of `{"path": …}` (wells, fields), each of which lies inside."""
    if not isinstance(said, list) or len(said) > MAX_IMAGES:
        raise BadImage(name, "its plate or well is not understood")
    if not all(isinstance(one, dict) for one in said):
        raise BadImage(name, "its plate or well is not understood")
    return [inside(one.get("path"), name) for one in said]
