"""The recipe: what a lab says of its tables, as typed values (`cellbank.yaml`)."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

Column = Annotated[str, Meta(min_length=1, description="The name of a column.")]
KindName = Literal["line", "plate", "well", "fov"]
TypeName = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "list[string]",
    "list[integer]",
    "list[number]",
]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a recipe: unknown fields are errors."""


class Table(Part, frozen=True):
    """Where a table is: a file of the source folder, or a database."""

    file: Annotated[
        str,
        Meta(
            description="A path in the folder of the recipe: .csv, .tsv, .txt, .parquet, .xlsx, "
            ".sqlite or .db; each may also be named by `format`."
        ),
    ] = ""
    postgres: Annotated[
        str,
        Meta(
            description="A PostgreSQL address; ${NAME} is taken from the environment, so that no "
            "password stands in the recipe."
        ),
    ] = ""
    format: Annotated[
        Literal["", "csv", "tsv", "parquet", "excel", "sqlite"],
        Meta(description="What the file is, where the end of its name does not tell."),
    ] = ""
    table: Annotated[str, Meta(description="The table or view in a database.")] = ""
    query: Annotated[str, Meta(description="A SELECT, in place of `table`.")] = ""
    sheet: Annotated[str, Meta(description="The sheet of a workbook; default: the first.")] = ""
    delimiter: Annotated[str, Meta(description="Of a CSV file; default: found out.")] = ""
    encoding: Annotated[
        str, Meta(description="Of a CSV file: utf-8 (with or without BOM) or latin-1, utf-16.")
    ] = "utf-8"


class Field(Part, frozen=True):
    """One value of a list of structs, such as the gene of an edit."""

    column: Annotated[str, Meta(description="Default: the name of the field.")] = ""
    value: Annotated[Any, Meta(description="The same for every record.")] = UNSET
    type: Annotated[
        TypeName | Literal[""],
        Meta(description="Default: that of the standard field of this name, else string."),
    ] = ""
    description: Annotated[str, Meta(description="For people, in SCHEMA.")] = ""
    unit: Annotated[str, Meta(description="Of a number, for people, in SCHEMA.")] = ""
    nullable: Annotated[bool, Meta(description="Whether a struct may be without it.")] = True
    format: Annotated[
        str, Meta(description="Of a date, as in strptime: %m/%d/%Y; default: %Y-%m-%d.")
    ] = ""
    separator: Annotated[str, Meta(description="Between the values of a list in one cell.")] = ";"


class Attribute(Part, frozen=True):
    """What an attribute of a record is and where it comes from."""

    column: Annotated[str, Meta(description="Default: the name of the attribute.")] = ""
    value: Annotated[Any, Meta(description="The same for every record, in place of a column.")] = (
        UNSET
    )
    through: Annotated[
        KindName | Literal[""],
        Meta(description="Taken from the record of this kind that this one belongs to."),
    ] = ""
    type: Annotated[
        TypeName | Literal["", "list[struct]"],
        Meta(description="Default: that of the standard attribute of this name, else string."),
    ] = ""
    description: Annotated[str, Meta(description="For people, in SCHEMA.")] = ""
    unit: Annotated[str, Meta(description="Of a number, for people, in SCHEMA: %, µm.")] = ""
    nullable: Annotated[bool, Meta(description="Whether a record may be without it.")] = True
    format: Annotated[
        str, Meta(description="Of a date, as in strptime: %m/%d/%Y; default: %Y-%m-%d.")
    ] = ""
    separator: Annotated[str, Meta(description="Between the values of a list in one cell.")] = ";"
    one_of: Annotated[list[Any], Meta(description="The values that are allowed.")] = []
    minimum: Annotated[float | None, Meta(description="The least number that is allowed.")] = None
    maximum: Annotated[float | None, Meta(description="The greatest number that is allowed.")] = (
        None
    )
    fields: Annotated[
        dict[str, Field | str | None],
        Meta(description="The values of each struct of a list; makes the attribute one."),
    ] = {}
    table: Annotated[
        str, Meta(description="The table with one row a struct; default: the record's own row.")
    ] = ""
    on: Annotated[
        dict[str, str],
        Meta(description="Column of that table → column of the record's row that it must equal."),
    ] = {}
    order: Annotated[str, Meta(description="The column of that table that orders its rows.")] = ""


class Link(Part, frozen=True):
    """The records that a record belongs to, by their keys."""

    column: Column
    separator: Annotated[str, Meta(description="Between several keys in one cell.")] = ""


class Image(Part, frozen=True):
    """The image of a record, and what is to be true of it."""

    file: Annotated[
        str | dict[str, str],
        Meta(
            description="The column with the path of the image; or channel name → column, where "
            "each channel is a file of its own."
        ),
    ]
    folder: Annotated[str, Meta(description="What the paths begin with.")] = ""
    axes: Annotated[
        str,
        Meta(
            pattern="^[TZCYXS]*$",
            description="The axes, slowest first. Needed for images that do not say so themselves: "
            "axes are never guessed.",
        ),
    ] = ""
    channels: Annotated[
        list[str] | Literal["channels"],
        Meta(description="Their names, or `channels`: those of the attribute of this name."),
    ] = []
    voxel_size: Annotated[
        dict[Literal["Z", "Y", "X"], float | str],
        Meta(description="In micrometres: a number, or the column that has it."),
    ] = {}


class Record(Part, frozen=True):
    """The records of one kind: the table, its key, what they belong to, what they hold."""

    table: Annotated[str, Meta(description="The name of one of `tables`.")]
    key: Annotated[str, Meta(description="The column that tells the rows apart.")]
    id: Annotated[
        str,
        Meta(description="The record's name in a package; {column} stands for a value of its row."),
    ] = ""
    where: Annotated[
        dict[str, str | int | bool], Meta(description="Only rows with these values.")
    ] = {}
    line: Annotated[Link | str, Meta(description="The column with the key of its cell line.")] = ""
    plate: Annotated[Link | str, Meta(description="The column with the key of its plate.")] = ""
    well: Annotated[Link | str, Meta(description="The column with the key of its well.")] = ""
    fov: Annotated[
        Link | str, Meta(description="The column with the key of its field of view.")
    ] = ""
    image: Annotated[Image | None, Meta(description="Where its image is.")] = None
    attributes: Annotated[
        dict[str, Attribute | str | None],
        Meta(description="Name → what it is; a text alone is the name of its column."),
    ] = {}


class Records(Part, frozen=True):
    """What each kind of record is made from."""

    fov: Annotated[Record, Meta(description="Fields of view: one row, one image each.")]
    line: Annotated[Record | None, Meta(description="Cell lines.")] = None
    plate: Annotated[Record | None, Meta(description="Plates.")] = None
    well: Annotated[Record | None, Meta(description="Wells.")] = None
    cell_seg: Annotated[Record | None, Meta(description="Segmentations of cells.")] = None
    nuclei_seg: Annotated[Record | None, Meta(description="Segmentations of nuclei.")] = None
    structure_seg: Annotated[
        Record | None, Meta(description="Segmentations of the tagged structure.")
    ] = None


class PerLine(Part, frozen=True):
    """One package for every line."""

    name: Annotated[
        str,
        Meta(
            description="{attribute} stands for that of the line, in small letters: {line} of "
            "AICS-23 gives aics_23."
        ),
    ]


class Sample(Part, frozen=True):
    """A package with a few fields of view, spread over all lines."""

    name: Annotated[str, Meta(description="The name of the package.")] = "random_sample"
    fovs: Annotated[int, Meta(ge=1, description="How many fields of view.")] = 20
    seed: Annotated[int, Meta(description="Another number draws another sample.")] = 0


class Subset(Part, frozen=True):
    """A package with the fields of view that a condition selects, and what belongs to them."""

    where: Annotated[str, Meta(min_length=1, description="An SQL condition: cell_viability > 98.")]
    title: Annotated[str, Meta(description="Of its README; default: made of the name.")] = ""
    description: Annotated[str, Meta(description="What the README says of it.")] = ""


class Packages(Part, frozen=True):
    """Which packages are made of the records."""

    per_line: Annotated[PerLine | None, Meta(description="One package for every line.")] = None
    all: Annotated[str, Meta(description="The name of the package with all records.")] = ""
    sample: Annotated[
        Sample | None, Meta(description="A package with a few fields of view of all lines.")
    ] = None
    subsets: Annotated[
        dict[str, Subset], Meta(description="Name → a package with what a condition selects.")
    ] = {}


class Include(Part, frozen=True):
    """Entries of another package, taken as they are."""

    package: Annotated[
        str,
        Meta(
            description="The package and the state of it that the entries are taken from: "
            "owner/name@revision or owner/name==version."
        ),
    ]
    paths: Annotated[
        list[str],
        Meta(
            description="Which entries: paths, groups, or patterns with * (in a part) and ** (over "
            "parts); default: all."
        ),
    ] = []
    into: Annotated[
        str, Meta(description="The group that they are put into; default: where they are there.")
    ] = ""


class Recipe(Part, frozen=True):
    """A recipe for a family of cell-line packages."""

    format: Annotated[Literal[1], Meta(description="Of the recipe: 1.")]
    title: Annotated[str, Meta(min_length=1, description="Of the packages, for people.")]
    tables: Annotated[
        dict[str, Table], Meta(min_length=1, description="Name → where the table is.")
    ]
    records: Annotated[Records, Meta(description="What each kind of record is made from.")]
    packages: Annotated[Packages, Meta(description="Which packages are made of the records.")]
    include: Annotated[
        list[Include],
        Meta(description="Entries of other packages that come into each of these, as they are."),
    ] = []
    description: Annotated[str, Meta(description="What the READMEs say of the packages.")] = ""
    license: Annotated[str, Meta(description="An SPDX name, or a sentence.")] = ""
    authors: Annotated[list[str], Meta(description="Who made the data.")] = []
    cite: Annotated[str, Meta(description="What to cite beside the package's revision.")] = ""
    contact: Annotated[str, Meta(description="Whom to ask: a name, an address.")] = ""
    label_overlap: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of a nucleus that may lie outside of its cell."),
    ] = 0.05


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of recipes."""
    schema = msgspec.json.schema(Recipe)
    # msgspec does not say which keys a mapping may have.
    voxel = schema["$defs"]["Image"]["properties"]["voxel_size"]
    described = {"description": "Along this axis."} | voxel["additionalProperties"]
    voxel |= {"properties": dict.fromkeys("ZYX", described), "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "cellbank.yaml"} | {
        key: value for key, value in schema.items() if key != "title"
    }
