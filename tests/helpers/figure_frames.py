"""Synthetic CSVs of planes, surfaces and paths, with a loss that is known in closed form."""

import numpy as np
import pandas as pd

RUN = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid",
    "init": "random", "method": "fedavg", "seed": 0,
}  # fmt: skip
PLANE = {"plane": "one", "group": "all"}
MARKER = {
    **RUN, **PLANE, "round": 0, "role": "global", "client": None, "point": None, "x": 0.0, "y": 0.0,
    "residual": 0.2, "loss": 1.0, "loss_under_policy": 1.0, "loss_at_projection": 1.0, "error": 0.5,
    "error_at_projection": 0.5, "own_loss": None, "own_loss_at_start": None, "distance_to_reference": None,
    "explained_x": 0.61, "explained_y": 0.2, "curvature_x": None, "curvature_y": None, "axes": "pca",
    "batch_norm": "none", "samples": 1500,
}  # fmt: skip


def surface_frame(nx=7, ny=4, lowest=(6, 0), low=(0, 10), high=(6, 11.5), client=None, loss=None, **names):
    """A bowl on a grid of 7 x 4 points with its lowest point in a corner; x in [0, 6], y in [10, 11.5].

    loss: a function of x and y instead of the bowl around the grid point `lowest`.
    """
    rows = []
    for i, x in enumerate(np.linspace(low[0], high[0], nx)):
        for j, y in enumerate(np.linspace(low[1], high[1], ny)):
            value = loss(x, y) if loss else 0.1 + (i - lowest[0]) ** 2 + (j - lowest[1]) ** 2
            rows.append(
                {**RUN, "partition": "*", **PLANE, **names, "client": client, "i": i, "j": j, "x": x, "y": y,
                 "loss": value, "loss_se": 0.01, "error": 0.5, "error_se": 0.01, "samples": 1500,
                 "batch_norm": "none", "precision": "fp32", "interpolated": False, "interpolation_error": None,
                 "axes": "pca"}
            )  # fmt: skip
    return pd.DataFrame(rows)


def markers_frame(partitions=("iid", "dir0.1"), rounds=range(4), seeds=(0,), **names):
    """Trajectories that step along x, one run above the other; shown at nine tenths of their loss."""
    rows = []
    for index, partition in enumerate(partitions):
        for seed in seeds:
            for number in rounds:
                loss = 2.0 / (1 + number) + index
                rows.append(
                    {**MARKER, "partition": partition, "seed": seed, **names, "round": number, "x": 1.0 + number,
                     "y": 10.2 + index / 2 + 0.1 * seed, "loss": loss, "loss_under_policy": loss,
                     "loss_at_projection": 0.9 * loss}
                )  # fmt: skip
    return pd.DataFrame(rows)


def diverged_row(**names):
    """The one row of a run that diverged: every measure is empty."""
    empty = dict.fromkeys(list(MARKER)[list(MARKER).index("x") :], np.nan)
    return pd.DataFrame([{**MARKER, **empty, **names, "role": "diverged"}])


def round_frames(clients=4, paths=2, own=True, **names):
    """Surface and markers of one round: clients on a circle around the aggregate, their own bowls farther out.

    Client k's own loss is lowest at distance 1 + k from the aggregate, which lies at the origin.
    """
    angles = 2 * np.pi * np.arange(clients) / clients
    ends = np.column_stack([np.cos(angles), np.sin(angles)])
    box = {"nx": 11, "ny": 9, "low": (-2.5, -2), "high": (2.5, 2), **names}
    surfaces = [surface_frame(loss=lambda x, y: 0.3 + x**2 + 2 * y**2, **box)]
    for client in range(clients) if own else ():
        far = ends[client] * (1 + client / clients)
        bowl = lambda x, y, far=far: 0.05 + (x - far[0]) ** 2 + (y - far[1]) ** 2  # noqa: E731
        surfaces.append(surface_frame(loss=bowl, client=client, **box))
    start = np.array([-1.2, 0.4])
    rows = [("start", None, None, start), ("aggregate", None, None, np.zeros(2))]
    for client, end in enumerate(ends):
        rows.append(("client", client, None, end))
        rows += [
            ("path", client, point, start + (end - start) * point / (paths + 1) + 0.1)
            for point in range(1, paths + 1)
        ]
    markers = [
        {**MARKER, **names, "round": 3 if role == "start" else 4, "role": role, "client": client, "point": point,
         "x": x, "y": y, "residual": 0.0 if role == "aggregate" else 0.7, "loss": 0.4 + x**2 + 2 * y**2,
         "loss_under_policy": 0.4 + x**2 + 2 * y**2, "loss_at_projection": 0.3 + x**2 + 2 * y**2}
        for role, client, point, (x, y) in rows
    ]  # fmt: skip
    return {"surface": pd.concat(surfaces), "markers": pd.DataFrame(markers)}


def path_frame(seeds=(0,), rise=1.0, **names):
    """From two models to two others: the loss is t, plus `rise` times t (1 - t), plus 1 on the test split."""
    rows = []
    for start in ("iid", "iid-b"):
        for end in ("dir1.0", "dir0.1"):
            for seed in seeds:
                for split in ("train", "test"):
                    for t in np.linspace(0, 1, 5):
                        rows.append(
                            {**RUN, "partition": start, "seed": seed, "to_partition": end, "to_init": "random",
                             "to_method": "fedavg", "to_seed": seed, "connectivity": "finals", "group": "all",
                             **names, "split": split, "t": t, "error": 0.1 * t,
                             "loss": t + (rise + seed) * t * (1 - t) + (split == "test")}
                        )  # fmt: skip
    return pd.DataFrame(rows)


def barriers_frame(**names):
    """The barriers on these paths: 0.25 for a rise of 1, as t (1 - t) is at most 1/4."""
    ends = path_frame(**names).query("t == 0").drop(columns=["t", "loss", "error"])
    ends["sup"] = 0.25 * (1 + ends["seed"])
    return pd.concat([ends.assign(measure="loss"), ends.assign(measure="error", sup=0.125)])


CURVE_PAIR = {"between": "runs", "round": 2, "to_round": 2, "client": -1, "to_client": -1, "form": "bezier"}


def curve_frames(seeds=(0,), kept="trained", pair=CURVE_PAIR, **names):
    """Curves whose rise, and barrier, is a fifth of the straight line's."""
    straight, sup = path_frame(seeds=seeds, **names).assign(**pair), barriers_frame(seeds=seeds, **names)
    straight["loss"] = straight["loss"].astype(float)
    chord = straight["t"] + (straight["split"] == "test")
    curve = straight.assign(loss=chord + (straight["loss"] - chord) / 5)
    sup = sup.assign(**pair)
    ends = [column for column in sup if column not in ("split", "measure", "sup")]
    return {
        "curve": pd.concat([straight.assign(line="straight"), curve.assign(line="curve")]),
        "curve_barriers": pd.concat(
            [sup.assign(line="straight"), sup.assign(line="curve", sup=sup["sup"] / 5)]
        ),
        "bends": sup[ends].drop_duplicates().assign(bend=0, kept=kept),
    }
