"""What claims and tables of the paper measure: one number for a case, from CSVs only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fedscape.columns.identity import NAMES
from fedscape.columns.kinds import FILES
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case, Claim, Learned
from fedscape.settings.tables import TableColumn
from fedscape.tables.comparison import best_grid_points
from fedscape.tables.course import ends, has_learned
from fedscape.tables.read import joined, run_paths

# Words that stand in a value's place.
NOT_RUN, NOT_MEASURED, LEARNED_NOTHING = "not run", "not measured", "learned nothing"
DIVERGED = "diverged"
NOT_RUN_HERE = "not run at this scale"
_ENTRY = {"planes": "plane", "connectivity": "connection", "curvature": "curvature"}  # of sections, to read


@dataclass(frozen=True)
class Measured:
    """The value of a measure, or a word that says why there is none."""

    value: float | str
    # from the measurement itself, or over the seeds of a value of several; NaN where not known, or no value
    standard_error: float = math.nan
    seeds: int = 1  # that the value is of


def read_frames(csvs: Mapping[str, Sequence[str | Path]]) -> dict[str, pd.DataFrame]:
    """All rows by source, with their `run` spelled as its path, and of pairs `to_run`.

    csvs: files by the name that measures have for them; there may be none of a name. Raises FedscapeError if
    one is not whole or lacks a column.
    """
    return {source: _with_runs(joined(paths, source)) for source, paths in csvs.items()}


def measured(
    frames: Mapping[str, pd.DataFrame], name: str, case: Case, measure: Plugin, learned: Learned = False
) -> Measured:
    """The measure of one case.

    frames: as `read_frames` gives them, all that the measure reads. name: of the plane, connection or
    curvature that it is taken on. measure: with a setting `choose`, of each grid only the best point is left,
    by the rounds that are measured.
    learned: whether all of the runs must have learned something, or `any` of them.
    A run that diverged is measured nowhere: its last finite model compares with nothing.
    """
    if not case.runs:
        return Measured(NOT_RUN)
    runs = frames["runs"]
    if choose := measure.settings.get("choose"):
        rounds = str(measure.settings.get("rounds", "last"))
        case = _with_best_points(ends(frames, str(choose), rounds), case, str(choose))
    needed = runs[runs["run"].isin(case.needs)]
    if bool(needed["diverged"].astype(bool).any()):
        return Measured(DIVERGED)
    if learned:
        rounds = frames["rounds"]
        enough = any if learned == "any" else all
        if not enough(has_learned(rounds[rounds["run"] == run]) for run in case.runs):
            return Measured(LEARNED_NOTHING)
    plugin, settings = measure.load("tables.measures")
    rows = {source: _narrowed(frames[source], source, name, case) for source in plugin.SOURCES}
    value = plugin.value(rows, settings)
    if not math.isfinite(value):
        return Measured(NOT_MEASURED)
    error = plugin.standard_error(rows, settings) if hasattr(plugin, "standard_error") else math.nan
    return Measured(value, error, len(case.seeds))


def measure_words(what: Claim | TableColumn, measure: Plugin) -> str:
    """A measure with its settings and where it was taken, to read."""
    # None stands for no restriction.
    settings = [f"{key} {value}" for key, value in measure.settings.items() if value is not None]
    where = f" on {_ENTRY[what.section]} {what.name}" if what.section else ""
    return f"{measure.kind}{where}" + (f" ({', '.join(settings)})" if settings else "")


def _with_best_points(runs: pd.DataFrame, case: Case, column: str) -> Case:
    """The case without the points of grids that others beat; all seeds choose, whichever the case has."""
    names = pd.MultiIndex.from_frame(runs[NAMES].astype(str))
    candidates = runs[names.isin(names[runs["run"].isin(case.runs)])]
    beaten = set(candidates["run"]) - set(best_grid_points(candidates, column)["run"])
    return replace(
        case,
        runs=[run for run in case.runs if run not in beaten],
        needs=[run for run in case.needs if run not in beaten],
    )


def _with_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """With the run of each row, spelled as its path; of a pair's other end too."""
    frame = frame.assign(run=run_paths(frame))
    return frame.assign(to_run=run_paths(frame, "to_")) if "to_seed" in frame else frame


def _narrowed(frame: pd.DataFrame, source: str, name: str, case: Case) -> pd.DataFrame:
    """The rows of one case: of its runs, of pairs of them, of the surfaces of its groups."""
    if entry := FILES[source].entry:
        frame = frame[(frame[entry] == name) & frame["group"].isin(case.groups)]
    if source != "surface":  # it belongs to all runs on its plane
        frame = frame[frame["run"].isin(case.runs)]
    if "to_run" in frame:
        frame = frame[frame["to_run"].isin(case.runs)]
    return frame
