"""The digits of scikit-learn as a data set of fluke's, which its configuration names by `digits.digits`."""

import torch
from fluke.data import DataContainer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(**_: object) -> DataContainer:
    """1,437 images of 8 x 8 pixels from 0 to 1 for training, 360 for testing; no `path` to download to."""
    images, labels = load_digits(return_X_y=True)
    inputs = torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(
        inputs, torch.tensor(labels), test_size=0.2, random_state=0
    )
    return DataContainer(x_train, y_train, x_test, y_test, num_classes=10)
