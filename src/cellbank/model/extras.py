"""Libraries that not everybody has, and the extra of cellbank that brings each."""

from typing import Final

from cellbank.model.errors import BadInput

EXTRAS: Final = {
    "anywidget": "notebook",
    "dask": "images",
    "duckdb": "query",
    "google_crc32c": "images",
    "imagecodecs": "images",
    "matplotlib": "notebook",
    "numpy": "images",
    "tifffile": "images",
    "xarray": "xarray",
}


def lacking(error: ModuleNotFoundError) -> BadInput | None:
    """Return what to say where a library of an extra is not there, None of any other module."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS:
        return None
    return BadInput(
        f"this needs {name}, which is not installed",
        f"Install it: pip install 'cellbank[{EXTRAS[name]}]'",
    )


def missing(error: ModuleNotFoundError, what: str) -> ModuleNotFoundError:
    """Return the error of a module of ours, `what`, that cannot be imported without a library."""
    known = lacking(error)
    if known is None:
        return error
    return ModuleNotFoundError(f"{what}: {known}", name=error.name)
