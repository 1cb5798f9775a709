"""A citation names the revision, and who the package says made it."""

import pytest

from cellbank.model.log import State
from cellbank.model.manifest import make_entry
from cellbank.model.reference import Package
from cellbank.packages.citation import NOTHING_SAID, Said, cite, said_of

PACKAGE, REVISION = Package("aics", "aics_23"), "ab" * 32


def cited(said: Said) -> str:
    made = cite(PACKAGE, REVISION, State(), author="ada", date="2026-01-02", where="", said=said)
    return str(made)


def test_authors_and_title_of_the_package_stand_before_who_pushed_it() -> None:
    said = Said("Lines: {all}", ("Ada L.", "Zoë B."), "Doi 10.1/x", "CC0-1.0")
    text = cited(said)
    assert text.startswith(
        f"Ada L., Zoë B. (2026). Lines: {{all}}. aics/aics_23 [data package]. Revision {REVISION}."
        " Doi 10.1/x\n"
    )
    assert "author = {{Ada L.} and {Zoë B.}}" in text
    assert "title = {{Lines: all}}" in text
    assert 'title: "Lines: {all}"' in text
    assert '  - name: "Ada L."\n  - name: "Zoë B."' in text
    assert "ada" not in text


def test_a_package_that_says_nothing_is_cited_by_who_pushed_it() -> None:
    assert cited(NOTHING_SAID).startswith("ada (2026). aics/aics_23 [data package].")


@pytest.mark.parametrize(
    "meta",
    [{}, {"title": 5}, {"authors": "Ada"}, {"authors": [1]}, {"cite": "x" * 5_000}],
    ids=lambda meta: str(meta)[:20],
)
def test_what_makes_no_sense_counts_as_not_said(meta: dict[str, object]) -> None:
    assert NOTHING_SAID == said_of(make_entry("README", "cd" * 32, 5, meta=meta))
    assert NOTHING_SAID == said_of(None)


def test_lines_in_what_is_said_do_not_break_those_of_the_citation() -> None:
    assert "two lines. aics/aics_23" in cited(Said("two\nlines", ("a\nb",)))
