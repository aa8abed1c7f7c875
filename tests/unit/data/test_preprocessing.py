"""The user's own preprocessing of images: given normalisation, other sizes, arrays that are normalised already."""

import numpy as np
import pytest
import torch
from broken_input import STUDY, USER, Repository, refusal
from PIL import Image
from torchvision.transforms.functional import resize

from fedscape.command.data_sizes import input_shape
from fedscape.data.prepare import prepare_dataset, preprocessed
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset
from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.federated.batches import BatchSource
from fedscape.plugins import Plugin
from fedscape.settings.preprocessing import Preprocessing
from fedscape.settings.training import Augmentation, TrainingSettings
from fedscape.study.resolved import resolved
from fedscape.study.stages.every import STAGES

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (7, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(7) % 3


def raw(images: np.ndarray = IMAGES, **keys) -> Raw:
    return Raw(tuple("abc"), Inputs.of(images), LABELS, Inputs.of(images[:4]), LABELS[:4], **keys)


def shown(folder, split="train") -> torch.Tensor:
    """The samples as networks are shown them."""
    dataset = open_dataset(folder)
    rows = np.arange(len(getattr(dataset, f"{split}_labels")))
    return torch.cat(
        [inputs for inputs, _ in EvaluationSet.from_dataset(dataset, split, rows, "cpu").batches()]
    )


def test_given_numbers_normalise_as_torchvision_does(tmp_path):
    settings = Preprocessing(mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 1.0])
    write_dataset(tmp_path, "mine", "any", preprocessed(raw(), settings, "mine"))
    expected = (IMAGES / 255 - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array([0.2, 0.25, 1.0])[
        :, None, None
    ]
    np.testing.assert_allclose(shown(tmp_path), expected, atol=1e-6)
    np.testing.assert_allclose(shown(tmp_path, "test"), expected[:4], atol=1e-6)


def test_images_are_resized_as_torchvision_resizes_those_of_pillow(tmp_path):
    resized = preprocessed(raw(), Preprocessing(resize=4), "mine")
    write_dataset(tmp_path, "mine", "any", resized)
    dataset = open_dataset(tmp_path)
    assert dataset.shape == (3, 4, 4)
    for own, image in zip(dataset.train_inputs, IMAGES, strict=True):
        theirs = resize(Image.fromarray(image.transpose(1, 2, 0)), [4, 4])
        np.testing.assert_array_equal(own, np.asarray(theirs).transpose(2, 0, 1))
    assert dataset.mean != () and len(dataset.mean) == 3


@pytest.fixture
def arrays(tmp_path):
    """Prepares a data set of arrays, and refuses some."""

    def prepare(changes=None, preprocessing=None, **settings):
        content = {
            "inputs": (IMAGES / 255).astype(np.float64) - 0.5,
            "labels": LABELS,
            "test_inputs": IMAGES[:4] / 255 - 0.5,
            "test_labels": LABELS[:4],
        } | (changes or {})
        np.savez(tmp_path / "mine.npz", **{key: value for key, value in content.items() if value is not None})
        source = Plugin("arrays", {"file": "mine.npz", **settings})
        prepare_dataset("mine", source, tmp_path, tmp_path / "out", preprocessing)
        return open_dataset(tmp_path / "out")

    return prepare


def test_floating_arrays_reach_networks_as_they_are(arrays, tmp_path):
    dataset = arrays({"clients": LABELS % 2, "batches": np.zeros(3)}, classes=5)
    assert dataset.classes == tuple("01234") and dataset.mean == dataset.std == ()
    assert dataset.train_clients.tolist() == (LABELS % 2).tolist()
    images = shown(tmp_path / "out")
    assert images.dtype == torch.float32
    np.testing.assert_array_equal(images, (IMAGES / 255 - 0.5).astype(np.float32))
    data = EvaluationSet.from_dataset(dataset, "train", np.arange(7), "cpu")
    source = BatchSource(data, TrainingSettings(rounds=1, batch_size=2, lr=0.1), batch_statistics=False)
    positions = torch.tensor([[3, 1], [0, 6]])
    mean, std = source.normalisation(positions[0].numpy())
    drawn = source.inputs(positions, {}, torch.stack([mean, mean]), torch.stack([std, std]))
    assert torch.equal(drawn, images[positions])


def test_arrays_of_pixels_are_normalised_as_any_images(arrays, tmp_path):
    arrays({"inputs": IMAGES, "test_inputs": IMAGES[:4]})
    images = shown(tmp_path / "out").double()
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3).double(), atol=1e-6, rtol=0)


def test_no_augmentation_takes_what_is_normalised_already(arrays):
    data = EvaluationSet.from_dataset(arrays(), "train", np.arange(7), "cpu")
    training = TrainingSettings(rounds=1, batch_size=2, lr=0.1, augmentation=Augmentation(flip=True))
    assert "these samples are normalised already" in refusal(BatchSource, data, training, False)


WRONG = {
    "no labels": ({"labels": None}, "no array 'labels'; expected inputs, labels, test_inputs, test_labels"),
    "a row each": ({"inputs": np.zeros((7, 4))}, r"inputs has shape (7, 4), expected [samples, channels"),
    "whole numbers": ({"inputs": IMAGES.astype(np.int64)}, "inputs is int64, expected uint8, or floating"),
    "numbers that 32 bits cannot hold": (
        {"inputs": np.full((7, 3, 4, 4), 1e300)},
        "inputs: a number is NaN or infinite, or too large for float32",
    ),
    "a client past 32 bits": ({"clients": LABELS + 2**33}, "clients: 8589934594 is above 2147483647"),
    "a label past 64 bits": (
        {"labels": LABELS.astype(np.uint64) + np.uint64(2**63)},
        "labels: 9223372036854775810 is above 2147483647",
    ),
    "two types": ({"inputs": IMAGES}, "inputs and test_inputs are of other types"),
    "two shapes": ({"test_inputs": np.zeros((4, 3, 5, 5))}, "inputs and test_inputs have other shapes"),
    "no number": ({"inputs": np.full((7, 3, 6, 5), np.nan)}, "inputs: a number is NaN or infinite"),
    "floating labels": ({"labels": LABELS / 1.0}, "labels is float64 (7,), expected whole numbers (7,)"),
    "labels below 0": ({"labels": LABELS - 1}, "labels: -1 is below 0"),
    "too few labels": ({"labels": LABELS[:6]}, "labels is int64 (6,), expected whole numbers (7,)"),
    "pickled objects": ({"labels": np.array([None] * 7)}, "not a whole .npz of arrays"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_arrays_is_a_line(arrays, case):
    changes, words = WRONG[case]
    assert words in refusal(arrays, changes)


def test_what_is_wrong_with_preprocessing_is_a_line(arrays):
    assert "a label is 2, of 2 classes from 0" in refusal(arrays, classes=2)
    assert "normalised already; leave out" in refusal(arrays, preprocessing=Preprocessing(resize=3))
    one = Preprocessing(mean=[0.5], std=[0.5])
    assert "of 1 channels, images have 3" in refusal(preprocessed, raw(), one, "mine")
    assert "resize goes with no border" in refusal(
        preprocessed, raw(border=1), Preprocessing(resize=3), "mine"
    )


ENTRIES = {
    "mean alone": ({"kind": "digits", "mean": [0.5]}, "config: datasets.mine: mean and std belong together"),
    "pixels to 255": ({"kind": "digits", "mean": [127], "std": [50]}, "mean is of pixels scaled to [0, 1]"),
    "no deviation": ({"kind": "digits", "mean": [0.5], "std": [0]}, "std must be > 0, got [0.0]"),
    "no pixels": ({"kind": "digits", "resize": 0}, "resize must be >= 1"),
    "tokens": ({"kind": "tinyshakespeare", "length": 9, "resize": 8}, "datasets.mine.resize: tinyshakespeare holds tokens"),
    "unknown": ({"kind": "digits", "men": [1]}, "unknown key 'men'; did you mean 'mean'?"),
}  # fmt: skip


def test_an_entry_reaches_the_job_that_prepares_and_stands_in_what_was_resolved(tmp_path):
    entry = {"kind": "digits", "mean": [0.5], "std": [1], "resize": 12}
    config = {**USER, "datasets": {**USER["datasets"], "mine": entry}}
    content = {key: STUDY[key] for key in ("title", "models", "partitions", "methods")}
    study = (
        Repository(tmp_path)
        .read({**content, "datasets": ["mine"], "scales": {"paper": {}, "smoke": {}}}, config)
        .get("pilot", "paper")
    )
    settings = STAGES["dataset"].settings(study, {"dataset": "mine"})
    assert settings["preprocessing"] == {"resize": 12, "mean": [0.5], "std": [1.0]}
    assert resolved(study)["datasets"]["mine"] == {"part": "clients", **entry}
    assert input_shape(study, "mine") == (1, 12, 12)


@pytest.mark.parametrize("case", ENTRIES)
def test_a_wrong_entry_is_a_line(tmp_path, case):
    entry, words = ENTRIES[case]
    config = {**USER, "datasets": {**USER["datasets"], "mine": entry}}
    assert words in refusal(Repository(tmp_path).read, STUDY, config)
