"""How much faster all mixtures of two models are evaluated when those that begin alike share activations.

The same mixtures of two random ResNets on random images, by `evaluate_mixtures` and one by one by `evaluate`,
each distinct mixture once. Their losses and errors must agree. In each repetition both run once, in turns.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/layerwise.py
"""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from measured import Options, Place, Table

from fedscape.connectivity.layer_groups import layers_of
from fedscape.connectivity.layer_merges import Mixture, evaluate_mixtures
from fedscape.connectivity.layer_orders import ORDERS, order
from fedscape.evaluation.device import prepare_device
from fedscape.evaluation.evaluate import CPU_BATCH, GPU_BATCH, EvaluationSet, evaluate
from fedscape.jobs.job import keep_freed_memory
from fedscape.models.build import random_model

SHAPE, CLASSES = (3, 32, 32), 10
SETTINGS = {"blocks": [2, 2, 2, 2], "norm": "none"}
WIDTH = 16
SAME = 1e-5  # relative difference of losses, at most
REGIMES = {"single": ("single",), "shallow": ("shallow",), "deep": ("deep",), "all": ("single", *ORDERS)}


class Ground:
    """Two models of one network, and the images on which their mixtures are evaluated."""

    def __init__(self, width: int, images: int, device: torch.device):
        self.module, *models = (
            random_model("resnet", {**SETTINGS, "width": width}, SHAPE, CLASSES, seed).to(device)
            for seed in range(3)
        )
        self.first, self.second = (
            {name: tensor.detach() for name, tensor in model.named_parameters()} for model in models
        )
        self.layers = layers_of(self.first)
        draw = np.random.default_rng(0)
        self.data = EvaluationSet(
            inputs=torch.from_numpy(draw.integers(0, 256, (images, *SHAPE), dtype=np.uint8)).to(device),
            labels=torch.from_numpy(draw.integers(0, CLASSES, images)).to(device),
            mean=torch.full(SHAPE[:1], 0.5, device=device),
            std=torch.full(SHAPE[:1], 0.25, device=device),
            batch_size=CPU_BATCH if device.type == "cpu" else GPU_BATCH,
        )

    def mixtures(self, regimes: Sequence[str]) -> list[Mixture]:
        """Both ends and the different mixtures of some regimes, with either rest."""
        count = len(self.layers)
        averaged = [set(range(count)), set()]
        for regime in regimes:
            if regime == "single":
                averaged += [{place} for place in range(count)]
            else:
                averaged += [set(order(regime, count)[:step]) for step in range(1, count)]
        found = []
        for places in averaged:
            for rest in ("from", "to") if len(places) < count else ("mean",):
                sources = tuple("mean" if place in places else rest for place in range(count))
                found.append(Mixture(sources, rest))
        return list(dict.fromkeys(found))

    def sharing(self, mixtures: Sequence[Mixture]) -> np.ndarray:
        """Losses and errors [mixtures, 2], all at once."""
        models, data = ((self.first, {}), (self.second, {})), {"train": self.data}
        found = evaluate_mixtures(self.module, *models, self.layers, mixtures, data, "keep")
        return np.array([(one["train"].loss, one["train"].error) for one in found])

    def one_by_one(self, mixtures: Sequence[Mixture]) -> np.ndarray:
        """Losses and errors [mixtures, 2], each by itself."""
        mean = {name: (tensor + self.second[name]) / 2 for name, tensor in self.first.items()}
        ends = {"from": self.first, "to": self.second, "mean": mean}
        values = []
        for mixture in mixtures:
            state = {
                name: ends[source][name]
                for names, source in zip(self.layers.values(), mixture.sources, strict=True)
                for name in names
            }
            found = evaluate(self.module, state, {}, self.data)
            values.append((found.loss, found.error))
        return np.array(values)


def timed(
    call: Callable[[Sequence[Mixture]], np.ndarray], mixtures: Sequence[Mixture]
) -> tuple[float, np.ndarray]:
    """Seconds, the values' arrival included, and the values."""
    began = time.perf_counter()
    values = call(mixtures)
    return time.perf_counter() - began, values


def compare(ground: Ground, regimes: Sequence[str], repetitions: int) -> tuple[str, ...]:
    """Cells of a row of the table; stops if the two ways do not compute the same."""
    mixtures = ground.mixtures(regimes)
    ways = [ground.sharing, ground.one_by_one]
    for way in ways:
        way(mixtures[:2])  # warms up
    seconds: dict[Callable, list[float]] = {way: [] for way in ways}
    for repetition in range(repetitions):
        values = {}
        for way in ways if repetition % 2 else reversed(ways):
            taken, values[way] = timed(way, mixtures)
            seconds[way].append(taken)
        off = np.abs(values[ground.sharing] / values[ground.one_by_one] - 1).max()
        if not off <= SAME:
            raise SystemExit(f"{', '.join(regimes)}: values differ by {off:.2%}")
    shared, alone = (statistics.median(seconds[way]) for way in ways)
    ratios = np.array(seconds[ground.one_by_one]) / seconds[ground.sharing]
    return (
        str(len(mixtures)),
        f"{shared:.2f}",
        f"{alone:.2f}",
        f"{np.median(ratios):.2f}",
        f"{ratios.min():.2f}, {ratios.max():.2f}",
    )


def main() -> None:
    parser = Options(__doc__, images=8, width=4, repetitions=1)
    parser.add_argument("--images", type=int, default=CPU_BATCH)
    parser.add_argument("--width", type=int, default=WIDTH, help="channels of the first stage")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.read()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    device = prepare_device(asked.device)
    ground = Ground(asked.width, asked.images, device)
    place = Place.here(asked.threads, asked.device)
    print(place)
    print(f"\nResNet of {len(ground.layers)} layers, width {asked.width}, ", end="")
    print(f"{asked.images:,} images of 32 x 32, medians of {asked.repetitions}\n")
    columns = "mixtures", "seconds", "one by one", "times as fast", "smallest, largest"
    table = Table(place, "layers averaged", *columns)
    for name, regimes in REGIMES.items():
        table.row(name, *compare(ground, regimes, asked.repetitions))


if __name__ == "__main__":
    main()
