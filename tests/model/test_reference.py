"""References: what people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model.errors import (
    AmbiguousReference,
    InvalidName,
    InvalidReference,
    RevisionNotFound,
    RuleBroken,
)
from cellbank.model.reference import Package, Reference, by_name, by_prefix
from tests.strategies import paths

AICS = Package("aics", "aics_23")

plain_names = st.sampled_from(["aics", "aics_23", "a", "x9"])
states = st.one_of(
    st.just({}),
    st.sampled_from(["latest", "paper", "V1.0-x"]).map(lambda tag: {"tag": tag}),
    st.sampled_from(["1", "1.0rc1", "1!2.0.post1.dev2+ab.1"]).map(lambda v: {"version": v}),
    st.text("0123456789abcdef", min_size=6, max_size=64).map(lambda r: {"revision": r}),
)
references = st.builds(
    lambda owner, name, state, path: Reference(Package(owner, name), path=path, **state),
    plain_names,
    plain_names,
    states,
    st.just("") | paths,
)


@given(references)
def test_what_is_printed_is_read_as_the_same(reference: Reference) -> None:
    assert reference == Reference.parse(str(reference))


@given(st.text("ab/:=@.1 ", max_size=14) | st.text(max_size=14))
def test_what_is_read_is_printed_so_that_it_is_read_again(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except RuleBroken:
        return
    assert reference == Reference.parse(str(reference))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aics/aics_23", Reference(AICS)),
        ("aics/aics_23/", Reference(AICS)),
        ("aics/aics_23:paper", Reference(AICS, tag="paper")),
        ("aics/aics_23==1.0", Reference(AICS, version="1.0")),
        ("aics/aics_23@00dde0", Reference(AICS, revision="00dde0")),
        ("aics/aics_23/fovs/a@b", Reference(AICS, path="fovs/a@b")),
        ("aics/aics_23/fovs/a=1", Reference(AICS, path="fovs/a=1")),
        ("aics/aics_23@00dde0/fovs/", Reference(AICS, revision="00dde0", path="fovs")),
        ("aics/aics_23:paper/a/b c", Reference(AICS, tag="paper", path="a/b c")),
    ],
)
def test_a_reference_is_read(text: str, expected: Reference) -> None:
    assert expected == Reference.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aics",
        "/aics",
        "aics/",
        "//",
        "aics:tag",
        "aics/a:",
        "aics/a==",
        "aics/a@",
        "aics/a@12345",
        "aics/a@12345G",
        "aics/a@ABCDEF",
        "aics/a@" + "0" * 65,
        "aics/a=1.0",
        "aics/a==1.0:tag",
        "aics/a:tag==1.0",
        "aics/a:tag@abcdef",
        "aics/a==01",
        "aics/a==v1",
        "aics/a:-rf",
        "aics/A",
        "Aics/a",
        "aics/class",
        "aics/con",
        "api/a",
        "aics/a/../b",
        "aics/a/x:y",
        "aics/a/b//c",
        "aics/a\n",
        "aics/a\0",
        "../a",
        "https://host/a",
        "aics/a/\ud800",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises((InvalidReference, InvalidName)):
        Reference.parse(text)


@pytest.mark.parametrize("text", ["aics/a:t", "aics/a==1", "aics/a@abcdef", "aics/a/b"])
def test_where_a_package_is_asked_for_nothing_more_may_stand(text: str) -> None:
    assert Package("aics", "a") == Package.parse("aics/a")
    with pytest.raises(InvalidReference):
        Package.parse(text)


def test_a_prefix_names_the_one_revision_that_begins_with_it() -> None:
    one, two = "abcdef" + "0" * 58, "abcdef" + "1" * 58
    assert one == by_prefix(AICS, "abcdef0", [two, one, one])
    assert two == by_prefix(AICS, two, [one, two])
    with pytest.raises(AmbiguousReference) as ambiguous:
        by_prefix(AICS, "abcdef", [one, two])
    assert ["aics/aics_23@abcdef0000000000", "aics/aics_23@abcdef1111111111"] == (
        ambiguous.value.candidates
    )
    with pytest.raises(RevisionNotFound):
        by_prefix(AICS, "012345", [one, two])


def test_a_name_that_is_not_there_proposes_one_that_is() -> None:
    assert "r" == by_name(AICS, "tag", "paper", {"paper": "r"})
    with pytest.raises(RevisionNotFound) as absent:
        by_name(AICS, "version", "1.1", {"1.0": "r", "x": "s"})
    assert "aics/aics_23==1.0" in absent.value.advice
