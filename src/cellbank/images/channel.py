"""A channel of an image: its name, its colour, and whether it is real data."""

import msgspec


class Channel(msgspec.Struct, frozen=True):
    """One colour plane, as far as it is known.

    `wavelength` is that of the emitted light and `excitation` that of the exciting one, both in
    nm. `use` is False for a channel that shows no data, None where nobody said. `window` is what
    the file wants to be shown: the values that become black and full colour.
    """

    name: str | None
    index: int
    color: str | None = None
    """As `#rrggbb`."""
    wavelength: float | None = None
    excitation: float | None = None
    use: bool | None = None
    window: tuple[float, float] | None = None
    fluor: str | None = None
    """The dye, where the file names it beside the channel's own name."""

    @property
    def title(self) -> str:
        """What to call it: its name, its dye, else its number."""
        return self.name or self.fluor or f"channel {self.index}"
