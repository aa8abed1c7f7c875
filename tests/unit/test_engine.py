"""The engine against plain PyTorch, closed forms, and itself interrupted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_run import CLASSES, SHAPE
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy

from fedscape.errors import FedscapeError
from fedscape.federated import rounds
from fedscape.federated.aggregate import WeightedMean
from fedscape.federated.algorithms import fedavg
from fedscape.federated.lanes import ClientTask, Lane, order_stream
from fedscape.federated.participation import participants
from fedscape.federated.rounds import Federation, GlobalState, play_round
from fedscape.federated.servers import average
from fedscape.federated.state import ModelState
from fedscape.federated.train import kept_client_rounds, kept_rounds
from fedscape.models.build import random_model
from fedscape.models.evaluate import EvaluationSet, normalise
from fedscape.study.training import TrainingSettings

SAMPLES = 23
TRAINING = TrainingSettings(rounds=1, local_epochs=3, batch_size=5, lr=0.05)


def images_and_labels(samples: int = SAMPLES) -> EvaluationSet:
    generator = torch.Generator().manual_seed(0)
    return EvaluationSet(
        torch.randint(0, 256, (samples, *SHAPE), dtype=torch.uint8, generator=generator),
        torch.randint(0, len(CLASSES), (samples,), generator=generator),
        mean=torch.tensor([0.4]),
        std=torch.tensor([0.3]),
    )


def network(name: str = "convnet") -> nn.Module:
    return random_model(name, {}, SHAPE, len(CLASSES), seed=0)


def federation(lane: Lane, clients, participation: float = 1.0) -> Federation:
    return Federation(
        lane, tuple(clients), participation, fedavg, fedavg.Settings(), average, average.Settings(), 0, 0
    )


def play(lane: Lane, clients, **settings) -> tuple[ModelState, rounds.RoundReport]:
    """One round from the lane's present model."""
    start = GlobalState(lane.state.clone())
    state, report = play_round(federation(lane, clients, **settings), 1, start, lambda place, result: None)
    return state.model, report


def plain_pytorch(module: nn.Module, data: EvaluationSet, positions, training: TrainingSettings) -> float:
    """The loop anybody would write; returns the mean loss over the samples stepped on."""
    optimiser = torch.optim.SGD(
        module.parameters(),
        lr=training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
    )
    order = order_stream(0, 1, 0)
    module.train()
    losses, counts = [], []
    for _ in range(training.local_epochs):
        shuffled = positions[order.permutation(len(positions))]
        for batch in torch.from_numpy(shuffled).split(training.batch_size):
            if training.drop_last and len(batch) < training.batch_size:
                continue
            optimiser.zero_grad()
            logits = module(normalise(data.images[batch], data.mean, data.std))
            loss = cross_entropy(logits, data.labels[batch])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            counts.append(len(batch))
    return float(np.average(losses, weights=counts))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("convnet", {}),
        ("convnet", {"momentum": 0.9}),
        ("convnet", {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
        ("convnet", {"weight_decay": 0.01, "drop_last": True}),
        ("resnet20", {"momentum": 0.9, "weight_decay": 0.01}),
    ],
)
def test_one_client_is_plain_pytorch(model, changes):
    training, data, positions = replace(TRAINING, **changes), images_and_labels(), np.arange(2, SAMPLES)
    lane = Lane(network(model), data, replace(training))
    if model == "resnet20":
        positions = positions[:-1]  # 20 samples: no batch of one, which batch norm leaves out
    result, report = play(lane, [positions])
    plain = network(model)
    loss = plain_pytorch(plain, data, positions, training)
    expected = ModelState.of(plain)
    torch.testing.assert_close(result.parameters, expected.parameters, rtol=0, atol=1e-7)
    torch.testing.assert_close(result.buffers, expected.buffers, rtol=0, atol=1e-6)
    assert torch.equal(result.counters, expected.counters)
    assert report.client_loss == pytest.approx(loss, rel=1e-6)
    assert report.samples == len(positions)


def test_one_full_batch_step_is_gradient_descent_on_the_union():
    data = images_and_labels()
    clients = [np.arange(0, 3), np.arange(3, 15), np.arange(15, SAMPLES)]
    lane = Lane(network(), data, replace(TRAINING, local_epochs=1, batch_size=SAMPLES, weight_decay=0.1))
    result, _ = play(lane, clients)
    central = network()
    images = normalise(data.images, data.mean, data.std)
    cross_entropy(central(images), data.labels).backward()
    with torch.no_grad():
        for parameter in central.parameters():
            parameter -= TRAINING.lr * (parameter.grad + 0.1 * parameter)
    torch.testing.assert_close(result.parameters, ModelState.of(central).parameters, rtol=0, atol=1e-7)


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
    mean = WeightedMean(models[0])
    for model, weight in zip(models, weights, strict=True):
        mean.add(model, weight)
    for vector in ("parameters", "buffers"):
        stacked = np.stack([getattr(model, vector).numpy().astype(np.float64) for model in models])
        expected = np.average(stacked, axis=0, weights=weights).astype(np.float32)
        np.testing.assert_array_equal(getattr(mean.result(), vector).numpy(), expected)
    assert mean.result().counters.tolist() == [6, 9]


def test_the_mean_of_one_model_is_that_model():
    model = ModelState(torch.randn(1000), torch.randn(5), torch.tensor([4]))
    mean = WeightedMean(model)
    mean.add(model, 12345)
    assert torch.equal(mean.result().parameters, model.parameters)


def test_batch_norm_statistics_are_averaged_by_samples_and_counters_are_the_largest():
    data, clients = images_and_labels(), [np.arange(0, 4), np.arange(4, 20)]
    results = []
    lane = Lane(network("resnet20"), data, replace(TRAINING, local_epochs=1, batch_size=4))
    start = GlobalState(lane.state.clone())
    state, _ = play_round(
        federation(lane, clients), 1, start, lambda place, result: results.append(result.model.clone())
    )
    expected = (4 * results[0].buffers.double() + 16 * results[1].buffers.double()) / 20
    torch.testing.assert_close(state.model.buffers, expected.float(), rtol=1e-6, atol=0)
    assert [result.counters.unique().tolist() for result in results] == [[1], [4]]
    assert state.model.counters.unique().tolist() == [4]


def test_the_order_of_clients_does_not_matter():
    data = images_and_labels()
    owned = {3: np.arange(0, 6), 5: np.arange(6, 17), 8: np.arange(17, SAMPLES)}
    # With momentum, a client that found another's optimiser would show.
    lane = Lane(network("resnet20"), data, replace(TRAINING, momentum=0.9))
    start = lane.state.clone()

    def objective(parameters, images, labels):
        return cross_entropy(lane.apply(parameters, images), labels)

    def mean_in(order) -> tuple[ModelState, dict]:
        mean, models = WeightedMean(start), {}
        tasks = [ClientTask(client, owned[client], order_stream(0, 1, client)) for client in order]
        for result in lane.train(start, tasks, objective):
            mean.add(result.model, result.samples)
            models[result.client] = result.model.clone()
        return mean.result(), models

    one, models = mean_in([3, 5, 8])
    other, other_models = mean_in([8, 3, 5])
    for client in owned:
        assert torch.equal(models[client].parameters, other_models[client].parameters)
    torch.testing.assert_close(one.parameters, other.parameters, rtol=0, atol=1e-7)
    torch.testing.assert_close(one.buffers, other.buffers, rtol=1e-6, atol=1e-7)


def test_the_loss_is_pure_in_its_parameters():
    """What lanes with torch.func rely on: the gradient by function transform is the one of the lane."""
    data = images_and_labels()
    lane = Lane(network(), data, TRAINING)
    images, labels = normalise(data.images, data.mean, data.std), data.labels
    parameters = {name: tensor.detach().clone() for name, tensor in lane.parameters.items()}

    def loss(parameters):
        return fedavg.loss(lane.apply, parameters, images, labels, context=None)

    lane.gradient.zero_()
    loss(lane.parameters).backward()
    expected = torch.cat([tensor.flatten() for tensor in grad(loss)(parameters).values()])
    torch.testing.assert_close(lane.gradient, expected, rtol=1e-5, atol=1e-7)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in parameters.items()}
    assert loss(zeros).item() == pytest.approx(np.log(len(CLASSES)))


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


def test_batches_of_one_are_left_out_with_batch_norm_only():
    data = images_and_labels()
    training = replace(TRAINING, batch_size=5)
    assert Lane(network("resnet20"), data, training).used_samples(21) == 20
    assert Lane(network("resnet20"), data, training).used_samples(22) == 22
    assert Lane(network("convnet"), data, training).used_samples(21) == 21
    assert Lane(network("convnet"), data, replace(training, drop_last=True)).used_samples(24) == 20
    result, report = play(Lane(network("resnet20"), data, training), [np.arange(21)])
    assert result.is_finite()
    assert report.samples == 21
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
    lane = Lane(network(model), images_and_labels(), replace(TRAINING, **changes))
    with pytest.raises(FedscapeError, match=message):
        lane.check(2, samples)


def test_kept_rounds():
    assert kept_rounds("all", 3) == [0, 1, 2, 3]
    assert kept_rounds({"every": 3}, 7) == [0, 3, 6, 7]
    assert kept_rounds([2, 5], 7) == [0, 2, 5, 7]
    with pytest.raises(FedscapeError, match="keep_rounds: no round 8; allowed are 0 to 7"):
        kept_rounds([8], 7)
    assert kept_client_rounds([5, 1], 7) == [1, 5]
    with pytest.raises(FedscapeError, match="client_rounds: no round 0; allowed are 1 to 7"):
        kept_client_rounds([0, 3], 7)
