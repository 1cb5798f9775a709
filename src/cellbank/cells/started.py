"""What `init` guessed of a folder, as a value that needs no tables."""

import msgspec

from cellbank.cells.problems import Problem


class Started(msgspec.Struct, frozen=True):
    """A recipe that was guessed from a folder of tables.

    `recipe` is its path, `text` what it says, `tables` kind of record → the table that it is in,
    `todo` how many places are left to people; `problems` are those of the tables.
    """

    recipe: str
    text: str
    tables: dict[str, str]
    todo: int
    problems: list[Problem]
