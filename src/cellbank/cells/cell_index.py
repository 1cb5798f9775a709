"""Where the cells of fields of view lie, remembered by the digest of the segmentation."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank.cells.boxes import Box
from cellbank.cells.crops import Cutter
from cellbank.cells.one_record import Record
from cellbank.model.errors import NotFound
from cellbank.packages.nodes import DataNode
from cellbank.storage import disk

FOLDER: Final = "caches/boxes"
_Edges = dict[int, list[int]]


def cutter_of(record: Record, *, kept_bytes: int = 0) -> Cutter:
    """Return what cuts cells out of a field; segmentations are looked through once for ever.

    `kept_bytes` of segmentations stay in memory between two cells; without them only the cell's
    box is read. Raises `NotFound`: The field has no segmentation of cells here.
    """
    images = record._aligned_images()
    if record.kind != "fov" or "cell" not in images:
        raise NotFound(f"{record.id} has no segmentation of cells here", "Leave it out by where=.")
    cutter = Cutter(record.image, images, record.id, kept_bytes=kept_bytes)
    path = _place(record)
    known = None if path is None else _read(path)
    if known is not None:
        cutter.boxes = known
    elif path is not None:
        edges = {
            label: [at for part in box for at in (part.start, part.stop)]
            for label, box in cutter.boxes.items()
        }
        with suppress(OSError):
            disk.write_cache(path, msgspec.msgpack.encode(edges))
    return cutter


def _place(record: Record) -> str | None:
    """Return where the boxes of a field are remembered, None where its image is no one file."""
    first = next((one for one in record.related("cell_segs") if one.has_image), None)
    node: Any = None if first is None else first._part("image")
    if not isinstance(node, DataNode):
        return None
    return record.node._view.store.files.path(f"{FOLDER}/{node.digest}")


def _read(path: str) -> dict[int, Box] | None:
    """Return boxes that were remembered; None where there are none, or others than there can be."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        edges = msgspec.msgpack.decode(Path(path).read_bytes(), type=_Edges)
        return {
            label: (slice(z, z_end), slice(y, y_end), slice(x, x_end))
            for label, (z, z_end, y, y_end, x, x_end) in edges.items()
        }
    return None
