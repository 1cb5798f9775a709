"""What the bytes of an image file show: its axes, channels and planes. Knows no packages.

`convert` stays in its module, whose name it has: which of both this face would give depended on
what was imported before.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cellbank.model.extras import lacking

__all__ = [
    "Channel",
    "Header",
    "Image",
    "LabelFacts",
    "auto_limits",
    "check_data",
    "compare_labels",
    "composite",
    "open",
    "outlines",
    "overlay",
    "read_header",
    "read_planes",
    "rgb",
    "save",
    "write_ome_tiff",
]

if TYPE_CHECKING:
    from cellbank.images.channel import Channel
    from cellbank.images.compose import composite, rgb
    from cellbank.images.header import Header, read_header
    from cellbank.images.image import Image
    from cellbank.images.labels import LabelFacts, compare_labels
    from cellbank.images.limits import auto_limits
    from cellbank.images.ometiff import write_ome_tiff
    from cellbank.images.opening import open  # noqa: A004
    from cellbank.images.overlays import outlines, overlay
    from cellbank.images.planes import read_planes
    from cellbank.images.saving import save
    from cellbank.images.soundness import check_data

_ROOMS = {
    "Channel": "channel",
    "Image": "image",
    "open": "opening",
    "auto_limits": "limits",
    "composite": "compose",
    "rgb": "compose",
    "outlines": "overlays",
    "overlay": "overlays",
    "Header": "header",
    "read_header": "header",
    "LabelFacts": "labels",
    "compare_labels": "labels",
    "read_planes": "planes",
    "save": "saving",
    "check_data": "soundness",
    "write_ome_tiff": "ometiff",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: numpy and tifffile are slow to import."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'cellbank.images' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"cellbank.images.{_ROOMS[name]}"), name)
    except ModuleNotFoundError as error:
        raise lacking(error) or error from None
