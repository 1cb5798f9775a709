"""The doors of the API: who is asking, and for which package; nobody passes unseen."""

import msgspec
from fastapi import Request

from cellbank.model.reference import Package
from cellbank.registry.service import Registry
from cellbank.registry.tokens import Caller
from cellbank.registry.wire import in_thread


class Seen(msgspec.Struct, frozen=True):
    """A package that the caller may read, if it is there; and our address."""

    registry: Registry
    package: Package
    where: str


class Writing(msgspec.Struct, frozen=True):
    """A package that the caller may push to; it need not exist."""

    registry: Registry
    caller: Caller
    package: Package


def asked(request: Request) -> tuple[Registry, Caller, str]:
    """Return the registry, who asks, and our address as the caller wrote it."""
    registry: Registry = request.app.state.registry
    where = str(request.base_url).rstrip("/")
    return registry, registry.caller(request.headers.get("authorization"), where), where


async def seen(request: Request, owner: str, name: str) -> Seen:
    """Return the package of the path; raises `PackageNotFound` where it may not be read."""
    registry, caller, where = asked(request)
    package = registry.package(owner, name, where)
    await in_thread(registry.check_may_read, caller, package, where)
    return Seen(registry, package, where)


async def writing(request: Request, owner: str, name: str) -> Writing:
    """Return the package of the path for someone who may write to it.

    Raises `NotSignedIn` before it tells anything about the package.
    """
    registry, caller, where = asked(request)
    registry.check_may_write(caller, where)
    return Writing(registry, caller, registry.checked_package(owner, name))
