"""How much a job has to compute: samples in training steps, samples evaluated, bytes left on disk."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from fedscape.command.data_sizes import NotPrepared, input_shape, samples_of, shape_of
from fedscape.settings.curvature import SharpnessSettings
from fedscape.settings.training import Epochs
from fedscape.study.catalog import constant, settings_class
from fedscape.study.connections import pairs_of
from fedscape.study.grid import Run, runs_of
from fedscape.study.stages.connectivity import CURVE, LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE
from fedscape.study.stages.drift import DRIFT
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.imported import IMPORT
from fedscape.study.stages.planes import PLANE, SURFACE, SURFACE_PART
from fedscape.study.stages.stage import Stage, Wildcards
from fedscape.study.stages.training import INITIAL, PRETRAIN, TRAIN
from fedscape.study.study import Method, Study

WEIGHT_BYTES = 4  # bytes of a weight
# Rough counts of what analyses compute, where the exact ones depend on what is found on the way.
PER_MODEL = 3  # evaluations of a model that is marked on a plane: itself, under the policy, at its place
SEARCHED = 125  # points of a plane on which the bottom of a round's basin is looked for
LAYERS_OF_A_NETWORK = 10  # which are averaged one by one
PRODUCTS = 20  # Hessian products for an eigenvalue
DIAGONAL = 20  # Hessian products that take as long as its exact diagonal
ON_A_RAY = 20  # losses until the radius of a ray is found
STEPS_PER_PRODUCT = 2  # a Hessian product takes as long as two gradients
RECALIBRATED = 2  # batch-norm statistics measured at a point take another pass
MEMORY = TRAINING_MEMORY, EVALUATION_MEMORY, PRODUCT_MEMORY = (
    "train-memory", "evaluation-memory", "product-memory",
)  # fmt: skip
"""Kinds of work by the memory that they take, as config/costs.csv has them."""


@dataclass(frozen=True)
class Workload:
    """What one job computes."""

    model: str = ""  # as `model_label` has it
    shape: str = ""  # of a sample: `3x32x32`
    method: str = ""  # the client rule
    sharpness_aware: bool = False  # whether steps take the second gradient of `sam`
    steps: float = 0.0  # samples in training steps
    evaluations: float = 0.0  # samples evaluated
    vectors: float | None = 0.0  # models that stay on disk; None if nobody knows
    memory: str = ""  # one of `MEMORY`: what of the job takes the most
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


def work_of(study: Study, rule: str, names: Wildcards) -> Workload:
    """What a job of the study computes, by its rule and its wildcards."""
    count = _COUNTS.get(rule, _little if STAGES[rule].local else None)
    if count is None:
        return Workload(vectors=None, unknown=f"what {rule} computes, which command/work.py does not count")
    try:
        work = count(study, names)
    except NotPrepared as reason:
        keeps = rule in (TRAIN.name, IMPORT.name)
        known = keeps and input_shape(study, names["dataset"])
        about = _about(study, Run.of(names)) if known else Workload()
        work = replace(about, vectors=None if keeps else 0.0, unknown=str(reason))
    return replace(work, memory=_MEMORY.get(rule, ""))


def _little(study: Study, names: Wildcards) -> Workload:
    """The workload of jobs that take little more than starting Python."""
    return Workload()


def _train(study: Study, names: Wildcards) -> Workload:
    run = Run.of(names)
    method, samples = study.method(run.method), samples_of(study, run.dataset)
    training = method.training
    evaluated = training.rounds // training.evaluate_every + 2  # the start, and the end
    per_client = 1 + (_epochs(method) - 1 if method.client_paths else 0)
    kept = len(method.client_rounds) * _participants(study, run) * per_client
    return replace(
        _about(study, run),
        method=method.algorithm.kind,
        sharpness_aware=training.sam is not None,
        steps=training.rounds * training.participation * samples["train"] * _epochs(method),
        evaluations=evaluated * sum(samples.values()),
        vectors=method.kept + 1 + kept,
    )


def _import(study: Study, names: Wildcards) -> Workload:
    run = Run.of(names)
    files = study.imports[run.path]
    return replace(_about(study, run), vectors=len(files.rounds) + 1 + len(files.clients))


def _initial(study: Study, names: Wildcards) -> Workload:
    start = study.inits[names["init"]].start.settings
    run = Run(names["dataset"], names["model"], "", names["init"], "", int(names["seed"]))
    if "epochs" not in start:
        return replace(_about(study, run), vectors=1)
    proxy = samples_of(study, start["dataset"], whole=True)["train"]
    about = replace(_about(study, run), shape=shape_of(study, start["dataset"]))
    return replace(about, method="fedavg", steps=start["epochs"] * proxy, vectors=1)


@dataclass(frozen=True)
class _Group:
    """What the jobs of an analysis are about: a group of an entry."""

    settings: Any  # of the entry, as its section has them
    runs: list[Run]
    members: int
    samples: Mapping[str, int]  # of the data set
    used: int  # training samples that are evaluated at a time
    passes: int  # over them, to evaluate one model
    about: Workload


def _group(stage: Stage, study: Study, names: Wildcards) -> _Group:
    entry = study.analyses[stage.section][names["name"]]
    settings, members = entry.settings, entry.groups[names["group"]]
    runs = runs_of(members)
    samples = samples_of(study, runs[0].dataset)
    return _Group(
        settings=settings,
        runs=runs,
        members=len(members),
        samples=samples,
        used=min(settings.samples or samples["train"], samples["train"]),
        passes=RECALIBRATED if getattr(settings, "batch_norm", None) == "recalibrate" else 1,
        about=_about(study, runs[0]),
    )


def _plane(study: Study, names: Wildcards) -> Workload:
    group = _group(PLANE, study, names)
    kind = group.settings.plane.kind
    searched = 0
    if kind == "trajectory":
        models = sum(study.methods[run.method].kept for run in group.runs)
    elif constant("plane", kind, "CLIENTS"):
        models = sum(1 + _participants(study, run) for run in group.runs)
        searched = SEARCHED
    else:
        models = len(group.runs)
    return replace(group.about, evaluations=(PER_MODEL * models + searched) * group.used * group.passes)


def _surface(study: Study, names: Wildcards) -> Workload:
    """A surface that is split is evaluated by the jobs of its parts."""
    group = _group(SURFACE, study, names)
    points = 0 if group.settings.parts > 1 else group.settings.expected_points
    return replace(group.about, evaluations=points * group.used * group.passes)


def _surface_part(study: Study, names: Wildcards) -> Workload:
    group = _group(SURFACE_PART, study, names)
    points = group.settings.expected_points / group.settings.parts
    return replace(group.about, evaluations=points * group.used * group.passes)


def _path(study: Study, names: Wildcards) -> Workload:
    return _models_between(_group(PATH, study, names), lambda settings: settings.points)


def _curve(study: Study, names: Wildcards) -> Workload:
    """Training of each bend, and the models on its curve and on the straight line."""
    group = _group(CURVE, study, names)
    members = study.analyses[CURVE.section][names["name"]].groups[names["group"]]
    pairs, settings = len(pairs_of(group.settings, members, study.methods)), group.settings
    evaluated = (group.used + group.samples["test"]) * RECALIBRATED
    return replace(
        group.about,
        method="fedavg",
        steps=pairs * settings.epochs * group.used,
        evaluations=pairs * 2 * settings.points * evaluated,
        vectors=pairs,
    )


def _layers(study: Study, names: Wildcards) -> Workload:
    return _models_between(
        _group(LAYERS, study, names),
        lambda settings: len(settings.alignment) * len(settings.regimes) * LAYERS_OF_A_NETWORK,
    )


def _models_between(group: _Group, of_a_pair: Callable[[Any], int]) -> Workload:
    """The workload of models between those of each pair of runs, evaluated on training and test samples."""
    evaluated = (group.used + group.samples["test"]) * group.passes
    return replace(group.about, evaluations=group.members * of_a_pair(group.settings) * evaluated)


def _curvature(study: Study, names: Wildcards) -> Workload:
    """Products on the samples of each model: global ones, and those of the clients that took part."""
    group = _group(CURVATURE, study, names)
    settings = group.settings
    products = PRODUCTS * (settings.top + settings.bottom)
    products += settings.density.steps * settings.density.probes if settings.density else 0
    products += settings.probes * (settings.trace != "none")
    products += _sharpness(settings.sharpness) / STEPS_PER_PRODUCT if settings.sharpness else 0
    of_client = products * ("clients" in settings.of) + DIAGONAL * bool(settings.hessian_agreement)
    samples = 0.0
    for run in group.runs:
        clients = _participants(study, run)
        own = min(group.used, group.samples["train"] / _clients(study, run))
        on_clients = sum(own if data == "own" else group.used for data in settings.data)
        of_mean = clients * own * ("own" in settings.data) + group.used * ("global" in settings.data)
        samples += products * group.used * ("global" in settings.of) + of_client * clients * on_clients
        samples += products * of_mean * ("mean" in settings.of)
    return replace(group.about, steps=samples * len(settings.rounds) * STEPS_PER_PRODUCT)


def _sharpness(settings: SharpnessSettings) -> float:
    """Gradients that sharpness takes of a model; a loss without its gradient counts as a third of one."""
    gradients = (len(settings.worst) + len(settings.adaptive_worst)) * (1 + settings.starts * settings.steps)
    losses = 2 * settings.draws * (len(settings.average) + len(settings.adaptive_average))
    return gradients + (losses + ON_A_RAY * settings.draws * len(settings.rays)) / 3


# How jobs are counted, and which kind of work takes the most memory of them.
_COUNTS: Mapping[str, Callable[[Study, Wildcards], Workload]] = {
    INITIAL.name: _initial,
    TRAIN.name: _train,
    PRETRAIN.name: _initial,
    IMPORT.name: _import,
    PLANE.name: _plane,
    SURFACE.name: _surface,
    SURFACE_PART.name: _surface_part,
    PATH.name: _path,
    CURVE.name: _curve,
    LAYERS.name: _layers,
    CURVATURE.name: _curvature,
    DRIFT.name: _little,
}
_MEMORY: Mapping[str, str] = {
    **dict.fromkeys((TRAIN.name, PRETRAIN.name, CURVE.name), TRAINING_MEMORY),
    **{stage.name: EVALUATION_MEMORY for stage in (PLANE, SURFACE, SURFACE_PART, PATH, LAYERS)},
    CURVATURE.name: PRODUCT_MEMORY,
}


def _about(study: Study, run: Run) -> Workload:
    return Workload(model=model_label(study.models[run.model].keys), shape=shape_of(study, run.dataset))


def _clients(study: Study, run: Run) -> int:
    """Clients of a run; 1 where their number is known only once the data set is prepared."""
    return study.partitions[run.partition].clients or 1


def _participants(study: Study, run: Run) -> int:
    """Clients that take part in a round."""
    method = study.methods[run.method]
    participation = method.training.participation if isinstance(method, Method) else 1
    return max(1, round(_clients(study, run) * participation))


def _epochs(method: Method) -> float:
    """Local epochs, the mean of them where they are drawn."""
    epochs = method.training.local_epochs
    return sum(epochs.uniform) / 2 if isinstance(epochs, Epochs) else epochs
