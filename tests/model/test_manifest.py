"""Manifests: pages cut by content, one revision for one content, reading only what is needed."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model import canonical
from cellbank.model.changes import compare
from cellbank.model.digest import PIECES_ABOVE, digest_of
from cellbank.model.errors import DigestMismatch, NotCanonical
from cellbank.model.manifest import (
    MAX_PAGE_BYTES,
    Entry,
    Manifest,
    ManifestReader,
    check_manifest,
    cut_pages,
    decode_header,
    decode_page,
    encode_entries,
    encode_header,
    is_document,
    make_entry,
)
from tests.strategies import chance_of, entries, entry_lists

D = digest_of(b"")


def plain(paths: Sequence[str]) -> list[Entry]:
    return [make_entry(path, D, 1) for path in paths]


def document(entry: Entry) -> dict[str, object]:
    """Return the entry as docs/formats.md describes it, field by field."""
    found: dict[str, object] = {"digest": entry.digest, "path": entry.path, "size": entry.size}
    if entry.filename not in (None, "", entry.path.split("/")[-1]):
        found["filename"] = entry.filename
    if entry.meta:
        found["meta"] = entry.meta
    if entry.pieces is not None:
        found["pieces"] = entry.pieces
    return found


def naive_pages(ordered: Sequence[Entry]) -> list[bytes]:
    """Cut pages entry by entry, as docs/formats.md tells it."""
    pages: list[bytes] = []
    page, count = [], 0
    size = 0
    for entry in ordered:
        line = canonical.encode(document(entry)) + b"\n"
        if page and size + len(line) > 4_194_304:
            pages.append(b"".join(page))
            page, size, count = [], 0, 0
        page.append(line)
        size += len(line)
        count += 1
        if count == 4096 or (count >= 64 and crc32(entry.path.encode()) % 512 == 0):
            pages.append(b"".join(page))
            page, size, count = [], 0, 0
    return pages + [b"".join(page)] * bool(page)


# --- entries ------------------------------------------------------------------------------------


@given(entries())
def test_an_entry_comes_back_from_its_line(entry: Entry) -> None:
    line = encode_entries([entry])
    assert canonical.encode(document(entry)) + b"\n" == line
    [again] = decode_page(line)
    assert entry == again
    assert line == encode_entries([again])


def test_path_and_size_are_always_written() -> None:
    expected = b'{"digest":"%s","path":"a","size":0}\n' % D.encode()
    assert expected == encode_entries([make_entry("a", D, 0)])


def test_defaults_are_left_out_by_whoever_makes_an_entry() -> None:
    assert make_entry("g/a", D, 1) == make_entry("g/a", D, 1, filename="a", meta={})
    assert make_entry("g/a", D, 1) == make_entry("g/a", D, 1, filename="")
    assert "x:y" == make_entry("g/a", D, 1, filename="x:y").name
    assert "a" == make_entry("g/a", D, 1).name


@pytest.mark.parametrize("extension", ["json", "md", "txt", "csv", "tsv", "yaml", "xml", "html"])
def test_a_document_is_known_by_its_extension(extension: str) -> None:
    assert is_document(f"a.b.{extension.upper()}")
    assert make_entry("a/load", D, 1, filename=f"x.{extension}").is_document
    assert not is_document(f"a.{extension}x")


@pytest.mark.parametrize(
    "entry",
    [
        make_entry("\ud800", D, 1),
        make_entry("a", D, 1, filename="\ud800"),
        make_entry("a", D, 1, meta={"a": "\udc80"}),
        make_entry("a", D, 1, meta={"a": float("nan")}),
        make_entry("a", D, 1, meta={"a": 2**53}),
        make_entry("a", D, 1, meta={"a": "x" * 65536}),
    ],
    ids=lambda entry: repr(entry)[:60],
)
def test_an_entry_that_cannot_be_spelled_is_not_written(entry: Entry) -> None:
    with pytest.raises(NotCanonical):
        Manifest.of([entry])


# --- pages and revisions ------------------------------------------------------------------------


@given(entry_lists(), st.randoms(use_true_random=False), st.sampled_from(["files", "cell_lines"]))
def test_the_same_entries_in_any_order_are_the_same_revision(
    found: list[Entry], chance: Random, kind: str
) -> None:
    made = Manifest.of(found, kind)
    chance.shuffle(found)
    again = Manifest.of(iter(found), kind)
    assert made.revision == again.revision == digest_of(made.data)
    assert made.pages == again.pages
    assert made.header == decode_header(made.data)


@given(entry_lists())
def test_a_manifest_is_accepted_by_whoever_receives_it(found: list[Entry]) -> None:
    made = Manifest.of(found)
    again = check_manifest(made.data, made.pages.__getitem__)
    assert (made.header, made.data, made.pages) == (again.header, again.data, again.pages)
    assert sorted(found, key=lambda e: e.path.encode()) == list(
        ManifestReader(made.header, made.pages.__getitem__)
    )


def test_two_kinds_are_two_revisions() -> None:
    assert Manifest.of([]).revision != Manifest.of([], "cell_lines").revision


def test_two_entries_of_one_path_are_refused() -> None:
    with pytest.raises(NotCanonical):
        Manifest.of([make_entry("a", D, 1), make_entry("b", D, 1), make_entry("a", D, 2)])


def test_entries_that_are_too_large_together_are_refused() -> None:
    half = make_entry("a", D, 2**52, pieces=D), make_entry("b", D, 2**52 - 1, pieces=D)
    assert 2**53 - 1 == Manifest.of(half).header.bytes
    with pytest.raises(NotCanonical):
        Manifest.of([*half, make_entry("c", D, 1)])


def _marked(count: int, *, marks: bool, prefix: str = "p/") -> list[str]:
    """Return paths at which a page may end, or at which none may."""
    found, number = [], 0
    while len(found) < count:
        path = f"{prefix}{number:07d}"
        if (crc32(path.encode()) % 512 == 0) == marks:
            found.append(path)
        number += 1
    return found


@cache
def unmarked(count: int) -> tuple[str, ...]:
    return tuple(_marked(count, marks=False))


def counts(made: Manifest) -> list[int]:
    return [page.count for page in made.header.pages]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [1]), (4096, [4096]), (4097, [4096, 1])]
)
def test_a_page_ends_at_4096_entries(count: int, expected: list[int]) -> None:
    assert expected == counts(Manifest.of(plain(unmarked(count))))


def test_a_page_ends_at_a_marked_path_from_64_entries_on() -> None:
    [mark] = _marked(1, marks=True, prefix="m/")
    before = [f"a/{path}" for path in unmarked(80)]
    before = [path for path in before if crc32(path.encode()) % 512]
    assert [64, 1] == counts(Manifest.of(plain([*before[:63], mark, "z"])))
    assert [64] == counts(Manifest.of(plain([*before[:62], mark, "z"])))


def test_a_page_ends_before_the_entry_that_takes_it_over_4_mib() -> None:
    line = len(encode_entries([make_entry("p/0000000", D, 1, meta={"m": ""})]))
    # 70 entries of 59,918 bytes and one that fills the page to its last byte.
    size = MAX_PAGE_BYTES // 70
    paths = [f"p/{i:07d}" for i in range(80) if crc32(f"p/{i:07d}".encode()) % 512][:72]
    rest = MAX_PAGE_BYTES - 69 * size

    def with_meta(last: int) -> list[Entry]:
        sizes = [size] * 69 + [last, size]
        return [
            make_entry(path, D, 1, meta={"m": "x" * (n - line)})
            for path, n in zip(paths, sizes, strict=False)
        ]

    full, over = Manifest.of(with_meta(rest)), Manifest.of(with_meta(rest + 1))
    assert ([70, 1], MAX_PAGE_BYTES) == (counts(full), full.header.pages[0].bytes)
    assert [69, 2] == counts(over)
    for made in (full, over):
        assert made.data == check_manifest(made.data, made.pages.__getitem__).data


def test_an_entry_as_large_as_a_page_has_a_page_of_its_own_and_a_larger_one_is_refused() -> None:
    rest = len(encode_entries([make_entry("b", D, 1, filename="x")])) - 1
    huge = make_entry("b", D, 1, filename="x" * (MAX_PAGE_BYTES - rest))
    made = Manifest.of([*plain(["a", "c"]), huge])
    assert [1, 1, 1] == counts(made)
    assert MAX_PAGE_BYTES == made.header.pages[1].bytes
    assert made.data == check_manifest(made.data, made.pages.__getitem__).data
    with pytest.raises(NotCanonical, match="no page holds it"):
        Manifest.of([make_entry("b", D, 1, filename="x" * (MAX_PAGE_BYTES - rest + 1))])


def test_the_same_bytes_with_two_sizes_are_refused() -> None:
    made = Manifest.of([make_entry("a", D, 1), make_entry("b", D, 2)])
    with pytest.raises(NotCanonical, match="same bytes"):
        check_manifest(made.data, made.pages.__getitem__)


@pytest.mark.parametrize("seed", range(4))
def test_pages_are_those_of_the_rule_told_entry_by_entry(seed: int) -> None:
    chance = chance_of(seed)
    found = [
        make_entry(
            f"{chance.choice('abc')}/{chance.randrange(10**9)}",
            D,
            chance.randrange(100),
            meta={"m": "x" * chance.choice([1, 30_000, 65_000])}
            if chance.random() < 0.05
            else None,
        )
        for _ in range(6000)
    ]
    found += [make_entry(f"d/{path}", D, 1) for path in unmarked(4200)]
    found = sorted({entry.path: entry for entry in found}.values(), key=lambda e: e.path)
    made = Manifest.of(found)
    assert naive_pages(found) == [made.pages[page.digest] for page in made.header.pages]
    assert len(made.header.pages) > 10


# --- a change changes few pages -------------------------------------------------------------------


def _cuts(found: Sequence[Entry]) -> list[int]:
    return [stop for _, stop, _ in cut_pages(found)]


class Local:
    """Pages of many entries, cut anew only around a change."""

    def __init__(self, found: list[Entry]) -> None:
        self.entries = found
        self.stops = _cuts(found)
        self.paths = [entry.path for entry in found]

    def changed(self, at: int, gone: int, come: list[Entry]) -> int:
        """Return how many new pages differ after `gone` entries at `at` gave way to `come`."""
        page = bisect_left(self.stops, at + 1)
        if page == len(self.stops):
            page -= 1
        first = self.stops[page - 1] if page else 0
        shift = len(come) - gone
        for reach in (4, 32, len(self.stops)):
            last = min(page + reach, len(self.stops) - 1)
            end = self.stops[last]
            part = self.entries[first:at] + come + self.entries[at + gone : end]
            old = {stop + shift for stop in self.stops[page:last] if stop >= at + gone}
            for number, stop in enumerate(_cuts(part), start=1):
                # From a common end on, all pages are as they were.
                if first + stop in old and stop < len(part):
                    return number
            if last == len(self.stops) - 1:
                return len(_cuts(part))
        raise AssertionError

    def changed_really(self, at: int, gone: int, come: list[Entry]) -> int:
        """Return the same by cutting everything."""
        after = self.entries[:at] + come + self.entries[at + gone :]
        new = {digest_of(data) for _, _, data in cut_pages(after)}
        return len(new - self.all_pages())

    @cache  # noqa: B019  two objects in all
    def all_pages(self) -> frozenset[str]:
        return frozenset(digest_of(data) for _, _, data in cut_pages(self.entries))


@pytest.fixture(scope="module")
def local() -> Local:
    chance = chance_of(7)
    paths = {f"fovs/{chance.randbytes(8).hex()}/image/load" for _ in range(100_000)}
    return Local(plain(sorted(paths)))


def _change(local: Local, chance: Random) -> tuple[int, int, list[Entry]]:
    if chance.random() < 0.5:
        return chance.randrange(len(local.entries)), 1, []
    path = f"fovs/{chance.randbytes(8).hex()}/image/load"
    return bisect_left(local.paths, path), 0, plain([path])


def test_cutting_around_a_change_is_as_good_as_cutting_everything(local: Local) -> None:
    chance = chance_of(1)
    for at, gone, come in [_change(local, chance) for _ in range(6)]:
        assert local.changed_really(at, gone, come) == local.changed(at, gone, come)
    for at in (0, len(local.entries) - 1):
        assert local.changed_really(at, 1, []) == local.changed(at, 1, [])
    assert local.changed_really(0, 0, plain(["a"])) == local.changed(0, 0, plain(["a"]))
    end = len(local.entries)
    assert local.changed_really(end, 0, plain(["z"])) == local.changed(end, 0, plain(["z"]))
    # Changes at the ends of pages are where it could go wrong.
    for stop in local.stops[3:6]:
        for at in (stop - 1, stop):
            assert local.changed_really(at, 1, []) == local.changed(at, 1, [])


def test_one_entry_more_or_less_among_100_000_changes_at_most_three_pages(local: Local) -> None:
    chance = chance_of(2)
    changed = [local.changed(*_change(local, chance)) for _ in range(1500)]
    assert sum(number > 3 for number in changed) <= len(changed) * 0.001
    assert sum(changed) / len(changed) < 1.5


def test_a_page_has_about_570_entries(local: Local) -> None:
    assert 500 < len(local.entries) / len(local.stops) < 650


# --- what is wrong is refused ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Manifest:
    return Manifest.of(
        [
            make_entry(
                "a", digest_of(b"a"), 0, meta={"n": 1.5, "t": "\x1f", "o": {"b": [None, True]}}
            ),
            make_entry(
                "b/c", digest_of(b"c"), PIECES_ABOVE + 1, pieces=digest_of(b"p"), filename="x:y"
            ),
            make_entry("d", D, 7),
        ]
    )


def flips(data: bytes) -> list[bytes]:
    """Return the bytes with each of their bits flipped."""
    found = []
    for bit in range(len(data) * 8):
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        found.append(bytes(copy))
    return found


def test_a_header_with_any_bit_flipped_is_refused(small: Manifest) -> None:
    for data in flips(small.data):
        assert digest_of(data) != small.revision
        with pytest.raises((NotCanonical, KeyError)):
            check_manifest(data, small.pages.__getitem__)


def test_a_page_with_any_bit_flipped_is_refused(small: Manifest) -> None:
    [(digest, page)] = small.pages.items()
    for data in flips(page):
        assert digest_of(data) != digest
        with pytest.raises(DigestMismatch):
            check_manifest(small.data, {digest: data}.__getitem__)


def _with_page(small: Manifest, page: bytes, **fields: object) -> tuple[bytes, Callable]:
    info = msgspec.structs.replace(
        small.header.pages[0], bytes=len(page), digest=digest_of(page), count=page.count(b"\n")
    )
    header = msgspec.structs.replace(small.header, pages=(info,), entries=info.count)
    return encode_header(msgspec.structs.replace(header, **fields)), lambda _: page


def test_a_page_spelled_in_another_way_is_refused_though_its_digest_is_right(
    small: Manifest,
) -> None:
    [page] = small.pages.values()
    header, read = _with_page(small, page)
    assert check_manifest(header, read).data == small.data
    lines = page.splitlines(keepends=True)
    for other in (
        page.replace(b"\\u001f", b"\\u001F"),
        page.replace(b'"size":7', b'"size": 7'),
        page.replace(b'"size":7', b'"size":7.0'),
        page.replace(b'"size":7', b'"size":7,"size":7'),
        page.replace(b"1.5", b"1.50"),
        page.replace(b'"size":7', b'"meta":{},"size":7').replace(b'"path":"d",', b""),
        page.replace(b'"path":"d"', b'"filename":"d","path":"d"'),
        page.replace(b'"path":"d"', b'"meta":{},"path":"d"'),
        page.replace(b'"path":"d"', b'"meta":null,"path":"d"'),
        page.replace(b'"path":"d"', b'"path":"d","pieces":null'),
        page.replace(b'"size":7', b'"size":7,"x":1'),
        page.replace(b'"size":7', b'"size":-7'),
        page.replace(b'"size":7', b'"size":9007199254740992'),
        page.replace(b'"size":7', b'"size":8388609'),
        page.replace(b'"size":7', b'"size":"7"'),
        page.replace(b',"size":7', b""),
        page.replace(b'"path":"d",', b""),
        page.replace(b'"path":"d"', b'"path":"/d"'),
        page.replace(b'"path":"d"', b'"path":"d:"'),
        page.replace(b'"path":"d"', b'"path":"b/c"'),
        page.replace(b'"path":"d"', b'"path":"\\ud800"'),
        page.replace(D.encode(), D.upper().encode()),
        page.replace(D.encode(), D[:-1].encode()),
        page.replace(b'"pieces":"', b'"pieces":"0'),
        page.replace(b'"filename":"x:y"', b'"filename":""'),
        page.replace(b'"filename":"x:y"', b'"filename":"c"'),
        page[:-1],
        page + b"\n",
        b"\n" + page,
        page[:-1] + b" \n",
        b"".join(reversed(lines)),
        b"".join([lines[0], *lines]),
        b"[]\n",
        b"1\n",
        b"\xff\n",
    ):
        assert other != page
        header, read = _with_page(small, other)
        with pytest.raises(NotCanonical):
            check_manifest(header, read)


def test_a_header_that_says_something_else_than_its_pages_is_refused(small: Manifest) -> None:
    [page] = small.pages.values()
    for wrong in ({"bytes": 3}, {"bytes": -1}, {"entries": 4}, {"format": 2}, {"kind": "x"}):
        header, read = _with_page(small, page, **wrong)
        with pytest.raises(NotCanonical):
            check_manifest(header, read)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"}", b',"x":1}'),
        (b'"format":1', b'"format":1,"parents":[]'),
        (b'"count":3', b'"count":4097'),
        (b'"count":3', b'"count":0'),
        (b'"count":3', b'"count":-3'),
        (b'"count":3', b'"count":3.0'),
        (b'"bytes":', b'"bytes":-'),
        (b'"digest":"', b'"digest":"z'),
        (b'"entries":3', b'"entries":10000001'),
        (b'"kind":"files"', b'"kind":null'),
        (b"{", b" {"),
    ],
)
def test_a_header_that_no_writer_writes_is_refused(small: Manifest, old: bytes, new: bytes) -> None:
    data = small.data.replace(old, new, 1)
    assert data != small.data
    with pytest.raises(NotCanonical):
        decode_header(data)


def test_pages_cut_at_other_places_are_refused() -> None:
    found = plain([f"a{i:03d}" for i in range(100)])
    one, two = (encode_entries(part) for part in (found[:50], found[50:]))
    infos = [
        {"bytes": len(data), "count": 50, "digest": digest_of(data), "first": first}
        for data, first in ((one, "a000"), (two, "a050"))
    ]
    fields = {"bytes": 100, "entries": 100, "format": 1, "kind": "files"}
    header = canonical.encode({**fields, "pages": infos})
    assert decode_header(header).entries == 100
    with pytest.raises(NotCanonical):
        check_manifest(header, {digest_of(one): one, digest_of(two): two}.__getitem__)
    with pytest.raises(NotCanonical):
        decode_header(canonical.encode({**fields, "pages": infos[::-1]}))


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_bytes_make_the_readers_stumble(data: bytes) -> None:
    for read in (decode_header, decode_page):
        try:
            read(data)
        except NotCanonical:
            continue


# --- reading only what is needed ------------------------------------------------------------------


class Counting:
    """Gives pages and notes which were asked for."""

    def __init__(self, made: Manifest) -> None:
        self.pages = made.pages
        self.asked: set[str] = set()

    def __call__(self, digest: str) -> bytes:
        self.asked.add(digest)
        return self.pages[digest]


@pytest.fixture(scope="module")
def tree() -> list[Entry]:
    chance = chance_of(3)
    groups = ["fov", "fov.x", "fovs", "fovs/deep", "fovs/deep/er", "g", "lines", "wells"]
    paths = {f"{group}/{chance.randrange(10**6):06d}" for group in groups for _ in range(900)}
    paths |= {f"many/{chance.randrange(10**4):04d}/{leaf}" for leaf in "xyz" for _ in range(900)}
    paths |= {"README.md", "fov0", "fov-1", "g0", "zz", "fovs0"}
    return plain(sorted(paths))


@pytest.fixture(scope="module")
def made(tree: list[Entry]) -> Manifest:
    return Manifest.of(tree)


GROUPS = ["", "fov", "fov.x", "fovs", "fovs/deep", "fovs/deep/er", "g", "many", "lines", "wells"]


def naive_children(tree: list[Entry], group: str) -> tuple[list[str], list[str]]:
    prefix = f"{group}/" if group else ""
    below = [entry.path[len(prefix) :] for entry in tree if entry.path.startswith(prefix)]
    groups = dict.fromkeys(path.split("/")[0] for path in below if "/" in path)
    return list(groups), [path for path in below if "/" not in path]


def allowed_pages(made: Manifest, group: str, *, list_only: bool) -> set[str]:
    """Return the pages that one cannot do without, knowing the header alone."""
    prefix = f"{group}/" if group else ""
    past = f"{group}0" if group else "\U0010ffff"
    firsts = [page.first for page in made.header.pages]
    found = set()
    for number, page in enumerate(made.header.pages):
        after = firsts[number + 1] if number + 1 < len(firsts) else None
        if page.first >= past or (after is not None and after <= prefix):
            continue
        if list_only and after and page.first.startswith(prefix) and after.startswith(prefix):
            child = page.first[len(prefix) :].partition("/")
            if child[1] and after.startswith(f"{prefix}{child[0]}/"):
                continue
        found.add(page.digest)
    return found


def test_the_tree_has_pages_enough_to_skip_some(made: Manifest) -> None:
    assert len(made.header.pages) > 10
    assert len(allowed_pages(made, "", list_only=True)) < len(made.header.pages)


@pytest.mark.parametrize("group", [*GROUPS, "nothing", "f", "A", "zzz"])
def test_children_are_listed_from_the_pages_that_it_takes(
    made: Manifest, tree: list[Entry], group: str
) -> None:
    read = Counting(made)
    assert naive_children(tree, group) == ManifestReader(made.header, read).children(group)
    assert read.asked <= allowed_pages(made, group, list_only=True)


@pytest.mark.parametrize("group", [*GROUPS, "nothing", "f", "A", "zzz"])
def test_a_group_is_read_from_its_own_pages(made: Manifest, tree: list[Entry], group: str) -> None:
    read = Counting(made)
    reader = ManifestReader(made.header, read)
    prefix = f"{group}/" if group else ""
    expected = [entry for entry in tree if entry.path.startswith(prefix)]
    assert expected == list(reader.under(group))
    assert read.asked <= allowed_pages(made, group, list_only=False)
    assert bool(expected) == reader.has_group(group)
    assert len(tree) == len(reader)


def test_a_path_is_found_with_one_page(made: Manifest, tree: list[Entry]) -> None:
    known = {entry.path: entry for entry in tree}
    chance = chance_of(4)
    wanted = [*chance.sample(list(known), 200), tree[0].path, tree[-1].path]
    wanted += ["", "A", "zzz", "fovs", "fovs/", "many/0000/w", "fovs/deep/er"]
    wanted += [page.first for page in made.header.pages]
    for path in wanted:
        read = Counting(made)
        assert known.get(path) == ManifestReader(made.header, read).find(path)
        assert len(read.asked) <= 1


@given(entry_lists(), st.sampled_from(["", "a", "A", "fovs", "fov", "é", "a/a"]))
def test_small_trees_are_read_as_by_a_plain_list(found: list[Entry], group: str) -> None:
    found = sorted(found, key=lambda e: e.path)
    made = Manifest.of(found)
    reader = ManifestReader(made.header, made.pages.__getitem__)
    assert naive_children(found, group) == reader.children(group)
    for entry in found:
        assert entry == reader.find(entry.path)


# --- comparing --------------------------------------------------------------------------------


@given(entry_lists(), st.data())
def test_entries_of_several_groups_are_those_that_lie_in_them(
    found: list[Entry], data: st.DataObject
) -> None:
    made = Manifest.of(found)
    firsts = sorted({entry.path.partition("/")[0] for entry in found} | {"fovs"})
    groups = data.draw(st.lists(st.sampled_from(firsts), unique=True))
    inside = [e for e in found if e.path.startswith(tuple(f"{group}/" for group in groups))]
    reader = ManifestReader(made.header, made.pages.__getitem__)
    expected = sorted(inside, key=lambda entry: entry.path) if groups else []
    assert expected == list(reader.under_each(groups))


def test_entries_of_several_groups_are_found_on_all_their_pages(tree: list[Entry]) -> None:
    made = Manifest.of(tree)
    chosen = sorted({entry.path.rpartition("/")[0] for entry in tree if "/" in entry.path})[::3]
    groups = [one for one in chosen if not any(one.startswith(f"{o}/") for o in chosen)]
    read: list[str] = []

    def page(digest: str) -> bytes:
        read.append(digest)
        return made.pages[digest]

    found = list(ManifestReader(made.header, page).under_each(groups))
    inside = tuple(f"{group}/" for group in groups)
    assert [entry for entry in tree if entry.path.startswith(inside)] == found
    assert len(set(read)) == len(read)
    again = ManifestReader(made.header, page).under_each(groups, lambda all_: map(page, all_))
    assert found == list(again)


def test_metadata_that_looks_like_a_path_is_none() -> None:
    fake = {"path": "b/x", "z": '"path":"b/y"'}
    listed = [make_entry(path, D, 1, meta=fake) for path in ("a/1", "b/2", "c/3", "d/4")]
    made = Manifest.of(listed)
    reader = ManifestReader(made.header, made.pages.__getitem__)
    assert ["b/2", "c/3"] == [entry.path for entry in reader.under_each(["c", "b"])]


def naive_compare(old: list[Entry], new: list[Entry]) -> tuple[list, list, list, list]:
    before, after = ({entry.path: entry for entry in side} for side in (old, new))
    changed = [
        (before[path], after[path])
        for path in sorted(before.keys() & after.keys())
        if before[path] != after[path]
    ]
    removed = [before[path] for path in sorted(before.keys() - after.keys())]
    added, renamed = [], []
    for path in sorted(after.keys() - before.keys()):
        source = next((e for e in removed if e.digest == after[path].digest), None)
        if source is None:
            added.append(after[path])
        else:
            removed.remove(source)
            renamed.append((source, after[path]))
    return added, removed, changed, renamed


def check_compare(old: list[Entry], new: list[Entry]) -> set[str]:
    one, two = Manifest.of(old), Manifest.of(new)
    reads = Counting(one), Counting(two)
    found = compare(ManifestReader(one.header, reads[0]), ManifestReader(two.header, reads[1]))
    assert naive_compare(old, new) == (found.added, found.removed, found.changed, found.renamed)
    assert bool(found) == (one.revision != two.revision)
    asked = reads[0].asked | reads[1].asked
    assert not asked & one.pages.keys() & two.pages.keys()
    return asked


@given(entry_lists(), entry_lists())
def test_two_small_manifests_differ_as_two_dictionaries_do(
    old: list[Entry], new: list[Entry]
) -> None:
    check_compare(old, new)


@given(entry_lists(), st.data())
def test_a_few_changes_are_found(old: list[Entry], data: st.DataObject) -> None:
    kept = [entry for entry in old if data.draw(st.integers(0, 4))]
    new = [data.draw(entries(e.path)) if not data.draw(st.integers(0, 4)) else e for e in kept]
    check_compare(old, new)


@pytest.mark.parametrize("seed", range(12))
def test_large_manifests_differ_as_two_dictionaries_do(seed: int) -> None:
    chance = chance_of(seed)
    digests = [digest_of(bytes([i])) for i in range(40)]
    every = sorted({f"{chance.choice('abc')}/{chance.randrange(10**6)}" for _ in range(3000)})
    old = [make_entry(path, chance.choice(digests), chance.randrange(3)) for path in every]
    some = chance.choice([0, 1, 5, 300, 3000])
    new = {entry.path: entry for entry in old}
    for path in chance.sample(every, min(some, len(every))):
        match chance.randrange(4):
            case 0:
                del new[path]
            case 1:
                new[path] = make_entry(path, chance.choice(digests), 9, meta={"é": 1.5})
            case 2:
                new[f"{path}.new"] = make_entry(f"{path}.new", chance.choice(digests), 1)
            case 3:
                entry = new.pop(path)
                new[f"d{path}"] = make_entry(f"d{path}", entry.digest, entry.size)
    asked = check_compare(old, list(new.values()))
    if some <= 1:
        assert len(asked) <= 4 * some


def test_equal_manifests_are_compared_without_reading(made: Manifest) -> None:
    read = Counting(made)
    reader = ManifestReader(made.header, read)
    assert not compare(reader, reader)
    assert set() == read.asked


def test_a_manifest_and_the_empty_one_differ_in_everything(tree: list[Entry]) -> None:
    check_compare(tree, [])
    check_compare([], tree)
    check_compare([], [])
