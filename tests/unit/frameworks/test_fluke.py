"""A folder that fluke itself saved, read as a study reads it.

fluke counts from 0 what it saves after a round, so `r0000_server.pth` is the model after round 1, and it saves
no start: its user does.
"""

import shutil

import pytest
import torch
from edited_study import ROOT
from saved_rounds import example, imported_run

from fedscape.checkpoints.state_dicts import load_weights, read_weights
from fedscape.study.model_files import numbered_models

EXAMPLES = ROOT / "examples" / "frameworks"
MODEL = {"module": "tiny.py:Tiny"}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """The folder, below the working folder of a user."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES / "fluke" / "saved", "mine")
    shutil.copy(EXAMPLES / "tiny.py", "tiny.py")
    (folder,) = (tmp_path / "mine").glob("models_*")
    return folder.relative_to(tmp_path)


def test_a_folder_is_imported_beside_the_start_that_its_user_saved(saved, tmp_path, monkeypatch):
    torch.save(example(EXAMPLES / "tiny.py", monkeypatch).Tiny().state_dict(), "start.pth")
    entry = {"models": f"{saved}/r*_server.pth", "clients": f"{saved}/r*_client_*.pth"}
    files, trajectory, clients = imported_run(tmp_path, MODEL, {**entry, "offset": 1, "start": "start.pth"})
    assert files.rounds == (0, 1, 2)
    assert files.clients == tuple((number, client) for number in (1, 2) for client in (0, 1, 2))
    for number, path in zip(files.rounds[1:], files.models[1:], strict=True):
        state = torch.load(path, weights_only=True)["model"]
        names = [name for name in state if "running" not in name and "tracked" not in name]
        assert torch.equal(
            trajectory.parameters(number), torch.cat([state[name].flatten() for name in names])
        )
        assert trajectory.buffers(number)["base.3.num_batches_tracked"] == 24 * number
    assert clients.rounds == (1, 2) and clients.clients(2).tolist() == [0, 1, 2]


def test_clients_handed_back_what_the_global_model_is_the_mean_of(saved, monkeypatch):
    network = example(EXAMPLES / "tiny.py", monkeypatch).Tiny()
    clients = numbered_models(f"{saved}/r*_client_*.pth", ("round", "client"), "runs")
    assert clients.numbers == tuple((number, client) for number in (0, 1) for client in (0, 1, 2))
    states = {}
    for numbers, path in zip(clients.numbers, clients.files, strict=True):
        states[numbers] = read_weights(path, wrapped=True)
        load_weights(network, states[numbers], path)
    for number in (0, 1):
        own = torch.stack([states[number, client]["head.weight"] for client in (0, 1, 2)])
        model = read_weights(f"{saved}/r{number:04}_server.pth", wrapped=True)
        assert torch.allclose(own.mean(0), model["head.weight"], atol=1e-6)
        assert not torch.allclose(own[0], model["head.weight"], atol=1e-3)
