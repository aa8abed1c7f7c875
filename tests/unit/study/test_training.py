"""Training settings: what is refused, and that they come to a job as they were checked."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscape.errors import FedscapeError
from fedscape.settings.plain import from_plain
from fedscape.settings.training import (
    Augmentation,
    Epochs,
    Pruning,
    ResizedCrop,
    Schedule,
    TrainingSettings,
)
from fedscape.study.encoding import decode, encode
from fedscape.study.types import settings_from

PLAIN = {"rounds": 4}
PRUNING = {"begin": 1, "end": 3, "frequency": 1, "unit": "round"}


def built(values: dict) -> TrainingSettings:
    """From the keys of a study file to what the engine is handed, by way of a job's strings."""
    checked = settings_from(TrainingSettings, values, "methods.x")
    return from_plain(TrainingSettings, decode(encode({"training": checked}))["training"])


def test_by_default_nothing_is_added_to_plain_sgd():
    training = built(PLAIN)
    assert training == TrainingSettings(rounds=4)
    assert training.schedule == Schedule() and training.augmentation == Augmentation()
    assert (training.optimiser, training.momentum, training.weight_decay, training.clip) == ("sgd", 0, 0, 0)
    assert (training.average_every, training.weights, training.pruning) == (1, "size", None)


def test_a_job_is_handed_the_settings_of_the_study():
    values = {
        "rounds": 6,
        "local_epochs": {"uniform": [1, 5]},
        "lr": 1,
        "schedule": {"kind": "step", "warmup_steps": 3, "decay": 0.5, "decay_at": [0.25, 0.5]},
        "augmentation": {
            "crop": 4,
            "fill": "reflect",
            "flip": 0.5,
            "resize": 24,
            "resized_crop": {"scale": [0.5, 1]},
            "normalise": "client",
        },
        "pruning": PRUNING,
        "average_every": 1,
        "lanes": 4,
    }
    assert built(values) == TrainingSettings(
        rounds=6,
        local_epochs=Epochs([1, 5]),
        lr=1.0,
        schedule=Schedule(kind="step", warmup_steps=3, decay=0.5, decay_at=[0.25, 0.5]),
        augmentation=Augmentation(
            crop=4,
            fill="reflect",
            flip=0.5,
            resize=24,
            resized_crop=ResizedCrop(scale=[0.5, 1.0]),
            normalise="client",
        ),
        pruning=Pruning(begin=1, end=3, frequency=1, unit="round"),
        average_every=1,
        lanes=4,
    )


share = st.floats(0, 0.99)
augmentations = st.fixed_dictionaries(
    {},
    optional={
        "resize": st.none() | st.integers(1, 64),
        "crop": st.integers(0, 8),
        "flip": share,
        "rotation": st.floats(0, 180),
        "scale": share,
        "brightness": share,
        "colour": share,
    },
)


@given(augmentations, st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(sorted))
def test_parts_survive_the_way_to_a_job(augmentation, decay_at):
    training = built(
        {**PLAIN, "augmentation": augmentation, "schedule": {"kind": "step", "decay_at": decay_at}}
    )
    assert training.augmentation == Augmentation(**augmentation)
    assert training.schedule == Schedule(kind="step", decay_at=decay_at)


def test_one_spelling_of_the_same_settings():
    spelled = {**PLAIN, "lr": 1, "augmentation": {"flip": 1, "crop": 0}, "schedule": {}, "pruning": None}
    wanted = {"rounds": 4, "lr": 1.0, "augmentation": {"flip": 1.0}}
    assert encode(settings_from(TrainingSettings, spelled, "")) == encode(
        settings_from(TrainingSettings, wanted, "")
    )


REFUSED = [
    # Each by itself.
    ({"rounds": -1}, "rounds must be >= 0, got -1"),
    ({"local_epochs": 0}, "local_epochs must be >= 1, got 0"),
    ({"average_every": 0}, "average_every must be >= 1, got 0"),
    ({"lanes": 0}, "lanes must be >= 1, got 0"),
    ({"lr": 0}, "lr must be > 0, got 0.0"),
    ({"momentum": 1}, "momentum must be in [0, 1), got 1.0"),
    ({"weight_decay": -0.1}, "weight_decay must be >= 0, got -0.1"),
    ({"clip": -1}, "clip must be >= 0, got -1.0"),
    ({"participation": 0}, "participation must be in (0, 1], got 0.0"),
    ({"local_epochs": {"uniform": [3, 2]}}, "uniform must be [fewest, most] with 1 <= fewest <= most, got [3, 2]"),
    ({"local_epochs": {"uniform": [0, 2]}}, "got [0, 2]"),
    ({"local_epochs": {"uniform": [1, 2, 3]}}, "got [1, 2, 3]"),
    ({"schedule": {"warmup_steps": -1}}, "warmup_steps must be >= 0, got -1"),
    ({"schedule": {"warmup_steps": 1, "warmup_lr": -0.1}}, "warmup_lr must be >= 0, got -0.1"),
    ({"schedule": {"warmup_lr": 0.001}}, "warmup_lr needs warmup_steps > 0"),
    ({"schedule": {"kind": "step", "decay_at": [0.5], "decay": 0}}, "decay must be in (0, 1], got 0.0"),
    ({"schedule": {"kind": "step", "decay_at": [0.5, 0.4]}}, "ascending shares in (0, 1), got [0.5, 0.4]"),
    ({"schedule": {"kind": "step", "decay_at": [0.5, 0.5]}}, "ascending shares in (0, 1), got [0.5, 0.5]"),
    ({"schedule": {"kind": "step", "decay_at": [0, 0.5]}}, "ascending shares in (0, 1), got [0.0, 0.5]"),
    ({"schedule": {"kind": "step", "decay_at": [0.5, 1]}}, "ascending shares in (0, 1), got [0.5, 1.0]"),
    ({"schedule": {"kind": "step"}}, "decay_at and kind step need each other, got [] and step"),
    ({"schedule": {"decay_at": [0.5]}}, "decay_at and kind step need each other, got [0.5] and constant"),
    ({"augmentation": {"crop": -1}}, "crop must be >= 0, got -1"),
    ({"augmentation": {"flip": 1.5}}, "flip must be in [0, 1], got 1.5"),
    ({"augmentation": {"rotation": 200}}, "rotation must be in [0, 180], got 200.0"),
    ({"augmentation": {"scale": 1}}, "scale must be in [0, 1), got 1.0"),
    ({"augmentation": {"brightness": 2}}, "brightness must be in [0, 1], got 2.0"),
    ({"augmentation": {"resize": 0}}, "resize must be >= 1, got 0"),
    ({"augmentation": {"colour": 1.2}}, "colour must be in [0, 1], got 1.2"),
    (
        {"augmentation": {"resized_crop": {"scale": [0.5, 0.1]}}},
        "resized_crop: scale must be [least, largest] in (0, 1], got [0.5, 0.1]",
    ),
    (
        {"augmentation": {"resized_crop": {"ratio": [0, 1]}}},
        "resized_crop: ratio must be [least, largest] above 0, got [0.0, 1.0]",
    ),
    ({"pruning": {**PRUNING, "final_sparsity": 1}}, "got 0.3 and 1.0"),
    ({"pruning": {**PRUNING, "final_sparsity": 0.2}}, "got 0.3 and 0.2"),
    ({"pruning": {**PRUNING, "begin": 3}}, "begin and end must be 1 <= begin < end, got 3 and 3"),
    ({"pruning": {**PRUNING, "begin": 0}}, "begin and end must be 1 <= begin < end, got 0 and 3"),
    ({"average_every": "never", "pruning": PRUNING}, "average_every never goes without pruning, which needs an average"),
    ({"pruning": {**PRUNING, "frequency": 3}}, "frequency must be from 1 to end - begin (2), got 3"),
    ({"sam": {"rho": -0.1}}, "sam: rho must be >= 0 and finite, got -0.1"),
    ({"sam": {"rho": 0.5, "adaptive": True, "eta": -1}}, "sam: eta must be >= 0 and finite, got -1.0"),
    ({"sam": {"rho": 0.5, "eta": 0.1}}, "sam: eta 0.1 needs adaptive: true"),
    ({"sam": {}}, "sam: key 'rho' is missing"),
    # Together with another.
    ({"optimiser": "adamw", "momentum": 0.9}, "momentum needs optimiser sgd, got adamw"),
    ({"nesterov": True}, "nesterov needs momentum > 0"),
    ({"optimiser": "adamw", "nesterov": True}, "nesterov needs momentum > 0"),
    (
        {"lr": 0.1, "schedule": {"warmup_steps": 9, "warmup_lr": 0.2}},
        "schedule.warmup_lr must be <= lr (0.1), got 0.2",
    ),
    ({"average_every": 2, "participation": 0.5}, "average_every 2 needs participation 1, got 0.5"),
    ({"average_every": "never", "participation": 0.5}, "average_every never needs participation 1, got 0.5"),
    ({"average_every": 5}, "average_every must be `never` or <= rounds (4), got 5"),
    ({"pruning": {**PRUNING, "end": 5}}, "pruning.end must be <= rounds (4), got 5"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(FedscapeError, match=f"^methods.x.*{re.escape(message)}$"):
        settings_from(TrainingSettings, {**PLAIN, **change}, "methods.x")


ALLOWED = [
    {"optimiser": "adamw", "weight_decay": 0.01},
    {"momentum": 0.9, "nesterov": True},
    {"average_every": 4},
    {"average_every": "never", "optimiser_state": "keep"},
    {"participation": 0.5, "local_epochs": {"uniform": [2, 2]}},
    {"schedule": {"kind": "cosine", "warmup_steps": 100, "warmup_lr": 0.0001}},
    {"pruning": {**PRUNING, "end": 4}},
    {"pruning": {"begin": 1000, "end": 5000, "unit": "step"}},
    {"sam": {"rho": 0.05}},
    {"sam": {"rho": 0.5, "adaptive": True, "eta": 0.0}},
]


@pytest.mark.parametrize("change", ALLOWED)
def test_what_can_be_is_taken_as_it_is(change):
    training = built({**PLAIN, **change})
    for name, value in change.items():
        given_back = getattr(training, name)
        if isinstance(value, dict):
            given_back = {key: dataclasses.asdict(given_back)[key] for key in value}
        assert given_back == value


def test_the_unit_of_pruning_must_be_said():
    values = {key: value for key, value in PRUNING.items() if key != "unit"}
    with pytest.raises(FedscapeError, match=r"^methods\.x\.pruning: key 'unit' is missing$"):
        settings_from(TrainingSettings, {**PLAIN, "pruning": values}, "methods.x")
