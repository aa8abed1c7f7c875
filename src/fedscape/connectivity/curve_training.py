"""Training the bend of a curve, so that the loss is low all along it.

Garipov et al. (Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs, 2018), equation 2: the mean of
the loss over t uniform in (0, 1), of which each batch takes one t. The ends stay as they are. Batch norm
takes the statistics of the batch, since no running ones belong to a point that moves; other layers that
behave differently in training, such as dropout, do as in evaluation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from fedscape.checkpoints.layout import parameters_of
from fedscape.connectivity.curve import Curve, control_weights
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import batch_statistics, has_batch_statistics
from fedscape.evaluation.evaluate import laid_out
from fedscape.evaluation.loss import part_of_mean
from fedscape.evaluation.problem import Problem
from fedscape.jobs.streams import stream
from fedscape.settings.connectivity import CurveSettings

CONSTANT, LOWEST_FROM, LOWEST = 0.5, 0.9, 0.01
"""The learning rate is constant for this share of the steps, and falls until that one, to this share."""


@dataclass
class BendState:
    """How far a bend is trained: bend and velocity [P], and the number of steps done."""

    bend: Tensor
    velocity: Tensor
    step: int = 0


class BendTraining:
    """The training of the bends of curves on one problem's train samples."""

    def __init__(self, problem: Problem, settings: CurveSettings):
        self.problem, self.settings = problem, settings
        self.samples = len(problem.train.labels)
        self.batch_size = min(settings.batch_size, self.samples)
        if has_batch_statistics(problem.module) and self.batch_size < 2:
            raise FedscapeError(
                f"batches of {self.batch_size} sample have no statistics for batch norm: use batch_size >= 2 "
                "and 2 samples or more"
            )
        self._per_epoch = self.samples // self.batch_size  # a short last batch is left out
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    @property
    def steps(self) -> int:
        """All steps of one bend."""
        return self.settings.epochs * self._per_epoch

    def advance(self, state: BendState, first: Tensor, last: Tensor) -> None:
        """One step of stochastic gradient descent, as torch.optim.SGD takes it, in place."""
        settings = self.settings
        t = float(stream(settings.order_seed, "curve-point", state.step).random())
        curve = Curve(settings.form, first, state.bend, last)
        gradient = self.gradient(curve, t, self._rows(state.step))
        state.velocity.mul_(settings.momentum).add_(gradient)
        state.bend.sub_(learning_rate(settings.lr, state.step / self.steps) * state.velocity)
        state.step += 1

    def gradient(self, curve: Curve, t: float, rows: Tensor) -> Tensor:
        """Gradient [P] of a batch's loss at t, with the weight decay, with respect to the bend.

        rows: int64 [b], the batch's samples.
        """
        point = curve.at(t).requires_grad_()
        module, data = self.problem.module, self.problem.train
        tensors = parameters_of(point, self.problem.layout)
        # Running statistics are written into copies that nobody reads.
        tensors |= {name: buffer.clone() for name, buffer in module.named_buffers()}
        with batch_statistics(module):
            outputs = functional_call(module, tensors, (laid_out(data.taken(rows)),), strict=True)
            losses = data.loss(outputs.float(), data.labels[rows])
        (gradient,) = torch.autograd.grad(part_of_mean(losses, len(rows), len(rows)), point)
        decayed = gradient + self.settings.weight_decay * point.detach()
        return control_weights(curve.form, t)[1] * decayed

    def _rows(self, step: int) -> Tensor:
        """The samples of a step's batch: each epoch deals all of them in an order of its own."""
        epoch, batch = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._order = stream(self.settings.order_seed, "curve-order", epoch).permutation(self.samples)
            self._epoch = epoch
        rows = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        return torch.from_numpy(rows).to(self.problem.device)


def learning_rate(lr: float, progress: float) -> float:
    """The rate after a share of all steps: constant to a half, then linear to a hundredth at nine tenths."""
    fallen = min(max((progress - CONSTANT) / (LOWEST_FROM - CONSTANT), 0.0), 1.0)
    return lr * (1 - fallen * (1 - LOWEST))
