"""Records: their keys and ids, their attributes, what they belong to."""

from pathlib import Path
from typing import Any

import pytest

from cellbank.cells.kinds import KINDS
from tests.cells.lab import C2, E6, E7, FOVS, Lab

LINE = ["line", "edits", "line_id"]
LISTS = ["plates", "wells", "fovs", "cell_segs", "nuclei_segs", "structure_segs"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path).only(all="cell_lines")


# --- ids


def test_ids_are_never_cut(lab: Lab) -> None:
    long = "plate_3500001464_well_E6_100X_20171024_5_Scene_5_P27_" + 180 * "x"
    for row, end in enumerate("12"):
        lab.change("fovs", row, fov=long + end)
        for part in range(3):
            lab.change("segmentations", 3 * row + part, fov=long + end, segmentation=long + end)
    lab.build()
    infos = lab.infos("cell_lines")
    assert f"fovs/fov_{long}1" in infos
    assert [f"cell_{long}1"] == infos[f"fovs/fov_{long}1"]["cell_segs"]
    assert [f"cell_{long}2"] == infos[f"fovs/fov_{long}2"]["cell_segs"]


def test_an_id_that_is_too_long_for_a_path_is_refused_not_cut(lab: Lab) -> None:
    row = lab.add("lines", line="A" * 300)
    problem = lab.problem()
    assert ("lines.csv", row, "line") == (problem["file"], problem["row"], problem["column"])
    assert "ids are never cut" in problem["advice"]


@pytest.mark.parametrize("twin", ["AICS.10", "AICS_10", "aics-10", "Aics 10"])
def test_keys_that_get_one_id_are_both_named_with_their_rows(lab: Lab, twin: str) -> None:
    row = lab.add("lines", line=twin)
    problem = lab.problem()
    assert ("lines.csv", row, "line") == (problem["file"], problem["row"], problem["column"])
    assert repr(twin) in problem["what"]
    assert "'AICS-10' (row 2)" in problem["what"]


def test_a_key_that_stands_twice_is_told_with_both_rows(lab: Lab) -> None:
    row = lab.add("wells", well=E6)
    problem = lab.problem()
    assert ("wells.csv", row, "well") == (problem["file"], problem["row"], problem["column"])
    assert f"the key '{E6}' stands in row 2 already" == problem["what"]


@pytest.mark.parametrize("key", ["", "   "])
def test_an_empty_key_is_told(lab: Lab, key: str) -> None:
    row = lab.add("plates", plate=key)
    problem = lab.problem()
    assert ("plates.csv", row, "the key is empty") == (
        problem["file"],
        problem["row"],
        problem["what"],
    )


@pytest.mark.parametrize("key", ["aux", "COM1"])
def test_an_id_that_some_system_takes_for_a_device_is_told(lab: Lab, key: str) -> None:
    row = lab.add("wells", well=key)
    problem = lab.problem()
    assert ("wells.csv", row, "well") == (problem["file"], problem["row"], problem["column"])
    assert key in problem["what"]


def test_a_template_makes_the_id_of_several_columns(lab: Lab) -> None:
    lab.record("well")["id"] = "{plate}-{clone}.{well}"
    lab.change("wells", 1, clone="9")
    lab.build()
    assert f"wells/3500001464_20_{E6}" in lab.infos("cell_lines")


def test_a_column_of_a_template_that_is_empty_is_told(lab: Lab) -> None:
    lab.record("well")["id"] = "w_{clone}"
    # Nothing of it is built, and its fields of view have no well.
    assert any(
        ("wells.csv", 3) == (p["file"], p.get("row")) and "clone" in p["what"] + p.get("column", "")
        for p in lab.problems()
    )


# --- attributes


def test_a_line_has_nine_keys_in_the_order_of_the_first_packages_and_schema_the_same(lab: Lab):
    lab.build()
    assert LINE + LISTS == list(lab.info("cell_lines", "lines/line_AICS_23"))
    schema = lab.document("cell_lines", "SCHEMA")
    assert set(LINE + LISTS) == set(schema["unique_line_info"])
    assert [
        "cell_segs",
        "nuclei_segs",
        "wells",
        "line_id",
        "edits",
        "fovs",
        "structure_segs",
        "plates",
        "line",
    ] == list(schema["unique_line_info"])


def test_every_kind_has_its_standard_attributes_in_their_order_then_the_labs_own(lab: Lab) -> None:
    lab.build()
    infos = lab.infos("cell_lines")
    for kind in KINDS.values():
        name = next(name for name in infos if name.startswith(f"{kind.group}/"))
        own = ["has_controls"] if kind.name == "well" else []
        lists = [
            group
            for group in ["plates", "lines", "wells", "fovs", *LISTS[3:]]
            if group != kind.group
        ]
        assert [*kind.attributes, *own, *lists] == list(infos[name])


def test_a_field_of_view_has_what_is_known_of_its_well(lab: Lab) -> None:
    lab.build()
    info = lab.info("cell_lines", f"fovs/fov_{FOVS[0]}")
    assert (33, "20", 98.5, "10/16/2017", [3, 1]) == (
        info["passage"],
        info["clone"],
        info["cell_viability"],
        info["seed_date"],
        info["colony_ids"],
    )
    assert [87262, 87263] == info["image_ids"]
    bare = lab.info("cell_lines", f"fovs/fov_{FOVS[3]}")
    assert (None, None, [7]) == (bare["passage"], bare["cell_viability"], bare["colony_ids"])


def test_wells_that_differ_in_what_their_field_takes_from_them_are_told(lab: Lab) -> None:
    lab.record("fov")["well"] = {"column": "well", "separator": "|"}
    row = lab.change("fovs", 0, well=f"{E6}|{E7}")
    problems = lab.problems()
    assert {("fovs.csv", row)} == {(p["file"], p["row"]) for p in problems}
    assert "its wells have different values of clone" in {p["what"] for p in problems}


def test_what_must_come_through_a_well_is_told_where_the_well_has_none(lab: Lab) -> None:
    lab.record("fov")["attributes"]["clone"] = {"through": "well", "nullable": False}
    problem = lab.problem()
    assert ("fovs.csv", 4) == (problem["file"], problem["row"])
    assert "clone is empty: its well has none" == problem["what"]
    # Said of the well, it is told there, once.
    lab.record("well")["attributes"]["clone"] = {"nullable": False}
    problem = lab.problem()
    assert ("wells.csv", 3, "clone") == (problem["file"], problem["row"], problem["column"])


def test_what_must_come_through_a_well_is_told_of_a_field_without_one(lab: Lab) -> None:
    lab.record("fov")["attributes"]["clone"] = {"through": "well", "nullable": False}
    lab.change("fovs", 2, well="")
    errors = [p for p in lab.problems() if p["severity"] == "error"]
    assert [("fovs.csv", 4)] == [(p["file"], p["row"]) for p in errors]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"value": "nan"}, "'nan' stands where nothing is known"),
        ({"value": {"a": 1}}, "{'a': 1} is not text"),
        ({"value": "", "nullable": False}, "clone is empty"),
    ],
)
def test_a_constant_that_does_not_fit_is_told_once(lab: Lab, said: Any, what: str) -> None:
    lab.record("well")["attributes"]["clone"] = said
    problem = lab.problem()
    assert (what, "records.well.attributes.clone.value") == (problem["what"], problem["column"])


def test_a_constant_is_that_of_every_record_and_its_origin_the_builder(lab: Lab) -> None:
    lab.record("well")["attributes"]["clone"] = {"value": 20}
    lab.build()
    wells = [info for path, info in lab.infos("cell_lines").items() if path.startswith("wells/")]
    assert ["20"] * 3 == [info["clone"] for info in wells]
    schema = lab.document("cell_lines", "SCHEMA")
    assert "baseline" == schema["unique_well_info"]["clone"]["origin"]


def test_an_edit_is_made_of_the_lines_own_row_and_left_out_where_that_is_empty(lab: Lab) -> None:
    lab.record("line")["attributes"]["edits"]["fields"]["gene"] = None
    lab.add("lines", line="WTC", line_id=0, gene="", protein="")
    lab.build()
    infos = lab.infos("cell_lines")
    edit = {"gene": "TJP1", "fluorescent_protein": "mEGFP"}
    assert [edit] == infos["lines/line_AICS_23"]["edits"]
    assert [] == infos["lines/line_WTC"]["edits"]


def test_edits_come_from_a_table_of_their_own_in_its_order(lab: Lab) -> None:
    edits_of(lab)
    lab.tables["edits"] = [
        {"of": "AICS-23", "n": 10, "gene": "LMNB1", "cas9_id": 1.0},
        {"of": "AICS-23", "n": 9, "gene": "TJP1", "cas9_id": ""},
        {"of": "nobody", "n": 1, "gene": "X", "cas9_id": ""},
    ]
    lab.build()
    infos = lab.infos("cell_lines")
    assert [("TJP1", None), ("LMNB1", 1)] == [
        (edit["gene"], edit["cas9_id"]) for edit in infos["lines/line_AICS_23"]["edits"]
    ]
    assert {"spCas9"} == {edit["cas9"] for edit in infos["lines/line_AICS_23"]["edits"]}
    assert [] == infos["lines/line_AICS_10"]["edits"]


def edits_of(lab: Lab) -> None:
    """Let the edits come from the table `edits`."""
    lab.recipe["tables"]["edits"] = {"file": "edits.csv"}
    lab.record("line")["attributes"]["edits"] = {
        "table": "edits",
        "on": {"of": "line"},
        "order": "n",
        "fields": {"cas9": {"value": "spCas9"}, "gene": {"nullable": False}, "cas9_id": None},
    }


def test_a_bad_edit_names_both_tables(lab: Lab) -> None:
    edits_of(lab)
    lab.tables["edits"] = [{"of": "AICS-23", "n": 1, "gene": "TJP1", "cas9_id": "one"}]
    problem = lab.problem()
    assert ("lines.csv", 3) == (problem["file"], problem["row"])
    assert "edits.csv" in problem["what"]
    assert "'one' is not an integer" in problem["what"]


def test_a_column_that_edits_lack_is_told(lab: Lab) -> None:
    edits_of(lab)
    lab.tables["edits"] = [{"of": "AICS-23", "n": 1, "genes": "TJP1", "cas9_id": 3}]
    assert ("edits.csv", "gene") in {(p["file"], p.get("column")) for p in lab.problems()}


def test_a_constant_of_an_edit_stands_though_a_column_has_its_name(lab: Lab) -> None:
    edits_of(lab)
    lab.tables["edits"] = [{"of": "AICS-23", "n": 1, "gene": "TJP1", "cas9_id": 3, "cas9": "x"}]
    lab.build()
    edits = lab.info("cell_lines", "lines/line_AICS_23")["edits"]
    assert ["spCas9"] == [edit["cas9"] for edit in edits]


def test_fields_that_differ_in_their_letters_case_are_told(lab: Lab) -> None:
    lab.record("line")["attributes"]["edits"]["fields"]["Gene"] = "protein"
    problem = lab.problem()
    assert "cellbank.yaml" == problem["file"]
    assert "Gene differs from gene in its letters' case only" == problem["what"]


@pytest.mark.parametrize(
    ("kind", "attribute", "said"),
    [
        ("line", "edits", {"type": "string", "column": "gene"}),
        ("line", "edits", {"type": "string", "column": "empty"}),
        ("fov", "channels", {"type": "list[string]", "column": "ids"}),
    ],
)
def test_structs_that_the_builder_reads_cannot_be_anything_else(
    lab: Lab, kind: str, attribute: str, said: dict[str, str]
) -> None:
    lab.tables["lines"] = [{**row, "empty": ""} for row in lab.tables["lines"]]
    lab.recipe["packages"]["per_line"] = {"name": "{line}"}
    lab.record(kind)["attributes"][attribute] = said
    problem = lab.problem()
    assert ("cellbank.yaml", "list[struct]") == (
        problem["file"],
        problem["advice"].split()[-1][:-1],
    )


@pytest.mark.parametrize("name", ["id", "path", "digest", "size", "wells", "Clone", "LINES"])
def test_an_attribute_cannot_have_the_name_of_what_the_builder_adds(lab: Lab, name: str) -> None:
    lab.record("fov")["attributes"][name] = {"column": "ids"}
    problem = lab.problem()
    assert "cellbank.yaml" == problem["file"]
    assert name in problem["what"] + problem["column"]


# --- what belongs together


def test_a_well_may_have_two_lines(lab: Lab) -> None:
    lab.record("well")["line"] = {"column": "line", "separator": "+"}
    lab.change("wells", 0, line="AICS-23 + AICS-10")
    lab.recipe["packages"]["per_line"] = {"name": "{line}"}
    lab.build()
    both = ["line_AICS_10", "line_AICS_23"]
    assert both == lab.info("cell_lines", f"wells/{E6}")["lines"]
    assert both == lab.info("cell_lines", f"fovs/fov_{FOVS[0]}")["lines"]
    assert ["line_AICS_10"] == lab.info("aics_10", f"wells/{E6}")["lines"]
    assert ["line_AICS_23"] == lab.info("aics_23", f"fovs/fov_{FOVS[0]}")["lines"]
    assert f"fovs/fov_{FOVS[0]}" in lab.infos("aics_10")


def test_a_well_without_fields_and_a_field_without_segmentations_are_packaged(lab: Lab) -> None:
    lab.tables["fovs"] = lab.tables["fovs"][:3]
    lab.tables["segmentations"] = lab.tables["segmentations"][:6]
    lab.build()
    infos = lab.infos("cell_lines")
    assert [] == infos[f"wells/{C2}"]["fovs"]
    assert ["line_AICS_10"] == infos[f"wells/{C2}"]["lines"]
    assert [] == infos[f"fovs/fov_{FOVS[2]}"]["cell_segs"]
    assert ["plate_3500001464"] == infos[f"fovs/fov_{FOVS[2]}"]["plates"]


def test_a_lab_with_fields_of_view_only_makes_a_package(lab: Lab) -> None:
    fov = {"table": "fovs", "key": "fov", "image": {"file": "image", "axes": "ZCYX"}}
    lab.recipe["records"] = {"fov": fov}
    lab.build()
    infos = lab.infos("cell_lines")
    assert {f"fovs/fov_{fov}" for fov in FOVS} == set(infos)
    # The images say what their channels are.
    channels = infos[f"fovs/fov_{FOVS[0]}"]["channels"]
    assert [("EGFP", True), ("H3342", True), ("Bright", True)] == [
        (channel["dye_name"], channel["use"]) for channel in channels
    ]


def test_numbers_of_a_workbook_and_texts_of_a_file_are_the_same_barcode(lab: Lab) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["plate", "plate_type"], [3500001464, "a"], [3500001465.0, None]]:
        book.active.append(row)
    lab.build()
    book.save(lab.folder / "plates.xlsx")
    lab.recipe["tables"]["plates"] = {"file": "plates.xlsx"}
    lab.build()
    assert [E6, E7] == lab.info("cell_lines", "plates/plate_3500001464")["wells"]
    assert "3500001465" == lab.info("cell_lines", "plates/plate_3500001465")["plate_barcode"]


def test_allowed_values_are_of_the_type_of_the_attribute(lab: Lab) -> None:
    """12 without quotes is a number to YAML, and a text to an attribute that holds text."""
    for at, clone in enumerate(("20", "21", "20")):
        lab.change("wells", at, clone=clone)
    lab.record("well")["attributes"]["clone"] = {"one_of": [20, 21]}
    lab.build()
    lab.change("wells", 0, clone="22")
    assert "'22' is not one of 20, 21" == lab.problem()["what"]
