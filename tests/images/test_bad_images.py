"""Bad input: one clear error of ours, in little time and memory; no other file is looked at."""

import io
import json
import os
import random
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import AxisNotFound, BadImage, BadInput, CellbankError
from tests.images.attacks import page
from tests.images.making import FORMS, STACK, described, ome_text, tiff

ROOT = Path(__file__).parents[2]


def all_of(source: Any) -> None:
    """Do with an image what people do."""
    image = open_image(source)
    for work in (
        image.read,
        lambda: image.thumbnail(16),
        lambda: image.project(over=image.axes[0] if image.axes[0] not in "YX" else "Z"),
        lambda: image.ome,
        lambda: repr(image),
    ):
        work()


# --- what attacks cost


def judged(said: dict[str, Any]) -> list[str]:
    """What is too much: time, memory, an error that is not ours, a warning."""
    if "killed" in said:
        return [f"killed: {said['killed']}"]
    found = [f"warned: {warning}" for warning in said.pop("warnings")]
    del said["before"]
    for step, (told, seconds, megabytes) in said.items():
        # Reading all takes time in proportion to what a file can hold.
        most = (10, 800) if step in {"read", "project"} else (2, 450)
        if seconds > most[0] or megabytes > most[1] or told.startswith("ESCAPED"):
            found.append(f"{step}: {seconds} s, {megabytes} MB, {told}")
    return found


def attacked(*options: str) -> dict[str, list[str]]:
    command = [sys.executable, "-m", "tests.images.attacked", *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    results = dict(map(json.loads, done.stdout.splitlines()))
    assert len(results) > 10
    return {name: bad for name, said in results.items() if (bad := judged(said))}


def test_attacks_cost_little() -> None:
    assert {} == attacked()


@pytest.mark.slow
def test_larger_attacks_cost_little() -> None:
    assert {} == attacked("slow")


# --- damage


CUT = [
    "ours",
    "OME by tifffile",
    "ImageJ",
    "LZW, predictor",
    "Deflate, tiles",
    "JPEG",
    "OME, pyramid",
]


@pytest.mark.parametrize("form", CUT)
def test_a_file_cut_anywhere_is_a_bad_image_or_reads_what_is_there(form: str) -> None:
    data = FORMS[form]
    whole = open_image(io.BytesIO(data)).read()
    for length in range(0, len(data), 97):
        try:
            found = open_image(io.BytesIO(data[:length])).read()
        except BadImage:
            continue
        # Just what the whole file has; never zeros or other bytes in the place of pixels.
        np.testing.assert_array_equal(whole.reshape(-1)[: found.size], found.reshape(-1))


def test_damage_anywhere_leads_to_our_errors_and_to_no_warning() -> None:
    chance = random.Random(7)  # noqa: S311
    forms = sorted(form for form in FORMS if len(FORMS[form]) < 40_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(1500):
            data = bytearray(FORMS[chance.choice(forms)])
            for _ in range(chance.choice([1, 1, 2, 5, 20])):
                reach = chance.choice([16, 300, len(data)])
                data[chance.randrange(min(reach, len(data)))] = chance.randrange(256)
            with suppress(CellbankError):
                all_of(io.BytesIO(bytes(data)))
    assert [] == [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "data", [b"", b"I", b"II*\0", b"GIF89a", b"\0" * 4096, b"%PDF-1.7", b"II+\0"]
)
def test_what_is_no_image_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    for source in (path, str(path), io.BytesIO(data)):
        with pytest.raises(BadImage) as raised:
            open_image(source)
        assert "\n" not in raised.value.message


def test_a_pipe_is_not_waited_for_and_a_folder_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (tmp_path / "pipe.tif", tmp_path, Path("/dev/null")):
        with pytest.raises(BadImage):
            open_image(path)


@pytest.mark.parametrize(
    "source", [None, 3, b"a.tif", np.zeros((2, 2)), "a\0b.tif", io.StringIO("a")]
)
def test_what_cannot_be_opened_says_so(source: Any) -> None:
    with pytest.raises((BadInput, BadImage)):
        open_image(source)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "none.tif")


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS["ours"])
    image = open_image(path)
    image.read()
    os.truncate(path, 3000)
    with pytest.raises(BadImage, match="truncated: it has 3000 bytes") as told:
        image.read()
    assert "get it again" in told.value.advice
    path.unlink()
    with pytest.raises(FileNotFoundError):
        image.read()


def test_strips_may_overlap_but_not_lie_outside() -> None:
    data = bytearray(tiff(STACK[0, 0], rowsperstrip=5, metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as found:
        tag = found.pages.first.tags[273]
        offsets, places = list(tag.value), tag.valueoffset
    form = "<4H" if tag.dtype == 3 else "<4I"
    struct.pack_into(form, data, places, *[offsets[0]] * 4)
    expected = np.concatenate([STACK[0, 0, :5]] * 4)
    np.testing.assert_array_equal(expected, open_image(io.BytesIO(bytes(data))).read())
    struct.pack_into(form, data, places, *offsets[:3], len(data) - 1)
    image = open_image(io.BytesIO(bytes(data)))
    np.testing.assert_array_equal(STACK[0, 0, :15], image.read(Y=slice(0, 15)))
    with pytest.raises(BadImage, match="strip 3 is truncated"):
        image.read()


# --- other files


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note which files are opened, and which folders are looked through."""
    seen: list[str] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


_watchers: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event in {"open", "os.listdir", "os.scandir", "glob.glob"}:
        for seen in _watchers:
            seen.append(str(arguments[0]))


sys.addaudithook(_note)

SECRET = np.full((20, 30), 4242, np.uint16)


@pytest.mark.parametrize("said", ["images=abc", "slices=1e999", "channels=nan", "frames=two"])
def test_a_number_of_imagej_that_is_none_is_told_in_our_words(said: str) -> None:
    data = described("\n".join(["ImageJ=1.53", "images=2", "slices=2", said, ""]))
    with pytest.raises(BadImage, match=rf"ImageJ's description says {said[:7]}.*, which is no nu"):
        open_image(io.BytesIO(data))


def named_in_ome(name: str) -> bytes:
    """Return an OME-TIFF of two planes, the second of which lies in another file."""
    other = f'<UUID FileName="{name}">urn:uuid:2</UUID>'
    inside = (
        '<TiffData IFD="0" FirstC="0" PlaneCount="1"/>'
        f'<TiffData IFD="0" FirstC="1" PlaneCount="1">{other}</TiffData>'
    )
    sizes = 'SizeX="30" SizeY="20" SizeZ="1" SizeC="2" SizeT="1"'
    return described(ome_text(inside=inside, sizes=sizes), STACK[0, :1])


def of_micro_manager(frame: int, value: int) -> bytes:
    """Return one of two files of a Micro-Manager stack, which their names tell."""
    known = {"MicroManagerVersion": "1", "Frames": 2, "Slices": 1, "Channels": 1, "Positions": 1}
    summary = json.dumps(known | {"Prefix": "a"}).encode()
    index_at = 40 + len(summary)
    index_at += index_at % 2
    directory_at = index_at + 28
    places = ((273, 4, 1, directory_at + 162), (279, 4, 1, 600), (51123, 2, 8, 40))
    entries = sorted([*page(30, 20), *places])
    entries = [(258, 3, 1, 8) if entry[0] == 258 else entry for entry in entries]
    said = struct.pack("<8I", 54773648, index_at, 0, 0, 0, 0, 2355492, len(summary))
    head = (struct.pack("<2sHI", b"II", 42, directory_at) + said + summary).ljust(index_at, b"\0")
    index = struct.pack("<2I5I", 3453623, 1, 0, 0, frame, 0, directory_at)
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    directory = struct.pack("<H", len(entries)) + packed + bytes(4)
    return head + index + directory.ljust(162, b"\0") + bytes([value]) * 600


def seen_by_tifffile(path: Path) -> list[str]:
    with watched() as seen, suppress(Exception):
        tifffile.imread(path)
    return seen


def seen_by_us(path: Path) -> list[str]:
    with watched() as seen, suppress(CellbankError):
        all_of(path)
    return seen


@pytest.mark.parametrize("name", ["secret.tif", "../b/secret.tif", "{folder}/secret.tif"])
def test_a_file_that_ome_xml_names_is_never_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "secret.tif").write_bytes(tiff(SECRET, metadata=None))
    path = folder / "a.ome.tif"
    path.write_bytes(named_in_ome(name.format(folder=folder)))
    tifffile.imread(path)
    # The attack works: tifffile shows what is in the other file.
    assert any("secret" in seen for seen in seen_by_tifffile(path))
    with pytest.raises(BadImage, match="lie in other files"):
        open_image(path)
    assert [] == [seen for seen in seen_by_us(path) if "secret" in seen]


def test_files_beside_one_of_micro_manager_are_never_opened(tmp_path: Path) -> None:
    for number in (0, 1):
        path = tmp_path / f"a_MMStack_{number}.tif"
        path.write_bytes(of_micro_manager(number, 10 + number))
    path = tmp_path / "a_MMStack_0.tif"
    assert 11 == tifffile.imread(path).max()
    assert any("MMStack_1" in seen for seen in seen_by_tifffile(path))
    assert {str(path)} == {seen for seen in seen_by_us(path) if str(tmp_path) in seen}


def test_an_index_of_ndtiff_is_never_opened(tmp_path: Path) -> None:
    data = bytearray(of_micro_manager(0, 10))
    struct.pack_into("<4I", data, 8, 483729, 2, 2355492, len(json.dumps({})))
    data[24:26] = b"{}"
    path = tmp_path / "a_NDTiffStack.tif"
    path.write_bytes(bytes(data))
    (tmp_path / "NDTiff.index").write_bytes(b"\1\0\0\0a")
    assert any("NDTiff.index" in seen for seen in seen_by_tifffile(path))
    assert {str(path)} == {seen for seen in seen_by_us(path) if str(tmp_path) in seen}


def test_a_description_of_another_file_is_no_image(tmp_path: Path) -> None:
    text = '<OME><BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/></OME>'
    (tmp_path / "a.companion.ome").write_text(ome_text(inside="<TiffData/>"))
    path = tmp_path / "a.ome.tif"
    path.write_bytes(described(text))
    with pytest.raises(BadImage, match="lie in other files"):
        open_image(path)
    assert [] == [seen for seen in seen_by_us(path) if "companion" in seen]


# --- what is asked for and is not there


@pytest.mark.parametrize(
    "asked",
    [
        lambda image: image.read(C="dna"),
        lambda image: image.read(Z=3),
        lambda image: image.read(T=1),
        lambda image: image.composite({"DNS": "red"}),
        lambda image: image.composite(T=1),
        lambda image: image.composite(T="0"),
        lambda image: image.composite(Z=17),
        lambda image: image.composite(level=1),
        lambda image: image.composite(limits={"none": (0, 1)}),
        lambda image: image.composite(["red"]),
        lambda image: image.composite(limits=[(0, 1)]),
        lambda image: image.rgb(),
        lambda image: image.rgb(red="none"),
        lambda image: image.rgb(red=2),
        lambda image: image.rgb("DNA", T=-2),
        lambda image: image.limits("none"),
        lambda image: image.limits(0, T=3),
        lambda image: image.thumbnail(0),
        lambda image: image.orthogonal((1, 2)),
        lambda image: image.orthogonal((9, 0, 0)),
        lambda image: image.overlay(np.zeros((3, 3), int)),
        lambda image: image.with_channels(["a"]),
        lambda image: image.with_channels("ab"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(asked: Callable[[Image], Any]) -> None:
    with pytest.raises(CellbankError) as raised:
        asked(open_image(io.BytesIO(FORMS["ours"])))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("axes", ["ZY", "YX", "ZZYX", "WCYX", "ZCXY", "TZCYXS", "zcyx"])
def test_axes_that_do_not_fit_are_refused(axes: str) -> None:
    with pytest.raises(AxisNotFound):
        open_image(io.BytesIO(FORMS["ours"]), axes=axes)
