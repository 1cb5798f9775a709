"""Tests of `ls`, `tree`, `inspect`, `log`, `diff` and `cite`."""

import pytest

from tests.cli.conftest import fill, revision_of


def test_ls_lists_what_is_here(cellbank, pushed, remote):
    revision = revision_of(cellbank, pushed)
    assert f"demo/nuclei  {revision[:12]}  from {remote}\n" == cellbank("ls").ok().out


def test_ls_as_json_has_whole_revisions(cellbank, built):
    (one,) = cellbank("ls", "--json").ok().json
    assert built == one["package"]
    assert revision_of(cellbank, built) == one["revision"]


@pytest.mark.parametrize("pattern", ["demo/*", "nuc*", "demo", "d*/n?clei"])
def test_ls_takes_a_pattern(cellbank, built, pattern):
    assert 1 == len(cellbank("ls", pattern, "--json").ok().json)


def test_ls_of_nothing_says_so_beside_stdout(cellbank, built):
    result = cellbank("ls", "other/*").ok()
    assert "" == result.out
    assert "There is no package that fits other/* in the store." in result.err
    assert "" == cellbank("ls", "other/*", "--quiet").ok().err


def test_ls_lists_a_remote(cellbank, pushed, remote, elsewhere):
    assert "demo/nuclei" in cellbank("ls", "--from", remote).ok().out
    assert "" == cellbank("ls").ok().out


def test_tree_draws_the_package(cellbank, built):
    assert cellbank("tree", built).ok().out == (
        "demo/nuclei\n├── fovs/\n│   ├── a.json\n│   ├── a.tif\n│   └── b.json\n└── README.md\n"
    )


def test_tree_stops_at_a_depth_and_counts_the_rest(cellbank, built):
    shallow = cellbank("tree", built, "--depth", "1").ok().out
    assert "├── fovs/  (3 entries)\n└── README.md\n" in shallow


def test_tree_shows_a_part(cellbank, built):
    assert cellbank("tree", f"{built}/fovs").ok().out.startswith("demo/nuclei/fovs\n├── a.json\n")


def test_tree_of_what_is_not_at_the_remote_is_not_found(cellbank, pushed, remote, elsewhere):
    error = cellbank("tree", f"{pushed}/fov", "--from", remote).failed(4).err
    assert "Did you mean fovs?" in error


def test_tree_as_json_nests(cellbank, built):
    found = cellbank("tree", built, "--json").ok().json
    assert ["fovs/", "README.md"] == [child["name"] for child in found["children"]]
    assert 4 == found["entries"]


def test_inspect_has_the_promised_keys(cellbank, built):
    facts = cellbank("inspect", built, "--json").ok().json
    assert {"revision", "size", "entries", "types", "versions", "tags"} <= facts.keys()
    assert 64 == len(facts["revision"])
    assert (4, 256025) == (facts["entries"], facts["size"])
    assert {"json": 2, "md": 1, "tif": 1} == facts["types"]
    assert facts["revision"] == facts["tags"]["latest"]


def test_inspect_for_people_has_sizes_in_words(cellbank, built):
    said = cellbank("inspect", built).ok().out
    assert "256.0 kB (256025 bytes)" in said
    assert "built here" in said


def test_inspect_works_before_anything_is_installed(cellbank, pushed, remote, elsewhere):
    facts = cellbank("inspect", pushed, "--from", remote, "--json").ok().json
    assert (False, 4) == (facts["installed"], facts["entries"])


@pytest.fixture
def twice(cellbank, built, images):
    """A package with two revisions, and the first of them."""
    first = revision_of(cellbank, built)
    (images / "fovs/b.json").rename(images / "fovs/c.json")
    fill(images, {"README.md": "# More\n", "new.csv": "a,b\n"})
    (images / "fovs/a.json").unlink()
    cellbank("build", built, images, "--message", "second").ok()
    return built, first


def test_log_has_the_newest_first(cellbank, twice):
    package, first = twice
    newest, oldest = cellbank("log", package).ok().out.splitlines()
    assert newest.endswith("tester  second")
    assert f"push  {first[:12]}  tester  first" in oldest


def test_log_as_json_has_every_field(cellbank, twice):
    events = cellbank("log", twice[0], "--json").ok().json
    assert ["second", "first"] == [event["message"] for event in events]
    assert twice[1] == events[1]["revision"]


def test_diff_marks_what_differs(cellbank, twice):
    package, first = twice
    result = cellbank("diff", f"{package}@{first[:10]}", package).ok()
    assert result.out.splitlines() == [
        "+ new.csv",
        "- fovs/a.json",
        "~ README.md",
        "> fovs/b.json → fovs/c.json",
    ]
    assert "1 added, 1 removed, 1 changed, 1 renamed\n" == result.err


def test_diff_of_equals_is_empty_and_good(cellbank, built):
    result = cellbank("diff", built, built).ok()
    assert "" == result.out
    assert "do not differ" in result.err


def test_diff_as_json_has_whole_revisions_and_digests(cellbank, twice):
    package, first = twice
    found = cellbank("diff", f"{package}@{first[:10]}", package, "--json").ok().json
    assert {"package": package, "revision": first} == found["old"]
    assert revision_of(cellbank, package) == found["new"]["revision"]
    assert ["new.csv"] == [entry["path"] for entry in found["added"]]
    assert [("fovs/b.json", "fovs/c.json")] == [
        (pair["old"]["path"], pair["new"]["path"]) for pair in found["renamed"]
    ]
    assert 64 == len(found["changed"][0]["new"]["digest"])


@pytest.mark.parametrize(
    ("form", "sign"), [("text", "Revision "), ("bibtex", "@misc{"), ("cff", "cff-version: 1.2.0")]
)
def test_cite_gives_each_form_with_the_revision(cellbank, built, form, sign):
    said = cellbank("cite", built, "--format", form).ok().out
    assert sign in said
    assert revision_of(cellbank, built) in said
    assert said.strip() in cellbank("cite", built).ok().out


def test_cite_as_json_has_all_forms(cellbank, built):
    assert {"text", "bibtex", "cff"} == set(cellbank("cite", built, "--json").ok().json)


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_what_a_remote_says_of_a_package_is_read(cellbank, images, tmp_path, option):
    cellbank("build", "demo/nuclei", images, "--message", "first").ok()
    cellbank("push", "demo/nuclei", "--to", tmp_path / "remote").ok()
    cellbank("version", "add", "demo/nuclei", "1.0", "latest", "--to", tmp_path / "remote").ok()
    cellbank("rm", "demo/nuclei", "--yes").ok()
    at = [option, tmp_path / "remote"]
    assert "first" in cellbank("log", "demo/nuclei", *at).ok().out
    assert ["1.0"] == list(cellbank("version", "list", "demo/nuclei", *at, "--json").ok().json)
    assert ["latest"] == list(cellbank("tag", "list", "demo/nuclei", *at, "--json").ok().json)


def test_what_came_from_a_package_cannot_command_the_terminal(cellbank, images):
    cellbank("build", "demo/nuclei", images, "--message", "red \x1b[31m\x07 \u202egpj.exe").ok()
    said = cellbank("log", "demo/nuclei").ok().out
    assert r"red \x1b[31m\x07 \u202egpj.exe" in said
    as_json = cellbank("log", "demo/nuclei", "--json").ok()
    assert "\u202e" not in as_json.out
    assert "red \x1b[31m\x07 \u202egpj.exe" == as_json.json[0]["message"]


def test_a_citation_is_good_yaml_whatever_the_author_is_called(cellbank, images, monkeypatch):
    monkeypatch.setenv("CELLBANK_AUTHOR", 'Ann "A" {B\\')
    cellbank("build", "demo/cells", images).ok()
    cited = cellbank("cite", "demo/cells", "--json").ok().json
    assert '  - name: "Ann \\"A\\" {B\\\\"\n' in cited["cff"]
    assert cited["bibtex"].count("{") == cited["bibtex"].count("}")


@pytest.mark.parametrize("command", ["inspect", "log", "cite", "verify"])
def test_what_tells_of_whole_packages_refuses_a_part(cellbank, built, command):
    assert "only a whole package" in cellbank(command, f"{built}/fovs").failed(2).err
