"""Lock files: the same bytes on another store, and a clear word where that cannot be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import cellbank
from cellbank.model.errors import (
    BadInput,
    ChainRefused,
    Conflict,
    NewerFormat,
    NotFound,
    OtherContent,
    RemoteMoved,
    RemoteNotFound,
    RevisionNotFound,
)
from cellbank.packages.locking import decode_lock, encode_lock
from tests.storage.making import served

CELLS = "aics/cell_lines"
TJP1 = "gene = 'TJP1'"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the lock file is in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Go on in another store, with no remote set."""

    def go() -> None:
        monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
        monkeypatch.delenv("CELLBANK_REMOTE", raising=False)

    return go


@pytest.fixture
def locked(remote: Path) -> Path:
    """A lock file of a subset."""
    cellbank.install(CELLS, where=TJP1)
    cellbank.lock(CELLS)
    return Path("cellbank.lock")


def contents(ref: str = CELLS) -> dict[str, bytes]:
    node = cellbank.load(ref)
    return {entry.path: node[entry.path].bytes() for entry in node._view.reader}


def change(file: Path, **fields: object) -> None:
    document = json.loads(file.read_text())
    document["packages"][CELLS] |= fields
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"where": TJP1},
        {"sample": 2, "seed": 5, "kinds": ["fovs"], "related": False},
        {"path": ["fovs/*/info"]},
        {"where": TJP1, "metadata_only": True},
        {"metadata_only": True},
    ],
)
def test_the_same_bytes_come_on_another_store(
    options: dict, remote: Path, another: Callable[[], None]
) -> None:
    cellbank.install(CELLS, **options)
    if options:
        cellbank.install(CELLS, path="wells/*/info")
    written = cellbank.lock(CELLS)
    assert written.changed
    before, listed = contents(), cellbank.ls()[0]
    another()
    done = cellbank.sync()
    assert [CELLS] == [one.package for one in done]
    assert (listed.revision, listed.want) == (cellbank.ls()[0].revision, cellbank.ls()[0].want)
    assert before == contents()
    assert cellbank.verify(CELLS).good
    assert not cellbank.sync()[0].changed


def test_it_is_the_same_over_http(
    remote: Path, monkeypatch: pytest.MonkeyPatch, another: Callable[[], None]
) -> None:
    with served(remote) as registry:
        monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        cellbank.install(CELLS, where=TJP1)
        cellbank.lock([CELLS])
        before = contents()
        assert registry.token not in Path("cellbank.lock").read_text()
        another()
        cellbank.sync()
        assert before == contents()


def test_a_package_that_is_not_installed_is_locked_as_it_is_there(remote: Path) -> None:
    written = cellbank.lock(f"{CELLS}:latest")
    assert [] == cellbank.ls()
    assert written.packages[CELLS].want.everything
    assert written.packages[CELLS].revision == cellbank.inspect(CELLS).revision


@pytest.mark.parametrize("address", ["a\0b", "https://here/\r\nX: y", "\x1b[31m", "a" * 5000])
def test_what_can_be_no_address_is_refused_where_it_stands(locked: Path, address: str) -> None:
    found = decode_lock(locked.read_bytes(), "x")
    odd = {name: msgspec.structs.replace(one, address=address) for name, one in found.items()}
    with pytest.raises(BadInput, match="x is no lock file: aics/cell_lines: its address is none"):
        decode_lock(encode_lock(odd), "x")


def test_the_file_is_for_people_and_comparisons(locked: Path, remote: Path) -> None:
    lines = locked.read_text().splitlines()
    assert f'      "address": "{remote}",' in lines
    assert f'        "question": "{TJP1}"' in lines
    assert sorted(decode_lock(locked.read_bytes(), "x")) == [CELLS]
    again = encode_lock(decode_lock(locked.read_bytes(), "x"))
    assert locked.read_bytes() == again
    assert not cellbank.lock(CELLS).changed


def test_no_network_is_needed_where_all_is_here(locked: Path, remote: Path) -> None:
    shutil.rmtree(remote)
    assert not cellbank.sync()[0].changed


def test_a_dry_run_brings_nothing(locked: Path, another: Callable[[], None]) -> None:
    another()
    assert cellbank.sync(dry_run=True)[0].bytes > 0
    assert [] == cellbank.ls()


def test_a_remote_that_moved_is_found_by_its_id(
    locked: Path, remote: Path, another: Callable[[], None]
) -> None:
    moved = remote.rename(remote.with_name("moved"))
    another()
    with pytest.raises(RemoteNotFound, match="--from"):
        cellbank.sync()
    cellbank.sync(from_=str(moved))
    cellbank.remove(CELLS)
    cellbank.api.add_remote("lab", str(moved))
    cellbank.sync()
    assert str(moved) == cellbank.ls()[0].where


def test_another_place_at_its_address_is_not_the_remote(
    locked: Path, another: Callable[[], None]
) -> None:
    change(locked, remote="0" * 32)
    another()
    with pytest.raises(RemoteMoved, match="cellbank sync --from"):
        cellbank.sync()
    assert [] == cellbank.ls()


def test_a_revision_that_is_gone_is_named(locked: Path, another: Callable[[], None]) -> None:
    change(locked, revision="0" * 64)
    another()
    with pytest.raises(RevisionNotFound, match="0" * 64):
        cellbank.sync()


def test_a_question_that_selects_something_else_is_refused(
    locked: Path, another: Callable[[], None]
) -> None:
    document = json.loads(locked.read_text())
    document["packages"][CELLS]["want"]["question"] = "passage = 41"
    locked.write_text(json.dumps(document))
    another()
    with pytest.raises(OtherContent, match="cellbank lock"):
        cellbank.sync()
    assert [] == cellbank.ls()


def test_a_file_of_a_newer_cellbank_is_not_read(locked: Path) -> None:
    locked.write_text(locked.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(NewerFormat, match="format 2"):
        cellbank.sync()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": "1"'),
        ('"format": 1', '"format": true'),
        ('"packages"', '"package"'),
        ("}\n}\n", "}\n"),
        ('"reference": "aics/cell_lines"', '"reference": "aics/other"'),
        ('"reference": "aics/cell_lines"', '"reference": "no name"'),
        ('"revision": "', '"revision": "0'),
        ('"remote": "', '"remote": "../'),
        ('"question"', '"asked"'),
        ('"question": "', '"sample": "'),
        ('"address"', '"place"'),
    ],
)
def test_a_file_that_was_changed_so_that_it_is_none_is_refused(
    locked: Path, old: str, new: str
) -> None:
    text = locked.read_text()
    assert old in text
    locked.write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=r"cellbank\.lock is no lock file: "):
        cellbank.sync()


def test_marks_of_a_merge_are_told(locked: Path) -> None:
    text = locked.read_text()
    conflict = f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"
    locked.write_text(conflict)
    with pytest.raises(BadInput, match="it has the marks of a merge in it"):
        cellbank.sync()


def test_without_a_file_there_is_nothing_to_bring() -> None:
    with pytest.raises(NotFound, match="cellbank lock"):
        cellbank.sync()


def test_what_is_no_lock_file_is_not_replaced(locked: Path, here: Path) -> None:
    (here / "wells.csv").write_text("well,cells\n")
    with pytest.raises(Conflict, match="is no lock file"):
        cellbank.lock(CELLS, "wells.csv")
    assert "well,cells\n" == (here / "wells.csv").read_text()
    with pytest.raises(BadInput, match="is a folder"):
        cellbank.lock(CELLS, here)
    # One that was damaged is written anew, and so is one of another name.
    locked.write_text("<<<<<<< HEAD")
    assert cellbank.lock(CELLS).changed
    cellbank.lock(CELLS, "needs.json")
    assert not cellbank.lock(CELLS, "needs.json").changed


def test_what_is_only_here_cannot_be_locked(nuclei: object) -> None:
    with pytest.raises(BadInput, match="cellbank push demo/nuclei"):
        cellbank.lock("demo/nuclei")


@pytest.mark.parametrize("refs", [[], [CELLS, f"{CELLS}:latest"]])
def test_a_package_is_named_once(refs: list[str], remote: Path) -> None:
    with pytest.raises(BadInput):
        cellbank.lock(refs)


def test_what_came_before_one_that_cannot_be_had_is_told(
    nuclei: object, remote: Path, another: Callable[[], None]
) -> None:
    cellbank.push("demo/nuclei")
    cellbank.lock([CELLS, "demo/nuclei"])
    file = Path("cellbank.lock")
    whole = file.read_text()
    document = json.loads(whole)
    document["packages"]["demo/nuclei"]["remote"] = "0" * 32
    file.write_text(json.dumps(document))
    another()
    with pytest.raises(RemoteMoved, match="Nothing was changed"):
        cellbank.sync(dry_run=True)
    with pytest.raises(RemoteMoved, match=f"{CELLS} was brought before: the same") as found:
        cellbank.sync()
    assert "Nothing was changed" not in str(found.value)
    with pytest.raises(RemoteMoved, match="Nothing was changed"):
        cellbank.sync()
    file.write_text(whole)
    assert [False, True] == [one.changed for one in cellbank.sync()]


def test_a_remote_with_an_older_history_gives_what_is_locked_and_is_not_believed(
    locked: Path, remote: Path
) -> None:
    older = shutil.copytree(remote, remote.parent / "older")
    cellbank.tag(CELLS, "good", "latest", to=str(remote))
    cellbank.remove(CELLS)
    [done] = cellbank.sync(from_=str(older))
    assert done.changed
    with pytest.raises(ChainRefused):
        cellbank.install(CELLS, from_=str(older))
