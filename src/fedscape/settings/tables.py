"""A table of the paper, what is measured for it and the paper's numbers: as jobs take it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedscape.plugins import Plugin
from fedscape.settings.claims import Case


@dataclass(frozen=True)
class TableColumn:
    """One column of a table: what is measured."""

    label: str
    measure: Plugin | None  # None: only published
    section: str  # as in `Claim`
    name: str  # the section's entry
    percent: bool = False  # whether numbers are shown, and published, in percent
    over: str | None = None  # label of the row whose values all rows are divided by
    # "highest" | "lowest": the place of each row in the column, the best of which is this
    rank: str | None = None


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper: ours and its numbers, by row and column."""

    title: str
    source: str  # where the paper has it
    rows: Sequence[str]  # labels
    columns: Sequence[TableColumn]
    cells: Sequence[Sequence[Sequence[Case]]]  # [rows][columns]: a case per seed that this scale has
    published: Sequence[Sequence[float | None]]  # [rows][columns]
    interval: str = "student"  # "student" | "bootstrap": how the interval over seeds is made

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "PaperTable":
        """From the plain values of a job's settings."""
        columns = [
            TableColumn(**{**column, "measure": column["measure"] and Plugin(**column["measure"])})
            for column in values["columns"]
        ]
        cells = [[[Case(**case) for case in cell] for cell in row] for row in values["cells"]]
        return cls(**{**values, "columns": columns, "cells": cells})

    @property
    def has_runs(self) -> bool:
        """Whether any cell is measured at this scale."""
        return any(cell for row in self.cells for cell in row)
