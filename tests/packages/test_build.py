"""Building: what happens while somebody else writes to the folder, or cleans the store."""

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cellbank
from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW
from cellbank.model.errors import RuleBroken
from cellbank.model.progress import Progress, Said
from cellbank.packages import scan
from cellbank.storage import disk, gc
from cellbank.storage.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one large file."""
    root = tmp_path / "files"
    root.mkdir()
    (root / "image.tif").write_bytes(b"1" * (2 * SMALL_BELOW))
    return root


@pytest.mark.parametrize("size", [1, 3 * SMALL_BELOW, PIECES_ABOVE])
def test_a_file_that_grows_while_it_is_read_is_packaged_as_it_is_in_the_end(folder, size):
    file = folder / "image.tif"
    events = []

    def watch(event: Progress | Said) -> None:
        if not events:
            with file.open("ab") as more:
                more.write(b"2" * size)
        events.append(event)

    built = cellbank.build("lab/cells", folder, watch=watch)
    node = cellbank.load("lab/cells")["image.tif"]
    assert file.stat().st_size == built.size == node.size
    assert file.read_bytes() == node.bytes()
    assert cellbank.verify().good
    assert not cellbank.build("lab/cells", folder).changed


@pytest.mark.parametrize("size", [1, 2 * SMALL_BELOW])
def test_a_file_that_goes_while_the_folder_is_read_is_said_to_change(folder, monkeypatch, size):
    (folder / "gone.bin").write_bytes(b"3" * size)
    found = scan.scan(str(folder))
    (folder / "gone.bin").unlink()
    monkeypatch.setattr(scan, "scan", lambda *_, **__: found)
    with pytest.raises(RuleBroken, match=r"gone\.bin changes while it is read"):
        cellbank.build("lab/cells", folder)
    assert [] == cellbank.ls()


def test_a_condemned_object_is_staged_again(folder, own_home):
    cellbank.build("lab/cells", folder)
    digest = cellbank.load("lab/cells")["image.tif"].digest
    gc._condemn(Store.at(str(own_home)), {digest}, datetime.now(UTC))
    assert 2 * SMALL_BELOW == cellbank.build("lab/other", folder).added_bytes


def test_what_is_condemned_while_a_build_counts_on_it_stops_the_build(folder, own_home):
    cellbank.build("lab/cells", folder)
    digest = cellbank.load("lab/cells")["image.tif"].digest
    (folder / "more.tif").write_bytes(b"3" * SMALL_BELOW)
    # Not read again, because the look of the file is remembered, or read and found: both count.

    def watch(_event: Progress | Said) -> None:
        gc._condemn(Store.at(str(own_home)), {digest}, datetime.now(UTC))

    with pytest.raises(RuleBroken, match="being cleaned"):
        cellbank.build("lab/cells", folder, watch=watch)
    assert 1 == len(cellbank.log("lab/cells"))
    assert cellbank.build("lab/cells", folder).changed


def test_a_cache_that_cannot_be_written_does_not_make_a_build_fail(folder, own_home):
    def fault(_kind: str, path: str) -> None:
        if "/caches/" in path:
            raise OSError(errno.ENOSPC, "full")

    disk.fault = fault
    try:
        assert cellbank.build("lab/cells", folder).changed
    finally:
        disk.fault = None
    assert cellbank.verify().good
