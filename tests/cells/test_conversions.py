"""Images that are no OME-TIFF become one: the same pixels, once, with the axes that were said."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellbank.images import read_header
from cellbank.packages import staging
from tests.cells.lab import CHANNELS, E6, FOVS, VOXEL, Lab, pixels, revisions

FOV = f"fovs/fov_{FOVS[0]}"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path).only(all="cell_lines", per_line={"name": "{line}"})


def plain(lab: Lab, seed: int = 0, shape: tuple[int, ...] = (2, 3, 8, 8)) -> np.ndarray:
    """Let the first field of view be a TIFF that says nothing of its axes; return its pixels."""
    data = pixels(seed, shape=shape)
    tifffile.imwrite(lab.folder / "images/plain.tif", data, photometric="minisblack", metadata=None)
    lab.change("fovs", 0, image="images/plain.tif")
    return data


def image(lab: Lab, name: str, path: str) -> np.ndarray:
    return tifffile.imread(io.BytesIO(lab.read(name, path)))


def test_a_plain_tiff_becomes_an_ome_tiff_with_the_same_pixels(lab: Lab) -> None:
    data = plain(lab).reshape(6, 8, 8)
    # Six pages in a row: the recipe must say what they are.
    lab.record("fov")["image"]["axes"] = "CYX"
    lab.change("fovs", 0, channels="[" + ",".join(6 * ['{"dye_name": "x", "use": true}']) + "]")
    lab.tables["fovs"] = lab.tables["fovs"][:1]
    lab.tables["segmentations"] = []
    del lab.recipe["records"]["cell_seg"], lab.recipe["records"]["nuclei_seg"]
    del lab.recipe["records"]["structure_seg"], lab.recipe["tables"]["segmentations"]
    lab.tables.pop("segmentations")
    del lab.record("fov")["image"]["voxel_size"]["Z"]
    built = lab.build()
    assert 1 == built.images_read
    assert np.array_equal(data, image(lab, "cell_lines", f"{FOV}/image/load"))
    entry = lab.entries("cell_lines")[f"{FOV}/image/load"]
    assert "plain.ome.tif" == entry.filename
    assert entry == lab.entries("aics_23")[f"{FOV}/image/load"]
    header = read_header(io.BytesIO(lab.read("cell_lines", entry.path)))
    assert ("ome-tiff", "CYX", (6, 8, 8)) == (header.format, header.axes, header.shape)
    assert {"Y": 0.108, "X": 0.108} == header.pixel_size
    again = lab.build()
    assert (0, 0) == (again.images_read, again.added_bytes)
    assert revisions(built) == revisions(again)


def test_an_image_that_names_its_axes_needs_no_others(lab: Lab) -> None:
    data = pixels(0)
    tifffile.imwrite(lab.folder / "images/j.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    lab.change("fovs", 0, image="images/j.tif")
    del lab.record("fov")["image"]["axes"]
    lab.build()
    assert np.array_equal(data, image(lab, "cell_lines", f"{FOV}/image/load"))
    header = read_header(io.BytesIO(lab.read("cell_lines", f"{FOV}/image/load")))
    assert (CHANNELS, VOXEL) == (header.channels, header.pixel_size)


def test_axes_are_never_guessed(lab: Lab) -> None:
    plain(lab)
    del lab.record("fov")["image"]["axes"]
    problem = lab.problem()
    assert ("fovs.csv", 2, "image") == (problem["file"], problem["row"], problem["column"])
    assert "it does not name its axes" in problem["what"]
    assert "images/plain.tif" in problem["what"]
    assert "axes: " in problem["advice"]


def test_axes_that_do_not_fit_are_told(lab: Lab) -> None:
    plain(lab)
    lab.record("fov")["image"]["axes"] = "YX"
    assert any("the axes YX do not fit it" in problem["what"] for problem in lab.problems())


def parts(lab: Lab, seed: int = 0) -> np.ndarray:
    """Let every field of view have a file a channel; return the pixels of the first."""
    first = None
    lab.tables["segmentations"] = lab.tables["segmentations"][:0]
    for name in ("segmentations",):
        del lab.tables[name], lab.recipe["tables"][name]
    for kind in ("cell", "nuclei", "structure"):
        del lab.recipe["records"][f"{kind}_seg"]
    for row, fov in zip(lab.tables["fovs"], FOVS, strict=True):
        data = pixels(seed + FOVS.index(fov), shape=(3, 8, 8))
        first = data if first is None else first
        for name, plane in zip(CHANNELS, data, strict=True):
            tifffile.imwrite(lab.folder / f"images/{fov}_{name}.tif", plane, metadata=None)
            row[name] = f"{fov}_{name}.tif"
    files = {name: name for name in CHANNELS}
    lab.record("fov")["image"] = {"file": files, "folder": "images"}
    assert first is not None
    return first


def test_one_file_a_channel_becomes_one_image_in_the_order_of_the_recipe(lab: Lab) -> None:
    data = parts(lab)
    built = lab.build()
    assert 4 == built.images_read
    assert np.array_equal(data, image(lab, "cell_lines", f"{FOV}/image/load"))
    header = read_header(io.BytesIO(lab.read("cell_lines", f"{FOV}/image/load")))
    assert (CHANNELS, "CYX") == (header.channels, header.axes)
    assert lab.entries("cell_lines")[f"{FOV}/image/load"].filename.endswith(".ome.tif")
    again = lab.build()
    assert (0, 0) == (again.images_read, again.added_bytes)


def test_a_changed_channel_makes_its_image_anew_and_no_other(lab: Lab) -> None:
    data = parts(lab)
    lab.build()
    changed = data[1] + 1
    tifffile.imwrite(lab.folder / f"images/{FOVS[0]}_H3342.tif", changed, metadata=None)
    assert 1 == lab.build().images_read
    found = image(lab, "aics_23", f"{FOV}/image/load")
    assert np.array_equal(np.stack([data[0], changed, data[2]]), found)


def test_a_channel_that_is_missing_or_of_another_shape_is_told(lab: Lab) -> None:
    parts(lab)
    (lab.folder / f"images/{FOVS[0]}_H3342.tif").unlink()
    other = np.zeros((9, 8), np.uint16)
    tifffile.imwrite(lab.folder / f"images/{FOVS[1]}_Bright.tif", other, metadata=None)
    problems = lab.problems()
    assert [("fovs.csv", 2), ("fovs.csv", 3)] == [(p["file"], p["row"]) for p in problems]
    assert f"images/{FOVS[0]}_H3342.tif is not there" in problems[0]["what"]
    assert "(9, 8)" in problems[1]["what"]


def test_conversions_are_the_same_bytes_in_another_place(lab: Lab, tmp_path: Path) -> None:
    parts(lab)
    other = Lab(tmp_path / "other").only(all="cell_lines", per_line={"name": "{line}"})
    parts(other)
    assert revisions(lab.build()) == revisions(other.build())
    assert lab.entries("cell_lines") == other.entries("cell_lines")


def test_a_large_conversion_is_an_object_and_is_made_anew_if_the_store_loses_it(lab: Lab) -> None:
    data = plain(lab, shape=(2, 3, 160, 160))
    lab.record("fov")["image"]["axes"] = "ZCYX"
    tifffile.imwrite(lab.folder / "images/plain.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    lab.tables["segmentations"] = lab.tables["segmentations"][3:]
    before = revisions(lab.build())
    (made,) = lab.objects()
    assert np.array_equal(data, image(lab, "aics_23", f"{FOV}/image/load"))
    next(lab.home.rglob(made)).unlink()
    built = lab.build()
    assert (1, before) == (built.images_read, revisions(built))
    assert {made} == lab.objects()


def test_a_well_may_have_an_image_and_need_not(lab: Lab) -> None:
    scan = pixels(5, shape=(12, 12))
    tifffile.imwrite(lab.folder / "images/scan.tif", scan, metadata=None)
    for row in lab.tables["wells"]:
        row["scan"] = ""
    lab.change("wells", 0, scan="images/scan.tif")
    lab.record("well")["image"] = {"file": "scan", "axes": "YX"}
    built = lab.build()
    assert 17 == built.images
    assert np.array_equal(scan, image(lab, "aics_23", f"wells/{E6}/image/load"))
    with_image = [p for p in lab.entries("cell_lines") if p.startswith("wells/") and "image" in p]
    assert [f"wells/{E6}/image/load"] == with_image


def test_a_real_plate_of_a_file_a_channel_becomes_a_package(lab: Lab, shared_data: Path) -> None:
    names = {"DNA": 0, "actin": 1, "other": 2}
    source = shared_data / "images" / "ht29_well_D03"
    parts(lab)
    files = {name: sorted(source.glob("*.tif"))[n] for name, n in names.items()}
    for file in files.values():
        (lab.folder / "images" / file.name).write_bytes(file.read_bytes())
    lab.tables["fovs"] = [
        {
            "fov": "D03",
            "well": E6,
            "ids": "",
            "channels": "",
            **{n: f.name for n, f in files.items()},
        }
    ]
    lab.record("fov")["image"] = {"file": {n: n for n in names}, "folder": "images"}
    del lab.record("fov")["attributes"]["channels"]
    lab.build()
    found = image(lab, "aics_23", "fovs/fov_D03/image/load")
    assert np.array_equal(np.stack([tifffile.imread(file) for file in files.values()]), found)
    info = lab.info("aics_23", "fovs/fov_D03")
    assert list(names) == [channel["dye_name"] for channel in info["channels"]]
    assert 0 == lab.build().images_read


def test_small_images_that_were_made_lie_on_the_disk_where_memory_is_short(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "KEPT_BYTES", 0)
    data = pixels(0)
    tifffile.imwrite(lab.folder / "images/j.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    lab.change("fovs", 0, image="images/j.tif")
    lab.build()
    assert np.array_equal(data, image(lab, "cell_lines", f"{FOV}/image/load"))
    assert not list((lab.home / "caches/pieces").iterdir())
    assert 0 == lab.build().images_read
