"""What the viewer napari shows of a record or an image: a layer a channel, and its segmentations.

Nothing here imports napari: layers are handed over as tuples of data, options and type.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from cellbank.cells.one_record import Record, record
from cellbank.model.extras import missing

try:
    from cellbank.images.channel import Channel
    from cellbank.images.image import Image
    from cellbank.images.limits import auto_limits
except ModuleNotFoundError as error:
    raise missing(error, "cellbank.napari") from None

from cellbank.model.errors import BadInput, CellbankError
from cellbank.model.reference import Reference
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode

Layer = tuple[Any, dict[str, Any], str]
"""Data, options and type of a layer, as `napari.layers.Layer.create` takes them."""

SCHEME: Final = "cellbank://"
"""Before a reference: else napari looks for a file of this name."""
_SIGHTED: Final = 3
"""So many planes of a channel are looked at to choose its limits."""
_SEEN_FIRST: Final = "cell"
"""The segmentation that is visible from the start; the others wait to be switched on."""


def get_reader(path: Any) -> Callable[[Any], list[Layer]] | None:
    """Return what reads a path for napari, or None where another reader must.

    Parameters
    ----------
    path
        `cellbank://` and a reference to a record or an image; an OME-TIFF or the folder of an
        OME-Zarr. A reference without `cellbank://` is taken if it names what is here.

    Returns
    -------
    Callable or None
        Gives the layers. What is wrong with a `cellbank://` is told when it is called, so that the
        user sees what is near.
    """
    if not isinstance(path, str):
        return None
    if not path.startswith(SCHEME):
        try:
            _layers_of(_found(path))
        except (CellbankError, OSError):
            return None
    return layers


def layers(source: Any) -> list[Layer]:
    """Return the layers of a record or an image; their pixels are read when they are shown.

    Parameters
    ----------
    source
        A reference, with or without `cellbank://`; a node of a package, a `Record`, an `Image`; the
        path of an image.

    Returns
    -------
    list[Layer]
        An image layer for each channel in use, named by its dye, its voxels in µm; then label
        layers of the segmentations, cells first.

    Raises
    ------
    BadInput
        What is named has no image.
    NotFound, BadImage
        It is not here, or damaged.

    Examples
    --------
    >>> from cellbank.napari import layers
    >>> for layer in layers("aics/aics_23/fovs/fov_00dde0c9"):  # doctest: +SKIP
    ...     viewer.add_layer(napari.layers.Layer.create(*layer))
    """
    return [layer() for layer in _layers_of(_found(source))]


def _found(source: Any) -> Any:
    """Return the node or path that a text names; what is no text stays what it is."""
    if not isinstance(source, (str, os.PathLike)) or isinstance(source, DataNode):
        return source
    text = os.fspath(source)
    if text.startswith(SCHEME) or not Path(text).exists():
        return _node(text.removeprefix(SCHEME).rstrip("/"))
    if Path(text).is_dir() and not any(
        (Path(text) / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs")
    ):
        raise BadInput(f"{text} is no folder of an image", "An OME-Zarr has a zarr.json in it.")
    return text


def _node(ref: str) -> GroupNode | DataNode:
    from cellbank import config
    from cellbank.packages import resolve
    from cellbank.packages.opening import open_store

    reference = Reference.parse(ref)
    view = resolve.view_of(open_store(config.read()), reference)
    resolve.check_in_view(view, reference.path)
    if not reference.path:
        what = f"{ref} is a package, not a record or an image in it"
        raise BadInput(what, f"See what is in it: cellbank tree {ref}")
    return PackageNode(view, "")[reference.path]


def _layers_of(source: Any) -> list[Callable[[], Layer]]:
    """Return what makes each layer: to know that it can be read costs no more than a header."""
    from cellbank import images

    one = source if isinstance(source, Record) else _record_of(source)
    if one is not None:
        return _of_record(one, whole=source is one or source == one.node)
    found = images.open(source)
    return _of_image(found, found.used, {})


def _record_of(source: Any) -> Record | None:
    """Return the record that a node is, or whose image it is; None for any other image."""
    if not isinstance(source, (GroupNode, DataNode)):
        return None
    try:
        one = record(source)
    except BadInput:
        if isinstance(source, GroupNode) and not {"zarr.json", ".zattrs"} & {*source._data_keys()}:
            raise
        return None
    is_image = f"{source._path}/".startswith(f"{one.node._path}/image/")
    return one if source == one.node or is_image else None


def _of_record(one: Record, *, whole: bool) -> list[Callable[[], Layer]]:
    if not one.has_image:
        raise BadInput(f"{one.id} has no image", "Fields of view have: record.related('fovs')")
    told = {"package": one.node._view.label, "record": one.id, "info": one.info.as_dict()}
    for name, kind in _SEGMENTED.items():
        if one.kind == kind:
            return [partial(_labels, name, one.image, one.image, told)]
    made = _of_image(one.image, one.image.used, told)
    if whole and one.kind == "fov":
        for name, image in one.segmentation_images().items():
            made.append(partial(_labels, name, image, one.image, told))
    return made


_SEGMENTED: Final = {"cell": "cell_seg", "nuclei": "nuclei_seg", "structure": "structure_seg"}


def _of_image(
    image: Image, channels: tuple[Channel, ...], told: Mapping[str, Any]
) -> list[Callable[[], Layer]]:
    if "S" in image.axes:
        return [partial(_colored, image, told)]
    pairs = zip(channels, _colors(channels), strict=True)
    return [partial(_channel, image, channel, color, told) for channel, color in pairs]


def _colors(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    from cellbank.images.colours import channel_colors

    return channel_colors([c.name or c.fluor for c in channels], [c.color for c in channels])


def _channel(image: Image, channel: Channel, color: str, told: Mapping[str, Any]) -> Layer:
    from cellbank.images.colours import is_transmitted

    low, high = channel.window or _limits(image, channel)
    alone = len(image.used) == 1
    options = {
        "name": channel.title,
        "colormap": color,
        "contrast_limits": (low, high if high > low else low + 1),
        "blending": "additive",
        # Light that passed would lie over everything like fog.
        "visible": alone or not is_transmitted(channel.title),
        "metadata": {**told, "channel": channel.title},
        **_space(image, image.axes.replace("C", "")),
    }
    return _pyramid(image, channel.index), options, "image"


def _limits(image: Image, channel: Channel) -> tuple[float, float]:
    """Return limits that a few planes of a channel ask for."""
    depth = image.sizes.get("Z", 1)
    planes = sorted({depth * part // (_SIGHTED + 1) for part in range(1, _SIGHTED + 1)})
    level = len(image.levels) - 1
    return auto_limits(image.read(C=channel.index, level=level, T=0, Z=planes))


def _colored(image: Image, told: Mapping[str, Any]) -> Layer:
    options = {"name": Path(image.name).name, "rgb": True, "metadata": dict(told)}
    return _pyramid(image, 0), {**options, **_space(image, image.axes.strip("S"))}, "image"


def _labels(name: str, image: Image, field: Image, told: Mapping[str, Any]) -> Layer:
    axes = image.axes.replace("C", "")
    options = {
        "name": name,
        "opacity": 0.5,
        "visible": name == _SEEN_FIRST or image is field,
        "metadata": dict(told),
        **_space(field, axes),
    }
    return _pyramid(image, 0), options, "labels"


def _pyramid(image: Image, channel: int) -> Any:
    """Return the levels of a channel as lazy arrays; the only one as itself."""
    made = []
    for level in range(len(image.levels)):
        array = image.dask(level=level)
        if "C" in image.axes:
            array = array[(slice(None),) * image.axes.index("C") + (channel,)]
        made.append(array)
    return made if len(made) > 1 else made[0]


def _space(image: Image, axes: str) -> dict[str, Any]:
    """Return what an axis is called, and how large a step along it is."""
    size = image.pixel_size or {}
    return {
        "axis_labels": tuple(axes),
        "scale": tuple(size.get(axis, 1.0) for axis in axes),
        "units": tuple("micrometer" if axis in size else "pixel" for axis in axes),
    }
