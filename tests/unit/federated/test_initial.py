"""Kinds of starts: each against what it promises, and refusals that name what does not fit."""

import shutil

import numpy as np
import pytest
import torch
from engine_helpers import channels_last
from small_run import CLASSES, SHAPE, prepare, run_once, write_noise
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, normalise
from fedscape.federated.initial import make_initial
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.jobs.streams import stream
from fedscape.models.build import classifier_names, random_model
from fedscape.plugins import Plugin

MODEL = "resnet20"
PRETRAINED = {"dataset": "proxy", "epochs": 3, "batch_size": 8, "lr": 0.05, "weight_decay": 1e-3}


def make(folder, kind: str, settings: dict | None = None, model: str = MODEL, name: str = "made", **inputs):
    """The start as a dictionary of tensors."""
    make_initial(
        start=Plugin(kind, settings or {}),
        model=Plugin(model),
        dataset=folder / "data",
        seed=3,
        resume=Resume(folder / f"{name}.resume", "test"),
        out=folder / f"{name}.safetensors",
        **inputs,
    )
    return read_weights(folder / f"{name}.safetensors")


def random_weights(classes: int = len(CLASSES), model: str = MODEL, shape=SHAPE) -> dict[str, torch.Tensor]:
    return random_model(model, {}, shape, classes, seed=3).state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def folder(tmp_path):
    write_noise(tmp_path / "data")
    return tmp_path


def test_random_is_the_models_own_start(folder):
    assert equal(make(folder, "random"), random_weights())
    assert not (folder / "made.resume").exists()


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth"])
def test_a_checkpoint_is_taken_as_it_is(folder, suffix):
    weights = {name: tensor + 1 for name, tensor in random_weights().items()}
    file = folder / f"mine.{suffix}"
    if suffix == "safetensors":
        write_weights(file, weights)
    else:
        torch.save(weights, file)
    assert equal(make(folder, "checkpoint", {"file": str(file)}), weights)


def test_a_checkpoint_that_does_not_fit_is_named(folder):
    file = folder / "mine.safetensors"

    def refused(message: str):
        return pytest.raises(FedscapeError, match=message)

    with refused(r"mine\.safetensors: no such file of weights"):
        make(folder, "checkpoint", {"file": str(file)})
    write_weights(file, random_weights(classes=7))
    shapes = r"mine\.safetensors: classifier\.weight has shape \(7, 64\), the model's has \(3, 64\)"
    with refused(shapes):
        make(folder, "checkpoint", {"file": str(file)})
    weights = random_weights()
    weights["head.weight"] = weights.pop("classifier.weight")
    write_weights(file, weights)
    with refused(r"mine\.safetensors: lacks classifier\.weight"):
        make(folder, "checkpoint", {"file": str(file)})
    weights["classifier.weight"] = weights["head.weight"].clone()
    write_weights(file, weights)
    with refused(r"mine\.safetensors: has unknown head\.weight"):
        make(folder, "checkpoint", {"file": str(file)})
    file.write_bytes(file.read_bytes()[:-1])
    with refused(r"mine\.safetensors: not a whole file of weights"):
        make(folder, "checkpoint", {"file": str(file)})


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "list", "code"])
def test_a_torch_file_without_a_state_dict_is_named(folder, content):
    file = folder / "mine.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save([torch.zeros(2)] if content == "list" else torch.nn.Linear(2, 2), file)
    with pytest.raises(FedscapeError, match=r"mine\.pt: "):
        make(folder, "checkpoint", {"file": str(file)})


def test_weights_that_are_not_finite_are_refused(folder):
    weights = random_weights()
    weights["conv.weight"][0] = float("inf")
    write_weights(folder / "mine.safetensors", weights)
    with pytest.raises(FedscapeError, match="a weight is NaN or infinite"):
        make(folder, "checkpoint", {"file": str(folder / "mine.safetensors")})


def test_after_round_is_the_row_of_the_trajectory(folder):
    prepare(folder)
    trajectory = run_once(folder)["trajectory"]
    for number, row in ((2, 2), ("last", 4)):
        weights = make(folder, "after-round", {"round": number}, trajectory=trajectory)
        parameters, buffers = Trajectory.open(trajectory).state(row)
        assert equal(weights, {name: (parameters | buffers)[name] for name in weights})
    with pytest.raises(FedscapeError, match="round 5 is not kept"):
        make(folder, "after-round", {"round": 5}, trajectory=trajectory)
    with pytest.raises(FedscapeError, match=r"trajectory\.safetensors: lacks 0\.weight"):
        make(folder, "after-round", {"round": 1}, model="convnet", trajectory=trajectory)


def trained_centrally(folder) -> dict[str, torch.Tensor]:
    """Plain PyTorch over the proxy, with the momentum kept from epoch to epoch."""
    proxy = open_dataset(folder / "proxy")
    samples = len(proxy.train_labels)
    data = EvaluationSet.from_dataset(proxy, "train", np.arange(samples), "cpu")
    module = random_model(MODEL, {}, proxy.shape, len(proxy.classes), seed=3)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for epoch in range(1, PRETRAINED["epochs"] + 1):
        order = torch.from_numpy(stream(3, "pretraining", epoch).permutation(samples))
        for batch in order.split(PRETRAINED["batch_size"]):
            optimiser.zero_grad()
            images = channels_last(normalise(data.inputs[batch], data.mean, data.std))
            cross_entropy(module(images), data.labels[batch]).backward()
            optimiser.step()
    return module.state_dict()


@pytest.mark.parametrize("classes", [CLASSES, ("x", "y", "z"), ("a", "b", "c", "d")])
def test_pretraining_is_central_sgd_with_a_fresh_classifier_where_classes_differ(folder, classes):
    write_noise(folder / "proxy", seed=9, classes=classes)
    weights = make(folder, "pretrained", PRETRAINED, proxy=folder / "proxy")
    trained, start = trained_centrally(folder), random_weights()
    classifier = classifier_names(random_model(MODEL, {}, SHAPE, len(CLASSES), seed=3))
    assert len(classifier) == 2
    for name, tensor in weights.items():
        if name in classifier and classes != CLASSES:
            assert torch.equal(tensor, start[name])
        else:
            torch.testing.assert_close(tensor, trained[name], rtol=1e-5, atol=1e-6)


def write_words(folder, words: str, seed: int) -> None:
    """A data set of sequences of words that mean nothing, with the letters of `words` as its vocabulary."""
    draws = np.random.default_rng(seed).integers(len(words), size=(12, 7)).astype(np.int32)
    inputs, labels = draws[:, :-1], draws[:, 1:]
    raw = Raw(
        tuple(words), Inputs.of(inputs), labels, Inputs.of(inputs[:2]), labels[:2], train_clients=np.arange(12) % 2
    )  # fmt: skip
    write_dataset(folder, folder.name, "test", raw)


@pytest.mark.parametrize("model", ["gpt", "lstm"])
@pytest.mark.parametrize("known", ["abcdefg", "gxaybzc", "abc"])
def test_words_of_another_vocabulary_are_taken_over_one_by_one(tmp_path, model, known):
    write_words(tmp_path / "data", "abcdefg", seed=1)
    write_words(tmp_path / "proxy", known, seed=2)
    settings = {"dataset": "proxy", "epochs": 2, "batch_size": 4, "lr": 0.1}
    weights = make(tmp_path, "pretrained", settings, model=model, proxy=tmp_path / "proxy")
    # Trained for the proxy's own sake.
    (tmp_path / "data").rename(tmp_path / "other")
    shutil.copytree(tmp_path / "proxy", tmp_path / "data")
    trained = make(tmp_path, "pretrained", settings, model=model, name="own", proxy=tmp_path / "proxy")
    start = random_model(model, {}, (6,), 7, seed=3)
    of_words = {"tokens.weight", *classifier_names(start)}
    for name, tensor in weights.items():
        if name not in of_words:
            assert torch.equal(tensor, trained[name])
            continue
        for place, word in enumerate("abcdefg"):
            expected = trained[name][known.index(word)] if word in known else start.state_dict()[name][place]
            assert torch.equal(tensor[place], expected), (name, word)


def test_pretraining_goes_on_where_it_was_stopped(folder, monkeypatch, capsys):
    write_noise(folder / "proxy", seed=9)
    whole = make(folder, "pretrained", PRETRAINED, name="whole", proxy=folder / "proxy")
    with monkeypatch.context() as patch:
        patch.setattr(
            ResumeFolder,
            "stop_requested",
            lambda self: "a test" if self.progress.get("epoch") == 2 else None,
        )
        with pytest.raises(SystemExit, match="run again to continue from epoch 2"):
            make(folder, "pretrained", PRETRAINED, name="stopped", proxy=folder / "proxy")
    capsys.readouterr()
    assert equal(make(folder, "pretrained", PRETRAINED, name="stopped", proxy=folder / "proxy"), whole)
    said = capsys.readouterr().err
    assert "epoch 3/3" in said
    assert "epoch 2/3" not in said


def test_a_damaged_epoch_starts_afresh(folder, monkeypatch, capsys):
    write_noise(folder / "proxy", seed=9)
    with monkeypatch.context() as patch:
        patch.setattr(
            ResumeFolder, "stop_requested", lambda self: "a test" if self.progress.get("epoch") else None
        )
        with pytest.raises(SystemExit):
            make(folder, "pretrained", PRETRAINED, proxy=folder / "proxy")
    (folder / "made.resume" / "epoch-1.safetensors").write_bytes(b"")
    weights = make(folder, "pretrained", PRETRAINED, proxy=folder / "proxy")
    assert "starting afresh" in capsys.readouterr().err
    assert equal(weights, make(folder, "pretrained", PRETRAINED, name="whole", proxy=folder / "proxy"))


def test_pretraining_on_images_of_another_size(folder):
    """ResNet-20 averages over its last map; ConvNet's first linear layer has the image's size in it."""
    write_noise(folder / "proxy", seed=9, shape=(1, 16, 16))
    weights = make(folder, "pretrained", {**PRETRAINED, "epochs": 1}, proxy=folder / "proxy")
    assert not torch.equal(weights["conv.weight"], random_weights()["conv.weight"])
    with pytest.raises(FedscapeError, match=r"its images \(1, 16, 16\) give \d+\.weight the shape"):
        make(folder, "pretrained", {**PRETRAINED, "epochs": 1}, model="convnet", proxy=folder / "proxy")


def test_pretraining_that_diverges_is_refused(folder):
    write_noise(folder / "proxy", seed=9)
    with pytest.raises(FedscapeError, match="diverged in epoch 1; use a smaller lr"):
        make(folder, "pretrained", {**PRETRAINED, "lr": 1e30}, proxy=folder / "proxy")
