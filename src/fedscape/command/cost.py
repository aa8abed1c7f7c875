"""`fedscape cost`: what a study takes, before anything runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

from fedscape.command.lenient_readers import all_rows, numbers
from fedscape.command.prices import CPU, OWN_SECONDS, PRICES_CSV, Prices, read_prices
from fedscape.command.repository import clone, enter_repository, study_here
from fedscape.command.work import WEIGHT_BYTES, Workload, work_of
from fedscape.errors import printable
from fedscape.study.jobs import Job, jobs_of, levels
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.training import is_trained
from fedscape.study.study import Study

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
        several = list(values)
        known = [value for value in several if value is not None]
        return cls(sum(known), len(known), len(several) - len(known))

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.value + other.value, self.known + other.known, self.unknown + other.unknown)

    def shown(self, unit: float) -> str:
        """The sum as a table shows it; `+` says that some is not known."""
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
    memory: tuple[float | None, ...]  # bytes that each takes at most; none of rules that take little

    @property
    def largest(self) -> str:
        """The memory of the largest job as a table shows it; `+` says that some are not known."""
        known = [taken for taken in self.memory if taken is not None]
        if not known:
            return "unknown" if self.memory else "-"
        return f"{max(known) / GIGABYTE:,.1f}{'+' * (None in self.memory)}"


def cost(study: str | None, changes: Sequence[str], configfiles: Sequence[str]) -> int:
    """Print jobs, levels, hours and disk of a study, and what these numbers rest on."""
    enter_repository()
    content = study_here(study, changes, configfiles)
    jobs, prices = jobs_of(content), read_prices(clone())
    works = [work_of(content, job.rule, job.names) for job in jobs]
    gpus, took = prices.devices(), _took(content)
    lines = [
        _line(rule, jobs, works, prices, gpus[0] if gpus else None, took.get(rule, Sum()))
        for rule in _rules(jobs)
    ]
    text = [*_table(content, jobs, lines), *_notes(content, jobs, works, prices, gpus, bool(took))]
    print("\n".join(map(printable, text)))
    return 0


def _rules(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(job.rule for job in jobs))


def _line(
    rule: str, jobs: Sequence[Job], works: Sequence[Workload], prices: Prices, gpu: str | None, took: Sum
) -> Line:
    members = [work for job, work in zip(jobs, works, strict=True) if job.rule == rule]
    on_gpu = [prices.seconds(rule, work, gpu) if gpu else None for work in members]
    return Line(
        rule,
        len(members),
        Sum.of(prices.seconds(rule, work, CPU) for work in members),
        Sum.of(on_gpu) if STAGES[rule].gpu else Sum(),
        Sum.of(prices.bytes(work, WEIGHT_BYTES) for work in members),
        took,
        tuple(prices.memory(work, WEIGHT_BYTES) for work in members if work.memory or work.vectors is None),
    )


def _table(study: Study, jobs: Sequence[Job], lines: Sequence[Line]) -> Iterator[str]:
    sent = sum(not job.local for job in jobs)
    deep = levels(jobs)
    least, most = (deep * seconds / 60 for seconds in LATENCY)
    yield f"{study.name} at {study.scale}: {len(jobs)} jobs, {sent} of them for a queue, in {deep} levels;"
    yield f"on a cluster each level waits {LATENCY[0]} to {LATENCY[1]} s more: {least:.0f} to {most:.0f} min"
    heads = "".join(f"{head:>12}" for head in ("CPU hours", "GPU hours", "disk, GB", "memory, GB"))
    yield f"{'':<14}{'jobs':>7}{heads}{'took, hours':>13}"
    total = Line(
        "all",
        len(jobs),
        cpu=reduce(add, (line.cpu for line in lines), Sum()),
        gpu=reduce(add, (line.gpu for line in lines), Sum()),
        disk=reduce(add, (line.disk for line in lines), Sum()),
        took=reduce(add, (line.took for line in lines), Sum()),
        memory=tuple(taken for line in lines for taken in line.memory),
    )
    for line in (*lines, total):
        cells = (line.cpu.shown(HOUR), line.gpu.shown(HOUR), line.disk.shown(GIGABYTE), line.largest)
        took = line.took.shown(HOUR) if line.took.known else "-"
        yield f"{line.rule:<14}{line.jobs:>7}" + "".join(f"{cell:>12}" for cell in cells) + f"{took:>13}"


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
        rough = f", of {prices.own_seconds:.1f} s or more" if prices.own_seconds < OWN_SECONDS else ""
        yield f"Measured on runs of this clone (up to {prices.own} of a network{rough}); else {PRICES_CSV}."
    yield f"{PRICES_CSV}: seconds a sample, measured on {'; '.join(filter(None, prices.sources))}."
    if was_measured:
        yield f"Took: on the clock, what {study.folder}/tables/costs.csv has of jobs of this very study."
    else:
        yield "No job was measured at this scale: all hours are extrapolated from seconds a sample."
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
    sums: dict[str, Sum] = {}
    for row in all_rows(Path(study.folder, "tables", "costs.csv")):
        if not {"stage", "init"} <= row.keys():
            continue
        seconds = numbers(row, *(key for key in ("seconds", "job_seconds") if row.get(key)))
        rule = row["stage"]
        if rule == "initial" and row["init"] in study.inits and is_trained(study, row["init"]):
            rule = "pretrain"
        sums[rule] = sums.get(rule, Sum()) + Sum.of([max(seconds or [], default=None)])
    return sums
