"""Tables of records: value by value what the documents say, in both kinds of frames."""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import cellbank
from cellbank.cells import frames, table
from cellbank.cells.kinds import GROUPS
from cellbank.model.errors import AttributeNotFound, BadInput
from cellbank.packages.nodes import PackageNode
from tests.cells.lab import FOVS, Lab
from tests.family import Family


@pytest.fixture
def sample(family: Family, monkeypatch: pytest.MonkeyPatch) -> PackageNode:
    """Return all lines of the sample."""
    monkeypatch.setenv("CELLBANK_HOME", str(family.lab))
    return cellbank.load("aics/cell_lines")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return a tiny lab whose family is built, one for all tests here."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.build()
    return made


@pytest.fixture
def lab(built: Lab) -> Iterator[Lab]:
    """Return the lab in whose store the test works."""
    with built.at_home():
        yield built


def plain(value: Any) -> Any:
    """Return what a frame holds as a document would say it; days as days."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, pd.Timestamp):
        return value.date()
    return None if pd.isna(value) else value


def rows_of(frame: Any) -> dict[str, dict[str, Any]]:
    """Return id → the values of a row, whichever frame it is."""
    if isinstance(frame, pl.DataFrame):
        return {row.pop("id"): plain(row) for row in frame.to_dicts()}
    return {
        name: {column: plain(frame[column].iloc[at]) for column in frame.columns}
        for at, name in enumerate(frame.index)
    }


def documents(package: PackageNode, group: str) -> dict[str, dict[str, Any]]:
    """Return id → what documents and entries say."""
    found = {}
    for node in package[group]:
        info = json.loads(node.info.load.bytes())
        if info.get("seed_date"):
            month, day, year = map(int, info["seed_date"].split("/"))
            info["seed_date"] = dt.date(year, month, day)
        if GROUPS[group].image:
            entry = node.image.load.entry if "image" in node else None
            for name in ("path", "digest", "size"):
                info[name] = getattr(entry, name) if entry else None
        found[node._path.rpartition("/")[2]] = info
    return found


@pytest.mark.parametrize("as_", ["pandas", "polars"])
@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_table_says_what_the_documents_say(sample: PackageNode, group: str, as_: Any) -> None:
    expected = documents(sample, group)
    assert len(expected) > 1
    found = rows_of(table(sample[group], as_=as_))
    assert expected == found
    assert sorted(expected) == list(found)


@pytest.mark.parametrize("as_", ["pandas", "polars"])
@pytest.mark.parametrize("group", ["fovs", "lines", "wells"])
def test_without_a_metadata_table_the_documents_give_the_same_frame(
    lab: Lab, tmp_path: Path, group: str, as_: Any
) -> None:
    package = cellbank.load("aics/cell_lines")
    from_table = table(package[group], as_=as_)
    from_documents = table(bare(package, tmp_path)[group], as_=as_)
    if as_ == "polars":
        assert from_table.equals(from_documents)
        assert from_table.schema == from_documents.schema
    else:
        pd.testing.assert_frame_equal(from_table, from_documents)


def bare(package: PackageNode, tmp_path: Path) -> PackageNode:
    """Return a package of the same entries that no recipe made: it has no metadata tables."""
    for entry in package._view.reader:
        file = tmp_path / "bare" / entry.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(package[entry.path].bytes())
    cellbank.build("demo/bare", tmp_path / "bare")
    made = cellbank.load("demo/bare")
    assert {} == made._view.store.tables(made._view.package, made._revision)
    assert package._view.store.tables(package._view.package, package._revision)
    return made


def test_integers_stay_integers_where_some_are_not_known(lab: Lab) -> None:
    package = cellbank.load("aics/cell_lines")
    wells = table(package.wells)
    assert "Int64" == str(wells.passage.dtype)
    assert [33, 41] == sorted(wells.passage.dropna().tolist())
    assert 1 == wells.passage.isna().sum()
    assert "datetime64[s]" == str(wells.seed_date.dtype)
    assert pd.Timestamp(2017, 10, 16) == wells.seed_date["plate_3500001464_well_E6"]
    assert "boolean" == str(wells.has_controls.dtype)
    assert [97.0] == wells.cell_viability[wells.passage > 40].tolist()
    frame = table(package.wells, as_="polars")
    assert (pl.Int64, pl.Date, pl.List(pl.Int64)) == (
        frame.schema["passage"],
        frame.schema["seed_date"],
        frame.schema["colony_ids"],
    )


def test_lists_and_structs_stay_what_they_are(lab: Lab) -> None:
    package = cellbank.load("aics/cell_lines")
    line = table(package.lines).loc["line_AICS_23"]
    assert [{"gene": "TJP1", "fluorescent_protein": "mEGFP"}] == [
        {name: edit[name] for name in ("gene", "fluorescent_protein")} for edit in line.edits
    ]
    assert [f"fov_{FOVS[0]}", f"fov_{FOVS[1]}"] == line.fovs
    genes = table(package.lines, as_="polars").explode("edits").unnest("edits")["gene"]
    assert ["SEC61B", "TJP1"] == sorted(genes.to_list())


def test_ids_are_the_index_or_a_column(lab: Lab) -> None:
    package = cellbank.load("aics/cell_lines")
    ids = [f"fov_{fov}" for fov in FOVS]
    assert ids == table(package.fovs).index.tolist()
    assert "id" == table(package.fovs).index.name
    assert ids == table(package.fovs, as_="polars")["id"].to_list()


def test_a_package_with_a_kind_is_the_same(lab: Lab) -> None:
    package = cellbank.load("aics/cell_lines")
    for given in ((package.fovs,), (package, "fovs"), (package, "fov"), (package.fovs, "fov")):
        assert table(package.fovs).equals(table(*given))


@pytest.mark.parametrize("as_", ["pandas", "polars"])
def test_columns_are_chosen_in_their_order(lab: Lab, tmp_path: Path, as_: Any) -> None:
    package = cellbank.load("aics/cell_lines")
    for one in (package, bare(package, tmp_path)):
        frame = table(one.fovs, as_=as_, columns=["passage", "id", "clone"])
        assert ["passage", "clone"] == [name for name in frame.columns if name != "id"]
        with pytest.raises(AttributeNotFound, match="Did you mean passage"):
            table(one.fovs, as_=as_, columns=["passge"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "has several kinds of records. It has: cell_segs, fovs"),
        (("fovss",), "has no records 'fovss'. Did you mean fovs"),
        (("xyz",), "has no records 'xyz'. It has: cell_segs, fovs"),
    ],
)
def test_a_kind_that_is_not_there_is_told(lab: Lab, given: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        table(cellbank.load("aics/cell_lines"), *given)


def test_what_is_no_group_of_records_is_told(lab: Lab, nuclei: Any) -> None:
    package = cellbank.load("aics/cell_lines")
    with pytest.raises(BadInput, match=r"fovs is no group of wells\. Give one of: package\.cell"):
        table(package.fovs, "wells")
    with pytest.raises(BadInput, match="is no group of records"):
        table(package.fovs[0])
    with pytest.raises(BadInput, match="no group of records"):
        table(package.README)
    with pytest.raises(BadInput, match="arrow"):
        table(package.fovs, as_="arrow")
    with pytest.raises(BadInput, match="It has: none"):
        table(nuclei, "fovs")


@pytest.mark.parametrize("as_", ["pandas", "polars"])
@pytest.mark.parametrize("name", ["aics/cell_lines", "demo/bare"])
def test_of_a_part_there_are_its_records(lab: Lab, tmp_path: Path, name: str, as_: Any) -> None:
    registry = tmp_path / "registry"
    bare(cellbank.load("aics/cell_lines"), tmp_path)
    cellbank.push(name, to=str(registry))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
        for part in (f"fovs/fov_{FOVS[2]}", f"fovs/fov_{FOVS[0]}"):
            cellbank.install(f"{name}/{part}", str(registry))
        package = cellbank.load(name)
        found = rows_of(table(package.fovs, as_=as_))
        assert [f"fov_{FOVS[0]}", f"fov_{FOVS[2]}"] == list(found)
        assert 0 == len(table(package.wells, as_=as_))


@pytest.mark.parametrize("as_", ["pandas", "polars"])
def test_documents_that_deviate_still_make_a_table(tmp_path: Path, as_: Any) -> None:
    infos = [{"passage": "many", "edits": 5, "more": 1}, {"passage": 3, "seed_date": "2017-10-16"}]
    for number, info in enumerate(infos):
        folder = tmp_path / "plain" / "fovs" / f"fov_{number}" / "info"
        folder.mkdir(parents=True)
        (folder / "load").write_text(json.dumps(info))
    cellbank.build("demo/plain", tmp_path / "plain")
    rows = rows_of(table(cellbank.load("demo/plain").fovs, as_=as_))
    assert {"many", None} == {rows["fov_0"]["passage"], rows["fov_0"]["seed_date"]}
    assert dt.date(2017, 10, 16) == rows["fov_1"]["seed_date"]
    assert ["passage", "edits", "more", "seed_date", "path", "digest", "size"] == list(
        rows["fov_0"]
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    package = cellbank.load("aics/cell_lines")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadInput, match=f"{library} is not installed") as told:
        table(package.fovs, as_=library)
    assert f"Install it: pip install {library}" == told.value.advice


def test_types_that_a_frame_has_no_name_for_stay_objects() -> None:
    column = frames.Column(frames.Described("list[struct]"), [[{"a": 1}], []])
    assert object == frames._pandas(["x", "y"], {"c": column}).c.dtype


@pytest.mark.parametrize("as_", ["pandas", "polars"])
def test_a_single_column_needs_no_list(lab: Lab, as_: Any) -> None:
    fovs = cellbank.load("aics/cell_lines").fovs
    found = table(fovs, columns="passage", as_=as_)
    assert found.equals(table(fovs, columns=["passage"], as_=as_))
