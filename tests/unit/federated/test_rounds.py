"""What goes on from round to round, against clients in plain PyTorch that nobody interrupts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import (
    SAMPLES,
    TRAINING,
    PlainClient,
    channels_last,
    federation,
    images_and_labels,
    network,
    owned,
    play,
)
from torch.nn.functional import cross_entropy

from fedscape.evaluation.evaluate import normalise
from fedscape.federated.aggregation_weights import input_variances
from fedscape.federated.lanes import Lanes
from fedscape.federated.rounds import is_averaged_after
from fedscape.federated.state import ModelState
from fedscape.jobs.streams import stream
from fedscape.settings.training import Augmentation, Epochs, Schedule

SIZES = (10, 5, 8)
MOMENTUM = {"momentum": 0.9, "weight_decay": 0.01}
ADAMW = {"optimiser": "adamw", "lr": 1e-3, "weight_decay": 0.1}


def engine(lanes: int = 1, model: str = "linear", samples: int = SAMPLES, **changes: object) -> Lanes:
    training = replace(TRAINING, **{"rounds": 4, "local_epochs": 2, **changes})
    return Lanes(network(model), images_and_labels(samples), training, lanes)


def close(found: torch.Tensor, expected: torch.Tensor, rounding: float = 2e-6) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding)


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4]), (4, [0, 4]), ("never", [0])],
)
def test_rounds_after_which_clients_go_on_from_the_global_model(every, expected):
    training = replace(TRAINING, rounds=6, average_every=every)
    assert [number for number in range(6) if is_averaged_after(training, number)] == expected


@pytest.mark.parametrize("changes", [MOMENTUM, ADAMW])
def test_an_optimiser_that_is_kept_is_one_long_one(tmp_path, changes):
    """A single client's average is its model, so only its optimiser is at stake."""
    positions = np.arange(13)
    for state in ("keep", "reset"):
        lanes = engine(optimiser_state=state, **changes)
        folder = tmp_path / state
        folder.mkdir()
        played = play(federation(folder, lanes, [positions]), rounds=4)
        plain = PlainClient(network("linear"), lanes.source.data, lanes.training)
        for number in range(1, 5):
            if state == "reset":
                plain.renew_optimiser()
            plain.train(positions, number)
            close(played.parameters[number], plain.model.parameters)


def test_keeping_the_optimiser_makes_a_difference(tmp_path):
    """Else the test above could not tell."""
    ends = []
    for state in ("keep", "reset"):
        (tmp_path / state).mkdir()
        clients = federation(tmp_path / state, engine(optimiser_state=state, **MOMENTUM), [np.arange(13)])
        ends.append(play(clients, rounds=2).parameters)
    assert torch.equal(ends[0][1], ends[1][1])
    assert (ends[0][2] - ends[1][2]).abs().max() > 1e-3


def test_a_schedule_runs_through_all_rounds(tmp_path):
    lanes = engine(schedule=Schedule(kind="cosine"), optimiser_state="keep", **MOMENTUM)
    positions = np.arange(13)
    played = play(federation(tmp_path, lanes, [positions]), rounds=4)
    plain = PlainClient(network("linear"), lanes.source.data, lanes.training)
    steps = 2 * 3
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(plain.optimiser, T_max=4 * steps)
    sums = []
    for number in range(1, 5):
        rates = []

        def after_step(rates=rates):
            rates.append(plain.optimiser.param_groups[0]["lr"])
            scheduler.step()

        plain.train(positions, number, after_step=after_step)
        sums.append(sum(rates))
        close(played.parameters[number], plain.model.parameters)
    assert [sum(played.results[row][0].rates) for row in range(4)] == pytest.approx(sums)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(
    ("every", "state", "changes"),
    [
        (2, "reset", MOMENTUM),
        (2, "keep", MOMENTUM),
        (3, "reset", ADAMW),
        ("never", "reset", MOMENTUM),
        ("never", "keep", ADAMW),
    ],
)
def test_between_averages_clients_go_on_as_if_alone(tmp_path, every, state, changes, lanes):
    """With their models and optimisers; what is averaged meanwhile is what an average would be."""
    lanes = engine(lanes, average_every=every, optimiser_state=state, **changes)
    clients = owned(*SIZES)
    played = play(federation(tmp_path, lanes, clients), rounds=4)
    plain = [PlainClient(network("linear"), lanes.source.data, lanes.training) for _ in clients]
    average = ModelState.of(network("linear"))
    for number in range(1, 5):
        for client, (one, positions) in enumerate(zip(plain, clients, strict=True)):
            if every != "never" and (number - 1) % every == 0:
                one.module.load_state_dict(average.named(lanes.layout))
                if state == "reset":
                    one.renew_optimiser()
            one.train(positions, number, client)
            close(played.models[number - 1][client].parameters, one.model.parameters)
        stacked = torch.stack([one.model.parameters for one in plain]).double()
        mean = (torch.tensor(SIZES)[:, None] * stacked).sum(dim=0) / sum(SIZES)
        close(played.parameters[number], mean.float())
        average = played.states[number].model


def test_between_averages_clients_keep_their_batch_norm(tmp_path):
    lanes = engine(2, model="resnet20", average_every="never", local_epochs=1, lr=1e-3)
    clients = owned(10, 5)
    played = play(federation(tmp_path, lanes, clients), rounds=2)
    for client, positions in enumerate(clients):
        plain = PlainClient(network("resnet20"), lanes.source.data, lanes.training)
        for number in (1, 2):
            plain.train(positions, number, client)
        found = played.models[1][client]
        torch.testing.assert_close(found.buffers, plain.model.buffers, rtol=1e-4, atol=1e-5)
        assert torch.equal(found.counters, plain.model.counters)
    assert played.states[2].model.counters.unique().tolist() == [4]  # the larger client's


def weighted(played, weights: list[float]) -> torch.Tensor:
    """Mean of the first round's models with these weights."""
    stacked = torch.stack([played.models[0][client].parameters for client in range(len(weights))]).double()
    return (torch.tensor(weights, dtype=torch.float64)[:, None] * stacked).sum(dim=0) / sum(weights)


def test_uniform_weights_are_a_plain_mean(tmp_path):
    played = play(federation(tmp_path, engine(weights="uniform"), owned(*SIZES)))
    close(played.parameters[1], weighted(played, [1, 1, 1]).float(), 1e-7)
    assert (weighted(played, [1, 1, 1]) - weighted(played, list(SIZES))).abs().max() > 1e-4


@pytest.mark.parametrize("normalise_by", ["dataset", "client"])
def test_clients_whose_images_vary_less_count_for_more(tmp_path, normalise_by):
    lanes = engine(weights="inverse-input-variance", augmentation=Augmentation(normalise=normalise_by))
    clients = owned(*SIZES)
    images = lanes.source.data.inputs
    images[clients[1]] //= 4
    deviations = torch.stack([lanes.source.normalisation(positions)[1] for positions in clients])
    variances = input_variances(lanes.source.data, clients, deviations)
    pixels = [images[positions].numpy() / 255 for positions in clients]
    scales = [0.3] * 3 if normalise_by == "dataset" else [one.std() for one in pixels]
    expected = [(one / scale).var(axis=0, ddof=1).mean() for one, scale in zip(pixels, scales, strict=True)]
    played = play(federation(tmp_path, lanes, clients, input_variances=variances))
    weights = [1 / variance for variance in expected]
    close(played.parameters[1], weighted(played, weights).float(), 1e-6)
    if normalise_by == "dataset":
        assert weights[1] > 10 * weights[0]


@pytest.mark.parametrize("lanes", [1, 3])
def test_clients_whose_gradients_vary_less_count_for_more(tmp_path, lanes):
    lanes = engine(lanes, weights="inverse-update-variance", momentum=0.9, clip=0.1)
    clients, data = owned(*SIZES), lanes.source.data
    weights = []
    for client, positions in enumerate(clients):
        module, gradients = network("linear"), []
        plain = PlainClient(module, data, lanes.training)
        order = stream(0, "order", 1, client)
        for _ in range(2):
            shuffled = torch.from_numpy(positions[order.permutation(len(positions))])
            for batch in shuffled.split(lanes.training.batch_size):
                images = channels_last(normalise(data.inputs[batch], data.mean, data.std))
                plain.optimiser.zero_grad()
                cross_entropy(module(images), data.labels[batch]).backward()
                gradients.append(torch.cat([one.grad.flatten() for one in module.parameters()]).double())
                torch.nn.utils.clip_grad_norm_(module.parameters(), 0.1)
                plain.optimiser.step()
        weights.append(1 / torch.stack(gradients).var(dim=0).sum().item())  # of the unclipped ones
    played = play(federation(tmp_path, lanes, clients))
    close(played.parameters[1], weighted(played, weights).float(), 1e-6)
    assert (weighted(played, weights) - weighted(played, list(SIZES))).abs().max() > 1e-5


def test_clients_draw_how_long_they_train(tmp_path):
    lanes = engine(2, local_epochs=Epochs([1, 3]))
    clients = owned(*SIZES)
    played = play(federation(tmp_path, lanes, clients), rounds=4)
    drawn = []
    for number in range(1, 5):
        for client, positions in enumerate(clients):
            epochs = int(stream(0, "epochs", number, client).integers(1, 3, endpoint=True))
            plain = PlainClient(network("linear"), lanes.source.data, replace(TRAINING, local_epochs=epochs))
            plain.module.load_state_dict(played.states[number - 1].model.named(lanes.layout))
            loss = plain.train(positions, number, client)
            result = played.results[number - 1][client]
            assert result.steps == epochs * -(-len(positions) // 5)
            assert result.loss == pytest.approx(loss, rel=1e-5)
            close(played.models[number - 1][client].parameters, plain.model.parameters)
            drawn.append(epochs)
    assert set(drawn) == {1, 2, 3}


def test_only_the_drawn_clients_train(tmp_path):
    lanes = engine(2, participation=0.4)
    places = []
    population = federation(tmp_path, lanes, owned(5, 4, 5, 4, 5))
    played = play(
        population,
        rounds=4,
        watch=lambda number, place, result: places.append((number, place, result.client)),
    )
    for number, models in enumerate(played.models, start=1):
        assert len(models) == played.reports[number - 1].clients == 2
        assert played.reports[number - 1].samples == sum(
            played.results[number - 1][one].samples for one in models
        )
        assert {client: place for at, place, client in places if at == number} == {
            client: place for place, client in enumerate(sorted(models))
        }
    assert len({frozenset(models) for models in played.models}) > 1
