"""The power is cut: a file system's image is copied as a disk would hold it, and read again.

Needs root and loop devices; skips, and says so, without. The slow sweep cuts at every change of
the disk; the few cuts of the ordinary run are the ones right after success is said.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cellbank
from cellbank.storage import disk

LARGE = 140_000
SYSTEMS = ("ext4", "xfs")


def call(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Machine:
    """A disk image with a file system on it, mounted; `cut` gives what the disk holds now."""

    def __init__(self, root: Path, system: str) -> None:
        self.root = root
        # Two file systems of one identity: XFS mounts the copy only if told to.
        self._options = "loop,nouuid" if system == "xfs" else "loop"
        self.image = root / "disk.img"
        self.mounted = root / "disk"
        self.mounted.mkdir()
        with self.image.open("wb") as file:
            file.truncate(400 << 20)
        if not shutil.which(f"mkfs.{system}") or not call(f"mkfs.{system}", "-q", str(self.image)):
            pytest.skip(f"no mkfs.{system} here")
        if not call("mount", "-o", "loop", str(self.image), str(self.mounted)):
            pytest.skip("loop devices cannot be mounted here (root is needed)")

    def cut(self, name: str) -> Path:
        """Copy what the disk would hold if the power failed now."""
        target = self.root / f"{name}.img"
        subprocess.run(["cp", "--sparse=always", self.image, target], check=True)
        return target

    def after_power_is_back(self, image: Path, look: Callable[[Path], str]) -> str:
        """Mount a copy, which replays its journal, and look at it."""
        place = self.root / f"{image.stem}.mnt"
        place.mkdir()
        subprocess.run(["mount", "-o", self._options, image, place], check=True)
        try:
            return look(place)
        finally:
            subprocess.run(["umount", place], check=True)
            image.unlink()
            place.rmdir()

    def off(self) -> None:
        call("umount", str(self.mounted))


@pytest.fixture(params=SYSTEMS)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, request.param)
    yield made
    made.off()


def fill(folder: Path, mark: str) -> None:
    folder.mkdir()
    (folder / "a.json").write_text(f'{{"mark": "{mark}"}}')
    (folder / "same.bin").write_bytes(b"s" * LARGE)
    for i in range(10):
        (folder / f"{i}.bin").write_bytes(f"{mark}{i}".encode() * (LARGE // 4))


def in_child(work: Callable[[], None], fault: Callable[[str, str], None] | None = None) -> int:
    child = os.fork()
    if child == 0:
        disk.fault = fault
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def revision_in(place: Path) -> str:
    """Return the revision that the store on a disk has, after hashing every byte of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", str(place / "home"))
        try:
            revision = cellbank.inspect("lab/cells").revision
        except LookupError:
            return "none"
        assert cellbank.verify().good
    return revision


def build_in(machine: Machine, folder: Path) -> Callable[[], None]:
    def work() -> None:
        os.environ["CELLBANK_HOME"] = str(machine.mounted / "home")
        cellbank.build("lab/cells", folder)

    return work


def revision_of(folder: Path) -> str:
    return cellbank.build("lab/cells", folder).revision


def test_what_was_said_to_be_done_survives_a_power_cut(machine: Machine, tmp_path: Path) -> None:
    for mark in ("old", "new"):
        fill(tmp_path / mark, mark)
        assert 0 == in_child(build_in(machine, tmp_path / mark))
        image = machine.cut(mark)
        assert revision_of(tmp_path / mark) == machine.after_power_is_back(image, revision_in)


def test_without_syncing_the_same_test_fails(machine: Machine, tmp_path: Path) -> None:
    fill(tmp_path / "old", "old")

    def careless() -> None:
        disk.sync = lambda _descriptor, _path: None  # type: ignore[assignment]
        disk.Barrier._sync_system = lambda _self, _call: None  # type: ignore[assignment, method-assign]
        build_in(machine, tmp_path / "old")()

    assert 0 == in_child(careless)
    image = machine.cut("careless")
    lost = False
    try:
        lost = revision_of(tmp_path / "old") != machine.after_power_is_back(image, revision_in)
    except (AssertionError, cellbank.CellbankError):
        lost = True
    assert lost


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_power_cut_at_any_step_leaves_the_old_state_or_the_new(
    machine: Machine, tmp_path: Path
) -> None:
    fill(tmp_path / "old", "old")
    fill(tmp_path / "new", "new")
    old, new = revision_of(tmp_path / "old"), revision_of(tmp_path / "new")
    assert 0 == in_child(build_in(machine, tmp_path / "old"))
    home, kept = machine.mounted / "home", tmp_path / "kept"
    shutil.copytree(home, kept)
    number, seen = 1, set()
    while True:
        subprocess.run(["sync"], check=True)
        ended = in_child(build_in(machine, tmp_path / "new"), cut_at(machine, number))
        if ended == 0:
            break
        assert -signal.SIGKILL == ended
        found = machine.after_power_is_back(tmp_path / "cut.img", revision_in)
        assert found in (old, new), f"step {number}"
        seen.add(found)
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        number += 1
    assert number > 20
    assert {old, new} == seen


def cut_at(machine: Machine, number: int) -> Callable[[str, str], None]:
    """Return a fault that copies the disk and dies at the Nth change."""
    step = 0

    def fault(_kind: str, _path: str) -> None:
        nonlocal step
        step += 1
        if step == number:
            machine.cut("cut")
            os.kill(os.getpid(), signal.SIGKILL)

    return fault
