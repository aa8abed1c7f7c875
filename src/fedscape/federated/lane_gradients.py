"""Models and gradients of all lanes, as stacked vectors, and the passes that take these gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedscape.federated.gradients import SequentialGradient, StackedGradient
from fedscape.federated.network import frozen_statistics
from fedscape.federated.rule import Batch, Client, Context, Rule
from fedscape.federated.state import ModelState

Batches = Sequence[tuple[list[int], Batch]]
"""Rows whose batches have one size, and these: of one lane as they are, of several stacked."""


class LaneGradients:
    """Gradients where the lanes' models are: one lane alone, or several in a vectorised pass."""

    def __init__(self, module: nn.Module, precision: str, lanes: int):
        self.module, self.lanes = module, lanes
        self.sequential = SequentialGradient(module, precision)
        self.layout = self.sequential.layout
        self.stacked = StackedGradient(module, self.layout, precision)
        # A single lane is the sequential gradient's own model; several have theirs, and it is scratch space.
        self.models = ModelState(*(self._stack(vector) for vector in self.sequential.state.vectors))
        self.gradient = self._stack(self.sequential.gradient)  # [L, P]
        self.losses = torch.zeros(lanes, dtype=torch.float64, device=self.gradient.device)  # over samples
        self._is_checked = False  # whether a loss has been seen not to branch on values

    def row(self, row: int) -> ModelState:
        """The model in a lane: views of its vectors."""
        return ModelState(*(vector[row] for vector in self.models.vectors))

    def first(self, batches: Batches, clients: Client, rule: Rule, context: Context) -> None:
        """The gradients of a step; running statistics and the sums of losses take the batches in.

        clients: what the rule sees of all lanes, [L] and [L, n].
        """
        for rows, inputs in batches:
            if len(rows) == 1:
                loss = self._alone(rows[0], inputs, clients, rule, context)
                self.losses[rows[0]].add_(loss, alpha=len(inputs.labels))
            else:
                losses = self._together(rows, inputs, clients, rule, context)
                self.losses[self._selection(rows)] += inputs.labels.shape[1] * losses

    def second(self, batches: Batches, clients: Client, rule: Rule, context: Context) -> None:
        """Gradients of batches that have been seen in this step: nothing else takes them in again."""
        with frozen_statistics(self.module):
            for rows, inputs in batches:
                if len(rows) == 1:
                    self._alone(rows[0], inputs, clients, rule, context)
                else:
                    self._together(rows, inputs, clients, rule, context)

    def _alone(self, row: int, inputs: Batch, clients: Client, rule: Rule, context: Context) -> Tensor:
        if self.lanes > 1:
            self.sequential.state.copy_(self.row(row))
        client = _of(clients, row)
        if not self._is_checked:
            self._is_checked = True
            self.stacked.check(rule, self.sequential.state, inputs, client, context)
        loss = self.sequential(rule, inputs, client, context)
        if self.lanes > 1:
            state = self.sequential.state
            self.models.buffers[row], self.models.counters[row] = state.buffers, state.counters
            self.gradient[row] = self.sequential.gradient
        return loss

    def _together(
        self, rows: list[int], inputs: Batch, clients: Client, rule: Rule, context: Context
    ) -> Tensor:
        selection = self._selection(rows)
        # A slice is a view; a list of rows gives a copy, so the results of the pass are copied back.
        models = ModelState(*(vector[selection] for vector in self.models.vectors))
        gradient = self.gradient[selection]
        losses = self.stacked(rule, models, inputs, _of(clients, selection), context, out=gradient)
        self._is_checked = True
        if not isinstance(selection, slice):
            self.gradient[selection] = gradient
            self.models.buffers[selection] = models.buffers
            self.models.counters[selection] = models.counters
        return losses

    def _selection(self, rows: list[int]) -> slice | Tensor:
        everyone = rows == list(range(len(rows)))
        if everyone:
            return slice(len(rows))
        return torch.tensor(rows).to(self.gradient.device, non_blocking=True)

    def _stack(self, vector: Tensor) -> Tensor:
        return vector.unsqueeze(0) if self.lanes == 1 else vector.repeat(self.lanes, 1)


def _of(clients: Client, rows: slice | Tensor | int) -> Client:
    """Some of the clients, as the rule's loss sees them."""
    states = {name: states[rows] for name, states in clients.state.items()}
    return Client(clients.share[rows], clients.known[rows], states)
