"""Installing from a folder: only what is new, in part, from elsewhere, and never halfway."""

import json
import shutil
from pathlib import Path

import pytest

import cellbank
from cellbank.api import Said
from cellbank.model.errors import (
    AmbiguousReference,
    BadInput,
    ChainRefused,
    Damaged,
    DigestMismatch,
    DiskFull,
    EntryNotFound,
    NewerFormat,
    NotFetched,
    NotInstalled,
    OtherRemote,
    PackageNotFound,
    PushConflict,
    RemoteNotFound,
    RevisionNotFound,
    RuleBroken,
)
from cellbank.storage import disk

LARGE = 150_000


class Lab:
    """Two stores and a folder remote; `at` says in which store the next call works."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.remote = str(root / "remote")
        self.folder = root / "files"
        self._monkeypatch = monkeypatch
        self.said: list[str] = []

    def at(self, home: str) -> None:
        self._monkeypatch.setenv("CELLBANK_HOME", str(self.root / home))

    def write(self, path: str, data: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def publish(self, message: str = "") -> str:
        self.at("lab")
        built = cellbank.build("lab/cells", self.folder, message=message)
        cellbank.push("lab/cells", to=self.remote)
        return built.revision

    def watch(self, event: object) -> None:
        if isinstance(event, Said):
            self.said.append(event.text)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab(tmp_path, monkeypatch)
    lab.write("a/one.json", b'{"n": 1}')
    lab.write("a/one.bin", b"1" * LARGE)
    lab.write("b/two.json", b'{"n": 2}')
    lab.write("b/two.bin", b"2" * LARGE)
    lab.write("empty", b"")
    return lab


def test_an_install_says_the_words_of_the_walk_through(lab):
    lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote, watch=lab.watch)
    size = 2 * LARGE + 16
    expected = ["Downloading package metadata...", f"Downloading 5 objects ({size} bytes)..."]
    assert expected == lab.said


def test_an_unchanged_package_is_up_to_date_and_nothing_is_asked(lab):
    lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    questions = []
    done = cellbank.install("lab/cells", confirm=questions.append, watch=lab.watch)
    assert not done.changed
    assert ["Downloading package metadata...", "lab/cells is up to date"] == lab.said
    assert [] == questions


def test_a_newer_revision_asks_and_fetches_only_what_is_new(lab):
    first = lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    lab.write("a/one.json", b'{"n": 3}')
    second = lab.publish()
    lab.at("guest")
    questions = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    assert first == cellbank.inspect("lab/cells").revision
    assert not cellbank.install("lab/cells", confirm=no, watch=lab.watch).changed
    assert ["Overwrite? (y/n)"] == questions
    assert first == cellbank.inspect("lab/cells").revision
    cellbank.install("lab/cells", watch=lab.watch)
    assert "lab/cells already installed." in lab.said
    assert "Downloading 1 objects (8 bytes)..." == lab.said[-1]
    assert second == cellbank.inspect("lab/cells").revision
    assert b'{"n": 1}' == cellbank.load(f"lab/cells@{first[:8]}/a/one.json").bytes()
    assert b'{"n": 3}' == cellbank.load("lab/cells/a/one.json").bytes()


def test_a_part_brings_only_that_part_but_the_whole_listing(lab):
    lab.publish()
    lab.at("guest")
    done = cellbank.install("lab/cells/a", from_=lab.remote)
    assert (2, LARGE + 8) == (done.objects, done.bytes)
    cells = cellbank.load("lab/cells")
    assert b'{"n": 1}' == cells.a.one_json.bytes()
    assert ["two.bin", "two.json"] == cells.b._keys()
    with pytest.raises(NotFetched, match=r"cellbank install lab/cells/b/two\.bin"):
        cells.b["two.bin"]()
    assert cellbank.verify("lab/cells").good
    assert "a" == cellbank.ls()[0].want
    cellbank.install("lab/cells/b/two.json")
    assert b'{"n": 2}' == cells.b.two_json.bytes()
    assert "a, b/two.json" == cellbank.ls()[0].want
    rest = cellbank.install("lab/cells")
    assert 2 == rest.objects
    assert LARGE == len(cells.b["two.bin"].bytes())
    assert "all" == cellbank.ls()[0].want


def test_a_part_that_is_not_there_is_not_found_and_near_names_are_given(lab):
    lab.publish()
    lab.at("guest")
    with pytest.raises(EntryNotFound, match=r"Did you mean a/one\.bin"):
        cellbank.install("lab/cells/a/one.bi", from_=lab.remote)
    assert [] == cellbank.ls()


def test_what_does_not_exist_is_not_found_with_near_names(lab):
    lab.publish()
    lab.at("guest")
    with pytest.raises(PackageNotFound, match="Did you mean lab/cells"):
        cellbank.install("lab/cell", from_=lab.remote)
    with pytest.raises(RevisionNotFound):
        cellbank.install("lab/cells@000000", from_=lab.remote)
    with pytest.raises(RevisionNotFound):
        cellbank.install("lab/cells==9.9", from_=lab.remote)
    with pytest.raises(RemoteNotFound):
        cellbank.install("lab/cells", from_=str(lab.root / "nowhere"))
    with pytest.raises(RemoteNotFound):
        cellbank.install("lab/cells")
    with pytest.raises(NotInstalled):
        cellbank.load("lab/cells")


def test_versions_and_tags_name_revisions_for_installs_and_loads(lab):
    first = lab.publish()
    cellbank.version("lab/cells", "1.0", first[:10])
    lab.write("new", b"new")
    second = lab.publish()
    cellbank.tag("lab/cells", "best", first)
    lab.at("guest")
    cellbank.install("lab/cells==1.0", from_=lab.remote)
    assert first == cellbank.inspect("lab/cells").revision
    cellbank.install("lab/cells:latest")
    assert second == cellbank.inspect("lab/cells").revision
    assert {"1.0": first} == cellbank.inspect("lab/cells").versions
    assert {"latest": second, "best": first} == cellbank.inspect("lab/cells").tags
    assert first == cellbank.load("lab/cells:best")._revision
    assert first == cellbank.load("lab/cells==1.0")._revision
    assert ["tag", "push", "version", "push"] == [
        event.event for event in cellbank.log("lab/cells")
    ]


def test_a_revision_prefix_that_fits_two_is_ambiguous(lab):
    found: dict[str, str] = {}
    for number in range(200):
        lab.write("n", b"%d" % number)
        revision = lab.publish()
        prefix = revision[:1]
        if prefix in found:
            break
        found[prefix] = revision
    from cellbank.model.reference import Package, by_prefix

    with pytest.raises(AmbiguousReference) as caught:
        by_prefix(Package("lab", "cells"), prefix, [*found.values(), revision])
    assert 2 == len(caught.value.candidates)


def test_the_same_name_from_elsewhere_needs_the_users_word(lab):
    lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    lab.at("other")
    cellbank.build("lab/cells", lab.folder / "a")
    cellbank.push("lab/cells", to=str(lab.root / "mirror"))
    lab.at("guest")
    cellbank.api.add_remote("mirror", str(lab.root / "mirror"))
    before = cellbank.inspect("lab/cells").revision
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_REMOTE", "mirror")
        with pytest.raises(OtherRemote, match="--from"):
            cellbank.install("lab/cells")
    assert before == cellbank.inspect("lab/cells").revision
    assert cellbank.install("lab/cells", from_="mirror").changed


def test_two_pushes_from_two_stores_one_wins_and_the_other_is_told(lab):
    lab.publish()
    lab.at("other")
    cellbank.build("lab/cells", lab.folder / "a")
    with pytest.raises(PushConflict, match="cellbank install lab/cells") as caught:
        cellbank.push("lab/cells", to=lab.remote)
    assert 8 == caught.value.exit_code
    cellbank.install("lab/cells", from_=lab.remote)
    cellbank.build("lab/cells", lab.folder / "b")
    assert 1 == cellbank.push("lab/cells", to=lab.remote).number


@pytest.mark.parametrize("look", ["dry run", "declined", "tag", "older"])
def test_who_only_looked_at_a_revision_does_not_push_over_it(lab, look):
    first = lab.publish()
    lab.at("other")
    cellbank.install("lab/cells", from_=lab.remote)
    lab.write("new", b"theirs")
    lab.publish()
    lab.at("other")
    if look == "dry run":
        cellbank.install("lab/cells", dry_run=True)
    elif look == "declined":
        assert not cellbank.install("lab/cells", confirm=lambda _: False).changed
    elif look == "tag":
        cellbank.tag("lab/cells", "good", first)
    else:
        cellbank.install(f"lab/cells@{first}")
    cellbank.build("lab/cells", lab.folder / "a")
    with pytest.raises(PushConflict):
        cellbank.push("lab/cells")


def test_a_forced_push_keeps_the_other_revision_in_the_log(lab):
    first = lab.publish()
    lab.at("other")
    mine = cellbank.build("lab/cells", lab.folder / "a").revision
    cellbank.push("lab/cells", to=lab.remote, force=True)
    assert [mine, first] == [event.revision for event in cellbank.log("lab/cells")]


def test_a_push_of_what_is_there_changes_nothing(lab):
    lab.publish()
    again = cellbank.push("lab/cells")
    assert not again.changed
    assert 1 == len(cellbank.log("lab/cells"))


def test_a_remote_that_shows_an_older_history_is_refused(lab):
    lab.publish()
    shutil.copytree(lab.remote, lab.root / "old")
    lab.write("new", b"new")
    lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    shutil.rmtree(lab.remote)
    shutil.copytree(lab.root / "old", lab.remote)
    with pytest.raises(ChainRefused, match="--allow-older"):
        cellbank.install("lab/cells")
    assert cellbank.install("lab/cells", allow_older=True).changed


def test_a_dry_run_says_what_would_move_and_installs_nothing(lab):
    lab.publish()
    lab.at("guest")
    would = cellbank.install("lab/cells", from_=lab.remote, dry_run=True)
    assert (5, 2 * LARGE + 16, False) == (would.objects, would.bytes, would.changed)
    assert would.free_bytes > 0
    assert [] == cellbank.ls()


def test_wrong_bytes_at_the_remote_are_never_installed(lab):
    lab.publish()
    digest = cellbank.load("lab/cells/a/one.bin").digest
    path = Path(lab.remote) / "objects" / digest[:2] / digest
    path.chmod(0o644)
    path.write_bytes(b"x" * LARGE)
    lab.at("guest")
    with pytest.raises(DigestMismatch) as caught:
        cellbank.install("lab/cells", from_=lab.remote)
    assert 5 == caught.value.exit_code
    assert [] == cellbank.ls()
    path.unlink()
    with pytest.raises(Damaged):
        cellbank.install("lab/cells", from_=lab.remote)


def test_a_disk_that_is_too_small_is_told_before_the_first_byte(lab, monkeypatch):
    lab.publish()
    lab.at("guest")
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
    with pytest.raises(DiskFull, match="1000 bytes free") as caught:
        cellbank.install("lab/cells", from_=lab.remote)
    assert 7 == caught.value.exit_code
    assert [] == cellbank.ls()
    assert not list((lab.root / "guest" / "objects").glob("*/*"))


def test_a_store_of_a_newer_format_is_refused_and_not_touched(lab):
    lab.publish()
    path = lab.root / "lab" / "format.json"
    form = json.loads(path.read_text())
    for change in ({"format": 2}, {"read": ["codec:new"]}):
        path.write_text(json.dumps({**form, **change}, separators=(",", ":"), sort_keys=True))
        with pytest.raises(NewerFormat, match="Upgrade cellbank"):
            cellbank.ls()
    path.write_text(json.dumps({**form, "write": ["new"]}, separators=(",", ":"), sort_keys=True))
    assert ["lab/cells"] == [str(found) for found in cellbank.ls()]
    with pytest.raises(NewerFormat):
        cellbank.build("lab/cells", lab.folder)
    with pytest.raises(NewerFormat):
        cellbank.gc()


def test_objects_of_a_borrowed_store_count_as_there(lab, monkeypatch):
    lab.publish()
    lab.at("guest")
    monkeypatch.setenv("CELLBANK_PATH", str(lab.root / "lab"))
    assert cellbank.ls()[0].borrowed
    assert b'{"n": 1}' == cellbank.load("lab/cells/a/one.json").bytes()
    done = cellbank.install("lab/cells", from_=lab.remote)
    assert 0 == done.objects
    assert not list((lab.root / "guest").glob("objects/*/*"))
    assert cellbank.verify("lab/cells").good
    monkeypatch.delenv("CELLBANK_PATH")
    assert 5 == cellbank.install("lab/cells", from_=lab.remote).objects
    assert cellbank.verify("lab/cells").good


def test_an_empty_package_can_be_built_pushed_and_installed(lab):
    (lab.root / "nothing").mkdir()
    lab.at("lab")
    cellbank.build("lab/empty", lab.root / "nothing", allow_empty=True)
    cellbank.push("lab/empty", to=lab.remote)
    lab.at("guest")
    cellbank.install("lab/empty", from_=lab.remote)
    assert 0 == len(cellbank.load("lab/empty"))


def test_many_small_revisions_are_compacted_and_all_stay_readable(lab):
    revisions = []
    for number in range(40):
        lab.write("a/one.json", b'{"n": %d}' % number)
        revisions.append(lab.publish())
    assert len(list((lab.root / "remote" / "packages").glob("*/*/packs/*"))) <= 36
    lab.at("guest")
    for number in (0, 17, 39):
        cellbank.install(f"lab/cells@{revisions[number]}", from_=lab.remote)
        assert b'{"n": %d}' % number == cellbank.load("lab/cells/a/one.json").bytes()


def test_the_log_keeps_a_history_object_every_256_records(lab):
    revision = lab.publish()
    for number in range(256):
        cellbank.tag("lab/cells", f"t{number}", revision)
    from cellbank.model.log import decode_history
    from cellbank.model.reference import Package
    from cellbank.storage.local import LocalBucket
    from cellbank.storage.place import Place

    place = Place.open(LocalBucket(lab.remote))
    package = Package("lab", "cells")
    newest = place.newest(package)
    assert (256, 257) == (newest.record.number, len(list(place.records(package))))
    earlier, records = decode_history(place.read_small(package, newest.record.history))
    assert "" == earlier
    assert list(range(256)) == [kept.record.number for kept in records]


def test_a_place_that_moved_is_asked_at_its_new_address(lab):
    lab.publish()
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    moved = lab.root / "moved"
    Path(lab.remote).rename(moved)
    assert not cellbank.install("lab/cells", from_=str(moved)).changed
    assert str(moved) == cellbank.ls()[0].where
    assert not cellbank.install("lab/cells").changed


def test_a_name_is_given_to_what_is_there_alone(lab):
    revision = lab.publish()
    with pytest.raises(RevisionNotFound, match="nosuch"):
        cellbank.version("lab/cells", "2.0", "nosuch")
    with pytest.raises(RevisionNotFound):
        cellbank.version("lab/cells", "2.0", "abcdef012345")
    with pytest.raises(RuleBroken, match="moves with every push"):
        cellbank.tag("lab/cells", "latest", None)
    assert revision == cellbank.version("lab/cells", "2.0", "latest")
    assert revision == cellbank.tag("lab/cells", "same", "2.0")


def test_a_folder_that_is_none_or_lies_in_the_store_is_refused(lab):
    lab.publish()
    with pytest.raises(BadInput, match="no folder is named"):
        cellbank.build("lab/cells", "")
    with pytest.raises(BadInput, match="no folder is named"):
        cellbank.export("lab/cells", "")
    with pytest.raises(BadInput, match="lies in the store"):
        cellbank.export("lab/cells", lab.root / "lab" / "objects")
    with pytest.raises(BadInput, match="the store lies in"):
        cellbank.build("lab/cells", lab.root)
