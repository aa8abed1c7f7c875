"""Fashion-MNIST: 60,000 train and 10,000 test images 1 x 28 x 28 (Xiao et al., arXiv 1708.07747)."""

from dataclasses import dataclass
from pathlib import Path

from fedscape.data.sources.mnist import load_mnist
from fedscape.data.storage import Raw

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}

# Known before the files are read: a study that asks for more is refused at once.
TRAIN_SAMPLES = 60_000
TEST_SAMPLES = 10_000


@dataclass(frozen=True)
class Settings:
    """Fashion-MNIST has no settings."""


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``data_root/FashionMNIST/raw``, downloaded where files are missing and the machine may."""
    from torchvision.datasets import FashionMNIST

    return load_mnist(FashionMNIST, UNPACKED_MD5, tuple(FashionMNIST.classes), data_root, name)
