"""What Flower's strategies save of rounds and clients, read as a study reads it."""

import importlib.util
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from edited_study import ROOT
from safetensors.numpy import load_file
from saved_rounds import imported_run
from small_run import OUTPUTS

from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import load_weights

FLOWER = ROOT / "examples" / "frameworks" / "flower"
COUNTER = "norm.num_batches_tracked"
MOST_LINES = 40
MODEL = {"module": "small_net.py:SmallNet"}


@pytest.mark.parametrize("interface", ["message", "legacy"])
def test_saved_rounds_are_imported(interface, tmp_path, monkeypatch):
    monkeypatch.chdir(FLOWER)
    entry = {
        "models": f"saved/{interface}/round-*.safetensors",
        "clients": f"saved/{interface}/round-*/client-*.safetensors",
    }
    files, trajectory, clients = imported_run(tmp_path, MODEL, entry)
    assert files.rounds == (0, 1, 2, 3)
    assert files.clients == tuple((number, client) for number in (1, 2, 3) for client in (0, 1, 2))
    for number, path in zip(files.rounds, files.models, strict=True):
        compare(trajectory, (number,), path)
    for numbers, path in zip(files.clients, files.client_models, strict=True):
        compare(clients, numbers, path)
    assert json.loads((tmp_path / "out" / OUTPUTS["run"]).read_text())["models"] == list(files.models)


def compare(read: Trajectory | ClientModels, numbers: tuple[int, ...], path: str) -> None:
    """Compare an imported model with its file, whose counters may be fractions."""
    values, state = read.parameters(*numbers), load_file(path)
    names = [name for name, _ in read.layout.parameters]
    assert values.tolist() == np.concatenate([state[name].ravel() for name in names]).tolist()
    buffers = read.buffers(*numbers)
    assert buffers[COUNTER].dtype == torch.int64 and buffers[COUNTER] == round(float(state[COUNTER]))
    assert buffers["norm.running_mean"].tolist() == state["norm.running_mean"].tolist()


def test_a_counter_that_is_a_mean_is_the_nearest_whole_number():
    module = torch.nn.BatchNorm1d(1)
    mean = torch.tensor(0.7, dtype=torch.float64) * 8 + torch.tensor(0.3, dtype=torch.float64) * 8 - 1e-12
    load_weights(module, {**module.state_dict(), "num_batches_tracked": mean}, "mine.pt")
    assert module.num_batches_tracked.item() == 8


class Kept:
    """A strategy without a result in its second round, as when all clients failed."""

    def configure_train(self, server_round, arrays, config, grid):
        return [arrays]

    def aggregate_train(self, server_round, replies):
        return (None if server_round == 2 else {"a": Array(10.0 * server_round)}), len(replies)

    def configure_fit(self, server_round, parameters, client_manager):
        return [parameters]

    def aggregate_fit(self, server_round, results, failures):
        return (None if server_round == 2 else [np.array(10.0 * server_round)]), len(results)


class Array:
    """An array of Flower's that is one number."""

    def __init__(self, value):
        self.value = value

    def numpy(self):
        return np.array(self.value)


def wrapper(name: str, monkeypatch):
    """The class `SaveRounds` of an example, in front of `Kept`."""
    common = ModuleType("flwr.common")
    common.parameters_to_ndarrays = lambda parameters: parameters
    monkeypatch.setitem(sys.modules, "flwr", ModuleType("flwr"))
    monkeypatch.setitem(sys.modules, "flwr.common", common)
    spec = importlib.util.spec_from_file_location(name, FLOWER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return type("Saved", (module.SaveRounds, Kept), {})


def saved(folder) -> dict[str, float]:
    files = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder).with_suffix("")): load_file(path)["a"].item() for path in files}


EXPECTED = {
    "round-000": 1.0,
    "round-001": 10.0,
    "round-001/client-4": 5.0,
    "round-002": 10.0,
}


def test_the_message_wrapper_saves_what_comes_and_what_is_made_of_it(tmp_path, monkeypatch):
    strategy = wrapper("save_rounds", monkeypatch)(folder=tmp_path)
    records = {
        "array_records": {"arrays": {"a": Array(5.0)}},
        "config_records": {"who": {"partition-id": 4}},
    }
    reply = SimpleNamespace(has_error=lambda: False, content=SimpleNamespace(**records))
    failed = SimpleNamespace(has_error=lambda: True)
    assert strategy.configure_train(1, {"a": Array(1.0)}, {}, None)
    arrays, _ = strategy.aggregate_train(1, iter([reply, failed]))
    strategy.configure_train(2, arrays, {}, None)
    assert strategy.aggregate_train(2, iter([failed])) == (None, 1)
    assert saved(tmp_path) == EXPECTED


def test_the_older_wrapper_gives_the_names_back(tmp_path, monkeypatch):
    strategy = wrapper("save_rounds_legacy", monkeypatch)(folder=tmp_path, names={"a": None}.keys())
    result = SimpleNamespace(metrics={"partition-id": 4}, parameters=[np.array(5.0)])
    assert strategy.configure_fit(1, [np.array(1.0)], None)
    parameters, _ = strategy.aggregate_fit(1, [(None, result)], [])
    strategy.configure_fit(2, parameters, None)
    assert strategy.aggregate_fit(2, [], [ValueError()]) == (None, 0)
    assert saved(tmp_path) == EXPECTED
    with pytest.raises(ValueError, match="zip"):
        strategy.save("other", [np.array(1.0), np.array(2.0)])


@pytest.mark.parametrize("name", ["save_rounds", "save_rounds_legacy"])
def test_a_wrapper_has_at_most_forty_lines(name):
    assert len((FLOWER / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES
