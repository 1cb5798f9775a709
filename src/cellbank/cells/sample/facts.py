"""What is known of the cell lines and plates of the export: public facts, written down once."""

from datetime import date
from typing import Any, Final

import msgspec

NAMED_FOV: Final = "fov_00dde0c979ef45949337220524ccfec5"
NAMED_PLATE: Final = "3500001464"
NAMED_WELL: Final = "E6"
NAMED_LINE: Final = "AICS-23"


class Line(msgspec.Struct, frozen=True):
    """A gene-edited line of human iPS cells from the public Allen Cell Collection."""

    name: str
    gene: str
    tag: str
    clone: str
    home: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return the row of `lines.csv`; what is not public is None."""
        known = {
            "cas9": "spCas9",
            "cas9_id": 1,
            "donor_plasmid": f"{self.gene}-mEGFP",
            "fluorescent_protein": "mEGFP",
            "fluorescent_protein_id": 2,
            "gene": self.gene,
            "tag_location": f"{self.tag}-terminus",
            "tag_location_id": 2 if self.tag == "N" else None,
        }
        known |= _NAMED if self.name == NAMED_LINE else {}
        return {"line": self.name, **{column: known.get(column) for column in LINE_COLUMNS}}


LINE_COLUMNS: Final = (
    "line_id",
    "cas9",
    "cas9_batch",
    "cas9_batch_id",
    "cas9_id",
    "cr_rna",
    "cr_rna_batch",
    "cr_rna_batch_id",
    "cr_rna_id",
    "donor_plasmid",
    "donor_plasmid_batch",
    "donor_plasmid_batch_id",
    "donor_plasmid_id",
    "fluorescent_protein",
    "fluorescent_protein_id",
    "gene",
    "gene_id",
    "tag_location",
    "tag_location_id",
)

_NAMED: Final = {
    "line_id": 27,
    "cas9_batch": "2015_Batch1",
    "cas9_batch_id": 1,
    "cr_rna": "TJP1_crRNA-3",
    "cr_rna_batch": "TJP1_crRNA-3-B1",
    "cr_rna_batch_id": 46,
    "cr_rna_id": 48,
    "donor_plasmid_batch": "TJP1-mEGFP-1kb",
    "donor_plasmid_batch_id": 25,
    "donor_plasmid_id": 23,
    "gene_id": 19,
}


class Plate(msgspec.Struct, frozen=True):
    """A plate: when it was imaged and where, and how many channels that gave."""

    barcode: str
    imaged: date
    instrument: str
    channels: int = 7

    @property
    def name(self) -> str:
        """The name that wells and segmentations begin with."""
        return f"plate_{self.barcode}"


EARLY: Final = "3500000584"
"""Imaged early in 2017, when there were four channels, all in use."""

PLATES: Final = (
    Plate("3500001327", date(2017, 8, 1), "ZSD1"),
    Plate("3500001354", date(2017, 8, 15), "ZSD2"),
    Plate("3500001380", date(2017, 9, 5), "ZSD3"),
    Plate("3500001360", date(2017, 8, 22), "ZSD1"),
    Plate("3500001359", date(2017, 8, 22), "ZSD2"),
    Plate("3500001358", date(2017, 8, 21), "ZSD3"),
    Plate("3500001328", date(2017, 8, 1), "ZSD2"),
    Plate("3500001410", date(2017, 9, 26), "ZSD1"),
    Plate("3500001409", date(2017, 9, 26), "ZSD2"),
    Plate(NAMED_PLATE, date(2017, 10, 24), "ZSD2"),
    Plate("3500001411", date(2017, 9, 27), "ZSD3"),
    Plate(EARLY, date(2017, 3, 14), "ZSD1", channels=4),
    Plate("3500001432", date(2017, 10, 10), "ZSD1"),
)
"""The eleven with AICS-23 on them, then two without."""

NAMED_LINE_PLATES: Final = (
    NAMED_PLATE,
    *(p.barcode for p in PLATES[:11] if p.barcode != NAMED_PLATE),
)

LINES: Final = (
    Line("AICS-10", "SEC61B", "N", "55", (EARLY, "3500001327", "3500001432")),
    Line("AICS-11", "TOMM20", "C", "27", (EARLY, "3500001432", "3500001354")),
    Line("AICS-12", "TUBA1B", "N", "105", ("3500001432", EARLY, "3500001380")),
    Line("AICS-13", "LMNB1", "N", "210", ("3500001327", "3500001360", "3500001411")),
    Line("AICS-14", "FBL", "C", "6", ("3500001354", "3500001359", "3500001410")),
    Line("AICS-16", "ACTB", "N", "184", ("3500001380", "3500001358", "3500001409")),
    Line("AICS-17", "DSP", "C", "65", ("3500001409", "3500001328", NAMED_PLATE)),
    Line(NAMED_LINE, "TJP1", "N", "20", NAMED_LINE_PLATES),
    Line("AICS-24", "MYH10", "N", "80", ("3500001410", "3500001411", "3500001432")),
    Line("AICS-25", "ST6GAL1", "C", "44", ("3500001411", "3500001432", "3500001358")),
)
"""In the order of `lines.csv`; `home` is the plates that a line's wells are on, the first first."""

WITHOUT_CULTURE: Final = frozenset(
    [("3500001354", "AICS-14"), ("3500001410", "AICS-24"), ("3500001360", NAMED_LINE)]
)
"""Wells (plate, line) of which nothing was written down but what the microscope knows."""

WITHOUT_CLONE: Final = frozenset([("3500001327", "AICS-13"), ("3500001411", "AICS-25")])
