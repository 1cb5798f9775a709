"""Tests of `install --where`, `lock`, `sync`, `fetch` and `push --as`: what scripts rely on."""

import shutil
from pathlib import Path

import pytest

import cellbank as face
from tests.cells.lab import FOVS, Lab

CELLS = "aics/cell_lines"
FOV = f"fov_{FOVS[0]}"
TJP1 = "gene = 'TJP1'"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder remote that has a family."""
    lab = Lab(tmp_path_factory.mktemp("lab")).only(all="cell_lines")
    lab.build()
    with lab.at_home():
        face.push(CELLS, to=str(lab.folder.parent / "remote"))
    return lab.folder.parent / "remote"


@pytest.fixture(autouse=True)
def remote(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "remote"
    shutil.copytree(made, place)
    monkeypatch.setenv("CELLBANK_REMOTE", str(place))
    return place


def ids(cellbank, group: str = "fovs") -> list[str]:
    found = cellbank("tree", CELLS, "--json").ok().json
    groups = {child["name"]: child["children"] for child in found["children"]}
    return [child["name"].rstrip("/") for child in groups.get(f"{group}/", [])]


def test_every_form_of_a_choice(cellbank) -> None:
    cellbank("install", CELLS, "--where", TJP1).ok()
    assert 2 == len(ids(cellbank))
    cellbank(
        "install", CELLS, "--where", "passage = 41", "--kind", "wells", "--no-related",
        "--path", "wells/*/info", "--kinds", "wells,fovs", "--metadata-only",
    ).ok()  # fmt: skip
    assert (2, 2) == (len(ids(cellbank)), len(ids(cellbank, "wells")))
    cellbank("install", CELLS, "--sample", "3", "--seed", "1").ok()
    assert 3 <= len(ids(cellbank))
    [listed] = cellbank("ls", "--json").ok().json
    assert (
        f"where {TJP1}; wells, where passage = 41, kinds fovs, wells, paths wells/*/info, "
        "without what belongs to them, documents only; 3 fovs, seed 1"
    ) == listed["want"]


def test_a_sample_of_plain_files_is_told_as_entries(cellbank, images: Path) -> None:
    cellbank("build", "demo/nuclei", images).ok()
    cellbank("push", "demo/nuclei").ok()
    cellbank("rm", "demo/nuclei", "--yes").ok()
    for _ in range(2):
        cellbank("install", "demo/nuclei", "--sample", "2").ok()
        [listed] = cellbank("ls", "demo/*", "--json").ok().json
        assert "2 entries, seed 0" == listed["want"]


def test_a_dry_run_is_a_table_for_people_and_numbers_for_scripts(cellbank) -> None:
    out = cellbank("install", CELLS, "--where", TJP1, "--dry-run").ok().out
    lines = [line.split() for line in out.splitlines()]
    assert ["by", "kind"] in [line[:2] for line in lines]
    assert ["by", "type"] in [line[:2] for line in lines]
    assert ["here", "0", "objects", "0", "bytes"] in lines
    assert f"wanted: where {TJP1} (21 entries)" in out
    found = cellbank("install", CELLS, "--where", TJP1, "-n", "--json").ok().json
    assert found["bytes"] == sum(one["bytes"] for one in found["parts"]["kinds"].values())
    assert {"objects": 0, "bytes": 0} == found["parts"]["here"]
    assert [] == cellbank("ls", "--json").json


def test_a_plain_install_keeps_the_subset_and_says_how_to_have_all(cellbank) -> None:
    cellbank("install", CELLS, "--where", TJP1).ok()
    out = cellbank("install", CELLS).ok().out
    assert f"{CELLS} is installed in part (where {TJP1}); for all of it: --all" in out
    facts = cellbank("inspect", CELLS).ok().out
    assert f"only where {TJP1}" in facts
    assert "21 of 41" in facts.split("entries")[1].splitlines()[0]
    cellbank("install", CELLS, "--all").ok()
    assert 4 == len(ids(cellbank))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--where", "gen = 'TJP1'"], 2, "Did you mean gene"),
        (["--where", "gene = 'TJP1"], 2, "gene = 'TJP1"),
        (["--where", "random() < 1"], 2, "random"),
        (["--kinds", "fovz"], 2, "Did you mean fovs?"),
        (["--kinds", ""], 2, "names no group"),
        (["--kind", "fovz", "--sample", "1"], 2, "fovs"),
        (["--sample", "0"], 2, "Ask for 1 or more"),
        (["--sample", "many"], 2, "many"),
        (["--all", "--where", "passage > 1"], 2, "one of them"),
    ],
)
def test_what_cannot_be_chosen(cellbank, words: list[str], code: int, said: str) -> None:
    assert said in cellbank("install", CELLS, *words).failed(code).err


def test_a_pattern_that_fits_nothing_is_told(cellbank) -> None:
    said = cellbank("install", CELLS, "--path", "nobody/*").ok()
    assert f"No entries of {CELLS} fit: nobody/*" in said.out + said.err


def test_what_was_left_out_says_the_command(cellbank) -> None:
    cellbank("install", CELLS, "--where", "passage = 41").ok()
    path = f"{CELLS}/fovs/{FOV}/info/load"
    for words in (["cat", path], ["path", path], ["fetch", path], ["export", path, "x"]):
        assert f"  Add it: cellbank install {path}" in cellbank(*words).failed(4).err
    cellbank("install", path).ok()
    cellbank("cat", path).ok()


def test_lock_and_sync_bring_the_same(cellbank, monkeypatch, tmp_path) -> None:
    cellbank("install", CELLS, "--where", TJP1).ok()
    out = cellbank("lock", CELLS).ok().out
    assert f"only where {TJP1}" in out
    assert out.endswith("cellbank.lock written\n")
    assert cellbank("lock", CELLS).ok().out.endswith("cellbank.lock is as it was\n")
    before = ids(cellbank)
    for number, words in enumerate((["install"], ["sync"], ["sync", "cellbank.lock"])):
        monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / f"another{number}"))
        cellbank(*words).ok()
        assert before == ids(cellbank)
    [done] = cellbank("sync", "--json").ok().json
    assert (CELLS, 0, False) == (done["package"], done["objects"], done["changed"])


def test_install_needs_a_package_or_a_lock_file(cellbank) -> None:
    assert "no cellbank.lock" in cellbank("install").failed(2).err
    assert "cellbank lock" in cellbank("sync").failed(4).err
    cellbank("install", CELLS).ok()
    cellbank("lock", CELLS).ok()
    assert "name the package" in cellbank("install", "--where", "passage > 1").failed(2).err


def test_fetch_brings_what_a_metadata_only_install_left_out(cellbank) -> None:
    cellbank("install", CELLS, "--metadata-only").ok()
    said = cellbank("fetch", f"{CELLS}/fovs", f"{CELLS}/cell_segs/").ok().out
    assert "16 entries here" in said.splitlines()[-1]
    again = cellbank("fetch", f"{CELLS}/fovs", "--json").ok().json
    assert {"entries": 8, "objects": 0, "bytes": 0} == again


def test_what_is_not_installed_is_read_where_it_is(cellbank) -> None:
    assert cellbank("cat", f"{CELLS}/README").ok().out.startswith("# ")
    assert Path(cellbank("path", f"{CELLS}/README").ok().out.rstrip("\n")).is_file()
    assert [] == cellbank("ls", "--json").json


def test_refused_and_without_anybody_to_ask_nothing_comes(cellbank, monkeypatch) -> None:
    cellbank("install", CELLS, "--metadata-only").ok()
    path = f"{CELLS}/fovs/{FOV}/image/load"
    for policy in ("refuse", "ask"):
        monkeypatch.setenv("CELLBANK_FETCH", policy)
        assert f"  Fetch it: cellbank fetch {path}" in cellbank("path", path).failed(4).err
    cellbank("fetch", path).ok()
    cellbank("path", path).ok()


def test_offline_is_said_in_one_line(cellbank, monkeypatch) -> None:
    monkeypatch.setenv("CELLBANK_OFFLINE", "1")
    found = cellbank("install", CELLS, "--from", "http://127.0.0.1:9").failed(6)
    assert "cellbank: http://127.0.0.1:9 was not asked: CELLBANK_OFFLINE is set\n" in found.err
    cellbank("install", CELLS).ok()


def test_a_subset_is_pushed_as_a_package_of_its_own(cellbank, monkeypatch, tmp_path) -> None:
    cellbank("install", CELLS, "--where", TJP1).ok()
    out = cellbank("push", CELLS, "--as", "me/tight", "-m", "for the paper").ok().out
    assert "me/tight@" in out
    log = cellbank("log", "me/tight").ok().out
    assert f"for the paper (from {CELLS}@" in log
    assert f": where {TJP1})" in log
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
    cellbank("install", "me/tight").ok()
    cellbank("push", "aics/*", "--as", "me/x").failed(2)
