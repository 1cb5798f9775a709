"""Splits by the hash of an id: even, in order, and the same whatever else there is."""

import pytest

from cellbank.cells.splits import FRACTIONS, check_splits, place_of, split_of
from cellbank.model.errors import BadInput

IDS = [f"fov_{number:032x}" for number in range(4000)]


def test_ids_fall_in_splits_by_their_shares():
    found = [split_of(one) for one in IDS]
    shares = {split: found.count(split) / len(IDS) for split in FRACTIONS}
    assert 0.03 > max(abs(shares[split] - FRACTIONS[split]) for split in FRACTIONS)
    assert None not in found


def test_an_id_stays_in_its_split():
    # Written down when this was made: a change of these would mix up what was trained on.
    assert ["train", "train", "test", "train", "train"] == [split_of(one) for one in IDS[:5]]


def test_a_split_that_is_taken_out_of_the_middle_leaves_the_others():
    halves = {"a": 0.5, "b": 0.5}
    parts = {"a": 0.25, "c": 0.25, "b": 0.5}
    assert {one for one in IDS if split_of(one, halves) == "b"} == {
        one for one in IDS if split_of(one, parts) == "b"
    }


def test_shares_below_one_leave_ids_out():
    found = [split_of(one, {"a": 0.5}) for one in IDS]
    assert 0.47 < found.count(None) / len(IDS) < 0.53


def test_another_seed_splits_otherwise():
    assert [split_of(one) for one in IDS] != [split_of(one, seed=1) for one in IDS]
    assert 0 <= min(map(place_of, IDS)) < max(map(place_of, IDS)) < 1


@pytest.mark.parametrize(
    "fractions", [{}, {"a": 0.7, "b": 0.7}, {"a": -0.1}, {"a": True}, {"a": float("nan")}]
)
def test_what_is_no_share_of_a_whole_is_refused(fractions):
    with pytest.raises(BadInput):
        check_splits(None, fractions)


def test_a_split_that_is_not_there_is_refused_with_what_is_near():
    with pytest.raises(BadInput, match="train"):
        check_splits("trai", FRACTIONS)
    check_splits("b", {"a": 0.1, "b": 0.9 + 1e-12})
