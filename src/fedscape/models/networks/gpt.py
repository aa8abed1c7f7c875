"""A minimal GPT: a causal transformer that predicts the next token at every position of a sequence.

Radford et al., Language Models are Unsupervised Multitask Learners, 2019: embeddings of tokens and positions,
blocks of causal self-attention and a perceptron four times as wide with GELU, normalised before each; a last
normalisation; a linear layer to the vocabulary. As the layer-wise connectivity paper treats that layer by
itself, it has weights of its own (GPT-2's are those of the token embedding). Dropout is left out; the paper
names none.

With the paper's width of 128, its sequences of 256 tokens and a vocabulary of 65 it has 842,752 parameters in
4 blocks, 198,272 in each (the paper's number of blocks is not legible).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS = "tokens"  # what it takes: sequences of tokens, not images
DEVIATION = 0.02
"""Standard deviation of random weights, as in GPT-2."""
WIDENING = 4
"""Hidden features of a block's perceptron, in widths."""


@dataclass(frozen=True)
class Settings:
    """The size of the network; `dropout` is left out."""

    blocks: int = 4  # of attention and a perceptron each
    heads: int = 4  # of each attention; they must divide width
    width: int = 128  # features of a token

    def __post_init__(self):
        for key in ("blocks", "heads", "width"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be >= 1, got {getattr(self, key)}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width {self.width}, got {self.heads}")


def build(settings: Settings, shape: tuple[int], classes: int) -> nn.Module:
    """Network for sequences of `shape` (T,) from a vocabulary of `classes`.

    It takes tokens int64 [b, t], t <= T, and gives logits [b, classes, t]. Weights are normal with deviation
    0.02, divided by sqrt(2 blocks) where a block's branches end; biases are zero.
    """
    network = GPT(settings, shape[0], classes)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            ends_a_branch = name.endswith(("projection.weight", "narrow.weight"))
            nn.init.normal_(
                parameter, std=DEVIATION / (math.sqrt(2 * settings.blocks) if ends_a_branch else 1)
            )
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    return network


class PositionEmbedding(nn.Module):
    """Adds to the features [b, t, width] of each token a learned vector for its position."""

    def __init__(self, length: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.weight[: features.shape[1]]


class Attention(nn.Module):
    """Causal self-attention of several heads: each position sees itself and those before it.

    Written out rather than left to a fused kernel, so that it can be traced, stacked over models and
    differentiated twice. The mask is built at each call: in a buffer it would be a part of every model that
    is stored, averaged or compared.
    """

    def __init__(self, heads: int, width: int):
        super().__init__()
        self.heads = heads
        self.entry = nn.Linear(width, 3 * width)  # queries, keys and values
        self.projection = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        by_head = self.entry(features).unflatten(2, (3, self.heads, -1)).transpose(1, 3)  # [b, h, 3, t, d]
        queries, keys, values = by_head[:, :, 0], by_head[:, :, 1], by_head[:, :, 2]
        scores = queries @ keys.transpose(2, 3) / math.sqrt(self.entry.in_features // self.heads)
        mask = torch.full_like(scores[0, 0], -math.inf).triu(1)  # in the scores' type, on their device
        mixed = (scores + mask).softmax(dim=3) @ values
        return self.projection(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then a perceptron at each position, both after a layer norm and with a shortcut around."""

    def __init__(self, heads: int, width: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(heads, width)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, WIDENING * width)
        self.narrow = nn.Linear(WIDENING * width, width)

    def forward(self, features: Tensor) -> Tensor:
        features = features + self.attention(self.norm1(features))
        return features + self.narrow(functional.gelu(self.widen(self.norm2(features))))


class GPT(nn.Module):
    """Embeddings, blocks, a last normalisation and the layer to the vocabulary."""

    def __init__(self, settings: Settings, length: int, classes: int):
        super().__init__()
        self.tokens = nn.Embedding(classes, settings.width)
        self.places = PositionEmbedding(length, settings.width)
        self.blocks = nn.Sequential(*(Block(settings.heads, settings.width) for _ in range(settings.blocks)))
        self.norm = nn.LayerNorm(settings.width)
        self.classifier = nn.Linear(settings.width, classes, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        features = self.blocks(self.places(self.tokens(tokens)))
        return self.classifier(self.norm(features)).transpose(1, 2)
