"""Raw data of every format, a few samples of each, and what prepares them."""

import gzip
import hashlib
import json
import pickle
import string
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from leaf_files import leaf_file, write_leaf
from PIL import Image
from stack_overflow_files import write_sqlite

OUT = "results/data/mine"
ARRAYS = ("train-inputs.npy", "train-labels.npy", "train-clients.npy", "test-inputs.npy", "test-labels.npy")
"""What is prepared, but for the description, which quotes the md5 of the raw files."""


@dataclass(frozen=True)
class Format:
    """A kind of data set. checked: published md5s tell every damage; marked: the format tells a file cut off."""

    write: Callable[[Path], None]
    settings: dict = field(default_factory=dict)
    checked: bool = False
    marked: bool = True


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _leaf(kind: str, samples: dict) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for split in ("train", "test"):
            write_leaf(root / kind, split, "a", leaf_file({"a": samples, "b": samples}))

    return write


def _images(root: Path) -> None:
    rng = _rng()
    for name in ("cat", "dog"):
        (root / "pets" / name).mkdir(parents=True)
        for number, suffix in enumerate(("png", "jpg", "png")):
            noise = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / "pets" / name / f"{number}.{suffix}")


def _text(root: Path) -> None:
    speech = "\n".join(f"{name}:\n{string.ascii_lowercase * 3}\n" for name in ("ROMEO", "JULIET", "NURSE"))
    (root / "play.txt").write_text(speech * 3)


def _posts(root: Path) -> None:
    write_sqlite(
        root / "posts.sqlite",
        {split: {"1": ["a b c"] * 3, "2": ["b c d"] * 2} for split in ("train", "test")},
    )


def _cifar(folder: str, files: tuple[str, ...], meta: str, labels: str, names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / folder).mkdir(parents=True)
        for file in files:
            data = _rng().integers(0, 256, (20, 3072), dtype=np.uint8)
            (root / folder / file).write_bytes(
                pickle.dumps({"data": data, labels: [i % 10 for i in range(20)]})
            )
        (root / folder / meta).write_bytes(pickle.dumps({names: [f"class {i}" for i in range(10)]}))

    return write


def _idx(folder: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / folder / "raw").mkdir(parents=True)
        for file, shape in MNIST_FILES.items():
            array = (_rng().integers(0, 256, shape) % (10 if len(shape) == 1 else 256)).astype(np.uint8)
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            (root / folder / "raw" / f"{file}.gz").write_bytes(gzip.compress(content, mtime=0))

    return write


MNIST_FILES = {
    "train-images-idx3-ubyte": (30, 28, 28), "train-labels-idx1-ubyte": (30,),
    "t10k-images-idx3-ubyte": (20, 28, 28), "t10k-labels-idx1-ubyte": (20,),
}  # fmt: skip
LETTERS = {"x": ["abc"], "y": ["d"]}
POST = {"x": [[["<BOS>", "a", "<EOS>"]]], "y": [{"target_tokens": [["a", "<EOS>"]]}]}
FORMATS = {
    "femnist": Format(_leaf("femnist", {"x": [[0.5] * 392 + [0.1] * 392], "y": [1]}), {"folder": "femnist"}),
    "leaf-text": Format(_leaf("leaf-text", LETTERS), {"folder": "leaf-text"}),
    "reddit": Format(_leaf("reddit", POST), {"folder": "reddit", "length": 1}),
    "image-folder": Format(_images, {"folder": "pets", "size": 4, "test_fraction": 0.4}),
    "tinyshakespeare": Format(_text, {"file": "play.txt", "length": 8}, marked=False),
    "stack-overflow": Format(_posts, {"file": "posts.sqlite", "length": 2}),
    "mnist": Format(_idx("MNIST"), checked=True),
    "fashion-mnist": Format(_idx("FashionMNIST"), checked=True),
    "cifar10": Format(
        _cifar("cifar-10-batches-py", ("data_batch_1", "test_batch"), "batches.meta", "labels", "label_names"),
        checked=True,
    ),
    "cifar100": Format(
        _cifar("cifar-100-python", ("train", "test"), "meta", "fine_labels", "fine_label_names"), checked=True
    ),
}  # fmt: skip


def write_raw(folder: Path) -> None:
    """The raw files of every format, a folder for each kind below `folder`."""
    for kind, one in FORMATS.items():
        (folder / kind).mkdir(parents=True)
        one.write(folder / kind)


def prepare(kind: str, pristine: Path) -> None:
    """Prepare a data set of the clone that we are in, without a network; its md5s are taken for the published.

    Only in a process of its own: what torchvision takes for published is replaced. pristine: the undamaged files.
    """
    from torchvision.datasets import cifar, mnist

    from fedscape import plugins
    from fedscape.data.prepare import prepare_dataset

    def no_network(*arguments, **options):
        raise OSError("no network in the campaign")

    cifar.download_and_extract_archive = mnist.download_and_extract_archive = no_network
    if kind.startswith("cifar"):
        archive = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}[kind]
        folder = pristine / archive.base_folder

        def published(file: str) -> list[str]:
            return [file, _md5((folder / file).read_bytes())]

        train, test = ("data_batch_1", "test_batch") if kind == "cifar10" else ("train", "test")
        archive.train_list, archive.test_list = [published(train)], [published(test)]
        archive.meta = {**archive.meta, "md5": published(archive.meta["filename"])[1]}
    elif kind.endswith("mnist") and kind != "femnist":
        packed = pristine / {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[kind] / "raw"
        published_md5 = {
            file: _md5(gzip.decompress((packed / f"{file}.gz").read_bytes())) for file in MNIST_FILES
        }
        plugins.load("data.datasets", kind).UNPACKED_MD5 = published_md5
    prepare_dataset("mine", plugins.Plugin(kind, FORMATS[kind].settings), Path("data", kind), Path(OUT))


# What damage at random does not come upon


def _user_twice(content: bytes) -> bytes:
    found = json.loads(content)
    return json.dumps(
        {**found, "users": [*found["users"], found["users"][0]], "num_samples": [*found["num_samples"], 1]}
    ).encode()


def _key_twice(content: bytes) -> bytes:
    return content.replace(b'"user_data": {', b'"user_data": {"a": {"x": [], "y": []}, ', 1)


def _no_samples(content: bytes) -> bytes:
    found = json.loads(content)
    found["user_data"]["a"] = {"x": [], "y": []}
    found["num_samples"][0] = 0
    return json.dumps(found).encode()


def _bomb(content: bytes) -> bytes:
    """A gigabyte and a half of zeros, in a megabyte and a half."""
    block = gzip.compress(bytes(1 << 26), mtime=0)
    return block * 24


HOSTILE = {
    "a user twice": ("json", _user_twice),
    "a key twice": ("json", _key_twice),
    "a user without data": ("json", _no_samples),
    "a byte-order mark": ("txt", lambda content: b"\xef\xbb\xbf" + content),
    "a bomb": ("gz", _bomb),
}
"""Name -> the suffix of files that it is for, and what becomes of them: to be refused, or to change nothing."""
SOUND = ("a user without data",)  # but for these, which are data as any other
