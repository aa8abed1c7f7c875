"""Every kind of CSV that tables and figures read, by its name, and every column of any."""

from collections.abc import Mapping

from fedscape.columns import connectivity, curvature, drift, planes, runs, tables
from fedscape.columns.column import Column, File, described

FILES: Mapping[str, File] = {
    "partitions": runs.PARTITIONS,
    "rounds": runs.ROUNDS,
    "timing": runs.TIMING,
    "runs": runs.RUNS,
    "markers": planes.MARKERS,
    "surface": planes.SURFACE,
    "path": connectivity.PATH,
    "barriers": connectivity.BARRIERS,
    "layers": connectivity.LAYERS,
    "distances": connectivity.DISTANCES,
    "curvature": curvature.CURVATURE,
    "density": curvature.DENSITY,
    "drift": drift.DRIFT,
    "claims": tables.CLAIMS,
    "contrasts": tables.CONTRASTS,
    "claim-values": tables.CLAIM_VALUES,
    "table": tables.TABLE,
    "costs": runs.COSTS,
}
COLUMNS: Mapping[str, Column] = {
    name: column for file in FILES.values() for name, column in described(*file.families).items()
}
