"""What a choice selects: records, what belongs to them, and nothing else."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellbank.cells.duck import opened
from cellbank.cells.kinds import GROUPS, relations_of
from cellbank.model.digest import digest_of
from cellbank.model.errors import BadInput, BadQuestion
from cellbank.model.manifest import Entry, Manifest
from cellbank.model.reference import Package
from cellbank.model.want import Choice
from cellbank.packages.subset import Asked
from cellbank.questions.choosing import choose, selected
from cellbank.storage.store import Store
from cellbank.storage.transfer import keep_small
from tests.storage.making import keep_tables

PACKAGE = Package("lab", "cells")
SEGMENTATIONS = ("cell_segs", "nuclei_segs", "structure_segs")

Graph = dict[str, dict[str, dict[str, list[str]]]]
"""Group → id → relation list → ids, complete both ways, as packages have them."""


def complete(wells: list[tuple[int, int]], fovs: list[tuple[int, list[int]]]) -> Graph:
    """Return the records of wells (plate, line) and fields (well, segmentations of each kind)."""
    up: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for number, (plate, line) in enumerate(wells):
        up["wells", f"w{number}"] = {("plates", f"p{plate}"), ("lines", f"l{line}")}
        up["plates", f"p{plate}"] = up["lines", f"l{line}"] = set()
    for number, (well, segmentations) in enumerate(fovs):
        above = {("wells", f"w{well}"), *up["wells", f"w{well}"]}
        up["fovs", f"f{number}"] = above
        parts = {
            (group, f"{group[0]}{number}_{part}")
            for group, count in zip(SEGMENTATIONS, segmentations, strict=True)
            for part in range(count)
        }
        for part in parts:
            others = {other for other in parts if other[0] != part[0]}
            up[part] = {("fovs", f"f{number}"), *above, *others}
    related = {record: set(others) for record, others in up.items()}
    for record, others in up.items():
        for other in others:
            related[other].add(record)
    for record, others in list(related.items()):
        # A plate and a line that share a well belong together.
        if record[0] == "wells":
            for one in others:
                if one[0] in ("plates", "lines"):
                    related[one] |= {o for o in others if o[0] in ("plates", "lines")} - {one}
    graph: Graph = {group: {} for group in GROUPS}
    for (group, name), others in related.items():
        graph[group][name] = {
            other: sorted(n for g, n in others if g == other)
            for other in relations_of(GROUPS[group].name)
        }
    return graph


def asked(root: Path, graph: Graph, said: list[str] | None = None) -> Asked:
    """Return a package with these records; a field's number is its `passage`."""
    store = Store.at(str(root))
    entries = [entry("README"), entry("SCHEMA"), entry("other.txt"), entry("more/notes.txt")]
    for group, records in graph.items():
        for name in records:
            entries.append(entry(f"{group}/{name}/info/load", "info.json"))
            if group == "fovs" or group in SEGMENTATIONS:
                entries.append(entry(f"{group}/{name}/image/load", "image.tif"))
    made = Manifest.of(entries)
    keep_small(store, PACKAGE, [(made.revision, made.data), *made.pages.items()])
    tables = keep_tables(store, parquet(root, graph), PACKAGE)
    say = (lambda text: None) if said is None else said.append
    reader = store.reader(PACKAGE, made.revision)
    return Asked(store, PACKAGE, made.revision, reader, tables, say)


def entry(path: str, filename: str | None = None) -> Entry:
    return Entry(digest=digest_of(path.encode()), path=path, size=1, filename=filename)


def parquet(root: Path, graph: Graph) -> Mapping[str, bytes]:
    made = {}
    with opened() as database:
        for group, records in graph.items():
            rows = [
                {"id": name, "passage": int(name[1:].partition("_")[0]), **lists}
                for name, lists in records.items()
            ]
            if rows:
                file = root / "rows.json"
                file.write_text("\n".join(map(json.dumps, rows)))
                typed = ", ".join(f"{one}: 'VARCHAR[]'" for one in relations_of(GROUPS[group].name))
                source = (
                    f"read_json('{file}', columns={{id: 'VARCHAR', passage: 'BIGINT', {typed}}})"
                )
                database.execute(f"COPY (FROM {source}) TO '{root}/t.parquet' (FORMAT parquet)")
                made[group] = (root / "t.parquet").read_bytes()
    return made


def records_in(paths: list[str]) -> set[tuple[str, str]]:
    parts = [path.split("/") for path in paths]
    return {(group, name) for group, name, *_ in (p for p in parts if len(p) == 4)}


wells = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4)
segmentations = st.lists(st.integers(0, 2), min_size=3, max_size=3)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    made = draw(wells)
    of = st.tuples(st.integers(0, len(made) - 1), segmentations)
    return complete(made, draw(st.lists(of, min_size=1, max_size=6)))


@settings(max_examples=25)
@given(graphs(), st.integers(0, 6), st.booleans())
def test_a_subset_is_closed_and_goes_down_to_no_other_field(
    graph: Graph, below: int, related: bool
) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        choice = Choice(question=f"passage < {below}", related=related)
        found = choose(choice, asked(root, graph))
    finally:
        shutil.rmtree(root)
    paths = [entry.path for entry in found]
    wanted = {name for name in graph["fovs"] if int(name[1:]) < below}
    chosen = records_in(paths)
    assert wanted == {name for group, name in chosen if group == "fovs"}
    belongs = {
        (group, one) for name in wanted for group, ids in graph["fovs"][name].items() for one in ids
    }
    assert (belongs if related else set()) == {one for one in chosen if one[0] != "fovs"}
    for group, name in chosen if related else ():
        if group in ("fovs", *SEGMENTATIONS):
            lists = graph[group][name]
            assert {(g, one) for g, ids in lists.items() for one in ids} <= chosen
    assert sorted(paths) == paths
    assert {"README", "SCHEMA"} == {path for path in paths if "/" not in path}
    # Of each record all that it has.
    whole = [path for group, name in chosen for path in all_of(group, name)]
    assert sorted([*whole, "README", "SCHEMA"]) == paths


def all_of(group: str, name: str) -> list[str]:
    parts = ("info", "image") if group == "fovs" or group in SEGMENTATIONS else ("info",)
    return [f"{group}/{name}/{part}/load" for part in parts]


# Two wells on two plates with one line; three fields, of which two are in the first well.
GRAPH = complete([(0, 0), (1, 0)], [(0, [1, 1, 1]), (0, [2, 0, 0]), (1, [1, 0, 0])])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def small(tmp_path: Path, said: list[str]) -> Asked:
    return asked(tmp_path, GRAPH, said)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(question="passage = 1", kind="wells"), "wells/w1 plates/p1 lines/l0"),
        (Choice(question="passage = 0", kind="plates"), "plates/p0 wells/w0 lines/l0"),
        (Choice(kind="lines"), "lines/l0 wells/w0 wells/w1 plates/p0 plates/p1"),
        (Choice(kind="line", related=False), "lines/l0"),
        (
            Choice(question="id = 'n0_0'", kind="nuclei_seg"),
            "nuclei_segs/n0_0 fovs/f0 wells/w0 plates/p0 lines/l0 cell_segs/c0_0 "
            "structure_segs/s0_0",
        ),
        (Choice(question="id = 'f2'", kinds=["cell_segs", "fov"]), "fovs/f2 cell_segs/c2_0"),
        (Choice(question="wells.passage = 1", related=False), "fovs/f2"),
        (Choice(kinds=["plates"]), "plates/p0 plates/p1"),
    ],
)
def test_a_choice_selects_records(small: Asked, choice: Choice, expected: str) -> None:
    paths = [entry.path for entry in choose(choice, small)]
    assert set(expected.split()) == {"/".join(one) for one in records_in(paths)}


def test_a_pattern_says_which_entries_of_the_records_come(small: Asked) -> None:
    choice = Choice(question="passage < 2", paths=["fovs/*/info", "wells"])
    paths = ["README", "SCHEMA", "fovs/f0/info/load", "fovs/f1/info/load", "wells/w0/info/load"]
    assert paths == [entry.path for entry in choose(choice, small)]


def test_a_pattern_alone_asks_no_table(small: Asked) -> None:
    without = Asked(small.store, PACKAGE, small.revision, small.reader, {}, small.say)
    paths = ["README", "SCHEMA", "fovs/f0/info/load", "more/notes.txt"]
    choice = Choice(paths=["fovs/f0/info", "more/*"])
    assert paths == [entry.path for entry in choose(choice, without)]


def test_a_sample_is_the_same_for_the_same_seed_and_grows_by_adding(small: Asked) -> None:
    drawn = [selected(Choice(sample=n, seed=3), small)["fovs"] for n in (1, 2, 3, 4)]
    assert [1, 2, 3, 3] == [len(one) for one in drawn]
    assert drawn[0] < drawn[1] < drawn[2]
    seeds = {frozenset(selected(Choice(sample=1, seed=n), small)["fovs"]) for n in range(20)}
    assert 3 == len(seeds)


def test_a_sample_takes_of_all_lines_alike(tmp_path: Path) -> None:
    fovs = [(0, [0, 0, 0])] * 6 + [(1, [0, 0, 0])] * 2
    graph = complete([(0, 0), (0, 1)], fovs)
    drawn = selected(Choice(sample=4), asked(tmp_path, graph))["fovs"]
    assert 2 == len(drawn & {"f6", "f7"})


def test_a_package_of_plain_files_is_asked_about_its_entries(small: Asked) -> None:
    plain = Asked(small.store, PACKAGE, small.revision, small.reader, {}, small.say)
    choice = Choice(question="type = 'txt' and path like 'more/%'")
    assert ["README", "SCHEMA", "more/notes.txt"] == [one.path for one in choose(choice, plain)]


def test_that_nothing_fits_is_said(small: Asked, said: list[str]) -> None:
    found = choose(Choice(question="passage > 99"), small)
    assert ["README", "SCHEMA"] == [entry.path for entry in found]
    assert ["No fovs of lab/cells fit: passage > 99"] == said


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (Choice(question="pasage > 1"), BadQuestion, "passage"),
        (Choice(question="passage >"), BadQuestion, "passage >"),
        (Choice(question="random() > 0.5"), BadQuestion, "random"),
        (Choice(question="passage > 1; SELECT 1"), BadQuestion, "more than one"),
        (Choice(kind="fovz", sample=1), BadQuestion, "fovs"),
        (Choice(kinds=["fovz"]), BadInput, "fovs"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_is_near(
    small: Asked, choice: Choice, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        choose(choice, small)


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("id IN (FROM fovs SELECT id WHERE random() > 0.5)", "random"),
        ("EXISTS (FROM wells WHERE clone = '1' AND now() > DATE '2020-01-01')", "now"),
        ("(SELECT min(current_date) FROM fovs) > DATE '2020-01-01'", "current_date"),
        ("id IN (FROM fovs SELECT id USING SAMPLE 2)", "a sample"),
        ("ago(INTERVAL 1 DAY) > DATE '2020-01-01'", "ago"),
        ("age(DATE '2020-01-01') > INTERVAL 1 DAY", "age"),
        ("version() > 'v1'", "version"),
    ],
)
def test_what_gives_something_else_another_day_is_refused(
    small: Asked, question: str, name: str
) -> None:
    with pytest.raises(BadQuestion, match=f"{name} may give something else the next time"):
        choose(Choice(question=question), small)


def test_a_question_within_a_question_is_steady(small: Asked) -> None:
    question = "passage >= (SELECT max(passage) FROM fovs)"
    question += " and age(DATE '2020-01-02', DATE '2020-01-01') > INTERVAL 1 HOUR"
    assert choose(Choice(question=question), small)


def test_records_without_a_table_cannot_be_asked_about(small: Asked) -> None:
    tables = {group: table for group, table in small.tables.items() if group == "fovs"}
    some = Asked(small.store, PACKAGE, small.revision, small.reader, tables, small.say)
    with pytest.raises(BadQuestion, match="no table of its wells"):
        choose(Choice(kind="wells", question="passage > 1"), some)
