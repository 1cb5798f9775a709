"""Tests of `cache`."""

import json

import pytest

import cellbank as python
from cellbank.model.errors import BadInput
from tests.cli.conftest import fill


@pytest.fixture
def read(cellbank, pushed, remote, elsewhere):
    """A package of which an image was read from afar, so that something is in the cache."""
    cellbank("install", pushed, "--from", remote, "--metadata-only").ok()
    cellbank("cat", f"{pushed}/fovs/a.tif").ok()
    return pushed


def test_cache_shows_where_how_much_and_the_limit(cellbank, read, elsewhere):
    said = cellbank("cache").ok().out
    assert f"256.0 kB of 2.0 GB in {elsewhere}/caches/recent\n" == said
    facts = cellbank("cache", "--json").ok().json
    assert {"folder", "bytes", "limit", "freed"} == set(facts)
    assert (2_000_000_000, 0) == (facts["limit"], facts["freed"])
    assert said == cellbank("cache", "--quiet").ok().out


def test_who_needs_room_is_told_of_it(cellbank, read, monkeypatch, remote):
    found = cellbank("gc").ok()
    assert "The cache has 256.0 kB more: cellbank cache --clear\n" == found.err
    monkeypatch.setattr("cellbank.storage.disk.free_bytes", lambda _folder: 1000)
    there = python.cache().bytes
    said = cellbank("install", read, "--from", remote, "--all").failed(7).err
    assert f"Our own cache has {there} bytes: cellbank cache --clear" in said
    cellbank("cache", "--clear").ok()
    assert "cache" not in cellbank("gc").ok().err
    assert "cache" not in cellbank("install", read, "--from", remote, "--all").failed(7).err


def test_clear_empties_it(cellbank, read):
    assert cellbank("cache", "--clear").ok().out.endswith("; 256.0 kB freed\n")
    assert 0 == cellbank("cache", "--json").json["bytes"]
    assert "" == cellbank("cache", "--clear", "--quiet").ok().out


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5GB", 5_000_000_000),
        ("5 gb", 5_000_000_000),
        ("1.5TB", 1_500_000_000_000),
        ("300MB", 300_000_000),
        ("20kB", 20_000),
        ("17", 17),
        ("0", 0),
        ("0.5 MB", 500_000),
    ],
)
def test_the_limit_is_kept(cellbank, text, size):
    assert size == cellbank("cache", "--limit", text, "--json").ok().json["limit"]
    assert size == cellbank("cache", "--json").ok().json["limit"]


def test_a_lower_limit_makes_room_at_once(cellbank, read):
    assert "256.0 kB freed" in cellbank("cache", "--limit", "100kB").ok().out
    assert 0 == python.cache().bytes


def test_the_limit_stands_in_the_settings_beside_what_was_there(cellbank, remote, tmp_path):
    cellbank("remote", "add", "lab", remote).ok()
    cellbank("cache", "--limit", "1GB").ok()
    settings = json.loads((tmp_path / "home/config/config.json").read_text())
    assert (1_000_000_000, ["lab"]) == (settings["cache_limit"], list(settings["remotes"]))


@pytest.mark.parametrize("text", ["", "-5", "5 parsecs", "GB", "1e9", "nan"])
def test_what_is_no_size_is_refused(cellbank, text):
    assert "no size" in cellbank("cache", f"--limit={text}").failed(2).err


def test_a_limit_below_nothing_is_refused_in_python_and_in_the_file(cellbank, tmp_path):
    with pytest.raises(BadInput, match="-1"):
        python.cache(limit=-1)
    fill(tmp_path / "home/config", {"config.json": '{"cache_limit": -1}'})
    assert "config.json" in cellbank("cache").failed(2).err


def test_without_room_images_are_read_all_the_same(cellbank, read, images):
    cellbank("cache", "--limit", "0").ok()
    cellbank("cat", f"{read}/fovs/a.tif").ok()
    with python.load(f"{read}/fovs/a.tif").open() as file:
        assert (images / "fovs/a.tif").read_bytes() == file.read()
    assert 0 == python.cache().bytes
