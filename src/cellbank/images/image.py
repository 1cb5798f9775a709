"""An image: named axes and channels, lazy reading, projections, pictures."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cellbank.images import picturing, thumbnails
from cellbank.images.colours import Color
from cellbank.images.compose import Picture
from cellbank.images.image_data import ImageData
from cellbank.images.limits import Limits
from cellbank.images.orthogonal import Sides
from cellbank.images.selecting import Choice
from cellbank.model.shown import shower

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr
    from numpy.typing import NDArray

Colors = Mapping[str, Color] | Sequence[Color | None] | None
Windows = Mapping[str, Limits] | Sequence[Limits | None] | Limits | str | None


class Image(ImageData):
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
    >>> import io, numpy as np
    >>> from cellbank import images
    >>> planes, file = np.arange(3 * 2 * 4 * 6, dtype="uint16").reshape(6, 4, 6), io.BytesIO()
    >>> images.write_ome_tiff(
    ...     file, planes, axes="ZCYX", shape=(3, 2, 4, 6), dtype="uint16", channels=["DNA", "EGFP"]
    ... )
    >>> image = images.open(file)  # or a path
    >>> image.sizes
    {'Z': 3, 'C': 2, 'Y': 4, 'X': 6}
    >>> image.read(C="EGFP", Z=slice(1, 3)).shape
    (2, 4, 6)
    >>> image.project("max", C="DNA").max()
    np.uint16(119)
    >>> image.composite().shape
    (4, 6, 3)
    """

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
        0 and its brightest 255 unless `limits` says else (`"auto"`: as `composite` finds them); a
        channel that is all the same is black.

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
        """Return what of a channel should be black and what white, as `auto_limits` finds it.

        Of the brightest over Z, or of one plane (`Z`), in the units of the image's pixels.
        """
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
        return thumbnails.thumbnail(self, size, labels=labels)

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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self, include=include, exclude=exclude)
