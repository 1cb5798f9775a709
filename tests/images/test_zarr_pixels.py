"""OME-Zarr as others write it: the same pixels, names, sizes; no more read than asked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr import codecs

import cellbank
from cellbank import images
from cellbank.images.zarr_pixels import ZarrPixels
from cellbank.model.errors import BadImage
from tests.images.zarr_making import VOLUME, describe, image, multiscale

WHOLE = (slice(0, 40), slice(0, 50))

TWO: dict[str, dict[str, Any]] = {
    "blosc": {"compressors": numcodecs.Blosc()},
    "blosc of bits": {"compressors": numcodecs.Blosc("zlib", shuffle=2), "dtype": ">u2"},
    "zstd": {"compressors": numcodecs.Zstd()},
    "gzip": {"compressors": numcodecs.GZip()},
    "zlib": {"compressors": numcodecs.Zlib()},
    "lz4": {"compressors": numcodecs.LZ4()},
    "bz2": {"compressors": numcodecs.BZ2()},
    "lzma": {"compressors": numcodecs.LZMA()},
    "not compressed": {"compressors": None},
    "big-endian": {"compressors": None, "dtype": ">u2"},
    "columns first": {"order": "F"},
    "columns first, chunks of several planes": {"order": "F", "chunks": (2, 3, 16, 32)},
    "one chunk": {"chunks": (3, 5, 40, 50)},
    "chunks larger than the image": {"chunks": (4, 8, 64, 64)},
}
THREE: dict[str, dict[str, Any]] = {
    "zstd": {},
    "blosc": {"compressors": codecs.BloscCodec(cname="lz4")},
    "gzip": {"compressors": codecs.GzipCodec()},
    "not compressed": {"compressors": None},
    "big-endian": {"serializer": codecs.BytesCodec(endian="big")},
    "with a checksum": {"compressors": [codecs.ZstdCodec(), codecs.Crc32cCodec()]},
    "transposed": {"filters": [codecs.TransposeCodec(order=(3, 1, 0, 2))]},
    "transposed twice": {
        "filters": [
            codecs.TransposeCodec(order=(3, 1, 0, 2)),
            codecs.TransposeCodec(order=(1, 2, 3, 0)),
        ]
    },
    "shards": {"shards": (3, 2, 32, 64)},
    "shards, one for all": {"shards": (3, 6, 48, 64), "compressors": codecs.BloscCodec()},
    "shards, index first": {
        "serializer": codecs.ShardingCodec(
            chunk_shape=(1, 1, 16, 16), codecs=[codecs.BytesCodec()], index_location="start"
        ),
        "compressors": None,
        "chunks": (1, 2, 16, 32),
    },
    "names as in Zarr 2": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "names with dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
}
FORMS = [(2, form, how) for form, how in TWO.items()] + [(3, f, how) for f, how in THREE.items()]


class Node:
    """A folder that is read file by file, and remembers which."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[str] = []

    def _read_file(self, path: str) -> bytes | None:
        self.read.append(path)
        place = self.folder / path
        return place.read_bytes() if place.is_file() else None

    @property
    def chunks(self) -> list[str]:
        return [path for path in self.read if not path.endswith((".json", ".zarray", ".xml"))]


@pytest.mark.parametrize(("zarr_format", "form", "how"), FORMS, ids=lambda it: str(it)[:30])
def test_every_form_keeps_its_pixels(
    tmp_path: Path, zarr_format: int, form: str, how: dict[str, Any]
) -> None:
    del form
    path = image(tmp_path / "a.ome.zarr", zarr_format=zarr_format, **how)
    pixels = ZarrPixels(path)
    found = np.array(list(pixels.planes(range(15), *WHOLE)))
    assert ("CZYX", (3, 5, 40, 50), "uint16") == (
        pixels.header.axes,
        pixels.header.shape,
        pixels.header.dtype,
    )
    np.testing.assert_array_equal(VOLUME[0].reshape(15, 40, 50), found)
    assert np.dtype(np.uint16) == found.dtype
    some = list(pixels.planes([7, 3, 14, 7], slice(15, 33), slice(31, 50)))
    np.testing.assert_array_equal(VOLUME[0].reshape(15, 40, 50)[[7, 3, 14, 7], 15:33, 31:], some)


@pytest.mark.parametrize("separator", [".", "/"])
def test_chunks_of_zarr_2_have_either_name(tmp_path: Path, separator: str) -> None:
    naming = {"name": "v2", "separator": separator}
    path = image(tmp_path / "a.zarr", zarr_format=2, chunk_key_encoding=naming)
    assert (path / "0" / f"0{separator}0{separator}0{separator}0").is_file()
    np.testing.assert_array_equal(VOLUME[0], images.open(path).read())


@pytest.mark.parametrize(
    "dtype",
    [
        *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    ],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_type_is_read(tmp_path: Path, dtype: str, zarr_format: int) -> None:
    data = (VOLUME[0, 0].astype("i8") % 100 - (50 if dtype[0] in "ifc" else 0)).astype(dtype)
    found = images.open(image(tmp_path / "a.zarr", data, "zyx", zarr_format=zarr_format)).read()
    np.testing.assert_array_equal(data, found)
    assert np.dtype(dtype) == found.dtype


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("yx", (40, 50), "YX"),
        ("zyx", (5, 40, 50), "ZYX"),
        ("tyx", (5, 40, 50), "TYX"),
        ("tczyx", (2, 3, 5, 40, 50), "TCZYX"),
        ("tczyx", (1, 3, 1, 40, 50), "CYX"),
        ("tczyx", (1, 1, 1, 40, 50), "YX"),
        ("zcyx", (5, 3, 40, 50), "ZCYX"),
        ("xy", (50, 40), "YX"),
        ("yxc", (40, 50, 3), "CYX"),
        ("xyzct", (50, 40, 5, 3, 2), "ZCTYX"),
    ],
)
def test_axes_in_any_order_are_read(
    tmp_path: Path, axes: str, shape: tuple[int, ...], expected: str
) -> None:
    data = np.resize(VOLUME, shape)
    found = images.open(
        image(
            tmp_path / "a.zarr",
            data,
            axes,
            chunks=tuple(min(n, 16) if a in "yx" else 1 for a, n in zip(axes, shape, strict=True)),
        )
    )
    assert expected == found.axes
    kept = "".join(a for a in axes if a.upper() in expected)
    plain = data.squeeze(tuple(n for n, a in enumerate(axes) if a not in kept))
    order = [kept.index(a.lower()) for a in expected]
    np.testing.assert_array_equal(plain.transpose(order), found.read())


def test_header_channels_and_sizes(tmp_path: Path) -> None:
    channels = [{"label": n, "color": "FF00FF"} for n in ("DNA", "EGFP", "bright")]
    path = image(tmp_path / "a.ome.zarr", levels=2, more={"omero": {"channels": channels}})
    found = images.open(path)
    assert ("ome-zarr 0.5", ((40, 50), (20, 25))) == (found.format, found.levels)
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == found.pixel_size
    assert ["DNA", "EGFP", "bright"] == [channel.name for channel in found.channels]
    assert ("#ff00ff", None, None) == (found.channels[0].color, found.acquisition_date, found.ome)
    np.testing.assert_array_equal(VOLUME[0, 1], found.read(C="EGFP"))
    assert "ome-zarr 0.4" == images.open(image(tmp_path / "b.zarr", zarr_format=2)).format


def test_levels_are_read(tmp_path: Path) -> None:
    found = images.open(image(tmp_path / "a.zarr", levels=3))
    np.testing.assert_array_equal(VOLUME[0, :, :, ::4, ::4], found.read(level=2))


def test_a_level_with_fewer_planes_gives_those_at_the_same_place(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", levels=1)
    smaller = zarr.create_array(path / "1", shape=(3, 2, 20, 25), dtype="u2", chunks=(1, 1, 20, 25))
    smaller[:] = VOLUME[0, :, :2, ::2, ::2]
    describe(path, {"multiscales": [multiscale("czyx", 2)]})
    found = images.open(path)
    assert (3, 5, 20, 25) == found.read(level=1).shape
    np.testing.assert_array_equal(VOLUME[0, 0, [0, 0, 0, 1, 1], ::2, ::2], found.read(C=0, level=1))


# --- how much is read ----------------------------------------------------------------------------


def test_opening_reads_metadata_only(tmp_path: Path) -> None:
    node = Node(image(tmp_path / "a.zarr", levels=2))
    ZarrPixels(node)
    assert [] == node.chunks
    assert {"zarr.json", "0/zarr.json", "1/zarr.json"} <= set(node.read)
    assert len(node.read) <= 6


def test_only_chunks_that_overlap_the_region_are_read(tmp_path: Path) -> None:
    node = Node(image(tmp_path / "a.zarr"))
    pixels = ZarrPixels(node)
    list(pixels.planes([7], slice(10, 20), slice(0, 32)))
    assert ["0/c/1/2/0/0", "0/c/1/2/1/0"] == node.chunks


def test_neighbours_in_one_chunk_are_read_together(tmp_path: Path) -> None:
    node = Node(image(tmp_path / "a.zarr", chunks=(1, 2, 40, 50)))
    pixels = ZarrPixels(node)
    list(pixels.planes(range(15), *WHOLE))
    assert 9 == len(node.chunks) == len(set(node.chunks))


def test_planes_that_take_turns_between_chunks_are_read_together(tmp_path: Path) -> None:
    """Z by Z, channel by channel, where each chunk is a stack of one channel."""
    node = Node(image(tmp_path / "a.zarr", chunks=(1, 5, 40, 50)))
    pixels = ZarrPixels(node)
    numbers = [c * 5 + z for z in range(5) for c in range(3)]
    found = list(pixels.planes(numbers, *WHOLE))
    np.testing.assert_array_equal(VOLUME[0].transpose(1, 0, 2, 3).reshape(15, 40, 50), found)
    assert 3 == len(node.chunks)


def test_what_does_not_fit_into_memory_together_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellbank.images.zarr_pixels.BUFFER", 2 * 40 * 50 * 2)
    node = Node(image(tmp_path / "a.zarr", chunks=(1, 5, 40, 50)))
    found = list(ZarrPixels(node).planes(range(15), *WHOLE))
    np.testing.assert_array_equal(VOLUME[0].reshape(15, 40, 50), found)
    assert 9 <= len(node.chunks) <= 12


def test_planes_come_as_they_are_asked_for(tmp_path: Path) -> None:
    node = Node(image(tmp_path / "a.zarr", chunks=(1, 1, 40, 50)))
    planes: Iterator[Any] = ZarrPixels(node).planes(range(15), *WHOLE)
    next(planes)
    assert 1 == len(node.chunks)


def test_a_shard_is_not_read_whole(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", shards=(3, 6, 48, 64), compressors=None)
    shard = path / "0" / "c" / "0" / "0" / "0" / "0"
    pixels = ZarrPixels(path)
    wanted = next(pixels.planes([7], slice(0, 16), slice(0, 32)))
    # All but the chunk and the index is made unreadable.
    data, size = shard.read_bytes(), 16 * 32 * 2
    at = data.index(np.ascontiguousarray(VOLUME[0, 1, 2, :16, :32]).tobytes())
    index = 3 * 6 * 3 * 2 * 16 + 4
    broken = bytes(at) + data[at : at + size] + bytes(len(data) - at - size - index) + data[-index:]
    shard.write_bytes(broken)
    found = next(ZarrPixels(path).planes([7], slice(0, 16), slice(0, 32)))
    np.testing.assert_array_equal(wanted, found)


def test_what_is_not_stored_is_the_fill_value(tmp_path: Path) -> None:
    for number, fill in enumerate((7, None)):
        path = tmp_path / f"{number}.zarr"
        array = zarr.create_array(
            path / "0", shape=(40, 50), dtype="u2", chunks=(16, 32), fill_value=fill, zarr_format=2
        )
        array[:16, :32] = VOLUME[0, 0, 0, :16, :32]
        describe(path, {"multiscales": [multiscale("yx")]}, 2)
        expected = np.full((40, 50), fill or 0)
        expected[:16, :32] = VOLUME[0, 0, 0, :16, :32]
        np.testing.assert_array_equal(expected, images.open(path).read())


@pytest.mark.parametrize(
    ("dtype", "said", "expected"),
    [
        ("float32", "NaN", np.nan),
        ("float32", "-Infinity", -np.inf),
        ("float32", "0x40490fdb", np.float32(np.pi)),
        ("float64", 0.5, 0.5),
        ("complex64", [1, "NaN"], complex(1, np.nan)),
        ("bool", True, True),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("int8", -1, -1),
    ],
)
def test_fill_values_of_every_kind(tmp_path: Path, dtype: str, said: Any, expected: Any) -> None:
    path = image(tmp_path / "a.zarr", np.ones((4, 4), dtype), "yx", chunks=(4, 4))
    told = json.loads((path / "0/zarr.json").read_text())
    (path / "0/zarr.json").write_text(json.dumps(told | {"fill_value": said}))
    (path / "0/c/0/0").unlink()
    found = images.open(path).read()
    np.testing.assert_array_equal(np.full((4, 4), expected, dtype), found)


# --- several images ------------------------------------------------------------------------------

XML = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0" Name="first"><AcquisitionDate>2017-10-24T10:00:00</AcquisitionDate>
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeZ="1" SizeC="1"
SizeT="1"><Channel ID="Channel:0:0" Name="EGFP" EmissionWavelength="509"/></Pixels></Image>
<Image ID="Image:1" Name="second"><Pixels ID="Pixels:1" DimensionOrder="XYZCT" Type="uint16"
SizeX="50" SizeY="40" SizeZ="1" SizeC="1" SizeT="1"/></Image></OME>"""


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_series_of_bioformats2raw(tmp_path: Path, zarr_format: int) -> None:
    path = describe(tmp_path / "a.zarr", {"bioformats2raw.layout": 3}, zarr_format)
    for number in range(2):
        image(path / str(number), VOLUME[0, 0, number], "yx", zarr_format=zarr_format)
    (path / "OME").mkdir()
    (path / "OME/METADATA.ome.xml").write_text(XML)
    first, second = images.open(path), images.open(path, scene="1")
    assert ("0", "1") == first.scenes == second.scenes
    np.testing.assert_array_equal(VOLUME[0, 0, 0], first.read())
    np.testing.assert_array_equal(VOLUME[0, 0, 1], second.read())
    assert ("EGFP", 509) == (first.channels[0].name, first.channels[0].wavelength)
    assert first.acquisition_date is not None
    assert ("2017-10-24", None) == (
        first.acquisition_date.date().isoformat(),
        second.acquisition_date,
    )
    assert first.ome is not None
    assert "second" == first.ome.images[1].name


def test_a_series_that_is_listed(tmp_path: Path) -> None:
    path = describe(tmp_path / "a.zarr", {"bioformats2raw.layout": 3})
    describe(path / "OME", {"series": ["b", "a"]})
    for number, name in enumerate("ab"):
        image(path / name, VOLUME[0, 0, number], "yx")
    assert ("b", "a") == images.open(path).scenes
    np.testing.assert_array_equal(VOLUME[0, 0, 1], images.open(path).read())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fields_of_a_plate_are_scenes(tmp_path: Path, zarr_format: int) -> None:
    wells = [{"path": p, "rowIndex": 0, "columnIndex": 0} for p in ("A/1", "E/6")]
    plate = {"columns": [], "rows": [], "wells": wells}
    path = describe(tmp_path / "plate.zarr", {"plate": plate}, zarr_format)
    for number, well in enumerate(("A/1", "E/6")):
        fields = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
        describe(path / well, fields, zarr_format)
        for field in range(2):
            data = VOLUME[0, number, field]
            image(path / well / str(field), data, "yx", zarr_format=zarr_format)
    assert ("A/1/0", "A/1/1", "E/6/0", "E/6/1") == images.open(path).scenes
    np.testing.assert_array_equal(VOLUME[0, 1, 0], images.open(path, scene="E/6/0").read())
    np.testing.assert_array_equal(VOLUME[0, 1, 1], images.open(path, scene=3).read())
    assert ("0", "1") == images.open(path / "E/6").scenes


def test_several_images_of_one_group(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", VOLUME[0, 0, 0], "yx")
    zarr.create_array(path / "b", data=VOLUME[0, 0, 1])
    other = multiscale("yx")
    other["datasets"][0]["path"] = "b"
    describe(path, {"multiscales": [multiscale("yx"), other]})
    assert 2 == len(images.open(path).scenes)
    np.testing.assert_array_equal(VOLUME[0, 0, 1], images.open(path, scene=1).read())


def test_labels_are_listed_and_opened_by_their_path(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr")
    describe(path / "labels", {"labels": ["nuclei", "cells/0"]})
    numbers = (VOLUME[0, 0] % 5).astype("u4")
    image(path / "labels/nuclei", numbers, "zyx")
    assert ("labels/nuclei", "labels/cells/0") == ZarrPixels(path).labels
    np.testing.assert_array_equal(numbers, images.open(path, scene="labels/nuclei").read())
    assert () == ZarrPixels(image(tmp_path / "b.zarr")).labels


def test_a_scene_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr")
    describe(path / "labels", {"labels": ["nuclei"]})
    with pytest.raises(BadImage, match=r"no image cells\. It has image 0, labels/nuclei"):
        images.open(path, scene="cells")
    with pytest.raises(BadImage, match=r"no image labels/nucle\. Did you mean labels/nuclei"):
        images.open(path, scene="labels/nucle")
    with pytest.raises(BadImage, match="no image 1: it holds 1 image"):
        ZarrPixels(path, 1)


# --- in a package --------------------------------------------------------------------------------


def test_a_folder_in_a_package_is_an_image(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    image(folder / "images" / "cells.ome.zarr", levels=2, shards=(1, 2, 32, 64))
    cellbank.build("demo/zarr", folder)
    node = cellbank.load("demo/zarr")["images/cells.ome.zarr"]
    found = images.open(node)
    np.testing.assert_array_equal(VOLUME[0], found.read())
    np.testing.assert_array_equal(VOLUME[0, 2, 4, ::2, ::2], found.read(C=2, Z=4, level=1))
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == found.pixel_size
