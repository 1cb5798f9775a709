"""The golden files: what was written once is read for ever, and written the same again."""

import shutil
from pathlib import Path

import pytest

from cellbank.model import canonical
from cellbank.model.changes import compare
from cellbank.model.digest import PIECE_BYTES, digest_of
from cellbank.model.log import decode_record, record_number
from cellbank.model.manifest import Manifest, ManifestReader, check_manifest
from cellbank.model.names import path_problems
from cellbank.model.reference import Package
from cellbank.model.want import Want
from cellbank.storage.local import LocalBucket
from cellbank.storage.packs import RAW, TRAILER_BYTES, ZSTD, PackIndex, read_pack
from cellbank.storage.place import Place
from cellbank.storage.store import Store
from tests.golden import make

HERE = Path(__file__).parent
PACKAGE = Package.parse(make.PACKAGE)
# Pinned here as well, so that no change of files and code together goes unnoticed.
PAGES = "49c42d36410b7e12d5c2897700303f4367143d426435ca750d18d95cea4dec74"
ODD = "20b97bb5a8d59b22861c212812383274bd2e3a7ae0808a06c040d693cb9cf8cb"
LAST_RECORD = "f428e54e17be77d1017720d42d74986fa42111b675d14f2a69433db207743968"


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    shutil.copytree(HERE / "place", tmp_path / "store")
    return Store.at(str(tmp_path / "store"))


def test_the_pages_are_read_and_written_again_byte_by_byte() -> None:
    files = files_below(HERE / "pages")
    header = files.pop("header")
    assert PAGES == digest_of(header)
    made = check_manifest(header, files.__getitem__)
    again = make.pages()
    assert (header, files) == (again.data, again.pages)
    assert [100, 30] == [page.count for page in made.header.pages]


def test_everything_in_the_place_but_packs_is_written_again_byte_by_byte() -> None:
    files = {k: d for k, d in files_below(HERE / "place").items() if "/packs/" not in k}
    assert files == make.place()
    assert ODD == make.odd().revision
    assert LAST_RECORD == make.records()[-1].digest


def test_the_pack_is_read() -> None:
    pack = (HERE / "sample.pack").read_bytes()
    assert make.pack_objects() == dict(read_pack(pack, "the golden pack"))
    tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], "the golden pack")
    index = PackIndex.parse(pack[-tail:], "the golden pack")
    codecs = {index.block(number, "")[3] for number in range(index.blocks())}
    assert {RAW, ZSTD} == codecs
    assert digest_of(b"") in set(index.digests())


def test_every_pack_of_the_place_is_whole_and_has_its_name() -> None:
    packs = files_below(HERE / "place" / "packages" / make.PACKAGE / "packs")
    assert 3 == len(packs)
    for name, pack in packs.items():
        assert name == digest_of(pack)
        assert dict(read_pack(pack, name))


def test_the_log_is_one_chain_and_says_what_it_said() -> None:
    place = Place.open(LocalBucket(str(HERE / "place")))
    records = list(place.records(PACKAGE))
    assert make.records() == records[::-1]
    assert [PACKAGE] == place.packages()
    state = records[0].record.state
    first, second = Manifest.of([]).revision, make.odd().revision
    assert second == state.latest
    assert {"paper": second} == state.tags
    assert {"1.0": first, "2.0rc1": second} == state.versions
    assert {"1.0": "it is empty"} == state.yanked
    assert state.frozen
    for name, data in files_below(HERE / "place/packages" / make.PACKAGE / "log").items():
        assert record_number(name) == decode_record(data).record.number


def test_every_entry_of_the_store_is_read(store: Store) -> None:
    installed = store.need_installed(PACKAGE)
    assert (make.REMOTE_ID, Want()) == (installed.remote, installed.want)
    seen = store.seen(make.REMOTE_ID, PACKAGE)
    assert seen is not None
    assert (installed.number, installed.record) == (seen.number, seen.digest)
    reader = store.reader(PACKAGE, installed.revision)
    expected = make.entries()
    assert [entry for _, (entry, _) in sorted(expected.items())] == list(reader)
    for entry, data in expected.values():
        if entry.pieces is None:
            assert data == store.read_small(PACKAGE, entry.digest)
    assert {} == path_problems(expected)
    assert {digest_of(b"gone")} == store.condemned()
    assert store.is_public(PACKAGE)


def test_metadata_is_read_as_it_was_meant(store: Store) -> None:
    reader = store.reader(PACKAGE, make.odd().revision)
    entry = reader.find("µm/é.json")
    assert entry is not None
    meta = entry.meta or {}
    expected = [0, -1, 0.1, 1.5, 0, 100, 1e-6, 1e-7, 1e21, 5e-324, 2**53 - 1, -(2**53) + 1]
    assert expected == meta["numbers"]
    assert {"pixel_µm": 0.108333, "none": None, "yes": True, "no": False, "empty": [{}, []]} == (
        meta["more"]
    )
    assert list(meta) == sorted(meta, key=str.encode)
    assert canonical.encode(meta) == canonical.check_meta(meta, "it")


def test_the_tree_of_the_store_is_in_the_order_of_bytes(store: Store) -> None:
    reader = store.reader(PACKAGE, make.odd().revision)
    groups, names = reader.children("")
    assert ["a", "d", "µm", "日本"] == groups
    assert ["-rf", "README.md", "a-b", "a.b", "a0", "big.tif"] == names[:6]
    assert ["a/b"] == [entry.path for entry in reader.under("a")]
    part = store.reader(PACKAGE, make.subset().revision)
    changes = compare(part, reader)
    assert ({"a-b", "a.b", "a/b", "a0"}, []) == ({e.path for e in part}, changes.removed)


def test_the_large_object_fits_its_digest_and_its_pieces(store: Store) -> None:
    entry = store.reader(PACKAGE, make.odd().revision).find("big.tif")
    assert entry is not None
    assert entry.pieces is not None
    data, pieces = make.big(), store.read_small(PACKAGE, entry.pieces)
    assert (entry.size, entry.digest) == (len(data), digest_of(data))
    assert 32 * 9 == len(pieces)
    for number in range(9):
        piece = data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
        assert pieces[number * 32 : number * 32 + 32].hex() == digest_of(piece)
    assert store.file_of(PACKAGE, entry) is None
    batch = store.files.batch()
    batch.add(make.big_key(), data)
    batch.commit()
    batch.abandon()
    path = store.file_of(PACKAGE, entry)
    assert path is not None
    assert data == Path(path).read_bytes()


def test_a_manifest_is_received_from_the_store_as_a_stranger_would(store: Store) -> None:
    for made in (make.odd(), make.subset(), Manifest.of([])):
        again = check_manifest(
            store.read_small(PACKAGE, made.revision),
            lambda digest: store.read_small(PACKAGE, digest),
        )
        assert made.data == again.data
        assert len(list(ManifestReader(made.header, made.pages.__getitem__))) == made.header.entries


def test_writing_them_all_again_gives_files_that_are_read(tmp_path: Path) -> None:
    make.write(tmp_path)
    made, kept = files_below(tmp_path), files_below(HERE)
    for key, data in made.items():
        if "/packs/" not in key and not key.endswith(".pack"):
            assert kept[key] == data
    assert make.pack_objects() == dict(read_pack(made["sample.pack"], "a new pack"))
