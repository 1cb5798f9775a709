"""Tests of `verify`, `gc` and `du`."""

import pytest

from tests.cli.conftest import fill


def _spoil(home, digest):
    path = home / "objects" / digest[:2] / digest
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)


@pytest.fixture
def spoiled(cellbank, pushed, tmp_path):
    """A package of which one large entry is damaged here and good at its remote."""
    _spoil(tmp_path / "home", cellbank("path", f"{pushed}/fovs/a.tif", "--json").json["digest"])
    return pushed


def test_verify_says_that_all_is_good(cellbank, built):
    said = cellbank("verify").ok().out
    assert "1 package, 4 entries, 256.0 kB checked: all good\n" == said


def test_verify_names_what_is_damaged_and_ends_with_5(cellbank, spoiled):
    result = cellbank("verify")
    assert 5 == result.code
    assert "damaged demo/nuclei/fovs/a.tif: its bytes have changed" in result.out
    assert "cellbank: damaged: 1 entry\n" in result.err
    assert "--repair" in result.err


def test_quiet_still_names_what_is_damaged(cellbank, spoiled):
    assert "damaged demo/nuclei/fovs/a.tif" in cellbank("verify", "--quiet").out
    assert "" == cellbank("verify", "--repair", "--quiet").ok().out


def test_verify_as_json_names_it_too(cellbank, spoiled):
    result = cellbank("verify", spoiled, "--json")
    assert 5 == result.code
    (damage,) = result.json["damaged"]
    assert (spoiled, "fovs/a.tif") == (damage["package"], damage["path"])


def test_repair_fetches_what_is_damaged(cellbank, spoiled):
    result = cellbank("verify", "--repair").ok()
    assert "repaired demo/nuclei/fovs/a.tif" in result.out
    assert result.out.endswith("all good\n")
    cellbank("verify").ok()


def test_repair_says_what_it_could_not_mend(cellbank, built, tmp_path):
    _spoil(tmp_path / "home", cellbank("path", f"{built}/fovs/a.tif", "--json").json["digest"])
    result = cellbank("verify", "--repair")
    assert 5 == result.code
    assert "damaged demo/nuclei/fovs/a.tif" in result.out
    assert "Build" in result.err


def test_gc_says_what_it_removed(cellbank, built):
    assert "0 objects removed, 0 bytes freed\n" == cellbank("gc").ok().out
    assert {"removed", "bytes", "condemned"} == set(cellbank("gc", "--json").ok().json)


def test_du_tells_alone_from_shared(cellbank, built, images):
    fill(images, {"alone.bin": bytes(200_000)})
    cellbank("build", "demo/more", images).ok()
    shares = {share["package"]: share for share in cellbank("du", "--json").ok().json}
    assert 256000 == shares["demo/nuclei"]["shared"] == shares["demo/more"]["shared"]
    assert 200_000 <= shares["demo/more"]["alone"]
    said = cellbank("du", "*/more").ok().out
    assert ["alone", "shared"] == said.splitlines()[0].split()
    assert said.splitlines()[1].endswith("demo/more")
