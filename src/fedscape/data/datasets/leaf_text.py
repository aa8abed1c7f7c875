"""Text in LEAF's json files, such as its Shakespeare; characters as tokens, each user a natural client.

``<folder>/train/*.json`` and ``<folder>/test/*.json``, as LEAF's ``data/shakespeare/preprocess.sh`` makes
them (Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv 1812.01097)::

    {"users": [id], "num_samples": [n], "user_data": {id: {"x": ["80 characters"], "y": ["next character"]}}}

The labels of a sample are its characters but the first, then the next one: every position predicts.

From one sample to the next LEAF's window moves by one character. So a character is in up to 80 samples, of
which `every: 80` keeps about one; and where test samples were drawn from among the train samples, as LEAF's
scripts do by sample, nearly all test characters are known from training. A prepared sample takes 1 kB.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedscape.data.sources.leaf import leaf_files, leaf_users
from fedscape.data.sources.text import code_points, raw_of, tokens, vocabulary
from fedscape.data.storage import Raw
from fedscape.errors import FedscapeError

INPUTS = "tokens"  # what its samples are: sequences of tokens, not images


@dataclass(frozen=True)
class Settings:
    """Where the samples are and how many of them are used."""

    folder: str  # folder with train/*.json and test/*.json, relative to data_root or absolute
    every: int = 1  # one in this many of each user's samples is used, beginning with the first

    def __post_init__(self):
        if not self.folder:
            raise ValueError("folder must name a folder with train/*.json and test/*.json, got ''")
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the files below ``data_root/settings.folder``; users are numbered in the order of sorted ids."""
    folder = data_root / settings.folder
    sources: dict[str, str] = {}
    points, users = {}, {}
    for split, paths in leaf_files(folder, name, "make them with LEAF's preprocess.sh").items():
        records: list[tuple[str, np.ndarray]] = []  # user, samples
        for path in paths:
            for user in leaf_users(path, name, sources, f"{settings.folder}/{split}/{path.name}"):
                samples = _joined(user.x[:: settings.every], user.y[:: settings.every], user.where)
                records.append((user.id, samples))
        records.sort(key=lambda record: record[0])  # stable: a user's samples stay in the order of the files
        users[split] = np.repeat([user for user, _ in records], [len(samples) for _, samples in records])
        points[split] = [samples for _, samples in records]
    lengths = sorted({samples.shape[1] - 1 for split in points.values() for samples in split})
    if len(lengths) > 1:
        raise FedscapeError(f"{name}: {folder}: samples of {lengths[0]} and of {lengths[1]} characters")
    if not (points["train"] and points["test"]):
        raise FedscapeError(f"{name}: {folder}: no user has a sample in train, or none in test")
    characters = vocabulary([*points["train"], *points["test"]])
    train, test = (tokens(np.concatenate(points[split]), characters) for split in ("train", "test"))
    return raw_of(train, test, np.unique(users["train"], return_inverse=True)[1], characters, sources)


def _joined(x: list, y: list, key: str) -> np.ndarray:
    """Code points uint32 [n, T + 1] of samples, strings or lists of characters, each with what follows it."""
    try:
        texts, following = (["".join(characters) for characters in part] for part in (x, y))
    except TypeError as error:
        raise FedscapeError(f"{key}: x and y must be lists of text ({error})") from error
    length = len(texts[0])
    for text, character in zip(texts, following, strict=True):
        if not len(text) == length > 0:
            raise FedscapeError(f"{key}.x: samples of {length} and of {len(text)} characters")
        if len(character) != 1:
            raise FedscapeError(f"{key}.y: {character!r}, where one character is wanted")
    together = "".join(text + character for text, character in zip(texts, following, strict=True))
    # A CSV does not tell the two line ends apart, and characters are names of classes in CSVs.
    return code_points(together.replace("\r", "\n")).reshape(-1, length + 1)
