"""What claims and tables of the paper measure: one number for a case, from CSVs only."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns import DIVERGED, NAMES
from fedscape.plugins import load
from fedscape.tables.choice import chosen
from fedscape.tables.read import joined, run_paths

# Words that stand in a value's place.
NOT_RUN, NOT_MEASURED = "not run", "not measured"
NOT_RUN_HERE = "not run at this scale"

# Column with the name of the study's entry.
_NAMED = {
    "barriers": "connectivity", "layers": "connectivity", "distances": "connectivity", "markers": "plane",
    "surface": "plane", "curvature": "curvature",
}  # fmt: skip


def read_frames(files: Mapping[str, Sequence[str | Path]]) -> dict[str, pd.DataFrame]:
    """All rows by file, with their `run` spelled as its path, and of pairs `to_run`.

    files: CSVs by the name that measures have for them. Raises FedscapeError if one is not whole or lacks a
    column.
    """
    return {name: _with_runs(joined(paths, name)) for name, paths in files.items()}


def case_value(frames: Mapping[str, pd.DataFrame], name: str, case: Mapping, measure: Mapping) -> float | str:
    """The measure of one case, or a word that says why there is none.

    frames: as `read_frames` gives them. name: of the plane, connection or curvature that it is taken on.
    case: `{runs, groups, needs}`, runs by their paths. measure: `{kind, ...its settings}`; with `choose`, of
    each grid only the best point is left.
    A run that diverged is measured nowhere: its last finite model compares with nothing.
    """
    if not case["runs"]:
        return NOT_RUN
    runs = frames["runs"]
    if measure.get("choose"):
        case = _with_best_points(runs, case, measure["choose"])
    needed = runs[runs["run"].isin(case["needs"])]
    if needed["diverged"].astype(bool).any():
        return DIVERGED
    plugin = load("tables.measures", measure["kind"])
    settings = {key: value for key, value in measure.items() if key != "kind"}
    found = plugin.value(_narrowed(frames, name, case), plugin.Settings(**settings))
    return found if math.isfinite(found) else NOT_MEASURED


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
        if file in _NAMED:
            frame = frame[(frame[_NAMED[file]] == name) & frame["group"].isin(case["groups"])]
        if file != "surface":  # it belongs to all runs on its plane
            frame = frame[frame["run"].isin(case["runs"])]
        if "to_run" in frame:
            frame = frame[frame["to_run"].isin(case["runs"])]
        chosen[file] = frame
    return chosen
