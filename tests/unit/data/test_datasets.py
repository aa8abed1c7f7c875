"""Data sets: from source files to memory-mapped arrays, and what is said of files that are not whole."""

import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedscape.data import checksums
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin

ARRAYS = ("train-inputs.npy", "train-labels.npy", "train-clients.npy", "test-inputs.npy", "test-labels.npy")


def small_raw(clients: np.ndarray | None = None) -> Raw:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 3, 5, 4), dtype=np.uint8)
    return Raw(
        classes=("cat", "dog"),
        train_inputs=Inputs.of(images[:50]),
        train_labels=np.arange(50) % 2,
        test_inputs=Inputs.of(images[50:]),
        test_labels=np.arange(10) % 2,
        train_clients=clients,
        sources={"cats-and-dogs": "0" * 32},
    )


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# Storage


def test_what_is_written_is_what_is_opened(tmp_path):
    raw = small_raw(clients=np.repeat(np.arange(5), 10))
    write_dataset(tmp_path, "pets", "image-folder", raw)
    opened = open_dataset(tmp_path)
    images = np.concatenate(list(raw.train_inputs.blocks()))
    assert (opened.name, opened.kind, opened.classes) == ("pets", "image-folder", ("cat", "dog"))
    assert opened.shape == (3, 5, 4)
    assert isinstance(opened.train_inputs, np.memmap)
    assert not opened.train_inputs.flags.writeable
    assert np.array_equal(opened.train_inputs, images)
    assert np.array_equal(opened.train_labels, raw.train_labels)
    assert opened.train_labels.dtype == opened.test_labels.dtype == np.int64
    assert np.array_equal(opened.train_clients, raw.train_clients)
    assert opened.train_clients.dtype == np.int32
    scaled = images / 255.0
    np.testing.assert_allclose(opened.mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(opened.std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)


def test_many_blocks_are_one_array(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (2500, 1, 3, 3), dtype=np.uint8)
    labels = np.zeros(2500, dtype=np.int64)
    raw = Raw(("only",), Inputs.of(images), labels, Inputs.of(images[:1]), labels[:1])
    write_dataset(tmp_path, "blocks", "digits", raw)
    opened = open_dataset(tmp_path)
    assert np.array_equal(opened.train_inputs, images)
    assert len(opened.train_clients) == 0
    np.testing.assert_allclose(opened.mean, [(images / 255.0).mean()], rtol=1e-12)


def test_same_images_same_bytes(tmp_path):
    for folder in ("one", "two"):
        write_dataset(tmp_path / folder, "pets", "image-folder", small_raw())
    for file in (*ARRAYS, "dataset.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted((*ARRAYS, "dataset.json"))


@pytest.mark.parametrize("file", ARRAYS)
def test_truncated_array_is_named(tmp_path, file):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FedscapeError, match=f"{file}: truncated") as error:
        open_dataset(tmp_path)
    one_line(error)


def flip_a_byte(path):
    """Damage a value of an array as a disk would: neither size nor modification time tells."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # of a whole number the lowest: 1 becomes 0
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("file", ["train-inputs.npy", "train-labels.npy", "train-clients.npy"])
@pytest.mark.parametrize("bound", [checksums.ALWAYS_READ, 0])
def test_a_flipped_byte_is_found(tmp_path, monkeypatch, file, bound):
    """Above the bound too, since the file changed after dataset.json was written."""
    monkeypatch.setattr(checksums, "ALWAYS_READ", bound)
    raw = small_raw(clients=np.repeat(np.arange(5), 10))
    write_dataset(tmp_path, "pets", "image-folder", raw)
    open_dataset(tmp_path)
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    flip_a_byte(tmp_path / file)
    with pytest.raises(FedscapeError) as error:
        open_dataset(tmp_path)
    assert one_line(error).startswith(f"{tmp_path / file}: ") and "--force" in one_line(error)


def test_an_array_is_read_once_per_process_and_a_large_untouched_one_not_at_all(tmp_path, monkeypatch):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    read = []
    checksum = checksums.checksum
    monkeypatch.setattr(checksums, "checksum", lambda path: read.append(path.name) or checksum(path))
    open_dataset(tmp_path)
    open_dataset(tmp_path)
    assert sorted(read) == sorted(ARRAYS)
    copy = shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-copy")
    large = tmp_path / "large"
    write_dataset(large, "pets", "image-folder", small_raw())
    monkeypatch.setattr(checksums, "ALWAYS_READ", 0)
    read.clear()
    open_dataset(large)
    assert read == []
    os.utime(copy / "dataset.json", ns=(0, 0))  # as `cp -p` leaves it, were it older than a copied array
    open_dataset(copy)
    assert sorted(read) == sorted(ARRAYS)


@pytest.mark.parametrize("file", (*ARRAYS, "dataset.json"))
def test_missing_file_is_named(tmp_path, file):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    (tmp_path / file).unlink()
    with pytest.raises(FedscapeError, match=f"{file}: not found") as error:
        open_dataset(tmp_path)
    one_line(error)


def test_array_of_another_data_set_is_named(tmp_path):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    path = tmp_path / "train-labels.npy"
    np.save(path, np.arange(50, dtype=np.float64))  # as many bytes, but no labels
    with pytest.raises(FedscapeError, match=r"train-labels.npy: float64 \(50,\) instead of int64"):
        open_dataset(tmp_path)


def test_cut_description_is_named(tmp_path):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    path = tmp_path / "dataset.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(FedscapeError, match=r"dataset.json"):
        open_dataset(tmp_path)


def test_failure_while_writing_leaves_no_data_set(tmp_path):
    write_dataset(tmp_path, "pets", "image-folder", small_raw())

    def broken():
        yield np.zeros((10, 3, 5, 4), dtype=np.uint8)
        raise FedscapeError("cannot read image 11")

    raw = small_raw()
    failing = replace(raw, train_inputs=Inputs(50, (3, 5, 4), broken))
    with pytest.raises(FedscapeError, match="image 11"):
        write_dataset(tmp_path, "pets", "image-folder", failing)
    with pytest.raises(FedscapeError, match=r"dataset.json: not found"):
        open_dataset(tmp_path)
    assert not list(tmp_path.glob(".*"))  # no temporary file stays behind


def test_what_a_kill_left_of_an_array_goes_when_it_is_written_again(tmp_path):
    for file in ("train-inputs.npy", "test-labels.npy"):
        (tmp_path / f".{file}.4242.tmp").write_bytes(bytes(1000))
    write_dataset(tmp_path, "pets", "image-folder", small_raw())
    assert not list(tmp_path.glob(".*"))


def test_constant_channel_is_refused(tmp_path):
    flat = Inputs.of(np.full((4, 1, 2, 2), 7, dtype=np.uint8))
    raw = Raw(("only",), flat, np.zeros(4, dtype=int), flat, np.zeros(4, dtype=int))
    with pytest.raises(FedscapeError, match="channel 0"):
        write_dataset(tmp_path, "flat", "image-folder", raw)


# digits


def test_digits_parts_share_no_image(tmp_path):
    from sklearn.datasets import load_digits

    parts = {}
    for part in ("clients", "proxy"):
        prepare_dataset(part, Plugin("digits", {"part": part}), tmp_path, tmp_path / part)
        opened = open_dataset(tmp_path / part)
        assert opened.shape == (1, 8, 8)
        assert opened.classes == tuple("0123456789")
        assert opened.train_inputs.max() == 255
        parts[part, "train"] = opened.train_inputs
        parts[part, "test"] = opened.test_inputs
        # stratified: the class shares of train and test are those of the part, up to rounding
        for labels in (opened.train_labels, opened.test_labels):
            assert np.bincount(labels, minlength=10).min() >= 0.08 * len(labels)
    clients = len(parts["clients", "train"]) + len(parts["clients", "test"])
    assert clients == pytest.approx(1797 * 2 / 3, abs=5)

    # the bundled images are all different, and each is in exactly one part
    everything = [image.tobytes() for images in parts.values() for image in images]
    bundled = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    assert sorted(everything) == sorted(image.tobytes() for image in bundled)
    assert len(set(everything)) == 1797


def test_digits_settings_are_checked():
    from fedscape.data.datasets.digits import Settings

    with pytest.raises(ValueError, match="part must be clients or proxy, got half"):
        Settings(part="half")


# Image folders


@pytest.fixture
def pets(tmp_path):
    """10 red cats of 6 x 4 pixels and 20 blue dogs of 3 x 3, some in a folder below."""
    for name, colour, size, count in (("cat", (200, 10, 0), (6, 4), 10), ("dog", (0, 20, 200), (3, 3), 20)):
        for i in range(count):
            folder = tmp_path / "pets" / name / ("more" if i % 2 else "")
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, colour).save(folder / f"{i}.png")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "pets"


def test_image_folder_is_read_resized_and_stratified(tmp_path, pets):
    prepare_dataset("pets", Plugin("image-folder", {"folder": "pets", "size": 3}), tmp_path, tmp_path / "out")
    opened = open_dataset(tmp_path / "out")
    assert opened.classes == ("cat", "dog")
    assert opened.shape == (3, 3, 3)
    assert np.bincount(opened.train_labels).tolist() == [9, 18]
    assert np.bincount(opened.test_labels).tolist() == [1, 2]
    for image, label in zip(opened.train_inputs, opened.train_labels, strict=True):
        colour = (200, 10, 0) if label == 0 else (0, 20, 200)
        assert (image == np.array(colour)[:, None, None]).all()


def test_image_folder_may_be_absolute_and_grey(tmp_path):
    for name, level in (("dark", 10), ("light", 240)):
        (tmp_path / "greys" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (4, 4), level).save(tmp_path / "greys" / name / f"{i}.png")
    settings = {"folder": str(tmp_path / "greys"), "size": 4, "test_fraction": 0.5}
    prepare_dataset("greys", Plugin("image-folder", settings), tmp_path / "elsewhere", tmp_path / "out")
    opened = open_dataset(tmp_path / "out")
    assert opened.train_inputs[:, :, 0, 0].tolist() == [[10] * 3, [240] * 3]


def test_unreadable_image_is_named(tmp_path, pets):
    broken = pets / "dog" / "more" / "7.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(FedscapeError, match=r"cannot read image .*dog/more/7\.png") as error:
        prepare_dataset("pets", Plugin("image-folder", {"folder": "pets"}), tmp_path, tmp_path / "out")
    one_line(error)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_missing_or_empty_folders_are_named(tmp_path, pets):
    def prepare(**settings):
        prepare_dataset("pets", Plugin("image-folder", settings), tmp_path, tmp_path / "out")

    with pytest.raises(FedscapeError, match=f"folder {tmp_path / 'birds'} not found"):
        prepare(folder="birds")
    with pytest.raises(FedscapeError, match="leaves no test image"):
        prepare(folder="pets", test_fraction=0.01)
    (pets / "eel").mkdir()
    with pytest.raises(FedscapeError, match="eel holds no image"):
        prepare(folder="pets")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FedscapeError, match="holds no class folders"):
        prepare(folder="bare")


@pytest.fixture
def shades(tmp_path):
    """12 classes of 4 grey images each, where every class has a shade of its own."""
    for shade in range(12):
        folder = tmp_path / "shades" / f"shade-{shade:02d}"
        folder.mkdir(parents=True)
        for i in range(4):
            Image.new("L", (2, 2), 10 * shade).save(folder / f"{i}.png")
    return tmp_path / "shades"


def prepared_shades(tmp_path, **settings):
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    shape = {"folder": "shades", "size": 2, "test_fraction": 0.25}
    prepare_dataset("shades", Plugin("image-folder", {**shape, **settings}), tmp_path, out)
    return open_dataset(out)


def test_drawn_classes_are_class_folders_with_their_own_images(tmp_path, shades):
    opened = prepared_shades(tmp_path, classes=5)
    assert len(opened.classes) == 5 and list(opened.classes) == sorted(opened.classes)
    assert np.bincount(opened.train_labels).tolist() == [3] * 5
    assert np.bincount(opened.test_labels).tolist() == [1] * 5
    for image, label in zip(opened.train_inputs, opened.train_labels, strict=True):
        assert (image == 10 * int(opened.classes[label].removeprefix("shade-"))).all()


def test_drawn_classes_depend_on_their_seed_alone(tmp_path, shades):
    drawn = [set(prepared_shades(tmp_path, classes=5, classes_seed=seed).classes) for seed in range(4)]
    assert len(set(map(frozenset, drawn))) > 1
    first = drawn[0]
    Image.new("L", (2, 2)).save(shades / "shade-00" / "one-more.png")
    (shades / "a-file.txt").write_text("no class")
    assert set(prepared_shades(tmp_path, classes_seed=0, classes=5).classes) == first
    assert set(prepared_shades(tmp_path, classes=8, classes_seed=0).classes) > first
    everything = prepared_shades(tmp_path, classes=12).classes
    assert everything == prepared_shades(tmp_path).classes and len(everything) == 12


def test_too_few_classes_to_draw_from_are_named(tmp_path, shades):
    with pytest.raises(
        FedscapeError, match=r"shades holds 12 class folders, fewer than classes: 13"
    ) as error:
        prepared_shades(tmp_path, classes=13)
    one_line(error)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be >= 1 and <= 4096, got 0"),
        ({"size": 1_000_000}, "size must be >= 1 and <= 4096, got 1000000"),
        ({"test_fraction": 1.0}, "test_fraction must be > 0 and < 1"),
        ({"classes": 1}, "classes must be >= 2 or null, got 1"),
        ({"classes_seed": -1}, "classes_seed must be >= 0, got -1"),
    ],
)
def test_image_folder_settings_are_checked(settings, message):
    from fedscape.data.datasets.image_folder import Settings

    with pytest.raises(ValueError, match=message):
        Settings(folder="pets", **settings)
