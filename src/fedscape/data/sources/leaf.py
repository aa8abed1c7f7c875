"""Json files in LEAF's format: a train and a test folder, users with lists of samples `x` and labels `y`.

Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv 1812.01097::

    {"users": [id], "num_samples": [n], "user_data": {id: {"x": [sample], "y": [label]}}}
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from fedscape.errors import FedscapeError

SHOWN_NAMES = 3  # of users that are left out
SPLITS = ("train", "test")

Kind = TypeVar("Kind")  # of what a JSON object has under a name

log = logging.getLogger(__name__)


class User(NamedTuple):
    """A user's samples in one file, at least one, and as many labels."""

    id: str
    x: list
    y: list
    where: str  # data set, file and key, for messages


def leaf_files(folder: Path, name: str, advice: str) -> dict[str, list[Path]]:
    """``<folder>/train/*.json`` and ``<folder>/test/*.json``, sorted; none of either is refused.

    advice: how the user gets them, for the message.
    """
    files = {split: sorted((folder / split).glob("*.json")) for split in SPLITS}
    for split, paths in files.items():
        if not paths:
            raise FedscapeError(
                f"{name}: no {folder / split}/*.json found; {advice} and place them there, or set data_root "
                "or the data set's `folder`"
            )
        for path in paths:
            if not path.is_file():  # reading a pipe would wait forever
                raise FedscapeError(f"{name}: {path} is no file, or a link to none; remove it")
    return files


def leaf_users(path: Path, name: str, sources: dict[str, str], shown: str) -> Iterator[User]:
    """The users of a file that have samples, in its order. The file stays in memory during the iteration.

    Users without samples are no clients, as in LEAF's scripts, which drop users of few samples: the log names
    them. sources: receives the md5 of the file under the name `shown`. Raises FedscapeError naming file and
    key.
    """
    content, where = path.read_bytes(), f"{name}: {path}"
    sources[shown] = hashlib.md5(content).hexdigest()
    try:
        data = json.loads(content, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise FedscapeError(f"{where}: not valid JSON ({error})") from error
    del content
    by_user = entry(data, "user_data", dict, f"{where}: user_data")
    users = entry(data, "users", list, f"{where}: users")
    names, empty = list(map(str, users)), []
    for user, count in Counter(names).items():
        if count > 1:
            raise FedscapeError(f"{where}: users: {user} stands there twice")
    if unlisted := by_user.keys() - set(names):
        raise FedscapeError(f"{where}: user_data.{min(unlisted)}: is not in users")
    for user in names:
        key = f"{where}: user_data.{user}"
        own = entry(by_user, user, dict, key)
        x, y = (entry(own, part, list, f"{key}.{part}") for part in ("x", "y"))
        if len(x) != len(y):
            raise FedscapeError(f"{key}: {len(x)} in x and {len(y)} in y; as many of both are wanted")
        if x:
            yield User(user, x, y, key)
        else:
            empty.append(user)
    if empty:
        examples = ", ".join(empty[:SHOWN_NAMES]) + (", ..." if len(empty) > SHOWN_NAMES else "")
        log.warning("%s: %d users without samples are left out: %s", where, len(empty), ascii(examples)[1:-1])


def _without_repetition(pairs: list[tuple[str, object]]) -> dict:
    """A JSON object without repeated names, of which the last value would silently win."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{twice} stands there twice")
    return mapping


def entry(mapping: object, name: str, kind: type[Kind], key: str) -> Kind:
    """The value that a JSON object has under a name; a FedscapeError names `key` if it is not of the kind."""
    value = mapping.get(name) if isinstance(mapping, dict) else None
    if not isinstance(value, kind):
        raise FedscapeError(f"{key}: missing, or not {'a list' if kind is list else 'an object'}")
    return value
