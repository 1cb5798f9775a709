"""Drafts: what can be changed of a package, what is read for it, what is refused."""

import errno
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellbank
from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW
from cellbank.model.errors import (
    BadInput,
    CellbankError,
    Conflict,
    EntryNotFound,
    InvalidPaths,
    InvalidReference,
    NotFetched,
    NotInstalled,
    ProblemsFound,
)
from cellbank.packages import build, copying
from cellbank.storage import disk, gc
from cellbank.storage.place import Place
from cellbank.storage.store import Store

LARGE = b"1" * (SMALL_BELOW + 7)
FILES = {
    "README.md": b"# Cells\n",
    "images/a.tif": LARGE,
    "images/b.tif": b"small",
    "images/deep/c.tif": b"3" * (PIECES_ABOVE + 5),
    "tables/wells.csv": b"well\nE6\n",
}


def write(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture
def package(tmp_path: Path) -> str:
    """A package with entries of all sizes."""
    return cellbank.build("lab/cells", write(tmp_path / "files")).package


def content(ref: str = "lab/cells") -> dict[str, bytes]:
    """Return path → bytes of all entries."""
    view = cellbank.load(ref)._view
    return {entry.path: cellbank.load(f"{ref}/{entry.path}").bytes() for entry in view.reader}


# --- what it becomes


def test_a_draft_becomes_the_revision_that_a_build_of_such_files_is(package, tmp_path):
    draft = cellbank.edit(package)
    draft.set("new/d.bin", LARGE[1:])
    draft.set("README.md", b"# More\n")
    draft.rename("images/deep", "images/far/away")
    draft.remove("tables")
    built = draft.build("other")
    files = {
        path: data
        for path, data in FILES.items()
        if path.startswith("images/") and "deep" not in path
    }
    files |= {"new/d.bin": LARGE[1:], "README.md": b"# More\n"}
    files["images/far/away/c.tif"] = FILES["images/deep/c.tif"]
    assert files == content()
    assert built.revision == cellbank.build("lab/other", write(tmp_path / "more", files)).revision
    assert ["other", ""] == [event.message for event in cellbank.log(package)]


def test_nothing_that_was_not_set_is_read(package, monkeypatch):
    draft = cellbank.edit(package)
    draft.set_meta("images/a.tif", {"stain": "DAPI"})
    draft.rename("images/deep/c.tif", "c.tif")
    objects = {entry.digest for entry in draft._view.reader}
    read: set[str] = set()
    monkeypatch.setattr(copying, "_copy", lambda *what: read.add("a file"))
    monkeypatch.setattr(build, "read_unchanged", lambda *what: read.add("a file"))
    whole = Place.read_many
    monkeypatch.setattr(Place, "read_many", lambda *what: (read.update(what[2]), whole(*what))[1])
    built = draft.build()
    assert read.isdisjoint({"a file", *objects})
    assert read, "pages of the manifest are"
    assert (0, True) == (built.read_files, built.changed)
    assert FILES["images/deep/c.tif"] == cellbank.load("lab/cells/c.tif").bytes()


def test_what_is_set_can_be_a_file_a_data_frame_or_an_entry_of_another_package(package, tmp_path):
    cellbank.build("lab/other", write(tmp_path / "other", {"x.json": b"{}", "y.tif": LARGE[3:]}))
    other = cellbank.load("lab/other")
    (tmp_path / "z.bin").write_bytes(b"zzz")
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="id"))
    draft = cellbank.edit(package)
    draft.set("z", tmp_path / "z.bin")
    draft.set("frames/one.csv", frame)
    draft.set("frames/two.tsv", pl.DataFrame({"a": [1, 2]}))
    draft.set("frames/three.parquet", pl.DataFrame({"a": [1, 2]}))
    draft.set("taken/x", other["x.json"])
    draft.set("taken/y.tif", other["y.tif"])
    draft.build()
    found = content()
    assert {
        **FILES,
        "z": b"zzz",
        "taken/x": b"{}",
        "taken/y.tif": LARGE[3:],
    }.items() <= found.items()
    assert b"id,a\np,1\nq,2\n" == found["frames/one.csv"]
    assert b"a\n1\n2\n" == found["frames/two.tsv"]
    assert b"PAR1" == found["frames/three.parquet"][:4]
    assert cellbank.verify("lab/cells").good


def test_metadata_and_file_names_stay_where_none_are_given(package):
    draft = cellbank.edit(package)
    draft.set("images/b.tif", b"other", meta={"n": 1}, filename="b original.tif")
    draft.set("images/b.tif", b"another")
    draft.rename("images/b.tif", "b")
    draft.build()
    node = cellbank.load("lab/cells/b")
    assert (b"another", {"n": 1}, "b original.tif") == (node.bytes(), node.meta, node.filename)
    draft = node.__class__(node._view, "b")
    again = cellbank.edit(package)
    again.set("copy", draft)
    again.set_meta("b", {})
    again.build()
    assert ({"n": 1}, {}) == (
        cellbank.load("lab/cells/copy").meta,
        cellbank.load("lab/cells/b").meta,
    )


def test_what_was_renamed_or_removed_can_come_again(package):
    draft = cellbank.edit(package)
    draft.remove("images")
    draft.set("images", b"an entry now")
    draft.rename("README.md", "about")
    draft.rename("about", "README.md")
    draft.build()
    kept = {path: data for path, data in FILES.items() if not path.startswith("images/")}
    assert {**kept, "images": b"an entry now"} == content()


def test_a_draft_that_changes_nothing_is_the_same_revision(package):
    draft = cellbank.edit(package)
    assert not draft.build("nothing").changed
    assert 1 == len(cellbank.log(package))


def test_a_draft_may_begin_with_an_earlier_revision(package):
    first = cellbank.log(package)[0].revision
    draft = cellbank.edit(package)
    draft.remove("README.md")
    draft.build("without")
    old = cellbank.edit(f"{package}@{first[:12]}")
    old.remove("tables")
    old.build("from the first")
    assert {path for path in FILES if path != "tables/wells.csv"} == content().keys()


def test_a_node_of_a_package_gives_a_draft_unless_it_has_such_a_child(package, tmp_path):
    draft = cellbank.load(package).edit()
    draft.set("edit", b"a child")
    draft.build()
    node = cellbank.load(package)
    assert b"a child" == node.edit.bytes()
    assert "<Draft of lab/cells: 0 entries changed>" == repr(cellbank.edit(node))


# --- tables


@pytest.mark.parametrize(
    "make", [list, pd.DataFrame, pl.DataFrame], ids=["dicts", "pandas", "polars"]
)
def test_metadata_are_changed_by_a_table(package, make):
    cellbank.edit(package).build()
    draft = cellbank.edit(package)
    draft.set_meta("images/b.tif", {"kept": "yes", "gone": 1})
    rows = [
        {"path": "images/a.tif", "stain": "DAPI", "gone": None},
        {"path": "images/b.tif", "stain": "EGFP", "gone": None},
    ]
    assert 2 == draft.update("entries", make(rows))
    assert 0 == draft.update("entries", make(rows))
    draft.build()
    assert {"stain": "DAPI"} == cellbank.load("lab/cells/images/a.tif").meta
    assert {"stain": "EGFP", "kept": "yes"} == cellbank.load("lab/cells/images/b.tif").meta


def test_values_of_data_frames_become_plain(package):
    frame = pd.DataFrame(
        {
            "path": ["images/a.tif"],
            "day": pd.to_datetime(["2017-10-16"]),
            "n": np.array([3], np.uint8),
            "list": [np.array([1.5, 2])],
            "missing": pd.array([None], "Int64"),
            "struct": [{"gene": "TJP1"}],
        }
    )
    draft = cellbank.edit(package)
    draft.update("entries", frame)
    draft.build()
    meta = {"day": "2017-10-16", "n": 3, "list": [1.5, 2], "struct": {"gene": "TJP1"}}
    assert meta == cellbank.load("lab/cells/images/a.tif").meta


def test_all_that_is_wrong_with_a_table_is_told_and_nothing_changes(package):
    draft = cellbank.edit(package)
    rows: list[dict[str, Any]] = [
        {"path": "images/c.tif", "n": 1},
        {"path": "images/a.tif", "n": 1},
        {"path": "images/a.tif", "n": 2},
        {"path": "images/b.tif", "n": object()},
        {"n": 4},
    ]
    with pytest.raises(ProblemsFound) as caught:
        draft.update("entries", rows)
    assert [1, 3, 4, 5] == [problem["row"] for problem in caught.value.problems]
    assert "images/a.tif" in caught.value.problems[0]["advice"]
    assert not draft.build().changed


@pytest.mark.parametrize("table", ["text", 3, {"path": "a"}, [1], ["path"]])
def test_what_is_no_table_is_refused(package, table):
    with pytest.raises(BadInput):
        cellbank.edit(package).update("entries", table)


def test_a_table_without_paths_and_a_table_of_another_name_are_refused(package):
    draft = cellbank.edit(package)
    with pytest.raises(ProblemsFound):
        draft.update("entries", [{"id": "images/a.tif"}])
    with pytest.raises(BadInput, match="fovs"):
        draft.update("fovs", [{"id": "fov_1"}])


# --- what is refused


@pytest.mark.parametrize(
    "path", ["", "../x", "a:b", "images", "README.md/below", "images/a.tif/x", "con", "x/\x00"]
)
def test_a_path_that_cannot_be_is_refused_at_once(package, path):
    draft = cellbank.edit(package)
    with pytest.raises(InvalidPaths):
        draft.set(path, b"")
    assert not draft.build().changed


def test_paths_that_some_disk_would_merge_are_refused_when_it_is_built(package):
    draft = cellbank.edit(package)
    draft.set("readme.MD", b"")
    draft.set("IMAGES/a.tif", b"")
    with pytest.raises(InvalidPaths) as caught:
        draft.build()
    assert 2 <= len(caught.value.problems)
    assert 1 == len(cellbank.log(package))


def test_what_is_not_there_can_neither_be_moved_nor_removed(package):
    draft = cellbank.edit(package)
    for change in (
        lambda: draft.remove("images/c.tif"),
        lambda: draft.remove(""),
        lambda: draft.rename("image", "x"),
        lambda: draft.set_meta("images/c.tif", {}),
    ):
        with pytest.raises(EntryNotFound):
            change()
    with pytest.raises(EntryNotFound, match=r"images/a\.tif"):
        draft.remove("images/aa.tif")
    with pytest.raises(InvalidPaths, match="taken"):
        draft.rename("README.md", "images")


@pytest.mark.parametrize("what", [3, None, "nowhere.tif", "."])
def test_what_cannot_become_an_entry_is_refused(package, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        cellbank.edit(package).set("x", what)


def test_a_data_frame_needs_a_path_that_says_its_form(package):
    with pytest.raises(BadInput, match=r"frame\.feather"):
        cellbank.edit(package).set("frame.feather", pl.DataFrame({"a": [1]}))


def test_metadata_that_cannot_be_kept_are_refused(package):
    draft = cellbank.edit(package)
    for meta in ({"n": float("nan")}, {"x": "y" * 70_000}, {"n": 2**60}):
        with pytest.raises(BadInput, match=r"README\.md"):
            draft.set_meta("README.md", meta)
    assert not draft.build().changed


def test_only_a_whole_package_that_is_here_can_be_edited(package):
    with pytest.raises(InvalidReference):
        cellbank.edit("lab/cells/images")
    with pytest.raises(NotInstalled):
        cellbank.edit("lab/cell")


def test_what_was_built_meanwhile_is_not_lost(package):
    first, second = cellbank.edit(package), cellbank.edit(package)
    first.set("one", b"1")
    second.set("two", b"2")
    first.build()
    first.set("three", b"3")
    first.build()
    with pytest.raises(Conflict):
        second.build()
    assert {"one", "three", *FILES} == content().keys()


def test_an_entry_that_is_gone_from_the_other_package_is_told(package, tmp_path):
    cellbank.build("lab/other", write(tmp_path / "other", {"y.tif": LARGE[3:]}))
    node = cellbank.load("lab/other/y.tif")
    draft = cellbank.edit(package)
    draft.set("y.tif", node)
    cellbank.remove("lab/other")
    with pytest.raises(NotFetched):
        draft.build()
    assert 1 == len(cellbank.log(package))


# --- what is here in part only


def test_metadata_are_enough_to_edit_and_to_push_to_where_the_rest_is(
    package, tmp_path, monkeypatch
):
    remote = str(tmp_path / "remote")
    cellbank.push(package, to=remote)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install(package, from_=remote, metadata_only=True)
    draft = cellbank.edit(package)
    draft.set("README.md", b"# Mended\n")
    draft.rename("images/deep", "images/far")
    draft.build("mended")
    assert not cellbank.load("lab/cells/images/a.tif").fetched
    assert FILES["images/deep/c.tif"] == cellbank.load("lab/cells/images/far/c.tif").bytes()
    assert cellbank.verify(package).good
    cellbank.push(package)
    cellbank.gc()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "third"))
    cellbank.install(package, from_=remote)
    assert b"# Mended\n" == content()["README.md"]
    assert LARGE == content()["images/a.tif"]


def test_what_was_not_fetched_is_on_no_list_wherever_it_is_moved(package, tmp_path, monkeypatch):
    cellbank.push(package, to=str(tmp_path / "remote"))
    other = cellbank.build("lab/other", write(tmp_path / "other", {"x.tif": LARGE})).package
    cellbank.push(other, to=str(tmp_path / "remote"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv("CELLBANK_REMOTE", str(tmp_path / "remote"))
    cellbank.install(other)
    cellbank.install(package, path=["images/b*", "README*"])
    draft = cellbank.edit(package)
    draft.remove("images/b.tif")
    draft.rename("images/deep/c.tif", "images/b.tif")
    draft.set("x.tif", cellbank.load(other)["x.tif"])
    draft.build()
    assert cellbank.verify().good
    assert {"README.md": FILES["README.md"], "x.tif": LARGE} == content(package)
    cellbank.gc()
    assert cellbank.verify().good


def test_where_all_documents_are_wanted_none_is_left_out(package, tmp_path, monkeypatch):
    cellbank.push(package, to=str(tmp_path / "remote"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv("CELLBANK_REMOTE", str(tmp_path / "remote"))
    cellbank.install(package, metadata_only=True)
    draft = cellbank.edit(package)
    draft.rename("images/a.tif", "images/a.csv")
    with pytest.raises(NotFetched, match="images/a"):
        draft.build()
    cellbank.fetch(f"{package}/images/a.tif")
    draft.build()
    assert cellbank.verify().good
    cellbank.gc()
    assert cellbank.verify().good


def test_a_part_stays_a_part_with_what_was_set_in_it(package, tmp_path, monkeypatch):
    remote = str(tmp_path / "remote")
    cellbank.push(package, to=remote)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install(f"{package}/tables", from_=remote)
    draft = cellbank.edit(package)
    draft.set("tables/more.csv", b"x\n")
    draft.build()
    assert b"x\n" == cellbank.load("lab/cells/tables/more.csv").bytes()
    assert b"well\nE6\n" == cellbank.load("lab/cells/tables/wells.csv").bytes()
    with pytest.raises(NotFetched):
        cellbank.load("lab/cells/images/a.tif")()
    assert cellbank.verify(package).good


# --- whatever happens


def test_what_a_collection_condemned_is_kept_by_a_draft_that_carries_it(package, own_home):
    store = Store.at(str(own_home))
    digests = {entry.digest for entry in cellbank.load(package)._view.reader}
    gc._condemn(store, digests, datetime.now(UTC))
    draft = cellbank.edit(package)
    draft.set("new.txt", b"new")
    built = draft.build()
    assert built.added_bytes < SMALL_BELOW, "no large object is written again"
    gc.collect(store, now=datetime.now(UTC) + timedelta(hours=30))
    assert {**FILES, "new.txt": b"new"} == content()
    assert cellbank.verify(package).good


def test_a_disk_that_fails_at_any_step_leaves_the_old_or_the_new(package):
    def build() -> None:
        draft = cellbank.edit(package)
        draft.rename("images/deep", "far")
        draft.set("new.bin", LARGE[2:])
        draft.build("changed")

    before = cellbank.load(package)._revision
    for number in range(200):
        left = [number]

        def fault(_kind: str, _path: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EIO, "broken")

        disk.fault = fault
        with suppress(OSError, CellbankError):
            build()
        disk.fault = None
        if left[0] >= 0:
            break
        cellbank.load(package)
        assert cellbank.verify(package).good
    assert number > 10, "steps were counted"
    assert before != cellbank.load(package)._revision
    assert LARGE[2:] == content()["new.bin"]


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "d/e/f", "d/e"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, st.binary(max_size=3)),
        st.tuples(st.just("rename"), NAMES, NAMES),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("set_meta"), NAMES, st.fixed_dictionaries({"n": st.integers(0, 3)})),
    ),
    max_size=12,
)


class Model(dict[str, tuple[bytes, dict[str, int]]]):
    """What a draft must do, on a dictionary: path → bytes and metadata."""

    def below(self, path: str) -> list[str]:
        return [one for one in self if one == path or one.startswith(f"{path}/")]

    def fits(self, path: str) -> bool:
        parents = [path[:at] for at, sign in enumerate(path) if sign == "/"]
        return not any(parent in self for parent in parents)

    def apply(self, deed: str, *what: Any) -> bool:
        """Do it if it can be done; say whether."""
        path = what[0]
        if deed == "set":
            if not self.fits(path) or (path not in self and self.below(path)):
                return False
            self[path] = what[1], self.get(path, (b"", {}))[1]
            return True
        if deed == "set_meta":
            if path in self:
                self[path] = self[path][0], what[1]
            return path in self
        moved = self.below(path)
        if deed == "remove":
            for one in moved:
                del self[one]
            return bool(moved)
        new = what[1]
        if not moved or self.below(new) or not self.fits(new):
            return False
        taken = {f"{new}{one[len(path) :]}": self.pop(one) for one in moved}
        self.update(taken)
        return True


@given(STEPS, STEPS)
@settings(max_examples=40)
def test_a_draft_does_what_a_dictionary_would(first, second):
    with TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", home)
        Path(home, "files").mkdir()
        Path(home, "files/a").write_bytes(b"a")
        patch.setenv("CELLBANK_HOME", f"{home}/store")
        cellbank.build("lab/cells", f"{home}/files")
        model = Model({"a": (b"a", {})})
        for steps in (first, second):
            draft = cellbank.edit("lab/cells")
            for step in steps:
                if model.apply(*step):
                    getattr(draft, step[0])(*step[1:])
                else:
                    with pytest.raises(CellbankError):
                        getattr(draft, step[0])(*step[1:])
            draft.build()
            view = cellbank.load("lab/cells")._view
            nodes = {entry.path: cellbank.load("lab/cells")[entry.path] for entry in view.reader}
            assert model == {path: (node.bytes(), node.meta) for path, node in nodes.items()}
