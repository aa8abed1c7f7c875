"""What a marker on a plane says about its model, beside where it lies: the truth next to the picture."""

from dataclasses import dataclass, field

from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.evaluation.evaluate import Evaluation, evaluate, evaluate_groups
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane
from fedscape.settings.evaluation import BatchNorm


@dataclass(frozen=True)
class PlaneLosses:
    """Losses of a plane's models and of its points; the plane lies on the problem's device."""

    material: Material
    plane: Plane
    batch_norm: BatchNorm
    # Of the models that clients started from, by client.
    _starts: dict[Checkpoint, list[Evaluation]] = field(init=False, default_factory=dict)

    def at(self, x: float, y: float) -> float:
        """The loss of a point of the plane."""
        buffers = self.plane.buffers_at(x, y, self.batch_norm)
        return self._evaluated(self.plane.at(x, y), buffers, self.batch_norm).loss

    def of_marker(self, mark: Mark) -> dict[str, float | None]:
        """The values of MARKER_MEASURES of a model.

        x, y, residual: as in `Plane.project`. loss, error: of the model itself, with its own buffers.
        loss_under_policy: of its own parameters with the buffers that the surface has there, so that it
        differs from `loss` by the batch-norm policy alone, and from loss_at_projection by the projection
        alone. Those at the projection are of the plane's point below the model. own_loss: of a client's
        model on that client's samples; own_loss_at_start: of the model that it started from. None where a
        measure means nothing, or nobody knows whose the samples are.
        """
        model, buffers = mark.checkpoint, self.material.buffers(mark)
        parameters = self.material.parameters(mark).to(self.material.problem.device)
        x, y, residual = self.plane.project(parameters)
        around = self.plane.buffers_at(x, y, self.batch_norm)
        projected = self._evaluated(self.plane.at(x, y), around, self.batch_norm)
        own, own_at_start = None, None
        if model.client is None or not self.material.problem.clients:
            true = self._evaluated(parameters, buffers, "keep")
        else:
            true, *by_client = self._evaluated_by_client(parameters, buffers)
            own = by_client[model.client].loss
            own_at_start = self._start_by_client(model)[model.client].loss
        under_policy = true
        if self.material.problem.policy(self.batch_norm) != "none":
            under_policy = self._evaluated(parameters, around, self.batch_norm)
        return {
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

    def _start_by_client(self, model: Checkpoint) -> list[Evaluation]:
        """The model that a client started from, on the samples of each client; evaluated once a round."""
        start = Checkpoint(model.run, model.round - 1)
        if start not in self._starts:
            checkpoints = self.material.checkpoints
            state = checkpoints.parameters(start), checkpoints.buffers(start)
            self._starts[start] = self._evaluated_by_client(*state)[1:]
        return self._starts[start]

    def _evaluated(self, parameters: Tensor, buffers: dict[str, Tensor], batch_norm: BatchNorm) -> Evaluation:
        problem = self.material.problem
        return evaluate(problem.module, *problem.tensors(parameters, buffers, batch_norm), problem.train)

    def _evaluated_by_client(self, parameters: Tensor, buffers: dict[str, Tensor]) -> list[Evaluation]:
        """A model with its own buffers on all samples, and then on those of each client."""
        problem = self.material.problem
        tensors = problem.tensors(parameters, buffers, "keep")
        return evaluate_groups(problem.module, *tensors, problem.train, problem.owners, problem.clients)
