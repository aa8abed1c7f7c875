"""From a user's files to a prepared data set."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image

from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.preprocessing import Preprocessing


def prepare_dataset(
    name: str,
    source: Plugin,
    data_root: str | Path,
    folder: str | Path,
    preprocessing: Preprocessing | None = None,
) -> None:
    """Read the data set `name` below `data_root` and write its arrays into `folder`.

    source: a plug-in ``data/datasets/<kind>.py``. preprocessing: what becomes of its images.
    Raises FedscapeError naming the source file that is missing, truncated or wrong.
    """
    plugin, settings = source.load("data.datasets")
    raw = plugin.load(settings, Path(data_root), name)
    raw = preprocessed(raw, preprocessing or Preprocessing(), name)
    write_dataset(folder, name, source.kind, raw, asdict(settings))


def preprocessed(raw: Raw, preprocessing: Preprocessing, name: str) -> Raw:
    """The data set with its images resized, and with what they are normalised by.

    Raises FedscapeError for one that is normalised already, and for means of another number of channels.
    """
    size, mean, std = preprocessing.resize, preprocessing.mean, preprocessing.std
    if preprocessing == Preprocessing():
        return raw
    if raw.normalised:
        raise FedscapeError(
            f"data set {name}: its arrays are normalised already; leave out resize, mean and std"
        )
    channels = raw.train_inputs.shape[0]
    if mean is not None and std is not None:
        if len(mean) != channels:
            raise FedscapeError(
                f"data set {name}: mean and std are of {len(mean)} channels, images have {channels}"
            )
        raw = replace(raw, normalisation=(tuple(mean), tuple(std)))
    if size is None:
        return raw
    if raw.border:
        raise FedscapeError(f"data set {name}: resize goes with no border; leave out resize or shorter_side")
    return replace(
        raw, train_inputs=_resized(raw.train_inputs, size), test_inputs=_resized(raw.test_inputs, size)
    )


def _resized(inputs: Inputs, size: int) -> Inputs:
    """Images of size x size pixels, uint8: bilinear with Pillow, as torchvision resizes Pillow's images."""

    def blocks() -> Iterator[np.ndarray]:
        for block in inputs.blocks():
            channels = block.reshape(-1, *block.shape[2:])
            resized = [
                np.asarray(Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR))
                for channel in channels
            ]
            yield np.stack(resized).reshape(*block.shape[:2], size, size)

    return Inputs(inputs.count, (inputs.shape[0], size, size), blocks)
