"""A build of a family that fails or is killed: each package is as it was or new, and none half."""

import errno
import shutil
import signal
from pathlib import Path

import pytest

import cellbank
from cellbank.model.errors import CellbankError
from cellbank.storage import disk
from tests.cells.lab import FOVS, Lab, pixels, revisions
from tests.test_crash import count_steps, failing_at, run_killed

FEW = 47
"""Every so many steps one is tried; the slow tests try all of them."""
STRIDES = [FEW, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]


class Scene:
    """A store that has the old state of a family, and the tables and images of a new one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lab = Lab(root, root / "base").only(all="cell_lines", per_line={"name": "{line}"})
        self.lab.enlarge(0)
        self.old = revisions(self.lab.build())
        self.lab.enlarge(1)
        self.lab.image(f"images/{FOVS[3]}.ome.tif", pixels(77))
        self.lab.change("wells", 0, passage=34)
        self.restart()
        self.steps = count_steps(self.build)
        self.new = self.look()
        assert not set(self.old.values()) & set(self.new.values())

    def restart(self) -> None:
        """Go back to the old state."""
        self.lab.home = self.root / "trial"
        shutil.rmtree(self.lab.home, ignore_errors=True)
        shutil.copytree(self.root / "base", self.lab.home, symlinks=True)

    def build(self) -> str:
        """Run the command under test."""
        return self.lab.build().owner

    def look(self) -> dict[str, str]:
        """Return package → revision as they are now, every byte of them checked."""
        for name in self.old:
            assert 7 == len(self.lab.parquet(name))
        with self.lab.at_home():
            assert cellbank.verify().good
            return {name: cellbank.inspect(f"aics/{name}").revision for name in self.old}

    def check(self, step: int) -> None:
        """Check that each package is old or new, and that the same command ends what was begun."""
        for name, revision in self.look().items():
            assert revision in (self.old[name], self.new[name]), f"{name} at step {step}"
        self.build()
        assert self.new == self.look(), f"step {step}"


@pytest.mark.parametrize("stride", STRIDES)
def test_a_family_whose_build_is_killed_is_old_or_new_package_by_package(tmp_path, stride):
    scene = Scene(tmp_path)
    for step in range(1, scene.steps + 1, stride):
        scene.restart()
        assert -signal.SIGKILL == run_killed(scene.build, step), f"step {step} was never reached"
        scene.check(step)


@pytest.mark.parametrize("error", [errno.ENOSPC])
@pytest.mark.parametrize("stride", STRIDES)
def test_a_family_whose_build_fails_is_old_or_new_package_by_package(tmp_path, stride, error):
    scene = Scene(tmp_path)
    failed = 0
    for step in range(1, scene.steps + 1, stride):
        scene.restart()
        disk.fault = failing_at(step, error)
        try:
            scene.build()
        except (OSError, CellbankError):
            failed += 1
        finally:
            disk.fault = None
        scene.check(step)
    assert failed
