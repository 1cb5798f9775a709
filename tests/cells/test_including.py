"""Entries of other packages in a family: taken at a fixed revision, by their digests alone."""

from pathlib import Path
from typing import Any

import pytest

import cellbank
from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW
from tests.cells.lab import FAMILY, Lab

FILES = {
    "README.md": b"# Models\n",
    "nets/unet.pt": b"w" * (PIECES_ABOVE + 9),
    "nets/small.pt": b"w",
    "nets/old/unet.pt": b"o" * SMALL_BELOW,
    "protocol.txt": b"wash, stain, image\n",
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab with a package of models in its store."""
    lab = Lab(tmp_path)
    with lab.at_home():
        for path, data in FILES.items():
            (tmp_path / "models" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "models" / path).write_bytes(data)
        cellbank.build("lab/models", tmp_path / "models")
        cellbank.version("lab/models", "1.0", cellbank.log("lab/models")[0].revision)
    return lab


def fixed(lab: Lab) -> str:
    """Return the package of models with its revision."""
    with lab.at_home():
        return f"lab/models@{cellbank.log('lab/models')[0].revision[:16]}"


def taken(lab: Lab, *parts: dict[str, Any]) -> set[str]:
    """Build with these parts; return the paths that came, after looking at their bytes."""
    lab.recipe["include"] = list(parts)
    lab.build()
    with lab.at_home():
        assert cellbank.verify("aics/cell_lines").good
        view = cellbank.load("aics/cell_lines")._view
    own = {"README", "SCHEMA"}
    return {
        entry.path for entry in view.reader if "/load" not in entry.path and entry.path not in own
    }


def test_all_of_a_package_comes_into_a_group_and_nothing_is_read(lab):
    lab.build()
    lab.recipe["include"] = [{"package": fixed(lab), "into": "models"}]
    built = lab.build()
    assert {0} == {one.read_files for one in built.packages}
    for name in FAMILY:
        for path, data in FILES.items():
            assert data == lab.read(name, f"models/{path}")
    assert built.packages == lab.build().packages or not any(
        p.changed for p in lab.build().packages
    )


def test_paths_groups_and_patterns_choose_what_comes(lab):
    assert {"protocol.txt", "nets/old/unet.pt"} == taken(
        lab, {"package": "lab/models==1.0", "paths": ["protocol.txt", "nets/old"]}
    )
    assert {"nets/unet.pt", "nets/small.pt"} == taken(
        lab, {"package": fixed(lab), "paths": ["nets/*.pt"]}
    )
    assert {"a/README.md", "b/nets/unet.pt", "b/nets/old/unet.pt"} == taken(
        lab,
        {"package": fixed(lab), "paths": ["*.md"], "into": "a"},
        {"package": fixed(lab), "paths": ["**/unet.pt"], "into": "/b/"},
    )


def test_what_is_included_does_not_change_with_the_package_it_came_from(lab, tmp_path):
    lab.recipe["include"] = [{"package": fixed(lab), "paths": ["protocol.txt"]}]
    before = {one.package: one.revision for one in lab.build().packages}
    with lab.at_home():
        (tmp_path / "models/protocol.txt").write_text("stain, wash, image\n")
        cellbank.build("lab/models", tmp_path / "models")
    assert before == {one.package: one.revision for one in lab.build().packages}
    assert FILES["protocol.txt"] == lab.read("aics_23", "protocol.txt")


@pytest.mark.parametrize(
    ("part", "column", "said"),
    [
        ({"package": "lab/models"}, "include[0].package", "another day"),
        ({"package": "lab/models:latest"}, "include[0].package", "another day"),
        ({"package": "models"}, "include[0].package", "owner/name"),
        ({"package": "lab/models==1.0/nets"}, "include[0].package", "a part"),
        ({"package": "lab/models==1.0", "paths": ["../x"]}, "include[0].paths[0]", "pattern"),
        ({"package": "lab/models==1.0", "into": "a:b"}, "include[0].into", "a:b"),
        ({"package": "lab/models==1.0", "path": ["x"]}, "include[0].path", "no such field"),
        ({"paths": ["x"]}, "include[0]", "package is missing"),
        ({"package": "lab/models==2.0", "into": "m"}, "include[0].package", "2.0"),
        ({"package": "lab/model==1.0", "into": "m"}, "include[0].package", "not installed"),
        ({"package": "lab/models==1.0", "paths": ["net/*"]}, "include[0].paths", "fits nothing"),
        ({"package": "lab/models==1.0", "into": "fovs"}, "include[0]", "records"),
    ],
)
def test_what_cannot_be_included_is_told_and_nothing_is_built(lab, part, column, said):
    lab.recipe["include"] = [part]
    problem = lab.problem()
    assert ("cellbank.yaml", column) == (problem["file"], problem["column"])
    assert said in problem["what"]


def test_all_that_is_wrong_with_what_is_included_is_told_at_once(lab):
    lab.recipe["include"] = [
        {"package": "lab/models==1.0", "paths": ["nets/unet.pt"], "into": "m"},
        {"package": fixed(lab), "paths": ["nets/unet.pt", "nothing"], "into": "m"},
        {"package": fixed(lab), "paths": ["nets/small.pt"], "into": "m/nets/unet.pt"},
        {"package": "lab/none@123456"},
    ]
    columns = [problem["column"] for problem in lab.problems()]
    assert {
        "include[1].paths", "include[1]", "include", "include[3].package"
    } == set(columns)  # fmt: skip


def test_entries_that_are_not_here_are_told_with_the_command(lab, tmp_path):
    remote = str(tmp_path / "remote")
    with lab.at_home():
        cellbank.push("lab/models", to=remote)
        cellbank.remove("lab/models")
        cellbank.gc()
        cellbank.install("lab/models", from_=remote, metadata_only=True)
        revision = cellbank.load("lab/models")._revision
    lab.recipe["include"] = [{"package": f"lab/models@{revision[:12]}", "into": "m"}]
    problem = lab.problem()
    assert "3 of the entries" in problem["what"]
    assert "cellbank install lab/models@" in problem["advice"]
    lab.recipe["include"][0]["paths"] = ["*.*"]
    lab.build()
    assert FILES["protocol.txt"] == lab.read("cell_lines", "m/protocol.txt")
