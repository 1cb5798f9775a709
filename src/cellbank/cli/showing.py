"""`show`: the picture of an image, in a file or at the prompt."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cellbank.cli.console import Console, emit
from cellbank.cli.group import command
from cellbank.cli.names import REF
from cellbank.cli.text import columns, safe
from cellbank.model.errors import AxisNotFound, BadImage, BadInput, NotFound, WouldOverwrite

if TYPE_CHECKING:
    from cellbank.cli.terminal_kind import Kind
    from cellbank.images.image import Image

FORMS: Final = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".pdf": "pdf", ".svg": "svg"}
MOST: Final = 20_000
"""Pixels along a side of what is written; more is a mistyped number."""
_ZARR: Final = ("zarr.json", ".zattrs", ".zgroup")


@command(
    "show",
    example="cellbank show aics/aics_23/fovs/fov_00dde0c979ef45949337220524ccfec5\n"
    "cellbank show cells.ome.tiff -o cells.png",
)
@click.argument("ref", metavar="REF/PATH", type=REF)
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write .png, .jpg, .pdf or .svg."
)
@click.option("-f", "--force", is_flag=True, help="Overwrite a file that is in the way.")
@click.option(
    "-c",
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated.",
)
@click.option("-z", "--z", type=int, metavar="N", help="One plane; default: the brightest of all.")
@click.option(
    "--size", type=click.IntRange(1, MOST), metavar="N", help="So wide: pixels, or characters."
)
@click.option("--axes", default="", metavar="AXES", help="Of a file that does not name them: ZYX.")
@click.option("--composite", is_flag=True, help="Channels in one picture, not beside each other.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["kitty", "iterm2", "sixel", "blocks", "ascii"]),
    help="How to draw at the terminal; default: the best it can.",
)
def show(  # noqa: PLR0913, PLR0917
    console: Console,
    ref: str,
    output: str | None,
    force: bool,
    channels: tuple[str, ...],
    z: int | None,
    size: int | None,
    axes: str,
    composite: bool,
    kind: "Kind | None",
) -> None:
    """Show an image: a panel for each channel in use, folded along Z.

    REF/PATH is an image in a package or a record such as fovs/ID; or an image file that is here.
    Without --output it is drawn at the terminal; elsewhere what is known of the image is printed.
    """
    if output is not None:
        _check_output(output, force=force)
    click.get_current_context().with_resource(console.answering())
    there = sys.stdout.isatty() and not console.json
    if kind not in (None, "ascii") and output is None and not there:
        raise click.UsageError(f"--as {kind} draws at a terminal; name a file with --output")
    thing, image = _opened(ref, axes)
    chosen = [_channel(thing, image, name) for name in channels] or None
    _check_place(image, z)
    facts = _facts(image)
    if output is not None:
        count = _write(thing, output, chosen, z, size, composite=composite)
        console.done({**facts, "file": output, "bytes": count}, f"{_told(image)} in {output}")
    elif kind is None and not there:
        console.show(facts, columns(list(_rows(facts))))
        if not console.json:
            console.note("This is no terminal: for a picture name a file (cellbank show -o FILE).")
    else:
        _draw(console, (thing, image), chosen, z, size, kind, composite=composite)


# --- what is shown


def _check_place(image: "Image", z: int | None) -> None:
    depth = image.sizes.get("Z", 0)
    if z is not None and depth and not -depth <= z < depth:
        raise AxisNotFound(image.name, "Z", f"{z} is not there", f"It has 0 to {depth - 1}.")


def _opened(ref: str, axes: str) -> tuple[Any, "Image"]:
    """Return the record or image that is named, and its image; `axes` go before what it says."""
    from cellbank import images
    from cellbank.api import having

    if _is_here(ref) or "/" not in ref:
        path = os.path.expanduser(ref)  # noqa: PTH111  as it is typed
        if not os.path.exists(path):  # noqa: PTH110
            raise NotFound(f"there is no file {ref}", "Name one, or an image of a package.")
        found: Any = images.open(path, axes=axes)
    else:
        found = _pictured(having.load(ref), ref)
    if not hasattr(found, "segmentation_images"):
        return found, found
    if axes:
        raise BadInput(f"the axes of {found.id} are those of its file", "Leave out --axes.")
    if not found.has_image:
        raise NotFound(f"{found.id} has no image", f"See what is in it: cellbank tree {ref}")
    return found, found.image


def _is_here(ref: str) -> bool:
    """Whether a file is meant: it is written as a path, or is there."""
    if ref.startswith((".", "/", "~")):
        return True
    return os.path.isfile(ref) or (ref.rstrip("/").endswith(".zarr") and os.path.isdir(ref))  # noqa: PTH112, PTH113


def _pictured(node: Any, ref: str) -> Any:
    from cellbank.notebook.panels import pictured
    from cellbank.packages.nodes import DataNode

    try:
        return pictured(node)
    except ModuleNotFoundError as error:
        advice = "Install it: pip install 'cellbank[cells]'"
        raise BadInput(f"this needs {error.name}, which is not installed", advice) from None
    except (BadInput, BadImage):
        if isinstance(node, DataNode) or any(name in node for name in _ZARR):
            raise
        advice = f"See what is in it: cellbank tree {ref}"
        raise BadInput(f"{ref} is a group, and no image or record", advice) from None


def _channel(thing: Any, image: "Image", name: str) -> Any:
    """Return the channel of a name or, where it is written in digits, of a number."""
    known = {channel.name for channel in image.channels}
    wanted = int(name) if name.isdecimal() and name not in known else name
    return thing.channel(wanted)


def _facts(image: "Image") -> dict[str, Any]:
    return {
        "name": image.name,
        "format": image.format,
        "axes": image.axes,
        "sizes": image.sizes,
        "dtype": str(image.dtype),
        "channels": list(image.channels),
        "pixel_size": image.pixel_size,
        "levels": [list(level) for level in image.levels],
        "scenes": list(image.scenes),
        "acquired": image.acquisition_date,
        "notes": list(image.notes),
    }


def _rows(facts: dict[str, Any]) -> Any:
    yield "image", facts["name"]
    yield "format", facts["format"]
    yield "sizes", ", ".join(f"{axis} {size}" for axis, size in facts["sizes"].items())
    yield "type", facts["dtype"]
    for number, channel in enumerate(facts["channels"]):
        unused = "  not in use" if channel.use is False else ""
        yield ("" if number else "channels"), f"{number}  {channel.title}{unused}"
    if facts["pixel_size"]:
        yield (
            "pixel",
            ", ".join(f"{axis} {size:.6g} µm" for axis, size in facts["pixel_size"].items()),
        )
    if len(facts["levels"]) > 1:
        yield "levels", ", ".join(f"{width} × {height}" for height, width in facts["levels"])
    if len(facts["scenes"]) > 1:
        yield "scenes", ", ".join(facts["scenes"])
    if facts["acquired"]:
        yield "acquired", str(facts["acquired"])
    for note in facts["notes"]:
        yield "note", note


def _told(image: "Image") -> str:
    sizes = " × ".join(str(size) for size in image.shape)
    size = (image.pixel_size or {}).get("X")
    return f"{image.axes} {sizes} {image.dtype}" + (f", {size:.4g} µm a pixel" if size else "")


# --- into a file


def _check_output(output: str, *, force: bool) -> None:
    path = Path(output)
    if path.suffix.lower() not in FORMS:
        raise click.UsageError(f"{output} ends in none of {', '.join(FORMS)}")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", "Make it first, or name another.")
    if path.is_dir():
        raise BadInput(f"{output} is a folder", "Name a file.")
    if path.exists() and not path.is_file():
        raise BadInput(f"{output} is no plain file", "Name one.")
    if path.exists() and not force:
        error = WouldOverwrite([output])
        error.message = f"{output} is there already"
        error.advice = "Choose another name, or say --force. Nothing was written."
        raise error


def _write(
    thing: Any, output: str, channels: Any, z: int | None, size: int | None, *, composite: bool
) -> int:
    """Write the figure as a whole or not at all; return how many bytes it has."""
    from cellbank.notebook.figures import written
    from cellbank.storage import disk

    figure = _figure(thing, channels, z, composite=composite)
    dpi = size / figure.get_size_inches()[0] if size else None
    data = written(figure, FORMS[Path(output).suffix.lower()], dpi)
    path = os.path.abspath(output)  # noqa: PTH100  no link is followed
    disk.replace_whole(path, data, os.path.dirname(path))  # noqa: PTH120
    return len(data)


def _figure(thing: Any, channels: Any, z: int | None, *, composite: bool) -> Any:
    from cellbank.notebook.figures import plot

    if not composite:
        return plot(thing, channels=channels, Z=z)
    image = getattr(thing, "image", thing)
    picture = image.composite(_colors(image, channels), Z=z)
    return plot(picture, pixel_size=image.pixel_size)


def _colors(image: "Image", channels: Any) -> Any:
    """Return what makes a composite show these channels; one alone is grey."""
    if not channels:
        return None
    if len(channels) == 1:
        return {channels[0].index: "white"}
    return {channel.index: None for channel in channels}


# --- at the terminal


def _draw(
    console: Console,
    shown: tuple[Any, "Image"],
    channels: Any,
    z: int | None,
    size: int | None,
    kind: "Kind | None",
    *,
    composite: bool,
) -> None:
    from cellbank.cli import terminal_kind, terminal_pictures
    from cellbank.notebook.figures import rendered

    thing, image = shown
    encoding = sys.stdout.encoding or "ascii"
    kind = kind or terminal_kind.kind_of(os.environ, encoding, terminal_kind.asks_for_sixel)
    wide, high, across, down = terminal_kind.size_of()
    if kind in ("blocks", "ascii"):
        colors = terminal_kind.colors_of(os.environ) if kind == "blocks" else 0
        # Two pixels a line; the lines below the picture and the prompt stay in sight.
        picture = _small(shown, channels, z, size or (2 * max(high - 3, 1), wide))
        lines = (
            terminal_pictures.text(picture)
            if kind == "ascii"
            else terminal_pictures.blocks(picture, true_color=colors == 24)
        )
        emit("".join(f"{line}\n" for line in lines))
        names = [(safe(name), shade) for name, shade in _legend(image, channels)]
        if names:
            emit("  ".join(terminal_pictures.legend(names, color=colors)) + "\n")
    else:
        pixels = size or min(across, 1500)
        figure = _figure(thing, channels, z, composite=composite)
        picture = rendered(figure, pixels, None if size else down)
        encode = {
            "kitty": terminal_pictures.kitty,
            "iterm2": terminal_pictures.iterm2,
            "sixel": terminal_pictures.sixel,
        }[kind]
        emit(encode(picture))
    console.note(_told(image))


def _small(
    shown: tuple[Any, "Image"], channels: Any, z: int | None, size: int | tuple[int, int]
) -> Any:
    """Return the image as a picture that fits; labels each in a colour of their own."""
    from cellbank.images.overlays import label_colors
    from cellbank.images.picturing import flat
    from cellbank.images.scaling import nearest, shrink

    thing, image = shown
    box = (MOST, size) if isinstance(size, int) else size
    if getattr(thing, "kind", "").endswith("_seg"):
        labels = flat(image, [0], z, 0, 0)[0]
        part = min(1.0, box[0] / labels.shape[0], box[1] / labels.shape[1])
        rows, across = (max(1, round(length * part)) for length in labels.shape)
        return label_colors(nearest(labels, (rows, across)))
    return shrink(image.composite(_colors(image, channels), Z=z), box)


def _legend(image: "Image", channels: Any) -> list[tuple[str, str]]:
    """Return name and colour of what is shown, if it is more than one thing."""
    from cellbank.images.picturing import colors_of, shown_channels

    found = channels or shown_channels(image, None)
    if "S" in image.axes or len(found) < 2:
        return []
    pairs = zip(found, colors_of(found), strict=True)
    return [(channel.title, color) for channel, color in pairs]
