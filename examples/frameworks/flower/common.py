"""What runs on the common problem share, in any environment of Flower's: input, output, costs."""

import csv
import json
import os
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

FRAMEWORKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(FRAMEWORKS))
# For Ray's workers, which do not have the path of this process.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(FRAMEWORKS), str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
)
os.environ["FLWR_TELEMETRY_ENABLED"] = os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
SECONDS_BETWEEN_SAMPLES = 0.5
COLUMNS = ("framework", "version", "method", "rounds", "seconds", "peak_memory_bytes")


class Problem:
    """A folder of the common problem; `examples/frameworks/README.md` describes its files."""

    def __init__(self, folder):
        self.settings = json.loads((Path(folder) / "settings.json").read_text())
        self.start = load_file(Path(folder) / "start.safetensors")
        with np.load(Path(folder) / "problem.npz") as arrays:
            self.inputs = torch.from_numpy(arrays["inputs"])
            self.labels = torch.from_numpy(arrays["labels"])
            self.orders, self.sizes = arrays["batches"], arrays["sizes"]

    def batches(self, round_number, client):
        """Images and labels of each step of a client in a round (from 1)."""
        for step in self.orders[round_number - 1, client]:
            positions = step[step >= 0]
            if len(positions):
                yield self.inputs[positions], self.labels[positions]


@lru_cache
def problem_in(folder):
    """The problem of a folder, read once in a process."""
    torch.set_num_threads(1)
    return Problem(folder)


def train(network, batches, rate):
    """Steps of plain SGD."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for images, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()


def write_models(path, models, count):
    """Write one file of all models: numbers, joined by slashes, -> state_dict.

    Fails unless there are `count`: Flower goes on without clients that fail, and ends without an error.
    """
    if len(models) != count:
        raise RuntimeError(f"{path}: {len(models)} models instead of {count}; see the log for failures")
    entries = {}
    for numbers, state in models.items():
        entries |= {f"{numbers}/{name}": torch.as_tensor(value).clone() for name, value in state.items()}
    save_file(entries, path)


class Costs:
    """Wall time and memory from the first round on, of this process and all below it.

    Memory is the sum of proportional set sizes (what processes share counts once), sampled twice a second.
    """

    def __init__(self):
        self.peak, self.begin, self.end = 0, None, None
        threading.Thread(target=self._watch, daemon=True).start()

    def round_begins(self):
        self.begin = self.begin or time.perf_counter()

    def round_ends(self):
        self.end = time.perf_counter()

    def _watch(self):
        while True:
            self.peak = max(self.peak, sum(map(_memory, _family(os.getpid()))))
            time.sleep(SECONDS_BETWEEN_SAMPLES)

    def write(self, folder, framework, version, method, rounds):
        """Add a row to FOLDER/costs.csv, or replace it."""
        path = Path(folder) / "costs.csv"
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                other = {"framework": framework, "method": method}
                rows = [row for row in csv.DictReader(file) if not other.items() <= row.items()]
        values = (framework, version, method, rounds, round(self.end - self.begin, 3), self.peak)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _family(root):
    """Process ids of a process and all that it or these have started."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(folder.name))
    family = [root]
    for member in family:
        family.extend(children.get(member, []))
    return family


def _memory(process):
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
