"""Stack Overflow, questions and answers sentence by sentence: the next word, each user a natural client.

The sqlite file of TensorFlow Federated (``tff.simulation.datasets.stackoverflow``), unpacked::

    examples(split_name, client_id, serialized_example_proto)
    client_metadata(client_id, split_name, num_examples)

An example is a serialised tf.train.Example, whose feature `tokens` is one sentence, in lower case and its
tokens between spaces. It is read without TensorFlow. The splits are `train` (342,477 users with 135,818,730
sentences before 2018), `test` (204,088 users, since then) and `heldout` (38,758 users who are in no other).
A user's sentences are joined and cut, see `sources/words.py`.

The file is read row by row. Memory is needed only for the tokens of the users that are drawn, about
12 bytes each, and for the distinct train words. 10,000 users have about 4 million sentences.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fedscape.data.sources.federated_sqlite import clients_of, opened, rows_of
from fedscape.data.sources.tf_example import bytes_feature
from fedscape.data.sources.words import raw_of_sentences
from fedscape.data.storage import Raw
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream

FEATURE = "tokens"  # of an example: the sentence

INPUTS = "tokens"  # what its samples are: sequences of tokens, not images


@dataclass(frozen=True)
class Settings:
    """Where the file is, how much of it is used and how it is cut."""

    file: str = "stackoverflow.sqlite"  # relative to data_root or absolute
    vocabulary: int = 10_000  # most frequent train words that are classes, beside <UNK>, <BOS> and <EOS>
    length: int = 20  # tokens of a sequence
    max_clients: int | None = 10_000  # users of each split, drawn at random; null: all
    clients_seed: int = 0  # what the draw of the users depends on, not a run's seed
    max_sentences: int | None = 1_000  # of a user, the first ones in the file; null: all
    test_split: Literal["test", "heldout"] = "test"  # later sentences, or those of other users

    def __post_init__(self):
        if not self.file:
            raise ValueError("file must name an sqlite file, got ''")
        for key in ("vocabulary", "length"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be >= 1, got {getattr(self, key)}")
        for key in ("max_clients", "max_sentences"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"{key} must be >= 1 or null, got {value}")
        if self.clients_seed < 0:
            raise ValueError(f"clients_seed must be >= 0, got {self.clients_seed}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``data_root/settings.file``. The draw of a seed contains the smaller ones of the same seed."""
    path = data_root / settings.file
    if not path.is_file():
        raise FedscapeError(
            f"{name}: {path} not found; get stackoverflow.sqlite.lzma of TensorFlow Federated, unpack it and "
            "place it there, or set data_root or the data set's `file`"
        )
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()

    def sentences(split: str) -> Iterator[tuple[str, Sequence[str]]]:
        where = f"{name}: {path}"
        with opened(path, where) as database:
            clients = clients_of(database, split, where)
            order = stream(settings.clients_seed, "clients").permutation(len(clients))
            drawn = [clients[i] for i in order[: settings.max_clients]]
            used: Counter[str] = Counter()
            for client, example in rows_of(database, split, drawn):
                if settings.max_sentences is not None and used[client] >= settings.max_sentences:
                    continue
                words = _words(example, f"{where}: examples: client {client}")
                if words:
                    used[client] += 1
                    yield client, words

    return raw_of_sentences(
        sentences("train"),
        sentences(settings.test_split),
        settings.vocabulary,
        settings.length,
        name,
        {settings.file: md5},
    )


def _words(example: object, where: str) -> list[str]:
    """The words of the sentence in an example."""
    if not isinstance(example, bytes):
        raise FedscapeError(f"{where}: serialized_example_proto: a blob is wanted, got {example!r}")
    try:
        values = bytes_feature(example, FEATURE)
        if values is not None and len(values) == 1:
            return values[0].decode("utf-8").split()
    except ValueError as error:  # a decoding error is one, too
        raise FedscapeError(f"{where}: serialized_example_proto: no tf.train.Example ({error})") from error
    count = "no" if values is None else f"{len(values)} values in"
    raise FedscapeError(
        f"{where}: serialized_example_proto: {count} feature {FEATURE}, where one text is wanted"
    )
