"""Exporting: where every file goes, and what stands in its way."""

from pathlib import Path

import pytest

import cellbank
from cellbank.model.errors import BadInput
from cellbank.model.manifest import Entry, make_entry
from cellbank.packages.export import targets


def entry(path: str, filename: str | None = None) -> Entry:
    return make_entry(path, "ab" * 32, 1, filename=filename)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("a/x", "y.tif")], {"a/y.tif": "a/x"}),
        ([entry("a/x", "y"), entry("a/y")], {"a/x": "a/x", "a/y": "a/y"}),
        ([entry("a", "q"), entry("b", "q")], {"q": "a", "b": "b"}),
        # What takes the name of another's path must not make both land in one file.
        ([entry("q"), entry("r", "q"), entry("v", "r")], {"q": "q", "r": "r", "v": "v"}),
        ([entry("a", "q"), entry("v", "w"), entry("w", "q")], {"q": "a", "v": "v", "w": "w"}),
    ],
)
def test_no_two_entries_go_to_one_file(entries: list[Entry], expected: dict[str, str]) -> None:
    assert expected == {target: found.path for target, found in targets(entries, "").items()}


@pytest.fixture
def built(tmp_path: Path) -> str:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    cellbank.build("lab/cells", folder)
    return "lab/cells"


@pytest.mark.parametrize("force", [False, True])
def test_a_file_where_a_folder_must_be_is_told_before_anything_is_written(built, tmp_path, force):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").write_text("mine")
    with pytest.raises(BadInput, match="sub is no folder"):
        cellbank.export(built, out, force=force)
    assert ["sub"] == [found.name for found in out.iterdir()]


@pytest.mark.parametrize("force", [False, True])
def test_a_link_is_never_written_through(built, tmp_path, force):
    (tmp_path / "other").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(BadInput, match="sub is no folder"):
        cellbank.export(built, out, force=force)
    assert [] == list((tmp_path / "other").iterdir())


def test_what_lies_in_a_borrowed_store_is_exported_and_verified(
    built, tmp_path, monkeypatch, own_home
):
    monkeypatch.setenv("CELLBANK_PATH", str(own_home))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "mine"))
    assert 2 == cellbank.export(built, tmp_path / "out").files
    assert "b" == (tmp_path / "out" / "sub" / "b.txt").read_text()
    assert cellbank.verify().good
