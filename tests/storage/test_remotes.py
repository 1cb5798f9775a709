"""All remotes keep one contract: a folder, a bucket, and a registry over HTTP."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.remote import BucketRemote
from tests.storage.making import served
from tests.storage.remote_contract import OpenRemote, RemoteContract


class TestFolder(RemoteContract):
    """The layout in a folder."""

    @pytest.fixture
    def open_remote(self, tmp_path: Path) -> OpenRemote:
        return lambda: BucketRemote.open(str(tmp_path / "remote"), create=True)


class TestMemory(RemoteContract):
    """The layout in a bucket, through obstore."""

    @pytest.fixture
    def open_remote(self) -> OpenRemote:
        address = f"memory://{secrets.token_hex(8)}"
        return lambda: BucketRemote.open(address, create=True)


class TestHttp(RemoteContract):
    """A registry over real HTTP on loopback."""

    @pytest.fixture
    def open_remote(self, tmp_path: Path) -> Iterator[OpenRemote]:
        opened = []
        with served(tmp_path / "registry") as registry:

            def open_one() -> HttpRemote:
                opened.append(HttpRemote(registry.url, registry.token or "", timeout=10))
                return opened[-1]

            yield open_one
            for remote in opened:
                remote.close()
