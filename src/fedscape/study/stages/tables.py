"""Stages `tables`, `claims`, `costs` and `table`: what the CSVs of a whole study say together."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import PurePath

from fedscape.plugins import Plugin
from fedscape.settings.claims import Case, Claim
from fedscape.settings.tables import TableColumn
from fedscape.study.catalog import constant
from fedscape.study.stages.connectivity import CURVE, LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE
from fedscape.study.stages.drift import DRIFT
from fedscape.study.stages.planes import PLANE, SURFACE
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards, group_files
from fedscape.study.stages.training import INITIAL, PRETRAIN, run_files
from fedscape.study.study import Study

_TABLES = f"{RESULTS}/tables"
MEASURED_ON = {
    "barriers": (PATH, "barriers"),
    "curve_barriers": (CURVE, "curve_barriers"),
    "layers": (LAYERS, "layers"),
    "distances": (LAYERS, "distances"),
    "markers": (PLANE, "markers"),
    "surface": (SURFACE, "surface"),
    "curvature": (CURVATURE, "curvature"),
}
"""Which stage's output a source of measures is; of those that are a group's own."""
_LONG = (PLANE, SURFACE, PATH, CURVE, LAYERS, CURVATURE)  # analyses whose seconds the table of costs collects


def sources_of(measure: Plugin) -> tuple[str, ...]:
    """The CSVs that a measure reads, by name."""
    read = constant("measure", measure.kind, "SOURCES")
    return read if isinstance(read, tuple) else ()


def _tables_inputs(study: Study, wildcards: Wildcards) -> Files:
    return {
        "rounds": run_files(study, study.runs, "rounds"),
        "barriers": group_files(PATH, "barriers", study),
        "layers": group_files(LAYERS, "layers", study),
        "distances": group_files(LAYERS, "distances", study),
        "curvature": group_files(CURVATURE, "curvature", study),
        "drift": group_files(DRIFT, "drift", study),
    }


def _tables_settings(study: Study, wildcards: Wildcards) -> dict:
    """What the points of a grid stand for."""
    methods = {run.method for run in study.runs}
    return {"grids": sorted([name, values] for name, values in study.grids.items() if name in methods)}


def _costs_inputs(study: Study, wildcards: Wildcards) -> Files:
    """The clock of each run, and by the names of stages an output of each other long job.

    The latter are there for their benchmarks, which are no inputs: one that is missing makes nothing run.
    """
    starts = [
        stage.file(study, start, "start") for stage in (INITIAL, PRETRAIN) for start in stage.jobs(study)
    ]
    return {
        "timing": run_files(study, study.trained_runs, "timing"),
        INITIAL.name: starts,
        **{stage.name: group_files(stage, next(iter(stage.outputs)), study) for stage in _LONG},
    }


def _claims_inputs(study: Study, wildcards: Wildcards) -> Files:
    files = {
        source: [path for claim in study.claims for path in _sources(study, source, claim, claim.cases)]
        for source in ("rounds", *MEASURED_ON)
    }
    if any(claim.learned for claim in study.claims):
        files["rounds"].append(TABLES.file(study, {}, "rounds"))
    return _with_runs(study, files)


def _claims_settings(study: Study, wildcards: Wildcards) -> dict:
    return {"claims": [asdict(claim) for claim in study.claims]}


def _table_inputs(study: Study, wildcards: Wildcards) -> Files:
    """The cells of a table may also be about what runs cost: the clock, `timing.csv`."""
    table = study.tables[wildcards["table"]]
    measured = [
        (column, cell) for row in table.cells for column, cell in zip(table.columns, row, strict=True)
    ]
    return _with_runs(
        study,
        {
            source: [path for column, cell in measured for path in _sources(study, source, column, cell)]
            for source in ("rounds", "timing", *MEASURED_ON)
        },
    )


def _table_settings(study: Study, wildcards: Wildcards) -> dict:
    return {"table": asdict(study.tables[wildcards["table"]])}


def _sources(study: Study, source: str, what: Claim | TableColumn, cases: Iterable[Case]) -> list[str]:
    """The CSVs of one kind that a claim or a column is measured on, if its measure reads such."""
    if what.measure is None or source not in sources_of(what.measure):
        return []
    if source == "timing":  # not costs.csv, which waits for all jobs of the study
        return run_files(study, study.runs, "timing")
    if source not in MEASURED_ON:  # a measure may read a table of all runs beside a group's own CSV
        return [TABLES.file(study, {}, source)]
    stage, output = MEASURED_ON[source]
    return [path for case in cases for path in group_files(stage, output, study, what.name, case.groups)]


def _with_runs(study: Study, files: Mapping[str, Iterable[str]]) -> Files:
    """CSVs by source, each once, behind the table of all runs."""
    others = {source: list(dict.fromkeys(paths)) for source, paths in files.items()}
    return {"runs": [TABLES.file(study, {}, "runs")], **others}


def _once(condition: Callable[[Study], object] = lambda study: True) -> Callable[[Study], list[Wildcards]]:
    """For `jobs`: one for the whole study, if the condition holds for it."""
    return lambda study: [{}] if condition(study) else []


def _measured_tables(study: Study) -> Iterator[Wildcards]:
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
    settings=lambda study, wildcards: {},
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
OF_EVERY_STUDY = tuple(
    dict.fromkeys(PurePath(path).stem for stage in (TABLES, CLAIMS, COSTS) for path in stage.outputs.values())
)
"""Wildcards of files of `tables/` that every study has: no table can have them."""
