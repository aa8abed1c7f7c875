"""How columns are described: the type of their cells, the unit of their numbers, their order in a CSV.

A class of each module beside this one describes a family of columns: a name, its type, and below one or more
of them, as a string of its own, what they mean. Nothing but `columns/readme.py` reads these strings, and the
digest of a stage's code leaves them out: another wording computes nothing again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_type_hints

from fedscape.columns.cells import FLAG, INDEX, NUMBER, SEED, TEXT, WHOLE


@dataclass(frozen=True)
class Column:
    """How the cells of a column are read, and the unit of its numbers."""

    type: str  # TEXT, NUMBER, FLAG, SEED, WHOLE or INDEX
    unit: str = ""


Text = Annotated[str, Column(TEXT)]
Flag = Annotated[bool, Column(FLAG)]
Seed = Annotated[int | str, Column(SEED)]
Whole = Annotated[int, Column(WHOLE)]
Index = Annotated[int, Column(INDEX)]
Number = Annotated[float, Column(NUMBER)]
Nats = Annotated[float, Column(NUMBER, "nats")]
Share = Annotated[float, Column(NUMBER, "share")]
L2 = Annotated[float, Column(NUMBER, "L2")]
Seconds = Annotated[float, Column(NUMBER, "s")]
MiB = Annotated[float, Column(NUMBER, "MiB")]


def column_name(attribute: str) -> str:
    """The column that a family's attribute stands for: `class_` for `class`, which Python keeps to itself."""
    return attribute.removesuffix("_")


def described(*families: type) -> dict[str, Column]:
    """The columns of some families by name; the type of a name is the same in all of them."""
    return {
        column_name(attribute): hint.__metadata__[0]
        for family in families
        for attribute, hint in get_type_hints(family, include_extras=True).items()
    }


@dataclass(frozen=True)
class File:
    """The columns of a kind of CSV, in their order, by their roles.

    names: whose rows they are, the same in all rows of a run or of a pair of runs that one entry of a study
    asks for. row_keys: what tells those rows apart. measures: what they say. families: that describe the
    columns. entry: which name is that of the study's entry that asked for a row, if one did. has_rows:
    whether it is never without a row; where a plane has no models or a study no such stage, other files have
    a header alone.
    """

    names: Sequence[str]
    row_keys: Sequence[str]
    measures: Sequence[str]
    families: Sequence[type]
    entry: str | None = None
    has_rows: bool = False

    @property
    def keys(self) -> list[str]:
        """What tells rows of any runs apart."""
        return [*self.names, *self.row_keys]

    @property
    def columns(self) -> list[str]:
        """All names, in the order of the file."""
        return [*self.keys, *self.measures]

    @property
    def order(self) -> list[str]:
        """The keys by which rows are sorted: layers stand by their place, not by their name."""
        return [key for key in self.keys if key != "layer"]

    @property
    def types(self) -> dict[str, str]:
        """The type of each column."""
        known = described(*self.families)
        return {name: known[name].type for name in self.columns}
