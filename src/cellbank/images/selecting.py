"""What part of an image is asked for: axes by name, channels by name or number."""

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np

from cellbank.images.channel import Channel
from cellbank.images.header import Header
from cellbank.images.pixels import UNNAMED
from cellbank.model.errors import AxisNotFound, BadInput, ChannelNotFound
from cellbank.model.names import near

Choice = int | str | slice | range | Sequence[int | str] | None
"""One of an axis (which is dropped), several of it (which is kept), or, as None, all."""

_NAMED: Final = frozenset("TCZ")
"""May be absent from a file; then there is one of them."""


class Axis(msgspec.Struct, frozen=True, gc=False):
    """What is wanted of one axis: the places in it, and whether it stays in the result."""

    name: str
    places: Sequence[int]
    kept: bool


class Selection(msgspec.Struct, frozen=True, gc=False):
    """What is wanted of an image, axis by axis, in the order of the file."""

    leading: tuple[Axis, ...]
    y: Axis
    x: Axis
    samples: Axis | None

    @property
    def axes(self) -> str:
        """The axes of the result."""
        return "".join(axis.name for axis in self.all if axis.kept)

    @property
    def all(self) -> tuple[Axis, ...]:
        """Every axis."""
        last = () if self.samples is None else (self.samples,)
        return (*self.leading, self.y, self.x, *last)

    def samples_whole(self, shape: Sequence[int]) -> bool:
        """Tell whether all samples of a pixel are wanted, in their order."""
        return self.samples is None or list(self.samples.places) == list(range(shape[-1]))


def select(
    header: Header,
    channels: Sequence[Channel],
    where: str,
    choices: dict[str, Choice],
    shape: tuple[int, int],
) -> Selection:
    """Return the places that are asked for.

    Parameters
    ----------
    header
        Of the image.
    channels
        Of the image.
    where
        The image's name, for messages.
    choices
        By axis; an axis that is not named is wanted whole.
    shape
        Height and width of the level that is read.

    Returns
    -------
    Selection
        Every place lies within its axis.

    Raises
    ------
    AxisNotFound
        An axis that the image does not have, or a place that is not in it.
    ChannelNotFound
        The advice has near names.
    """
    axes = header.axes
    for name, choice in choices.items():
        if choice is not None and name not in axes:
            _check_absent(name, choice, header, channels, where)
    last = axes.index("Y")
    sizes = (*header.shape[:last], *shape, *header.shape[last + 2 :])
    found = []
    for name, size in zip(axes, sizes, strict=True):
        choice = choices.get(name)
        if choice is None:
            found.append(Axis(name, range(size), kept=True))
            continue
        if name == "C":
            choice = numbers_of(choice, channels, where)
        found.append(_axis(name, size, choice, where))
    return Selection(
        leading=tuple(found[:last]),
        y=found[last],
        x=found[last + 1],
        samples=found[last + 2] if axes.endswith("S") else None,
    )


_ADVICE: Final = 'Say what they are when you open it: open(path, axes="ZYX").'


def numbers_of(choice: Choice, channels: Sequence[Channel], where: str) -> Choice:
    """Return channels that are given by name as numbers; what is a number already stays."""
    if isinstance(choice, str | int | np.integer) and not isinstance(choice, bool):
        return channel_of(choice, channels, where).index
    if not _is_several(choice):
        return choice
    return [channel_of(one, channels, where).index for one in cast("Sequence[int | str]", choice)]


def channel_of(wanted: str | int, channels: Sequence[Channel], where: str) -> Channel:
    """Return the channel of a name, dye or number, else raise `ChannelNotFound`."""
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | np.integer):
        raise BadInput(f"{wanted!r:.60} is no channel", "Give its name or its number.")
    if isinstance(wanted, int | np.integer):
        if not -len(channels) <= wanted < len(channels):
            count = len(channels)
            told = ["one channel, 0"] if count == 1 else [f"channels 0 to {count - 1}"]
            raise ChannelNotFound(where, str(int(wanted)), [], told)
        return channels[int(wanted)]
    for attribute in ("name", "fluor"):
        found = [one for one in channels if getattr(one, attribute) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            numbers = " or ".join(str(one.index) for one in found)
            raise BadInput(f"{where} has several channels {wanted}", f"Say which: {numbers}.")
    known = [one.name for one in channels if one.name]
    folded = [name for name in known if name.lower() == str(wanted).lower()]
    raise ChannelNotFound(where, str(wanted), folded or near(str(wanted), known), known)


def _check_absent(
    name: str, choice: Choice, header: Header, channels: Sequence[Channel], where: str
) -> None:
    """Accept the only place of an axis that a file leaves out; refuse all else."""
    if name not in _NAMED:
        raise AxisNotFound(where, name, f"it has the axes {header.axes}")
    if name == "C" and isinstance(choice, str):
        choice = numbers_of(choice, channels, where)
    # One time, one channel there may be beside what has no name; Z it could be itself.
    unnamed = bool(set(header.axes) & set(UNNAMED))
    if unnamed and (
        name == "Z" or not isinstance(choice, int | np.integer) or choice not in {0, -1}
    ):
        raise AxisNotFound(where, name, f"it has the axes {header.axes}", _ADVICE)
    if name == "C":
        choice = numbers_of(choice, channels, where)
    if list(_axis(name, 1, choice, where).places) != [0]:
        raise AxisNotFound(where, name, f"it has the axes {header.axes}", "Of others there is one.")


def _axis(name: str, size: int, choice: Choice, where: str) -> Axis:
    if choice is None:
        return Axis(name, range(size), kept=True)
    if type(choice) is int and 0 <= choice < size:
        return Axis(name, (choice,), kept=False)
    if isinstance(choice, slice):
        try:
            return Axis(name, range(size)[choice], kept=True)
        except (TypeError, ValueError):
            reason = f"{choice} is no slice of whole numbers"
            raise AxisNotFound(where, name, reason) from None
    if isinstance(choice, int | np.integer) and not isinstance(choice, bool):
        return Axis(name, (_place(name, size, int(choice), where),), kept=False)
    if not _is_several(choice):
        raise AxisNotFound(where, name, f"{choice!r:.60} is no number, slice or list of numbers")
    several = cast("Sequence[int]", choice)
    return Axis(name, tuple(_place(name, size, one, where) for one in several), kept=True)


def _is_several(choice: Any) -> bool:
    """Tell whether places are listed, rather than said by a slice, or one of them."""
    if isinstance(choice, np.ndarray):
        return choice.ndim == 1
    return isinstance(choice, Sequence) and not isinstance(choice, str | bytes)


def _place(name: str, size: int, choice: Any, where: str) -> int:
    if isinstance(choice, bool) or not isinstance(choice, int | np.integer):
        raise AxisNotFound(where, name, f"{choice!r:.60} is no whole number")
    if not -size <= choice < size:
        there = "only 0" if size == 1 else f"0 to {size - 1}"
        raise AxisNotFound(where, name, f"{int(choice)} is not there", f"It has {there}.")
    return int(choice) % size
