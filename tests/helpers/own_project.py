"""A project of a user's own, outside the clone: a study, a plug-in for each of some roles, and what they hold."""

from pathlib import Path

from fedscape.study import catalog, digest, imports, syntax, tracked

MODEL = '''\
"""A perceptron."""

from dataclasses import dataclass

from torch import nn

from .parts import hidden_layer


@dataclass(frozen=True)
class Settings:
    """How wide it is."""

    hidden: int = 4  # units

    def __post_init__(self):
        if self.hidden < 1:
            raise ValueError(f"hidden must be >= 1, got {self.hidden}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape`."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(), hidden_layer(channels * height * width, settings.hidden), nn.ReLU(),
        nn.Linear(settings.hidden, classes),
    )
'''
PARTS = '''\
"""Parts of networks; no plug-in, as it has no Settings."""

from torch import nn


def hidden_layer(inputs: int, units: int) -> nn.Module:
    """A linear layer."""
    return nn.Linear(inputs, units)
'''
PLUGINS = {"models/my_perceptron.py": MODEL, "models/parts.py": PARTS}
STUDY = """\
title: Mine
datasets: [digits]
images: 200
test_images: 60
models: {my-perceptron: {hidden: 3}}
partitions: {iid: {scheme: iid, clients: 2}}
methods: {fedavg: {rounds: 2, batch_size: 16, lr: 0.1}}
drift: {moves: {}}
figures: {accuracy: {kind: curves, table: rounds, measure: test_accuracy}}
scales: {quick: {}, paper: {}}
"""


def write_project(folder: Path, plugins: dict[str, str] = PLUGINS) -> Path:
    """Write a project with a study `mine`, and no settings."""
    files = {"config/studies/mine.yaml": STUDY, **{f"plugins/{name}": text for name, text in plugins.items()}}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def forget_sources() -> None:
    """Have the study layer read all sources again, as another process would."""
    for module in (catalog, digest, imports, syntax, tracked):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
