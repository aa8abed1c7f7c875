"""Stage `drift`: how far global models move."""

from fedscape.study.stages.analysis import group_trajectories, run_names
from fedscape.study.stages.stage import Groups, Section, Stage
from fedscape.study.study import NoSettings

DRIFT_SECTION = Section("drift", NoSettings.of)
_GROUPS = Groups(DRIFT_SECTION.name, NoSettings)
DRIFT = Stage(
    "drift",
    outputs={"drift": _GROUPS.file("drift.csv")},
    inputs=_GROUPS.each(group_trajectories),
    settings=_GROUPS.each(run_names),
    jobs=_GROUPS.jobs,
    section=DRIFT_SECTION.name,
)
