"""Pruning during training: masks exact, models sparse from step to step, against plain PyTorch with masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import TRAINING, PlainClient, federation, images_and_labels, network, owned, play

from fedscape.federated.lanes import Lanes
from fedscape.federated.pruning import sparsity
from fedscape.settings.training import Epochs, Pruning

SIZES = (10, 5, 8)
ENGINE = {"rounds": 6, "local_epochs": 2, "momentum": 0.9}
WEIGHTS = 3 * 64  # of the linear network's kernel; its three biases stay


def pruning(**changes: object) -> Pruning:
    values = {
        "initial_sparsity": 0.3,
        "final_sparsity": 0.8,
        "begin": 1,
        "end": 4,
        "frequency": 1,
        "unit": "round",
    }
    return Pruning(**{**values, **changes})


def engine(settings: Pruning, lanes: int = 1, **changes: object) -> Lanes:
    training = replace(TRAINING, **{**ENGINE, "pruning": settings, **changes})
    return Lanes(network("linear"), images_and_labels(sum(SIZES)), training, lanes)


def largest(parameters: torch.Tensor, count: int) -> np.ndarray:
    """Which parameters stay if `count` of the kernel's do."""
    magnitude = parameters[:WEIGHTS].abs().numpy()
    kept = np.ones(len(parameters), bool)
    kept[:WEIGHTS] = magnitude >= np.sort(magnitude)[-count]
    assert kept[:WEIGHTS].sum() == count
    return kept


def counts_at(times: range, begin: int, end: int, frequency: int) -> dict[int, int]:
    """Weights that stay, at the times at which a mask is drawn."""
    due = [time for time in times if begin <= time <= end and (time - begin) % frequency == 0]
    sparsities = {time: 0.8 - 0.5 * (1 - (time - begin) / (end - begin)) ** 3 for time in due}
    return {time: round(WEIGHTS * (1 - sparsity)) for time, sparsity in sparsities.items()}


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(("begin", "end", "frequency"), [(1, 4, 1), (2, 5, 1), (1, 5, 2), (2, 6, 3)])
def test_by_round_the_global_model_is_masked_and_clients_stay_sparse(tmp_path, lanes, begin, end, frequency):
    settings = pruning(begin=begin, end=end, frequency=frequency)
    clients = federation(tmp_path, engine(settings, lanes), owned(*SIZES))
    played = play(clients, rounds=6, keep_paths=True, watch=lambda *_: None)
    counts = counts_at(range(1, 7), begin, end, frequency)
    kept = np.ones(WEIGHTS + 3, bool)
    for number in range(1, 7):
        for client, model in played.models[number - 1].items():
            path = played.results[number - 1][client].path
            assert len(path) == 1
            for vector in (model.parameters, path[0].parameters):
                assert not vector[~kept].any()
                assert vector[kept].all()
        stacked = torch.stack([played.models[number - 1][client].parameters for client in range(3)]).double()
        average = ((torch.tensor(SIZES)[:, None] * stacked).sum(dim=0) / sum(SIZES)).float()
        if number in counts:
            kept = largest(average, counts[number])
        expected = average.clone()
        expected[~kept] = 0
        torch.testing.assert_close(played.parameters[number], expected, rtol=0, atol=1e-7)
        assert not played.parameters[number][~kept].any()
        state = played.states[number].kept
        assert (state is None) == (number < begin)
        if state is not None:
            assert np.array_equal(state.numpy(), kept)


def test_by_round_a_client_is_plain_pytorch_with_a_mask(tmp_path):
    lanes, positions = engine(pruning(), optimiser_state="keep"), np.arange(13)
    played = play(federation(tmp_path, lanes, [positions]), rounds=6)
    counts = counts_at(range(1, 7), 1, 4, 1)
    plain = PlainClient(network("linear"), lanes.source.data, lanes.training)
    kept = [np.ones(WEIGHTS + 3, bool)]

    def multiply():
        with torch.no_grad():
            mask = torch.from_numpy(kept[0])
            plain.module[1].weight *= mask[:WEIGHTS].view(3, 64)
            plain.module[1].bias *= mask[WEIGHTS:]

    for number in range(1, 7):
        plain.train(positions, number, after_step=multiply)
        if number in counts:
            kept[0] = largest(plain.model.parameters, counts[number])
            multiply()
        torch.testing.assert_close(played.parameters[number], plain.model.parameters, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("begin", "end", "frequency"), [(1, 24, 1), (4, 22, 5), (6, 12, 6), (100, 200, 10)])
def test_by_step_a_client_is_plain_pytorch_with_masks(tmp_path, begin, end, frequency):
    """13 samples in batches of 5, twice: a round has six steps."""
    settings = pruning(unit="step", begin=begin, end=end, frequency=frequency)
    lanes, positions = engine(settings, optimiser_state="keep"), np.arange(13)
    played = play(federation(tmp_path, lanes, [positions]), rounds=6)
    counts = counts_at(range(1, 37), begin, end, frequency)
    plain = PlainClient(network("linear"), lanes.source.data, lanes.training)
    time, kept = 0, np.ones(WEIGHTS + 3, bool)

    def after_step():
        nonlocal time, kept
        time += 1
        if time in counts:
            kept = largest(plain.model.parameters, counts[time])
        with torch.no_grad():
            plain.module[1].weight *= torch.from_numpy(kept[:WEIGHTS]).view(3, 64)

    for number in range(1, 7):
        plain.train(positions, number, after_step=after_step)
        torch.testing.assert_close(played.parameters[number], plain.model.parameters, rtol=0, atol=2e-6)
        assert np.array_equal((played.parameters[number] != 0).numpy(), kept)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_by_step_each_client_has_masks_of_its_own_and_the_global_model_too(tmp_path, lanes):
    settings = pruning(unit="step", begin=2, end=14, frequency=3)
    played = play(federation(tmp_path, engine(settings, lanes), owned(*SIZES)), rounds=4, keep_paths=True)
    steps = {0: 4, 1: 2, 2: 4}  # in a round
    for number in range(1, 5):
        for client, model in played.models[number - 1].items():
            clock = max(steps.values()) * (number - 1)  # the federation's, on which a client's own goes on
            ends = {clock + steps[client]: model}
            ends[clock + steps[client] // 2] = played.results[number - 1][client].path[0]
            for time, passed in ends.items():
                counts = counts_at(range(clock + 1, time + 1), 2, 14, 3)
                before = played.states[number - 1].kept
                expected = (
                    counts[max(counts)]
                    if counts
                    else WEIGHTS
                    if before is None
                    else int(before[:WEIGHTS].sum())
                )
                assert int((passed.parameters[:WEIGHTS] != 0).sum()) == expected
        counts = counts_at(range(1, 4 * number + 1), 2, 14, 3)
        assert int((played.parameters[number][:WEIGHTS] != 0).sum()) == counts[max(counts)]
    masks = [model.parameters != 0 for model in played.models[0].values()]
    assert not torch.equal(masks[0], masks[2])


def test_without_pruning_nothing_is_masked(tmp_path):
    played = play(federation(tmp_path, engine(None), owned(*SIZES)), rounds=2)
    assert all(state.kept is None for state in played.states)
    assert all(parameters.all() for parameters in played.parameters)


def test_by_step_unequal_clients_and_sampling_never_make_a_model_less_sparse(tmp_path):
    """A client's clock goes on from the federation's, not from its own fewer steps."""
    settings = pruning(unit="step", begin=1, end=30, frequency=1)
    lanes = engine(settings, participation=0.34, local_epochs=Epochs([1, 2]))
    clients = [np.arange(0, 13), np.arange(13, 17), np.arange(17, 21)]
    played = play(federation(tmp_path, lanes, clients), rounds=12)
    zeros = [int((parameters[:WEIGHTS] == 0).sum()) for parameters in played.parameters]
    assert zeros == sorted(zeros)
    asked = sparsity(settings, played.states[-1].steps)
    assert asked > 0.7
    assert zeros[-1] == WEIGHTS - round(WEIGHTS * (1 - asked))
