"""Stage `curvature`: how the loss is curved at models."""

from fedscape.settings.plain import to_plain
from fedscape.study.curvature import CurvatureEntry, curvature_settings
from fedscape.study.stages.analysis import group_clients, group_settings, group_trajectories
from fedscape.study.stages.data import PARTITION
from fedscape.study.stages.stage import Files, Group, Groups, Section, Stage


def _inputs(group: Group[CurvatureEntry]) -> Files:
    partitioned = group.runs if group.settings.needs_client_samples else []
    return {
        **group_trajectories(group),
        "clients": group_clients(group) if group.settings.needs_clients else [],
        "partitions": [PARTITION.file(group.study, run.names, "samples") for run in partitioned],
    }


def _settings(group: Group[CurvatureEntry]) -> dict:
    return {**to_plain(group.settings), **group_settings(group)}


CURVATURE_SECTION = Section("curvature", curvature_settings, entry="curvature")
_GROUPS = Groups(CURVATURE_SECTION.name, CurvatureEntry)
CURVATURE = Stage(
    "curvature",
    outputs={"curvature": _GROUPS.file("curvature.csv"), "density": _GROUPS.file("density.csv")},
    inputs=_GROUPS.each(_inputs),
    settings=_GROUPS.each(_settings),
    jobs=_GROUPS.jobs,
    resume=_GROUPS.file("resume"),
    section=CURVATURE_SECTION.name,
    gpu=True,
)
