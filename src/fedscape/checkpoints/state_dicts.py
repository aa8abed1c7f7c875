"""Files of weights: plain state_dicts as safetensors, and PyTorch's own files as input."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fedscape.errors import FedscapeError
from fedscape.files import atomic, reading

TORCH_SUFFIXES = (".pt", ".pth")
_WRAPPERS = ("modopt", "model", "state_dict")  # keys under which a file may hold the state_dict
_DEEPEST = 2  # of these within one another: a file may hold itself
_LARGEST_WHOLE = 2.0**63  # of a counter
SHOWN_NAMES = 3  # of the names that do not match: enough to see what is wrong


def write_weights(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a state_dict that any PyTorch user can load, atomically."""
    # Copies, because a model's tensors are views of one vector and safetensors refuses shared memory.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        # Not save_file: its files are readable by their owner alone, whatever the umask.
        temporary.write_bytes(save(copies, metadata={"format": "pt"}))


def read_weights(path: str | Path, wrapped: bool = False) -> dict[str, Tensor]:
    """Read a state_dict: .safetensors, or PyTorch's .pt/.pth (tensors only: no code in the file is run).

    wrapped: whether PyTorch's may hold it under `model` or `state_dict`, as files of training loops do.
    """
    path = Path(path)
    if not path.is_file():
        raise FedscapeError(f"{path}: no such file of weights")
    with reading(path, "file of weights", "get it again"):
        if path.suffix not in TORCH_SUFFIXES:
            return load_file(path)
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # PyTorch's words advise to read the file anyway, and run its code
            raise ValueError("cut off, or other things than tensors in it") from error
    if wrapped:
        tensors = _unwrapped(tensors)
    if not isinstance(tensors, Mapping) or not all(map(_is_entry, tensors.items())):
        raise FedscapeError(f"{path}: holds no state_dict (a mapping of names to dense tensors with values)")
    return dict(tensors)


def _unwrapped(content: object) -> object:
    """The state_dict in what others save beside it, such as an optimiser's state."""
    for _ in range(_DEEPEST):
        if isinstance(content, Mapping):
            inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
            content = inner[0] if inner else content
    return content


def _is_entry(item: tuple[object, object]) -> bool:
    """Whether an entry of what PyTorch has read is a name and a tensor whose numbers are all there."""
    name, value = item
    if not (isinstance(name, str) and isinstance(value, Tensor)):
        return False
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy a state_dict into the module's own tensors, after `check_weights`.

    Counters that are fractions, as a mean over clients leaves them, become the nearest whole numbers.
    """
    check_weights(module, tensors, source)
    own = module.state_dict()
    fractions = {
        name: value.double()
        for name, value in tensors.items()
        if value.is_floating_point() and not own[name].is_floating_point()
    }
    for name, value in fractions.items():
        if not (value.abs() < _LARGEST_WHOLE).all():
            raise FedscapeError(f"{source}: {name} holds {value.max():g}, expected a whole number of 64 bits")
    module.load_state_dict({**tensors, **{name: value.round() for name, value in fractions.items()}})


def check_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Refuse a state_dict that is not one of this model, naming `source` and the first names that differ."""
    check_tensors(module.state_dict(), tensors, source)


def check_tensors(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Refuse tensors whose names, shapes or kind of numbers are not those of `expected`, the model's."""
    for problem, names in (
        ("lacks", [name for name in expected if name not in tensors]),
        ("has unknown", [name for name in tensors if name not in expected]),
    ):
        if names:
            shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
            counts = f"{len(names)} such names, the model has {len(expected)}"
            raise FedscapeError(f"{source}: {problem} {shown} ({counts})")
    for name, tensor in expected.items():
        own, shape = tuple(tensors[name].shape), tuple(tensor.shape)
        if own != shape:
            raise FedscapeError(f"{source}: {name} has shape {own}, the model's has {shape}")
        other = tensors[name].is_complex() or tensors[name].dtype == torch.bool
        if other or (tensor.is_floating_point() and not tensors[name].is_floating_point()):
            raise FedscapeError(
                f"{source}: {name} holds {tensors[name].dtype}, the model's is {tensor.dtype}"
            )
