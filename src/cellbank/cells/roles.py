"""What a channel shows, by the name of its dye: membrane, structure, DNA, or light passed through.

Plates differ in the order of their channels, and years in the names: so a channel is found by name,
never by its number.
"""

import re
from collections.abc import Sequence
from typing import Final

from cellbank.images.channel import Channel

ROLES: Final[dict[str, tuple[str, ...]]] = {
    "membrane": ("cmdrp", "cellmask", "membrane"),
    "structure": ("egfp", "megfp", "gfp", "rfp", "mtagrfp", "tagrfp", "mcherry", "structure"),
    "dna": ("h3342", "h33342", "h33258", "h3258", "hoechst", "draq5", "dapi", "dna"),
    "brightfield": ("bright", "tlbright", "transmitted"),
}
"""Role → how names of its dyes begin, without what is neither letter nor digit."""
BLANK: Final = "_2"
"""Behind the name of a channel that was recorded between two others and shows nothing."""


def channel_of(role: str, channels: Sequence[Channel]) -> Channel | None:
    """Return the channel that shows something.

    Parameters
    ----------
    role
        One of `ROLES`.
    channels
        Those of the image; those that are not in use are not looked at.

    Returns
    -------
    Channel or None
        The first by the order of names in `ROLES`.

    Examples
    --------
    >>> channels = [Channel("H3342_2", 0), Channel("Bright_100X", 1), Channel("H3342", 2)]
    >>> channel_of("dna", channels).index
    2
    """
    names = {channel.name for channel in channels}
    shown = [c for c in channels if c.use is not False and not _is_blank(c.name, names)]
    for beginning in ROLES[role]:
        for channel in shown:
            if re.sub("[^a-z0-9]", "", channel.title.lower()).startswith(beginning):
                return channel
    return None


def _is_blank(name: str | None, names: set[str | None]) -> bool:
    return name is not None and name.endswith(BLANK) and name.removesuffix(BLANK) in names
