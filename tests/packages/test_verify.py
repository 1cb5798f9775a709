"""Repairing: what cannot be had is said, whoever does not answer is asked once."""

from pathlib import Path

import cellbank
from cellbank.model.errors import Unreachable
from cellbank.storage.remote import BucketRemote


def test_a_remote_that_does_not_answer_is_asked_once(tmp_path: Path, own_home, monkeypatch):
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.tif").write_bytes(bytes([i]) * 150_000)
    cellbank.build("lab/cells", folder)
    cellbank.push("lab/cells", to=str(tmp_path / "remote"))
    for path in (own_home / "objects").glob("*/*"):
        path.unlink()
    asked = []

    def refuse(self, package, digest, start, sink):
        asked.append(digest)
        raise Unreachable("there", "no answer")

    monkeypatch.setattr(BucketRemote, "fetch_object", refuse)
    found = cellbank.verify(repair=True)
    assert [f"{i}.tif" for i in range(5)] == [damage.path for damage in found.damaged]
    assert len(asked) <= 5
