"""Images held against their tables: axes, channels, voxels, shapes and labels."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from cellbank.cells.recipe import Image
from cellbank.cells.records import Found
from cellbank.images.header import Header
from cellbank.images.labels import LabelFacts

VOXEL_TOLERANCE: Final = 0.01
"""Of a voxel's size: tables round, and so do microscopes."""
SHOWN: Final = 5


class Fault(NamedTuple):
    """What is wrong with an image, what to do, and whether it stops the build."""

    what: str
    advice: str
    error: bool = True


def check_image(record: Found, image: Image, header: Header) -> Iterator[Fault]:
    """Yield what is wrong with the image of a record, by its own header."""
    for note in header.notes:
        yield Fault(note, "Check the image.", error=False)
    if header.format != "ome-tiff":
        what = f"is named as an OME-TIFF and is none, but {header.format}"
        yield Fault(what, "Name it .tif: it is made into an OME-TIFF then.")
        return
    if header.images > 1:
        what = f"it holds {header.images} images"
        yield Fault(what, "Save each of them as a file of its own.")
    yield from _check_axes(image, header)
    if record.kind in ("fov", "well"):
        yield from _check_channels(channel_names(record, image), header)
    elif not header.dtype.startswith(("int", "uint", "bool")):
        yield Fault(
            f"its pixels are {header.dtype}, not whole numbers", "Write labels as whole numbers."
        )
    yield from _check_voxel(record.voxel, header)


def channel_names(record: Found, image: Image) -> list[str | None]:
    """Return the channels that an image shall have, by recipe or table; empty if nobody says."""
    if isinstance(image.file, dict):
        return list(image.file)
    if image.channels and not isinstance(image.channels, str):
        return list(image.channels)
    names = [channel.get("dye_name") for channel in record.values.get("channels") or ()]
    return [None if name is None else str(name) for name in names]


def _check_axes(image: Image, header: Header) -> Iterator[Fault]:
    unknown = sorted(set(header.axes) - set("TCZYXS"))
    if unknown:
        yield Fault(
            f"the meaning of its axes {header.axes} is not known",
            "Say `axes: ZYX` or the like in the recipe: axes are never guessed.",
        )
    elif image.axes and not _fits(*_comparable(image, header)):
        yield Fault(
            f"its axes are {header.axes}, the recipe says {image.axes}",
            "Mend the image, or `axes` in the recipe.",
        )


def _comparable(image: Image, header: Header) -> tuple[str, str]:
    """Return the axes there and those wanted; of one file a channel, `axes` are each file's."""
    if isinstance(image.file, dict):
        return header.axes.replace("C", ""), image.axes.replace("C", "")
    return header.axes, image.axes


def _fits(axes: str, wanted: str) -> bool:
    """Whether axes are the wanted ones; those of length 1 may be left out."""
    left = iter(wanted)
    return all(axis in left for axis in axes)


def _check_channels(names: Sequence[str | None], header: Header) -> Iterator[Fault]:
    if not names:
        return
    count = header.sizes.get("C", 1)
    if count != len(names):
        listed = ", ".join(name or "one without a name" for name in names)
        yield Fault(
            f"has {_some(count, 'channel')}, its table names {len(names)}: {listed}",
            "Name the channels that the image has, or take the right image.",
        )
        return
    for number, (there, named) in enumerate(zip(header.channels, names, strict=False)):
        if None not in (there, named) and there != named:
            yield Fault(
                f"channel {number} is {there!r} in the image and {named!r} in the table",
                "Mend the table: channels stand in the order of the image.",
            )


def _check_voxel(voxel: dict[str, float], header: Header) -> Iterator[Fault]:
    for axis, size in voxel.items():
        there = header.pixel_size.get(axis)
        if there is None:
            if header.sizes.get(axis, 1) > 1:
                yield Fault(
                    f"does not say how large its voxels are along {axis}; its table says {size:g}",
                    "Write the size into the image.",
                    error=False,
                )
        elif abs(there - size) > VOXEL_TOLERANCE * size:
            yield Fault(
                f"its voxels are {there:g} µm along {axis}, its table says {size:g}",
                "Mend the one that is wrong.",
            )


def check_against_field(header: Header, field: Header, name: str) -> Iterator[Fault]:
    """Yield what is wrong with the shape of a segmentation, beside its field of view."""
    mine = {axis: header.sizes.get(axis, 1) for axis in "ZYX"}
    theirs = {axis: field.sizes.get(axis, 1) for axis in "ZYX"}
    if mine != theirs:
        yield Fault(
            f"is {_shape(mine)} (Z × Y × X), its field of view {name} is {_shape(theirs)}",
            "Take the segmentation of this field.",
        )


def check_labels(facts: LabelFacts, overlap: float) -> Iterator[Fault]:
    """Yield where the labels of cells and nuclei do not match.

    `overlap` is the share of a nucleus that may lie outside of its cell.
    """
    if facts.without_cell:
        yield Fault(
            f"{_some(len(facts.without_cell), 'nucleus', 'nuclei')} without a cell: "
            f"{_few(facts.without_cell)}",
            "A nucleus has the label of its cell: label both alike.",
        )
    if facts.without_nucleus:
        yield Fault(
            f"{_some(len(facts.without_nucleus), 'cell')} without a nucleus: "
            f"{_few(facts.without_nucleus)}",
            "A nucleus has the label of its cell: label both alike.",
        )
    missing = set(facts.without_cell)
    outside = [
        label
        for label, count in facts.outside.items()
        if label not in missing and count > overlap * facts.voxels.get(label, 0)
    ]
    if outside:
        yield Fault(
            f"{_some(len(outside), 'nucleus', 'nuclei')} not inside of the cell with the same "
            f"label: {_few(outside)}",
            "Check that both are of the same field, and labelled alike.",
        )


def check_structure(facts: LabelFacts) -> Iterator[Fault]:
    """Yield what is odd about the mask of a structure."""
    if len(facts.structure_values) > 1:
        yield Fault(
            f"has several values beside 0: {_few(facts.structure_values)}",
            "A structure segmentation has one value where the structure is.",
            error=False,
        )


def is_label(header: Header) -> bool:
    """Whether pixels are whole numbers, as labels are."""
    return header.dtype.startswith(("int", "uint"))


def _shape(sizes: dict[str, int]) -> str:
    return " × ".join(str(size) for size in sizes.values())


def _few(values: Sequence[int]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(str(value) for value in sorted(values)[:SHOWN]) + more


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
