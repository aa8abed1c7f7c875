"""Reddit comments in LEAF's json files: the next word, each user a natural client.

``<folder>/train/*.json`` and ``<folder>/test/*.json``, as LEAF's ``data/reddit/source/run_reddit.sh`` makes
them and LEAF hands them out (Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv 1812.01097)::

    {"users": [id], "num_samples": [n], "user_data": {id: {"x": [[10 tokens, ...], ...],
     "y": [{"target_tokens": [[10 tokens, ...], ...], "count_tokens": ..., "subreddit": ...}, ...]}}}

A sample is a comment, ``<BOS>``, its words and ``<EOS>``, in chunks of 10 tokens filled up with ``<PAD>``;
its `target_tokens` are the same, shifted by one. LEAF trains on chunks and masks the padding. Here a user's
comments are joined in the order of the files (LEAF's is that of time) and cut anew, see `sources/words.py`;
LEAF's `val` folder is not read. Files are read one by one, and the tokens of a split stay in memory:
take LEAF's subsampled set, not all of the 1.7 million users.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from fedscape.data.sources.leaf import User, entry, leaf_files, leaf_users
from fedscape.data.sources.words import BEGIN, END, raw_of_sentences
from fedscape.data.storage import Raw
from fedscape.errors import FedscapeError

PADDING = "<PAD>"
SHOWN = 40  # characters of a value that an error quotes

INPUTS = "tokens"  # what its samples are: sequences of tokens, not images


@dataclass(frozen=True)
class Settings:
    """Where the comments are and how they are cut."""

    folder: str = "reddit"  # folder with train/*.json and test/*.json, relative to data_root or absolute
    vocabulary: int = 10_000  # most frequent train words that are classes, beside <UNK>, <BOS> and <EOS>
    length: int = 10  # tokens of a sequence

    def __post_init__(self):
        if not self.folder:
            raise ValueError("folder must name a folder with train/*.json and test/*.json, got ''")
        for key in ("vocabulary", "length"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be >= 1, got {getattr(self, key)}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the files below ``data_root/settings.folder``."""
    files = leaf_files(
        data_root / settings.folder, name, "get LEAF's reddit data (or make them with its run_reddit.sh)"
    )
    sources: dict[str, str] = {}

    def comments(split: str) -> Iterator[tuple[str, Sequence[str]]]:
        for path in files[split]:
            for user in leaf_users(path, name, sources, f"{settings.folder}/{split}/{path.name}"):
                for number in range(len(user.x)):
                    yield user.id, _words(user, number)

    return raw_of_sentences(
        comments("train"), comments("test"), settings.vocabulary, settings.length, name, sources
    )


def _words(user: User, number: int) -> Sequence[str]:
    """The words of a comment, without the tokens around it."""
    tokens = _tokens(user.x[number], f"{user.where}.x[{number}]")
    key = f"{user.where}.y[{number}].target_tokens"
    targets = _tokens(entry(user.y[number], "target_tokens", list, key), key)
    if len(tokens) < 2 or tokens[0] != BEGIN or tokens[-1] != END:
        raise FedscapeError(f"{user.where}.x[{number}]: {_quoted(tokens)} is not between {BEGIN} and {END}")
    if targets != tokens[1:]:
        raise FedscapeError(f"{key}: {_quoted(targets)} is not x[{number}] moved by one token")
    return tokens[1:-1]


def _tokens(chunks: object, key: str) -> list[str]:
    """The tokens in a list of lists of text, without padding."""
    if not (isinstance(chunks, list) and all(isinstance(chunk, list) for chunk in chunks)):
        raise FedscapeError(f"{key}: a list of lists of text is wanted, got {_quoted(chunks)}")
    tokens = [token for token in chain.from_iterable(chunks) if token != PADDING]
    if not all(isinstance(token, str) for token in tokens):
        raise FedscapeError(f"{key}: a list of lists of text is wanted, got {_quoted(chunks)}")
    return tokens


def _quoted(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
