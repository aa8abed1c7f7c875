"""Stage `drift`: how far global models move."""

from fedscape.study.stages.analysis import group_trajectories, run_names
from fedscape.study.stages.stage import Files, Names, Section, Stage, analysed, groups, of_group
from fedscape.study.study import Study

SECTION = "drift"


def _inputs(study: Study, names: Names) -> Files:
    return group_trajectories(SECTION, study, names)


def _settings(study: Study, names: Names) -> dict:
    return {"runs": run_names(study, analysed(SECTION, study, names)[1])["runs"]}


DRIFTS = Section(SECTION, lambda entry: {})
DRIFT = Stage(
    "drift",
    outputs={"drift": of_group(SECTION, "drift.csv")},
    inputs=_inputs,
    settings=_settings,
    jobs=groups(SECTION),
    label="{name}_{group}",
    section=SECTION,
)
