"""Packages of records made by hand, for questions: tables without any image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cellbank.cells import pieces_table
from cellbank.model.reference import Package
from cellbank.packages.build import Prepared, Stamp, build
from cellbank.packages.scan import Source
from cellbank.storage.store import Store

Rows = Sequence[Mapping[str, Any]]

EDIT = pl.Struct({"gene": pl.String, "tag_location": pl.String})
LISTS = pl.List(pl.String)
SHAPES: dict[str, dict[str, Any]] = {
    "lines": {"id": pl.String, "line": pl.String, "edits": pl.List(EDIT)},
    "plates": {"id": pl.String, "barcode": pl.String, "note": pl.String},
    "wells": {
        "id": pl.String,
        "clone": pl.String,
        "passage": pl.Int64,
        "note": pl.String,
        "plates": LISTS,
        "lines": LISTS,
    },
    "fovs": {
        "id": pl.String,
        "passage": pl.Int64,
        "viability": pl.Float64,
        "kind": pl.String,
        "good": pl.Boolean,
        "seeded": pl.Date,
        "numbers": pl.List(pl.Int64),
        "wells": LISTS,
        "plates": LISTS,
        "lines": LISTS,
        "path": pl.String,
        "digest": pl.String,
        "size": pl.Int64,
    },
    "cell_segs": {"id": pl.String, "fovs": LISTS, "wells": LISTS, "plates": LISTS, "lines": LISTS},
}
LINES = [
    {"id": "line_1", "line": "AICS-1", "edits": [{"gene": "TJP1", "tag_location": "N"}]},
    {
        "id": "line_2",
        "line": "AICS-2",
        "edits": [
            {"gene": "ACTB", "tag_location": "N"},
            {"gene": "LMNB1", "tag_location": "C"},
        ],
    },
    {"id": "line_3", "line": None, "edits": []},
]
PLATES = [
    {"id": "plate_1", "barcode": "0001", "note": "kept"},
    {"id": "plate_2", "barcode": "0002", "note": None},
]


def well(number: int, **said: Any) -> dict[str, Any]:
    return {"id": f"well_{number}", "clone": None, "passage": None, "note": None, **said}


WELLS = [
    well(1, clone="20", passage=30, note="odd", plates=["plate_1"], lines=["line_1"]),
    well(2, passage=41, plates=["plate_1"], lines=["line_2"]),
    well(3, clone="7", note="odd", plates=["plate_2"], lines=[]),
]


def fov(number: int, well: int, **said: Any) -> dict[str, Any]:
    """Return a field of view in a well, which says what it belongs to."""
    of = next((one for one in WELLS if one["id"] == f"well_{well}"), None)
    return {
        "id": f"fov_{number:03}",
        "passage": None,
        "viability": None,
        "kind": None,
        "good": None,
        "seeded": None,
        "numbers": [],
        "wells": [of["id"]] if of else [],
        "plates": of["plates"] if of else [],
        "lines": of["lines"] if of else [],
        "path": f"fovs/fov_{number:03}/image/load",
        "digest": f"{number:064x}",
        "size": 1000 + number,
        **said,
    }


def tables_of(fovs: Rows, **others: Rows) -> dict[str, bytes]:
    """Return Parquet files of these records, and of the lines, plates and wells above."""
    rows = {"lines": LINES, "plates": PLATES, "wells": WELLS, "fovs": fovs, **others}
    return {group: parquet(frame(group, each)) for group, each in rows.items()}


def frame(group: str, rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SHAPES[group])


def parquet(made: pl.DataFrame, **how: Any) -> bytes:
    from io import BytesIO

    file = BytesIO()
    made.write_parquet(file, **how)
    return file.getvalue()


def with_pieces(tables: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return tables, with the table of their pieces if any of them is large."""
    rows = pieces_table.rows_of(tables)
    return {**tables, pieces_table.KIND: parquet(pl.DataFrame(rows))} if rows else dict(tables)


def keep(
    home: Path,
    name: str,
    tables: Mapping[str, bytes],
    entries: Mapping[str, bytes] = {"README": b"# Cells\n"},
    metas: Mapping[str, dict[str, Any]] = {},
) -> str:
    """Build a package of these tables in a store; return its revision."""
    sources = [
        Source.of_bytes(path, entries[path], None, metas.get(path)) for path in sorted(entries)
    ]
    stamp = Stamp(author="tester", time="2026-01-01T00:00:00Z", message="", writer="test")
    kind = "cell_lines" if tables else "files"
    built = build(
        Store.at(str(home)),
        Package.parse(name),
        str(home.parent),
        sources,
        stamp=stamp,
        prepared=Prepared(kind, lambda _: tables),
    )
    return built.revision
