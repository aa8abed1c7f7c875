"""Stages `path` and `layers`: lines between models, and barriers layer by layer."""

from fedscape.study.connections import (
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


def _layers_inputs(group: Group[LayersEntry]) -> Files:
    of_clients = group.settings.between == "clients"
    return {**group_trajectories(group), "clients": group_clients(group) if of_clients else []}


def _layers_settings(group: Group[LayersEntry]) -> dict:
    entry, runs = plain_connection(group.settings), group.runs
    keys = ("regimes", "groups", "order_seed", "directions", "alignment", "samples", "batch_norm", "between")
    return {
        **{key: entry[key] for key in keys},
        **group_settings(group),
        "pairs": [
            {
                "from": runs.index(pair.start),
                "to": runs.index(pair.end),
                "round": pair.round,
                "to_round": pair.to_round,
                "client": pair.client,
                "to_client": pair.to_client,
            }
            for pair in pairs_of(group.settings, group.members, group.study.methods)
        ],
    }


CONNECTIVITY_SECTION = Section(
    "connectivity", connection_settings, connected, plain_connection, entry="connectivity"
)
_PATHS = Groups(CONNECTIVITY_SECTION.name, PathEntry)
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
LAYERS = Stage(
    "layers",
    outputs={"layers": _LAYERS.file("layers.csv"), "distances": _LAYERS.file("distances.csv")},
    inputs=_LAYERS.each(_layers_inputs),
    settings=_LAYERS.each(_layers_settings),
    jobs=_LAYERS.jobs,
    resume=_LAYERS.file("resume"),
    section=CONNECTIVITY_SECTION.name,
    gpu=True,
)
