"""What a framework's runner reads and writes: the common problem, the models of its run and what it cost."""

import csv
import json
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

State = dict[str, Tensor]
COSTS = ("framework", "version", "method", "rounds", "seconds", "peak_memory_bytes")


@dataclass(frozen=True)
class Problem:
    """A folder that problem.py wrote."""

    inputs: Tensor  # [n, 1, 8, 8]
    labels: Tensor
    batches: np.ndarray  # positions [rounds, clients, steps, batch], -1 where there is none
    sizes: list[int]
    start: State
    settings: dict

    @classmethod
    def read(cls, folder: Path) -> "Problem":
        with np.load(folder / "problem.npz") as arrays:
            return cls(
                inputs=torch.from_numpy(arrays["inputs"]),
                labels=torch.from_numpy(arrays["labels"]),
                batches=arrays["batches"],
                sizes=arrays["sizes"].tolist(),
                start=load_file(folder / "start.safetensors"),
                settings=json.loads((folder / "settings.json").read_text(encoding="utf-8")),
            )

    def samples(self, client: int) -> np.ndarray:
        """Positions of a client's samples."""
        positions = np.unique(self.batches[0, client])
        return positions[positions >= 0]

    def steps(self, round_number: int, client: int) -> list[tuple[Tensor, Tensor]]:
        """Inputs and labels of the steps of a client in a round, which counts from 1."""
        rows = (row[row >= 0] for row in self.batches[round_number - 1, client])
        return [(self.inputs[row], self.labels[row]) for row in rows if len(row)]

    def epochs(self, round_number: int, client: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """The steps, epoch by epoch."""
        steps = self.steps(round_number, client)
        length = len(steps) // self.settings["local_epochs"]
        return (steps[first : first + length] for first in range(0, len(steps), length))


class Run:
    """The models of a run: of rounds from 0, and those that clients handed back in rounds from 1."""

    def __init__(self):
        self.rounds: dict[int, State] = {}
        self.clients: dict[tuple[int, int], State] = {}

    def write(self, folder: Path, name: str) -> None:
        """Write `<name>.safetensors` and `<name>-clients.safetensors`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            _entries({(number,): state for number, state in self.rounds.items()}),
            folder / f"{name}.safetensors",
        )
        if self.clients:
            save_file(_entries(self.clients), folder / f"{name}-clients.safetensors")


def _entries(models: Mapping[tuple[int, ...], State]) -> State:
    return {
        "/".join([*map(str, numbers), name]): tensor.detach().clone().contiguous()
        for numbers, state in models.items()
        for name, tensor in state.items()
    }


def copied(state: Mapping[str, Tensor]) -> State:
    """A state_dict that later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def write_costs(
    path: Path,
    framework: str,
    version: str,
    method: str,
    rounds: int,
    seconds: float,
    peak: int | None = None,
) -> None:
    """Put a run's row into a table of costs, in place of an older one.

    peak: bytes of memory, those of this process if not given.
    """
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
    peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row = [framework, version, method, str(rounds), f"{seconds:.3f}", str(peak)]
    rows = sorted([*(old for old in rows if (old[0], old[2]) != (framework, method)), row])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COSTS, *rows])
