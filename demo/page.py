"""One page of the five figures, each beside the original where that is here."""

import base64
import json
from html import escape
from pathlib import Path

import msgspec

ORIGINALS = Path(__file__).resolve().parents[2] / "shared" / "data" / "figures"


class Figure(msgspec.Struct, frozen=True):
    """A figure: its file, its original's, a title and what it shows."""

    name: str
    original: str
    title: str
    text: str


FIGURES = [
    Figure(
        "all_channels",
        "walkthrough_34_0.png",
        "All channels of one field of view",
        "The image has seven channels; each is folded along Z to its brightest pixels.",
    ),
    Figure(
        "titles",
        "walkthrough_37_0.png",
        "The same with titles",
        "The names of the dyes stand in the metadata of the field of view.",
    ),
    Figure(
        "channels_in_use",
        "walkthrough_39_0.png",
        "The channels in use",
        "Metadata say which channels to use: membrane, tight junctions, DNA, bright field.",
    ),
    Figure(
        "segmentations",
        "walkthrough_45_0.png",
        "The segmentations",
        "Cells and nuclei, each with a number of its own, and the mask of the structure.",
    ),
    Figure(
        "composite",
        "walkthrough_47_0.png",
        "Three channels in one picture",
        "Tight junctions in red, membrane in green, DNA in blue.",
    ),
]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 0.2rem; }
p { margin: 0.2rem 0 0.8rem; max-width: 60rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1.5rem; align-items: start; }
figure { margin: 0; } img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: 0.9rem; }
code { background: #f2f2f2; padding: 0.1rem 0.3rem; overflow-wrap: anywhere; }
"""


def write_page(page: Path, pictures: Path, facts: list[str]) -> None:
    """Write the page; the pictures are inside of it, so it can be sent as one file."""
    calls = json.loads((pictures / "calls.json").read_text(encoding="utf-8"))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>The walk-through, with cellbank</title>",
        f"<style>{STYLE}</style></head><body><main>",
        "<h1>The walk-through, with cellbank</h1>",
        *(f"<p>{escape(fact)}</p>" for fact in facts),
        "<p>Each figure is one call, of <code>fov = cellbank.cells.record(junctions.fovs.fov_…)"
        "</code> and of <code>plot</code> from <code>cellbank.notebook</code>.</p>",
    ]
    for figure in FIGURES:
        parts += [
            f"<h2>{escape(figure.title)}</h2>",
            f"<p>{escape(figure.text)}</p>",
            f"<p><code>{escape(calls[figure.name])}</code></p>",
            '<div class="pair">',
            _picture(pictures / f"{figure.name}.png", figure.title, "from the package"),
        ]
        original = ORIGINALS / figure.original
        if original.is_file():
            parts.append(_picture(original, f"{figure.title}: the original", "the original"))
        parts.append("</div>")
    parts.append("</main></body></html>\n")
    page.write_text("\n".join(parts), encoding="utf-8")


def _picture(file: Path, alt: str, caption: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
