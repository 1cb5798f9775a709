"""Bad input: all of it told in one run, with file, row, column and remedy; nothing is built."""

import io
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.cli import run
from cellbank.images import write_ome_tiff
from tests.cells.lab import CHANNELS, FOVS, VOXEL, Lab, cells, nuclei, pixels, write_image

Change = Callable[[Lab], Any]
IMAGE = f"images/{FOVS[0]}.ome.tif"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def bomb(lab: Lab) -> None:
    """Let a small file declare 2^30 times 2^30 pixels."""
    data = bytearray((lab.folder / IMAGE).read_bytes())
    _patch(data, {256: 1 << 30, 257: 1 << 30})
    (lab.folder / IMAGE).write_bytes(data)


def _patch(data: bytearray, wanted: dict[int, int]) -> None:
    """Change tags of every directory of a TIFF file."""
    (at,) = struct.unpack_from("<I", data, 4)
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        for number in range(count):
            entry = at + 2 + 12 * number
            (tag,) = struct.unpack_from("<H", data, entry)
            if tag in wanted:
                struct.pack_into("<HII", data, entry + 2, 4, 1, wanted[tag])
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)


def large_bomb(lab: Lab) -> None:
    """Let every pixel be there, but in a compressed image that is larger than the memory."""
    side, rows = 1 << 17, 16
    with (lab.folder / IMAGE).open("wb") as file:
        planes = [np.zeros((rows, rows), np.uint16)]
        write_ome_tiff(
            file,
            planes,
            axes="YX",
            shape=(rows, rows),
            dtype="uint16",
            channels=(),
            compression="zlib",
        )
    data = bytearray((lab.folder / IMAGE).read_bytes())
    _patch(data, {256: side, 257: side, 278: side})
    (lab.folder / IMAGE).write_bytes(data)


def truncate(lab: Lab) -> None:
    data = (lab.folder / IMAGE).read_bytes()
    (lab.folder / IMAGE).write_bytes(data[: len(data) // 2])


def link(lab: Lab) -> None:
    """Let an image be a link that leads out of the folder."""
    outside = lab.folder.parent / "outside.ome.tif"
    (lab.folder / IMAGE).rename(outside)
    (lab.folder / IMAGE).symlink_to(outside)


def stray(lab: Lab) -> None:
    data = nuclei()
    data[:, 5:7, 4:6] = 0
    data[:, 0:2, 6:8] = 5
    lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", data)


def without_cell(lab: Lab) -> None:
    data = cells()
    data[data == 5] = 0
    lab.image(f"images/cell_{FOVS[0]}.ome.tif", data)


def without_nucleus(lab: Lab) -> None:
    data = nuclei()
    data[data == 2] = 0
    lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", data)


def latin(lab: Lab) -> None:
    """Write the plates as Latin-1."""
    (lab.folder / "plates_latin.csv").write_bytes(
        "plate,plate_type\n3500001464,µ-Slide\n3500001465,\n".encode("latin-1")
    )
    lab.recipe["tables"]["plates"]["file"] = "plates_latin.csv"


def attribute(kind: str, name: str, **said: Any) -> Change:
    return lambda lab: lab.record(kind)["attributes"].update({name: said})


IMAGES: dict[str, tuple[Change, int, str]] = {
    "an image that is not there": (
        lambda lab: (lab.folder / IMAGE).unlink(),
        2,
        f"the image {IMAGE} is not there",
    ),
    "a path to a folder": (
        lambda lab: lab.change("fovs", 0, image="images"),
        2,
        "images is not a file",
    ),
    "no path": (lambda lab: lab.change("fovs", 1, image=""), 3, "names no image"),
    "a path upwards": (
        lambda lab: lab.change("fovs", 0, image="../outside.tif"),
        2,
        "../outside.tif leads out of the folder of the recipe",
    ),
    "a path upwards in its middle": (
        lambda lab: lab.change("fovs", 0, image="images/../../store/x.tif"),
        2,
        "leads out of the folder of the recipe",
    ),
    "an absolute path": (
        lambda lab: lab.change("fovs", 0, image="/etc/passwd"),
        2,
        "/etc/passwd leads out of the folder of the recipe",
    ),
    "an absolute path into the folder": (
        lambda lab: lab.change("fovs", 0, image=str(lab.folder / IMAGE)),
        2,
        "leads out of the folder of the recipe",
    ),
    "a link that leads out": (link, 2, "leads out of the folder of the recipe"),
    "an image that is none": (
        lambda lab: (lab.folder / IMAGE).write_text("no image"),
        2,
        IMAGE,
    ),
    "an empty image": (lambda lab: (lab.folder / IMAGE).write_bytes(b""), 2, "the file is empty"),
    "a truncated image": (truncate, 2, "truncated"),
    "a bomb": (bomb, 2, IMAGE),
    "an image over the memory": (large_bomb, 2, IMAGE),
    "one channel too few": (
        lambda lab: lab.image(IMAGE, pixels(0, shape=(2, 2, 8, 8)), channels=("EGFP", "H3342")),
        2,
        "has 2 channels, its table names 3: EGFP, H3342, Bright",
    ),
    "a channel of another name": (
        lambda lab: lab.image(IMAGE, pixels(0), channels=("EGFP", "DAPI", "Bright")),
        2,
        "channel 1 is 'DAPI' in the image and 'H3342' in the table",
    ),
    "another voxel size": (
        lambda lab: lab.image(IMAGE, pixels(0), pixel_size={"Z": 0.58, "Y": 0.108, "X": 0.108}),
        2,
        "its voxels are 0.58 µm along Z, its table says 0.29",
    ),
    "other axes": (
        lambda lab: lab.image(
            IMAGE, np.zeros((2, 2, 3, 8, 8), np.uint16), axes="TZCYX", channels=CHANNELS
        ),
        2,
        "its axes are TZCYX, the recipe says ZCYX",
    ),
    "a segmentation of another shape": (
        lambda lab: lab.image(f"images/structure_{FOVS[0]}.ome.tif", cells((2, 8, 9))),
        4,
        f"is 2 × 8 × 9 (Z × Y × X), its field of view fov_{FOVS[0]} is 2 × 8 × 8",
    ),
    "a segmentation of fractions": (
        lambda lab: lab.image(f"images/cell_{FOVS[0]}.ome.tif", cells().astype(np.float32)),
        2,
        "its pixels are float32, not whole numbers",
    ),
    "a nucleus without a cell": (without_cell, 3, "1 nucleus without a cell: 5"),
    "a cell without a nucleus": (without_nucleus, 3, "1 cell without a nucleus: 2"),
    "a nucleus outside of its cell": (
        stray,
        3,
        "1 nucleus not inside of the cell with the same label: 5",
    ),
}


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_a_bad_image_is_told_with_the_row_that_names_it(lab: Lab, name: str) -> None:
    change, row, what = IMAGES[name]
    change(lab)
    problem = lab.problem()
    table = "segmentations.csv" if "seg" in name or "cell" in name else "fovs.csv"
    assert (table, row, "image") == (problem["file"], problem["row"], problem["column"])
    assert what in problem["what"]


TABLES: dict[str, tuple[Change, tuple[str, int | None, str], str]] = {
    "a key twice": (
        lambda lab: lab.add("plates"),
        ("plates.csv", 4, "plate"),
        "the key '3500001464' stands in row 2 already",
    ),
    "a key that leads nowhere": (
        lambda lab: lab.change("wells", 1, plate="3500009999"),
        ("wells.csv", 3, "plate"),
        "there is no plate '3500009999'",
    ),
    "a segmentation of no field": (
        lambda lab: lab.change("segmentations", 11, fov="ffffffff"),
        ("segmentations.csv", 13, "fov"),
        "there is no fov 'ffffffff'",
    ),
    "a column that is not there": (
        attribute("well", "clone", column="klone"),
        ("wells.csv", None, "klone"),
        "there is no column 'klone', which the recipe names for well",
    ),
    "a value of another type": (
        lambda lab: lab.change("wells", 0, passage="thirty"),
        ("wells.csv", 2, "passage"),
        "'thirty' is not an integer",
    ),
    "a value out of its range": (
        lambda lab: lab.change("wells", 1, viability=101),
        ("wells.csv", 3, "viability"),
        "101.0 is more than 100",
    ),
    "a value that is none of those allowed": (
        attribute("well", "clone", one_of=["20", "21"]),
        ("wells.csv", 4, "clone"),
        "'105' is not one of 20, 21",
    ),
    "nothing where there must be something": (
        lambda lab: lab.change("lines", 1, gene=" "),
        ("lines.csv", 3, "gene"),
        "gene is empty",
    ),
    "NaN where there must be something": (
        lambda lab: lab.change("lines", 0, gene="NaN"),
        ("lines.csv", 2, "gene"),
        "'NaN' stands where nothing is known",
    ),
    "dates in two forms": (
        lambda lab: lab.change("wells", 1, seeded="2017-09-02"),
        ("wells.csv", 3, "seeded"),
        "'2017-09-02' is not a date in the form %m/%d/%Y",
    ),
    "Latin-1 that nobody told": (
        latin,
        ("plates_latin.csv", 2, ""),
        "is not utf-8: there is a byte 0xb5 that cannot be",
    ),
    "a table that is not there": (
        lambda lab: lab.recipe["tables"]["wells"].update(file="well.csv"),
        ("well.csv", None, ""),
        "there is no such file",
    ),
    "a table outside of the folder": (
        lambda lab: lab.recipe["tables"]["wells"].update(file="../wells.csv"),
        ("../wells.csv", None, ""),
        "leads out of the folder of the recipe",
    ),
    "fields of view that are not there": (
        lambda lab: lab.recipe["tables"]["fovs"].update(file="fov.csv"),
        ("fov.csv", None, ""),
        "there is no such file",
    ),
    "channels that are no list": (
        lambda lab: lab.change("fovs", 0, channels="EGFP"),
        ("fovs.csv", 2, "channels"),
        "'EGFP' is not a list of structs",
    ),
    "a package whose name cannot be": (
        lambda lab: lab.change("lines", 0, line="10"),
        ("cellbank.yaml", None, "packages"),
        "'10' cannot be the name of a package",
    ),
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_bad_table_is_told_with_row_and_column(lab: Lab, name: str) -> None:
    change, place, what = TABLES[name]
    if name == "a package whose name cannot be":
        lab.change("wells", 1, line="10")
        lab.change("wells", 2, line="10")
    change(lab)
    problem = lab.problem()
    assert place == (problem["file"], problem.get("row"), problem.get("column", ""))
    assert what in problem["what"]


def test_a_byte_order_mark_and_latin_1_that_is_named_are_fine(lab: Lab) -> None:
    lab.build()
    plain = lab.info("cell_lines", "plates/plate_3500001464")
    for encoding, said in (("utf-8-sig", "utf-8"), ("latin-1", "latin-1"), ("utf-16", "utf-16")):
        text = "plate,plate_type\n3500001464,96 well\n3500001465,µ-Slide\n"
        (lab.folder / "other.csv").write_text(text, encoding=encoding)
        lab.recipe["tables"]["plates"] = {"file": "other.csv", "encoding": said}
        lab.build()
        assert plain == lab.info("cell_lines", "plates/plate_3500001464")
        other = lab.info("cell_lines", "plates/plate_3500001465")
        assert "µ-Slide" == other["plate_type"]


def test_nan_and_nothing_where_both_may_be_are_null_and_nan_is_warned_of(lab: Lab) -> None:
    lab.change("wells", 0, passage="nan", clone="")
    built = lab.build()
    info = lab.info("cell_lines", "wells/plate_3500001464_well_E6")
    assert (None, None) == (info["passage"], info["clone"])
    warned = [(p.severity, p.file, p.row, p.column) for p in built.problems]
    assert [("warning", "wells.csv", 2, "passage")] == warned


def test_a_channel_without_a_name_is_not_held_against_the_images(lab: Lab) -> None:
    for row in lab.tables["fovs"]:
        row["channels"] = '[{"use": true}, {"dye_name": "H3342", "use": true}, {"use": false}]'
    lab.build()
    lab.image(IMAGE, pixels(0, shape=(2, 2, 8, 8)), channels=("EGFP", "H3342"))
    assert "its table names 3" in lab.problem()["what"]


def test_a_file_that_is_named_as_an_ome_tiff_and_is_none_is_told(lab: Lab) -> None:
    tifffile.imwrite(lab.folder / IMAGE, pixels(0), imagej=True, metadata={"axes": "ZCYX"})
    problem = lab.problem()
    assert ("fovs.csv", 2, "image") == (problem["file"], problem["row"], problem["column"])
    assert "is named as an OME-TIFF and is none" in problem["what"]


def test_a_file_with_several_images_is_told(lab: Lab) -> None:
    said = {f"PhysicalSize{axis}": size for axis, size in VOXEL.items()}
    with tifffile.TiffWriter(lab.folder / IMAGE, ome=True) as file:
        for seed in (0, 1):
            metadata = {"axes": "ZCYX", "Channel": {"Name": list(CHANNELS)}, **said}
            file.write(pixels(seed), photometric="minisblack", metadata=metadata)
    assert f"{IMAGE}: it holds 2 images" == lab.problem()["what"]


def break_everything(lab: Lab) -> int:
    """Do everything that can be wrong at once, each in a place of its own; return how much."""
    for name, change in {
        "truncated": truncate,
        "voxels": IMAGES["another voxel size"][0],
        "channels": IMAGES["a channel of another name"][0],
        "none": IMAGES["one channel too few"][0],
        "bomb": bomb,
        "memory": large_bomb,
        "link": link,
    }.items():
        path = f"images/{name}.ome.tif"
        write_image(lab.folder / IMAGE, pixels(9))
        change(lab)
        (lab.folder / IMAGE).rename(lab.folder / path)
        lab.add("fovs", fov=name, image=path)
    write_image(lab.folder / IMAGE, pixels(0))
    outside = ["/etc/passwd", "../x.tif", "images/gone.ome.tif", ""]
    for number, path in enumerate(outside):
        lab.add("fovs", fov=f"at_{number}", image=path)
    lab.image(f"images/structure_{FOVS[0]}.ome.tif", cells((2, 8, 9)))
    without_cell(lab)
    data = nuclei()
    data[:, 5:7, 4:6] = 0
    data[:, 0:2, 6:8] = 5
    lab.image(f"images/nuclei_{FOVS[1]}.ome.tif", data)
    lab.add("plates")
    lab.change("wells", 0, plate="1")
    lab.change("wells", 1, passage="thirty", seeded="2017-09-02")
    lab.change("lines", 0, gene="NaN")
    lab.change("lines", 1, gene="")
    lab.record("well")["attributes"]["clone"] = "klone"
    (lab.folder / "latin.csv").write_bytes("plate,plate_type\n35,µ\n".encode("latin-1"))
    lab.recipe["tables"]["latin"] = {"file": "latin.csv"}
    lab.record("line")["attributes"]["edits"] = {
        "table": "latin",
        "on": {"plate": "line"},
        "fields": {"gene": "plate_type"},
    }
    lab.record("line")["attributes"]["gene"] = {"nullable": False}
    lab.recipe["packages"]["subsets"]["wrong"] = {"where": "no_such_thing = 1"}
    # 7 and 4 images, 3 segmentations, a key, a link, 2 values, 2 genes, a column, an encoding,
    # a condition.
    return 7 + 4 + 3 + 1 + 1 + 2 + 2 + 1 + 1 + 1


def test_all_that_is_wrong_is_found_in_one_run(lab: Lab) -> None:
    count = break_everything(lab)
    problems = lab.problems()
    found = [(p["file"], p.get("row"), p.get("column"), p["what"]) for p in problems]
    assert count == len({one[:3] for one in found}) == len(found), "\n".join(map(str, found))
    assert found == sorted(found, key=lambda f: (f[0], f[1] or 0, f[2] or "", f[3]))


def test_a_good_revision_stays_what_it_was_when_the_next_build_finds_errors(lab: Lab) -> None:
    lab.build()
    good = lab.logs()
    assert 5 == len(good)
    break_everything(lab)
    assert len(lab.problems()) > 20
    assert good == lab.logs()
    # And what was right is still built in one go.
    again = Lab(lab.folder.parent / "again", lab.home).build()
    assert [False] * 5 == [one.changed for one in again.packages]


def prompt(
    lab: Lab, capfdbinary: pytest.CaptureFixture[bytes], *options: str
) -> tuple[int, str, str]:
    """Build at the prompt; return exit code, stdout and stderr."""
    path = lab.write()
    with lab.at_home(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO())
        code = run(["build", "aics", str(path), *options])
    out, err = capfdbinary.readouterr()
    return code, out.decode(), err.decode()


def test_at_the_prompt_every_problem_is_a_line_and_the_exit_code_is_2(lab, capfdbinary):
    count = break_everything(lab)
    code, out, err = prompt(lab, capfdbinary)
    assert 2 == code
    assert ["Reading tables...", "Checking images of 34 records..."] == out.splitlines()
    lines = err.splitlines()
    assert count == sum(line.startswith("error ") for line in lines)
    line = next(line for line in lines if "'thirty'" in line)
    assert ["error", "wells.csv", "3", "passage"] == line.split()[:4]
    assert "Mend the cell, or the type of passage in the recipe." in line
    assert any(line.startswith(f"cellbank: cellbank.yaml: {count} errors") for line in lines)
    assert "Traceback" not in err
    assert {} == lab.logs()


def test_as_json_all_problems_are_one_document_on_stdout(lab, capfdbinary):
    count = break_everything(lab)
    code, out, _ = prompt(lab, capfdbinary, "--json")
    document = json.loads(out)
    assert 2 == code
    assert count == len(document["problems"])
    assert {"severity", "file", "what", "advice", "row", "column"} <= set().union(
        *document["problems"]
    )
    assert [] == document["packages"]


def test_warnings_are_built_with_and_strict_makes_them_errors(lab, capfdbinary):
    lab.change("wells", 0, passage="nan")
    code, out, err = prompt(lab, capfdbinary, "--strict")
    assert 2 == code
    assert "Building" not in out
    assert "warning  wells.csv" in err
    assert {} == lab.logs()
    code, out, err = prompt(lab, capfdbinary)
    assert 0 == code
    assert "warning  wells.csv" in err
    assert "5 packages of 2 lines" in out
    assert 5 == len(lab.logs())


def test_errors_are_shown_to_the_quiet_too_and_warnings_are_not(lab, capfdbinary):
    lab.change("wells", 0, passage="nan")
    assert (0, "", "") == prompt(lab, capfdbinary, "--quiet")
    lab.change("wells", 0, passage="many")
    code, out, err = prompt(lab, capfdbinary, "--quiet")
    assert (2, "") == (code, out)
    assert "error  wells.csv" in err


def test_as_json_what_was_built_and_its_warnings_are_one_document(lab, capfdbinary):
    lab.change("wells", 0, passage="nan")
    code, out, err = prompt(lab, capfdbinary, "--json")
    document = json.loads(out)
    assert 0 == code
    assert 5 == len(document["packages"])
    assert 16 == document["images_read"]
    assert ["warning"] == [problem["severity"] for problem in document["problems"]]
    assert "Building aics/cell_lines..." in err
