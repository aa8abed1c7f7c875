"""Sentences of clients as sequences of words that each predict the next one.

The vocabulary are the most frequent words of the train sentences; every other word is <UNK>. A client's
sentences are joined, each between <BOS> and <EOS>, and cut into sequences of T tokens. So every position of a
sequence predicts, there is no padding, and no loss needs a mask. After <EOS> comes <BOS>, which is easily
predicted: accuracies are a little higher than where sentences are padded one by one.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from fedscape.data.sources.text import raw_of
from fedscape.data.storage import Raw
from fedscape.errors import FedscapeError

UNKNOWN, BEGIN, END = "<UNK>", "<BOS>", "<EOS>"
SPECIAL = (UNKNOWN, BEGIN, END)
"""The first classes, before the words."""
Sentences = Iterable[tuple[str, Sequence[str]]]
"""Clients and words of one sentence each; a client's sentences need not follow each other."""


def raw_of_sentences(
    train: Sentences, test: Sentences, words: int, length: int, name: str, sources: dict[str, str]
) -> Raw:
    """A data set of the sequences that clients' sentences are cut into.

    train, test: each is iterated over once, train first. words: size of the vocabulary without <UNK>,
    <BOS> and <EOS>. length: T, tokens of a sequence; the one that follows is its last label. The sequences of
    a client follow each other, so that each of its tokens but the first is a label once; what is left at the
    end is not used, and clients with less than a sequence are left out. Clients are numbered in the order
    of sorted names. Memory: 8 bytes a token, and the distinct train words.
    Raises FedscapeError where no client is left in train, or in test.
    """
    numbers = {word: number for number, word in enumerate(SPECIAL)}
    train_streams = _joined(train, numbers, new_words=True)
    classes, class_numbers = _vocabulary(train_streams, numbers, words)
    train_sequences, owners = _cut(train_streams, class_numbers, length, f"{name}: train")
    del train_streams
    known = {word: number for number, word in enumerate(classes)}
    test_streams = _joined(test, known, new_words=False)
    test_sequences, _ = _cut(test_streams, np.arange(len(classes)), length, f"{name}: test")
    return raw_of(train_sequences, test_sequences, owners, classes, sources)


def _joined(sentences: Sentences, numbers: dict[str, int], new_words: bool) -> dict[str, array]:
    """The numbers of each client's words, with <BOS> and <EOS> around each sentence.

    new_words: a word without a number is given the next one; else it is <UNK>.
    """
    unknown, begin, end = (numbers[word] for word in SPECIAL)
    streams: dict[str, array] = {}
    for client, words in sentences:
        stream = streams.setdefault(client, array("i"))  # 4 bytes a token, however many come
        stream.append(begin)
        if new_words:
            stream.extend([numbers.setdefault(word, len(numbers)) for word in words])
        else:
            stream.extend([numbers.get(word, unknown) for word in words])
        stream.append(end)
    return streams


def _vocabulary(
    streams: dict[str, array], numbers: dict[str, int], words: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes, and the class int32 [numbers] of each word.

    The most frequent words come first, of equally frequent ones the alphabetically first.
    """
    counts = np.zeros(len(numbers), dtype=np.int64)
    for stream in streams.values():
        own, times = np.unique(np.frombuffer(stream, dtype=np.intc), return_counts=True)
        counts[own] += times
    ordinary = [word for word in numbers if word not in SPECIAL]
    ordinary.sort(key=lambda word: (-counts[numbers[word]], word))
    classes = (*SPECIAL, *ordinary[:words])
    class_numbers = np.zeros(len(numbers), dtype=np.int32)  # 0 is <UNK>
    for class_number, word in enumerate(classes):
        class_numbers[numbers[word]] = class_number
    return classes, class_numbers


def _cut(
    streams: dict[str, array], class_numbers: np.ndarray, length: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences int32 [N, T + 1] of all clients, and the number [N] of the client that has each.

    class_numbers: [numbers], the class of each number in the streams.
    """
    counts = {client: (len(streams[client]) - 1) // length for client in sorted(streams)}
    clients = [client for client, count in counts.items() if count]
    if not clients:
        longest = max(map(len, streams.values()), default=0)
        raise FedscapeError(
            f"{where}: none of {len(streams)} clients has a sequence of {length} tokens and the one that "
            f"follows, the longest text has {longest} tokens; lower length"
        )
    owners = np.repeat(np.arange(len(clients), dtype=np.int32), [counts[client] for client in clients])
    sequences = np.empty((len(owners), length + 1), dtype=np.int32)
    start = 0
    for client in clients:
        tokens = class_numbers[np.frombuffer(streams[client], dtype=np.intc)]
        stop = start + counts[client]
        sequences[start:stop] = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[::length]
        start = stop
    return sequences, owners
