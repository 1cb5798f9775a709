"""The notebooks run from the first cell to the last in a kernel of their own, and show what is so.

A notebook is kept without outputs; here it is executed as a reader with an empty store would.
"""

import base64
import io
import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from typing import Any

import nbconvert
import nbformat
import pytest

from tests.family import SHAPE, Family, someone
from tests.storage.making import served
from tests.walkthrough import CELLS, NEEDS_THE_PAGE, PAGE

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WALKTHROUGH = NOTEBOOKS / "walkthrough.ipynb"
IMAGES = NOTEBOOKS / "images.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
# In a process of its own: what the kernel's client warns of is not ours.
EXECUTE = """
import sys, nbclient, nbformat
book = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(book, timeout=60, kernel_name="python3").execute()
nbformat.write(book, sys.argv[2])
"""
KINDS = ["cell_segs", "fovs", "lines", "nuclei_segs", "plates", "structure_segs", "wells"]


class Shown:
    """An executed notebook: what the cell with certain code showed."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self._cells = [cell for cell in book.cells if cell.cell_type == "code"]

    def text(self, code: str) -> str:
        """Return what the one cell that has this code printed."""
        begins = re.compile(rf"\b{re.escape(code)}")
        (cell,) = (cell for cell in self._cells if begins.search(cell.source))
        return "".join(o.text for o in cell.outputs if o.get("name") == "stdout")

    def value(self, code: str) -> Any:
        """Return what the cell printed, as a value."""
        return literal_eval(self.text(code))

    def figures(self) -> list[bytes]:
        """Return all figures, as PNG."""
        data = [output.get("data", {}) for cell in self._cells for output in cell.outputs]
        return [base64.b64decode(found["image/png"]) for found in data if "image/png" in found]

    def values(self) -> list[str]:
        """Return the values that cells ended with: those a reader sees though nobody printed."""
        return [shown["text/plain"] for shown in self.results()]

    def results(self) -> list[dict[str, Any]]:
        """Return what cells ended with, in all forms."""
        return self._data("execute_result")

    def displayed(self) -> list[dict[str, Any]]:
        """Return what cells displayed beside what they ended with, in all forms."""
        return self._data("display_data")

    def _data(self, kind: str) -> list[dict[str, Any]]:
        outputs = [output for cell in self._cells for output in cell.outputs]
        return [dict(o.data) for o in outputs if o.output_type == kind]


def executed_by_a_reader(book: Path, family: Family, folder: Path, **more: str) -> Shown:
    """Run a notebook as someone with an empty store."""
    executed = folder / "executed.ipynb"
    with served(family.registry) as registry:
        done = subprocess.run(
            [sys.executable, "-c", EXECUTE, book, executed],
            env=someone(folder, registry.url) | more,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert 0 == done.returncode, done.stderr
    return Shown(nbformat.read(executed, as_version=4))


@pytest.fixture(scope="module")
def shown(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return executed_by_a_reader(WALKTHROUGH, family, tmp_path_factory.mktemp("notebook"))


def test_the_package_is_installed_and_imported(shown: Shown) -> None:
    assert shown.text("cellbank.install(").startswith("aics/aics_23: ")
    lines = shown.text("print(junctions)").splitlines()
    assert lines[0].endswith("/pkgs/aics/aics_23'>")
    assert [*(f"{kind}/" for kind in KINDS), "README", "SCHEMA"] == lines[1:]


def test_the_schema_is_explained(shown: Shown) -> None:
    kinds = shown.value("pprint(list(schema))")
    assert 7 == len(kinds)
    assert all(kind.startswith("unique_") and kind.endswith("_info") for kind in kinds)
    own = {"line", "line_id", "edits"}
    assert {*KINDS, *own} - {"lines"} == set(shown.value('list(schema["unique_line_info"])'))
    line = shown.value('schema["unique_line_info"]["line"]')
    assert {"description", "example_value", "origin", "value_types"} <= line.keys()


def test_the_line_is_walked_down_to_its_document(shown: Shown) -> None:
    line = "junctions.lines.line_AICS_23"
    printed = [shown.text(f"print({code})") for code in ("junctions.lines", line, f"{line}.info")]
    nodes = ["<GroupNode>\nline_AICS_23/\n\n", "<GroupNode>\ninfo/\n\n", "<GroupNode>\nload\n"]
    assert nodes == printed
    assert "<DataNode>\n" == shown.text(f"print({line}.info.load)")
    assert 64 == len(Path(shown.text(f"print({line}.info.load())").strip()).name)


def test_metadata_of_the_line_are_those_of_the_tight_junctions(shown: Shown) -> None:
    assert "AICS-23\n" == shown.text('print(junctions_info["line"])')
    plates = shown.value('pprint(junctions_info["plates"])')
    assert 11 == len(plates)
    assert "plate_3500001327" in plates
    edits, _, rest = shown.text('pprint(junctions_info["edits"])').partition("]\n")
    assert "TJP1" == literal_eval(f"{edits}]")[0]["gene"]
    assert "'AICS-23'\n27\n" == rest


def test_the_image_and_its_segmentations_have_their_shapes(shown: Shown) -> None:
    depth, *plane = SHAPE
    assert (depth, 7, *plane) == shown.value("print(img_data.shape)")
    expected = " ".join(["Shapes:", *[str(SHAPE)] * 3])
    assert expected == shown.text('print("Shapes:"').strip()
    meta = shown.text("pprint(img_meta, depth=2)")
    assert "'wells': ['plate_3500001464_well_E6']" in meta
    assert "'cell_viability': 98.8" in meta


def test_five_figures_are_drawn_and_none_is_empty(shown: Shown) -> None:
    image = pytest.importorskip("PIL.Image")
    figures = shown.figures()
    assert 5 == len(figures)
    for figure in figures:
        with image.open(io.BytesIO(figure)) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 4


def test_nothing_is_shown_that_no_cell_asked_for(shown: Shown) -> None:
    assert [] == shown.values()


def test_images_are_looked_at_in_one_call_each(family: Family, tmp_path: Path) -> None:
    backend = "module://matplotlib_inline.backend_inline"
    shown = executed_by_a_reader(IMAGES, family, tmp_path, MPLBACKEND=backend)
    assert "objects fetched" in shown.text("cellbank.install(")
    assert "98.8 2017-10-16 ['plate_3500001464_well_E6']\n" == shown.text("print(field.info.")
    assert shown.text("print(image)").startswith("<Image ZCYX 8 × 7 × 48 × 72 uint16, CMDRP_2")
    package, read, projected, figure, table = shown.results()
    assert "<details" in package["text/html"]
    assert ["(4, 48, 72)", "(48, 72)"] == [read["text/plain"], projected["text/plain"]]
    assert "image/png" in figure
    assert "passage" in table["text/html"]
    assert shown.text("print(crop)").startswith("<Crop of cell ")
    *_, still, viewer = shown.displayed()
    assert {"image/png", "text/html"} == still.keys()
    assert {WIDGET, "text/plain"} == viewer.keys()
    # A page that is made of it shows the picture, though the widget's state was kept.
    assert viewer[WIDGET]["model_id"] in shown.book.metadata.widgets[STATE]["state"]
    page, _ = nbconvert.HTMLExporter().from_notebook_node(shown.book)
    assert re.search(r"data-cellbank-still=\S+", still["text/html"])[0].rstrip(">") in page


# --- the notebooks as they are kept


@pytest.mark.parametrize("book", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda book: book.stem)
def test_a_notebook_is_kept_without_outputs(book: Path) -> None:
    read = nbformat.read(book, as_version=4)
    nbformat.validate(read)
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    assert [] == [cell.outputs for cell in code if cell.outputs or cell.execution_count]


@NEEDS_THE_PAGE
def test_the_notebook_has_the_steps_of_the_walk_through_in_words_of_its_own() -> None:
    cells = nbformat.read(WALKTHROUGH, as_version=4).cells
    assert len(CELLS) == sum(cell.cell_type == "code" for cell in cells)
    theirs = _sentences(PAGE.read_text())
    ours = _sentences("\n\n".join(c.source for c in cells if c.cell_type == "markdown"))
    assert set() == theirs & ours


def _sentences(text: str) -> set[str]:
    ends = text.replace("?", ".").replace("!", ".").replace(":", ".").replace("\n\n", ".")
    return {s for part in ends.split(".") if len(s := " ".join(part.lower().split())) > 30}
