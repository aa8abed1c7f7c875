"""How much a job has to compute: samples in training steps, samples evaluated, bytes left on disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from fedscape.command.found import count
from fedscape.regular import json_object
from fedscape.settings.curvature import CurvatureSettings
from fedscape.settings.training import Epochs
from fedscape.study.catalog import constant, settings_class
from fedscape.study.curvature import needs_clients
from fedscape.study.grid import Run, runs_of
from fedscape.study.jobs import Job
from fedscape.study.stages.data import dataset_files
from fedscape.study.study import Method, Study

SHAPES = {  # of data sets whose shape their name decides: nothing needs to be prepared to know it
    "digits": (1, 8, 8),
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "imagenet-32": (3, 32, 32),
}
STARTS = ("initial", "pretrain")  # rules that make starts
NUMBER = 4  # bytes of a weight
# Rough counts of what analyses compute, where the exact ones depend on what is found on the way.
PER_MODEL = 3  # evaluations of a model that is marked on a plane: itself, under the policy, at its place
SEARCHED = 125  # points of a plane on which the bottom of a round's basin is looked for
LAYERS = 10  # layers of a network whose layers are averaged one by one
PRODUCTS = 20  # Hessian products for an eigenvalue
STEPS_PER_PRODUCT = 2  # a Hessian product takes as long as two gradients
RECALIBRATED = 2  # batch-norm statistics measured at a point take another pass


@dataclass(frozen=True)
class Workload:
    """What one job computes."""

    model: str = ""  # as `model_label` has it
    shape: str = ""  # of a sample: `3x32x32`
    method: str = ""  # the client rule
    steps: float = 0.0  # samples in training steps
    evaluations: float = 0.0  # samples evaluated
    vectors: float = 0.0  # models that stay on disk
    unknown: str = ""  # why it is not known


def model_label(settings: Mapping[str, Any]) -> str:
    """A network by its kind, and those of its settings that are not the defaults: `resnet(width=8)`."""
    kind = settings["kind"]
    defaults = {field.name: field.default for field in fields(settings_class("model", kind))}
    own = {key: value for key, value in settings.items() if key != "kind" and defaults.get(key) != value}
    words = ";".join(
        f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in sorted(own.items())
    )
    return f"{kind}({words})" if own else kind


def input_shape(study: Study, dataset: str) -> tuple[int, ...] | None:
    """The shape of a data set's samples; None if it must be prepared before anyone knows."""
    raw, prepared = study.datasets[dataset], _prepared(dataset)
    if prepared:
        return tuple(prepared["shape"])
    if "size" in raw.settings:  # images of a folder, resized
        return (3, raw.settings["size"], raw.settings["size"])
    return SHAPES.get(raw.kind)


def work_of(study: Study, job: Job) -> Workload:
    """What a job of the study computes."""
    measured = {"train": _train, **dict.fromkeys(STARTS, _initial), **dict.fromkeys(SECTIONS, _analysis)}
    if job.rule not in measured:
        return Workload()
    try:
        return measured[job.rule](study, job)
    except _Unknown as reason:
        return replace(_named(study, job), unknown=str(reason))


class _Unknown(Exception):
    """What stands in the way of counting."""


def _train(study: Study, job: Job) -> Workload:
    run = Run.of(job.wildcards)
    method, samples = study.methods[run.method], _samples(study, run.dataset)
    training = method.training
    evaluated = training.rounds // training.evaluate_every + 2  # the start, and the end
    clients = study.partitions[run.partition].clients or 0
    taking_part = max(1, round(clients * training.participation))
    per_client = 1 + (_epochs(method) - 1 if method.client_paths else 0)
    kept = len(method.client_rounds) * taking_part * per_client
    return replace(
        _about(study, run),
        method=method.algorithm.kind,
        steps=training.rounds * training.participation * samples["train"] * _epochs(method),
        evaluations=evaluated * sum(samples.values()),
        vectors=_kept(method) + 1 + kept,
    )


def _initial(study: Study, job: Job) -> Workload:
    names = job.wildcards
    start = study.inits[names["init"]].start.settings
    run = Run(names["dataset"], names["model"], "", names["init"], "", int(names["seed"]))
    if "epochs" not in start:
        return replace(_about(study, run), vectors=1)
    proxy = _samples(study, start["dataset"], whole=True)["train"]
    about = replace(_about(study, run), shape=_shape(study, start["dataset"]))
    return replace(about, method="fedavg", steps=start["epochs"] * proxy, vectors=1)


def _analysis(study: Study, job: Job) -> Workload:
    section, name, group = SECTIONS[job.rule], job.wildcards["name"], job.wildcards["group"]
    entry = study.analyses[section][name]
    runs = runs_of(entry.groups[group])
    settings, samples = entry.settings, _samples(study, runs[0].dataset)
    used = min(settings.samples or samples["train"], samples["train"])
    about, members = _about(study, runs[0]), len(entry.groups[group])
    if job.rule == "curvature":
        return replace(about, steps=_products(study, settings, runs) * STEPS_PER_PRODUCT * used)
    passes = RECALIBRATED if settings.batch_norm == "recalibrate" else 1
    if job.rule == "plane":
        models = sum(_kept(study.methods[run.method]) for run in runs)
        searched = 0
        if settings.plane.kind != "trajectory":
            clients = bool(constant("plane", settings.plane.kind, "CLIENTS"))
            models = len(runs) * (1 + (study.partitions[runs[0].partition].clients or 0) * clients)
            searched = SEARCHED * clients
        return replace(about, evaluations=(PER_MODEL * models + searched) * used * passes)
    if job.rule in ("surface", "surface_part"):
        split = settings.parts > 1
        points = settings.grid[0] * settings.grid[1] / settings.coarse**2
        if split:  # the jobs of its parts evaluate all of them
            points = points / settings.parts if job.rule == "surface_part" else 0
        return replace(about, evaluations=points * used * passes)
    if job.rule == "path":
        return replace(about, evaluations=members * settings.points * (used + samples["test"]) * passes)
    averages = len(settings.alignment) * len(settings.regimes) * LAYERS
    return replace(about, evaluations=members * averages * (used + samples["test"]) * passes)


def _products(study: Study, settings: CurvatureSettings, runs: Sequence[Run]) -> int:
    """Hessian products of a job of curvature, about."""
    products = PRODUCTS * (settings.top + settings.bottom)
    products += settings.density.steps * settings.density.probes if settings.density else 0
    products += settings.probes * (settings.trace != "none")
    clients = study.partitions[runs[0].partition].clients or 1
    models = ("global" in settings.of) + clients * needs_clients(settings)
    return len(runs) * len(settings.rounds) * models * max(products, PRODUCTS)


SECTIONS = {
    "plane": "planes",
    "surface": "planes",
    "surface_part": "planes",
    "path": "connectivity",
    "layers": "connectivity",
    "curvature": "curvature",
}


def _about(study: Study, run: Run) -> Workload:
    return Workload(model=model_label(study.models[run.model].keys), shape=_shape(study, run.dataset))


def _named(study: Study, job: Job) -> Workload:
    """Network and shape of a run whose data set must be prepared before anyone knows how large it is."""
    known = job.rule == "train" and input_shape(study, job.wildcards["dataset"])
    return _about(study, Run.of(job.wildcards)) if known else Workload()


def _shape(study: Study, dataset: str) -> str:
    shape = input_shape(study, dataset)
    if shape is None:
        raise _Unknown(f"the shape of {dataset} is known once it is prepared")
    return "x".join(map(str, shape))


def _samples(study: Study, dataset: str, whole: bool = False) -> dict[str, int]:
    """How many train samples (those of validation taken out) and test samples are used of a data set."""
    raw, prepared = study.datasets[dataset], _prepared(dataset)
    found = {}
    for split, name, subsets in (
        ("train", "TRAIN_SAMPLES", study.images),
        ("test", "TEST_SAMPLES", study.test_images),
    ):
        known = constant("dataset", raw.kind, name)
        count = prepared.get(split) or (known[raw.settings["part"]] if isinstance(known, dict) else known)
        count = (None if whole else subsets.get(dataset)) or count
        if count is None:
            raise _Unknown(f"how many samples {dataset} has is known once it is prepared")
        found[split] = count
    held_out = 0 if whole else round(found["train"] * study.validation)
    return {**found, "train": found["train"] - held_out, "validation": held_out}


def _prepared(dataset: str) -> dict:
    """What the description of the prepared arrays says; nothing where there are none."""
    found = json_object(dataset_files(dataset)[0])
    shape, sizes = found.get("shape"), [found.get(split, 0) for split in ("train", "test")]
    whole = isinstance(shape, list) and None not in map(count, [*shape, *sizes])
    return found if whole else {}


def _epochs(method: Method) -> float:
    """Local epochs, the mean of them where they are drawn."""
    epochs = method.training.local_epochs
    return sum(epochs.uniform) / 2 if isinstance(epochs, Epochs) else epochs


def _kept(method: Method) -> int:
    """Global models that a run keeps."""
    return method.training.rounds + 1 if method.keep_rounds == "all" else len(method.keep_rounds)
