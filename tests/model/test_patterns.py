"""Patterns of paths: what fits, and what is no pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model.errors import BadInput
from cellbank.model.patterns import check_pattern, common_start, fitting, is_pattern

PATHS = ["README", "fovs/a/info/load", "fovs/a/image/load", "fovs/b/info/load", "wells/a/info/load"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["fovs/*/info"], [1, 3]),
        (["fovs/a"], [1, 2]),
        (["fovs/?/image/load"], [2]),
        (["**/load"], [1, 2, 3, 4]),
        (["**/info"], [1, 3, 4]),
        (["fovs/**/load"], [1, 2, 3]),
        (["*"], [0, 1, 2, 3, 4]),
        (["R*"], [0]),
        (["fovs/**"], [1, 2, 3]),
        (["fovs/b", "README"], [0, 3]),
        (["fov"], []),
        (["*/load"], []),
    ],
)
def test_a_pattern_fits_what_it_names_and_all_that_lies_in_it(
    patterns: list[str], expected: list[int]
) -> None:
    fits = fitting(patterns)
    assert expected == [number for number, path in enumerate(PATHS) if fits(path)]


def test_what_is_special_elsewhere_is_a_letter_here() -> None:
    assert fitting(["a[1].(x)+"])("a[1].(x)+")
    assert not fitting(["a.b"])("axb")


@pytest.mark.parametrize("text", ["", "/", "a//b", "a/../b", "./a", "a/**b", "**a/b"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        check_pattern(text)


def test_slashes_at_the_ends_mean_nothing() -> None:
    assert "fovs/*" == check_pattern("/fovs/*/")


names = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
patterns = st.lists(
    st.one_of(names, st.sampled_from(["*", "**", "?", "a*"])), min_size=1, max_size=4
).map("/".join)


@given(patterns, paths)
def test_all_that_fits_lies_in_the_common_start(pattern: str, path: str) -> None:
    start = common_start(pattern)
    if fitting([pattern])(path):
        assert not start or path == start or path.startswith(f"{start}/")


@given(paths)
def test_a_path_is_a_pattern_of_itself_and_of_what_lies_in_it(path: str) -> None:
    assert not is_pattern(path)
    fits = fitting([path])
    assert fits(path)
    assert fits(f"{path}/x")
    assert not fits(f"{path}x")
