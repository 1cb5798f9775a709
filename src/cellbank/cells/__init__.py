"""Cell-line packages: records, their relations, and how a lab's tables become them."""

import importlib
from typing import TYPE_CHECKING, Any

from cellbank.model.extras import lacking

__all__ = ["Crop", "Info", "Record", "record", "table"]

if TYPE_CHECKING:
    from cellbank.cells.crops import Crop
    from cellbank.cells.frames import table
    from cellbank.cells.info import Info
    from cellbank.cells.one_record import Record, record

_ROOMS = {
    "Crop": "crops",
    "Info": "info",
    "Record": "one_record",
    "record": "one_record",
    "table": "frames",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: a build needs no records, an install nothing."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'cellbank.cells' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"cellbank.cells.{_ROOMS[name]}"), name)
    except ModuleNotFoundError as error:
        raise lacking(error) or error from None
