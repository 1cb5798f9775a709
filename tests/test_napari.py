"""Records and images as layers of napari: its real viewer model, without a window."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

import cellbank
from cellbank import images
from cellbank.cells import record
from cellbank.images import write_ome_tiff
from cellbank.model.errors import BadImage, BadInput, EntryNotFound, NotInstalled
from cellbank.napari import SCHEME, get_reader, layers
from tests.cells.lab import FOVS, VOXEL, Lab, cells, pixels, write_image
from tests.family import PACKAGE, SHAPE, Family

MANIFEST = Path(cellbank.__file__).parent / "napari.yaml"
FOV = "fov_00dde0c979ef45949337220524ccfec5"

# What other libraries warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def plugins() -> Iterator[Any]:
    """Return napari's plugins: only ours, read from the manifest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from npe2 import PluginManager, PluginManifest

        with pytest.MonkeyPatch.context() as patch:
            alone = PluginManager()
            patch.setattr(PluginManager, "_PluginManager__instance", alone, raising=False)
            patch.setattr(PluginManager, "instance", classmethod(lambda _: alone))
            alone.register(PluginManifest.from_file(MANIFEST))
            yield alone


@pytest.fixture
def viewer(plugins: Any) -> Any:
    """Return an empty viewer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from napari.components import ViewerModel

        return ViewerModel()


@pytest.fixture
def sample(family: Family, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the reference of the walk-through's field."""
    monkeypatch.setenv("CELLBANK_HOME", str(family.lab))
    return f"{PACKAGE}/fovs/{FOV}"


def test_the_manifest_is_one_that_npe2_takes(plugins: Any) -> None:
    manifest = plugins.get_manifest("cellbank")
    command = manifest.contributions.commands[0]
    assert command.id == manifest.contributions.readers[0].command
    assert get_reader is plugins.get_command(command.id) or command.python_name
    assert "cellbank.napari:get_reader" == str(command.python_name)


def test_a_field_becomes_a_layer_a_channel_in_use_and_its_segmentations(
    viewer: Any, sample: str
) -> None:
    viewer.open(SCHEME + sample, plugin="cellbank")
    assert [
        ("CMDRP", "image"),
        ("EGFP", "image"),
        ("H3342", "image"),
        ("Bright_100X", "image"),
        ("cell", "labels"),
        ("nuclei", "labels"),
        ("structure", "labels"),
    ] == [(layer.name, layer._type_string) for layer in viewer.layers]
    one = record(cellbank.load(sample))
    size = one.image.pixel_size
    for layer in viewer.layers:
        assert SHAPE == layer.data.shape
        assert isinstance(layer.data, da.Array)
        assert np.allclose([size[axis] for axis in "ZYX"], layer.scale)
        assert {"micrometer"} == {str(unit) for unit in layer.units}
        assert ("Z", "Y", "X") == layer.axis_labels
    for name in ("CMDRP", "EGFP", "H3342", "Bright_100X"):
        layer = viewer.layers[name]
        assert np.array_equal(one.image.read(C=name), np.asarray(layer.data))
        low, high = layer.contrast_limits
        assert one.image.read(C=name).min() <= low < high <= one.image.read(C=name).max()
        assert "additive" == layer.blending
    for name, labels in one.segmentations().items():
        assert np.array_equal(labels, np.asarray(viewer.layers[name].data))


def test_colours_are_those_of_the_dyes_and_fog_is_off(viewer: Any, sample: str) -> None:
    viewer.open(SCHEME + sample, plugin="cellbank")
    brightest = {
        name: viewer.layers[name].colormap.colors[-1][:3].tolist()
        for name in ("CMDRP", "EGFP", "H3342")
    }
    assert {"CMDRP": [1, 0, 1], "EGFP": [0, 1, 0], "H3342": [0, 0, 1]} == brightest
    assert ["CMDRP", "EGFP", "H3342", "cell"] == [la.name for la in viewer.layers if la.visible]
    assert FOV == viewer.layers["EGFP"].metadata["record"]
    assert 98.8 == viewer.layers["EGFP"].metadata["info"]["cell_viability"]


def test_a_segmentation_is_a_label_layer(viewer: Any, sample: str) -> None:
    seg = record(cellbank.load(sample)).related("nuclei_segs")[0]
    viewer.open(f"{SCHEME}{PACKAGE}/nuclei_segs/{seg.id}", plugin="cellbank")
    assert [("nuclei", "labels", True)] == [
        (layer.name, layer._type_string, layer.visible) for layer in viewer.layers
    ]


def test_the_image_of_a_record_alone_has_its_dyes(viewer: Any, sample: str) -> None:
    viewer.open(f"{SCHEME}{sample}/image/load", plugin="cellbank")
    assert ["CMDRP", "EGFP", "H3342", "Bright_100X"] == [layer.name for layer in viewer.layers]


def test_an_image_of_any_package_opens(viewer: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "plate" / "E6.ome.tif", pixels(1))
    cellbank.build("demo/plate", tmp_path / "plate")
    viewer.open(f"{SCHEME}demo/plate/E6.ome.tif", plugin="cellbank")
    assert ["EGFP", "H3342", "Bright"] == [layer.name for layer in viewer.layers]


def test_a_file_opens_without_a_package(viewer: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "E6.ome.tiff", pixels(1))
    viewer.open(str(tmp_path / "E6.ome.tiff"), plugin="cellbank")
    assert ["EGFP", "H3342", "Bright"] == [layer.name for layer in viewer.layers]
    assert np.allclose([VOXEL[axis] for axis in "ZYX"], viewer.layers[0].scale)
    assert np.array_equal(pixels(1)[:, 1], np.asarray(viewer.layers[1].data))


def test_an_ome_zarr_folder_opens_with_its_levels(viewer: Any, tmp_path: Path) -> None:
    path = tmp_path / "E6.ome.zarr"
    data = np.arange(3 * 600 * 640, dtype=np.uint16).reshape(3, 600, 640)
    write_image(tmp_path / "E6.ome.tif", data, "CYX", channels=("a", "b", "c"))
    images.open(tmp_path / "E6.ome.tif").save(path)
    levels = images.open(path).levels
    viewer.open(str(path), plugin="cellbank")
    assert ["a", "b", "c"] == [layer.name for layer in viewer.layers]
    assert len(levels) > 1
    assert list(levels) == [level.shape for level in viewer.layers[1].data]
    assert np.array_equal(data[1], np.asarray(viewer.layers[1].data[0]))


def test_colours_in_the_pixels_stay_together(viewer: Any, tmp_path: Path) -> None:
    data = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    path = tmp_path / "rgb.ome.tif"
    with path.open("wb") as file:
        write_ome_tiff(file, data[np.newaxis], axes="YXS", shape=data.shape, dtype="uint8")
    viewer.open(str(path), plugin="cellbank")
    assert 1 == len(viewer.layers)
    assert viewer.layers[0].rgb
    assert np.array_equal(data, np.asarray(viewer.layers[0].data))


def test_a_constant_channel_and_no_voxel_size_make_layers_too(viewer: Any, tmp_path: Path) -> None:
    data = np.full((2, 8, 8), 7, np.uint16)
    write_image(tmp_path / "plain.ome.tif", data, "ZYX")
    viewer.open(str(tmp_path / "plain.ome.tif"), plugin="cellbank")
    layer = viewer.layers[0]
    assert [7, 8] == list(layer.contrast_limits)
    assert [1, 1, 1] == list(layer.scale)
    assert {"pixel"} == {str(unit) for unit in layer.units}


# --- what is not ours


@pytest.mark.parametrize(
    "path",
    [
        "nothing/here/at_all",
        "no reference at all",
        "demo/plate",
        "/no/such/file.ome.tif",
        ["a.ome.tif", "b.ome.tif"],
        None,
    ],
)
def test_what_it_cannot_read_is_left_to_others(path: Any) -> None:
    assert get_reader(path) is None


def test_files_and_folders_of_other_kinds_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes.ome.tif").write_text("no image")
    (tmp_path / "folder").mkdir()
    assert get_reader(str(tmp_path / "notes.ome.tif")) is None
    assert get_reader(str(tmp_path / "folder")) is None
    assert get_reader(str(tmp_path)) is None


def test_only_its_own_patterns_are_claimed(plugins: Any) -> None:
    claimed = {
        path: bool(list(plugins.iter_compatible_readers([path])))
        for path in ("a.png", "a.tif", "a.ome.tif", "cellbank://a/b/c", "a/b/c", "a.ome.zarr")
    }
    assert ["a.ome.tif", "cellbank://a/b/c", "a.ome.zarr"] == [p for p in claimed if claimed[p]]


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("aics/cell_lines/fovs/fov_", EntryNotFound, "Did you mean fovs/fov_"),
        ("aics/cell_line/fovs/fov_1", NotInstalled, "Did you mean aics/cell_lines"),
        ("aics/cell_lines", BadInput, "not a record or an image in it"),
        ("aics/cell_lines/fovs", BadInput, "take one: package.fovs"),
        ("aics/cell_lines/lines/line_AICS_10", BadInput, "line_AICS_10 has no image"),
    ],
)
def test_a_reference_that_names_nothing_tells_what_is_near(
    viewer: Any, tmp_path: Path, path: str, error: type[Exception], told: str
) -> None:
    lab = Lab(tmp_path)
    lab.build()
    path = path + FOVS[0][:-1] if path.endswith("fov_") else path
    with lab.at_home(), pytest.raises(error, match=told):
        viewer.open(SCHEME + path, plugin="cellbank")


# --- from Python


def test_layers_are_made_of_references_nodes_records_and_images(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.build()
    with lab.at_home():
        ref = f"aics/cell_lines/fovs/fov_{FOVS[0]}"
        node = cellbank.load(ref)
        for source in (ref, SCHEME + ref, node, record(node)):
            names = [options["name"] for _, options, _ in layers(source)]
            assert ["EGFP", "H3342", "Bright", "cell", "nuclei", "structure"] == names
        for source in (f"{ref}/image", node.image.load, record(node).image):
            names = [options["name"] for _, options, _ in layers(source)]
            assert ["EGFP", "H3342", "Bright"] == names
        with pytest.raises(BadImage):
            layers(node.info.load)
        labels = next(data for data, options, _ in layers(node) if "cell" == options["name"])
        assert np.array_equal(cells(), np.asarray(labels))
        assert get_reader(ref) is layers


def test_nothing_of_napari_is_imported() -> None:
    code = "import sys, cellbank.napari; print('napari' in sys.modules, 'npe2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False False" == done.stdout.strip()
