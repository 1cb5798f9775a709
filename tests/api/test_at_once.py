"""Several who work in one store at once: what each of them said stays true."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import cellbank
from cellbank.model.errors import Conflict
from cellbank.model.progress import Progress
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.store import Store

LARGE = 150_000
CELLS = "lab/cells"
FILES = {
    "README.md": b"# cells",
    "images/a.tif": b"a" * LARGE,
    "images/b.tif": b"b" * LARGE,
    "images/mask.tif": b"mask",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder remote that has the package, and is the one of this user, whose store is empty."""
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "lab"))
    cellbank.build(CELLS, write(tmp_path / "files", FILES))
    cellbank.push(CELLS, to=str(tmp_path / "remote"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv("CELLBANK_REMOTE", str(tmp_path / "remote"))
    return tmp_path / "remote"


@pytest.fixture
def guest(remote: Path) -> Store:
    return Store.at(str(remote.parent / "guest"))


def paths(ref: str = CELLS) -> list[str]:
    return [entry.path for entry in cellbank.load(ref)._view.reader]


@pytest.fixture
def said_alone(guest: Store) -> Iterator[list[bool]]:
    """Hear, whenever it is said what is installed or seen, whether nobody else could meanwhile."""
    found = []

    def hear(kind: str, path: str) -> None:
        said = (f"{guest.root}/pkgs/", f"{guest.root}/remotes/", f"{guest.root}/packages/")
        if kind not in ("rename", "link", "unlink") or not path.startswith(said):
            return
        if "/packs/" in path:
            return
        descriptor = os.open(guest.root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(False)
        except BlockingIOError:
            found.append(True)
        finally:
            os.close(descriptor)

    disk.fault = hear
    yield found
    disk.fault = None


def test_whoever_says_what_is_here_is_alone_with_that(
    remote: Path, said_alone: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    cellbank.install(CELLS, path="images/a.*")
    draft = cellbank.edit(CELLS)
    draft.set("images/c.tif", b"c")
    draft.build()
    cellbank.push(CELLS)
    cellbank.push(CELLS, as_="lab/part")
    cellbank.build("lab/own", remote.parent / "files")
    monkeypatch.delenv("CELLBANK_REMOTE")
    cellbank.push("lab/own", to=str(remote))
    moved = remote.rename(remote.parent / "moved")
    cellbank.install(CELLS, from_=str(moved))
    cellbank.remove(CELLS)
    assert len(said_alone) > 10
    assert all(said_alone)


def test_a_draft_does_not_undo_what_was_chosen_since(remote: Path) -> None:
    cellbank.install(CELLS, path="images/a.tif")
    draft = cellbank.edit(CELLS)
    draft.set("images/c.tif", b"c")
    cellbank.install(CELLS, path="images/b.*")
    with pytest.raises(Conflict, match="wanted"):
        draft.build()
    assert "images/a.tif; images/b.*" == cellbank.ls()[0].want
    draft = cellbank.edit(CELLS)
    draft.set("images/c.tif", b"c")
    draft.build()
    draft.set("images/d.tif", b"d")
    draft.build()
    assert ["images/a.tif", "images/b.tif", "images/c.tif", "images/d.tif"] == [
        path for path in paths() if path.startswith("images") and path != "images/mask.tif"
    ]


def test_a_removal_beside_others_leaves_them_what_they_count_on(guest: Store) -> None:
    cellbank.install(CELLS)
    package = Package.parse(CELLS)
    packs = guest.files.names(f"packages/{CELLS}/packs")
    with guest.transaction():
        counted_on = guest.has_small(package, [cellbank.inspect(CELLS).revision])
        assert 0 == cellbank.remove(CELLS).bytes
        assert counted_on == guest.has_small(package, counted_on)
    assert [] == cellbank.ls()
    cellbank.gc()
    assert packs
    assert [] == guest.files.names(f"packages/{CELLS}/packs")
    assert cellbank.install(CELLS).changed
    assert cellbank.verify().good


def collecting(event: object) -> None:
    """Collect garbage whenever something moves on."""
    if isinstance(event, Progress):
        cellbank.gc()


def test_what_is_checked_is_not_taken_away_meanwhile(remote: Path) -> None:
    cellbank.install(CELLS, metadata_only=True)
    cellbank.fetch(CELLS)
    assert cellbank.verify(watch=collecting).good
    assert 4 == cellbank.verify().entries


def test_what_is_fetched_to_be_written_out_is_there_until_it_is(
    remote: Path, tmp_path: Path
) -> None:
    cellbank.install(CELLS, metadata_only=True)
    cellbank.export(CELLS, tmp_path / "out", watch=collecting)
    assert FILES == {path: (tmp_path / "out" / path).read_bytes() for path in FILES}
    cellbank.push(CELLS, as_="lab/whole", watch=collecting)
    assert cellbank.verify("lab/whole").good


@pytest.mark.parametrize("path", ["README.md", "images/a.tif"])
def test_what_is_collected_while_it_is_opened_comes_again(
    remote: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    cellbank.install(CELLS, metadata_only=True)
    node = cellbank.load(CELLS)[path]
    node()
    real, left = Store._check_once, [1]

    def check(self: Store, file: str, digest: str) -> str:
        if left:
            left.pop()
            cellbank.gc()
        return real(self, file, digest)

    monkeypatch.setattr(Store, "_check_once", check)
    assert FILES[path] == Path(node()).read_bytes()
    left.append(1)
    with node.open() as file:
        assert FILES[path] == file.read()
