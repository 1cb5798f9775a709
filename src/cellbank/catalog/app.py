"""The pages over HTTP, in front of the API: what a browser asks for is theirs, all else its."""

import asyncio
import logging
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cellbank.catalog.look import STATIC, render, static_files
from cellbank.catalog.pages import Asked, Page, Pages
from cellbank.model.errors import (
    CellbankError,
    InvalidName,
    InvalidReference,
    NotFound,
    NotSignedIn,
    RuleBroken,
)
from cellbank.model.reference import Reference
from cellbank.registry.service import Registry
from cellbank.registry.wire import in_thread

AT_ONCE: Final = 4
"""So many pages are made at the same time; the API keeps the other threads."""
SECURITY: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PACKAGE: Final = re.compile(r"/([a-z][a-z0-9_]*/[^/]+?)(/schema)?/?")
_OWNER: Final = re.compile(r"/([a-z][a-z0-9_]*)/?")
_OURS: Final = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w./-]*)?")

log = logging.getLogger(__name__)


class WithPages:
    """An application: the pages of a registry, and its API for everything else."""

    def __init__(self, api: ASGIApp, registry: Registry) -> None:
        self._api = api
        self._registry = registry
        self._pages = Pages(registry)
        self._making = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not _for_a_person(Request(scope)):
            await self._api(scope, receive, send)
            return
        request = Request(scope)
        response = await self._answer(request)
        if request.method == "HEAD":
            # The length stays that of the page.
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith(STATIC):
            return _static(path.removeprefix(STATIC))
        where = _where(request)
        try:
            async with self._making:
                page = await in_thread(self._page, request, path, where)
        except CellbankError as error:
            return _refusal(error, where)
        except Exception:
            log.exception("%s failed", path)
            return _failure(where)
        headers = {"cache-control": "private, no-cache", "vary": "accept, authorization"}
        if page.tag:
            headers["etag"] = page.tag
        return _html(page, headers)

    def _page(self, request: Request, path: str, where: str) -> Page:
        caller = self._registry.caller(request.headers.get("authorization"), where)
        asked = Asked(caller, where, request.headers.get("if-none-match", ""))
        if path == "/":
            return self._pages.home(asked, _number(request))
        if found := _OWNER.fullmatch(path):
            return self._pages.home(asked, _number(request), found[1])
        if found := _PACKAGE.fullmatch(path):
            reference = Reference.parse(found[1])
            make = self._pages.schema if found[2] else self._pages.package
            return make(asked, reference)
        raise NotFound("there is nothing at this address")


def _for_a_person(request: Request) -> bool:
    """Whether a page is the answer: to a browser for all but the API, to others for packages."""
    path = request.url.path
    if request.method not in ("GET", "HEAD") or path.startswith("/api/") or path == "/-/health":
        return False
    if path.startswith(STATIC) or wants_html(request.headers.get("accept", "")):
        return True
    return path != "/" and _PACKAGE.fullmatch(path) is not None


def wants_html(accept: str) -> bool:
    """Whether an `Accept` header names HTML; `*/*` alone is what scripts send."""
    for part in accept.lower().split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        if kind in ("text/html", "application/xhtml+xml"):
            return not any(re.fullmatch(r"q=0(?:\.0*)?", option) for option in options)
    return False


def _where(request: Request) -> str:
    """Return our address as the browser wrote it, if it can stand in a command."""
    where = str(request.base_url).rstrip("/")
    return where if _OURS.fullmatch(where) else "THIS-ADDRESS"


def _number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 1


def _static(name: str) -> Response:
    found = static_files.get(name)
    if found is None:
        return Response("not found\n", 404, {**SECURITY}, "text/plain")
    kept = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(found[0], 200, SECURITY | kept, found[1])


def _html(page: Page, headers: dict[str, str]) -> Response:
    if page.unchanged:
        return Response(status_code=304, headers=SECURITY | headers)
    return Response(page.body, page.status, SECURITY | headers, "text/html")


def _refusal(error: CellbankError, where: str) -> Response:
    """Return the page for an error; one for all that is not there, or not for who asks."""
    status = error.http_status
    if isinstance(error, RuleBroken | InvalidName | InvalidReference | NotFound):
        status = 404
    if status not in (401, 403, 404):
        log.error("a page failed: %s", error.message)
        return _failure(where)
    headers = {"cache-control": "private, no-cache", "vary": "accept, authorization"}
    if isinstance(error, NotSignedIn):
        headers["www-authenticate"] = "Bearer"
    body = render("error.html", where=where, status=status)
    return _html(Page(body, status), headers)


def _failure(where: str) -> Response:
    page = Page(render("error.html", where=where, status=500), 500)
    return _html(page, {"cache-control": "no-store"})
