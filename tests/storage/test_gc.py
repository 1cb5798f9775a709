"""Collecting garbage: what others still need stays, and whoever is stopped can go on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cellbank.model import canonical
from cellbank.model.errors import NotCanonical
from cellbank.storage import disk, gc
from cellbank.storage.layout import object_key
from cellbank.storage.store import Store
from tests.storage.making import LARGE, PACKAGE, draft, keep


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store.at(str(tmp_path / "store"))


@pytest.fixture
def stop_at() -> Iterator[dict[str, int]]:
    """Counts down to the removal that is made to fail."""
    left = {"unlink": 0}

    def fault(kind: str, _path: str) -> None:
        if kind in left:
            left[kind] -= 1
            if left[kind] == 0:
                raise OSError("stopped")

    disk.fault = fault
    yield left
    disk.fault = None


def test_an_object_that_was_sent_again_outlives_its_verdict(store: Store) -> None:
    digest = "ab" * 32
    path = Path(store.files.path(object_key(digest)))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"sent again")
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    gc._condemn(store, {digest}, long_ago)
    with store.transaction():
        assert 0 == gc.collect(store).removed
    assert path.exists()


def test_a_verdict_that_was_carried_out_is_gone(store: Store) -> None:
    digest = "ab" * 32
    path = Path(store.files.path(object_key(digest)))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage")
    now = datetime.now(UTC)
    with store.transaction():
        assert 1 == gc.collect(store, now=now).condemned
        assert 1 == gc.collect(store, now=now + timedelta(hours=25)).removed
        assert set() == store.condemned()


def test_a_verdict_that_cannot_be_read_stops_whoever_would_count_on_it(store: Store) -> None:
    store.files.create("gc/ab", canonical.encode({"condemned": "all", "format": 1}))
    with pytest.raises(NotCanonical, match="gc/ab"):
        store.condemned()


def test_an_entry_with_the_bytes_of_a_header_does_not_hide_what_that_header_names(
    store: Store,
) -> None:
    inner = keep(store, {"image.tif": LARGE})
    outer = keep(store, {"a/copy": store.read_small(PACKAGE, inner), "b": b"b"})
    store.append(PACKAGE, draft(outer))
    store.append(PACKAGE, draft(inner, outer))
    # The outer revision is marked last where records are read newest first, so look at both ways.
    for first, second in ((inner, outer), (outer, inner)):
        small: set[str] = set()
        large: set[str] = set()
        read: set[str] = set()
        for revision in (first, second):
            gc._mark_revision(store, PACKAGE, revision, small, large, read)
        assert 1 == len(large)


@pytest.mark.parametrize("stopped", range(1, 6))
def test_a_removal_that_was_stopped_goes_on(
    store: Store, stop_at: dict[str, int], stopped: int
) -> None:
    base = ""
    for text in (b"one", b"two", b"three"):
        revision = keep(store, {"a": text})
        store.append(PACKAGE, draft(revision, base))
        base = revision
    stop_at["unlink"] = stopped
    with pytest.raises(OSError, match="stopped"):
        gc.remove_package(store, PACKAGE)
    gc.remove_package(store, PACKAGE)
    gc.collect(store)
    assert not Path(store.files.path(f"packages/{PACKAGE}")).exists()
