"""What the columns of the Allen cell collections mean, and what becomes of each."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cellbank.cells.kinds import KINDS

FILES: Final[Mapping[str, str]] = {
    "fovs": "fov",
    "fov_path": "fov",
    "source_read_path": "fov",
    "source_image": "fov",
    "source_images": "fov",
    "membrane_segmentations": "cell_seg",
    "membrane_segmentation_read_path": "cell_seg",
    "cell_segmentations": "cell_seg",
    "cell_segmentation_read_path": "cell_seg",
    "dna_segmentations": "nuclei_seg",
    "nuclei_segmentations": "nuclei_seg",
    "nucleus_segmentations": "nuclei_seg",
    "nucleus_segmentation_read_path": "nuclei_seg",
    "dna_segmentation_read_path": "nuclei_seg",
    "structure_segmentations": "structure_seg",
    "structure_segmentation_read_path": "structure_seg",
    "struct_seg_path": "structure_seg",
}
"""Column of files, in small letters → the kind of record that they are images of."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "fov": ("fov_id",),
    "line": ("cell_line", "cell_line_id"),
    "plate": ("plate_id",),
    "well": ("well_id",),
}
LINE_FIELDS: Final[Mapping[str, str]] = {
    "gene": "gene",
    "protein_display_name": "protein",
    "protein": "protein",
    "structure_display_name": "structure",
    "structure_name": "structure",
}
"""What is said of a line's edit: column → field."""
ATTRIBUTES: Final[Mapping[str, str]] = {
    "passage": "passage",
    "meta_well_passage_at_imaging": "passage",
    "clone": "clone",
    "instrument_id": "instrument",
    "well_name": "well_name",
    "cell_population_id": "population_id",
    "plate_id": "plate_barcode",
}
"""Column → the standard attribute of a field of view that it is."""
VOXELS: Final[Mapping[str, str]] = {
    "pixel_scale_z": "Z",
    "pixel_scale_y": "Y",
    "pixel_scale_x": "X",
}
DYES: Final[Mapping[str, str]] = {
    "405": "H3342",
    "488": "EGFP",
    "561": "mTagRFP",
    "638": "CMDRP",
    "struct": "EGFP",
    "brightfield": "Bright",
}
"""What a column ChannelNumber… names → the name of the channel at that number."""
_CHANNEL: Final = re.compile(r"channel_?number_?(\w+)")
_NOT_WORD: Final = re.compile(r"[^0-9a-z]+")
_TAKEN: Final = {
    "id",
    "path",
    "digest",
    "size",
    "url",
    "package",
    *(k.group for k in KINDS.values()),
}


def snake(column: str) -> str:
    """Return a column as attributes are written: `PixelScaleX` is pixel_scale_x.

    Parameters
    ----------
    column
        As the table has it.

    Returns
    -------
    str
        A name in small letters.

    Examples
    --------
    >>> snake("PixelScaleX"), snake("FOVId"), snake("this.cell index")
    ('pixel_scale_x', 'fov_id', 'this_cell_index')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", column)
    return _NOT_WORD.sub("_", parted.lower()).strip("_")


def dye_of(column: str) -> str | None:
    """Return the channel whose number a column has, or None."""
    found = _CHANNEL.fullmatch(snake(column))
    return DYES.get(found[1]) if found else None


def own_name(column: str, taken: Iterable[str]) -> str:
    """Return the name of an attribute that is made of a column that nobody knows."""
    name = snake(column) or "column"
    name = name if not name[0].isdigit() else f"column_{name}"
    used = {*_TAKEN, *taken}
    while name in used:
        name += "_"
    return name


def type_of(values: Iterable[Any]) -> str:
    """Return the type of an attribute that has these values."""
    known = [value for value in values if value is not None]
    texts = {str(value).strip().lower() for value in known}
    if known and texts <= {"true", "false"}:
        return "boolean"
    for name, form in (("integer", r"[+-]?\d{1,15}(\.0+)?"), ("number", _NUMBER)):
        if known and all(re.fullmatch(form, text) for text in texts):
            return name
    return "string"


_NUMBER: Final = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
