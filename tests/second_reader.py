"""A second reader of the formats, written from docs/formats.md alone, with none of our code."""

import json
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

MIB = 1 << 20
MOST = 2**53 - 1
LAST = 999_999_999_999
MAGIC = b"cellpak1"
DEVICES = {"con", "aux", "nul", "prn"} | {port + n for port in ("com", "lpt") for n in "123456789"}
WORDS = """False None True and as assert async await break class continue def del elif else except
    finally for from global if import in is lambda nonlocal not or pass raise return try while
    with yield _ case match type admin api account assets data docs health healthz help login
    logout metrics new openapi org search settings static system user users www"""
RESERVED = DEVICES.union(WORDS.split())
NAME = re.compile("[a-z][a-z0-9_]{0,63}")
BAD_CHARACTER = re.compile(r'[\\:?*"<>|\x00-\x1f\x7f-\x9f]')
NUMBER = "(?:0|[1-9][0-9]*)"
VERSION = re.compile(
    rf"((?:[1-9][0-9]*!)?{NUMBER}(?:\.{NUMBER})*)((?:(?:a|b|rc){NUMBER})?(?:\.post{NUMBER})?"
    rf"(?:\.dev{NUMBER})?(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?)"
)


def need(true: bool, what: str) -> None:
    if not true:
        raise ValueError(what)


def digest_of(data: bytes) -> str:
    return blake3(data).hexdigest()


# Canonical JSON


def spell(value: Any, level: int = 0) -> str:
    """Spell a JSON value in the one canonical way."""
    need(level <= 64, "nested too deeply")
    if isinstance(value, dict):
        pairs = (f"{spell(key)}:{spell(value[key], level + 1)}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spell(each, level + 1) for each in value) + "]"
    if isinstance(value, float):
        return spell_float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        need(abs(value) <= MOST, f"integer out of range: {value}")
    return json.dumps(value, ensure_ascii=False)


def spell_float(value: float) -> str:
    need(math.isfinite(value), "not a number of JSON")
    if value.is_integer() and abs(value) < 1e21:
        return spell(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if value.is_integer() or point < -5:
        text = text[0] + ("." + text[1:] if text[1:] else "") + f"e{point - 1:+d}"
    elif point <= 0:
        text = "0." + "0" * -point + text
    else:
        text = text[:point] + "." + text[point:]
    return "-" * sign + text


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len(dict(pairs)) == len(pairs), "a key occurs twice")
    return dict(pairs)


def decode(data: bytes) -> Any:
    """Parse a document, and refuse any spelling of it but the canonical one."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique)
        need(spell(value).encode() == data, "not canonical JSON")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


# Documents: fields and their types; those with a question mark may be left out

DIGEST, ID = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")
HEADER = "bytes:size entries:count format:one kind:kind pages:objects"
PAGE = "bytes:size count:few digest:digest first:text"
ENTRY = "digest:digest filename:text? meta:object? path:text pieces:digest? size:size"
PLACE = "format:one id:id read:texts write:texts"
RECORD = (
    "author:text? base:digest? derived_from:object? event:text expect:text? format:one "
    "history:digest? message:text? name:text? nonce:id number:number package:package "
    "packs:digests? previous:digest? revision:digest? state:object? tables:tables? time:text?"
)
STATE = (
    "deleted:bool? frozen:bool? gone:text_of? latest:digest? moved_to:package? "
    "tags:digest_of? versions:digest_of? yanked:text_of?"
)
TABLE = "digest:digest size:gib writer:text?"
SEEN = "digest:digest number:number state:object"
HISTORY = "earlier:digest? format:one records:objects"
INSTALLED = (
    "address:text? earlier:digests? format:one number:number? package:package record:digest? "
    "remote:id revision:digest tables:tables? want:want"
)
DEFAULTS = {"bool": False, "number": 0, "object": {}, "digests": []}
DEFAULTS |= {kind: {} for kind in ("digest_of", "tables", "text_of")}


def integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def array(of: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(CHECKS[of], value))


def values(of: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(CHECKS[of], value.values()))


def are_tables(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > 64 or not all(map(NAME.fullmatch, value)):
        return False
    return all(fill(table, TABLE) for table in value.values())


def is_package(text: Any) -> bool:
    names = text.split("/") if isinstance(text, str) else []
    fit = [name for name in names if NAME.fullmatch(name) and name not in RESERVED]
    return len(names) == len(fit) == 2


CHECKS: dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "digest": lambda value: isinstance(value, str) and DIGEST.fullmatch(value) is not None,
    "id": lambda value: isinstance(value, str) and ID.fullmatch(value) is not None,
    "kind": lambda value: value in ("files", "cell_lines"),
    "want": lambda value: value in ("all", "metadata") or isinstance(value, dict),
    "one": integer(1, 1),
    "few": integer(1, 4096),
    "count": integer(0, 10_000_000),
    "number": integer(0, LAST),
    "size": integer(0, MOST),
    "gib": integer(0, 1024 * MIB),
    "package": is_package,
    "digests": array("digest"),
    "objects": array("object"),
    "texts": array("text"),
    "digest_of": values("digest"),
    "tables": are_tables,
    "text_of": values("text"),
}


def fill(document: Any, fields: str, *, strict: bool = False) -> dict[str, Any]:
    """Check the fields of a document, and add those that were left out."""
    need(isinstance(document, dict), "not an object")
    found = dict(document)
    for name, kind in (field.split(":") for field in fields.split()):
        default = DEFAULTS.get(kind[:-1], "")
        if name in document:
            fits = CHECKS[kind.rstrip("?")](document[name])
            need(fits and (kind[-1] != "?" or document[name] != default), f"{name} is wrong")
        else:
            need(kind[-1] == "?", f"{name} is missing")
            found[name] = default
    need(not strict or len(found) == len(fields.split()), "an unknown field")
    return found


# Manifests


def check_path(path: str) -> None:
    parts = path.split("/")
    need(len(path.encode()) <= 1024 and len(parts) <= 64, f"path too long: {path!r}")
    need(BAD_CHARACTER.search(path) is None, f"bad character: {path!r}")
    for part in parts:
        need(1 <= len(part.encode()) <= 255 and part not in (".", ".."), f"bad part: {path!r}")
        need(part[0] != " " and part[-1] not in " .", f"space or dot at an end: {path!r}")
        need(part.split(".")[0].rstrip(" ").lower() not in DEVICES, f"a device: {path!r}")


def levels(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


def read_entry(line: bytes) -> dict[str, Any]:
    entry = fill(decode(line), ENTRY, strict=True)
    check_path(entry["path"])
    need(entry["filename"] != entry["path"].split("/")[-1], "the default filename was written")
    need(len(spell(entry["meta"]).encode()) <= 65_536 and levels(entry["meta"]) <= 32, "meta")
    need((entry["size"] > 8 * MIB) == (entry["pieces"] != ""), "pieces and size")
    return entry


def cut(lines: Iterable[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """Cut the entries, (path, line) in order, into pages."""
    pages: list[list[tuple[str, bytes]]] = []
    size, full = 0, True
    for path, line in lines:
        if full or size + len(line) > 4 * MIB:
            pages.append([])
            size = 0
        pages[-1].append((path, line))
        size += len(line)
        count = len(pages[-1])
        full = count == 4096 or (count >= 64 and zlib.crc32(path.encode()) % 512 == 0)
    return pages


def read_manifest(revision: str, get: Callable[[str], bytes]) -> list[dict[str, Any]]:
    """Read the entries of a revision; ``get`` returns the checked bytes of a digest."""
    head = fill(decode(get(revision)), HEADER, strict=True)
    told = [fill(page, PAGE, strict=True) for page in head["pages"]]
    need(sum(page["count"] for page in told) == head["entries"], "the counts do not add up")
    entries, lines = [], []
    for page in told:
        data = get(page["digest"])
        need(len(data) == page["bytes"] and data.endswith(b"\n"), "length of a page")
        for line in data[:-1].split(b"\n"):
            entries.append(read_entry(line))
            lines.append((entries[-1]["path"], line + b"\n"))
    paths = [path for path, _ in lines]
    need(all(a.encode() < b.encode() for a, b in pairwise(paths)), "order of paths")
    again = [(page[0][0], len(page), b"".join(line for _, line in page)) for page in cut(lines)]
    pages = [
        {"bytes": len(data), "count": count, "digest": digest_of(data), "first": first}
        for first, count, data in again
    ]
    total = sum(entry["size"] for entry in entries)
    need({**head, "bytes": total, "pages": pages} == head, "the header does not fit the entries")
    return entries


# Packs

Block = tuple[int, int, int, int, bytes]  # offset, length, plain length, codec, zero
Item = tuple[int, int, bytes]  # offset, length, digest


def read_pack(data: bytes) -> dict[str, bytes]:
    """Check everything about a whole pack; return its objects."""
    need(60 <= len(data) <= 16 * MIB and data[:8] == MAGIC == data[-8:], "not a pack")
    version, table, index = struct.unpack("<III", data[-52:-40])
    need(version == 1 and table % 16 == 0 and index % 44 == 0, "trailer")
    start = len(data) - 52 - table - index
    need(start >= 8 and index // 44 <= 16_384, "too long a table")
    need(blake3(data[start:-52]).digest() == data[-40:-8], "digest of table and index")
    blocks = list(struct.iter_unpack("<IIIB3s", data[start : start + table]))
    items = list(struct.iter_unpack("<32sIII", data[start + table : -52]))
    need(all(a[0] < b[0] for a, b in pairwise(items)), "order of the index")
    inside: list[list[Item]] = [[] for _ in blocks]
    for digest, block, offset, length in items:
        need(block < len(blocks), "no such block")
        inside[block].append((offset, length, digest))
    check_layout(blocks, inside, start)
    objects: dict[str, bytes] = {}
    for block, held in zip(blocks, inside, strict=True):
        plain = unpack(data, block)
        objects |= {d.hex(): plain[offset : offset + length] for offset, length, d in held}
    need(all(digest_of(each) == digest for digest, each in objects.items()), "digest of an object")
    return objects


def check_layout(blocks: list[Block], inside: list[list[Item]], end: int) -> None:
    """Check that there is no byte that belongs to nothing, before anything is decompressed."""
    at = 8
    for (offset, length, plain, codec, zero), held in zip(blocks, inside, strict=True):
        need(offset == at and codec in (0, 1) and zero == bytes(3), "block table")
        at += length
        need(plain <= MIB // 2 or (len(held) == 1 and plain <= 4 * MIB), "a block too long")
        need((length == plain if codec == 0 else plain > 0) and len(held) > 0, "lengths of a block")
        inner = 0
        for begin, size, _ in sorted(held):
            need(begin == inner, "a gap in a block")
            inner += size
        need(inner == plain, "a block is longer than its objects")
    need(at == end, "a gap between blocks")


def unpack(data: bytes, block: Block) -> bytes:
    offset, length, plain, codec, _ = block
    raw = data[offset : offset + length]
    if codec == 0:
        return raw
    need(raw[:4] == bytes.fromhex("28b52ffd"), "not a zstd frame")
    try:
        frame = zstandard.get_frame_parameters(raw)
        need(frame.content_size == plain and frame.dict_id == 0, "another size, or a dictionary")
        need(frame.window_size <= 8 * MIB, "window")
        out = zstandard.ZstdDecompressor().decompress(raw, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"zstd: {error}") from error
    need(len(out) == plain, "plain length")
    return out


# Places


def load(file: Path, most: int = MOST) -> bytes:
    need(file.is_file() and file.stat().st_size <= most, f"{file} is missing, or too long")
    return file.read_bytes()


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder whose names fit, in order; other names are passed over."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in found if re.fullmatch(pattern, file.name))


def release(version: str) -> str:
    """Return what equal versions have in common: no trailing zeros in the release."""
    match = VERSION.fullmatch(version)
    need(match is not None and len(version) <= 64, f"not a version: {version}")
    return re.sub(r"(\.0)+$", "", match[1]) + match[2]


class Place:
    """A folder that is a place: a remote to push to, or a user's store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = fill(decode(load(folder / "format.json")), PLACE)
        need(about["read"] == [], f"unknown features: {about['read']}")
        self.id = about["id"]

    def packages(self) -> list[str]:
        """Return every package that has a log here."""
        logs = sorted(self.folder.glob("packages/*/*/log"))
        names = (f"{log.parent.parent.name}/{log.parent.name}" for log in logs)
        return [name for name in names if is_package(name) and self.keys(name)]

    def keys(self, package: str) -> list[Path]:
        """Return the files of a log, newest record first."""
        return files(self.folder / "packages" / package / "log", "[0-9]{12}")

    def records(self, package: str) -> list[dict[str, Any]]:
        """Return the records of a log, oldest first, when the chain holds."""
        keys, records, previous = self.keys(package), [], ""
        need(len(keys) > 0, f"{package} has no log here")
        for number, key in enumerate(reversed(keys)):
            data = load(key)
            record = fill(decode(data), RECORD)
            record["state"] = fill(record["state"], STATE)
            need(record["number"] == number == LAST - int(key.name), f"{key} is not {number}")
            need(record["package"] == package, f"{key} is of {record['package']}")
            need(record["previous"] == previous, f"{key} does not follow the record before")
            for version in record["state"]["versions"]:
                release(version)
            previous = digest_of(data)
            records.append(record)
        return records

    def check_seen(self, remote: "Place", package: str) -> None:
        """Check that a remote shows what this store saw there, or what came after it."""
        seen = fill(decode(load(self.folder / "remotes" / remote.id / package)), SEEN)
        last = len(remote.records(package)) - 1
        need(seen["number"] <= last, f"{package} is older than what was seen")
        data = load(remote.keys(package)[last - seen["number"]])
        need(digest_of(data) == seen["digest"], f"{package} is not what was seen")
        need(decode(data).get("state", {}) == seen["state"], f"{package}: another state")

    def check_history(self, package: str) -> int:
        """Check the history objects of a log; return how many there are."""
        data = [decode(load(key)) for key in reversed(self.keys(package))]
        get, found, earlier = self.getter(package), 0, ""
        for number, record in enumerate(self.records(package)):
            need((record["history"] != "") == (number > 0 and number % 256 == 0), "history")
            if record["history"]:
                history = fill(decode(get(record["history"])), HISTORY)
                need(history["records"] == data[number - 256 : number], "records of a history")
                need(history["earlier"] == earlier, "earlier history")
                earlier, found = record["history"], found + 1
        return found

    def resolve(self, package: str, qualifier: str = "") -> str:
        """Return the revision of ``""``, ``":tag"``, ``"==version"`` or ``"@prefix"``."""
        records = self.records(package)
        state = records[-1]["state"]
        need(not state["deleted"], f"{package} is deleted")
        found = set()
        if qualifier in ("", ":latest"):
            found = {state["latest"]} - {""}
        elif qualifier[0] == ":":
            found = {state["tags"][tag] for tag in [qualifier[1:]] if tag in state["tags"]}
        elif qualifier.startswith("=="):
            wanted = release(qualifier[2:])
            found = {to for name, to in state["versions"].items() if release(name) == wanted}
        elif re.fullmatch("@[0-9a-f]{6,64}", qualifier):
            revisions = {record["revision"] for record in records}
            found = {each for each in revisions if each.startswith(qualifier[1:])}
        need(len(found) == 1, f"{package}{qualifier} names {len(found)} revisions")
        return found.pop()

    def tables(self, package: str, revision: str) -> dict[str, bytes]:
        """Return the bytes of the tables of a revision: as installed, else as the log names."""
        records = self.records(package) if self.keys(package) else []
        named = [r["tables"] for r in records if r["revision"] == revision]
        if (self.folder / "pkgs" / package).exists():
            here = self.installed(package)
            named += [here["tables"]] if here["revision"] == revision else []
        get, found = self.getter(package), {}
        for kind, table in [each for each in named if each][-1].items():
            found[kind] = get(table["digest"])
            need(len(found[kind]) == table["size"], f"the table {kind}: size")
        return found

    def installed(self, package: str) -> dict[str, Any]:
        """Return the document of what is installed."""
        document = fill(decode(load(self.folder / "pkgs" / package)), INSTALLED)
        need(document["package"] == package, f"{package} says it is {document['package']}")
        return document

    def getter(self, package: str) -> Callable[[str], bytes]:
        """Return a function that looks for an object in all packs, then among large objects."""
        packed: dict[str, bytes] = {}
        for file in files(self.folder / "packages" / package / "packs", "[0-9a-f]{64}"):
            data = load(file, 16 * MIB)
            need(digest_of(data) == file.name, f"{file} is not what its name says")
            packed |= read_pack(data)

        def get(digest: str) -> bytes:
            if digest in packed:
                return packed[digest]
            file = self.folder / "objects" / digest[:2] / digest
            data = load(file)
            need(digest_of(data) == digest, f"{file} is not what its name says")
            return data

        return get

    def read(self, package: str, revision: str) -> dict[str, bytes]:
        """Return path -> bytes of a whole revision, all of it checked."""
        get = self.getter(package)
        contents = {}
        for entry in read_manifest(revision, get):
            data = contents[entry["path"]] = get(entry["digest"])
            need(len(data) == entry["size"], f"{entry['path']}: size")
            if entry["pieces"]:
                cuts = (data[at : at + MIB] for at in range(0, len(data), MIB))
                pieces = b"".join(blake3(piece).digest() for piece in cuts)
                need(get(entry["pieces"]) == pieces, f"{entry['path']}: list of pieces")
        return contents
