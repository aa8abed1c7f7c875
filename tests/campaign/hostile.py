"""Input that somebody has thought about: what random damage does not come upon."""

import copy
import os
import random
from collections.abc import Callable
from pathlib import Path

import yaml
from broken_input import GONE, STUDY, USER, changed

SMALL = yaml.safe_dump(STUDY, sort_keys=False)
SETTINGS = [*USER, "datasets", "x"]
LATER = "inits/later/round"


def _with(place: str, value: object) -> bytes:
    return yaml.safe_dump(changed(STUDY, place, value), sort_keys=False).encode()


def _spelled(place: str, spelling: str) -> bytes:
    """A place that shows something else than YAML 1.1 reads."""
    return _with(place, "SPELLING").replace(b"SPELLING", spelling.encode())


def _chain(length: int) -> bytes:
    study = copy.deepcopy(STUDY)
    for number in range(length):
        above = f"s{number - 1}" if number else "random"
        study["inits"][f"s{number}"] = {**study["inits"]["later"], "init": above}
    study["runs"].append({"model": "convnet", "method": "fedavg", "init": f"s{length - 1}"})
    return yaml.safe_dump(study, sort_keys=False).encode()


def _bomb(line: str, last: str, levels: int = 9) -> bytes:
    """Aliases of aliases: ten times as many at each level."""
    lines = [f"a0: &a0 {last}"]
    lines += [f"a{n}: &a{n} {line.format(', '.join([f'*a{n - 1}'] * 10))}" for n in range(1, levels)]
    return "\n".join(lines).encode() + b"\n" + SMALL.encode()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


STUDIES: dict[str, bytes | Callable[[Path], None]] = {
    "a round of 1e308": _with(LATER, 1e308),
    "a round of 0.0": _with(LATER, 0.0),
    "a round of -1": _with(LATER, -1),
    "a round of 10**30": _with(LATER, 10**30),
    "a chain of 3,000 starts": _chain(3000),
    "a grid of a million points": _with("planes/finals/grid", 1_000_000),
    "paths of a million points": _with("connectivity/line/points", 10**7),
    "10**10 rounds": _with("methods/fedavg/rounds", 10**10),
    "10**30 rounds": _with("methods/fedavg/rounds", 10**30),
    "a learning rate that is no float32": _with("methods/fedavg/lr", 1e39),
    "a learning rate that float32 takes for none": _with("methods/fedavg/lr", 1e-60),
    "a learning rate of nan": _with("methods/fedavg/lr", float("nan")),
    "a name that no file system takes": _with("partitions/" + "p" * 300, {"scheme": "iid", "clients": 4}),
    "a study without runs": _with("runs", []),
    "a study that has lost its runs": _with("runs", GONE),
    "a seed of 10**30": _with("seeds", [10**30]),
    "two equal seeds": _with("seeds", [0, 0]),
    "no seeds": _with("seeds", []),
    "no scales": _with("scales", {}),
    "a million clients of nothing": _with("partitions/iid/clients", 10**12),
    "alpha of 1e-320": _with("partitions/dir/alpha", 1e-320),
    "a name above": _with("partitions/..", {"scheme": "iid", "clients": 4}),
    "a name with a slash": _with("datasets", ["../digits"]),
    "rounds: 1:30": _spelled("methods/fedavg/rounds", "1:30"),
    "rounds: 010": _spelled("methods/fedavg/rounds", "010"),
    "rounds: 1_0": _spelled("methods/fedavg/rounds", "1_0"),
    "rounds: 0x10": _spelled("methods/fedavg/rounds", "0x10"),
    "rounds: 0b11": _spelled("methods/fedavg/rounds", "0b11"),
    "rounds: +1:30": _spelled("methods/fedavg/rounds", "+1:30"),
    "lr: 1:30.5": _spelled("methods/fedavg/lr", "1:30.5"),
    "lr: 1_0.5": _spelled("methods/fedavg/lr", "1_0.5"),
    "a merge of millions": _bomb("{{<<: [{}]}}", "{x: 1}"),
    "lists of millions": _bomb("[{}]", "[x]"),
    "a merge of itself": b"a: &a {<<: *a}\n" + SMALL.encode(),
    "an alias of what holds it": b"a: &a [*a]\n" + SMALL.encode(),
    "100,000 brackets": b"a: " + b"[" * 100_000 + b"\n" + SMALL.encode(),
    "100,000 levels": b"".join(b" " * n + b"a:\n" for n in range(2000)),
    "a long line": b"a: " + b"x" * 50_000_000,
    "a number of a million digits": b"a: " + b"9" * 1_000_000 + b"\n" + SMALL.encode(),
    "a FIFO": _fifo,
    "a device": _link("/dev/zero"),
    "a folder": Path.mkdir,
    "a link to itself": _link("mine.yaml"),
    "a link to nothing": _link("nowhere"),
    "the password file": _link("/etc/passwd"),
    "a program": _link("/bin/sh"),
}
"""A study file each, of which none is what it should be: all are refused."""

PLACES: dict[str, object] = {
    "gone": None,
    "a folder": Path.mkdir,
    "a FIFO": _fifo,
    "a device": _link("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": _link("nowhere"),
    "an empty file": b"",
    "no text": b"\xff\xfe\x00",
}


MISSING = ("gone", "a link to itself", "a link to nothing")


def place(rng: random.Random, base: Path, there: bool = False) -> tuple[str, object]:
    """What may stand where a file is wanted, a link to somebody else's among them.

    there: nothing of which Snakemake itself says that it is missing.
    """
    found = {**PLACES, "a link to a bystander's": _link(str(base / "precious" / "letters.txt"))}
    about = rng.choice([one for one in found if not (there and one in MISSING)])
    return about, found[about]


def folders(base: Path) -> list[str]:
    """What a note may call a resume folder, and is none."""
    own = "results/pilot/smoke"
    return [
        "../precious", str(base / "precious"), "precious", "results", "results/pilot", own, f"{own}/runs",
        f"{own}/linked", "results/linked", "results/data", "config", "src", f"{own}/../../../precious", "", ".",
        f"{own}/tables/.", "a\nb", "\x1b[31m", "x" * 5000, "nul\0",
    ]  # fmt: skip


VALUES = (
    "smoke", "quick", "paper", "pilot", "mine", "", "null", "[]", "{}", "1", "1:30", "010", "nan", "../..", "/dev/zero",
    "[", "{", "'", '"', "a: b", "!!python/object:x", "&a [*a]", "\x1b[31m", "x" * 5000, "*", "~", "true", "é", "\n", "a\nb",
    "{x: {kind: digits}}", "{digits: {kind: digits}}", "{x: {kind: image-folder, folder: x, size: 1000000}}",
    "{x: {kind: nothing}}", "{x: 1}", "{../x: {kind: digits}}", "?__import__('os').getcwd()",
)  # fmt: skip


def config(rng: random.Random) -> list[str]:
    """Values for `--config`."""
    keys = ["study", "scale", "data_root", "datasets", "other", "__use_yte__"]
    # An empty value fails in Snakemake, before fedscape is read.
    return [
        f"{rng.choice(keys)}={rng.choice(VALUES).strip() or 'null'}" for _ in range(rng.choice([1, 1, 2]))
    ]
