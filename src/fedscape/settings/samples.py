"""Which samples of a data set a study uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UsedSamples:
    """The train, validation and test samples that all partitions of one seed share."""

    seed: int
    images: int | None = None  # of the train set, validation included; None for all
    test_images: int | None = None  # of the test set; None for all
    validation: float = 0.0  # share of the used train images that is held out, 0 <= validation < 1
