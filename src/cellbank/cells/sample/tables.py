"""The tables of the export as bytes: CSV, SQLite; and Parquet, which DuckDB writes itself."""

import csv
import io
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, Final

from cellbank.cells.sample.channels import channels_of
from cellbank.cells.sample.culture import CULTURE_COLUMNS, PLATE_TYPE
from cellbank.cells.sample.facts import LINE_COLUMNS, LINES, PLATES
from cellbank.cells.sample.plan import SEGMENTATIONS, Fov, Plan

LINES_CSV: Final = ("line", *LINE_COLUMNS)
PLATES_CSV: Final = ("plate", "plate_type", "plate_id")
WELLS_CSV: Final = (
    "well",
    "plate",
    "line",
    "well_name",
    *CULTURE_COLUMNS,
    "content_type",
    "instrument",
    "image_ids",
)
FOVS_PARQUET: Final = {
    "fov": "VARCHAR",
    "well": "VARCHAR",
    "image": "VARCHAR",
    "image_ids": "BIGINT[]",
    "content_type": "VARCHAR",
    "instrument": "VARCHAR",
    "channels": "STRUCT(dye_name VARCHAR, use BOOLEAN, synthetic BOOLEAN, note VARCHAR)[]",
    "imaged_on": "DATE",
    "objective": "VARCHAR",
    "scene": "INTEGER",
    "position": "INTEGER",
    "voxel_z_um": "DOUBLE",
    "voxel_y_um": "DOUBLE",
    "voxel_x_um": "DOUBLE",
}
"""Column → its type, as DuckDB names it."""


def lines_csv(plan: Plan) -> bytes:
    """Return the lines that have a well, one a row."""
    there = {well.line.name for well in plan.wells}
    return _csv(LINES_CSV, (line.row() for line in LINES if line.name in there))


def plates_csv(plan: Plan) -> bytes:
    """Return the plates that have a well, one a row."""
    there = {well.plate.barcode for well in plan.wells}
    return _csv(
        PLATES_CSV,
        ({"plate": p.barcode, "plate_type": PLATE_TYPE} for p in PLATES if p.barcode in there),
    )


def wells_csv(plan: Plan) -> bytes:
    """Return the wells, one a row: the only table that tells how cells were grown."""
    return _csv(
        WELLS_CSV,
        (
            {
                "well": well.key,
                "plate": well.plate.barcode,
                "line": well.line.name,
                "well_name": well.name if well.culture["well_type"] else None,
                **well.culture,
                "content_type": "10Xwellscan",
                "instrument": well.plate.instrument,
                "image_ids": well.image_id,
            }
            for well in plan.wells
        ),
    )


def _csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def segmentations_sqlite(plan: Plan) -> bytes:
    """Return a database with one table: a row for every segmentation."""
    rows = [(*fov.segmentation(kind), kind, fov.key) for fov in plan.fovs for kind in SEGMENTATIONS]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE TABLE segmentations (segmentation TEXT PRIMARY KEY, kind TEXT NOT NULL,"
            " fov TEXT NOT NULL, image TEXT NOT NULL)"
        )
        database.executemany(
            "INSERT INTO segmentations (segmentation, image, kind, fov) VALUES (?, ?, ?, ?)",
            sorted(rows),
        )
        database.commit()
        return database.serialize()


def fov_row(fov: Fov, voxel: tuple[float, float, float]) -> list[Any]:
    """Return the row of a field of view, in the order of the columns; voxel in µm."""
    plate = fov.well.plate
    return [
        fov.key,
        fov.well.key,
        fov.image,
        [fov.image_id],
        "100X_zstack",
        plate.instrument,
        [channel.row() for channel in channels_of(plate.channels)],
        plate.imaged,
        "100X/1.25 W",
        fov.scene,
        fov.position,
        *voxel,
    ]


def write_fovs_parquet(plan: Plan, voxel: tuple[float, float, float], path: str) -> None:
    """Let DuckDB write the fields of view, one a row, by their names."""
    import duckdb

    columns = ", ".join(f"{name} {kind}" for name, kind in FOVS_PARQUET.items())
    holes = ", ".join("?" * len(FOVS_PARQUET))
    rows = [fov_row(fov, voxel) for fov in sorted(plan.fovs, key=lambda fov: fov.key)]
    quoted = path.replace("'", "''")
    # One thread: the order of the rows and the bytes are always the same.
    with duckdb.connect(":memory:", config={"threads": 1}) as database:
        database.execute(f"CREATE TABLE fovs ({columns})")
        database.executemany(f"INSERT INTO fovs VALUES ({holes})", rows)  # noqa: S608
        # A path of ours, quoted: COPY takes no parameters.
        database.execute(f"COPY fovs TO '{quoted}' (FORMAT parquet, USE_TMP_FILE false)")
