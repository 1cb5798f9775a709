"""Names and paths: what may be called what, on every system and in every language."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from cellbank.model.errors import InvalidName

_DEVICES: Final = frozenset(
    ["con", "aux", "nul", "prn"]
    + [f"com{i}" for i in range(1, 10)]
    + [f"lpt{i}" for i in range(1, 10)]
)
# The keywords and soft keywords of Python 3.13: a fixed list, because names outlive Pythons.
_KEYWORDS: Final = frozenset(
    [
        "False",
        "None",
        "True",
        "and",
        "as",
        "assert",
        "async",
        "await",
        "break",
        "class",
        "continue",
        "def",
        "del",
        "elif",
        "else",
        "except",
        "finally",
        "for",
        "from",
        "global",
        "if",
        "import",
        "in",
        "is",
        "lambda",
        "nonlocal",
        "not",
        "or",
        "pass",
        "raise",
        "return",
        "try",
        "while",
        "with",
        "yield",
        "_",
        "case",
        "match",
        "type",
    ]
)
_RESERVED: Final = frozenset(
    [
        "admin",
        "api",
        "account",
        "assets",
        "data",
        "docs",
        "health",
        "healthz",
        "help",
        "login",
        "logout",
        "metrics",
        "new",
        "openapi",
        "org",
        "search",
        "settings",
        "static",
        "system",
        "user",
        "users",
        "www",
    ]
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# The normal form of a public or local version of PEP 440.
_LOCAL = "(?:0|[1-9][0-9]*|[0-9]*[a-z][a-z0-9]*)"
_VERSION = re.compile(
    r"(?:[1-9][0-9]*!)?(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*"
    r"(?:(?:a|b|rc)(?:0|[1-9][0-9]*))?(?:\.post(?:0|[1-9][0-9]*))?(?:\.dev(?:0|[1-9][0-9]*))?"
    rf"(?:\+{_LOCAL}(?:\.{_LOCAL})*)?"
)

MAX_PART_BYTES: Final = 255
MAX_PATH_BYTES: Final = 1024
MAX_DEPTH: Final = 64
_MAX_END_BYTES: Final = 32

# Paths of these characters only need a look at their lengths and at device names.
_PLAIN_PART = r"[A-Za-z0-9_][A-Za-z0-9_+=,@()#%&~-]*(?:\.[A-Za-z0-9_-]+)*"
_PLAIN_PATH = rf"(?:{_PLAIN_PART}/)*{_PLAIN_PART}"
_PLAIN = re.compile(_PLAIN_PATH)
_PLAIN_LINES = re.compile(rf"(?:{_PLAIN_PATH}\n)*")
_DEVICE_PART = re.compile(
    r"(?:^|/)(?:con|aux|nul|prn|com[1-9]|lpt[1-9])(?:[./]|$)", re.IGNORECASE | re.MULTILINE
)
_FORBIDDEN = re.compile(r'[\\:?*"<>|\x00-\x1f\x7f-\x9f]')
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it may be the name of `kind` ("an owner", "a package").

    Raises `InvalidName`: It breaks the pattern, or is a keyword, a device or a reserved word.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(kind, name, "use a-z, 0-9 and _, a letter first, at most 64")
    for words, why in (
        (_KEYWORDS, "it is a Python keyword"),
        (_DEVICES, "it is a Windows device"),
        (_RESERVED, "it is reserved"),
    ):
        if name in words:
            raise InvalidName(kind, name, why)
    return name


def is_name(name: str) -> bool:
    """Whether an owner or a package may have this name."""
    return bool(_NAME.fullmatch(name)) and name not in _KEYWORDS | _DEVICES | _RESERVED


def check_tag(name: str) -> str:
    """Return `name` if it may be a tag, else raise `InvalidName`."""
    if not _TAG.fullmatch(name):
        raise InvalidName("a tag", name, "use letters, digits and . _ -, at most 64")
    return name


def check_version(name: str) -> str:
    """Return `name` if it is a version in the normal form of PEP 440, else raise `InvalidName`."""
    if len(name) > 64 or not _VERSION.fullmatch(name):
        raise InvalidName(
            "a version", name, "use the normal form of PEP 440, such as 1.2 or 2.0rc1"
        )
    return name


def version_key(name: str) -> str:
    """Return what two spellings of one version share (`1.0` and `1.0.0` are the same version)."""
    found = re.match(r"((?:\d+!)?\d+(?:\.\d+)*)(.*)", name)
    if found is None:
        return name
    return re.sub(r"(?:\.0)+$", "", found[1]) + found[2]


def fold(part: str) -> str:
    """Return the form in which two parts that some file system would merge are equal."""
    if part.isascii():
        return part.lower()
    normal = unicodedata.normalize
    return normal("NFKC", normal("NFKC", part).casefold())


def path_problem(path: str) -> str | None:
    """Return what is wrong with one path by the rules that bind everyone, or None.

    These are the rules on bytes: a reader checks them before it writes anything.
    """
    if _PLAIN.fullmatch(path) and len(path) <= MAX_PART_BYTES and not _DEVICE_PART.search(path):
        return "too deep" if path.count("/") >= MAX_DEPTH else None
    try:
        whole = path.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    if len(whole) > MAX_PATH_BYTES:
        return f"longer than {MAX_PATH_BYTES} bytes"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"deeper than {MAX_DEPTH}"
    return next((why for part in parts if (why := _part_problem(part))), None)


def _part_problem(part: str) -> str | None:
    if not part:
        return "an empty part, or an absolute path"
    if part in (".", ".."):
        return f"the part {part!r}"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"a part longer than {MAX_PART_BYTES} bytes"
    if found := _FORBIDDEN.search(part):
        return f"the character {found[0]!r}"
    if part[0] == " ":
        return "a leading space"
    if part[-1] in ". ":
        return "a trailing dot or space"
    if part.split(".", 1)[0].rstrip(" ").lower() in _DEVICES:
        return f"the Windows device name {part!r}"
    return None


def unicode_problem(path: str) -> str | None:
    """Return what is wrong with one path by the rules that bind build and registry, or None."""
    if path.isascii():
        return None
    if found := _BIDI.search(path):
        return f"the bidirectional character U+{ord(found[0]):04X}"
    if not unicodedata.is_normalized("NFC", path):
        return "not in normal form NFC"
    for part in path.split("/"):
        # Windows takes a superscript digit for the digit: COM¹ is a device there, too.
        if fold(part.split(".", 1)[0]).strip() in _DEVICES:
            return f"the Windows device name {part!r}"
    return None


def collisions(paths: Iterable[str]) -> dict[str, str]:
    """Return the paths that some file system would merge with another: path → reason.

    No two spellings of a part under one parent may fold alike, and no path may also be a group.
    """
    found: dict[str, str] = {}
    seen: dict[str, str] = {}  # folded place → its spelling; groups end in "/"
    folded_parents: dict[str, str] = {"": ""}
    merged: dict[str, str] = {}  # groups that would be merged, with the reason
    for path in paths:
        parent, _, name = path.rpartition("/")
        inside = folded_parents.get(parent)
        if inside is None:
            inside = _enter(parent, seen, folded_parents, merged)
        if parent in merged:
            found[path] = merged[parent]
        place = f"{inside}\0{fold(name)}"
        other = seen.setdefault(place, path)
        if other != path:
            found[path] = _clash(other)
    return found


def _enter(
    parent: str, seen: dict[str, str], folded_parents: dict[str, str], merged: dict[str, str]
) -> str:
    """Note a group and those above it; return its folded form."""
    inside, group = "", ""
    for part in parent.split("/"):
        group = f"{group}{part}/"
        place = f"{inside}\0{fold(part)}"
        other = seen.setdefault(place, group)
        above = group[:-1].rpartition("/")[0]
        if other != group:
            merged[group[:-1]] = _clash(other)
        elif above in merged:
            merged[group[:-1]] = merged[above]
        inside = place
        folded_parents[group[:-1]] = inside
    return inside


def _clash(other: str) -> str:
    kind = "group" if other.endswith("/") else "path"
    return f"would be merged with the {kind} {other!r} on some systems"


def path_problems(paths: Iterable[str]) -> dict[str, str]:
    """Return all that is wrong with these paths, for build and registry: path → reason."""
    paths = list(paths)
    if _surely_good(paths):
        return {}
    found: dict[str, str] = {}
    good = []
    for path in paths:
        why = path_problem(path) or unicode_problem(path)
        if why:
            found[path] = why
        else:
            good.append(path)
    return found | collisions(good)


def _surely_good(paths: list[str]) -> bool:
    """Whether one look at all of them together shows that nothing is wrong; if not, look closer.

    Most folders have only plain names without capitals: then no two can be merged, and what is
    left is that no path is also a group.
    """
    text = "".join([f"{path}\n" for path in paths])
    if text.count("\n") != len(paths):
        return False
    if text != text.lower() or not _PLAIN_LINES.fullmatch(text) or _DEVICE_PART.search(text):
        return False
    if max(map(len, paths), default=0) > MAX_PART_BYTES:
        return False
    if max([path.count("/") for path in paths], default=0) >= MAX_DEPTH:
        return False
    groups: set[str] = set()
    level = set(paths)
    while level := {path.rpartition("/")[0] for path in level} - groups - {""}:
        groups |= level
    return groups.isdisjoint(paths)


def fixed_names(paths: Iterable[str]) -> dict[str, str]:
    """Return a path that keeps the rules for every path that breaks them.

    Forbidden characters become ``_``; a number is added where two would meet. Groups are mapped
    as one, so that what lay together stays together.
    """
    names = list(paths)
    bad = path_problems(names)
    groups: dict[str, str] = {"": ""}
    taken: dict[str, tuple[str, bool]] = {}  # folded fixed place → what was mapped to it
    # Good names first: they stay as they are.
    fixed = {
        name: _fixed_path(name, groups, taken)
        for name in sorted(dict.fromkeys(names), key=lambda name: name in bad)
    }
    return {name: fixed[name] for name in names if fixed[name] != name}


def _fixed_path(name: str, groups: dict[str, str], taken: dict[str, tuple[str, bool]]) -> str:
    """Map a path and the groups above it; where it is too long or too deep, its last parts meet."""
    parts = name.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        original = ""
        for part in parts[:depth]:
            inside = groups[original]
            original = f"{original}{part}/"
            if original not in groups:
                groups[original] = f"{_free_place(inside, part, (original, True), taken)}/"
        place = _free_place(groups[original], "_".join(parts[depth:]), (name, False), taken)
        if not path_problem(place):
            break
    return place


def _free_place(
    inside: str, part: str, original: tuple[str, bool], taken: dict[str, tuple[str, bool]]
) -> str:
    keep = not (path_problem(part) or unicode_problem(part))
    wish = part if keep else _fixed_part(part)
    stem, dot, rest = _shortened(wish, MAX_PART_BYTES - 12).partition(".")
    if not stem:
        stem, dot, rest = f"{dot}{rest}", "", ""
    trial, number = wish, 1
    folded = "/".join(map(fold, inside.split("/")))
    while taken.setdefault(f"{folded}{fold(trial)}", original) != original:
        number += 1
        trial = f"{stem}_{number}{dot}{rest}"
    return f"{inside}{trial}"


def _fixed_part(part: str) -> str:
    text = unicodedata.normalize("NFC", re.sub(r"[\ud800-\udfff]+", "_", part))
    text = _BIDI.sub("_", _FORBIDDEN.sub("_", text))
    text = re.sub(r"^ +", "_", text)
    text = re.sub(r"[. ]+$", "_", text) or "_"
    if fold(text.split(".", 1)[0]).strip() in _DEVICES:
        text = f"_{text}"
    return _shortened(text, MAX_PART_BYTES)


def _shortened(part: str, limit: int) -> str:
    """Return the part with at most so many bytes, its extensions kept where they are short."""
    if len(part.encode()) <= limit:
        return part
    stem, dot, rest = part.partition(".")
    end = f"{dot}{rest}"
    if not stem or len(end.encode()) > _MAX_END_BYTES:
        stem, end = part, ""
    room = limit - len(end.encode())
    stem = stem.encode()[:room].decode(errors="ignore")
    return f"{stem}{end}" if end else re.sub(r"[. ]+$", "_", stem)


def alias(name: str) -> str:
    """Return the attribute name by which an entry or group can be reached: `a.tif` → `a_tif`."""
    text = re.sub(r"\W", "_", name)
    if not name.isascii():
        # What Python takes an identifier to be that is typed so.
        normal = unicodedata.normalize("NFKC", name)
        text = "".join([c if f"n{c}".isidentifier() else "_" for c in normal])
    if not text.isidentifier():
        text = unicodedata.normalize("NFKC", f"n{text}")
    return f"{text}_" if text in _KEYWORDS - {"_", "case", "match", "type"} else text


def aliases(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Return attribute name → the names that it could mean (one, where it is unambiguous)."""
    found: dict[str, list[str]] = {}
    names = list(names)
    for name in names:
        found.setdefault(alias(name), []).append(name)
    for name in names:
        if name.isidentifier():
            # A name that is an identifier keeps its own attribute, whatever else looks like it.
            found[name] = [name]
    return found


def near(word: str, names: Iterable[str]) -> list[str]:
    """Return up to three of `names` that look like `word`."""
    return get_close_matches(word, list(names), n=3, cutoff=0.6)
