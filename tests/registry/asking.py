"""A plain HTTP client for the tests of the registry: it sends what it is told, good or bad."""

import contextlib
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

API = "/api/v1"


class Reply(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The class of the error that it tells of."""
        return str(self.json["error"])


class Asker:
    """Sends requests as somebody, or as nobody."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._host = urlsplit(url).netloc
        self._token = token

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if self._token is not None:
            sent.setdefault("Authorization", f"Bearer {self._token}")
        connection = http.client.HTTPConnection(self._host, timeout=20)
        try:
            # A refusal may come before all was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): text for name, text in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """Ask for something."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self("GET", path, headers=named)

    def post(self, path: str, body: bytes = b"") -> Reply:
        """Send something."""
        return self("POST", path, body)

    def put(self, path: str, body: bytes) -> Reply:
        """Put something somewhere."""
        return self("PUT", path, body)
