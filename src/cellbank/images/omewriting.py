"""OME-XML 2016-06 as we write it: nothing in it but what it was given, so always the same."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from cellbank.images.channel import Channel

OME_TYPES: Final = {
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "float32": "float",
    "float64": "double",
    "complex64": "complex",
    "complex128": "double-complex",
}
"""numpy's names and OME's; what is not here, OME-TIFF does not have."""

_NAMESPACE: Final = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
# What XML 1.0 cannot say, not even escaped.
_UNSPEAKABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES: Final = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def ome_xml(  # noqa: PLR0913  what OME-XML says, by name
    axes: str,
    shape: Sequence[int],
    dtype: str,
    *,
    channels: Sequence[str | None],
    pixel_size: Mapping[str, float],
    channel_notes: Mapping[str, str],
    comment: str,
    details: Sequence[Channel] = (),
    acquired: datetime | None = None,
) -> bytes:
    """Return the OME-XML of an image in one file, in ASCII (other letters as references)."""
    sizes = dict.fromkeys("TCZYX", 1) | dict(zip(axes, shape, strict=True))
    samples = sizes.pop("S", 1)
    leading = axes.partition("Y")[0][::-1]
    order = f"XY{leading}{''.join(a for a in 'CZT' if a not in leading)}"
    attributes = {
        "ID": "Pixels:0",
        "DimensionOrder": order,
        "Type": OME_TYPES[dtype],
        "BigEndian": "false",
        "Interleaved": "true" if samples > 1 else "false",
        **{f"Size{a}": sizes[a] * (samples if a == "C" else 1) for a in "XYZCT"},
    }
    for axis in "XYZ":
        if axis in pixel_size:
            attributes[f"PhysicalSize{axis}"] = repr(float(pixel_size[axis]))
            attributes[f"PhysicalSize{axis}Unit"] = "µm"
    names = list(channels) or [None] * sizes["C"]
    noted = [name for name in names if name is not None and name in channel_notes]
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<OME xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}/ome.xsd">',
        '<Image ID="Image:0">',
        _text("AcquisitionDate", acquired.isoformat(timespec="seconds") if acquired else ""),
        _text("Description", comment),
        f"<Pixels{_attributes(attributes)}>",
        *(
            _channel(n, name, samples, noted, _detailed(details[n]) if n < len(details) else {})
            for n, name in enumerate(names)
        ),
        f'<TiffData IFD="0" PlaneCount="{math.prod(sizes[a] for a in "TCZ")}"/>',
        "</Pixels></Image>",
        _annotations([channel_notes[name] for name in noted]),
        "</OME>",
    ]
    return "".join(parts).encode("ascii", "xmlcharrefreplace")


def _detailed(channel: Channel) -> dict[str, object]:
    """Return what is known of a channel beside its name, as OME says it: lengths in nm."""
    color = int(channel.color[1:], 16) << 8 | 0xFF if channel.color else None
    known: dict[str, object] = {
        # A signed number: red, green, blue, opacity.
        "Color": None if color is None else color - (1 << 32) * (color >> 31),
        "EmissionWavelength": channel.wavelength,
        "ExcitationWavelength": channel.excitation,
        "Fluor": channel.fluor,
    }
    return {key: value for key, value in known.items() if value is not None}


def _channel(
    number: int,
    name: str | None,
    samples: int,
    noted: Sequence[str],
    details: Mapping[str, object],
) -> str:
    attributes: dict[str, object] = {"ID": f"Channel:0:{number}"}
    if name is not None:
        attributes["Name"] = name
    attributes |= details
    attributes["SamplesPerPixel"] = samples
    if name not in noted:
        return f"<Channel{_attributes(attributes)}/>"
    reference = _attributes({"ID": f"Annotation:{noted.index(name)}"})
    return f"<Channel{_attributes(attributes)}><AnnotationRef{reference}/></Channel>"


def _annotations(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    said = "".join(
        f'<CommentAnnotation ID="Annotation:{number}">{_text("Value", note, empty=True)}'
        "</CommentAnnotation>"
        for number, note in enumerate(notes)
    )
    return f"<StructuredAnnotations>{said}</StructuredAnnotations>"


def _attributes(values: Mapping[str, object]) -> str:
    return "".join(f' {key}="{escape(_clean(str(v)), _SPACES)}"' for key, v in values.items())


def _text(tag: str, text: str, *, empty: bool = False) -> str:
    said = escape(_clean(text), {"\r": "&#13;"})
    return f"<{tag}>{said}</{tag}>" if text or empty else ""


def _clean(text: str) -> str:
    return _UNSPEAKABLE.sub("\ufffd", text)
