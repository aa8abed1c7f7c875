"""Claims of a study: what the paper says, which of our numbers shows it, and what that number must be."""

from collections.abc import Mapping, Sequence
from itertools import product

from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case, Claim, Expectation, Side
from fedscape.study.cases import Members, check_analysis, measure_of, members_of
from fedscape.study.catalog import constant
from fedscape.study.catalog import names as plugin_names
from fedscape.study.grid import Run, matching
from fedscape.study.problems import Problems
from fedscape.study.selection import Names, check_choice, check_names
from fedscape.study.stages.every import SECTION_OF_ENTRY
from fedscape.study.stages.tables import sources_of
from fedscape.study.study import Analyses, Figure, Study
from fedscape.study.types import unknown

_OWN_KEYS = ("claim", "source", "where", "cases", "expect", "learned", "seeds", "figure")


def build_claims(
    content: dict, runs: tuple[Run, ...], analyses: Analyses, names: Names, where: str
) -> tuple[Claim, ...]:
    """Every claim, with the runs of this scale that it is measured on.

    A claim outlives the scales: one may lack its plane or its runs, whose side then has none. `check_claims`
    finds what no scale has. Raises FedscapeError for each that is wrong at every scale alike.
    """
    problems = Problems()

    def claim(entry: dict, key: str) -> Claim:
        own = {name: value for name, value in entry.items() if name not in _OWN_KEYS}
        measure, section, name = measure_of(own, analyses, key)
        if "timing" in sources_of(measure):
            raise FedscapeError(
                f"{key}.measure: {measure.kind} reads the clock, and a claim must not change with it; "
                "a table may"
            )
        check_choice(measure.settings, content, key)
        _check_expectation(entry["expect"], len(entry["cases"]), f"{key}.expect")
        if "seeds" in entry:
            _check_together(measure, len(entry["cases"]), f"{key}.seeds")
        wheres = _wheres(entry.get("where", {}), entry["cases"], names, key)
        by_seed = [_cases(where, section, name, analyses, runs, names.every["seed"]) for where in wheres]
        return Claim(
            text=entry["claim"],
            source=entry["source"],
            measure=measure,
            section=section,
            name=name,
            sides=_sides(wheres, by_seed, together="seeds" in entry),
            expect=Expectation.of(entry["expect"]),
            learned=entry.get("learned", False),
        )

    claims = tuple(
        problems.of(claim, entry, f"{where}: claims[{number}]")
        for number, entry in enumerate(content.get("claims", []))
    )
    problems.tell()
    return claims


def claim_figures(
    content: dict, claims: Sequence[Claim], figures: Mapping[str, Figure]
) -> tuple[tuple[str, ...], ...]:
    """Of each claim the figures that show it: the one that it names, if this scale draws it.

    Where it names none, those drawn from the entry that it is measured on, with runs of its cases.
    """
    return tuple(
        tuple(
            name
            for name, figure in figures.items()
            if (name == entry["figure"] if "figure" in entry else _shows(figure, claim))
        )
        for entry, claim in zip(content.get("claims", []), claims, strict=True)
    )


def _shows(figure: Figure, claim: Claim) -> bool:
    is_its_entry = SECTION_OF_ENTRY.get(figure.source) == claim.section and figure.name == claim.name
    return is_its_entry and any(
        all(set(values) & set(side.where.get(key, values)) for key, values in figure.where.items())
        for side in claim.sides
    )


def check_claims(content: dict, scales: Sequence[Study], where: str) -> None:
    """Refuse claims that name a plane, a connection or runs that no scale of the study has."""
    problems = Problems()
    for number, entry in enumerate(content.get("claims", [])):
        problems.of(_check_claim, number, entry, scales, f"{where}: claims[{number}]")
    problems.tell()


def _check_claim(number: int, entry: Mapping, scales: Sequence[Study], key: str) -> None:
    section, name = scales[0].claims[number].section, scales[0].claims[number].name
    check_analysis(section, name, scales, key)
    check_names(entry.get("where", {}), scales, f"{key}.where")
    drawn = dict.fromkeys(figure for study in scales for figure in study.figures)
    if "figure" in entry and entry["figure"] not in drawn:
        raise FedscapeError(f"{key}.figure: {unknown('figure', entry['figure'], drawn)}")
    for i, case in enumerate(entry["cases"]):
        check_names(case, scales, f"{key}.cases[{i}]")
        if not any(study.claims[number].sides[i].has_runs for study in scales):
            within = f" of {name}" if section else ""
            raise FedscapeError(f"{key}.cases[{i}]: no scale has all of these runs{within}")


def _wheres(shared: Mapping, cases: Sequence[Mapping], names: Names, where: str) -> list[dict[str, list]]:
    """The selection of each case with what all share; a key in both is refused, as either could be meant."""
    for i, case in enumerate(cases):
        if twice := [key for key in case if key in shared]:
            raise FedscapeError(
                f"{where}.cases[{i}].{twice[0]}: `where` names {twice[0]} too; keep one of them"
            )
    return [names.written_out({**shared, **case}) for case in cases]


def _cases(
    where: dict[str, list],
    section: str,
    name: str,
    analyses: Analyses,
    runs: tuple[Run, ...],
    seeds: Sequence[int],
) -> dict[int, Case]:
    """A case for each seed of which this scale has all the runs."""
    selected = matching(runs, where)
    of_seeds = {seed: tuple(run for run in selected if run.seed == seed) for seed in seeds}
    members = {seed: members_of(of_seed, section, name, analyses) for seed, of_seed in of_seeds.items()}
    return {seed: of_seed.case for seed, of_seed in members.items() if _is_whole(of_seed, where)}


def _is_whole(members: Members, where: dict[str, list]) -> bool:
    """Whether every combination that the lists name has a run: a mean over some of them is another number."""
    keys = [key for key in where if key != "seed"]
    combinations = {tuple(getattr(run, key) for key in keys) for run in members.runs}
    return bool(members.runs) and combinations.issuperset(product(*(where[key] for key in keys)))


def _sides(
    wheres: Sequence[dict[str, list]], by_seed: Sequence[dict[int, Case]], together: bool
) -> tuple[Side, ...]:
    """The sides of a claim, with the cases of the seeds that all of them have, or with one of all these."""
    seeds = [seed for seed in by_seed[0] if all(seed in cases for cases in by_seed)]
    sides = []
    for where, has_cases in zip(wheres, by_seed, strict=True):
        cases = tuple(has_cases[seed] for seed in seeds)
        sides.append(Side(where, bool(has_cases), (Case.together(cases),) if together and cases else cases))
    return tuple(sides)


def _check_together(measure: Plugin, cases: int, where: str) -> None:
    """Refuse seeds together where nothing would be known of their noise."""
    if not constant("measure", measure.kind, "TOGETHER"):
        able = ", ".join(kind for kind in plugin_names("measure") if constant("measure", kind, "TOGETHER"))
        raise FedscapeError(f"{where}: measure {measure.kind} is of a seed; together are those of {able}")
    if cases > 1:
        raise FedscapeError(f"{where}: together are those of one case, got {cases}")


def _check_expectation(expect: Mapping, cases: int, where: str) -> None:
    ((kind, expected),) = expect.items()
    if kind in ("order", "ratio", "difference") and cases < 2:
        raise FedscapeError(f"{where}.{kind}: needs two cases or more, got {cases}")
    if kind in ("agree", "gains") and cases % 2:
        raise FedscapeError(f"{where}.{kind}: compares cases in pairs, got {cases}")
    if kind == "gains":
        _check_expectation(expected, cases // 2, f"{where}.gains")
