"""What each stage's jobs depend on: the settings that reach a job, and nothing else.

One function a stage, from a study and the job's wildcards to nested settings of builtin types. Paths
hold names, settings hold values: renaming a partition or changing its alpha are different things.
A setting that a stage does not list here cannot make it run again, nor change what it does.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

from fedscape.study.catalog import PACKAGES, source
from fedscape.study.connections import pairs_of
from fedscape.study.digest import code_digest
from fedscape.study.grid import as_list
from fedscape.study.planes import plane_round
from fedscape.study.settings import encode
from fedscape.study.study import Case, Study


def tracked(stage: str, settings: Mapping[str, object], scripts: Path) -> list[str]:
    """The one list of strings that a job of `stage` is rerun for: the digest of its code, its settings."""
    plugins = tuple(
        (role, one["kind"]) for role in PACKAGES if role in settings for one in as_list(settings[role])
    )
    return [f"code={_digest(stage, plugins, scripts)}", *encode(settings)]


def partition(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one split for one seed."""
    entry = study.partitions[wildcards["partition"]]
    seed = int(wildcards["seed"])
    return {
        "partition": entry.scheme,
        "clients": entry.clients,
        "seed": seed,
        "partition_seed": seed if entry.seed is None else entry.seed,
        "images": study.images[wildcards["dataset"]],
        "test_images": study.test_images[wildcards["dataset"]],
        "validation": study.validation,
    }


def initial(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one start. Where it comes from another run, that run's file is an input."""
    init = study.inits[wildcards["init"]]
    start = dict(init.start)
    if start["kind"] == "after-round":
        # These name the run whose trajectory is an input; the names themselves do not reach the job.
        for key in ("partition", "method", "init"):
            del start[key]
    return {
        "initial": start,
        "model": study.models[wildcards["model"]],
        "seed": start_seed(study, wildcards["init"], int(wildcards["seed"])),
    }


def train(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one run."""
    method = study.methods[wildcards["method"]]
    seed = int(wildcards["seed"])
    return {
        "model": study.models[wildcards["model"]],
        "algorithm": method.algorithm,
        "server": method.server,
        "training": method.training,
        "keep_rounds": method.keep_rounds,
        "client_rounds": method.client_rounds,
        "client_paths": method.client_paths,
        "seed": seed,
        "order_seed": seed if method.order_seed is None else method.order_seed,
    }


def plane(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one plane through a group of runs."""
    analysis, runs = _analysis(study.planes, wildcards)
    settings = {key: analysis.settings[key] for key in ("plane", "samples", "batch_norm")}
    if "round" in settings["plane"]:
        number = plane_round(settings["plane"]["round"], study.methods[runs[0].method])
        settings["plane"] = {**settings["plane"], "round": number}
    return {**settings, "model": study.models[runs[0].model], "runs": [asdict(run) for run in runs]}


def surface(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the loss surface on one plane."""
    analysis, runs = _analysis(study.planes, wildcards)
    settings = {key: value for key, value in analysis.settings.items() if key != "plane"}
    return {**settings, "model": study.models[runs[0].model], "runs": [asdict(run) for run in runs]}


def export(study: Study, wildcards: Mapping[str, str]) -> dict:
    """The export of a plane has no settings."""
    _analysis(study.planes, wildcards)  # a KeyError for names that the study does not hold
    return {}


def path(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the lines between pairs of final models."""
    analysis, pairs = _analysis(study.connectivity, wildcards)
    settings = {key: analysis.settings[key] for key in ("points", "samples", "batch_norm")}
    pair_names = [[asdict(one), asdict(other)] for one, other in pairs]
    return {**settings, "model": study.models[pairs[0][0].model], "pairs": pair_names}


def layers(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the layer-wise barriers between pairs of models."""
    analysis, members = _analysis(study.connectivity, wildcards)
    names = ("regimes", "groups", "order_seed", "directions", "alignment", "samples", "batch_norm")
    settings = {name: analysis.settings[name] for name in names}
    pairs = pairs_of(analysis.settings, members, study.methods)
    return {
        **settings,
        "between": analysis.settings["between"],
        "model": study.models[pairs[0]["from"]["model"]],
        "pairs": pairs,
    }


def curvature(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the curvature at models of a group of runs."""
    analysis, runs = _analysis(study.curvature, wildcards)
    return {**analysis.settings, "model": study.models[runs[0].model], "runs": [asdict(run) for run in runs]}


def drift(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the distances of a group of runs."""
    _, runs = _analysis(study.drift, wildcards)
    return {"runs": [asdict(run) for run in runs]}


def tables(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the tables of all runs: what the points of a grid stand for."""
    methods = {run.method for run in study.runs}
    return {"grids": sorted([name, values] for name, values in study.grids.items() if name in methods)}


def claims(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of the table of claims; the measure of each in a list of its own, in the same order."""
    return {
        "measure": [claim.measure for claim in study.claims],
        "claims": [
            {
                "claim": claim.text,
                "source": claim.source,
                "section": claim.section,
                "name": claim.name,
                "expect": claim.expect,
                "learned": claim.learned,
                "sides": [
                    {
                        "where": side.where,
                        "has_runs": bool(side.cases),
                        "cases": [{"seed": seed, **_measured_on(side.cases[seed])} for seed in claim.seeds],
                    }
                    for side in claim.sides
                ],
            }
            for claim in study.claims
        ],
    }


def table(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one table of the paper; the measures of its columns in a list of their own."""
    entry = study.tables[wildcards["table"]]
    measures = [column.measure for column in entry.columns if column.measure]
    return {
        "measure": measures,
        "table": {
            "title": entry.title,
            "source": entry.source,
            "rows": entry.rows,
            "columns": [
                {
                    "label": column.label,
                    "measured": column.measure is not None,
                    "section": column.section,
                    "name": column.name,
                    "percent": column.percent,
                    "over": column.over,
                    "rank": column.rank,
                }
                for column in entry.columns
            ],
            "cells": [
                [[{"seed": case.runs[0].seed, **_measured_on(case)} for case in cell] for cell in row]
                for row in entry.cells
            ],
            "published": entry.published,
            "interval": entry.interval,
        },
    }


def costs(study: Study, wildcards: Mapping[str, str]) -> dict:
    """The cost table has no settings."""
    return {}


def figure(study: Study, wildcards: Mapping[str, str]) -> dict:
    """Settings of one figure."""
    figure = study.figures[wildcards["figure"]]
    # One string for the whole of `where`: its keys are column names, not settings.
    return {
        "figure": figure.kind,
        "title": figure.title,
        "where": sorted(figure.where.items()),
        "labels": study.labels,
    }


STAGES: Mapping[str, Callable[[Study, Mapping[str, str]], dict]] = {
    "partition": partition,
    "initial": initial,
    "train": train,
    "plane": plane,
    "surface": surface,
    "surface_part": surface,
    "export": export,
    "path": path,
    "layers": layers,
    "curvature": curvature,
    "drift": drift,
    "tables": tables,
    "claims": claims,
    "costs": costs,
    "table": table,
    "figure": figure,
}


def start_seed(study: Study, init: str, seed: int) -> int:
    """The seed of a start: the run's own, unless the entry pins one."""
    pinned = study.inits[init].seed
    return seed if pinned is None else pinned


def _measured_on(case: Case) -> dict:
    """What a claim's case or a table's cell is measured on, runs by their paths."""
    return {
        "runs": [run.path for run in case.runs],
        "groups": case.groups,
        "needs": [run.path for run in case.needs],
    }


def _analysis(section: Mapping, wildcards: Mapping[str, str]) -> tuple:
    analysis = section[wildcards["name"]]
    return analysis, analysis.groups[wildcards["group"]]


@cache
def _digest(stage: str, plugins: tuple[tuple[str, str], ...], scripts: Path) -> str:
    return code_digest([scripts / f"{stage}.py", *(source(role, kind) for role, kind in plugins)])
