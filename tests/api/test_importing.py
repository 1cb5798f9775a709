"""Folders of quilt3distribute: what becomes records, what becomes entries, what is told."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cellbank
import cellbank.cells
from cellbank.cells.quilt_columns import dye_of, own_name, snake, type_of
from cellbank.model.errors import BadInput, Conflict, NotFound, ProblemsFound
from tests.cells.lab import cells, nuclei, pixels, structure, write_image

NAME = "lab/cells"
FIELDS = {7682: "a1b2c3d4_field", 7683: "b2c3d4e5_field"}
"""Numbers of fields of view → how their files begin."""


def rows() -> list[dict[str, Any]]:
    """Return the table: a row a cell, two in each field."""
    return [
        {
            "CellId": number * 10 + index,
            "CellIndex": index,
            "CellLine": line,
            "Clone": 65,
            "ColonyPosition": position,
            "FOVId": number,
            "Gene": gene,
            "Passage": 33 if number == 7682 else "",
            "PlateId": "3500001454",
            "ProteinDisplayName": "tagged",
            "StructureDisplayName": "a structure",
            "WellId": 67156,
            "WellName": well,
            "Workflow": "Pipeline 4.1",
            "PixelScaleX": 0.108,
            "PixelScaleY": 0.108,
            "PixelScaleZ": 0.29,
            "ChannelNumber488": 0,
            "ChannelNumber405": 1,
            "ChannelNumberBrightfield": 2,
            "Nothing": "",
            "fovs": f"fovs/{start}.ome.tiff",
            "membrane_segmentations": f"membrane_segmentations/{start}.tiff",
            "dna_segmentations": f"dna_segmentations/{start}.tiff",
            "structure_segmentations": f"s3://bucket/x/structure_segmentations/{start}.tiff",
            "dna_contours": f"dna_contours/{start}.tiff",
        }
        for (number, start), line, gene, position, well in zip(
            FIELDS.items(), ("AICS-22", "AICS-23"), ("LAMP1", "TJP1"), ("edge", "center"),
            ("E6", "E7"), strict=True,
        )
        for index in (2, 5)
    ]  # fmt: skip


def write_table(folder: Path, table: list[dict[str, Any]]) -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder made by hand as such folders are described."""
    root = tmp_path / "cell_collection"
    for number, start in enumerate(FIELDS.values()):
        write_image(root / f"fovs/{start}.ome.tiff", pixels(number), channels=("", "", ""))
        write_image(root / f"membrane_segmentations/{start}.tiff", cells())
        write_image(root / f"dna_segmentations/{start}.tiff", nuclei())
        write_image(root / f"structure_segmentations/{start}.tiff", structure())
        write_image(root / f"dna_contours/{start}.tiff", nuclei())
    (root / "README.md").write_text("# A collection\n")
    write_table(root, rows())
    return root


# --- records


def test_fields_and_what_belongs_to_them_become_records(folder):
    made = cellbank.import_quilt(NAME, folder)
    assert ("cell_lines", NAME, []) == (made.kind, made.built.package, made.problems)
    assert {"fovs": 2, "lines": 2, "plates": 1, "wells": 2} == {
        group: made.records[group] for group in ("fovs", "lines", "plates", "wells")
    }
    fov = cellbank.cells.record(cellbank.load(f"{NAME}/fovs/fov_7682"))
    assert np.array_equal(pixels(0), fov.image.read())
    assert {"cell", "nuclei", "structure"} == fov.segmentations().keys()
    assert ["line_AICS_22"] == [one.id for one in fov.related("lines")]
    assert ["plate_3500001454_well_E6"] == [one.id for one in fov.related("wells")]
    assert "LAMP1" == fov.related("lines")[0].info.edits[0].gene
    assert cellbank.verify(NAME).good


def test_columns_become_attributes_channels_and_cells(folder):
    cellbank.import_quilt(NAME, folder)
    info = cellbank.cells.record(cellbank.load(f"{NAME}/fovs/fov_7682")).info.as_dict()
    assert (33, "65", "E6", "3500001454") == tuple(
        info[name] for name in ("passage", "clone", "well_name", "plate_barcode")
    )
    assert ("edge", "Pipeline 4.1") == (info["colony_position"], info["workflow"])
    assert [("EGFP", True), ("H3342", True), ("Bright", True)] == [
        (channel["dye_name"], channel["use"]) for channel in info["channels"]
    ]
    assert [(2, 76822), (5, 76825)] == [(c["cell_index"], c["cell_id"]) for c in info["cells"]]


def test_what_became_of_each_column_is_told(folder):
    made = cellbank.import_quilt(NAME, folder, dry_run=True)
    assert list(rows()[0]) == list(made.columns)
    for column, said in {
        "FOVId": "key of the fields",
        "Gene": "edits.gene",
        "Passage": "passage",
        "ColonyPosition": "colony_position",
        "CellId": "cells.cell_id",
        "ChannelNumber405": "H3342",
        "PixelScaleZ": "voxel along Z",
        "Nothing": "empty",
        "fovs": "images of fov",
        "dna_contours": "not taken",
        "PlateId": "plate_barcode",
    }.items():
        assert said in made.columns[column], column
    assert (None, 3) == (made.built, made.left)
    assert not (folder / "cellbank.yaml").exists()


def test_the_recipe_can_be_mended_and_built_again(folder):
    made = cellbank.import_quilt(NAME, folder, title="Lysosomes", message="imported")
    assert str(folder / "cellbank.yaml") == made.recipe
    assert "imported" == cellbank.log(NAME)[0].message
    assert b"# Lysosomes" == cellbank.load(f"{NAME}/README").bytes()[:11]
    assert not cellbank.build_family("lab", folder).packages[0].changed
    assert not cellbank.import_quilt(NAME, folder, title="Lysosomes").built.changed


def test_a_recipe_of_somebody_is_not_written_over(folder):
    (folder / "cellbank.yaml").write_text("format: 1\n")
    with pytest.raises(Conflict, match="plain"):
        cellbank.import_quilt(NAME, folder)
    assert "format: 1\n" == (folder / "cellbank.yaml").read_text()


def test_files_that_only_associates_names_are_found(folder):
    table = rows()
    for row, form in zip(table, (json.dumps, str, json.dumps, str), strict=True):
        files = {
            name: [row.pop(name)]
            for name in ("membrane_segmentations", "dna_segmentations", "structure_segmentations")
        }
        row["associates"] = form(files)
    write_table(folder, table)
    made = cellbank.import_quilt(NAME, folder)
    assert {2} == {made.records[f"{kind}_segs"] for kind in ("cell", "nuclei", "structure")}


def what_of(made: cellbank.api.Imported) -> dict[str, str]:
    return {problem.column: problem.what for problem in made.problems}


def test_files_that_are_not_there_are_told(folder):
    # As where somebody fetched only a part of a package of Quilt 3.
    for name in ("fovs/b2c3d4e5_field.ome.tiff", "dna_segmentations/a1b2c3d4_field.tiff"):
        (folder / name).unlink()
    for plain in (False, True):
        made = cellbank.import_quilt(NAME, folder, plain=plain)
        said = what_of(made)
        assert {"fovs", "dna_segmentations"} == said.keys()
        assert "1 of the files" in said["fovs"]
        assert "b2c3d4e5_field.ome.tiff" in said["fovs"]
    (folder / "fovs/a1b2c3d4_field.ome.tiff").unlink()
    assert "no column with images" in cellbank.import_quilt(NAME, folder).reason


def test_few_of_many_files_are_enough_for_a_column_that_is_known(folder):
    many = [{**rows()[0], "FOVId": n, "fovs": f"fovs/{n}.ome.tiff"} for n in range(60)]
    write_table(folder, [*many, rows()[0]])
    made = cellbank.import_quilt(NAME, folder, dry_run=True)
    assert 1 == made.records["fovs"]
    assert "60 of the files" in what_of(made)["fovs"]


def test_rows_that_contradict_each_other_or_say_the_same_are_told(folder):
    table = rows()
    table[1]["CellLine"] = "AICS-99"
    table[1]["fovs"] = table[2]["fovs"]
    write_table(folder, [*table, table[0], table[0]])
    made = cellbank.import_quilt(NAME, folder)
    said = [(problem.row, problem.what) for problem in made.problems]
    assert (3, "field 7682 is said to have line AICS-22 and AICS-99") in said
    assert any("image" in what and "b2c3d4e5" in what for _, what in said)
    assert (6, "2 rows say the same as one before") in said
    info = cellbank.cells.record(cellbank.load(f"{NAME}/fovs/fov_7682")).info
    assert ["line_AICS_22"] == info["lines"]
    assert 2 == len(info["cells"])


def test_associates_that_cannot_be_read_are_told(folder):
    table = [{**row, "associates": said} for row, said in zip(rows(), ("{x", "", "3", "{}"))]  # noqa: B905
    write_table(folder, table)
    assert "of 2 rows" in what_of(cellbank.import_quilt(NAME, folder, dry_run=True))["associates"]


def test_several_files_of_one_name_are_told(folder):
    table = rows()
    for number, row in enumerate(table):
        both = [row.pop("dna_segmentations"), table[0]["membrane_segmentations"]]
        row["associates"] = str({"dna_segmentations": both[: 1 + number // 2], "contours": []})
    write_table(folder, table)
    [problem] = cellbank.import_quilt(NAME, folder, dry_run=True).problems
    assert "2 rows have several dna_segmentations" == problem.what
    assert (4, "associates") == (problem.row, problem.column)


def test_texts_that_are_too_long_for_a_path_are_texts(folder):
    write_table(folder, [{**row, "Features": "[0.5, " * 2000} for row in rows()])
    made = cellbank.import_quilt(NAME, folder)
    assert "features of the fields" == made.columns["Features"]


@pytest.mark.parametrize("number", ["inf", "1e400", "nan", "the third"])
def test_what_numbers_no_channel_is_passed_over(folder, number):
    write_table(folder, [{**row, "ChannelNumber405": number} for row in rows()])
    made = cellbank.import_quilt(NAME, folder)
    assert "cell_lines" == made.kind


def test_the_size_of_voxels_is_kept_where_images_do_not_say_it(folder):
    made = cellbank.import_quilt(NAME, folder)
    assert "size of a voxel along Z, pixel_scale_z of the fields" == made.columns["PixelScaleZ"]
    info = cellbank.cells.record(cellbank.load(f"{NAME}/fovs/fov_7682")).info
    assert (0.29, 0.108) == (info.pixel_scale_z, info.pixel_scale_x)


def test_what_an_import_wrote_is_no_entry(folder):
    cellbank.import_quilt(NAME, folder)
    cellbank.import_quilt(NAME, folder, plain=True)
    assert not {"cellbank.yaml", "cellbank_import"} & {*cellbank.load(NAME)._keys()}
    (folder / "cellbank.yaml").write_text("format: 1\n")
    cellbank.import_quilt(NAME, folder, plain=True)
    assert "cellbank.yaml" in cellbank.load(NAME)


def test_a_damaged_image_is_told_with_the_way_out(folder):
    (folder / "fovs/a1b2c3d4_field.ome.tiff").write_bytes(b"II*\0 no image")
    with pytest.raises(ProblemsFound, match="--plain") as caught:
        cellbank.import_quilt(NAME, folder)
    assert ["a1b2c3d4_field" in problem["what"] for problem in caught.value.problems] == [True]
    assert "files" == cellbank.import_quilt(NAME, folder, plain=True).kind


# --- entries


def test_what_has_no_fields_becomes_entries_with_metadata(folder):
    table = [{name: v for name, v in row.items() if name != "FOVId"} for row in rows()]
    write_table(folder, table)
    made = cellbank.import_quilt(NAME, folder)
    assert ("files", "metadata.csv has no column FOVId") == (made.kind, made.reason)
    node = cellbank.load(f"{NAME}/fovs/a1b2c3d4_field.ome.tiff")
    assert (folder / "fovs/a1b2c3d4_field.ome.tiff").read_bytes() == node.bytes()
    meta = node.meta
    assert ([76822, 76825], [2, 5]) == (meta["CellId"], meta["CellIndex"])
    assert ("AICS-22", "LAMP1", 33, 0.29) == tuple(
        meta[name] for name in ("CellLine", "Gene", "Passage", "PixelScaleZ")
    )
    assert "dna_segmentations/a1b2c3d4_field.tiff" == meta["associates"]["dna_segmentations"]
    assert "Nothing" not in meta
    assert b"# A collection\n" == cellbank.load(f"{NAME}/README.md").bytes()
    assert "Passage" not in cellbank.load(f"{NAME}/fovs/b2c3d4e5_field.ome.tiff").meta


def test_metadata_that_are_too_much_are_cut_and_told(folder):
    table = [{**rows()[0], "CellId": number, "Note": f"{number:04d}" * 8} for number in range(3000)]
    write_table(folder, table)
    made = cellbank.import_quilt(NAME, folder, plain=True)
    assert "fovs/a1b2c3d4_field.ome.tiff" in {problem.file for problem in made.problems}
    meta = cellbank.load(f"{NAME}/fovs/a1b2c3d4_field.ome.tiff").meta
    assert ("Note" not in meta, 3000) == (True, len(meta["CellId"]))


# --- refused


def test_what_is_no_such_folder_is_refused(tmp_path, folder, own_home):
    with pytest.raises(NotFound):
        cellbank.import_quilt(NAME, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"metadata\.csv"):
        cellbank.import_quilt(NAME, tmp_path / "empty")
    (tmp_path / "empty/metadata.csv").write_text("FOVId,fovs\n")
    with pytest.raises(BadInput, match="no rows"):
        cellbank.import_quilt(NAME, tmp_path / "empty")
    (tmp_path / "empty/metadata.csv").write_text('FOVId,fovs\n"1,2\n')
    with pytest.raises(ProblemsFound):
        cellbank.import_quilt(NAME, tmp_path / "empty")
    (own_home / "metadata.csv").write_text("a\n1\n")
    with pytest.raises(BadInput, match="store"):
        cellbank.import_quilt(NAME, own_home)


@pytest.mark.parametrize("path", ["../../secret.tif", "/etc/hostname", "fovs/.."])
def test_a_path_that_leads_out_of_the_folder_is_no_file_of_it(folder, path):
    write_table(folder, [{"FOVId": 1, "fovs": path}])
    made = cellbank.import_quilt(NAME, folder)
    assert "files" == made.kind
    assert "no column with images" in made.reason


# --- columns


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", 2, "3.0"], "integer"),
        (["1", "2.5", 1e-3], "number"),
        (["True", "false"], "boolean"),
        (["1", "x"], "string"),
        ([None], "string"),
        (["0x10"], "string"),
    ],
)
def test_the_type_of_a_column_is_that_of_all_its_values(values, kind):
    assert kind == type_of(values)


def test_names_of_columns_become_names_of_attributes():
    names = ["PixelScaleX", "FOVId", "meta_fov_xcoord", "Row", "DNA Contour-File"]
    expected = ["pixel_scale_x", "fov_id", "meta_fov_xcoord", "row", "dna_contour_file"]
    assert expected == [snake(name) for name in names]
    assert ["EGFP", "EGFP", "Bright", None] == [
        dye_of(name)
        for name in (
            "ChannelNumber488",
            "ChannelNumberStruct",
            "ChannelNumberBrightfield",
            "Channel",
        )
    ]
    assert ["size_", "column_3_d", "x_"] == [
        own_name("size", ()),
        own_name("3D", ()),
        own_name("x", "x"),
    ]
