"""Thumbnails for trees: few, in little time, each made once and kept on this disk."""

import base64
import time
from typing import Final

from cellbank import config as _config
from cellbank import images
from cellbank.images.image import Image
from cellbank.model.errors import CellbankError
from cellbank.model.manifest import Entry
from cellbank.notebook.markup import LINE, QUIET, Html, element, joined, visible
from cellbank.packages.nodes import DataNode, View
from cellbank.packages.opening import open_cache

MOST: Final = 24
"""So many in one answer."""
SECONDS: Final = 1.0
"""So long, in all, thumbnails are made; those that were kept cost nothing."""
SIZE: Final = 64
MAX_BYTES: Final = 90_000
"""Of all pictures of one answer."""
MAX_READ: Final = 160_000_000
"""Bytes of pixels: an image of which more must be read for a thumbnail gets none here."""
_PLANES: Final = 7
_VERSION: Final = "v1"
"""Part of the key: a thumbnail that is made in another way has another one."""


def is_picture(entry: Entry) -> bool:
    """Whether an entry is an image by its file name."""
    return entry.name.lower().endswith((".tif", ".tiff"))


class Pictures:
    """Gives thumbnails of the images of a package as long as its budget lasts.

    Invariant: an answer never waits long: pictures that would take more time than is left, that
    are not on this disk or that are damaged leave a place with the reason.

    Parameters
    ----------
    view
        The revision of the package.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._cache = open_cache(_config.read(), view.store)
        self._end = time.monotonic() + SECONDS
        self._longest = 0.0
        self._given = 0
        self._bytes = 0
        self.left = 0
        """How many there was no room or no time for."""

    def of(self, path: str, size: int = SIZE) -> Html:
        """Return the thumbnail of an image; nothing if there is no path."""
        if not path:
            return Html()
        node = DataNode(self._view, path)
        if self._given >= MOST or self._bytes > MAX_BYTES:
            self.left += 1
            return Html()
        key = f"thumbnails/{node.digest}-{size}{'-labels' * _is_labels(path)}-{_VERSION}"
        made = self._cache.get(key)
        if made is None:
            if not node.fetched:
                return self._place(size, "not here", "It is fetched when it is loaded.")
            if time.monotonic() + self._longest > self._end:
                self.left += 1
                return Html()
            try:
                made = self._made(node, size)
            except (CellbankError, OSError) as error:
                return self._place(size, "damaged", str(error))
            if made is None:
                return self._place(size, "large", "Ask for it: cellbank.images.open(node).plot()")
            self._cache.put(key, made)
        self._given += 1
        self._bytes += len(made) * 4 // 3
        return picture(made, f"thumbnail of {path}")

    def _made(self, node: DataNode, size: int) -> bytes | None:
        begun = time.monotonic()
        made = thumbnail(images.open(node), size, labels=_is_labels(node._path))
        self._longest = max(self._longest, time.monotonic() - begun)
        return made

    def _place(self, size: int, word: str, reason: str) -> Html:
        self._given += 1
        style = (
            f"display:inline-block;width:{size}px;height:{size}px;line-height:{size}px;"
            f"text-align:center;vertical-align:middle;margin:2px 8px 2px 0;border:{LINE};"
            f"font-size:11px;{QUIET}"
        )
        said = visible(f"{word}: {reason}", 300)
        box = element("span", word, role="img", aria_label=said, title=said, style=style)
        if word != "damaged":
            return box
        return joined([box, element("span", f"{visible(reason, 200)} ", style=QUIET)])

    def note(self) -> Html:
        """Return a line that tells of pictures that were left out."""
        if not self.left:
            return Html()
        more = "picture" if self.left == 1 else "pictures"
        return element("div", f"{self.left} more {more}: ask for them one by one", style=QUIET)


def picture(webp: bytes, alt: str) -> Html:
    """Return a picture as an element."""
    return element(
        "img",
        src=f"data:image/webp;base64,{base64.b64encode(webp).decode()}",
        alt=visible(alt, 200),
        style="vertical-align:middle;margin:2px 8px 2px 0;background:#000;max-width:100%",
    )


def thumbnail(image: Image, size: int, *, labels: bool = False) -> bytes | None:
    """Return a small picture as WebP; None where too much would have to be read for it."""
    if _cost(image, size) > MAX_READ:
        return None
    import imagecodecs

    made = image.thumbnail(size, labels=labels)
    # Flat colours are smaller, and better, without loss.
    return bytes(imagecodecs.webp_encode(made, level=80, lossless=labels))


def _cost(image: Image, size: int) -> int:
    """Return how many bytes of pixels are read for a thumbnail."""
    fitting = [level for level in image.levels if max(level) >= size]
    height, width = (fitting or image.levels)[-1] if fitting else image.levels[0]
    planes = min(image.sizes.get("Z", 1), _PLANES) * len(image.used)
    return height * width * planes * image.sizes.get("S", 1) * image.dtype.itemsize


def _is_labels(path: str) -> bool:
    """Whether an image holds labels, by the group in which it lies."""
    return path.partition("/")[0].endswith("_segs")
