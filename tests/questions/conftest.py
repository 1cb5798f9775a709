"""A store with a small package of records, shared by all questions of a session."""

from pathlib import Path

import pytest

from tests.questions.making import fov, keep, tables_of

FOVS = [
    fov(1, 1, passage=30, viability=98.5, kind="exp", good=True, numbers=[1, 2]),
    fov(2, 1, passage=31, viability=97.0, kind="exp", good=False, numbers=[2]),
    fov(3, 2, passage=41, viability=99.0, kind="pos_control", good=True),
    fov(4, 2, passage=None, viability=None, kind="exp", good=None, numbers=None),
    fov(5, 3, passage=33, viability=96.0, kind=None, good=False),
    fov(6, 9, passage=35, viability=95.0, kind="it's | odd\n\x1b[31m", good=True),
]


def segmentation(number: int, well: int, line: int) -> dict[str, object]:
    of = {"fovs": [f"fov_{number:03}"], "wells": [f"well_{well}"], "plates": ["plate_1"]}
    return {"id": f"cell_{number}", **of, "lines": [f"line_{line}"]}


SEGMENTATIONS = [segmentation(1, 1, 1), segmentation(3, 2, 2)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with `lab/cells`, `lab/more`, and `lab/files`, which has no records."""
    home = tmp_path_factory.mktemp("questions") / "home"
    keep(home, "lab/cells", tables_of(FOVS, cell_segs=SEGMENTATIONS))
    keep(home, "lab/more", tables_of([fov(7, 2, passage=50)]))
    files = {"a/one.tif": b"one", "a/two.TIF": b"two!", "notes": b"", "b/c.tar.gz": b"x" * 200_000}
    keep(home, "lab/files", {}, files, {"a/one.tif": {"stain": "DAPI", "z": 3}})
    return home


@pytest.fixture
def lab(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that store."""
    monkeypatch.setenv("CELLBANK_HOME", str(made))
    return made
