"""An image as data: what it says of itself, reading a part of it, folding an axis away."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images import projecting
from cellbank.images.channel import Channel
from cellbank.images.ome import Ome
from cellbank.images.pixels import UNNAMED, Pixels
from cellbank.images.reading import arranged, read_selection
from cellbank.images.selecting import Choice, Selection, channel_of, select
from cellbank.model.errors import AxisNotFound, BadInput


class ImageData:
    """One image of a file; only its header was read.

    Invariant: nothing of it changes. What it gives are new arrays in this machine's byte order.

    Parameters
    ----------
    pixels
        Where its pixels come from.
    channels
        Its channels, where more is known of them than the file says.
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

    def with_channels(self, channels: Iterable[str | Channel | None]) -> Self:
        """Return the same image with other names, or with all that is known, of its channels.

        Names go before those in the file; colours and wavelengths of the file stay. Raises
        `BadInput` if they are not as many as the image has.
        """
        given = [channels] if isinstance(channels, str) else list(channels)
        if len(given) != len(self._channels):
            count = len(self._channels)
            raise BadInput(
                f"{self.name}: {len(given)} channels are named, it has {count}",
                "Name each channel once, in the order of C.",
            )
        return type(self)(self._pixels, tuple(map(_merged, self._channels, given)))

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
        **others: Choice,
    ) -> NDArray[Any]:
        """Read the image, or a part of it; nothing else is read from the disk.

        Parameters
        ----------
        axes
            The order of the result's axes; one that the image lacks gets the length 1. Default:
            the image's, without those that are dropped.
        level
            Which of `levels`.
        T
            A number drops the axis, a slice or a list keeps it. Of T, C and Z that the image
            leaves out, 0 may be asked for.
        C
            The same; channels go by name, too.
        Z
            As T.
        Y
            As T.
        X
            As T.
        S
            As T.
        **others
            As T, for axes that have other names.

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
        choices = {"T": T, "C": C, "Z": Z, "Y": Y, "X": X, "S": S} | others
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
        **others: Choice,
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
        T
            As in `read`.
        C
            As in `read`.
        Z
            As in `read`.
        Y
            A number or a slice.
        X
            A number or a slice.
        **others
            As in `read`.

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
        if not isinstance(over, str | list | tuple):
            raise BadInput(f"{over!r:.60} is no axis", "Name one, or several: Z, ZT.")
        folded = set(over)
        named = (set(self.axes) | set("TCZ")) - set("YXS")
        if not folded or folded - named:
            there = "".join(axis for axis in self.axes if axis in named)
            raise AxisNotFound(
                self.name, over, "it cannot be folded", f"It has {there or 'one plane'}."
            )
        if "Z" in folded - set(self.axes) and set(self.axes) & set(UNNAMED):
            advice = 'Say what they are when you open it: open(path, axes="ZYX").'
            raise AxisNotFound(self.name, "Z", f"the file does not name {self.axes[:-2]}", advice)
        selection = self._select({"T": T, "C": C, "Z": Z, "Y": Y, "X": X} | others, level)
        found = projecting.project(self._pixels, selection, over, how, level)
        dropped = [n for n, axis in enumerate(selection.all) if not axis.kept or axis.name in over]
        return found.squeeze(tuple(dropped)) if dropped else found

    # --- itself

    def _select(self, choices: dict[str, Choice], level: int) -> Selection:
        return select(self._pixels.header, self._channels, self.name, choices, self.levels[level])

    def _level(self, level: int) -> int:
        if type(level) is bool or level not in range(len(self.levels)):
            there = f"It has levels 0 to {len(self.levels) - 1}." if len(self.levels) > 1 else ""
            raise AxisNotFound(self.name, f"level {level}", "it is not there", there)
        return int(level)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it, as `read` does, for functions that take arrays."""
        if copy is False:
            raise ValueError("an image has no array to share: it is read from its file")
        return self.read().astype(dtype, copy=False) if dtype is not None else self.read()

    def __repr__(self) -> str:
        sizes = " × ".join(str(size) for size in self.shape)
        names = [_harmless(c.title) for c in self._channels if c.name or c.fluor]
        told = f", {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else ""
        return f"<Image {self.axes} {sizes} {self.dtype}{told}>"


def _harmless(name: str) -> str:
    """Return a name from a file so that no terminal obeys it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def _merged(known: Channel, given: "str | Channel | None") -> Channel:
    """Return a channel as it is given, with what only the file knows of it."""
    if given is None:
        return known
    if not isinstance(given, Channel):
        return msgspec.structs.replace(known, name=str(given))
    told = {key: value for key, value in msgspec.structs.asdict(given).items() if value is not None}
    return msgspec.structs.replace(known, **(told | {"index": known.index}))
