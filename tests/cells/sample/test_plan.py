"""What the export has, before any image is made."""

from collections import Counter

import pytest

from cellbank.cells.sample.facts import LINES, NAMED_FOV, NAMED_LINE, NAMED_PLATE, PLATES
from cellbank.cells.sample.plan import SEGMENTATIONS, make_plan
from cellbank.model.errors import BadInput

WALKTHROUGH_PLATES = {
    *("3500001327", "3500001354", "3500001380", "3500001360", "3500001359", "3500001358"),
    *("3500001328", "3500001410", "3500001409", "3500001464", "3500001411"),
}


@pytest.mark.parametrize("fovs", range(12, 61))
def test_every_line_has_fields_of_view_and_the_named_plate_at_most_a_quarter(fovs: int) -> None:
    plan = make_plan(fovs, 0)
    assert fovs == len(plan.fovs)
    assert {line.name for line in LINES} == {fov.well.line.name for fov in plan.fovs}
    plates = Counter(fov.well.plate.barcode for fov in plan.fovs)
    assert 1 <= plates[NAMED_PLATE] <= fovs / 4
    named = {w.plate.barcode for w in plan.wells if w.line.name == NAMED_LINE}
    assert WALKTHROUGH_PLATES == named


@pytest.mark.parametrize("seed", range(20))
def test_the_named_field_of_view_sorts_first(seed: int) -> None:
    plan = make_plan(200, seed)
    keys = [fov.key for fov in plan.fovs]
    assert NAMED_FOV == min(keys)
    assert 200 == len(set(keys))
    assert NAMED_LINE == plan.fovs[0].well.line.name


def test_no_two_records_have_one_name() -> None:
    plan = make_plan(300, 0)
    assert 300 == len({fov.raw for fov in plan.fovs}) == len({fov.image_id for fov in plan.fovs})
    keys = {fov.segmentation(kind) for fov in plan.fovs for kind in SEGMENTATIONS}
    assert 900 == len({key for key, _ in keys}) == len({path for _, path in keys})
    assert len(plan.wells) == len({well.key for well in plan.wells})
    assert len(plan.wells) == len({well.image_id for well in plan.wells})


def test_a_segmentation_has_its_whole_name() -> None:
    fov = make_plan(12, 0).fovs[0]
    key, path = fov.segmentation("cell")
    assert "cell_plate_3500001464_well_E6_100X_20171024_5_Scene_5_P27_E06" == key
    stem = "3500001464_100X_20171024_5-Scene-5-P27-E06"
    assert f"images/fovs/{stem}.ome.tiff" == fov.image
    assert f"images/segmentations/cell/{stem}_cell.ome.tiff" == path


def test_some_wells_are_without_culture_data_and_two_without_a_clone() -> None:
    wells = make_plan(12, 0).wells
    empty = [w for w in wells if all(value is None for value in w.culture.values())]
    no_clone = [w for w in wells if w.culture["clone"] is None and w.culture["passage"]]
    assert (3, 2) == (len(empty), len(no_clone))


def test_an_early_plate_has_four_channels_and_plates_have_several_lines() -> None:
    plan = make_plan(12, 0)
    assert [4] == [plate.channels for plate in PLATES if plate.imaged.month < 6]
    assert 4 in {fov.well.plate.channels for fov in plan.fovs}
    lines = Counter(well.plate.barcode for well in plan.wells)
    assert max(lines.values()) > 1


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert make_plan(40, 3) == make_plan(40, 3)
    assert make_plan(40, 3) != make_plan(40, 4)


def test_too_few_fields_of_view_are_refused() -> None:
    with pytest.raises(BadInput, match="11 fields of view are too few"):
        make_plan(11, 0)
