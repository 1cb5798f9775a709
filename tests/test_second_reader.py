"""A reader that knows only docs/formats.md reads what cellbank wrote, and the other way round."""

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from blake3 import blake3

import cellbank
from cellbank.model.reference import Package
from cellbank.storage.store import Store
from tests.second_reader import LAST, MIB, Place, decode, digest_of, read_manifest, read_pack, spell
from tests.storage.making import add_tables

GOLDEN = Path(__file__).parent / "golden"
SMALL = {
    "a.txt": b"hello\n",
    "b/none": b"",
    "c.bin": bytes(range(256)) * 600,
    "d.md": b"word " * 99,
}
BIG = {"movie.raw": blake3(b"movie").digest(8 * MIB + 1), "eight.raw": bytes(8 * MIB)}
ODD = {
    "µm/é ü.txt": b"1",
    "日本/細胞 1.csv": b"2,3\n",
    "😀/x": b"",
    "\uffee/y": b"after U+1F600 in UTF-16, before it in UTF-8",
    "/".join("abcdefghij" * 6) + "/deep": b"deep",
    "n" * 255: b"long",
    "\u0131 i/K-k": b"3",
    "%41&#;'~$^!()[]{}@=+,": b"4",
    "..three": b"5",
    "a b/con_": b"6",
    "A.JSON": b"{}",
    "aa": b"7",
    "a.b": b"8",
    "a/b.txt": b"9",
}
PAGES = {f"fovs/{number:05}.txt": b"%d" % (number % 7) for number in range(2500)}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def build(tmp_path: Path, files: dict[str, bytes], message: str = "") -> str:
    folder = tmp_path / "files"
    shutil.rmtree(folder, ignore_errors=True)
    return cellbank.build("lab/x", write(folder, files), message=message).revision


def read_all(folder: Path) -> dict[str, dict[str, bytes]]:
    """Read every revision that any log of a place tells of."""
    place, found = Place(folder), {}
    for package in place.packages():
        place.check_history(package)
        for record in place.records(package):
            if record["revision"]:
                found[record["revision"]] = place.read(package, record["revision"])
    return found


@pytest.fixture
def pushed(tmp_path: Path) -> Path:
    """Return a folder to which two revisions were pushed, then a tag and a version set."""
    for message, files in ("one", SMALL), ("two", {**SMALL, "a.txt": b"other\n"}):
        revision = build(tmp_path, files, message)
        cellbank.push("lab/x", to=str(tmp_path / "remote"))
    cellbank.tag("lab/x", "good", revision)
    cellbank.version("lab/x", "1.0", revision)
    return tmp_path / "remote"


@pytest.mark.parametrize(
    "files", [{}, SMALL, BIG, ODD, PAGES], ids=["none", "small", "big", "odd", "pages"]
)
def test_what_was_built_and_pushed_is_read_back(
    files: dict[str, bytes], tmp_path: Path, own_home: Path
) -> None:
    if files:
        revision = build(tmp_path, files)
    else:
        (tmp_path / "files").mkdir()
        revision = cellbank.build("lab/x", tmp_path / "files", allow_empty=True).revision
    cellbank.push("lab/x", to=str(tmp_path / "remote"))
    for folder in own_home, tmp_path / "remote":
        place = Place(folder)
        assert ["lab/x"] == place.packages()
        assert revision == place.resolve("lab/x")
        assert files == place.read("lab/x", revision)


def test_many_entries_stand_on_several_pages(tmp_path: Path, own_home: Path) -> None:
    revision = build(tmp_path, PAGES)
    header = decode(Place(own_home).getter("lab/x")(revision))
    assert 2500 == header["entries"]
    assert len(header["pages"]) > 1


def test_the_real_images_are_read_back_byte_for_byte(
    shared_data: Path, tmp_path: Path, own_home: Path
) -> None:
    folder = shared_data / "images"
    revision = cellbank.build("lab/x", folder).revision
    cellbank.push("lab/x", to=str(tmp_path / "remote"))
    expected = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
    assert len(expected) > 3
    assert expected == Place(own_home).read("lab/x", revision)
    assert expected == Place(tmp_path / "remote").read("lab/x", revision)


def test_every_revision_tag_and_version_is_found(pushed: Path) -> None:
    place = Place(pushed)
    first, second, tag, version = place.records("lab/x")
    assert ["push", "push", "tag", "version"] == [
        record["event"] for record in (first, second, tag, version)
    ]
    assert "two" == second["message"]
    assert SMALL == place.read("lab/x", place.resolve("lab/x", f"@{first['revision'][:6]}"))
    for qualifier in "", ":latest", ":good", "==1.0", f"@{second['revision']}":
        assert second["revision"] == place.resolve("lab/x", qualifier)
    for qualifier in ":bad", "==2.0", "==v1", "@000000", "@abc", "?":
        with pytest.raises(ValueError, match=r"lab/x|not a version"):
            place.resolve("lab/x", qualifier)


def test_the_store_says_what_is_installed_and_what_it_saw(pushed: Path, own_home: Path) -> None:
    store, remote = Place(own_home), Place(pushed)
    installed = store.installed("lab/x")
    newest = remote.records("lab/x")[-1]
    assert (remote.id, newest["revision"], "all") == tuple(
        installed[name] for name in ("remote", "revision", "want")
    )
    store.check_seen(remote, "lab/x")
    remote.keys("lab/x")[0].unlink()
    with pytest.raises(ValueError, match="older"):
        store.check_seen(remote, "lab/x")


def test_tables_are_read_where_they_were_built_pushed_and_installed(
    pushed: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"fovs": b"PAR1 fovs PAR1", "wells": b"PAR1" + bytes(200_000)}
    package = Package("lab", "x")
    add_tables(Store.at(str(own_home)), {"fovs": b"PAR1 older PAR1"}, package)
    add_tables(Store.at(str(own_home)), tables, package)
    cellbank.push("lab/x", to=str(pushed))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    cellbank.install("lab/x", from_=str(pushed))
    for folder in own_home, pushed, tmp_path / "other":
        assert tables == Place(folder).tables("lab/x", Place(pushed).resolve("lab/x"))


def test_what_another_user_installed_is_read(
    pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "theirs"))
    cellbank.install("lab/x:good", from_=str(pushed))
    theirs, remote = Place(tmp_path / "theirs"), Place(pushed)
    installed = theirs.installed("lab/x")
    assert [] == theirs.packages()
    assert digest_of(remote.keys("lab/x")[0].read_bytes()) == installed["record"]
    assert len(remote.records("lab/x")) - 1 == installed["number"]
    revision = remote.resolve("lab/x")
    assert remote.read("lab/x", revision) == theirs.read("lab/x", installed["revision"])


def test_the_histories_of_a_long_log_fit(pushed: Path) -> None:
    revisions = [record["revision"] for record in Place(pushed).records("lab/x")[:2]]
    for number in range(512 - 4 + 1):
        cellbank.tag("lab/x", "good", revisions[number % 2], to=str(pushed))
    assert 2 == Place(pushed).check_history("lab/x")


def files_of(folder: Path, kind: str) -> list[Path]:
    """Return the files of which every bit is covered by a digest."""
    if kind == "record":
        return Place(folder).keys("lab/x")[1:]  # the newest one is covered by what others saw of it
    pattern = {"pack": "packages/*/*/packs/*", "object": "objects/*/*"}[kind]
    return sorted(folder.glob(pattern))


def flipped(good: bytes) -> Iterator[bytes]:
    """Return the bytes with one bit turned over, many times, each time another one."""
    bits = len(good) * 8
    for bit in range(0, bits, bits // 40 | 1):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        yield bytes(bad)


@pytest.mark.parametrize("kind", ["record", "pack", "object"])
def test_a_flipped_bit_is_refused(kind: str, pushed: Path) -> None:
    read_all(pushed)
    files = files_of(pushed, kind)
    assert files
    for file in files:
        good = file.read_bytes()
        file.chmod(0o644)
        for bad in flipped(good):
            file.write_bytes(bad)
            with pytest.raises(ValueError, match=r"."):
                read_all(pushed)
        file.write_bytes(good)
    read_all(pushed)


def test_a_flipped_bit_of_the_newest_record_is_refused_by_who_saw_it(
    pushed: Path, own_home: Path
) -> None:
    store, remote = Place(own_home), Place(pushed)
    newest = remote.keys("lab/x")[0]
    for bad in flipped(newest.read_bytes()):
        newest.write_bytes(bad)
        with pytest.raises(ValueError, match=r"."):
            store.check_seen(remote, "lab/x")


@pytest.mark.parametrize("kind", ["record", "pack", "object"])
def test_a_missing_file_is_refused(kind: str, pushed: Path) -> None:
    files_of(pushed, kind)[0].unlink()
    with pytest.raises(ValueError, match=r"."):
        read_all(pushed)


def test_the_golden_places_are_read() -> None:
    places = [Place(file.parent) for file in GOLDEN.rglob("format.json")]
    packages = [(place, package) for place in places for package in place.packages()]
    if not packages:
        pytest.skip("there is no golden place")
    for place, package in packages:
        place.check_history(package)
        get = place.getter(package)
        for revision in {record["revision"] for record in place.records(package)} - {""}:
            for entry in read_manifest(revision, get):
                # The data of a large object are too many to be kept here; its list of pieces is.
                digest, length = entry["digest"], entry["size"]
                if entry["pieces"]:
                    digest, length = entry["pieces"], -(-entry["size"] // MIB) * 32
                assert length == len(get(digest))
        if (place.folder / "pkgs" / package).exists():
            assert place.installed(package)["revision"]


def test_the_golden_packs_and_pages_are_read() -> None:
    packs, headers = list(GOLDEN.rglob("*.pack")), list(GOLDEN.rglob("pages/header"))
    if not packs and not headers:
        pytest.skip("there are no golden packs and pages")
    for file in packs:
        assert read_pack(file.read_bytes())
    for file in headers:
        pages = {digest_of(each.read_bytes()): each.read_bytes() for each in file.parent.iterdir()}
        assert read_manifest(digest_of(file.read_bytes()), pages.__getitem__)


# What the document shows

A, EMPTY = digest_of(b"hello\n"), digest_of(b"")
PAGE = (
    f'{{"digest":"{A}","path":"a.txt","size":6}}\n'
    f'{{"digest":"{EMPTY}","meta":{{"big":1e+21,"n":1.5,"t":true,"unit":"µm"}},'
    '"path":"b/empty.json","size":0}\n'
    f'{{"digest":"{A}","filename":"x:y","path":"b/x_y","size":6}}\n'
).encode()
REVISION = "47da3c5860d782598ac7f9489ae9285861eb98c104b9c47d1491fb219ef4339b"


def pack(*blocks: tuple[int, bytes, list[bytes]], zero: bytes = bytes(3)) -> bytes:
    """Make a pack from blocks of (codec, stored bytes, objects)."""
    data, table, index = b"cellpak1", b"", []
    for number, (codec, stored, objects) in enumerate(blocks):
        at = 0
        for each in objects:
            index.append(blake3(each).digest() + struct.pack("<III", number, at, len(each)))
            at += len(each)
        table += struct.pack("<IIIB3s", len(data), len(stored), at, codec, zero)
        data += stored
    tail = table + b"".join(sorted(index))
    lengths = struct.pack("<III", 1, len(table), len(tail) - len(table))
    return data + tail + lengths + blake3(tail).digest() + b"cellpak1"


def raw(*objects: bytes) -> tuple[int, bytes, list[bytes]]:
    return 0, b"".join(objects), list(objects)


def zstd(*objects: bytes, **options: Any) -> tuple[int, bytes, list[bytes]]:
    frame = zstandard.ZstdCompressor(**options).compress(b"".join(objects))
    return 1, frame, list(objects)


def by_hand(folder: Path, page: bytes, header: bytes) -> str:
    """Make a place of one package with one page; return the revision."""
    revision = digest_of(header)
    data = pack(raw(b"", b"hello\n"), zstd(page, header))
    record = {
        "event": "push", "format": 1, "nonce": "00112233445566778899aabbccddeeff", "number": 0,
        "package": "aics/demo", "revision": revision, "state": {"latest": revision},
    }  # fmt: skip
    about = {"format": 1, "id": "8f14e45fceea167a5a36dedd4bea2543", "read": [], "write": []}
    files = {
        "format.json": spell(about).encode(),
        f"packages/aics/demo/packs/{digest_of(data)}": data,
        f"packages/aics/demo/log/{LAST}": spell(record).encode(),
    }
    write(folder, files)
    return revision


def header_of(page: bytes, **changed: Any) -> bytes:
    entries = [json.loads(line) for line in page.split(b"\n") if line]
    told = {
        "bytes": len(page), "count": len(entries),
        "digest": digest_of(page), "first": entries[0]["path"],
    }  # fmt: skip
    total = sum(entry["size"] for entry in entries)
    header = {"bytes": total, "entries": len(entries), "format": 1, "kind": "files"}
    return spell({**header, "pages": [told], **changed}).encode()


def test_cellbank_installs_a_place_written_by_hand(tmp_path: Path, own_home: Path) -> None:
    remote = tmp_path / "remote"
    assert REVISION == by_hand(remote, PAGE, header_of(PAGE))
    expected = {"a.txt": b"hello\n", "b/empty.json": b"", "b/x_y": b"hello\n"}
    assert expected == Place(remote).read("aics/demo", REVISION)
    assert REVISION == cellbank.install("aics/demo", from_=str(remote)).revision
    assert expected == Place(own_home).read("aics/demo", REVISION)


def entry(path: str = "a", **fields: Any) -> bytes:
    return spell({"digest": EMPTY, "path": path, "size": 0, **fields}).encode() + b"\n"


def nested(levels: int) -> Any:
    return {"in": nested(levels - 1)} if levels > 1 else {"n": 1}


PAGE_END = "fovs/0711"  # its crc32 is 0 modulo 512
BEFORE = b"".join(entry(f"a{number:02}") for number in range(63))
GOOD_PAGES = [
    entry(),
    entry("...x"),
    entry("com0"),
    entry("x" * 255),
    entry("/".join(["x" * 255] * 4)),
    entry("/".join("a" * 64)),
    entry(meta={"a": None}),
    entry(meta=nested(32)),
    entry(meta={"a": "x" * (65_536 - 8)}),
    entry(filename="../\n\x00"),
    BEFORE + entry(PAGE_END),
    BEFORE[len(entry("a00")) :] + entry(PAGE_END) + entry("g"),
]
BAD_PAGES = [
    entry(unknown=1),
    entry(filename="a"),
    entry(filename=""),
    entry(meta={}),
    entry(meta=[1]),
    entry(meta=nested(33)),
    entry(meta={"a": "x" * (65_537 - 8)}),
    *(entry(path) for path in ("", ".", "a/..", "/a", "a/", "a//b", "a\\b", "a:b", "a\x9f")),
    *(entry(path) for path in (" a", "a ", "a.", "CON", "b/aux .ome.tif", "lpt9.x")),
    *(entry(path) for path in ("x" * 256, "é" * 128, "/".join("a" * 65))),
    entry("b") + entry("a"),
    entry("a") + entry("a"),
    entry(size=False),
    entry(pieces=EMPTY),
    entry(size=8 * MIB + 1),
    entry(digest=EMPTY.upper()),
    entry(digest=EMPTY[1:]),
    entry().replace(b'"path":', b'"path": '),
    entry().replace(b'"a"', b'"\\u0061"'),
    entry().replace(b'"size":0', b'"size":0,"size":0'),
    entry()[:-1],
    entry() + b"\n",
    BEFORE + entry(PAGE_END) + entry("g"),
]


@pytest.mark.parametrize("page", GOOD_PAGES, ids=range(len(GOOD_PAGES)))
def test_both_readers_accept_a_page_that_keeps_the_rules(page: bytes, tmp_path: Path) -> None:
    revision = by_hand(tmp_path, page, header_of(page))
    assert page.count(b"\n") == len(Place(tmp_path).read("aics/demo", revision))
    assert revision == cellbank.install("aics/demo", from_=str(tmp_path)).revision


@pytest.mark.parametrize("page", BAD_PAGES, ids=range(len(BAD_PAGES)))
def test_both_readers_refuse_a_page_that_breaks_a_rule(page: bytes, tmp_path: Path) -> None:
    refuse(tmp_path, page, header_of(page))


@pytest.mark.parametrize(
    "changed",
    [{"bytes": 1}, {"entries": 2}, {"kind": "other"}, {"format": 2}, {"x": 1}, {"pages": []}],
)
def test_both_readers_refuse_a_header_that_breaks_a_rule(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    refuse(tmp_path, entry(), header_of(entry(), **changed))


def refuse(folder: Path, page: bytes, header: bytes) -> None:
    revision = by_hand(folder, page, header)
    with pytest.raises(ValueError, match=r"."):
        Place(folder).read("aics/demo", revision)
    with pytest.raises(cellbank.CellbankError, match="one allowed form"):
        cellbank.install("aics/demo", from_=str(folder))


def test_the_packs_of_the_document() -> None:
    data = pack(raw(b"", b"hello\n"))
    assert 170 == len(data)
    assert digest_of(data).startswith("d50b82bd")
    assert digest_of(data).endswith("6e62")
    assert {EMPTY: b"", A: b"hello\n"} == read_pack(data)
    frame = bytes.fromhex("28b52ffd20c865000028746578742001004050450b")
    assert [b"text " * 40] == list(read_pack(pack((1, frame, [b"text " * 40]))).values())


HELLO = b"hello\n"
# A frame with a window of 16 MiB, the content size and one raw block.
WIDE = bytes.fromhex("28b52ffd8070") + struct.pack("<I", 6) + b"\x31\0\0" + HELLO
GOOD = pack(raw(HELLO))
SKIPPED = bytes.fromhex("502a4d1800000000")
BAD_PACKS = [
    (b"", "not a pack"),
    (GOOD[:-1], "not a pack"),
    (b"x" + GOOD[1:], "not a pack"),
    (GOOD[:-52] + b"\2" + GOOD[-51:], "trailer"),
    (GOOD[:-53] + b"x" + GOOD[-52:], "digest of table and index"),
    (GOOD[:14] + b"x" + GOOD[14:], "between blocks"),
    (pack((2, HELLO, [HELLO])), "block table"),
    (pack(raw(HELLO), zero=b"\1\0\0"), "block table"),
    (pack(raw(HELLO), raw()), "lengths of a block"),
    (pack(raw(HELLO), raw(HELLO)), "order of the index"),
    (pack((0, HELLO + b"x", [HELLO])), "lengths of a block"),
    (pack(zstd(b"")), "lengths of a block"),
    (pack((1, zstd(HELLO)[1] + b"x", [HELLO])), "unused data"),
    (pack((1, zstd(b"he")[1] + zstd(b"llo\n")[1], [HELLO])), "another size"),
    (pack((1, zstd(HELLO)[1] + zstd(b"")[1], [HELLO])), "unused data"),
    (pack((1, zstd(HELLO)[1] + SKIPPED, [HELLO])), "unused data"),
    (pack((1, SKIPPED + zstd(HELLO)[1], [HELLO])), "not a zstd frame"),
    (pack((1, HELLO, [HELLO])), "not a zstd frame"),
    (pack(zstd(HELLO, write_content_size=False)), "another size"),
    (pack((1, zstd(HELLO)[1], [HELLO + b"x"])), "another size"),
    (pack((1, WIDE, [HELLO])), "window"),
    (pack((0, b"jello\n", [HELLO])), "digest of an object"),
    (pack(raw(bytes(MIB // 2), b"x")), "a block too long"),
    (pack(zstd(bytes(4 * MIB + 1))), "a block too long"),
    (pack(*(raw(bytes([n]) * 4 * MIB) for n in range(4))), "not a pack"),
    (pack(raw(*(n.to_bytes(2, "big") for n in range(16_385)))), "too long a table"),
]


@pytest.mark.parametrize(("data", "why"), BAD_PACKS, ids=range(len(BAD_PACKS)))
def test_a_pack_that_breaks_a_rule_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_pack(data)


def test_packs_up_to_the_limits_are_read() -> None:
    for blocks in (
        [raw(bytes(MIB // 2))],
        [raw(bytes(4 * MIB))],
        [raw(*(n.to_bytes(2, "big") for n in range(16_384)))],
        [zstd(HELLO, write_checksum=True)],
        [(1, WIDE.replace(b"\x80\x70", b"\x80\x68"), [HELLO])],
        [raw(b"")],
    ):
        objects = sorted(each for _, _, held in blocks for each in held)
        assert objects == sorted(read_pack(pack(*blocks)).values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"), (-0.0, "0"), (4.5, "4.5"), (1e-6, "0.000001"), (1e-7, "1e-7"),
        (333333333.33333329, "333333333.3333333"), (1e23, "1e+23"), (5e-324, "5e-324"),
        (1e21, "1e+21"), (1.5e300, "1.5e+300"), (-1.25e-9, "-1.25e-9"),
        (0.1 + 0.2, "0.30000000000000004"),
        (2**53 - 1, "9007199254740991"), (123456.789, "123456.789"), (-0.00012, "-0.00012"),
        ({"é": 1, "a": 2, "😀": 3, "B": '\a"\\/'}, '{"B":"\\u0007\\"\\\\/","a":2,"é":1,"😀":3}'),
    ],
)  # fmt: skip
def test_the_spellings_of_the_document(value: Any, text: str) -> None:
    assert text == spell(value)
    assert text == spell(decode(text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        "1.0", "-0", "1e2", "1E+23", "9007199254740992", "9007199254740992.0", "NaN", "Infinity",
        "1e999", '{"a":1,"a":1}', '{"b":1,"a":1}', "[1, 2]", "[1]\n", '"\\/"', '"\\u0041"',
        '"\\ud800"', '"\\u001F"', "\ufeff1", "[" * 65 + "1" + "]" * 65, "[" * 9999, "",
    ],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text.encode())
