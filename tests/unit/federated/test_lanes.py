"""Lanes: however many there are, the same clients come out of them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine_helpers import (
    TRAINING,
    context_of,
    federation,
    images_and_labels,
    network,
    newcomer,
    owned,
    play,
)
from torch.nn.functional import cross_entropy

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.algorithms import fedavg, gradaug, mimelite, mixup, scaffold
from fedscape.federated.batches import client_task
from fedscape.federated.lane_count import CPU_LANES, GPU_LANES, SMALL_IMAGE, lane_count
from fedscape.federated.lanes import ClientStart, Lanes
from fedscape.federated.rule import Rule
from fedscape.federated.state import ModelState
from fedscape.settings.training import Augmentation, Pruning, Schedule

SIZES = (10, 5, 12, 8, 5, 13, 3)
RESNET = {"blocks": [1, 1, 1], "width": 8, "norm": "group"}
CHANGES = {
    "momentum": {"momentum": 0.9, "weight_decay": 0.01, "clip": 1.0},
    "adamw": {"optimiser": "adamw", "lr": 1e-3, "weight_decay": 0.1},
    "schedule": {"schedule": Schedule(kind="cosine", warmup_steps=3)},
    "augmentation": {"augmentation": Augmentation(crop=1, flip=0.5, rotation=10.0, normalise="client")},
    "variance": {"weights": "inverse-update-variance", "momentum": 0.9},
    "pruning by round": {"pruning": Pruning(begin=1, end=2, frequency=1, unit="round")},
    "pruning by step": {"pruning": Pruning(begin=1, end=7, frequency=2, unit="step")},
}


def rounds_in(folder, lanes: int, algorithm=fedavg, model: str = "linear", **changes):
    """Two rounds of clients of unequal sizes; also what is only there while a result is."""
    settings = RESNET if model == "resnet" else {}
    training = replace(TRAINING, rounds=2, local_epochs=2, **changes)
    engine = Lanes(network(model, **settings), images_and_labels(sum(SIZES)), training, lanes)
    seen = []

    def watch(number, place, result):
        sums = None if result.gradient_sum is None else result.gradient_sum.clone()
        moments = {name: moment.clone() for name, moment in result.moments.items()}
        seen.append((number, result.client, place, moments, sums, result.path))

    folder.mkdir()
    clients = federation(folder, engine, owned(*SIZES), algorithm=algorithm)
    return play(clients, rounds=2, keep_paths=True, watch=watch), sorted(seen, key=lambda entry: entry[:2])


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def assert_same(found, expected) -> None:
    (one, one_seen), (other, other_seen) = found, expected
    for number in range(2):
        assert one.models[number].keys() == other.models[number].keys() == set(range(len(SIZES)))
        for client, model in other.models[number].items():
            for vector, own in zip(one.models[number][client].vectors, model.vectors, strict=True):
                close(vector, own)
            first, second = one.results[number][client], other.results[number][client]
            assert (first.samples, first.steps) == (second.samples, second.steps)
            assert first.loss == pytest.approx(second.loss, rel=1e-4)
            assert first.rates == pytest.approx(second.rates)
            assert first.gradient_squares == pytest.approx(second.gradient_squares, rel=1e-3)
        close(one.parameters[number + 1], other.parameters[number + 1])
        assert one.reports[number].samples == other.reports[number].samples == sum(SIZES)
    for (*keys, moments, sums, path), (*other_keys, own_moments, own_sums, own_path) in zip(
        one_seen, other_seen, strict=True
    ):
        assert keys == other_keys
        assert moments.keys() == own_moments.keys() and (sums is None) == (own_sums is None)
        for name, moment in own_moments.items():
            close(moments[name], moment)
        if sums is not None:
            close(sums, own_sums)
        assert len(path) == len(own_path) == 1
        close(path[0].parameters, own_path[0].parameters)


@pytest.mark.parametrize("lanes", [2, 3, 7])
@pytest.mark.parametrize("changes", CHANGES)
def test_the_number_of_lanes_does_not_matter(tmp_path, changes, lanes):
    """Sizes such that lanes take over from each other, stacked and alone, at the ends of epochs and within."""
    expected = rounds_in(tmp_path / "1", 1, **CHANGES[changes])
    assert_same(rounds_in(tmp_path / "other", lanes, **CHANGES[changes]), expected)


@pytest.mark.parametrize(
    ("algorithm", "model"),
    [(mixup, "linear"), (scaffold, "linear"), (mimelite, "linear"), (gradaug, "resnet")],
)
def test_nor_does_it_for_rules_with_draws_or_memory(tmp_path, algorithm, model):
    expected = rounds_in(tmp_path / "1", 1, algorithm, model, lr=1e-3)
    assert_same(rounds_in(tmp_path / "3", 3, algorithm, model, lr=1e-3), expected)


def test_a_start_gradient_is_that_of_the_mean_loss_and_changes_nothing():
    """In batches, the last one shorter, at another model than the lanes' present one."""
    rule, data = Rule(mimelite, mimelite.Settings()), images_and_labels(13)
    lanes = Lanes(network(), data, TRAINING, lanes=2)
    model = lanes.state.clone()
    model.parameters.mul_(0.9)
    task = client_task(TRAINING, "mimelite", np.arange(13), 0, 0, 1, 0)
    found = lanes.start_gradient(model, task, newcomer(lanes, rule), rule, context_of(lanes, rule))
    plain = network()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(0.9)
    cross_entropy(plain(normalise(data.inputs, data.mean, data.std)), data.labels).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_a_start_gradient_leaves_running_statistics_alone():
    rule = Rule(mimelite, mimelite.Settings())
    lanes = Lanes(network("resnet20"), images_and_labels(13), TRAINING, lanes=1)
    before = lanes.state.clone()
    task = client_task(TRAINING, "mimelite", np.arange(13), 0, 0, 1, 0)
    lanes.start_gradient(before, task, newcomer(lanes, rule), rule, context_of(lanes, rule))
    for vector, expected in zip(lanes.state.vectors, before.vectors, strict=True):
        assert torch.equal(vector, expected)
    assert all(getattr(layer, "track_running_stats", True) for layer in lanes.module.modules())


def test_a_client_is_asked_for_its_start_when_a_lane_is_free(tmp_path):
    """So that no more starts than lanes are in memory, whatever the number of participants."""
    rule = Rule(fedavg, fedavg.Settings())
    lanes = Lanes(network("linear"), images_and_labels(sum(SIZES)), TRAINING, lanes=2)
    context = context_of(lanes, rule)
    start, under_way, most = ClientStart(context.start, newcomer(lanes, rule), {}), set(), 0

    def begin(task):
        nonlocal most
        under_way.add(task.client)
        most = max(most, len(under_way))
        return start

    tasks = [
        client_task(TRAINING, "fedavg", positions, 0, 0, 1, client)
        for client, positions in enumerate(owned(*SIZES))
    ]
    for _, result in lanes.train(tasks, begin, rule, context):
        under_way.remove(result.client)
    assert (most, under_way) == (2, set())


def test_the_lanes_end_as_they_began_but_for_the_model():
    """A client that trains after others meets nothing of theirs: in the same lane, and in a fresh engine."""
    training = replace(TRAINING, momentum=0.9, weights="inverse-update-variance")
    rule, data, last = Rule(fedavg, fedavg.Settings()), images_and_labels(sum(SIZES)), owned(*SIZES)[2]
    results = []
    for before in ((), owned(*SIZES)):
        lanes = Lanes(network("linear"), data, training, lanes=1)
        context = context_of(lanes, rule)
        start = ClientStart(ModelState.of(network("linear")), newcomer(lanes, rule), {})
        for chosen in (*before, last):
            task = client_task(training, "fedavg", chosen, 0, 0, 1, 2)
            ((_, result),) = lanes.train([task], lambda _, start=start: start, rule, context)
        results.append(
            [
                result.model.parameters,
                result.moments["momentum"],
                result.gradient_sum,
                torch.tensor(result.loss),
            ]
        )
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("lanes", "device", "side", "participants", "expected"),
    [
        (4, "cpu", 32, 10, 4),
        (4, "cpu", 32, 3, 3),
        ("auto", "cuda", 32, 100, GPU_LANES),
        ("auto", "cuda", 32, 3, 3),
        ("auto", "cpu", SMALL_IMAGE, 100, CPU_LANES),
        ("auto", "cpu", SMALL_IMAGE, 2, 2),
        ("auto", "cpu", SMALL_IMAGE + 1, 100, 1),
    ],
)
def test_how_many_lanes(lanes, device, side, participants, expected):
    images = SimpleNamespace(device=torch.device(device), shape=(7, 1, side, side - 1), ndim=4)
    training = replace(TRAINING, lanes=lanes)
    assert lane_count(training, SimpleNamespace(inputs=images), participants) == expected


def on_a_branch(network, parameters, batch, client, context):
    loss = cross_entropy(network(parameters, batch.inputs), batch.labels)
    return loss if loss > 1 else 2 * loss


def on_an_item(network, parameters, batch, client, context):
    loss = cross_entropy(network(parameters, batch.inputs), batch.labels)
    return loss * min(1.0, loss.item())


def on_a_selection(network, parameters, batch, client, context):
    logits, wanted = network(parameters, batch.inputs), batch.labels > 1
    return cross_entropy(logits[wanted], batch.labels[wanted])


def on_the_round(network, parameters, batch, client, context):
    loss = cross_entropy(network(parameters, batch.inputs), batch.labels)
    return torch.where(loss > 1, loss, 2 * loss) if context.round == 1 else loss


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("loss", [on_a_branch, on_an_item, on_a_selection])
def test_a_loss_that_branches_on_values_is_refused_at_the_first_step_whatever_the_lanes(
    tmp_path, loss, lanes
):
    steps = []

    def counted(*arguments):
        steps.append(1)
        return loss(*arguments)

    rule = SimpleNamespace(__name__="mine", Settings=fedavg.Settings, loss=counted)
    with pytest.raises(FedscapeError) as error:
        rounds_in(tmp_path / "run", lanes, rule)
    said = str(error.value)
    line = loss.__code__.co_firstlineno + 2
    assert said.startswith(f"tests/unit/federated/test_lanes.py:{line}: branches on the values of a tensor")
    assert said.endswith("use torch.where, or multiply by the mask") and steps == [1]


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_loss_that_branches_on_the_round_is_not(tmp_path, lanes):
    rounds_in(
        tmp_path / "run", lanes, SimpleNamespace(__name__="mine", Settings=fedavg.Settings, loss=on_the_round)
    )


def test_the_look_at_a_loss_changes_nothing(tmp_path, monkeypatch):
    looked, _ = rounds_in(tmp_path / "with", 1, model="convnet")
    monkeypatch.setattr("fedscape.federated.gradients.StackedGradient.check", lambda *_: None)
    plain, _ = rounds_in(tmp_path / "without", 1, model="convnet")
    for with_it, without in zip(looked.states[-1].model.vectors, plain.states[-1].model.vectors, strict=True):
        assert torch.equal(with_it, without)
