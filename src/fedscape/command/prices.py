"""What work costs: measured seconds a sample, from config/costs.csv and from the results of this clone."""

import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from fedscape.command.lenient_readers import last_rows, numbers
from fedscape.command.work import MEMORY, TRAINING_MEMORY, Workload, model_label
from fedscape.errors import FedscapeError
from fedscape.regular import json_object, read_regular

PRICES_CSV = Path("config", "costs.csv")
PRICE_COLUMNS = ("kind", "name", "shape", "device", "value", "date", "machine", "how")
# kind: `step`, `evaluation` (seconds a sample of the network `name`), `parameters` (of it), `method` (seconds
# of a client rule's step over FedAvg's), `setting` (of a step with a setting of training over one without),
# `job` (seconds of a rule's job beside these); those in `MEMORY`: bytes of a process, Python and PyTorch
# included, that does such work with the network.
KINDS = ("step", "evaluation", "parameters", "method", "setting", "job", *MEMORY)
HELD = 10
"""Models that an analysis has in memory at a time, about: those of a plane, its directions, its point."""
CPU = "cpu"
OWN_SECONDS = 30
"""Of a run of this clone that counts; of a shorter one, which counts where there is no such, the usual round
does, since the first one measures how PyTorch warms up."""
RUNS = "*/*/runs/*/*/*/*/*/seed*/run.json"
Key = tuple[str, str, str, str]  # kind, name, shape, device


@dataclass(frozen=True)
class Prices:
    """Measured costs by what they are of; those of this clone's results before the committed ones."""

    values: Mapping[Key, float]
    own: int  # runs of this clone that were measured, of one network
    sources: tuple[str, ...]  # how the committed ones were measured
    own_seconds: float = 0.0  # of the longest run of a network, of that which was measured least

    def seconds(self, rule: str, work: Workload, device: str) -> float | None:
        """Seconds of a job on a device; None if no measurement tells."""
        total = self.values.get(("job", rule, "", CPU), 0.0)
        if work.unknown:
            return None
        for kind, amount in (("step", work.steps), ("evaluation", work.evaluations)):
            if amount:
                price = self.values.get((kind, work.model, work.shape, device))
                if price is None:
                    return None
                factor = _factor(self.values, work.method, work.sharpness_aware)
                total += amount * price * (factor if kind == "step" else 1)
        return total

    def bytes(self, work: Workload, number: int) -> float | None:
        """Bytes of the models that a job leaves, `number` a weight; None if the network's size is unknown."""
        if not work.vectors:
            return work.vectors
        parameters = self._parameters(work)
        return None if parameters is None else work.vectors * parameters * number

    def memory(self, work: Workload, number: int) -> float | None:
        """Bytes of main memory that a job takes at most, `number` a weight; None if no measurement tells."""
        taken = self.values.get((work.memory, work.model, work.shape, CPU))
        if taken is None or work.memory == TRAINING_MEMORY:
            return taken
        return taken + HELD * number * (self._parameters(work) or 0)

    def devices(self) -> list[str]:
        """Devices other than the CPU on which steps were measured."""
        return sorted({device for kind, _, _, device in self.values if kind == "step"} - {CPU})

    def _parameters(self, work: Workload) -> float | None:
        """Weights of the network that a job is about."""
        sizes = (
            value for (kind, name, shape, _), value in self.values.items()
            if (kind, name, shape) == ("parameters", work.model, work.shape)
        )  # fmt: skip
        return next(sizes, None)


def _factor(values: Mapping[Key, float], method: str, sharpness_aware: bool) -> float:
    """Seconds of a step of a client rule, with `sam` or without, over those of FedAvg's."""
    second = values.get(("setting", "sam", "", CPU), 1.0) if sharpness_aware else 1.0
    return values.get(("method", method, "", CPU), 1.0) * second


def read_prices(clone: str | Path = ".") -> Prices:
    """The clone's table, and over it what the runs here took."""
    committed = list(_committed(Path(clone) / PRICES_CSV))
    values = {key: value for key, value, _ in committed}
    own: dict[Key, list[_Measured]] = {}
    for key, measured in _own(values):
        own.setdefault(key, []).append(measured)
    for key, several in own.items():
        long = [measured for measured in several if measured.seconds >= OWN_SECONDS]
        values[key] = statistics.median(measured.value for measured in long or several)
    return Prices(
        values,
        own=max(map(len, own.values()), default=0),
        own_seconds=min((max(run.seconds for run in several) for several in own.values()), default=0.0),
        sources=tuple(dict.fromkeys(source for _, _, source in committed)),
    )


@dataclass(frozen=True)
class _Measured:
    """A price as one run has it, and the seconds for which that trained."""

    value: float
    seconds: float


def _committed(path: Path) -> Iterator[tuple[Key, float, str]]:
    try:
        text = read_regular(path)
    except OSError as error:
        raise FedscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise FedscapeError(f"{path}: no text in UTF-8 ({error})") from None
    reader = csv.DictReader(StringIO(text, newline=""))
    try:
        if tuple(reader.fieldnames or ()) != PRICE_COLUMNS:
            raise FedscapeError(f"{path}: its columns must be {', '.join(PRICE_COLUMNS)}")
        for row in reader:
            value = numbers(row, "value")
            if value is None:
                raise FedscapeError(f"{path}:{reader.line_num}: value '{row['value']}' is no number")
            if row["kind"] not in KINDS:
                raise FedscapeError(f"{path}:{reader.line_num}: kind '{row['kind']}', not {', '.join(KINDS)}")
            source = f"{row['machine']}, {row['date']}" if row["kind"] == "step" else ""
            yield (row["kind"], row["name"], row["shape"], row["device"]), value[0], source
    except csv.Error as error:
        raise FedscapeError(f"{path}:{reader.line_num}: no CSV ({error})") from None


def _own(committed: Mapping[Key, float]) -> Iterator[tuple[Key, _Measured]]:
    """Seconds a sample of each finished run here, from what its run.json says."""
    for path in Path("results").glob(RUNS):
        run = json_object(path)
        # Made before these numbers were kept, or damaged.
        with suppress(ValueError, KeyError, TypeError, AttributeError, ArithmeticError, FedscapeError):
            yield from _of_run(run, path.with_name("timing.csv"), committed)


def _of_run(run: Mapping, timing: Path, committed: Mapping[Key, float]) -> list[tuple[Key, _Measured]]:
    """What one run.json says; of a short run the usual round of timing.csv, without the first."""
    shape = json_object(Path("results", "data", run["identity"]["dataset"], "dataset.json"))
    training, done = run["training"], run["rounds"]
    epochs = training["local_epochs"]
    epochs = sum(epochs["uniform"]) / 2 if isinstance(epochs, Mapping) else epochs
    steps = run["samples"] * training["participation"] * epochs * done
    evaluated = done // training["evaluate_every"] + 2
    label, sizes = model_label(run["model"]), "x".join(map(str, shape["shape"]))
    cores = run["threads"] if run["device"] == CPU else 1
    seconds, evaluating = run["seconds"] - run["evaluation_seconds"], run["evaluation_seconds"]
    measured_for = seconds
    if seconds < OWN_SECONDS:
        rounds = last_rows(timing)
        seconds = _usual(rounds, "training_seconds", seconds / done) * done
        evaluating = _usual(rounds, "evaluation_seconds", evaluating / evaluated) * evaluated
    evaluations = evaluated * (run["samples"] + shape["test"])
    factor = _factor(committed, run["algorithm"]["kind"], bool(training.get("sam")))
    values = {
        "step": cores * seconds / steps / factor,
        "evaluation": cores * evaluating / evaluations,
        "parameters": run["parameters"],
    }
    if not all(map(math.isfinite, values.values())) or not isinstance(run["device"], str):
        raise ValueError("no number of seconds")
    return [
        ((kind, label, sizes, run["device"]), _Measured(value, measured_for))
        for kind, value in values.items()
    ]


def _usual(rounds: Sequence[Mapping[str, str]], column: str, otherwise: float) -> float:
    """Median seconds of the rounds that have any, after the first of these, in which PyTorch warms up."""
    cells = [cell for row in rounds for cell in numbers(row, column) or () if cell > 0]
    return statistics.median(cells[1:]) if len(cells) > 1 else otherwise
