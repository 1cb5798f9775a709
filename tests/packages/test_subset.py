"""What is wanted of a package, choice after choice."""

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.manifest import Entry, make_entry
from cellbank.model.want import Choice
from cellbank.packages.subset import Amount, Breakdown, extended, kind_of
from cellbank.storage.transfer import plan_fetch


def entry(path: str, size: int, *, filename: str, digest: str = "") -> Entry:
    return make_entry(path, digest or digest_of(path.encode()), size, filename=filename)


ASKED = Choice(question="x > 1")
SPARSE = Choice(question="x > 1", documents=True)


@pytest.mark.parametrize(
    ("before", "more", "after"),
    [
        ([], None, []),
        ([], ASKED, [ASKED]),
        ([ASKED], ASKED, [ASKED]),
        ([ASKED], None, [ASKED]),
        ([SPARSE], ASKED, [ASKED]),
        ([ASKED], SPARSE, [ASKED]),
        ([Choice(sample=1)], ASKED, [Choice(sample=1), ASKED]),
        ([], Choice(paths=["a"]), [Choice(paths=["a"])]),
        ([Choice(paths=["b"])], Choice(paths=["a"]), [Choice(paths=["a", "b"])]),
        ([Choice(paths=["a/b"])], Choice(paths=["a"]), [Choice(paths=["a"])]),
        ([Choice(paths=["a"])], Choice(paths=["a/b"]), [Choice(paths=["a"])]),
        (
            [Choice(paths=["b"]), ASKED],
            Choice(paths=["a"]),
            [Choice(paths=["a", "b"]), ASKED],
        ),
        ([ASKED], Choice(paths=["a"]), [ASKED, Choice(paths=["a"])]),
        ([Choice(paths=["a"])], Choice(paths=["a*"]), [Choice(paths=["a"]), Choice(paths=["a*"])]),
    ],
)
def test_a_choice_adds_to_what_is_chosen(
    before: list[Choice], more: Choice | None, after: list[Choice]
) -> None:
    assert after == extended(before, more)


def test_each_object_counts_once_by_kind_and_type() -> None:
    entries = [
        entry("README", 10, filename="README.md"),
        entry("fovs/a/image", 200_000, filename="a.tif"),
        entry("fovs/b/image", 200_000, filename="b.tif"),
        entry("fovs/a/info", 5, filename="info.json"),
        entry("wells/a/info", 7, filename="info.json"),
    ]
    same = entry("wells/b/info", 7, filename="info.json", digest=entries[-1].digest)
    here = entries[2].digest
    plan = plan_fetch([*entries, same], lambda _small, _large: {here})
    found = Breakdown.of([*entries, same], plan)
    assert Amount(1, 200_000) == found.here
    assert {
        "documents": Amount(1, 10),
        "fovs": Amount(2, 200_005),
        "wells": Amount(1, 7),
    } == found.kinds
    assert {"json": Amount(2, 12), "md": Amount(1, 10), "tif": Amount(1, 200_000)} == found.types


def test_what_lies_at_the_root_is_a_document() -> None:
    assert ["documents", "fovs"] == [kind_of("README"), kind_of("fovs/a")]
