"""Kept models by name: each is what the run wrote, and what is not kept or of another network is named."""

import zlib
from itertools import zip_longest

import numpy as np
import pytest
import torch
from torch import nn

from fedscape.checkpoints.checkpoint import GLOBAL, Checkpoint, Checkpoints
from fedscape.checkpoints.layout import Layout, buffers_of, layout_of, parameters_of
from fedscape.checkpoints.run_files import RunFiles
from fedscape.checkpoints.writer import clients_writer, shorten, trajectory_writer
from fedscape.errors import FedscapeError

NETWORK = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
ROUNDS, CLIENT_ROUNDS, PARTICIPANTS, EPOCHS = (0, 2, 5), (2, 5), {2: (3, 8), 5: (1, 8)}, 2


def vectors(layout: Layout, name: tuple, *leading: int) -> dict[str, torch.Tensor]:
    """A model of its own for each name, or several, stacked."""
    draw = torch.Generator().manual_seed(zlib.crc32(repr(name).encode()))
    return {
        "parameters": torch.randn(*leading, layout.parameter_count, generator=draw),
        "buffers": torch.randn(*leading, layout.buffer_count, generator=draw),
        "counters": torch.randint(0, 99, (*leading, layout.counter_count), generator=draw),
    }


def written(layout: Layout, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The vectors that the files hold of a model."""
    run, number, client, epoch = (checkpoint.run, checkpoint.round, checkpoint.client, checkpoint.epoch)
    if epoch is None:
        return vectors(layout, (run, number, -1 if client is None else client))
    on_the_way = vectors(layout, (run, number, client, "way"), EPOCHS)
    return {name: tensor[epoch - 1] for name, tensor in on_the_way.items()}


@pytest.fixture
def files(tmp_path):
    """The files of two runs: trajectories and clients' models."""
    layout, opened = layout_of(NETWORK), ([], [])
    for run in range(2):
        folder = tmp_path / str(run)
        folder.mkdir()
        opened[0].append(folder / "trajectory.safetensors")
        writer = trajectory_writer(opened[0][-1], layout, ROUNDS)
        for row, number in enumerate(ROUNDS):
            writer.write(row, **written(layout, Checkpoint(run, number)))
        writer.close()
        opened[1].append(folder / "clients.safetensors")
        writer = clients_writer(opened[1][-1], layout, CLIENT_ROUNDS, participants=2, path_points=EPOCHS)
        for row, number in enumerate(CLIENT_ROUNDS):
            for place, client in enumerate(PARTICIPANTS[number]):
                model = written(layout, Checkpoint(run, number, client))
                way = vectors(layout, (run, number, client, "way"), EPOCHS)
                on_the_way = {f"path_{name}": tensor for name, tensor in way.items()}
                writer.write(row, place, clients=np.array(client), **model, **on_the_way)
        writer.close()
    return opened


KEPT = [Checkpoint(run, number) for run in range(2) for number in ROUNDS] + [
    Checkpoint(run, number, client, epoch)
    for run in range(2)
    for number, clients in PARTICIPANTS.items()
    for client in clients
    for epoch in (None, 1, 2)
]


def runs(trajectories, clients=()) -> list[RunFiles]:
    return [RunFiles({}, *pair) for pair in zip_longest(trajectories, clients)]


def test_each_model_is_the_one_that_was_written(files):
    layout, checkpoints = layout_of(NETWORK), Checkpoints.open(NETWORK, runs(*files))
    for checkpoint in KEPT:
        expected = written(layout, checkpoint)
        named = parameters_of(expected["parameters"], layout)
        around = buffers_of(expected["buffers"], expected["counters"], layout)
        assert torch.equal(checkpoints.parameters(checkpoint), expected["parameters"]), checkpoint
        for found, wanted in zip(checkpoints.state(checkpoint), (named, around), strict=True):
            assert found.keys() == wanted.keys()
            assert all(torch.equal(found[name], wanted[name]) for name in wanted), checkpoint


def test_a_client_s_model_does_not_keep_the_others_in_memory(files):
    checkpoints = Checkpoints.open(NETWORK, runs(*files))
    parameters = checkpoints.parameters(Checkpoint(0, 2, 8))
    assert parameters.untyped_storage().nbytes() == parameters.nbytes


def test_some_of_the_runs_are_a_group_of_their_own(files):
    whole = Checkpoints.open(NETWORK, runs(*files))
    second = whole.of_runs([1])
    for checkpoint in (Checkpoint(0, 5), Checkpoint(0, 5, 1)):
        there = Checkpoint(1, checkpoint.round, checkpoint.client)
        assert torch.equal(second.parameters(checkpoint), whole.parameters(there))
    assert len(Checkpoints.open(NETWORK, runs(files[0])).of_runs([0, 1]).trajectories) == 2
    assert whole.of_runs([]) == Checkpoints([], [])


def test_finals_are_the_last_kept_rounds(files):
    shorten(files[0][1], [0, 2])
    assert Checkpoints.open(NETWORK, runs(*files)).finals() == [Checkpoint(0, 5), Checkpoint(1, 2)]


def test_the_global_model_has_a_number_in_csvs_alone():
    assert Checkpoint(0, 1).client_column == GLOBAL == -1
    assert Checkpoint(0, 1, client=0).client_column == 0


MISSING = {
    "a round": (Checkpoint(1, 3), "1/trajectory.safetensors: round 3 is not kept; kept are 0, 2, 5"),
    "a client's round": (Checkpoint(0, 0, 3), "0/clients.safetensors: round 0 is not kept; kept are 2, 5"),
    "a client": (Checkpoint(0, 5, 3), "0/clients.safetensors: client 3 was not in round 5"),
    "an epoch": (Checkpoint(0, 5, 8, 3), "0/clients.safetensors: local epoch 3 is not kept; kept are 1 to 2"),
    "no epoch": (Checkpoint(0, 5, 8, 0), "0/clients.safetensors: local epoch 0 is not kept; kept are 1 to 2"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_not_kept_is_named(files, tmp_path, case):
    checkpoint, message = MISSING[case]
    checkpoints = Checkpoints.open(NETWORK, runs(*files))
    for read in (checkpoints.parameters, checkpoints.buffers, checkpoints.state):
        with pytest.raises(FedscapeError) as refused:
            read(checkpoint)
        assert str(refused.value) == f"{tmp_path}/{message}"


def test_files_without_ways_have_no_epoch(tmp_path):
    path = tmp_path / "clients.safetensors"
    trajectory_writer(tmp_path / "trajectory.safetensors", layout_of(NETWORK), [0]).close()
    clients_writer(path, layout_of(NETWORK), [1], participants=1).close()
    checkpoints = Checkpoints.open(NETWORK, runs([tmp_path / "trajectory.safetensors"], [path]))
    with pytest.raises(FedscapeError, match="local epoch 1 is not kept; kept are none"):
        checkpoints.parameters(Checkpoint(0, 1, 0, 1))


@pytest.mark.parametrize("kind", ["trajectory", "clients"])
def test_models_of_another_network_are_refused(files, tmp_path, kind):
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, affine=False))
    trajectories, clients = files
    # The clients' file is looked at where the trajectory is of the right network.
    own = tmp_path / "own.safetensors"
    trajectory_writer(own, layout_of(other), [0]).close()
    given, path = {
        "trajectory": (runs(trajectories[:1]), trajectories[0]),
        "clients": (runs([own], clients[:1]), clients[0]),
    }[kind]
    with pytest.raises(FedscapeError) as refused:
        Checkpoints.open(other, given)
    assert str(refused.value) == (
        f"{path}: holds models of 24 parameters with other names or shapes than "
        "Sequential for this data set (16 parameters)"
    )


def test_a_client_whose_file_was_not_opened_and_an_epoch_of_nobody_are_refused(files):
    trajectories, _ = files
    with pytest.raises(FedscapeError, match="clients' models are asked for, but no file of them was opened"):
        Checkpoints.open(NETWORK, runs(trajectories)).state(Checkpoint(0, 1, client=0))
    with pytest.raises(ValueError, match="epoch 2 of the global model"):
        Checkpoint(0, 1, epoch=2)
