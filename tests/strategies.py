"""Values for property tests: JSON, paths and entries, with what is odd about them."""

from random import Random

from hypothesis import strategies as st

from cellbank.model.digest import PIECES_ABOVE, digest_of
from cellbank.model.manifest import Entry, make_entry
from cellbank.model.names import path_problems


def chance_of(seed: int) -> Random:
    """Return chance that is the same on every run."""
    return Random(seed)  # noqa: S311


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-(2**53) + 1, 2**53 - 1)


def _spellable(number: float) -> bool:
    return not number.is_integer() or not 2**53 <= abs(number) < 1e21


floats = st.floats(allow_nan=False, allow_infinity=False).filter(_spellable)
scalars = st.none() | st.booleans() | integers | floats | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
metas = st.dictionaries(texts, json_values, max_size=3)
digests = st.binary(max_size=3).map(digest_of)
kinds = st.sampled_from(["fovs", "wells", "a", "z" * 64])
sizes = st.sampled_from([0, 1, 131_071, PIECES_ABOVE, PIECES_ABOVE + 1, 2**40])

_parts = st.sampled_from(
    [
        "a",
        "A",
        "a.b",
        "a-b",
        "a0",
        "fovs",
        "fov",
        "fov0",
        "é",
        "µm",
        "日本",
        "x y",
        "-rf",
        "_",
        "\U0001d538b",
    ]
) | st.integers(0, 99).map(str)
paths = st.lists(_parts, min_size=1, max_size=4).map("/".join)


def without_problems(found: list[str]) -> list[str]:
    """Return those of the paths that can stand together."""
    bad = path_problems(found)
    return [path for path in found if path not in bad]


path_lists = st.lists(paths, max_size=40, unique=True).map(without_problems)


@st.composite
def entries(draw: st.DrawFn, path: str | None = None) -> Entry:
    """Return an entry that keeps the rules."""
    # The same bytes have the same size and the same pieces.
    size = draw(sizes)
    digest = digest_of(b"%d %d" % (size, draw(st.integers(0, 3))))
    return make_entry(
        draw(paths) if path is None else path,
        digest,
        size,
        pieces=digest_of(digest.encode()) if size > PIECES_ABOVE else None,
        filename=draw(st.none() | texts),
        meta=draw(metas),
    )


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    """Return entries that can stand together."""
    return [draw(entries(path)) for path in draw(path_lists)]
