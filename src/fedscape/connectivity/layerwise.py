"""Barriers between two models of which only some layers are averaged.

After Adilova, Fischer & Jaggi, Layerwise Linear Mode Connectivity, 2023: a barrier is the measure at the
mixture minus the mean of the measure at the two whole models, above 0 where the mixture is worse. The layers
that are not averaged come from the first model or from the second: both are looked at.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
from torch import Tensor, nn

from fedscape.columns.connectivity import RESTS
from fedscape.connectivity.barriers import BARRIER_MEASURES
from fedscape.connectivity.layer_groups import chosen_layers, layers_of
from fedscape.connectivity.layer_merges import Mixture, Model, Source, Tensors, evaluate_mixtures
from fedscape.connectivity.layer_orders import ORDERS, order
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import Evaluation, SampleSet
from fedscape.evaluation.prepared import Samples, prepared_set
from fedscape.jobs.streams import stream
from fedscape.settings.evaluation import BatchNorm

REGIMES = ("full", "single", *ORDERS)


@dataclass(frozen=True)
class Direction:
    """A layer moved away from one end by a random Gaussian direction, as far as averaging would move it.

    That is half of the distance between the two models in this layer. The stream `direction` of `seed`, by
    draw and the layer's depth, is the same for both ends.
    """

    rest: str
    seed: int
    draw: int
    depth: int

    def __call__(self, first: Tensors, second: Tensors) -> Tensors:
        """The layer's parameters, from those of both models."""
        generator = stream(self.seed, "direction", self.draw, self.depth)
        shapes = {name: tensor.shape for name, tensor in first.items()}
        drawn = {name: torch.from_numpy(generator.standard_normal(shape)) for name, shape in shapes.items()}
        distance = _length({name: first[name].double() - second[name].double() for name in first})
        share = distance / 2 / _length(drawn)
        origin = first if self.rest == "from" else second
        return {name: tensor + (share * drawn[name]).to(tensor) for name, tensor in origin.items()}


@dataclass(frozen=True)
class _Entry:
    """A mixture, and the columns that name it in the table."""

    regime: str
    layer: str
    depth: int
    averaged: int
    rest: str
    mixture: Mixture
    draw: int = 0

    @property
    def columns(self) -> dict:
        """All but the mixture."""
        names = ("regime", "layer", "depth", "averaged", "rest", "draw")
        return {name: getattr(self, name) for name in names}


def layerwise_barriers(
    module: nn.Module,
    first: Model,
    second: Model,
    data: Mapping[str, SampleSet],
    layers: Mapping[str, tuple[str, ...]] | None = None,
    regimes: Sequence[str] = REGIMES,
    seed: int = 0,
    directions: int = 0,
    batch_norm: BatchNorm = "recalibrate",
) -> list[dict]:
    """Rows of every split, measure and mixture of two models of `module`, whose own weights do not matter.

    first, second: parameters and buffers by name. data: split -> samples, on the models' device. layers: name
    -> its tensors, shallow to deep; None for one layer a module. regimes: `full` averages all layers,
    `single` one at a time, ORDERS one more after the other. seed: of the order `random` and of directions.
    directions: draws of `Direction` for each layer alone. batch_norm: see `evaluate_mixtures`.

    averaged counts layers; layer is the single one or the one added last, depth its place from 0; with all of
    them averaged, the rows of both rests are the same. value, from_value, to_value: nats, or a fraction.
    ratio: the barrier relative to the mean of the two ends, NaN where that is 0.
    """
    unknown = [regime for regime in regimes if regime not in REGIMES]
    if unknown:
        raise FedscapeError(f"no regime '{unknown[0]}'; there are {', '.join(REGIMES)}")
    layers = layers_of(first[0], first[1]) if layers is None else layers
    whole = [Mixture((rest,) * len(layers), rest) for rest in RESTS]
    # A draw at a time: the directions of all of them would be many models.
    passes = [list(_regime_entries(list(layers), regimes, seed))]
    passes += [list(_moved(list(layers), seed, draw)) for draw in range(directions)]
    end_values: list[dict[str, Evaluation]] = []
    rows = []
    for entries in passes:
        mixtures = [*([] if end_values else whole), *(entry.mixture for entry in entries)]
        values = evaluate_mixtures(module, first, second, layers, mixtures, data, batch_norm)
        if not end_values:
            end_values, values = values[:2], values[2:]
        for entry, of_mixture in zip(entries, values, strict=True):
            rows += [
                {"split": row["split"], "measure": row["measure"], **entry.columns, **row}
                for row in barrier_rows(of_mixture, *end_values)
            ]
    return rows


def barrier_rows(
    mixture: Mapping[str, Evaluation], first: Mapping[str, Evaluation], second: Mapping[str, Evaluation]
) -> list[dict]:
    """A row of each split and measure: value, ends, barrier and ratio of a mixture of two models.

    Each by split, what was evaluated.
    """
    rows = []
    for split, averaged in mixture.items():
        for measure in BARRIER_MEASURES:
            value, *ends = (getattr(model, measure) for model in (averaged, first[split], second[split]))
            mean = sum(ends) / 2
            rows.append(
                {
                    "split": split,
                    "measure": measure,
                    "value": value,
                    "from_value": ends[0],
                    "to_value": ends[1],
                    "barrier": value - mean,
                    "ratio": (value - mean) / mean if mean else math.nan,
                    "samples": averaged.samples,
                }
            )
    return rows


def layerwise_table(
    module: nn.Module,
    first: Tensors,
    second: Tensors,
    data: Mapping[str, Samples],
    groups: Mapping[str, Sequence[str]] | None = None,
    regimes: Sequence[str] = REGIMES,
    seed: int = 0,
    directions: int = 0,
    batch_norm: BatchNorm = "recalibrate",
) -> pd.DataFrame:
    """`layerwise_barriers` of any two state_dicts of a module, computed where the module is.

    data: name of a split (`train` is what statistics are recalibrated on) -> a `Dataset` of PyTorch, a
    `DataLoader`, a pair of tensors (inputs, labels), both as the network takes them, or an `EvaluationSet`,
    which has a loss of its own. groups: of layers, as in `chosen_layers`.
    """
    models = model_of(module, first), model_of(module, second)
    layers = chosen_layers(layers_of(*models[0]), groups)
    samples = {split: prepared_set(split, source, module) for split, source in data.items()}
    rows = layerwise_barriers(
        module, models[0], models[1], samples, layers, regimes, seed, directions, batch_norm
    )
    return pd.DataFrame(rows)


def model_of(module: nn.Module, state: Tensors) -> Model:
    """Parameters and buffers by name from a state_dict, on the module's device and in its type.

    Buffers that a state_dict does not hold are the module's own. Raises FedscapeError for a state_dict of
    another network.
    """
    kinds: list[dict[str, Tensor]] = []
    for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
        kinds.append({})
        for name, own in named:
            if kind == "parameter" and name not in state:
                some = ", ".join(list(state)[:3])
                raise FedscapeError(
                    f"state_dict: no parameter '{name}' of {type(module).__name__} (has {some}, ...)"
                )
            tensor = state.get(name, own).detach()
            if tensor.shape != own.shape:
                raise FedscapeError(
                    f"state_dict: {kind} '{name}' has shape {tuple(tensor.shape)}, "
                    f"that of {type(module).__name__} has {tuple(own.shape)}"
                )
            kinds[-1][name] = tensor.to(own)
    return kinds[0], kinds[1]


def _regime_entries(layers: Sequence[str], regimes: Sequence[str], seed: int) -> Iterator[_Entry]:
    """The mixtures of the regimes."""
    count = len(layers)
    for regime in regimes:
        if regime == "full":
            yield _Entry(regime, "", -1, count, "both", _averaged(range(count), count, "from"))
            continue
        depths = list(range(count)) if regime == "single" else order(regime, count, seed)
        for step, depth in enumerate(depths):
            averaged = [depth] if regime == "single" else depths[: step + 1]
            for rest in RESTS:
                mixture = _averaged(averaged, count, rest)
                yield _Entry(regime, layers[depth], depth, len(averaged), rest, mixture)


def _averaged(depths: Sequence[int], count: int, rest: Literal["from", "to"]) -> Mixture:
    sources: list[Source] = ["mean" if depth in depths else rest for depth in range(count)]
    return Mixture(tuple(sources), rest if len(depths) < count else "mean")


def _moved(layers: Sequence[str], seed: int, draw: int) -> Iterator[_Entry]:
    """One draw of a direction for each layer."""
    for depth, layer in enumerate(layers):
        for rest in RESTS:
            sources: list[Source] = [rest] * len(layers)
            sources[depth] = Direction(rest, seed, draw, depth)
            yield _Entry("direction", layer, depth, 1, rest, Mixture(tuple(sources), rest), draw)


def _length(tensors: Tensors) -> float:
    return math.sqrt(sum(tensor.double().square().sum().item() for tensor in tensors.values()))
