"""What the explorer of a study's page shows: planes, barriers layer by layer, and spectra, as plain values.

Numbers travel as text: arrays of losses as float32 in base64, all else as JSON.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from fedscape.columns.identity import NAMES
from fedscape.figures.labels import pair_names, panel_titles, run_labels
from fedscape.figures.layer_names import layer_names
from fedscape.figures.looks import run_looks
from fedscape.figures.style import Look
from fedscape.tables.layers import cells, later_round, of_rests
from fedscape.tables.surfaces import lattice, loss_ceiling, typical_models

MARKER_NUMBERS = (
    "x",
    "y",
    "loss",
    "loss_under_policy",
    "loss_at_projection",
    "residual",
    "own_loss",
)
"""Columns of markers.csv that the explorer has for each model."""
SYMBOLS = {
    "o": ("circle", "circle"),
    "s": ("square", "square"),
    "^": ("triangle-up", "circle-open"),
    "D": ("diamond", "diamond"),
    "v": ("triangle-down", "square-open"),
    "P": ("cross", "cross"),
    "X": ("x", "x"),
}
"""Markers of figures: what Plotly calls them in the plane, and in space, where it has no triangles."""
LINE_WIDTH = 2  # pixels; a figure's dashes are multiples of it
ROLES = ("start", "path", "client", "aggregate")
"""Of models in one round, in the order in which they come about."""


def packed(values: np.ndarray) -> str:
    """An array as float32, little-endian, in base64; its shape is not kept."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


def plane(name: str, markers: pd.DataFrame, surface: pd.DataFrame, labels: Sequence[Mapping]) -> list[dict]:
    """The groups of one entry of `planes`, each with its surfaces and the models marked on them.

    markers, surface: rows of markers.csv and surface.csv of all its groups.
    """
    marked = markers[markers["role"] != "diverged"]
    marked = marked.assign(run=run_labels(marked, NAMES, ["group"], labels)) if len(marked) else marked
    looks = run_looks(marked, marked["run"], NAMES, ["group"], labels) if len(marked) else {}
    titles = panel_titles(markers, "group", labels)
    return [
        {
            "plane": name,
            "group": str(group),
            "title": titles[group],
            "axes": str(rows["axes"].iloc[0]),
            "batch_norm": str(rows["batch_norm"].iloc[0]),
            "samples": int(rows["samples"].iloc[0]),
            "explained": numbers(rows[["explained_x", "explained_y"]].iloc[0]),
            "ceiling": loss_ceiling(typical_models(rows)),
            "surfaces": surfaces(surface[surface["group"] == group]),
            "runs": runs(rows, looks),
            "steps": step_words(rows),
        }
        for group, rows in marked.groupby("group", sort=False)
    ]


def surfaces(rows: pd.DataFrame) -> list[dict]:
    """The loss on a group's grid: of all clients' samples (client null), then of each client's own."""
    clients = [None, *sorted(rows["client"].dropna().astype(int).unique().tolist())]
    of_client = {
        client: rows["client"].isna() if client is None else rows["client"] == client for client in clients
    }
    lattices = [(client, lattice(rows[own])) for client, own in of_client.items()]
    # A plot takes rows of y: [ny, nx].
    return [
        {"client": client, "x": numbers(x), "y": numbers(y), "loss": packed(loss.T)}
        for client, (x, y, loss) in lattices
    ]


def runs(rows: pd.DataFrame, looks: Mapping[str, Look]) -> list[dict]:
    """The models of each run (and seed), in the order in which they come about."""
    several = rows.groupby("run")["seed"].nunique().max() > 1
    return [
        {
            "run": f"{run}, seed {seed}" if several else str(run),
            "look": plotted(looks[str(run)]),
            **{column: numbers(part[column]) for column in MARKER_NUMBERS},
            "round": part["round"].astype(int).tolist(),
            "step": steps(part).tolist(),
            "role": part["role"].tolist(),
            "client": [None if pd.isna(client) else int(client) for client in part["client"]],
        }
        for (run, seed), part in rows.groupby(["run", "seed"], sort=False)
    ]


def plotted(look: Look) -> dict[str, str]:
    """A look in Plotly's words: symbols in the plane and in space, the lengths of dashes in pixels."""
    flat, solid = SYMBOLS[look.marker]
    lengths = [] if isinstance(look.line, str) else look.line[1] or []
    dash = ",".join(f"{LINE_WIDTH * length:g}px" for length in lengths) or "solid"
    return {"colour": look.colour, "symbol": flat, "solid": solid, "dash": dash}


def steps(rows: pd.DataFrame) -> pd.Series:
    """When each model is there: its round; within one round its local epoch, then all that it ends with."""
    if (rows["role"] == "global").all():
        return rows["round"].astype(int)
    last = int(rows["point"].max()) if rows["point"].notna().any() else 0
    moments = rows["role"].map({"start": 0, "client": last + 1, "aggregate": last + 2})
    return moments.where(rows["role"] != "path", rows["point"]).astype(int)


def step_words(rows: pd.DataFrame) -> dict[str, str]:
    """What each step is called; one alone needs no slider."""
    if (rows["role"] == "global").all():
        return {str(number): f"round {number}" for number in sorted(rows["round"].unique())}
    words = {}
    for step, role, point in sorted(
        zip(steps(rows), rows["role"], rows["point"], strict=True), key=lambda row: row[0]
    ):
        words[str(step)] = {
            "start": "start of the round",
            "client": "end of local training",
            "aggregate": "after aggregation",
        }.get(role) or f"local epoch {int(point)}"
    return words


def layers(name: str, rows: pd.DataFrame, labels: Sequence[Mapping]) -> list[dict]:
    """Barriers of single layers of one entry of `connectivity`: a heat map per round over pairs and layers.

    As in figures, a cell is a mean that has a value only where all that it is of have one.
    """
    shown = of_rests(rows[rows["regime"] == "single"])
    if shown.empty:
        return []
    shown = shown.assign(pair=pair_words(shown, labels), layer=layer_names(shown), at=later_round(shown))
    maps = []
    for (split, measure, alignment), part in shown.groupby(["split", "measure", "alignment"], sort=False):
        order = part.sort_values("depth")["layer"].drop_duplicates().tolist()
        pairs = part["pair"].drop_duplicates().tolist()
        by_round = {
            str(number): packed(
                cells(at, ["pair", "layer"], "barrier")
                .pivot(index="pair", columns="layer", values="mean")
                .reindex(index=pairs, columns=order)
                .to_numpy(float)
            )
            for number, at in part.groupby("at")
        }
        words = [f"{name}: {measure}", f"{split} samples"]
        words += [f"{alignment} units matched"] if shown["alignment"].nunique() > 1 else []
        maps.append(
            {
                "title": ", ".join(words), "measure": str(measure), "layers": order, "pairs": pairs,
                "barrier": by_round,
            }
        )  # fmt: skip
    return maps


def pair_words(rows: pd.DataFrame, labels: Sequence[Mapping]) -> pd.Series:
    """What a pair of models is called: its runs, and its clients where it is of two."""
    names = pair_names(rows, (), labels)
    if rows["seed"].nunique() > 1:
        names = names + ", seed " + rows["seed"].astype(str)
    clients = rows["client"].astype(str) + " and " + rows["to_client"].astype(str)
    return names.where(rows["between"] != "clients", names + ", clients " + clients)


def spectra(rows: pd.DataFrame, labels: Sequence[Mapping]) -> list[dict]:
    """Densities of eigenvalues: of each entry and group, a line for each model."""
    if rows.empty:
        return []
    rows = rows.assign(run=run_labels(rows, NAMES, ["curvature", "group"], labels))
    looks = run_looks(rows, rows["run"], NAMES, ["curvature", "group"], labels)
    keys = ["run", "seed", "round", "of", "client", "data"]
    return [
        {
            "title": f"{name}: {group}",
            "lines": [
                {
                    "name": f"{run}, round {number}"
                    + (f", client {client} ({data})" if of == "client" else ""),
                    "look": plotted(looks[str(run)]),
                    "eigenvalue": numbers(line["eigenvalue"]),
                    "density": numbers(line["density"]),
                }
                for (run, _, number, of, client, data), line in part.groupby(keys, sort=False, dropna=False)
            ],
        }
        for (name, group), part in rows.groupby(["curvature", "group"], sort=False)
    ]


def numbers(values: Iterable[float]) -> list[float | None]:
    """Finite numbers with six digits; null for others, which JSON does not have."""
    return [
        float(f"{value:.6g}") if math.isfinite(value) else None for value in np.asarray(values, dtype=float)
    ]
