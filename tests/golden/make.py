"""Makes the golden files: examples of every format, written once, read by all later versions.

``python tests/golden/make.py`` writes them anew. Packs may then differ, because another version of
zstd compresses otherwise; all else must stay as it is, byte for byte.

::

    pages/header  pages/<digest>    the manifest of 130 entries, in two pages
    sample.pack                     raw and compressed blocks, and an object without bytes
    place/                          a user's store with one package of odd entries and its log
"""

import shutil
import sys
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import PieceHasher, digest_of
from cellbank.model.log import Derivation, Draft, Kept, Table, encode_record, next_record
from cellbank.model.manifest import Entry, Manifest, make_entry
from cellbank.model.want import Installed, encode_installed
from cellbank.storage.layout import object_key
from cellbank.storage.packs import write_packs

HERE: Final = Path(__file__).parent
PACKAGE: Final = "aics/odd"
STORE_ID: Final = "00112233445566778899aabbccddeeff"
REMOTE_ID: Final = "ffeeddccbbaa99887766554433221100"
NOON: Final = "2026-11-22T12:00:00Z"
BIG_BYTES: Final = (8 << 20) + 12_345


def big() -> bytes:
    """Return the bytes of the large entry, which are not kept: 0, 1, … 250, 0, 1, …"""
    return (bytes(range(251)) * (BIG_BYTES // 251 + 1))[:BIG_BYTES]


def big_pieces() -> bytes:
    """Return the list of pieces of the large entry."""
    hasher = PieceHasher()
    hasher.update(big())
    return hasher.piece_list()


# --- pages --------------------------------------------------------------------------------------


def pages() -> Manifest:
    """Return a manifest of two pages, the first of which ends at a marked path."""
    paths = [f"fovs/{i:05d}/image" for i in range(2000)]
    mark = next(i for i in range(100, 2000) if crc32(paths[i].encode()) % 512 == 0)
    chosen = [*paths[mark - 99 : mark + 1], *(f"wells/{i}" for i in range(30))]
    return Manifest.of([make_entry(path, digest_of(path.encode()), len(path)) for path in chosen])


# --- a pack -------------------------------------------------------------------------------------


def pack_objects() -> dict[str, bytes]:
    """Return what the sample pack holds."""
    noise, block = b"", b"seed"
    while len(noise) < 300:
        block = bytes.fromhex(digest_of(block))
        noise += block
    texts = [f"line {i} of many\n".encode() * count for i, count in enumerate((40_000, 200))]
    return {digest_of(data): data for data in (noise, b"", *texts)}


# --- a place ------------------------------------------------------------------------------------

_META: Final[dict[str, Any]] = {
    "numbers": [0, -1, 0.1, 1.5, -0.0, 100.0, 1e-6, 1e-7, 1e21, 5e-324, 2**53 - 1, -(2**53) + 1],
    "more": {"pixel_µm": 0.108333, "none": None, "yes": True, "no": False, "empty": [{}, []]},
    "text": '"\\/\b\t\n\f\r\x01\x1f\x7f\u2028 é 日本 \U0001d538',
    "\U0001d538": "last by bytes",
    "\uff5e": "before it",
}


def entries() -> dict[str, tuple[Entry, bytes]]:
    """Return the entries of the odd package, each with its bytes (none for the large one)."""
    small: list[tuple[str, bytes, str | None, dict[str, Any] | None]] = [
        ("README.md", b"# odd\n", None, None),
        ("empty", b"", None, None),
        ("-rf", b"a name that looks like an option\n", None, None),
        ("a-b", b"before the group a\n", None, None),
        ("a.b", b"before the group a, too\n", None, None),
        ("a/b", b"in the group a\n", None, None),
        ("a0", b"behind the group a\n", None, None),
        ("µm/é.json", b"{}\n", None, _META),
        ("日本/\U0001d538 b", b"beyond the first plane\n", None, {"": ""}),
        ("x_y", b"its name may not be a path\n", "x:y", None),
        ("up", b"its name must be cleaned\n", "../../up\n\u202e", {"a": {"a": {"a": [[[]]]}}}),
        ("same", b"# odd\n", "README.md", None),
        ("/".join(["d"] * 64), b"as deep as may be\n", None, None),
        ("l" * 255, b"as long as may be\n", None, None),
    ]
    found = {
        path: (make_entry(path, digest_of(data), len(data), filename=name, meta=meta), data)
        for path, data, name, meta in small
    }
    pieces = digest_of(big_pieces())
    whole = make_entry("big.tif", digest_of(big()), BIG_BYTES, pieces=pieces, meta={"T": 1})
    return found | {"big.tif": (whole, b"")}


def odd() -> Manifest:
    """Return the manifest of the odd package."""
    return Manifest.of([entry for entry, _ in entries().values()])


def subset() -> Manifest:
    """Return a manifest of a part of it, as `want` names one."""
    return Manifest.of([entry for path, (entry, _) in entries().items() if path.startswith("a")])


def records() -> list[Kept]:
    """Return the log of the odd package, oldest first."""
    first, second = Manifest.of([]).revision, odd().revision
    events: list[dict[str, Any]] = [
        {"event": "push", "revision": first, "author": "ada", "message": "nothing yet"},
        {"event": "tag", "name": "paper", "revision": first},
        {"event": "push", "revision": second, "base": first, "message": 'µ "odd"\n'},
        {"event": "tag", "name": "paper", "revision": second, "expect": first},
        {"event": "version", "name": "1.0", "revision": first},
        {"event": "version", "name": "2.0rc1", "revision": second},
        {"event": "yank", "name": "1.0", "message": "it is empty"},
        {
            "event": "tables",
            "revision": second,
            "tables": {"entries": Table(digest_of(b"a table"), 7, "golden 1")},
        },
        {
            "event": "push",
            "revision": subset().revision,
            "base": second,
            "packs": [digest_of(b"a hint")],
            "derived_from": Derivation(PACKAGE, second, "path LIKE 'a%'"),
        },
        {"event": "push", "revision": second, "base": subset().revision},
        {"event": "freeze"},
    ]
    log: list[Kept] = []
    for number, event in enumerate(events):
        draft = msgspec.convert(
            {"nonce": f"{number:032x}", "time": NOON, **msgspec.to_builtins(event)}, Draft
        )
        record = next_record(PACKAGE, log[-1] if log else None, draft)
        log.append(Kept(record, encode_record(record)))
    return log


def _packs() -> list[bytes]:
    """Return the packs of the odd package: parts of manifests, documents, everything else."""
    parts = {digest_of(big_pieces()): big_pieces()}
    for manifest in (Manifest.of([]), odd(), subset()):
        parts |= {manifest.revision: manifest.data} | manifest.pages
    documents: dict[str, bytes] = {}
    other: dict[str, bytes] = {}
    for entry, data in entries().values():
        if entry.pieces is None:
            (documents if entry.is_document else other)[entry.digest] = data
    for digest in documents.keys() & other.keys():
        del other[digest]
    return [
        pack for group in (parts, documents, other) for pack in write_packs(sorted(group.items()))
    ]


def place() -> dict[str, bytes]:
    """Return every file of the place but its packs, by key."""
    log = records()
    newest = log[-1]
    seen = {
        "digest": newest.digest,
        "number": newest.record.number,
        "state": msgspec.to_builtins(newest.record.state),
    }
    installed = Installed(
        PACKAGE,
        odd().revision,
        REMOTE_ID,
        address="https://registry.example",
        record=newest.digest,
        number=newest.record.number,
        earlier=[Manifest.of([]).revision],
    )
    collection = {"condemned": [digest_of(b"gone")], "format": 1, "time": NOON}
    files = {
        "format.json": canonical.encode(
            {"format": 1, "id": STORE_ID, "read": [], "write": [], "x_later": "passed over"}
        ),
        f"packages/{PACKAGE}/access.json": canonical.encode({"public": True}),
        f"pkgs/{PACKAGE}": encode_installed(installed),
        f"remotes/{REMOTE_ID}/{PACKAGE}": canonical.encode(seen),
        f"gc/{STORE_ID}": canonical.encode(collection),
    }
    for kept in log:
        files[f"packages/{PACKAGE}/log/{999_999_999_999 - kept.record.number:012d}"] = kept.data
    return files


def big_key() -> str:
    """Return the key of the large object, which is not kept."""
    return object_key(digest_of(big()))


def write(folder: Path) -> None:
    """Write all golden files."""
    files = {f"place/{key}": data for key, data in place().items()}
    for pack in _packs():
        files[f"place/packages/{PACKAGE}/packs/{digest_of(pack)}"] = pack
    [files["sample.pack"]] = write_packs(pack_objects().items())
    made = pages()
    files["pages/header"] = made.data
    files |= {f"pages/{digest}": data for digest, data in made.pages.items()}
    for name in ("place", "pages"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for key, data in files.items():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
