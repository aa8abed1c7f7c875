"""The how-to pages in docs/ do what they say."""

import re
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import small_run
import torch
import yaml
from edited_study import ROOT
from torch import nn

from fedscape.study.files import read_schema

PAGES = [
    file for file in sorted((ROOT / "docs").glob("*.md")) if "```yaml" in file.read_text(encoding="utf-8")
]
SETTINGS = {"datasets"}
"""Sections of `config/config.yaml`, when they are maps; the others are a study's."""
PAGE = (ROOT / "docs" / "layerwise-barriers.md").read_text()
TEN_LINES, MATCHED, OF_RUNS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_yaml_of_a_page_is_what_a_study_or_the_settings_may_say(page):
    for text in re.findall(
        r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        content = yaml.safe_load(text)
        if page.stem == "tutorial":  # a line to be put under a section
            content = {"methods": content}
        name = (
            "config"
            if SETTINGS & {key for key, value in content.items() if isinstance(value, dict)}
            else "study"
        )
        schema = {**read_schema(ROOT / "workflow" / "schemas" / f"{name}.schema.yaml"), "required": []}
        jsonschema.Draft202012Validator(schema).validate(content)


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
    assert len(TEN_LINES.strip().splitlines()) <= 10
    exec(TEN_LINES, names)
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
    exec(MATCHED, names)
    assert "units moved" in capsys.readouterr().out


def test_layerwise_barriers_of_two_runs(tmp_path, monkeypatch):
    """The stage called with values: five rounds of two methods, on data where the page has its own."""
    monkeypatch.chdir(tmp_path)
    small_run.prepare(tmp_path, "cnn")
    for name in ("fedavg", "fedprox"):
        small_run.run_once(tmp_path, "cnn", out=name, algorithm=name, rounds=5)
    Path("results/data").mkdir(parents=True)
    Path("data").rename("results/data/digits")
    exec(OF_RUNS, {})
    layers = pd.read_csv("layers.csv")
    assert set(layers["method"]) == {"fedavg"} and set(layers["to_method"]) == {"fedprox"}
    assert set(layers["regime"]) == {"full", "shallow"} and set(layers["round"]) == {5}
    assert len(pd.read_csv("distances.csv")) and not Path("resume").exists()
