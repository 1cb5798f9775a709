"""What is reachable: read again when it could not be read, and found when it can."""

from pathlib import Path

import cellbank
from cellbank.model.reference import Package
from cellbank.registry.index import Index
from cellbank.storage.local import LocalBucket
from cellbank.storage.place import Place

PACKAGE = Package("lab", "cells")


def test_what_could_not_be_read_once_is_found_later(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.json").write_text("{}")
    cellbank.build("lab/cells", folder)
    cellbank.push("lab/cells", to=str(tmp_path / "remote"))
    digest = cellbank.load("lab/cells/a.json").digest
    packs = tmp_path / "remote" / "packages" / "lab" / "cells" / "packs"
    hidden = tmp_path / "hidden"
    packs.rename(hidden)
    monkeypatch.setattr("cellbank.registry.index.FRESH_SECONDS", 0.0)
    index = Index(Place.open(LocalBucket(str(tmp_path / "remote"))))
    assert not index.reach(PACKAGE).has(digest)
    hidden.rename(packs)
    assert index.reach(PACKAGE).has(digest)
