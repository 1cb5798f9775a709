"""A registry on loopback with packages that have pages, and who asks for them."""

import pytest

from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.catalog.making import CELLS, Browser
from tests.registry.conftest import admin, folder, nobody, registry, remote, store
from tests.storage.making import Served, push_files

__all__ = ["admin", "folder", "nobody", "registry", "remote", "store"]


@pytest.fixture
def cells(store: Store, remote: HttpRemote) -> str:
    """A package of cells; its revision."""
    return push_files(store, remote, CELLS).record.revision


@pytest.fixture
def browser(registry: Served) -> Browser:
    """A browser of somebody who has not signed in."""
    return Browser(registry.url)


@pytest.fixture
def signed_in(registry: Served) -> Browser:
    """A browser that sends the admin's token."""
    return Browser(registry.url, registry.token)
