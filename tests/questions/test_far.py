"""Tables at a remote: read by ranges, every piece checked, and what nobody asked for left there."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest

import cellbank
from cellbank.cells.duck import opened
from cellbank.cells.pieces_table import KIND, LENGTH, pieces_in
from cellbank.model.errors import DigestMismatch
from cellbank.model.reference import Package
from cellbank.storage.layout import object_key
from cellbank.storage.store import Store
from tests.questions.making import fov, frame, keep, parquet, with_pieces
from tests.questions.making import tables_of as records
from tests.storage.making import served

COUNT = 40_000
ONE = "SELECT count(*), sum(passage) FROM fovs WHERE viability > 97"


class Registry(msgspec.Struct):
    """A registry that is running, and its folder."""

    folder: Path
    url: str


def _large() -> dict[str, bytes]:
    chance = random.Random(5)  # noqa: S311  not for secrets
    fovs = []
    for n in range(COUNT):
        said = {"passage": n % 50, "viability": 90 + chance.random() * 10}
        said |= {"digest": chance.randbytes(32).hex(), "kind": chance.randbytes(20).hex()}
        fovs.append(fov(n, n % 4, **said))
    made = records([])
    made["fovs"] = parquet(frame("fovs", fovs), row_group_size=10_000)
    return with_pieces(made)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Serve a registry with a package of one large table."""
    folder = tmp_path_factory.mktemp("far")
    tables = _large()
    assert KIND in tables
    assert len(tables["fovs"]) > 40 * LENGTH
    keep(folder / "lab", "lab/large", tables)
    with served(folder / "registry") as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", str(folder / "lab"))
        patch.setenv("CELLBANK_REMOTE", here.url)
        patch.setenv("CELLBANK_TOKEN", here.token or "")
        cellbank.push("lab/large")
        yield Registry(folder / "registry", here.url)


@pytest.fixture
def guest(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty store, with the registry as the remote."""
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
    return tmp_path / "guest"


def repr_of(said: object) -> str:
    return repr(said)[:60]


def held(home: Path) -> int:
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


def table_at(registry: Registry) -> tuple[Path, int]:
    """Return the file of the large table at the registry, and its size."""
    package = Package("lab", "large")
    place = Store.at(str(registry.folder))
    table = place.tables(package, place.state_of(package).record.state.latest)["fovs"]
    return registry.folder / object_key(table.digest), table.size


def test_a_question_about_one_column_brings_its_parts_only(guest: Path, registry: Registry) -> None:
    size = table_at(registry)[1]
    chance = random.Random(5)  # noqa: S311  not for secrets
    values = []
    for _ in range(COUNT):
        values.append(90 + chance.random() * 10)
        chance.randbytes(32), chance.randbytes(20)
    expected = sum(value > 97 for value in values)
    found = cellbank.query("lab/large", ONE)
    assert expected == found.rows()[0][0]
    fetched = held(guest)
    assert fetched < size / 4
    # What came is kept, so that it comes once.
    assert found == cellbank.query("lab/large", ONE)
    assert fetched == held(guest)
    assert [] == cellbank.ls()


def test_an_answer_is_the_same_as_of_the_package_installed(guest: Path) -> None:
    sql = "SELECT * FROM fovs WHERE passage = 7 ORDER BY id LIMIT 50"
    far = cellbank.query("lab/large", sql)
    cellbank.install("lab/large")
    assert far == cellbank.query("lab/large", sql)


def _piece(length: object, pieces: object, kind: object = "fovs") -> dict[str, list[object]]:
    return {"kind": [kind], "digest": ["0" * 64], "length": [length], "pieces": [pieces]}


@pytest.mark.parametrize(
    "said",
    [
        b"none",
        {"a": [1]},
        _piece(None, ["0" * 64]),
        _piece("x", ["0" * 64]),
        _piece(65_536.5, ["0" * 64]),
        _piece(65_536, [None]),
        _piece(65_536, "0" * 64),
        _piece(65_536, ["0" * 64], ["fovs"]),
        _piece(0, ["0" * 64]),
        _piece(-1, ["0" * 64]),
        _piece(7, ["0" * 64] * 400_000),
        _piece(2**62, ["0" * 64]),
    ],
    ids=repr_of,
)
def test_a_table_of_pieces_that_lies_is_passed_over(tmp_path: Path, said: object) -> None:
    file = tmp_path / "pieces.parquet"
    file.write_bytes(said if isinstance(said, bytes) else parquet(pl.DataFrame(said)))
    with opened() as database:
        assert {} == pieces_in(database, str(file))


def test_wrong_bytes_are_never_an_answer(guest: Path, registry: Registry) -> None:
    path, size = table_at(registry)
    good = path.read_bytes()
    path.chmod(0o644)
    try:
        # Somewhere in the middle, as a disk does it: some column's part.
        for at in range(LENGTH, size - LENGTH, size // 60):
            bad = bytearray(good)
            bad[at : at + 64] = bytes(64)
            path.write_bytes(bytes(bad))
            try:
                found = cellbank.query(
                    "lab/large", "SELECT md5(string_agg(fovs::VARCHAR, '' ORDER BY id)) FROM fovs"
                )
            except DigestMismatch:
                break
            raise AssertionError(f"{found} came of bytes that were changed at {at}")
    finally:
        path.write_bytes(good)
        path.chmod(0o444)


def test_a_table_without_a_list_of_pieces_is_brought_whole(
    guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {name: data for name, data in _large().items() if name != KIND}
    keep(tmp_path / "other", "lab/whole", made)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    cellbank.push("lab/whole", to=str(tmp_path / "place"))
    monkeypatch.setenv("CELLBANK_HOME", str(guest))
    found = cellbank.query("lab/whole", ONE, from_=str(tmp_path / "place"))
    assert found == cellbank.query("lab/large", ONE)
    assert held(guest) > len(made["fovs"])
    # Nobody installed it: a collection takes it.
    assert cellbank.gc().removed > 0


def test_lists_of_pieces_that_do_not_fit_are_passed_over(
    guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _large()
    made = records([fov(1, 1, passage=3)])
    keep(tmp_path / "other", "lab/stale", {**made, KIND: other[KIND]})
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    assert [(1,)] == cellbank.query("lab/stale", "SELECT count(*) FROM fovs").rows()


def test_urls_are_those_of_the_registry(guest: Path, registry: Registry) -> None:
    sql = "SELECT digest, url FROM fovs ORDER BY id LIMIT 1"
    digest, url = cellbank.query("lab/large", sql).rows()[0]
    assert f"{registry.url}/api/v1/packages/lab/large/objects/{digest}?name=fov_000.ome.tif" == url
