"""What a number is measured on, in a claim or a cell of a table: runs, pairs of them, planes through them."""

from collections.abc import Mapping, Sequence

from fedscape.errors import FedscapeError
from fedscape.study.analyses import check_kinds
from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.connections import check_kind, kind_of_file
from fedscape.study.curvature import check_measured
from fedscape.study.grid import Run, runs_of
from fedscape.study.study import Case, Study
from fedscape.study.types import unknown

# What an entry calls the analysis that it is measured on, and the section of the study that holds it.
SECTIONS = {"plane": "planes", "connectivity": "connectivity", "curvature": "curvature"}
# Which of them the files lie under that a measure reads; tables of the whole study under none.
_ENTRY = {
    "markers": "plane",
    "surface": "plane",
    "barriers": "connectivity",
    "layers": "connectivity",
    "distances": "connectivity",
    "curvature": "curvature",
}


def measured(
    entry: Mapping[str, object], analyses: Mapping[str, Mapping], place: str
) -> tuple[dict, str, str]:
    """The plug-in of an entry's `measure`, and the section and name of the analysis that it is taken on.

    entry: `measure`, one key of SECTIONS if the measure needs it, and the plug-in's own settings.
    Raises FedscapeError for an unknown measure or setting, and for an analysis too few or too many.
    """
    kind = entry["measure"]
    settings = {key: value for key, value in entry.items() if key not in ("measure", *SECTIONS)}
    measure = plugin_settings("measure", kind, settings, place)
    file = next((one for one in constant("measure", kind, "SOURCES") if one in _ENTRY), None)
    source = _ENTRY.get(file)
    for key in SECTIONS:
        if (key == source) != (key in entry):
            wrong = f"key '{key}' is missing" if key == source else f"takes no '{key}'"
            raise FedscapeError(f"{place}: {wrong} (measure {kind})")
    if source is None:
        return measure, "", ""
    section, name = SECTIONS[source], entry[source]
    if section == "planes" and name in analyses[section]:
        check_kinds("measure", kind, analyses[section][name].settings.plane.kind, place)
    if section == "connectivity" and name in analyses[section]:
        check_kind(analyses[section][name].settings, kind_of_file(file), f"measure {kind}", place)
    if section == "curvature" and name in analyses[section]:
        quantity = constant("measure", kind, "QUANTITY")
        check_measured(quantity, measure, analyses[section][name].settings, f"{place}.curvature")
    return measure, section, name


def case_of(runs: tuple[Run, ...], section: str, name: str, analyses: Mapping[str, Mapping]) -> Case:
    """Those of the runs that are in the analysis `name`, with their groups; none if the scale lacks it.

    section: that of the analysis, or empty for what is measured on the runs themselves.
    """
    if not section:
        return Case(runs, (), runs)
    wanted = set(runs)
    found, groups, needs = [], [], []
    entry = analyses[section].get(name)
    for group, members in entry.groups.items() if entry else ():
        # Of a pair, both ends.
        here = runs_of(one for one in members if wanted.issuperset(runs_of([one])))
        found += here
        if here:
            groups.append(group)
            needs += here
            if section == "planes":
                # The first run is a plane's centre, the first of a run's seed what distances are from.
                first = {run.seed: run for run in reversed(members)}
                needs += [members[0], *(first[run.seed] for run in here)]
    return Case(tuple(found), tuple(groups), tuple(dict.fromkeys(needs)))


def check_analysis(section: str, name: str, scales: Sequence[Study], place: str) -> None:
    """Refuse a name of an analysis that no scale of a study has."""
    known = dict.fromkeys(one for study in scales for one in (study.analyses[section] if section else ()))
    if section and name not in known:
        key = next(key for key, one in SECTIONS.items() if one == section)
        raise FedscapeError(f"{place}.{key}: {unknown('name', name, known)}")
