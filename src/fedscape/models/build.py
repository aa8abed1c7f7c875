"""Models by name: built from plain settings, started from a seed."""

import torch
from torch import nn

from fedscape.data.storage import IMAGE
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream
from fedscape.plugins import load


def build_model(name: str, settings: dict, shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network `networks/<name>.py` for images of `shape` (channels, height, width) or tokens of (T,).

    Its weights come from torch's global generator: use `random_model` where they matter. Raises FedscapeError
    where the network takes the other of the two; a plug-in for tokens says so by `INPUTS = "tokens"`.
    """
    plugin = load("models.networks", name)
    inputs, samples = getattr(plugin, "INPUTS", "images"), "images" if len(shape) == IMAGE else "tokens"
    if inputs not in (samples, "any"):
        raise FedscapeError(
            f"model {name} takes {inputs}, and the samples are {samples} of shape {tuple(shape)}"
        )
    return plugin.build(plugin.Settings(**settings), tuple(shape), classes)


def random_model(name: str, settings: dict, shape: tuple[int, ...], classes: int, seed: int) -> nn.Module:
    """The network with weights from the stream `start` of `seed`; torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "start").integers(2**63)))
        return build_model(name, settings, shape, classes)


def classifier_names(module: nn.Module) -> tuple[str, ...]:
    """Names of the parameters of the last linear layer, the part that depends on the classes.

    In a network without linear layers it is the last convolution.
    """
    modules = list(module.named_modules())
    layers = [name for name, layer in modules if isinstance(layer, nn.Linear)]
    layers = layers or [name for name, layer in modules if isinstance(layer, nn.Conv2d)]
    if not layers:
        raise ValueError(f"{type(module).__name__} has no linear layer and no convolution")
    prefix = f"{layers[-1]}." if layers[-1] else ""
    return tuple(prefix + name for name, _ in module.get_submodule(layers[-1]).named_parameters())
