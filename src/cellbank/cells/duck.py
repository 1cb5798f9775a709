"""DuckDB as it is used here: in memory, fetching nothing, stopped by Ctrl-C."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def duckdb_library() -> Any:
    """Return DuckDB without what its face imports for data frames: that takes thrice as long."""
    try:
        return importlib.import_module("_duckdb")
    except ModuleNotFoundError:
        # Earlier versions have it elsewhere.
        return importlib.import_module("duckdb")


@contextmanager
def opened(spill: str = "", **settings: str | int) -> Iterator[Any]:
    """Give a DuckDB that ends with the block.

    What does not fit in memory goes to the folder `spill`, made when it is needed and removed at
    the end; without one that is an error. Left to itself it would lie where the user works.

    Raises `KeyboardInterrupt`: Where DuckDB makes another error of Ctrl-C.
    """
    import duckdb

    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": spill,
        **settings,
    }
    with duckdb.connect(":memory:", config=config) as database:
        try:
            yield database
        except RuntimeError as error:
            if str(error) == "Query interrupted":
                raise KeyboardInterrupt from None
            raise
