"""Stage `curvature`: how the loss is curved at models."""

from fedscape.study.curvature import curvature_settings, needs_clients
from fedscape.study.stages.analysis import clients_of, group_trajectories, run_names
from fedscape.study.stages.data import PARTITION
from fedscape.study.stages.stage import Entry, Files, Names, Section, Stage, analysed, groups, of_group
from fedscape.study.study import Study

SECTION = "curvature"


def _inputs(study: Study, names: Names) -> Files:
    settings, runs = analysed(SECTION, study, names)
    own = runs if "own" in settings["data"] else ()
    return {
        **group_trajectories(SECTION, study, names),
        "clients": clients_of(SECTION, study, names, needs_clients(settings)),
        "partitions": [PARTITION.file(study, run.names, "samples") for run in own],
    }


def _settings(study: Study, names: Names) -> dict:
    settings, runs = analysed(SECTION, study, names)
    return {**settings, **run_names(study, runs)}


def _entry_settings(entry: Entry) -> dict:
    return curvature_settings(entry.keys, entry.members, entry.methods, entry.place)


CURVATURES = Section(SECTION, _entry_settings, entry=SECTION)
CURVATURE = Stage(
    "curvature",
    outputs={"curvature": of_group(SECTION, "curvature.csv"), "density": of_group(SECTION, "density.csv")},
    inputs=_inputs,
    settings=_settings,
    jobs=groups(SECTION),
    label="{name}_{group}",
    resume=of_group(SECTION, "resume"),
    section=SECTION,
    gpu=True,
)
