"""What a schema cannot say of a recipe: that names lead somewhere, that fields agree."""

import re
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any, Final

import msgspec

from cellbank.cells.including import include_problems
from cellbank.cells.kinds import KINDS
from cellbank.cells.recipe import Attribute, Field, Link, Packages, Recipe, Record
from cellbank.cells.values import iso_date
from cellbank.model.errors import InvalidName
from cellbank.model.names import check_name, near

Path = tuple[str | int, ...]
Wrong = tuple[Path, str, str]

HOLE: Final = re.compile(r"\{([^{}]*)\}")
_LINKS: Final = ("line", "plate", "well", "fov")
_TAKEN: Final = {"id", "path", "digest", "size", *(kind.group for kind in KINDS.values())}
"""What metadata tables and documents have beside the attributes."""
_SAMPLE_DAY: Final = date(2017, 10, 16)
_YEAR: Final = re.compile("%[YyGxcDF]")
"""Without a year, Python reads some other day, and warns of it from 3.13 on."""


def check(recipe: Recipe, tables: Collection[str]) -> Iterator[Wrong]:
    """Tell what is wrong: path, what, advice. `tables` are the names that may be used."""
    records: dict[str, Record] = {
        kind: record for kind in KINDS if (record := getattr(recipe.records, kind)) is not None
    }
    for kind, record in records.items():
        yield from _Checked(kind, record, records, tables).all()
    yield from _packages(recipe.packages, records)
    yield from include_problems(recipe.include)


class _Checked:
    """The checks of the records of one kind."""

    def __init__(
        self,
        kind: str,
        record: Record,
        records: dict[str, Record],
        tables: Collection[str],
    ) -> None:
        self._kind = kind
        self._record = record
        self._records = records
        self._tables = tables
        self._path: Path = ("records", kind)

    def all(self) -> Iterator[Wrong]:
        yield from self._table((*self._path, "table"), self._record.table)
        yield from _template((*self._path, "id"), self._record.id, "id")
        yield from self._links()
        yield from self._image()
        yield from self._names()
        for name, said in self._record.attributes.items():
            if isinstance(said, Attribute):
                yield from _cases((*self._path, "attributes", name, "fields"), said.fields)
                yield from self._attribute(name, said, (*self._path, "attributes", name))

    def _table(self, path: Path, name: str) -> Iterator[Wrong]:
        if name not in self._tables:
            yield path, f"there is no table {name!r}", _did_you_mean(name, self._tables)

    def _links(self) -> Iterator[Wrong]:
        above = KINDS[self._kind].above
        for kind in _links_of(self._record):
            path = (*self._path, kind)
            if kind not in above:
                may = f"Name {' or '.join(above)}." if above else "Remove it."
                yield path, f"a {self._kind} does not belong to a {kind}", may
            elif kind not in self._records:
                advice = f"Add records.{kind}, or remove this."
                yield path, f"the recipe has no records of the kind {kind}", advice

    def _image(self) -> Iterator[Wrong]:
        image = self._record.image
        path = (*self._path, "image")
        if image is None:
            return
        if not KINDS[self._kind].image:
            yield path, f"a {self._kind} has no image", "Remove it."
        if image.file in ("", {}):
            yield (*path, "file"), "is empty", "Name the column with the path of the image."
        if image.channels == "channels":
            if isinstance(image.file, dict):
                what = "the channels are named in `file` already"
                yield (*path, "channels"), what, "Remove one of them."
            elif "channels" not in self._record.attributes:
                what = "there is no attribute `channels` to take their names from"
                yield (*path, "channels"), what, "Add it, or list the names."

    # --- attributes

    def _names(self) -> Iterator[Wrong]:
        seen = {name.lower(): name for name in KINDS[self._kind].attributes}
        for name in self._record.attributes:
            path = (*self._path, "attributes", name)
            if name.lower() in _TAKEN:
                yield path, f"the name {name} is taken: every record has one", "Choose another."
            elif not _is_name(name):
                yield path, _NO_NAME, "Choose another."
            elif seen.setdefault(name.lower(), name) != name:
                what = f"{name} differs from {seen[name.lower()]} in its letters' case only"
                yield path, what, "Choose another: tables do not tell them apart."

    def _attribute(self, name: str, said: Attribute, path: Path) -> Iterator[Wrong]:
        given = [
            field
            for field, there in (
                ("column", bool(said.column)),
                ("value", said.value is not msgspec.UNSET),
                ("through", bool(said.through)),
                ("table", bool(said.table)),
            )
            if there
        ]
        # With `through`, a column is the name of the attribute there.
        if len(given) > 1 and given != ["column", "through"]:
            yield path, f"has {' and '.join(given)}: one of them is enough", "Keep one."
        standard = KINDS[self._kind].attributes.get(name)
        kind = said.type or (standard.type if standard else "string")
        yield from self._structs(said, path, kind, bool(standard and standard.fields))
        if said.through:
            yield from self._through(said.column or name, said.through, path)
        if not said.fields:
            yield from _form(said, kind, path)
        if kind not in ("integer", "number", "list[integer]", "list[number]"):
            for part in ("minimum", "maximum"):
                if getattr(said, part) is not None:
                    what = f"{kind} has no {part}"
                    yield (*path, part), what, "Remove it, or make the type a number."
        low, high = said.minimum, said.maximum
        if low is not None and high is not None and low > high:
            yield (*path, "minimum"), "is greater than the maximum", "Change one of them."

    def _structs(self, said: Attribute, path: Path, kind: str, known: bool) -> Iterator[Wrong]:
        structs = "list[struct]"
        if known and said.type not in ("", structs):
            what = f"{path[-1]} has structs, which the builder reads"
            yield (*path, "type"), what, f"Make the type {structs}."
            return
        if said.fields and said.type not in ("", structs):
            what = f"{said.type} has no fields"
            yield (*path, "fields"), what, f"Make the type {structs}, or remove them."
        elif kind == structs and not said.fields and not known:
            yield path, "has no fields", "Name the fields of each struct: fields: {…}."
        if said.table:
            yield from self._table((*path, "table"), said.table)
            if not said.on:
                yield path, "does not say which rows of the table are its own", "Add `on`."
            if kind != structs and not said.fields:
                what = "only a list of structs can come from another table"
                yield (*path, "table"), what, "Add `fields`, or remove it."
        else:
            for part in ("on", "order"):
                if getattr(said, part):
                    what = "is of use with `table` only"
                    yield (*path, part), what, "Add `table`, or remove it."
        for name, field in said.fields.items():
            if isinstance(field, Field):
                inside = (*path, "fields", name)
                if field.column and field.value is not msgspec.UNSET:
                    yield inside, "has column and value: one of them is enough", "Keep one."
                standard = _standard_field(self._kind, path[-1], name)
                yield from _form(field, field.type or standard or "string", inside)

    def _through(self, name: str, kind: str, path: Path) -> Iterator[Wrong]:
        links = _links_of(self._record)
        further = [
            link
            for link in links
            if link in self._records
            for link in _links_of(self._records[link])
        ]
        path = (*path, "through")
        if kind not in (*links, *further):
            may = sorted({*links, *further})
            advice = f"Name one of {', '.join(may)}." if may else f"Say what its {kind} is first."
            yield path, f"a {self._kind} here does not belong to a {kind}", advice
        elif kind in self._records:
            theirs = self._records[kind].attributes
            if name not in theirs:
                what = f"the records of {kind} have no attribute {name}"
                yield path, what, _did_you_mean(name, theirs)


_NO_NAME: Final = "is no name: empty, or with a character that cannot be seen"


def _is_name(name: str) -> bool:
    """Whether this can be the name of a column of a metadata table."""
    return bool(name.strip()) and name.isprintable()


def _cases(path: Path, names: Collection[str]) -> Iterator[Wrong]:
    seen: dict[str, str] = {}
    for name in names:
        if not _is_name(name):
            yield (*path, name), _NO_NAME, "Choose another."
        elif seen.setdefault(name.lower(), name) != name:
            what = f"{name} differs from {seen[name.lower()]} in its letters' case only"
            yield (*path, name), what, "Choose another: tables do not tell them apart."


def _holes(path: Path, template: str, records: dict[str, Record]) -> Iterator[Wrong]:
    """Check that a name of packages is made of what lines have."""
    line = records.get("line")
    known = {"key", "id", *KINDS["line"].attributes, *(line.attributes if line else ())}
    for hole in HOLE.findall(template):
        if line is not None and hole and hole not in known:
            yield path, f"a line has no attribute {hole!r}", _did_you_mean(hole, known)


def _standard_field(kind: str, attribute: Any, name: str) -> str:
    standard = KINDS[kind].attributes.get(attribute)
    field = (standard.fields or {}).get(name) if standard else None
    return field.type if field else ""


def _form(said: Attribute | Field, kind: str, path: Path) -> Iterator[Wrong]:
    """Check the form of a date."""
    if not said.format:
        return
    if kind != "date":
        yield (*path, "format"), f"{kind} has no format", "Make the type date, or remove it."
    elif not _tells_days(said.format):
        what = f"{said.format!r} is no form in which a day can be told"
        yield (*path, "format"), what, "Write it as in strptime: %m/%d/%Y."


def _tells_days(form: str) -> bool:
    """Whether a day that is written in this form can be read again."""
    if not _YEAR.search(form):
        return False
    try:
        return iso_date(_SAMPLE_DAY.strftime(form), form) == _SAMPLE_DAY.isoformat()
    except (ValueError, re.error):
        return False


def _links_of(record: Record) -> dict[str, Link | str]:
    return {kind: link for kind in _LINKS if (link := getattr(record, kind))}


def _template(path: Path, text: str, what: str) -> Iterator[Wrong]:
    if not text:
        return
    rest = HOLE.sub("", text)
    if "{" in rest or "}" in rest or "" in [h.strip() for h in HOLE.findall(text)]:
        yield path, f"{text!r} has a brace without its other, or none in it", "Write {column}."
    elif not HOLE.search(text):
        advice = "Put {column} in it, with the column that tells them apart."
        yield path, f"all records would get the same {what}: {text!r}", advice


def _packages(packages: Packages, records: dict[str, Record]) -> Iterator[Wrong]:
    if not (packages.per_line or packages.all or packages.sample or packages.subsets):
        yield ("packages",), "names no package", "Add one: all: cell_lines."
    seen: dict[str, str] = {}
    named: list[tuple[Path, str]] = []
    if packages.per_line:
        path: Path = ("packages", "per_line", "name")
        named.append((path, HOLE.sub("a1", packages.per_line.name.lower())))
        yield from _template(path, packages.per_line.name, "package")
        yield from _holes(path, packages.per_line.name, records)
        if "line" not in records:
            what = "the recipe has no records of the kind line"
            yield ("packages", "per_line"), what, "Add records.line, or remove this."
    if packages.all:
        named.append((("packages", "all"), packages.all))
    if packages.sample:
        named.append((("packages", "sample", "name"), packages.sample.name))
    named += [(("packages", "subsets", name), name) for name in packages.subsets]
    for path, name in named:
        try:
            check_name("a package", name)
        except InvalidName as error:
            yield path, error.message, error.advice
        else:
            if name in seen:
                yield path, f"{name} is the name of {seen[name]} already", "Choose another."
            seen.setdefault(name, ".".join(map(str, path)))


def _did_you_mean(word: str, names: Collection[str]) -> str:
    close = near(word, names)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(sorted(names))}." if names else "There are none."
