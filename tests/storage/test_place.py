"""A place: its identity, its logs under many hands, and its packs; in a folder and in a bucket."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cellbank.model import canonical, log
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadPack,
    ChainRefused,
    Damaged,
    DigestMismatch,
    NameConflict,
    NewerFormat,
    NotCanonical,
    PackageNotFound,
    PushConflict,
)
from cellbank.model.log import Draft, Kept
from cellbank.model.reference import Package
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import Bucket, LocalBucket
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.place import Place, check_writable
from cellbank.storage.remote import open_bucket
from cellbank.storage.store import Store

PACKAGE = Package("aics", "demo")
ONE, TWO, THREE = (digest_of(bytes([i])) for i in range(3))


@pytest.fixture(params=["folder", "bucket"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "folder":
        return LocalBucket(str(tmp_path / "place"))
    return open_bucket(f"memory://{tmp_path}")


@pytest.fixture
def place(bucket: Bucket) -> Place:
    return Place.open(bucket, create=True)


def draft(event: str, nonce: str = "", **fields: object) -> Draft:
    return msgspec.structs.replace(Draft(event, nonce or f"{event}{fields}"), **fields)


def put(place: Place, key: str, data: bytes) -> None:
    batch = place.bucket.batch()
    batch.add(key, data)
    batch.commit()
    batch.abandon()


def put_pack(place: Place, objects: dict[str, bytes]) -> list[str]:
    names = []
    for pack in write_packs(objects.items()):
        names.append(digest_of(pack))
        put(place, package_key(PACKAGE, "packs", names[-1]), pack)
    return names


def named(*objects: bytes) -> dict[str, bytes]:
    return {digest_of(data): data for data in objects}


# --- identity -----------------------------------------------------------------------------------


def test_a_place_keeps_its_identity(place: Place) -> None:
    assert place.id == Place.open(place.bucket).id == Place.open(place.bucket, create=True).id
    assert 32 == len(place.id)
    data = place.bucket.read("format.json")
    assert b'{"format":1,"id":"%s","read":[],"write":[]}' % place.id.encode() == data


def test_of_many_who_make_a_place_all_get_the_same(bucket: Bucket) -> None:
    found: list[str] = []
    ready = threading.Barrier(6)

    def run() -> None:
        ready.wait()
        found.append(Place.open(bucket, create=True).id)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 6 == len(found)
    assert 1 == len(set(found))


def test_a_place_that_is_not_there_is_not_made_unasked(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError):
        Place.open(bucket)
    assert [] == bucket.names("")


def _format(**wrong: object) -> bytes:
    return canonical.encode({"format": 1, "id": "0" * 32, "read": [], "write": []} | wrong)


def test_an_unknown_feature_forbids_reading_or_writing(bucket: Bucket) -> None:
    bucket.replace("format.json", _format(write=["shards"]))
    place = Place.open(bucket)
    with pytest.raises(NewerFormat):
        check_writable(place)
    bucket.replace("format.json", _format(read=["codec:xz"]))
    with pytest.raises(NewerFormat):
        Place.open(bucket)
    bucket.replace("format.json", _format(format=2))
    with pytest.raises(NewerFormat):
        Place.open(bucket)
    bucket.replace("format.json", _format(more={"x": 1}))
    check_writable(Place.open(bucket))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"format":1}', _format(id=1), _format(read=None), _format() + b"\n"],
)
def test_a_format_that_is_none_is_refused(bucket: Bucket, data: bytes) -> None:
    bucket.replace("format.json", data)
    with pytest.raises(NotCanonical):
        Place.open(bucket)


# --- the log ------------------------------------------------------------------------------------


def test_a_log_gives_the_newest_record_first(place: Place) -> None:
    assert place.newest(PACKAGE) is None
    assert [] == place.packages()
    place.append(PACKAGE, draft("push", revision=ONE))
    place.append(PACKAGE, draft("push", revision=TWO, base=ONE))
    last = place.append(PACKAGE, draft("version", name="1.0", revision=TWO))
    assert last == place.newest(PACKAGE) == place.state_of(PACKAGE)
    assert [2, 1, 0] == [kept.record.number for kept in place.records(PACKAGE)]
    assert [PACKAGE] == place.packages()
    assert ["999999999997", "999999999998", "999999999999"] == place.bucket.names(
        package_key(PACKAGE, "log")
    )


def test_a_package_that_is_not_there_proposes_one_that_is(place: Place) -> None:
    place.append(PACKAGE, draft("push", revision=ONE))
    with pytest.raises(PackageNotFound) as absent:
        place.state_of(Package("aics", "dem"))
    assert "aics/demo" in absent.value.advice


def test_the_same_event_again_is_not_appended_twice(place: Place) -> None:
    first = place.append(PACKAGE, draft("push", "n1", revision=ONE))
    assert first == place.append(PACKAGE, draft("push", "n1", revision=ONE))
    place.append(PACKAGE, draft("tag", "n2", name="t", revision=ONE))
    # Though it would conflict by now.
    assert first == place.append(PACKAGE, draft("push", "n1", revision=ONE))
    assert 2 == len(list(place.records(PACKAGE)))


def test_a_conflict_appends_nothing(place: Place) -> None:
    place.append(PACKAGE, draft("push", revision=ONE))
    place.append(PACKAGE, draft("version", name="1.0", revision=ONE))
    with pytest.raises(PushConflict):
        place.append(PACKAGE, draft("push", revision=TWO))
    with pytest.raises(NameConflict):
        place.append(PACKAGE, draft("version", name="1.0.0", revision=TWO))
    with pytest.raises(NameConflict):
        place.append(PACKAGE, draft("tag", name="t", revision=TWO, expect=ONE))
    assert 2 == len(list(place.records(PACKAGE)))


class Raced:
    """A bucket in which another writer is always a little faster, until it has no more to say."""

    def __init__(self, bucket: Bucket, rivals: list[Draft]) -> None:
        self._bucket = bucket
        self._rivals = rivals

    def __getattr__(self, name: str) -> object:
        return getattr(self._bucket, name)

    def create(self, key: str, data: bytes) -> bool:
        if self._rivals:
            Place.open(self._bucket).append(PACKAGE, self._rivals.pop())
        return self._bucket.create(key, data)


def test_an_event_of_somebody_else_in_between_is_no_conflict(bucket: Bucket) -> None:
    Place.open(bucket, create=True).append(PACKAGE, draft("push", revision=ONE))
    place = Place.open(Raced(bucket, [draft("tag", name=f"t{i}", revision=ONE) for i in range(3)]))
    kept = place.append(PACKAGE, draft("version", name="1.0", revision=ONE))
    assert 4 == kept.record.number
    assert 3 == len(kept.record.state.tags)
    assert 5 == len(list(place.records(PACKAGE)))


def test_a_push_in_between_is_a_conflict(bucket: Bucket) -> None:
    Place.open(bucket, create=True).append(PACKAGE, draft("push", revision=ONE))
    place = Place.open(Raced(bucket, [draft("push", revision=TWO, base=ONE)]))
    with pytest.raises(PushConflict):
        place.append(PACKAGE, draft("push", revision=THREE, base=ONE))
    assert TWO == place.state_of(PACKAGE).record.state.latest


def test_many_hands_write_one_chain(bucket: Bucket) -> None:
    Place.open(bucket, create=True).append(PACKAGE, draft("push", revision=ONE))
    ready = threading.Barrier(4)
    failed: list[BaseException] = []

    def run(hand: int) -> None:
        place = Place.open(bucket)
        ready.wait()
        try:
            for number in range(5):
                name = f"t{hand}_{number}"
                place.append(PACKAGE, draft("tag", name=name, revision=ONE))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=run, args=(hand,)) for hand in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failed
    place = Place.open(bucket)
    assert 21 == len(list(place.records(PACKAGE)))
    assert 20 == len(place.state_of(PACKAGE).record.state.tags)


def test_of_many_who_give_a_version_one_wins(bucket: Bucket) -> None:
    Place.open(bucket, create=True).append(PACKAGE, draft("push", revision=ONE))
    ready = threading.Barrier(6)
    won: list[str] = []
    lost: list[str] = []

    def run(number: int) -> None:
        place = Place.open(bucket)
        revision = digest_of(b"%d" % number)
        ready.wait()
        try:
            place.append(PACKAGE, draft("version", name="1.0", revision=revision))
        except NameConflict:
            lost.append(revision)
        else:
            won.append(revision)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 5) == (len(won), len(lost))
    assert {"1.0": won[0]} == Place.open(bucket).state_of(PACKAGE).record.state.versions


def test_every_256th_record_names_a_history(place: Place) -> None:
    place.append(PACKAGE, draft("push", revision=ONE))
    for number in range(1, 514):
        event = "freeze" if number % 2 else "unfreeze"
        place.append(PACKAGE, draft(event, str(number)))
    records = list(place.records(PACKAGE))[::-1]
    assert {256, 512} == {k.record.number for k in records if k.record.history}
    data = place.read_small(PACKAGE, records[512].record.history)
    earlier, later = log.decode_history(data)
    assert earlier == records[256].record.history
    oldest, first = log.decode_history(place.read_small(PACKAGE, earlier))
    assert "" == oldest
    assert records[:512] == first + later


@pytest.fixture
def three(place: Place) -> list[Kept]:
    place.append(PACKAGE, draft("push", revision=ONE))
    place.append(PACKAGE, draft("push", revision=TWO, base=ONE))
    place.append(PACKAGE, draft("push", revision=THREE, base=TWO))
    return list(place.records(PACKAGE))


def test_a_record_with_any_bit_flipped_is_noticed(place: Place, three: list[Kept]) -> None:
    middle = three[1]
    key = package_key(PACKAGE, "log", log.record_key(1))
    for bit in range(len(middle.data) * 8):
        data = bytearray(middle.data)
        data[bit // 8] ^= 1 << bit % 8
        place.bucket.replace(key, bytes(data))
        with pytest.raises(NotCanonical):
            list(place.records(PACKAGE))


def test_a_record_at_the_wrong_place_is_noticed(place: Place, three: list[Kept]) -> None:
    other = Package("aics", "other")
    place.bucket.replace(package_key(PACKAGE, "log", log.record_key(3)), three[0].data)
    place.bucket.replace(package_key(other, "log", log.record_key(2)), three[0].data)
    for package in (PACKAGE, other):
        with pytest.raises(NotCanonical):
            place.newest(package)
        with pytest.raises(NotCanonical):
            list(place.records(package))


def test_a_gap_in_the_log_is_noticed(place: Place, three: list[Kept]) -> None:
    assert 3 == len(three)
    for number in (1, 0):
        place.bucket.delete(package_key(PACKAGE, "log", log.record_key(number)))
        with pytest.raises(NotCanonical):
            list(place.records(PACKAGE))
    place.bucket.replace(package_key(PACKAGE, "log", log.record_key(1)), three[1].data)
    with pytest.raises(NotCanonical):
        list(place.records(PACKAGE))


def test_other_files_beside_the_records_do_not_count(place: Place, three: list[Kept]) -> None:
    for name in (".keep", "1", "999999999999.tmp"):
        place.bucket.replace(package_key(PACKAGE, "log", name), b"")
    assert three[0] == place.newest(PACKAGE)
    assert three == list(place.records(PACKAGE))


def test_an_older_or_another_newest_record_is_refused(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path / "store"))
    place = Place.open(LocalBucket(str(tmp_path / "place")), create=True)
    first = place.append(PACKAGE, draft("push", revision=ONE))
    second = place.append(PACKAGE, draft("push", revision=TWO, base=ONE))
    other = log.next_record(str(PACKAGE), first, draft("push", "fork", revision=THREE, base=ONE))
    fork = Kept(other, log.encode_record(other))
    for kept in (first, second, second):
        store.note_seen(place.id, "there", PACKAGE, kept)
    for kept in (first, fork):
        with pytest.raises(ChainRefused):
            store.note_seen(place.id, "there", PACKAGE, kept)
    seen = store.seen(place.id, PACKAGE)
    assert seen is not None
    assert (1, second.digest, TWO) == (seen.number, seen.digest, seen.state.latest)
    # Another place with the same package is another history.
    store.note_seen("1" * 32, "elsewhere", PACKAGE, first)
    store.note_seen(place.id, "there", PACKAGE, fork, allow_older=True)
    assert fork.digest == msgspec.structs.asdict(store.seen(place.id, PACKAGE))["digest"]


# --- who may see it -----------------------------------------------------------------------------


def test_a_package_is_public_only_if_it_says_so(place: Place) -> None:
    assert not place.is_public(PACKAGE)
    place.set_public(PACKAGE, public=True)
    assert place.is_public(PACKAGE)
    assert b'{"public":true}' == place.bucket.read(package_key(PACKAGE, "access.json"))
    place.set_public(PACKAGE, public=False)
    assert not place.is_public(PACKAGE)
    for data in (b"", b"true", b'{"public":1}', b'{"public":"true"}', b'{"public": true}', b"[]"):
        place.bucket.replace(package_key(PACKAGE, "access.json"), data)
        assert not place.is_public(PACKAGE)


# --- small objects --------------------------------------------------------------------------------


def test_small_objects_are_read_from_packs_and_from_files_of_their_own(place: Place) -> None:
    packed, alone = named(b"", b"one", b"two"), named(b"three")
    put_pack(place, packed)
    for digest, data in alone.items():
        put(place, object_key(digest), data)
    everything = packed | alone
    assert everything == dict(place.read_many(PACKAGE, [*everything, ONE]))
    assert everything.keys() == place.has_small(PACKAGE, [*everything, ONE])
    with pytest.raises(Damaged):
        place.read_small(PACKAGE, ONE)
    assert b"one" == place.read_small(PACKAGE, digest_of(b"one"))


def test_packs_of_another_package_are_not_looked_into(place: Place) -> None:
    put_pack(place, named(b"one"))
    other = Package("aics", "other")
    assert set() == place.has_small(other, named(b"one"))
    with pytest.raises(Damaged):
        place.read_small(other, digest_of(b"one"))


def test_a_pack_that_came_meanwhile_is_found(place: Place) -> None:
    put_pack(place, named(b"one"))
    assert b"one" == place.read_small(PACKAGE, digest_of(b"one"))
    [old] = place.packs(PACKAGE).indexes()
    put_pack(place, named(b"two"))
    assert b"two" == place.read_small(PACKAGE, digest_of(b"two"))
    # And one that was rewritten, as a compaction does.
    put_pack(place, named(b"one", b"three"))
    place.bucket.delete(package_key(PACKAGE, "packs", old))
    assert b"one" == place.read_small(PACKAGE, digest_of(b"one"))


def test_many_objects_are_read_as_few_are(place: Place) -> None:
    found = named(*(b"%d" % i for i in range(700)))
    put_pack(place, dict(list(found.items())[:400]))
    put_pack(place, dict(list(found.items())[400:]))
    assert found == dict(place.read_many(PACKAGE, found))
    assert found.keys() == place.has_small(PACKAGE, [*found, ONE])
    assert 700 == len(place.packs(PACKAGE).digests())


def test_a_damaged_pack_does_not_hide_the_others(place: Place) -> None:
    [bad] = put_pack(place, named(b"one"))
    put_pack(place, named(b"two"))
    data = place.bucket.read(package_key(PACKAGE, "packs", bad))
    place.bucket.replace(package_key(PACKAGE, "packs", bad), data[:-1])
    put(place, package_key(PACKAGE, "packs", "README"), b"not a pack")
    fresh = Place.open(place.bucket)
    assert b"two" == fresh.read_small(PACKAGE, digest_of(b"two"))
    with pytest.raises(Damaged):
        fresh.read_small(PACKAGE, digest_of(b"one"))
    assert {bad} == fresh.packs(PACKAGE).bad.keys()


def test_a_small_object_with_wrong_bytes_is_never_given(place: Place) -> None:
    put(place, object_key(ONE), b"not one")
    with pytest.raises(DigestMismatch):
        place.read_small(PACKAGE, ONE)
    [name] = put_pack(place, named(b"one"))
    key = package_key(PACKAGE, "packs", name)
    place.bucket.replace(key, place.bucket.read(key).replace(b"one", b"two"))
    with pytest.raises((BadPack, DigestMismatch)):
        Place.open(place.bucket).read_small(PACKAGE, digest_of(b"one"))


def _given(packs: Iterator[bytes]) -> tuple[dict[str, bytes], set[str]]:
    objects: dict[str, bytes] = {}
    names = set()
    for pack in packs:
        names.add(digest_of(pack))
        objects |= dict(read_pack(pack, "a pack"))
    return objects, names


def test_packs_are_given_whole_or_made_anew_and_never_say_more_than_was_asked(
    place: Place,
) -> None:
    one, two = named(b"1", b"2", b"3"), named(b"4", b"5")
    [first] = put_pack(place, one)
    [second] = put_pack(place, two)
    objects, names = _given(place.packs_of(PACKAGE, [*one, *two]))
    assert (one | two, {first, second}) == (objects, names)
    some = [digest_of(b"2"), digest_of(b"4"), digest_of(b"5"), ONE]
    objects, names = _given(place.packs_of(PACKAGE, some))
    assert named(b"2", b"4", b"5") == objects
    assert second in names
    assert first not in names
    assert ({}, set()) == _given(place.packs_of(PACKAGE, []))


def test_large_objects_are_there_if_they_have_their_size(place: Place) -> None:
    data = bytes(SMALL_BELOW)
    digest = digest_of(data)
    put(place, object_key(digest), data)
    assert {digest} == place.has_large({digest: len(data), ONE: 5})
    assert set() == place.has_large({digest: len(data) + 1})


def test_what_a_collection_condemned_is_told(place: Place) -> None:
    assert set() == place.condemned()
    for name, digests in (("a", [ONE]), ("b", [ONE, TWO])):
        document = {"condemned": sorted(digests), "format": 1, "time": "2026-11-22T12:00:00Z"}
        place.bucket.create(f"gc/{name}", canonical.encode(document))
    assert {ONE, TWO} == place.condemned()


# --- the bucket itself --------------------------------------------------------------------------


def test_a_bucket_keeps_bytes_under_keys(bucket: Bucket) -> None:
    assert bucket.create("a/b", b"0123456789")
    assert not bucket.create("a/b", b"other")
    assert b"0123456789" == bucket.read("a/b")
    assert b"234" == bucket.read_range("a/b", 2, 3)
    assert b"789" == bucket.read_range("a/b", -3, 3)
    assert b"0123456789" == bucket.read_range("a/b", -99, 99)
    assert 10 == bucket.size("a/b")
    assert b"6789" == b"".join(map(bytes, bucket.stream("a/b", 6)))
    bucket.replace("a/b", b"new")
    assert b"new" == bucket.read("a/b")
    bucket.replace("a/c/d", b"")
    assert ["b", "c"] == bucket.names("a")
    assert [] == bucket.names("nothing")
    for key in ("a/b", "a/b"):
        bucket.delete(key)
    assert bucket.size("a/b") is None
    with pytest.raises(FileNotFoundError):
        bucket.read("a/b")
