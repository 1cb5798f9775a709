"""Servers that lie, for the tests of the client."""

from collections.abc import Callable, Iterator

import pytest

from cellbank.storage import http_client
from tests.storage.lying import Liar, Script, lying


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, not after a while."""
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.001)


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], Liar]]:
    """Start servers that lie; they are stopped at the end of the test."""
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.001)
    open_ones = []

    def start(script: Script) -> Liar:
        context = lying(script)
        open_ones.append(context)
        return context.__enter__()

    yield start
    for context in open_ones:
        context.__exit__(None, None, None)
