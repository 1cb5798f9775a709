"""The server as a process: it starts, says where, stops at once, and goes on after a kill."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from cellbank.model.errors import BadInput, DiskError, NewerFormat
from cellbank.server import serve
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.storage.making import (
    FILES,
    PACKAGE,
    contents,
    event,
    install,
    push_files,
    served,
)

PROGRAM = """
import sys
from cellbank.server import serve
serve(sys.argv[1], port=0, on_ready=lambda url, token: print(url, token, flush=True))
"""


class Process(msgspec.Struct, frozen=True):
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    token: str


@contextmanager
def process(folder: Path) -> Iterator[Process]:
    """Run a server in a process of its own; kill it at the end, if it still runs."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as running:
        try:
            assert running.stdout is not None
            url, token = running.stdout.readline().split()
            yield Process(running, url, token)
        finally:
            running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_stops_it_cleanly_within_two_seconds(
    tmp_path: Path, number: int, *, busy: bool
) -> None:
    with process(tmp_path / "place") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            if busy:
                half.sendall(b"POST /api/v1/packages/a/b/log HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
            assert "admin" == HttpRemote(server.url, server.token).whoami()
            before = time.monotonic()
            server.process.send_signal(number)
            _, errors = server.process.communicate(timeout=10)
            took = time.monotonic() - before
    assert (0, "") == (server.process.returncode, errors)
    assert took < 2


def test_it_answers_when_it_says_so_and_the_token_is_told_once(tmp_path: Path) -> None:
    with process(tmp_path / "place") as server:
        assert server.token.startswith("cbk_")
        assert len(server.token) > 40
        assert "admin" == HttpRemote(server.url, server.token).whoami()
    kept = (tmp_path / "place" / "registry.json").read_text()
    assert server.token not in kept
    assert 0o600 == (tmp_path / "place" / "registry.json").stat().st_mode & 0o777
    with process(tmp_path / "place") as again:
        assert "None" == again.token
        assert "admin" == HttpRemote(again.url, server.token).whoami()


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path / "store"))
    with process(tmp_path / "place") as server:
        kept = push_files(store, HttpRemote(server.url, server.token))
        os.kill(server.process.pid, signal.SIGKILL)
    with process(tmp_path / "place") as again:
        remote = HttpRemote(again.url)
        assert kept == remote.newest(PACKAGE)
        other = Store.at(str(tmp_path / "other"))
        assert contents(other, install(other, remote)) == FILES


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BadInput, match="already"),
    ):
        serve(str(tmp_path / "place"), port=taken.getsockname()[1])
    assert not (tmp_path / "place").exists()


def test_two_servers_do_not_share_a_port(tmp_path: Path) -> None:
    with served(tmp_path / "one") as first, pytest.raises(BadInput, match="already"):
        serve(str(tmp_path / "two"), port=int(first.url.rpartition(":")[2]))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_an_address_that_is_not_ours_is_told(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadInput, match=host):
        serve(str(tmp_path / "place"), host=host, port=0)


def test_a_folder_with_other_files_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(BadInput, match="other files"):
        serve(str(tmp_path), port=0)
    assert ["thesis.tex"] == [path.name for path in tmp_path.iterdir()]


def test_a_folder_of_a_newer_cellbank_is_not_served(tmp_path: Path) -> None:
    form = {"format": 1, "id": secrets.token_hex(16), "read": [], "write": ["codec:new"]}
    (tmp_path / "format.json").write_bytes(msgspec.json.encode(form, order="sorted"))
    with pytest.raises(NewerFormat):
        serve(str(tmp_path), port=0)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises((BadInput, DiskError)):
        serve(str(tmp_path / "file"), port=0)


def test_a_served_store_shows_nobody_what_is_not_public(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path / "store"))
    mine = Store.at(str(tmp_path / "mine"))
    with served(tmp_path / "mine") as registry:
        admin, nobody = HttpRemote(registry.url, registry.token or ""), HttpRemote(registry.url)
        push_files(store, admin)
        assert ([], [PACKAGE]) == (nobody.packages(), admin.packages())
        mine.set_public(PACKAGE, public=True)
        assert [PACKAGE] == nobody.packages()


@pytest.mark.parametrize("fresh", [False, True])
def test_whether_new_packages_are_public_is_remembered(tmp_path: Path, *, fresh: bool) -> None:
    if not fresh:
        Store.at(str(tmp_path / "place"))
    seen = []
    for options in ({}, {"public": not fresh}, {}):
        with served(tmp_path / "place", **options):
            kept = msgspec.json.decode((tmp_path / "place" / "registry.json").read_bytes())
            seen.append(kept["public"])
    assert [fresh, not fresh, not fresh] == seen


def test_old_parts_in_staging_are_removed_at_start(tmp_path: Path) -> None:
    with served(tmp_path / "place"):
        pass
    old, new = tmp_path / "place/staging/old.1", tmp_path / "place/staging/new.1"
    for path in (old, new):
        path.write_bytes(b"part")
    os.utime(old, (0, 0))
    with served(tmp_path / "place"):
        pass
    assert [False, True] == [old.exists(), new.exists()]


def test_two_remotes_append_without_losing_any(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = Store.at(str(tmp_path / "store"))
    with served(tmp_path / "place") as registry:
        revision = push_files(store, HttpRemote(registry.url, registry.token or "")).record.revision

        def tag(number: int) -> None:
            remote = HttpRemote(registry.url, registry.token or "")
            for count in range(10):
                wanted = event("tag", name=f"t{number}.{count}", revision=revision)
                remote.append(PACKAGE, wanted)
            remote.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tag, range(4)))
        newest = HttpRemote(registry.url, registry.token or "").newest(PACKAGE)
    assert (40, 40) == (newest.record.number, len(newest.record.state.tags))
