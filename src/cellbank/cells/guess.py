"""A recipe guessed from a folder of tables, as text: every guess says why it was made."""

from pathlib import Path
from typing import Final

import msgspec

from cellbank.cells.guess_attributes import Attributes, Line, flow, quoted, voxel_columns
from cellbank.cells.guess_columns import plain_name
from cellbank.cells.guess_kinds import Kindred, Seen, first_image, kinds_of, look
from cellbank.cells.kinds import KINDS
from cellbank.cells.problems import Problem, Problems
from cellbank.model.errors import BadInput, CellbankError

_PREFIXES: Final = {
    "line": "line_",
    "plate": "plate_",
    "well": "",
    "fov": "fov_",
    "cell_seg": "cell_",
    "nuclei_seg": "nuc_",
    "structure_seg": "struct_",
}
_WIDTH: Final = 100


class Guess(msgspec.Struct, frozen=True):
    """A recipe as text, kind → the table that it is in, and what was wrong with the tables."""

    text: str
    kinds: dict[str, str]
    todo: int
    problems: list[Problem]


def guess(folder: str) -> Guess:
    """Return a recipe for the tables below a folder.

    Raises `BadInput`: There is no table that can be read.
    """
    root = Path(folder).resolve()
    problems = Problems()
    tables = look(root, problems)
    if not tables:
        why = f": {problems.found()[0].what}" if problems.errors else ""
        raise BadInput(
            f"{folder} has no table that can be read{why}",
            "Put the tables there: CSV, TSV, Parquet, Excel or SQLite.",
        )
    made = kinds_of(tables, root)
    lines = [*_head(root), *_tables(tables, made), "records:"]
    for kind in made.values():
        lines += _record(kind, made, tables, root)
    lines += _packages(made)
    text = "\n".join(_printable(line).rstrip() for line in lines) + "\n"
    named = {kind: kindred.seen.name for kind, kindred in made.items()}
    return Guess(text, named, text.count("TODO"), problems.found())


def _printable(line: str) -> str:
    """Return a line that is one: names of columns stand in comments, and may hold line ends."""
    return "".join(c if c.isprintable() else " " for c in line)


def _head(root: Path) -> list[str]:
    title = root.name.replace("_", " ").replace("-", " ").strip() or "Cells"
    return [
        "# The recipe of this folder, guessed from its tables by `cellbank init`. Read it, look at",
        "# each TODO, take the # away from what is to be published, then:",
        "#",
        "#   cellbank build OWNER cellbank.yaml",
        "#",
        "# Where an attribute names no column, the column has its name. Standard attributes have",
        "# their descriptions and units already.",
        "format: 1",
        f"title: {quoted(title)}  # TODO: what the data is, in a line",
        "# description: TODO, who made it, and how",
        "# license: TODO, such as CC-BY-4.0",
        "# authors: [TODO]",
        "",
    ]


def _tables(tables: list[Seen], made: dict[str, Kindred]) -> list[str]:
    lines = ["tables:"]
    for seen in tables:
        parts = [
            (name, quoted(value))
            for name in ("file", "table", "sheet")
            if (value := getattr(seen.table, name))
        ]
        kinds = [KINDS[kind].words for kind, kindred in made.items() if kindred.seen is seen]
        what = f": {', '.join(kinds)}" if kinds else ". TODO: no kind of record was recognised"
        lines.append(f"  {seen.name}: {flow(parts)}  # {_rows(seen.count)}{what}")
    return [*lines, ""]


def _rows(count: int) -> str:
    return f"{count} row{'s' if count != 1 else ''}"


def _record(
    kindred: Kindred, made: dict[str, Kindred], tables: list[Seen], root: Path
) -> list[str]:
    lines = [f"  {kindred.kind}:  # {kindred.why}", f"    table: {kindred.seen.name}"]
    lines += _key(kindred)
    if kindred.where:
        parts = [(quoted(name), quoted(value)) for name, value in kindred.where.items()]
        lines.append(f"    where: {flow(parts)}")
    for kind in KINDS[kindred.kind].above:
        if kind in kindred.links:
            column = kindred.links[kind]
            why = f"all {len(column.texts)} are keys of {made[kind].seen.name}"
            lines.append(f"    {kind}: {quoted(column.name)}  # {why}")
    if not kindred.links and KINDS[kindred.kind].above:
        nearest = KINDS[kindred.kind].above[0]
        lines.append(f"    # {nearest}: TODO, the column with the key of its {nearest}")
    attributes = Attributes(kindred, made, tables).lines()
    lines += _image(kindred, attributes, root)
    lines += _attributes(attributes)
    return [*lines, ""]


def _key(kindred: Kindred) -> list[str]:
    if kindred.key is None:
        first = next(iter(kindred.seen.columns))
        return [f"    key: {quoted(first)}  # TODO: no column is filled and unique in all rows"]
    key, prefix = kindred.key, _PREFIXES[kindred.kind]
    own = [text for text in key.texts if text.lower().startswith(prefix)]
    if kindred.where or len(own) == len(key.texts):
        prefix = ""
    line = f"    key: {quoted(key.name)}  # {key.words}"
    if set(key.name) & set("{}"):
        return [line, "    # id: TODO, give the column a name without braces"]
    return [line, f"    id: {quoted(f'{prefix}{{{key.name}}}')}"]


def _attributes(lines: list[Line]) -> list[str]:
    if not lines:
        return []
    active = any(line.active for line in lines)
    made = ["    attributes:" if active else "    # attributes:"]
    for line in lines:
        mark = "      " if line.active else "      # "
        text = f"{mark}{line.text}"
        # A short line has its reason behind it, a long one above.
        if len(text) + len(line.why) + 4 <= _WIDTH:
            made.append(f"{text}  # {line.why}")
        else:
            block = line.block if line.fields and len(text) > _WIDTH else [line.text]
            made += [f"      # {line.why}:", *(f"{mark}{part}" for part in block)]
    return made


# --- images


def _image(kindred: Kindred, attributes: list[Line], root: Path) -> list[str]:
    if not KINDS[kindred.kind].image:
        return []
    paths = [column.name for column in kindred.seen.columns.values() if column.has_paths]
    if kindred.image is None:
        if not paths:
            return []
        return [
            f"    # TODO: no file of this folder has a name that stands in {', '.join(paths)}",
            f"    # image: {{file: {quoted(paths[0])}, folder: TODO}}",
        ]
    lines = ["    image:", f"      file: {quoted(kindred.image.name)}  # files of this folder"]
    if kindred.folder:
        lines.append(f"      folder: {quoted(kindred.folder)}")
    rows, images = len(kindred.image.values), len(kindred.image.texts)
    if images < rows and not kindred.where:
        lines.append(f"      # TODO: {rows} rows name {images} images; each is to have its own")
    lines += _said_by_image(kindred, attributes, root)
    voxels = voxel_columns(kindred.seen)
    if voxels:
        parts = [(axis, quoted(column.name)) for axis, column in voxels.items()]
        lines.append(f"      voxel_size: {flow(parts)}  # in µm, by their names")
    others = [name for name in paths if name != kindred.image.name]
    if others:
        lines.append(f"      # TODO: more columns have images: {', '.join(others)}")
    return lines


def _said_by_image(kindred: Kindred, attributes: list[Line], root: Path) -> list[str]:
    """Return axes and channels, as the first image has them."""
    from cellbank.images.header import read_header

    path = first_image(kindred)
    try:
        header = read_header(str(root / (path or "")))
    except (CellbankError, OSError, ValueError) as error:
        reason = getattr(error, "message", None) or str(error)
        return [f"      # axes: TODO, such as ZCYX; the first image cannot be read: {reason}"]
    if set(header.axes) - set("TCZYXS"):
        shape = " × ".join(map(str, header.shape))
        lines = [f"      # axes: TODO, such as ZCYX; the first image has {shape} and does not say"]
    else:
        lines = [f"      axes: {header.axes}  # as the first image says"]
    if any(line.name == "channels" and line.active for line in attributes):
        if header.channels:
            lines.append("      channels: channels  # those of the attribute")
    elif header.channels and KINDS[kindred.kind].attributes:
        names = ", ".join(quoted(name or "TODO") for name in header.channels)
        lines.append(f"      # channels: [{names}]  # TODO: of the first image; are all so?")
    return lines


# --- packages


def _packages(made: dict[str, Kindred]) -> list[str]:
    lines = ["packages:"]
    line = made.get("line")
    if line is not None and line.key is not None:
        first = min(line.key.texts)
        name = "{key}" if plain_name(first)[:1].isalpha() else "line_{key}"
        shown = name.replace("{key}", plain_name(first))
        lines.append(f'  per_line: {{name: "{name}"}}  # {shown} and so on')
    fovs = made["fov"].seen.count if "fov" in made else 1
    lines.append("  all: cell_lines")
    lines.append(f"  sample: {{name: random_sample, fovs: {max(1, min(20, fovs // 2))}, seed: 0}}")
    return lines
