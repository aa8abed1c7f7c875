"""LSTM: embedding, recurrent layers, a dense layer, the vocabulary; predicts the next token at each position.

Hochreiter & Schmidhuber, Long Short-Term Memory, 1997, with forget gates. The defaults are the network of
Reddi et al., Adaptive Federated Optimization, 2021, for Stack Overflow: 4,050,748 parameters with 10,004
tokens. `{embedding: 8, hidden: 256, layers: 2, dense: 0}` is theirs for the characters of Shakespeare:
820,522 with 90.

Written out in matrix products rather than left to a fused kernel, so that it can be stacked over models and
differentiated twice. As in their code a layer has one bias; PyTorch's has two, of which the sum counts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

INPUTS = "tokens"  # what it takes: sequences of tokens, not images
GATES = 4
"""Input, forget, cell and output gate: rows of a layer's weights in this order, as PyTorch has them."""
EMBEDDING_RANGE = 0.05
"""Random embeddings are uniform between minus and plus this, as Keras starts them."""


@dataclass(frozen=True)
class Settings:
    """The size of the network; dropout is left out."""

    embedding: int = 96  # features of a token
    hidden: int = 670  # features of a recurrent layer
    layers: int = 1  # recurrent layers
    dense: int = 96  # features of the linear layer before the vocabulary; 0: no such layer

    def __post_init__(self):
        for key in ("embedding", "hidden", "layers"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be >= 1, got {getattr(self, key)}")
        if self.dense < 0:
            raise ValueError(f"dense must be >= 0, got {self.dense}")


def build(settings: Settings, shape: tuple[int], classes: int) -> nn.Module:
    """Network for sequences of `shape` (T,), or of any other length, from a vocabulary of `classes`.

    It takes tokens int64 [b, t] and gives logits [b, classes, t]. As Keras, in which the authors' code is
    written, starts it: weights Glorot-uniform, those of the recurrence orthogonal; biases zero, those of
    forget gates one.
    """
    network = LSTM(settings, classes)
    nn.init.uniform_(network.tokens.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, Recurrence):
            layer.start()
    return network


class Recurrence(nn.Module):
    """One layer: features [b, t, inputs] to features [b, t, hidden], from a state of zeros."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(GATES * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(GATES * hidden))

    def start(self) -> None:
        """Draw the random start. Bounds and orthogonality are those of Keras's matrix of all four gates."""
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.orthogonal_(self.weight_hh)
        with torch.no_grad():
            self.bias.zero_()
            self.bias[self.hidden : 2 * self.hidden] = 1

    def forward(self, features: Tensor) -> Tensor:
        entries = features @ self.weight_ih.T + self.bias  # of all positions at once
        output = cell = torch.zeros_like(entries[:, 0, : self.hidden])
        outputs = []
        for position in range(features.shape[1]):
            gates = entries[:, position] + output @ self.weight_hh.T
            enter, forget, candidate, leave = gates.chunk(GATES, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            output = leave.sigmoid() * cell.tanh()
            outputs.append(output)
        return torch.stack(outputs, dim=1)


class LSTM(nn.Module):
    """Embedding, recurrent layers, dense layer if any, the layer to the vocabulary."""

    def __init__(self, settings: Settings, classes: int):
        super().__init__()
        self.tokens = nn.Embedding(classes, settings.embedding)
        widths = [settings.embedding] + [settings.hidden] * (settings.layers - 1)
        self.layers = nn.Sequential(*(Recurrence(width, settings.hidden) for width in widths))
        self.dense = nn.Linear(settings.hidden, settings.dense) if settings.dense else nn.Identity()
        self.classifier = nn.Linear(settings.dense or settings.hidden, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.classifier(self.dense(self.layers(self.tokens(tokens)))).transpose(1, 2)
