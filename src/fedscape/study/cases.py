"""What a number is measured on, in a claim or a cell of a table: runs, pairs of them, planes through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case
from fedscape.study.analyses import check_plane_kind
from fedscape.study.catalog import constant, plugin
from fedscape.study.connections import check_connection_kind
from fedscape.study.curvature import check_measured
from fedscape.study.grid import Run, runs_of
from fedscape.study.stages.every import SECTION_OF_ENTRY, SECTIONS
from fedscape.study.stages.tables import MEASURED_ON, sources_of
from fedscape.study.study import Analyses, Study
from fedscape.study.types import unknown


@dataclass(frozen=True)
class Members:
    """What one number is measured on: the runs of a case, and those that it needs beside them."""

    runs: tuple[Run, ...]  # those of this scale; none if it lacks any of them
    groups: tuple[str, ...] = ()  # of the plane, connection or curvature that they belong to
    needs: tuple[Run, ...] = ()  # runs that must not have diverged: these, and the first ones on each plane

    @property
    def case(self) -> Case:
        """These members as a job takes them; their runs are of one seed."""
        return Case(
            seeds=(self.runs[0].seed,),
            runs=tuple(run.path for run in self.runs),
            groups=self.groups,
            needs=tuple(run.path for run in self.needs),
        )


def measure_of(entry: Mapping[str, Any], analyses: Analyses, where: str) -> tuple[Plugin, str, str]:
    """The plug-in of an entry's `measure`, and the section and name of the analysis that it is taken on.

    entry: `measure`, a key of SECTION_OF_ENTRY if the measure needs it, and the plug-in's own settings.
    Raises FedscapeError for an unknown measure or setting, and for an analysis too few or too many.
    """
    kind = entry["measure"]
    settings = {key: value for key, value in entry.items() if key not in ("measure", *SECTION_OF_ENTRY)}
    measure = plugin("measure", kind, settings, where)
    source = next((source for source in sources_of(measure) if source in MEASURED_ON), None)
    analysis = FILES[source].entry if source else None
    for key in SECTION_OF_ENTRY:
        if (key == analysis) != (key in entry):
            wrong = f"key '{key}' is missing" if key == analysis else f"takes no '{key}'"
            raise FedscapeError(f"{where}: {wrong} (measure {kind})")
    if source is None or analysis is None:
        return measure, "", ""
    section, name = SECTION_OF_ENTRY[analysis], entry[analysis]
    if name in analyses[section]:
        _check_measurable(measure, source, section, analyses[section][name].settings, where)
    return measure, section, name


def members_of(runs: tuple[Run, ...], section: str, name: str, analyses: Analyses) -> Members:
    """Those of the runs that are in the analysis `name`, with their groups; none if the scale lacks it.

    section: that of the analysis, or empty for what is measured on the runs themselves.
    """
    if not section:
        return Members(runs, (), runs)
    case_runs = set(runs)
    measured_runs, groups, needs = [], [], []
    entry = analyses[section].get(name)
    for group, members in entry.groups.items() if entry else ():
        # Of a pair, both ends.
        of_group = runs_of(member for member in members if case_runs.issuperset(runs_of([member])))
        measured_runs += of_group
        if of_group:
            groups.append(group)
            needs += of_group
            if section == "planes":
                # The first run is a plane's centre, the first of a run's seed what distances are from.
                of_plane = runs_of(members)
                first = {run.seed: run for run in reversed(of_plane)}
                needs += [of_plane[0], *(first[run.seed] for run in of_group)]
    return Members(tuple(measured_runs), tuple(groups), tuple(dict.fromkeys(needs)))


def check_analysis(section: str, name: str, scales: Sequence[Study], where: str) -> None:
    """Refuse a name of an analysis that no scale of a study has."""
    if not section:
        return
    known = dict.fromkeys(entry for study in scales for entry in study.analyses[section])
    if name not in known:
        raise FedscapeError(f"{where}.{SECTIONS[section].entry}: {unknown('name', name, known)}")


def _check_measurable(measure: Plugin, source: str, section: str, settings: Any, where: str) -> None:
    """Refuse a measure on an analysis of another kind than those that it is for.

    source: the CSV that the measure reads of it. settings: of the analysis, as its section has them.
    """
    if section == "planes":
        check_plane_kind("measure", measure.kind, settings.plane.kind, where)
    elif section == "connectivity":
        stage, _ = MEASURED_ON[source]  # called as the kind is
        check_connection_kind(settings, stage.name, f"measure {measure.kind}", where)
    else:
        quantity = constant("measure", measure.kind, "QUANTITY")
        if isinstance(quantity, str):
            check_measured(quantity, measure.settings, settings, f"{where}.curvature")
