"""Lanes: where clients train.

A lane holds one model and trains one client after the other: load the client's start, take its local
steps, hand back the result. L lanes are the same flat vectors stacked to [L, P]. At each tick every busy lane
takes one step: lanes whose batches have the same size in one vectorised pass, the others alone, since padding
would change batch statistics. The result does not depend on L beyond float rounding.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fedscape.evaluation.evaluate import EvaluationSet, prepared
from fedscape.federated.aggregation_weights import UPDATE_VARIANCE
from fedscape.federated.batches import BatchSource, ClientProgress, ClientTask, batch, stacked_batch
from fedscape.federated.lane_gradients import Batches, LaneGradients
from fedscape.federated.network import frozen_statistics
from fedscape.federated.normaliser import accumulated_weight
from fedscape.federated.optimiser import clip, learning_rate, moment_names, step
from fedscape.federated.perturbation import moved, sharpness_aware
from fedscape.federated.pruning import due, mask, sparsity
from fedscape.federated.rule import Batch, Client, ClientResult, Context, Rule
from fedscape.federated.state import ModelState
from fedscape.jobs.streams import stream
from fedscape.settings.training import TrainingSettings


@dataclass(frozen=True)
class ClientStart:
    """Model, rule's state and optimiser that a client starts from."""

    model: ModelState
    client: Client
    moments: Mapping[str, Tensor]  # of its optimiser by name, [P] each; empty for a fresh one
    steps_before: int = 0  # that these moments have seen
    gradient: Tensor | None = None  # [P] of its mean loss at `model`, for rules that want it


class Lanes:
    """Trains clients, at most `lanes` at a time.

    module: the network; its tensors become views of the engine's vectors. Every parameter takes every step:
        one that a batch does not reach has gradient zero, so momentum and weight decay still move it.
    data: all clients' images and labels, on the device that trains.
    seed: of the draws that clients share at a step.
    """

    def __init__(
        self, module: nn.Module, data: EvaluationSet, training: TrainingSettings, lanes: int, seed: int = 0
    ):
        self.module = module.to(data.inputs.device)
        self.training, self.lanes, self.seed = training, lanes, seed
        self.source = BatchSource.of(module, data, training)
        self._gradients = LaneGradients(self.module, training.precision, lanes)
        self.layout, self.sequential = self._gradients.layout, self._gradients.sequential
        self.state = self.sequential.state
        self._models, self._gradient = self._gradients.models, self._gradients.gradient
        names = moment_names(training)
        self._moments = {name: torch.zeros_like(self._models.parameters) for name in names}
        self._sums = torch.zeros_like(self._gradient) if training.weights == UPDATE_VARIANCE else None
        self._masks: Tensor | None = None
        self._clock = 0  # of pruning that counts steps, at the start of the round
        self._losses = self._gradients.losses
        self._squares = torch.zeros_like(self._losses)  # of the gradients' norms
        self._shares = torch.ones(lanes, device=self.device)
        self._known = torch.zeros(lanes, device=self.device)
        self._states: dict[str, Tensor] = {}  # what the rule's clients keep, by name, [L, n]
        self._busy: list[_Lane] = []

    @property
    def device(self) -> torch.device:
        return self.state.parameters.device

    def train(
        self,
        tasks: Sequence[ClientTask],
        begin: Callable[[ClientTask], ClientStart],
        rule: Rule,
        context: Context,
        pruned: tuple[Tensor | None, int] = (None, 0),
        on_tick: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[ClientStart, ClientResult]]:
        """Train every client; its start and its result come as they are ready, in no promised order.

        begin: says what a client starts from, at the moment when a lane is free for it.
        pruned: bool [P], which weights may differ from zero, None for all; and the clock of pruning that
        counts steps. on_tick: called after each step of all lanes.
        """
        self.module.train()
        kept, self._clock = pruned
        if kept is None and self.training.pruning is not None:
            kept = torch.ones_like(self.state.parameters, dtype=torch.bool)
        self._masks = None if kept is None else kept.repeat(self.lanes, 1)
        self._states = {
            name: torch.zeros(self.lanes, length, device=self.device)
            for name, length in rule.client_state(self.layout).items()
        }
        self._busy = []
        # The longest first, so that lanes finish at about the same time.
        waiting = deque(sorted(tasks, key=lambda task: -self.source.steps(task)))
        tick = 0
        while waiting or self._busy:
            if not (rule.shares_draws and self._busy):
                tick = 0 if rule.shares_draws else tick
                while waiting and len(self._busy) < self.lanes:
                    task = waiting.popleft()
                    self._begin(task, begin(task), rule, kept)
            drawing = context
            if rule.shares_draws:
                generator = stream(self.seed, f"{rule.name}-shared", context.round, tick)
                drawing = replace(context, drawn=rule.shared_draws(generator, self.sequential.network))
            self._tick(rule, drawing)
            tick += 1
            on_tick()
            yield from self._finished()

    def start_gradient(
        self, model: ModelState, task: ClientTask, client: Client, rule: Rule, context: Context
    ) -> Tensor:
        """Gradient [P] of the rule's mean loss over all samples of a client at `model`; nothing else changes.

        The samples come as they are, without augmentation, in batches of the training's size, each with its
        own batch-norm statistics. Not to be called during a step, whose scratch space it uses.
        """
        self.module.train()
        self.state.copy_(model)
        mean, std = self.source.normalisation(task.positions)
        total = torch.zeros_like(self.sequential.gradient)
        positions = torch.from_numpy(task.positions).to(self.device)
        # As few batches as their size allows, about equal: none of one sample where there are more.
        with frozen_statistics(self.module):
            for rows in positions.tensor_split(-(-len(positions) // self.training.batch_size)):
                inputs = prepared(self.source.data.shown(rows), mean, std)
                self.sequential(rule, Batch(inputs, self.source.data.labels[rows], {}), client, context)
                total.add_(self.sequential.gradient, alpha=len(rows) / len(positions))
        return total

    def _begin(self, task: ClientTask, start: ClientStart, rule: Rule, kept: Tensor | None) -> None:
        row = len(self._busy)
        self._gradients.row(row).copy_(start.model)
        self._losses[row], self._squares[row] = 0, 0
        self._shares[row], self._known[row] = start.client.share, start.client.known
        for name, states in self._states.items():
            states[row] = start.client.state[name]
        for name, moments in self._moments.items():
            moments[row] = start.moments.get(name, 0)
        if self._sums is not None:
            self._sums[row] = 0
        if self._masks is not None and kept is not None:
            self._masks[row] = kept
        self._busy.append(_Lane(start, ClientProgress(task, self.source, rule)))

    def _tick(self, rule: Rule, context: Context) -> None:
        """One step of every busy lane."""
        lanes, count = self._busy, len(self._busy)
        parameters, gradient = self._models.parameters[:count], self._gradient[:count]
        states = {name: states[:count] for name, states in self._states.items()}
        clients = Client(self._shares[:count, None], self._known[:count, None], states)
        self._take_gradients(rule, clients, context)
        if self._sums is not None:
            self._sums[:count] += gradient
            self._squares[:count] += torch.linalg.vector_norm(gradient, dim=1).double().square()
        if rule.adjust_gradient:
            gradient.copy_(rule.adjust_gradient(gradient, parameters, clients, context))
        if self.training.clip:
            clip(gradient, self.training.clip)
        rates = [
            learning_rate(self.training, context.round, lane.progress.done, lane.progress.steps)
            for lane in lanes
        ]
        counts = [lane.start.steps_before + lane.progress.done + 1 for lane in lanes]
        moments = {name: moments[:count] for name, moments in self._moments.items()}
        step(self.training, parameters, gradient, moments, rates, counts)
        for row, (lane, rate) in enumerate(zip(lanes, rates, strict=True)):
            lane.stepped(rate)
            self._prune(row, lane)
        if self._masks is not None:
            parameters.mul_(self._masks[:count])
        for row, lane in enumerate(lanes):
            if lane.progress.at_epoch_end and lane.progress.task.keep_path and not lane.progress.finished:
                lane.path.append(self._gradients.row(row).clone())

    def _take_gradients(self, rule: Rule, clients: Client, context: Context) -> None:
        """The gradients of the busy lanes' step: at their models, or where the rule or `sam` takes them.

        clients: of the busy lanes, as the rule's functions of all lanes see them.
        """
        count = len(self._busy)
        parameters, gradient = self._models.parameters[:count], self._gradient[:count]
        batches, everyone = self._batches(), Client(self._shares, self._known, self._states)
        if rule.gradient_point:
            point = rule.gradient_point(parameters, clients, context)
            with moved(parameters, self._unpruned(point)):
                self._gradients.first(batches, everyone, rule, context)
        else:
            self._gradients.first(batches, everyone, rule, context)
        if rule.perturbation:
            ascent, changed = rule.perturbation(self._unpruned(gradient), parameters, clients, context)
            for name, vectors in changed.items():
                clients.state[name].copy_(vectors)
        elif self.training.sam:
            ascent = sharpness_aware(self.training.sam, self._unpruned(gradient), parameters, self.layout)
        else:
            return
        with moved(parameters, self._unpruned(parameters + ascent)):
            self._gradients.second(batches, everyone, rule, context)

    def _batches(self) -> Batches:
        """The busy lanes' next batches."""
        rows_by_size: dict[int, list[int]] = {}
        for row, lane in enumerate(self._busy):
            rows_by_size.setdefault(lane.progress.size, []).append(row)
        batches = []
        for rows in rows_by_size.values():
            clients = [self._busy[row].progress for row in rows]
            batches.append((rows, batch(clients[0]) if len(rows) == 1 else stacked_batch(clients)))
        return batches

    def _unpruned(self, vectors: Tensor) -> Tensor:
        """Vectors [A, P] of the busy lanes, 0 where weights are pruned."""
        return vectors if self._masks is None else vectors * self._masks[: len(vectors)]

    def _prune(self, row: int, lane: "_Lane") -> None:
        """Redraw the lane's mask, if pruning counts local steps and one is due."""
        pruning, time = self.training.pruning, self._clock + lane.progress.done
        if pruning is None or self._masks is None or pruning.unit == "round" or not due(pruning, time):
            return
        self._masks[row] = mask(self._models.parameters[row], self.layout, sparsity(pruning, time))

    def _finished(self) -> Iterator[tuple[ClientStart, ClientResult]]:
        """Hand back what is ready; the last busy lanes move into the rows that become free."""
        for row in reversed(range(len(self._busy))):
            if self._busy[row].progress.finished:
                yield self._busy[row].start, self._result(row)
                last = len(self._busy) - 1
                if row != last:
                    self._gradients.row(row).copy_(self._gradients.row(last))
                    for rows in self._row_vectors():
                        rows[row] = rows[last]
                    self._busy[row] = self._busy[last]
                self._busy.pop()

    def _row_vectors(self) -> list[Tensor]:
        others = [vectors for vectors in (self._sums, self._masks) if vectors is not None]
        scalars = [self._losses, self._squares, self._shares, self._known]
        return [*scalars, *self._moments.values(), *self._states.values(), *others]

    def _result(self, row: int) -> ClientResult:
        lane = self._busy[row]
        task = lane.progress.task
        return ClientResult(
            client=task.client,
            samples=len(task.positions),
            loss=float(self._losses[row]) / (lane.progress.used * task.epochs),
            model=self._gradients.row(row),
            steps=lane.progress.steps,
            rates=tuple(lane.rates),
            gradient_weight=accumulated_weight(lane.rates, self.training.momentum),
            moments={name: moments[row] for name, moments in self._moments.items()},
            path=tuple(lane.path),
            gradient_sum=None if self._sums is None else self._sums[row],
            gradient_squares=float(self._squares[row]),
            start_gradient=lane.start.gradient,
            state={name: states[row] for name, states in self._states.items()},
        )


class _Lane:
    """A client that is being trained."""

    def __init__(self, start: ClientStart, progress: ClientProgress):
        self.start, self.progress = start, progress
        self.rates: list[float] = []  # of its steps
        self.path: list[ModelState] = []

    def stepped(self, rate: float) -> None:
        self.progress.done += 1
        self.rates.append(rate)
