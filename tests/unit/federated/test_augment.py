"""Augmentation of a batch: each sample is changed as torchvision changes a single image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as single

from fedscape.errors import FedscapeError
from fedscape.federated.augment import augment, draw
from fedscape.jobs.streams import stream
from fedscape.settings.training import Augmentation

SAMPLES = 24
ALL = Augmentation(crop=3, flip=0.4, rotation=20, brightness=0.3, scale=0.2, resize=6)
SHAPES = [(1, 8, 8), (3, 9, 12)]
EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 0, "atol": 2e-6}  # of intensities from 0 to 1, in float32


def some(shape, samples: int = SAMPLES):
    """Random images from 0 to 1."""
    return torch.from_numpy(np.random.default_rng(1).random((samples, *shape), dtype=np.float32))


def drawn_for(settings, samples: int = SAMPLES, key: int = 0, size=(8, 8)):
    """What `draw` makes, as tensors."""
    drawn = draw(settings, stream(0, "augmentation", key), samples, size)
    return {name: torch.from_numpy(values) for name, values in drawn.items()}


def one_by_one(change, images):
    """`change(image, sample)` of each image by itself."""
    return torch.stack([change(image, sample) for sample, image in enumerate(images)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill", ["zero", "reflect"])
def test_a_crop_is_a_window_of_the_padded_image(shape, fill):
    images, settings = some(shape), Augmentation(crop=4, fill=fill)
    drawn = drawn_for(settings)
    mode = {"zero": "constant", "reflect": "reflect"}[fill]

    def change(image, sample):
        corner = int(drawn["crop_y"][sample]), int(drawn["crop_x"][sample])
        return single.crop(single.pad(image, [4], padding_mode=mode), *corner, *shape[1:])

    torch.testing.assert_close(augment(images, drawn, settings), one_by_one(change, images), **EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_mirrors_the_cropped_image(shape):
    images, settings = some(shape), Augmentation(crop=2, flip=0.5)
    drawn = drawn_for(settings)
    assert 0 < drawn["flip"].sum() < SAMPLES

    def change(image, sample):
        corner = int(drawn["crop_y"][sample]), int(drawn["crop_x"][sample])
        window = single.crop(single.pad(image, [2]), *corner, *shape[1:])
        return single.hflip(window) if drawn["flip"][sample] else window

    torch.testing.assert_close(augment(images, drawn, settings), one_by_one(change, images), **EXACT)
    only_flip = {"flip": drawn["flip"]}
    mirrored = torch.where(only_flip["flip"][:, None, None, None], single.hflip(images), images)
    torch.testing.assert_close(augment(images, only_flip, Augmentation(flip=0.5)), mirrored, **EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotation_is_torchvisions(shape):
    images, settings = some(shape), Augmentation(rotation=50)
    drawn = drawn_for(settings)

    def change(image, sample):
        return single.rotate(image, float(drawn["rotation"][sample]), InterpolationMode.BILINEAR)

    torch.testing.assert_close(augment(images, drawn, settings), one_by_one(change, images), **CLOSE)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rotation", [0, 30])
def test_a_zoom_is_torchvisions_alone_and_with_a_rotation(shape, rotation):
    images, settings = some(shape), Augmentation(scale=0.4, rotation=rotation)
    drawn = drawn_for(settings)

    def change(image, sample):
        # `affine` counts degrees clockwise.
        angle = -float(drawn["rotation"][sample]) if rotation else 0.0
        zoom = float(drawn["scale"][sample])
        return single.affine(image, angle, [0, 0], zoom, [0.0], InterpolationMode.BILINEAR)

    torch.testing.assert_close(augment(images, drawn, settings), one_by_one(change, images), **CLOSE)


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    images, settings = some((2, 8, 8)), Augmentation(rotation=90)
    turned = augment(images, {"rotation": torch.full((SAMPLES,), 90.0)}, settings)
    torch.testing.assert_close(turned, torch.rot90(images, 1, (2, 3)), rtol=0, atol=1e-5)


def test_brightness_is_added_and_stays_between_black_and_white():
    images, settings = some((3, 8, 8)), Augmentation(brightness=0.6)
    drawn = drawn_for(settings)
    sums = images.numpy() + drawn["brightness"].numpy()[:, None, None, None]
    assert (sums < 0).any() and (sums > 1).any()
    bright = augment(images, drawn, settings)
    torch.testing.assert_close(bright, torch.from_numpy(np.minimum(np.maximum(sums, 0), 1)), **EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_resize_goes_through_fewer_pixels_and_back(shape):
    images, settings = some(shape), Augmentation(resize=5)
    assert drawn_for(settings) == {}
    coarse = augment(images, {}, settings)
    wanted = one_by_one(lambda image, _: single.resize(single.resize(image, [5, 5]), list(shape[1:])), images)
    torch.testing.assert_close(coarse, wanted, **CLOSE)
    # Detail is lost: what is left of noise is flatter. What has no detail stays.
    assert coarse.std() < 0.8 * images.std()
    flat = torch.full_like(images, 0.3)
    torch.testing.assert_close(augment(flat, {}, settings), flat, **CLOSE)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_parts_follow_one_another(shape):
    images, drawn = some(shape), drawn_for(ALL)
    wanted = images
    for part, names in (
        ({"resize": 6}, ()),
        ({"crop": 3, "flip": 0.4}, ("crop_y", "crop_x", "flip")),
        ({"rotation": 20, "scale": 0.2}, ("rotation", "scale")),
        ({"brightness": 0.3}, ("brightness",)),
    ):
        wanted = augment(wanted, {name: drawn[name] for name in names}, Augmentation(**part))
    result = augment(images, drawn, ALL)
    torch.testing.assert_close(result, wanted, **EXACT)
    assert result.shape == images.shape and result.dtype == torch.float32


def test_images_do_not_depend_on_their_neighbours():
    images, drawn = some((3, 8, 8)), drawn_for(ALL)
    order = torch.from_numpy(np.random.default_rng(3).permutation(SAMPLES))
    shuffled = augment(images[order], {name: values[order] for name, values in drawn.items()}, ALL)
    torch.testing.assert_close(shuffled, augment(images, drawn, ALL)[order], **CLOSE)


def test_nothing_switched_on_draws_nothing_and_changes_nothing():
    generator, images = stream(0, "augmentation"), some((3, 8, 8))
    assert draw(Augmentation(fill="reflect", normalise="client"), generator, SAMPLES, (8, 8)) == {}
    assert generator.random() == stream(0, "augmentation").random()
    torch.testing.assert_close(augment(images, {}, Augmentation()), images, **EXACT)


@given(st.integers(1, 40), st.integers(0, 40))
def test_the_first_samples_of_a_longer_batch_are_drawn_alike(samples, more):
    few, many = (draw(ALL, stream(7, "augmentation"), count, (8, 8)) for count in (samples, samples + more))
    for name, values in few.items():
        np.testing.assert_array_equal(values, many[name][:samples])


@pytest.mark.parametrize("part", ["crop", "flip", "rotation", "brightness", "scale"])
def test_no_part_changes_what_another_draws(part):
    alone = drawn_for(Augmentation(**{part: getattr(ALL, part)}))
    together = drawn_for(ALL)
    assert set(alone) == ({"crop_y", "crop_x"} if part == "crop" else {part})
    for name, values in alone.items():
        torch.testing.assert_close(values, together[name], **EXACT)


def test_draws_cover_their_range_evenly():
    samples, settings = 40_000, Augmentation(crop=2, flip=0.3, rotation=15, brightness=0.2, scale=0.1)
    drawn = drawn_for(settings, samples)
    six_deviations = 6 * np.sqrt(0.25 / samples)  # of a share
    for name in ("crop_y", "crop_x"):
        shares = np.bincount(drawn[name].numpy(), minlength=5) / samples
        assert len(shares) == 5 and np.abs(shares - 1 / 5).max() < six_deviations
    assert abs(float(drawn["flip"].float().mean()) - 0.3) < six_deviations
    for name, low, high in (("rotation", -15, 15), ("brightness", -0.2, 0.2), ("scale", 0.9, 1.1)):
        share = (drawn[name].double().numpy() - low) / (high - low)
        assert share.min() >= -1e-6 and share.max() <= 1 + 1e-6
        for quantile in (0.1, 0.5, 0.9):
            assert abs((share < quantile).mean() - quantile) < six_deviations
    pairs = np.corrcoef([values.double().numpy() for values in drawn.values()])
    assert np.abs(pairs - np.eye(len(drawn))).max() < 6 / np.sqrt(samples)


def test_images_too_small_to_be_mirrored_are_refused():
    settings = Augmentation(crop=8, fill="reflect")
    message = r"augmentation\.crop: got 8, but fill reflect can pad images of 8 x 9 pixels by at most 7"
    with pytest.raises(FedscapeError, match=message):
        augment(some((1, 8, 9)), drawn_for(settings), settings)
