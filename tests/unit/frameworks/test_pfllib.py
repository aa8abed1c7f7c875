"""What PFLlib's rounds are saved as, read as a study reads it."""

import pytest
from edited_study import ROOT
from saved_rounds import check_import, example, saved_models, stand_in
from torch import nn, tensor

FOLDER = ROOT / "examples" / "frameworks" / "pfllib"
EXPECTED = {
    "round-000": 0.0,
    "round-001": 10.0,
    "round-001/client-1": 1.0,
    "round-001/client-2": 2.0,
    "round-002": 20.0,
    "round-002/client-0": 2.0,
}


def test_saved_rounds_are_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = {"module": "network.py:Network", "settings": {"hidden": 4}}
    entries = ["base.hidden.weight", "base.hidden.bias", "head.weight", "head.bias"]
    names = {"base": "", "head": "fc"}
    check_import(tmp_path, FOLDER / "saved", FOLDER / "network.py", model, entries, names)


def test_the_converted_last_model_is_that_of_the_last_round():
    last = (FOLDER / "saved" / "FedAvg_server.safetensors").read_bytes()
    assert last == (FOLDER / "saved" / "round-002.safetensors").read_bytes()


class Module(nn.Module):
    """A model that is one number."""

    def __init__(self, value: float):
        super().__init__()
        self.w = nn.Parameter(tensor(value))


@pytest.fixture
def server_class():
    """A server that trains like PFLlib's: a round begins with `select_clients`, the model is saved at the end."""

    class Server:
        def __init__(self):
            self.global_model = Module(0.0)
            self.clients = [type("Client", (), {"model": None})() for _ in range(3)]
            self.uploaded_ids = []

        def select_clients(self):
            return self.clients

        def save_global_model(self):
            self.ended = True

        def train(self):
            for number, uploaded in ((1, [1, 2]), (2, [0])):
                assert self.select_clients() is self.clients
                for client, handed_back in enumerate(self.clients):
                    handed_back.model = Module(float(number * (client or 1)))
                self.uploaded_ids = uploaded
                self.global_model = Module(10.0 * number)
            self.save_global_model()

    return Server


def test_rounds_and_clients_are_saved_as_they_train(server_class, tmp_path, monkeypatch):
    stand_in(monkeypatch, "flcore.servers.serverbase", {"Server": server_class})
    example(FOLDER / "save_rounds.py", monkeypatch).save_each_round(tmp_path)
    server = server_class()
    server.train()
    assert saved_models(tmp_path) == EXPECTED and server.ended
