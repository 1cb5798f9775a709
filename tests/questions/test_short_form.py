"""The short form: what a condition may name, what it shows, what is said of one that errs."""

import pytest

import cellbank
from cellbank.model.errors import BadQuestion

pytestmark = pytest.mark.usefixtures("lab")


def ids(where: str, **how) -> list[str]:
    return [row[0] for row in cellbank.query("lab/cells", where=where, columns="id", **how).rows()]


@pytest.mark.parametrize(
    ("where", "fovs"),
    [
        ("passage > 30", [2, 3, 5, 6]),
        ("not passage > 30", [1]),
        ("passage IS NULL", [4]),
        ("PASSAGE = 30", [1]),
        ("kind = 'exp' and good", [1]),
        ("kind <> 'exp'", [3, 6]),
        ("good", [1, 3, 6]),
        ("list_contains(numbers, 2)", [1, 2]),
        ("len([n for n in numbers if n > 1]) = 1", [1, 2]),
        ("len(list_filter(numbers, lambda n: n > passage)) = 0", [1, 2, 3, 5, 6]),
        # of the well
        ("clone = '20'", [1, 2]),
        ("wells.passage = 41", [3, 4]),
        ("fovs.passage = 41", [3]),
        # of the plate, by either name
        ("barcode = '0001'", [1, 2, 3, 4]),
        ("plates.barcode <> '0001'", [5]),
        # of the lines, and any of their edits
        ("line LIKE 'AICS%'", [1, 2, 3, 4]),
        ("lines.line IS NULL", [5, 6]),
        ("gene = 'TJP1'", [1, 2]),
        ("gene = 'LMNB1'", [3, 4]),
        ("gene = 'ACTB' and tag_location = 'C'", []),
        ("edits.gene IN ('ACTB', 'TJP1')", [1, 2, 3, 4]),
        ("lines.gene = 'ACTB' and gene = 'ACTB'", [3, 4]),
        ("lines.edits.gene = 'ACTB'", [3, 4]),
        ("len(lines.edits) = 2", [3, 4]),
        ("gene IS NULL", [5, 6]),
        ("len(edits) = 2", [3, 4]),
        # its own relation lists and its image
        ("list_contains(wells, 'well_3')", [5]),
        ("size >= 1005 -- bytes", [5, 6]),
    ],
)
def test_a_bare_name_is_of_the_kind_then_of_what_it_belongs_to(where: str, fovs: list[int]):
    assert [f"fov_{number:03}" for number in fovs] == ids(where)


def test_other_kinds_are_asked_in_the_same_way() -> None:
    assert ["well_1"] == ids("gene = 'TJP1'", kind="wells")
    assert ["well_1"] == ids("gene = 'TJP1'", kind="well")
    assert ["line_2"] == ids("gene = 'LMNB1'", kind="lines")
    # A segmentation's own field comes before its well, which has a passage, too.
    assert ["cell_1"] == ids("passage = 30 and viability > 98", kind="cell_segs")
    assert ["cell_3"] == ids("clone IS NULL", kind="cell_segs")


def test_a_record_is_shown_once_however_many_edits_fit() -> None:
    assert ["fov_003", "fov_004"] == ids("gene IN ('ACTB', 'LMNB1')")


def test_what_is_shown_of_edits_is_shown_for_each() -> None:
    answer = cellbank.query("lab/cells", where="passage = 41", columns=["id", "gene"])
    assert [("fov_003", "ACTB"), ("fov_003", "LMNB1")] == sorted(answer.rows())


def test_groups_are_counted_by_records() -> None:
    answer = cellbank.query("lab/cells", group_by="gene")
    assert ["gene", "records"] == answer.columns
    assert {("ACTB", 2), ("LMNB1", 2), ("TJP1", 2), (None, 2)} == {*answer.rows()}
    only = cellbank.query("lab/cells", where="gene = 'ACTB'", group_by="gene")
    assert [("ACTB", 2)] == only.rows()
    shown = cellbank.query("lab/cells", columns="clone, max(viability) AS best", group_by="clone")
    assert ["clone", "best"] == shown.columns
    assert {("20", 98.5), ("7", 96.0), (None, 99.0)} == {*shown.rows()}


def test_an_expression_is_a_column_and_may_be_of_all_records() -> None:
    assert [(6,)] == cellbank.query("lab/cells", columns="count(*)").rows()
    answer = cellbank.query(
        "lab/cells", where="passage = 30", columns=["upper(kind)", "wells.clone"]
    )
    assert ["upper(kind)", "clone"] == answer.columns
    assert [("EXP", "20")] == answer.rows()


def test_without_records_entries_are_asked() -> None:
    answer = cellbank.query("lab/files", where="size > 3", columns="path, type")
    assert [("a/two.TIF", "tif"), ("b/c.tar.gz", "gz")] == answer.rows()


def told(where: str, **how) -> BadQuestion:
    with pytest.raises(BadQuestion) as caught:
        ids(where, **how)
    return caught.value


@pytest.mark.parametrize(
    ("where", "reason", "place", "near"),
    [
        ("passages > 3", "there is no passages", "passages", "passage"),
        ("kind = 'exp' and passages > 3", "there is no passages", "passages", "passage"),
        ("kind = 'é' and clones > 3", "there is no clones", "clones", "clone"),
        ("genes = 'x'", "there is no genes", "genes", "gene"),
        ("wells.clones = 'x'", "wells have no clones", "wells.clones", "wells.clone"),
        ("passage >", "syntax error", ">", ""),
        ("passage > 3 and and", "syntax error", "and", ""),
        ('gene = "TJP1"', "texts stand in single quotes: 'TJP1'", '"TJP1"', ""),
        # What only the answer shows to be wrong.
        ("gene", "gene alone is no condition", "gene", "gene = 'TJP1'"),
        ("gene = 5 and passage > 3", "to INT", "gene = 5 and passage > 3", "--describe"),
        ("passage > 3 and kind", "to BOOL", "kind", "clone IS NOT NULL"),
        (" numbers ", "numbers alone is no condition", "numbers", "A condition compares"),
        ("kind = 'é' and clone > 3", "Cannot compare", "clone > 3", ""),
        ("wells.passage = 'many' -- é", "'many'", "'many'", ""),
    ],
)
def test_an_error_shows_the_place_and_near_names(where, reason, place, near):
    error = told(where)
    said, line, mark = error.message.split("\n")
    assert reason in said
    assert f"  {where}" == line
    start = mark.index("^")
    assert place == line[start : start + mark.count("^")]
    assert where.rindex(place) == start - 2
    assert near in error.advice


def test_an_error_in_a_column_shows_the_place_in_that() -> None:
    with pytest.raises(BadQuestion) as caught:
        ids("passage > 3", group_by=["passage - clone"])
    assert "  passage - clone\n          ^" in caught.value.message


def test_a_name_that_could_mean_two_things_is_told_with_both() -> None:
    error = told("note = 'odd'")
    assert "note could mean wells.note or plates.note" in error.message
    assert "Did you mean wells.note or plates.note?" == error.advice
    assert ["fov_001", "fov_002", "fov_005"] == ids("wells.note = 'odd'")


@pytest.mark.parametrize(
    "where",
    [
        "true) UNION SELECT 'fov_x' WHERE (true",
        "true; SELECT 1",
        "true ORDER BY 1",
        "true LIMIT 1",
        "true GROUP BY ALL",
        "count(*) > 1",
        "passage > ?",
        "#1 = 'x'",
        "COLUMNS(*) > 1",
        "id IN (SELECT id FROM read_csv('/etc/passwd'))",
        "(SELECT count(*) FROM '/etc/passwd') > 0",
        "getvariable('x') = 1",
        "'x'",
        "/*",
    ],
)
def test_what_is_more_than_a_condition_is_refused(where: str) -> None:
    told(where)


def test_a_kind_that_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(BadQuestion, match=r"there are no wells in lab/files\. There are: entries"):
        cellbank.query("lab/files", where="true", kind="wells")
    with pytest.raises(BadQuestion, match=r"there are no fov_s in lab/cells\. Did you mean fovs"):
        cellbank.query("lab/cells", where="true", kind="fov_s")


def test_all_columns_have_their_names_and_nothing_of_what_is_joined() -> None:
    every = cellbank.query("lab/cells", where="passage = 30").columns
    assert every == cellbank.query("lab/cells", columns="*").columns
    answer = cellbank.query("lab/cells", where="gene = 'TJP1'", columns="*, clone")
    assert [*every, "clone"] == answer.columns
    assert ["fov_001", "fov_002"] == [row["id"] for row in answer]
    without = cellbank.query("lab/cells", columns="* EXCLUDE (id)").columns
    assert every[1:] == without
    wells = cellbank.query("lab/cells", columns="wells.*", where="passage = 30")
    assert cellbank.query("lab/cells", kind="wells", columns="*").columns == wells.columns
    assert "well_1" == wells[0]["id"]
    with pytest.raises(BadQuestion, match="not changed there"):
        cellbank.query("lab/cells", columns="* RENAME (id AS name)")
    with pytest.raises(BadQuestion, match="there is no well_"):
        cellbank.query("lab/cells", columns="well_.*")


def test_all_columns_of_several_packages_name_the_package_once() -> None:
    answer = cellbank.query("lab/cell*", columns="*", where="passage = 30")
    assert 1 == answer.columns.count("package")
    assert ["lab/cells"] == [row["package"] for row in answer]


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        ("line = AICS", "Texts stand in single quotes: 'AICS'."),
        ("passage >", "What can be asked: cellbank query REF --describe"),
        ("clone = ‘20’", "Quotes must be straight, as programs write them: '20'."),  # noqa: RUF001
        ("DATE '2017-10-16' > 2017", "A day is written '2017-10-16', in quotes."),
        # What a shell leaves of `--where passage>40` without quotes, and the like.
        ("passage", "Put all of it in quotes"),
        ("wells.passage", "Put all of it in quotes"),
        ("30", "Put all of it in quotes"),
        ("id IN (SELECT id FROM read_csv('/etc/passwd'))", "files and settings are out of reach"),
    ],
)
def test_what_is_wrong_says_what_to_do(where: str, advice: str) -> None:
    assert advice in told(where).advice


def test_fields_of_meta_are_told_where_a_name_is_none() -> None:
    with pytest.raises(BadQuestion, match="there is no stain") as caught:
        cellbank.query("lab/files", where="stain = 'DAPI'")
    assert "meta->>'stain'" in caught.value.advice


def test_a_statement_behind_a_condition_is_told_as_that() -> None:
    assert "it is more than one expression" in told("1 = 1; DROP VIEW fovs").message


def test_a_column_that_differs_in_a_group_says_what_to_do() -> None:
    with pytest.raises(BadQuestion, match="GROUP BY") as caught:
        cellbank.query("lab/cells", columns="clone, passage", group_by="clone")
    assert "any_value" in caught.value.advice
