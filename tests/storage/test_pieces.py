"""An object at a remote as a file: only what is read is brought, and never a wrong byte."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellbank.images.source import is_far
from cellbank.model.digest import digest_of
from cellbank.model.errors import Damaged, DigestMismatch, NotCanonical, RemoteNotFound
from cellbank.model.manifest import Entry, make_entry
from cellbank.model.reference import Package
from cellbank.storage.cache import Cache
from cellbank.storage.layout import object_key
from cellbank.storage.pieces import Far, Pieces, RemoteFile
from cellbank.storage.remote import BucketRemote, Remote
from cellbank.storage.store import Store
from tests.storage.making import PACKAGE, push_files

MIB = 1 << 20
LONG = blake3(b"long").digest(40 * MIB + 12_345)
"""With a list of pieces, the last of which is short."""
MIDDLE = blake3(b"middle").digest(3 * MIB)
SMALL = b"mask" * 1000
FILES = {"long.tif": LONG, "middle.tif": MIDDLE, "mask.tif": SMALL, "none": b""}


class Recorded(BucketRemote):
    """A folder that remembers which stretches it was asked for."""

    def __init__(self, place) -> None:
        super().__init__(place)
        self.asked: list[tuple[int, int]] = []
        self.small: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def read_range(self, package: Package, digest: str, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        self.before()
        return super().read_range(package, digest, start, stop)

    def read_small(self, package: Package, digests):
        self.small += digests
        return super().read_small(package, digests)

    @property
    def moved(self) -> int:
        """How many bytes of large objects moved."""
        return sum(stop - start for start, stop in self.asked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Entry]]:
    """A folder with the files, and their entries."""
    root = tmp_path_factory.mktemp("place")
    store = Store.at(str(root / "store"))
    remote = BucketRemote.open(str(root / "remote"), create=True)
    revision = push_files(store, remote, FILES).record.revision
    return root / "remote", {entry.path: entry for entry in store.reader(PACKAGE, revision)}


@pytest.fixture
def remote(place) -> Recorded:
    return Recorded.open(str(place[0]))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"), 100 * MIB)


def far(remote: Remote, cache: Cache) -> Far:
    return Far(PACKAGE, remote.address, lambda: remote, lambda _: None, cache)


@pytest.fixture
def opened(place, remote: Recorded, cache: Cache) -> Callable[[str], RemoteFile]:
    """Open one of the files at the remote."""
    return lambda path: RemoteFile(Pieces(far(remote, cache), place[1][path]), f"aics/demo/{path}")


@pytest.mark.parametrize("path", list(FILES))
def test_a_file_reads_as_what_was_pushed(opened, path: str) -> None:
    with opened(path) as file:
        assert FILES[path] == file.read()
        assert b"" == file.read(10)
        assert len(FILES[path]) == file.tell()


def test_a_file_behaves_as_files_do(opened) -> None:
    with opened("middle.tif") as file:
        assert (True, True, False) == (file.readable(), file.seekable(), file.writable())
        assert ("aics/demo/middle.tif", "rb") == (file.name, file.mode)
        assert "<RemoteFile 'aics/demo/middle.tif'>" == repr(file)
        assert MIDDLE[:3] == file.read(3)
        assert 10 == file.seek(7, io.SEEK_CUR)
        assert MIDDLE[10:14] == file.read(4)
        assert len(MIDDLE) - 4 == file.seek(-4, io.SEEK_END)
        assert MIDDLE[-4:] == file.read(100)
        assert 5 * MIB == file.seek(5 * MIB)
        assert b"" == file.read()
        with pytest.raises(ValueError, match="-1"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 7)
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
    for act in (file.read, file.tell, lambda: file.seek(0), lambda: file.readinto(bytearray(1))):
        with pytest.raises(ValueError, match="closed"):
            act()


def test_it_can_be_buffered_and_wrapped(opened) -> None:
    with io.BufferedReader(opened("long.tif")) as file:
        file.seek(9 * MIB + 5)
        assert LONG[9 * MIB + 5 : 9 * MIB + 25] == file.read(20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.integers(0, len(LONG)), st.integers(0, 3 * MIB)), max_size=6))
def test_any_reads_give_the_right_bytes(opened, reads: list[tuple[int, int]]) -> None:
    with opened("long.tif") as file:
        for start, count in reads:
            file.seek(start)
            buffer = bytearray(count)
            filled = file.readinto(buffer)
            assert LONG[start : start + count] == buffer[:filled]
            assert min(count, len(LONG) - start) == filled


# --- how much moves


def test_opening_moves_nothing(opened, remote: Recorded) -> None:
    with opened("long.tif") as file:
        file.seek(0, io.SEEK_END)
    assert ([], []) == (remote.asked, remote.small)


def test_it_says_that_reading_costs_requests(opened) -> None:
    with opened("long.tif") as file:
        assert is_far(file)


def test_a_few_bytes_move_one_piece(opened, remote: Recorded) -> None:
    with opened("long.tif") as file:
        file.seek(20 * MIB + 17)
        for at in range(20):
            assert LONG[20 * MIB + 17 + 9 * at :][:9] == file.read(9)
    assert [(20 * MIB, 21 * MIB)] == remote.asked


def test_the_last_piece_is_short(opened, remote: Recorded) -> None:
    with opened("long.tif") as file:
        file.seek(-1, io.SEEK_END)
        assert LONG[-1:] == file.read()
    assert [(40 * MIB, len(LONG))] == remote.asked


def test_pieces_that_adjoin_move_in_one_request(opened, remote: Recorded) -> None:
    with opened("long.tif") as file:
        file.seek(3 * MIB - 1)
        assert LONG[3 * MIB - 1 : 12 * MIB] == file.read(9 * MIB + 1)
    assert [(2 * MIB, 12 * MIB)] == remote.asked


def test_a_long_read_moves_in_requests_of_bounded_length_each_byte_once(
    opened, remote: Recorded
) -> None:
    with opened("long.tif") as file:
        assert file.read() == LONG
    assert len(LONG) == remote.moved
    assert max(stop - start for start, stop in remote.asked) <= 24 * MIB


def test_reading_from_end_to_end_in_small_steps_takes_few_requests(
    opened, remote: Recorded
) -> None:
    with opened("long.tif") as file:
        found = b"".join(iter(lambda: file.read(100_000), b""))
    assert found == LONG
    assert len(LONG) == remote.moved
    assert len(remote.asked) <= 10


def test_an_object_without_pieces_comes_whole_and_once(opened, remote: Recorded) -> None:
    with opened("middle.tif") as file:
        file.seek(2 * MIB)
        file.read(10)
        file.seek(0)
        file.read(10)
    assert [(0, 3 * MIB)] == remote.asked


def test_a_small_object_comes_from_its_pack(opened, remote: Recorded, place) -> None:
    with opened("mask.tif") as file:
        assert b"mask" == file.read(4)
        assert b"mask" == file.read(4)
    assert ([], [place[1]["mask.tif"].digest]) == (remote.asked, remote.small)


def test_what_was_read_once_comes_from_the_cache(opened, remote: Recorded) -> None:
    for _ in range(2):
        for path in FILES:
            with opened(path) as file:
                file.read()
    assert len(LONG) + len(MIDDLE) == remote.moved
    assert 2 == len(remote.small)


def test_only_what_is_not_in_the_cache_is_asked_for(opened, remote: Recorded) -> None:
    for start, stop in ((2, 3), (5, 6), (0, 9)):
        with opened("long.tif") as file:
            file.seek(start * MIB)
            assert file.read((stop - start) * MIB) == LONG[start * MIB : stop * MIB]
    ranges = [(2, 3), (5, 6), (0, 2), (3, 5), (6, 9)]
    assert [(a * MIB, b * MIB) for a, b in ranges] == remote.asked


def test_without_a_cache_an_open_file_keeps_few_pieces(place, remote: Recorded, tmp_path) -> None:
    nothing = Cache(str(tmp_path / "cache"), 0)
    with RemoteFile(Pieces(far(remote, nothing), place[1]["long.tif"]), "long") as file:
        assert file.read() == LONG
        file.seek(0)
        file.read(1)
        assert len(LONG) + MIB == remote.moved
        assert len(file._pieces._kept) <= 16


# --- several threads


def test_many_threads_read_one_file(opened, remote: Recorded) -> None:
    file = opened("long.tif")
    pieces = file._pieces

    def read(number: int) -> bool:
        start = number * 777_777 % (len(LONG) - 500_000)
        view = memoryview(bytearray(500_000))
        pieces.read_into(start, view)
        return LONG[start : start + 500_000] == view

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(100)))
    # Every piece was brought once, however many wanted it.
    assert remote.moved <= len(LONG)


def test_reads_of_several_threads_never_overlap(opened) -> None:
    file = opened("middle.tif")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: file.read(30_000), range(len(MIDDLE) // 30_000 + 1)))
    assert sorted(found) == sorted(MIDDLE[at : at + 30_000] for at in range(0, len(MIDDLE), 30_000))


def test_a_piece_that_two_threads_want_is_asked_for_once(opened, remote: Recorded) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert go_on.wait(20)

    remote.before = wait
    pieces = opened("middle.tif")._pieces
    views = [memoryview(bytearray(1000)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(pieces.read_into, 0, views[0])
        assert asked.wait(20)
        others = [pool.submit(pieces.read_into, 1000 * n, views[n]) for n in (1, 2)]
        go_on.set()
        for future in (first, *others):
            future.result(20)
    assert MIDDLE[:3000] == b"".join(views)
    assert 1 == len(remote.asked)


def test_what_one_thread_could_not_bring_another_may_try_again(opened, remote: Recorded) -> None:
    def fail() -> None:
        raise RemoteNotFound("gone")

    remote.before = fail
    with opened("middle.tif") as file:
        file.seek(100)
        for _ in range(2):
            with pytest.raises(RemoteNotFound):
                file.read(10)
        assert 100 == file.tell()
        remote.before = lambda: None
        assert MIDDLE[100:110] == file.read(10)


# --- wrong bytes


def change(place: Path, entry: Entry, at: int) -> None:
    """Change one byte of an object at the remote."""
    file = place / object_key(entry.digest)
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize(("path", "at"), [("long.tif", 20 * MIB + 5), ("middle.tif", MIB)])
def test_wrong_bytes_are_asked_for_twice_and_never_given_out(
    place, remote: Recorded, opened, path: str, at: int
) -> None:
    entry = place[1][path]
    change(place[0], entry, at)
    try:
        with opened(path) as file:
            file.seek(at - 2)
            with pytest.raises(DigestMismatch, match=f"aics/demo/{path}.*{remote.address}"):
                file.read(5)
        assert 2 == len(remote.asked)
        with opened("long.tif") as file:
            assert LONG[:100] == file.read(100)
    finally:
        change(place[0], entry, at)
    with opened(path) as file:
        assert FILES[path] == file.read()


def test_bytes_that_were_wrong_once_are_got_over(place, remote: Recorded, opened) -> None:
    entry = place[1]["long.tif"]
    change(place[0], entry, 5)
    remote.before = lambda: change(place[0], entry, 5) if len(remote.asked) == 2 else None
    with opened("long.tif") as file:
        assert LONG[:10] == file.read(10)
    assert 2 == len(remote.asked)


def test_a_damaged_cache_is_never_believed(opened, remote: Recorded, cache: Cache) -> None:
    with opened("long.tif") as file:
        file.read()
    for kept in Path(cache.folder).rglob("*"):
        if kept.is_file():
            kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with opened("long.tif") as file:
        assert file.read() == LONG
    assert 2 * len(LONG) == remote.moved


def test_good_bytes_of_something_else_in_the_cache_are_not_believed(
    place, opened, remote: Recorded, cache: Cache
) -> None:
    cache.put(digest_of(LONG[:MIB]), LONG[MIB : 2 * MIB])
    cache.put(str(place[1]["long.tif"].pieces), b"x" * 32 * 41)
    cache.put(place[1]["mask.tif"].digest, b"else")
    for path, data in FILES.items():
        with opened(path) as file:
            assert data == file.read()


def test_a_list_of_pieces_of_the_wrong_length_is_refused(remote: Recorded, cache: Cache) -> None:
    listed = b"\1" * 32 * 3
    entry = make_entry("a.tif", digest_of(b"?"), 9 * MIB, pieces=digest_of(listed))
    source = Far(PACKAGE, remote.address, lambda: remote, lambda _: listed, cache)
    with pytest.raises(NotCanonical, match=r"aics/demo/a\.tif"):
        RemoteFile(Pieces(source, entry), "a.tif").read(1)


def test_a_size_that_does_not_fit_is_refused(place, remote: Recorded, cache: Cache) -> None:
    digest = place[1]["mask.tif"].digest
    for size in (len(SMALL) - 1, len(SMALL) + 1):
        entry = make_entry("mask.tif", digest, size)
        with pytest.raises(DigestMismatch):
            RemoteFile(Pieces(far(remote, Cache(cache.folder, 0)), entry), "mask").read(1)


def test_an_object_that_is_gone_is_damage(place, remote: Recorded, opened) -> None:
    file = place[0] / object_key(place[1]["middle.tif"].digest)
    file.rename(file.with_suffix(".away"))
    try:
        with pytest.raises(Damaged), opened("middle.tif") as opened_file:
            opened_file.read(1)
    finally:
        file.with_suffix(".away").rename(file)
