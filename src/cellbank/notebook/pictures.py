"""Thumbnails for trees: few, in little time, each made once and kept on this disk."""

import base64
import re
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Final

from cellbank import config as _config
from cellbank.images.image import Image
from cellbank.model.digest import digest_of
from cellbank.model.errors import CellbankError
from cellbank.model.manifest import Entry
from cellbank.notebook.markup import LINE, QUIET, Html, element, joined, visible
from cellbank.notebook.panels import pictured
from cellbank.packages.nodes import DataNode, GroupNode, View
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
MAX_FILES: Final = 5_000
"""An image in a folder that has more of them gets none here."""
_HEADS: Final = ("zarr.json", ".zattrs")
_FOLDER: Final = re.compile(r"\.zarr$|^[^/]+/[^/]+/image(/load)?$", re.IGNORECASE)
_PLANES: Final = 7
_VERSION: Final = "v2"
"""Part of the key: a thumbnail that is made in another way has another one."""


def pictured_path(entry: Entry) -> str:
    """Return the path of the image that an entry is or stands at the head of; else nothing.

    A TIFF is known by its file name. An OME-Zarr is a folder that is called so, or the image of a
    record; its metadata are at its head.
    """
    if entry.name.lower().endswith((".tif", ".tiff")):
        return entry.path
    folder, _, name = entry.path.rpartition("/")
    is_head = name in _HEADS and _FOLDER.search(folder)
    return folder if is_head else ""


_ASK: Final = "Ask for it: cellbank.images.open(node).plot()"


def is_image(view: View, path: str) -> bool:
    """Whether a group is an OME-Zarr."""
    found = (view.reader.find(f"{path}/{head}") for head in _HEADS)
    return any(pictured_path(entry) == path for entry in found if entry)


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
        is_folder = self._view.reader.find(path) is None
        if self._given >= MOST or self._bytes > MAX_BYTES or (is_folder and self._is_late()):
            self.left += 1
            return Html()
        begun = time.monotonic()
        parts = list(islice(self._parts(path), MAX_FILES + 1))
        key = f"thumbnails/{_digest(path, parts)}-{size}{'-labels' * _is_labels(path)}-{_VERSION}"
        made = self._cache.get(key)
        if made is None:
            if len(parts) > MAX_FILES:
                return self._place(size, "large", _ASK)
            if self._view.lacking(parts):
                return self._place(size, "not here", "It is fetched when it is loaded.")
            if self._is_late():
                self.left += 1
                return Html()
            try:
                made = self._made(path, size, begun)
            except (CellbankError, OSError) as error:
                return self._place(size, "damaged", str(error))
            if made is None:
                return self._place(size, "large", _ASK)
            self._cache.put(key, made)
        self._given += 1
        self._bytes += len(made) * 4 // 3
        return picture(made, f"thumbnail of {path}")

    def _parts(self, path: str) -> Iterator[Entry]:
        """Yield what a picture depends on: the entries of the image, and what is known of it."""
        reader = self._view.reader
        entry = reader.find(path)
        yield from [entry] if entry else reader.under(path)
        if _FOLDER.search(path):
            info = reader.find("/".join([*path.split("/")[:2], "info", "load"]))
            yield from [info] if info else []

    def _is_late(self) -> bool:
        return time.monotonic() + self._longest > self._end

    def _made(self, path: str, size: int, begun: float) -> bytes | None:
        is_entry = self._view.reader.find(path)
        node = DataNode(self._view, path) if is_entry else GroupNode(self._view, path)
        with warnings.catch_warnings():
            # Who only looks at a tree did not ask what is strange about one of its records.
            warnings.simplefilter("ignore")
            # The image of a record knows which of its channels are in use.
            image = pictured(node)
        made = thumbnail(image, size, labels=_is_labels(path))
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
        return joined([box, element("span", f"{visible(reason, 200)} ", style=QUIET)], " ")

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


def _digest(path: str, parts: list[Entry]) -> str:
    """Return what tells one picture from another."""
    lines = [f"{one.path.removeprefix(path)} {one.digest}" for one in parts]
    return parts[0].digest if len(parts) == 1 else digest_of("\n".join(lines).encode())


def _is_labels(path: str) -> bool:
    """Whether an image holds labels, by the group in which it lies."""
    return path.partition("/")[0].endswith("_segs")
