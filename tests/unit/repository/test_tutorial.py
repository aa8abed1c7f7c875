"""What the tutorial and the guide to plug-ins tell their reader to write is taken, and does what they say."""

import re
import shutil

import numpy as np
import pytest
import small_run
import torch
import yaml
from edited_study import ROOT
from sklearn.datasets import load_digits
from written_plugins import plugins_of, written

from fedscape.checkpoints.readers import Trajectory
from fedscape.cli import main
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.study.campaign import read_study

TUTORIAL, GUIDE = "docs/tutorial.md", "docs/own-plugins.md"
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def yaml_blocks(page: str) -> list[str]:
    """The YAML that a page shows."""
    return re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def clone(tmp_path, monkeypatch, capsys):
    """As much of the repository as a study is read from, with the study that `fedscape new mine` writes."""
    for name in ("config", "workflow/schemas"):
        shutil.copytree(ROOT / name, tmp_path / "clone" / name)
    (tmp_path / "clone" / "Snakefile").touch()
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("FEDSCAPE_CLONE", str(tmp_path / "clone"))
    assert main(["new", "mine"]) == 0
    return tmp_path / "clone"


def with_line(clone, line: str):
    """The study `mine` with one line more under its methods."""
    file = clone / "config" / "studies" / "mine.yaml"
    text = file.read_text(encoding="utf-8")
    methods = re.search(r"^methods:.*\n", text, re.MULTILINE)
    assert methods
    file.write_text(text[: methods.end()] + line + text[methods.end() :], encoding="utf-8")
    try:
        return read_study(clone, CONFIG | {"study": "mine", "scale": "quick"})
    finally:
        file.write_text(text, encoding="utf-8")


def test_the_tutorial_s_method_is_one_file_and_one_line(clone, tmp_path, monkeypatch):
    (line,) = yaml_blocks(TUTORIAL)
    with written(plugins_of(TUTORIAL), tmp_path, monkeypatch):
        study = with_line(clone, line)
        assert len([run for run in study.runs if run.method == "modest"]) == 2
        for wrong, message in (
            ("beta: -1", "beta must be >= 0, got -1"),
            ("bata: 0.3", "did you mean 'beta'?"),
        ):
            assert wrong in (ROOT / TUTORIAL).read_text(encoding="utf-8")
            with pytest.raises(FedscapeError, match=re.escape(message)) as error:
                with_line(clone, line.replace("beta: 0.3", wrong))
            assert "\n" not in str(error.value)


def test_the_tutorial_s_method_trains_and_is_fedavg_where_certainty_is_free(tmp_path, monkeypatch):
    small_run.prepare(tmp_path, model="cnn")

    def last_model(out: str, algorithm: str, **settings: float) -> torch.Tensor:
        outputs = small_run.run_once(
            tmp_path, "cnn", out, algorithm=algorithm, algorithm_settings=settings, rounds=3
        )
        return Trajectory.open(outputs["trajectory"]).parameters(3)

    with written(plugins_of(TUTORIAL), tmp_path, monkeypatch):
        fedavg = last_model("fedavg", "fedavg")
        free = last_model("free", "confidence-penalty", beta=0.0)
        modest = last_model("modest", "confidence-penalty", beta=0.3)
    torch.testing.assert_close(free, fedavg)
    assert not torch.allclose(modest, fedavg)


def test_the_guide_s_data_set_is_prepared(tmp_path, monkeypatch):
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)[..., None]
    np.savez(tmp_path / "scans.npz", images=images, labels=digits.target)
    keys = yaml.safe_load(yaml_blocks(GUIDE)[0])["datasets"]["my-scans"]
    with written(plugins_of(GUIDE), tmp_path, monkeypatch):
        prepare_dataset("my-scans", Plugin.of(keys), tmp_path, tmp_path / "prepared")
        (tmp_path / "scans.npz").write_bytes(b"cut off")
        with pytest.raises(FedscapeError, match=r"scans\.npz: not a whole file of arrays"):
            prepare_dataset("my-scans", Plugin.of(keys), tmp_path, tmp_path / "again")
    dataset = open_dataset(tmp_path / "prepared")
    assert dataset.shape == (1, 8, 8) and dataset.classes == tuple("0123456789")
    assert len(dataset.train_labels) + len(dataset.test_labels) == len(images)
    shares = np.bincount(dataset.test_labels) / np.bincount(digits.target)
    np.testing.assert_allclose(shares, 0.2, atol=0.01)


def test_the_guide_s_model_is_built(tmp_path, monkeypatch):
    keys = yaml.safe_load(yaml_blocks(GUIDE)[2])["models"]["narrow"]
    plugin = Plugin.of(keys)
    with written(plugins_of(GUIDE), tmp_path, monkeypatch):
        module = random_model(plugin.kind, dict(plugin.settings), (3, 4, 5), 7, seed=0)
    assert sum(tensor.numel() for tensor in module.parameters()) == 60 * 16 + 16 + 16 * 7 + 7
    assert module(torch.zeros(2, 3, 4, 5)).shape == (2, 7)


def test_commands_of_the_tutorial_are_there():
    """Rules, studies, scales and commands that its shell blocks name."""
    shell = "".join(re.findall(r"```sh\n(.*?)```", (ROOT / TUTORIAL).read_text(encoding="utf-8"), re.DOTALL))
    for command in re.findall(r"^fedscape (\w+)", shell, re.MULTILINE):
        assert command in (ROOT / "src" / "fedscape" / "cli.py").read_text(encoding="utf-8")
    assert "make demo" in shell and "\ndemo:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "all_methods: {rounds: 20, local_epochs: 2, lr: 0.03}" in (
        ROOT / "config" / "studies" / "pilot.yaml"
    ).read_text(encoding="utf-8")
