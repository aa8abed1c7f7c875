"""A start from torchvision's weights, such as those trained on ImageNet, in a file of the user's.

For models that say what torchvision calls their tensors: `resnet` with `stem: imagenet`, width 64 and the
blocks of one of torchvision's, and `squeezenet`. Nothing is downloaded. What cannot be taken from the file
stays as in the random start, and the log says so: the classifier where the number of classes differs, the
first convolution where the images' number of channels does, normalisation where the file has batch norm and
the model group norm (these three as in the code of Where to Begin?, Nguyen et al., 2022), a projection head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from fedscape.checkpoints.state_dicts import SHOWN_NAMES, check_tensors, read_weights
from fedscape.errors import FedscapeError
from fedscape.federated.initial import InitialContext
from fedscape.jobs.resume_state import say
from fedscape.models.build import classifier_names
from fedscape.plugins import load

COUNTER = "num_batches_tracked"
"""A buffer of batch norm. Some of torchvision's files are older and do not have it."""


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
    published = read_weights(settings.file)
    names = {name: plugin.torchvision_name(name) for name in own}
    layers = {_layer(name): alias and _layer(alias) for name, alias in names.items()}
    fresh = {layer for layer, alias in layers.items() if _is_fresh(layer, alias, context.module, published)}
    skipped = {layers[layer] for layer in fresh}
    kept = {name: tensor for name, tensor in own.items() if _layer(name) in fresh}
    replaced = {names[name]: tensor for name, tensor in own.items() if name not in kept}
    taken = {alias: tensor for alias, tensor in replaced.items() if alias.endswith(COUNTER)}
    taken |= {alias: tensor for alias, tensor in published.items() if _layer(alias) not in skipped}
    check_tensors(replaced, taken, settings.file)
    if kept:
        shown = ", ".join([*kept][:SHOWN_NAMES]) + (", ..." if len(kept) > SHOWN_NAMES else "")
        say(f"random, not from {settings.file}: {shown} ({len(kept)} of {len(own)} tensors)")
    return kept | {name: taken[alias] for name, alias in names.items() if name not in kept}


def _layer(name: str) -> str:
    """The layer that a tensor belongs to."""
    return name.rpartition(".")[0]


def _is_fresh(layer: str, alias: str | None, module: nn.Module, published: Mapping[str, Tensor]) -> bool:
    """Whether a layer of the model stays as in the random start.

    alias: what the file, whose tensors are `published`, calls the layer; None where it has no such layer.
    """
    weight = published.get(f"{alias}.weight")
    if alias is None or weight is None:
        return alias is None
    submodule = module.get_submodule(layer)
    if isinstance(submodule, nn.GroupNorm):
        return f"{alias}.running_mean" in published
    shapes = weight.shape, submodule.get_parameter("weight").shape
    if f"{layer}.weight" in classifier_names(module):
        return shapes[0] != shapes[1]
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    but_inputs = [shape[:1] + shape[2:] for shape in shapes]
    return submodule is first and shapes[0] != shapes[1] and but_inputs[0] == but_inputs[1]
