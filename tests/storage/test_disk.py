"""Changing a disk: whole files or none, never over another, never outside of a folder."""

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellbank.model.digest import digest_of
from cellbank.storage import disk
from cellbank.storage.local import LocalBucket, Part

NOBODY = 65534
KINDS = {"create", "write", "chmod", "fsync", "rename", "link", "unlink", "rmdir", "mkdir"}


class Fault(OSError):
    """The fault that a test asked for."""


class Steps:
    """Notes every change of the disk; fails at the Nth."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail_at = -1

    def __call__(self, kind: str, path: str) -> None:
        assert kind in KINDS
        assert path
        self.seen.append(kind)
        if len(self.seen) == self.fail_at:
            raise Fault(errno.EIO, "as asked", path)


@pytest.fixture
def steps() -> Iterator[Steps]:
    found = Steps()
    disk.fault = found
    yield found
    disk.fault = None


def every_fault(steps: Steps, act: Callable[[], object], check: Callable[[bool], None]) -> int:
    """Let `act` fail at its first step, its second, …; `check` is told whether it went through."""
    for number in range(1, 200):
        steps.seen.clear()
        steps.fail_at = number
        try:
            act()
        except Fault:
            steps.fail_at = -1
            check(False)
        else:
            steps.fail_at = -1
            check(True)
            return number - 1
    raise AssertionError


@pytest.fixture
def staging(tmp_path: Path) -> str:
    folder = tmp_path / "staging"
    folder.mkdir()
    return str(folder)


def listed(folder: str | Path) -> list[str]:
    return sorted(file.name for file in Path(folder).iterdir())


# --- whole files --------------------------------------------------------------------------------


def test_a_file_is_created_only_if_it_is_absent(tmp_path: Path, staging: str) -> None:
    file = tmp_path / "a" / "b" / "file"
    assert disk.create_whole(str(file), b"one", staging)
    assert not disk.create_whole(str(file), b"two", staging)
    assert b"one" == file.read_bytes()
    assert [] == listed(staging)


def test_of_many_who_create_a_file_one_wins(tmp_path: Path, staging: str) -> None:
    file = tmp_path / "a" / "file"
    won: list[bytes] = []
    ready = threading.Barrier(8)

    def run(number: int) -> None:
        data = bytes([number]) * 1000
        ready.wait()
        if disk.create_whole(str(file), data, staging):
            won.append(data)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.read_bytes()] == won
    assert [] == listed(staging)


def test_a_file_is_replaced_whole(tmp_path: Path, staging: str) -> None:
    file = tmp_path / "a" / "file"
    for data in (b"one", b"two"):
        disk.replace_whole(str(file), data, staging)
        assert data == file.read_bytes()
    assert [] == listed(staging)


def test_a_fault_while_creating_leaves_the_whole_file_or_none(
    tmp_path: Path, staging: str, steps: Steps
) -> None:
    file = tmp_path / "a" / "b" / "file"

    def check(done: bool) -> None:
        assert not file.exists() or file.read_bytes() == b"new"
        assert file.exists() or not done
        for rest in listed(staging):
            # Only a removal that failed leaves something, and only in staging.
            assert rest.startswith("file.")
            Path(staging, rest).unlink()
        file.unlink(missing_ok=True)

    assert every_fault(steps, lambda: disk.create_whole(str(file), b"new", staging), check) >= 6


def test_a_fault_while_replacing_leaves_the_old_or_the_new(
    tmp_path: Path, staging: str, steps: Steps
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def check(done: bool) -> None:
        assert file.read_bytes() in ({b"new"} if done else {b"old", b"new"})
        file.write_bytes(b"old")
        assert [] == listed(staging)

    assert every_fault(steps, lambda: disk.replace_whole(str(file), b"new", staging), check) >= 4


def test_a_file_is_durable_before_it_has_its_name(
    tmp_path: Path, staging: str, steps: Steps
) -> None:
    disk.create_whole(str(tmp_path / "file"), b"x", staging)
    assert ["create", "write", "fsync", "link", "unlink", "fsync"] == steps.seen
    steps.seen.clear()
    disk.replace_whole(str(tmp_path / "file"), b"x", staging)
    assert ["create", "write", "fsync", "rename", "fsync"] == steps.seen


def test_new_folders_are_synced_with_the_file(tmp_path: Path, staging: str, steps: Steps) -> None:
    disk.create_whole(str(tmp_path / "a" / "b" / "file"), b"x", staging)
    # The file, its folder, and the two folders in which a name appeared.
    assert 4 == steps.seen.count("fsync")


def test_a_cache_file_is_put_in_place_whole_and_not_synced(tmp_path: Path, steps: Steps) -> None:
    file = tmp_path / "caches" / "file"
    for data in (b"one", b"two"):
        disk.write_cache(str(file), data)
        assert data == file.read_bytes()
    assert "fsync" not in steps.seen
    assert ["file"] == listed(file.parent)


def test_where_links_do_not_work_a_file_is_renamed_but_never_over_another(
    tmp_path: Path,
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"one")
    assert disk._rename_new(str(source), str(target))
    source.write_bytes(b"two")
    assert not disk._rename_new(str(source), str(target))
    assert (b"one", b"two") == (target.read_bytes(), source.read_bytes())
    with pytest.raises(FileNotFoundError):
        disk._rename_new(str(tmp_path / "nothing"), str(tmp_path / "new"))


def test_a_new_file_never_follows_a_link_or_opens_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("old", "link", "dangling"):
        with pytest.raises(FileExistsError):
            disk.create(str(tmp_path / name))
    with pytest.raises(OSError, match="symbolic link"):
        disk.reopen(str(tmp_path / "link"))
    assert not (tmp_path / "nowhere").exists()
    assert b"old" == (tmp_path / "old").read_bytes()


def test_removing_says_whether_there_was_something(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.touch()
    assert not disk.remove_folder(str(file.parent))
    assert disk.remove(str(file))
    assert not disk.remove(str(file))
    assert disk.remove_folder(str(file.parent))
    assert disk.remove_folder(str(file.parent))


def test_folders_are_made_and_those_with_a_new_name_told(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert {root, f"{root}/a", f"{root}/a/b"} == set(disk.make_folders(f"{root}/a/b/c"))
    assert [] == disk.make_folders(f"{root}/a/b/c")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        disk.make_folders(f"{root}/file/x")
    with pytest.raises(FileExistsError):
        disk.make_folders(f"{root}/file")


def test_a_link_is_replaced_by_another(tmp_path: Path) -> None:
    for target in ("one", "two"):
        disk.symlink(target, str(tmp_path / "link"))
        assert target == str((tmp_path / "link").readlink())
    assert ["link"] == listed(tmp_path)


# --- batches --------------------------------------------------------------------------------------


def _batch(root: Path, count: int) -> dict[str, bytes]:
    return {f"objects/{i:02x}/{digest_of(bytes([i]))}": bytes([i]) * i for i in range(count)}


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_batch_appears_when_it_is_durable(tmp_path: Path, count: int, steps: Steps) -> None:
    bucket = LocalBucket(str(tmp_path))
    files = _batch(tmp_path, count)
    batch = bucket.batch()
    for key, data in files.items():
        batch.add(key, data)
        assert bucket.size(key) is None
    batch.commit()
    batch.abandon()
    assert files == {key: bucket.read(key) for key in files}
    assert [] == bucket.names("staging")
    assert all((tmp_path / key).stat().st_mode & 0o777 == 0o444 for key in files)
    first_rename, last_rename = (
        steps.seen.index("rename"),
        len(steps.seen) - steps.seen[::-1].index("rename"),
    )
    assert "fsync" in steps.seen[:first_rename]
    assert "fsync" in steps.seen[last_rename:]
    assert "write" not in steps.seen[first_rename:]


@pytest.mark.parametrize("count", [2, 12])
def test_a_fault_in_a_batch_leaves_only_whole_files(
    tmp_path: Path, count: int, steps: Steps
) -> None:
    files = _batch(tmp_path, count)
    bucket = LocalBucket(str(tmp_path))

    def act() -> None:
        batch = bucket.batch()
        try:
            for key, data in files.items():
                batch.add(key, data)
            batch.commit()
        finally:
            steps.fail_at = -1
            batch.abandon()

    def check(done: bool) -> None:
        for key, data in files.items():
            if bucket.size(key) is None:
                assert not done
            else:
                assert data == bucket.read(key)
                bucket.delete(key)
        for name in bucket.names("staging"):
            disk.remove(f"{bucket.staging}/{name}")

    assert every_fault(steps, act, check) >= 4 * count


def test_a_batch_whose_barrier_fails_is_thrown_away(tmp_path: Path, steps: Steps) -> None:
    bucket = LocalBucket(str(tmp_path))
    batch = bucket.batch()
    batch.add("objects/ab/x", b"data")
    steps.seen.clear()
    steps.fail_at = 1
    with pytest.raises(Fault):
        batch.commit()
    assert ["fsync"] == steps.seen[:1]
    assert [] == bucket.names("staging")
    batch.commit()
    assert bucket.size("objects/ab/x") is None
    batch.abandon()


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    bucket = LocalBucket(str(tmp_path))
    batch = bucket.batch()

    def broken() -> Iterator[bytes]:
        yield b"one"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        batch.add_stream("objects/ab/x", broken())
    batch.commit()
    batch.abandon()
    assert [] == bucket.names("staging")
    assert bucket.size("objects/ab/x") is None


def test_a_batch_that_is_abandoned_leaves_nothing(tmp_path: Path) -> None:
    bucket = LocalBucket(str(tmp_path))
    batch = bucket.batch()
    batch.add("objects/ab/x", b"data")
    batch.abandon()
    assert [] == bucket.names("staging")
    assert [] == bucket.names("objects")


# --- parts and locks ------------------------------------------------------------------------------


def test_a_part_is_adopted_only_when_its_writer_is_gone(staging: str) -> None:
    part = Part.new(staging, "d")
    part.write(b"half")
    assert Part.adopt(staging, "d") is None
    assert Part.adopt(staging, "other") is None
    part.keep()
    adopted = Part.adopt(staging, "d")
    assert adopted is not None
    assert (part.path, 4) == (adopted.path, adopted.size)
    adopted.write(b" whole")
    adopted.finish()
    assert b"half whole" == Path(adopted.path).read_bytes()


def test_a_part_that_is_discarded_is_gone(staging: str) -> None:
    Part.new(staging, "d").discard()
    assert [] == listed(staging)


def test_a_part_that_another_places_while_others_are_synced_is_there(tmp_path: Path) -> None:
    bucket = LocalBucket(str(tmp_path / "store"))
    batch = bucket.batch()
    for name in ("one", "two"):
        batch.add(f"objects/ab/{name}", b"whole")
    target = Path(bucket.path("objects/ab/two"))

    def take_over(kind: str, path: str) -> None:
        if kind == "fsync" and "one" in path:
            other = Part.adopt(bucket.staging, "two")
            assert other is not None
            other.keep()
            target.parent.mkdir(parents=True)
            Path(other.path).rename(target)

    disk.fault = take_over
    try:
        batch.commit()
    finally:
        disk.fault = None
        batch.abandon()
    assert b"whole" == target.read_bytes()
    assert b"whole" == bucket.read("objects/ab/one")


def test_a_link_in_staging_is_never_adopted(tmp_path: Path, staging: str) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    Path(staging, "d.0123456789abcdef").symlink_to("../victim")
    assert Part.adopt(staging, "d") is None
    assert b"mine" == (tmp_path / "victim").read_bytes()


def test_one_holds_a_lock_alone_or_many_share_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with disk.shared_lock(path), disk.shared_lock(path), disk.exclusive_lock(path) as alone:
        assert not alone
    with disk.exclusive_lock(path) as alone, disk.exclusive_lock(path) as second:
        assert alone
        assert not second
    with disk.exclusive_lock(path) as alone:
        assert alone


# --- barriers and file systems ------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, disk.FEW, disk.FEW + 1, 40])
def test_a_barrier_takes_few_files_one_by_one_and_many_at_once(
    tmp_path: Path, count: int, steps: Steps
) -> None:
    barrier = disk.Barrier(str(tmp_path))
    paths = [tmp_path / str(i) for i in range(count)]
    for path in paths:
        path.write_bytes(b"x")
    barrier.sync([str(path) for path in paths])
    at_once = count > disk.FEW and disk._syncfs_call(str(tmp_path)) is not None
    assert (1 if at_once else count) == steps.seen.count("fsync")
    barrier.sync_all()
    barrier.close()


def test_a_barrier_tells_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    barrier = disk.Barrier(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        barrier.sync([str(tmp_path / "nothing")])
    barrier.close()


def test_odd_mount_points_are_read_as_the_kernel_spells_them() -> None:
    assert "/mnt/my disk\\é\udcff" == disk._unescaped("/mnt/my\\040disk\\134é\udcff")


def test_the_file_system_and_the_free_space_are_told(tmp_path: Path) -> None:
    assert "proc" == disk.file_system("/proc")
    assert disk.file_system(str(tmp_path))
    assert 0 < disk.free_bytes(str(tmp_path / "not" / "yet")) == disk.free_bytes(str(tmp_path))


# --- a tree that others may touch ---------------------------------------------------------------


def _fill(data: bytes) -> Callable[[int, str], None]:
    return lambda descriptor, path: disk.write(descriptor, data, path)


def test_a_tree_is_written(tmp_path: Path) -> None:
    tree = disk.Tree(tmp_path / "out")
    files = {"a": b"1", "g/b": b"2", "g/h/c": b"3", "g/d": b"4", "x/y": b"5"}
    for path, data in files.items():
        tree.write(path, _fill(data))
    tree.write("a", _fill(b"again"))
    tree.sync()
    tree.close()
    found = {
        str(file.relative_to(tmp_path / "out")): file.read_bytes()
        for file in (tmp_path / "out").rglob("*")
        if file.is_file()
    }
    assert files | {"a": b"again"} == found


def test_a_tree_never_writes_outside_of_itself(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"mine")
    root = tmp_path / "out"
    tree = disk.Tree(root)
    (root / "g").symlink_to(victim)
    (root / "up").symlink_to("..")
    (root / "file").symlink_to(victim / "file")
    for path in ("g/file", "g/new", "g/h/new", "up/new"):
        with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
            tree.write(path, _fill(b"yours"))
    # A link at the place of a file is replaced, not followed.
    tree.write("file", _fill(b"yours"))
    tree.close()
    assert b"yours" == (root / "file").read_bytes()
    assert not (root / "file").is_symlink()
    assert b"mine" == (victim / "file").read_bytes()
    assert ["file"] == listed(victim)
    assert {"out", "victim"} == set(listed(tmp_path))


def test_a_folder_swapped_for_a_link_between_two_files_leads_nowhere(tmp_path: Path) -> None:
    root, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    tree = disk.Tree(root)
    tree.write("g/a", _fill(b"1"))
    (root / "g").rename(root / "old")
    (root / "g").symlink_to(victim)
    tree.write("x/b", _fill(b"2"))
    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        tree.write("g/c", _fill(b"3"))
    tree.close()
    assert [] == listed(victim)


def test_a_fault_in_a_tree_leaves_no_half_written_file(tmp_path: Path, steps: Steps) -> None:
    root = tmp_path / "out"
    tree = disk.Tree(root)

    def check(done: bool) -> None:
        files = [file for file in root.rglob("*") if file.is_file()]
        assert [b"data"] * bool(done) == [file.read_bytes() for file in files]
        for file in files:
            file.unlink()

    assert every_fault(steps, lambda: tree.write("g/h/a", _fill(b"data")), check) >= 3
    tree.close()


def test_a_part_that_was_finished_before_its_writer_died_is_adopted_by_any_user() -> None:
    folder = tempfile.mkdtemp()
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    child = os.fork()
    if child == 0:
        # Root may write to what is read-only, so we look as somebody else.
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            part = Part.new(folder, "d")
            part.write(b"whole")
            part.finish()
            adopted = Part.adopt(folder, "d")
            good = adopted is not None and b"whole" == b"".join(map(bytes, adopted.chunks()))
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(folder)
    assert 0 == os.waitstatus_to_exitcode(status)


def test_an_adopted_part_is_read_though_its_old_writer_placed_it(staging: str) -> None:
    part = Part.new(staging, "d")
    part.write(b"whole")
    part.finish()
    adopted = Part.adopt(staging, "d")
    assert adopted is not None
    Path(part.path).rename(Path(staging, "placed"))
    assert b"whole" == b"".join(map(bytes, adopted.chunks()))
    adopted.finish()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk")
def test_a_write_that_fails_says_where():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="/the/path"):
            disk.write(descriptor, b"x", "/the/path")
    finally:
        os.close(descriptor)
