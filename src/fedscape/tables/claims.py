"""What the paper claims, tested on our numbers: one row per claim, with its values and a verdict."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from fedscape.files import write_csv, write_text
from fedscape.plugins import load
from fedscape.tables.claims_page import Tested, claims_page, measure_words, shared_and_own
from fedscape.tables.columns import IDENTITY, KEYS, MEASURES, QUALITY, run_paths
from fedscape.tables.join import joined

HOLDS, FAILS = "holds", "does not hold"
NOT_MEASURABLE, NOT_RUN_HERE = "not measurable", "not run at this scale"
VERDICTS = (HOLDS, FAILS, NOT_MEASURABLE, NOT_RUN_HERE)
# Words that stand in a value's place.
NOT_RUN, DIVERGED, NOT_MEASURED = "not run", "diverged", "not measured"

# What each file has at least.
_COLUMNS = {
    "runs": [*IDENTITY, "diverged", *QUALITY, "best_test_accuracy"],
    "barriers": [*KEYS["barriers"], *MEASURES["barriers"]],
    "markers": [
        *IDENTITY, "plane", "group", "round", "role", "client", "x", "y", "loss", "own_loss",
        "own_loss_at_start", "distance_to_reference", "distance_to_reference_path",
        "distance_to_reference_end",
    ],
    "surface": [*IDENTITY, "plane", "group", "client", "i", "j", "x", "y", "loss"],
}  # fmt: skip
_NAMED = {"barriers": "connectivity", "markers": "plane", "surface": "plane"}  # column with the entry's name
CSV_COLUMNS = [
    "study", "scale", "number", "claim", "source", "measure", "cases", "values", "expectation", "verdict",
]  # fmt: skip


def make_claims(
    *,
    claims: Sequence[dict],
    measures: Sequence[dict],
    study: str,
    scale: str,
    runs: str | Path,
    barriers: Sequence[str | Path],
    markers: Sequence[str | Path],
    surfaces: Sequence[str | Path],
    out_csv: str | Path,
    out_page: str | Path,
) -> None:
    """Write claims.csv, one row per claim in the study's order, and the same to read, in Markdown.

    claims: `{claim, source, section, name, expect, cases: [{where, runs, groups, needs}]}`, runs by their
    paths. measures: of each claim, `{kind, ...its settings}`. runs: tables/runs.csv. The others: CSVs of all
    groups that the claims name. Raises FedscapeError if a file is not whole or lacks a column.
    """
    files = {"runs": [runs], "barriers": barriers, "markers": markers, "surface": surfaces}
    frames = {name: _with_runs(joined(paths, _COLUMNS[name])) for name, paths in files.items()}
    tested = []
    for claim, measure in zip(claims, measures, strict=True):
        values = [case_value(frames, claim, case, measure) for case in claim["cases"]]
        shared, own = shared_and_own([case["where"] for case in claim["cases"]])
        tested.append(
            Tested(
                claim=claim["claim"],
                source=claim["source"],
                measure=measure_words(claim, measure),
                shared=shared,
                cases=own,
                values=[value if isinstance(value, str) else f"{value:.4g}" for value in values],
                expectation=expectation_words(claim["expect"], len(values)),
                verdict=verdict(values, claim["expect"]),
            )
        )
    rows = [
        {"study": study, "scale": scale, "number": number, **one.row}
        for number, one in enumerate(tested, start=1)
    ]
    write_csv(out_csv, pd.DataFrame(rows, columns=CSV_COLUMNS), sort_by=["number"])
    used = {run for claim in claims for case in claim["cases"] for run in case["runs"]}
    seeds = frames["runs"].loc[frames["runs"]["run"].isin(used), "seed"].unique().tolist()
    write_text(out_page, claims_page(tested, study, scale, seeds, VERDICTS))


def case_value(
    frames: Mapping[str, pd.DataFrame], claim: Mapping, case: Mapping, measure: Mapping
) -> float | str:
    """The measure of one case, or a word that says why there is none.

    frames: all rows by file, with their `run` (and `to_run`). claim, case, measure: as `make_claims` takes
    them. A run that diverged is measured nowhere: its last finite model compares with nothing.
    """
    if not case["runs"]:
        return NOT_RUN
    runs = frames["runs"]
    needed = runs[runs["run"].isin(case["needs"])]
    if needed["diverged"].astype(bool).any():
        return DIVERGED
    plugin = load("tables.measures", measure["kind"])
    settings = {key: value for key, value in measure.items() if key != "kind"}
    found = plugin.value(_narrowed(frames, claim["name"], case), plugin.Settings(**settings))
    return found if math.isfinite(found) else NOT_MEASURED


def verdict(values: Sequence[float | str], expect: Mapping) -> str:
    """Whether the values (one per case, or a word in its place) are as expected; never by a tie."""
    if NOT_RUN in values:
        return NOT_RUN_HERE
    if any(isinstance(value, str) for value in values):
        return NOT_MEASURABLE
    ((kind, wanted),) = expect.items()
    if kind == "ratio":
        # A share of nothing, or of a barrier that is none, says nothing.
        *others, last = values
        return verdict([last / one for one in others], wanted) if min(others) > 0 else NOT_MEASURABLE
    if kind == "order":
        ascending = values if wanted == "increasing" else values[::-1]
        holds = all(one < other for one, other in pairwise(ascending))
    elif kind == "above":
        holds = all(value > wanted for value in values)
    elif kind == "below":
        holds = all(value < wanted for value in values)
    else:
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if (0, 0) in pairs:  # nothing beside nothing
            return NOT_MEASURABLE
        holds = all(abs(one - other) <= wanted * max(abs(one), abs(other)) for one, other in pairs)
    return HOLDS if holds else FAILS


def expectation_words(expect: Mapping, cases: int) -> str:
    """What is expected of so many cases, to read."""
    ((kind, wanted),) = expect.items()
    if kind == "order":
        return wanted
    if kind == "ratio":
        of = "second / first" if cases == 2 else "last / each other"
        return f"{of} {expectation_words(wanted, cases)}"
    if kind == "agree":
        return f"pairs agree within {100 * wanted:.4g} %"
    return f"{kind} {wanted:.4g}"


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
