"""What FL-bench's rounds are saved as, and its own file of the last model, read as a study reads them."""

import shutil
from collections import OrderedDict

import pytest
import torch
from edited_study import ROOT
from saved_rounds import check_import, example, saved_models, stand_in

from fedscape.checkpoints.imported import renamed
from fedscape.checkpoints.state_dicts import load_weights, read_weights
from fedscape.study.model_files import numbered_models

EXAMPLES = ROOT / "examples" / "frameworks"
SAVED = EXAMPLES / "fl-bench" / "saved"
OWN_NAME = "ours_2_{'name': 'ours', 'use_torchvision_pretrained_weights': True}.pt"
NAMES = {"classifier": "head"}
LAYERS = ("base.2", "base.3", "classifier")


def test_saved_rounds_are_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = [f"{layer}.{entry}" for layer in LAYERS for entry in ("weight", "bias")]
    check_import(tmp_path, SAVED, EXAMPLES / "tiny.py", {"module": "tiny.py:Tiny"}, entries, NAMES)


def test_the_last_model_is_read_under_the_name_that_fl_bench_gives_it(tmp_path, monkeypatch):
    shutil.copy(SAVED / "last.pt", tmp_path / OWN_NAME)
    models = numbered_models(f"{tmp_path}/{OWN_NAME.replace('_2_', '_*_')}", ("round",), "runs")
    assert models.numbers == ((2,),)  # the rounds of the run stand in the name
    network = example(EXAMPLES / "tiny.py", monkeypatch).Tiny()
    load_weights(network, renamed(read_weights(models.files[0], wrapped=True), NAMES, "last"), "last")
    saved = renamed(read_weights(SAVED / "round-002.safetensors"), NAMES, "saved")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, saved[name].to(tensor.dtype)), name


@pytest.fixture
def server_class(monkeypatch, tmp_path):
    """A server and a trainer that call each other like FL-bench's; clients return models or differences."""

    class Trainer:
        def __init__(self, server):
            self.server = server
            self.train = self.train_serially

        def train_serially(self):
            if self.server.return_diff:
                return {
                    client: {"model_params_diff": {"w": torch.tensor(-1.0 - client)}} for client in (1, 2)
                }
            start = self.server.public_model_params["w"]
            return {client: {"regular_model_params": {"w": start + 1.0 + client}} for client in (1, 2)}

    class Server:
        def __init__(self, return_diff):
            self.output_dir, self.return_diff, self.displayed = tmp_path, return_diff, []
            self.public_model_params = OrderedDict(w=torch.tensor(7.0))
            self.trainer = Trainer(self)

        def display_metrics(self):
            self.displayed.append(self.current_epoch)

        def train(self):
            for self.current_epoch in range(2):
                self.trainer.train()
                self.public_model_params["w"].data += 10
                self.display_metrics()

    stand_in(monkeypatch, "src.server.fedavg", {"FedAvgServer": Server})
    stand_in(monkeypatch, "src.utils.trainer", {"FLbenchTrainer": Trainer})
    return Server


@pytest.mark.parametrize("return_diff", [False, True])
def test_rounds_and_clients_are_saved_as_they_train(server_class, return_diff, tmp_path, monkeypatch):
    module = example(EXAMPLES / "fl-bench" / "save_rounds.py", monkeypatch)
    module.watch(module.save)
    server = server_class(return_diff)
    server.train()
    assert server.displayed == [0, 1]
    assert saved_models(tmp_path) == {
        "round-000": 7.0,
        "round-001": 17.0,
        "round-001/client-1": 9.0,
        "round-001/client-2": 10.0,
        "round-002": 27.0,
        "round-002/client-1": 19.0,
        "round-002/client-2": 20.0,
    }
