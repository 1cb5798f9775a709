"""What OME-XML says of an image, read leniently: vendors write it in many ways.

OME-XML 2016-06 and its ancestors; namespaces are ignored. Only what places pixels and names
channels is read.
"""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from cellbank.images.channel import Channel
from cellbank.images.ome import children, image_of
from cellbank.images.xmltree import InvalidOme, read_tree
from cellbank.model.errors import BadImage

_TIMES: Final = {"mm": 1e3, "cm": 1e4, "m": 1e6, "millimeter": 1e3, "millimetre": 1e3}
_PARTS: Final = {"nm": 1e3, "pm": 1e6, "Å": 1e4, "nanometer": 1e3, "nanometre": 1e3}
_MICRO: Final = {"µm", "μm", "um", "micron", "microns", "micrometer", "micrometre"}

MAX_PLANES: Final = 1 << 17
"""No file has more pages."""


class Block(msgspec.Struct, frozen=True, gc=False):
    """A run of pages, and the plane that the first of them is (a TiffData element)."""

    page: int
    first: dict[str, int]
    count: int | None


class Described(msgspec.Struct, frozen=True):
    """What OME-XML says of one of the file's images."""

    axes: str
    """All five, slowest first: `TZCYX`."""
    sizes: dict[str, int]
    channels: tuple[str | None, ...]
    samples: int
    pixel_size: dict[str, float]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    scenes: tuple[str, ...] = ("",)
    """Names of all images that have pixels; this is one of them."""
    details: tuple[Channel, ...] = ()
    acquired: datetime | None = None

    def order(self, pages: int) -> list[int | None]:
        """Return for each plane, in the order of the axes, its page; None where there is none."""
        leading = [(axis, self.sizes[axis]) for axis in self.axes[:-2]]
        planes = math.prod(size for _, size in leading)
        if len(self.blocks) <= 1 and not any(
            b.page or any(b.first.values()) or b.count not in {None, planes} for b in self.blocks
        ):
            return [n if n < pages else None for n in range(planes)]
        placed: list[int | None] = [None] * planes
        left = 4 * max(planes, pages)
        for block in self.blocks:
            start = 0
            for axis, size in leading:
                start = start * size + block.first.get(axis, 0)
            count = pages - block.page if block.count is None else block.count
            count = max(0, min(count, pages - block.page, planes - start))
            placed[start : start + count] = range(block.page, block.page + count)
            left -= count
            if left < 0:
                raise InvalidOme("it places its pages again and again")
        return placed


def looks_like_ome(description: bytes) -> bool:
    """Tell whether a page's description is meant to be OME-XML, be it damaged."""
    if description[-16:].rstrip(b"\0 \r\n\t").endswith(b"OME>"):
        return True
    return description.lstrip()[:5] in {b"<?xml", b"<OME "} and b"<Pixels" in description


def to_micrometre(value: float, unit: str) -> float | None:
    """Return a length in µm; None for a unit that is no length, or for no length at all."""
    if not (math.isfinite(value) and value > 0):
        return None
    if unit in _PARTS:
        length = value / _PARTS[unit]
    elif unit in _MICRO or unit in _TIMES:
        length = value * _TIMES.get(unit, 1)
    else:
        return None
    return length if 0 < length < math.inf else None


def parse(description: bytes, name: str, samples: int, scene: int = 0) -> Described:
    """Read the OME-XML of a file whose first page has so many samples a pixel.

    Raises `InvalidOme`: It makes no sense. Raises `BadImage`: It has a DOCTYPE (entities can make a
    small text huge), is far too long, or parts of the image lie in other files.
    """
    root, notes = read_tree(description, name)
    if next(children(root, "BinaryOnly"), None) is not None:
        raise _elsewhere(name)
    # An image without pixels is none of the scenes.
    said = [(i, p) for i in children(root, "Image") for p in children(i, "Pixels")]
    if not said:
        raise InvalidOme("no image is described")
    if not 0 <= scene < len(said):
        raise no_such_scene(name, scene, len(said))
    image, pixels = said[scene]
    _refuse_other_files(root, pixels, name)
    described = _described(pixels, samples)
    details = image_of(image)
    return msgspec.structs.replace(
        described,
        scenes=tuple(i.get("Name") or i.get("ID") or f"image {n}" for n, (i, _) in enumerate(said)),
        notes=(*notes, *described.notes),
        details=details.channels,
        acquired=details.acquired,
    )


def no_such_scene(name: str, scene: int, count: int) -> BadImage:
    """Return the error of a scene that is asked for and not there."""
    only = "one scene" if count == 1 else f"scenes 0 to {count - 1}"
    return BadImage(name, f"it has no scene {scene}: it has {only}")


def _elsewhere(name: str) -> BadImage:
    return BadImage(
        name,
        "parts of this image lie in other files (a multi-file OME-TIFF)",
        "Save it as one file, for example with Bio-Formats' bfconvert.",
    )


def _refuse_other_files(root: Element, pixels: Element, name: str) -> None:
    places = [next(children(data, "UUID"), None) for data in children(pixels, "TiffData")]
    said = [uuid for uuid in places if uuid is not None]
    named = {(uuid.text or "").strip() for uuid in said}
    paths = {uuid.get("FileName", "") for uuid in said}
    own = root.get("UUID")
    # A file that was renamed still has its own UUID; without one, all is in one file of some name.
    if (own and named - {own}) or len(named) > 1:
        raise _elsewhere(name)
    if not own and (any("/" in path or "\\" in path for path in paths) or len(paths) > 1):
        raise _elsewhere(name)
    if not own and said and None in places:
        raise _elsewhere(name)


def _int(element: Element, key: str, default: int | None = None) -> int:
    value = element.get(key)
    if value is None and default is not None:
        return default
    try:
        return int(value or "")
    except ValueError:
        raise InvalidOme(f"{key} is {str(value)[:40]!r}") from None


def _described(pixels: Element, samples: int) -> Described:
    axes = (pixels.get("DimensionOrder") or "XYCZT")[::-1]
    if sorted(axes) != sorted("TCZYX") or axes[-2:] != "YX":
        raise InvalidOme(f"DimensionOrder is {axes[::-1][:40]!r}")
    sizes = {axis: _int(pixels, f"Size{axis}") for axis in axes}
    channels = list(children(pixels, "Channel"))
    said = _int(channels[0], "SamplesPerPixel", 1) if channels else 1
    spp = said if said > 1 else samples
    if spp > 1 and sizes["C"] % spp == 0:
        sizes["C"] //= spp
    if min(sizes.values()) < 1 or math.prod(sizes[a] for a in "TCZ") > MAX_PLANES:
        raise InvalidOme(f"sizes of {'×'.join(str(sizes[axis]) for axis in axes)}")
    sizes_by_axis, notes = _pixel_sizes(pixels)
    names = [channel.get("Name") or channel.get("Fluor") for channel in channels]
    if names and len(names) != sizes["C"]:
        notes.append(f"{len(names)} channels are described, the image has {sizes['C']}")
        names = (names + [None] * sizes["C"])[: sizes["C"]]
    return Described(
        axes=axes,
        sizes=sizes,
        channels=tuple(names),
        samples=spp,
        pixel_size=sizes_by_axis,
        blocks=tuple(_blocks(pixels, axes)),
        notes=tuple(notes),
    )


def _pixel_sizes(pixels: Element) -> tuple[dict[str, float], list[str]]:
    found, notes = {}, []
    for axis in "ZYX":
        said = pixels.get(f"PhysicalSize{axis}")
        if said is None:
            continue
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        try:
            size = to_micrometre(float(said), unit)
        except ValueError:
            size = None
        if size is None:
            notes.append(f"PhysicalSize{axis} is {said[:40]} {unit[:40]}, which is no length")
        else:
            found[axis] = size
    return found, notes


def _blocks(pixels: Element, axes: str) -> Iterator[Block]:
    for data in children(pixels, "TiffData"):
        one = 1 if "IFD" in data.attrib else -1
        count = _int(data, "PlaneCount", _int(data, "NumPlanes", one))
        first = {axis: _int(data, f"First{axis}", 0) for axis in axes[:-2]}
        page = _int(data, "IFD", 0)
        if page < 0 or min(first.values()) < 0:
            raise InvalidOme("a TiffData element with a negative number")
        yield Block(page, first, count if count >= 0 else None)
