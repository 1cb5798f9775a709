"""cellbank: a package manager for cell images and their metadata.

>>> import cellbank
>>> cellbank.install("demo/nuclei")  # doctest: +SKIP
>>> from cellbank.data.demo import nuclei
>>> nuclei.images
<GroupNode>
nuclei.ome.tif
"""

from typing import TYPE_CHECKING, Any

from cellbank.model import shown, watching

__version__ = "0.1.0"

_FUNCTIONS = (
    "build",
    "build_family",
    "cache",
    "cite",
    "diff",
    "diff_records",
    "du",
    "edit",
    "export",
    "fetch",
    "gc",
    "import_quilt",
    "init",
    "inspect",
    "install",
    "load",
    "lock",
    "log",
    "login",
    "logout",
    "ls",
    "push",
    "query",
    "remotes",
    "remove",
    "sample",
    "sync",
    "table",
    "tag",
    "tree",
    "verify",
    "version",
    "whoami",
)
_MODULES = ("api", "cells", "data", "images", "model", "notebook", "server", "torch")

__all__ = ["CellbankError", "__version__", *_FUNCTIONS]  # noqa: PLE0604

if TYPE_CHECKING:
    from cellbank.api import (  # noqa: F401  re-exported by __getattr__
        build,
        build_family,
        cache,
        cite,
        diff,
        diff_records,
        du,
        edit,
        export,
        fetch,
        gc,
        import_quilt,
        init,
        inspect,
        install,
        load,
        lock,
        log,
        login,
        logout,
        ls,
        push,
        query,
        remotes,
        remove,
        sample,
        sync,
        table,
        tag,
        tree,
        verify,
        version,
        whoami,
    )
    from cellbank.model.errors import CellbankError


def _watcher_for_here() -> Any:
    """Return what shows the progress of jobs that nobody else watches."""
    import importlib

    return importlib.import_module("cellbank.display").for_here()


_SHOWERS = {"edit": "api", "load": "api"}


def _shower(name: str) -> Any:
    """Return what shows a thing (`plot`, `show`, `mimebundle`), or does what `api` does."""
    import importlib

    return getattr(importlib.import_module(f"cellbank.{_SHOWERS.get(name, 'notebook')}"), name)


watching.hand_down(_watcher_for_here)
shown.hand_down(_shower)


def _module(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"cellbank.{name}")
    except ModuleNotFoundError as error:
        from cellbank.model.extras import lacking

        raise lacking(error) or error from None


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `import cellbank` itself costs nothing."""
    import importlib

    if name == "CellbankError":
        return importlib.import_module("cellbank.model.errors").CellbankError
    if name in _MODULES:
        return _module(name)
    if name in _FUNCTIONS:
        found = getattr(importlib.import_module("cellbank.api"), name)
        return importlib.import_module("cellbank.api.arguments").checked(found)
    raise AttributeError(f"module 'cellbank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
