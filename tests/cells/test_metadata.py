"""Metadata tables: the same as the documents that they are derived from, value by value, typed."""

import errno
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cellbank.cells.kinds import GROUPS
from cellbank.cells.metadata import Tables, connect
from cellbank.storage import disk
from tests.cells.lab import FAMILY, FOVS, Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.change("lines", 0, protein='m"EGFP"\'s\n\t\\ µ日𝔸')
    made.change("wells", 1, viability=97.30000000000001, passage=2**53 - 1)
    made.record("well")["attributes"]["Odd name, with \"quotes\" and 'more'"] = {
        "column": "colonies",
        "type": "list[number]",
        "unit": "µm",
    }
    fields = made.record("line")["attributes"]["edits"]["fields"]
    fields["edited"] = {"type": "date", "format": "%m/%d/%Y"}
    for row, day in zip(made.tables["lines"], ("6/1/2015", ""), strict=True):
        row["edited"] = day
    made.recipe["packages"]["subsets"]["bare"] = {"where": "len(image_ids) = 0"}
    made.tables["segmentations"] = [
        row for row in made.tables["segmentations"] if row["fov"] != FOVS[1]
    ]
    made.build()
    return made


def rows_of(data: bytes, folder: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the types and the rows of a Parquet file."""
    file = folder / "table.parquet"
    file.write_bytes(data)
    with duckdb.connect() as database:
        found = database.execute(f"SELECT * FROM '{file}'")  # noqa: S608
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        types = database.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()  # noqa: S608
    return {row[0]: row[1] for row in types}, rows


def day_of(text: str | None) -> date | None:
    return text and datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=UTC).date()


@pytest.mark.parametrize("name", [*FAMILY, "bare"])
def test_a_table_has_a_row_a_record_with_what_its_document_says(lab, name, tmp_path):
    infos, entries, tables = lab.infos(name), lab.entries(name), lab.parquet(name)
    assert set(GROUPS) == set(tables)
    for group, data in tables.items():
        _, rows = rows_of(data, tmp_path)
        assert sorted(p.partition("/")[2] for p in infos if p.startswith(f"{group}/")) == [
            row["id"] for row in rows
        ]
        for row in rows:
            info = infos[f"{group}/{row['id']}"]
            image = entries.get(f"{group}/{row['id']}/image/load")
            wanted = {"id": row["id"], **info}
            if info.get("seed_date"):
                wanted["seed_date"] = day_of(info["seed_date"])
            if "edits" in info:
                edits = [edit | {"edited": day_of(edit["edited"])} for edit in info["edits"]]
                wanted["edits"] = edits
            if GROUPS[group].image:
                wanted |= {
                    "path": image.path if image else None,
                    "digest": image.digest if image else None,
                    "size": image.size if image else None,
                }
            assert wanted == row
            assert list(wanted) == list(row)


def test_columns_have_the_types_of_the_attributes(lab: Lab, tmp_path: Path) -> None:
    tables = lab.parquet("cell_lines")
    types, _ = rows_of(tables["wells"], tmp_path)
    wanted = {
        "id": "VARCHAR",
        "passage": "BIGINT",
        "cell_viability": "DOUBLE",
        "seed_date": "DATE",
        "colony_ids": "BIGINT[]",
        "has_controls": "BOOLEAN",
        "clone": "VARCHAR",
        "channels": "STRUCT(dye_name VARCHAR, use BOOLEAN)[]",
        "Odd name, with \"quotes\" and 'more'": "DOUBLE[]",
        "fovs": "VARCHAR[]",
        "size": "BIGINT",
    }
    assert wanted == {name: kind.replace('"', "") if "STRUCT" in kind else kind
                      for name, kind in types.items() if name in wanted}  # fmt: skip
    types, _ = rows_of(tables["fovs"], tmp_path)
    assert {"DATE", "BIGINT[]"} == {types["seed_date"], types["colony_ids"]}


def test_what_is_empty_is_null_and_lists_are_empty_lists(lab: Lab, tmp_path: Path) -> None:
    _, rows = rows_of(lab.parquet("cell_lines")["wells"], tmp_path)
    bare = next(row for row in rows if row["id"].endswith("C2"))
    assert [None] * 5 == [
        bare[name] for name in ("passage", "cell_viability", "seed_date", "has_controls", "path")
    ]
    assert [] == bare["image_ids"]


def test_an_empty_kind_has_a_table_with_its_columns_and_no_rows(lab: Lab, tmp_path: Path) -> None:
    types, rows = rows_of(lab.parquet("bare")["cell_segs"], tmp_path)
    assert {"id", "fovs", "path"} <= set(types)
    assert [] == rows


def test_the_log_names_the_tables_and_the_program_that_wrote_them(lab: Lab) -> None:
    from cellbank.model.reference import Package

    store, package = lab.store(), Package("aics", "cell_lines")
    tables = store.tables(package, store.need_installed(package).revision)
    assert {f"duckdb {duckdb.__version__}"} == {table.writer for table in tables.values()}


# --- SCHEMA beside the tables


def test_schema_says_what_is_in_the_documents(lab: Lab) -> None:
    for name in FAMILY:
        schema, infos = lab.document(name, "SCHEMA"), lab.infos(name)
        assert {kind.schema for kind in GROUPS.values()} == set(schema)
        for group, kind in GROUPS.items():
            records = [info for path, info in infos.items() if path.startswith(f"{group}/")]
            for attribute, said in schema[kind.schema].items():
                values = [info[attribute] for info in records]
                have = [value for value in values if value not in (None, [])]
                wanted = round(len(have) / len(values), 6) if values else 0.0
                assert wanted == said["coverage"], (name, group, attribute)
                if said["type"] in ("integer", "number"):
                    ends = [said.get("minimum"), said.get("maximum")]
                    assert ends == ([min(have), max(have)] if have else [None, None])
                if said["type"] in ("string", "boolean"):
                    assert len(set(have)) == said["distinct"]
                    assert sorted(set(have)) == said["values"]
            assert {a for info in records for a in info} <= set(schema[kind.schema])


def test_schema_has_for_every_attribute_what_the_first_packages_had(lab: Lab) -> None:
    schema = lab.document("cell_lines", "SCHEMA")
    own = {"description", "example_value", "origin", "value_types"}
    for attributes in schema.values():
        assert all(own <= set(said) for said in attributes.values())
    line = schema["unique_line_info"]["line"]
    assert ("AICS-10", "lines.csv/line", ["<type 'str'>"]) == (
        line["example_value"],
        line["origin"],
        line["value_types"],
    )
    assert "human readable edited cell line present" == line["description"]
    clone = schema["unique_well_info"]["clone"]
    assert ["<type 'NoneType'>", "<type 'str'>"] == clone["value_types"]
    assert "%" == schema["unique_well_info"]["cell_viability"]["unit"]
    assert "baseline" == schema["unique_line_info"]["fovs"]["origin"]
    # A date is ordered by its day, not by its letters.
    seeded = schema["unique_well_info"]["seed_date"]
    assert ("9/2/2017", "10/16/2017") == (seeded["minimum"], seeded["maximum"])
    assert "%m/%d/%Y" == seeded["format"]
    fields = schema["unique_line_info"]["edits"]["fields"]
    assert ("lines.csv/edited", "%m/%d/%Y") == (
        fields["edited"]["origin"],
        fields["edited"]["format"],
    )
    assert "the edited gene" == fields["gene"]["description"]


def test_examples_and_types_are_the_same_in_all_packages_of_a_family(lab: Lab) -> None:
    first, *others = (lab.document(name, "SCHEMA") for name in FAMILY)
    for other in others:
        for kind, attributes in first.items():
            for name, said in attributes.items():
                for part in ("example_value", "value_types", "origin", "description"):
                    assert said[part] == other[kind][name][part]


def test_a_full_disk_leaves_no_temporary_files(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "tables"
    with connect(f"{folder}.spill") as database:
        tables = Tables(str(folder), {"plate": []}, database)
        tables.add("plate", "plate_1", {"wells": []}, ())
        monkeypatch.setattr(disk, "fault", full)
        with pytest.raises(OSError, match="full"):
            tables.write()
        tables.close()
    assert [] == list(tmp_path.iterdir())


def test_tables_that_cannot_be_begun_leave_nothing(tmp_path, monkeypatch) -> None:
    def no_second(kind: str, path: str) -> None:
        if kind == "create" and "well" in path:
            raise OSError(errno.ENOSPC, "full", path)

    monkeypatch.setattr(disk, "fault", no_second)
    with pytest.raises(OSError, match="full"):
        Tables(str(tmp_path / "tables"), {"plate": [], "well": []}, None)
    assert [] == list(tmp_path.iterdir())


def full(kind: str, path: str) -> None:
    if kind == "write":
        raise OSError(errno.ENOSPC, "full", path)


def test_what_does_not_fit_in_memory_spills_into_the_folder_that_is_named(tmp_path) -> None:
    with connect(f"{tmp_path}/spill") as database:
        assert (f"{tmp_path}/spill",) == database.execute(
            "SELECT current_setting('temp_directory')"
        ).fetchone()
