"""A start from which no run trains."""

from pathlib import Path

from safetensors.torch import save_file

from fedscape.models.build import random_model


def write_broken_start(file: Path) -> None:
    """Weights with which no loss is finite: the run's job fails whenever it is tried."""
    weights = random_model("convnet", {}, (1, 8, 8), 10, 0).state_dict()
    save_file({name: tensor * 0 + 1e30 for name, tensor in weights.items()}, file)
