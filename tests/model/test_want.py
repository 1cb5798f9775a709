"""What is installed, as it is written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model import canonical
from cellbank.model.digest import digest_of
from cellbank.model.errors import NotCanonical
from cellbank.model.log import Table
from cellbank.model.want import Installed, Want, decode_installed, encode_installed
from tests.strategies import digests, kinds, texts

R = digest_of(b"")

parts = st.builds(
    Want,
    st.booleans(),
    texts,
    st.lists(texts, max_size=2),
    st.lists(texts, max_size=2),
    st.integers(0, 99),
    st.integers(0, 99),
    st.booleans(),
    digests,
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
        (Want(question="x > 1", list=R), "part"),
    ],
)
def test_it_says_in_words_what_is_wanted(want: Want, text: str) -> None:
    assert text == str(want)


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
