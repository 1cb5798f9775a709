"""Families built again: only what changed is read; the same sources are the same bytes."""

import os
import re
import shutil
from concurrent.futures import BrokenExecutor, Executor, Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cellbank
from cellbank.api import families
from cellbank.cells import looking
from cellbank.cells.kinds import GROUPS
from cellbank.cells.metadata import Tables
from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW
from cellbank.model.errors import BadInput, CellbankError
from cellbank.model.progress import Progress, Said
from cellbank.packages import staging
from cellbank.storage import gc
from tests.cells.lab import C2, E6, FAMILY, FOVS, Lab, nuclei, pixels, revisions

IMAGE = f"images/{FOVS[0]}.ome.tif"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def unchanged(lab: Lab, read: int = 0) -> None:
    """Check that a build reads so many images and changes nothing."""
    before = lab.logs()
    built = lab.build()
    assert (read, 0) == (built.images_read, built.added_bytes)
    assert {False} == {one.changed for one in built.packages}
    assert {0} == {one.read_files for one in built.packages}
    assert before == lab.logs()


# --- again


def test_a_build_without_changes_reads_no_image_and_writes_no_record(lab: Lab) -> None:
    first = lab.build()
    assert (16, 16) == (first.images, first.images_read)
    assert {0} == {one.read_files for one in first.packages}
    assert set(FAMILY) == set(revisions(first))
    bytes_before = sum(path.stat().st_size for path in lab.home.rglob("*") if path.is_file())
    second = lab.build()
    assert revisions(first) == revisions(second)
    unchanged(lab)
    # Nothing is left of tables in the making, nor are caches growing.
    assert bytes_before == sum(p.stat().st_size for p in lab.home.rglob("*") if p.is_file())


def test_a_changed_attribute_reads_no_image_and_brings_new_metadata_only(lab: Lab) -> None:
    before = revisions(lab.build())
    digests = {p: e.digest for p, e in lab.entries("cell_lines").items()}
    lab.change("wells", 2, colonies="8")
    built = lab.build()
    assert 0 == built.images_read
    assert {0} == {one.read_files for one in built.packages}
    after = {p: e.digest for p, e in lab.entries("cell_lines").items()}
    changed = {path for path in after if after[path] != digests[path]}
    # The field of view takes it from its well.
    info = {f"wells/{C2}/info/load", f"fovs/fov_{FOVS[3]}/info/load"}
    assert {"SCHEMA", *info} == changed
    assert before["aics_23"] == revisions(built)["aics_23"]
    assert before["aics_10"] != revisions(built)["aics_10"]
    assert 0 < built.added_bytes < 150_000


def test_a_changed_image_is_read_alone(lab: Lab) -> None:
    lab.build()
    lab.image(IMAGE, pixels(99))
    built = lab.build()
    assert 1 == built.images_read
    changed = {one.package for one in built.packages if one.changed}
    assert {"aics/aics_23", "aics/cell_lines", "aics/viable"} <= changed
    assert (lab.folder / IMAGE).read_bytes() == lab.read(
        "aics_23", f"fovs/fov_{FOVS[0]}/image/load"
    )
    unchanged(lab)


def test_an_image_that_is_touched_but_not_changed_is_read_and_nothing_new(lab: Lab) -> None:
    lab.build()
    os.utime(lab.folder / IMAGE)
    unchanged(lab, read=1)
    unchanged(lab)


def test_a_new_row_brings_its_image_and_one_that_goes_takes_it_away(lab: Lab) -> None:
    before = revisions(lab.build())
    lab.add("fovs", fov="ffff", image="images/ffff.ome.tif")
    lab.image("images/ffff.ome.tif", pixels(50))
    built = lab.build()
    assert (17, 1) == (built.images, built.images_read)
    assert "fov_ffff" in lab.info("aics_23", f"wells/{E6}")["fovs"]
    del lab.tables["fovs"][-1]
    built = lab.build()
    assert (16, 0) == (built.images, built.images_read)
    assert before == revisions(built)
    assert "fovs/fov_ffff/info/load" not in lab.entries("cell_lines")


def test_a_line_that_goes_leaves_its_package_as_it_was(lab: Lab) -> None:
    before = revisions(lab.build())
    lab.tables["lines"].pop(0)
    lab.tables["wells"] = lab.tables["wells"][:1]
    lab.tables["fovs"] = lab.tables["fovs"][:2]
    lab.tables["segmentations"] = lab.tables["segmentations"][:6]
    after = revisions(lab.build())
    assert {"aics_23", "cell_lines", "random_sample", "viable"} == set(after)
    assert [before["aics_10"]] == lab.logs()["aics/aics_10"]


def test_a_store_that_lost_an_object_gets_it_back(lab: Lab) -> None:
    lab.enlarge(0)
    before = revisions(lab.build())
    (lost,) = lab.objects()
    next(lab.home.rglob(lost)).unlink()
    built = lab.build()
    assert (1, before) == (built.images_read, revisions(built))
    assert {lost} == lab.objects()
    with lab.at_home():
        assert cellbank.verify().good
    unchanged(lab)


def test_a_store_that_lost_its_packs_is_built_anew(lab: Lab) -> None:
    before = revisions(lab.build())
    shutil.rmtree(lab.home)
    assert before == revisions(lab.build())
    with lab.at_home():
        assert cellbank.verify().good


def test_a_store_that_lost_its_tables_gets_new_ones(lab: Lab, monkeypatch) -> None:
    lab.only(all="cell_lines")
    with monkeypatch.context() as patch:
        patch.setattr(Tables, "write", lambda _self: {"fovs": b"as another program wrote them"})
        before = revisions(lab.build())
    assert {"fovs"} == set(lab.parquet("cell_lines"))
    shutil.rmtree(lab.home / "packages/aics/cell_lines/packs")
    assert before == revisions(lab.build())
    assert set(GROUPS) == set(lab.parquet("cell_lines"))
    unchanged(lab)


def test_tables_of_a_borrowed_store_are_not_named_where_they_are_not(lab, tmp_path, monkeypatch):
    before = revisions(lab.build())
    lab.home.rename(tmp_path / "borrowed")
    with monkeypatch.context() as patch:
        patch.setenv("CELLBANK_PATH", str(tmp_path / "borrowed"))
        assert before == revisions(lab.build())
    assert set(FAMILY) == {name.partition("/")[2] for name in lab.logs()}
    assert all(set(GROUPS) == set(lab.parquet(name)) for name in FAMILY)


def test_temporary_files_of_builds_that_were_killed_are_removed_a_week_later(lab: Lab) -> None:
    left = [lab.home / f"caches/tables/aics.{name}" for name in ("old", "young")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "fov.json").write_text("{}")
    os.utime(left[0], (0, 0))
    lab.build()
    assert [left[1]] == list(lab.home.glob("caches/tables/*"))


def test_a_store_that_lost_its_caches_reads_all_and_changes_nothing(lab: Lab) -> None:
    before = revisions(lab.build())
    shutil.rmtree(lab.home / "caches")
    built = lab.build()
    assert (16, 0) == (built.images_read, built.added_bytes)
    assert before == revisions(built)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x83\xa6images\x81\xa1\xff\xc0"])
def test_caches_that_are_damaged_are_made_anew(lab: Lab, data: bytes) -> None:
    before = revisions(lab.build())
    for path in lab.home.glob("caches/*/*"):
        path.write_bytes(data)
    assert before == revisions(lab.build())


def test_what_was_found_wrong_is_found_wrong_again_without_reading(lab: Lab) -> None:
    lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", nuclei() * 2)
    first = lab.problems()
    assert first
    assert first == lab.problems()
    lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", nuclei())
    built = lab.build()
    assert 1 == built.images_read


def test_a_folder_that_was_moved_makes_the_same_packages(lab: Lab, tmp_path: Path) -> None:
    before = revisions(lab.build())
    lab.folder.rename(tmp_path / "elsewhere")
    lab.folder = tmp_path / "elsewhere"
    built = lab.build()
    assert before == revisions(built)
    assert 0 == built.added_bytes


def test_a_store_inside_of_the_labs_folder_is_refused(lab: Lab) -> None:
    lab.home = lab.folder / "store"
    with pytest.raises(CellbankError, match="the store lies in"):
        lab.build()


# --- while somebody writes


def test_an_image_that_changes_after_it_was_checked_is_packaged_as_it_was(lab: Lab) -> None:
    checked = (lab.folder / IMAGE).read_bytes()
    lab.build(watch=lambda event: lab.image(IMAGE, pixels(7)) if is_building(event) else None)
    path = f"fovs/fov_{FOVS[0]}/image/load"
    assert checked == lab.read("cell_lines", path) == lab.read("aics_23", path)


def test_an_image_that_changes_and_is_no_longer_at_hand_stops_the_build(lab, monkeypatch):
    monkeypatch.setattr(staging, "KEPT_BYTES", 0)
    lab.build(watch=lambda event: None)
    good = lab.logs()
    shutil.rmtree(lab.home)
    with pytest.raises(CellbankError, match="changes while it is read"):
        lab.build(watch=lambda event: lab.image(IMAGE, pixels(7)) if is_building(event) else None)
    assert {} == lab.logs()
    lab.image(IMAGE, pixels(0))
    lab.build()
    assert good == lab.logs()


def test_an_image_that_changes_between_reading_and_looking_stops_the_build(lab, monkeypatch):
    bad = lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", nuclei() * 2).read_bytes()
    look = looking.inspect_images

    def mend_and_look(jobs):
        lab.image(f"images/nuclei_{FOVS[0]}.ome.tif", nuclei())
        return look(jobs)

    with monkeypatch.context() as patch:
        patch.setattr(looking, "inspect_images", mend_and_look)
        with pytest.raises(BadInput, match="changes while it is read"):
            lab.build()
    assert {} == lab.logs()
    # What was seen of the mended one is not remembered of the bad one.
    (lab.folder / f"images/nuclei_{FOVS[0]}.ome.tif").write_bytes(bad)
    assert lab.problems()


class Stopping(Executor):
    """One that ends with an error when it is to do something."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def submit(self, *_args, **_kwargs):
        future = Future()
        future.set_exception(self._error)
        return future


def test_a_build_that_is_stopped_while_it_looks_has_read_its_images(lab: Lab) -> None:
    with pytest.raises(KeyboardInterrupt):
        lab.build(executor=Stopping(KeyboardInterrupt()))
    assert {} == lab.logs()
    assert 0 == lab.build().images_read


def test_a_process_that_is_killed_is_told(lab: Lab) -> None:
    with pytest.raises(BadInput, match="was ended from outside"):
        lab.build(executor=Stopping(BrokenExecutor("killed")))
    assert {} == lab.logs()


@pytest.mark.parametrize("package", ["cell_lines", "aics_10"])
def test_what_a_collection_condemns_meanwhile_is_still_packaged(lab: Lab, package: str) -> None:
    lab.enlarge(0)
    condemned: list[int] = []

    def collect(event: Progress | Said) -> None:
        if isinstance(event, Said) and event.text == f"Building aics/{package}...":
            condemned.append(gc.collect(lab.store()).condemned)

    lab.build(watch=collect)
    # Nothing names the image before the first package does.
    assert [1 if package == "cell_lines" else 0] == condemned
    with lab.at_home():
        assert cellbank.verify().good
    later = datetime.now(UTC) + gc.WAIT + timedelta(hours=1)
    assert 0 == gc.collect(lab.store(), now=later).removed


def test_what_is_condemned_when_a_build_begins_is_taken_again(lab: Lab) -> None:
    lab.enlarge(0)
    with pytest.raises(KeyboardInterrupt):
        lab.build(executor=Stopping(KeyboardInterrupt()))
    # Somebody else is at work, so that it is condemned only.
    with lab.at_home(), lab.store().transaction():
        assert 1 == gc.collect(lab.store()).condemned
    lab.build()
    with lab.at_home():
        assert cellbank.verify().good


def test_two_builds_of_the_same_large_images_do_not_disturb_each_other(lab: Lab) -> None:
    lab.enlarge(0, PIECES_ABOVE + (1 << 20))
    done: list[int] = []

    def build_another(event: Progress | Said) -> None:
        if is_building(event) and not done:
            done.append(0)
            with lab.at_home():
                families.build_family("other", lab.folder)

    lab.build(watch=build_another)
    with lab.at_home():
        assert cellbank.verify().good


def is_building(event: Progress | Said) -> bool:
    return isinstance(event, Said) and event.text == "Building aics/cell_lines..."


# --- shared


def test_large_images_are_one_object_for_all_packages_and_read_once(lab: Lab) -> None:
    lab.enlarge(0)
    lab.enlarge(2, PIECES_ABOVE + SMALL_BELOW)
    built = lab.build()
    assert 10 == built.images_read
    assert {0} == {one.read_files for one in built.packages}
    paths = {name: f"fovs/fov_{FOVS[n]}/image/load" for name, n in (("aics_23", 0), ("aics_10", 2))}
    digests = {lab.entries(name)[path].digest for name, path in paths.items()}
    assert digests == lab.objects()
    size = sum((lab.folder / f"images/{FOVS[n]}.ome.tif").stat().st_size for n in (0, 2))
    assert size < built.added_bytes < size + 400_000
    # The list of pieces is that of the entry, and is in each package.
    assert lab.entries("aics_10")[paths["aics_10"]].pieces is not None
    assert lab.entries("aics_10")[paths["aics_10"]] == lab.entries("cell_lines")[paths["aics_10"]]
    with lab.at_home():
        assert cellbank.verify().good
    unchanged(lab)


def test_two_packages_of_one_image_share_it_though_rows_name_it_twice(lab: Lab) -> None:
    lab.enlarge(0)
    shutil.copyfile(lab.folder / IMAGE, lab.folder / "copy.ome.tif")
    lab.add("fovs", fov="again", image=IMAGE)
    lab.add("fovs", fov="copy", image="copy.ome.tif")
    built = lab.build()
    assert [("warning", f"{IMAGE} is the image of row 2 too")] == [
        (p.severity, p.what) for p in built.problems
    ]
    assert 1 == len(lab.objects())
    digests = {
        lab.entries("cell_lines")[f"fovs/fov_{n}/image/load"].digest for n in ("again", "copy")
    }
    assert lab.objects() == digests


# --- the same


def test_the_same_sources_are_the_same_revisions_anywhere_in_any_order(tmp_path: Path) -> None:
    first = Lab(tmp_path / "one")
    second = Lab(tmp_path / "two" / "deeper")
    for rows in second.tables.values():
        rows.reverse()
    rows = second.tables["segmentations"]
    rows[3:9] = rows[8:2:-1]
    one, two = first.build(message="one"), second.build(message="two")
    assert revisions(one) == revisions(two)
    for name in FAMILY:
        assert first.entries(name) == second.entries(name)
        assert first.parquet(name) == second.parquet(name)


def test_documents_name_no_time_place_or_version(lab: Lab) -> None:
    lab.build()
    whole = {
        name: lab.read(name, path).decode() for name in FAMILY for path in ("README", "SCHEMA")
    }
    own = {name: lab.read(name, "README").decode() for name in FAMILY}
    for name, text in own.items():
        assert f"aics/{name}" in text
        assert text.startswith("# A tiny lab")
        assert text.endswith("\n")
    for text in [*whole.values(), *own.values()]:
        assert str(lab.folder) not in text
        assert not re.search(r"\b20[12]\d-\d\d-\d\d|duckdb|\d+\.\d+\.\d+", text)


def test_readme_counts_the_records_and_the_channels(lab: Lab) -> None:
    lab.build()
    text = lab.read("aics_23", "README").decode()
    rows = {line for line in text.splitlines() if line.startswith("|")}
    assert "| `fovs` | 2 | fields of view, with their images |" in rows
    assert "| `lines` | 1 | cell lines |" in rows
    assert "| EGFP | yes | 2 |" in rows
    assert "# A tiny lab: AICS-23" == text.splitlines()[0]
    assert "(TJP1)" in text
    assert "CC0-1.0" in text
    assert "A. Lab. A tiny lab: AICS-23. `aics/aics_23`." in text


def test_another_recipe_of_the_folder_and_a_build_with_errors_forget_nothing(lab: Lab) -> None:
    assert 16 == lab.build().images_read
    (lab.folder / "other.yaml").write_text((lab.folder / "cellbank.yaml").read_text())
    with lab.at_home():
        assert 16 == families.build_family("other", lab.folder / "other.yaml").images_read
    assert 0 == lab.build().images_read
    shown = lab.record("fov")["image"]["file"]
    lab.record("fov")["image"]["file"] = "no such column"
    lab.problems()
    lab.record("fov")["image"]["file"] = shown
    assert 0 == lab.build().images_read
