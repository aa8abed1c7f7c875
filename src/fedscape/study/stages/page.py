"""Stage `page`: what came of a study, on one HTML page."""

from fedscape.study.looks import name_numbers
from fedscape.study.stages.connectivity import LAYERS
from fedscape.study.stages.curvature import CURVATURE
from fedscape.study.stages.figures import FIGURE
from fedscape.study.stages.planes import PLANE, SURFACE
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards, group_files
from fedscape.study.stages.tables import CLAIMS, COSTS, TABLE, TABLES
from fedscape.study.stages.training import run_files
from fedscape.study.study import Study


def _inputs(study: Study, wildcards: Wildcards) -> Files:
    """CSVs and pictures by what they hold; of runs also when, where and by which commit they were made."""
    claims = {"claims": "csv", "contrasts": "contrasts"} if study.claims else {}
    return {
        "runs": [TABLES.file(study, {}, "runs")],
        "costs": [COSTS.file(study, {}, "costs")],
        **{source: [CLAIMS.file(study, {}, output)] for source, output in claims.items()},
        "table": [TABLE.file(study, names, "csv") for names in TABLE.jobs(study)],
        "markers": group_files(PLANE, "markers", study),
        "surface": group_files(SURFACE, "surface", study),
        "layers": group_files(LAYERS, "layers", study),
        "density": group_files(CURVATURE, "density", study),
        "figure": [FIGURE.file(study, names, "png") for names in FIGURE.jobs(study)],
        "run": run_files(study, study.runs, "run"),
    }


def _settings(study: Study, wildcards: Wildcards) -> dict:
    # Lists, as names of figures and tables may hold dots.
    return {
        "title": study.title,
        "paper": study.paper,
        "labels": study.labels,
        "numbers": name_numbers(study, study.runs),
        "figures": [[name, figure.title, figure.caption] for name, figure in study.figures.items()],
        "claims": study.claim_figures,
        "tables": [[name, table.title] for name, table in study.tables.items()],
    }


PAGE = Stage(
    "page",
    outputs={"html": f"{RESULTS}/index.html", "library": f"{RESULTS}/plotly.min.js"},
    inputs=_inputs,
    settings=_settings,
    jobs=lambda study: [{}],
    targets=("html",),
    local=True,
)
