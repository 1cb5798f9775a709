"""Packages as modules: `from cellbank.data.OWNER import NAME` gives an installed package."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from cellbank.model.errors import InvalidName, NotInstalled
from cellbank.model.names import check_name, near
from cellbank.model.reference import Package, Reference
from cellbank.packages.nodes import PackageNode
from cellbank.packages.opening import open_store
from cellbank.packages.resolve import view_of
from cellbank.storage.store import Store

# A module with a path is a package: Python then looks for modules inside it.
__path__: list[str] = []


class NotImportable(NotInstalled, ImportError):
    """The package that an import names is not in the store."""


def _store() -> Store:
    from cellbank import config

    return open_store(config.read())


def _names(owner: str) -> list[str]:
    return [found.name for found in _store().installed_packages() if found.owner == owner]


def _load(owner: str, name: str) -> PackageNode:
    try:
        package = Package(check_name("an owner", owner), check_name("a package", name))
    except InvalidName as error:
        raise NotImportable(f"{owner}/{name}") from error
    try:
        return PackageNode(view_of(_store(), Reference(package)), "")
    except NotInstalled:
        close = [f"{owner}/{other}" for other in near(name, _names(owner))]
        raise NotImportable(str(package), close) from None


class OwnerModule(ModuleType):
    """The packages of one owner as attributes, read anew each time: an install is seen at once."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        owner = self.__name__.rpartition(".")[2]
        try:
            return _load(owner, name)
        except NotImportable as error:
            # `from … import` takes AttributeError as "look for a module", and finds the advice.
            raise AttributeError(str(error)) from None

    def __setattr__(self, name: str, value: object) -> None:
        # Python sets an imported child here; that would hide a later install.
        if name.startswith("__"):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return _names(self.__name__.rpartition(".")[2])


class _OwnerLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = OwnerModule(spec.name, f"Packages of {spec.name.rpartition('.')[2]}.")
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        return None


class _PackageLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        _, _, owner, name = spec.name.split(".")
        return _load(owner, name)  # type: ignore[return-value]

    def exec_module(self, module: ModuleType) -> None:
        # The node must not be kept: the next import shall see the next install.
        return None


class Finder(MetaPathFinder):
    """Finds `cellbank.data.OWNER` and `cellbank.data.OWNER.NAME`, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how to load an owner or a package; None for any other name."""
        parts = fullname.split(".")
        if parts[:2] != ["cellbank", "data"]:
            return None
        if len(parts) == 3:
            try:
                check_name("an owner", parts[2])
            except InvalidName:
                return None
            return ModuleSpec(fullname, _OwnerLoader(), is_package=True)
        if len(parts) == 4:
            return ModuleSpec(fullname, _PackageLoader())
        return None


if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    # Last in the line: a real module of the same name always wins.
    sys.meta_path.append(Finder())


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_") or name not in __dir__():
        raise AttributeError(f"no package of an owner {name!r} is installed")
    import importlib

    return importlib.import_module(f"cellbank.data.{name}")


def __dir__() -> list[str]:
    return sorted({found.owner for found in _store().installed_packages()})
