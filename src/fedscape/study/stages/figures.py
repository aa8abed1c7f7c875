"""Stage `figure`: one figure, drawn from CSVs and nothing else."""

from collections.abc import Iterable, Iterator

from fedscape.columns.kinds import FILES
from fedscape.study.catalog import constant
from fedscape.study.grid import RUN_KEYS, Run, matching, runs_of
from fedscape.study.looks import KEYS, fitting_labels, name_numbers, telling_columns
from fedscape.study.stages.connectivity import CONNECTIVITY_SECTION, CURVE, LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE, CURVATURE_SECTION
from fedscape.study.stages.data import PARTITION
from fedscape.study.stages.planes import PLANE, PLANES_SECTION, SURFACE
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards, group_files
from fedscape.study.study import Figure, Study

# What a figure of an analysis is drawn from: the frame's name is the output's.
_OF_PLANE = ((SURFACE, "surface"), (PLANE, "markers"))
_OF_CONNECTION = {
    stage.name: [(stage, output) for output in stage.outputs if output in FILES]
    for stage in (PATH, CURVE, LAYERS)
}
_OF_CURVATURE = ((CURVATURE, "density"),)
_SECTION_OF = {
    section.entry: section.name for section in (PLANES_SECTION, CONNECTIVITY_SECTION, CURVATURE_SECTION)
}


def _inputs(study: Study, wildcards: Wildcards) -> Files:
    """The CSVs that a figure is drawn from, by what they hold."""
    figure = study.figures[wildcards["figure"]]
    if isinstance(figure.name, list):  # of partitions
        runs = figure_runs(study, figure)
        return {"partitions": list(dict.fromkeys(PARTITION.file(study, run.names, "counts") for run in runs))}
    if figure.source == "table":
        beside = constant("figure", figure.kind.kind, "BESIDE") or ()
        return {name: [f"{study.folder}/tables/{name}.csv"] for name in (figure.name, *beside)}
    if figure.source == "plane":
        drawn = _OF_PLANE
    elif figure.source == "connectivity":
        drawn = _OF_CONNECTION[study.analyses["connectivity"][figure.name].settings.kind]
    else:
        drawn = _OF_CURVATURE
    return {output: group_files(stage, output, study, figure.name, figure.groups) for stage, output in drawn}


def _settings(study: Study, wildcards: Wildcards) -> dict:
    figure = study.figures[wildcards["figure"]]
    runs = figure_runs(study, figure)
    columns = ("dataset", "partition") if figure.source == "partitions" else KEYS
    # One string for the whole of `where`: its keys are column names, not settings.
    return {
        "figure": figure.kind.keys,
        "title": figure.title,
        "style": figure.style,
        "where": sorted(figure.where.items()),
        # Of the study's names those that the figure may show, so that others change without redrawing it.
        "labels": fitting_labels(study, runs, columns),
        "numbers": name_numbers(study, runs, telling_columns(study, runs, columns)),
    }


def figure_runs(study: Study, figure: Figure) -> list[Run]:
    """The runs whose names a figure may show; of partitions in the order of its list, so stand the panels."""
    if isinstance(figure.name, list):
        return [run for partition in figure.name for run in study.runs if run.partition == partition]
    runs: Iterable[Run] = study.runs
    if figure.groups:
        groups = study.analyses[_SECTION_OF[figure.source]][figure.name].groups
        runs = runs_of(member for group in figure.groups for member in groups[group])
    return matching(runs, {key: values for key, values in figure.where.items() if key in RUN_KEYS})


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
