"""A registry that is killed in the middle of a push, and started again: the push gets there."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import cellbank

COMMAND = str(Path(sys.executable).parent / "cellbank")


class Registry:
    """`cellbank serve` as a process, killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "serve", str(self.folder), "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("Listening on")
        if not self.token:
            self.token = self.process.stdout.readline().split()[-1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry")
    yield made
    made.kill()


@pytest.mark.parametrize("after", [0.15, 0.3, 0.45])
def test_a_push_gets_there_though_the_registry_is_killed_meanwhile(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    chance = random.Random(1)  # noqa: S311
    for i in range(20):
        (folder / f"{i}.tif").write_bytes(chance.randbytes(1_500_000))
        (folder / f"{i}.json").write_bytes(chance.randbytes(3000))
    cellbank.build("lab/cells", folder)
    monkeypatch.setenv("CELLBANK_TOKEN", registry.token)
    push = [COMMAND, "push", "lab/cells", "--to", registry.url]
    running = subprocess.Popen(push, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with suppress(subprocess.TimeoutExpired):
        running.wait(timeout=after)
    registry.kill()
    registry.start()
    _, errors = running.communicate(timeout=60)
    assert running.returncode in (0, 6), errors
    done = subprocess.run(push, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    assert 40 == cellbank.install("lab/cells", from_=registry.url).objects
    assert cellbank.verify().good
    assert "Traceback" not in errors
    assert registry.token not in errors
