"""A round against plain PyTorch and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import (
    SAMPLES,
    TRAINING,
    PlainClient,
    context_of,
    federation,
    images_and_labels,
    network,
    newcomer,
    owned,
    play,
)
from small_run import CLASSES
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import parameters_of
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.aggregate import Gathering
from fedscape.federated.algorithms import fedavg
from fedscape.federated.batches import BatchSource, client_task
from fedscape.federated.lanes import ClientStart, Lanes
from fedscape.federated.network import Network
from fedscape.federated.participation import participants
from fedscape.federated.rounds import Diverged
from fedscape.federated.rule import Batch, Rule
from fedscape.federated.state import ModelState
from fedscape.settings.runs import KeptModels


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("convnet", {}),
        ("convnet", {"momentum": 0.9}),
        ("convnet", {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
        ("convnet", {"weight_decay": 0.01, "drop_last": True}),
        ("convnet", {"momentum": 0.9, "clip": 0.5}),
        ("linear", {"optimiser": "adamw", "lr": 1e-3, "weight_decay": 0.1}),
        ("resnet20", {"momentum": 0.9, "weight_decay": 0.01}),
    ],
)
def test_one_client_is_plain_pytorch(tmp_path, model, changes):
    training, data, positions = replace(TRAINING, **changes), images_and_labels(), np.arange(2, SAMPLES)
    if model == "resnet20":
        positions = positions[:-1]  # 20 samples: no batch of one, which batch norm leaves out
    played = play(federation(tmp_path, Lanes(network(model), data, training, lanes=1), [positions]))
    plain = PlainClient(network(model), data, training)
    loss = plain.train(positions)
    (report,), result, expected = played.reports, played.states[-1].model, plain.model
    torch.testing.assert_close(result.parameters, expected.parameters, rtol=0, atol=1e-7)
    torch.testing.assert_close(result.buffers, expected.buffers, rtol=0, atol=1e-6)
    assert torch.equal(result.counters, expected.counters)
    assert report.client_loss == pytest.approx(loss, rel=1e-6)
    assert report.samples == len(positions)


@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize(
    ("model", "changes", "rounding"),
    [
        ("convnet", {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True, "clip": 0.5}, 1e-6),
        ("linear", {"optimiser": "adamw", "lr": 1e-3, "weight_decay": 0.1}, 1e-6),
        ("resnet20", {"momentum": 0.9, "lr": 1e-3}, 1e-5),
    ],
)
def test_each_of_several_clients_is_plain_pytorch(tmp_path, model, changes, rounding, lanes):
    """Some of the batches are of one size and can be stacked, others cannot. Steps of the network with batch
    norm are small, as rounding turns the way of a ReLU at times."""
    training, data = replace(TRAINING, local_epochs=2, **changes), images_and_labels(40)
    clients = owned(10, 5, 12, 8, 5)
    played = play(federation(tmp_path, Lanes(network(model), data, training, lanes), clients))
    assert sorted(played.models[0]) == [0, 1, 2, 3, 4]
    losses = []
    for client, model_state in played.models[0].items():
        plain = PlainClient(network(model), data, training)
        losses.append(plain.train(clients[client], client=client))
        torch.testing.assert_close(model_state.parameters, plain.model.parameters, rtol=0, atol=rounding)
        torch.testing.assert_close(model_state.buffers, plain.model.buffers, rtol=1e-5, atol=rounding)
        assert torch.equal(model_state.counters, plain.model.counters)
        assert played.results[0][client].loss == pytest.approx(losses[-1], rel=1e-5)
    sizes = [len(clients[client]) for client in played.models[0]]
    assert played.reports[0].client_loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-5)


@pytest.mark.parametrize("lanes", [1, 3])
def test_one_full_batch_step_is_gradient_descent_on_the_union(tmp_path, lanes):
    data, clients = images_and_labels(), owned(3, 12, SAMPLES - 15)
    training = replace(TRAINING, local_epochs=1, batch_size=SAMPLES, weight_decay=0.1)
    played = play(federation(tmp_path, Lanes(network(), data, training, lanes), clients))
    central = network()
    images = normalise(data.inputs, data.mean, data.std)
    cross_entropy(central(images), data.labels).backward()
    with torch.no_grad():
        for parameter in central.parameters():
            parameter -= TRAINING.lr * (parameter.grad + 0.1 * parameter)
    torch.testing.assert_close(played.parameters[-1], ModelState.of(central).parameters, rtol=0, atol=1e-7)


def test_the_mean_is_weighted_in_float64():
    generator = torch.Generator().manual_seed(0)
    models = [
        ModelState(
            torch.randn(100, generator=generator),
            torch.rand(7, generator=generator),
            torch.tensor([3 + place, 9 - place]),
        )
        for place in range(4)
    ]
    weights = [1, 20, 300, 7]
    mean = Gathering(models[0])
    for model, weight in zip(models, weights, strict=True):
        mean.add(model, weight)
    for vector in ("parameters", "buffers"):
        stacked = np.stack([getattr(model, vector).numpy().astype(np.float64) for model in models])
        expected = np.average(stacked, axis=0, weights=weights).astype(np.float32)
        np.testing.assert_array_equal(getattr(mean.gathered().model, vector).numpy(), expected)
    assert mean.gathered().model.counters.tolist() == [6, 9]


def test_the_mean_of_one_model_is_that_model():
    model = ModelState(torch.randn(1000), torch.randn(5), torch.tensor([4]))
    mean = Gathering(model)
    mean.add(model, 12345)
    assert torch.equal(mean.gathered().model.parameters, model.parameters)


@pytest.mark.parametrize("lanes", [1, 2])
def test_batch_norm_statistics_are_averaged_by_samples_and_counters_are_the_largest(tmp_path, lanes):
    data, clients = images_and_labels(), owned(4, 16)
    training = replace(TRAINING, local_epochs=1, batch_size=4)
    played = play(federation(tmp_path, Lanes(network("resnet20"), data, training, lanes), clients))
    (models,), average = played.models, played.states[-1].model
    expected = (4 * models[0].buffers.double() + 16 * models[1].buffers.double()) / 20
    torch.testing.assert_close(average.buffers, expected.float(), rtol=1e-6, atol=0)
    assert [models[client].counters.unique().tolist() for client in (0, 1)] == [[1], [4]]
    assert average.counters.unique().tolist() == [4]


def test_the_order_of_clients_does_not_matter():
    data = images_and_labels()
    positions = {3: np.arange(0, 6), 5: np.arange(6, 17), 8: np.arange(17, SAMPLES)}
    # With momentum, a client that found another's optimiser would show.
    lanes = Lanes(network("resnet20"), data, replace(TRAINING, momentum=0.9), lanes=1)
    rule = Rule(fedavg, fedavg.Settings())
    context = context_of(lanes, rule)
    start = ClientStart(context.start, newcomer(lanes, rule), {})

    def mean_in(*calls: list[int]) -> tuple[ModelState, dict]:
        """The mean and the models of clients that train in the same lane, call by call."""
        mean, models = Gathering(context.start), {}
        for order in calls:
            tasks = [client_task(lanes.training, "fedavg", positions[one], 0, 0, 1, one) for one in order]
            for _, result in lanes.train(tasks, lambda _: start, rule, context):
                mean.add(result.model, result.samples)
                models[result.client] = result.model.clone()
        return mean.gathered().model, models

    one, models = mean_in([3], [5], [8])
    for calls in ([[3, 5, 8]], [[8], [3], [5]], [[8, 3], [5]]):
        other, other_models = mean_in(*calls)
        for client in positions:
            assert torch.equal(models[client].parameters, other_models[client].parameters)
        torch.testing.assert_close(one.parameters, other.parameters, rtol=0, atol=1e-7)
        torch.testing.assert_close(one.buffers, other.buffers, rtol=1e-6, atol=1e-7)


def test_the_loss_is_pure_in_its_parameters():
    """What stacked lanes rely on: the gradient by function transform is the one by backpropagation."""
    data = images_and_labels()
    lanes, rule = Lanes(network(), data, TRAINING, lanes=1), Rule(fedavg, fedavg.Settings())
    batch = Batch(normalise(data.inputs, data.mean, data.std), data.labels, {})
    context, client = context_of(lanes, rule), newcomer(lanes, rule)
    found = lanes.sequential(rule, batch, client, context)

    def loss(vector):
        parameters = parameters_of(vector, lanes.layout)
        return fedavg.loss(Network(lanes.module), parameters, batch, client, context)

    vector = context.start.parameters
    torch.testing.assert_close(lanes.sequential.gradient, grad(loss)(vector), rtol=1e-5, atol=1e-7)
    assert loss(vector).item() == pytest.approx(found.item(), rel=1e-6)
    assert loss(torch.zeros_like(vector)).item() == pytest.approx(np.log(len(CLASSES)))


def test_a_round_leaves_what_it_started_from_as_it_was(tmp_path):
    lanes = Lanes(network("resnet20"), images_and_labels(), replace(TRAINING, momentum=0.9), lanes=2)
    played = play(federation(tmp_path, lanes, owned(8, 8, 6)), rounds=2)
    start = ModelState.of(network("resnet20"))
    for vector, expected in zip(played.states[0].model.vectors, start.vectors, strict=True):
        assert torch.equal(vector, expected)
    assert not torch.equal(played.parameters[1], played.parameters[2])


class NotFiniteOnWhite(nn.Module):
    """A layer that hands images on, but NaN in place of one that is white all over."""

    def forward(self, images):
        white = (images > 1.99).flatten(1).all(dim=1)  # (1 - 0.4) / 0.3 is 2
        return torch.where(white[:, None, None, None], torch.nan, images)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_loss_that_is_not_finite_names_its_client(tmp_path, lanes):
    data, clients = images_and_labels(), owned(8, 8, 7)
    data.inputs[10] = 255  # of client 1
    lanes = Lanes(nn.Sequential(NotFiniteOnWhite(), network()), data, TRAINING, lanes)
    with pytest.raises(Diverged, match="client 1: the loss is nan"):
        play(federation(tmp_path, lanes, clients))


def test_participants_are_a_share_drawn_anew_each_round():
    draws = [participants(0, number, 10, 0.3) for number in range(1, 200)]
    assert all(len(set(draw.tolist())) == 3 and sorted(draw) == draw.tolist() for draw in draws)
    times = np.bincount(np.concatenate(draws), minlength=10)
    # 199 rounds with 3 of 10: 60 +- 6.5 for each client.
    assert times.min() > 35
    assert times.max() < 85
    assert np.array_equal(participants(0, 7, 10, 0.3), draws[6])
    assert any(not np.array_equal(participants(1, n, 10, 0.3), draws[n - 1]) for n in range(1, 10))
    assert participants(0, 1, 10, 1.0).tolist() == list(range(10))
    assert len(participants(0, 1, 10, 0.01)) == 1


def test_batches_of_one_are_left_out_with_batch_norm_only(tmp_path):
    data = images_and_labels()
    training = replace(TRAINING, batch_size=5)
    assert BatchSource.of(network("resnet20"), data, training).used_samples(21) == 20
    assert BatchSource.of(network("resnet20"), data, training).used_samples(22) == 22
    assert BatchSource.of(network("convnet"), data, training).used_samples(21) == 21
    assert BatchSource.of(network("convnet"), data, replace(training, drop_last=True)).used_samples(24) == 20
    lanes = Lanes(network("resnet20"), data, training, lanes=1)
    played = play(federation(tmp_path, lanes, [np.arange(21)]))
    result = played.states[-1].model
    assert result.is_finite()
    assert played.reports[0].samples == 21
    assert result.counters.unique().tolist() == [4 * training.local_epochs]


@pytest.mark.parametrize(
    ("model", "changes", "samples", "message"),
    [
        ("convnet", {"drop_last": True}, 4, "client 2 has 4 samples and would never train"),
        ("resnet20", {}, 1, "client 2 has 1 samples"),
        ("resnet20", {"batch_size": 1}, 8, "use batch_size >= 2"),
    ],
)
def test_a_client_that_could_not_train_is_refused(model, changes, samples, message):
    source = BatchSource.of(network(model), images_and_labels(), replace(TRAINING, **changes))
    with pytest.raises(FedscapeError, match=message):
        source.check(2, samples)


def test_kept_rounds():
    assert KeptModels("all").global_rounds(3) == [0, 1, 2, 3]
    assert KeptModels({"every": 3}).global_rounds(7) == [0, 3, 6, 7]
    assert KeptModels([2, 5]).global_rounds(7) == [0, 2, 5, 7]
    with pytest.raises(FedscapeError, match="keep_rounds: no round 8; allowed are 0 to 7"):
        KeptModels([8]).global_rounds(7)
    assert KeptModels("all", [5, 1]).rounds_of_clients(7) == [1, 5]
    with pytest.raises(FedscapeError, match="client_rounds: no round 0; allowed are 1 to 7"):
        KeptModels("all", [0, 3]).rounds_of_clients(7)
