"""Tests of `build` and `push`."""

import subprocess

import pytest

from tests.cli.conftest import COMMAND, fill, revision_of


def test_build_says_the_package_its_revision_and_what_was_read(cellbank, images):
    result = cellbank("build", "demo/nuclei", images).ok()
    revision = revision_of(cellbank, "demo/nuclei")
    assert f"demo/nuclei@{revision[:12]}: 4 entries, " in result.out
    assert "4 files read" in result.out
    assert "" == result.err


def test_build_again_says_that_nothing_changed(cellbank, images):
    cellbank("build", "demo/nuclei", images).ok()
    assert "(unchanged)" in cellbank("build", "demo/nuclei", images).ok().out


def test_build_as_json_has_the_whole_revision(cellbank, images):
    result = cellbank("build", "demo/nuclei", images, "--json").ok()
    assert 64 == len(result.json["revision"])
    assert (4, True) == (result.json["entries"], result.json["changed"])
    assert "" == result.err


def test_the_message_of_a_build_is_in_the_log(cellbank, images):
    cellbank("build", "demo/nuclei", images, "--message", "after the wash").ok()
    assert "after the wash" in cellbank("log", "demo/nuclei").ok().out


def test_build_allows_an_empty_package_when_told(cellbank, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "0 entries" in cellbank("build", "demo/none", "empty", "--allow-empty").ok().out


def test_build_maps_bad_names_when_told_and_says_which(cellbank, tmp_path):
    fill(tmp_path / "odd", {"a:b.txt": "1", "CON": "2", "line\nbreak": "3"})
    result = cellbank("build", "demo/odd", "odd", "--fix-names").ok()
    assert "a:b.txt is packaged as a_b.txt" in result.err
    assert r"line\x0abreak is packaged as line_break" in result.err
    assert '"a_b.txt"' not in result.out
    assert {"a_b.txt", "_CON", "line_break"} == {
        child["name"] for child in cellbank("tree", "demo/odd", "--json").ok().json["children"]
    }


def test_build_keeps_two_spellings_of_a_name_when_told(cellbank, tmp_path):
    fill(tmp_path / "odd", {"e\u0301.txt": "decomposed", "\u00e9.txt": "composed"})
    if len(list((tmp_path / "odd").iterdir())) == 1:
        pytest.skip("this file system takes both for one")
    assert "two spellings" in cellbank("build", "demo/odd", "odd").failed(2).err
    cellbank("build", "demo/odd", "odd", "--fix-names").ok()
    assert "composed" == cellbank("cat", "demo/odd/\u00e9.txt").ok().out
    assert "composed" == cellbank("cat", "demo/odd/e\u0301.txt").ok().out
    assert "decomposed" == cellbank("cat", "demo/odd/\u00e9_2.txt").ok().out


def test_a_package_of_a_recipe_is_named_by_the_recipe(cellbank, tmp_path):
    (tmp_path / "cellbank.yaml").write_text("format: 1\n")
    refused = cellbank("build", "demo/cells", tmp_path / "cellbank.yaml").failed(2)
    assert "cellbank build OWNER " in refused.err


def test_push_says_where_the_package_is_now(cellbank, built, remote):
    result = cellbank("push", built, "--to", remote).ok()
    assert f"is now at {remote}" in result.out
    assert f"was already at {remote}" in cellbank("push", built).ok().out


def test_push_as_json_names_the_revision_and_the_remote(cellbank, built, remote):
    result = cellbank("push", built, "--to", remote, "--json").ok()
    assert str(remote) == result.json["remote"]
    assert revision_of(cellbank, built) == result.json["revision"]
    assert result.json["changed"]


def test_a_pattern_pushes_all_packages_that_fit(cellbank, built, images, remote):
    cellbank("build", "demo/second", images).ok()
    cellbank("build", "other/third", images).ok()

    lines = cellbank("push", "demo/*", "--to", remote).ok().out.splitlines()

    assert ["demo/nuclei", "demo/second"] == [line.partition("@")[0] for line in lines]
    listed = cellbank("ls", "--from", remote, "--json").ok().json
    assert ["demo/nuclei", "demo/second"] == [one["package"] for one in listed]


def test_a_pattern_as_json_gives_a_list_even_of_one(cellbank, built, remote):
    result = cellbank("push", "demo/*", "--to", remote, "--json").ok()
    assert [(built, True)] == [(one["package"], one["changed"]) for one in result.json]


def test_a_pattern_that_fits_nothing_is_told(cellbank, built, remote):
    result = cellbank("push", "aics/*", "--to", remote).failed(4)
    assert "no package in the store fits aics/*" in result.err
    assert not remote.exists()


def test_what_a_pattern_pushed_before_a_failure_is_told(
    cellbank, built, images, remote, tmp_path, monkeypatch
):
    cellbank("build", "demo/second", images).ok()
    with monkeypatch.context() as other:
        other.setenv("CELLBANK_HOME", str(tmp_path / "other"))
        fill(images, {"README.md": "theirs"})
        cellbank("build", "demo/second", images).ok()
        cellbank("push", "demo/second", "--to", remote).ok()

    result = cellbank("push", "demo/*", "--to", remote)

    assert 8 == result.code
    assert [f"{built}@"] == [f"{line.partition('@')[0]}@" for line in result.out.splitlines()]
    assert "demo/second" in result.err


def test_push_can_carry_a_message_of_its_own(cellbank, built, remote):
    cellbank("push", built, "--to", remote, "--message", "for the others").ok()
    assert "for the others" == cellbank("log", built, "--json").ok().json[0]["message"]


def test_push_goes_to_the_remote_of_the_environment(cellbank, built, remote, monkeypatch):
    monkeypatch.setenv("CELLBANK_REMOTE", str(remote))
    assert str(remote) in cellbank("push", built).ok().out


def test_of_two_pushes_at_once_one_wins(images, clean_env, remote, process, tmp_path):
    running = []
    for name in ("one", "two"):
        fill(images, {"README.md": name})
        env = {**clean_env, "CELLBANK_HOME": str(tmp_path / name)}
        process("build", "demo/nuclei", images, env=env).ok()
        arguments = [COMMAND, "push", "demo/nuclei", "--to", str(remote)]
        running.append((arguments, env))
    both = [
        subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for arguments, env in running
    ]
    errors = sorted((one.communicate(timeout=30)[1], one.returncode) for one in both)
    assert [0, 8] == sorted(code for _, code in errors)
    assert b"" == errors[0][0]
    assert b"--force" in errors[1][0]


def test_the_second_of_two_pushes_is_told_what_happened_and_how_to_go_on(
    cellbank, pushed, remote, images, tmp_path, monkeypatch
):
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    fill(images, {"README.md": "mine"})
    cellbank("build", pushed, images).ok()
    refused = cellbank("push", pushed, "--to", remote).failed(8)
    assert "is now at revision" in refused.err
    assert "--force" in refused.err
    cellbank("push", pushed, "--to", remote, "--force").ok()
    assert 2 == len(cellbank("log", pushed, "--json").ok().json)
