"""A start from a user's own file of weights."""

from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.state_dicts import check_weights, read_weights
from fedscape.federated.initial import InitialContext


@dataclass(frozen=True)
class Settings:
    """Where the weights are."""

    file: str  # path of a state_dict: .safetensors, or PyTorch's .pt or .pth (tensors only)

    def __post_init__(self):
        if not self.file.endswith((".safetensors", ".pt", ".pth")):
            raise ValueError(f"file must be a .safetensors, .pt or .pth, got {self.file}")


def weights(settings: Settings, context: InitialContext) -> dict[str, Tensor]:
    """The state_dict to start from. Raises FedscapeError naming the file if it does not fit the model."""
    tensors = read_weights(settings.file)
    check_weights(context.module, tensors, settings.file)
    return tensors
