"""Stages `tables`, `claims`, `costs` and `table`: what the CSVs of a whole study say together."""

from collections.abc import Callable, Iterable, Iterator

from fedscape.study.catalog import constant
from fedscape.study.stages.connectivity import LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE
from fedscape.study.stages.drift import DRIFT
from fedscape.study.stages.planes import PLANE, SURFACE
from fedscape.study.stages.stage import RESULTS, Files, Names, Stage, group_files
from fedscape.study.stages.training import INITIAL, PRETRAIN, run_files
from fedscape.study.study import Case, Claim, Column, Study

_TABLES = f"{RESULTS}/tables"
# Which stage's output a measure's source is, by the name that the rules have for it.
_MEASURED_ON = {
    "barriers": (PATH, "barriers"),
    "layers": (LAYERS, "layers"),
    "distances": (LAYERS, "distances"),
    "markers": (PLANE, "markers"),
    "surface": (SURFACE, "surface"),
    "curvature": (CURVATURE, "curvature"),
}
_INPUTS = {"surface": "surfaces", "curvature": "curvatures", "timing": "timings"}  # else as the source
_LONG = (PLANE, SURFACE, PATH, LAYERS, CURVATURE)  # analyses whose seconds the table of costs collects


def _tables_inputs(study: Study, names: Names) -> Files:
    return {
        "rounds": run_files(study, study.runs, "rounds"),
        "barriers": group_files(PATH, "barriers", study),
        "layers": group_files(LAYERS, "layers", study),
        "distances": group_files(LAYERS, "distances", study),
        "curvatures": group_files(CURVATURE, "curvature", study),
        "drifts": group_files(DRIFT, "drift", study),
    }


def _tables_settings(study: Study, names: Names) -> dict:
    """What the points of a grid stand for."""
    methods = {run.method for run in study.runs}
    return {"grids": sorted([name, values] for name, values in study.grids.items() if name in methods)}


def _costs_inputs(study: Study, names: Names) -> Files:
    starts = [stage.file(study, one, "start") for stage in (INITIAL, PRETRAIN) for one in stage.jobs(study)]
    return {
        "timings": run_files(study, study.runs, "timing"),
        # For their benchmarks, which are no inputs: one that is missing makes nothing run.
        "made": [
            *dict.fromkeys(starts),
            *(path for stage in _LONG for path in group_files(stage, next(iter(stage.outputs)), study)),
        ],
    }


def _claims_inputs(study: Study, names: Names) -> Files:
    found = {
        source: [path for claim in study.claims for path in _sources(study, source, claim, claim.cases)]
        for source in ("rounds", *_MEASURED_ON)
    }
    if any(claim.learned for claim in study.claims):
        found["rounds"].append(TABLES.file(study, {}, "rounds"))
    return _as_inputs(study, found)


def _claims_settings(study: Study, names: Names) -> dict:
    """The measure of each claim stands in a list of its own, in the same order."""
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
                        "cases": [{"seed": seed, **_case(side.cases[seed])} for seed in claim.seeds],
                    }
                    for side in claim.sides
                ],
            }
            for claim in study.claims
        ],
    }


def _table_inputs(study: Study, names: Names) -> Files:
    """The cells of a table may also be about what runs cost: the clock, `timing.csv`."""
    table = study.tables[names["table"]]
    return _as_inputs(
        study,
        {
            source: [
                path
                for row in table.cells
                for column, cell in zip(table.columns, row, strict=True)
                if column.measure
                for path in _sources(study, source, column, cell)
            ]
            for source in ("rounds", "timing", *_MEASURED_ON)
        },
    )


def _table_settings(study: Study, names: Names) -> dict:
    """The measures of a table's columns stand in a list of their own."""
    table = study.tables[names["table"]]
    return {
        "measure": [column.measure for column in table.columns if column.measure],
        "table": {
            "title": table.title,
            "source": table.source,
            "rows": table.rows,
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
                for column in table.columns
            ],
            "cells": [
                [[{"seed": case.runs[0].seed, **_case(case)} for case in cell] for cell in row]
                for row in table.cells
            ],
            "published": table.published,
            "interval": table.interval,
        },
    }


def _case(case: Case) -> dict:
    """What a claim's case or a table's cell is measured on, runs by their paths."""
    return {
        "runs": [run.path for run in case.runs],
        "groups": case.groups,
        "needs": [run.path for run in case.needs],
    }


def _sources(study: Study, source: str, what: Claim | Column, cases: Iterable[Case]) -> list[str]:
    """The CSVs of one kind that a claim or a column is measured on, if its measure reads such."""
    if source not in constant("measure", what.measure["kind"], "SOURCES"):
        return []
    if source == "timing":  # not costs.csv, which waits for all jobs of the study
        return run_files(study, study.runs, "timing")
    if not what.section:
        return [TABLES.file(study, {}, source)]
    stage, output = _MEASURED_ON[source]
    return [path for case in cases for path in group_files(stage, output, study, what.name, case.groups)]


def _as_inputs(study: Study, found: dict[str, list[str]]) -> Files:
    """The inputs of a rule by its names for them, each file once, behind the table of all runs."""
    named = {_INPUTS.get(source, source): list(dict.fromkeys(files)) for source, files in found.items()}
    return {"runs": TABLES.file(study, {}, "runs"), **named}


def _no_settings(study: Study, names: Names) -> dict:
    return {}


def _once(wanted: Callable[[Study], object] = lambda study: True) -> Callable[[Study], list[Names]]:
    """For `jobs`: one for the whole study, if it wants any."""
    return lambda study: [{}] if wanted(study) else []


def _measured_tables(study: Study) -> Iterator[Names]:
    for name, table in study.tables.items():
        if table.has_runs:
            yield {"table": name}


TABLES = Stage(
    "tables",
    outputs={
        "runs": f"{_TABLES}/runs.csv",
        "summary": f"{_TABLES}/runs.md",
        "rounds": f"{_TABLES}/rounds.csv",
        "barriers": f"{_TABLES}/barriers.csv",
        "layers": f"{_TABLES}/layers.csv",
        "distances": f"{_TABLES}/distances.csv",
        "curvature": f"{_TABLES}/curvature.csv",
        "drift": f"{_TABLES}/drift.csv",
    },
    inputs=_tables_inputs,
    settings=_tables_settings,
    jobs=_once(),
    targets=("runs", "summary"),
    local=True,
)
CLAIMS = Stage(
    "claims",
    outputs={
        "csv": f"{_TABLES}/claims.csv",
        "contrasts": f"{_TABLES}/contrasts.csv",
        "values": f"{_TABLES}/claim-values.csv",
        "page": f"{_TABLES}/claims.md",
    },
    inputs=_claims_inputs,
    settings=_claims_settings,
    jobs=_once(lambda study: study.claims),
    targets=("csv", "contrasts", "values", "page"),
    local=True,
)
COSTS = Stage(
    "costs",
    outputs={"costs": f"{_TABLES}/costs.csv"},
    inputs=_costs_inputs,
    settings=_no_settings,
    jobs=_once(),
    targets=("costs",),
    local=True,
)
TABLE = Stage(
    "table",
    outputs={"csv": f"{_TABLES}/{{table}}.csv", "page": f"{_TABLES}/{{table}}.md"},
    inputs=_table_inputs,
    settings=_table_settings,
    jobs=_measured_tables,
    logs="tables",
    targets=("csv", "page"),
    local=True,
)
