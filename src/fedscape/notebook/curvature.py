"""Second derivatives of the loss at models of a network, and how far it rises around them."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.func import functional_call

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.columns.curvature import CURVATURE_CSV, DENSITY_CSV
from fedscape.curvature.hessians import automatic_trace
from fedscape.curvature.measure import ModelOnSamples, hessian_rows, sharpness_row
from fedscape.curvature.piecewise import why_not_piecewise_linear
from fedscape.curvature.targets import Target
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import mode
from fedscape.evaluation.loss import Loss, cross_entropies
from fedscape.evaluation.prepared import Samples
from fedscape.evaluation.problem import Problem
from fedscape.notebook.models import GROUP, Runs, identity_of, problem_of, runs_of
from fedscape.notebook.pictures import drawn
from fedscape.settings.curvature import CurvatureSettings, Trace


@dataclass(frozen=True)
class CurvatureTables:
    """Quantities of the Hessian and sharpness, in tables with the columns of curvature.csv and density.csv.

    quantities: a row each, `quantity` (`eigenvalue` with its `index`, 1 the largest and -1 the smallest;
    `trace`; `layer-trace` with its `layer`; measures of sharpness with their `radius`), `value`,
    `standard_error` of an estimate, `residual` of an eigenpair or an ascent, relative, and the Hessian
    `products` spent. density: of the eigenvalues, if asked for.
    """

    quantities: pd.DataFrame
    density: pd.DataFrame

    def figure(self, **settings: Any) -> Figure:
        """The densities, a line for each run. settings: those of the figure kind `spectrum`.

        Raises FedscapeError where no density was asked for (`CurvatureSettings(density=DensitySettings())`).
        """
        if self.density.empty:
            raise FedscapeError("density: not measured; ask for it in settings: density")
        return drawn("spectrum", {"density": self.density}, settings)


def curvature(
    network: nn.Module,
    models: Runs,
    data: Samples,
    settings: CurvatureSettings | None = None,
    *,
    loss: Loss = cross_entropies,
    seed: int = 0,
) -> CurvatureTables:
    """The curvature of the mean loss at models of a network, and its sharpness, in eval mode.

    models, data, loss: as in `landscape`; the loss must be twice differentiable by PyTorch. settings: which
    quantities, by default the largest eigenvalue and the trace (exact where the network and the loss allow
    it, else estimated), and in `rounds` of which models of a run, by default its last. seed: of all random
    vectors.

    Values are in units of the loss. Raises FedscapeError, one line, for models of another network and for
    what the settings ask of a network that does not allow it.
    """
    settings = settings or CurvatureSettings(trace="auto")
    if (*settings.of, *settings.data, *settings.hessian_agreement) != ("global", "global"):
        raise FedscapeError("settings: of, data and hessian_agreement are for clients of a study's runs")
    problem = problem_of(network, data, loss)
    runs = runs_of(network, models)
    checkpoints = Checkpoints(list(runs.values()))
    rows: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    for index, (name, trajectory) in enumerate(runs.items()):
        names = {**identity_of(network, name), "curvature": "curvature", "group": GROUP}
        for number in sorted({trajectory.number(moment) for moment in settings.rounds}):
            target = Target(Checkpoint(index, number), "global")
            parameters, buffers = problem.tensors(
                checkpoints.parameters(target.checkpoint),
                checkpoints.buffers(target.checkpoint),
                settings.batch_norm,
            )
            trace = _trace(problem, {**parameters, **buffers}, settings)
            vector = checkpoints.parameters(target.checkpoint).to(problem.device)
            policy = problem.policy(settings.batch_norm)
            model = ModelOnSamples(problem, vector, buffers, problem.train, policy)
            of_model, of_density = hessian_rows(model, replace(settings, trace=trace), seed)
            if settings.sharpness is not None:
                of_model += [
                    sharpness_row(model, *asked, settings.sharpness, seed)
                    for asked in settings.sharpness.asked
                ]
            rows += [{**names, **target.columns, **row} for row in of_model]
            points += [{**names, **target.columns, **point} for point in of_density]
    return CurvatureTables(
        pd.DataFrame(rows, columns=CURVATURE_CSV.columns), pd.DataFrame(points, columns=DENSITY_CSV.columns)
    )


def _trace(problem: Problem, tensors: dict[str, Tensor], settings: CurvatureSettings) -> Trace:
    """How the trace is found; what `auto` means for this network and loss."""
    if settings.trace != "auto":
        return settings.trace
    if problem.train.loss is not cross_entropies:
        return automatic_trace("the loss is not cross-entropy", 0, settings.layers)
    sample = problem.train.taken(slice(0, 1))
    reason = why_not_piecewise_linear(problem.module, tensors, sample)
    with mode(problem.module, training=False), torch.no_grad():
        classes = functional_call(problem.module, tensors, (sample,), strict=True).shape[1]
    return automatic_trace(reason, classes, settings.layers)
