"""An image in a notebook, to look through: the viewer as a widget, its planes from this process."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import anywidget
import imagecodecs
import numpy as np
import traitlets
from numpy.typing import NDArray

from cellbank import images
from cellbank.images.colours import hex_color, parse_color
from cellbank.images.compose import composite
from cellbank.images.overlays import outlines as edges_of
from cellbank.images.scaling import shrink
from cellbank.images.viewing import Viewed, little_endian, misfit, outlined, viewer_source
from cellbank.model.errors import BadInput, CellbankError
from cellbank.notebook.markup import element, visible
from cellbank.notebook.panels import pictured

if TYPE_CHECKING:
    from cellbank.images.image import Image

STILL: Final = 384
"""Pixels of the still picture that a saved notebook keeps."""
_MARK: Final = "data_cellbank_still"
"""Attribute by which the widget finds the still picture beside it, as `element` takes it."""
_STATE: Final = ("name", "on", "color", "low", "high")

Labels = Mapping[str, Any]


def show(  # noqa: PLR0913  a place has two names
    thing: Any,
    *,
    channels: str | int | Iterable[str | int] | None = None,
    Z: int | None = None,
    z: int | None = None,
    t: int = 0,
    projection: str = "none",
    labels: Labels | None = None,
    outlines: bool | str | Iterable[str] = False,
    renderer: str = "auto",
) -> "Viewer":
    """Return a viewer of an image, for a notebook.

    Parameters
    ----------
    thing
        An image, a record, or a node of one.
    channels
        Those that are on at first; default: those in use, without transmitted light.
    Z
        Where it begins; default: the middle.
    z
        The same, as the viewer itself calls it.
    t
        At which time.
    projection
        `max` for the brightest of each pixel over Z, else `none`.
    labels
        Label images by name; a record brings its segmentations.
    outlines
        Whether the labels' outlines are drawn at first, or the names of those that are.
    renderer
        `cpu` draws without the graphics card.

    Returns
    -------
    Viewer
        A widget. Its traits `z`, `t`, `projection`, `channels` and `outlines` follow what is done
        in the browser, and can be set.

    Raises
    ------
    BadInput, ChannelNotFound
        There is nothing to show, no such channel, or labels that do not fit.
    BadImage
        The file is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank import images
    >>> viewer = images.open("E6.ome.tiff").show(channels=["EGFP"], Z=30)  # doctest: +SKIP
    >>> viewer.z = 31  # doctest: +SKIP
    """
    if renderer not in {"auto", "cpu"}:
        raise BadInput(f"there is no renderer {renderer!r}", "Say 'auto' or 'cpu'.")
    if projection not in {"none", "max"}:
        raise BadInput(f"the viewer has no projection {projection!r}", "Say 'max' or 'none'.")
    if Z is not None and z is not None:
        raise BadInput("Z and z are the same, and both are said", "Leave z out.")
    if labels is not None and not isinstance(labels, Mapping):
        raise BadInput("labels are given without a name", 'Name them: labels={"cells": image}.')
    image, brought, title = _image_of(thing)
    # What does not fit is told beside the picture: it keeps nobody from looking at it.
    reasons = {name: misfit(image, one) for name, one in brought.items()}
    found = {name: one for name, one in brought.items() if not reasons[name]}
    found |= {name: _image_of(one)[0] for name, one in (labels or {}).items()}
    viewed = Viewed(image, found, title=title)
    viewed.options["notes"] += [f"{name}: {why}." for name, why in reasons.items() if why]
    viewer = Viewer(viewed, renderer=renderer)
    if channels is not None:
        wanted = [channels] if isinstance(channels, (str, int)) else channels
        viewer.only(image.channel(one).index for one in wanted)
    places = (place for place in (Z, z) if place is not None)
    viewer.z = next(places, viewer.z)
    viewer.t, viewer.projection = t, projection
    viewer.outlines = outlined(found, outlines)
    return viewer


def _image_of(thing: Any) -> tuple["Image", dict[str, "Image"], str]:
    """Return the image of a thing, the labels that it brings, and what to call it."""
    found = pictured(thing)
    if hasattr(found, "segmentation_images"):
        if not found.has_image:
            raise BadInput(f"{found.id} has no image", "Go on: record.related('fovs')[0]")
        brings = found.segmentation_images() if found.kind == "fov" else {}
        return found.image, brings, found.id
    if hasattr(found, "used") and hasattr(found, "pixels"):
        return found, {}, _called(found)
    if isinstance(found, np.ndarray):
        advice = "Write it with cellbank.images.write_ome_tiff and open that."
        raise BadInput("the viewer shows images, not arrays", advice)
    opened = images.open(found)
    return opened, {}, _called(opened)


def _called(image: "Image") -> str:
    """Return the name of the record that an image in a package is of; nothing for other files."""
    record, _, file = image.name.rpartition("/image/")
    return record.rpartition("/")[2] if file == "load" else ""


class Viewer(anywidget.AnyWidget):
    """A viewer of one image.

    Parameters
    ----------
    viewed
        The image and its labels.
    renderer
        `cpu` draws without the graphics card.

    Attributes
    ----------
    options : Dict
        What the browser was told of the image.
    z : Int
        The slice, from 0.
    t : Int
        The time point, from 0.
    projection : Enum
        `none`, or `max` over Z.
    channels : List
        A dict each: name, on, color, low, high.
    outlines : List
        The labels whose outlines are drawn.
    """

    _esm = viewer_source() + resources.files("cellbank.notebook").joinpath("glue.js").read_text()

    options = traitlets.Dict().tag(sync=True)
    z = traitlets.Int().tag(sync=True)
    t = traitlets.Int().tag(sync=True)
    projection = traitlets.Enum(["none", "max"], "none").tag(sync=True)
    channels: Any = traitlets.List().tag(sync=True)
    outlines = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, viewed: Viewed, *, renderer: str = "auto") -> None:
        self._viewed = viewed
        self._channel_count = len(viewed.options["channels"])
        super().__init__(
            options=viewed.options | {"renderer": renderer, "still": secrets.token_hex(8)},
            z=viewed.sizes["Z"] // 2,
            channels=[_state(channel) for channel in viewed.options["channels"]],
        )
        self.on_msg(self._asked)

    # --- the state

    @traitlets.validate("z", "t")
    def _in_range(self, proposal: Any) -> int:
        size = self._viewed.sizes[proposal["trait"].name.upper()]
        return min(max(int(proposal["value"]), 0), size - 1)

    @traitlets.validate("channels")
    def _each_channel(self, proposal: Any) -> list[dict[str, Any]]:
        given = proposal["value"]
        if len(given) != self._channel_count:
            raise BadInput(
                f"{len(given)} channels are given, there are {self._channel_count}",
                "Change a copy of the list: a dict with name, on, color, low and high each.",
            )
        old = self.channels or [_state(channel) for channel in self._viewed.options["channels"]]
        try:
            return [_checked(one | dict(new)) for one, new in zip(old, given, strict=True)]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, CellbankError):
                raise
            advice = "Change a copy of the list: a dict with name, on, color, low and high each."
            raise BadInput(f"channels: {error!s:.80}", advice) from None

    @traitlets.validate("outlines")
    def _known_labels(self, proposal: Any) -> list[str]:
        return outlined([one["name"] for one in self._viewed.options["labels"]], proposal["value"])

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take the state that a browser says; where some of it is none, all stays as it was."""
        said = {name: value for name, value in sync_data.items() if name != "options"}
        before = {name: getattr(self, name) for name in said if self.has_trait(name)}
        try:
            super().set_state(said)
        except (CellbankError, traitlets.TraitError):
            # What is checked at the end was set already.
            self._trait_values.update(before)
            raise

    def only(self, numbers: Iterable[int]) -> None:
        """Let these channels be on and no others."""
        wanted = set(numbers)
        self.channels = [one | {"on": n in wanted} for n, one in enumerate(self.channels)]

    # --- planes for the browser

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        if not isinstance(content, dict) or "id" not in content:
            return
        answer = {"id": content["id"]}
        try:
            plane = self._viewed.plane(content.get("request"))
        except Exception as error:  # noqa: BLE001  whatever it is, the person must see it
            told = (
                str(error)
                if isinstance(error, CellbankError)
                else f"{type(error).__name__}: {error}"
            )
            self.send(answer | {"error": told})
            return
        height, width = plane.shape
        form = {"dtype": plane.dtype.name, "width": width, "height": height}
        self.send(answer | form, [little_endian(plane)])

    # --- without a browser

    def picture(self) -> NDArray[np.uint8]:
        """Return what the state shows, (Y, X, 3), as the browser draws it."""
        place = {"z": "max" if self.projection == "max" else self.z, "t": self.t}
        on = [(c, channel) for c, channel in enumerate(self.channels) if channel["on"]]
        planes = [self._viewed.plane({"kind": "image", "c": c} | place) for c, _ in on]
        picture = np.zeros((*self._viewed.shape, 3), np.uint8)
        if planes:
            colors = [channel["color"] for _, channel in on]
            picture = composite(planes, colors, [(one["low"], one["high"]) for _, one in on])
        for label in self._viewed.options["labels"]:
            if label["name"] in self.outlines:
                plane = self._viewed.plane({"kind": "labels", "name": label["name"]} | place)
                color = np.array(parse_color(label["color"]))
                picture[edges_of(plane)] = (255 * color + 0.5).astype(np.uint8)
        return picture

    def _ipython_display_(self) -> None:
        """Show a still picture, and the widget, which hides the picture once it draws itself.

        Not in one bundle: who knows widgets, but has no kernel for this one, shows neither then.
        """
        from IPython import display as shown

        display: Any = shown.display
        still, bundle = self._still(), super()._repr_mimebundle_()
        if still and bundle:
            html = element(
                "img",
                src=f"data:image/webp;base64,{still['image/webp']}",
                alt=visible(f"still picture of {self._viewed.options['title']}", 200),
                style="max-width:100%;background:#000",
                **{_MARK: self.options["still"]},
            )
            display({"text/html": html, "image/png": still["image/png"]}, raw=True)
        if bundle:
            display(bundle[0], metadata=bundle[1], raw=True)

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """Return the widget with a still picture, for those who ask for one bundle."""
        bundle = super()._repr_mimebundle_()
        if bundle is None:
            return None
        data, metadata = bundle
        return data | {k: v for k, v in self._still().items() if k == "image/png"}, metadata

    def _still(self) -> dict[str, str]:
        """Return what the state shows as a small picture in base64; nothing if it is damaged."""
        try:
            picture = shrink(self.picture(), STILL)
        except (CellbankError, OSError):
            return {}
        made = {
            "image/png": imagecodecs.png_encode(picture, level=9),
            "image/webp": imagecodecs.webp_encode(picture, level=90, lossless=False),
        }
        return {name: base64.b64encode(data).decode() for name, data in made.items()}

    def __repr__(self) -> str:
        return f"<Viewer of {self._viewed.image!r}>"


def _state(channel: Mapping[str, Any]) -> dict[str, Any]:
    return {name: channel[name] for name in _STATE}


def _checked(channel: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be said of a channel, each in its type."""
    low, high = float(channel["low"]), float(channel["high"])
    if not np.isfinite([low, high]).all():
        raise BadInput(f"{channel['name']}: limits must be numbers", "Give low and high.")
    color = hex_color(channel["color"])
    return {
        "name": channel["name"],
        "on": bool(channel["on"]),
        "color": color,
        "low": low,
        "high": high,
    }
