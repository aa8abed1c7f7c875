"""What the paper claims, tested on our numbers: a verdict for each, what it rests on, and a page to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedscape.columns.column import File
from fedscape.columns.csvs import write_csv
from fedscape.columns.tables import CLAIM_VALUES_CSV, CLAIMS_CSV, CONTRASTS_CSV
from fedscape.files import write_text
from fedscape.settings.claims import Claim, Expectation
from fedscape.tables.cases import NOT_RUN, NOT_RUN_HERE, Measured, measure_words, measured, read_frames
from fedscape.tables.contrasts import (
    MEASUREMENT,
    TOGETHER,
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
    "itself where its standard error is known, and of two seeds at least from one to the other. *Within "
    "noise*: the interval of what decides includes the threshold. How far numbers vary from seed to seed is "
    "not known of fewer than three."
)
_INTERVALS = {STUDENT: "Student's", MEASUREMENT: "of the measurement", TOGETHER: "over seeds, taken together"}


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
        """The claim's row of claims.csv."""
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
    claims: Sequence[Claim],
    csvs: Mapping[str, Sequence[str | Path]],
    study: str,
    scale: str,
    out_csv: str | Path,
    out_contrasts: str | Path,
    out_values: str | Path,
    out_page: str | Path,
) -> None:
    """Write claims.csv, a row per claim in the study's order; its contrasts and values; and a page to read.

    csvs: by the names that measures have for them: `runs` (tables/runs.csv) and whatever the claims' measures
    read (`rounds`: tables/rounds.csv; the others: of all groups that the claims name).
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    frames = read_frames(csvs)
    tested, contrast_rows, value_rows = [], [], []
    for number, claim in enumerate(claims, start=1):
        keys = {"study": study, "scale": scale, "number": number}
        sides = [
            {
                case.seed: measured(frames, claim.name, case, claim.measure, claim.learned)
                for case in side.cases
            }
            for side in claim.sides
        ]
        decision = decide(sides, claim.expect, [side.has_runs for side in claim.sides])
        tested.append(_tested(claim, sides, decision))
        contrast_rows += [keys | _contrast_row(contrast) for contrast in decision.contrasts]
        value_rows += [
            keys | {"case": i, "seed": seed} | _value_row(value)
            for i, side in enumerate(sides, start=1)
            for seed, value in side.items()
        ]
    rows = [
        {"study": study, "scale": scale, "number": number, **claim.row}
        for number, claim in enumerate(tested, start=1)
    ]
    _write(out_csv, rows, CLAIMS_CSV)
    _write(out_contrasts, contrast_rows, CONTRASTS_CSV)
    _write(out_values, value_rows, CLAIM_VALUES_CSV)
    write_text(out_page, claims_page(tested, study, scale, VERDICTS))


def decide(
    sides: Sequence[Mapping[int, Measured]], expect: Expectation, has_runs: Sequence[bool]
) -> Decision:
    """The verdict on values by seed, of each case, for the seeds that all have; never by a tie.

    has_runs: whether the scale has runs of each case at any seed. A claim that compares several things holds
    if all of them are as expected. It does so within noise where the 95 % interval of one includes its
    threshold, and fails within noise where the interval of each that fails does.
    """
    values = [value for side in sides for value in side.values()]
    if not all(has_runs) or any(value.value == NOT_RUN for value in values):
        return Decision(NOT_RUN_HERE)
    if not sides[0]:
        return Decision(NOT_MEASURABLE, note=NO_COMMON_SEED)
    if any(isinstance(value.value, str) for value in values):
        return Decision(NOT_MEASURABLE)
    means = [_mean(side) for side in sides]
    if divides_by_nothing(expect, means):
        return Decision(NOT_MEASURABLE, note="a ratio to what is not above 0")
    estimates = [estimated(contrast, sides) for contrast in contrasts(expect, means)]
    if any(compares_nothing(estimate.contrast, sides) for estimate in estimates):
        return Decision(NOT_MEASURABLE, estimates, "0 beside 0")
    failing = [estimate for estimate in estimates if not estimate.passes]
    if failing:
        is_sure = any(estimate.is_sure for estimate in failing)
        return Decision(FAILS if is_sure else FAILS_WITHIN_NOISE, estimates)
    is_sure = all(estimate.is_sure for estimate in estimates)
    return Decision(HOLDS if is_sure else HOLDS_WITHIN_NOISE, estimates)


def claims_page(tested: Sequence[Tested], study: str, scale: str, verdicts: Sequence[str]) -> str:
    """Markdown text.

    verdicts: all that there are, in the order in which to count them.
    """
    own = [claim.verdict for claim in tested]
    counted = ", ".join(f"{verdict}: {own.count(verdict)}" for verdict in verdicts if verdict in own)
    claims = "claims" if len(tested) > 1 else "claim"
    lines = [
        [str(i), claim.claim, claim.source, claim.verdict, str(len(claim.seeds) or "")]
        for i, claim in enumerate(tested, start=1)
    ]
    return "\n\n".join(
        [
            "# Claims, tested on our numbers",
            f"study {study}, scale {scale}",
            f"{len(tested)} {claims}; {counted}.",
            _METHOD,
            markdown_table(["", "claim", "source", "verdict", "seeds"], lines, texts=4),
            "## What was measured",
            "\n".join(f"{i}. {_measured(claim)}" for i, claim in enumerate(tested, start=1)),
            "config/reference/measures.md says what each measure is.\n",
        ]
    )


def shared_and_own(wheres: Sequence[Mapping]) -> tuple[str, list[str]]:
    """What all selections share, and what each has beside it, to read."""
    shared = {key: value for key, value in wheres[0].items() if all(w.get(key) == value for w in wheres)}
    own = [{key: value for key, value in where.items() if key not in shared} for where in wheres]
    return _words(shared), [_words(where) for where in own]


def _tested(claim: Claim, sides: Sequence[Mapping[int, Measured]], decision: Decision) -> Tested:
    shared, own = shared_and_own([side.where for side in claim.sides])
    has_runs = [side.has_runs for side in claim.sides]
    return Tested(
        claim=claim.text,
        source=claim.source,
        measure=measure_words(claim, claim.measure),
        shared=shared,
        cases=own,
        values=[_value_words(*side) for side in zip(sides, has_runs, strict=True)],
        seeds=claim.seeds if all(has_runs) else [],
        expectation=expectation_words(claim.expect, len(sides)),
        contrasts=decision.contrasts,
        verdict=decision.verdict,
        note=decision.note,
    )


def _value_words(side: Mapping[int, Measured], has_runs: bool) -> str:
    """The mean over seeds, or the first word that stands in place of a value."""
    if not side:
        return NO_COMMON_SEED if has_runs else NOT_RUN
    words = [value.value for value in side.values() if isinstance(value.value, str)]
    return words[0] if words else f"{_mean(side):.4g}"


def _mean(side: Mapping[int, Measured]) -> float:
    """The mean over seeds, all of which have a number."""
    return sum(float(value.value) for value in side.values()) / len(side)


def _contrast_row(estimate: Estimated) -> dict:
    return {
        "contrast": estimate.contrast.words,
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.interval,
        "seeds": estimate.seeds,
    }


def _value_row(value: Measured) -> dict:
    if isinstance(value.value, str):
        return {"value": None, "standard_error": None, "note": value.value}
    return {"value": value.value, "standard_error": value.standard_error, "note": ""}


def _write(path: str | Path, rows: Sequence[dict], file: File) -> None:
    """Contrasts of a claim stay in their order."""
    order = [key for key in file.row_keys if key != "contrast"]
    write_csv(path, pd.DataFrame(rows, columns=file.columns), order)


def _words(where: Mapping) -> str:
    return ", ".join(f"{key} {'/'.join(map(str, values))}" for key, values in where.items())


def _measured(claim: Tested) -> str:
    """The values beside their cases, what was expected of them, and the contrasts that decide."""
    pairs = zip(claim.cases, claim.values, strict=True)
    values = "; ".join(f"{case}: {value}" if case else value for case, value in pairs)
    of = f", {claim.shared}" if claim.shared else ""
    numbers = f"{escaped(claim.measure + of)}: **{escaped(values)}**; expected: {escaped(claim.expectation)}"
    verdict = claim.verdict + (f" ({claim.note})" if claim.note else "")
    estimates = [f"   - {escaped(_estimated(estimate))}" for estimate in claim.contrasts]
    return "\n".join([f"{numbers}; {escaped(verdict)}", *estimates])


def _estimated(estimate: Estimated) -> str:
    interval = ""
    if estimate.low is not None:
        interval = f" [{estimate.low:.4g}, {estimate.high:.4g}], {_INTERVALS[estimate.interval]}"
    seeds = "seeds" if estimate.seeds > 1 else "seed"
    return f"{estimate.contrast.words}: {estimate.mean:.4g}{interval}, {estimate.seeds} {seeds}"
