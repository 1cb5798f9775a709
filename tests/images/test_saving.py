"""Saving and opening again: the same pixels, names, colours and sizes; whole or not at all."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from cellbank import images
from cellbank.images.channel import Channel
from cellbank.images.header import Header, planes_of
from cellbank.images.pixels import Pixels
from cellbank.images.viewing import Viewed
from cellbank.images.zarr_writing import halved, levels_of
from cellbank.model.errors import BadImage, BadInput, DiskError, WouldOverwrite
from tests.images.making import COLOUR, STACK, ome, tiff

TYPES = [
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]
IN_TIFF = {*TYPES} - {"uint64", "int64", "float16"}
CHANNELS = (
    Channel("DNA", 0, "#0000ff", 461.0, 405.0, use=True, window=(10.0, 900.0), fluor="H3342"),
    Channel("µ-tubulin", 1, "#00ff00", use=False),
)


class Made(Pixels):
    """An image of an array; what cannot be in a file of one format can be here."""

    def __init__(self, data: NDArray[Any], axes: str, **more: Any) -> None:
        self.name, self.data, self.scenes = "made", data, ("made",)
        count = dict(zip(axes, data.shape, strict=True)).get("C", 1)
        self.channels = more.pop("channels", tuple(Channel(None, n) for n in range(count)))
        self.acquired = more.pop("acquired", None)
        at = axes.index("Y")
        self.levels = (data.shape[at : at + 2],)
        self.header = Header(
            "made", axes, data.shape, data.dtype.name, planes=planes_of(axes, data.shape), **more
        )

    def planes(
        self, numbers: Any, rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        flat = self.data.reshape(-1, *self.data.shape[self.header.axes.index("Y") :])
        for number in numbers:
            yield flat[number][rows, columns]


def made(data: Any = STACK, axes: str = "ZCYX", **more: Any) -> images.Image:
    return images.Image(Made(np.asarray(data), axes, **more))


def saved(image: images.Image, path: Path, **options: Any) -> images.Image:
    path.parent.mkdir(exist_ok=True)
    image.save(path, **options)
    assert [path] == list(path.parent.iterdir())
    return images.open(path)


def typed(dtype: str) -> NDArray[Any]:
    data = STACK.astype("i8") % 120 - (50 if dtype[0] in "ifc" else 0)
    return data.astype(dtype)


# --- the same again ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "form", ["ome.tiff zlib", "ome.tiff None", "zarr 0.4", "zarr 0.5", "zarr 0.5 gzip"]
)
def test_pixels_of_every_type_are_the_same(tmp_path: Path, dtype: str, form: str) -> None:
    kind, *options = form.split()
    how: dict[str, Any] = {"compression": {"zlib": "zlib", "gzip": "gzip"}.get(options[-1], "auto")}
    if kind == "zarr":
        how["version"] = options[0]
    elif dtype not in IN_TIFF:
        image = made(typed(dtype))
        with pytest.raises(BadImage, match=f"^{image.name}: OME-TIFF has no {dtype} pixels"):
            image.save(tmp_path / "a.ome.tiff")
        assert [] == list(tmp_path.iterdir())
        return
    found = saved(made(typed(dtype)), tmp_path / f"a.{kind}", **how)
    np.testing.assert_array_equal(typed(dtype), found.read(axes="ZCYX"))
    assert ("uint8" if dtype == "bool" else dtype) == found.dtype


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (20, 30)),
        ("ZYX", (3, 20, 30)),
        ("CYX", (3, 20, 30)),
        ("TYX", (3, 20, 30)),
        ("ZCYX", (2, 3, 20, 30)),
        ("CZYX", (2, 3, 20, 30)),
        ("TZCYX", (2, 2, 3, 20, 30)),
        ("ZTCYX", (2, 2, 3, 20, 30)),
        ("YX", (1, 1)),
        ("YX", (1, 701)),
        ("ZYX", (2, 513, 3)),
        ("TCZYX", (1, 2, 1, 20, 30)),
    ],
)
@pytest.mark.parametrize("name", ["a.ome.tif", "a.tiff", "a.ome.zarr", "a.zarr"])
def test_axes_are_the_same(tmp_path: Path, axes: str, shape: tuple[int, ...], name: str) -> None:
    data = np.resize(STACK, shape)
    found = saved(made(data, axes), tmp_path / name)
    np.testing.assert_array_equal(data, found.read(axes=axes))
    assert {a: n for a, n in zip(axes, shape, strict=True) if n > 1 or a in "YX"} == found.sizes


def test_what_is_known_of_channels_is_kept_in_zarr(tmp_path: Path) -> None:
    sizes = {"Z": 0.29, "Y": 0.1083333, "X": 0.1083333}
    image = made(channels=CHANNELS, pixel_size=sizes)
    for version in ("0.4", "0.5"):
        found = saved(image, tmp_path / version / "a.zarr", version=version)
        assert (sizes, f"ome-zarr {version}") == (found.pixel_size, found.format)
        first, second = found.channels
        assert ("DNA", "#0000ff", 461, 405, True, (10.0, 900.0)) == (
            first.name,
            first.color,
            first.wavelength,
            first.excitation,
            first.use,
            first.window,
        )
        assert ("µ-tubulin", "#00ff00", False) == (second.name, second.color, second.use)
        assert ["DNA"] == [channel.name for channel in found.used]


def test_channels_in_use_have_the_colours_of_their_composite(tmp_path: Path) -> None:
    unused = Channel("CMDRP_2", 0, use=False)
    image = made(channels=(unused, Channel("CMDRP", 1)))
    first, second = saved(image, tmp_path / "out" / "a.zarr").channels
    assert first.color != second.color
    (shown,) = (one for one in Viewed(image).options["channels"] if one["on"])
    assert shown["color"] == second.color


def test_what_is_known_of_channels_is_kept_in_tiff(tmp_path: Path) -> None:
    sizes = {"Z": 0.29, "Y": 0.1083333, "X": 0.1083333}
    when = datetime(2017, 10, 24, 12, 30, tzinfo=UTC)
    image = made(channels=CHANNELS, pixel_size=sizes, acquired=when)
    found = saved(image, tmp_path / "a.ome.tiff")
    assert (sizes, when) == (found.pixel_size, found.acquisition_date)
    first, second = found.channels
    assert ("DNA", "#0000ff", 461, 405, "H3342") == (
        first.name,
        first.color,
        first.wavelength,
        first.excitation,
        first.fluor,
    )
    assert ("µ-tubulin", "#00ff00") == (second.name, second.color)


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    for name in ("a.ome.tiff", "a.ome.zarr"):
        found = saved(made(STACK[:, 0], "ZYX"), tmp_path / name.split(".")[-1] / name)
        assert (None, None) == (found.pixel_size, found.channels[0].name)
    one = saved(made(pixel_size={"X": 0.5}), tmp_path / "one" / "a.zarr")
    assert {"X": 0.5} == one.pixel_size


def test_a_plain_tiff_is_the_bytes_that_the_writer_always_made(tmp_path: Path) -> None:
    names, sizes = ["DNA", "membrane"], {"Z": 0.29, "Y": 0.1, "X": 0.1}
    data = ome(channels=names, pixel_size=sizes)
    images.open(io.BytesIO(data)).save(tmp_path / "a.ome.tiff")
    assert data == (tmp_path / "a.ome.tiff").read_bytes()


@pytest.mark.parametrize(
    ("samples", "names"), [(3, "red green blue"), (4, "red green blue opacity")]
)
def test_samples_become_channels_in_zarr_and_stay_in_tiff(
    tmp_path: Path, samples: int, names: str
) -> None:
    data = np.resize(COLOUR, (2, 20, 30, samples))
    image = made(data, "ZYXS")
    assert "ZYXS" == saved(image, tmp_path / "tiff" / "a.ome.tiff").axes
    found = saved(image, tmp_path / "zarr" / "a.ome.zarr")
    assert ("CZYX", names.split()) == (found.axes, [channel.name for channel in found.channels])
    np.testing.assert_array_equal(np.moveaxis(data, -1, 0), found.read())


def test_channels_that_have_samples_are_counted_through(tmp_path: Path) -> None:
    data = np.resize(COLOUR, (2, 20, 30, 3))
    channels = (Channel("before", 0), Channel("after", 1))
    found = saved(made(data, "CYXS", channels=channels), tmp_path / "a.ome.zarr")
    assert 6 == found.sizes["C"]
    np.testing.assert_array_equal(data[1, ..., 2], found.read(C="after, blue"))


def test_forms_of_tiff_become_zarr(tmp_path: Path) -> None:
    for number, how in enumerate(
        ({"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True, "byteorder": ">"})
    ):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(tiff(ome=True, metadata={"axes": "ZCYX"}, **how))
        images.open(path).save(tmp_path / f"{number}.zarr")
        np.testing.assert_array_equal(
            STACK, images.open(tmp_path / f"{number}.zarr").read(axes="ZCYX")
        )


# --- what others read ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("compression", ["blosc", "zstd", "gzip", None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "complex64"])
def test_zarr_reads_what_we_write(
    tmp_path: Path, version: str, compression: str | None, dtype: str
) -> None:
    data = np.resize(STACK, (2, 3, 300, 700)).astype(dtype)
    made(data, "CZYX").save(tmp_path / "a.zarr", version=version, compression=compression)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    first = group["0"]
    assert isinstance(first, zarr.Array)
    np.testing.assert_array_equal(data, first[:])
    assert data.dtype == first.dtype
    assert (1, 1) == first.chunks[:2]
    assert np.prod(first.chunks) * data.dtype.itemsize <= 1 << 20


def test_tifffile_reads_what_we_write(tmp_path: Path) -> None:
    made(channels=CHANNELS).save(tmp_path / "a.ome.tiff")
    np.testing.assert_array_equal(STACK, tifffile.imread(tmp_path / "a.ome.tiff"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_metadata_are_those_of_the_specification(tmp_path: Path, version: str) -> None:
    data = np.resize(STACK, (3, 2, 300, 700))
    image = made(data, channels=CHANNELS, pixel_size={"Z": 0.29, "Y": 0.1, "X": 0.1})
    image.save(tmp_path / "cells.ome.zarr", version=version)
    attributes: Any = dict(zarr.open_group(tmp_path / "cells.ome.zarr", mode="r").attrs)
    said = attributes["ome"] if version == "0.5" else attributes
    assert version == (said if version == "0.5" else said["multiscales"][0])["version"]
    (found,) = said["multiscales"]
    assert ("cells", "mean") == (found["name"], found["type"])
    assert [
        {"name": "c", "type": "channel"},
        *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"),
    ] == found["axes"]
    assert {
        "path": "1",
        "coordinateTransformations": [
            {"type": "scale", "scale": [1.0, 0.29, 0.2, 0.2]},
            {"type": "translation", "translation": [0.0, 0.0, 0.05, 0.05]},
        ],
    } == found["datasets"][1]
    assert {
        "active": True,
        "coefficient": 1,
        "color": "0000FF",
        "emissionWave": 461.0,
        "excitationWave": 405.0,
        "family": "linear",
        "inverted": False,
        "label": "DNA",
        "use": True,
        "window": {
            "start": 10.0,
            "end": 900.0,
            "min": int(data[:, 0].min()),
            "max": int(data[:, 0].max()),
        },
    } == said["omero"]["channels"][0]
    if version == "0.5":
        array = json.loads((tmp_path / "cells.ome.zarr/0/zarr.json").read_text())
        assert ["c", "z", "y", "x"] == array["dimension_names"]


def test_the_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        saved(made(channels=CHANNELS), tmp_path / name / "c.zarr")
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files])
    assert found[0] == found[1]


# --- levels --------------------------------------------------------------------------------------


def test_levels_end_where_the_image_is_small() -> None:
    assert ((624, 924), (312, 462), (156, 231)) == levels_of(624, 924, None)
    assert ((256, 256),) == levels_of(256, 256, None)
    assert ((7, 1), (4, 1), (2, 1)) == levels_of(7, 1, 3)
    assert ((300, 300),) == levels_of(300, 300, 1)


@pytest.mark.parametrize("dtype", [d for d in TYPES if d != "bool"])
@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (1, 1), (1, 8)])
def test_a_smaller_level_is_the_mean_of_what_it_covers(dtype: str, shape: tuple[int, int]) -> None:
    plane = np.resize(typed(dtype)[0, 0], shape)
    wide = np.clongdouble if plane.dtype.kind == "c" else np.longdouble
    expected = np.empty(((shape[0] + 1) // 2, (shape[1] + 1) // 2), wide)
    for y, x in np.ndindex(expected.shape):
        expected[y, x] = plane[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(wide).mean()
    if plane.dtype.kind in "iu":
        expected = np.floor(expected + 0.5)
    np.testing.assert_array_equal(expected.astype(dtype), halved(plane))
    assert plane.dtype == halved(plane).dtype


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint64", "int64", "int8"])
def test_the_mean_of_the_largest_numbers_is_exact(dtype: str) -> None:
    for value in (np.iinfo(dtype).max, np.iinfo(dtype).min):
        plane = np.full((4, 4), value, dtype)
        np.testing.assert_array_equal(plane[:2, :2], halved(plane))


def test_numbers_of_objects_are_never_mixed(tmp_path: Path) -> None:
    labels = np.resize(np.arange(500, dtype="u4") * 1000, (600, 500))
    found = saved(made(labels, "YX"), tmp_path / "a.zarr", labels=True)
    assert ((600, 500), (300, 250), (150, 125)) == found.levels
    np.testing.assert_array_equal(labels[::4, ::4], found.read(level=2))
    assert set(np.unique(found.read(level=1))) <= set(np.unique(labels))
    said = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"]
    assert "omero" not in said


def test_levels_are_as_many_as_asked_for(tmp_path: Path) -> None:
    found = saved(made(), tmp_path / "a.zarr", levels=3)
    assert ((20, 30), (10, 15), (5, 8)) == found.levels
    expected = halved(halved(STACK[2, 1]))
    np.testing.assert_array_equal(expected, found.read(C=1, Z=2, level=2))


def test_windows_of_odd_channels_are_numbers(tmp_path: Path) -> None:
    for number, data in enumerate(
        (
            np.full((20, 30), np.nan, "f4"),
            np.full((20, 30), np.inf),
            np.zeros((20, 30), "u2"),
            np.ones((20, 30), "c8"),
            np.where(STACK[0, 0] > 900, np.nan, 5.5).astype("f4"),
        )
    ):
        found = saved(made(data, "YX"), tmp_path / str(number) / "a.zarr")
        np.testing.assert_array_equal(data, found.read())


def test_what_is_all_zero_is_not_stored(tmp_path: Path) -> None:
    data = np.zeros((2, 20, 30), "f4")
    data[1, 3, 3] = -0.0
    data[1, 4, 4] = np.nan
    found = saved(made(data, "ZYX"), tmp_path / "a.zarr")
    assert ["0/c/1/0/0"] == [
        str(p.relative_to(tmp_path / "a.zarr")) for p in (tmp_path / "a.zarr").rglob("c/*/*/*")
    ]
    assert np.signbit(found.read()[1, 3, 3])


# --- whole or not at all -------------------------------------------------------------------------


def test_other_names_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a", "a.zarr.zip", ".zarrx"):
        with pytest.raises(BadInput, match=r"must end with \.ome\.tiff or \.ome\.zarr"):
            made().save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.zarr", {"version": "0.6"}),
        ("a.zarr", {"compression": "zlib"}),
        ("a.zarr", {"compression": "lzw"}),
        ("a.zarr", {"levels": 0}),
        ("a.zarr", {"levels": 1000}),
        ("a.ome.tif", {"compression": "blosc"}),
        ("a.ome.tif", {"levels": 2}),
        ("there/is/no/a.zarr", {}),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(BadInput):
        made().save(tmp_path / name, **options)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
def test_axes_without_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises((BadInput, BadImage)):
        made(STACK[:, 0], "IYX").save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
def test_nothing_is_replaced_unasked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    made().save(path)
    with pytest.raises(WouldOverwrite, match=r"saving would overwrite .* overwrite=True"):
        made(STACK + 1).save(path)
    np.testing.assert_array_equal(STACK, images.open(path).read(axes="ZCYX"))
    found = saved(made(STACK + 1), path, overwrite=True)
    np.testing.assert_array_equal(STACK + 1, found.read(axes="ZCYX"))


def test_an_image_can_take_its_own_place(tmp_path: Path) -> None:
    for name in ("a.ome.tiff", "a.ome.zarr"):
        path = tmp_path / name.split(".")[-1] / name
        path.parent.mkdir()
        made().save(path)
        found = saved(images.open(path), path, overwrite=True)
        np.testing.assert_array_equal(STACK, found.read(axes="ZCYX"))


def test_what_is_no_image_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("all of it")
    (tmp_path / "b.ome.tiff").mkdir()
    (tmp_path / "c.zarr").write_text("a file")
    for name in ("a.zarr", "b.ome.tiff", "c.zarr"):
        with pytest.raises(BadInput, match="replaced"):
            made().save(tmp_path / name, overwrite=True)
    assert "all of it" == (tmp_path / "a.zarr" / "thesis.txt").read_text()
    assert 3 == len(list(tmp_path.iterdir()))


class Failing(Made):
    """Its second plane cannot be read."""

    error: BaseException = BadImage("made", "damaged")

    def planes(
        self, numbers: Any, rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        yield next(super().planes(numbers, rows, columns, level))
        raise self.error


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
@pytest.mark.parametrize("error", [BadImage("made", "damaged"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(tmp_path: Path, name: str, error: BaseException) -> None:
    pixels = Failing(STACK, "ZCYX")
    pixels.error = error
    with pytest.raises(type(error)):
        images.Image(pixels).save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())
    made().save(tmp_path / name)
    with pytest.raises(type(error)):
        images.Image(pixels).save(tmp_path / name, overwrite=True)
    assert [tmp_path / name] == list(tmp_path.iterdir())
    np.testing.assert_array_equal(STACK, images.open(tmp_path / name).read(axes="ZCYX"))


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
def test_a_disk_that_refuses_is_one_error(tmp_path: Path, name: str) -> None:
    long = "x" * 250 + name
    with pytest.raises(DiskError, match="File name too long"):
        made().save(tmp_path / long)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
def test_axes_without_names_are_told_before_anything_is_written(tmp_path: Path, name: str) -> None:
    image = images.open(io.BytesIO(tiff(STACK[:, 0], metadata=None)))
    with pytest.raises(BadInput, match="have no names that can be saved"):
        image.save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def test_an_array_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="write_ome_tiff"):
        images.save(STACK, tmp_path / "a.ome.tiff")  # type: ignore[arg-type]
