"""What an export holds, as a value that needs no arrays."""

import msgspec


class Sampled(msgspec.Struct, frozen=True):
    """What a lab's export holds; `recipe` is the path to give to `build`."""

    folder: str
    recipe: str
    lines: int
    plates: int
    wells: int
    fovs: int
    files: int
    bytes: int
