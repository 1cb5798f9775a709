"""The seven kinds of records, and the attributes that every record of a kind has."""

from typing import Final

import msgspec

Type = str
"""`string`, `integer`, `number`, `boolean`, `date`, `list[string]`, … or `list[struct]`."""


class Attribute(msgspec.Struct, frozen=True):
    """What an attribute holds, where no recipe says otherwise."""

    type: Type
    description: str
    unit: str = ""
    fields: dict[str, "Attribute"] | None = None


class Kind(msgspec.Struct, frozen=True):
    """A kind of record: its group in a package, its name in SCHEMA, whether it has an image.

    `above` are the kinds that a record of this kind may say it belongs to.
    """

    name: str
    group: str
    schema: str
    words: str
    image: bool
    above: tuple[str, ...]
    attributes: dict[str, Attribute]


_EDIT: Final = {
    "cas9": Attribute("string", "Cas9 protein used for the edit"),
    "cas9_batch": Attribute("string", "batch of the Cas9 protein"),
    "cas9_batch_id": Attribute("integer", "number of the Cas9 batch"),
    "cas9_id": Attribute("integer", "number of the Cas9 protein"),
    "cr_rna": Attribute("string", "CRISPR RNA that guided the cut"),
    "cr_rna_batch": Attribute("string", "batch of the CRISPR RNA"),
    "cr_rna_batch_id": Attribute("integer", "number of the CRISPR RNA batch"),
    "cr_rna_id": Attribute("integer", "number of the CRISPR RNA"),
    "donor_plasmid": Attribute("string", "plasmid that carried the tag"),
    "donor_plasmid_batch": Attribute("string", "batch of the donor plasmid"),
    "donor_plasmid_batch_id": Attribute("integer", "number of the donor plasmid batch"),
    "donor_plasmid_id": Attribute("integer", "number of the donor plasmid"),
    "fluorescent_protein": Attribute("string", "fluorescent protein of the tag"),
    "fluorescent_protein_id": Attribute("integer", "number of the fluorescent protein"),
    "gene": Attribute("string", "symbol of the edited gene"),
    "gene_id": Attribute("integer", "number of the edited gene"),
    "tag_location": Attribute("string", "end of the protein that has the tag"),
    "tag_location_id": Attribute("integer", "number of the tag location"),
}

_CHANNEL: Final = {
    "dye_name": Attribute("string", "dye or light that the channel shows"),
    "use": Attribute("boolean", "whether the channel is real data, not an imaging artefact"),
}

_LINE: Final = {
    "line": Attribute("string", "human readable edited cell line present"),
    "edits": Attribute("list[struct]", "edits made to the genome of the line", fields=_EDIT),
    "line_id": Attribute("integer", "number of the line in the lab's database"),
}

_PLATE: Final = {
    "plate_type": Attribute("string", "vessel that the cells were grown in"),
    "plate_id": Attribute("string", "number of the plate in the lab's database"),
    "plate_barcode": Attribute("string", "barcode on the plate"),
}

_CULTURE: Final = {
    **_PLATE,
    "population_id": Attribute("integer", "number of the population of cells"),
    "passage": Attribute("integer", "times the cells were passaged before imaging"),
    "clone": Attribute("string", "clone of the line"),
    "parent_plate_id": Attribute("string", "barcode of the plate that the cells came from"),
    "image_ids": Attribute("list[integer]", "numbers of the images in the lab's database"),
    "seeding_density": Attribute("number", "cells seeded", "cells/well"),
    "cellbatch": Attribute("string", "frozen batch that the cells were thawed from"),
    "source_plate_id": Attribute("string", "barcode of the first plate after thawing"),
    "cell_viability": Attribute("number", "share of living cells at seeding", "%"),
    "well_type": Attribute("string", "role of the well in the experiment"),
    "well_name": Attribute("string", "row and column of the well on its plate"),
    "concentration": Attribute("number", "cells in the suspension that was seeded", "cells/µl"),
    "coating_type": Attribute("string", "coating of the well"),
    "seed_date": Attribute("date", "day on which the cells were seeded"),
    "colony_ids": Attribute("list[integer]", "numbers of the colonies that were imaged"),
    "location": Attribute("string", "place in the well"),
    "content_type": Attribute("string", "what was imaged, and with which objective"),
    "instrument": Attribute("string", "microscope"),
    "channels": Attribute(
        "list[struct]", "channels of the image, in their order in it", fields=_CHANNEL
    ),
}

_SEGMENTATION_ABOVE: Final = ("fov",)

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("line", "lines", "unique_line_info", "cell lines", False, (), _LINE),
        Kind("plate", "plates", "unique_plate_info", "plates", False, (), _PLATE),
        Kind("well", "wells", "unique_well_info", "wells", True, ("plate", "line"), _CULTURE),
        Kind(
            "fov",
            "fovs",
            "unique_fov_info",
            "fields of view",
            True,
            ("well", "plate", "line"),
            _CULTURE,
        ),
        Kind(
            "cell_seg",
            "cell_segs",
            "unique_cell_segmentation_info",
            "cell segmentations",
            True,
            _SEGMENTATION_ABOVE,
            {},
        ),
        Kind(
            "nuclei_seg",
            "nuclei_segs",
            "unique_nuclei_segmentation_info",
            "nuclei segmentations",
            True,
            _SEGMENTATION_ABOVE,
            {},
        ),
        Kind(
            "structure_seg",
            "structure_segs",
            "unique_structure_segmentation_info",
            "structure segmentations",
            True,
            _SEGMENTATION_ABOVE,
            {},
        ),
    )
}
"""By name, from the line down: what a record belongs to stands before it."""

RELATIONS: Final[tuple[str, ...]] = (
    "plates",
    "lines",
    "wells",
    "fovs",
    "cell_segs",
    "nuclei_segs",
    "structure_segs",
)
"""The relation lists of an info document, in their order there; a kind never lists itself."""

SCHEMA_ORDER: Final[tuple[str, ...]] = (
    "structure_seg",
    "plate",
    "cell_seg",
    "fov",
    "line",
    "nuclei_seg",
    "well",
)
"""The order of the kinds in SCHEMA."""

GROUPS: Final[dict[str, Kind]] = {kind.group: kind for kind in KINDS.values()}


def relations_of(kind: str) -> list[str]:
    """Return the names of the relation lists of a kind, in their order in the document."""
    return [group for group in RELATIONS if group != KINDS[kind].group]
