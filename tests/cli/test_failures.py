"""Tests of bad input: one clear message, the right exit code, and nothing has changed."""

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from cellbank.cli import failures
from cellbank.model.errors import error_classes
from tests.cli.conftest import COMMAND, fill, revision_of


def _content(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "staging" not in path.parts and "caches" not in path.parts
    }


@pytest.fixture
def unchanged(built, tmp_path):
    """Check afterwards that the store is what it was."""
    before = _content(tmp_path / "home")
    yield built
    assert before == _content(tmp_path / "home")


# --- folders


def test_a_missing_folder_is_not_found(process, unchanged):
    assert "nowhere does not exist" in process("build", unchanged, "nowhere").failed(4).err


def test_an_empty_folder_is_refused_with_the_way_out(process, unchanged, tmp_path):
    (tmp_path / "empty/inner").mkdir(parents=True)
    assert "--allow-empty" in process("build", unchanged, tmp_path / "empty").failed(2).err


def test_a_file_is_no_folder(process, unchanged, tmp_path):
    fill(tmp_path, {"file": "x"})
    process("build", unchanged, tmp_path / "file").failed(2)


def test_links_out_and_what_is_no_file_are_all_named(process, unchanged, tmp_path):
    odd = fill(tmp_path / "odd", {"good.txt": "x"})
    (odd / "out").symlink_to("/etc/passwd")
    (odd / "dangling").symlink_to("nothing")
    (odd / "up").symlink_to("..")
    os.mkfifo(odd / "fifo")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        os.chdir(odd)
        listener.bind("socket")
        refused = process("build", unchanged, odd).failed(2)
    for name in ("out", "dangling", "up", "fifo", "socket"):
        assert f"'{name}': " in refused.err
    assert "good.txt" not in refused.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_refused(process, unchanged, tmp_path):
    odd = fill(tmp_path / "odd", {"good.txt": "x"})
    try:
        os.mknod(odd / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this machine lets nobody make a device")
    assert "'null': not a file" in process("build", unchanged, odd).failed(2).err


def test_bad_paths_are_listed_up_to_twenty_with_the_way_out(process, unchanged, tmp_path):
    odd = fill(tmp_path / "odd", {f"what{n}?": "x" for n in range(25)})
    refused = process("build", unchanged, odd).failed(2)
    assert 20 == refused.err.count("the character '?'")
    assert "and 5 more" in refused.err
    assert "--fix-names" in refused.err


def test_names_that_are_no_text_are_refused_and_can_be_fixed(process, unchanged, tmp_path):
    odd = fill(tmp_path / "odd", {"good.txt": "x"})
    try:
        Path(os.fsdecode(os.fsencode(odd) + b"/\xff\xfe.txt")).write_text("x")
    except OSError:
        pytest.skip("this file system takes only text as names")
    process("build", "demo/odd", odd).failed(2)
    os.utime(os.fsencode(odd) + b"/\xff\xfe.txt", (1, 1))
    assert r"\ufffd\ufffd.txt is packaged as _.txt" in (
        process("build", "demo/odd", odd, "--fix-names").ok().err.replace("\ufffd", r"\ufffd")
    )
    process("rm", "demo/odd", "--yes").ok()


def test_a_folder_whose_own_name_is_no_text_can_be_built(process, tmp_path):
    try:
        odd = fill(Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff")), {"good.txt": "x"})
    except OSError:
        pytest.skip("this file system takes only text as names")
    process("build", "demo/odd", odd).ok()
    assert "0 files read" in process("build", "demo/odd", odd).ok().out


def test_folders_deeper_than_any_path_may_be_are_listed_like_other_bad_paths(
    process, unchanged, tmp_path
):
    folder = os.open(fill(tmp_path / "deep", {"good.txt": "x"}), os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    refused = process("build", unchanged, tmp_path / "deep").failed(2)
    assert "so deep that this system cannot open it" in refused.err
    assert "--fix-names" not in refused.err
    subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)


# --- references


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("nuclei", "owner/name"),
        ("Demo/nuclei", "'Demo' cannot be the name of an owner"),
        ("demo/nu-clei", "cannot be the name of a package"),
        ("demo/nuclei@xyz", "6 to 64 hex digits"),
        ("demo/nuclei==one", "one"),
        ("demo/nuclei/../x", "'..'"),
        ("demo/\x1b[31m", r"\x1b[31m"),
        ("", "owner/name"),
    ],
)
@pytest.mark.parametrize("command", ["install", "tree", "cat"])
def test_a_reference_that_does_not_parse_is_refused(cellbank, unchanged, command, ref, words):
    assert words in cellbank(command, ref).failed(2).err


@pytest.mark.parametrize(
    "arguments",
    [
        ["tree", "demo/nuclie"],
        ["log", "demo/nuclie"],
        ["export", "demo/nuclie", "out"],
        ["push", "demo/nuclie"],
        ["verify", "demo/nuclie"],
    ],
)
def test_a_package_that_is_not_here_is_not_found_with_near_names(cellbank, unchanged, arguments):
    assert "Did you mean demo/nuclei?" in cellbank(*arguments).failed(4).err


def test_a_package_that_is_not_there_is_not_found_with_near_names(cellbank, pushed, remote):
    result = cellbank("install", "demo/nuclie", "--from", remote)
    assert 4 == result.code
    assert "Did you mean demo/nuclei?" in result.err


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("demo/nuclei@0123456", "revision 0123456"),
        ("demo/nuclei:late", "tag late"),
        ("demo/nuclei==2.0", "version 2.0"),
        ("demo/nuclei/fov", "fovs"),
    ],
)
def test_a_state_or_path_that_is_not_there_is_not_found(cellbank, unchanged, ref, words):
    assert words in cellbank("tree", ref).failed(4).err


def test_an_ambiguous_revision_lists_the_candidates(cellbank, built, tmp_path, images):
    store = tmp_path / "home"
    installed = store / "pkgs/demo/nuclei"
    revision = revision_of(cellbank, built)
    other = revision[:10] + ("0" * 54 if revision[10] != "0" else "1" * 54)
    text = installed.read_text()
    assert '"earlier":[]' in text or '"earlier"' not in text
    import msgspec

    from cellbank.model.want import decode_installed, encode_installed

    found = decode_installed(text.encode(), "x")
    installed.write_bytes(encode_installed(msgspec.structs.replace(found, earlier=[other])))
    refused = cellbank("tree", f"{built}@{revision[:8]}").failed(2)
    assert f"{built}@{revision[:16]}" in refused.err
    assert f"{built}@{other[:16]}" in refused.err


# --- remotes


def test_no_remote_at_all_says_how_to_name_one(cellbank, unchanged):
    assert "--to or --from" in cellbank("push", unchanged).failed(4).err


def test_a_remote_that_is_not_there_is_not_found(cellbank, unchanged):
    refused = cellbank("install", unchanged, "--from", "/nowhere/at/all").failed(4)
    assert "there is no remote at /nowhere/at/all" in refused.err
    assert "no remote 'lab' is known" in cellbank("ls", "--from", "lab").failed(4).err


def test_a_registry_that_is_not_there_is_a_network_error(cellbank, unchanged):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    refused = cellbank("ls", "--from", f"http://127.0.0.1:{port}").failed(6)
    assert f"127.0.0.1:{port}" in refused.err


def test_a_store_of_a_newer_format_is_left_alone(cellbank, unchanged, tmp_path):
    path = tmp_path / "home/format.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"format":1', b'"format":2'))
    try:
        assert "newer cellbank" in cellbank("ls").failed(7).err
    finally:
        path.write_bytes(before)


def test_a_remote_of_a_newer_format_is_left_alone(cellbank, pushed, remote):
    path = remote / "format.json"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    result = cellbank("install", pushed)
    assert 7 == result.code
    assert "newer cellbank" in result.err


# --- the disk


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk can only be made by root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be made here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_too_small_is_told_before_the_first_byte(process, small_disk, tmp_path):
    fill(tmp_path / "much", {"large.bin": bytes(3_000_000)})
    home = {"CELLBANK_HOME": str(small_disk / "home")}
    refused = process("build", "demo/much", tmp_path / "much", env=home).failed(7)
    assert "3000000 bytes needed" in refused.err
    assert "bytes free" in refused.err
    assert [] == process("ls", "--json", env=home).ok().json


def test_a_small_disk_cannot_be_installed_on(process, small_disk, tmp_path, remote):
    fill(tmp_path / "much", {"large.bin": bytes(3_000_000)})
    process("build", "demo/much", tmp_path / "much").ok()
    process("push", "demo/much", "--to", remote).ok()
    home = {"CELLBANK_HOME": str(small_disk / "home")}
    result = process("install", "demo/much", "--from", remote, env=home)
    assert 7 == result.code
    assert "bytes needed" in result.err


def test_stdout_that_is_full_is_a_disk_error(built, clean_env):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "tree", built],
            env=clean_env,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert 7 == done.returncode
    assert done.stderr.startswith(b"cellbank: standard output: no space left")


def test_a_reader_that_goes_away_ends_the_command_quietly(built, clean_env):
    with subprocess.Popen(
        [COMMAND, "tree", built], env=clean_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        error = running.stderr.read()
    assert (failures.BROKEN_PIPE, b"") == (running.returncode, error)


def test_closed_streams_do_no_harm(built, clean_env):
    line = f"'{COMMAND}' tree {built} <&- >&- 2>&-"
    assert 0 == subprocess.run(["sh", "-c", line], env=clean_env, check=False).returncode


def test_odd_characters_can_be_written_where_only_ascii_can(process, built):
    result = process("tree", built, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}).ok()
    assert r"\u251c" in result.out


def test_json_can_be_read_where_only_ascii_can_be_written(process, tmp_path):
    process("build", "demo/odd", fill(tmp_path / "odd", {"\u00e9\U0001f52c.txt": "x"})).ok()
    result = process("tree", "demo/odd", "--json", env={"PYTHONIOENCODING": "ascii"}).ok()
    assert ["\u00e9\U0001f52c.txt"] == [child["name"] for child in result.json["children"]]


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_within_two_seconds_whatever_is_waited_for(clean_env, number):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(20)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with subprocess.Popen(
            [COMMAND, "ls", "--from", url],
            env=clean_env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as running:
            # It has asked, and nobody will answer.
            silent, _ = listener.accept()
            silent.recv(10)
            start = time.monotonic()
            running.send_signal(number)
            out, error = running.communicate(timeout=10)
            silent.close()
    assert 2 > time.monotonic() - start
    assert (130, b"") == (running.returncode, out)
    assert error.startswith(b"cellbank: stopped\n  ")


def test_a_command_that_does_not_react_is_ended():
    code = (
        "import signal, time\nfrom cellbank.cli import stopping\n"
        "stopping.PATIENCE_SECONDS = 0.1\nstopping.Stopper().start()\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=10)
    assert 130 == running.returncode
    assert error.startswith(b"cellbank: stopped\n")


def test_a_signal_while_modules_are_imported_is_told_like_any_other():
    code = (
        "import os, signal, sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Late())\n"
        "from cellbank.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "ls"], check=False, capture_output=True, timeout=20
    )
    assert 130 == done.returncode
    assert done.stderr.startswith(b"cellbank: stopped\n")


# --- the one place


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), 7, "/a/b: no space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a"), 7, "quota"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 7, "/a: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", b"/a"), 7, "/a: the file system is read"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a"), 7, "/a: no such"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 6, "connection reset"),
        (TimeoutError("timed out"), 6, "timed out"),
        (KeyboardInterrupt(), 130, "stopped"),
        (click.Abort(), 130, "stopped"),
        (click.UsageError("no such\noption"), 2, "no such option"),
        (ZeroDivisionError("x\n\x1b[31m"), 70, r"unexpected error: ZeroDivisionError: x"),
        (RecursionError(), 70, "CELLBANK_DEBUG=1"),
    ],
)
def test_errors_of_others_get_a_code_and_words(capsys, error, code, words):
    assert code == failures.report(error)
    said = capsys.readouterr().err
    assert words in said
    assert "\x1b" not in said
    assert "Traceback" not in said


def test_every_error_of_ours_ends_with_its_own_code():
    classes = error_classes().values()
    assert {2, 3, 4, 5, 6, 7, 8, 130} == {found.exit_code for found in classes}


def test_debugging_shows_the_whole_without_the_token(capsys, monkeypatch):
    monkeypatch.setenv("CELLBANK_DEBUG", "1")
    monkeypatch.setenv("CELLBANK_TOKEN", "cbk_secret")
    try:
        raise RuntimeError("with cbk_secret in it")
    except RuntimeError as error:
        failures.report(error)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "cbk_secret" not in said
    assert "with *** in it" in said
