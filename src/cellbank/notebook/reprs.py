"""How nodes, images, records and answers show themselves in a notebook: as text, and as HTML."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cellbank.model.errors import CellbankError
from cellbank.notebook.answers import answer_html
from cellbank.notebook.markup import QUIET, Html, amount, element, joined, sized, table, visible
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode
from cellbank.questions.answer import Answer

if TYPE_CHECKING:
    from cellbank.cells.one_record import Record
    from cellbank.images.image import Image

ROWS: Final = 12
"""So many attributes and metadata fields are shown."""
VALUE: Final = 120
LARGE: Final = 256
MIDDLE: Final = 128


def mimebundle(thing: Any, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """Return what a notebook shows of a node, an image, a record or an answer.

    Parameters
    ----------
    thing
        It.
    include
        What Jupyter asks for; it chooses itself.
    exclude
        What it leaves out.

    Returns
    -------
    dict[str, str]
        `text/plain`, which is `repr(thing)`, and, where the libraries for it are here,
        `text/html`: less than 200 kB, made in about a second.

    Examples
    --------
    >>> sorted(mimebundle(getfixture("nuclei")))
    ['text/html', 'text/plain']
    """
    bundle = {"text/plain": repr(thing)}
    # What is wrong with it is told where it is used; to look at it is never an error.
    with suppress(ImportError, CellbankError, OSError):
        bundle["text/html"] = _html(thing)
    return bundle


def _html(thing: Any) -> Html:
    if isinstance(thing, DataNode):
        return _frame(*_data(thing))
    if isinstance(thing, GroupNode):
        return _frame(*_group(thing))
    if isinstance(thing, Answer):
        return answer_html(thing)
    if hasattr(thing, "segmentation_images"):
        return _frame(*_record(thing))
    return _frame(*_image(thing))


def _frame(*parts: Html) -> Html:
    return element("div", *parts, style="line-height:1.5;text-align:left;overflow-wrap:anywhere")


def _title(kind: str, name: str, said: str = "") -> Html:
    quiet = element("span", f"{kind} ", style=QUIET)
    more = element("span", f"  {said}", style=QUIET)
    return element("div", quiet, element("strong", visible(name)), more)


# --- nodes


def _group(group: GroupNode) -> Iterator[Html]:
    from cellbank.notebook.pictures import Pictures, is_image
    from cellbank.notebook.tree import Counted, Tree

    view, path = group._view, group._path
    counted = Counted(view.reader.under(path), path)
    if isinstance(group, PackageNode):
        header = view.reader.header
        said = f"{amount(header.entries, 'entry', 'entries')}, {sized(header.bytes)}"
        yield _title("package", str(view.package), f"revision {view.revision[:12]}, {said}")
    else:
        yield _title("group", f"{view.label}/{path}", counted.amounts(counted.root))
    pictures = Pictures(view)
    if is_image(view, path):
        yield pictures.of(path, MIDDLE)
    yield Tree(counted, pictures).html()
    yield pictures.note()


def _data(node: DataNode) -> Iterator[Html]:
    from cellbank.notebook.pictures import Pictures, pictured_path

    entry = node.entry
    yield _title("data", f"{node._view.label}/{entry.path}")
    if pictured_path(entry) == entry.path:
        yield Pictures(node._view).of(entry.path, MIDDLE)
    rows = [("file name", entry.name), ("size", sized(entry.size)), ("digest", entry.digest)]
    yield table([(name, visible(value, VALUE)) for name, value in rows])
    if entry.meta:
        yield table(list(_rows(entry.meta)), "metadata")


def _rows(document: Any) -> Iterator[tuple[str, str]]:
    """Yield the first attributes of a document, each in a line."""
    for number, (name, value) in enumerate(document.items()):
        if number == ROWS:
            yield "…", f"{len(document) - ROWS:,} more"
            return
        yield visible(str(name)), visible(_value(value), VALUE)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"{amount(len(value), 'item')}: {', '.join(map(_value, value[:3]))}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(one)}" for name, one in list(value.items())[:4])
    return "" if value is None else str(value)


# --- images and records


def _image(image: "Image") -> Iterator[Html]:
    from cellbank.notebook.pictures import picture, thumbnail

    yield _title("image", image.name)
    yield table(list(_facts(image)))
    if _is_far(image):
        yield element("div", "It is not on this disk: image.plot() fetches what it draws.")
        return
    try:
        made = thumbnail(image, LARGE)
    except (CellbankError, OSError) as error:
        yield element("div", visible(f"No picture: {error}", 300))
        return
    if made is None:
        yield element("div", "It is large: image.plot() draws it, image.show() looks through it.")
    else:
        yield picture(made, f"{', '.join(c.title for c in image.used[:8])}: {image.name}")
        yield element("div", "Brightness is stretched for this image alone.", style=QUIET)


def _facts(image: "Image") -> Iterator[tuple[str, str]]:
    yield "axes", ", ".join(f"{axis} {size:,}" for axis, size in image.sizes.items())
    yield "type", f"{image.dtype}, {image.format}"
    named = [c.title + (" (not used)" if c.use is False else "") for c in image.channels]
    more = f" … {len(named) - ROWS} more" if len(named) > ROWS else ""
    yield "channels", visible(", ".join(named[:ROWS]), 400) + more
    size = image.pixel_size
    yield (
        "pixel size",
        ", ".join(f"{axis} {um:.4g} µm" for axis, um in size.items()) if size else "not known",
    )
    if image.acquisition_date:
        yield "acquired", f"{image.acquisition_date:%Y-%m-%d %H:%M}"
    if len(image.scenes) > 1:
        yield "scenes", f"{len(image.scenes)}, this is one of them"
    for note in image.notes[:3]:
        yield "note", visible(note, VALUE)


def _is_far(image: "Image") -> bool:
    """Whether looking at its pixels would fetch them from elsewhere."""
    from cellbank.storage.pieces import RemoteFile

    source = getattr(image.pixels, "_source", None)
    if isinstance(source, GroupNode):
        return bool(source._view.lacking(source._view.reader.under(source._path)))
    return isinstance(getattr(source, "_file", source), RemoteFile)


def _record(record: "Record") -> Iterator[Html]:
    from cellbank.cells.kinds import relations_of
    from cellbank.notebook.pictures import Pictures, is_image

    node = record.node
    yield _title(record.kind, record.id, f"of {node._view.label}")
    for part in ("image/load", "image"):
        path = f"{node._path}/{part}"
        if node._view.reader.find(path) or is_image(node._view, path):
            yield Pictures(node._view).of(path, MIDDLE)
    document = record.info.as_dict()
    relations = relations_of(record.kind)
    yield table(list(_rows({k: v for k, v in document.items() if k not in relations})), "info")
    counts = [
        element("li", f"{name}: {len(document[name]):,}")
        for name in relations
        if isinstance(document.get(name), list) and document[name]
    ]
    if counts:
        yield element("div", "related", style=QUIET)
        yield element("ul", joined(counts), style="margin:0;padding:0 0 0 1.4em")
