"""What the paper claims, tested on our numbers: a verdict for each claim, and what it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import FILES
from fedscape.files import write_text
from fedscape.tables.cases import NOT_RUN, NOT_RUN_HERE, Measured, measured, read_frames
from fedscape.tables.claims_page import Tested, claims_page, measure_words, shared_and_own
from fedscape.tables.contrasts import (
    Estimated,
    compares_nothing,
    contrasts,
    divides_by_nothing,
    estimated,
    expectation_words,
)

HOLDS, HOLDS_WITHIN_NOISE = "holds", "holds, within noise"
FAILS, FAILS_WITHIN_NOISE = "does not hold", "does not hold, within noise"
NOT_MEASURABLE = "not measurable"
VERDICTS = (HOLDS, HOLDS_WITHIN_NOISE, FAILS_WITHIN_NOISE, FAILS, NOT_MEASURABLE, NOT_RUN_HERE)
NO_COMMON_SEED = "no seed in common"


@dataclass(frozen=True)
class Decision:
    """A verdict and what it rests on."""

    verdict: str
    contrasts: Sequence[Estimated] = ()  # none where nothing could be compared
    note: str = ""  # why it is not measurable; empty where that stands in the values


def make_claims(
    *,
    claims: Sequence[dict],
    measures: Sequence[dict],
    study: str,
    scale: str,
    runs: str | Path,
    rounds: Sequence[str | Path],
    barriers: Sequence[str | Path],
    layers: Sequence[str | Path],
    distances: Sequence[str | Path],
    markers: Sequence[str | Path],
    surfaces: Sequence[str | Path],
    curvatures: Sequence[str | Path],
    out_csv: str | Path,
    out_contrasts: str | Path,
    out_values: str | Path,
    out_page: str | Path,
) -> None:
    """Write claims.csv, a row per claim in the study's order; its contrasts and values; and a page to read.

    claims: `{claim, source, section, name, expect, learned, sides: [{where, has_runs, cases}]}`, cases of the
    seeds that all sides have, `[{seed, runs, groups, needs}]`, runs by their paths. measures: of each claim,
    `{kind, ...its settings}`. runs: tables/runs.csv. rounds: tables/rounds.csv, if a measure reads it. The
    others: CSVs of all groups that the claims name.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    files = {
        "rounds": rounds, "barriers": barriers, "layers": layers, "distances": distances, "markers": markers,
        "surface": surfaces, "curvature": curvatures,
    }  # fmt: skip
    frames = read_frames({"runs": [runs], **files})
    tested, contrast_rows, value_rows = [], [], []
    for number, (claim, measure) in enumerate(zip(claims, measures, strict=True), start=1):
        place = {"study": study, "scale": scale, "number": number}
        sides = [
            {
                case["seed"]: measured(frames, claim["name"], case, measure, claim["learned"])
                for case in side["cases"]
            }
            for side in claim["sides"]
        ]
        decision = decide(sides, claim["expect"], [side["has_runs"] for side in claim["sides"]])
        tested.append(_tested(claim, measure, sides, decision))
        contrast_rows += [place | _contrast_row(one) for one in decision.contrasts]
        value_rows += [
            place | {"case": i, "seed": seed} | _value_row(one)
            for i, side in enumerate(sides, start=1)
            for seed, one in side.items()
        ]
    rows = [
        {"study": study, "scale": scale, "number": number, **one.row}
        for number, one in enumerate(tested, start=1)
    ]
    write_csv(out_csv, _frame(rows, "claims"), sort_by=["number"])
    write_csv(out_contrasts, _frame(contrast_rows, "contrasts"), sort_by=["number"])
    write_csv(out_values, _frame(value_rows, "claim-values"), sort_by=["number", "case", "seed"])
    write_text(out_page, claims_page(tested, study, scale, VERDICTS))


def decide(sides: Sequence[Mapping[int, Measured]], expect: Mapping, has_runs: Sequence[bool]) -> Decision:
    """The verdict on values by seed, of each case, for the seeds that all have; never by a tie.

    expect: as a study has it. has_runs: whether the scale has runs of each case at any seed. A claim that
    compares several things holds if all of them are as expected. It does so within noise where the 95 %
    interval of one includes its threshold, and fails within noise where the interval of each that fails does.
    """
    if not all(has_runs) or any(one.value == NOT_RUN for side in sides for one in side.values()):
        return Decision(NOT_RUN_HERE)
    if not sides[0]:
        return Decision(NOT_MEASURABLE, note=NO_COMMON_SEED)
    if any(isinstance(one.value, str) for side in sides for one in side.values()):
        return Decision(NOT_MEASURABLE)
    means = [_mean(side) for side in sides]
    if divides_by_nothing(expect, means):
        return Decision(NOT_MEASURABLE, note="a ratio to what is not above 0")
    found = [estimated(one, sides) for one in contrasts(expect, means)]
    if any(compares_nothing(one.contrast, sides) for one in found):
        return Decision(NOT_MEASURABLE, found, "0 beside 0")
    failing = [one for one in found if not one.passes]
    if failing:
        return Decision(FAILS if any(one.is_sure for one in failing) else FAILS_WITHIN_NOISE, found)
    return Decision(HOLDS if all(one.is_sure for one in found) else HOLDS_WITHIN_NOISE, found)


def _tested(
    claim: Mapping, measure: Mapping, sides: Sequence[Mapping[int, Measured]], decision: Decision
) -> Tested:
    shared, own = shared_and_own([side["where"] for side in claim["sides"]])
    return Tested(
        claim=claim["claim"],
        source=claim["source"],
        measure=measure_words(claim, measure),
        shared=shared,
        cases=own,
        values=[_value_words(side, one["has_runs"]) for side, one in zip(sides, claim["sides"], strict=True)],
        seeds=list(sides[0]) if all(side["has_runs"] for side in claim["sides"]) else [],
        expectation=expectation_words(claim["expect"], len(sides)),
        contrasts=decision.contrasts,
        verdict=decision.verdict,
        note=decision.note,
    )


def _value_words(side: Mapping[int, Measured], has_runs: bool) -> str:
    """The mean over seeds, or the first word that stands in place of a value."""
    if not side:
        return NO_COMMON_SEED if has_runs else NOT_RUN
    word = next((one.value for one in side.values() if isinstance(one.value, str)), None)
    return word or f"{_mean(side):.4g}"


def _mean(side: Mapping[int, Measured]) -> float:
    return sum(one.value for one in side.values()) / len(side)


def _contrast_row(one: Estimated) -> dict:
    return {
        "contrast": one.contrast.words, "mean": one.mean, "low": one.low, "high": one.high,
        "interval": one.interval, "seeds": one.seeds,
    }  # fmt: skip


def _value_row(one: Measured) -> dict:
    if isinstance(one.value, str):
        return {"value": None, "standard_error": None, "note": one.value}
    return {"value": one.value, "standard_error": one.standard_error, "note": ""}


def _frame(rows: Sequence[dict], kind: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=FILES[kind].columns)
