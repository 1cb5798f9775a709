"""How a question goes to the process that answers, and its answer comes back: message by message.

Both ends are ours, and nobody else reads or writes there.
"""

import pickle
from typing import Any, BinaryIO, Protocol


class Readable(Protocol):
    """What messages are read from."""

    def read(self, length: int, /) -> bytes:
        """Return so many bytes, fewer at the end."""


def read_message(stream: Readable) -> Any:
    """Return the next message; raises `EOFError` where the other side is gone."""
    head = stream.read(8)
    length = int.from_bytes(head, "little")
    data = stream.read(length)
    if len(head) < 8 or len(data) < length:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  of the other end of our own pipe


def write_message(stream: BinaryIO, message: Any) -> None:
    """Write a message."""
    data = pickle.dumps(message, protocol=5)
    left = memoryview(len(data).to_bytes(8, "little") + data)
    while left:
        # A pipe without a buffer takes as much as it has room for.
        left = left[stream.write(left) :]
    stream.flush()
