"""What claims and tables measure on which runs, and what claims expect: as jobs take it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Literal

from fedscape.plugins import Plugin

Compared = Literal["values", "ratio", "difference", "gains"]
Must = Literal["increasing", "decreasing", "above", "below", "agree"]
Learned = bool | Literal["any"]


@dataclass(frozen=True)
class Case:
    """What one number is measured on: runs, by their paths."""

    seeds: Sequence[int]  # of the runs: one, but where a claim takes all of them together
    runs: Sequence[str]
    groups: Sequence[str]  # of the plane, connection or curvature that the runs belong to
    needs: Sequence[str]  # runs that must not have diverged: these, and the first ones on each plane

    @property
    def seed(self) -> int:
        """Of its runs, the first where there are several."""
        return self.seeds[0]

    @classmethod
    def together(cls, cases: Sequence["Case"]) -> "Case":
        """All the runs of several cases as one."""
        return cls(
            *(
                tuple(dict.fromkeys(chain.from_iterable(getattr(case, field.name) for case in cases)))
                for field in fields(cls)
            )
        )


@dataclass(frozen=True)
class Side:
    """One of the things that a claim compares: a case of each seed that all of them have, in one order.

    Or a single case of all these seeds together.
    """

    where: Mapping[str, Sequence]  # as the study asks for the runs, names written out
    has_runs: bool  # whether this scale has all its runs at any seed
    cases: Sequence[Case]


@dataclass(frozen=True)
class Expectation:
    """What must be so of the values of a claim's cases, one of each."""

    # the values themselves; the last over, or minus, each of the others; the second minus the first, the
    # fourth minus the third, ...
    compared: Compared
    # from one to the next; each; agree: the first and the second, the third and the fourth, ... differ by at
    # most this share of the larger
    must: Must
    number: float = 0.0  # above or below what, or the share

    @classmethod
    def of(cls, keys: Mapping[Any, Any]) -> "Expectation":
        """From the one key that studies have for it: `{ratio: {below: 0.5}}`."""
        ((key, value),) = keys.items()
        if isinstance(value, Mapping):
            return replace(cls.of(value), compared=key)
        return cls("values", value) if key == "order" else cls("values", key, float(value))

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that `of` makes it from."""
        ordered = self.must in ("increasing", "decreasing")
        own = {"order": self.must} if ordered else {self.must: self.number}
        return own if self.compared == "values" else {self.compared: own}


@dataclass(frozen=True)
class Claim:
    """One statement of the paper as a number: what is measured on which runs, and what is expected."""

    text: str
    source: str  # where the paper says so
    measure: Plugin
    section: str  # "planes", "connectivity" or "curvature" if measured on one of them, else empty
    name: str  # the section's entry; empty if there is none
    sides: Sequence[Side]
    expect: Expectation
    learned: Learned = False  # whether it says nothing of runs that learned nothing; any: of which none did

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Claim":
        """From the plain values of a job's settings."""
        return cls(
            **{
                **values,
                "measure": Plugin(**values["measure"]),
                "sides": [
                    Side(**{**side, "cases": [Case(**case) for case in side["cases"]]})
                    for side in values["sides"]
                ],
                "expect": Expectation(**values["expect"]),
            }
        )

    @property
    def seeds(self) -> list[int]:
        """The seeds that all sides have, on which they are compared."""
        return [seed for case in self.sides[0].cases for seed in case.seeds]

    @property
    def cases(self) -> list[Case]:
        """All that is measured for it."""
        return [case for side in self.sides for case in side.cases]
