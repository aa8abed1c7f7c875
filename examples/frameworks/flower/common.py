"""What runs on the common problem share, in any environment of Flower's: paths, clients' steps, costs."""

import os
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
# For Ray's workers, which do not have the path of this process.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH")])
)
os.environ["FLWR_TELEMETRY_ENABLED"] = os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from exchange import Problem, write_costs  # noqa: E402 (found by the path above)

SECONDS_BETWEEN_SAMPLES = 0.5


@lru_cache
def problem_in(folder):
    """The problem of a folder, read once in a process."""
    torch.set_num_threads(1)
    return Problem.read(Path(folder))


def train(network, steps, rate):
    """Steps of plain SGD."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for images, labels in steps:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()


class Costs:
    """Wall time of the rounds, and memory of this process and all below it.

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


def write(out, framework, version, method, run, costs, problem):
    """Write models and costs of a run.

    Fails if rounds or clients are missing: Flower continues without clients that fail, and ends without an
    error.
    """
    rounds, clients = problem.settings["rounds"], problem.settings["clients"]
    if len(run.rounds) != rounds + 1 or len(run.clients) not in (0, rounds * clients):
        raise RuntimeError(f"{len(run.rounds)} rounds, {len(run.clients)} clients: see the log for failures")
    out = Path(out)
    run.write(out, f"{framework}-{method}")
    seconds = costs.end - costs.begin
    write_costs(out / "costs.csv", framework, version, method, rounds, seconds, costs.peak)


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
