"""Every kind of CSV that tables and figures read, by its name, and every column of any."""

from collections.abc import Mapping

from fedscape.columns import connectivity, curvature, drift, planes, runs, tables
from fedscape.columns.column import Column, File, described

FILES: Mapping[str, File] = {
    "partitions": runs.PARTITIONS_CSV,
    "rounds": runs.ROUNDS_CSV,
    "timing": runs.TIMING_CSV,
    "runs": runs.RUNS_CSV,
    "markers": planes.MARKERS_CSV,
    "surface": planes.SURFACE_CSV,
    "path": connectivity.PATH_CSV,
    "barriers": connectivity.BARRIERS_CSV,
    "layers": connectivity.LAYERS_CSV,
    "distances": connectivity.DISTANCES_CSV,
    "curve": connectivity.CURVE_CSV,
    "curve_barriers": connectivity.CURVE_BARRIERS_CSV,
    "bends": connectivity.BENDS_CSV,
    "curvature": curvature.CURVATURE_CSV,
    "density": curvature.DENSITY_CSV,
    "drift": drift.DRIFT_CSV,
    "claims": tables.CLAIMS_CSV,
    "contrasts": tables.CONTRASTS_CSV,
    "claim-values": tables.CLAIM_VALUES_CSV,
    "table": tables.TABLE_CSV,
    "costs": runs.COSTS_CSV,
}
COLUMNS: Mapping[str, Column] = {
    name: column for file in FILES.values() for name, column in described(*file.families).items()
}
