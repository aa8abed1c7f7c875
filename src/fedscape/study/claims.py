"""Claims of a study: what the paper says, which of our numbers shows it, and what that number must be."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from fedscape.errors import FedscapeError
from fedscape.study.cases import case_of, check_analysis, measured
from fedscape.study.catalog import constant
from fedscape.study.grid import Run, matching
from fedscape.study.selection import Names, check_choice, check_names
from fedscape.study.study import Case, Claim, Side, Study

_OWN_KEYS = ("claim", "source", "where", "cases", "expect", "learned")


def build_claims(
    content: dict, runs: tuple[Run, ...], analyses: Mapping[str, Mapping], names: Names, where: str
) -> tuple[Claim, ...]:
    """Every claim, with the runs of this scale that it is measured on.

    A claim outlives the scales: one may lack its plane or its runs, whose side then has none. `check_claims`
    finds what no scale has. Raises FedscapeError for what is wrong at every scale alike.
    """
    claims = []
    for number, entry in enumerate(content.get("claims", [])):
        place = f"{where}: claims[{number}]"
        own = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
        measure, section, name = measured(own, analyses, place)
        if "timing" in constant("measure", measure["kind"], "SOURCES"):
            raise FedscapeError(
                f"{place}.measure: {measure['kind']} reads the clock, and a claim must not change with it; "
                "a table may"
            )
        check_choice(measure, content, place)
        _check_expectation(entry["expect"], len(entry["cases"]), f"{place}.expect")
        wanted = _wanted(entry.get("where", {}), entry["cases"], names, place)
        claims.append(
            Claim(
                text=entry["claim"],
                source=entry["source"],
                measure=measure,
                section=section,
                name=name,
                sides=tuple(_side(one, section, name, analyses, runs, names.every["seed"]) for one in wanted),
                expect=_one_spelling(entry["expect"]),
                learned=entry.get("learned", False),
            )
        )
    return tuple(claims)


def check_claims(content: dict, scales: Sequence[Study], where: str) -> None:
    """Refuse a claim that names a plane, a connection or runs that no scale of the study has."""
    for number, entry in enumerate(content.get("claims", [])):
        place = f"{where}: claims[{number}]"
        section, name = scales[0].claims[number].section, scales[0].claims[number].name
        check_analysis(section, name, scales, place)
        check_names(entry.get("where", {}), scales, f"{place}.where")
        for i, case in enumerate(entry["cases"]):
            check_names(case, scales, f"{place}.cases[{i}]")
            if not any(study.claims[number].sides[i].cases for study in scales):
                within = f" of {name}" if section else ""
                raise FedscapeError(f"{place}.cases[{i}]: no scale has all of these runs{within}")


def _wanted(shared: Mapping, cases: Sequence[Mapping], names: Names, place: str) -> list[dict[str, list]]:
    """Each case with what all share; refuses a key in both, since either could be meant to hold."""
    for i, case in enumerate(cases):
        if twice := [key for key in case if key in shared]:
            raise FedscapeError(
                f"{place}.cases[{i}].{twice[0]}: `where` names {twice[0]} too; keep one of them"
            )
    return [names.written_out({**shared, **case}) for case in cases]


def _side(
    where: dict[str, list],
    section: str,
    name: str,
    analyses: Mapping[str, Mapping],
    runs: tuple[Run, ...],
    seeds: Sequence[int],
) -> Side:
    selected = matching(runs, where)
    found = {seed: [run for run in selected if run.seed == seed] for seed in seeds}
    cases = {seed: case_of(tuple(of_seed), section, name, analyses) for seed, of_seed in found.items()}
    return Side(where, {seed: case for seed, case in cases.items() if _is_whole(case, where)})


def _is_whole(case: Case, where: dict[str, list]) -> bool:
    """Whether it has all that the lists name, crossed: the mean over a part of it is another number."""
    keys = [key for key in where if key != "seed"]
    there = {tuple(getattr(run, key) for key in keys) for run in case.runs}
    return bool(case.runs) and there.issuperset(product(*(where[key] for key in keys)))


def _one_spelling(expect: Any) -> Any:
    """An expectation with whole numbers as floats, so that 1 and 1.0 are one setting."""
    if isinstance(expect, Mapping):
        return {key: _one_spelling(value) for key, value in expect.items()}
    return float(expect) if isinstance(expect, int) else expect


def _check_expectation(expect: Mapping, cases: int, place: str) -> None:
    ((kind, wanted),) = expect.items()
    if kind in ("order", "ratio", "difference") and cases < 2:
        raise FedscapeError(f"{place}.{kind}: needs two cases or more, got {cases}")
    if kind in ("agree", "gains") and cases % 2:
        raise FedscapeError(f"{place}.{kind}: compares cases in pairs, got {cases}")
    if kind == "gains":
        _check_expectation(wanted, cases // 2, f"{place}.gains")
