"""ImageNet's augmentation: each image is changed as torchvision changes it by itself, from the stored bytes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import TRAINING, images_and_labels, network
from PIL import Image
from torchvision.transforms import CenterCrop, RandomResizedCrop, Resize
from torchvision.transforms import functional as single

from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, normalise
from fedscape.federated.algorithms import fedavg
from fedscape.federated.augment import augment, draw
from fedscape.federated.batches import BatchSource, ClientProgress, batch, client_task
from fedscape.federated.colour import ORDERS
from fedscape.federated.resized_crop import boxes
from fedscape.federated.rule import Rule
from fedscape.jobs.streams import stream
from fedscape.plugins import Plugin
from fedscape.settings.training import Augmentation, ResizedCrop

SAMPLES = 24
CLOSE = {"rtol": 0, "atol": 2e-6}  # of intensities from 0 to 1, in float32
AUTHORS = Augmentation(resized_crop=ResizedCrop(), colour=0.4, flip=0.5)


def some(shape, samples: int = SAMPLES):
    """Random images from 0 to 1."""
    return torch.from_numpy(np.random.default_rng(1).random((samples, *shape), dtype=np.float32))


def drawn_for(settings, size, samples: int = SAMPLES):
    drawn = draw(settings, stream(0, "augmentation"), samples, size)
    return {name: torch.from_numpy(values) for name, values in drawn.items()}


def one_by_one(change, images):
    """`change(image, sample)` of each image by itself."""
    return torch.stack([change(image, sample) for sample, image in enumerate(images)])


def jittered(image, factors, order):
    """One image after torchvision's three functions in an order."""
    changes = (single.adjust_brightness, single.adjust_contrast, single.adjust_saturation)
    for place in order:
        image = changes[place](image, float(factors[place]))
    return image


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 20, 33)])
@pytest.mark.parametrize("size", [(28, 28), (7, 50)])
def test_a_resized_crop_is_torchvisions(shape, size):
    images, settings = some(shape), Augmentation(resized_crop=ResizedCrop())
    drawn = drawn_for(settings, shape[1:])
    assert drawn.keys() == {"box"}

    def change(image, sample):
        return single.resized_crop(image, *drawn["box"][sample].tolist(), list(size), antialias=True)

    torch.testing.assert_close(augment(images, drawn, settings, size), one_by_one(change, images), **CLOSE)


@pytest.mark.parametrize("shape", [(3, 9, 12), (1, 8, 8)])
def test_colours_are_torchvisions(shape):
    images, settings = some(shape, 60), Augmentation(colour=0.4)
    drawn = drawn_for(settings, shape[1:], 60)
    assert set(drawn["colour_order"].tolist()) == set(range(len(ORDERS)))
    assert drawn["colour"].min() >= 0.6 and drawn["colour"].max() <= 1.4

    def change(image, sample):
        return jittered(image, drawn["colour"][sample], ORDERS[drawn["colour_order"][sample]])

    torch.testing.assert_close(augment(images, drawn, settings), one_by_one(change, images), **CLOSE)


def test_boxes_are_distributed_as_torchvisions():
    """Area and ratio, and where they lie, in quantiles of both; the middle where nothing fits."""
    torch.manual_seed(0)
    settings, size, samples = ResizedCrop(), (40, 56), 20_000
    ours = boxes(settings, stream(0, "boxes"), samples, size)
    image = torch.empty(1, *size)
    theirs = np.array(
        [RandomResizedCrop.get_params(image, settings.scale, settings.ratio) for _ in range(samples)]
    )
    assert (ours[:, :2] >= 0).all() and (ours[:, :2] + ours[:, 2:] <= size).all()
    for measure in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0] / np.maximum(size[0] - box[:, 2], 1),
        lambda box: box[:, 1] / np.maximum(size[1] - box[:, 3], 1),
    ):
        cuts = np.quantile(measure(theirs), [0.1, 0.25, 0.5, 0.75, 0.9])
        shares = [np.mean(measure(box)[:, None] <= cuts, axis=0) for box in (ours, theirs)]
        assert np.abs(shares[0] - shares[1]).max() < 6 * np.sqrt(2 * 0.25 / samples)
    narrow = ResizedCrop(scale=[1, 1], ratio=[0.5, 0.5])
    for size in ((40, 56), (40, 10), (5, 5)):
        wanted = RandomResizedCrop.get_params(torch.empty(1, *size), narrow.scale, narrow.ratio)
        assert boxes(narrow, stream(0, "boxes"), 3, size).tolist() == [list(wanted)] * 3


def test_new_parts_leave_the_draws_of_the_others_as_they_are():
    plain = Augmentation(crop=2, flip=0.5)
    more = replace(plain, resized_crop=ResizedCrop(), colour=0.4)
    one, other = stream(0, "augmentation"), stream(0, "augmentation")
    for _ in range(3):  # epochs
        few, many = draw(plain, one, SAMPLES, (8, 8)), draw(more, other, SAMPLES, (8, 8))
        for name, values in few.items():
            np.testing.assert_array_equal(values, many[name])
    alone = draw(replace(plain, colour=0.4), stream(0, "augmentation"), SAMPLES + 5, (8, 8))
    first = draw(more, stream(0, "augmentation"), SAMPLES, (8, 8))
    np.testing.assert_array_equal(alone["colour"][:SAMPLES], first["colour"])


def test_colours_of_two_channels_are_refused():
    images, settings = some((2, 8, 8)), Augmentation(colour=0.1)
    with pytest.raises(FedscapeError, match=r"colour: is for images of 1 or 3 channels, these have 2"):
        augment(images, drawn_for(settings, (8, 8)), settings)


@pytest.fixture
def photos(tmp_path):
    """A prepared set of noise of many sizes, and the files of its train and test images in their order."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            height, width = draw.integers(20, 60, 2)
            pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    settings = {"folder": "photos", "size": 28, "shorter_side": 32, "test_fraction": 0.34}
    prepare_dataset("photos", Plugin("image-folder", settings), tmp_path, tmp_path / "out")
    return open_dataset(tmp_path / "out"), sorted((tmp_path / "photos").rglob("*.png"))


def test_evaluations_see_torchvisions_resize_and_centre_crop(photos):
    data, files = photos
    assert data.shape == (3, 28, 28) and data.border == 2
    transform = [Resize(32), CenterCrop(28)]
    wanted = []
    for path in files:
        image = Image.open(path)
        for one in transform:
            image = one(image)
        wanted.append(np.asarray(image).transpose(2, 0, 1).tobytes())
    shown = []
    for split, count in (("train", len(data.train_labels)), ("test", len(data.test_labels))):
        samples = EvaluationSet.from_dataset(data, split, np.arange(count), "cpu")
        assert samples.shape == (3, 28, 28)
        images = samples.shown(slice(None))
        inputs = torch.cat([inputs for inputs, _ in samples.batches()])
        torch.testing.assert_close(inputs, normalise(images, samples.mean, samples.std), rtol=0, atol=0)
        shown += [image.tobytes() for image in images.numpy()]
    assert sorted(shown) == sorted(wanted)


def test_training_sees_parts_of_the_whole_stored_images(photos):
    data, _ = photos
    samples = EvaluationSet.from_dataset(data, "train", np.arange(8), "cpu")
    positions = np.array([5, 0, 3])
    for augmentation in (AUTHORS, Augmentation()):
        training = replace(TRAINING, batch_size=3, augmentation=augmentation)
        source = BatchSource(samples, training, batch_statistics=False)
        work, twin = (
            ClientProgress(
                client_task(training, "fedavg", positions, 0, 0, round_number=1, client=0),
                source,
                Rule(fedavg, fedavg.Settings()),
            )
            for _ in range(2)
        )
        taken = twin.samples()
        images = torch.from_numpy(data.train_inputs[taken["positions"].numpy()]) / 255
        if augmentation == AUTHORS:
            changed = []
            for sample, image in enumerate(images):
                image = single.resized_crop(image, *taken["box"][sample].tolist(), [28, 28], antialias=True)
                image = jittered(image, taken["colour"][sample], ORDERS[taken["colour_order"][sample]])
                changed.append(single.hflip(image) if taken["flip"][sample] else image)
            images = torch.stack(changed)
        else:
            images = images[..., 2:-2, 2:-2]
        wanted = (images - samples.mean[:, None, None]) / samples.std[:, None, None]
        torch.testing.assert_close(batch(work).inputs, wanted, rtol=0, atol=2e-5)


def test_a_resized_crop_needs_no_border():
    training = replace(TRAINING, batch_size=4, augmentation=AUTHORS)
    data = images_and_labels(8, shape=(3, 8, 8))
    source = BatchSource.of(network("linear", shape=(3, 8, 8)), data, training)
    task = client_task(training, "fedavg", np.arange(8), 0, 0, round_number=1, client=0)
    assert batch(ClientProgress(task, source, Rule(fedavg, fedavg.Settings()))).inputs.shape == (4, 3, 8, 8)


@pytest.mark.parametrize("shorter_side", [27, 29, 5000])
def test_a_border_is_even_and_small(shorter_side):
    from fedscape.data.datasets.image_folder import Settings

    with pytest.raises(
        ValueError, match=r"shorter_side must be size \(28\) or an even number of pixels more"
    ):
        Settings(folder="photos", size=28, shorter_side=shorter_side)


def test_an_image_that_would_become_too_large_is_named(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (3000, 1)).save(tmp_path / "photos" / name / f"{i}.png")
    settings = {"folder": "photos", "size": 224, "shorter_side": 256, "test_fraction": 0.5}
    with pytest.raises(FedscapeError, match=r"cat/\d\.png: would become 768000 x 256 pixels by shorter_side"):
        prepare_dataset("photos", Plugin("image-folder", settings), tmp_path, tmp_path / "out")
