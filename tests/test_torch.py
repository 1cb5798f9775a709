"""Packages as data sets: what items are, their order, splits, and workers."""

import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cellbank
import cellbank.cells
from cellbank.cells import boxes, cell_index
from cellbank.cells.splits import split_of
from cellbank.model.errors import (
    AttributeNotFound,
    BadInput,
    BadQuestion,
    ChannelNotFound,
    NotInstalled,
)
from cellbank.torch import dataset
from tests.cells.lab import E6, E7, FOVS, Lab, cells, nuclei, pixels, structure

ALL = "aics/cell_lines"
IDS = [f"fov_{fov}" for fov in FOVS]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab with a package of four fields, each with two cells; the test works in its store."""
    lab = Lab(tmp_path).only(all="cell_lines")
    lab.build()
    with lab.at_home():
        yield lab


# --- items


def test_items_are_fields_in_the_order_of_ids_with_their_channels(lab):
    data = dataset(ALL)
    assert (4, IDS) == (len(data), [item["id"] for item in data])
    for number, item in enumerate(data):
        assert np.float32 == item["image"].dtype
        assert np.array_equal(pixels(number).max(axis=0), item["image"])
    assert "<Dataset of aics/cell_lines: 4 fovs>" == repr(data)


def test_items_go_by_number_and_slice_as_in_a_list(lab):
    data = dataset(ALL)
    assert IDS[3] == data[-1]["id"] == data[np.int64(3)]["id"]
    assert IDS[1:3] == [item["id"] for item in data[1:3]]
    for number in (4, -5):
        with pytest.raises(IndexError):
            data[number]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"image": "dna"}, lambda image: image[:, 1:2].max(axis=0)),
        ({"image": ["Bright", 0]}, lambda image: image[:, [2, 0]].max(axis=0)),
        ({"project": "mean"}, lambda image: image.mean(axis=0)),
        ({"project": 50}, lambda image: np.percentile(image, 50, axis=0)),
        ({"project": None}, lambda image: image.swapaxes(0, 1)),
        ({"Z": 1}, lambda image: image[1]),
        ({"Z": slice(1, 2)}, lambda image: image[1]),
        ({"project": None, "Z": slice(0, 1)}, lambda image: image[:1].swapaxes(0, 1)),
        (
            {"size": (4, 12)},
            lambda image: np.pad(image.max(axis=0)[:, 2:6], ((0, 0), (0, 0), (2, 2))),
        ),
        (
            {"project": None, "size": (4, 8, 8)},
            lambda image: np.pad(image.swapaxes(0, 1), ((0, 0), (1, 1), (0, 0), (0, 0))),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_an_image_is_what_was_asked_for(lab, how, expected):
    assert np.allclose(expected(pixels(0)), dataset(ALL, **how)[0]["image"])


def test_the_type_of_the_file_is_kept_when_asked(lab):
    assert np.uint16 == dataset(ALL, dtype=None)[0]["image"].dtype


def test_segmentations_come_with_fields(lab):
    item = dataset(ALL, segmentations=["cell", "nuclei", "structure"], project=None)[0]
    assert np.array_equal(cells(), item["cell"])
    assert np.array_equal(nuclei(), item["nuclei"])
    assert np.array_equal(structure(), item["structure"])
    flat = dataset(ALL, segmentations="cell", size=(4, 4), Z=0)[0]
    assert np.array_equal(cells()[0, 2:6, 2:6], flat["cell"])
    assert np.int32 == flat["cell"].dtype


def test_other_kinds_of_records_are_items_too(lab):
    data = dataset(ALL, kind="cell_seg", dtype=None)
    assert [f"cell_{fov}" for fov in FOVS] == data.ids
    assert np.array_equal(cells().max(axis=0)[None], data[0]["image"])


def test_crops_are_the_cells_of_all_fields_with_their_masks(lab):
    data = dataset(ALL, crops=True, size=(8, 8), image=["EGFP"])
    assert [(one, label) for one in IDS for label in (2, 5)] == [
        (item["id"], item["label"]) for item in data
    ]
    item = dataset(ALL, crops=True, project=None)[1]
    assert np.array_equal(pixels(0)[:, :, 4:8, 2:8].swapaxes(0, 1), item["image"])
    assert np.array_equal(cells()[:, 4:8, 2:8] == 5, item["cell"])
    assert np.array_equal(nuclei()[:, 4:8, 2:8] == 5, item["nucleus"])
    assert item["structure"].all()
    assert {(1, 8, 8)} == {item["image"].shape for item in data}
    assert "<Dataset of aics/cell_lines: 8 cells in 4 fovs>" == repr(data)
    assert IDS[1] == data.record(2).id


def test_a_masked_crop_is_dark_outside_of_its_cell(lab):
    item = dataset(ALL, crops=True, masked=True, margin={"Y": 2, "X": 2}, project="sum")[1]
    assert not item["image"][:, ~item["cell"]].any()
    assert np.allclose(pixels(0)[:, :, 4:8, 2:8].sum(axis=0), item["image"][:, 2:6, 2:8])


def test_fields_without_cells_have_no_crops(lab):
    lab.enlarge(1)
    lab.build()
    assert {IDS[0], IDS[2], IDS[3]} == {item["id"] for item in dataset(ALL, crops=True)}


def test_a_segmentation_is_looked_through_once_for_ever(lab, monkeypatch):
    first = [item["label"] for item in dataset(ALL, crops=True)]
    seen: list[int] = []
    whole = boxes.label_boxes
    monkeypatch.setattr(
        "cellbank.cells.crops.label_boxes", lambda planes: (seen.append(1), whole(planes))[1]
    )
    assert first == [item["label"] for item in dataset(ALL, crops=True)]
    assert [] == seen
    place = lab.home / cell_index.FOLDER
    for file in place.iterdir():
        file.chmod(0o600)
        file.write_bytes(b"no boxes")
    assert first == [item["label"] for item in dataset(ALL, crops=True)]
    assert 1 == len({*place.iterdir()}), "all fields have the same cells here"
    assert 0 < len(seen)


# --- targets and conditions


def test_targets_come_along_under_their_names(lab):
    data = dataset(ALL, targets=["gene", "passage", "wells.clone", "2 * cell_viability AS twice"])
    found = [tuple(item[name] for name in ("gene", "passage", "clone", "twice")) for item in data]
    assert [("TJP1", 33.0, "20", 197.0)] * 2 == found[:2]
    assert ("SEC61B", 41.0, None, 194.0) == found[2]
    assert np.isnan(found[3][1])
    assert ["TJP1", "TJP1", "SEC61B", "SEC61B"] == data.values("gene")
    with pytest.raises(AttributeNotFound, match="gene"):
        data.values("genes")


def test_targets_of_cells_are_those_of_their_field(lab):
    data = dataset(ALL, crops=True, targets="gene")
    assert ["TJP1"] * 4 + ["SEC61B"] * 4 == data.values("gene")
    assert "SEC61B" == data[7]["gene"]


def test_a_condition_chooses_records(lab):
    assert IDS[:2] == dataset(ALL, where="cell_viability > 98").ids
    assert IDS[2:] == dataset(ALL, where="gene = 'SEC61B'", crops=True).ids
    assert 0 == len(dataset(ALL, where="gene = 'none'"))


def test_what_cannot_be_asked_is_told(lab):
    with pytest.raises(BadQuestion, match="cell_viability"):
        dataset(ALL, where="cell_viabilty > 98")
    with pytest.raises(BadQuestion):
        dataset(ALL, targets=["genes"])
    with pytest.raises(BadInput, match="several dye"):
        dataset(ALL, targets=["unnest(channels).dye_name AS dye"])


def _fail(item: dict[str, Any]) -> None:
    raise ValueError("no such thing")


def test_an_error_of_a_transform_names_the_record(lab):
    with pytest.raises(ValueError, match="no such thing") as caught:
        dataset(ALL, transform=_fail)[2]
    assert [f"In the transform of item 2: {IDS[2]}"] == caught.value.__notes__
    with pytest.raises(ValueError, match="no such thing") as caught:
        dataset(ALL, transform=_fail, crops=True)[1]
    assert [f"In the transform of item 1: {IDS[0]}, cell 5"] == caught.value.__notes__


def test_a_transform_gets_each_item(lab):
    data = dataset(ALL, targets="gene", transform=_shape_and_gene)
    assert [((3, 8, 8), "TJP1"), ((3, 8, 8), "TJP1")] == data[:2]


def _shape_and_gene(item: dict[str, Any]) -> Any:
    return item["image"].shape, item["gene"]


# --- splits


def test_splits_are_disjoint_and_together_everything(lab):
    halves = {"train": 0.5, "test": 0.5}
    parts = {split: dataset(ALL, split=split, fractions=halves).ids for split in halves}
    assert sorted(IDS) == sorted(parts["train"] + parts["test"])
    assert {one: split_of(one, halves) for one in IDS} == {
        one: split for split, ids in parts.items() for one in ids
    }


def test_an_id_stays_in_its_split_when_the_package_changes(lab):
    def split() -> list[str]:
        return dataset(ALL, split="train", fractions={"train": 0.5, "test": 0.5}).ids

    before = split()
    draft = cellbank.edit(ALL)
    for group, prefix in (
        ("fovs", "fov"),
        ("cell_segs", "cell"),
        ("nuclei_segs", "nuc"),
        ("structure_segs", "struct"),
    ):
        draft.remove(f"{group}/{prefix}_{FOVS[0]}")
    draft.build()
    assert [one for one in before if one != IDS[0]] == split()


def test_what_belongs_to_one_well_stays_together(lab):
    for seed in range(6):
        ids = dataset(ALL, split="train", fractions={"train": 0.5}, by="wells", seed=seed).ids
        expected = split_of(E6, {"train": 0.5}, seed) == "train"
        assert expected == (IDS[0] in ids) == (IDS[1] in ids)
        assert (split_of(E7, {"train": 0.5}, seed) == "train") == (IDS[2] in ids)


# --- workers


def _digest(data: Any, number: int) -> tuple[str, float]:
    item = data[number]
    return item["id"], float(item["image"].sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_give_the_same_items(lab, method, monkeypatch):
    data = dataset(ALL, crops=True, targets="gene")
    expected = [_digest(data, number) for number in range(len(data))]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_digest, [(data, number) for number in range(len(data))])
    assert expected == found


def test_a_data_set_comes_out_of_a_pickle_as_it_was(lab):
    data = dataset(ALL, crops=True)
    first = data[0]
    again = pickle.loads(pickle.dumps(data))  # noqa: S301  our own bytes
    assert np.array_equal(first["image"], again[0]["image"])
    assert len(data) == len(again)


# --- refused


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "fov_s"},
        {"project": "maximum"},
        {"project": 101},
        {"size": (0, 3)},
        {"size": 3},
        {"size": (3, 3, 3)},
        {"segmentations": "cells"},
        {"segmentations": "cell", "crops": True},
        {"segmentations": "cell", "kind": "wells"},
        {"crops": True, "kind": "cell_segs"},
        {"crops": True, "Z": 0},
        {"dtype": "float33"},
        {"split": "trai"},
        {"split": "a", "fractions": {"a": 2}},
        {"by": "cells"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(lab, how):
    with pytest.raises(BadInput) as caught:
        dataset(ALL, **how)
    assert caught.value.advice


def test_a_channel_or_segmentation_that_is_not_there_is_told_with_the_item(lab):
    with pytest.raises(ChannelNotFound):
        dataset(ALL, image=["EFGP"])[0]
    lab.enlarge(0)
    lab.build()
    with pytest.raises(BadInput, match="no segmentation of cell"):
        dataset(ALL, segmentations="cell")[0]


def test_a_package_that_is_not_here_can_be_used_where_it_is(lab, tmp_path, monkeypatch):
    remote = str(tmp_path / "remote")
    cellbank.push(ALL, to=remote)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    with pytest.raises(NotInstalled):
        dataset(ALL)
    data = dataset(cellbank.load(ALL, from_=remote), where="cell_viability > 98", crops=True)
    assert 4 == len(data)
    assert np.array_equal(pixels(0)[:, :, :4, :4].max(axis=0), data[0]["image"])
    monkeypatch.setenv("CELLBANK_REMOTE", remote)
    by_name = dataset(ALL, where="cell_viability > 98", crops=True)
    assert 4 == len(by_name)
    assert np.array_equal(data[3]["image"], by_name[3]["image"])
    monkeypatch.delenv("CELLBANK_REMOTE")
    cellbank.install(ALL, from_=remote, metadata_only=True)
    assert 4 == len(dataset(ALL))
    with pytest.raises(BadInput, match="part"):
        dataset(f"{ALL}/fovs")


# --- with torch itself


def test_tensors_need_torch(lab):
    try:
        import torch
    except ImportError:
        with pytest.raises(BadInput, match="torch"):
            dataset(ALL, tensors=True)[0]
    else:
        assert isinstance(dataset(ALL, tensors=True)[0]["image"], torch.Tensor)


def test_a_data_loader_stacks_items_from_its_workers(lab):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: what a DataLoader makes of items is not seen"
    )
    data = dataset(ALL, crops=True, size=(8, 8), targets=["gene", "passage"])
    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2)
    batches = list(loader)
    assert [(4, 3, 8, 8)] * 2 == [tuple(batch["image"].shape) for batch in batches]
    assert [item["id"] for item in data] == [one for batch in batches for one in batch["id"]]
    assert torch.float32 == batches[0]["image"].dtype
