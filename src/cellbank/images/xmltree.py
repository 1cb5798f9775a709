"""The tree of an OME-XML: read strictly, else as far as it can be understood; never without end."""

import re
from html import unescape
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, fromstring

from cellbank.model.errors import BadImage

MAX_XML: Final = 16 << 20
"""Bytes; more is no description of an image."""
_LONG: Final = 1 << 20
_SKIPPED: Final = {"Plane", "StructuredAnnotations", "ROI", "BinData", "ROIRef"}
"""What may be without end, and places no pixels."""
_TAG: Final = re.compile(
    r"""<(?:\w+:)?(\w+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]{0,9999}"|'[^'<]{0,9999}'))*)\s*/?>([^<]{0,200})"""
)
_ATTRIBUTE: Final = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_INSIDE: Final = {
    "Image": "OME",
    "Instrument": "OME",
    "Microscope": "Instrument",
    "Objective": "Instrument",
    "Detector": "Instrument",
    "AcquisitionDate": "Image",
    "ObjectiveSettings": "Image",
    "Pixels": "Image",
    "Channel": "Pixels",
    "TiffData": "Pixels",
    "UUID": "TiffData",
}
"""The elements that matter where tags do not match, and what each lies in."""


class InvalidOme(Exception):
    """The description looks like OME-XML and is not."""


def read_tree(description: bytes, name: str) -> tuple[Element, tuple[str, ...]]:
    """Return the root of an OME-XML, and notes where it is not well-formed.

    Raises `InvalidOme`: Nothing in it can be understood. Raises `BadImage`: It has a DOCTYPE, or
    is far too long.
    """
    if len(description) > MAX_XML:
        raise BadImage(
            name,
            f"its OME-XML has {len(description)} bytes, more than {MAX_XML}",
            "Save the image without the annotations.",
        )
    try:
        text = description.decode()
    except UnicodeDecodeError:
        text = description.decode("latin-1")
    if "<!DOCTYPE" in text:
        raise BadImage(name, "its OME-XML has a DOCTYPE, which is not allowed there")
    try:
        return _strict(text), ()
    except ParseError as error:
        root = _recovered(text)
        if root is None:
            raise InvalidOme(str(error)) from None
        return root, (f"invalid OME-XML: {error}; it was read as far as it can be understood",)


def _strict(text: str) -> Element:
    if len(text) < _LONG:
        return fromstring(text)  # noqa: S314  there is no DOCTYPE, so there are no entities
    parser: XMLParser[Any] = XMLParser(target=_Short())  # noqa: S314
    parser.feed(text)
    root: Element = parser.close()
    return root


class _Short:
    """Builds a tree without what is skipped, so that a long text becomes no large tree."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._skipping = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        if self._skipping or tag.rpartition("}")[2] in _SKIPPED:
            self._skipping += 1
        else:
            self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        """End an element."""
        if self._skipping:
            self._skipping -= 1
        else:
            self._builder.end(tag)

    def data(self, text: str) -> None:
        """Take text."""
        if not self._skipping:
            self._builder.data(text)

    def close(self) -> Element:
        """Return the root."""
        return self._builder.close()


def _recovered(text: str) -> Element | None:
    """Return a tree of the tags that can be recognised; None where no image is described.

    Where an element ends is not read, but known: from what may lie in it.
    """
    root = Element("OME")
    path = [root]
    for found in _TAG.finditer(text):
        tag, inside, following = found.groups()
        attributes = {key: unescape(a or b) for key, a, b in _ATTRIBUTE.findall(inside)}
        if tag == "OME":
            root.attrib.update(attributes)
            continue
        parent = _INSIDE.get(tag)
        if parent not in [element.tag for element in path]:
            continue
        while path[-1].tag != parent:
            path.pop()
        element = Element(tag, attributes)
        element.text = unescape(following)
        path[-1].append(element)
        path.append(element)
    return root if root.find("Image/Pixels") is not None else None
