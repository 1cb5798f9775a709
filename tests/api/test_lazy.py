"""Packages that are opened where they are, and bytes that come when they are wanted, or not."""

import pickle
import shlex
from pathlib import Path

import pytest

import cellbank
import cellbank.cells
from cellbank.api import Progress
from cellbank.cli import run
from cellbank.model.errors import (
    BadInput,
    EntryNotFound,
    LeftOut,
    NotFetched,
    NotInstalled,
    Offline,
    PackageNotFound,
    RevisionNotFound,
)
from tests.cells.lab import FOVS, pixels
from tests.storage.making import served

CELLS = "aics/cell_lines"
FOV = f"fov_{FOVS[0]}"


def travelled(node: object) -> object:
    return pickle.loads(pickle.dumps(node))  # noqa: S301  our own


def image(node: object) -> object:
    return node.fovs[FOV].image.load


# --- a package that is not installed


def test_a_package_is_looked_into_without_being_installed(remote: Path) -> None:
    cells = cellbank.load(CELLS)
    assert repr(cells).startswith(f"<PackageNode '{remote}/{CELLS}@")
    assert 4 == len(cells.fovs)
    record = cellbank.cells.record(cells.fovs[FOV])
    assert 33 == record.info.passage
    assert pixels(0).tolist() == record.image.read().tolist()
    assert 2 == len(record.related("wells") + record.related("cell_segs"))
    assert 4 == len(cellbank.cells.table(cells.fovs))
    assert Path(image(cells)()).read_bytes() == image(cells).bytes()
    assert [] == cellbank.ls()
    cellbank.gc()
    assert not image(cells).fetched


def test_it_is_the_same_over_http(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(remote) as registry:
        monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        cells = cellbank.load(CELLS)
        assert pixels(0).tolist() == cellbank.images.open(image(cells)).read().tolist()
        assert 4 == len(cellbank.cells.table(cells.fovs))
        part = cellbank.load(f"{CELLS}/fovs/{FOV}/info/load")
        assert part.bytes() == cells.fovs[FOV].info.load.bytes()


def test_a_remote_can_be_named(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELLBANK_REMOTE")
    with pytest.raises(NotInstalled):
        cellbank.load(CELLS)
    assert 4 == len(cellbank.load(CELLS, str(remote)).fovs)
    cellbank.install(CELLS, str(remote), where="passage = 33")
    assert 2 == len(cellbank.load(CELLS).fovs)
    assert 4 == len(cellbank.load(CELLS, str(remote)).fovs)


def test_a_revision_of_an_installed_package_is_looked_for_only_where_it_is_said(
    remote: Path,
) -> None:
    revision = cellbank.install(CELLS, where="passage = 33").revision
    other = "0" * 12
    with pytest.raises(RevisionNotFound):
        cellbank.load(f"{CELLS}@{other}")
    assert 4 == len(cellbank.load(f"{CELLS}@{revision}", str(remote)).fovs)


def test_what_errors_advise_names_where_the_package_is(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CELLBANK_REMOTE")
    cells = cellbank.load(CELLS, str(remote), fetch="refuse")
    with pytest.raises(NotFetched) as refused:
        image(cells)()
    with pytest.raises(EntryNotFound) as nowhere:
        cellbank.load(f"{CELLS}/zzz", str(remote))
    with pytest.raises(RevisionNotFound) as unknown:
        cellbank.load(f"{CELLS}@{'0' * 12}", str(remote))
    with pytest.raises(NotInstalled) as far:
        cellbank.edit(cells)
    for raised in (refused, nowhere, unknown, far):
        command = shlex.split(raised.value.advice.partition(": ")[2])
        assert ["cellbank", str(remote)] == [command[0], command[-1]]
        assert 0 == run(command[1:])
        assert image(cells).fetched


def test_what_is_nowhere_is_not_found(remote: Path) -> None:
    with pytest.raises(PackageNotFound):
        cellbank.load("aics/nothing")


def test_its_nodes_travel_to_other_processes(remote: Path) -> None:
    node = image(cellbank.load(CELLS, fetch="refuse"))
    again = travelled(node)
    assert node == again
    with pytest.raises(NotFetched):
        again()
    there = image(cellbank.load(CELLS))
    assert there.bytes() == travelled(there).bytes()


def test_who_has_no_token_is_told_that_it_may_be_private(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CELLBANK_REMOTE")
    with served(remote) as registry:
        for token in ("", registry.token or ""):
            monkeypatch.setenv("CELLBANK_TOKEN", token)
            with pytest.raises(PackageNotFound) as caught:
                cellbank.load("aics/nothing", registry.url)
            said = f"If it is private, sign in: cellbank login {registry.url}"
            assert (not token) == (said in caught.value.advice)


# --- fetch, ask or refuse


@pytest.fixture
def sparse(remote: Path) -> None:
    """Let the package be installed with its metadata only."""
    cellbank.install(CELLS, metadata_only=True)


@pytest.mark.usefixtures("sparse")
class TestPolicies:
    def test_by_itself_what_is_wanted_comes(self) -> None:
        assert image(cellbank.load(CELLS)).bytes()

    def test_refused_it_stays_away_whole_and_in_parts(self) -> None:
        node = image(cellbank.load(CELLS, fetch="refuse"))
        for use in (node, node.bytes, node.open):
            with pytest.raises(NotFetched, match=f"cellbank fetch {CELLS}/fovs/{FOV}/image/load"):
                use()
        assert cellbank.load(CELLS, fetch="refuse").README.bytes()
        cellbank.fetch(node)
        assert node.bytes()

    def test_it_can_be_set_for_all(self, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
        monkeypatch.setenv("CELLBANK_FETCH", "refuse")
        with pytest.raises(NotFetched):
            image(cellbank.load(CELLS))()
        assert image(cellbank.load(CELLS, fetch="fetch")).open().read(4)
        monkeypatch.delenv("CELLBANK_FETCH")
        (own_home / "config").mkdir(exist_ok=True)
        (own_home / "config" / "config.json").write_text('{"fetch": "refuse"}')
        with pytest.raises(NotFetched):
            image(cellbank.load(CELLS))()
        monkeypatch.setenv("CELLBANK_FETCH", "fetch")
        assert image(cellbank.load(CELLS))()

    def test_who_is_asked_decides(self) -> None:
        asked: list[str] = []
        answers = [False, True]

        def ask(question: str) -> bool:
            asked.append(question)
            return answers.pop(0)

        node = image(cellbank.load(CELLS, confirm=ask))
        with pytest.raises(NotFetched, match="was not to be fetched"):
            node()
        assert node()
        assert node.open().read(4)
        assert 2 == len(asked)
        assert f"of {CELLS} ({node.size:,} bytes)" in asked[0]

    def test_python_asks_nobody_by_itself(self) -> None:
        with pytest.raises(NotFetched, match="nobody is there to be asked"):
            image(cellbank.load(CELLS, fetch="ask"))()

    def test_what_is_here_needs_no_leave(self) -> None:
        image(cellbank.load(CELLS))()
        assert image(cellbank.load(CELLS, fetch="refuse"))()


def test_another_policy_is_refused(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="fetch, ask, refuse"):
        cellbank.load(CELLS, fetch="maybe")
    monkeypatch.setenv("CELLBANK_FETCH", "maybe")
    with pytest.raises(BadInput, match="CELLBANK_FETCH"):
        cellbank.ls()


def test_offline_no_network_is_used(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(remote) as registry:
        monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        cellbank.install(CELLS, metadata_only=True)
        monkeypatch.setenv("CELLBANK_OFFLINE", "1")
        cells = cellbank.load(CELLS)
        assert cells.README.bytes()
        for use in (
            image(cells),
            image(cells).bytes,
            image(cells).open().read,
            lambda: cellbank.install(CELLS),
            lambda: cellbank.fetch(cells),
            lambda: cellbank.load(CELLS, registry.url),
            lambda: cellbank.push(CELLS),
        ):
            with pytest.raises(Offline, match="CELLBANK_OFFLINE is set"):
                use()
        assert cellbank.load(CELLS, str(remote)).README.bytes()
        monkeypatch.setenv("CELLBANK_OFFLINE", "0")
        assert image(cellbank.load(CELLS)).bytes()


def test_what_is_set_meanwhile_holds_for_nodes_that_are_there(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(remote) as registry:
        monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        cellbank.install(CELLS, metadata_only=True)
        for cells in (cellbank.load(CELLS), cellbank.load(CELLS, registry.url)):
            node = image(cells)
            cellbank.cache(limit=0)
            assert node.open().read(4)
            assert 0 == cellbank.cache().bytes
            monkeypatch.setenv("CELLBANK_OFFLINE", "1")
            for use in (node, node.open().read):
                with pytest.raises(Offline):
                    use()
            monkeypatch.delenv("CELLBANK_OFFLINE")


# --- many at once


def test_many_come_at_once_and_count_as_one_job(remote: Path) -> None:
    cellbank.install(CELLS, metadata_only=True)
    cells = cellbank.load(CELLS)
    seen: list[Progress] = []
    watch = lambda event: seen.append(event) if isinstance(event, Progress) else None  # noqa: E731
    done = cellbank.fetch([cells.fovs, image(cells), f"{CELLS}/cell_segs"], watch=watch)
    assert all(cells.fovs[name].image.load.fetched for name in cells.fovs._keys())
    assert 8 + 6 == done.entries
    assert 1 == len({(event.job, event.total) for event in seen})
    assert done.bytes == seen[-1].done == seen[-1].total
    again = cellbank.fetch(cells.fovs)
    assert (8, 0, 0) == (again.entries, again.objects, again.bytes)
    assert cellbank.verify(CELLS).good


def test_what_is_not_installed_is_fetched_as_a_cache(remote: Path) -> None:
    done = cellbank.fetch(f"{CELLS}/fovs")
    assert 8 == done.objects
    assert [] == cellbank.ls()
    assert image(cellbank.load(CELLS)).fetched


def test_a_part_is_fetched_by_name_where_it_was_installed_in_part(remote: Path) -> None:
    cellbank.install(f"{CELLS}/wells")
    cellbank.fetch(f"{CELLS}/fovs/{FOV}")
    assert image(cellbank.load(CELLS)).fetched


def test_what_a_subset_left_out_is_added_not_fetched(remote: Path) -> None:
    cellbank.install(CELLS, where="passage = 41")
    with pytest.raises(LeftOut, match=f"cellbank install {CELLS}/fovs/{FOV}"):
        cellbank.fetch(f"{CELLS}/fovs/{FOV}")


def test_only_nodes_are_fetched() -> None:
    with pytest.raises(BadInput):
        cellbank.fetch([3])
