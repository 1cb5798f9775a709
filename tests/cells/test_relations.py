"""Relations: both ways, complete, sorted, and in a package only what is in it."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.cells.documents import info_of
from cellbank.cells.kinds import KINDS, relations_of
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept
from cellbank.cells.relations import Relations

GROUP = {kind.name: kind.group for kind in KINDS.values()}
Named = dict[str, dict[str, dict[str, list[str]]]]
"""Kind → id → kind above → ids."""


def kept(named: Named) -> dict[str, Kept]:
    """Return records without values that belong to each other like this."""
    return {
        kind: Kept(
            [],
            {
                name: Found(kind, name, name, f"{kind}s.csv", row, {}, above)
                for row, (name, above) in enumerate(records.items(), 2)
            },
            {name: name for name in records},
        )
        for kind, records in named.items()
    }


def related(named: Named) -> tuple[Relations, Problems]:
    problems = Problems()
    return Relations.of(kept(named), problems), problems


def lists(relations: Relations, named: Named) -> dict[str, dict[str, list[str]]]:
    """Return `group/id` → the relation lists of every record."""
    return {
        f"{GROUP[kind]}/{name}": relations.of_record(kind, name)
        for kind, records in named.items()
        for name in records
    }


@st.composite
def graphs(draw: st.DrawFn) -> Named:
    """Return records that belong to some of those above them, or to none."""
    made: Named = {}
    for kind in KINDS.values():
        if kind.name not in ("line", "fov") and draw(st.integers(0, 9)) == 0:
            continue
        made[kind.name] = {}
        for number in range(draw(st.integers(0, 3))):
            above = {}
            for other in kind.above:
                if made.get(other) and draw(st.booleans()):
                    some = st.lists(st.sampled_from(sorted(made[other])), max_size=2, unique=True)
                    above[other] = draw(some)
            made[kind.name][f"{kind.name}_{number}"] = above
    return made


@given(graphs())
def test_what_lists_another_is_listed_by_it_and_nothing_leads_nowhere(named):
    relations, _ = related(named)
    found = lists(relations, named)
    for record, theirs in found.items():
        group, _, name = record.partition("/")
        assert group not in theirs, "a kind never lists itself"
        for other, ids in theirs.items():
            assert sorted(set(ids)) == ids
            assert all(name in found[f"{other}/{one}"][group] for one in ids)


@given(graphs())
def test_what_a_record_names_is_in_its_lists_and_so_is_what_that_belongs_to(named):
    relations, problems = related(named)
    found = lists(relations, named)
    for kind, records in named.items():
        for name, above in records.items():
            mine = found[f"{GROUP[kind]}/{name}"]
            for other, ids in above.items():
                assert set(ids) <= set(mine.get(GROUP[other], []))
                # Where a record contradicts what is above it, that is a problem of its own.
                if problems.errors:
                    continue
                for one, further in product(ids, ("well", "plate", "line")):
                    if not above.get(further) and GROUP[further] != GROUP[kind]:
                        theirs = related_above(named, other, one, further)
                        assert theirs <= set(mine.get(GROUP[further], []))


def related_above(named: Named, kind: str, name: str, wanted: str) -> set[str]:
    """Return what a record says that it belongs to, itself, or else through others."""
    above = named[kind][name]
    if above.get(wanted):
        return set(above[wanted])
    return {
        far
        for other, ids in above.items()
        for one in ids
        for far in related_above(named, other, one, wanted)
    }


@given(graphs(), st.data())
def test_a_part_is_closed_and_its_lists_name_only_what_is_in_it(named, data):
    relations, _ = related(named)
    fovs = data.draw(st.sets(st.sampled_from(sorted(named["fov"])))) if named["fov"] else set()
    parts = [relations.closure(fovs)]
    parts += [relations.of_line(line) for line in named["line"]]
    for chosen in parts:
        for kind, records in kept(named).items():
            for name in sorted(chosen[GROUP[kind]]):
                info = info_of(records.records[name], relations.of_record(kind, name), chosen)
                assert relations_of(kind) == list(info)
                assert all(set(ids) <= chosen[group] for group, ids in info.items())
    for name in fovs:
        whole = relations.of_record("fov", name)
        assert all(set(ids) <= parts[0][group] for group, ids in whole.items())
    assert parts[0]["fovs"] == set(fovs)


@given(graphs())
def test_everything_is_every_record(named):
    relations, _ = related(named)
    everything = relations.everything()
    assert {GROUP[kind] for kind in KINDS} == set(everything)
    assert everything == {group: set() for group in everything} | {
        GROUP[kind]: set(records) for kind, records in named.items()
    }


SMALL: Named = {
    "line": {"AICS_10": {}, "AICS_23": {}},
    "plate": {"P1": {}},
    "well": {"E6": {"plate": ["P1"], "line": ["AICS_10", "AICS_23"]}, "E7": {"plate": ["P1"]}},
    "fov": {"f1": {"well": ["E6"]}, "f2": {"well": ["E6"], "line": ["AICS_23"]}},
    "cell_seg": {"c1": {"fov": ["f1"]}, "c2": {"fov": ["f2"]}},
    "nuclei_seg": {"n1": {"fov": ["f1"]}},
}


def test_a_well_with_two_lines_belongs_to_both_and_so_does_its_field() -> None:
    relations, problems = related(SMALL)
    assert 0 == problems.errors
    assert ["AICS_10", "AICS_23"] == relations.of_record("well", "E6")["lines"]
    assert ["AICS_10", "AICS_23"] == relations.of_record("fov", "f1")["lines"]
    assert ["AICS_10", "AICS_23"] == relations.of_record("cell_seg", "c1")["lines"]
    assert ["AICS_10", "AICS_23"] == relations.of_record("plate", "P1")["lines"]


def test_a_field_that_says_its_line_belongs_to_that_one_only() -> None:
    relations, _ = related(SMALL)
    assert ["AICS_23"] == relations.of_record("fov", "f2")["lines"]
    assert ["AICS_23"] == relations.of_record("cell_seg", "c2")["lines"]
    assert ["f1"] == relations.of_record("line", "AICS_10")["fovs"]
    assert {"f1"} == relations.of_line("AICS_10")["fovs"]
    assert {"c1"} == relations.of_line("AICS_10")["cell_segs"]


def test_a_well_without_fields_has_its_plate_and_nothing_else() -> None:
    relations, _ = related(SMALL)
    assert {"plates": ["P1"]} == relations.of_record("well", "E7")
    assert ["E6", "E7"] == relations.of_record("plate", "P1")["wells"]


def test_segmentations_of_one_field_list_each_other() -> None:
    relations, _ = related(SMALL)
    assert ["n1"] == relations.of_record("cell_seg", "c1")["nuclei_segs"]
    assert ["c1"] == relations.of_record("nuclei_seg", "n1")["cell_segs"]
    assert "nuclei_segs" not in relations.of_record("cell_seg", "c2")


def test_a_line_has_everything_below_it() -> None:
    relations, _ = related(SMALL)
    found: dict[str, Any] = relations.of_record("line", "AICS_23")
    wanted = {"plates": ["P1"], "wells": ["E6"], "fovs": ["f1", "f2"]}
    assert wanted | {"cell_segs": ["c1", "c2"], "nuclei_segs": ["n1"]} == found


def test_a_field_that_names_another_line_than_its_well_is_a_problem_with_its_row() -> None:
    named = SMALL | {"line": {**SMALL["line"], "AICS_99": {}}}
    named["fov"] = {"f1": {"well": ["E6"], "line": ["AICS_99"]}}
    named["cell_seg"] = named["nuclei_seg"] = {}
    _, problems = related(named)
    assert ["f1 names AICS_99, its well AICS_10, AICS_23"] == [p.what for p in problems.found()]
    assert [("fovs.csv", 2)] == [(p.file, p.row) for p in problems.found()]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_relation_lists_of_a_kind_are_those_of_all_others(kind):
    assert {GROUP[other] for other in KINDS if other != kind} == set(relations_of(kind))
