"""Tests of `cat` and `path`."""

import subprocess
from pathlib import Path

from tests.cli.conftest import COMMAND


def test_cat_writes_the_bytes_as_they_are(built, images, clean_env):
    done = subprocess.run(
        [COMMAND, "cat", f"{built}/fovs/a.tif"], env=clean_env, capture_output=True, check=True
    )
    assert (images / "fovs/a.tif").read_bytes() == done.stdout


def test_cat_as_json_has_text_or_base64(cellbank, built):
    text = cellbank("cat", f"{built}/README.md", "--json").ok().json
    assert ("utf-8", "# Nuclei\n", 9) == (text["encoding"], text["content"], text["size"])
    image = cellbank("cat", f"{built}/fovs/a.tif", "--json").ok().json
    assert "base64" == image["encoding"]
    assert 64 == len(image["digest"])


def test_cat_of_a_group_says_how_to_look_into_it(cellbank, built):
    assert f"cellbank tree {built}/fovs" in cellbank("cat", f"{built}/fovs").failed(2).err


def test_cat_of_what_is_not_there_names_what_is_near(cellbank, built):
    assert "fovs/a.json" in cellbank("cat", f"{built}/fovs/c.json").failed(4).err


def test_path_leads_to_a_file_with_the_bytes(cellbank, built):
    found = cellbank("path", f"{built}/README.md").ok().out
    assert b"# Nuclei\n" == Path(found.removesuffix("\n")).read_bytes()


def test_a_named_path_ends_in_the_file_name(cellbank, built):
    found = Path(cellbank("path", "--named", f"{built}/README.md").ok().out.strip())
    assert "README.md" == found.name
    assert b"# Nuclei\n" == found.read_bytes()


def test_path_as_json_has_the_file_and_its_digest(cellbank, built):
    found = cellbank("path", f"{built}/README.md", "--json").ok().json
    assert b"# Nuclei\n" == Path(found["file"]).read_bytes()
    assert 64 == len(found["digest"])
