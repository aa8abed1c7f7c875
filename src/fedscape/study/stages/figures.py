"""Stage `figure`: one figure, drawn from CSVs and nothing else."""

from collections.abc import Iterator

from fedscape.study.stages.connectivity import LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE
from fedscape.study.stages.data import PARTITION
from fedscape.study.stages.planes import PLANE, SURFACE
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards, group_files
from fedscape.study.study import Study

# What a figure of an analysis is drawn from: the frame's name is the output's.
_OF_PLANE = ((SURFACE, "surface"), (PLANE, "markers"))
_OF_CONNECTION = {stage.name: [(stage, output) for output in stage.outputs] for stage in (PATH, LAYERS)}
_OF_CURVATURE = ((CURVATURE, "density"),)


def _inputs(study: Study, wildcards: Wildcards) -> Files:
    """The CSVs that a figure is drawn from, by what they hold."""
    figure = study.figures[wildcards["figure"]]
    if isinstance(figure.name, list):  # of partitions
        # In the order of the list: so stand the panels.
        runs = [run for partition in figure.name for run in study.runs if run.partition == partition]
        return {"partitions": list(dict.fromkeys(PARTITION.file(study, run.names, "counts") for run in runs))}
    if figure.source == "table":
        return {figure.name: [f"{study.folder}/tables/{figure.name}.csv"]}
    if figure.source == "plane":
        drawn = _OF_PLANE
    elif figure.source == "connectivity":
        drawn = _OF_CONNECTION[study.analyses["connectivity"][figure.name].settings.kind]
    else:
        drawn = _OF_CURVATURE
    return {output: group_files(stage, output, study, figure.name, figure.groups) for stage, output in drawn}


def _settings(study: Study, wildcards: Wildcards) -> dict:
    figure = study.figures[wildcards["figure"]]
    # One string for the whole of `where`: its keys are column names, not settings.
    return {
        "figure": figure.kind.keys,
        "title": figure.title,
        "where": sorted(figure.where.items()),
        "labels": study.labels,
    }


def _jobs(study: Study) -> Iterator[Wildcards]:
    for name in study.figures:
        yield {"figure": name}


FIGURE = Stage(
    "figure",
    outputs={
        "png": f"{RESULTS}/figures/{{figure}}.png",
        "svg": f"{RESULTS}/figures/{{figure}}.svg",
    },
    inputs=_inputs,
    settings=_settings,
    jobs=_jobs,
    targets=("png", "svg"),
    local=True,
)
