"""The loss on a plane through any models of a network, and what the plane says of each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor, nn

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.readers import Trajectory
from fedscape.columns.planes import MARKERS_CSV, SURFACE_CSV
from fedscape.errors import FedscapeError
from fedscape.evaluation.loss import Loss, cross_entropies
from fedscape.evaluation.prepared import Samples
from fedscape.landscape.bottom import bottom_among
from fedscape.landscape.evaluator import SurfaceEvaluator
from fedscape.landscape.grid import box_around, grid_axes
from fedscape.landscape.marker_table import marker_rows, marker_table
from fedscape.landscape.markers import PlaneLosses
from fedscape.landscape.material import Material
from fedscape.landscape.plane import Plane
from fedscape.landscape.points import Columns, Points
from fedscape.landscape.surface import surface_rows
from fedscape.notebook.models import (
    GROUP,
    Runs,
    State,
    client_models,
    identity_of,
    problem_of,
    runs_of,
)
from fedscape.notebook.pictures import drawn, png
from fedscape.plugins import Plugin
from fedscape.settings.planes import SurfaceSettings
from fedscape.study.catalog import plugin
from fedscape.tables.merge_tree import Neighbours
from fedscape.tables.surface_basins import basin_of, surface_basins
from fedscape.tables.surfaces import grids


@dataclass(frozen=True)
class Basins:
    """Where a surface is low, and which models lie together there.

    basins: a row each, see `fedscape.tables.surface_basins.SurfaceBasins`. markers: those of the landscape,
    with `basin`, the number of the basin that a model lies in where it is drawn, -1 for none.
    """

    basins: pd.DataFrame
    markers: pd.DataFrame


@dataclass(frozen=True)
class Landscape:
    """A plane with the loss on it; a notebook shows its figure.

    plane: centre [P] and two directions [2, P] in the space of all parameters; `plane.at(x, y)` is a point.
    markers: a row per model, the columns of markers.csv: `x`, `y` where it is drawn, `residual` its distance
    from the plane as a share of that from the centre, `loss` its own, `loss_at_projection` that of the point
    where it is drawn. surface: a row per grid point, the columns of surface.csv: `i`, `j`, `x`, `y`, `loss`
    and its standard error, `error` (share of wrong answers; NaN where targets are no classes).
    The column `method` is the name of the run, `round` the place of a model in it.
    """

    plane: Plane
    markers: pd.DataFrame
    surface: pd.DataFrame

    def figure(self, **settings: Any) -> Figure:
        """The surface with its markers, on a logarithmic scale of the loss, each marker filled with its own.

        settings: those of the figure kind, `contour` (highest_loss, marked_rounds, truth), or `local`
        (client, highest_loss, truth) for a plane of one round's clients.
        """
        clients = (self.markers["role"] == "client").any()
        frames = {"surface": self.surface, "markers": self.markers}
        return drawn("local" if clients else "contour", frames, settings)

    def basins(self, errors: float = 2.0, neighbours: Neighbours = 8) -> Basins:
        """The basins of the surface, and the one that each model lies in where it is drawn.

        errors: basins no deeper than this many standard errors of their depth are parts of those that they
        join; the loss must be one of samples for standard errors to be known. neighbours: 4 or 8 of a point.
        """
        (grid,) = grids(self.surface).values()
        found = surface_basins(grid, errors, neighbours)
        placed = self.markers.assign(basin=basin_of(grid, found.owners, self.markers))
        return Basins(found.basins, placed)

    def _repr_png_(self) -> bytes:
        return png(self.figure())


def landscape(
    network: nn.Module,
    models: Runs,
    data: Samples,
    kind: str | Plugin = "trajectory",
    *,
    loss: Loss = cross_entropies,
    surface: SurfaceSettings | None = None,
    clients: Sequence[State] = (),
    owners: Tensor | None = None,
    seed: int = 0,
) -> Landscape:
    """The loss around models of a network, on a plane of any kind; in memory, without files.

    network: any module of one input; it stays as it is, and its own weights do not matter. All is computed
    where it is, in float32 and eval mode.
    models: state_dicts, or paths of them, in a list: the models of a run, from round to round; several runs
    as a mapping of names to lists. For a kind that needs several runs (`finals`, `three-models`) each model
    of a list is a run.
    data: tensors (inputs [n, ...], targets [n, ...]) as the network takes them, a Dataset of such pairs, a
    DataLoader of batches of them, or an `EvaluationSet`, which has a loss of its own.
    kind: `trajectory` (principal directions of the models), `finals`, `three-models`, `random`,
    `eigenvectors`, `clients`; with settings as `Plugin("random", {"radius": 0.5})`.
    loss: of (outputs, targets), the losses of the samples [n, ...] or, without standard errors, their mean,
    which must not depend on what samples share a batch; in whatever unit, by default cross-entropy in nats.
    surface: its grid, margin and batch-norm policy (`keep` the statistics of the plane's centre,
    `interpolate`, `recalibrate` on the data).
    clients: for kind `clients`, what clients 0, 1, ... handed back; `models` are then those before and after
    the round.
    owners: int64 [n], the client that has each sample, -1 for none: then the tables have clients' own losses.
    seed: of random directions and of the search for eigenvectors.

    Raises FedscapeError, one line, for models of another network, an unknown kind, or too few models for it.
    """
    asked = kind if isinstance(kind, Plugin) else Plugin(kind)
    plane_kind, settings = plugin("plane", asked.kind, dict(asked.settings), "kind").load("landscape.planes")
    surface = surface or SurfaceSettings()
    problem = problem_of(network, data, loss, owners=owners)
    runs = runs_of(network, models, apart=plane_kind.FEWEST_RUNS > 1)
    _check_runs(asked.kind, plane_kind, runs, clients)
    trajectories = list(runs.values())
    kept = [client_models(network, trajectories[0], clients)] if plane_kind.CLIENTS else []
    material = Material(problem, Checkpoints(trajectories, kept), seed)
    marks = plane_kind.marks(material, settings)
    plane = plane_kind.plane(material, settings).to(problem.device)

    losses = PlaneLosses(material, plane, surface.batch_norm)
    measures = [losses.of_marker(mark) for mark in marks]
    places = np.array([(values["x"], values["y"]) for values in measures], dtype=float)
    lowest = bottom_among(losses.at, places) if plane_kind.CLIENTS else None
    entry = {"plane": asked.kind, "group": GROUP}
    identities = [{**identity_of(network, run), **entry} for run in runs]
    rows = marker_rows(marks, measures, identities, material.checkpoints)
    policy, samples = problem.policy(surface.batch_norm), len(problem.train.labels)
    markers = marker_table(rows, plane, lowest, plane_kind.AXES, policy, samples)

    box = plane.box or box_around(places[:, 0], places[:, 1], surface.grid, surface.margin)
    evaluator = SurfaceEvaluator(problem, plane, *grid_axes(box, surface.grid), surface, seed)
    of_all = {**identities[0], "method": next(iter(runs)) if len(runs) == 1 else "*"}
    table = surface_rows(evaluator, {}, partial(_evaluate_missing, evaluator)).assign(**of_all)
    return Landscape(plane, markers.loc[:, MARKERS_CSV.columns], table.loc[:, SURFACE_CSV.columns])


def _evaluate_missing(evaluator: SurfaceEvaluator, points: Points, columns: Columns) -> None:
    for column in columns:
        for position in column:
            if position not in points:
                points[position] = evaluator.measure(*position)


def _check_runs(
    name: str, kind: ModuleType, runs: Mapping[str, Trajectory], clients: Sequence[State]
) -> None:
    """Refuse models that are too few or too many for a kind of plane."""
    if len(runs) < kind.FEWEST_RUNS:
        raise FedscapeError(f"models: {len(runs)} for kind {name}; allowed are {kind.FEWEST_RUNS} or more")
    if kind.MOST_RUNS is not None and len(runs) > kind.MOST_RUNS:
        raise FedscapeError(f"models: {len(runs)} runs for kind {name}; allowed: {kind.MOST_RUNS}")
    if bool(clients) != kind.CLIENTS:
        words = "needed for" if kind.CLIENTS else "given, but not used by"
        raise FedscapeError(f"clients: {words} kind {name}")
    if kind.CLIENTS and len(next(iter(runs.values())).rounds) < 2:
        raise FedscapeError(f"models: 1 for kind {name}; needed are those before and after the round")
