"""The routes that read: what is here, its log, and its objects."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from cellbank.model.digest import is_digest
from cellbank.model.errors import BadInput, NotFound
from cellbank.registry.doors import Seen, asked, seen
from cellbank.registry.wire import Packs, Stretch, in_thread, wanted_range, whole_body

PART_SIZE = 32 << 20
MAX_DIGESTS = 262_144
MAX_RECORDS = 1_000

router = APIRouter()


@router.get("/place")
async def place(request: Request) -> dict[str, str | int]:
    """Say which place this is: its identity and how objects are to be sent."""
    registry, _, _ = asked(request)
    return {"format": 1, "id": registry.place.id, "part_size": PART_SIZE}


@router.get("/whoami")
async def whoami(request: Request) -> dict[str, str]:
    """Say who is asking; an empty name is nobody."""
    return {"name": asked(request)[1].name}


@router.get("/packages")
async def packages(request: Request) -> dict[str, list[str]]:
    """List the packages that the caller may see."""
    registry, caller, _ = asked(request)
    return {"packages": [str(p) for p in await in_thread(registry.readable, caller)]}


@router.get("/packages/{owner}/{name}", response_class=Response)
async def newest(found: Annotated[Seen, Depends(seen)]) -> Response:
    """Give the newest record of a package, which holds its state, as its very bytes."""
    kept = await in_thread(found.registry.newest, found.package, found.where)
    return Response(kept.data, media_type="application/json")


@router.get("/packages/{owner}/{name}/log", response_class=Response)
async def log(
    found: Annotated[Seen, Depends(seen)],
    before: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_RECORDS)] = 100,
) -> Response:
    """Give records below number `before`, newest first, one a line."""

    def lines() -> bytes:
        records = found.registry.records(found.package, found.where, before, limit)
        return b"".join(kept.data + b"\n" for kept in records)

    return Response(await in_thread(lines), media_type="application/x-ndjson")


@router.post("/packages/{owner}/{name}/objects/small", response_class=Response)
async def small(request: Request, found: Annotated[Seen, Depends(seen)]) -> Response:
    """Give packs with those of the asked small objects that the package reaches.

    The body is their digests, 32 bytes each. Each pack stands behind its length in eight bytes,
    little-endian; a length of 0 ends the answer.
    """
    body = await whole_body(request, 32 * MAX_DIGESTS)
    if len(body) % 32:
        raise BadInput("the body must be digests of 32 bytes each")
    digests = [body[at : at + 32].hex() for at in range(0, len(body), 32)]
    return Packs(await in_thread(found.registry.small, found.package, found.where, digests))


@router.head(
    "/packages/{owner}/{name}/objects/{digest}", include_in_schema=False, response_class=Response
)
@router.get("/packages/{owner}/{name}/objects/{digest}", response_class=Response)
async def large(request: Request, digest: str, found: Annotated[Seen, Depends(seen)]) -> Response:
    """Give a large object, or from a byte on (`Range: bytes=N-`)."""
    if not is_digest(digest):
        raise NotFound(f"{found.package} has no object {digest[:80]}", "Ask for a digest.")
    path, size = await in_thread(found.registry.large, found.package, found.where, digest)
    headers = {"etag": f'"{digest}"', "accept-ranges": "bytes"}
    stretch = wanted_range(request.headers.get("range"), size)
    if request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        stretch = range(size)
    if stretch is None:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    return Stretch(path, size, stretch, headers)
