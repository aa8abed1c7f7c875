"""Every job of a study, as the rules would make it: what it reads and writes, and where its log is.

The rules decide; this is for what looks at a whole campaign without starting Snakemake (`fedscape status`,
`cost`), and a test compares both job by job.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscape.study import paths
from fedscape.study.grid import Run
from fedscape.study.stages import start_seed
from fedscape.study.study import Study

LOCAL = ("dataset", "partition", "initial", "export", "tables", "claims", "costs", "table", "figure")
"""Rules whose jobs run where Snakemake does, not in the queue of a cluster."""
RUN_FILES = (
    *("trajectory.safetensors", "clients.safetensors", "final.safetensors"),
    *("rounds.csv", "timing.csv", "run.json"),
)
LAYER_FILES = ("layers.csv", "distances.csv")
TABLES = (
    *("runs.csv", "runs.md", "rounds.csv", "barriers.csv"),
    *(*LAYER_FILES, "curvature.csv", "drift.csv"),
)
MEASURED_ON = ("rounds", "barriers", "layers", "distances", "markers", "surface", "curvature")
"""Files that claims and cells of tables may be measured on."""


@dataclass(frozen=True)
class Job:
    """One job. Its wildcards stand in the order of its first output's path, as Snakemake has them."""

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    log: str
    resume: str | None = None  # its resume folder, if it has one
    temporary: bool = False  # its outputs go when the jobs that read them are done

    @property
    def local(self) -> bool:
        """Whether it runs where Snakemake does."""
        return self.rule in LOCAL

    @property
    def name(self) -> str:
        """What tells it from the other jobs of its rule."""
        own = {key: value for key, value in self.wildcards.items() if key not in ("study", "scale")}
        return "/".join(f"seed{value}" if key == "seed" else value for key, value in own.items())


def jobs_of(study: Study) -> list[Job]:
    """All jobs of a study, each after those whose files it reads."""
    return [*_data(study), *_runs(study), *_analyses(study), *_summaries(study)]


def dataset_job(dataset: str) -> Job:
    """The job that prepares a data set, which belongs to no study."""
    files = tuple(paths.dataset_files(dataset))
    return Job("dataset", {"dataset": dataset}, files, (), f"results/data/logs/{dataset}.log")


def levels(jobs: Iterable[Job]) -> int:
    """How many jobs of a cluster wait for one another in the longest chain; local ones wait in no queue.

    jobs: each after those whose files it reads.
    """
    depth: dict[str, int] = {}
    for job in jobs:
        deepest = max((depth.get(path, 0) for path in job.inputs), default=0)
        depth.update(dict.fromkeys(job.outputs, deepest + (not job.local)))
    return max(depth.values(), default=0)


def _data(study: Study) -> Iterator[Job]:
    starts = {run.init: study.inits[run.init].start for run in study.runs}
    proxies = [start["dataset"] for start in starts.values() if "dataset" in start]
    for dataset in dict.fromkeys([*(run.dataset for run in study.runs), *proxies]):
        yield dataset_job(dataset)
    splits = dict.fromkeys((run.dataset, run.partition, run.seed) for run in study.runs)
    for dataset, partition, seed in splits:
        stem = f"{study.folder}/partitions/{dataset}/{partition}/seed{seed}"
        yield _job(
            study,
            "partition",
            {"dataset": dataset, "partition": partition, "seed": str(seed)},
            (f"{stem}.npz", f"{stem}.csv"),
            paths.dataset_files(dataset),
            f"{dataset}_{partition}_seed{seed}",
        )


def _runs(study: Study) -> list[Job]:
    """Starts and runs; a run whose model another one begins with comes before it."""
    made: dict[str, Job] = {}

    def add(run: Run) -> None:
        if run.path in made:
            return
        source = study.start_run(run.init, run.dataset, run.model, start_seed(study, run.init, run.seed))
        if source:
            add(source)
        made.setdefault(_start_file(study, run), _start(study, run))
        made[run.path] = _train(study, run)

    for run in study.runs:
        add(run)
    return list(made.values())


def _start_file(study: Study, run: Run) -> str:
    return paths.start_file(study, run.dataset, run.model, run.init, run.seed)


def _start(study: Study, run: Run) -> Job:
    output = _start_file(study, run)
    return _job(
        study,
        "pretrain" if paths.is_trained(study, run.init) else "initial",
        {"dataset": run.dataset, "model": run.model, "init": run.init, "seed": str(run.seed)},
        (output,),
        [
            *paths.dataset_files(run.dataset),
            *paths.start_proxy(study, run.init),
            *paths.start_source(study, run.init, run.dataset, run.model, run.seed),
        ],
        f"{run.dataset}_{run.model}_{run.init}_seed{run.seed}",
        folder="initial",
        resume=output.removesuffix(".safetensors") + ".resume",
    )


def _train(study: Study, run: Run) -> Job:
    folder = f"{study.folder}/runs/{run.path}"
    names = [run.dataset, run.model, run.partition, run.init, run.method]
    keys = ("dataset", "model", "partition", "init", "method", "seed")
    return _job(
        study,
        "train",
        dict(zip(keys, [*names, str(run.seed)], strict=True)),
        tuple(f"{folder}/{file}" for file in RUN_FILES),
        [*_samples(study, run), _start_file(study, run)],
        "_".join([*names, f"seed{run.seed}"]),
        resume=f"{folder}/resume",
    )


def _analyses(study: Study) -> Iterator[Job]:
    for name, analysis in study.planes.items():
        for group in analysis.groups:
            yield from _plane(study, name, group)
    for name, analysis in study.connectivity.items():
        kind = analysis.settings["kind"]
        files = ("path.csv", "barriers.csv") if kind == "path" else LAYER_FILES
        for group in analysis.groups:
            clients = paths.connected_clients(study, name, group) if kind == "layers" else []
            yield _analysis(study, kind, "connectivity", name, group, files, clients, "resume")
    for name, analysis in study.curvature.items():
        for group in analysis.groups:
            more = [
                *paths.measured_clients(study, name, group), *paths.measured_partitions(study, name, group),
            ]  # fmt: skip
            files = ("curvature.csv", "density.csv")
            yield _analysis(study, "curvature", "curvature", name, group, files, more, "resume")
    for name, analysis in study.drift.items():
        for group in analysis.groups:
            yield _analysis(study, "drift", "drift", name, group, ("drift.csv",))


def _analysis(
    study: Study,
    rule: str,
    section: str,
    name: str,
    group: str,
    files: Iterable[str],
    more: Iterable[str] = (),
    resume: str | None = None,
) -> Job:
    """A job that reads the trajectories of a group, and `more`; resume: name of its resume folder."""
    folder = f"{study.folder}/{section}/{name}/{group}"
    runs = paths.analysed_runs(study, section, name, group)
    trajectories = paths.run_files(study, runs, "trajectory.safetensors")
    return _job(
        study,
        rule,
        {"name": name, "group": group},
        tuple(f"{folder}/{file}" for file in files),
        [*_samples(study, runs[0]), *trajectories, *more],
        f"{name}_{group}",
        resume=f"{folder}/{resume}" if resume else None,
    )


def _samples(study: Study, run: Run) -> list[str]:
    return [*paths.dataset_files(run.dataset), paths.partition_file(study, run)]


def _plane(study: Study, name: str, group: str) -> Iterator[Job]:
    """A plane, its surface, the surface's parts if it is split, and both for ParaView."""
    clients = paths.plane_clients(study, name, group)
    files = ("plane.safetensors", "markers.csv")
    plane = _analysis(study, "plane", "planes", name, group, files, clients, resume="resume-plane")
    yield plane
    folder, label = f"{study.folder}/planes/{name}/{group}", f"{name}_{group}"
    names = {"name": name, "group": group}
    samples = _samples(study, paths.analysed_runs(study, "planes", name, group)[0])
    parts = paths.surface_parts(study, name, group)
    for part in parts:
        stem = Path(part).stem
        numbers = dict(zip(("part", "parts"), stem.split("-of-"), strict=True))
        yield _job(
            study,
            "surface_part",
            {**names, **numbers},
            (part,),
            [*samples, *plane.outputs],
            f"{label}_{stem}",
            resume=f"{folder}/parts/resume-{stem}",
            temporary=True,
        )
    surface = f"{folder}/surface.csv"
    inputs = [*samples, *plane.outputs, *parts]
    yield _job(study, "surface", names, (surface,), inputs, label, resume=f"{folder}/resume")
    exported = tuple(f"{folder}/{file}" for file in paths.EXPORTED)
    yield _job(study, "export", names, exported, [surface, plane.outputs[1]], label)


def _summaries(study: Study) -> Iterator[Job]:
    """Tables, claims and figures."""
    folder = f"{study.folder}/tables"

    def groups(section: str, *files: str) -> list[str]:
        return [path for file in files for path in paths.group_files(study, section, f"{file}.csv")]

    yield _job(
        study,
        "tables",
        {},
        tuple(f"{folder}/{file}" for file in TABLES),
        [
            *paths.run_files(study, study.runs, "rounds.csv"),
            *groups("connectivity", "barriers", "layers", "distances"),
            *groups("curvature", "curvature"),
            *groups("drift", "drift"),
        ],
    )
    timings = paths.run_files(study, study.runs, "timing.csv")
    yield _job(study, "costs", {}, (f"{folder}/costs.csv",), [*timings, *paths.measured_jobs(study)])
    if study.claims:
        files = [path for file in MEASURED_ON for path in paths.claim_files(study, file)]
        outputs = tuple(f"{folder}/{file}" for file in paths.CLAIMS)
        yield _job(study, "claims", {}, outputs, [f"{folder}/runs.csv", *files])
    for table, entry in study.tables.items():
        if entry.has_runs:
            files = [
                path for file in (*MEASURED_ON, "timing") for path in paths.table_files(study, table, file)
            ]
            outputs = (f"{folder}/{table}.csv", f"{folder}/{table}.md")
            inputs = [f"{folder}/runs.csv", *files]
            yield _job(study, "table", {"table": table}, outputs, inputs, folder="tables", label=table)
    for figure in study.figures:
        drawn = f"{study.folder}/figures/{figure}"
        inputs = [path for files in paths.figure_files(study, figure).values() for path in files]
        yield _job(study, "figure", {"figure": figure}, (f"{drawn}.png", f"{drawn}.svg"), inputs, figure)


def _job(
    study: Study,
    rule: str,
    wildcards: Mapping[str, str],
    outputs: tuple[str, ...],
    inputs: Iterable[str],
    label: str | None = None,
    folder: str | None = None,
    **more,
) -> Job:
    """A job of this study; label: of its log, where the rule has more jobs than one."""
    log = f"{study.folder}/logs/{folder or rule}" + (f"/{label}.log" if label else ".log")
    names = {"study": study.name, "scale": study.scale, **wildcards}
    return Job(rule, names, outputs, tuple(dict.fromkeys(inputs)), log, **more)
