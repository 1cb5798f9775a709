"""A registry on loopback, askers, and a store to push from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.registry.asking import Asker
from tests.registry.pushing import Push, manifest_of
from tests.storage.making import LARGE, Served, served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is served."""
    return tmp_path / "registry"


@pytest.fixture
def registry(folder: Path) -> Iterator[Served]:
    """A registry that is running."""
    with served(folder) as running:
        yield running


@pytest.fixture
def admin(registry: Served) -> Asker:
    """Asks as the admin."""
    return Asker(registry.url, registry.token)


@pytest.fixture
def nobody(registry: Served) -> Asker:
    """Asks as nobody."""
    return Asker(registry.url)


@pytest.fixture
def remote(registry: Served) -> Iterator[HttpRemote]:
    """The registry as a remote, for the admin."""
    opened = HttpRemote(registry.url, registry.token or "", timeout=10)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store to push from."""
    return Store.at(str(tmp_path / "store"))


@pytest.fixture
def push(admin: Asker) -> Push:
    """A push whose manifest has arrived."""
    begun = Push(admin, manifest_of({"a.txt": b"a", "large.tif": LARGE}))
    assert 200 == begun.manifest().status
    return begun
