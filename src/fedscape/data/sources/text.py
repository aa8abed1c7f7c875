"""Text as sequences of characters that each predict the next one, cut from every client's own text."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fedscape.data.storage import Inputs, Raw
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream

PART_SEED = 0  # no setting: clients and proxy must never overlap, whoever prepares them
PROXY_SHARE = 1 / 3  # of the clients


def part_of(texts: Mapping[str, str], part: str) -> dict[str, str]:
    """`all` texts, or one of two disjoint parts: a third, drawn at random, is the `proxy`.

    texts: client -> its text; the others are those of the `clients`.
    """
    names = sorted(texts)
    order = stream(PART_SEED, "text-parts").permutation(len(names))
    proxy = {names[i] for i in order[: round(PROXY_SHARE * len(names))]}
    return {name: texts[name] for name in names if part == "all" or (name in proxy) == (part == "proxy")}


def read_text(path: Path, name: str) -> tuple[str, str]:
    """A UTF-8 file with LF line ends, and the md5 of its bytes. A file that is not text is a FedscapeError.

    A byte order mark at its start is dropped: it would be a class of its own.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FedscapeError(f"{name}: {path} is no UTF-8 text ({error}); save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n"), hashlib.md5(content).hexdigest()


def code_points(text: str) -> np.ndarray:
    """The number of each character in Unicode, uint32 [characters]."""
    # Half a character passes here and is refused by its name as a class.
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype="<u4")


def vocabulary(points: Iterable[np.ndarray]) -> tuple[str, ...]:
    """The characters in arrays of code points, sorted; the classes of the next character."""
    return tuple(map(chr, np.unique(np.concatenate([np.unique(array) for array in points]))))


def tokens(points: np.ndarray, characters: Sequence[str]) -> np.ndarray:
    """Code points as positions in a vocabulary that has them all, int32 of the same shape."""
    return np.searchsorted(np.array([ord(character) for character in characters]), points).astype(np.int32)


def cut_by_client(
    texts: Mapping[str, str],
    characters: Sequence[str],
    length: int,
    test_fraction: float,
    min_sequences: int,
    name: str,
    sources: dict[str, str],
) -> Raw:
    """Train and test sequences of clients, numbered in the order of their sorted names.

    texts: client -> its text. length: T, characters of a sequence; the one that follows is its last label.
        The sequences of a text follow each other, so that each character but the first is a label once; what
        is left at the end is not used.
    test_fraction: share of a client's sequences that are for testing, rounded, at least one and never all:
        its last ones, whose labels all lie behind the train sequences.
    min_sequences: at least 2; clients with fewer are left out.
    Raises FedscapeError where no client is left.
    """
    train, test, owners = [], [], []
    for client in sorted(texts):
        count = (len(texts[client]) - 1) // length
        if count < min_sequences:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(code_points(texts[client]), length + 1)[::length]
        sequences = tokens(windows, characters)
        held_out = min(max(1, round(test_fraction * count)), count - 1)
        owners.append(np.full(count - held_out, len(owners), dtype=np.int32))
        train.append(sequences[:-held_out])
        test.append(sequences[-held_out:])
    if not train:
        longest = max(map(len, texts.values()), default=0)
        raise FedscapeError(
            f"{name}: none of {len(texts)} texts has {min_sequences} sequences of {length} characters, the "
            f"longest has {longest} characters; lower length"
        )
    return raw_of(np.concatenate(train), np.concatenate(test), np.concatenate(owners), characters, sources)


def raw_of(
    train: np.ndarray,
    test: np.ndarray,
    train_clients: np.ndarray,
    characters: Sequence[str],
    sources: dict[str, str],
) -> Raw:
    """A data set of sequences [N, T + 1]: all tokens but the last are the input, all but the first labels."""
    return Raw(
        classes=tuple(characters),
        train_inputs=Inputs.of(train[:, :-1]),
        train_labels=train[:, 1:],
        test_inputs=Inputs.of(test[:, :-1]),
        test_labels=test[:, 1:],
        train_clients=train_clients,
        sources=sources,
    )
