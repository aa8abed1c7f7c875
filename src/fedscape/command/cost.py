"""`fedscape cost`: what a study takes, before anything runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

from fedscape.command.found import all_rows, numbers
from fedscape.command.place import enter_repository, settings
from fedscape.command.prices import CPU, MEMORY, TABLE, Prices, read_prices
from fedscape.command.work import NUMBER, Workload, work_of
from fedscape.errors import printable
from fedscape.study.campaign import read_study
from fedscape.study.jobs import Job, jobs_of, levels
from fedscape.study.stages.training import is_trained
from fedscape.study.study import Study

ON_GPU = ("train", "pretrain", "plane", "surface", "surface_part", "path", "layers", "curvature")
LATENCY = (20, 180)  # seconds from one level to the next: how often Snakemake asks a cluster (profiles/slurm)
HOUR, GIGABYTE = 3600, 1e9


@dataclass(frozen=True)
class Sum:
    """What is known of some jobs together, and whether that is all of them, or none."""

    value: float = 0.0
    known: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Sum":
        """The sum of what is known among the values."""
        found = list(values)
        known = [value for value in found if value is not None]
        return cls(sum(known), len(known), len(found) - len(known))

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.value + other.value, self.known + other.known, self.unknown + other.unknown)

    def shown(self, unit: float) -> str:
        """In a table; `+` says that there is more."""
        if self.unknown and not self.value:
            return "unknown"
        return f"{self.value / unit:,.2f}{'+' if self.unknown else ''}"


@dataclass(frozen=True)
class Line:
    """What the jobs of one rule take together."""

    rule: str
    jobs: int
    cpu: Sum  # seconds
    gpu: Sum
    disk: Sum  # bytes
    took: Sum  # seconds on the clock of those that were measured
    memory: tuple[float | None, ...]  # bytes that each takes at most; none of rules that are not measured

    @property
    def largest(self) -> str:
        """In a table, the memory of the largest job; `+` says that some are not known."""
        known = [one for one in self.memory if one is not None]
        if not known:
            return "unknown" if self.memory else "-"
        return f"{max(known) / GIGABYTE:,.1f}{'+' * (None in self.memory)}"


def cost(study: str | None, changes: Sequence[str], configfiles: Sequence[str]) -> int:
    """Print jobs, levels, hours and disk of a study, and what these numbers rest on."""
    enter_repository()
    chosen = read_study(Path.cwd(), settings(study, changes, configfiles))
    jobs, prices = jobs_of(chosen), read_prices()
    works = [work_of(chosen, job) for job in jobs]
    gpus, took = prices.devices(), _took(chosen)
    lines = [
        _line(rule, jobs, works, prices, gpus[0] if gpus else None, took.get(rule, Sum()))
        for rule in _rules(jobs)
    ]
    text = [*_table(chosen, jobs, lines), *_notes(chosen, jobs, works, prices, gpus, bool(took))]
    print("\n".join(map(printable, text)))
    return 0


def _rules(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(job.rule for job in jobs))


def _line(
    rule: str, jobs: Sequence[Job], works: Sequence[Workload], prices: Prices, gpu: str | None, took: Sum
) -> Line:
    members = [work for job, work in zip(jobs, works, strict=True) if job.rule == rule]
    on_gpu = rule in ON_GPU
    return Line(
        rule,
        len(members),
        Sum.of(prices.seconds(rule, work, CPU) for work in members),
        Sum.of(prices.seconds(rule, work, gpu) if gpu else None for work in members) if on_gpu else Sum(),
        Sum.of(prices.bytes(work, NUMBER) for work in members),
        took,
        tuple(prices.memory(rule, work, NUMBER) for work in members) if rule in MEMORY else (),
    )


def _table(study: Study, jobs: Sequence[Job], lines: Sequence[Line]) -> Iterator[str]:
    sent = sum(not job.local for job in jobs)
    deep = levels(jobs)
    least, most = (deep * seconds / 60 for seconds in LATENCY)
    yield f"{study.name} at {study.scale}: {len(jobs)} jobs, {sent} of them for a queue, in {deep} levels;"
    yield f"on a cluster each level waits {LATENCY[0]} to {LATENCY[1]} s more: {least:.0f} to {most:.0f} min"
    heads = "".join(f"{head:>12}" for head in ("CPU hours", "GPU hours", "disk, GB", "memory, GB"))
    yield f"{'':<14}{'jobs':>7}{heads}{'took, hours':>13}"
    keys = ("cpu", "gpu", "disk", "took")
    sums = (reduce(add, (getattr(line, key) for line in lines), Sum()) for key in keys)
    total = Line("all", len(jobs), *sums, tuple(one for line in lines for one in line.memory))
    for line in (*lines, total):
        numbers = (line.cpu.shown(HOUR), line.gpu.shown(HOUR), line.disk.shown(GIGABYTE), line.largest)
        took = line.took.shown(HOUR) if line.took.known else "-"
        yield (
            f"{line.rule:<14}{line.jobs:>7}" + "".join(f"{number:>12}" for number in numbers) + f"{took:>13}"
        )


def _notes(
    study: Study,
    jobs: Sequence[Job],
    works: Sequence[Workload],
    prices: Prices,
    gpus: Sequence[str],
    was_measured: bool,
) -> Iterator[str]:
    """What the numbers rest on, and what they do not know."""
    yield "CPU hours: of one core. GPU hours: with one GPU a job, in place of the CPU hours, not beside them."
    yield "Memory: of the largest job, on a CPU; what the rules ask for stands in rules/*.smk."
    if prices.own:
        yield f"Measured on runs of this clone (up to {prices.own} of a network); else {TABLE}."
    yield f"{TABLE}: seconds a sample, measured on {'; '.join(filter(None, prices.sources))}."
    if was_measured:
        yield f"Took: on the clock, what {study.folder}/tables/costs.csv has of jobs of this very study."
    else:
        yield "Nothing was measured at this scale: all hours are extrapolated from seconds a sample."
    yield "Training is counted by its samples, rounds and epochs; analyses roughly, within a factor of three."
    if not gpus:
        yield "GPU hours are unknown: nothing was measured on a GPU (benchmarks/costs.py --device cuda does)."
    else:
        yield f"GPU hours: on {gpus[0]}."
    reasons = dict.fromkeys(
        work.unknown or f"no seconds a sample of {work.model} at {work.shape}"
        for job, work in zip(jobs, works, strict=True)
        if prices.seconds(job.rule, work, CPU) is None
    )
    yield from (f"Left out (+): {reason}." for reason in reasons)


def _took(study: Study) -> dict[str, Sum]:
    """Seconds by rule of the jobs that the study's own table of costs has; of a run, of all its processes."""
    found: dict[str, Sum] = {}
    for row in all_rows(Path(study.folder, "tables", "costs.csv")):
        if not {"stage", "init"} <= row.keys():
            continue
        seconds = numbers(row, *(key for key in ("seconds", "job_seconds") if row.get(key)))
        rule = row["stage"]
        if rule == "initial" and row["init"] in study.inits and is_trained(study, row["init"]):
            rule = "pretrain"
        found[rule] = found.get(rule, Sum()) + Sum.of([max(seconds or [], default=None)])
    return found
