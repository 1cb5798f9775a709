"""The routes that write: a push in its steps, and events that bring no objects."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from cellbank.model.digest import is_digest
from cellbank.model.errors import BadInput
from cellbank.model.log import Draft, Table, check_tables
from cellbank.registry.doors import Writing, writing
from cellbank.registry.parts import WrongOffset
from cellbank.registry.pushed import MAX_HEADER_BYTES
from cellbank.registry.reading import PART_SIZE
from cellbank.registry.session import Session
from cellbank.registry.wire import (
    declared_length,
    decoded,
    drained,
    gathered,
    in_thread,
    whole_body,
)
from cellbank.storage.packs import MAX_PACK_BYTES

MAX_DRAFT_BYTES = 1 << 20

router = APIRouter(prefix="/packages/{owner}/{name}")


@router.post("/log", response_class=Response)
async def append(request: Request, door: Annotated[Writing, Depends(writing)]) -> Response:
    """Append an event that brings no objects; answer its record."""
    draft = await decoded(request, Draft, MAX_DRAFT_BYTES)
    kept = await in_thread(door.registry.append, door.caller, door.package, draft)
    return Response(kept.data, media_type="application/json")


@router.post("/uploads")
async def begin(request: Request, door: Annotated[Writing, Depends(writing)]) -> dict[str, Any]:
    """Begin a push, or go on with it; the body is the header of the revision.

    The answer says what of the manifest is lacking.
    """
    header = await whole_body(request, MAX_HEADER_BYTES)
    session = await in_thread(door.registry.begin, door.caller, door.package, header)
    lacks = await in_thread(session.lacks)
    return {"upload": session.name, "lacks": lacks, "part_size": PART_SIZE}


def _session(door: Writing, upload: str) -> Session:
    return door.registry.uploads.get(door.package, door.caller.name, upload)


@router.post("/uploads/{upload}/packs")
async def pack(
    request: Request, upload: str, door: Annotated[Writing, Depends(writing)]
) -> dict[str, int]:
    """Take a pack: of parts of the manifest, and when that is whole, of small objects."""
    session = _session(door, upload)
    data = await whole_body(request, MAX_PACK_BYTES)
    await in_thread(session.take_pack, data)
    return {"bytes": len(data)}


@router.post("/uploads/{upload}/missing", response_class=Response)
async def missing(
    request: Request, upload: str, door: Annotated[Writing, Depends(writing)]
) -> Response:
    """Say which objects are lacking, of the manifest and of the tables that the body names.

    Eight bytes: how many small ones; the digests of these; then for each large one its digest and,
    in eight bytes, how much of it has arrived.
    """
    session = _session(door, upload)
    tables = await decoded(request, dict[str, Table], MAX_DRAFT_BYTES, b"{}")
    check_tables(tables)

    def body() -> bytes:
        small, large = session.missing(tables)
        out = [len(small).to_bytes(8, "little"), *map(bytes.fromhex, sorted(small))]
        out += [bytes.fromhex(d) + n.to_bytes(8, "little") for d, n in sorted(large.items())]
        return b"".join(out)

    return Response(await in_thread(body), media_type="application/octet-stream")


@router.put("/uploads/{upload}/objects/{digest}")
async def put_object(
    request: Request,
    upload: str,
    digest: str,
    offset: int,
    door: Annotated[Writing, Depends(writing)],
) -> Response:
    """Take bytes of a large object from `offset` on; answer how much of it has arrived.

    409 says that the bytes do not go on where the last ended, and where that is.
    """
    session = _session(door, upload)
    if not is_digest(digest):
        raise BadInput("that is not a digest")
    size = session.size_of(digest)
    if not 0 <= offset <= size or offset + (declared_length(request) or 0) > size:
        raise BadInput("the object has fewer bytes")
    turn, at = 0, offset
    try:
        async for chunks in gathered(request, min(size - offset, PART_SIZE)):
            turn, at = await in_thread(session.receive, digest, turn, at, chunks)
        if not turn:
            await in_thread(session.receive, digest, turn, at, [])
    except WrongOffset as wrong:
        await drained(request, PART_SIZE)
        return JSONResponse({"offset": wrong.offset}, 409)
    except OSError:
        await drained(request, PART_SIZE)
        raise
    return JSONResponse({"offset": at})


@router.post("/uploads/{upload}/commit", response_class=Response)
async def commit(
    request: Request,
    upload: str,
    door: Annotated[Writing, Depends(writing)],
    public: bool | None = None,
) -> Response:
    """Make the push durable and append its record; answer that.

    The same draft sent again, by its nonce, gives the same record.
    """
    draft = await decoded(request, Draft, MAX_DRAFT_BYTES)
    kept = await in_thread(
        lambda: door.registry.commit(door.caller, door.package, upload, draft, public=public)
    )
    return Response(kept.data, media_type="application/json")
