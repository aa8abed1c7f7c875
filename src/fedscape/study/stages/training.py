"""Stages `initial`, `pretrain` and `train`: the weights that runs start from, and the runs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from fedscape.settings.plain import to_plain
from fedscape.study.catalog import constant
from fedscape.study.grid import Run
from fedscape.study.stages.data import dataset_file, samples
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards
from fedscape.study.study import Study

_START = f"{RESULTS}/initial/{{dataset}}/{{model}}/{{init}}/seed{{seed}}"
_RUN = f"{RESULTS}/runs/{{dataset}}/{{model}}/{{partition}}/{{init}}/{{method}}/seed{{seed}}"


def run_files(study: Study, runs: Iterable[Run], output: str) -> list[str]:
    """One output of each run, by its name in `TRAIN`."""
    return [TRAIN.file(study, run.names, output) for run in runs]


def is_trained(study: Study, init: str) -> bool:
    """Whether a start is trained for, so that its job waits in the queue of a cluster."""
    return bool(constant("initial", study.inits[init].start.kind, "TRAINS"))


def _start_inputs(study: Study, wildcards: Wildcards) -> Files:
    proxy = study.inits[wildcards["init"]].start.settings.get("dataset")
    return {
        "dataset": dataset_file(wildcards["dataset"]),
        "proxy": dataset_file(proxy) if proxy else [],
        "source": _source(study, wildcards),
    }


def _source(study: Study, wildcards: Wildcards) -> list[str]:
    """The user's file or another run's trajectory that a start is taken from, if it is."""
    init = study.inits[wildcards["init"]]
    if "file" in init.start.settings:
        return [init.start.settings["file"]]
    run = init.source(wildcards["dataset"], wildcards["model"], int(wildcards["seed"]))
    return run_files(study, [run], "trajectory") if run else []


def _start_settings(study: Study, wildcards: Wildcards) -> dict:
    init = study.inits[wildcards["init"]]
    start = init.start.keys
    if init.start.kind == "after-round":
        # These name the run whose trajectory is an input; the names themselves do not reach the job.
        for key in ("partition", "method", "init"):
            del start[key]
    return {
        "initial": start,
        "model": study.models[wildcards["model"]].keys,
        "seed": init.seed_of(int(wildcards["seed"])),
    }


def _starts(trained: bool) -> Callable[[Study], Iterator[Wildcards]]:
    def jobs(study: Study) -> Iterator[Wildcards]:
        starts = dict.fromkeys((run.dataset, run.model, run.init, run.seed) for run in study.trained_runs)
        for dataset, model, init, seed in starts:
            if is_trained(study, init) == trained:
                yield {"dataset": dataset, "model": model, "init": init, "seed": str(seed)}

    return jobs


def _run_inputs(study: Study, wildcards: Wildcards) -> Files:
    run = Run.of(wildcards)
    start = {key: wildcards[key] for key in ("dataset", "model", "init", "seed")}
    return {**samples(study, run), "initial": INITIAL.file(study, start, "start")}


def _run_settings(study: Study, wildcards: Wildcards) -> dict:
    method = study.method(wildcards["method"])
    seed = int(wildcards["seed"])
    return {
        "model": study.models[wildcards["model"]].keys,
        "algorithm": method.algorithm.keys,
        "server": method.server.keys,
        "training": to_plain(method.training),
        "keep_rounds": method.keep_rounds,
        "client_rounds": method.client_rounds,
        "client_paths": method.client_paths,
        "seed": seed,
        "order_seed": seed if method.order_seed is None else method.order_seed,
    }


INITIAL = Stage(
    "initial",
    outputs={"start": f"{_START}.safetensors"},
    inputs=_start_inputs,
    settings=_start_settings,
    jobs=_starts(trained=False),
    resume=f"{_START}.resume",
    local=True,
)
PRETRAIN = replace(
    INITIAL,
    name="pretrain",
    jobs=_starts(trained=True),
    logs="initial",
    tracks=("initial",),
    gpu=True,
    local=False,
)
TRAIN = Stage(
    "train",
    outputs={
        "trajectory": f"{_RUN}/trajectory.safetensors",
        "clients": f"{_RUN}/clients.safetensors",
        "final": f"{_RUN}/final.safetensors",
        "rounds": f"{_RUN}/rounds.csv",
        "timing": f"{_RUN}/timing.csv",
        "run": f"{_RUN}/run.json",
    },
    inputs=_run_inputs,
    settings=_run_settings,
    jobs=lambda study: [run.names for run in study.trained_runs],
    resume=f"{_RUN}/resume",
    gpu=True,
    targets=("final",),
)
