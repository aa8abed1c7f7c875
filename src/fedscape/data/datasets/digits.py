"""scikit-learn's bundled digits: 1,797 images 1 x 8 x 8 of 10 classes (UCI optdigits, Alpaydin & Kaynak).

Real images that need no download, split once and for all into two parts that share no image: two thirds
for the clients and a third as the proxy set that models are pre-trained on and no client ever sees. Each
part has its own train and test images, stratified by class.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from fedscape.data.holdout import held_out
from fedscape.data.storage import Inputs, Raw
from fedscape.jobs.streams import stream

SPLIT_SEED = 0  # no setting: the parts must never overlap, whoever prepares them
PROXY_SHARE = 1 / 3  # enough to pre-train on, and leaves 10 clients about 90 train images each
TEST_SHARE = 1 / 4  # 300 test images: the standard error of an accuracy of 0.9 is 0.017
BRIGHTEST = 16  # scikit-learn's images count dark pixels in 4 x 4 blocks, 0..16
# Known before the files are read: a study that asks for more is refused at once.
TRAIN_SAMPLES = {"clients": 899, "proxy": 450}
TEST_SAMPLES = {"clients": 299, "proxy": 149}


@dataclass(frozen=True)
class Settings:
    """Which of the two disjoint parts."""

    part: Literal["clients", "proxy"] = "clients"  # clients: two thirds; proxy: the third that no client sees

    def __post_init__(self):
        if self.part not in ("clients", "proxy"):
            raise ValueError(f"part must be clients or proxy, got {self.part}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the digits from the scikit-learn installation; `data_root` is not used."""
    from sklearn.datasets import load_digits  # slow to import, and only preparing needs it
    from sklearn.utils import Bunch

    bundled = cast(Bunch, load_digits())  # its types also allow the pair that it gives on request
    labels = bundled.target.astype(np.int64)
    images = np.rint(bundled.images * (255 / BRIGHTEST)).astype(np.uint8)[:, None]

    rng = stream(SPLIT_SEED, "digits")
    proxy = held_out(labels, PROXY_SHARE, rng)
    members = np.flatnonzero(proxy if settings.part == "proxy" else ~proxy)
    test = held_out(labels[members], TEST_SHARE, rng)
    return Raw(
        classes=tuple(str(digit) for digit in bundled.target_names),
        train_inputs=Inputs.of(images[members[~test]]),
        train_labels=labels[members[~test]],
        test_inputs=Inputs.of(images[members[test]]),
        test_labels=labels[members[test]],
        sources={"sklearn.datasets.load_digits": hashlib.md5(images.tobytes()).hexdigest()},
    )
