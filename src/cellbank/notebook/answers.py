"""An answer in a notebook: a table as `print(answer)` shows it, with room for more columns."""

from typing import Final

from cellbank.notebook.markup import LINE, QUIET, Html, amount, element, visible
from cellbank.questions.answer import Answer
from cellbank.questions.formats import NUMBERS, UNKNOWN, ends, told

COLUMNS: Final = 40
"""So many columns are shown: the first of a wider answer."""
_CELL: Final = "padding:2px 12px 2px 0;vertical-align:top;border:0;white-space:nowrap"


def answer_html(answer: Answer) -> Html:
    """Return an answer as HTML: the first and last rows of a longer one, and how many it has."""
    head, tail = ends(answer.rows())
    shown = list(range(min(len(answer.columns), COLUMNS)))
    sides = ["right" if answer.kinds[i].id in NUMBERS else "left" for i in shown]

    def line(cells: list[Html]) -> Html:
        return element("tr", *cells, style="background:none")

    def values(row: tuple[object, ...]) -> list[Html]:
        return [
            element("td", _value(row[i]), style=f"{_CELL};text-align:{side}")
            for i, side in zip(shown, sides, strict=True)
        ]

    titles = [
        element(
            "th",
            visible(answer.columns[i]),
            scope="col",
            title=visible(answer.kinds[i].name),
            style=f"{_CELL};text-align:{side};font-weight:600;border-bottom:{LINE}",
        )
        for i, side in zip(shown, sides, strict=True)
    ]
    rows = [line(values(row)) for row in head]
    if tail:
        rows.append(line([element("td", "…", style=_CELL) for _ in shown]))
        rows += [line(values(row)) for row in tail]
    table = element(
        "table",
        element("thead", line(titles)),
        element("tbody", *rows),
        style="border-collapse:collapse;border:0;margin:0;color:inherit;font:inherit",
    )
    said = amount(len(answer), "row")
    if len(shown) < len(answer.columns):
        said += f", {len(shown)} of {len(answer.columns)} columns"
    # What is wider than the page is reached with the keyboard, too.
    scrolled = element(
        "div", table, style="overflow-x:auto", tabindex="0", role="region", aria_label="answer"
    )
    return element("div", scrolled, element("div", said, style=QUIET), style="line-height:1.5")


def _value(value: object) -> Html:
    if value is None:
        return element("span", UNKNOWN, style=QUIET, title="not known")
    return Html(element("span", visible(told(value))))
