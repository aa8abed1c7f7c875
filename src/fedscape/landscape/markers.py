"""What a marker on a plane says about its model, beside where it lies: the truth next to the picture."""

from collections.abc import Iterable, Iterator

from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.evaluation.evaluate import Evaluation, evaluate, evaluate_groups
from fedscape.evaluation.problem import Problem
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane
from fedscape.settings.evaluation import BatchNorm


def measured(
    material: Material, plane: Plane, batch_norm: BatchNorm, marks: Iterable[Mark]
) -> Iterator[dict[str, float | None]]:
    """For each model the values of MARKER_MEASURES; the plane lies on the problem's device.

    x, y, residual: as in `Plane.project`. loss, error: of the model itself, with its own buffers.
    loss_under_policy: of its own parameters with the buffers that the surface has there, so that it differs
    from `loss` by the batch-norm policy alone, and from loss_at_projection by the projection alone. Those at
    the projection are of the plane's point below the model. own_loss: of a client's model on that client's
    samples; own_loss_at_start: of the model that it started from. None where a measure means nothing.
    """
    problem = material.problem
    starts: dict[Checkpoint, list[Evaluation]] = {}
    for mark in marks:
        model, buffers = mark.checkpoint, material.buffers(mark)
        parameters = material.parameters(mark).to(problem.device)
        x, y, residual = plane.project(parameters)
        around = plane.buffers_at(x, y, batch_norm)
        projected = _evaluated(problem, plane.at(x, y), around, batch_norm)
        own, own_at_start = None, None
        if model.client is None:
            true = _evaluated(problem, parameters, buffers, "keep")
        else:
            start = Checkpoint(model.run, model.round - 1)
            if start not in starts:
                state = material.checkpoints.parameters(start), material.checkpoints.buffers(start)
                starts[start] = _evaluated_by_client(problem, *state)
            true, *by_client = _evaluated_by_client(problem, parameters, buffers)
            own, own_at_start = by_client[model.client].loss, starts[start][1 + model.client].loss
        under_policy = true
        if problem.policy(batch_norm) != "none":
            under_policy = _evaluated(problem, parameters, around, batch_norm)
        yield {
            "x": x,
            "y": y,
            "residual": residual,
            "loss": true.loss,
            "loss_under_policy": under_policy.loss,
            "loss_at_projection": projected.loss,
            "error": true.error,
            "error_at_projection": projected.error,
            "own_loss": own,
            "own_loss_at_start": own_at_start,
        }


def loss_at(material: Material, plane: Plane, batch_norm: BatchNorm, x: float, y: float) -> float:
    """The loss of a point of the plane; the plane lies on the problem's device."""
    return _evaluated(material.problem, plane.at(x, y), plane.buffers_at(x, y, batch_norm), batch_norm).loss


def _evaluated(
    problem: Problem, parameters: Tensor, buffers: dict[str, Tensor], batch_norm: BatchNorm
) -> Evaluation:
    return evaluate(problem.module, *problem.tensors(parameters, buffers, batch_norm), problem.train)


def _evaluated_by_client(
    problem: Problem, parameters: Tensor, buffers: dict[str, Tensor]
) -> list[Evaluation]:
    """A model with its own buffers on all samples, and then on those of each client."""
    tensors = problem.tensors(parameters, buffers, "keep")
    return evaluate_groups(problem.module, *tensors, problem.train, problem.owners, problem.clients)
