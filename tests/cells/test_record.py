"""A record as a person has it: what is known, what is related, its image by the names of dyes."""

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import cellbank
from cellbank.cells import Record, record
from cellbank.cells.kinds import KINDS
from cellbank.cells.roles import ROLES, channel_of
from cellbank.images import Channel
from cellbank.model.errors import (
    AttributeNotFound,
    BadImage,
    BadInput,
    ChannelNotFound,
    NotFetched,
    NotFound,
)
from cellbank.packages.nodes import PackageNode
from tests.cells.lab import FOVS, Lab, cells, pixels, write_image
from tests.family import PACKAGE, SHAPE, Family

FOV = "fov_00dde0c979ef45949337220524ccfec5"
STEM = "plate_3500001464_well_E6_100X_20171024_5_Scene_5_P27_E06"


@pytest.fixture
def package(family: Family, monkeypatch: pytest.MonkeyPatch) -> PackageNode:
    """Return the tight junction line of the sample."""
    monkeypatch.setenv("CELLBANK_HOME", str(family.lab))
    return cellbank.load(PACKAGE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return a tiny lab whose family is built, one for all tests here: nobody changes it."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.build()
    return made


@pytest.fixture
def lab(built: Lab) -> Iterator[Lab]:
    """Return the lab in whose store the test works."""
    with built.at_home():
        yield built


def fov(number: int = 0, package: str = "aics/cell_lines", **how: Any) -> Record:
    return record(cellbank.load(f"{package}/fovs/fov_{FOVS[number]}"), **how)


def folder_package(tmp_path: Path, files: dict[str, Any]) -> PackageNode:
    """Return a package of files that no recipe made."""
    for path, content in files.items():
        file = tmp_path / "plain" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            write_image(file, content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            file.write_text(text, encoding="utf-8")
    cellbank.build("demo/plain", tmp_path / "plain")
    return cellbank.load("demo/plain")


# --- the walk-through's field


def test_what_the_walk_through_prints_of_a_field_is_there_typed(package: PackageNode) -> None:
    info = record(package.fovs[FOV]).info
    assert (98.8, "20", 3400, 3000.0) == (
        info.cell_viability,
        info.clone,
        info.population_id,
        info.concentration,
    )
    assert date(2017, 10, 16) == info.seed_date
    assert "10/16/2017" == info.as_dict()["seed_date"]
    assert ["line_AICS_23"] == info.lines
    assert ["CMDRP", "EGFP", "H3342", "Bright_100X"] == [
        channel.dye_name for channel in info["channels"] if channel.use
    ]
    assert info.location is None
    document = json.loads(Path(package.fovs[FOV].info.load()).read_bytes())
    assert document == info.as_dict()


def test_its_image_has_the_dyes_of_its_info(package: PackageNode) -> None:
    image = record(package.fovs[FOV]).image
    assert [
        ("CMDRP_2", False),
        ("CMDRP", True),
        ("EGFP_2", False),
        ("EGFP", True),
        ("H3342_2", False),
        ("H3342", True),
        ("Bright_100X", True),
    ] == [(channel.name, channel.use) for channel in image.channels]
    assert {"Z": SHAPE[0], "C": 7, "Y": SHAPE[1], "X": SHAPE[2]} == image.sizes
    whole = tifffile.imread(package.fovs[FOV].image.load())
    assert np.array_equal(whole[:, 3], image.read(C="EGFP"))


def test_its_segmentations_are_aligned_arrays(package: PackageNode) -> None:
    found = record(package.fovs[FOV]).segmentations()
    assert ["cell", "nuclei", "structure"] == list(found)
    for name, group, prefix in (
        ("cell", "cell_segs", "cell"),
        ("nuclei", "nuclei_segs", "nuc"),
        ("structure", "structure_segs", "struct"),
    ):
        whole = tifffile.imread(package[f"{group}/{prefix}_{STEM}/image/load"])
        assert SHAPE == found[name].shape
        assert np.array_equal(whole, found[name])


def test_relations_lead_from_record_to_record_and_back(package: PackageNode) -> None:
    one = record(package.fovs[FOV])
    for name in ("cell_segs", "cell_seg"):
        assert [f"cell_{STEM}"] == [found.id for found in one.related(name)]
    line = one.related("lines")[0]
    assert ("line", "TJP1") == (line.kind, line.info.edits[0].gene)
    assert one in line.related("fovs")
    assert [] == one.missing("wells")
    assert [one] == one.related("cell_segs")[0].related("fovs")


def test_every_record_of_the_sample_opens(package: PackageNode) -> None:
    kinds = set()
    for group in package._group_keys():
        for node in package[group]:
            one = record(node)
            assert json.loads(node.info.load.bytes()) == one.info.as_dict()
            assert one.has_image == (one.kind in ("fov", "cell_seg", "nuclei_seg", "structure_seg"))
            kinds.add(one.kind)
    assert set(KINDS) == kinds


def test_rgb_is_the_walk_throughs_red_green_and_blue(package: PackageNode) -> None:
    one = record(package.fovs[FOV])
    whole = tifffile.imread(package.fovs[FOV].image.load())
    expected = np.stack([_normal(whole[:, c].max(0)) for c in (3, 1, 5)], -1)
    found = one.rgb()
    assert np.abs(expected.astype(int) - found).max() <= 1
    assert np.array_equal(found, one.rgb("EGFP", "CMDRP", "H3342"))
    assert np.array_equal(one.image.rgb(3, 1, 5, Z=4), one.rgb(Z=4))


def _normal(plane: Any) -> Any:
    low, high = plane.min(), plane.max()
    return 255 * ((plane - low) / (high - low))


def test_an_overlay_outlines_the_cells(package: PackageNode) -> None:
    one = record(package.fovs[FOV])
    labels = one.segmentations()["cell"]
    plain, outlined = one.rgb(Z=4), one.rgb(Z=4, overlay="cell")
    changed = (plain != outlined).any(axis=-1)
    assert changed.any()
    assert not changed[labels[4] == 0].any()
    both = one.rgb(Z=4, overlay=("cell", "nuclei"))
    assert (both != outlined).any()
    with pytest.raises(AttributeNotFound, match="Did you mean cell"):
        one.rgb(overlay="cells")
    with pytest.raises(BadInput, match="it has: cell, nuclei, structure"):
        one.rgb(overlay=True)  # type: ignore[arg-type]


# --- which node is a record


def test_what_lies_in_a_record_is_that_record(lab: Lab) -> None:
    whole = fov()
    for path in ("info", "image", "info/load", "image/load"):
        assert whole == record(whole.node[path])
    assert hash(whole) == hash(record(whole.node["info"]))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "aics/cell_lines is no record. Records are in its groups .*: package.fovs"),
        ("fovs", "cell_lines/fovs is no record. It has 4 records; take one: package.fovs"),
        ("README", "README is no record. Records are in its groups"),
    ],
)
def test_a_node_that_is_no_record_is_told(lab: Lab, path: str, told: str) -> None:
    package = cellbank.load("aics/cell_lines")
    with pytest.raises(BadInput, match=told):
        record(package[path] if path else package)


def test_a_package_without_records_says_what_a_record_is(nuclei: Any) -> None:
    with pytest.raises(BadInput, match="a group such as fovs/ID with an info in it"):
        record(nuclei.images)
    with pytest.raises(BadInput, match="no node of a package"):
        record("demo/nuclei/images")  # type: ignore[arg-type]


def test_a_group_that_is_nearly_one_of_records_is_told(tmp_path: Path) -> None:
    files = {"fov/fov_1/info/load": "{}", "fovs/fov_1/info/load": "{}", "fovs/x/image/load": ""}
    package = folder_package(tmp_path, files)
    with pytest.raises(BadInput, match="Did you mean fovs"):
        record(package.fov.fov_1)
    with pytest.raises(
        BadInput, match=r"fovs/x is no record\. A record has an info; this has: image"
    ):
        record(package.fovs.x)


# --- documents that are not as they should be


@pytest.mark.parametrize("text", ["[1]", "{", "\ufeff{", "[" * 100_000])
def test_a_document_that_is_no_json_object_is_told(tmp_path: Path, text: str) -> None:
    package = folder_package(tmp_path, {"fovs/fov_1/info/load": text})
    with pytest.raises(BadInput, match="demo/plain/fovs/fov_1/info/load is not"):
        _ = record(package.fovs.fov_1).info


def test_a_document_that_deviates_still_loads(tmp_path: Path) -> None:
    document = {"passage": "many", "channels": "none", "lines": "line_1", "plates": [5, "plate_1"]}
    files = {"fovs/fov_1/info/load": document, "fovs/fov_1/image/load": pixels(1)}
    one = record(folder_package(tmp_path, files).fovs.fov_1)
    assert ("many", "none") == (one.info.passage, one.info.channels)
    assert ["EGFP", "H3342", "Bright"] == [channel.name for channel in one.image.channels]
    assert [] == one.related("lines")
    assert ["plate_1"] == one.missing("plates")
    assert [] == one.related("wells")


def test_an_image_with_other_channels_than_its_info_keeps_its_own(tmp_path: Path) -> None:
    info = {"channels": [{"dye_name": "DNA", "use": True}]}
    files = {"fovs/fov_1/info/load": info, "fovs/fov_1/image/load": pixels(1)}
    one = record(folder_package(tmp_path, files).fovs.fov_1)
    with pytest.warns(UserWarning, match="fov_1: its info names 1 channels and its image has 3"):
        image = one.image
    assert ["EGFP", "H3342", "Bright"] == [channel.name for channel in image.channels]


def test_a_channel_of_which_info_says_little_keeps_what_the_file_says(tmp_path: Path) -> None:
    info = {"channels": [{"dye_name": None}, {"use": False}, {"dye_name": "TL", "use": "yes"}]}
    files = {"fovs/fov_1/info/load": info, "fovs/fov_1/image/load": pixels(1)}
    channels = record(folder_package(tmp_path, files).fovs.fov_1).image.channels
    assert [("EGFP", None), ("H3342", False), ("TL", None)] == [(c.name, c.use) for c in channels]


# --- relations of a part


def test_an_unknown_relation_tells_what_is_near(lab: Lab) -> None:
    with pytest.raises(AttributeNotFound, match="no relation list nuclei_seg_") as told:
        fov().related("nuclei_seg_")
    assert "nuclei_segs" in told.value.advice
    with pytest.raises(AttributeNotFound, match="fovs"):
        fov().missing("fovs")


def test_of_a_part_there_is_what_was_installed(lab: Lab, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    cellbank.push("aics/cell_lines", to=str(registry))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
        for part in (f"fovs/fov_{FOVS[0]}", f"cell_segs/cell_{FOVS[0]}", "lines"):
            cellbank.install(f"aics/cell_lines/{part}", str(registry))
        one = fov()
        assert [f"cell_{FOVS[0]}"] == [found.id for found in one.related("cell_segs")]
        assert [] == one.missing("cell_segs")
        assert [] == one.related("nuclei_segs")
        assert [f"nuc_{FOVS[0]}"] == one.missing("nuclei_segs")
        assert ["cell"] == list(one.segmentations())
        line = one.related("lines")[0]
        assert [one] == line.related("fovs")
        assert [f"fov_{FOVS[1]}"] == line.missing("fovs")
        # SCHEMA did not come along: nobody says what form the date has.
        assert "10/16/2017" == one.info.seed_date
        with pytest.raises(NotFetched):
            _ = fov(1).info


def test_with_its_metadata_only_a_record_reads_its_image_from_afar(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLBANK_HOME", str(family.lab))
    here = record(cellbank.load(PACKAGE).fovs[FOV])
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    cellbank.install(PACKAGE, str(family.registry), metadata_only=True)
    one = record(cellbank.load(PACKAGE).fovs[FOV])
    assert here.info == one.info
    assert [f"nuc_{STEM}"] == [found.id for found in one.related("nuclei_segs")]
    assert np.array_equal(here.crop(1, margin=1).image, one.crop(1, margin=1).image)
    assert not one.node.image.load.fetched


# --- images and segmentations that are not there, or do not fit


def test_a_record_without_an_image_says_so(lab: Lab) -> None:
    line = fov().related("lines")[0]
    assert not line.has_image
    assert not hasattr(line, "image")
    with pytest.raises(AttributeNotFound, match=r"line_AICS_23 has no image\. It has: info"):
        _ = line.image
    with pytest.raises(NotFound, match=r"record\.related\('fovs'\)"):
        line.segmentations()


def test_a_field_without_segmentations_has_none(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.enlarge(0)
    lab.build()
    with lab.at_home():
        assert {} == fov(0).segmentations()


def test_a_segmentation_has_itself_and_its_siblings(lab: Lab) -> None:
    one = fov().related("nuclei_segs")[0]
    assert {"cell", "nuclei", "structure"} == set(one.segmentations())
    assert np.array_equal(fov().segmentations()["nuclei"], one.image.read())


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (cells((3, 8, 8)), r"has \(Z, Y, X\) = \(3, 8, 8\), the field has \(2, 8, 8\)"),
        (np.zeros((2, 2, 8, 8), np.uint16), "not Z, Y, X alone"),
    ],
)
def test_a_segmentation_that_does_not_fit_is_told(tmp_path: Path, labels: Any, told: str) -> None:
    plain = tmp_path / "plain" / "cell_segs" / "cell_1" / "image" / "load"
    write_image(plain, labels, **({"channels": ("a", "b")} if labels.ndim == 4 else {}))
    files = {
        "fovs/fov_1/info/load": {"cell_segs": ["cell_1"]},
        "fovs/fov_1/image/load": pixels(1),
        "cell_segs/cell_1/info/load": {"fovs": ["fov_1"]},
    }
    one = record(folder_package(tmp_path, files).fovs.fov_1)
    with pytest.raises(BadImage, match=told):
        one.segmentations()


def test_a_plane_of_labels_belongs_to_a_plane_of_an_image(tmp_path: Path) -> None:
    files = {
        "fovs/fov_1/info/load": {"cell_segs": ["cell_1"]},
        "cell_segs/cell_1/info/load": {},
    }
    for path, data, axes in (
        ("fovs/fov_1", pixels(1, shape=(3, 8, 8)), "CYX"),
        ("cell_segs/cell_1", cells()[0], "YX"),
    ):
        write_image(tmp_path / "plain" / path / "image" / "load", data, axes)
    one = record(folder_package(tmp_path, files).fovs.fov_1)
    assert (1, 8, 8) == one.segmentations()["cell"].shape


# --- channels by what they show


@pytest.mark.parametrize(
    ("names", "found"),
    [
        # The layouts that one database has, and the names of earlier years.
        (
            ["CMDRP_2", "CMDRP", "EGFP_2", "EGFP", "H3342_2", "H3342", "Bright_100X"],
            {"membrane": 1, "structure": 3, "dna": 5, "brightfield": 6},
        ),
        (
            ["CMDRP", "EGFP", "H3342", "Bright"],
            {"membrane": 0, "structure": 1, "dna": 2, "brightfield": 3},
        ),
        (
            ["Bright", "EGFP", "CMDRP", "H3342"],
            {"membrane": 2, "structure": 1, "dna": 3, "brightfield": 0},
        ),
        (
            ["TL Brightfield", "Hoechst 33258", "mTagRFP-T", "CellMask Deep Red"],
            {"membrane": 3, "structure": 2, "dna": 1, "brightfield": 0},
        ),
        (["DRAQ5", "mEGFP"], {"structure": 1, "dna": 0}),
        (["phase", None], {}),
    ],
)
def test_what_a_channel_shows_is_told_by_its_dye(
    names: list[str | None], found: dict[str, int]
) -> None:
    channels = [Channel(name, number) for number, name in enumerate(names)]
    shown = {role: channel_of(role, channels) for role in ROLES}
    assert found == {role: channel.index for role, channel in shown.items() if channel}


def test_a_channel_that_is_not_in_use_shows_nothing() -> None:
    channels = [Channel("EGFP", 0, use=False), Channel("mEGFP", 1, use=True)]
    assert channels[1] == channel_of("structure", channels)


def test_a_channel_is_found_by_name_number_or_what_it_shows(lab: Lab) -> None:
    one = fov()
    assert [1, 1, 1] == [one.channel(name).index for name in ("H3342", "dna", 1)]
    with pytest.raises(ChannelNotFound, match="Did you mean H3342"):
        one.channel("H3324")
    with pytest.raises(ChannelNotFound, match="membrane"):
        one.channel("membrane")


def test_rgb_leaves_black_what_no_channel_shows(lab: Lab) -> None:
    found = fov().rgb()
    assert found[..., 0].any()
    assert not found[..., 1].any()
    with pytest.raises(ChannelNotFound, match="CMDRP"):
        fov().rgb(green="CMDRP")
    with pytest.raises(ChannelNotFound, match="membrane"):
        fov().rgb("membrane", None, "membrane")


# --- loaders


def test_a_loader_makes_something_of_the_file(lab: Lab) -> None:
    asked: list[str] = []

    def lines_of(path: str) -> int:
        asked.append(path)
        return len(Path(path).read_text().splitlines())

    one = fov(loaders={"image": tifffile.imread, "info": lines_of})
    assert np.array_equal(pixels(0), one.load("image"))
    assert one.load("info") > 20
    assert asked[0].endswith(f"/fov_{FOVS[0]}.json")
    assert (2, 3, 8, 8) == one.image.shape
    assert 33 == one.info.passage


def test_loaders_hold_for_what_is_reached_and_for_nothing_else(lab: Lab) -> None:
    loaders = {"image": tifffile.imread}
    one = fov(loaders=loaders)
    loaders["image"] = len  # type: ignore[assignment]
    assert (2, 8, 8) == one.related("cell_segs")[0].load("image").shape
    assert (2, 8, 8) == one.related("lines")[0].related("cell_segs")[0].load("image").shape
    assert "Image" == type(fov().load("image")).__name__
    assert "Image" == type(fov(1).load("image")).__name__
    assert "Info" == type(one.load("info")).__name__
    other = fov(loaders={"image": lambda _: "other"})
    assert ("other", (2, 3, 8, 8)) == (other.load("image"), one.load("image").shape)


def test_a_loader_for_what_no_record_has_is_refused(lab: Lab) -> None:
    with pytest.raises(BadInput, match="Did you mean image"):
        fov(loaders={"imgae": len})
    with pytest.raises(BadInput, match="not callable"):
        fov(loaders={"image": 5})
    with pytest.raises(BadInput, match="loaders have no names"):
        fov(loaders=[len])
    with pytest.raises(AttributeNotFound, match="Did you mean image"):
        fov().load("imgae")


def test_other_parts_of_a_record_load_with_a_loader(tmp_path: Path) -> None:
    files = {"fovs/fov_1/info/load": "{}", "fovs/fov_1/notes/load": "good cells"}
    package = folder_package(tmp_path, files)
    one = record(package.fovs.fov_1, loaders={"notes": lambda path: Path(path).read_text()})
    assert "good cells" == one.load("notes")
    with pytest.raises(AttributeNotFound, match="no loader"):
        record(package.fovs.fov_1).load("notes")


# --- as a value


def test_it_is_pickled_and_compared_by_its_node(lab: Lab) -> None:
    one = fov(loaders={"image": tifffile.imread})
    _ = one.image
    again = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert one == again
    assert np.array_equal(one.load("image"), again.load("image"))
    assert one != fov(1)
    assert f"<Record fov fov_{FOVS[0]} of aics/cell_lines>" == repr(one)


def test_the_face_costs_little_and_keeps_its_rooms() -> None:
    code = (
        "import sys, cellbank.cells as cells; cells.records; cells.record; cells.Record;"
        "print(sorted({'numpy', 'tifffile', 'duckdb', 'pandas', 'polars'} & set(sys.modules)))"
    )
    code = f"import cellbank.cells.records; {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_it'"):
        _ = cellbank.cells.nothing_of_it  # type: ignore[attr-defined]
