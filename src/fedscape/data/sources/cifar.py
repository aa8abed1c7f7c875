"""CIFAR-10 and CIFAR-100 from the python files that torchvision knows (Krizhevsky 2009)."""

import io
import pickle
from pathlib import Path

import numpy as np

from fedscape.data.sources.download import checked_md5, fetch
from fedscape.data.storage import Inputs, Raw
from fedscape.files import reading

IMAGES = (-1, 3, 32, 32)
_RECONSTRUCT = np.empty(0).__reduce__()[0]
# All that these files name: numpy's arrays, under the names that it had then and has now.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays, lists, text and numbers; a file that names anything else runs nothing of it."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}; allowed are numpy's arrays")
        return _ALLOWED[module, name]


def load_cifar(archive: type, data_root: Path, name: str) -> Raw:
    """Read a CIFAR set.

    archive: torchvision's class, CIFAR10 or CIFAR100; it knows the files, their md5s, address and format.
    data_root: folder with (or for) ``cifar-10-batches-py`` or ``cifar-100-python``.
    Each file is checked by md5 before it is unpickled: a truncated or wrong one is named.
    """
    folder = data_root / archive.base_folder
    meta = archive.meta["filename"], archive.meta["md5"]
    published = [*archive.train_list, *archive.test_list, meta]
    packed = data_root / archive.filename

    fetch(
        name,
        missing=lambda: [folder / file for file, _ in published if not (folder / file).is_file()],
        download=lambda: archive(data_root, download=True),
        archives={packed: archive.tgz_md5},
        advice=f"get {archive.url} on a machine with internet and place it in {data_root}",
    )
    sources: dict[str, str] = {}

    def content(file: str, md5: str) -> dict:
        path = folder / file
        # Checked before it is read as a whole: a file of this name may have any size.
        sources[f"{archive.base_folder}/{file}"] = checked_md5(name, path, md5)
        pickled = path.read_bytes()
        with reading(path, "CIFAR file", "delete it and get it again"):
            return ArrayUnpickler(io.BytesIO(pickled), encoding="latin1").load()

    def split(files: list) -> tuple[Inputs, np.ndarray]:
        batches = [content(file, md5) for file, md5 in files]
        labels = [label for batch in batches for label in batch.get("labels") or batch["fine_labels"]]
        images = np.concatenate([batch["data"] for batch in batches]).reshape(IMAGES)
        return Inputs.of(images), np.asarray(labels, dtype=np.int64)

    train_inputs, train_labels = split(archive.train_list)
    test_inputs, test_labels = split(archive.test_list)
    return Raw(
        classes=tuple(content(*meta)[archive.meta["key"]]),
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        sources=sources,
    )
