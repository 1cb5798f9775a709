"""What the tests of the command share: a store of their own, small folders, and ways to run it."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from cellbank.cli import run

COMMAND = str(Path(sys.executable).parent / "cellbank")


class Result(msgspec.Struct, frozen=True):
    """What a run of the command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return msgspec.json.decode(self.out)

    def ok(self) -> "Result":
        assert 0 == self.code, self.err
        return self

    def failed(self, code: int) -> "Result":
        """Check that it failed as it must: the code, nothing on stdout, two kinds of lines."""
        assert code == self.code, (self.out, self.err)
        assert "Traceback" not in self.err
        first, *more = self.err.splitlines()
        assert first.startswith("cellbank: ")
        assert all(line.startswith("  ") for line in more)
        return self


Run = Callable[..., Result]


@pytest.fixture
def clean_env(tmp_path: Path) -> dict[str, str]:
    """An environment without anything of the user's own, and with a store in `tmp_path`."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("CELLBANK_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        env.pop(name, None)
    env["CELLBANK_HOME"] = str(tmp_path / "home")
    env["CELLBANK_AUTHOR"] = "tester"
    return env


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, clean_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CELLBANK_")]:
        monkeypatch.delenv(name)
    for name, text in clean_env.items():
        if name.startswith("CELLBANK_"):
            monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cellbank(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process."""

    def call(*arguments: str | Path, stdin: str = "") -> Result:
        capfdbinary.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = run([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Result(code, out.decode("utf-8", "surrogateescape"), err.decode())

    return call


@pytest.fixture
def process(clean_env: dict[str, str]) -> Run:
    """Run the command as a process of its own."""

    def call(
        *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> Result:
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            input=stdin.encode(),
            capture_output=True,
            env={**clean_env, **(env or {})},
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


def fill(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files into a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a large file, small ones and a group."""
    return fill(
        tmp_path / "images",
        {
            "README.md": "# Nuclei\n",
            "fovs/a.tif": bytes(range(256)) * 1000,
            "fovs/a.json": '{"n": 1}',
            "fovs/b.json": '{"n": 2}',
        },
    )


@pytest.fixture
def built(cellbank: Run, images: Path) -> str:
    """The name of a package that was built from `images`."""
    cellbank("build", "demo/nuclei", images, "--message", "first").ok()
    return "demo/nuclei"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A folder to push to."""
    return tmp_path / "remote"


@pytest.fixture
def pushed(cellbank: Run, built: str, remote: Path) -> str:
    """The name of a package that was built and pushed to `remote`."""
    cellbank("push", built, "--to", remote).ok()
    return built


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another user's store, empty, from now on."""
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("CELLBANK_HOME", str(home))
    return home


def revision_of(cellbank: Run, ref: str) -> str:
    """Return the revision that a reference names, 64 digits."""
    return cellbank("inspect", ref, "--json").ok().json["revision"]
