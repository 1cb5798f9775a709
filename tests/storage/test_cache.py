"""The cache: what was put comes back, the least recent goes, and damage never hurts."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cellbank.storage import disk
from cellbank.storage.cache import Cache

KB = 1000


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"), 100 * KB)


def files(cache: Cache) -> list[Path]:
    return sorted(path for path in Path(cache.folder).rglob("*") if path.is_file())


def age(cache: Cache, hours: int) -> None:
    """Let all that is in the cache look as if it was last used so many hours ago."""
    for file in files(cache):
        look = file.stat()
        os.utime(file, ns=(look.st_atime_ns, look.st_mtime_ns - hours * 3600 * 10**9))


def test_what_was_put_comes_back(cache: Cache) -> None:
    cache.put("a key", b"some bytes")
    cache.put("nothing", b"")
    assert b"some bytes" == cache.get("a key")
    assert b"" == cache.get("nothing")
    assert cache.get("another") is None
    assert b"some bytes" == Cache(cache.folder, cache.limit).get("a key")


def test_any_text_is_a_key(cache: Cache) -> None:
    keys = ["../../etc/passwd", "", "/", "é" * 5000, "a\0b", "thumbnail of x at 256"]
    for key in keys:
        cache.put(key, key.encode())
    assert [key.encode() for key in keys] == [cache.get(key) for key in keys]
    assert [Path(cache.folder)] == list(Path(cache.folder).parent.iterdir())


def test_what_was_put_last_under_a_key_is_what_comes(cache: Cache) -> None:
    cache.put("key", b"old")
    cache.put("key", b"new")
    assert b"new" == cache.get("key")
    assert 1 == len(files(cache))


def test_the_size_never_stays_over_the_limit(cache: Cache) -> None:
    for number in range(100):
        cache.put(str(number), bytes(5 * KB))
        assert cache.size() <= 100 * KB
    assert b"" != cache.get("99")
    assert cache.size() >= 80 * KB


def test_what_was_used_least_recently_goes_first(cache: Cache) -> None:
    for name in "abcd":
        cache.put(name, bytes(20 * KB))
        age(cache, 1)
    assert bytes(20 * KB) == cache.get("a")
    cache.put("e", bytes(30 * KB))
    kept = [name for name in "abcde" if cache.get(name) is not None]
    assert ["a", "d", "e"] == kept


def test_what_other_processes_put_counts_too(cache: Cache) -> None:
    other = Cache(cache.folder, cache.limit)
    for number in range(60):
        cache.put(f"mine {number}", bytes(5 * KB))
        other.put(f"theirs {number}", bytes(5 * KB))
    assert cache.size() <= 120 * KB


def test_too_much_for_the_cache_is_not_kept(cache: Cache) -> None:
    cache.put("small", b"1")
    cache.put("large", bytes(101 * KB))
    assert cache.get("large") is None
    assert b"1" == cache.get("small")


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "cache"), 0)
    cache.put("key", b"")
    assert cache.get("key") is None
    assert not Path(cache.folder).exists()


def test_a_lower_limit_takes_hold_at_once(cache: Cache) -> None:
    for number in range(10):
        cache.put(str(number), bytes(9 * KB))
    less = Cache(cache.folder, 30 * KB)
    less.shrink()
    assert less.size() <= 30 * KB
    assert 3 == len(files(less))


def test_clear_removes_everything_and_says_how_much(cache: Cache) -> None:
    cache.put("a", bytes(1000))
    cache.put("b", bytes(2000))
    held = cache.size()
    assert held >= 3000
    assert held == cache.clear()
    assert (0, None) == (cache.size(), cache.get("a"))
    cache.put("a", b"again")
    assert b"again" == cache.get("a")


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "more"])
def test_a_damaged_file_is_no_answer_and_goes(cache: Cache, change: str) -> None:
    cache.put("key", bytes(1000))
    (file,) = files(cache)
    data = file.read_bytes()
    flipped = data[:500] + b"x" + data[501:]
    wrong = {"flip": flipped, "cut": data[:-1], "empty": b"", "more": data + b"x"}
    file.chmod(0o600)
    file.write_bytes(wrong[change])
    assert cache.get("key") is None
    assert [] == files(cache)
    cache.put("key", b"good")
    assert b"good" == cache.get("key")


def test_what_belongs_to_another_key_is_no_answer(cache: Cache) -> None:
    cache.put("one", b"1")
    (one,) = files(cache)
    cache.put("two", b"2")
    (two,) = set(files(cache)) - {one}
    two.write_bytes(one.read_bytes())
    assert cache.get("two") is None


def test_a_cache_that_cannot_be_written_to_is_passed_over(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("old", b"old")

    def refuse(kind: str, path: str) -> None:
        raise OSError(errno.ENOSPC, f"made to fail ({kind})", path)

    monkeypatch.setattr(disk, "fault", refuse)
    cache.put("new", b"new")
    assert cache.get("new") is None
    assert b"old" == cache.get("old")
    assert 0 == cache.clear()


def test_a_folder_that_is_a_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    cache = Cache(str(tmp_path / "cache"), 1000)
    cache.put("key", b"1")
    assert (None, 0) == (cache.get("key"), cache.size())


WRITER = """
import sys
from cellbank.storage.cache import Cache
cache = Cache(sys.argv[1], 200_000)
bad = 0
for turn in range(300):
    key = str(turn * 7 % 50)
    found = cache.get(key)
    bad += found not in (None, key.encode() * 3000)
    cache.put(key, key.encode() * 3000)
sys.exit(bad)
"""


def test_several_processes_share_a_cache(cache: Cache) -> None:
    command = [sys.executable, "-c", WRITER, cache.folder]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [0, 0, 0] == [process.wait(60) for process in running]
    assert cache.size() <= 250_000


def test_several_threads_share_a_cache(cache: Cache) -> None:
    def work(number: int) -> bool:
        key = str(number % 20)
        cache.put(key, key.encode() * 1000)
        return cache.get(key) in (None, key.encode() * 1000)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(500)))
    assert cache.size() <= 110 * KB
