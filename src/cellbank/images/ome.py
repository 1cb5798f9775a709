"""What OME-XML says beside sizes and channels: when, with what, how large. Typed and lenient.

OME-XML 2016-06 and its ancestors. What is missing, or makes no sense, is None: vendors write it
in many ways, and no reader of ours stumbles over a value that it does not need.
"""

import math
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element

import msgspec

from cellbank.images.channel import Channel


class Objective(msgspec.Struct, frozen=True):
    """An objective; its working distance is in µm."""

    id: str = ""
    manufacturer: str = ""
    model: str = ""
    magnification: float | None = None
    aperture: float | None = None
    immersion: str = ""


class Detector(msgspec.Struct, frozen=True):
    """A camera, or what else counted the light."""

    id: str = ""
    manufacturer: str = ""
    model: str = ""
    type: str = ""


class Instrument(msgspec.Struct, frozen=True):
    """A microscope and its parts."""

    id: str = ""
    manufacturer: str = ""
    model: str = ""
    type: str = ""
    objectives: tuple[Objective, ...] = ()
    detectors: tuple[Detector, ...] = ()


class OmeImage(msgspec.Struct, frozen=True):
    """One image of the file: its name, when it was acquired, its channels."""

    id: str = ""
    name: str = ""
    description: str = ""
    acquired: datetime | None = None
    channels: tuple[Channel, ...] = ()
    objective: str = ""
    """The id of its objective."""


class Ome(msgspec.Struct, frozen=True):
    """All that was understood, and the text itself."""

    images: tuple[OmeImage, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    creator: str = ""
    uuid: str = ""
    xml: str = ""

    def objective(self, image: int = 0) -> Objective | None:
        """Return the objective with which an image was taken, if it is said."""
        found = [o for instrument in self.instruments for o in instrument.objectives]
        wanted = self.images[image].objective if image < len(self.images) else ""
        return next((o for o in found if o.id == wanted), found[0] if len(found) == 1 else None)


def children(element: Element, tag: str) -> Iterator[Element]:
    """Return the children of an element that have a tag, whatever their namespace."""
    return (child for child in element if child.tag.rpartition("}")[2] == tag)


def ome_of(root: Element, xml: str) -> Ome:
    """Return what a parsed OME-XML says."""
    return Ome(
        images=tuple(image_of(found) for found in children(root, "Image")),
        instruments=tuple(_instrument(found) for found in children(root, "Instrument")),
        creator=root.get("Creator", ""),
        uuid=root.get("UUID", ""),
        xml=xml,
    )


def image_of(image: Element) -> OmeImage:
    """Return what an Image element says."""
    settings = next(children(image, "ObjectiveSettings"), None)
    pixels = next(children(image, "Pixels"), None)
    return OmeImage(
        id=image.get("ID", ""),
        name=image.get("Name", ""),
        description=_text(image, "Description"),
        acquired=_time(_text(image, "AcquisitionDate") or _text(image, "AcquiredDate")),
        channels=channels_of(pixels) if pixels is not None else (),
        objective=settings.get("ID", "") if settings is not None else "",
    )


def channels_of(pixels: Element) -> tuple[Channel, ...]:
    """Return the channels of a Pixels element, in their order."""
    return tuple(
        Channel(
            name=said.get("Name") or said.get("Fluor") or None,
            index=number,
            color=_color(said.get("Color")),
            wavelength=_nanometres(said, "EmissionWavelength"),
            excitation=_nanometres(said, "ExcitationWavelength"),
            fluor=said.get("Fluor") or None,
        )
        for number, said in enumerate(children(pixels, "Channel"))
    )


def _instrument(said: Element) -> Instrument:
    microscope = next(children(said, "Microscope"), Element("Microscope"))
    return Instrument(
        id=said.get("ID", ""),
        manufacturer=microscope.get("Manufacturer", ""),
        model=microscope.get("Model", ""),
        type=microscope.get("Type", ""),
        objectives=tuple(
            Objective(
                id=one.get("ID", ""),
                manufacturer=one.get("Manufacturer", ""),
                model=one.get("Model", ""),
                magnification=_number(
                    one.get("NominalMagnification") or one.get("CalibratedMagnification")
                ),
                aperture=_number(one.get("LensNA")),
                immersion=one.get("Immersion", ""),
            )
            for one in children(said, "Objective")
        ),
        detectors=tuple(
            Detector(
                id=one.get("ID", ""),
                manufacturer=one.get("Manufacturer", ""),
                model=one.get("Model", ""),
                type=one.get("Type", ""),
            )
            for one in children(said, "Detector")
        ),
    )


def _text(element: Element, tag: str) -> str:
    found = next(children(element, tag), None)
    return (found.text or "").strip() if found is not None else ""


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _nanometres(said: Element, key: str) -> float | None:
    value = _number(said.get(key))
    if value is None or value <= 0:
        return None
    unit = said.get(f"{key}Unit", "nm")
    times = {"nm": 1.0, "nanometer": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "Å": 0.1, "pm": 1e-3}
    return value * times[unit] if unit in times else None


def _color(text: str | None) -> str | None:
    """Return `#rrggbb` of OME's colour: a signed number of 32 bits, red first, opacity last."""
    try:
        value = int(text or "")
    except ValueError:
        return None
    if not -(1 << 31) <= value < 1 << 32:
        return None
    return f"#{(value & 0xFFFFFFFF) >> 8:06x}"
