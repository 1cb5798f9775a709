"""The tree of errors: over the wire and back, pickled and back, each with its numbers."""

import inspect
import json
import pickle
import shlex

import pytest

from cellbank.model.errors import (
    CellbankError,
    Damaged,
    EntryNotFound,
    LeftOut,
    NotFetched,
    error_classes,
    from_wire,
    to_wire,
)

CLASSES = {
    name: made
    for name, made in error_classes().items()
    if made.__module__ == CellbankError.__module__
}
EXIT_CODES = {2, 3, 4, 5, 6, 7, 8, 130}


def facts_for(made: type[CellbankError]) -> list[object]:
    """Return a fact for every parameter, by its type."""
    facts: list[object] = []
    for number, parameter in enumerate(
        list(inspect.signature(made.__init__).parameters.values())[1:]
    ):
        if parameter.annotation is int:
            facts.append(1000 + number)
        elif parameter.annotation is str:
            facts.append(f"fact{number}")
        else:
            facts.append([f"fact{number}", "µ\x1b[31m"])
    return facts


@pytest.fixture(params=sorted(CLASSES))
def error(request: pytest.FixtureRequest) -> CellbankError:
    made = CLASSES[request.param]
    return made(*facts_for(made))


def state(error: CellbankError) -> tuple[object, ...]:
    return (
        type(error),
        str(error),
        error.advice,
        error.exit_code,
        error.http_status,
        list(error.args),
    )


def test_it_goes_over_the_wire_and_comes_back(error: CellbankError) -> None:
    document = json.loads(json.dumps(to_wire(error)))
    assert state(error) == state(from_wire(document, CellbankError("lost")))


def test_it_is_pickled_and_comes_back(error: CellbankError) -> None:
    assert state(error) == state(pickle.loads(pickle.dumps(error)))  # noqa: S301


def test_it_keeps_its_facts_and_says_what_failed(error: CellbankError) -> None:
    assert facts_for(type(error)) == list(error.args)
    assert str(error)
    assert "\n" not in error.advice


def test_it_has_an_exit_code_and_a_status_of_its_branch(error: CellbankError) -> None:
    assert error.exit_code in EXIT_CODES
    assert 400 <= error.http_status < 600


def test_every_error_but_the_root_and_the_plain_ones_says_what_to_do() -> None:
    plain = {
        name
        for name, made in CLASSES.items()
        if not made(*facts_for(made)[: len(inspect.signature(made.__init__).parameters) - 1]).advice
    }
    assert set() == plain


def test_a_missing_entry_is_a_missing_attribute_and_a_missing_key() -> None:
    error = EntryNotFound("aics/a", "b")
    assert isinstance(error, AttributeError)
    assert isinstance(error, KeyError)
    assert str(error).startswith("aics/a has no b")


def test_a_command_can_be_pasted_whatever_the_path_has_in_it() -> None:
    advice = LeftOut("lab/scans", "day 1/it's $5.tif").advice
    command = advice.removeprefix("Add it: ")
    assert ["cellbank", "install", "lab/scans/day 1/it's $5.tif"] == shlex.split(command)


def test_a_wire_document_that_makes_no_sense_gives_the_fallback() -> None:
    fallback = Damaged("lost")
    for document in (
        None,
        [],
        "text",
        {},
        {"error": "Damaged"},
        {"error": "Damaged", "facts": "x"},
        {"error": "NoSuchError", "facts": []},
        {"error": "SystemExit", "facts": [0]},
        {"error": "DigestMismatch", "facts": []},
        {"error": "DigestMismatch", "facts": [1, 2, 3, 4, 5]},
        {"error": "InvalidPaths", "facts": [5]},
        {"error": "AmbiguousReference", "facts": ["x", [1, 2]]},
        {"error": "PushConflict", "facts": ["a", 1, 2]},
        {"error": ["Damaged"], "facts": []},
    ):
        assert fallback is from_wire(document, fallback)


def test_the_picture_of_the_tree_shows_every_class() -> None:
    picture = inspect.getdoc(inspect.getmodule(CellbankError)) or ""
    assert [] == [name for name in CLASSES if name not in picture]


def test_a_command_in_advice_can_be_pasted() -> None:
    error = NotFetched("demo/plate", "raw data/E'6.tif", "it is far", "/mnt/our lab")
    said, _, command = error.advice.partition(": ")
    assert "Fetch it" == said
    words = ["cellbank", "fetch", "demo/plate/raw data/E'6.tif", "--from", "/mnt/our lab"]
    assert words == shlex.split(command)
