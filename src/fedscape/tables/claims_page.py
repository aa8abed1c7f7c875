"""The claims of a study as a page of Markdown: verdicts first, then what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedscape.tables.contrasts import MEASUREMENT, Estimated
from fedscape.tables.estimate import STUDENT
from fedscape.tables.markdown import escaped, markdown_table

_METHOD = (
    "Cases are compared on the seeds that all of them have, seed by seed. Brackets hold the 95 % interval of "
    "what is compared: Student's over seeds where there are three or more, else that of the measurement "
    "itself where its standard error is known. *Within noise*: the interval of what decides includes the "
    "threshold. How far numbers vary from seed to seed is not known of fewer than three."
)
_INTERVALS = {STUDENT: "Student's", MEASUREMENT: "of the measurement"}
_ENTRY = {"planes": "plane", "connectivity": "connection", "curvature": "curvature"}


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
            "config/README.md says what each measure is.\n",
        ]
    )


def measure_words(claim: Mapping, measure: Mapping) -> str:
    """A measure with its settings and where it was taken, to read."""
    # None stands for no restriction.
    settings = [f"{key} {value}" for key, value in measure.items() if key != "kind" and value is not None]
    where = f" on {_ENTRY[claim['section']]} {claim['name']}" if claim["section"] else ""
    return f"{measure['kind']}{where}" + (f" ({', '.join(settings)})" if settings else "")


def shared_and_own(wheres: Sequence[Mapping]) -> tuple[str, list[str]]:
    """What all selections share, and what each has beside it, to read."""
    shared = {key: value for key, value in wheres[0].items() if all(w.get(key) == value for w in wheres)}
    own = [{key: value for key, value in where.items() if key not in shared} for where in wheres]
    return _words(shared), [_words(one) for one in own]


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
