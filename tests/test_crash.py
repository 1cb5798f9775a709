"""Every change of the disk fails once, or kills the process: the old or the new state is there."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cellbank
import cellbank.api
from cellbank.model.errors import CellbankError
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.store import Store
from tests.storage.making import add_tables

LARGE = 140_000
"""Bytes of a file that becomes an object of its own."""
MANY_STEPS = 400
CELLS = Package("lab", "cells")
TABLES = {"fovs": b"PAR1 fovs PAR1", "wells": b"PAR1" + bytes(LARGE)}


def fill(folder: Path, mark: str) -> None:
    """Make a few small files and two large ones; `mark` tells two states apart."""
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "a.json").write_text(f'{{"mark": "{mark}"}}')
    (folder / "sub" / "b.bin").write_bytes(b"b" * 100)
    (folder / "same.bin").write_bytes(b"s" * LARGE)
    (folder / "large.bin").write_bytes(mark.encode() * LARGE)


class Scene:
    """A store that has the old state of a package, a remote that has it too, and new files."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.monkeypatch = monkeypatch
        self.use("lab")
        fill(root / "old", "old")
        fill(root / "new", "new")
        self.old = cellbank.build("lab/cells", root / "old").revision
        cellbank.push("lab/cells", to=str(root / "remote"))
        self.use("guest")
        cellbank.install("lab/cells", from_=str(root / "remote"))

    def use(self, home: str) -> None:
        """Work in another store."""
        self.monkeypatch.setenv("CELLBANK_HOME", str(self.root / home))

    def copy(self, name: str) -> None:
        """Set a folder back to what it was when the scene was made."""
        for part in ("lab", "guest", "remote"):
            target = self.root.parent / name / part
            shutil.copytree(self.root / part, target, symlinks=True)


def job(scene: Scene, root: Path, kind: str) -> Callable[[], str]:
    """Return the command under test; it returns the revision that it is about."""

    def run() -> str:
        if kind == "build":
            scene.monkeypatch.setenv("CELLBANK_HOME", str(root / "lab"))
            return cellbank.build("lab/cells", scene.root / "new").revision
        if kind == "push":
            scene.monkeypatch.setenv("CELLBANK_HOME", str(root / "lab"))
            return cellbank.push("lab/cells", to=str(root / "remote")).revision
        scene.monkeypatch.setenv("CELLBANK_HOME", str(root / "guest"))
        # What was chosen before is chosen of the new revision, and more.
        more = ["sub/*", "same*"] if kind == "subset" else None
        return cellbank.install("lab/cells", from_=str(root / "remote"), path=more).revision

    return run


def prepare(scene: Scene, root: Path, kind: str) -> None:
    """Bring the copy to the state in which the command of this kind has something to do."""
    if kind == "subset":
        scene.monkeypatch.setenv("CELLBANK_HOME", str(root / "guest"))
        cellbank.remove("lab/cells")
        cellbank.install("lab/cells", from_=str(root / "remote"), path="a.*")
    if kind in ("push", "install", "subset"):
        job(scene, root, "build")()
        add_tables(Store.at(str(root / "lab")), TABLES, CELLS)
    if kind in ("install", "subset"):
        job(scene, root, "push")()


def look(scene: Scene, root: Path, kind: str) -> str:
    """Return the revision that is there now, after checking every byte of it."""
    home = "guest" if kind in ("install", "subset") else "lab"
    scene.monkeypatch.setenv("CELLBANK_HOME", str(root / home))
    if kind == "push":
        scene.monkeypatch.setenv("CELLBANK_HOME", str(root / "fresh"))
        shutil.rmtree(root / "fresh", ignore_errors=True)
        revision = cellbank.install("lab/cells", from_=str(root / "remote")).revision
    else:
        revision = cellbank.inspect("lab/cells").revision
    assert cellbank.verify("lab/cells").good
    store = Store.at(os.environ["CELLBANK_HOME"])
    tables = store.tables(CELLS, revision)
    with_tables = kind != "build" and revision != scene.old
    assert (TABLES if with_tables else {}) == {
        k: store.read_table(CELLS, tables[k]) for k in tables
    }
    if kind == "subset":
        chosen = ["a.json"] if revision == scene.old else ["a.json", "same.bin", "sub/b.bin"]
        assert chosen == [branch.path for branch in leaves(cellbank.tree("lab/cells"))]
    mark = b"old" if revision == scene.old else b"new"
    assert mark in cellbank.load("lab/cells/a.json").bytes()  # type: ignore[union-attr]
    return revision


def leaves(branch: cellbank.api.Branch) -> list[cellbank.api.Branch]:
    """Return the entries of a tree, by their paths."""
    found = [leaf for child in branch.children for leaf in leaves(child)]
    return sorted(found, key=lambda leaf: leaf.path) if branch.children else [branch]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a store, a remote and an installed copy of one package."""
    for name in list(os.environ):
        if name.startswith("CELLBANK_"):
            monkeypatch.delenv(name)
    return Scene(tmp_path / "origin", monkeypatch)


def count_steps(run: Callable[[], str]) -> int:
    """Return how many changes of the disk a command makes."""
    steps = 0

    def count(_kind: str, _path: str) -> None:
        nonlocal steps
        steps += 1

    disk.fault = count
    try:
        run()
    finally:
        disk.fault = None
    return steps


def failing_at(number: int, error: int) -> Callable[[str, str], None]:
    """Return a fault that raises at the Nth change, and only there."""
    step = 0

    def fail(kind: str, path: str) -> None:
        nonlocal step
        step += 1
        if step == number:
            raise OSError(error, f"made to fail ({kind})", path)

    return fail


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("kind", ["build", "push", "install", "subset"])
def test_any_failing_step_leaves_the_old_state_or_the_new_and_the_command_can_be_repeated(
    scene: Scene, tmp_path: Path, kind: str, error: int
) -> None:
    scene.copy("base")
    prepare(scene, tmp_path / "base", kind)
    shutil.copytree(tmp_path / "base", tmp_path / "count", symlinks=True)
    steps = count_steps(job(scene, tmp_path / "count", kind))
    assert 10 < steps < MANY_STEPS
    failed = 0
    for number in range(1, steps + 1):
        root = tmp_path / "trial"
        shutil.copytree(tmp_path / "base", root, symlinks=True)
        run = job(scene, root, kind)
        disk.fault = failing_at(number, error)
        try:
            run()
        except (OSError, CellbankError):
            failed += 1
        finally:
            disk.fault = None
        seen = look(scene, root, kind)
        new = run()
        assert seen in (scene.old, new), f"step {number}"
        assert look(scene, root, kind) == new, f"step {number}"
        shutil.rmtree(root)
    assert failed > steps // 2


@pytest.mark.parametrize("kind", ["build", "push", "install", "subset"])
def test_a_process_killed_at_any_step_leaves_the_old_state_or_the_new(
    scene: Scene, tmp_path: Path, kind: str
) -> None:
    scene.copy("base")
    prepare(scene, tmp_path / "base", kind)
    shutil.copytree(tmp_path / "base", tmp_path / "count", symlinks=True)
    steps = count_steps(job(scene, tmp_path / "count", kind))
    for number in range(1, steps + 1):
        root = tmp_path / "trial"
        shutil.copytree(tmp_path / "base", root, symlinks=True)
        run = job(scene, root, kind)
        assert run_killed(run, number) == -signal.SIGKILL, f"step {number} was never reached"
        seen = look(scene, root, kind)
        new = run()
        assert seen in (scene.old, new), f"step {number}"
        assert look(scene, root, kind) == new, f"step {number}"
        shutil.rmtree(root)


def run_killed(run: Callable[[], str], number: int) -> int:
    """Run a command in a child process that dies at the Nth change; return how it ended."""
    child = os.fork()
    if child == 0:
        step = 0

        def kill(_kind: str, _path: str) -> None:
            nonlocal step
            step += 1
            if step == number:
                os.kill(os.getpid(), signal.SIGKILL)

        disk.fault = kill
        try:
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


AUDIT = """
import os, sys
from cellbank.cli import main

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
           "os.chmod", "os.truncate", "os.chown", "os.utime"}

def watch(event, args):
    if event == "open":
        if not (args[2] & WRITES) or str(args[0]).startswith("/dev/"):
            return
    elif event not in CHANGES:
        return
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith("storage/disk.py"):
            return
        frame = frame.f_back
    print("ESCAPED", event, args, file=sys.stderr)
    os._exit(99)

sys.addaudithook(watch)
main()
"""


def test_nothing_but_one_module_changes_the_disk(tmp_path: Path) -> None:
    fill(tmp_path / "files", "old")
    remote = str(tmp_path / "remote")
    for command in (
        ["build", "lab/cells", str(tmp_path / "files")],
        ["push", "lab/cells", "--to", remote],
        ["install", "lab/cells", "--from", remote],
        ["path", "lab/cells/a.json"],
        ["export", "lab/cells", str(tmp_path / "out")],
        ["remote", "add", "lab", remote],
        ["tag", "add", "lab/cells", "good", "latest"],
        ["verify", "--repair"],
        ["gc"],
        ["rm", "lab/cells", "--yes"],
        ["install", "lab/cells", "--from", remote, "--metadata-only"],
        ["cat", "lab/cells/large.bin"],
        ["path", "lab/cells/same.bin"],
        ["cache", "--limit", "1kB"],
        ["cache", "--clear"],
    ):
        done = subprocess.run(
            [sys.executable, "-B", "-c", AUDIT, *command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "ESCAPED" not in done.stderr, done.stderr
        assert done.returncode in (0, 2), done.stderr


def test_every_file_is_durable_before_its_name_and_every_name_before_the_record(
    scene: Scene, tmp_path: Path
) -> None:
    events: list[tuple[str, str]] = []
    scene.use("lab")
    disk.fault = lambda kind, path: events.append((kind, path))
    try:
        cellbank.build("lab/cells", scene.root / "new")
    finally:
        disk.fault = None
    kinds = [kind for kind, _ in events]
    names = [
        i
        for i, (kind, path) in enumerate(events)
        if kind == "rename" and ("/objects/" in path or "/packs/" in path)
    ]
    record = next(i for i, (kind, path) in enumerate(events) if kind == "link" and "/log/" in path)
    installed = next(i for i, (k, path) in enumerate(events) if k == "rename" and "/pkgs/" in path)
    assert len(names) >= 3
    staged = [i for i in range(names[0]) if kinds[i] == "write"]
    assert any(kinds[i] == "fsync" for i in range(max(staged), names[0]))
    assert any(kinds[i] == "fsync" for i in range(max(names), record))
    assert max(names) < record < installed
    assert "fsync" in kinds[record:installed]
    assert "fsync" in kinds[installed:]
