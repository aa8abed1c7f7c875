"""MNIST: 60,000 train and 10,000 test images 1 x 28 x 28 of digits (LeCun et al. 1998)."""

from dataclasses import dataclass
from pathlib import Path

from fedscape.data.sources.mnist import load_mnist
from fedscape.data.storage import Raw

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

# Known before the files are read: a study that asks for more is refused at once.
TRAIN_SAMPLES = 60_000
TEST_SAMPLES = 10_000


@dataclass(frozen=True)
class Settings:
    """MNIST has no settings."""


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``data_root/MNIST/raw``, downloaded where files are missing and the machine may."""
    from torchvision.datasets import MNIST

    return load_mnist(MNIST, UNPACKED_MD5, tuple("0123456789"), data_root, name)
