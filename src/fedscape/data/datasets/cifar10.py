"""CIFAR-10: 50,000 train and 10,000 test images 3 x 32 x 32, 10 classes (Krizhevsky 2009)."""

from dataclasses import dataclass
from pathlib import Path

from fedscape.data.sources.cifar import load_cifar
from fedscape.data.storage import Raw

# Known before the files are read: a study that asks for more is refused at once.
TRAIN_SAMPLES = 50_000
TEST_SAMPLES = 10_000


@dataclass(frozen=True)
class Settings:
    """CIFAR-10 has no settings."""


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``data_root/cifar-10-batches-py``, downloaded where it is missing and the machine may."""
    from torchvision.datasets import CIFAR10

    return load_cifar(CIFAR10, data_root, name)
