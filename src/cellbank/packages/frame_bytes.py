"""Data frames as the bytes of a file, by the end of its name."""

from io import BytesIO
from typing import Any, Final

from cellbank.model.errors import BadInput

_SEPARATORS: Final = {"csv": ",", "tsv": "\t"}


def is_frame(given: Any) -> bool:
    """Whether it is a data frame of pandas or polars."""
    return hasattr(given, "columns") and (hasattr(given, "write_csv") or hasattr(given, "to_csv"))


def frame_bytes(frame: Any, path: str) -> bytes:
    """Return a data frame as the file that the path names: CSV, TSV or Parquet.

    An index of pandas is written where it has a name. Raises `BadInput`: The name ends otherwise,
    or a library that it needs is not installed.
    """
    form = path.rpartition(".")[2].lower()
    try:
        if form in _SEPARATORS:
            return _text(frame, _SEPARATORS[form])
        if form == "parquet":
            return _parquet(frame)
    except ImportError as missing:
        raise BadInput(f"{path} cannot be written: {missing}", "Install it.") from None
    advice = "Let the path end in .csv, .tsv or .parquet."
    raise BadInput(f"{path} does not say in which form to write the data frame", advice)


def _text(frame: Any, separator: str) -> bytes:
    if hasattr(frame, "write_csv"):
        return str(frame.write_csv(separator=separator)).encode()
    named = frame.index.name is not None
    return str(frame.to_csv(sep=separator, index=named, lineterminator="\n")).encode()


def _parquet(frame: Any) -> bytes:
    file = BytesIO()
    if hasattr(frame, "write_parquet"):
        frame.write_parquet(file)
    else:
        frame.to_parquet(file, index=frame.index.name is not None)
    return file.getvalue()
