"""What lies in a revision: counted whole, shown in part, remembered as long as there is room."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.catalog.contents import SHOWN, Branch, contents_of, type_label
from cellbank.catalog.look import count, size, when
from cellbank.catalog.memory import Memory
from cellbank.catalog.pages import version_order
from cellbank.model.digest import digest_of
from cellbank.model.manifest import Entry, make_entry

D = digest_of(b"")


def entries(paths: list[str]) -> list[Entry]:
    return [make_entry(path, D, 3) for path in sorted(paths)]


def names(branch: Branch) -> list[str]:
    return [child.name for child in (*branch.first, *branch.last)]


def test_a_short_tree_is_shown_whole() -> None:
    found = contents_of(entries(["a.txt", "a/b/c/d/e", "a/b/f", "a0"]))
    assert ["a.txt", "a", "a0"] == names(found.root)
    (group,) = found.groups
    assert (2, 6, 1, True) == (group.entries, group.size, group.children, group.is_group)
    assert ["c", "f"] == names(group.first[0])
    assert () == group.first[0].first[0].first


def test_of_100000_records_little_is_kept() -> None:
    found = contents_of(
        make_entry(f"fovs/fov_{n:06}/{part}/load", D, 1)
        for n in range(100_000)
        for part in ("image", "info")
    )
    (fovs,) = found.groups
    assert (200_000, 100_000) == (fovs.entries, fovs.children)
    first, last = [f"fov_{n:06}" for n in range(5)], [f"fov_{n:06}" for n in range(99_995, 100_000)]
    assert first + last == names(fovs)
    assert 100_000 - 10 == fovs.hidden
    assert (("JSON", 100_000), ("OME-TIFF", 100_000)) == found.types


@given(st.lists(st.from_regex("[ab](/[ab]{1,2}){0,4}", fullmatch=True), unique=True, max_size=80))
def test_counts_are_right_however_deep_it_is(paths: list[str]) -> None:
    kept = [p for p in paths if not any(other.startswith(f"{p}/") for other in paths)]
    root = contents_of(entries(kept)).root
    assert (len(kept), 3 * len(kept)) == (root.entries, root.size)
    for child in (*root.first, *root.last):
        below = [p for p in kept if p.split("/")[0] == child.name]
        assert (len(below), child.is_group) == (child.entries, "/" in below[0])
        assert child.children == len({p.split("/")[1] for p in below if "/" in p})
        assert len(names(child)) <= 2 * SHOWN[1]


@pytest.mark.parametrize(
    ("path", "filename", "label"),
    [
        ("a/b.ome.tif", None, "OME-TIFF"),
        ("a/load", "E6.OME.TIFF", "OME-TIFF"),
        ("a/b.tif", None, "TIFF"),
        ("fovs/f/info/load", None, "JSON"),
        ("fovs/f/image/load", None, "OME-TIFF"),
        ("README", None, "Markdown"),
        ("SCHEMA", None, "JSON"),
        ("a/README", None, "no extension"),
        ("a.parquet", None, "Parquet"),
        ("a.weird", None, ".weird"),
    ],
)
def test_types_have_the_names_that_people_use(path: str, filename: str | None, label: str) -> None:
    assert label == type_label(make_entry(path, D, 1, filename=filename))


def test_versions_stand_in_the_order_of_pep_440() -> None:
    right = ["1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0+lab", "1.0.post1"]
    right += ["1.1", "1.9", "1.10", "2.0", "1!0.1"]
    mixed = right[6:] + right[:6][::-1]
    assert right == sorted(mixed, key=version_order)


def test_numbers_and_times_read_well() -> None:
    assert ["0 bytes", "1 byte", "1.5 kB", "124.2 GB"] == [
        size(n) for n in (0, 1, 1500, 124_165_540_260)
    ]
    assert ["1 entry", "1,200 entries"] == [count(n, "entry", "entries") for n in (1, 1200)]
    assert ">3 Nov 2026, 09:05 UTC<" in when("2026-11-03T09:05:00Z")
    assert "&lt;b&gt;" == str(when("<b>"))


def test_a_memory_forgets_what_was_asked_for_longest_ago() -> None:
    memory, made = Memory[int](2), list[int]()
    for key in (1, 2, 1, 3, 1, 2):
        assert key == memory.get(key, lambda key=key: made.append(key) or key)
    assert [1, 2, 3, 2] == made


def test_of_many_who_want_the_same_one_makes_it() -> None:
    memory, made, go = Memory[int](2), list[int](), threading.Event()

    def make() -> int:
        made.append(1)
        go.wait(5)
        return 7

    threads = [threading.Thread(target=memory.get, args=(0, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert [1] == made


def test_what_failed_is_tried_again() -> None:
    memory = Memory[int](2)
    with pytest.raises(ZeroDivisionError):
        memory.get(0, lambda: 1 // 0)
    assert 5 == memory.get(0, lambda: 5)
