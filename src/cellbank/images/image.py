"""An image: named axes and channels, lazy reading, projections, pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images import picturing, projecting
from cellbank.images.channel import Channel
from cellbank.images.colours import Color
from cellbank.images.compose import Picture
from cellbank.images.limits import Limits
from cellbank.images.ome import Ome
from cellbank.images.orthogonal import Sides
from cellbank.images.pixels import UNNAMED, Pixels
from cellbank.images.reading import arranged, read_selection
from cellbank.images.selecting import Choice, channel_of, select
from cellbank.model.errors import AxisNotFound, BadInput
from cellbank.model.shown import shower

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr

Colors = Mapping[str, Color] | Sequence[Color | None] | None
Windows = Mapping[str, Limits] | Sequence[Limits | None] | Limits | None


class Image:
    """One image of a file; only its header was read.

    Invariant: nothing of it changes. What it gives are new arrays in this machine's byte order.

    Parameters
    ----------
    pixels
        Where its pixels come from.
    channels
        Its channels, where more is known of them than the file says.

    Examples
    --------
    >>> from cellbank import images
    >>> image = images.open("E6.ome.tiff")  # doctest: +SKIP
    >>> image.sizes  # doctest: +SKIP
    {'Z': 70, 'C': 7, 'Y': 624, 'X': 924}
    >>> image.read(C="EGFP", Z=slice(10, 20)).shape  # doctest: +SKIP
    (10, 624, 924)
    """

    def __init__(self, pixels: Pixels, channels: tuple[Channel, ...] = ()) -> None:
        self._pixels = pixels
        self._channels = channels or pixels.channels

    # --- what it says of itself

    @property
    def pixels(self) -> Pixels:
        """Where its pixels come from."""
        return self._pixels

    @property
    def name(self) -> str:
        """Its path or file name, for messages."""
        return self._pixels.name

    @property
    def format(self) -> str:
        """`ome-tiff`, `imagej-tiff`, `tiff`, `ome-zarr 0.5`, …."""
        return self._pixels.header.format

    @property
    def axes(self) -> str:
        """Such as `ZCYX`; `Q`, `I` are axes that the file does not name, `S` samples (RGB)."""
        return self._pixels.header.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """How long each axis is."""
        return self._pixels.header.shape

    @property
    def sizes(self) -> dict[str, int]:
        """How long each axis is, by its name; axes that the file leaves out are not there."""
        return self._pixels.header.sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its pixels."""
        return self._pixels.dtype

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Its channels in the order of C; at least one."""
        return self._channels

    @property
    def used(self) -> tuple[Channel, ...]:
        """Its channels without those that are known to show no data."""
        return tuple(c for c in self._channels if c.use is not False) or self._channels

    @property
    def pixel_size(self) -> dict[str, float] | None:
        """µm by axis, as far as the file says it; None where it says nothing."""
        return dict(self._pixels.header.pixel_size) or None

    def level_pixel_size(self, level: int) -> dict[str, float] | None:
        """Return µm by axis of a smaller version."""
        found = self.pixel_size
        if found:
            whole, smaller = self.levels[0], self.levels[self._level(level)]
            for axis, full, small in zip("YX", whole, smaller, strict=True):
                if axis in found:
                    found[axis] *= full / small
        return found

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Height and width of the full size, then of the smaller versions that the file has."""
        return self._pixels.levels

    @property
    def scenes(self) -> tuple[str, ...]:
        """The names of all images in the file, this one among them: `open(path, scene=1)`."""
        return self._pixels.scenes

    @property
    def acquisition_date(self) -> datetime | None:
        """When it was taken, if the file says so."""
        return self._pixels.acquired

    @property
    def ome(self) -> Ome | None:
        """What OME-XML says: images, instruments, the text; None where there is none."""
        return self._pixels.ome

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the file, though it can be read."""
        return self._pixels.header.notes

    def channel(self, wanted: str | int) -> Channel:
        """Return the channel of a name, dye or number, else raise `ChannelNotFound`."""
        return channel_of(wanted, self._channels, self.name)

    def with_channels(self, channels: Iterable[str | Channel | None]) -> "Image":
        """Return the same image with other names, or with all that is known, of its channels.

        Names go before those in the file; colours and wavelengths of the file stay. Raises
        `BadInput` if they are not as many as the image has.
        """
        given = list(channels)
        if len(given) != len(self._channels):
            count = len(self._channels)
            raise BadInput(
                f"{self.name}: {len(given)} channels are named, it has {count}",
                "Name each channel once, in the order of C.",
            )
        return Image(self._pixels, tuple(map(_merged, self._channels, given)))

    # --- reading

    def read(
        self,
        *,
        axes: str | None = None,
        level: int = 0,
        T: Choice = None,
        C: Choice = None,
        Z: Choice = None,
        Y: Choice = None,
        X: Choice = None,
        S: Choice = None,
    ) -> NDArray[Any]:
        """Read the image, or a part of it; nothing else is read from the disk.

        Parameters
        ----------
        axes
            The order of the result's axes; one that the image lacks gets the length 1. Default:
            the image's, without those that are dropped.
        level
            Which of `levels`.
        T, C, Z, Y, X, S
            A number drops the axis, a slice or a list keeps it. Channels go by name, too. Of T, C
            and Z that the image leaves out, 0 may be asked for.

        Returns
        -------
        NDArray[Any]
            A new array.

        Raises
        ------
        AxisNotFound, ChannelNotFound
            There is no such axis, place or channel; the advice has what there is.
        BadImage
            The file is damaged.
        """
        choices = {"T": T, "C": C, "Z": Z, "Y": Y, "X": X, "S": S}
        level = self._level(level)
        selection = self._select(choices, level)
        found = read_selection(self._pixels, selection, level)
        return found if axes is None else arranged(found, selection.axes, axes, self.name)

    def project(
        self,
        how: projecting.How = "max",
        over: str = "Z",
        *,
        level: int = 0,
        T: Choice = None,
        C: Choice = None,
        Z: Choice = None,
        Y: Choice = None,
        X: Choice = None,
    ) -> NDArray[Any]:
        """Fold an axis away, plane by plane, in little memory.

        Parameters
        ----------
        how
            `max`, `min`, `mean`, `sum`, or a percentile from 0 to 100.
        over
            The axis, or several: `Z`, `ZT`. One that the image leaves out changes nothing.
        level
            Which of `levels`.
        T, C, Z, Y, X
            As in `read`; of Y and X numbers and slices.

        Returns
        -------
        NDArray[Any]
            The other axes in their order: exactly what numpy gives for the whole array.

        Raises
        ------
        AxisNotFound, ChannelNotFound, BadInput, BadImage
            As in `read`; there is no such projection.
        """
        level = self._level(level)
        folded = set(over)
        named = (set(self.axes) | set("TCZ")) - set("YXS")
        if not folded or folded - named:
            there = "".join(axis for axis in self.axes if axis in named)
            raise AxisNotFound(
                self.name, over, "it cannot be folded", f"It has {there or 'one plane'}."
            )
        if "Z" in folded and set(self.axes) & set(UNNAMED):
            advice = 'Say what they are when you open it: open(path, axes="ZYX").'
            raise AxisNotFound(self.name, "Z", f"the file does not name {self.axes[:-2]}", advice)
        selection = self._select({"T": T, "C": C, "Z": Z, "Y": Y, "X": X}, level)
        found = projecting.project(self._pixels, selection, over, how, level)
        dropped = [n for n, axis in enumerate(selection.all) if not axis.kept or axis.name in over]
        return found.squeeze(tuple(dropped)) if dropped else found

    def dask(self, level: int = 0) -> "da.Array":
        """Return a dask array with the image's axes: a plane a chunk, read when it is needed."""
        from cellbank.images.lazily import dask_array

        return dask_array(self._pixels, self._level(level))

    def xarray(self, level: int = 0) -> "xr.DataArray":
        """Return an xarray over `dask`: channels by name, X, Y and Z in µm where that is known."""
        from cellbank.images.lazily import data_array

        return data_array(self, self._level(level))

    # --- pictures

    def rgb(
        self,
        red: str | int | None = None,
        green: str | int | None = None,
        blue: str | int | None = None,
        *,
        limits: Windows = None,
        Z: Choice = None,
        T: int = 0,
        level: int = 0,
    ) -> Picture:
        """Return three channels as red, green and blue: (Y, X, 3) uint8.

        Over Z the brightest is shown unless a `Z` is given. The darkest pixel of a channel becomes
        0 and its brightest 255 unless `limits` says else; a channel that is all the same is black.

        Raises `ChannelNotFound`, `AxisNotFound`, `BadInput` (none of the three is given).
        """
        return picturing.rgb(self, (red, green, blue), limits, Z, T, self._level(level))

    def composite(
        self,
        colors: Colors = None,
        limits: Windows = None,
        *,
        Z: Choice = None,
        T: int = 0,
        level: int = 0,
    ) -> Picture:
        """Return the channels in use as one picture: (Y, X, 3) uint8.

        Parameters
        ----------
        colors
            By channel, then only those are shown; or one a channel in use. Default: the file's,
            else those that the dyes are known for; transmitted light is left out if there is other.
        limits
            What becomes black and full colour: one pair, one a channel, or by channel. Default:
            `auto_limits` of each.
        Z
            One place, or several; default: all. Of several the brightest is shown.
        T
            Which time.
        level
            Which of `levels`.

        Returns
        -------
        Picture
            (Y, X, 3) uint8.

        Raises
        ------
        ChannelNotFound, AxisNotFound, BadInput
            What is named is not there.
        """
        return picturing.composite(self, colors, limits, Z, T, self._level(level))

    def limits(
        self,
        channel: str | int = 0,
        *,
        Z: Choice = None,
        T: int = 0,
        level: int = 0,
    ) -> Limits:
        """Return what of a channel should be black and what white, as `auto_limits` finds it."""
        return picturing.limits(self, channel, Z, T, self._level(level))

    def overlay(
        self,
        labels: "NDArray[Any] | Image",
        *,
        outline: bool = True,
        tint: float = 0.25,
        label_colors: Mapping[int, Color] | Color | None = None,
        colors: Colors = None,
        limits: Windows = None,
        Z: int | None = None,
        T: int = 0,
    ) -> Picture:
        """Return `composite` with labels drawn over it: outlines, and a tint of each inside.

        `labels` are a label image, or an array (Y, X) or (Z, Y, X) aligned with this one. Raises
        `BadInput` where their shape differs.
        """
        return picturing.overlay(
            self, labels, colors, limits, (Z, T), outline=outline, tint=tint, shown=label_colors
        )

    def orthogonal(
        self,
        position: Sequence[int] | None = None,
        *,
        colors: Colors = None,
        limits: Windows = None,
        T: int = 0,
    ) -> Sides:
        """Return cuts through a point (Z, Y, X), by default the middle: XY, XZ and YZ.

        Each is (rows, columns, 3) uint8 with pixels as wide as they are high, where the voxel's
        size is known.
        """
        return picturing.orthogonal(self, position, colors, limits, T)

    def thumbnail(self, size: int = 256, *, labels: bool = False) -> Picture:
        """Return a small picture, at most `size` high and wide, made of a few planes only.

        Brightness is stretched for each image, so thumbnails cannot be compared. `labels` says
        that the numbers are labels, each to have a colour of its own.
        """
        return picturing.thumbnail(self, size, labels=labels)

    def plot(self, **options: Any) -> Any:
        """Draw a row of channels in use, projected, titled, with a scale bar; return the figure.

        Options are those of `cellbank.notebook.plot`.
        """
        return shower("plot")(self, **options)

    def show(self, **options: Any) -> Any:
        """Return a viewer for a notebook; options are those of `cellbank.notebook.show`."""
        return shower("show")(self, **options)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write it as OME-TIFF (`.ome.tif`, `.ome.tiff`) or OME-Zarr (`.ome.zarr`).

        Options are those of `cellbank.images.saving.save`.
        """
        from cellbank.images.saving import save

        save(self, path, **options)

    # --- itself

    def _select(self, choices: dict[str, Choice], level: int) -> Any:
        return select(self._pixels.header, self._channels, self.name, choices, self.levels[level])

    def _level(self, level: int) -> int:
        if not 0 <= level < len(self.levels):
            there = f"It has levels 0 to {len(self.levels) - 1}." if len(self.levels) > 1 else ""
            raise AxisNotFound(self.name, f"level {level}", "it is not there", there)
        return level

    def __repr__(self) -> str:
        sizes = " × ".join(str(size) for size in self.shape)
        names = [c.title for c in self._channels if c.name or c.fluor]
        told = f", {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else ""
        return f"<Image {self.axes} {sizes} {self.dtype}{told}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self)


def _merged(known: Channel, given: "str | Channel | None") -> Channel:
    """Return a channel as it is given, with what only the file knows of it."""
    if given is None:
        return known
    if not isinstance(given, Channel):
        return msgspec.structs.replace(known, name=str(given))
    told = {key: value for key, value in msgspec.structs.asdict(given).items() if value is not None}
    return msgspec.structs.replace(known, **(told | {"index": known.index}))
