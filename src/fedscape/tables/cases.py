"""What claims and tables of the paper measure: one number for a case, from CSVs only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedscape.columns.identity import NAMES
from fedscape.columns.kinds import FILES
from fedscape.plugins import load
from fedscape.tables.comparison import chosen
from fedscape.tables.course import has_learned
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
    standard_error: float = (
        math.nan
    )  # from the measurement itself; NaN where it is not known, or there is none


def read_frames(files: Mapping[str, Sequence[str | Path]]) -> dict[str, pd.DataFrame]:
    """All rows by file, with their `run` spelled as its path, and of pairs `to_run`.

    files: CSVs by the name that measures have for them. Raises FedscapeError if one is not whole or lacks a
    column.
    """
    return {name: _with_runs(joined(paths, name)) for name, paths in files.items()}


def measured(
    frames: Mapping[str, pd.DataFrame], name: str, case: Mapping, measure: Mapping, learned: bool = False
) -> Measured:
    """The measure of one case.

    frames: as `read_frames` gives them. name: of the plane, connection or curvature that it is taken on.
    case: `{runs, groups, needs}`, runs by their paths. measure: `{kind, ...its settings}`; with `choose`, of
    each grid only the best point is left. learned: whether the runs must have learned anything.
    A run that diverged is measured nowhere: its last finite model compares with nothing.
    """
    if not case["runs"]:
        return Measured(NOT_RUN)
    runs = frames["runs"]
    if measure.get("choose"):
        case = _with_best_points(runs, case, measure["choose"])
    needed = runs[runs["run"].isin(case["needs"])]
    if needed["diverged"].astype(bool).any():
        return Measured(DIVERGED)
    if learned:
        rounds = frames["rounds"]
        if not all(has_learned(rounds[rounds["run"] == run]) for run in case["runs"]):
            return Measured(LEARNED_NOTHING)
    plugin = load("tables.measures", measure["kind"])
    settings = plugin.Settings(**{key: value for key, value in measure.items() if key != "kind"})
    rows = _narrowed({file: frames[file] for file in plugin.SOURCES}, name, case)
    found = plugin.value(rows, settings)
    if not math.isfinite(found):
        return Measured(NOT_MEASURED)
    return Measured(
        found, plugin.standard_error(rows, settings) if hasattr(plugin, "standard_error") else math.nan
    )


def measure_words(claim: Mapping, measure: Mapping) -> str:
    """A measure with its settings and where it was taken, to read."""
    # None stands for no restriction.
    settings = [f"{key} {value}" for key, value in measure.items() if key != "kind" and value is not None]
    where = f" on {_ENTRY[claim['section']]} {claim['name']}" if claim["section"] else ""
    return f"{measure['kind']}{where}" + (f" ({', '.join(settings)})" if settings else "")


def _with_best_points(runs: pd.DataFrame, case: Mapping, column: str) -> dict:
    """The case without the points of grids that others beat; all seeds choose, whichever the case has."""
    names = pd.MultiIndex.from_frame(runs[NAMES].astype(str))
    candidates = runs[names.isin(names[runs["run"].isin(case["runs"])])]
    beaten = set(candidates["run"]) - set(chosen(candidates, column)["run"])
    return {**case, **{key: [run for run in case[key] if run not in beaten] for key in ("runs", "needs")}}


def _with_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """With the run of each row, spelled as its path; of a pair's other end too."""
    frame = frame.assign(run=run_paths(frame))
    return frame.assign(to_run=run_paths(frame, "to_")) if "to_seed" in frame else frame


def _narrowed(frames: Mapping[str, pd.DataFrame], name: str, case: Mapping) -> dict[str, pd.DataFrame]:
    """The rows of one case: of its runs, of pairs of them, of the surfaces of its groups."""
    chosen = {}
    for file, frame in frames.items():
        if entry := FILES[file].entry:
            frame = frame[(frame[entry] == name) & frame["group"].isin(case["groups"])]
        if file != "surface":  # it belongs to all runs on its plane
            frame = frame[frame["run"].isin(case["runs"])]
        if "to_run" in frame:
            frame = frame[frame["to_run"].isin(case["runs"])]
        chosen[file] = frame
    return chosen
