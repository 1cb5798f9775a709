"""What a public function cannot take is told in one line before anything is done."""

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cellbank
from cellbank.api.arguments import checked
from cellbank.model.errors import BadInput, CellbankError

REF = "demo/nuclei"
WRONG: dict[str, Callable[[], Any]] = {
    "ref is 5, which is no text": lambda: cellbank.load(5),
    "ref is None, which is no text": lambda: cellbank.install(None),
    "ref is b'demo/nuclei', which": lambda: cellbank.inspect(b"demo/nuclei"),
    "ref is 5, which is no text or PackageNode": lambda: cellbank.edit(5),
    "from_ is 5, which is no text or path": lambda: cellbank.install(REF, 5),
    "kinds is None, which is no list of texts": lambda: cellbank.install(REF, kinds=None),
    r"kinds is \[3\], which": lambda: cellbank.install(REF, kinds=[3]),
    "path is 3, which is no text or list of texts": lambda: cellbank.install(REF, path=3),
    "sample is 'x', which is no whole number": lambda: cellbank.install(REF, sample="x"),
    "sample is 2.0, which": lambda: cellbank.install(REF, sample=2.0),
    "columns is 3, which": lambda: cellbank.query(REF, columns=3),
    "timeout is '9', which is no number": lambda: cellbank.query(REF, "SELECT 1", timeout="9"),
    "columns is 5, which": lambda: cellbank.table(REF, columns=5),
    "depth is 'x', which": lambda: cellbank.tree(REF, depth="x"),
    "confirm is 3, which is no function": lambda: cellbank.load(REF, confirm=3),
    "folder is 5, which is no text or path": lambda: cellbank.build(REF, 5),
    "message is 5, which": lambda: cellbank.build(REF, ".", message=5),
    "nodes is 5, which": lambda: cellbank.fetch(5),
    "limit is '5GB', which": lambda: cellbank.cache(limit="5GB"),
}


@pytest.mark.parametrize(("said", "call"), WRONG.items(), ids=[*WRONG])
def test_a_wrong_type_is_told_in_one_line(said: str, call: Callable[[], Any]) -> None:
    with pytest.raises(BadInput, match=said) as found:
        call()
    assert "\n" not in str(found.value)
    assert "See: help(cellbank." in str(found.value)


def test_a_node_in_place_of_its_name_is_told_in_one_line(nuclei: object) -> None:
    with pytest.raises(BadInput, match="ref is <PackageNode"):
        cellbank.load(nuclei)


def test_what_is_missing_is_told_in_pythons_words() -> None:
    with pytest.raises(TypeError, match=r"load\(\) got an unexpected keyword argument 'form'"):
        cellbank.load(REF, form="x")
    with pytest.raises(TypeError, match=r"load\(\) missing 1 required"):
        cellbank.load()


def test_a_folder_may_be_a_path_and_a_number_one_of_numpy(nuclei: object, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    cellbank.push(REF, tmp_path / "remote")
    assert REF == cellbank.install(REF, tmp_path / "remote").package
    assert cellbank.tree(REF, depth=numpy.int64(1)).children
    found = cellbank.query(REF, "SELECT 1", timeout=numpy.float32(20), memory=1e9)
    assert [(1,)] == found.rows()


def test_nothing_else_is_changed_by_the_check() -> None:
    assert cellbank.load is cellbank.load
    assert cellbank.load is pickle.loads(pickle.dumps(cellbank.load))  # noqa: S301  our own
    assert inspect.signature(cellbank.api.load) == inspect.signature(cellbank.load)
    assert cellbank.api.load.__doc__ == cellbank.load.__doc__


def test_what_cannot_be_told_of_an_annotation_is_let_pass() -> None:
    def function(one: "nowhere.Known", *more: "int", two: Any = None) -> str:  # noqa: F821
        return f"{one}{more}{two}"

    assert "a(1, 'b')3" == checked(function)("a", 1, "b", two=3)


@pytest.mark.parametrize("name", sorted(set(cellbank.__all__) - {"CellbankError", "__version__"}))
def test_no_function_meets_what_is_none_of_its_business(name: str) -> None:
    function = getattr(cellbank, name)
    taken = [p for p in inspect.signature(function).parameters.values() if p.kind < p.KEYWORD_ONLY]
    if taken:
        with pytest.raises(CellbankError):
            function(*(object() for p in taken if p.default is p.empty or p is taken[0]))
