"""Single cells out of a field: what numpy cuts out of the whole arrays, and no more is read."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

import cellbank
from cellbank.cells import Record, crops, record
from cellbank.cells.boxes import label_boxes
from cellbank.cells.one_record import SEGMENTATIONS
from cellbank.model.errors import BadImage, BadInput, ChannelNotFound, NotFound
from tests.cells.lab import CHANNELS, FOVS, Lab, pixels, write_image
from tests.family import PACKAGE, Family

FOV = "fov_00dde0c979ef45949337220524ccfec5"
IN_USE = ("CMDRP", "EGFP", "H3342", "Bright_100X")


@pytest.fixture
def field(family: Family, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Return the walk-through's field of view."""
    monkeypatch.setenv("CELLBANK_HOME", str(family.lab))
    return record(cellbank.load(PACKAGE).fovs[FOV])


def made(tmp_path: Path, image: Any, names: tuple[str, ...] = CHANNELS, **labels: Any) -> Record:
    """Return a field of view whose channels have these names, with these segmentations."""
    fov = {SEGMENTATIONS[name]: [f"{name}_1"] for name in labels}
    files = {f"{SEGMENTATIONS[name]}/{name}_1": data for name, data in labels.items()}
    for place, data in {"fovs/fov_1": image, **files}.items():
        folder = tmp_path / "plain" / place
        (folder / "info").mkdir(parents=True)
        document = fov if place.startswith("fovs") else {}
        (folder / "info" / "load").write_text(json.dumps(document))
        named = {"channels": names} if data.ndim == 4 else {}
        write_image(folder / "image" / "load", data, **named)
    cellbank.build("demo/plain", tmp_path / "plain")
    return record(cellbank.load("demo/plain").fovs.fov_1)


def by_hand(labels: NDArray[Any], label: int, margin: tuple[int, int, int]) -> tuple[slice, ...]:
    """Return the box of a label with a margin, as slowly as can be."""
    places = np.argwhere(labels == label)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    return tuple(
        slice(max(0, int(a) - m), min(n, int(b) + m))
        for a, b, m, n in zip(low, high, margin, labels.shape, strict=True)
    )


# --- boxes


def test_boxes_are_those_of_every_label_in_order() -> None:
    labels = np.zeros((4, 9, 11), np.uint16)
    labels[1:3, 2:5, 0:4] = 900
    labels[0, 0, 10] = labels[3, 8, 10] = 7
    assert {
        7: (slice(0, 4), slice(0, 9), slice(10, 11)),
        900: (slice(1, 3), slice(2, 5), slice(0, 4)),
    } == label_boxes(labels)
    assert [7, 900] == list(label_boxes(labels))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_boxes_are_the_same_in_every_type(dtype: str) -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 9, (3, 20, 30)).astype(dtype)
    labels[random.random(labels.shape) < 0.95] = 0
    labels[0, 0, 0] = np.iinfo(dtype).max
    expected = {int(n): by_hand(labels, n, (0, 0, 0)) for n in np.unique(labels) if n}
    assert expected == label_boxes(labels)


def test_planes_without_labels_have_no_boxes() -> None:
    assert {} == label_boxes(np.zeros((3, 4, 5), np.uint8))
    assert {} == label_boxes([])


# --- crops of the sample


@pytest.mark.parametrize("margin", [0, 3, 1000])
def test_a_crop_is_what_numpy_cuts_out_of_the_whole_arrays(field: Record, margin: int) -> None:
    image = field.image.read(axes="CZYX")
    whole = field.segmentations()
    for label in field.cell_labels():
        box = by_hand(whole["cell"], label, (margin,) * 3)
        crop = field.crop(label, margin=margin)
        assert dict(zip("ZYX", box, strict=True)) == crop.box
        assert IN_USE == crop.channels
        assert np.array_equal(image[[1, 3, 5, 6]][:, *box], crop.image)
        assert np.array_equal(whole["cell"][box] == label, crop.cell)
        assert np.array_equal(whole["nuclei"][box] == label, crop.nucleus)
        assert np.array_equal(whole["structure"][box] != 0, crop.structure)
        assert {np.dtype(bool)} == {m.dtype for m in (crop.cell, crop.nucleus, crop.structure)}
        assert field.image.pixel_size == crop.pixel_size


def test_cells_come_in_order_of_their_labels(field: Record) -> None:
    labels = sorted(set(np.unique(field.segmentations()["cell"]).tolist()) - {0})
    found = list(field.iter_cells(margin=1, channels=["dna"], masked=True))
    assert labels == [crop.label for crop in found] == field.cell_labels()
    for crop in found:
        again = field.crop(crop.label, margin=1, channels=["dna"], masked=True)
        assert np.array_equal(again.image, crop.image)


def test_every_voxel_of_a_cell_is_in_its_crop_and_none_in_another(field: Record) -> None:
    total = sum(int(crop.cell.sum()) for crop in field.iter_cells())
    assert int((field.segmentations()["cell"] != 0).sum()) == total


def test_a_masked_crop_is_black_outside_of_the_cell(field: Record) -> None:
    label = field.cell_labels()[0]
    plain, masked = field.crop(label, margin=2), field.crop(label, margin=2, masked=True)
    assert not masked.image[:, ~masked.cell].any()
    assert plain.image[:, ~plain.cell].any()
    assert np.array_equal(plain.image[:, plain.cell], masked.image[:, masked.cell])


def test_channels_are_chosen_by_name_number_or_what_they_show(field: Record) -> None:
    crop = field.crop(field.cell_labels()[0], channels=["H3342", 3, "membrane"])
    assert ("H3342", "EGFP", "CMDRP") == crop.channels
    whole = field.image.read(axes="CZYX", C=[5, 3, 1], **crop.box)
    assert np.array_equal(whole, crop.image)
    with pytest.raises(ChannelNotFound, match="Did you mean EGFP"):
        field.crop(field.cell_labels()[0], channels=["EGPF"])


def test_a_margin_may_differ_by_axis(field: Record) -> None:
    label = field.cell_labels()[0]
    whole = field.segmentations()["cell"]
    expected = by_hand(whole, label, (0, 2, 5))
    assert dict(zip("ZYX", expected, strict=True)) == field.crop(label, margin={"Y": 2, "X": 5}).box
    for wrong in (-1, 1.5, True, {"C": 1}, "all", {"Y": -1}):
        with pytest.raises(BadInput, match="is no margin"):
            field.crop(label, margin=wrong)  # type: ignore[arg-type]


def test_a_crop_reads_well(field: Record) -> None:
    where = "Z 2:7, Y 11:26, X 8:24; CMDRP, EGFP, H3342, Bright_100X"
    assert f"<Crop of cell 1 in {FOV}: {where}>" == repr(field.crop(1))
    with pytest.raises(AttributeError):
        field.crop(1).label = 2  # type: ignore[misc]


# --- labels that are not there


def test_a_label_that_is_not_there_tells_those_near_it(field: Record) -> None:
    with pytest.raises(NotFound, match=r"has no cell 5\. Near it: 3, 4, 6"):
        field.crop(5)
    for wrong, told in ((0, "the background"), (-1, "has no cell -1"), (True, "is no label")):
        with pytest.raises((NotFound, BadInput), match=told):
            field.crop(wrong)
    assert np.array_equal(field.crop(np.uint16(1)).cell, field.crop(1).cell)


def test_a_field_without_a_segmentation_of_cells_says_so(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.enlarge(0)
    lab.build()
    with lab.at_home():
        package = cellbank.load("aics/cell_lines")
        with pytest.raises(NotFound, match=r"no segmentation of cells here\. It has no"):
            record(package[f"fovs/fov_{FOVS[0]}"]).cell_labels()
        with pytest.raises(NotFound, match=r"no field of view.* record\.related"):
            record(package.lines[0]).crop(1)


# --- odd fields


def test_a_field_may_have_cells_alone(tmp_path: Path) -> None:
    cells = np.zeros((2, 8, 8), np.uint8)
    cells[0, 0, 0] = 1
    crop = made(tmp_path, pixels(1), cell=cells).crop(1, margin=1)
    assert crop.nucleus is None
    assert crop.structure is None
    assert (3, 2, 2, 2) == crop.image.shape


def test_a_cell_may_have_no_nucleus_and_a_nucleus_no_cell(tmp_path: Path) -> None:
    cells, nuclei = np.zeros((2, 2, 8, 8), np.uint16)
    cells[:, 0:2, 0:2], cells[:, 4:6, 4:6] = 1, 2
    nuclei[:, 0, 0] = 1
    # In one byte this would be the 2 of the cell that it lies in.
    nuclei[:, 5, 5] = 258
    field = made(tmp_path, pixels(1), cell=cells, nuclei=nuclei)
    assert [2, 0] == [
        int(crop.nucleus.sum()) for crop in field.iter_cells() if crop.nucleus is not None
    ]


def test_a_field_without_cells_gives_none(tmp_path: Path) -> None:
    field = made(tmp_path, pixels(1), cell=np.zeros((2, 8, 8), np.uint16))
    assert [] == list(field.iter_cells())
    with pytest.raises(NotFound, match=r"has no cell 1\. It has none"):
        field.crop(1)


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    field = made(tmp_path, pixels(1), cell=np.ones((2, 8, 8), np.float32))
    with pytest.raises(BadImage, match="has float32, not whole numbers"):
        field.cell_labels()


# --- what is read


class Reads:
    """How many bytes this process reads from files."""

    def __enter__(self) -> Self:
        self._before = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = self._now() - self._before

    def _now(self) -> int:
        with Path("/proc/self/io").open() as file:
            return int(file.readline().split()[1])


@pytest.fixture
def large(tmp_path: Path) -> Record:
    """Return a field of 20 MB with two small cells."""
    image = np.random.default_rng(1).integers(0, 4096, (20, 4, 360, 360)).astype(np.uint16)
    cells = np.zeros((20, 360, 360), np.uint16)
    cells[3:6, 10:30, 20:40], cells[10:12, 300:330, 100:130] = 4, 9
    return made(tmp_path, image, ("a", "b", "c", "d"), cell=cells, nuclei=cells)


def test_a_crop_reads_its_box_and_nothing_else_of_the_image(large: Record) -> None:
    _ = large.crop(9)
    with Reads() as reads:
        crop = large.crop(4, channels=["b"])
    assert (1, 3, 20, 20) == crop.image.shape
    # Three planes, each in whole rows or strips: of 80 planes.
    assert crop.image.nbytes <= reads.bytes < 3 * 360 * 360 * 2


def test_segmentations_are_read_once_while_they_fit(
    large: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [large.crop(label) for label in (4, 9)]
    with Reads() as reads:
        kept = large.crop(4)
    monkeypatch.setattr(crops, "KEPT_BYTES", 0)
    poor = record(large.node)
    found = [poor.crop(label) for label in (4, 9)]
    with Reads() as more:
        again = poor.crop(4)
    assert reads.bytes < more.bytes
    for one, other in zip([*first, kept], [*found, again], strict=True):
        assert np.array_equal(one.cell, other.cell)
        assert np.array_equal(one.nucleus, other.nucleus)


def test_a_single_channel_needs_no_list(large: Record) -> None:
    assert ("b",) == large.crop(4, channels="b").channels == large.crop(4, channels=1).channels
