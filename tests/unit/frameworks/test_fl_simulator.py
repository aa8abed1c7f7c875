"""What FL-Simulator's rounds are saved as, read as a study reads it."""

import pytest
import torch
from edited_study import ROOT
from saved_rounds import check_import, example, saved_models, stand_in
from torch import nn

FOLDER = ROOT / "examples" / "frameworks" / "fl-simulator"
EXPECTED = {
    "round-000": 0.0,
    "round-001": 10.0,
    "round-001/client-1": 1.0,
    "round-001/client-2": 2.0,
    "round-002": 20.0,
    "round-002/client-0": 0.0,
}


def test_saved_rounds_are_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = {"module": "small_net.py:SmallNet"}
    entries = ["hidden.weight", "hidden.bias", "head.weight", "head.bias"]
    check_import(tmp_path, FOLDER / "saved", FOLDER / "small_net.py", model, entries)


@pytest.fixture
def server_class():
    """A server that trains like FL-Simulator's: `_test_` comes after each round, with the clients of that."""

    class Server:
        def __init__(self):
            self.server_model = nn.Module()
            self.server_model.w = nn.Parameter(torch.tensor(7.0))
            self.server_model_params_list = torch.zeros(1)
            self.clients_params_list = torch.zeros(3, 1)
            self.tested = []

        def _test_(self, index, clients):
            self.tested.append(index)

        def train(self):
            for index, clients in enumerate(([1, 2], [0])):
                self.clients_params_list = torch.arange(3.0)[:, None]
                self.server_model_params_list = torch.full((1,), 10.0 * (index + 1))
                self._test_(index, clients)

    return Server


def test_rounds_and_clients_are_saved_as_they_train(server_class, tmp_path, monkeypatch):
    stand_in(monkeypatch, "server.server", {"Server": server_class})
    example(FOLDER / "save_rounds.py", monkeypatch).save_each_round(tmp_path)
    server = server_class()
    server.train()
    assert saved_models(tmp_path) == EXPECTED and server.tested == [0, 1]


def test_parameters_keep_their_order_and_buffers_are_the_models(monkeypatch):
    stand_in(monkeypatch, "server.server", {"Server": type("Server", (), {"train": None, "_test_": None})})
    state_of = example(FOLDER / "save_rounds.py", monkeypatch).state_of
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = state_of(model, torch.arange(10.0))
    assert state["0.weight"].tolist() == [[0, 1], [2, 3]] and state["0.bias"].tolist() == [4, 5]
    assert state["1.bias"].tolist() == [8, 9] and state["1.running_var"].tolist() == [1, 1]
    assert list(state) == list(model.state_dict())
