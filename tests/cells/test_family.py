"""Families: which packages a source makes, what is in each, and which conditions can be asked."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.cells import family
from cellbank.cells.family import stratified
from cellbank.cells.kinds import GROUPS, relations_of
from tests.cells.lab import C2, E6, E7, FAMILY, FOVS, Lab, revisions


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def fovs_of(lab: Lab, name: str) -> set[str]:
    """Return the numbers of the fields of view in a package."""
    names = {path.split("/")[1] for path in lab.infos(name) if path.startswith("fovs/")}
    return {str(number) for number, fov in enumerate(FOVS) if f"fov_{fov}" in names}


def subset(lab: Lab, where: str) -> Lab:
    return lab.only(subsets={"chosen": {"where": where}})


# --- what is in a package


def test_each_package_is_closed_and_names_only_what_is_in_it(lab: Lab) -> None:
    lab.build()
    whole = lab.infos("cell_lines")
    for name in FAMILY:
        infos = lab.infos(name)
        for path, info in infos.items():
            group, _, own = path.partition("/")
            assert group not in info
            for other in relations_of(GROUPS[group].name):
                there = [one for one in whole[path][other] if f"{other}/{one}" in infos]
                assert there == info[other]
                assert all(own in infos[f"{other}/{one}"][group] for one in there)
                # All that belongs to a field of view is with it, but for the other lines.
                if group == "fovs" and other != "lines":
                    assert whole[path][other] == there


def test_a_line_has_what_belongs_to_it_and_nothing_of_the_other(lab: Lab) -> None:
    lab.build()
    assert ({"0", "1"}, {"2", "3"}) == (fovs_of(lab, "aics_23"), fovs_of(lab, "aics_10"))
    infos = lab.infos("aics_10")
    assert "wells/" + E7 in infos
    assert "wells/" + E6 not in infos
    # Both lines are on this plate; here it names its own well only.
    assert [E7] == infos["plates/plate_3500001464"]["wells"]
    assert ["line_AICS_10"] == infos["plates/plate_3500001464"]["lines"]
    assert [E6, E7] == lab.info("cell_lines", "plates/plate_3500001464")["wells"]


def test_images_have_the_names_of_their_files_and_documents_those_of_their_records(lab: Lab):
    lab.build()
    entries = lab.entries("viable")
    named = {path: entry.filename for path, entry in entries.items()}
    fov = f"fovs/fov_{FOVS[0]}"
    assert "README.md" == named["README"]
    assert "SCHEMA.json" == named["SCHEMA"]
    assert f"{FOVS[0]}.ome.tif" == named[f"{fov}/image/load"]
    assert f"fov_{FOVS[0]}.json" == named[f"{fov}/info/load"]
    assert all(name and name.endswith((".md", ".json", ".ome.tif")) for name in named.values())


# --- samples


def test_a_sample_has_as_many_of_each_line_as_can_be(lab: Lab) -> None:
    lab.only(sample={"name": "some", "fovs": 2, "seed": 3}).build()
    found = fovs_of(lab, "some")
    assert (1, 1) == (len(found & {"0", "1"}), len(found & {"2", "3"}))
    lab.only(sample={"name": "some", "fovs": 99}).build()
    assert {"0", "1", "2", "3"} == fovs_of(lab, "some")


def test_a_sample_is_drawn_by_its_seed(lab: Lab) -> None:
    drawn = set()
    for seed in range(4):
        first = revisions(lab.only(sample={"fovs": 2, "seed": seed}).build())
        assert first == revisions(lab.build())
        drawn.add(frozenset(fovs_of(lab, "random_sample")))
    assert len(drawn) > 1


_groups = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 99).map(str), max_size=6, unique=True)
).map(lambda groups: {key: [f"{key}{one}" for one in ids] for key, ids in groups.items()})


@given(_groups, st.integers(1, 12), st.integers())
def test_a_draw_is_fair_sorted_and_the_same_for_the_same_seed(groups, count, seed):
    found = stratified(groups, count, seed)
    assert sorted(found) == found == stratified(groups, count, seed)
    backwards = {key: ids[::-1] for key, ids in reversed(groups.items())}
    assert found == stratified(backwards, count, seed)
    assert min(count, sum(map(len, groups.values()))) == len(found) == len(set(found))
    shares = {key: len(set(ids) & set(found)) for key, ids in groups.items()}
    for key, share in shares.items():
        assert share == len(groups[key]) or share + 1 >= max(shares.values())


@given(_groups, st.integers(1, 12), st.integers(0, 9))
def test_a_larger_draw_has_all_of_a_smaller_one(groups, count, seed):
    assert set(stratified(groups, count, seed)) <= set(stratified(groups, count + 1, seed))


# --- conditions


@pytest.mark.parametrize(
    ("where", "fovs"),
    [
        ("cell_viability > 98", "01"),
        ("not cell_viability > 98", "2"),
        ("cell_viability IS NULL", "3"),
        ("seed_date < DATE '2017-10-01'", "2"),
        ("has_controls", "01"),
        ("wells.has_controls = false", "2"),
        (f"wells.id = '{C2}'", "3"),
        ("gene = 'TJP1'", "01"),
        ("line = 'AICS-10' AND wells.clone = '105'", "3"),
        ("lines.line_id = 10", "23"),
        ("plates.plate_barcode LIKE '%1464'", "012"),
        ("plates.plate_type = '96 well'", "012"),
        ("list_contains(image_ids, 87263)", "0"),
        ("len(colony_ids) = 0", "2"),
        ("channels[1].dye_name = 'EGFP' -- all of them", "0123"),
        (f"fovs.id IN ('fov_{FOVS[1]}', 'nothing')", "1"),
        ("fovs.passage > 40\n", "2"),
    ],
)
def test_a_condition_may_name_fields_their_wells_plates_lines_and_edits(lab, where, fovs):
    subset(lab, where).build()
    assert set(fovs) == fovs_of(lab, "chosen")


@pytest.mark.parametrize(
    "where",
    [
        "no_such_thing = 1",
        "cell_viability >",
        "cell_viability = 'high'",
        "true) UNION SELECT 'fov_x' WHERE (true",
        "true; DROP TABLE fovs",
        "true); SELECT 'fov_x' WHERE (true",
        "true, true",
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
        "(SELECT count(*) FROM '/etc/passwd') > 0",
        "(SELECT count(*) FROM read_text('cellbank.yaml')) > 0",
        "count(*) > 1",
        "'x'",
        "/*",
        "?",
    ],
)
def test_a_condition_that_cannot_be_asked_is_told_and_nothing_is_built(lab, where):
    subset(lab, where)
    problem = lab.problem()
    assert "packages.subsets.chosen.where" == problem["column"]
    assert "cellbank.yaml" == problem["file"]
    assert problem["what"].startswith(f"{where}: ")


ENDLESS = "(SELECT count(*) FROM range(1000000000000) t(x) WHERE x % 7 = fovs.passage) > 1"


def test_a_condition_that_takes_too_long_is_told(lab: Lab, monkeypatch) -> None:
    monkeypatch.setattr(family, "CONDITION_SECONDS", 0.3)
    assert subset(lab, ENDLESS).problem()["what"] == f"{ENDLESS}: it takes more than 0.3 seconds"
    assert [] == list(lab.home.glob("caches/tables/*"))


def test_a_condition_under_way_is_stopped_by_ctrl_c(lab: Lab, monkeypatch) -> None:
    subset(lab, ENDLESS)
    # Not before the database is asked: what comes earlier would be stopped by it too.
    asked = family._asked

    def then_stop(*given: object) -> str:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        return asked(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(family, "_asked", then_stop)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            lab.build()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [] == list(lab.home.glob("caches/tables/*"))


def test_attributes_may_have_any_name_that_is_not_a_records_own(lab: Lab) -> None:
    for name in ("select", "a.b", 'q"x', "a'b", "__id", "__edited", "edit", "É"):
        lab.record("well")["attributes"][name] = "clone"
    subset(lab, "gene = 'TJP1' AND \"q\"\"x\" = '20' AND edit = '20'").build()
    assert {"0", "1"} == fovs_of(lab, "chosen")


def test_a_condition_that_nothing_fits_is_a_warning_and_makes_no_package(lab: Lab) -> None:
    lab.recipe["packages"]["subsets"] = {"none": {"where": "passage > 100"}}
    built = lab.build()
    assert ["no field of view fits passage > 100"] == [p.what for p in built.problems]
    assert {"aics_10", "aics_23", "cell_lines", "random_sample"} == set(revisions(built))
    problems = lab.problems(strict=True)
    assert ["warning"] == [problem["severity"] for problem in problems]


def test_the_texts_of_a_subset_are_in_its_readme(lab: Lab) -> None:
    said = {"where": "passage < 40", "title": "Young cells", "description": "Few passages."}
    lab.only(subsets={"young": said}).build()
    text = lab.read("young", "README").decode()
    assert "# Young cells" == text.splitlines()[0]
    assert "Few passages." in text


# --- names


def test_a_name_is_made_of_a_lines_attributes_in_small_letters(lab: Lab) -> None:
    built = lab.only(per_line={"name": "{line}_{line_id}_{key}"}).build()
    assert {"aics_10_10_aics_10", "aics_23_23_aics_23"} == set(revisions(built))


@pytest.mark.parametrize(
    ("packages", "what"),
    [
        ({"per_line": {"name": "{nothing}"}}, "has no nothing, which the name of its package"),
        ({"per_line": {"name": "{line_id}"}}, "'10' cannot be the name of a package"),
    ],
)
def test_a_line_that_gives_no_name_is_told(lab, packages, what):
    lab.record("line")["attributes"]["nothing"] = {"value": None}
    problems = lab.only(**packages).problems()
    assert 2 == len(problems)
    assert any(what in problem["what"] for problem in problems)


@pytest.mark.parametrize("hole", ["plate", "gene"])
def test_what_no_line_has_gives_no_name_and_the_recipe_is_told_so(lab: Lab, hole: str) -> None:
    problem = lab.only(per_line={"name": f"lab_{{{hole}}}"}).problem()
    assert "cellbank.yaml" == problem["file"]
    assert f"a line has no attribute '{hole}'" == problem["what"]


def test_two_lines_that_give_one_name_are_told(lab: Lab) -> None:
    lab.record("line")["attributes"]["kind"] = {"value": "hips"}
    problem = lab.only(per_line={"name": "{kind}"}).problem()
    assert "line_AICS_10 and line_AICS_23 both get the name hips" == problem["what"]


def test_a_line_that_gets_the_name_of_another_package_is_told(lab: Lab) -> None:
    problem = lab.only(per_line={"name": "{line}"}, all="aics_23").problem()
    assert "packages.all and line_AICS_23 both get the name aics_23" == problem["what"]


@pytest.mark.parametrize(
    "where",
    ["random() < 0.5", "passage > RANDOM ( )", "seed_date < current_date", "now() > '2020-01-01'"],
)
def test_a_condition_that_may_choose_others_another_time_is_told(lab: Lab, where: str) -> None:
    problem = lab.only(subsets={"some": {"where": where}}).problem()
    assert "may give something else the next time" in problem["what"]


def test_words_in_quotes_are_no_functions(lab: Lab) -> None:
    condition = "clone <> 'random()' AND \"passage\" > 0"
    built = lab.only(subsets={"some": {"where": condition}}).build()
    assert ["aics/some"] == [one.package for one in built.packages]
