"""What a number is measured on, in a claim or a cell of a table: runs, pairs of them, planes through them."""

from collections.abc import Mapping, Sequence

from fedscape.errors import FedscapeError
from fedscape.study.analyses import check_kinds
from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.connections import check_kind, kind_of_file
from fedscape.study.grid import Run, matches, runs_of
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
    "hessian": "curvature",
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
        check_kinds("measure", kind, analyses[section][name].settings["plane"]["kind"], place)
    if section == "connectivity" and name in analyses[section]:
        check_kind(analyses[section][name].settings, kind_of_file(file), f"measure {kind}", place)
    return measure, section, name


def case_of(
    wheres: Sequence[Mapping[str, list]],
    section: str,
    name: str,
    analyses: Mapping[str, Mapping],
    runs: tuple[Run, ...],
) -> Case:
    """The runs that match all selections, of those in the analysis `name`; none if the scale lacks it."""

    def chosen(run: Run) -> bool:
        return all(matches(run, where) for where in wheres)

    if not section:
        found = tuple(run for run in runs if chosen(run))
        return Case({}, found, (), found)
    found, groups, needs = [], [], []
    entry = analyses[section].get(name)
    for group, members in entry.groups.items() if entry else ():
        # Of a pair, both ends.
        here = runs_of(one for one in members if all(chosen(run) for run in runs_of([one])))
        found += here
        if here:
            groups.append(group)
            needs += here
            if section == "planes":
                # The first run is a plane's centre, the first of a run's seed what distances are from.
                first = {run.seed: run for run in reversed(members)}
                needs += [members[0], *(first[run.seed] for run in here)]
    return Case({}, tuple(found), tuple(groups), tuple(dict.fromkeys(needs)))


def check_analysis(section: str, name: str, scales: Sequence[Study], place: str) -> None:
    """Refuse a name of an analysis that no scale of a study has."""
    known = dict.fromkeys(one for study in scales for one in (getattr(study, section) if section else ()))
    if section and name not in known:
        key = next(key for key, one in SECTIONS.items() if one == section)
        raise FedscapeError(f"{place}.{key}: {unknown('name', name, known)}")
