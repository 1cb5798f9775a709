"""Packages of which only the metadata is here: the rest comes when it is loaded, or read."""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
import tifffile
from blake3 import blake3

import cellbank
from cellbank.api import DataNode, PackageNode
from cellbank.model.errors import (
    CellbankError,
    Damaged,
    DigestMismatch,
    DiskFull,
    NetworkError,
    NotFetched,
    RemoteNotFound,
    Unreachable,
)
from cellbank.model.progress import Progress
from cellbank.model.watching import watched_by
from cellbank.storage import disk, http_client
from tests.family import home
from tests.storage.lying import Ask, Rule, between
from tests.storage.making import Served, served

MIB = 1 << 20
MIDDLE = blake3(b"middle").digest(3 * MIB)
LONG = blake3(b"long").digest(64 * MIB)
FILES = {
    "README.md": b"# cells",
    "fovs/a/info.json": b'{"n": 1}',
    "fovs/a/image.tif": MIDDLE,
    "fovs/a/mask.tif": blake3(b"mask").digest(4000),
    "fovs/b/info.json": b'{"n": 2}',
    "fovs/b/image.tif": LONG,
}


class Lab:
    """A registry with a package, a proxy that counts what it sends, and a guest's store."""

    def __init__(self, root: Path, registry: Served) -> None:
        self.root = root
        self.registry = registry
        self.rule: Rule = lambda _: "pass"
        self.asks: list[Ask] = []
        self.moved = 0

    def note(self, ask: Ask) -> str:
        self.asks.append(ask)
        return self.rule(ask)

    def count(self, size: int) -> None:
        self.moved += size

    def object_file(self, node: DataNode) -> Path:
        return self.root / "registry" / "objects" / node.digest[:2] / node.digest


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    root = tmp_path_factory.mktemp("lab")
    for path, data in FILES.items():
        (root / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "files" / path).write_bytes(data)
    with served(root / "registry") as registry, home(root / "lab", registry):
        cellbank.build("lab/cells", root / "files")
        cellbank.push("lab/cells", to=registry.url, public=True)
        yield root, registry


@pytest.fixture
def lab(registry, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.001)
    lab = Lab(*registry)
    with between(lab.registry.url, lab.note, lab.count) as address:
        cellbank.install("lab/cells", from_=address, metadata_only=True)
        lab.asks.clear()
        lab.moved = 0
        yield lab


@pytest.fixture
def cells(lab: Lab) -> PackageNode:
    return cellbank.load("lab/cells")  # type: ignore[return-value]


def test_only_documents_are_here(cells: PackageNode, lab: Lab) -> None:
    here = {path: cells[path].fetched for path in FILES}
    assert {path: path.endswith((".md", ".json")) for path in FILES} == here
    assert {"n": 1} == json.loads(cells.fovs.a.info_json.bytes())
    assert ["image.tif", "info.json", "mask.tif"] == cells.fovs.a._data_keys()
    assert [] == lab.asks


CALLS: dict[str, Callable[[DataNode], bytes]] = {
    "node()": lambda node: Path(node()).read_bytes(),
    "node.path": lambda node: Path(node.path).read_bytes(),
    "node.bytes()": lambda node: node.bytes(),
    "node.named_path": lambda node: Path(node.named_path).read_bytes(),
    "os.fspath(node)": lambda node: Path(os.fspath(node)).read_bytes(),
}


@pytest.mark.parametrize(
    ("call", "path"),
    [
        *((call, path) for call in CALLS for path in ("fovs/a/image.tif", "fovs/a/mask.tif")),
        ("node()", "fovs/b/image.tif"),
    ],
)
def test_what_is_loaded_is_fetched_whole_and_stays(
    cells: PackageNode, lab: Lab, call: str, path: str
) -> None:
    assert FILES[path] == CALLS[call](cells[path])
    assert cells[path].fetched
    assert len(FILES[path]) <= lab.moved <= len(FILES[path]) + 100_000
    lab.rule = lambda _: "lose the answer"
    asks = len(lab.asks)
    for again in CALLS.values():
        assert FILES[path] == again(cells[path])
    with cells[path].open() as file:
        assert FILES[path] == file.read()
    assert asks == len(lab.asks)
    assert cellbank.verify("lab/cells").good
    assert "metadata" == cellbank.ls()[0].want


def test_an_import_and_a_pickle_fetch_too(lab: Lab) -> None:
    from cellbank.data.lab import cells

    node = pickle.loads(pickle.dumps(cells.fovs.a.image_tif))  # noqa: S301  our own
    assert not node.fetched
    assert MIDDLE[:100] == node.open().read(100)
    assert MIDDLE == Path(node()).read_bytes()


def test_another_process_fetches_what_it_is_given(cells: PackageNode) -> None:
    code = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer).bytes()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(cells.fovs.a.mask_tif),
        capture_output=True,
        check=True,
    )
    assert len(FILES["fovs/a/mask.tif"]) == int(done.stdout)
    assert cells.fovs.a.mask_tif.fetched


def test_a_child_of_this_process_has_connections_of_its_own(cells: PackageNode) -> None:
    with cells.fovs.b.image_tif.open() as file:
        file.read(1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if cells.fovs.a.mask_tif.bytes() == FILES["fovs/a/mask.tif"] else 2
        finally:
            os._exit(code)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_reading_1_mb_of_64_moves_no_more_than_3(cells: PackageNode, lab: Lab) -> None:
    node = cells.fovs.b.image_tif
    with node.open() as file:
        assert LONG[:16] == file.read(16)
        file.seek(30 * MIB)
        assert LONG[30 * MIB : 31 * MIB] == file.read(MIB)
        assert "lab/cells/fovs/b/image.tif" == file.name
    assert 2 * MIB <= lab.moved <= 3_000_000
    assert not node.fetched
    with node.open() as file:
        file.seek(30 * MIB)
        file.read(MIB)
    assert lab.moved <= 3_000_000


def test_a_plane_of_a_tiff_is_read_from_afar(
    registry, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = numpy.arange(40 * 512 * 512, dtype="uint16").reshape(40, 512, 512)
    (tmp_path / "files").mkdir()
    tifffile.imwrite(tmp_path / "files" / "stack.tif", stack)
    monkeypatch.setenv("CELLBANK_TOKEN", registry[1].token or "")
    cellbank.build("lab/stacks", tmp_path / "files")
    cellbank.push("lab/stacks", to=registry[1].url, public=True)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    moved: list[int] = []
    with between(registry[1].url, lambda _: "pass", moved.append) as address:
        cellbank.install("lab/stacks", from_=address, metadata_only=True)
        moved.clear()
        node = cellbank.load("lab/stacks/stack.tif")
        with tifffile.TiffFile(node.open()) as file:
            assert (stack[17] == file.pages[17].asarray()).all()
        assert sum(moved) <= 5_000_000
        with tifffile.TiffFile(node.open()) as file:
            assert (stack == file.asarray()).all()


def test_a_file_of_a_group_is_read_by_its_path(cells: PackageNode) -> None:
    assert b'{"n": 1}' == cells.fovs._read_file("a/info.json")
    assert MIDDLE == cells.fovs.a._read_file("image.tif")
    assert FILES["fovs/a/mask.tif"] == cells._read_file("fovs/a/mask.tif")
    assert [None] * 3 == [cells.fovs._read_file(path) for path in ("a", "a/image", "../README.md")]
    assert not cells.fovs.a.image_tif.fetched


def test_many_threads_load_and_read_at_once(cells: PackageNode) -> None:
    def work(number: int) -> bool:
        path = sorted(FILES)[number % len(FILES)]
        node = cells[path]
        if number % 3:
            return node.bytes() == FILES[path]
        with node.open() as file:
            file.seek(number * 1000)
            return file.read(5000) == FILES[path][number * 1000 :][:5000]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(48)))
    assert cellbank.verify().good


def test_the_watcher_of_this_place_hears_of_it(cells: PackageNode) -> None:
    told: list[object] = []
    with watched_by(told.append):
        cells.fovs.a.image_tif()
    assert Progress("download", len(MIDDLE), len(MIDDLE)) == told[-1]


# --- what goes wrong


def test_bytes_that_are_wrong_are_never_given_out(cells: PackageNode, lab: Lab) -> None:
    node = cells.fovs.a.image_tif
    file = lab.object_file(node)
    file.chmod(0o644)
    file.write_bytes(MIDDLE[:-1] + b"?")
    try:
        for call in (*CALLS.values(), lambda node: node.open().read(5)):
            with pytest.raises(DigestMismatch, match=r"lab/cells/fovs/a/image\.tif"):
                call(node)
        assert not node.fetched
        assert cellbank.verify().good
    finally:
        file.write_bytes(MIDDLE)
    assert MIDDLE == node.bytes()


def test_a_remote_that_cannot_be_reached_is_told_and_nothing_is_damaged(
    cells: PackageNode, lab: Lab
) -> None:
    lab.rule = lambda _: "lose the answer"
    for call in (*CALLS.values(), lambda node: node.open().read(5)):
        for path in ("fovs/a/image.tif", "fovs/a/mask.tif"):
            with pytest.raises(Unreachable):
                call(cells[path])
    assert b"# cells" == cells.README_md.bytes()
    assert cellbank.verify().good
    lab.rule = lambda _: "pass"
    assert MIDDLE == cells.fovs.a.image_tif.bytes()


def test_a_connection_that_breaks_off_goes_on_where_it_broke(cells: PackageNode, lab: Lab) -> None:
    seen: list[str] = []

    def rule(ask: Ask) -> str:
        seen.append(ask.headers.get("range", ""))
        return "cut the answer" if len(seen) == 1 else "pass"

    lab.rule = rule
    assert MIDDLE == Path(cells.fovs.a.image_tif()).read_bytes()
    assert ["", "bytes="] == [said[:6] for said in seen]
    assert lab.moved < 1.6 * len(MIDDLE) + 100_000


def test_an_object_that_the_registry_lost_is_damage(cells: PackageNode, lab: Lab) -> None:
    node = cells.fovs.a.image_tif
    file = lab.object_file(node)
    file.rename(file.with_suffix(".away"))
    try:
        for call in (*CALLS.values(), lambda node: node.open().read(5)):
            with pytest.raises(Damaged, match="does not give the object"):
                call(node)
    finally:
        file.with_suffix(".away").rename(file)


def test_a_full_disk_is_told_before_the_first_byte(
    cells: PackageNode, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1000)
    with pytest.raises(DiskFull):
        cells.fovs.a.image_tif()
    assert [] == lab.asks
    assert MIDDLE[:5] == cells.fovs.a.image_tif.open().read(5)


def test_a_cache_that_cannot_be_written_to_is_no_hindrance(
    cells: PackageNode, own_home: Path
) -> None:
    (own_home / "caches").mkdir(exist_ok=True)
    (own_home / "caches" / "recent").write_text("in the way")
    with cells.fovs.b.image_tif.open() as file:
        file.seek(9 * MIB)
        assert LONG[9 * MIB : 9 * MIB + 5] == file.read(5)


def test_the_token_of_another_registry_is_not_sent(
    cells: PackageNode, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLBANK_TOKEN", "cbk_of-elsewhere")
    monkeypatch.setenv("CELLBANK_REMOTE", "https://elsewhere.example")
    cells.fovs.a.mask_tif()
    assert ["authorization" in ask.headers for ask in lab.asks] == [False] * len(lab.asks)


KILLED = """
import os, signal, sys
import cellbank
from cellbank.model.watching import hand_down

def watch(event):
    if event.done > 20_000_000:
        os.kill(os.getpid(), signal.SIGKILL)

hand_down(lambda: watch)
cellbank.load("lab/cells/fovs/b/image.tif")()
"""


def test_a_process_killed_in_the_middle_leaves_a_part_that_the_next_goes_on_with(
    cells: PackageNode, lab: Lab
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert -signal.SIGKILL == done.returncode
    node = cells.fovs.b.image_tif
    assert not node.fetched
    assert cellbank.verify().good
    lab.moved = 0
    lab.asks.clear()
    assert Path(node()).read_bytes() == LONG
    assert lab.moved < 50_000_000
    assert lab.asks[-1].headers["range"].startswith("bytes=")


def test_ctrl_c_while_reading_leaves_a_file_that_can_be_read(cells: PackageNode, lab: Lab) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def rule(_: Ask) -> str:
        asked.set()
        go_on.wait(20)
        return "pass"

    with cells.fovs.b.image_tif.open() as file:
        file.read(1)
        lab.rule = rule

        def interrupt() -> None:
            asked.wait(20)
            os.kill(os.getpid(), signal.SIGINT)

        helper = threading.Thread(target=interrupt)
        helper.start()
        file.seek(40 * MIB)
        with pytest.raises(KeyboardInterrupt):
            file.read(10)
        helper.join()
        go_on.set()
        lab.rule = lambda _: "pass"
        assert LONG[40 * MIB : 40 * MIB + 10] == file.read(10)


# --- folders and buckets


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Push a package to a folder or bucket; go on in the store of a guest."""

    def push(address: str) -> None:
        for path, data in FILES.items():
            (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "files" / path).write_bytes(data[: 9 * MIB])
        monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "lab"))
        cellbank.build("lab/cells", tmp_path / "files")
        cellbank.push("lab/cells", to=address)
        monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))

    return push


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_folders_and_buckets_are_read_in_the_same_way(
    publish: Callable[[str], None], tmp_path: Path, scheme: str
) -> None:
    address = f"{scheme}{tmp_path}/remote"
    publish(address)
    cellbank.install("lab/cells", from_=address, metadata_only=True)
    cells = cellbank.load("lab/cells")
    files = {path: data[: 9 * MIB] for path, data in FILES.items()}
    for path, data in files.items():
        with cells[path].open() as file:
            file.seek(len(data) // 2)
            assert data[len(data) // 2 :][:1000] == file.read(1000)
    assert not cells.fovs.b.image_tif.fetched
    assert files == {path: cells[path].bytes() for path in files}
    assert all(cells[path].fetched for path in files)
    if not scheme:
        Path(address).rename(tmp_path / "away")
    assert files == {path: cells[path].bytes() for path in files}


def test_a_folder_that_is_gone_is_told(publish: Callable[[str], None], tmp_path: Path) -> None:
    address = str(tmp_path / "remote")
    publish(address)
    cellbank.install("lab/cells", from_=address, metadata_only=True)
    Path(address).rename(tmp_path / "away")
    node = cellbank.load("lab/cells/fovs/a/image.tif")
    for call in (*CALLS.values(), lambda node: node.open().read(5)):
        with pytest.raises(RemoteNotFound, match=address):
            call(node)
    assert cellbank.verify().good


def test_what_was_installed_in_part_is_not_fetched(
    publish: Callable[[str], None], tmp_path: Path
) -> None:
    publish(str(tmp_path / "remote"))
    cellbank.install("lab/cells/fovs/a", from_=str(tmp_path / "remote"))
    node = cellbank.load("lab/cells/fovs/b/image.tif")
    for call in (*CALLS.values(), lambda node: node.open()):
        with pytest.raises(NotFetched, match=r"cellbank install lab/cells/fovs/b/image\.tif"):
            call(node)


@pytest.mark.parametrize("path", ["fovs/a/image.tif", "fovs/a/mask.tif"])
def test_any_step_of_the_disk_may_fail_and_the_same_call_goes_on(
    publish: Callable[[str], None], tmp_path: Path, path: str
) -> None:
    publish(str(tmp_path / "remote"))
    cellbank.install("lab/cells", from_=str(tmp_path / "remote"), metadata_only=True)
    shutil.copytree(tmp_path / "guest", tmp_path / "base", symlinks=True)
    step, last, failed = 0, 0, 0

    def fail(kind: str, where: str) -> None:
        nonlocal step
        step += 1
        if step == last:
            raise OSError(errno.EIO, f"made to fail ({kind})", where)

    while step >= last:
        shutil.rmtree(tmp_path / "guest")
        shutil.copytree(tmp_path / "base", tmp_path / "guest", symlinks=True)
        step, last = 0, last + 1
        node = cellbank.load(f"lab/cells/{path}")
        disk.fault = fail
        try:
            node()
        except OSError:
            failed += 1
        finally:
            disk.fault = None
        assert cellbank.verify().good
        assert FILES[path] == Path(node()).read_bytes()
    assert failed >= 5


def test_many_small_entries_are_kept_in_few_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").mkdir()
    for number in range(80):
        (tmp_path / "files" / f"{number}.tif").write_bytes(b"%d" % number)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "lab"))
    cellbank.build("lab/masks", tmp_path / "files")
    cellbank.push("lab/masks", to=str(tmp_path / "remote"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install("lab/masks", from_=str(tmp_path / "remote"), metadata_only=True)
    masks = cellbank.load("lab/masks")
    assert [f"{n}".encode() for n in range(80)] == [masks[f"{n}.tif"].bytes() for n in range(80)]
    assert len(list((tmp_path / "guest/packages/lab/masks/packs").iterdir())) <= 36
    assert cellbank.verify().good


@pytest.mark.parametrize("error", [OSError, CellbankError, NetworkError])
def test_the_errors_are_of_kinds_that_people_catch(
    error: type[Exception], cells: PackageNode, lab: Lab
) -> None:
    lab.rule = lambda _: "lose the answer"
    with pytest.raises(error):
        cells.fovs.a.image_tif()
