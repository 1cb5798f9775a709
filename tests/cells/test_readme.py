"""The code in a package's README runs as it stands, on that package."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cellbank.cells.readme import _shown
from tests.cells.lab import FOVS, Lab


def test_the_code_of_a_readme_runs_on_its_package(tmp_path: Path) -> None:
    lab = Lab(tmp_path).only(all="cell_lines")
    lab.build()
    text = lab.read("cell_lines", "README").decode()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert 4 == len(blocks)
    code = "import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(blocks)
    code += "\nprint(len(infos), len(chosen) <= len(infos), [a.get_title() for a in axes[0]])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"CELLBANK_HOME": str(lab.home), "PATH": "", "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == done.stderr
    channels = lab.info("cell_lines", f"fovs/fov_{min(FOVS)}")["channels"]
    used = [channel["dye_name"] for channel in channels if channel["use"]]
    assert f"4 True {used}\n" == done.stdout


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "CYX", "ZYX", "YX", "TZCYX", "TCYX"])
def test_what_a_readme_shows_is_the_maximum_over_z_of_a_channel(axes: str) -> None:
    sizes = {"T": 1, "Z": 3, "C": 2, "Y": 4, "X": 5}
    image = np.random.default_rng(0).random([sizes[axis] for axis in axes])
    found = eval(_shown(axes), {"image": image, "channel": 1})  # noqa: S307
    order = [axes.index(axis) for axis in "TZCYX" if axis in axes]
    moved = image.transpose(order)
    if "C" in axes:
        moved = moved[..., 1, :, :]
    while moved.ndim > 2:
        moved = moved.max(axis=0)
    assert np.array_equal(moved, found)
