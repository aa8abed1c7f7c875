"""Loss and error of many mixtures of two models at once.

A mixture takes each layer from one of two models, as the mean of both, or from somewhere else. Mixtures that
take the first layers from the same models have the same activations behind them: sorted by their sources,
each is computed from where it parts from the one before, so that only one mixture's activations of one batch
are in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fedscape.connectivity.chain import Segment, chain_of, first_uses
from fedscape.connectivity.layer_groups import module_of
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import has_batch_statistics, recalibrated
from fedscape.evaluation.evaluate import (
    Evaluation,
    SampleSet,
    evaluate,
    evaluation,
    laid_out,
    mode,
)
from fedscape.evaluation.loss import MEASURES, measures
from fedscape.settings.evaluation import BatchNorm

Tensors = Mapping[str, Tensor]
Model = tuple[Tensors, Tensors]
"""Parameters and buffers by name."""
Source = Literal["from", "to", "mean"] | Callable[[Tensors, Tensors], Tensors]
"""Where a layer comes from: the first model, the second, the mean of both, or a function of the layer's
parameters in both; equal functions are taken to give the same tensors."""
CHECKED_SAMPLES = 2
"""Samples on which the network's parts are compared with the whole."""


@dataclass(frozen=True)
class Mixture:
    """A source per layer, and which model the layers not averaged come from: `mean` where none is left."""

    sources: tuple[Source, ...]
    rest: Literal["from", "to", "mean"]


def evaluate_mixtures(
    module: nn.Module,
    first: Model,
    second: Model,
    layers: Mapping[str, tuple[str, ...]],
    mixtures: Sequence[Mixture],
    data: Mapping[str, SampleSet],
    batch_norm: BatchNorm,
) -> list[dict[str, Evaluation]]:
    """By set of samples, what `evaluate` gives for each mixture; those that are the same are computed once.

    layers: name -> names of its tensors, in the order of the mixtures' sources; a tensor that they leave out
    belongs to the layer that has others of its module. batch_norm: `keep` takes all buffers of the rest (of
    the first model, where all is averaged), `interpolate` mixes float buffers as their layer's parameters,
    `recalibrate` measures statistics anew on the samples `train` for each mixture, without sharing.
    """
    if not has_batch_statistics(module):
        batch_norm = "keep"
    if batch_norm == "recalibrate" and "train" not in data:
        raise FedscapeError(
            "batch_norm: recalibrate needs samples named 'train', on which statistics are measured"
        )
    pair = _Pair(first, second, layers, batch_norm)
    recipes = [pair.recipe(mixture) for mixture in mixtures]
    distinct = list(dict.fromkeys(recipes))
    states = [pair.tensors(recipe) for recipe in distinct]
    if batch_norm == "recalibrate":
        values = [_recalibrated(module, state, data) for state in states]
    else:
        inputs = next((inputs for samples in data.values() for inputs, _ in samples.batches()), None)
        if inputs is None:
            raise FedscapeError("no samples to evaluate mixtures on")
        chain = chain_of(module, inputs[:CHECKED_SAMPLES], list(pair.ends.values()))
        keys = _segment_keys(pair, distinct, chain)
        by_set = {name: _sharing(module, chain, keys, states, samples) for name, samples in data.items()}
        values = [{name: by_set[name][number] for name in data} for number in range(len(distinct))]
    by_recipe = dict(zip(distinct, values, strict=True))
    return [by_recipe[recipe] for recipe in recipes]


Recipe = tuple[tuple[Source, Source], ...]
"""Of each part: where its parameters come from, and where its buffers do."""


class _Pair:
    """Two models and their parts: the layers, and last the buffers that are in none."""

    def __init__(
        self, first: Model, second: Model, layers: Mapping[str, tuple[str, ...]], batch_norm: BatchNorm
    ):
        self.batch_norm = batch_norm
        self.ends = {"from": {**first[0], **first[1]}, "to": {**second[0], **second[1]}}
        self.parameters, self.buffers = list(first[0]), list(first[1])
        self.parts = self._parts(layers)
        self.differ = [
            tuple(self._differ([name for name in part if name in kind]) for kind in first)
            for part in self.parts
        ]
        self.made: dict[tuple[int, int, Source], Tensors] = {}

    def _parts(self, layers: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
        parts = [list(names) for names in layers.values()]
        listed = {name for part in parts for name in part}
        owners = {module_of(name): part for part in reversed(parts) for name in part}
        outside: list[str] = []
        for name in (*self.parameters, *self.buffers):
            if name in listed:
                continue
            if name in self.parameters and module_of(name) not in owners:
                raise FedscapeError(f"layers: parameter {name} is in none of them ({', '.join(layers)})")
            owners.get(module_of(name), outside).append(name)
        return [*parts, outside]

    def _differ(self, names: Sequence[str]) -> bool:
        return not all(torch.equal(self.ends["from"][name], self.ends["to"][name]) for name in names)

    def recipe(self, mixture: Mixture) -> Recipe:
        """The same for mixtures that have the same tensors because a part of both models is the same."""
        recipe = []
        for source, differ in zip((*mixture.sources, mixture.rest), self.differ, strict=True):
            of_buffers: Source = mixture.rest
            if self.batch_norm == "interpolate":
                of_buffers = mixture.rest if callable(source) else source
            elif mixture.rest == "mean":
                of_buffers = "from"
            kinds = zip((source, of_buffers), differ, strict=True)
            recipe.append(tuple(kind if differs or callable(kind) else "from" for kind, differs in kinds))
        return tuple(recipe)

    def tensors(self, recipe: Recipe) -> dict[str, Tensor]:
        """Parameters and buffers of a mixture by name; those of equal sources are the same tensors."""
        tensors: dict[str, Tensor] = {}
        for part, choice in enumerate(recipe):
            for kind, source in enumerate(choice):
                if (part, kind, source) not in self.made:
                    self.made[part, kind, source] = self._made(part, kind, source)
                tensors |= self.made[part, kind, source]
        return tensors

    def _made(self, part: int, kind: int, source: Source) -> Tensors:
        names = [name for name in self.parts[part] if name in (self.parameters, self.buffers)[kind]]
        ends = [{name: self.ends[end][name] for name in names} for end in ("from", "to")]
        if callable(source):
            return source(*ends)
        if source != "mean":
            return ends[source == "to"]
        # Counters, which have no mean, are the first model's.
        return {
            name: (tensor + ends[1][name]) / 2 if tensor.is_floating_point() else tensor
            for name, tensor in ends[0].items()
        }


def _recalibrated(module: nn.Module, state: Tensors, data: Mapping[str, SampleSet]) -> dict[str, Evaluation]:
    parameters = {name: state[name] for name, _ in module.named_parameters()}
    buffers = {name: state[name] for name, _ in module.named_buffers()}
    buffers = recalibrated(module, parameters, buffers, data["train"])
    return {name: evaluate(module, parameters, buffers, samples) for name, samples in data.items()}


def _sharing(
    module: nn.Module,
    chain: Sequence[Segment],
    keys: Sequence[tuple],
    states: Sequence[Tensors],
    data: SampleSet,
) -> list[Evaluation]:
    """Evaluations of the mixtures, whose tensors are in `states`, each from where its key leaves the last."""
    sums = torch.zeros(len(states), MEASURES, dtype=torch.float64, device=data.labels.device)
    with mode(module, training=False), torch.inference_mode():
        for inputs, labels in data.batches():
            values: list[tuple] = [(laid_out(inputs),)]  # what each segment takes
            before: tuple = ()
            for number in sorted(range(len(states)), key=keys.__getitem__):
                shared = _shared(before, keys[number])
                del values[shared + 1 :]
                for segment in chain[shared:]:
                    values.append(segment(values[-1], states[number]))
                (logits,) = values.pop()
                sums[number] += measures(logits, labels, data.loss).sum(dim=1)
                before = keys[number]
    return [evaluation(of_mixture, len(data.labels)) for of_mixture in sums]


def _segment_keys(pair: _Pair, recipes: Sequence[Recipe], chain: Sequence[Segment]) -> list[tuple]:
    """By recipe and segment, numbers for the sources of the parts that are used there for the first time."""
    uses = first_uses(chain, [*pair.parameters, *pair.buffers])
    begins = [min((uses[name] for name in part), default=len(chain) - 1) for part in pair.parts]
    numbers: list[dict[tuple, int]] = [{} for _ in pair.parts]
    return [
        tuple(
            tuple(
                numbers[part].setdefault(choice, len(numbers[part]))
                for part, choice in enumerate(recipe)
                if begins[part] == segment
            )
            for segment in range(len(chain))
        )
        for recipe in recipes
    ]


def _shared(sources: tuple, others: tuple) -> int:
    """How many segments from the first one on have the same sources in two different mixtures."""
    same = [source == other for source, other in zip(sources, others, strict=False)]
    return same.index(False) if False in same else 0
