"""What the paper claims, tested on our numbers: a verdict for each, what it rests on, and a page to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedscape.columns.column import File
from fedscape.columns.csvs import write_csv
from fedscape.columns.tables import CLAIM_VALUES, CLAIMS, CONTRASTS
from fedscape.files import write_text
from fedscape.tables.cases import NOT_RUN, NOT_RUN_HERE, Measured, measure_words, measured, read_frames
from fedscape.tables.contrasts import (
    MEASUREMENT,
    Estimated,
    compares_nothing,
    contrasts,
    divides_by_nothing,
    estimated,
    expectation_words,
)
from fedscape.tables.estimate import STUDENT
from fedscape.tables.markdown import escaped, markdown_table

HOLDS, HOLDS_WITHIN_NOISE = "holds", "holds, within noise"
FAILS, FAILS_WITHIN_NOISE = "does not hold", "does not hold, within noise"
NOT_MEASURABLE = "not measurable"
VERDICTS = (HOLDS, HOLDS_WITHIN_NOISE, FAILS_WITHIN_NOISE, FAILS, NOT_MEASURABLE, NOT_RUN_HERE)
NO_COMMON_SEED = "no seed in common"
_METHOD = (
    "Cases are compared on the seeds that all of them have, seed by seed. Brackets hold the 95 % interval of "
    "what is compared: Student's over seeds where there are three or more, else that of the measurement "
    "itself where its standard error is known. *Within noise*: the interval of what decides includes the "
    "threshold. How far numbers vary from seed to seed is not known of fewer than three."
)
_INTERVALS = {STUDENT: "Student's", MEASUREMENT: "of the measurement"}


@dataclass(frozen=True)
class Decision:
    """A verdict and what it rests on."""

    verdict: str
    contrasts: Sequence[Estimated] = ()  # none where nothing could be compared
    note: str = ""  # why it is not measurable; empty where that stands in the values


@dataclass(frozen=True)
class Tested:
    """One claim, tested; what is to be read, in words."""

    claim: str
    source: str
    measure: str
    shared: str  # the names that all cases share
    cases: list[str]  # the names of each beside these; empty texts where there are none
    values: list[str]  # of each case: the mean over seeds
    seeds: list[int]  # on which they are compared
    expectation: str
    contrasts: Sequence[Estimated]
    verdict: str
    note: str  # why it is not measurable; empty where the values say it

    @property
    def row(self) -> dict:
        """Its columns in claims.csv."""
        own = "; ".join(filter(None, self.cases))
        return {
            "claim": self.claim,
            "source": self.source,
            "measure": self.measure,
            "cases": ": ".join(filter(None, [self.shared, own])),
            "values": ";".join(self.values),
            "seeds": len(self.seeds),
            "expectation": self.expectation,
            "verdict": self.verdict,
            "note": self.note,
        }


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
    _write(out_csv, rows, CLAIMS)
    _write(out_contrasts, contrast_rows, CONTRASTS)
    _write(out_values, value_rows, CLAIM_VALUES)
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


def claims_page(tested: Sequence[Tested], study: str, scale: str, verdicts: Sequence[str]) -> str:
    """Markdown text.

    verdicts: all that there are, in the order in which to count them.
    """
    found = [one.verdict for one in tested]
    counted = ", ".join(f"{one}: {found.count(one)}" for one in verdicts if one in found)
    claims = "claims" if len(tested) > 1 else "claim"
    lines = [
        [str(i), one.claim, one.source, one.verdict, str(len(one.seeds) or "")]
        for i, one in enumerate(tested, start=1)
    ]
    return "\n\n".join(
        [
            "# The paper's claims, tested on our numbers",
            f"study {study}, scale {scale}",
            f"{len(tested)} {claims}; {counted}.",
            _METHOD,
            markdown_table(["", "claim", "source", "verdict", "seeds"], lines, texts=4),
            "## What was measured",
            "\n".join(f"{i}. {_measured(one)}" for i, one in enumerate(tested, start=1)),
            "config/reference/measures.md says what each measure is.\n",
        ]
    )


def shared_and_own(wheres: Sequence[Mapping]) -> tuple[str, list[str]]:
    """What all selections share, and what each has beside it, to read."""
    shared = {key: value for key, value in wheres[0].items() if all(w.get(key) == value for w in wheres)}
    own = [{key: value for key, value in where.items() if key not in shared} for where in wheres]
    return _words(shared), [_words(one) for one in own]


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


def _write(path: str | Path, rows: Sequence[dict], file: File) -> None:
    """Contrasts of a claim stay in their order."""
    order = [key for key in file.row_keys if key != "contrast"]
    write_csv(path, pd.DataFrame(rows, columns=file.columns), order)


def _words(where: Mapping) -> str:
    return ", ".join(f"{key} {'/'.join(map(str, values))}" for key, values in where.items())


def _measured(one: Tested) -> str:
    """The values beside their cases, what was expected of them, and the contrasts that decide."""
    pairs = zip(one.cases, one.values, strict=True)
    values = "; ".join(f"{case}: {value}" if case else value for case, value in pairs)
    of = f", {one.shared}" if one.shared else ""
    found = f"{escaped(one.measure + of)}: **{escaped(values)}**; expected: {escaped(one.expectation)}"
    verdict = one.verdict + (f" ({one.note})" if one.note else "")
    return "\n".join(
        [f"{found}; {escaped(verdict)}", *(f"   - {escaped(_estimated(each))}" for each in one.contrasts)]
    )


def _estimated(one: Estimated) -> str:
    interval = "" if one.low is None else f" [{one.low:.4g}, {one.high:.4g}], {_INTERVALS[one.interval]}"
    seeds = "seeds" if one.seeds > 1 else "seed"
    return f"{one.contrast.words}: {one.mean:.4g}{interval}, {one.seeds} {seeds}"
