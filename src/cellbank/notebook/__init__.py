"""What a person sees in Jupyter: trees with thumbnails, a viewer, figures."""

import importlib
from typing import TYPE_CHECKING, Any

from cellbank.model.errors import BadInput

__all__ = ["mimebundle", "plot", "show"]

if TYPE_CHECKING:
    from cellbank.notebook.figures import plot
    from cellbank.notebook.reprs import mimebundle
    from cellbank.notebook.widget import show

_ROOMS = {"mimebundle": "reprs", "plot": "figures", "show": "widget"}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for; without its libraries, say what to install."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'cellbank.notebook' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"cellbank.notebook.{_ROOMS[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cellbank":
            raise
        raise BadInput(
            f"{name}() needs {error.name}, which is not installed",
            "Get what is missing: pip install 'cellbank[notebook]'",
        ) from None
