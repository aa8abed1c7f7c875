"""What becomes of a data set's images between the raw files and a network."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Preprocessing:
    """The user's own preprocessing of a data set's images; by default each is left as it is."""

    resize: int | None = (
        None  # pixels; height and width that images are resized to, bilinear as Pillow does it
    )
    # of each channel, of pixels scaled to [0, 1]: what is taken away; null: the mean of the train images
    mean: list[float] | None = None
    std: list[float] | None = None  # what is divided by; null: the deviation of the train images

    def __post_init__(self):
        if self.resize is not None and not 1 <= self.resize <= 4096:
            raise ValueError(f"resize must be >= 1 and <= 4096, got {self.resize}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together, each with a number for each channel")
        if self.mean is None or self.std is None:
            return
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} numbers of mean and {len(self.std)} of std")
        if not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(f"mean is of pixels scaled to [0, 1], got {list(self.mean)}")
        if not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"std must be > 0, got {list(self.std)}")
