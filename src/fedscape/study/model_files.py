"""Files of models that were trained elsewhere: which rounds and clients they hold, told by names alone."""

import glob
import json
import re
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from fedscape.errors import FedscapeError
from fedscape.files import reading
from fedscape.regular import is_regular, open_regular
from fedscape.study.types import shown

ENDINGS = (".safetensors", ".pt", ".pth")
LARGEST_HEADER = 100_000_000  # bytes of a safetensors file's header, as its own library has it
_END = 10**9  # above the number of any round or client
_NUMBER = r"\d{1,9}"
_LENGTH_BYTES = 8
_KINDS = ("trajectory", "clients")  # of files of a run of fedscape's own, by how many numbers a model has


@dataclass(frozen=True)
class NumberedModels:
    """Models by their numbers: of the round, or of round and client."""

    numbers: tuple[tuple[int, ...], ...]  # ascending
    files: tuple[str, ...]  # a file for each, or one for all
    together: bool = False  # whether one file holds all


def numbered_models(pattern: str, keys: tuple[str, ...], where: str) -> NumberedModels:
    """The models in the files that a pattern names.

    pattern: a path in which `{key}`, or a `*` for each key in their order, stands for digits; or without any,
    a `.safetensors` whose entries are called `<number>/<name>`, with a number for each key, or a file of a
    run of fedscape's own.
    Raises FedscapeError if there are none, or two of the same numbers.
    """
    check_ending(pattern, where)
    named = _named(pattern, keys, where)
    one_file = named == pattern and not any(f"{{{key}}}" in pattern for key in keys)
    entries = _entries(pattern, keys, where) if one_file else _files(named, keys)
    files: dict[tuple[int, ...], str] = {}
    for numbers, path in entries:
        if not all(type(number) is int and 0 <= number < _END for number in numbers):
            raise FedscapeError(
                f"{where}: {path}: a model of {_named_numbers(numbers, keys)}; allowed are whole numbers "
                f"from 0 to {_END - 1}"
            )
        if files.setdefault(numbers, path) != path:
            both = f"both {files[numbers]} and {path}"
            raise FedscapeError(f"{where}: {both} are {_named_numbers(numbers, keys)}")
    if not files:
        raise FedscapeError(f"{where}: no file is called {pattern}, with digits for {_words(keys)}")
    ascending = tuple(sorted(files))
    if one_file:
        return NumberedModels(ascending, (pattern,), together=True)
    return NumberedModels(ascending, tuple(files[key] for key in ascending))


def shifted(models: NumberedModels, offset: int, where: str) -> NumberedModels:
    """The same files for rounds whose numbers are larger by `offset` than those in the names."""
    if not offset:
        return models
    if models.together:
        raise FedscapeError(f"{where}: is for files of a model each, and one file holds all")
    numbers = tuple((number + offset, *others) for number, *others in models.numbers)
    if numbers and numbers[0][0] < 0:
        raise FedscapeError(f"{where}: {models.files[0]} would be of round {numbers[0][0]}")
    return NumberedModels(numbers, models.files)


def with_start(models: NumberedModels, start: str, where: str) -> NumberedModels:
    """The same rounds after round 0, which is in a file of its own."""
    check_ending(start, where)
    if not is_regular(start):
        raise FedscapeError(f"{where}: {start} not found")
    if models.together:
        raise FedscapeError(f"{where}: is for files of a model each, and one file holds all")
    if models.numbers[0] == (0,):
        raise FedscapeError(f"{where}: both {start} and {models.files[0]} are round 0")
    return NumberedModels(((0,), *models.numbers), (start, *models.files))


def check_ending(pattern: str, where: str) -> None:
    """Refuse files of other kinds."""
    if not pattern.endswith(ENDINGS):
        raise FedscapeError(f"{where}: {shown(pattern)}, expected files that end in {', '.join(ENDINGS)}")


def _named(pattern: str, keys: tuple[str, ...], where: str) -> str:
    """The pattern with `{key}` for each `*`."""
    left = [key for key in keys if f"{{{key}}}" not in pattern]
    stars = pattern.count("*")
    if stars != len(left) and (stars or len(left) < len(keys)):
        raise FedscapeError(f"{where}: {shown(pattern)}, expected a `*` each for {_words(keys)}, or none")
    for key in left if stars else ():
        pattern = pattern.replace("*", f"{{{key}}}", 1)
    return pattern


def _files(named: str, keys: tuple[str, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Numbers and path of each file; names with anything but digits there are of other files."""
    parts = re.split(rf"\{{({'|'.join(keys)})\}}", named)
    texts, order = parts[::2], parts[1::2]
    called = re.escape(texts[0])
    for index, (key, text) in enumerate(zip(order, texts[1:], strict=True)):
        again = key in order[:index]  # a key twice: the same digits
        called += (f"(?P={key})" if again else f"(?P<{key}>{_NUMBER})") + re.escape(text)
    for path in sorted(glob.glob("*".join(map(glob.escape, texts)))):  # noqa: PTH207 (a path may be absolute)
        if (match := re.fullmatch(called, path)) and is_regular(path):
            yield tuple(int(match[key]) for key in keys), path


def _entries(path: str, keys: tuple[str, ...], where: str) -> Iterator[tuple[tuple[int, ...], str]]:
    """Numbers of each model in one file, from its header."""
    words = "/".join(f"<{key}>" for key in keys)
    if not path.endswith(".safetensors"):
        raise FedscapeError(f"{where}: {shown(path)}, expected `*` where its name has {_words(keys)}")
    if not is_regular(path):
        raise FedscapeError(f"{where}: {path} not found; `*` stands for {_words(keys)} where there are many")
    header, body = _header(path)
    own = header.pop("__metadata__", {})
    if own.get("kind") in _KINDS:
        with reading(path, "file of models", "get it again"):
            yield from ((numbers, path) for numbers in _own_numbers(path, header, own, body, keys))
        return
    called = re.compile("/".join([f"({_NUMBER})"] * len(keys)) + "/.+")
    spelled: dict[tuple[int, ...], tuple[str, ...]] = {}
    for name in header:
        match = called.fullmatch(name)
        if match is None:
            raise FedscapeError(f"{where}: {path}: expected entries called {words}/<entry>, {shown(name)}")
        numbers = tuple(map(int, match.groups()))
        if spelled.setdefault(numbers, match.groups()) != match.groups():
            raise FedscapeError(f"{where}: {path}: {_named_numbers(numbers, keys)} is spelled in two ways")
        yield numbers, path


def _header(path: str) -> tuple[dict, int]:
    """What a safetensors file says of its tensors, and where these begin; nothing else of it is read."""
    with reading(path, "file of weights", "get it again"), open_regular(path) as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > LARGEST_HEADER:
            raise ValueError("no safetensors file")
        header = json.loads(file.read(length))
        if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
            raise ValueError("no safetensors file")
        return header, _LENGTH_BYTES + length


def _own_numbers(
    path: str, header: dict, own: dict, body: int, keys: tuple[str, ...]
) -> Iterator[tuple[int, ...]]:
    """Numbers of each model in a file of a run of fedscape's own, `trajectory.safetensors` or the clients'.

    own: the file's metadata. body: where its tensors begin. The numbers of clients are a tensor, int64
    [rounds, participants].
    """
    if own["kind"] != _KINDS[len(keys) - 1]:
        raise FedscapeError(f"{path}: holds a {own['kind']} file's models, expected {_KINDS[len(keys) - 1]}")
    rounds = json.loads(own["rounds"])
    if len(keys) == 1:
        yield from ((number,) for number in rounds)
        return
    tensor = header["clients"]
    begin, end = tensor["data_offsets"]
    if not 0 <= begin <= end <= begin + LARGEST_HEADER:
        raise ValueError("no safetensors file")
    with open_regular(path) as file:
        file.seek(body + begin)
        numbers = array("q", file.read(end - begin))
    if sys.byteorder == "big":
        numbers.byteswap()
    participants = tensor["shape"][1]
    if len(numbers) != len(rounds) * participants:
        raise ValueError("cut off")
    for row, number in enumerate(rounds):
        clients = numbers[row * participants : (row + 1) * participants]
        if len(set(clients)) < participants:
            raise ValueError(f"a client twice in round {number}")
        yield from ((number, client) for client in clients)


def _named_numbers(numbers: tuple[int, ...], keys: tuple[str, ...]) -> str:
    return " ".join(f"{key} {number}" for key, number in zip(keys, numbers, strict=True))


def _words(keys: tuple[str, ...]) -> str:
    return " and ".join(f"the {key}" for key in keys)
