"""The tree of a package: printed as the walk-through prints it, and reached in every way."""

import json
import os
import pickle
from pathlib import Path

import pytest

import cellbank
from cellbank.model.errors import (
    AmbiguousAttribute,
    DigestMismatch,
    EntryNotFound,
    NotInstalled,
)

FOV = "fov_00dde0c979ef45949337220524ccfec5"
GROUPS = ("cell_segs", "fovs", "lines", "nuclei_segs", "plates", "structure_segs", "wells")


@pytest.fixture
def junctions(tmp_path: Path) -> cellbank.api.PackageNode:
    """Return a package with the tree of the walk-through."""
    root = tmp_path / "lab"
    for group in GROUPS:
        record = {"fovs": FOV, "lines": "line_AICS_23"}.get(group, f"{group}_1")
        (root / group / record / "info").mkdir(parents=True)
        (root / group / record / "info" / "load").write_text(json.dumps({"line": "AICS-23"}))
        if group in ("fovs", "cell_segs", "nuclei_segs", "structure_segs"):
            (root / group / record / "image").mkdir()
            (root / group / record / "image" / "load").write_bytes(bytes(200_000))
    (root / "README").write_text("# Tight junctions\n")
    (root / "SCHEMA").write_text("{}")
    cellbank.build("aics/aics_23", root)
    node = cellbank.load("aics/aics_23")
    assert isinstance(node, cellbank.api.PackageNode)
    return node


def test_a_package_prints_as_in_the_walk_through(junctions, own_home):
    expected = (
        f"<PackageNode '{own_home}/pkgs/aics/aics_23'>\n"
        "cell_segs/\nfovs/\nlines/\nnuclei_segs/\nplates/\nstructure_segs/\nwells/\nREADME\nSCHEMA"
    )
    assert expected == str(junctions)


def test_groups_and_data_print_as_in_the_walk_through(junctions):
    assert "<GroupNode>\nline_AICS_23/\n" == str(junctions.lines)
    assert "<GroupNode>\ninfo/\n" == str(junctions.lines.line_AICS_23)
    assert "<GroupNode>\nload" == str(junctions.lines.line_AICS_23.info)
    assert "<DataNode>" == str(junctions.lines.line_AICS_23.info.load)
    assert "<GroupNode>\nimage/\ninfo/\n" == str(getattr(junctions.fovs, FOV))


def test_calling_a_data_node_gives_a_file_with_the_bytes(junctions):
    with open(junctions.lines.line_AICS_23.info.load()) as file:  # noqa: PTH123  as users do
        assert {"line": "AICS-23"} == json.load(file)
    assert Path(getattr(junctions.fovs, FOV).image.load()).stat().st_size == 200_000


def test_the_file_has_no_extension_and_the_named_path_has_the_file_name(junctions):
    node = junctions.README
    assert node.digest == Path(node()).name
    assert node() == node.path
    assert "README" == Path(node.named_path).name
    assert b"# Tight junctions\n" == Path(node.named_path).read_bytes()
    assert os.fspath(node) == node.named_path


def test_children_are_reached_by_name_path_number_and_slice(junctions):
    fov = junctions["fovs"][0]
    assert fov == junctions.fovs[FOV] == junctions[f"fovs/{FOV}"] == junctions.fovs[-1]
    assert [fov] == junctions.fovs[0::2]
    assert 9 == len(junctions)
    assert "fovs" in junctions
    assert f"fovs/{FOV}/image" in junctions
    assert "fov" not in junctions
    assert fov in junctions.fovs
    assert [FOV] == junctions.fovs._group_keys()
    assert ["README", "SCHEMA"] == junctions._data_keys()
    assert [*GROUPS, "README", "SCHEMA"] == junctions._keys()
    assert [name for name, _ in junctions._items()] == junctions._keys()
    assert list(junctions) == [node for _, node in junctions._items()]
    assert {*GROUPS, "README", "SCHEMA", "_keys"} <= set(dir(junctions))


def test_a_number_beyond_the_end_is_an_index_error(junctions):
    with pytest.raises(IndexError):
        _ = junctions.fovs[1]


def test_an_unknown_attribute_says_what_is_near(junctions):
    with pytest.raises(AttributeError, match="Did you mean wells") as caught:
        _ = junctions.well
    assert isinstance(caught.value, EntryNotFound)
    with pytest.raises(KeyError, match="Did you mean README"):
        _ = junctions["READM"]


def test_a_name_that_is_no_identifier_has_an_alias_and_an_ambiguous_one_has_none(tmp_path):
    root = tmp_path / "odd"
    root.mkdir()
    for name in ("a.tif", "b-1", "b 1", "2017.csv", "class", "_keys"):
        (root / name).write_text(name)
    cellbank.build("lab/odd", root)
    odd = cellbank.load("lab/odd")
    assert b"a.tif" == odd.a_tif.bytes()
    assert b"2017.csv" == odd.n2017_csv.bytes()
    assert b"class" == odd.class_.bytes()
    assert b"_keys" == odd["_keys"].bytes()
    assert callable(odd._keys)
    assert "a_tif" in dir(odd)
    assert "b_1" not in dir(odd)
    with pytest.raises(AmbiguousAttribute, match=r"\['b 1'\], \['b-1'\]"):
        _ = odd.b_1


def test_a_group_of_thousands_prints_in_about_twenty_lines_with_a_count(tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    for i in range(2433):
        (root / f"f{i:04}").write_bytes(b"%d" % i)
    cellbank.build("lab/many", root)
    lines = str(cellbank.load("lab/many")).splitlines()
    assert 20 == len(lines)
    assert "f0000" == lines[1]
    assert "f2432" == lines[-1]
    assert any("2,433" in line for line in lines)


def test_nodes_pickle(junctions):
    again = pickle.loads(  # noqa: S301  our own
        pickle.dumps([junctions, junctions.fovs, junctions.README])
    )
    assert [junctions, junctions.fovs, junctions.README] == again
    assert b"# Tight junctions\n" == again[2].bytes()


def test_a_data_node_tells_its_entry(tmp_path):
    root = tmp_path / "one"
    root.mkdir()
    (root / "a:b.txt").write_text("x")
    built = cellbank.build("lab/one", root, fix_names=True)
    assert {"a:b.txt": "a_b.txt"} == built.mapped
    node = cellbank.load("lab/one/a_b.txt")
    assert (1, "a:b.txt", {}) == (node.size, node.filename, node.meta)
    assert "a_b.txt" == Path(node.named_path).name
    with node.open() as file:
        assert b"x" == file.read()


def test_a_package_cannot_be_changed_in_place(junctions):
    with pytest.raises(AttributeError, match="cannot be changed"):
        junctions.new = 1


def test_damaged_bytes_are_found_before_anyone_sees_their_path(junctions, own_home):
    node = getattr(junctions.fovs, FOV).image.load
    path = own_home / "objects" / node.digest[:2] / node.digest
    path.chmod(0o644)
    path.write_bytes(b"\1" + bytes(199_999))
    with pytest.raises(DigestMismatch):
        node()


def test_changing_a_file_that_was_loaded_is_found_at_the_next_load(junctions):
    path = Path(junctions.README())
    path.chmod(0o644)
    path.write_text("# Something else\n")
    assert b"# Tight junctions\n" == junctions.README.bytes()


def test_an_import_gives_what_is_installed(junctions):
    from cellbank.data.aics import aics_23

    assert junctions == aics_23
    import cellbank.data.aics.aics_23 as again

    assert junctions == again
    assert ["aics_23"] == dir(cellbank.data.aics)
    assert "aics" in dir(cellbank.data)


def test_an_import_sees_a_later_build_at_once(junctions, tmp_path):
    from cellbank.data.aics import aics_23

    (tmp_path / "lab" / "NEW").write_text("new")
    cellbank.build("aics/aics_23", tmp_path / "lab")
    from cellbank.data.aics import aics_23 as later

    assert "NEW" not in aics_23
    assert "NEW" in later


def test_importing_what_is_not_installed_says_the_command(junctions):
    with pytest.raises(ImportError, match="cellbank install aics/aics_24"):
        from cellbank.data.aics import aics_24  # noqa: F401
    with pytest.raises(NotInstalled, match="Did you mean aics/aics_23"):
        import cellbank.data.aics.aics_22  # noqa: F401
    with pytest.raises(ImportError, match="cellbank install nobody/nothing"):
        from cellbank.data.nobody import nothing  # noqa: F401


def test_the_import_hook_never_shadows_a_real_module(junctions):
    from importlib.util import find_spec

    assert find_spec("json").origin.endswith("__init__.py")
    assert find_spec("cellbank.api").origin.endswith("api/__init__.py")
    assert find_spec("cellbank.data.Not_an_owner") is None
    assert find_spec("cellbank.data.import") is None
    assert find_spec("cellbank.nothing") is None


def test_a_name_is_found_in_any_unicode_form(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "\u00e9tude.txt").write_text("x")
    cellbank.build("lab/notes", tmp_path / "lab")
    node = cellbank.load("lab/notes")
    assert "e\u0301tude.txt" in node
    assert (
        b"x"
        == node["e\u0301tude.txt"].bytes()
        == cellbank.load("lab/notes/e\u0301tude.txt").bytes()
    )


def test_where_the_store_may_only_be_read_small_files_are_written_nowhere_else(
    junctions, monkeypatch
):
    written = []

    def refuse(path: str, *_: object) -> None:
        written.append(path)
        raise PermissionError(13, "no", path)

    monkeypatch.setattr("cellbank.storage.disk.write_cache", refuse)
    with pytest.raises(PermissionError):
        junctions.README()
    root = os.environ["CELLBANK_HOME"]
    assert all(path.startswith(f"{root}/unpacked/") for path in written)
    assert b"# Tight junctions\n" == junctions.README.bytes()
