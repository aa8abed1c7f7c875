"""The how-to pages in docs/ do what they say."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from edited_study import ROOT
from torch import nn

from fedscape.checkpoints.layout import flatten, layout_of
from fedscape.checkpoints.writer import trajectory_writer
from fedscape.columns.connectivity import LAYERS_CSV
from fedscape.columns.csvs import read_csv
from fedscape.columns.identity import IDENTITY
from fedscape.data.partition import make_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples

PAGE = (ROOT / "docs" / "layerwise-barriers.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


class MyNetwork(nn.Module):
    """A network that fedscape does not know."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 5)

    def forward(self, images):
        return self.head(torch.relu(self.conv(images)).mean(dim=(2, 3)))


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("first.pt", "second.pt")):
        torch.manual_seed(seed)
        torch.save(MyNetwork().state_dict(), name)


def test_layerwise_barriers_of_two_models_in_ten_lines(models, capsys):
    torch.manual_seed(9)
    images, labels = torch.randn(20, 3, 8, 8), torch.randint(0, 5, (20,))
    dataset = torch.utils.data.TensorDataset(images, labels)
    names = {"MyNetwork": MyNetwork, "train_set": dataset, "test_set": (images[:9], labels[:9])}
    first, second, _ = EXAMPLES
    assert len(first.strip().splitlines()) <= 10
    exec(first, names)
    printed = capsys.readouterr().out
    for word in ("full", "single", "shallow", "deep", "conv", "head", "from", "to"):
        assert word in printed
    table = names["table"]
    one, other = (torch.load(name) for name in ("first.pt", "second.pt"))
    network = MyNetwork()
    losses = []
    for state in (one, other, {name: (one[name] + other[name]) / 2 for name in one}):
        network.load_state_dict(state)
        losses.append(nn.functional.cross_entropy(network(images[:9]), labels[:9]).item())
    full = table[(table["regime"] == "full") & (table["measure"] == "loss") & (table["split"] == "test")]
    assert full["barrier"].item() == pytest.approx(losses[2] - (losses[0] + losses[1]) / 2, rel=1e-4)
    exec(second, names)
    assert "units moved" in capsys.readouterr().out


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Two runs on digits as the page names them, with random models in place of trained ones."""
    monkeypatch.chdir(tmp_path)
    prepare_dataset("digits", Plugin("digits"), tmp_path, "results/data/digits")
    identity = dict.fromkeys(IDENTITY, "*")
    make_partition(
        dataset="results/data/digits", scheme=Plugin("iid"), clients=2, partition_seed=0, samples=UsedSamples(0),
        identity=identity, npz="partition.npz", csv="partition.csv",
    )  # fmt: skip
    for run, name in enumerate(("fedavg", "fedprox")):
        Path(name).mkdir()
        modules = [random_model("cnn", {}, (1, 8, 8), 10, seed) for seed in (run, 10 + run, 20 + run)]
        layout = layout_of(modules[0])
        writer = trajectory_writer(Path(name, "trajectory.safetensors"), layout, [0, 5, 9])
        for row, module in enumerate(modules):
            parameters, buffers, counters = flatten(dict(module.state_dict()), layout)
            writer.write(row, parameters=parameters, buffers=buffers, counters=counters)
        writer.close()


def test_the_stage_is_a_call(trained):
    exec(EXAMPLES[2], {})
    layers = read_csv("layers.csv", LAYERS_CSV.types)
    assert set(layers["round"]) == {5, 9} and set(layers["regime"]) == {"full", "shallow"}
    assert np.isfinite(layers["barrier"]).all()
    assert not Path("resume").exists()
