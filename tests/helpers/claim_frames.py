"""Surfaces and markers as their CSVs have them, and a measure of them."""

import itertools
import math

import numpy as np
import pandas as pd

from fedscape.plugins import load

NAN = math.nan
BOTTOM = ["bottom_x", "bottom_y", "bottom_shift"]
DISTANCES = ["distance_to_reference", "distance_to_reference_path", "distance_to_reference_end"]


def measured(kind, frames, **settings):
    plugin = load("tables.measures", kind)
    return plugin.value(frames, plugin.Settings(**settings))


def standard_error(kind, frames, **settings):
    plugin = load("tables.measures", kind)
    return plugin.standard_error(frames, plugin.Settings(**settings))


def surface(loss, x=(-1.0, 1.0, 21), y=(-1.0, 1.0, 21), group="g", **columns):
    """Rows of surface.csv of loss(x, y) on a grid of the given (first, last, points)."""
    points = [
        (i, j, float(a), float(b))
        for (i, a), (j, b) in itertools.product(
            enumerate(np.linspace(*x).tolist()), enumerate(np.linspace(*y).tolist())
        )
    ]
    frame = pd.DataFrame(points, columns=["i", "j", "x", "y"])
    frame["loss"] = [loss(a, b) for *_, a, b in points]
    return frame.assign(**{"loss_se": NAN, "client": NAN, "plane": "p", "group": group, **columns})


def markers(rows, group="g", run="r"):
    """Rows of markers.csv, with the columns that a measure may look at."""
    losses = ["loss", "own_loss", "own_loss_at_start"]
    columns = ["round", "role", "client", "x", "y", *losses, *DISTANCES, *BOTTOM]
    return pd.DataFrame(rows, columns=columns).assign(group=group, run=run)


def curvature(quantity, value, number=5, group="g", **columns):
    """A row of curvature.csv."""
    row = {
        "curvature": "ends", "group": group, "round": number, "of": "global", "client": -1, "data": "global",
        "quantity": quantity, "index": int(quantity == "eigenvalue"), "layer": None, "definition": None,
        "radius": None, "estimator": "lanczos", "value": value, "standard_error": None, "residual": 0.0,
        "products": 9, "batch_norm": "none", "samples": 64,
    }  # fmt: skip
    return {**row, **columns}
