"""Sequences of tokens on their way through evaluation, training and a whole run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_run
import torch
from engine_helpers import federation, owned, play
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import flatten, layout_of, parameters_of
from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.state_dicts import write_weights
from fedscape.data.partition import make_partition
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.eigenvalues import HessianProduct
from fedscape.evaluation.evaluate import EvaluationSet, evaluate, evaluate_groups
from fedscape.federated.aggregation_weights import input_variances
from fedscape.federated.algorithms import fedalign, gradaug, mixup, moon
from fedscape.federated.lane_count import lane_count
from fedscape.federated.lanes import Lanes
from fedscape.jobs.streams import stream
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples
from fedscape.settings.training import Augmentation, TrainingSettings

LENGTH, CLASSES = 7, 6
SMALL = {"blocks": 1, "heads": 2, "width": 8}
TRAINING = TrainingSettings(
    rounds=2, local_epochs=2, batch_size=4, lr=0.01, optimiser="adamw", betas=[0.9, 0.95]
)
SIZES = (9, 4, 6)


def chains(count: int, seed: int = 0) -> np.ndarray:
    """Tokens int32 [count, LENGTH + 1] of which each is, mostly, the one before plus one."""
    generator = np.random.default_rng(seed)
    steps = np.where(generator.random((count, LENGTH + 1)) < 0.9, 1, 3)
    return (np.cumsum(steps, axis=1) % CLASSES).astype(np.int32)


def sequences(count: int = sum(SIZES), seed: int = 0, batch_size: int = 5) -> EvaluationSet:
    tokens = torch.from_numpy(chains(count, seed))
    return EvaluationSet(
        tokens[:, :-1], tokens[:, 1:].long(), torch.empty(0), torch.empty(0), batch_size=batch_size
    )


def network(seed: int = 0):
    return random_model("gpt", SMALL, (LENGTH,), CLASSES, seed)


def uneven(seed: int = 0):
    """A network whose losses differ from token to token."""
    module = network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.4)
    return module


# Evaluation


def by_hand(module, data) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss and share of wrong answers of each sequence."""
    losses, errors = [], []
    for tokens, labels in zip(data.inputs, data.labels, strict=True):
        with torch.no_grad():
            probabilities = module(tokens[None].long())[0].double().softmax(dim=0)
        chosen = [probabilities[label, place].log().item() for place, label in enumerate(labels)]
        losses.append(-np.mean(chosen))
        errors.append((probabilities.argmax(dim=0) != labels).double().mean().item())
    return np.array(losses), np.array(errors)


def test_evaluation_is_one_plain_loop_over_sequences():
    module, data = uneven(), sequences(13)
    data = replace(data, labels=torch.from_numpy(np.random.default_rng(2).integers(0, 3, data.labels.shape)))
    found = evaluate(module, dict(module.named_parameters()), {}, data)
    losses, errors = by_hand(module, data)
    assert len(set(errors)) > 2
    assert found.samples == 13
    assert found.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert found.error == pytest.approx(errors.mean(), rel=1e-12)
    assert found.loss_se == pytest.approx(losses.std(ddof=1) / 13**0.5, rel=1e-5)
    assert found.error_se == pytest.approx(errors.std(ddof=1) / 13**0.5, rel=1e-12)


def test_groups_of_sequences_equal_passes_of_their_own():
    module, data = uneven(), sequences(13)
    groups = torch.tensor([0, 1, -1, 1, 1, 0, 0, 1, -1, 0, 1, 0, 1])
    everything, *found = evaluate_groups(module, dict(module.named_parameters()), {}, data, groups, 2)
    for group, one in enumerate(found):
        rows = groups == group
        own = replace(data, inputs=data.inputs[rows], labels=data.labels[rows])
        expected = evaluate(module, dict(module.named_parameters()), {}, own)
        assert vars(one) == pytest.approx(vars(expected), rel=1e-6)
    assert vars(everything) == pytest.approx(
        vars(evaluate(module, dict(module.named_parameters()), {}, data))
    )


def test_hessian_product_of_sequences_is_that_of_the_mean_loss():
    module, data = uneven(), sequences(9, batch_size=4)
    layout = layout_of(module)
    point = flatten(module.state_dict(), layout)[0].double()
    direction = torch.randn(point.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def slope(vector):
        vector = vector.detach().requires_grad_()
        logits = functional_call(module, parameters_of(vector, layout), (data.inputs.long(),))
        return torch.autograd.grad(cross_entropy(logits, data.labels), vector)[0]

    step = 1e-5
    expected = (slope(point + step * direction) - slope(point - step * direction)) / (2 * step)
    found = HessianProduct(module, layout, point, {}, data)(direction)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


# Training


def test_a_client_trains_as_a_plain_loop_does(tmp_path):
    data, module = sequences(SIZES[0]), network()
    optimiser = torch.optim.AdamW(module.parameters(), TRAINING.lr, (0.9, 0.95), weight_decay=0.1)
    order = stream(0, "order", 1, 0)
    for _ in range(2):
        for batch in torch.from_numpy(order.permutation(SIZES[0])).split(TRAINING.batch_size):
            optimiser.zero_grad()
            cross_entropy(module(data.inputs[batch].long()), data.labels[batch]).backward()
            optimiser.step()
    lanes = Lanes(network(), data, replace(TRAINING, weight_decay=0.1), 1)
    _, found = play(federation(tmp_path, lanes, owned(SIZES[0]))).parameters
    expected = flatten(module.state_dict(), lanes.layout)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_result_does_not_depend_on_the_lanes_and_the_loss_falls(tmp_path):
    data, found, losses = sequences(), [], []
    for lanes in (1, 2):
        (tmp_path / str(lanes)).mkdir()
        played = play(
            federation(tmp_path / str(lanes), Lanes(network(), data, TRAINING, lanes), owned(*SIZES)),
            rounds=2,
        )
        found.append(torch.stack(played.parameters))
        for state in played.states:
            parameters = parameters_of(state.model.parameters, layout_of(network()))
            losses.append(evaluate(network(), parameters, {}, data).loss)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    assert losses[0] > losses[1] + 0.01 > losses[2] + 0.02
    assert losses[:3] == pytest.approx(losses[3:], rel=1e-4)


def test_auto_is_one_lane():
    training = replace(TRAINING, lanes="auto")
    assert lane_count(training, sequences(), 3) == 1
    assert lane_count(replace(training, lanes=8), sequences(), 3) == 3


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (mixup, "mixup is for images, and these samples are sequences of tokens"),
        (gradaug, "gradaug is for images"),
        (moon, "moon is for images"),
        (fedalign, "GPT names no last block"),
    ],
)
def test_rules_for_images_refuse_sequences(tmp_path, algorithm, message, lanes):
    lanes = Lanes(network(), sequences(), TRAINING, lanes)
    with pytest.raises(FedscapeError, match=message) as error:
        play(federation(tmp_path, lanes, owned(*SIZES), algorithm=algorithm))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [{"flip": 0.5}, {"crop": 1}, {"resize": 4}, {"normalise": "client"}],
    ids=lambda one: next(iter(one)),
)
def test_augmentation_refuses_sequences(changes):
    training = replace(TRAINING, augmentation=Augmentation(**changes))
    with pytest.raises(
        FedscapeError,
        match="augmentation is for images of pixels from 0 to 255, and these samples are sequences",
    ):
        Lanes(network(), sequences(), training, 1)


def test_weights_by_the_variance_of_pixels_refuse_sequences():
    with pytest.raises(FedscapeError, match="weights inverse-input-variance is for images") as error:
        input_variances(sequences(), owned(*SIZES))
    assert "\n" not in str(error.value)


# A run


@pytest.fixture
def prepared(tmp_path):
    """Data set, natural partition and start of a run on tokens."""
    train, test = chains(sum(SIZES)), chains(5, seed=1)
    raw = Raw(
        classes=tuple("abcdef"),
        train_inputs=Inputs.of(train[:, :-1]),
        train_labels=train[:, 1:],
        test_inputs=Inputs.of(test[:, :-1]),
        test_labels=test[:, 1:],
        train_clients=np.repeat(np.arange(len(SIZES)), SIZES),
    )
    write_dataset(tmp_path / "data", "chains", "chains", raw)
    make_partition(
        dataset=tmp_path / "data", scheme=Plugin("natural"), clients=None, partition_seed=0,
        samples=UsedSamples(seed=0, validation=0.2), identity=small_run.IDENTITY, npz=tmp_path / "partition.npz", csv=tmp_path / "partition.csv",
    )  # fmt: skip
    write_weights(tmp_path / "initial.safetensors", network().state_dict())
    return tmp_path


RUN = {
    "model": "gpt",
    "model_settings": SMALL,
    "optimiser": "adamw",
    "momentum": 0.0,
    "betas": [0.9, 0.95],
    "lr": 0.01,
    "batch_size": 3,
    "participation": 1.0,
    "schedule": {"kind": "cosine", "warmup_steps": 3},
}


@pytest.mark.parametrize("changes", [{"lanes": 1}, {"lanes": 2}, {"lanes": 1, "average_every": "never"}])
def test_a_run_on_tokens(prepared, changes):
    outputs = small_run.run_once(prepared, **RUN, **changes)
    rounds = pd.read_csv(outputs["rounds"])
    assert rounds["round"].tolist() == [0, 1, 2, 3, 4]
    assert not rounds["diverged"].any()
    assert {"train_loss", "test_loss", "validation_loss"} <= set(rounds.columns)
    assert rounds["test_loss"].iloc[-1] < rounds["test_loss"].iloc[0] - 0.05
    trajectory = Trajectory(outputs["trajectory"])
    assert trajectory.layout == layout_of(network())
    assert trajectory.layout.buffers == trajectory.layout.counters == ()


def test_a_stopped_run_on_tokens_goes_on(prepared, monkeypatch):
    whole = small_run.contents(small_run.run_once(prepared, out="whole", **RUN))
    small_run.stop_after_two_rounds(prepared, monkeypatch, **RUN)
    assert small_run.contents(small_run.run_once(prepared, **RUN)) == whole


def test_a_model_for_images_refuses_the_run(prepared):
    with pytest.raises(
        FedscapeError, match=r"model convnet takes images, and the samples are tokens of shape \(7,\)"
    ):
        small_run.run_once(prepared, model="convnet")
