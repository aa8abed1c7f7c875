"""Stages `path`, `curve`, `layers`: straight and bent lines between models, barriers layer by layer."""

from dataclasses import fields

from fedscape.settings.connectivity import CurveSettings
from fedscape.study.connections import (
    CurveEntry,
    LayersEntry,
    PathEntry,
    connected,
    connection_settings,
    pairs_of,
    plain_connection,
)
from fedscape.study.grid import runs_of
from fedscape.study.stages.analysis import group_clients, group_settings, group_trajectories
from fedscape.study.stages.stage import Files, Group, Groups, Section, Stage


def _path_settings(group: Group[PathEntry]) -> dict:
    entry, runs = plain_connection(group.settings), group.runs
    return {
        **{key: entry[key] for key in ("points", "samples", "batch_norm")},
        **group_settings(group),
        "pairs": [[runs.index(end) for end in runs_of([pair])] for pair in group.members],
    }


def _pairs_inputs(group: Group[LayersEntry] | Group[CurveEntry]) -> Files:
    of_clients = group.settings.between == "clients"
    return {**group_trajectories(group), "clients": group_clients(group) if of_clients else []}


def _layers_settings(group: Group[LayersEntry]) -> dict:
    entry = plain_connection(group.settings)
    keys = ("regimes", "groups", "order_seed", "directions", "alignment", "samples", "batch_norm", "between")
    return {
        **{key: entry[key] for key in keys},
        **group_settings(group),
        "pairs": _pairs(group),
    }


def _curve_settings(group: Group[CurveEntry]) -> dict:
    entry = plain_connection(group.settings)
    return {
        **{key: entry[key] for key in ("samples", *(field.name for field in fields(CurveSettings)))},
        **group_settings(group),
        "pairs": _pairs(group),
    }


def _pairs(group: Group[LayersEntry] | Group[CurveEntry]) -> list[dict]:
    """The pairs of models of a job, their runs as places in its list."""
    runs = group.runs
    return [
        {
            "from": runs.index(pair.start),
            "to": runs.index(pair.end),
            "round": pair.round,
            "to_round": pair.to_round,
            "client": pair.client,
            "to_client": pair.to_client,
        }
        for pair in pairs_of(group.settings, group.members, group.study.methods)
    ]


CONNECTIVITY_SECTION = Section(
    "connectivity", connection_settings, connected, plain_connection, entry="connectivity"
)
_PATHS = Groups(CONNECTIVITY_SECTION.name, PathEntry)
_CURVES = Groups(CONNECTIVITY_SECTION.name, CurveEntry)
_LAYERS = Groups(CONNECTIVITY_SECTION.name, LayersEntry)
PATH = Stage(
    "path",
    outputs={"path": _PATHS.file("path.csv"), "barriers": _PATHS.file("barriers.csv")},
    inputs=_PATHS.each(group_trajectories),
    settings=_PATHS.each(_path_settings),
    jobs=_PATHS.jobs,
    resume=_PATHS.file("resume"),
    section=CONNECTIVITY_SECTION.name,
    gpu=True,
    unit="paths",
)
CURVE = Stage(
    "curve",
    outputs={
        "curve": _CURVES.file("curve.csv"),
        "curve_barriers": _CURVES.file("curve-barriers.csv"),
        "bends": _CURVES.file("bends.csv"),
        "weights": _CURVES.file("bends.npy"),
    },
    inputs=_CURVES.each(_pairs_inputs),
    settings=_CURVES.each(_curve_settings),
    jobs=_CURVES.jobs,
    resume=_CURVES.file("resume"),
    section=CONNECTIVITY_SECTION.name,
    gpu=True,
    unit="curves",
)
LAYERS = Stage(
    "layers",
    outputs={"layers": _LAYERS.file("layers.csv"), "distances": _LAYERS.file("distances.csv")},
    inputs=_LAYERS.each(_pairs_inputs),
    settings=_LAYERS.each(_layers_settings),
    jobs=_LAYERS.jobs,
    resume=_LAYERS.file("resume"),
    section=CONNECTIVITY_SECTION.name,
    gpu=True,
)
