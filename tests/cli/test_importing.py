"""Tests of `import`."""

import pytest

from tests.api.test_importing import folder, rows, write_table

__all__ = ["folder"]


def test_import_tells_what_became_of_each_column_and_of_the_folder(cellbank, folder):
    result = cellbank("import", "lab/cells", folder, "--title", "Cells", "-m", "imported").ok()
    for said in ("Gene", "edits.gene of the lines", "3 files not taken", "lab/cells@", "2 fovs"):
        assert said in result.out
    assert "2 cell_segs" in result.out
    assert "imported" in cellbank("log", "lab/cells").ok().out


def test_import_may_only_say_what_would_be(cellbank, folder):
    result = cellbank("import", "lab/cells", folder, "--dry-run").ok()
    assert "Would become records: 2 fovs" in result.out
    assert (
        "Would become files" in cellbank("import", "lab/c", folder, "--plain", "--dry-run").ok().out
    )
    assert "" == cellbank("ls").ok().out.replace("no packages", "").strip()


def test_import_shows_what_is_doubtful(cellbank, folder):
    write_table(folder, [*rows(), rows()[0]])
    assert "1 row says the same" in cellbank("import", "lab/cells", folder).ok().err
    assert "" == cellbank("import", "lab/cells", folder, "--quiet").ok().err


def test_import_says_why_there_are_no_records(cellbank, folder):
    write_table(folder, [{"a": 1, "fovs": rows()[0]["fovs"]}])
    result = cellbank("import", "lab/cells", folder).ok()
    assert "No records: metadata.csv has no column FOVId" in result.out
    found = cellbank("import", "lab/cells", folder, "--json").ok().json
    assert ("files", "meta of the files") == (found["kind"], found["columns"]["a"])


def test_import_names_files_that_are_not_there(cellbank, folder):
    files = [rows()[0]["fovs"], rows()[1]["fovs"], "fovs/copied_in_part.ome.tiff"]
    write_table(folder, [{"a": 1, "fovs": file} for file in files])
    result = cellbank("import", "lab/cells", folder).ok()
    assert "not in the folder: fovs/copied_in_part.ome.tiff." in result.err
    assert "warning  metadata.csv    4  fovs" in result.err
    assert "paths of files" in result.out
    assert "" == cellbank("import", "lab/cells", folder, "--quiet").ok().err


def test_import_tells_all_that_is_wrong(cellbank, folder):
    (folder / "fovs/a1b2c3d4_field.ome.tiff").write_bytes(b"no image")
    failed = cellbank("import", "lab/cells", folder)
    assert (2, "") == (failed.code, failed.out)
    assert "a1b2c3d4_field" in failed.err
    assert f"cellbank import --plain lab/cells {folder}" in failed.err
    assert 2 == cellbank("import", "lab/cells", folder, "--json").code


@pytest.mark.parametrize("where", ["nowhere", "empty"])
def test_import_of_what_is_no_such_folder_says_what_to_do(cellbank, tmp_path, where):
    (tmp_path / "empty").mkdir()
    assert "cellbank: " in cellbank("import", "lab/cells", tmp_path / where).failed(4).err
