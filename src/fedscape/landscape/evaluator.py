"""What a surface's job evaluates: which network and samples, at which points of which plane, how."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fedscape.checkpoints.layout import check_layout
from fedscape.columns.cells import NUMBER
from fedscape.columns.csvs import read_csv
from fedscape.columns.planes import POINT_MEASURES
from fedscape.errors import FedscapeError
from fedscape.evaluation.compiled import chosen_step
from fedscape.evaluation.evaluate import Step, evaluate, evaluate_groups, evaluation_step
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.landscape.grid import Box, box_around, grid_axes
from fedscape.landscape.plane import Plane, open_plane
from fedscape.landscape.points import Place
from fedscape.landscape.refine import on_nodes
from fedscape.landscape.within import held_out, start_points
from fedscape.settings.planes import SurfaceSettings


@dataclass(frozen=True)
class PlaneFiles:
    """The files of a plane, as `make_plane` writes them."""

    plane: str | Path
    markers: str | Path


@dataclass(frozen=True)
class SurfaceEvaluator:
    """A grid with columns xs [nx] and rows ys [ny] on a plane, and how its points are evaluated."""

    problem: Problem
    plane: Plane
    xs: np.ndarray
    ys: np.ndarray
    settings: SurfaceSettings
    seed: int

    @property
    def sizes(self) -> list[int]:
        """Samples of each group: all of them, then each client's if `client_losses`."""
        owners = self.problem.owners
        if not self.settings.client_losses:
            return [len(owners)]
        return [len(owners), *owners[owners >= 0].bincount(minlength=self.problem.clients).tolist()]

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and rows."""
        return len(self.xs), len(self.ys)

    @cached_property
    def step(self) -> Step:
        """What evaluates a batch, the same at all points."""
        settings, problem = self.settings, self.problem
        return chosen_step(
            settings.compiled, problem.module, problem.train, settings.precision, settings.expected_points
        )

    @property
    def compiled(self) -> bool:
        """Whether that is a compiled step, whose losses differ from the others' by rounding."""
        return self.step is not evaluation_step

    def first_points(self) -> np.ndarray:
        """The points that are evaluated whatever their losses are; bool [nx, ny]."""
        if self.settings.error is None:
            return on_nodes(self.shape, self.settings.coarse)
        start = start_points(self.shape)
        return start | held_out(~start, self.seed, number=0)

    def columns(self, asked: np.ndarray) -> list[list[Place]]:
        """Places of the points asked for, bool [nx, ny], by columns; those without one are left out."""
        return [
            [(x, y) for y in self.ys[column].tolist()]
            for x, column in zip(self.xs.tolist(), asked, strict=True)
            if column.any()
        ]

    def measure(self, x: float, y: float) -> np.ndarray:
        """Measures [groups, measures] of one point, from one pass over the samples."""
        problem, settings = self.problem, self.settings
        buffers = self.plane.buffers_at(x, y, settings.batch_norm)
        tensors = problem.tensors(self.plane.at(x, y), buffers, settings.batch_norm)
        model = problem.module, *tensors, problem.train
        if settings.client_losses:
            owners = problem.owners, problem.clients
            evaluations = evaluate_groups(*model, *owners, settings.precision, self.step)
        else:
            evaluations = [evaluate(*model, settings.precision, self.step)]
        return np.array(
            [[getattr(evaluation, measure) for measure in POINT_MEASURES] for evaluation in evaluations]
        )


def open_evaluator(
    files: PlaneFiles, problem: ProblemSpec, settings: SurfaceSettings
) -> SurfaceEvaluator | None:
    """What a surface over a plane evaluates; None where there is no plane, since all its runs diverged."""
    opened = open_problem(problem)
    plane = open_plane(files.plane)
    if plane is None:
        return None
    check_layout(opened.module, plane.layout, files.plane)
    box = plane.box or _marked_box(files.markers, settings)
    xs, ys = grid_axes(box, settings.grid)
    return SurfaceEvaluator(opened, plane.to(opened.device), xs, ys, settings, problem.seed)


def _marked_box(markers: str | Path, settings: SurfaceSettings) -> Box:
    """A box around the models that are marked on a plane, with a margin."""
    axes = {"x": NUMBER, "y": NUMBER}
    places = read_csv(markers, axes, needed=axes)[[*axes]].dropna().to_numpy(float)
    if not np.isfinite(places).all():
        raise FedscapeError(f"{markers}: a place that is infinite; delete the file to have it rebuilt")
    return box_around(places[:, 0], places[:, 1], settings.grid, settings.margin)
