"""What an image file says of itself: axes, shape, channels, pixel size. No pixel is read."""

import math
from datetime import datetime
from typing import Final

import msgspec

from cellbank.images.channel import Channel
from cellbank.images.directory import UNCOMPRESSED, Directories, Page
from cellbank.images.omexml import Described, looks_like_ome, no_such_scene, parse
from cellbank.images.source import Source, Window, opened
from cellbank.images.xmltree import InvalidOme

_COMMON_TAGS: Final = 33432
"""Tags above this one are a vendor's own (but for those below)."""
_MANY: Final = 1 << 14
"""So many pages are looked at for signs of a dialect."""
_PLAIN_TAGS: Final = {33432, 34665, 34675, 42112, 42113}


class Header(msgspec.Struct, frozen=True):
    """What an image file says of itself."""

    format: str
    """`ome-tiff`, `imagej-tiff` or `tiff`."""
    axes: str
    """Such as `ZCYX`; `Q` or `I` for an axis that the file does not name."""
    shape: tuple[int, ...]
    dtype: str
    """numpy's name of it."""
    channels: tuple[str | None, ...] = ()
    """Names in the order of C; empty where nothing is said about channels."""
    pixel_size: dict[str, float] = {}
    """µm by axis; only what the file says."""
    planes: int = 1
    compressed: bool = False
    big_endian: bool = False
    images: int = 1
    """How many images the file holds; this is the first of them."""
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """How long each axis is."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """The shape of one plane: YX, or YXS."""
        return self.shape[-3:] if self.axes.endswith("S") else self.shape[-2:]


class Layout(msgspec.Struct, frozen=True):
    """A header, and where its planes lie."""

    header: Header
    pages: tuple[int | None, ...]
    """The pages of the image, in the order of the header's axes; None where one is missing."""
    offset: int | None = None
    """Where all planes lie, one behind the other, whatever the directories tell (ImageJ)."""
    channels: tuple[Channel, ...] = ()
    """What is known of channels beside their names."""
    scenes: tuple[str, ...] = ("image 0",)
    acquired: datetime | None = None


def read_header(source: Source) -> Header:
    """Read what an image file says of itself.

    Parameters
    ----------
    source
        A path, or a seekable binary file whose position is moved.

    Returns
    -------
    Header
        What was found; nothing in it is guessed.

    Raises
    ------
    BadImage
        It is no TIFF file, or its directories are damaged.

    Examples
    --------
    >>> from cellbank.images import read_header
    >>> read_header("3500001464_100X_E6.ome.tiff").sizes  # doctest: +SKIP
    {'Z': 70, 'C': 7, 'Y': 624, 'X': 924}
    """
    with opened(source) as window:
        return read_layout(window, Directories(window)).header


def read_layout(window: Window, directories: Directories, scene: int = 0) -> Layout:
    """Read a header and where the planes lie; of a file with several images, of the one asked."""
    first = directories.first
    description = directories.text(first, 270).rstrip(b"\0 \r\n\t")
    if looks_like_ome(description):
        try:
            return _of_ome(directories, description, scene)
        except InvalidOme as error:
            if description.endswith(b">"):
                return _of_pages(directories, f"invalid OME-XML: {error}", scene=scene)
    if len(directories) == 1 and _is_plain(first, description):
        return _of_pages(directories, scene=scene)
    if len(directories) > _MANY and not description.startswith(b"ImageJ="):
        note = f"it has {len(directories)} pages, too many to find out what they are"
        return _of_pages(directories, note, scene=scene)
    from cellbank.images.series import read_series

    found = read_series(window, directories, description, scene)
    header = msgspec.structs.replace(
        plain_header(directories, found.axes, found.shape, found.notes),
        format=found.format,
        dtype=directories.page(found.pages[0] or 0).dtype if scene else first.dtype,
        channels=found.channels,
        pixel_size=found.pixel_size,
        images=found.images,
    )
    return Layout(header, found.pages, found.offset, scenes=numbered(found.images))


def numbered(count: int) -> tuple[str, ...]:
    """Return names for images that have none."""
    return tuple(f"image {number}" for number in range(count))


def plain_header(
    directories: Directories, axes: str, shape: tuple[int, ...], notes: tuple[str, ...] = ()
) -> Header:
    """Return the header of a file that says nothing about channels and sizes."""
    first = directories.first
    return Header(
        format="tiff",
        axes=axes,
        shape=shape,
        dtype=first.dtype,
        planes=planes_of(axes, shape),
        compressed=first.compression != UNCOMPRESSED,
        big_endian=directories.order == ">",
        notes=notes,
    )


def planes_of(axes: str, shape: tuple[int, ...]) -> int:
    """Return how many planes an image has; a plane is YX, or YXS."""
    return math.prod(shape[:-3] if axes.endswith("S") else shape[:-2])


def _is_plain(first: Page, description: bytes) -> bool:
    """Tell whether a single page is just that: YX, and nothing else to be found out."""
    vendor = any(tag >= _COMMON_TAGS and tag not in _PLAIN_TAGS for tag in first.tags)
    return not vendor and not description.startswith((b"{", b"ImageJ=", b"SCANIMAGE", b"<"))


def _of_pages(directories: Directories, *notes: str, scene: int = 0) -> Layout:
    """Describe pages of which nothing is known but their order."""
    first = directories.first
    count = len(directories)
    if not directories.alike():
        # Which of them belong together, nobody knows.
        _check_scene(directories, scene, count)
        page = directories.page(scene)
        header = msgspec.structs.replace(
            plain_header(directories, page.axes, page.shape, notes), images=count, dtype=page.dtype
        )
        return Layout(header, (scene,), scenes=numbered(count))
    _check_scene(directories, scene, 1)
    axes, shape = first.axes, first.shape
    if count > 1:
        axes, shape = f"I{axes}", (count, *shape)
    return Layout(plain_header(directories, axes, shape, notes), tuple(range(count)))


def _check_scene(directories: Directories, scene: int, count: int) -> None:
    if not 0 <= scene < count:
        raise no_such_scene(directories.name, scene, count)


def _of_ome(directories: Directories, description: bytes, scene: int) -> Layout:
    described = parse(description, directories.name, directories.first.samples, scene)
    order, page = _placed(directories, described)
    if page.samples != directories.first.samples:
        described = parse(description, directories.name, page.samples, scene)
        order, page = _placed(directories, described)
    notes = list(described.notes)
    sizes = described.sizes
    if (sizes["Y"], sizes["X"], described.samples) != (page.height, page.width, page.samples):
        said = f"{sizes['Y']} × {sizes['X']} pixels of {described.samples} samples"
        found = f"{page.height} × {page.width} of {page.samples}"
        raise InvalidOme(f"it says {said}, the page has {found}")
    missing = order.count(None)
    if missing:
        notes.append(f"{missing} of {len(order)} planes are missing")
    axes = "".join(a for a in described.axes[:-2] if sizes[a] > 1)
    shape = (*(sizes[a] for a in axes), *page.shape)
    axes += page.axes
    header = msgspec.structs.replace(
        plain_header(directories, axes, shape, tuple(notes)),
        format="ome-tiff",
        dtype=page.dtype,
        channels=described.channels,
        pixel_size=described.pixel_size,
        images=len(described.scenes),
    )
    return Layout(
        header,
        tuple(order),
        channels=described.details,
        scenes=described.scenes,
        acquired=described.acquired,
    )


def _placed(directories: Directories, described: Described) -> tuple[list[int | None], Page]:
    """Return the page of each plane, and the first of those pages."""
    order = described.order(directories.most)
    shown = next((n for n in order if n is not None), None)
    if shown is None:
        raise InvalidOme("it places no page of this file")
    return order, directories.page(shown) if shown else directories.first
