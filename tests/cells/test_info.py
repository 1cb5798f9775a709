"""What is known of a record: typed, by attribute, read only, and the publisher's own text."""

import pickle
from datetime import date
from typing import Any

import pytest

import cellbank
from cellbank.cells import Info
from cellbank.cells.described import Described, described
from cellbank.model.errors import AttributeNotFound
from tests.cells.lab import Lab

TYPES = {
    "passage": Described("integer"),
    "concentration": Described("number"),
    "seed_date": Described("date", "%m/%d/%Y"),
    "plate_barcode": Described("string"),
    "edits": Described("list[struct]", fields={"made": Described("date", "%d.%m.%Y")}),
    "days": Described("list[date]"),
}


def info(**document: Any) -> Info:
    return Info(document, TYPES, "fov_1")


@pytest.mark.parametrize(
    ("name", "raw", "typed"),
    [
        ("passage", 36, 36),
        ("passage", 36.0, 36),
        ("passage", 36.5, 36.5),
        ("passage", None, None),
        ("passage", "many", "many"),
        ("passage", True, True),
        ("concentration", 3000, 3000.0),
        ("concentration", 10**400, 10**400),
        ("seed_date", "10/16/2017", date(2017, 10, 16)),
        ("seed_date", "9/2/2017", date(2017, 9, 2)),
        ("seed_date", "16.10.2017", "16.10.2017"),
        ("seed_date", "", ""),
        ("plate_barcode", 3500001464, "3500001464"),
        ("days", ["2017-10-16", "soon"], [date(2017, 10, 16), "soon"]),
        ("nobody_knows", 1.0, 1.0),
    ],
)
def test_a_value_has_its_type_or_stays_what_it_is(name: str, raw: Any, typed: Any) -> None:
    found = info(**{name: raw})[name]
    assert typed == found
    assert type(typed) is type(found)


def test_structs_have_attributes_too() -> None:
    edit = info(edits=[{"gene": "TJP1", "made": "02.03.2016"}]).edits[0]
    assert ("TJP1", date(2016, 3, 2)) == (edit.gene, edit["made"])
    assert {"gene": "TJP1", "made": "02.03.2016"} == edit.as_dict()


def test_a_date_of_which_nobody_says_the_form_is_not_guessed() -> None:
    types = {"seed_date": Described("date")}
    assert "2/3/2017" == Info({"seed_date": "2/3/2017"}, types).seed_date
    assert date(2017, 3, 2) == Info({"seed_date": "2017-03-02"}, types).seed_date


def test_it_is_a_mapping_in_the_order_of_the_document() -> None:
    found = info(well_name="E6", passage=36.0, lines=["line_AICS_23"])
    assert ["well_name", "passage", "lines"] == list(found)
    assert 3 == len(found)
    assert ["E6", 36, ["line_AICS_23"]] == list(found.values())
    assert {"well_name": "E6", "passage": 36.0, "lines": ["line_AICS_23"]} == dict(**found)
    assert "passage" in found
    assert found.get("clone") is None


def test_the_document_is_kept_as_it_was_published() -> None:
    document = {"seed_date": "10/16/2017", "passage": 36.0, "edits": [{"gene": "TJP1"}]}
    found = Info(document, TYPES)
    assert document == found.as_dict()
    assert document == found
    assert found == Info(dict(document))
    assert found != Info({**document, "passage": 37})


def test_nothing_in_it_can_be_changed() -> None:
    found = info(lines=["line_AICS_23"], edits=[{"gene": "TJP1"}], passage=36)
    with pytest.raises(AttributeError, match="cannot be changed"):
        found.passage = 37
    with pytest.raises(TypeError):
        found["passage"] = 37  # type: ignore[index]
    found.lines.append("line_AICS_24")
    found.as_dict()["edits"][0]["gene"] = "LMNB1"
    assert ["line_AICS_23"] == found.lines
    assert "TJP1" == found.edits[0].gene


def test_a_missing_attribute_tells_what_is_near() -> None:
    found = info(cell_viability=98.8, passage=36)
    with pytest.raises(AttributeNotFound, match="fov_1 has no cell_viabilty") as told:
        _ = found.cell_viabilty
    assert "Did you mean cell_viability? It has: cell_viability, passage." == told.value.advice
    with pytest.raises(KeyError):
        _ = found["gene"]
    assert "none" == getattr(found, "clone", "none")
    assert not hasattr(found, "clone")


def test_attributes_can_be_completed() -> None:
    names = dir(info(passage=36, **{"not a name": 1}))
    assert {"passage", "as_dict", "items"} <= set(names)
    assert "not a name" not in names


def test_it_reads_well() -> None:
    found = info(passage=36, seed_date="10/16/2017", edits=[{"gene": "TJP1"}], ids=[1, 2, 3, 4])
    assert [
        "<Info of fov_1>",
        "passage    36",
        "seed_date  2017-10-16",
        "edits      [Info(gene='TJP1')]",
        "ids        [1, 2, 3, … 4 in all]",
    ] == repr(found).splitlines()
    assert max(map(len, repr(info(text="x" * 1000)).splitlines())) <= 100
    assert "<Info of fov_1>" == repr(info())


def test_it_is_pickled_with_its_types() -> None:
    found = pickle.loads(pickle.dumps(info(seed_date="10/16/2017")))  # noqa: S301
    assert date(2017, 10, 16) == found.seed_date


def test_types_are_those_of_schema_before_the_standard_ones(tmp_path: Any) -> None:
    lab = Lab(tmp_path)
    lab.build()
    with lab.at_home():
        view = cellbank.load("aics/cell_lines")._view
        found = described(view, "well")
    assert Described("date", "%m/%d/%Y") == found["seed_date"]
    assert Described("boolean") == found["has_controls"]
    assert "string" == described(view, "line")["edits"].fields["gene"].type


def test_types_are_the_standard_ones_where_schema_says_none(tmp_path: Any) -> None:
    folder = tmp_path / "old"
    (folder / "fovs" / "fov_1" / "info").mkdir(parents=True)
    (folder / "fovs" / "fov_1" / "info" / "load").write_text("{}")
    old = '{"unique_fov_info": {"passage": {"value_types": ["<type \'int\'>"]}, "seed_date": 5}}'
    (folder / "SCHEMA").write_text(old)
    cellbank.build("aics/old", folder)
    found = described(cellbank.load("aics/old")._view, "fov")
    assert ("integer", "date") == (found["passage"].type, found["seed_date"].type)
    (folder / "SCHEMA").write_text("[1, 2")
    cellbank.build("aics/old", folder)
    assert "integer" == described(cellbank.load("aics/old")._view, "fov")["passage"].type
