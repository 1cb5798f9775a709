"""YAML 1.2 as plain values, with the line on which each stands."""

from typing import Any, Final

import msgspec

from cellbank.cells.problems import Problems

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_VALUES: Final = 200_000
MAX_DEPTH: Final = 50

Path = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
# A date stays the text that it is: JSON has none, and a recipe neither.
_TEXTS: Final = frozenset({"str", "timestamp", "value"})
_SCALARS: Final = frozenset({"int", "float", "bool", "null"})
_MEND: Final = "Mend the line; docs/reference/recipe.md has the form of a recipe."


class Document(msgspec.Struct):
    """A document: its plain values, and path → line for every one of them."""

    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a value, or of the nearest one around it that is there."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(data: bytes, file: str, problems: Problems) -> Document | None:
    """Return the document in `data`, or None after an error."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(data) > MAX_BYTES:
        advice = "A recipe names tables; it does not hold them."
        problems.error(file, f"is larger than {MAX_BYTES // 2**20} MB", advice)
        return None
    yaml = YAML(typ="safe", pure=True)
    try:
        text = data.decode("utf-8-sig")
        node = yaml.compose(text)
        return _Making(yaml.constructor, file, problems).document(node)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        problems.error(file, "is not UTF-8", "Save it as UTF-8.", row=row)
    except RecursionError:
        problems.error(file, f"is nested deeper than {MAX_DEPTH}", _MEND)
    except _TooMuch as error:
        problems.error(file, str(error), _MEND)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        at = mark.line + 1 if mark is not None else None
        problems.error(file, f"is not YAML: {what}", _MEND, row=at)
    except ValueError as error:
        problems.error(file, f"is not YAML: {error}", _MEND)
    return None


class _TooMuch(ValueError):
    pass


class _Making:
    """Makes plain values of the nodes of a parser.

    Invariant: what an alias stands for is counted each time, so that a few lines cannot become
    millions of values.
    """

    def __init__(self, constructor: Any, file: str, problems: Problems) -> None:
        self._constructor = constructor
        self._file = file
        self._problems = problems
        self._lines: dict[Path, int] = {}
        self._count = 0

    def document(self, node: Any) -> Document:
        value = None if node is None else self._made(node, (), node.start_mark.line + 1)
        return Document(value, self._lines)

    def _made(self, node: Any, path: Path, line: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMuch(f"stands for more than {MAX_VALUES} values")
        if len(path) > MAX_DEPTH:
            raise _TooMuch(f"is nested deeper than {MAX_DEPTH}")
        self._lines.setdefault(path, line)
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            return [
                self._made(child, (*path, i), child.start_mark.line + 1)
                for i, child in enumerate(node.value)
            ]
        return self._scalar(node, path)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.id == "scalar" and _plain_tag(key.tag) == "merge":
                merged = self._merged(child, path, line) | merged
                continue
            name = key.value if key.id == "scalar" else "?"
            if key.id != "scalar" or _plain_tag(key.tag) not in _TEXTS:
                what = f"the name {name} is not text"
                self._error(what, 'Put it between quotes: "…".', line, path)
            elif name in made:
                self._error(f"{name} stands here twice", "Keep one of them.", line, (*path, name))
                continue
            # What stands here outweighs what was merged in, its line, too.
            self._lines[(*path, name)] = line
            made[name] = self._made(child, (*path, name), line)
        return merged | made

    def _merged(self, node: Any, path: Path, line: int) -> dict[str, Any]:
        parts = node.value if node.id == "sequence" else [node]
        made: dict[str, Any] = {}
        for part in parts:
            if part.id != "mapping":
                self._error("<< takes a mapping", "Write <<: *NAME.", line, path)
            else:
                made = self._made(part, path, line) | made
        return made

    def _scalar(self, node: Any, path: Path) -> Any:
        tag = _plain_tag(node.tag)
        if tag in _TEXTS:
            return node.value
        if tag in _SCALARS:
            return self._constructor.construct_object(node)
        self._error(
            f"the tag {node.tag} is not allowed",
            "Write plain values: text, numbers, lists, mappings.",
            node.start_mark.line + 1,
            path,
        )
        return None

    def _error(self, what: str, advice: str, line: int, path: Path) -> None:
        self._problems.error(self._file, what, advice, row=line, column=dotted(path))


def _plain_tag(tag: Any) -> str:
    text = str(tag)
    return text.removeprefix(_TAG) if text.startswith(_TAG) else text


def dotted(path: Path) -> str:
    """Return a path as people write it: `records.fov.image.file`, `authors[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
