"""What tests of the public functions share: a lab's family in a folder, to be installed from."""

import shutil
from pathlib import Path

import pytest

import cellbank
from tests.cells.lab import Lab


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with `aics/cell_lines`, pushed to `published.folder.parent / "remote"`."""
    lab = Lab(tmp_path_factory.mktemp("lab")).only(all="cell_lines")
    lab.enlarge(3)
    lab.build()
    with lab.at_home():
        cellbank.push("aics/cell_lines", to=str(lab.folder.parent / "remote"))
    return lab


@pytest.fixture
def remote(published: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A remote of this test's own that has the family; it is the remote of this user."""
    place = tmp_path / "remote"
    shutil.copytree(published.folder.parent / "remote", place)
    monkeypatch.setenv("CELLBANK_REMOTE", str(place))
    return place
