"""The HTTP API of a registry as an application: routes, errors, and nothing from elsewhere."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from cellbank.model.errors import BadInput, CellbankError, NotFound
from cellbank.registry import pushing, reading
from cellbank.registry.service import Registry
from cellbank.registry.wire import disk_error, error_answer, in_thread

API = "/api/v1"

log = logging.getLogger(__name__)


def create_app(registry: Registry) -> FastAPI:
    """Return the application that serves `registry`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await in_thread(registry.close)

    app = FastAPI(
        title="cellbank registry",
        version="1",
        description="Packages of cell images. See docs/protocol.md.",
        openapi_url=f"{API}/openapi.json",
        # These pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.registry = registry
    app.include_router(reading.router, prefix=API)
    app.include_router(pushing.router, prefix=API)
    app.add_api_route("/-/health", _health, methods=["GET"])
    app.add_api_route("/", _root, methods=["GET"], include_in_schema=False)
    _translate_errors(app, registry)
    return app


async def _health() -> dict[str, str]:
    """Say that the registry answers."""
    return {"status": "ok"}


async def _root() -> dict[str, str]:
    """Say what this is."""
    return {
        "what": "a cellbank registry",
        "install": "cellbank install OWNER/NAME --from this address",
        "api": f"{API}/openapi.json",
    }


def _translate_errors(app: FastAPI, registry: Registry) -> None:
    root = registry.files.root

    def where(request: Request) -> str:
        return str(request.base_url).rstrip("/")

    @app.exception_handler(CellbankError)
    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, CellbankError)  # noqa: S101  only these come here
        return error_answer(error, root, where(request))

    @app.exception_handler(OSError)
    async def disk(request: Request, error: Exception) -> Response:
        assert isinstance(error, OSError)  # noqa: S101  only these come here
        if isinstance(error, CellbankError):
            return await ours(request, error)
        log.error("%s: %s", request.url.path, error)
        return error_answer(disk_error(error, where(request)), root, where(request))

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  only these come here
        first = error.errors()[0]
        names = ".".join(str(part) for part in first.get("loc", ()))
        return error_answer(BadInput(f"{names}: {first.get('msg')}"), root, where(request))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  only these come here
        if error.status_code == 404:
            return error_answer(NotFound("there is nothing at this address"), root, where(request))
        document = {"error": "BadInput", "facts": [str(error.detail)], "message": error.detail}
        return JSONResponse(document, error.status_code, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path, exc_info=error)
        document = {"error": "CellbankError", "facts": ["the registry failed"], "message": ""}
        return JSONResponse(document, 500)
