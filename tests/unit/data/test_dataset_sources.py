"""Published files in torchvision's layout: read, checked by md5, fetched; small ones in the same format."""

import gzip
import hashlib
import json
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# CIFAR, in torchvision's format with a few images


def small_cifar(archive, root, monkeypatch, train: dict[str, int], test: dict[str, int], labels: str):
    """A few images in the files of an archive of torchvision's, which takes their md5s for the published ones.

    train, test: how many images each file holds. labels: their key in it.
    """

    def no_network(*arguments, **options):
        raise OSError("no network\nin tests")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", no_network)
    rng = np.random.default_rng(2)
    folder = root / archive.base_folder
    folder.mkdir()

    def batch(name: str, count: int) -> list[str]:
        data = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        content = pickle.dumps({"data": data, labels: [i % 10 for i in range(count)]})
        (folder / name).write_bytes(content)
        return [name, md5(content)]

    meta = pickle.dumps({archive.meta["key"]: [f"class {i}" for i in range(10)]})
    (folder / archive.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(archive, "train_list", [batch(*one) for one in train.items()])
    monkeypatch.setattr(archive, "test_list", [batch(*one) for one in test.items()])
    monkeypatch.setattr(archive, "meta", {**archive.meta, "md5": md5(meta)})
    return folder


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Small CIFAR-10 files."""
    from torchvision.datasets import CIFAR10

    train = {"data_batch_1": 20, "data_batch_2": 20}
    return small_cifar(CIFAR10, tmp_path, monkeypatch, train, {"test_batch": 10}, "labels")


def test_cifar_is_read(tmp_path, cifar):
    prepare_dataset("cifar10", Plugin("cifar10"), tmp_path, tmp_path / "out")
    opened = open_dataset(tmp_path / "out")
    assert opened.shape == (3, 32, 32)
    assert opened.classes[3] == "class 3"
    with (cifar / "data_batch_2").open("rb") as file:
        second = pickle.load(file)
    assert np.array_equal(opened.train_inputs[20:], second["data"].reshape(-1, 3, 32, 32))
    assert opened.train_labels.tolist() == [i % 10 for i in range(20)] * 2
    assert len(opened.test_inputs) == 10
    recorded = json.loads((tmp_path / "out/dataset.json").read_text())
    path = "cifar-10-batches-py/data_batch_2"
    assert recorded["sources"][path] == md5((cifar / "data_batch_2").read_bytes())


def test_cifar100_is_read_with_its_fine_classes(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR100

    folder = small_cifar(CIFAR100, tmp_path, monkeypatch, {"train": 30}, {"test": 10}, "fine_labels")
    prepare_dataset("cifar100", Plugin("cifar100"), tmp_path, tmp_path / "out")
    opened = open_dataset(tmp_path / "out")
    with (folder / "train").open("rb") as file:
        images = pickle.load(file)["data"].reshape(-1, 3, 32, 32)
    assert np.array_equal(opened.train_inputs, images)
    assert opened.train_labels.tolist() == [i % 10 for i in range(30)]
    assert opened.classes[3] == "class 3"
    assert len(opened.test_inputs) == 10


@pytest.mark.parametrize("file", ["data_batch_2", "test_batch", "batches.meta"])
def test_truncated_cifar_file_is_named_with_both_md5s(tmp_path, cifar, file):
    content = (cifar / file).read_bytes()
    (cifar / file).write_bytes(content[:-7])
    with pytest.raises(FedscapeError) as error:
        prepare_dataset("cifar10", Plugin("cifar10"), tmp_path, tmp_path / "out")
    message = one_line(error)
    assert str(cifar / file) in message
    assert f"wanted {md5(content)}" in message
    assert f"found {md5(content[:-7])}" in message
    assert not (tmp_path / "out").exists()


def test_missing_cifar_file_tells_what_to_do(tmp_path, cifar):
    (cifar / "data_batch_2").unlink()
    with pytest.raises(FedscapeError) as error:
        prepare_dataset("cifar10", Plugin("cifar10"), tmp_path, tmp_path / "out")
    message = one_line(error)
    assert str(cifar / "data_batch_2") in message
    assert "no network in tests" in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert f"place it in {tmp_path}" in message


def test_missing_cifar_is_downloaded_where_the_machine_may(tmp_path, cifar, monkeypatch):
    kept = (cifar / "test_batch").read_bytes()
    (cifar / "test_batch").unlink()
    monkeypatch.setattr(
        "torchvision.datasets.cifar.download_and_extract_archive",
        lambda *arguments, **options: (cifar / "test_batch").write_bytes(kept),
    )
    prepare_dataset("cifar10", Plugin("cifar10"), tmp_path, tmp_path / "out")
    assert len(open_dataset(tmp_path / "out").test_inputs) == 10


def test_archive_left_by_a_broken_download_is_named(tmp_path, cifar):
    (cifar / "data_batch_1").unlink()
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    with pytest.raises(
        FedscapeError, match=r"cifar-10-python.tar.gz is truncated or wrong: md5 wanted c58f3010"
    ):
        prepare_dataset("cifar10", Plugin("cifar10"), tmp_path, tmp_path / "out")


# MNIST and Fashion-MNIST, in the IDX format with a few images


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(params=["mnist", "fashion-mnist"])
def mnist(request, tmp_path, monkeypatch):
    """Kind, folder of four small gzipped IDX files, and their contents; no network."""
    from fedscape.plugins import load

    def no_network(*arguments, **options):
        raise OSError("no network in tests")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", no_network)
    rng = np.random.default_rng(3)
    folder = tmp_path / {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[request.param] / "raw"
    folder.mkdir(parents=True)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": (np.arange(30) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": (np.arange(20) % 10).astype(np.uint8),
    }
    for file, array in arrays.items():
        (folder / f"{file}.gz").write_bytes(gzip.compress(idx(array)))
    published = {file: md5(idx(array)) for file, array in arrays.items()}
    monkeypatch.setattr(load("data.datasets", request.param), "UNPACKED_MD5", published)
    return request.param, folder, arrays


@pytest.mark.parametrize("unpacked", [False, True])
def test_mnist_is_read_gzipped_or_plain(tmp_path, mnist, unpacked):
    kind, folder, arrays = mnist
    if unpacked:
        for path in list(folder.glob("*.gz")):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    prepare_dataset("small", Plugin(kind), tmp_path, tmp_path / "out")
    opened = open_dataset(tmp_path / "out")
    assert opened.shape == (1, 28, 28)
    assert len(opened.classes) == 10
    assert np.array_equal(opened.train_inputs[:, 0], arrays["train-images-idx3-ubyte"])
    assert np.array_equal(opened.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_wrong_mnist_file_is_named_with_both_md5s(tmp_path, mnist):
    kind, folder, arrays = mnist
    path = folder / "train-labels-idx1-ubyte.gz"
    other = idx(np.zeros(30, dtype=np.uint8))
    path.write_bytes(gzip.compress(other))
    with pytest.raises(FedscapeError) as error:
        prepare_dataset("small", Plugin(kind), tmp_path, tmp_path / "out")
    message = one_line(error)
    assert str(path) in message
    assert f"found {md5(other)}" in message
    assert f"wanted {md5(idx(arrays['train-labels-idx1-ubyte']))}" in message


@pytest.mark.parametrize("packed", [False, True])
def test_an_mnist_file_is_not_unpacked_beyond_its_size(tmp_path, mnist, packed):
    """A gigabyte of zeros is a megabyte of gzip, or no block of a disk."""
    kind, folder, _ = mnist
    path = folder / "t10k-labels-idx1-ubyte.gz"
    if packed:
        zeros = zlib.compressobj(wbits=31)
        path.write_bytes(b"".join([*(zeros.compress(bytes(2**20)) for _ in range(1024)), zeros.flush()]))
    else:
        path = path.with_suffix("")
        with path.open("wb") as file:
            file.truncate(2**33)
    tracemalloc.start()
    with pytest.raises(
        FedscapeError, match=r"t10k-labels-idx1-ubyte has 10008 bytes, this has more"
    ) as error:
        prepare_dataset("small", Plugin(kind), tmp_path, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()
    assert str(path) in one_line(error)


def test_truncated_mnist_file_is_named(tmp_path, mnist):
    kind, folder, _ = mnist
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FedscapeError, match=r"t10k-images-idx3-ubyte.gz is truncated") as error:
        prepare_dataset("small", Plugin(kind), tmp_path, tmp_path / "out")
    one_line(error)


def test_missing_mnist_file_tells_what_to_do(tmp_path, mnist):
    kind, folder, _ = mnist
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FedscapeError) as error:
        prepare_dataset("small", Plugin(kind), tmp_path, tmp_path / "out")
    message = one_line(error)
    assert f"{folder / 'train-images-idx3-ubyte'} not found" in message
    assert "no network in tests" in message
    assert f"place them in {folder}" in message
