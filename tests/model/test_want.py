"""What is installed, as it is written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model import canonical
from cellbank.model.digest import digest_of
from cellbank.model.errors import NotCanonical
from cellbank.model.log import Table
from cellbank.model.want import Choice, Installed, Want, decode_installed, encode_installed
from tests.strategies import digests, kinds, texts

R = digest_of(b"")

chosen = {
    "question": texts,
    "kind": texts,
    "kinds": st.lists(texts, max_size=2),
    "paths": st.lists(texts, max_size=2),
    "sample": st.integers(0, 99),
    "seed": st.integers(0, 99),
    "related": st.booleans(),
    "documents": st.booleans(),
}
choices = st.builds(Choice, **chosen)
parts = st.builds(
    Want,
    **chosen,
    metadata=st.booleans(),
    also=st.lists(choices, max_size=2),
    list=digests,
    shown=digests,
)
wants = st.sampled_from([Want(), Want(metadata=True)]) | parts
installations = st.builds(
    Installed,
    texts,
    digests,
    texts,
    texts,
    digests,
    st.integers(0, 10**12),
    wants,
    st.lists(digests, max_size=2),
    st.dictionaries(kinds, st.builds(Table, digests, st.integers(0, 9), texts), max_size=2),
)


@given(installations)
def test_it_comes_back_from_its_bytes(installed: Installed) -> None:
    data = encode_installed(installed)
    assert installed == decode_installed(data, "pkgs/a/b")
    assert data == canonical.encode(canonical.decode(data))


def test_all_and_metadata_are_words() -> None:
    whole = encode_installed(Installed("a/b", R, "0" * 32))
    expected = b'{"format":1,"package":"a/b","remote":"%s","revision":"%s","want":"all"}'
    assert expected % (b"0" * 32, R.encode()) == whole
    metadata = encode_installed(Installed("a/b", R, "0" * 32, want=Want(metadata=True)))
    assert whole.replace(b'"all"', b'"metadata"') == metadata


def test_a_part_is_not_everything() -> None:
    assert Want().everything
    assert not Want(metadata=True).everything
    assert not Want(list=R).everything


@pytest.mark.parametrize(
    ("want", "text"),
    [
        (Want(), "all"),
        (Want(metadata=True), "metadata"),
        (Want(metadata=True, paths=["a", "b/c"], list=R), "metadata, a, b/c"),
        (Want(paths=["a"], list=R), "a"),
        (Want(list=R), "part"),
        (Want(question="x > 1", list=R), "where x > 1"),
        (
            Want(question="x > 1", kind="wells", sample=3, seed=2, related=False, list=R),
            "3 wells, where x > 1, seed 2, without what belongs to them",
        ),
        (
            Want(kinds=["fovs"], list=R, also=[Choice(paths=["a/*"], documents=True)]),
            "kinds fovs; paths a/*, documents only",
        ),
    ],
)
def test_it_says_in_words_what_is_wanted(want: Want, text: str) -> None:
    assert text == str(want)


@given(st.lists(choices.filter(lambda one: one != Choice()), max_size=3), st.booleans())
def test_what_was_chosen_comes_back_in_its_order(given_: list[Choice], metadata: bool) -> None:
    assert tuple(given_) == Want.of(given_, metadata=metadata).choices


@pytest.mark.parametrize(
    ("want", "subset"),
    [
        (Want(), False),
        (Want(paths=["a", "b/c"]), False),
        (Want(paths=["a/*"]), True),
        (Want(paths=["a"], kinds=["fovs"]), True),
        (Want(question="x > 1"), True),
        (Want(paths=["a"], also=[Choice(sample=1)]), True),
        (Want(metadata=True, question="x > 1"), False),
    ],
)
def test_a_subset_is_what_was_chosen_otherwise_than_by_naming_parts(
    want: Want, subset: bool
) -> None:
    assert subset == want.is_subset


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":2}',
        b'{"format":1}',
        b'{"format":1,"package":"a/b","remote":"x","revision":1,"want":"all"}',
        b'{"format":1,"package":"a/b","remote":"x","revision":"r","want":"some"}',
        b'{"format":1,"package":"a/b","remote":"x","revision":"r","want":[]}',
        b'{"format":1,"package":"a/b","remote":"x","revision":"r","want":{"sample":"1"}}',
        b'{"format":1,"package":"a/b","remote":"x","revision":"r","tables":{"fovs":{"digest":"../x",'
        b'"size":1}},"want":"all"}',
        b'{"format":1, "package":"a/b","remote":"x","revision":"r","want":"all"}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode_installed(data, "pkgs/a/b")
