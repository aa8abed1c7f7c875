"""The files of models: what is written is what is read, also by others, and damage is named."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from fedscape.checkpoints.layout import layout_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.writer import clients_writer, shorten, trajectory_writer
from fedscape.errors import FedscapeError

ROUNDS = [0, 2, 5]
MODULES = {
    "with buffers": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)),
    "without buffers": nn.Linear(3, 4),
}


@pytest.fixture(params=MODULES)
def layout(request):
    return layout_of(MODULES[request.param])


def models(layout, *rows: int) -> dict[str, torch.Tensor]:
    """Random models, stacked by `rows`."""
    generator = torch.Generator().manual_seed(0)
    return {
        "parameters": torch.randn(*rows, layout.parameter_count, generator=generator),
        "buffers": torch.randn(*rows, layout.buffer_count, generator=generator),
        "counters": torch.randint(0, 2**40, (*rows, layout.counter_count), generator=generator),
    }


def write(path, layout, rows: int) -> dict[str, torch.Tensor]:
    """A trajectory with its first `rows` rows filled."""
    values = models(layout, rows)
    writer = trajectory_writer(path, layout, ROUNDS)
    for row in range(rows):
        writer.write(row, **{name: value[row] for name, value in values.items()})
    writer.flush()
    writer.close()
    return values


def test_models_come_back(tmp_path, layout):
    path = tmp_path / "trajectory.safetensors"
    values = write(path, layout, 3)
    trajectory = Trajectory.open(path)
    assert trajectory.rounds == (0, 2, 5)
    assert trajectory.last == 5
    assert trajectory.layout == layout
    for row, number in enumerate(ROUNDS):
        assert torch.equal(trajectory.parameters(number), values["parameters"][row])
    parameters, buffers = trajectory.state(2)
    assert list(parameters) == [name for name, _ in layout.parameters]
    flat = torch.cat([tensor.flatten() for tensor in parameters.values()])
    assert torch.equal(flat, values["parameters"][1])
    assert list(buffers) == [name for name, _ in layout.buffers + layout.counters]
    for name, _ in layout.counters:
        assert buffers[name].dtype == torch.int64


def test_a_round_is_named_by_its_number_a_share_of_the_last_or_last(tmp_path, layout):
    path = tmp_path / "trajectory.safetensors"
    trajectory_writer(path, layout, [0, 5, 10, 15, 20]).close()
    trajectory = Trajectory.open(path)
    shares = {0.3: 5, 0.5: 10, 1.0: 20}
    for moment, number in {0: 0, 5: 5, 25: 25, "last": 20, **shares}.items():
        assert trajectory.number(moment) == number


def test_columns_are_a_slice_of_all_rounds(tmp_path, layout):
    values = write(tmp_path / "t", layout, 3)
    assert np.array_equal(Trajectory.open(tmp_path / "t").columns(4, 9), values["parameters"][:, 4:9].numpy())


def test_any_safetensors_reader_reads_it(tmp_path, layout):
    values = write(tmp_path / "t", layout, 3)
    with safe_open(tmp_path / "t", framework="pt") as file:
        for name, value in values.items():
            assert torch.equal(file.get_tensor(name), value)


def test_a_resumed_writer_keeps_rows_of_the_same_file_only(tmp_path, layout):
    path = tmp_path / "t"
    values = write(path, layout, 2)
    writer = trajectory_writer(path, layout, ROUNDS)
    assert not writer.is_new
    writer.close()
    assert torch.equal(Trajectory.open(path).parameters(2), values["parameters"][1])
    writer = trajectory_writer(path, layout, [0, 1])
    assert writer.is_new
    writer.close()
    assert Trajectory.open(path).parameters(0).count_nonzero() == 0


def test_shorten_keeps_first_rows_and_renames_the_last(tmp_path, layout):
    path = tmp_path / "t"
    values = write(path, layout, 2)
    for _ in range(2):  # the second time there is nothing left to do
        shorten(path, [0, 1])
        trajectory = Trajectory.open(path)
        assert trajectory.rounds == (0, 1)
        assert torch.equal(trajectory.parameters(1), values["parameters"][1])
        assert np.array_equal(trajectory.columns(0, 3), values["parameters"][:, :3].numpy())


def test_client_models_come_back(tmp_path, layout):
    path = tmp_path / "clients.safetensors"
    values = models(layout, 2, 3)
    writer = clients_writer(path, layout, [1, 4], participants=3)
    for row in range(2):
        for place in (2, 0, 1):  # lanes finish in any order
            model = {name: value[row, place] for name, value in values.items()}
            writer.write(row, place, clients=np.array(10 * place), **model)
    writer.close()
    clients = ClientModels.open(path)
    assert clients.rounds == (1, 4)
    assert clients.participants == 3
    assert clients.clients(4).tolist() == [0, 10, 20]
    for place, client in enumerate((0, 10, 20)):
        assert torch.equal(clients.parameters(4, client), values["parameters"][1, place])
    for name, size in layout.counters:
        assert clients.buffers(4, 20)[name].shape == size


def test_no_client_rounds_is_an_empty_file(tmp_path, layout):
    clients_writer(tmp_path / "c", layout, [], participants=3).close()
    assert ClientModels.open(tmp_path / "c").rounds == ()


def test_a_row_of_the_wrong_size_is_refused(tmp_path, layout):
    writer = trajectory_writer(tmp_path / "t", layout, ROUNDS)
    with pytest.raises(ValueError, match="parameters takes arrays of shape"):
        writer.write(0, parameters=torch.zeros(3))
    writer.close()


@pytest.mark.parametrize("damage", ["cut header", "cut rows", "noise", "empty"])
def test_damage_is_named(tmp_path, layout, damage):
    path = tmp_path / "trajectory.safetensors"
    write(path, layout, 3)
    whole = path.read_bytes()
    damaged = {"cut header": whole[:20], "cut rows": whole[:-1], "noise": b"noise" * 50, "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(FedscapeError, match=r"trajectory\.safetensors: not a whole trajectory file"):
        Trajectory.open(path)


def test_other_files_are_named(tmp_path, layout):
    with pytest.raises(FedscapeError, match="no such file"):
        Trajectory.open(tmp_path / "t")
    write(tmp_path / "t", layout, 3)
    with pytest.raises(FedscapeError, match="not clients"):
        ClientModels.open(tmp_path / "t")
    with pytest.raises(FedscapeError, match="round 3 is not kept; kept are 0, 2, 5"):
        Trajectory.open(tmp_path / "t").parameters(3)
