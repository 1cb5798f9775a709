"""Names and paths: what is refused, what would be merged, and how bad names are mended."""

import keyword
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from cellbank.model import names
from cellbank.model.errors import InvalidName
from tests.strategies import path_lists, paths

DEVICES = ["con", "aux", "nul", "prn", "com1", "com9", "lpt1", "lpt9"]


@pytest.mark.parametrize("name", ["a", "aics", "aics_23", "a" * 64, "x9_", "print", "self"])
def test_an_owner_or_package_may_be_called(name: str) -> None:
    assert name == names.check_name("an owner", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "Aics",
        "9a",
        "_a",
        "a-b",
        "a.b",
        "a b",
        "a" * 65,
        "é",
        "a\n",
        "\na",
        "a/b",
        "..",
        "\u0430",
        *keyword.kwlist,
        *keyword.softkwlist,
        *DEVICES,
        "admin",
        "api",
        "data",
        "login",
        "new",
        "static",
        "www",
    ],
)
def test_an_owner_or_package_may_not_be_called(name: str) -> None:
    with pytest.raises(InvalidName):
        names.check_name("a package", name)


@given(st.text(max_size=70))
@example("a" * 64)
def test_a_name_that_is_allowed_can_be_imported(name: str) -> None:
    try:
        names.check_name("a package", name)
    except InvalidName:
        return
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert name == names.fold(name) == names.alias(name)


@pytest.mark.parametrize("tag", ["a", "latest", "Paper-1", "v1.0_x", "9", "a" * 64])
def test_a_tag_may_be_called(tag: str) -> None:
    assert tag == names.check_tag(tag)


@pytest.mark.parametrize("tag", ["", "-rf", ".x", "_x", "a b", "é", "a/b", "a:b", "a\n", "a" * 65])
def test_a_tag_may_not_be_called(tag: str) -> None:
    with pytest.raises(InvalidName):
        names.check_tag(tag)


_number = st.integers(0, 30).map(str)
_local = st.text("0a1b.", min_size=1, max_size=5)
likely_versions = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "1!", "0!", "01!"]),
    st.lists(_number | st.sampled_from(["00", "01"]), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "a1", "b0", "rc10", "rc01", "-rc1", "c1", "A1", "a"]),
    st.sampled_from(["", ".post1", "-1", ".post", ".post01"]),
    st.sampled_from(["", ".dev0", "dev1", ".dev"]),
    st.just("") | _local.map("+{}".format),
)


def normal_form(text: str) -> str | None:
    try:
        return str(Version(text))
    except InvalidVersion:
        return None


def accepted(text: str) -> bool:
    try:
        return text == names.check_version(text)
    except InvalidName:
        return False


@given(likely_versions | st.text("0123.!+abrcpostdev-_ v\n", max_size=12))
@example("1.0+01")
@example("1.0+1a.0")
@example("1.0\n")
@example("v1.0")
def test_a_version_is_what_pep_440_calls_normal(text: str) -> None:
    assert (normal_form(text) == text) == accepted(text)
    if (normal := normal_form(text)) is not None:
        assert accepted(normal)


def test_a_version_has_at_most_64_characters() -> None:
    assert accepted("1." + "1" * 62)
    assert not accepted("1." + "1" * 63)


versions = likely_versions.map(normal_form).filter(bool)


@given(versions, versions)
@example("1.0", "1.0.0")
@example("1", "1.0rc1")
@example("1.0.post0", "1.post0")
@example("10", "1")
def test_two_versions_have_one_key_exactly_if_pep_440_calls_them_equal(one: str, two: str) -> None:
    assert (Version(one) == Version(two)) == (names.version_key(one) == names.version_key(two))


# --- single paths -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b",
        ".hidden",
        "..a",
        "a..b",
        "-rf",
        "__class__",
        "load",
        "x" * 255,
        "é" * 127,
        "/".join(["a"] * 64),
        "/".join(["x" * 204] * 5),
        "console",
        "com10.txt",
        "com.txt",
        "aconx/nulb",
        "a b/c d.ome.tif",
        "日本/\U0001d538",
        "a\u200db",
        "[1] (2) {3} & 'q' $v;",
    ],
    ids=lambda path: repr(path[:16]),
)
def test_a_path_may_be(path: str) -> None:
    assert names.path_problem(path) is None
    assert {} == names.path_problems([path])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/x",
        "x/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "../x",
        "C:x",
        "C:\\x",
        "\\\\srv",
        "a\\b",
        "x:y",
        "a?",
        "a*",
        'a"',
        "a<",
        "a>",
        "a|",
        "a\0",
        "a\nb",
        "a\tb",
        "a\x7f",
        "a\x85",
        "a.",
        "a ",
        " a",
        "a./b",
        "a /b",
        "b/ a",
        "...",
        "x" * 256,
        "é" * 128,
        "/".join(["a"] * 65),
        "/".join(["x" * 204] * 5) + "y",
        "CON",
        "con",
        "aux.ome.tif",
        "a/NUL",
        "prn.txt/a",
        "COM1.tif",
        "lpt9",
        "con .txt",
        "nul.",
        "\ud800",
        "a\udc80/b",
    ],
    ids=lambda path: repr(path[:16]),
)
def test_a_path_may_not_be(path: str) -> None:
    assert names.path_problem(path)
    assert {path} == names.path_problems([path]).keys()


@pytest.mark.parametrize(
    "path", ["a\u202eb", "\u200fa", "\u061cx", "\u2066a\u2069", "e\u0301", "a/e\u0301/b", "\u212a"]
)
def test_a_path_that_only_build_and_registry_refuse(path: str) -> None:
    assert names.path_problem(path) is None
    assert names.unicode_problem(path)
    assert {path} == names.path_problems([path]).keys()


@given(st.text(max_size=20) | paths)
def test_the_quick_look_at_a_path_finds_what_the_slow_one_finds(path: str) -> None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        assert names.path_problem(path)
        return
    parts = path.split("/")
    bad = (
        size > 1024
        or len(parts) > 64
        or any(
            part in ("", ".", "..")
            or len(part.encode()) > 255
            or any(c in '\\:?*"<>|' or ord(c) < 32 or 127 <= ord(c) < 160 for c in part)
            or part[0] == " "
            or part[-1] in " ."
            or part.split(".")[0].rstrip(" ").lower()
            in (*DEVICES, *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)))
            for part in parts
        )
    )
    assert bad == bool(names.path_problem(path))


# --- paths beside each other --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Aics", "aics"),
        ("ﬁ", "fi"),
        ("ß", "ss"),
        ("ẞ", "ss"),
        ("\u017f", "s"),
        ("ς", "\u03c3"),
        ("İ", "i̇"),
        ("Ⅳ", "iv"),
        ("\uff41", "a"),
        ("µ", "μ"),
        ("x²", "x2"),
    ],
)
def test_two_spellings_that_some_system_merges_cannot_stand_side_by_side(
    one: str, two: str
) -> None:
    assert names.fold(one) == names.fold(two)
    assert {two} == names.collisions([one, two]).keys()
    assert {f"g/{two}"} == names.collisions([f"g/{one}", f"g/{two}"]).keys()
    assert {f"{two}/b"} == names.collisions([f"{one}/a", f"{two}/b"]).keys()
    assert {} == names.collisions([f"g/{one}", f"h/{two}"])


def test_the_kelvin_sign_folds_to_k() -> None:
    assert names.fold("\u212a") == names.fold("k") == names.fold("K")


@pytest.mark.parametrize(
    ("one", "two"), [("\u0131", "i"), ("\u0430", "a"), ("é", "e"), ("a b", "a_b")]
)
def test_two_names_that_only_look_alike_can_stand_side_by_side(one: str, two: str) -> None:
    assert {} == names.collisions([one, two])


@pytest.mark.parametrize("found", [["a", "a/b"], ["a/b", "a"], ["a", "A/b"], ["x/a/b", "x/A"]])
def test_no_path_is_also_a_group(found: list[str]) -> None:
    assert {found[1]} == names.collisions(found).keys()


def test_a_group_that_folds_like_another_is_found_deep_down() -> None:
    found = names.collisions(["a/b/c/d", "a/B/c/e", "a/b/C/f", "a/b/c/g"])
    assert {"a/B/c/e", "a/b/C/f"} == found.keys()


@given(st.lists(paths, unique=True))
def test_collisions_are_those_of_a_plain_comparison(found: list[str]) -> None:
    folded: dict[tuple[str, ...], str] = {}
    expected = set()
    for path in found:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            place = "/".join(parts[:end]) + ("/" if end < len(parts) else "")
            key = tuple(map(names.fold, parts[:end]))
            if folded.setdefault(key, place) != place:
                expected.add(path)
    assert expected == names.collisions(found).keys()


@given(st.text(max_size=8))
def test_folding_again_changes_nothing_that_matters(text: str) -> None:
    twice = unicodedata.normalize("NFKC", text).casefold()
    assert unicodedata.normalize("NFKC", twice) == names.fold(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_fold_of_ascii_is_the_full_one(text: str) -> None:
    assert unicodedata.normalize("NFKC", text.casefold()) == names.fold(text)


# --- mending ----------------------------------------------------------------------------------

_odd = (
    st.sampled_from(["", "a", "A", "_", "x:y", "x?y", "x_y", "x_y_2", ".", "..", "...", "a.", "\n"])
    | st.sampled_from([" a", "a ", "con", "CON.txt", "_con", "nul.x", "e\u0301", "é", "ﬁ", "fi"])
    | st.sampled_from(["\u202e", "\ud800", "\udc80\udc81", "a" * 255, "A" * 255, "b" * 256])
    | st.sampled_from(["é" * 128 + ".ome.tif", "x" * 250 + ". .tif", "." + "c" * 300])
    | st.sampled_from(["." + "c" * 254, "." + "C" * 254, "d" * 254 + ":", "m." + "n" * 300])
    | st.sampled_from(["m." + "N" * 253, "m." + "n" * 253])
)
odd_paths = st.lists(_odd | st.text(max_size=3), min_size=1, max_size=5).map("/".join)
deep_paths = st.lists(st.sampled_from(["a", "A", "b" * 60, "a:"]), min_size=60, max_size=80).map(
    "/".join
)


@given(st.lists(odd_paths | deep_paths | paths, max_size=12, unique=True))
@example(["a/", "a/b", "a"])
@example(["\0a/b", "a"])
def test_mended_names_keep_the_rules_and_stay_apart(found: list[str]) -> None:
    mapped = names.fixed_names(found)
    after = [mapped.get(path, path) for path in found]
    assert {} == names.path_problems(after)
    assert len(found) == len(set(after))
    bad = names.path_problems(found)
    assert mapped.keys() <= bad.keys()


@given(path_lists)
def test_names_without_fault_stay_as_they_are(found: list[str]) -> None:
    assert {} == names.fixed_names(found)


def test_what_lay_together_stays_together() -> None:
    mapped = names.fixed_names(["p:1/a", "p:1/b", "p_1/a", "q/x:y", "q/x?y", "q/x_y"])
    expected = {
        "p:1/a": "p_1_2/a",
        "p:1/b": "p_1_2/b",
        "q/x:y": "q/x_y_2",
        "q/x?y": "q/x_y_3",
    }
    assert expected == mapped


def test_a_number_stands_before_the_extensions() -> None:
    mapped = names.fixed_names(["a?.ome.tif", "a_.ome.tif", "A.ome.tif", "a.ome.tif"])
    assert {"a?.ome.tif": "a__2.ome.tif", "a.ome.tif": "a_2.ome.tif"} == mapped


def test_a_name_that_is_too_long_keeps_its_extensions() -> None:
    [short] = names.fixed_names(["x" * 300 + ".ome.tif"]).values()
    assert "x" * 247 + ".ome.tif" == short


def test_a_path_that_is_too_deep_or_too_long_loses_only_its_last_groups() -> None:
    deep = "/".join(["g"] * 66) + "/a.tif"
    assert "g/" * 63 + "g_g_g_a.tif" == names.fixed_names([deep])[deep]
    long = "/".join(["g" * 200] * 5) + "/" + "x" * 100
    assert names.fixed_names([long])[long].startswith("/".join(["g" * 200] * 3) + "/")


def test_ten_thousand_bad_names_are_mended_at_once() -> None:
    found = [f"g:{i % 9}/f?{i}" for i in range(10_000)]
    assert len(set(names.fixed_names(found).values())) == len(found)


# --- attributes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("a.tif", "a_tif"),
        ("fov 1", "fov_1"),
        ("1a", "n1a"),
        ("class", "class_"),
        ("match", "match"),
        ("é", "é"),
        ("a-b", "a_b"),
        ("...", "___"),
        ("²", "n2"),
        ("ﬁ", "fi"),
        ("\uff43\uff4c\uff41\uff53\uff53", "class_"),
        ("½", "n1_2"),
        ("\u0303a", "ña"),
    ],
)
def test_a_child_is_reached_by_an_attribute(name: str, attribute: str) -> None:
    assert attribute == names.alias(name)


@given(st.text(min_size=1, max_size=8).filter(lambda name: not names.path_problem(name)))
def test_every_attribute_can_be_typed(name: str) -> None:
    attribute = names.alias(name)
    assert attribute.isidentifier()
    assert not keyword.iskeyword(attribute)
    # Python looks an identifier up in this form, however it was typed.
    assert unicodedata.normalize("NFKC", attribute) == attribute


def test_an_attribute_that_fits_several_children_names_them_all() -> None:
    found = names.aliases(["a.b", "a-b", "c.d", "c_d"])
    assert ["a.b", "a-b"] == found["a_b"]
    assert ["c_d"] == found["c_d"]


def test_names_that_look_alike_are_proposed() -> None:
    assert ["aics_23"] == names.near("aics_22", ["aics_23", "zebra"])
    assert [] == names.near("xyz", ["aics"])


@pytest.mark.parametrize("name", ["COM\u00b9", "lpt\u00b2.tif", "\uff43\uff4f\uff4e"])
def test_a_device_is_known_in_any_spelling_that_windows_knows(name: str) -> None:
    assert name in names.path_problems([name])
    fixed = names.fixed_names([name])[name]
    assert not names.path_problems([fixed])


@given(path_lists)
def test_a_look_at_all_paths_together_never_calls_a_bad_one_good(found: list[str]) -> None:
    def closely(paths: list[str]) -> dict[str, str]:
        return {
            path: why
            for path in paths
            if (why := names.path_problem(path) or names.unicode_problem(path))
        } | names.collisions(paths)

    wrong = [*found, "a/b", "a", "con.tif", "x" * 256, "/".join(["d"] * 65), "B", "b", "c."]
    for some in (found, *([path, *found] for path in wrong)):
        if names._surely_good(some):
            assert not closely(some)
