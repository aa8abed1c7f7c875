"""Claims of a study: what the paper says, which of our numbers shows it, and what that number must be."""

from collections.abc import Mapping, Sequence
from itertools import product

from fedscape.errors import FedscapeError
from fedscape.study.analyses import check_kinds
from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.grid import Run, matches, runs_of
from fedscape.study.selection import Names, check_names
from fedscape.study.study import Case, Claim, Study
from fedscape.study.types import unknown

_OWN_KEYS = ("claim", "source", "measure", "plane", "connectivity", "where", "cases", "expect")
# Which entry of a study the files lie under that a measure reads; runs.csv is there in any case.
_ENTRY = {"markers": "plane", "surface": "plane", "barriers": "connectivity", "runs": None}
_SECTION = {"plane": "planes", "connectivity": "connectivity", None: ""}


def build_claims(
    content: dict, runs: tuple[Run, ...], analyses: Mapping[str, Mapping], names: Names, where: str
) -> tuple[Claim, ...]:
    """Every claim, with the runs of this scale that it is measured on.

    A claim outlives the scales: one may lack its plane or its runs, whose case then has none. `check_claims`
    finds what no scale has. Raises FedscapeError for what is wrong at every scale alike.
    """
    claims = []
    for number, entry in enumerate(content.get("claims", [])):
        place = f"{where}: claims[{number}]"
        kind = entry["measure"]
        settings = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
        measure = plugin_settings("measure", kind, settings, place)
        source = next((_ENTRY[file] for file in constant("measure", kind, "SOURCES") if _ENTRY[file]), None)
        for key in ("plane", "connectivity"):
            if (key == source) != (key in entry):
                wrong = f"key '{key}' is missing" if key == source else f"takes no '{key}'"
                raise FedscapeError(f"{place}: {wrong} (measure {kind})")
        _check_expectation(entry["expect"], len(entry["cases"]), f"{place}.expect")
        section, name = _SECTION[source], entry.get(source, "")
        if section == "planes" and name in analyses[section]:
            check_kinds("measure", kind, analyses[section][name].settings["plane"]["kind"], place)
        wanted = _wanted(entry.get("where", {}), entry["cases"], names, place)
        cases = tuple(_case(one, section, name, analyses, runs) for one in wanted)
        claims.append(Claim(entry["claim"], entry["source"], measure, section, name, cases, entry["expect"]))
    return tuple(claims)


def check_claims(content: dict, scales: Sequence[Study], where: str) -> None:
    """Refuse a claim that names a plane, a connection or runs that no scale of the study has."""
    for number, entry in enumerate(content.get("claims", [])):
        place = f"{where}: claims[{number}]"
        section, name = scales[0].claims[number].section, scales[0].claims[number].name
        known = dict.fromkeys(one for study in scales for one in (getattr(study, section) if section else ()))
        if section and name not in known:
            key = next(key for key in ("plane", "connectivity") if key in entry)
            raise FedscapeError(f"{place}.{key}: {unknown('name', name, known)}")
        check_names(entry.get("where", {}), scales, f"{place}.where")
        for i, case in enumerate(entry["cases"]):
            check_names(case, scales, f"{place}.cases[{i}]")
            if not any(study.claims[number].cases[i].runs for study in scales):
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


def _case(
    where: dict[str, list], section: str, name: str, analyses: Mapping[str, Mapping], runs: tuple[Run, ...]
) -> Case:
    entry = analyses[section].get(name) if section else None
    if section and entry is None:
        return Case(where, (), (), ())
    groups: list[str] = []
    needs: list[Run] = []
    if entry is None:
        found = [run for run in runs if matches(run, where)]
    else:
        found = []
        for group, members in entry.groups.items():
            # Of a pair, both ends.
            chosen = runs_of(one for one in members if all(matches(run, where) for run in runs_of([one])))
            found += chosen
            if chosen:
                groups.append(group)
                needs += chosen
                if section == "planes":
                    # The first run is a plane's centre, the first of a run's seed what distances are from.
                    first = {run.seed: run for run in reversed(members)}
                    needs += [members[0], *(first[run.seed] for run in chosen)]
    # Lists mean all of their runs, crossed: the mean over those that happen to be there is another number.
    there = {tuple(getattr(run, key) for key in where) for run in found}
    if not there.issuperset(product(*where.values())) or not found:
        return Case(where, (), (), ())
    return Case(where, tuple(found), tuple(groups), tuple(dict.fromkeys(needs or found)))


def _check_expectation(expect: Mapping, cases: int, place: str) -> None:
    (kind,) = expect
    if kind in ("order", "ratio") and cases < 2:
        raise FedscapeError(f"{place}.{kind}: needs two cases or more, got {cases}")
    if kind == "agree" and cases % 2:
        raise FedscapeError(f"{place}.agree: compares cases in pairs, got {cases}")
