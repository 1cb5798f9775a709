"""What OME-XML says beside sizes: typed, lenient, None where it makes no sense."""

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cellbank.images.ome import Detector, Objective, Ome
from cellbank.images.opening import open as open_image
from tests.images.making import FORMS, described, ome_text

INSTRUMENT = """<Instrument ID="Instrument:0"><Microscope Manufacturer="Zeiss" Model="Axio"
Type="Inverted"/><Detector ID="Detector:0" Model="Flash 4.0" Type="CMOS"/>
<Objective ID="Objective:0" Model="100x" NominalMagnification="100" LensNA="1.25"
Immersion="Water"/><Objective ID="Objective:1" CalibratedMagnification="19.8" LensNA="wide"/>
</Instrument>"""


def ome_of(*, before: str = "", in_image: str = "", root: str = "") -> Ome:
    text = ome_text(inside="<TiffData/>", root=root)
    text = text.replace("<Image ", f"{before}<Image ").replace("<Pixels ", f"{in_image}<Pixels ")
    found = open_image(io.BytesIO(described(text))).ome
    assert found is not None
    assert found.xml == text
    return found


def test_the_instrument_and_its_parts_are_told() -> None:
    found = ome_of(before=INSTRUMENT)
    instrument = found.instruments[0]
    assert ("Zeiss", "Axio", "Inverted") == (
        instrument.manufacturer,
        instrument.model,
        instrument.type,
    )
    assert (Detector("Detector:0", "", "Flash 4.0", "CMOS"),) == instrument.detectors
    assert Objective("Objective:0", "", "100x", 100.0, 1.25, "Water") == instrument.objectives[0]
    assert Objective("Objective:1", "", "", 19.8, None, "") == instrument.objectives[1]


def test_the_objective_is_the_one_that_the_image_names() -> None:
    settings = '<ObjectiveSettings ID="Objective:1"/>'
    found = ome_of(before=INSTRUMENT, in_image=settings).objective()
    assert found is not None
    assert "Objective:1" == found.id
    assert ome_of(before=INSTRUMENT).objective() is None
    only = '<Instrument ID="I:0"><Objective ID="Objective:7"/></Instrument>'
    assert Objective("Objective:7") == ome_of(before=only).objective()
    assert ome_of().objective() is None
    assert ome_of().objective(5) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2019-06-27T18:33:40", datetime(2019, 6, 27, 18, 33, 40)),  # noqa: DTZ001  it says no zone
        ("2019-06-27T18:33:40Z", datetime(2019, 6, 27, 18, 33, 40, tzinfo=UTC)),
        (
            " 2019-06-27T18:33:40.5+02:00 ",
            datetime(2019, 6, 27, 18, 33, 40, 500000, timezone(timedelta(hours=2))),
        ),
        ("2019-06-27", datetime(2019, 6, 27)),  # noqa: DTZ001
        ("last summer", None),
        ("27.6.2019", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_the_date_is_a_date_or_none(said: str, expected: datetime | None) -> None:
    text = ome_text(inside="<TiffData/>")
    text = text.replace("<Pixels ", f"<AcquisitionDate>{said}</AcquisitionDate><Pixels ")
    image = open_image(io.BytesIO(described(text)))
    assert image.ome is not None
    assert expected == image.acquisition_date == image.ome.images[0].acquired


def test_names_descriptions_and_who_wrote_it_are_told() -> None:
    found = ome_of(in_image="<Description> a field </Description>", root='Creator="us" UUID="u:1"')
    assert ("us", "u:1", "a field") == (found.creator, found.uuid, found.images[0].description)


@pytest.mark.parametrize("form", ["no metadata", "ImageJ", "RGB", "strips"])
def test_without_ome_xml_there_is_none(form: str) -> None:
    assert open_image(io.BytesIO(FORMS[form])).ome is None
