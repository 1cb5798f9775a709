"""Moving objects: what was finished is kept, and a history that changed is noticed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cellbank.model.errors import ChainRefused, Damaged, Interrupted
from cellbank.model.progress import Progress, Said
from cellbank.storage import transfer
from cellbank.storage.local import LocalBucket
from cellbank.storage.place import Place
from cellbank.storage.remote import BucketRemote
from cellbank.storage.store import Store
from tests.storage.making import FILES, LARGE, PACKAGE, draft, event, keep


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store.at(str(tmp_path / "store"))


@pytest.fixture
def remote(tmp_path: Path) -> BucketRemote:
    """An empty folder remote."""
    return BucketRemote(Place.open(LocalBucket(str(tmp_path / "remote")), create=True))


def rewritten(remote: BucketRemote, revision: str, records: int) -> None:
    """Write another history of as many records to the place of the remote."""
    bucket = remote.place.bucket
    for name in bucket.names(f"packages/{PACKAGE}/log"):
        bucket.delete(f"packages/{PACKAGE}/log/{name}")
    remote.place.append(PACKAGE, draft(revision, message="another"))
    for number in range(1, records):
        remote.place.append(PACKAGE, event("tag", name=f"t{number}", revision=revision))


@pytest.mark.parametrize("records", [2, 3, 9])
def test_another_history_is_refused_though_it_is_longer(
    store: Store, remote: BucketRemote, records: int
) -> None:
    revision = keep(store, FILES)
    first = transfer.push(store, remote, PACKAGE, draft(revision))
    transfer.note_seen(store, remote, PACKAGE, first)
    rewritten(remote, revision, records)
    with pytest.raises(ChainRefused):
        transfer.note_seen(store, remote, PACKAGE, remote.newest(PACKAGE))
    transfer.note_seen(store, remote, PACKAGE, remote.newest(PACKAGE), allow_older=True)


def test_who_was_slower_than_another_sees_no_older_history(
    store: Store, remote: BucketRemote
) -> None:
    revision = keep(store, FILES)
    first = transfer.push(store, remote, PACKAGE, draft(revision))
    second = remote.append(PACKAGE, event("tag", name="t", revision=revision))
    transfer.note_seen(store, remote, PACKAGE, second)
    transfer.note_seen(store, remote, PACKAGE, first, base=revision)
    seen = store.seen(remote.id, PACKAGE)
    assert seen is not None
    assert (1, revision) == (seen.number, seen.base)


@pytest.mark.parametrize("records", [1, 2, 9])
def test_a_history_that_goes_on_is_taken(store: Store, remote: BucketRemote, records: int) -> None:
    revision = keep(store, FILES)
    newest = transfer.push(store, remote, PACKAGE, draft(revision))
    transfer.note_seen(store, remote, PACKAGE, newest)
    for number in range(records):
        newest = remote.append(PACKAGE, event("tag", name=f"t{number}", revision=revision))
    transfer.note_seen(store, remote, PACKAGE, newest)
    seen = store.seen(remote.id, PACKAGE)
    assert seen is not None
    assert records == seen.number


def stopping_after(count: int) -> Callable[[Progress | Said], None]:
    """Return a watcher that stops the job when so many bytes are done."""

    def watch(event: Progress | Said) -> None:
        if isinstance(event, Progress) and event.done > count:
            raise Interrupted

    return watch


def test_what_was_pushed_before_it_was_stopped_is_not_pushed_again(
    store: Store, remote: BucketRemote
) -> None:
    files = {f"{i}.tif": bytes([i]) + LARGE for i in range(8)}
    revision = keep(store, files)
    with pytest.raises(Interrupted):
        transfer.push(store, remote, PACKAGE, draft(revision), watch=stopping_after(5 * len(LARGE)))
    assert [] == remote.packages()
    sent: list[Progress | Said] = []
    transfer.push(store, remote, PACKAGE, draft(revision), watch=sent.append)
    totals = {event.total for event in sent if isinstance(event, Progress)}
    assert totals <= {n * (len(LARGE) + 1) for n in range(5)}
    assert [PACKAGE] == remote.packages()


def test_a_record_is_not_written_while_something_was_not_sent(
    store: Store, remote: BucketRemote
) -> None:
    revision = keep(store, FILES)
    reader = store.reader(PACKAGE, revision)
    header = store.read_small(PACKAGE, revision)
    upload = remote.upload(PACKAGE, revision, header, reader)
    upload.pages()
    upload.missing()
    with pytest.raises(Damaged, match="were not sent"):
        upload.append(draft(revision))
    upload.close()
    assert [] == remote.packages()
