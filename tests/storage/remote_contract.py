"""What every remote must do, whatever lies behind it; each kind of remote runs all of it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import (
    CellbankError,
    Damaged,
    DigestMismatch,
    NameConflict,
    PackageNotFound,
    PushConflict,
)
from cellbank.model.log import Table
from cellbank.model.progress import Progress, Said
from cellbank.model.reference import Package
from cellbank.storage.layout import object_key
from cellbank.storage.packs import read_pack
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables, tables_at
from cellbank.storage.transfer import push
from tests.storage.making import (
    FILES,
    HUGE,
    LARGE,
    PACKAGE,
    contents,
    draft,
    event,
    install,
    keep,
    keep_tables,
    push_files,
)

OpenRemote = Callable[[], Remote]
TABLES = {"fovs": b"PAR1 few PAR1", "wells": b"PAR1" + bytes(9 << 20), "empty": b""}
ABSENT = digest_of(b"never seen by anyone")


class RemoteContract:
    """The contract. A subclass has a fixture `open_remote` that opens one fresh place anew."""

    @pytest.fixture
    def remote(self, open_remote: OpenRemote) -> Remote:
        return open_remote()

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store.at(str(tmp_path / "store"))

    @pytest.fixture
    def other(self, tmp_path: Path) -> Store:
        return Store.at(str(tmp_path / "other"))

    def test_a_fresh_place_has_no_packages(self, remote: Remote) -> None:
        assert [] == remote.packages()
        with pytest.raises(PackageNotFound):
            remote.newest(PACKAGE)
        with pytest.raises(PackageNotFound):
            list(remote.records(PACKAGE))

    def test_two_openings_of_a_place_have_one_identity(self, open_remote: OpenRemote) -> None:
        assert open_remote().id == open_remote().id

    def test_what_was_pushed_comes_back_byte_by_byte(
        self, open_remote: OpenRemote, store: Store, other: Store
    ) -> None:
        kept = push_files(store, open_remote())
        assert contents(other, install(other, open_remote())) == FILES
        assert [PACKAGE] == open_remote().packages()
        assert kept == open_remote().newest(PACKAGE)

    def test_an_object_with_a_list_of_pieces_comes_back(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        push_files(store, remote, {"huge.tif": HUGE})
        assert contents(other, install(other, remote)) == {"huge.tif": HUGE}

    def test_a_package_without_entries_can_be_pushed(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        push_files(store, remote, {})
        assert contents(other, install(other, remote)) == {}

    def test_only_what_is_new_is_missing(self, remote: Remote, store: Store) -> None:
        first = push_files(store, remote).record.revision
        revision = keep(store, {**FILES, "new.json": b"[]", "new.tif": LARGE[1:]})
        header = store.read_small(PACKAGE, revision)
        reader = store.reader(PACKAGE, revision)
        upload = remote.upload(PACKAGE, revision, header, reader)
        try:
            assert first not in upload.pages()
            for pack in store.packs_of(PACKAGE, upload.pages()):
                upload.send_pack(pack)
            missing = upload.missing()
        finally:
            upload.close()
        assert {digest_of(b"[]")} == missing.small
        assert {digest_of(LARGE[1:]): 0} == missing.large

    def test_the_same_revision_again_sends_nothing(self, remote: Remote, store: Store) -> None:
        revision = push_files(store, remote).record.revision
        upload = remote.upload(
            PACKAGE, revision, store.read_small(PACKAGE, revision), store.reader(PACKAGE, revision)
        )
        try:
            assert set() == upload.pages()
            missing = upload.missing()
        finally:
            upload.close()
        assert (set(), {}) == (missing.small, missing.large)

    def test_a_push_on_an_old_base_conflicts_and_changes_nothing(
        self, remote: Remote, store: Store
    ) -> None:
        kept = push_files(store, remote)
        with pytest.raises(PushConflict):
            push_files(store, remote, {"other.txt": b"other"})
        assert kept == remote.newest(PACKAGE)

    def test_a_push_that_conflicted_is_accepted_on_the_new_base(
        self, remote: Remote, store: Store
    ) -> None:
        first = push_files(store, remote).record.revision
        files = {"other.txt": b"other", "other.tif": LARGE[2:]}
        with pytest.raises(PushConflict):
            push_files(store, remote, files)
        kept = push_files(store, remote, files, base=first)
        assert (1, keep(store, files)) == (kept.record.number, kept.record.state.latest)

    def test_the_same_draft_again_gives_the_same_record(self, remote: Remote, store: Store) -> None:
        revision = keep(store, FILES)
        wanted = draft(revision, message="once")
        first = push(store, remote, PACKAGE, wanted)
        assert first == push(store, remote, PACKAGE, wanted)
        assert 1 == len(list(remote.records(PACKAGE)))

    def test_of_two_pushes_at_once_one_wins(self, open_remote: OpenRemote, tmp_path: Path) -> None:
        together = threading.Barrier(2)

        def attempt(number: int) -> str:
            store = Store.at(str(tmp_path / f"pusher{number}"))
            revision = keep(store, {"n.txt": b"%d" % number, "n.tif": LARGE[number:]})
            remote = open_remote()
            together.wait(10)
            try:
                push(store, remote, PACKAGE, draft(revision))
            except PushConflict:
                return "conflict"
            return revision

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(attempt, (1, 2)))
        winner = [revision for revision in found if revision != "conflict"]
        assert winner == [open_remote().newest(PACKAGE).record.state.latest]

    def test_tags_and_versions_are_kept(self, remote: Remote, store: Store) -> None:
        revision = push_files(store, remote).record.revision
        remote.append(PACKAGE, event("version", name="1.0", revision=revision))
        kept = remote.append(PACKAGE, event("tag", name="good", revision=revision))
        assert {"good": revision} == kept.record.state.tags
        assert {"1.0": revision} == kept.record.state.versions
        assert kept == remote.newest(PACKAGE)

    def test_a_version_is_given_once(self, remote: Remote, store: Store) -> None:
        first = push_files(store, remote).record.revision
        remote.append(PACKAGE, event("version", name="1.0", revision=first))
        second = push_files(store, remote, {"x": b"x"}, base=first).record.revision
        with pytest.raises(NameConflict):
            remote.append(PACKAGE, event("version", name="1.0", revision=second))

    def test_an_event_sent_again_is_one_event(self, remote: Remote, store: Store) -> None:
        revision = push_files(store, remote).record.revision
        wanted = event("version", name="1.0", revision=revision)
        assert remote.append(PACKAGE, wanted) == remote.append(PACKAGE, wanted)

    def test_a_long_log_comes_whole_and_newest_first(self, remote: Remote, store: Store) -> None:
        push_files(store, remote, {"x": b"x"})
        for number in range(300):
            remote.append(PACKAGE, event("unfreeze" if number % 2 else "freeze"))
        numbers = [kept.record.number for kept in remote.records(PACKAGE)]
        assert list(range(300, -1, -1)) == numbers

    def test_packs_hold_what_was_asked_for_and_nothing_else(
        self, remote: Remote, store: Store
    ) -> None:
        push_files(store, remote)
        wanted = {digest_of(b"mask"), digest_of(b"# cells"), ABSENT}
        found: dict[str, bytes] = {}
        remote.fetch_packs(PACKAGE, wanted, lambda pack: found.update(read_pack(pack, "a pack")))
        assert {digest_of(b"mask"): b"mask", digest_of(b"# cells"): b"# cells"} == found

    def test_small_objects_that_are_not_there_are_named(self, remote: Remote, store: Store) -> None:
        push_files(store, remote)
        with pytest.raises(Damaged, match=ABSENT):
            remote.read_small(PACKAGE, [ABSENT])

    @pytest.mark.parametrize("start", [0, 1, 100_000, len(LARGE) - 1])
    def test_a_large_object_comes_from_any_byte_on(
        self, remote: Remote, store: Store, start: int
    ) -> None:
        push_files(store, remote)
        found = bytearray()
        remote.fetch_object(PACKAGE, digest_of(LARGE), start, found.extend)
        assert LARGE[start:] == found

    def test_a_large_object_that_is_not_there_is_damage(self, remote: Remote, store: Store) -> None:
        push_files(store, remote)
        with pytest.raises(Damaged):
            remote.fetch_object(PACKAGE, ABSENT, 0, lambda _: None)

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 1), (0, len(LARGE)), (7, 7), (65_536, 131_072), (len(LARGE) - 1, len(LARGE))],
    )
    def test_a_stretch_of_a_large_object_comes_alone(
        self, remote: Remote, store: Store, start: int, stop: int
    ) -> None:
        push_files(store, remote)
        assert LARGE[start:stop] == remote.read_range(PACKAGE, digest_of(LARGE), start, stop)

    def test_many_threads_read_stretches_at_once(self, remote: Remote, store: Store) -> None:
        push_files(store, remote, {"huge.tif": HUGE})
        starts = range(0, len(HUGE), 300_001)

        def read(start: int) -> bytes:
            stop = min(start + 300_001, len(HUGE))
            return remote.read_range(PACKAGE, digest_of(HUGE), start, stop)

        with ThreadPoolExecutor(6) as pool:
            assert HUGE == b"".join(pool.map(read, starts))

    @pytest.mark.parametrize("start", [len(LARGE) - 5, len(LARGE), 10 * len(LARGE)])
    def test_a_stretch_beyond_the_end_is_an_error(
        self, remote: Remote, store: Store, start: int
    ) -> None:
        push_files(store, remote)
        with pytest.raises(CellbankError):
            remote.read_range(PACKAGE, digest_of(LARGE), start, start + 6)

    def test_a_stretch_of_what_is_not_there_is_damage(self, remote: Remote, store: Store) -> None:
        push_files(store, remote)
        with pytest.raises(Damaged, match=ABSENT):
            remote.read_range(PACKAGE, ABSENT, 0, 100)

    def test_what_a_sink_raises_comes_out(self, remote: Remote, store: Store) -> None:
        push_files(store, remote)

        def refuse(_: object) -> None:
            raise DigestMismatch("here", "this", "that")

        with pytest.raises(DigestMismatch, match="expected this"):
            remote.fetch_object(PACKAGE, digest_of(LARGE), 0, refuse)
        with pytest.raises(DigestMismatch, match="expected this"):
            remote.fetch_packs(PACKAGE, [digest_of(b"mask")], refuse)

    def test_a_file_that_changed_is_not_pushed(
        self, remote: Remote, store: Store, tmp_path: Path
    ) -> None:
        revision = keep(store, FILES)
        path = Path(store.files.path(object_key(digest_of(LARGE))))
        path.chmod(0o644)
        path.write_bytes(bytes(len(LARGE)))
        with pytest.raises(DigestMismatch, match=str(path)):
            push(store, remote, PACKAGE, draft(revision))
        with pytest.raises(PackageNotFound):
            remote.newest(PACKAGE)
        path.write_bytes(LARGE)
        push(store, remote, PACKAGE, draft(revision))
        other = Store.at(str(tmp_path / "other"))
        assert contents(other, install(other, remote)) == FILES

    def test_progress_adds_up_to_what_is_sent(self, remote: Remote, store: Store) -> None:
        revision = keep(store, FILES)
        seen: list[object] = []
        push(store, remote, PACKAGE, draft(revision), watch=seen.append)
        total = sum(map(len, FILES.values()))
        assert (total, total) == (seen[-1].done, seen[-1].total)  # type: ignore[attr-defined]

    def test_packages_are_listed_sorted(self, remote: Remote, store: Store) -> None:
        names = [Package("b", "a"), Package("a", "z"), Package("a", "b")]
        for package in names:
            push_files(store, remote, {"x": b"x"}, package=package)
        assert sorted(names) == remote.packages()

    def test_many_small_updates_leave_all_objects_readable(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        files, base = {}, ""
        for number in range(40):
            files[f"{number}.json"] = b"%d" % number
            base = push_files(store, remote, files, base=base).record.revision
        assert contents(other, install(other, remote)) == files

    def test_tables_travel_with_a_push(self, remote: Remote, store: Store, other: Store) -> None:
        revision = keep(store, FILES)
        tables = keep_tables(store, TABLES)
        kept = push(store, remote, PACKAGE, draft(revision, tables=tables))
        assert tables == kept.record.tables == tables_at(remote, PACKAGE, revision, kept)
        install(other, remote)
        assert tables == fetch_tables(other, remote, PACKAGE, tables)
        assert TABLES == {kind: other.read_table(PACKAGE, t) for kind, t in tables.items()}

    def test_many_small_tables_stay_readable(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        kept = push_files(store, remote)
        revision, every = kept.record.revision, {}
        for number in range(40):
            data = b"PAR1 %d PAR1" % number
            tables = keep_tables(store, {"fovs": data})
            push(store, remote, PACKAGE, event("tables", revision=revision, tables=tables))
            every[data] = tables["fovs"]
        for data, table in every.items():
            assert {"fovs": table} == fetch_tables(other, remote, PACKAGE, {"fovs": table})
            assert data == other.read_table(PACKAGE, table)
        assert contents(other, install(other, remote)) == FILES

    def test_tables_of_a_revision_that_is_there_are_replaced_by_an_event(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        revision = keep(store, FILES)
        tables = keep_tables(store, TABLES)
        push(store, remote, PACKAGE, draft(revision, tables=tables))
        newer = keep_tables(store, {"fovs": b"PAR1 newer PAR1", "cells": LARGE[5:]})
        sent: list[object] = []
        wanted = event("tables", revision=revision, tables=newer)
        kept = push(store, remote, PACKAGE, wanted, watch=sent.append)
        assert ("tables", revision, newer) == (
            kept.record.event,
            kept.record.state.latest,
            kept.record.tables,
        )
        assert sum(t.size for t in newer.values()) == sent[-1].total  # type: ignore[attr-defined]
        assert kept == push(store, remote, PACKAGE, wanted)
        tag = remote.append(PACKAGE, event("tag", name="good", revision=revision))
        assert newer == tables_at(remote, PACKAGE, revision, tag)
        assert newer == fetch_tables(other, remote, PACKAGE, newer)
        assert tables == fetch_tables(other, remote, PACKAGE, tables)

    def test_tables_that_are_there_are_not_sent_again(self, remote: Remote, store: Store) -> None:
        revision = keep(store, FILES)
        tables = keep_tables(store, TABLES)
        push(store, remote, PACKAGE, draft(revision, tables=tables))
        reader = store.reader(PACKAGE, revision)
        upload = remote.upload(PACKAGE, revision, store.read_small(PACKAGE, revision), reader)
        try:
            upload.pages()
            found = upload.missing(tables)
            assert (set(), {}) == (found.small, found.large)
            more = keep_tables(store, {"cells": b"PAR1 more PAR1"})
            found = upload.missing(tables | more)
            assert ({more["cells"].digest}, {}) == (found.small, found.large)
        finally:
            upload.close()

    def test_a_table_that_is_an_entry_too_is_sent_once(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        files = {"small": b"x", "large": LARGE, "huge": HUGE}
        revision = keep(store, files)
        tables = keep_tables(store, files)
        sent: list[object] = []
        push(store, remote, PACKAGE, draft(revision, tables=tables), watch=sent.append)
        total = sum(map(len, files.values()))
        assert (total, total) == (sent[-1].done, sent[-1].total)  # type: ignore[attr-defined]
        assert contents(other, install(other, remote)) == files
        assert tables == fetch_tables(other, remote, PACKAGE, tables)

    def test_a_record_does_not_name_tables_that_were_not_sent(
        self, remote: Remote, store: Store
    ) -> None:
        kept = push_files(store, remote)
        revision = kept.record.revision
        tables = keep_tables(store, TABLES)
        reader = store.reader(PACKAGE, revision)
        upload = remote.upload(PACKAGE, revision, store.read_small(PACKAGE, revision), reader)
        try:
            upload.pages()
            upload.missing()
            with pytest.raises(Damaged):
                upload.append(event("tables", revision=revision, tables=tables))
        finally:
            upload.close()
        assert kept == remote.newest(PACKAGE)

    def test_a_table_that_cannot_be_had_keeps_no_other_back(
        self, remote: Remote, store: Store, other: Store
    ) -> None:
        revision = keep(store, FILES)
        tables = keep_tables(store, TABLES)
        push(store, remote, PACKAGE, draft(revision, tables=tables))
        lost = {"lost": Table(ABSENT, 5), "gone": Table(digest_of(b"gone"), 1 << 20)}
        told: list[Progress | Said] = []
        assert tables == fetch_tables(other, remote, PACKAGE, lost | tables, told.append)
        said = [one.text for one in told if isinstance(one, Said)]
        assert ["lost", "gone"] == [text.split()[2] for text in said]

    def test_errors_are_of_our_tree_and_say_what_to_do(self, remote: Remote) -> None:
        with pytest.raises(CellbankError) as caught:
            remote.newest(PACKAGE)
        assert caught.value.advice
        assert msgspec.to_builtins(list(caught.value.args))
