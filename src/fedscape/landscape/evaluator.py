"""What a surface's job evaluates: which network and samples, at which points of which plane, how."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedscape.checkpoints.layout import check_layout
from fedscape.columns.cells import NUMBER
from fedscape.columns.csvs import read_csv
from fedscape.columns.planes import POINT_MEASURES
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import evaluate, evaluate_groups
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.landscape.grid import box_around, grid_axes
from fedscape.landscape.plane import Plane, open_plane
from fedscape.landscape.points import Place
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import BatchNorm, Precision


@dataclass(frozen=True)
class SurfaceEvaluator:
    """A grid with columns xs [nx] and rows ys [ny] on a plane, and how its points are evaluated."""

    problem: Problem
    plane: Plane
    xs: np.ndarray
    ys: np.ndarray
    coarse: int
    client_losses: bool
    batch_norm: BatchNorm
    precision: Precision
    seed: int

    @property
    def sizes(self) -> list[int]:
        """Samples of each group: all of them, then each client's if `client_losses`."""
        owners = self.problem.owners
        if not self.client_losses:
            return [len(owners)]
        return [len(owners), *owners[owners >= 0].bincount(minlength=self.problem.clients).tolist()]

    def columns(self) -> list[list[Place]]:
        """The nodes, column by column: every `coarse`-th point along both axes."""
        rows = self.ys[:: self.coarse].tolist()
        return [[(x, y) for y in rows] for x in self.xs[:: self.coarse].tolist()]

    def measure(self, x: float, y: float) -> np.ndarray:
        """Measures [groups, measures] of one point, from one pass over the samples."""
        problem = self.problem
        buffers = self.plane.buffers_at(x, y, self.batch_norm)
        tensors = problem.tensors(self.plane.at(x, y), buffers, self.batch_norm)
        found = (
            evaluate_groups(
                problem.module, *tensors, problem.train, problem.owners, problem.clients, self.precision
            )
            if self.client_losses
            else [evaluate(problem.module, *tensors, problem.train, self.precision)]
        )
        return np.array([[getattr(one, measure) for measure in POINT_MEASURES] for one in found])


def open_evaluator(
    *,
    plane_file: str | Path,
    markers_file: str | Path,
    grid: int | Sequence[int],
    margin: float,
    coarse: int,
    client_losses: bool,
    precision: Precision,
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
) -> SurfaceEvaluator | None:
    """What a surface over a plane evaluates; None where there is no plane, since all its runs diverged.

    grid: points per side, or (along x, along y). margin: added around the markers' bounding box, as a share
    of its larger side; a plane that has a box of its own takes none. coarse: every k-th point along both
    axes is a node. client_losses: also the measures of each client of the partition on its own samples.
    precision: of the forward passes. samples, seed: as in `make_plane`.
    """
    spec = ProblemSpec(Plugin(model, model_settings), dataset_folder, partition, samples, seed, device)
    problem = open_problem(spec)
    plane = open_plane(plane_file)
    if plane is None:
        return None
    check_layout(problem.module, plane.layout, plane_file)
    box = plane.box
    if box is None:
        axes = {"x": NUMBER, "y": NUMBER}
        marked = read_csv(markers_file, axes, needed=axes)[[*axes]].dropna()
        if not np.isfinite(marked.to_numpy(float)).all():
            raise FedscapeError(
                f"{markers_file}: a place that is infinite; delete the file to have it rebuilt"
            )
        box = box_around(marked["x"].to_numpy(), marked["y"].to_numpy(), grid, margin)
    xs, ys = grid_axes(box, grid)
    plane = plane.to(problem.device)
    return SurfaceEvaluator(problem, plane, xs, ys, coarse, client_losses, batch_norm, precision, seed)
