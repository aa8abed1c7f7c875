"""Surfaces and the models on them for ParaView: VTK's XML formats as text (VTK user's guide, "File Formats").

Both files share their coordinates: x and y of the plane, and as height z the decimal logarithm of the loss.
Far from all models a loss can be astronomical, or not finite: there the height is capped at the figures'
ceiling, ten times the loss of the worst model (or a loss of 1). The arrays on the points are not capped. What
is not finite is `nan` in them, which ParaView gives a colour of its own (VTK reads the text `-inf` as `inf`).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from fedscape.files import write_text
from fedscape.tables.read import read_table, run_paths
from fedscape.tables.surfaces import SMALLEST_LOSS, loss_ceiling

NONE = -1  # in integer arrays: not applicable
_HEIGHT = "x, y: coordinates on the plane, as in the CSVs; z: log10 of the loss"


def export_plane(
    *, surface: str | Path, markers: str | Path, out_surface: str | Path, out_trajectories: str | Path
) -> None:
    """Write `surface.vts` and `trajectories.vtp` of one plane from its `surface.csv` and `markers.csv`."""
    surface_rows, marker_rows = read_table(surface, "surface"), read_table(markers, "markers")
    write_surface(out_surface, surface_rows, marker_rows)
    write_trajectories(out_trajectories, marker_rows)


def write_surface(path: str | Path, surface: pd.DataFrame, markers: pd.DataFrame) -> None:
    """Write a StructuredGrid of nx x ny x 1 points with the arrays loss, log10_loss and error.

    surface: rows of surface.csv of one plane and group; those of a client become `loss_client_<number>`.
    markers: rows of markers.csv, for the ceiling. No rows: an empty grid.
    """
    surface = surface.sort_values(["j", "i"], kind="stable")  # in VTK the first index runs fastest
    overall = surface[surface["client"].isna()]
    loss = overall["loss"].to_numpy(dtype=float)
    arrays = {
        "loss": loss,
        "log10_loss": np.where(np.isfinite(loss), _log10(loss), np.nan),
        "error": overall["error"].to_numpy(dtype=float),
    }
    for client, rows in surface.groupby("client"):
        arrays[f"loss_client_{client:.0f}"] = rows["loss"].to_numpy(dtype=float)
    extent = f"0 {overall['i'].nunique() - 1} 0 {overall['j'].nunique() - 1} 0 {min(len(overall), 1) - 1}"
    piece = [
        f'<Piece Extent="{extent}">',
        *_point_data(arrays),
        *_points(overall, loss, loss_ceiling(markers)),
        "</Piece>",
    ]
    _write(path, "StructuredGrid", f' WholeExtent="{extent}"', piece)


def write_trajectories(path: str | Path, markers: pd.DataFrame) -> None:
    """Write PolyData: a line per run through its global models by round, a vertex for every other model.

    markers: rows of markers.csv of one plane and group; runs that diverged have no position and are left out.
    The height is the loss at the projection, so that models lie on the surface; a model's own loss is the
    array `loss`. The arrays `run` and `role` are indices into the file's lists (field data) `runs` and
    `roles`; round, client and point are -1 where they do not apply. No rows: an empty file.
    """
    models = markers[markers["role"] != "diverged"].reset_index(drop=True)
    projected = models["loss_at_projection"].to_numpy(dtype=float)
    names = run_paths(models).tolist()
    runs, roles = list(dict.fromkeys(names)), list(dict.fromkeys(models["role"]))
    arrays = {
        "loss": models["loss"].to_numpy(dtype=float),
        "loss_at_projection": projected,
        "residual": models["residual"].to_numpy(dtype=float),
        "round": _integers(models["round"]),
        "client": _integers(models["client"]),
        "point": _integers(models["point"]),
        "run": np.array([runs.index(name) for name in names], dtype=np.int64),
        "role": np.array([roles.index(role) for role in models["role"]], dtype=np.int64),
    }
    trajectories = models.assign(run=arrays["run"])[models["role"] == "global"].sort_values(["run", "round"])
    lines = [list(rows.index) for _, rows in trajectories.groupby("run") if len(rows) > 1]
    on_lines = {point for line in lines for point in line}
    vertices = [[point] for point in models.index if point not in on_lines]
    piece = [
        "<FieldData>",
        *_words("runs", runs),
        *_words("roles", roles),
        "</FieldData>",
        f'<Piece NumberOfPoints="{len(models)}" NumberOfVerts="{len(vertices)}" NumberOfLines="{len(lines)}"'
        ' NumberOfStrips="0" NumberOfPolys="0">',
        *_point_data(arrays),
        *_points(models, projected, loss_ceiling(markers)),
        *_cells("Verts", vertices),
        *_cells("Lines", lines),
        "</Piece>",
    ]
    _write(path, "PolyData", "", piece)


def _log10(loss: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(loss, SMALLEST_LOSS))


def _integers(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column).fillna(NONE).to_numpy(dtype=np.int64)


def _points(frame: pd.DataFrame, loss: np.ndarray, ceiling: float) -> list[str]:
    height = _log10(np.minimum(np.where(np.isfinite(loss), loss, ceiling), ceiling))
    points = np.column_stack([frame["x"].to_numpy(dtype=float), frame["y"].to_numpy(dtype=float), height])
    return ["<Points>", *_array("points", points), "</Points>"]


def _point_data(arrays: dict[str, np.ndarray]) -> list[str]:
    lines = [line for name, values in arrays.items() for line in _array(name, values)]
    return ['<PointData Scalars="loss">', *lines, "</PointData>"]


def _cells(kind: str, cells: list[list[int]]) -> list[str]:
    """Cells as VTK lists them: the points of all cells in one array, and where each cell ends."""
    points = np.array([point for cell in cells for point in cell], dtype=np.int64)
    ends = np.cumsum([len(cell) for cell in cells], dtype=np.int64)
    return [f"<{kind}>", *_array("connectivity", points), *_array("offsets", ends), f"</{kind}>"]


def _array(name: str, values: np.ndarray) -> list[str]:
    """One array [n] or [n, components], a tuple on each line."""
    components = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    kind = "Int64" if np.issubdtype(values.dtype, np.integer) else "Float64"
    start = f'<DataArray type="{kind}" Name="{name}"{components} format="ascii">'
    rows = (" ".join(_number(value) for value in np.atleast_1d(row)) for row in values)
    return [start, *rows, "</DataArray>"]


def _number(value: float) -> str:
    """A number as in the CSVs, with nine digits; what is not finite is `nan`."""
    return f"{value:.9g}" if np.isfinite(value) else "nan"


def _words(name: str, words: list[str]) -> list[str]:
    """An array of strings, each as the numbers of its bytes and a zero."""
    rows = (" ".join(map(str, [*str(word).encode(), 0])) for word in words)  # a missing word is `nan`
    return [
        f'<Array type="String" Name="{name}" NumberOfTuples="{len(words)}" format="ascii">',
        *rows,
        "</Array>",
    ]


def _write(path: str | Path, kind: str, attributes: str, content: list[str]) -> None:
    lines = [
        '<?xml version="1.0"?>',
        f"<!-- {_HEIGHT} -->",
        f'<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian">',
        f"<{kind}{attributes}>",
        *content,
        f"</{kind}>",
        "</VTKFile>",
    ]
    write_text(path, "\n".join(lines) + "\n")
