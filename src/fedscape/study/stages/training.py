"""Stages `initial`, `pretrain` and `train`: the weights that runs start from, and the runs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from fedscape.study.catalog import constant
from fedscape.study.grid import Run
from fedscape.study.stages.data import dataset_files, samples
from fedscape.study.stages.stage import RESULTS, Files, Names, Stage
from fedscape.study.study import Study

_START = f"{RESULTS}/initial/{{dataset}}/{{model}}/{{init}}/seed{{seed}}"
_RUN = f"{RESULTS}/runs/{{dataset}}/{{model}}/{{partition}}/{{init}}/{{method}}/seed{{seed}}"


def run_files(study: Study, runs: Iterable[Run], output: str) -> list[str]:
    """One output of each run, by its name in `TRAIN`."""
    return [TRAIN.file(study, run.names, output) for run in runs]


def is_trained(study: Study, init: str) -> bool:
    """Whether a start is trained for, so that its job waits in the queue of a cluster."""
    return bool(constant("initial", study.inits[init].start["kind"], "TRAINS"))


def _start_inputs(study: Study, names: Names) -> Files:
    proxy = study.inits[names["init"]].start.get("dataset")
    return {
        "dataset": dataset_files(names["dataset"]),
        "proxy": dataset_files(proxy) if proxy else [],
        "source": _source(study, names),
    }


def _source(study: Study, names: Names) -> list[str]:
    """The user's file or another run's trajectory that a start is taken from, if it is."""
    init, seed = names["init"], int(names["seed"])
    start = study.inits[init].start
    if "file" in start:
        return [start["file"]]
    run = study.start_run(init, names["dataset"], names["model"], study.start_seed(init, seed))
    return run_files(study, [run], "trajectory") if run else []


def _start_settings(study: Study, names: Names) -> dict:
    start = dict(study.inits[names["init"]].start)
    if start["kind"] == "after-round":
        # These name the run whose trajectory is an input; the names themselves do not reach the job.
        for key in ("partition", "method", "init"):
            del start[key]
    return {
        "initial": start,
        "model": study.models[names["model"]],
        "seed": study.start_seed(names["init"], int(names["seed"])),
    }


def _starts(trained: bool) -> Callable[[Study], Iterator[Names]]:
    def jobs(study: Study) -> Iterator[Names]:
        for run in study.runs:
            if is_trained(study, run.init) == trained:
                yield {key: run.names[key] for key in ("dataset", "model", "init", "seed")}

    return jobs


def _run_inputs(study: Study, names: Names) -> Files:
    run = Run(**{**names, "seed": int(names["seed"])})
    start = {key: names[key] for key in ("dataset", "model", "init", "seed")}
    return {**samples(study, run), "initial": INITIAL.file(study, start, "start")}


def _run_settings(study: Study, names: Names) -> dict:
    method = study.methods[names["method"]]
    seed = int(names["seed"])
    return {
        "model": study.models[names["model"]],
        "algorithm": method.algorithm,
        "server": method.server,
        "training": method.training,
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
    label="{dataset}_{model}_{init}_seed{seed}",
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
    jobs=lambda study: [run.names for run in study.runs],
    label="{dataset}_{model}_{partition}_{init}_{method}_seed{seed}",
    resume=f"{_RUN}/resume",
    gpu=True,
    targets=("final",),
)
