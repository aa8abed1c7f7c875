"""CIFAR-10 and CIFAR-100 from the python files that torchvision knows (Krizhevsky 2009)."""

from pathlib import Path

import numpy as np

from fedscape.data.sources.download import checked_md5, fetch
from fedscape.data.storage import Inputs, Raw


def load_cifar(archive: type, data_root: Path, name: str) -> Raw:
    """Read a CIFAR set.

    archive: torchvision's class, CIFAR10 or CIFAR100; it knows the files, their md5s, address and format.
    data_root: folder with (or for) ``cifar-10-batches-py`` or ``cifar-100-python``.
    Each file is checked by md5 before it is unpickled: a truncated or wrong one is named.
    """
    folder = data_root / archive.base_folder
    published = [*archive.train_list, *archive.test_list, [archive.meta["filename"], archive.meta["md5"]]]
    packed = data_root / archive.filename

    fetch(
        name,
        missing=lambda: [folder / file for file, _ in published if not (folder / file).is_file()],
        download=lambda: archive(data_root, download=True),
        archives={packed: archive.tgz_md5},
        advice=f"get {archive.url} on a machine with internet and place it in {data_root}",
    )
    sources = {
        f"{archive.base_folder}/{file}": checked_md5(name, folder / file, md5) for file, md5 in published
    }
    train, test = (archive(data_root, train=train, download=False) for train in (True, False))
    return Raw(
        classes=tuple(train.classes),
        train_inputs=Inputs.of(train.data.transpose(0, 3, 1, 2)),
        train_labels=np.asarray(train.targets, dtype=np.int64),
        test_inputs=Inputs.of(test.data.transpose(0, 3, 1, 2)),
        test_labels=np.asarray(test.targets, dtype=np.int64),
        sources=sources,
    )
