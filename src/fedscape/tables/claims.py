"""What the paper claims, tested on our numbers: one row per claim, with its values and a verdict."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from fedscape.columns import FILES
from fedscape.files import write_csv, write_text
from fedscape.tables.cases import NOT_RUN, NOT_RUN_HERE, case_value, read_frames
from fedscape.tables.claims_page import Tested, claims_page, measure_words, shared_and_own

HOLDS, FAILS = "holds", "does not hold"
NOT_MEASURABLE = "not measurable"
VERDICTS = (HOLDS, FAILS, NOT_MEASURABLE, NOT_RUN_HERE)


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
    out_page: str | Path,
) -> None:
    """Write claims.csv, one row per claim in the study's order, and the same to read, in Markdown.

    claims: `{claim, source, section, name, expect, cases: [{where, runs, groups, needs}]}`, runs by their
    paths. measures: of each claim, `{kind, ...its settings}`. runs: tables/runs.csv. rounds:
    tables/rounds.csv, if a measure reads it. The others: CSVs of all groups that the claims name.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    files = {
        "rounds": rounds, "barriers": barriers, "layers": layers, "distances": distances, "markers": markers,
        "surface": surfaces, "curvature": curvatures,
    }  # fmt: skip
    frames = read_frames({"runs": [runs], **files})
    tested = []
    for claim, measure in zip(claims, measures, strict=True):
        values = [case_value(frames, claim["name"], case, measure) for case in claim["cases"]]
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
    write_csv(out_csv, pd.DataFrame(rows, columns=FILES["claims"].columns), sort_by=["number"])
    used = {run for claim in claims for case in claim["cases"] for run in case["runs"]}
    seeds = frames["runs"].loc[frames["runs"]["run"].isin(used), "seed"].unique().tolist()
    write_text(out_page, claims_page(tested, study, scale, seeds, VERDICTS))


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
    if kind == "difference":
        *others, last = values
        return verdict([last - one for one in others], wanted)
    if kind == "gains":
        return verdict([other - one for one, other in _pairs(values)], wanted)
    if kind == "order":
        ascending = values if wanted == "increasing" else values[::-1]
        holds = all(one < other for one, other in pairwise(ascending))
    elif kind == "above":
        holds = all(value > wanted for value in values)
    elif kind == "below":
        holds = all(value < wanted for value in values)
    else:
        pairs = _pairs(values)
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
    if kind == "difference":
        of = "second - first" if cases == 2 else "last - each other"
        return f"{of} {expectation_words(wanted, cases)}"
    if kind == "gains":
        of = "second - first" if cases == 2 else "second - first, fourth - third, ..."
        return f"{of} {expectation_words(wanted, cases // 2)}"
    if kind == "agree":
        return f"pairs agree within {100 * wanted:.4g} %"
    return f"{kind} {wanted:.4g}"


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))
