"""The tree of an OME-XML: read strictly, else as far as it can be understood; never without end."""

import re
from html import unescape
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, fromstring

from cellbank.model.errors import BadImage

MAX_XML: Final = 16 << 20
"""Bytes; more is no description of an image."""
_LONG: Final = 1 << 20
_PART: Final = 1 << 16
_LOOKED_AT: Final = 1 << 21
"""Characters of a text that is not well-formed; what matters stands at its beginning."""
MAX_ELEMENTS: Final = 1 << 18
"""That place pixels or name something; such as one for each plane."""
_SKIPPED: Final = {"Plane", "StructuredAnnotations", "ROI", "BinData", "ROIRef"}
"""What may be without end, and places no pixels."""
_TAG: Final = re.compile(
    r"""<(?:\w+:)?(\w+)"""
    r"""((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]{0,9999}"|'[^'<]{0,9999}'|[^\s"'<>/]{1,999}))*)"""
    r"""\s*/?>([^<]{0,200})"""
)
_ATTRIBUTE: Final = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>/]+))""")
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
        raise _too_long(name, f"{len(description)} bytes, more than {MAX_XML}")
    try:
        text = description.decode()
    except UnicodeDecodeError:
        text = description.decode("latin-1")
    if "<!DOCTYPE" in text:
        raise BadImage(name, "its OME-XML has a DOCTYPE, which is not allowed there")
    try:
        return _strict(text, name), ()
    except ParseError as error:
        root = _recovered(text)
        if root is None:
            raise InvalidOme(str(error)) from None
        return root, (f"invalid OME-XML: {error}; it was read as far as it can be understood",)


def _too_long(name: str, reason: str) -> BadImage:
    advice = "Save the image without the annotations."
    return BadImage(name, f"its OME-XML has {reason}", advice)


def _strict(text: str, name: str) -> Element:
    if len(text) < _LONG:
        return fromstring(text)  # noqa: S314  there is no DOCTYPE, so there are no entities
    target = _Short(name)
    parser: XMLParser[Any] = XMLParser(target=target)  # noqa: S314
    silent = 0
    for start in range(0, len(text), _PART):
        before = target.events
        parser.feed(text[start : start + _PART])
        silent = silent + _PART if target.events == before else 0
        if silent >= _LONG:
            raise _too_long(name, f"a single tag of more than {_LONG} characters")
    root: Element = parser.close()
    return root


class _Short:
    """Builds a tree without what is skipped, so that a long text becomes no large tree."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = MAX_ELEMENTS
        self.events = 0
        self._builder = TreeBuilder()
        self._skipping = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        self.events += 1
        if self._skipping or tag.rpartition("}")[2] in _SKIPPED:
            self._skipping += 1
        else:
            self._left -= 1
            if self._left < 0:
                raise _too_long(self._name, f"more than {MAX_ELEMENTS} elements")
            self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        """End an element."""
        self.events += 1
        if self._skipping:
            self._skipping -= 1
        else:
            self._builder.end(tag)

    def data(self, text: str) -> None:
        """Take text."""
        self.events += 1
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
    for found in _TAG.finditer(text, 0, _LOOKED_AT):
        tag, inside, following = found.groups()
        attributes = {key: unescape(a or b or c) for key, a, b, c in _ATTRIBUTE.findall(inside)}
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
