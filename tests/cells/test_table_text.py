"""CSV files: every value, every row under its own number, everything that is wrong said."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellbank.cells import recipe
from cellbank.cells.problems import Problem, Problems
from cellbank.cells.table_text import find_delimiter
from cellbank.cells.tables import Rows, read_table


def read(
    folder: Path, data: bytes | str, file: str = "t.csv", **options: str
) -> tuple[Rows | None, list[Problem]]:
    (folder / file).write_bytes(data.encode() if isinstance(data, str) else data)
    problems = Problems()
    rows = read_table(recipe.Table(file=file, **options), str(folder), problems)  # type: ignore[arg-type]
    return rows, problems.found()


def good(rows: Rows | None) -> Rows:
    assert rows is not None
    return rows


def test_values_are_text_as_they_stand(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "id,n,when\nA, 007 ,10/16/2017\nB,,NaN\n")
    assert [] == problems
    assert (
        Rows(
            "t.csv",
            {"id": 0, "n": 1, "when": 2},
            [("A", " 007 ", "10/16/2017"), ("B", "", "NaN")],
            2,
        )
        == rows
    )


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, mark: str) -> None:
    text = f'a{mark}b{mark}c\n1{mark}"2,5"{mark}x y\n3{mark}"4,5"{mark}z\n'
    rows, problems = read(tmp_path, text)
    assert ([], ("1", "2,5", "x y")) == (problems, good(rows).rows[0])


def test_a_comma_in_numbers_does_not_outweigh_the_semicolon() -> None:
    assert ";" == find_delimiter("a;b;c\n1,5;2,5;3,5\n1,5;2,5;3,5\n")


def test_a_single_column_is_a_table() -> None:
    assert "," == find_delimiter("name\nfirst one\nsecond one\n")


def test_tsv_has_tabs_whatever_else_is_there(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "a,b\tc,d\n1,2\t3,4\n", "t.tsv")
    assert {"a,b": 0, "c,d": 1} == good(rows).columns


def test_a_bom_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, b"\xef\xbb\xbfid,b\r\n1,2\r\n")
    assert ({"id": 0, "b": 1}, []) == (good(rows).columns, problems)


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("latin-1", "latin-1"), ("utf-16", "utf-16"), ("utf-16", "utf-16-be"), ("cp1252", "cp1252")],
)
def test_other_encodings_are_read_where_they_are_named(
    tmp_path: Path, encoding: str, codec: str
) -> None:
    data = "id;größe µm\nä;1\n".encode(codec)
    if codec == "utf-16-be":
        data = b"\xfe\xff" + data
    rows, problems = read(tmp_path, data, encoding=encoding)
    assert ([], {"id": 0, "größe µm": 1}, [("ä", "1")]) == (
        problems,
        good(rows).columns,
        good(rows).rows,
    )


def test_what_is_not_utf_8_is_named_with_its_first_row(tmp_path: Path) -> None:
    data = 'id,note\n1,"two\nlines"\n2,good\n3,5 µm\n4,5 µm\n'.encode("latin-1")
    rows, problems = read(tmp_path, data)
    assert [(4, "error")] == [(p.row, p.severity) for p in problems]
    assert "latin-1" in problems[0].advice
    assert 4 == len(good(rows).rows)


def test_utf_16_that_is_not_declared_is_recognised(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a,b\n1,2\n".encode("utf-16"))
    assert rows is None
    assert "utf-16" in problems[0].advice


def test_an_unknown_encoding_is_an_error(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a\n1\n", encoding="utf-42")
    assert rows is None
    assert "utf-42" in problems[0].what


@pytest.mark.parametrize("codec", ["hex", "zip", "rot13"])
def test_a_codec_that_makes_no_text_is_no_encoding(tmp_path: Path, codec: str) -> None:
    rows, problems = read(tmp_path, "a\n1\n", encoding=codec)
    assert (None, 1) == (rows, len(problems))


def test_ragged_rows_are_named_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    text = 'id,note\n1,"two\nlines"\n2\n\n3,a,b\n4,d\n5,e,,\n'
    rows, problems = read(tmp_path, text)
    assert [3, 5] == [p.row for p in problems]
    assert [(2, "1"), (6, "4"), (7, "5")] == [
        (good(rows).number(i), row[0]) for i, row in enumerate(good(rows).rows)
    ]


def test_text_after_a_closing_quote_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, 'id,note\n1,"a"b\n2,c\n')
    assert [(2, "has text after a closing quote")] == [(p.row, p.what) for p in problems]
    assert (3, [("2", "c")]) == (good(rows).number(0), good(rows).rows)


def test_a_quote_that_is_never_closed_is_named_where_it_opens(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, 'id,note\n1,a\n2,"b\n3,c\n')
    assert [3] == [p.row for p in problems]
    assert "never closed" in problems[0].what
    assert [("1", "a")] == good(rows).rows


def test_a_huge_value_is_named_and_the_next_row_is_read(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, f"id,note\n1,{'x' * 200_000}\n2,c\n")
    assert [2] == [p.row for p in problems]
    assert [("2", "c")] == good(rows).rows


def test_a_nul_is_named_with_its_row(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "id,note\n1,a\n2,b\0c\n")
    assert (None, [3]) == (rows, [p.row for p in problems])


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_error(tmp_path: Path, text: str) -> None:
    rows, problems = read(tmp_path, text)
    assert (None, ["is empty"]) == (rows, [p.what for p in problems])


def test_a_header_alone_is_a_warning(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a,b\n")
    assert [("warning", "has no rows")] == [(p.severity, p.what) for p in problems]
    assert Rows("t.csv", {"a": 0, "b": 1}, [], 2) == rows


def test_blank_rows_before_the_header_are_counted(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "\n,,\na,b,\n1,2,\n")
    assert ([], 4) == (problems, good(rows).first)


def test_a_name_twice_is_an_error_and_no_name_a_warning_where_it_hides_values(
    tmp_path: Path,
) -> None:
    rows, problems = read(tmp_path, "a,b,a,,\n1,2,3,4,\n")
    assert [("warning", ""), ("error", "a")] == sorted(
        [(p.severity, p.column) for p in problems], reverse=True
    )
    assert {"a": 0, "b": 1} == good(rows).columns


def test_a_delimiter_of_two_characters_is_an_error(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a\n", delimiter="::")
    assert (None, 1) == (rows, len(problems))


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.one_of(st.just([]), st.lists(values, min_size=width, max_size=width)), max_size=8
    ).map(lambda rows: (width, rows))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables, mark=st.sampled_from(",;\t|"), quoting=st.sampled_from([0, 1]))
def test_what_a_writer_wrote_comes_back_each_row_under_its_number(
    tmp_path: Path, table: tuple[int, list[list[str]]], mark: str, quoting: int
) -> None:
    width, written = table
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=mark, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow([f"column {i}" for i in range(width)])
    writer.writerows(written)
    rows, problems = read(tmp_path, file.getvalue(), delimiter=mark)
    expected = [(number, tuple(row)) for number, row in enumerate(written, 2) if any(row)]
    assert expected == [(good(rows).number(i), row) for i, row in enumerate(good(rows).rows)]
    assert ([] if expected else ["has no rows"]) == [p.what for p in problems]


@pytest.mark.parametrize("mark", [",,", '"', "\n", "\r", "\0"])
def test_what_cannot_stand_between_values_is_told(tmp_path: Path, mark: str) -> None:
    rows, problems = read(tmp_path, "a,b\n1,2\n", delimiter=mark)
    assert rows is None
    assert ["Mend `delimiter`."] == [problem.advice for problem in problems]
