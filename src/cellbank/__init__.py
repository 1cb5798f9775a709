"""cellbank: a package manager for cell images and their metadata.

>>> import cellbank
>>> cellbank.install("demo/nuclei")  # doctest: +SKIP
>>> from cellbank.data.demo import nuclei
>>> nuclei.images
<GroupNode>
nuclei.ome.tif
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_FUNCTIONS = (
    "build",
    "build_family",
    "cite",
    "diff",
    "du",
    "export",
    "gc",
    "init",
    "inspect",
    "install",
    "load",
    "log",
    "login",
    "logout",
    "ls",
    "push",
    "remotes",
    "remove",
    "sample",
    "tag",
    "tree",
    "verify",
    "version",
    "whoami",
)
_MODULES = ("api", "data", "model", "server")

__all__ = ["CellbankError", "__version__", *_FUNCTIONS]  # noqa: PLE0604

if TYPE_CHECKING:
    from cellbank.api import (  # noqa: F401  re-exported by __getattr__
        build,
        build_family,
        cite,
        diff,
        du,
        export,
        gc,
        init,
        inspect,
        install,
        load,
        log,
        login,
        logout,
        ls,
        push,
        remotes,
        remove,
        sample,
        tag,
        tree,
        verify,
        version,
        whoami,
    )
    from cellbank.model.errors import CellbankError


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `import cellbank` itself costs nothing."""
    import importlib

    if name == "CellbankError":
        return importlib.import_module("cellbank.model.errors").CellbankError
    if name in _MODULES:
        return importlib.import_module(f"cellbank.{name}")
    if name in _FUNCTIONS:
        api = importlib.import_module("cellbank.api")
        session = importlib.import_module("cellbank.api.session")
        session.default_watcher[0] = importlib.import_module("cellbank.display").for_here
        return getattr(api, name)
    raise AttributeError(f"module 'cellbank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
