"""Tests of `version` and `tag`."""

import pytest

from tests.cli.conftest import revision_of


@pytest.fixture(params=["store", "remote"])
def named(request, cellbank, built, remote):
    """A package and its revision; its names are kept in the store, or at a remote."""
    if request.param == "remote":
        cellbank("push", built, "--to", remote).ok()
    return built, revision_of(cellbank, built)


def test_a_version_names_a_revision_for_ever(cellbank, named):
    package, revision = named
    said = cellbank("version", "add", package, "1.0", revision[:8]).ok().out
    assert f"demo/nuclei: version 1.0 names {revision[:12]}\n" == said
    assert f"1.0  {revision[:12]}\n" == cellbank("version", "list", package).ok().out
    assert {"1.0": revision} == cellbank("version", "list", package, "--json").ok().json
    assert revision == revision_of(cellbank, f"{package}==1.0")


def test_a_version_is_not_given_twice(cellbank, named, images):
    package, revision = named
    cellbank("version", "add", package, "1.0", revision).ok()
    (images / "README.md").write_text("other")
    cellbank("build", package, images).ok()
    other = revision_of(cellbank, package)
    if cellbank("inspect", package, "--json").json["where"]:
        cellbank("push", package).ok()
    assert "1.0" in cellbank("version", "add", package, "1.0", other).failed(8).err


def test_a_tag_names_the_revision_here_and_goes(cellbank, named):
    package, revision = named
    done = cellbank("tag", "add", package, "reviewed", "--json").ok().json
    assert {"package": package, "tag": "reviewed", "revision": revision} == done
    assert {"latest": revision, "reviewed": revision} == (
        cellbank("tag", "list", package, "--json").ok().json
    )
    assert revision == revision_of(cellbank, f"{package}:reviewed")
    assert "tag reviewed removed" in cellbank("tag", "remove", package, "reviewed").ok().out
    assert {"latest"} == set(cellbank("tag", "list", package, "--json").ok().json)


def test_a_tag_points_by_default_at_what_the_reference_names(cellbank, named, images):
    package, revision = named
    cellbank("version", "add", package, "1.0", revision).ok()
    (images / "README.md").write_text("other")
    cellbank("build", package, images).ok()
    done = cellbank("tag", "add", f"{package}==1.0", "old", "--json").ok().json
    assert {"package": package, "tag": "old", "revision": revision} == done


def test_a_tag_is_removed_only_if_it_names_the_given_revision(cellbank, named):
    package, revision = named
    cellbank("tag", "add", package, "reviewed", revision).ok()
    cellbank("tag", "remove", package, "reviewed", "0" * 64).failed(8)
    cellbank("tag", "remove", package, "reviewed", revision[:8]).ok()


def test_names_can_be_kept_at_another_remote(cellbank, built, remote):
    cellbank("push", built, "--to", remote).ok()
    cellbank("tag", "add", built, "there", "--to", remote).ok()
    assert "there" in cellbank("tag", "list", built, "--to", remote).ok().out


def test_an_unknown_revision_is_not_found(cellbank, named):
    cellbank("version", "add", named[0], "1.0", "abcdef0123").failed(4)


@pytest.mark.parametrize("name", ["one", "1.0-", "v 1"])
def test_a_version_that_is_none_is_refused(cellbank, named, name):
    cellbank("version", "add", named[0], name, named[1]).failed(2)


def test_a_tag_that_is_not_there_cannot_be_removed(cellbank, named):
    cellbank("tag", "remove", named[0], "nothing").failed(4)
