"""Questions as people ask them: of packages installed, borrowed, far away, and of two revisions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import cellbank
from cellbank.api import Answer
from cellbank.model.errors import AttributeNotFound, BadInput, NotFound, PackageNotFound
from tests.family import PACKAGE, Family, home
from tests.storage.making import Served, served

WHERE = "gene = 'TJP1' and cell_viability > 98"
FIELD = "fov_00dde0c979ef45949337220524ccfec5"


@pytest.fixture(scope="module")
def registry(family: Family) -> Iterator[Served]:
    with served(family.registry) as here:
        yield here


@pytest.fixture
def guest(registry: Served, tmp_path: Path) -> Iterator[Path]:
    """Work in an empty store, with the family's registry as the remote."""
    with home(tmp_path / "guest", registry):
        yield tmp_path / "guest"


def test_a_package_that_was_never_installed_can_be_asked(guest: Path) -> None:
    answer = cellbank.query(PACKAGE, where=WHERE, columns=["id", "passage"])
    assert [(FIELD, 36)] == answer.rows()
    assert [] == cellbank.ls()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM fovs ORDER BY id",
        "SELECT gene, line, count(*) FROM fovs_full GROUP BY ALL ORDER BY ALL",
        "SELECT path, digest, size, type, filename, meta FROM entries ORDER BY path",
        "SELECT wells.id, len(fovs) FROM wells ORDER BY 1",
    ],
)
def test_the_answer_is_the_same_wherever_the_package_is(guest: Path, sql: str) -> None:
    far = cellbank.query(PACKAGE, sql)
    assert len(far) > 0
    cellbank.install(PACKAGE, metadata_only=True)
    assert far == cellbank.query(PACKAGE, sql)
    cellbank.install(PACKAGE)
    assert far == cellbank.query(PACKAGE, sql)


def test_a_borrowed_store_is_asked_where_it_is(
    guest: Path, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CELLBANK_PATH", str(family.reader))
        patch.setenv("CELLBANK_REMOTE", "http://127.0.0.1:1")
        assert 1 == len(cellbank.query(PACKAGE, where=WHERE))


def test_all_packages_of_an_owner_are_asked_at_once(guest: Path) -> None:
    counts = dict(
        cellbank.query("aics/aics_*", "SELECT package, count(*) FROM fovs GROUP BY 1").rows()
    )
    assert len(counts) > 5
    whole = dict(
        cellbank.query("aics/cell_lines", "SELECT line, count(*) FROM fovs_full GROUP BY 1").rows()
    )
    assert {
        f"aics/{line.lower().replace('-', '_')}": count for line, count in whole.items()
    } == counts
    with pytest.raises(PackageNotFound):
        cellbank.query("aics/none_*", "SELECT 1")


def test_a_package_that_nobody_has_is_told(guest: Path) -> None:
    with pytest.raises(PackageNotFound):
        cellbank.query("aics/aics_32", "SELECT 1")


def test_what_changed_between_revisions_is_told_by_attribute(guest: Path) -> None:
    new, old = [event.revision for event in cellbank.log(PACKAGE)]
    found = cellbank.diff_records(f"{PACKAGE}@{old[:12]}", f"{PACKAGE}@{new[:12]}")
    assert ({}, {}) == (found.added, found.removed)
    changes = {(record.kind, record.id): record.changes for record in found.changed}
    well = ("wells", "plate_3500001464_well_E6")
    assert {well, ("fovs", FIELD)} == {*changes}
    assert [("passage", 63, 36)] == [(c.attribute, c.old, c.new) for c in changes[well]]
    only = cellbank.diff_records(f"{PACKAGE}@{old[:12]}", f"{PACKAGE}@{new[:12]}", kind="well")
    assert ["wells"] == [record.kind for record in only.changed]
    assert not cellbank.diff_records(PACKAGE, f"{PACKAGE}:latest")


def test_an_earlier_revision_in_the_store_has_its_tables_from_the_remote(guest: Path) -> None:
    old = cellbank.log(PACKAGE)[-1].revision
    cellbank.install(f"{PACKAGE}@{old}")
    cellbank.install(PACKAGE)
    sql = "SELECT passage FROM wells WHERE id = 'plate_3500001464_well_E6'"
    assert [(63,)] == cellbank.query(f"{PACKAGE}@{old[:12]}", sql).rows()
    assert [(36,)] == cellbank.query(PACKAGE, sql).rows()


def test_packages_that_differ_have_records_added_and_removed(guest: Path) -> None:
    found = cellbank.diff_records(PACKAGE, "aics/aics_10")
    assert ["line_AICS_10"] == found.added["lines"]
    assert ["line_AICS_23"] == found.removed["lines"]
    back = cellbank.diff_records("aics/aics_10", PACKAGE)
    assert (found.added, found.removed) == (back.removed, back.added)


def test_packages_without_records_cannot_be_compared_by_them(guest: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a")
    cellbank.build("lab/files", tmp_path / "files")
    with pytest.raises(NotFound, match="cellbank diff lab/files aics/aics_23"):
        cellbank.diff_records("lab/files", PACKAGE)


def test_nodes_stand_for_their_packages(guest: Path) -> None:
    far = cellbank.load(PACKAGE)
    answer = cellbank.query(far, where=WHERE)
    assert [] == cellbank.ls()
    cellbank.install(PACKAGE, metadata_only=True)
    near = cellbank.load(PACKAGE)
    assert answer == cellbank.query(near, where=WHERE) == cellbank.query(PACKAGE, where=WHERE)
    whole = cellbank.table(PACKAGE, "fovs")
    for table in (cellbank.table(far, "fovs"), cellbank.table(near.fovs)):
        assert whole.equals(table)
    for wrong in (near.fovs, near[f"fovs/{FIELD}/info/load"], 3):
        with pytest.raises(BadInput, match=r"is no package\. Name it"):
            cellbank.query(wrong, where=WHERE)


@pytest.mark.parametrize("as_", ["pandas", "polars"])
def test_a_table_is_the_same_installed_or_not(guest: Path, as_: str) -> None:
    far = cellbank.table(PACKAGE, "fovs", as_=as_)
    some = cellbank.table(f"{PACKAGE}/wells", as_=as_, columns=["passage", "channels"])
    for column in ("pasage", "gene"):
        with pytest.raises(AttributeNotFound, match=f"the table of fovs has no {column}"):
            cellbank.table(PACKAGE, "fov", as_=as_, columns=[column])
    cellbank.install(PACKAGE, metadata_only=True)
    near = cellbank.table(PACKAGE, "fovs", as_=as_)
    assert far.equals(near)
    for column in ("pasage", "gene"):
        with pytest.raises(AttributeNotFound, match=f"the table of fovs has no {column}"):
            cellbank.table(PACKAGE, "fovs", as_=as_, columns=[column])
    assert [*far.columns] == [*near.columns]
    assert some.equals(cellbank.table(f"{PACKAGE}/wells", as_=as_, columns=["passage", "channels"]))
    with pytest.raises(BadInput):
        cellbank.table(PACKAGE, "fovs", as_="spreadsheet")


def test_description_has_what_schema_says(guest: Path) -> None:
    answer = cellbank.query(PACKAGE, describe=True, kind="fovs")
    assert isinstance(answer, Answer)
    viability = next(row for row in answer if row["name"] == "cell_viability")
    assert ("fovs", "DOUBLE", "%", 1.0) == tuple(
        viability[name] for name in ("table", "type", "unit", "known")
    )
    assert "97.4 … 98.8" == viability["examples"]
    assert "share of living cells at seeding" == viability["description"]
    lines = {row["name"]: row for row in cellbank.query(PACKAGE, describe=True, kind="lines")}
    gene = lines["edits.gene"]
    assert (1.0, "TJP1") == (gene["known"], gene["examples"])
    assert "dye or light that the channel shows" in {row["description"] for row in answer}
