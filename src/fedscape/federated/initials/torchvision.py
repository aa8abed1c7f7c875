"""A start from torchvision's weights, such as those trained on ImageNet, in a file that the user has placed.

For models that say what torchvision calls their tensors: `resnet` with `stem: imagenet`, width 64 and the
blocks of one of torchvision's, and `squeezenet`. Nothing is downloaded. What cannot be taken from the file
stays as in the random start, and the log says so: the classifier where the number of classes differs, the
first convolution where the images' number of channels does, normalisation where the file has batch norm and
the model group norm (these three as in the code of Where to Begin?, Nguyen et al., 2022), a projection head.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from fedscape.checkpoints.state_dicts import SHOWN_NAMES, check_tensors, read_weights
from fedscape.errors import FedscapeError
from fedscape.federated.initial import InitialContext
from fedscape.models.build import classifier_names
from fedscape.plugins import load

COUNTER = "num_batches_tracked"
"""Of batch norm. Some of torchvision's files are older than it and do not have it."""


@dataclass(frozen=True)
class Settings:
    """Where the weights are."""

    file: str  # path of torchvision's state_dict: .pth or .pt (tensors only), or .safetensors

    def __post_init__(self):
        if not self.file.endswith((".safetensors", ".pt", ".pth")):
            raise ValueError(f"file must be a .safetensors, .pt or .pth, got {self.file}")


def weights(settings: Settings, context: InitialContext) -> dict[str, Tensor]:
    """The state_dict to start from.

    Raises FedscapeError for a model that torchvision does not have, and naming the file where it is missing,
    broken, or of another architecture.
    """
    plugin, own = load("models.networks", context.model.kind), context.module.state_dict()
    if not hasattr(plugin, "torchvision_name"):
        raise FedscapeError(
            f"torchvision start from {settings.file}: model {context.model.kind} is none of torchvision's; "
            "use one of kind resnet or squeezenet"
        )
    given = read_weights(settings.file)
    names = {name: plugin.torchvision_name(name) for name in own}
    layers = {_layer(name): theirs and _layer(theirs) for name, theirs in names.items()}
    fresh = {layer for layer, theirs in layers.items() if _is_fresh(layer, theirs, context.module, given)}
    passed_over = {layers[layer] for layer in fresh}
    kept = {name: tensor for name, tensor in own.items() if _layer(name) in fresh}
    wanted = {names[name]: tensor for name, tensor in own.items() if name not in kept}
    taken = {theirs: tensor for theirs, tensor in wanted.items() if theirs.endswith(COUNTER)}
    taken |= {theirs: tensor for theirs, tensor in given.items() if _layer(theirs) not in passed_over}
    check_tensors(wanted, taken, settings.file)
    if kept:
        shown = ", ".join([*kept][:SHOWN_NAMES]) + (", ..." if len(kept) > SHOWN_NAMES else "")
        count = f"{len(kept)} of {len(own)} tensors"
        print(f"random, not from {settings.file}: {shown} ({count})", file=sys.stderr, flush=True)
    return kept | {name: taken[theirs] for name, theirs in names.items() if name not in kept}


def _layer(name: str) -> str:
    """The layer that a tensor belongs to."""
    return name.rpartition(".")[0]


def _is_fresh(layer: str, theirs: str | None, module: nn.Module, given: Mapping[str, Tensor]) -> bool:
    """Whether a layer of the model stays as in the random start.

    theirs: what the file, whose tensors are `given`, calls the layer; None where it has no such layer.
    """
    weight = given.get(f"{theirs}.weight")
    if theirs is None or weight is None:
        return theirs is None
    mine = module.get_submodule(layer)
    if isinstance(mine, nn.GroupNorm):
        return f"{theirs}.running_mean" in given
    shapes = weight.shape, mine.get_parameter("weight").shape
    if f"{layer}.weight" in classifier_names(module):
        return shapes[0] != shapes[1]
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    but_inputs = [shape[:1] + shape[2:] for shape in shapes]
    return mine is first and shapes[0] != shapes[1] and but_inputs[0] == but_inputs[1]
