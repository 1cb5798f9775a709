"""The face of the room: its names, and what importing it costs."""

import subprocess
import sys

import pytest

from cellbank import images


@pytest.mark.parametrize("name", images.__all__)
def test_every_name_is_there(name: str) -> None:
    assert name == getattr(images, name).__name__


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'reed_header'"):
        _ = images.reed_header  # type: ignore[attr-defined]


def test_the_room_is_cheap_to_enter() -> None:
    code = "import sys, cellbank.images; print({'numpy', 'tifffile', 'msgspec'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == found.stdout
