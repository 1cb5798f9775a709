"""The pages about recipes and their packages name every field and attribute, and no other."""

import re
from pathlib import Path

import msgspec
import pytest

from cellbank.cells import recipe
from cellbank.cells.kinds import KINDS, SCHEMA_ORDER, Attribute, relations_of
from cellbank.cells.metadata import sql_type
from cellbank.cells.records import DEFAULT_ID
from cellbank.cells.values import Spec

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGE = (DOCS / "recipe.md").read_text()
PACKAGES = (DOCS / "cell_line_packages.md").read_text()
PARTS = [
    thing
    for thing in vars(recipe).values()
    if isinstance(thing, type) and issubclass(thing, recipe.Part) and thing is not recipe.Part
]


def rows(title: str, page: str = PAGE) -> list[list[str]]:
    """Return the cells of the table below a heading, without its first two rows."""
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no heading {title}"
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_field_of_a_part_of_a_recipe_stands_on_the_page(part: type[recipe.Part]) -> None:
    there = {field.name: field.required for field in msgspec.structs.fields(part)}
    shown = {row[0].strip("*`"): row[0].startswith("**") for row in rows(part.__name__)}
    assert there == shown


def test_the_types_on_the_page_are_those_that_an_attribute_may_have() -> None:
    schema = recipe.json_schema()["$defs"]["Attribute"]["properties"]["type"]
    types = {value for part in schema["anyOf"] for value in part["enum"] if value}
    assert types == {row[0].strip("`") for row in rows("Types")}


def test_the_page_says_which_sql_type_a_type_becomes() -> None:
    shown = {row[0].strip("`"): row[3].strip("`") for row in rows("Types")}
    struct = shown.pop("list[struct]")
    assert shown == {name: sql_type(Spec("a", name)) for name in shown}
    fields = (Spec("gene", "string"),)
    assert struct == sql_type(Spec("a", "list[struct]", fields=fields)).replace(
        '"gene" VARCHAR', "…"
    )


def test_the_page_has_the_seven_kinds() -> None:
    shown = [[cell.replace("`", "") for cell in row] for row in rows("The seven kinds")]
    assert [
        [
            kind.name,
            kind.group,
            DEFAULT_ID[kind.name] % "key",
            ", ".join(kind.above),
            "no" if not kind.image else "may have one" if kind.name == "well" else "yes",
        ]
        for kind in KINDS.values()
    ] == shown


TABLES = {
    "Attributes of a line": KINDS["line"].attributes,
    "Fields of an edit": KINDS["line"].attributes["edits"].fields,
    "Attributes of a plate": KINDS["plate"].attributes,
    "Attributes of a well and of a field of view": KINDS["well"].attributes,
    "Fields of a channel": KINDS["fov"].attributes["channels"].fields,
}


@pytest.mark.parametrize("title", TABLES)
def test_every_standard_attribute_stands_on_the_page(title: str) -> None:
    attributes: dict[str, Attribute] = TABLES[title] or {}
    assert [
        [f"`{name}`", f"`{said.type}`", said.unit, said.description]
        for name, said in attributes.items()
    ] == rows(title)


def test_no_other_kind_has_standard_attributes() -> None:
    assert KINDS["well"].attributes == KINDS["fov"].attributes
    others = [kind for name, kind in KINDS.items() if name.endswith("_seg")]
    assert [{}, {}, {}] == [kind.attributes for kind in others]


def test_the_keys_of_info_documents_stand_on_the_page_in_their_order() -> None:
    found = {row[0]: row[1:] for row in rows("`info` documents", PACKAGES)}
    for name in ("line", "plate", "well"):
        keys = [re.findall(r"`(\w+)`", cell) for cell in found[name]]
        assert [list(KINDS[name].attributes), relations_of(name)] == keys
    assert relations_of("fov") == re.findall(r"`(\w+)`", found["FOV"][1])
    for name in ("cell_seg", "nuclei_seg", "structure_seg"):
        listed = re.findall(r"`(\w+)`", found["segmentation"][1])
        assert relations_of(name) == [group for group in listed if group != KINDS[name].group]


def test_the_page_has_the_kinds_of_schema_in_their_order() -> None:
    assert [KINDS[kind].schema for kind in SCHEMA_ORDER] == re.findall(
        r"`(unique_\w+_info)`", PACKAGES
    )
