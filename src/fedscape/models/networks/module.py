"""A class of your own, a plain `torch.nn.Module` in a file of yours: `module: mine/net.py:Net`.

The path is relative to the folder that Snakemake runs in. The class is called with `settings` and nothing
else. A network takes a batch of normalised images float32 [b, C, H, W] and gives logits [b, classes], or it
takes tokens int64 [b, T] and gives logits [b, classes, T]. What the file imports from its own folder (of a
package: from the folder that holds the package) is found as by a script there, and decides what reruns.
"""

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fedscape.data.storage import IMAGE
from fedscape.errors import FedscapeError, reason
from fedscape.plugins import import_name

INPUTS = "any"  # whatever the class takes
SAMPLES = 2  # that a new network is tried on: of one, a lost dimension would go unseen
_IMPORTED: dict[str, Path] = {}  # modules that networks' files have brought, by name, and their folder


@dataclass(frozen=True)
class Settings:
    """The class, and what it is called with."""

    module: str  # file and class, as `mine/net.py:Net`; relative to the folder that Snakemake runs in
    settings: dict | None = None  # keyword arguments of the class, as `{width: 8}`; null: none

    def __post_init__(self):
        file, _, name = self.module.rpartition(":")
        if not (file.endswith(".py") and name.isidentifier()) or "." in file.rpartition("/")[2][:-3]:
            raise ValueError(f"module must be a file and a class, as mine/net.py:Net, got {self.module!r}")
        for key, value in (self.settings or {}).items():
            values = value if isinstance(value, list) else [value]
            if not (isinstance(key, str) and key.isidentifier()):
                raise ValueError(f"settings: {key!r} is no name of an argument")
            if not all(item is None or isinstance(item, (bool, int, float, str)) for item in values):
                raise ValueError(
                    f"settings.{key} must be a number, text, true, false, null or a list of these"
                )


def build(settings: Settings, shape: tuple[int, ...], classes: int) -> nn.Module:
    """A network of the class, for samples of `shape`.

    Raises FedscapeError, with the file, where the class cannot be imported or called, is no module, or gives
    other than logits.
    """
    file, _, name = settings.module.rpartition(":")
    folder, imported = import_name(Path(file))
    with _importable(folder):
        with _as_line(settings.module, folder, "cannot be imported"):
            module = importlib.import_module(imported)
        if Path(module.__file__ or "").resolve() != Path(file).resolve():
            raise FedscapeError(f"{file}: Python has another module called {imported}; rename the file")
        with _as_line(settings.module, folder, "cannot be called"):
            network = getattr(module, name)(**settings.settings or {})
        if not isinstance(network, nn.Module):
            raise FedscapeError(f"{settings.module}: gives {type(network).__name__}, no torch.nn.Module")
        network.float()
        inputs = torch.zeros(SAMPLES, *shape, dtype=torch.float32 if len(shape) == IMAGE else torch.int64)
        with torch.no_grad(), _as_line(settings.module, folder, f"cannot take samples of shape {shape}"):
            logits = network.eval()(inputs)
    _check(network, logits, (SAMPLES, classes, *(shape if len(shape) != IMAGE else ())), settings.module)
    return network.train()


def _check(network: nn.Module, logits: object, expected: tuple[int, ...], name: str) -> None:
    """Refuse outputs that are no logits, and tensors that vectors of parameters and buffers cannot hold."""
    given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if given != expected:
        raise FedscapeError(
            f"{name}: gives {given} for {SAMPLES} samples, expected logits {expected}: samples, classes"
        )
    for parameter, tensor in network.named_parameters():
        if not tensor.requires_grad:
            raise FedscapeError(
                f"{name}: {parameter} is frozen (requires_grad is False), but all parameters are trained; "
                "make it a buffer"
            )
    for entry, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise FedscapeError(f"{name}: {entry} is {tensor.dtype}, expected floating or whole numbers")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Python looks for modules in the folder first, and forgets those of other networks' folders."""
    for name, origin in list(_IMPORTED.items()):
        if origin != folder:
            del _IMPORTED[name]
            sys.modules.pop(name, None)
    before = {*sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in {*sys.modules} - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(folder):
                _IMPORTED[name] = folder


@contextmanager
def _as_line(name: str, folder: Path, what: str) -> Iterator[None]:
    """Whatever the user's code raises is a line with the last line of theirs that it came from."""
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
        line = f"{Path(own[-1].filename).name}:{own[-1].lineno}: " if own else ""
        raise FedscapeError(f"{name}: {what} ({line}{type(error).__name__}: {reason(error)})") from error
