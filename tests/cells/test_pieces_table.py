"""The table of pieces: what a build says of large tables, and what is read of it."""

from pathlib import Path

import polars as pl
import pytest

from cellbank.cells import pieces_table
from cellbank.model.digest import digest_of
from tests.cells.lab import Lab


def test_a_build_lists_the_pieces_of_its_large_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_table, "LISTED_ABOVE", 2_000)
    monkeypatch.setattr(pieces_table, "LENGTH", 512)
    lab = Lab(tmp_path)
    lab.build()
    tables = lab.parquet("cell_lines")
    file = tmp_path / "pieces.parquet"
    file.write_bytes(tables.pop(pieces_table.KIND))
    large = {group for group, data in tables.items() if len(data) > 2_000}
    assert large
    rows = {row["kind"]: row for row in pl.read_parquet(file).to_dicts()}
    assert large == {*rows}
    for group in large:
        data, row = tables[group], rows[group]
        assert digest_of(data) == row["digest"]
        parts = [data[at : at + 512] for at in range(0, len(data), 512)]
        assert [digest_of(part) for part in parts] == row["pieces"]


def test_small_tables_have_none(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.build()
    assert pieces_table.KIND not in lab.parquet("cell_lines")


@pytest.mark.parametrize("length", [0, 1, 2_097_152, 2_097_153, 5_000_000])
def test_pieces_cover_a_table_to_its_last_byte(length: int) -> None:
    rows = pieces_table.rows_of({"fovs": bytes(length)})
    if length <= pieces_table.LISTED_ABOVE:
        assert [] == rows
        return
    (row,) = rows
    assert -(-length // pieces_table.LENGTH) == len(row["pieces"])
    assert (
        digest_of(bytes(length % pieces_table.LENGTH or pieces_table.LENGTH)) == row["pieces"][-1]
    )
