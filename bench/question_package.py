"""A package with a million fields of view, of which there is nothing but the metadata.

`python bench/question_package.py STORE NAME COUNT FOLDER` makes it and prints the sizes of its
tables: in a process of its own, as it takes much memory.
"""

import json
import sys
from pathlib import Path

import duckdb

from cellbank.cells import pieces_table
from cellbank.cells.kinds import KINDS
from cellbank.cells.metadata import columns_of, quoted, writer_name
from cellbank.cells.values import Spec
from cellbank.model.reference import Package
from cellbank.packages.build import Prepared, Stamp, build
from cellbank.packages.scan import Source
from cellbank.storage.store import Store

WELLS, PLATES, LINES = 50_000, 1_000, 30
STEM = "'plate_35' || lpad((i % 1000)::VARCHAR, 8, '0') || '_well_E' || (i % 12)"

# A value for each attribute, of the number of the record: as many distinct ones as a lab has.
VALUES = {
    "plate_type": "'10cm'",
    "plate_barcode": "'35' || lpad((i % 1000)::VARCHAR, 8, '0')",
    "population_id": "CASE WHEN i % 11 > 0 THEN 2000 + hash(i) % 1400 END",
    "passage": "CASE WHEN i % 11 > 0 THEN 20 + hash(i + 1) % 30 END",
    "clone": "CASE WHEN i % 7 > 0 THEN (20 + hash(i % 50000) % 200)::VARCHAR END",
    "parent_plate_id": "'25' || lpad((hash(i) % 3000)::VARCHAR, 8, '0')",
    "source_plate_id": "'25' || lpad((hash(i + 2) % 900)::VARCHAR, 8, '0')",
    "image_ids": "[i + 60000]",
    "seeding_density": "300000.0 + 50000 * (hash(i) % 14)",
    "cell_viability": "CASE WHEN i % 9 > 0 THEN 90 + (hash(i + 3) % 1000) / 100.0 END",
    "well_type": "['exp', 'pos_control', 'neg_control'][1 + (hash(i) % 3)::INTEGER]",
    "well_name": "'E' || (i % 12)",
    "concentration": "1000.0 + 100 * (hash(i + 4) % 20)",
    "coating_type": "'Matrigel'",
    "seed_date": "DATE '2016-01-01' + (hash(i + 5) % 1000)::INTEGER",
    "colony_ids": "[]",
    "content_type": "'100X_zstack'",
    "instrument": "'ZSD' || (1 + hash(i) % 3)",
    "channels": "[{'dye_name': 'CMDRP', 'use': true}, {'dye_name': 'EGFP', 'use': true}, "
    "{'dye_name': 'H3342', 'use': true}]",
    "line": "'AICS-' || i",
    "line_id": "i",
    "edits": "[{'gene': 'GENE' || i, 'fluorescent_protein': 'mEGFP', 'tag_location': 'N'}]",
    "plates": "['plate_' || (i % 1000)]",
    "lines": "['line_' || (i % 30)]",
    "wells": "['well_' || (i % 50000)]",
    **{
        group: f"['{begin}_' || {STEM} || '_100X_20171024_5_Scene_' || (i % 40) || '_P' || i]"
        for group, begin in (
            ("cell_segs", "cell"),
            ("nuclei_segs", "nuc"),
            ("structure_segs", "struct"),
        )
    },
    "digest": "sha256(i::VARCHAR)",
    "size": "300000000 + hash(i) % 200000000",
}
IDS = {
    "line": "'line_' || i",
    "plate": "'plate_' || i",
    "well": "'well_' || i",
    "fov": "'fov_' || md5(i::VARCHAR)",
}


def make_package(store: str, name: str, fovs: int, folder: Path) -> dict[str, int]:
    """Build a package of records without images; return the sizes of its tables."""
    counts = {"line": LINES, "plate": PLATES, "well": WELLS, "fov": fovs}
    made = {KINDS[kind].group: _table(kind, count, folder) for kind, count in counts.items()}
    rows = pieces_table.rows_of(made)
    if rows:
        made[pieces_table.KIND] = _pieces(rows, folder)
    prepared = Prepared("cell_lines", lambda _: made)
    sources = [Source.of_bytes("README", b"# Many fields\n", "README.md")]
    stamp = Stamp(author="bench", time="2026-01-01T00:00:00Z", message="", writer=writer_name())
    build(
        Store.at(store), Package.parse(name), str(folder), sources, stamp=stamp, prepared=prepared
    )
    return {group: len(data) for group, data in made.items()}


def _specs(kind: str) -> list[Spec]:
    return [
        Spec(
            name,
            one.type,
            one.description,
            fields=tuple(
                Spec(field, inner.type, "") for field, inner in (one.fields or {}).items()
            ),
        )
        for name, one in KINDS[kind].attributes.items()
    ]


def _table(kind: str, count: int, folder: Path) -> bytes:
    columns = columns_of(kind, _specs(kind))
    own = {"id": IDS[kind], "path": f"'{KINDS[kind].group}/' || {IDS[kind]} || '/image/load'"}
    values = own | VALUES
    if kind in ("line", "plate"):
        values = {
            name: value
            for name, value in values.items()
            if name not in ("wells", "plates", "lines")
        }
    shown = [
        f"({values.get(name, 'NULL')})::{sql} AS {quoted(name)}"
        if name != "edits"
        else f"{VALUES['edits']} AS edits"
        for name, sql in columns.items()
    ]
    file = folder / f"{kind}.parquet"
    # All of it is ours.
    sql = f"SELECT {', '.join(shown)} FROM range({count}) t(i) ORDER BY id"  # noqa: S608
    with duckdb.connect() as database:
        database.execute(
            f"COPY ({sql}) TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
        )
    return file.read_bytes()


def _pieces(rows: list[dict[str, object]], folder: Path) -> bytes:
    file, columns = folder / "pieces.parquet", pieces_table.COLUMNS
    shown = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE pieces ({shown})")
        for row in rows:
            database.execute(
                "INSERT INTO pieces VALUES (?, ?, ?, ?)", [row[name] for name in columns]
            )
        database.execute(f"COPY pieces TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
    return file.read_bytes()


if __name__ == "__main__":
    store, name, count, folder = sys.argv[1:]
    print(json.dumps(make_package(store, name, int(count), Path(folder))))
