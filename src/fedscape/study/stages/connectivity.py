"""Stages `path` and `layers`: lines between models, and barriers layer by layer."""

from fedscape.study.connections import connected, connection_settings, pairs_of
from fedscape.study.stages.analysis import clients_of, group_trajectories, run_names
from fedscape.study.stages.stage import (
    Entry,
    Files,
    Names,
    Section,
    Stage,
    analysed,
    analysed_runs,
    groups,
    of_group,
)
from fedscape.study.study import Study

SECTION = "connectivity"


def _path_inputs(study: Study, names: Names) -> Files:
    return group_trajectories(SECTION, study, names)


def _path_settings(study: Study, names: Names) -> dict:
    entry, pairs = analysed(SECTION, study, names)
    runs = analysed_runs(SECTION, study, names)
    return {
        **{key: entry[key] for key in ("points", "samples", "batch_norm")},
        **run_names(study, runs),
        "pairs": [[runs.index(end) for end in pair] for pair in pairs],
    }


def _layers_inputs(study: Study, names: Names) -> Files:
    between = analysed(SECTION, study, names)[0]["between"]
    clients = clients_of(SECTION, study, names, between == "clients")
    return {**group_trajectories(SECTION, study, names), "clients": clients}


def _layers_settings(study: Study, names: Names) -> dict:
    entry, members = analysed(SECTION, study, names)
    keys = ("regimes", "groups", "order_seed", "directions", "alignment", "samples", "batch_norm", "between")
    runs = analysed_runs(SECTION, study, names)
    return {
        **{key: entry[key] for key in keys},
        **run_names(study, runs),
        "pairs": [
            {**pair, **{end: runs.index(pair[end]) for end in ("from", "to")}}
            for pair in pairs_of(entry, members, study.methods)
        ],
    }


def _entry_settings(entry: Entry) -> dict:
    return connection_settings(entry.keys, entry.members, entry.methods, entry.partitions, entry.place)


CONNECTIVITY = Section(SECTION, _entry_settings, connected, entry=SECTION)
PATH = Stage(
    "path",
    outputs={"path": of_group(SECTION, "path.csv"), "barriers": of_group(SECTION, "barriers.csv")},
    inputs=_path_inputs,
    settings=_path_settings,
    jobs=groups(SECTION, kind="path"),
    label="{name}_{group}",
    resume=of_group(SECTION, "resume"),
    section=SECTION,
    gpu=True,
    unit="paths",
)
LAYERS = Stage(
    "layers",
    outputs={"layers": of_group(SECTION, "layers.csv"), "distances": of_group(SECTION, "distances.csv")},
    inputs=_layers_inputs,
    settings=_layers_settings,
    jobs=groups(SECTION, kind="layers"),
    label="{name}_{group}",
    resume=of_group(SECTION, "resume"),
    section=SECTION,
    gpu=True,
)
