"""Tests of `install`, `export` and `rm`."""

from pathlib import Path

import pytest

from tests.cli.conftest import fill, revision_of

META = "Downloading package metadata...\n"


def test_install_speaks_the_words_of_the_walk_through(cellbank, pushed, remote, elsewhere):
    result = cellbank("install", pushed, "--from", remote).ok()
    assert f"{META}Downloading 4 objects (256025 bytes)...\n" == result.out
    assert "" == result.err


def test_install_again_says_that_it_is_up_to_date(cellbank, pushed, remote, elsewhere):
    cellbank("install", pushed, "--from", remote).ok()
    assert f"{META}demo/nuclei is up to date\n" == cellbank("install", pushed).ok().out


@pytest.fixture
def newer(cellbank, pushed, remote, elsewhere, images, monkeypatch, tmp_path):
    """An older revision is installed elsewhere, and a newer one is at the remote."""
    cellbank("install", pushed, "--from", remote).ok()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "home"))
    fill(images, {"README.md": "# Nuclei, again\n"})
    cellbank("build", pushed, images).ok()
    cellbank("push", pushed).ok()
    monkeypatch.setenv("CELLBANK_HOME", str(elsewhere))
    return pushed


def test_install_replaces_an_older_revision_where_nobody_can_be_asked(cellbank, newer):
    result = cellbank("install", newer).ok()
    assert (
        f"{META}demo/nuclei already installed.\nDownloading 1 objects (16 bytes)...\n" == result.out
    )
    assert "again" in cellbank("cat", f"{newer}/README.md").out


def test_the_earlier_revision_can_still_be_read(cellbank, newer):
    before = revision_of(cellbank, newer)
    cellbank("install", newer, "--yes").ok()
    assert "# Nuclei\n" == cellbank("cat", f"{newer}@{before[:8]}/README.md").ok().out


def test_quiet_says_nothing(cellbank, newer):
    result = cellbank("install", newer, "--quiet").ok()
    assert ("", "") == (result.out, result.err)
    result = cellbank("--quiet", "install", newer).ok()
    assert ("", "") == (result.out, result.err)


def test_install_as_json_keeps_its_words_off_stdout(cellbank, newer):
    result = cellbank("install", newer, "--json").ok()
    assert (1, 16, True) == tuple(result.json[key] for key in ("objects", "bytes", "changed"))
    assert 64 == len(result.json["revision"])
    assert META in result.err


def test_a_dry_run_says_objects_bytes_and_room_and_brings_nothing(
    cellbank, pushed, remote, elsewhere
):
    result = cellbank("install", pushed, "--from", remote, "--dry-run").ok()
    assert "4 objects (256025 bytes, 256.0 kB) to download, " in result.out
    assert " free" in result.out
    assert [] == cellbank("ls", "--json").json
    assert 4 == cellbank("install", pushed, "--from", remote, "-n", "--json").json["objects"]


def test_a_part_is_installed_alone(cellbank, pushed, remote, elsewhere):
    cellbank("install", f"{pushed}/fovs/a.json", "--from", remote).ok()
    assert '{"n": 1}' == cellbank("cat", f"{pushed}/fovs/a.json").ok().out
    assert "install demo/nuclei/README.md" in cellbank("cat", f"{pushed}/README.md").failed(4).err


def test_a_package_of_the_same_name_from_elsewhere_is_not_replaced_by_yes_alone(
    cellbank, pushed, remote, tmp_path, monkeypatch
):
    other = tmp_path / "other-remote"
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    fill(tmp_path / "theirs", {"a.txt": "theirs"})
    cellbank("build", pushed, "theirs").ok()
    cellbank("push", pushed, "--to", other).ok()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CELLBANK_REMOTE", str(other))
    for arguments in (["install", pushed], ["install", pushed, "--yes"]):
        assert f"--from {other}" in cellbank(*arguments).failed(8).err.splitlines()[-1]
    assert cellbank("inspect", pushed, "--json").json["where"] == str(remote)
    cellbank("install", pushed, "--from", other).ok()
    assert "theirs" == cellbank("cat", f"{pushed}/a.txt").out


def test_a_remote_whose_history_went_back_is_refused_until_it_is_accepted(
    cellbank, pushed, remote, images, tmp_path
):
    import shutil

    shutil.copytree(remote, tmp_path / "backup")
    fill(images, {"README.md": "more"})
    cellbank("build", pushed, images).ok()
    cellbank("push", pushed).ok()
    shutil.rmtree(remote)
    shutil.copytree(tmp_path / "backup", remote)
    assert "--allow-older" in cellbank("install", pushed).failed(5).err
    cellbank("install", pushed, "--allow-older").ok()


def test_export_writes_the_tree_into_the_folder(cellbank, built, images, tmp_path):
    result = cellbank("export", built, "out").ok()
    assert f"4 files, 256.0 kB written to {tmp_path / 'out'}\n" == result.out
    assert (images / "fovs/a.tif").read_bytes() == (tmp_path / "out/fovs/a.tif").read_bytes()


def test_export_writes_one_group(cellbank, built, tmp_path):
    assert 3 == cellbank("export", f"{built}/fovs", "out", "--json").ok().json["files"]
    assert {"a.tif", "a.json", "b.json"} == {path.name for path in (tmp_path / "out").iterdir()}


def test_export_refuses_to_overwrite_before_it_writes(cellbank, built, tmp_path):
    fill(tmp_path / "out", {"README.md": "mine"})
    assert "README.md" in cellbank("export", built, "out").failed(8).err
    assert ["README.md"] == [path.name for path in (tmp_path / "out").iterdir()]
    cellbank("export", built, "out", "--force").ok()
    assert "# Nuclei\n" == (tmp_path / "out/README.md").read_text()


def test_rm_says_what_it_freed(cellbank, built):
    assert cellbank("rm", built, "--yes").ok().out.startswith("demo/nuclei removed, 256.")
    assert [] == cellbank("ls", "--json").ok().json


def test_rm_as_json_gives_bytes(cellbank, built):
    assert 256025 <= cellbank("rm", built, "--yes", "--json").ok().json["bytes"]


def test_rm_without_yes_refuses_where_nobody_can_be_asked(cellbank, built):
    assert "--yes" in cellbank("rm", built).failed(2).err
    assert 1 == len(cellbank("ls", "--json").json)


def test_rm_of_what_is_not_here_names_what_is_near(cellbank, built):
    assert "Did you mean demo/nuclei?" in cellbank("rm", "demo/nuclie", "--yes").failed(4).err


def test_with_metadata_only_images_stay_away_until_they_are_loaded(
    cellbank, pushed, remote, elsewhere, images
):
    would = cellbank("install", pushed, "--from", remote, "--metadata-only", "--dry-run").ok()
    assert "demo/nuclei: 3 objects (25 bytes) to download" in would.out
    cellbank("install", pushed, "--from", remote, "--metadata-only").ok()
    assert cellbank("ls").ok().out.rstrip().endswith("only metadata")
    assert ", only metadata" in cellbank("inspect", pushed).ok().out
    assert "metadata" == cellbank("ls", "--json").ok().json[0]["want"]
    result = cellbank("path", f"{pushed}/fovs/a.tif").ok()
    (line,) = result.out.splitlines()
    assert (images / "fovs/a.tif").read_bytes() == Path(line).read_bytes()


def test_the_metadata_of_a_part_is_refused(cellbank, pushed, remote, elsewhere):
    error = cellbank("install", f"{pushed}/fovs", "--from", remote, "--metadata-only").failed(2).err
    assert "not a part" in error


def test_metadata_over_all_of_it_changes_nothing_and_says_so(cellbank, pushed, remote, elsewhere):
    cellbank("install", pushed, "--from", remote).ok()
    said = cellbank("install", pushed, "--metadata-only").ok().out
    assert "demo/nuclei is installed in full already, and stays so\n" in said
    assert said.endswith("demo/nuclei is up to date\n")
