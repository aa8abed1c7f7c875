"""What a number is measured on, in a claim or a cell of a table: runs, pairs of them, planes through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case
from fedscape.study.analyses import check_kinds
from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.connections import check_kind
from fedscape.study.curvature import check_measured
from fedscape.study.grid import Run, runs_of
from fedscape.study.stages.every import SECTIONS
from fedscape.study.stages.tables import MEASURED_ON, sources_of
from fedscape.study.study import Analysis, Study
from fedscape.study.types import unknown

Analyses = Mapping[str, Mapping[str, Analysis]]
"""Of a study: section -> name -> entry."""
KEYS = {section.entry: section.name for section in SECTIONS.values() if section.entry}
"""What an entry calls the analysis that it is measured on, and the section of the study that holds it."""


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
            seed=self.runs[0].seed,
            runs=tuple(run.path for run in self.runs),
            groups=self.groups,
            needs=tuple(run.path for run in self.needs),
        )


def measured(entry: Mapping[str, Any], analyses: Analyses, place: str) -> tuple[Plugin, str, str]:
    """The plug-in of an entry's `measure`, and the section and name of the analysis that it is taken on.

    entry: `measure`, one of KEYS if the measure needs it, and the plug-in's own settings.
    Raises FedscapeError for an unknown measure or setting, and for an analysis too few or too many.
    """
    kind = entry["measure"]
    settings = {key: value for key, value in entry.items() if key not in ("measure", *KEYS)}
    measure = Plugin.of(plugin_settings("measure", kind, settings, place))
    source = next((source for source in sources_of(measure) if source in MEASURED_ON), None)
    wanted = FILES[source].entry if source else None
    for key in KEYS:
        if (key == wanted) != (key in entry):
            wrong = f"key '{key}' is missing" if key == wanted else f"takes no '{key}'"
            raise FedscapeError(f"{place}: {wrong} (measure {kind})")
    if source is None or wanted is None:
        return measure, "", ""
    section, name = KEYS[wanted], entry[wanted]
    if name in analyses[section]:
        _check_measurable(measure, source, section, analyses[section][name].settings, place)
    return measure, section, name


def members_of(runs: tuple[Run, ...], section: str, name: str, analyses: Analyses) -> Members:
    """Those of the runs that are in the analysis `name`, with their groups; none if the scale lacks it.

    section: that of the analysis, or empty for what is measured on the runs themselves.
    """
    if not section:
        return Members(runs, (), runs)
    wanted = set(runs)
    measured_runs, groups, needs = [], [], []
    entry = analyses[section].get(name)
    for group, members in entry.groups.items() if entry else ():
        # Of a pair, both ends.
        of_group = runs_of(member for member in members if wanted.issuperset(runs_of([member])))
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


def check_analysis(section: str, name: str, scales: Sequence[Study], place: str) -> None:
    """Refuse a name of an analysis that no scale of a study has."""
    if not section:
        return
    known = dict.fromkeys(entry for study in scales for entry in study.analyses[section])
    if name not in known:
        raise FedscapeError(f"{place}.{SECTIONS[section].entry}: {unknown('name', name, known)}")


def _check_measurable(measure: Plugin, source: str, section: str, settings: Any, place: str) -> None:
    """Refuse a measure on an analysis of another kind than those that it is for.

    source: the CSV that the measure reads of it. settings: of the analysis, as its section has them.
    """
    if section == "planes":
        check_kinds("measure", measure.kind, settings.plane.kind, place)
    elif section == "connectivity":
        stage, _ = MEASURED_ON[source]  # called as the kind is
        check_kind(settings, stage.name, f"measure {measure.kind}", place)
    else:
        quantity = constant("measure", measure.kind, "QUANTITY")
        if isinstance(quantity, str):
            check_measured(quantity, measure.settings, settings, f"{place}.curvature")
