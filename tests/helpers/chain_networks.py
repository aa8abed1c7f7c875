"""Small networks as a user may write them, easy and hard to trace, and samples for them."""

import math

import numpy as np
import torch
from torch import nn

from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.models.build import random_model
from fedscape.models.networks.gpt import GPT

SHAPE, CLASSES = (2, 8, 8), 5
LENGTH, VOCABULARY, WIDTH = 6, 11, 8


class Attention(nn.Module):
    """Causal attention of one head whose mask is a buffer."""

    def __init__(self):
        super().__init__()
        self.entry = nn.Linear(WIDTH, 3 * WIDTH)
        self.exit = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), -math.inf).triu(1))

    def forward(self, features):
        _, length, width = features.shape
        query, key, value = self.entry(features).split(width, dim=2)
        scores = query @ key.transpose(1, 2) / math.sqrt(width) + self.mask[:length, :length]
        return self.exit(scores.softmax(dim=2) @ value)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.hidden, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)

    def forward(self, features):
        features = features + self.attention(self.norm1(features))
        return features + self.out(torch.relu(self.hidden(self.norm2(features))))


class Transformer(nn.Module):
    """Positions out of a buffer, as many as the input has tokens."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm, self.classifier = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.register_buffer("places", torch.arange(LENGTH), persistent=False)

    def forward(self, tokens):
        features = self.tokens(tokens) + self.positions(self.places[: tokens.shape[1]])
        for block in self.blocks:
            features = block(features)
        return self.classifier(self.norm(features)).transpose(1, 2)


class Tied(Transformer):
    """The last layer's weights are those of the first."""

    def __init__(self):
        super().__init__()
        self.classifier.weight = self.tokens.weight


class Sized(Transformer):
    """A mask that is made once and used in all blocks, and a length that is used at the end."""

    def forward(self, tokens):
        _, length = tokens.size()
        places = self.places[:length]
        mask = places[:, None] < places
        features = self.tokens(tokens) + self.positions(places)
        for block in self.blocks:
            query, key, value = block.attention.entry(block.norm1(features)).split(WIDTH, dim=2)
            scores = (query @ key.transpose(1, 2)).masked_fill(mask, -math.inf)
            features = features + block.attention.exit(scores.softmax(dim=2) @ value)
        return self.classifier(features).transpose(1, 2).reshape(-1, VOCABULARY, length)


class Counting(nn.Module):
    """Makes a tensor of a size that only the input tells."""

    def __init__(self):
        super().__init__()
        self.tokens, self.classifier = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens):
        counts = torch.arange(tokens.shape[1], device=tokens.device) + 1
        return self.classifier(self.tokens(tokens).cumsum(dim=1) / counts[:, None]).transpose(1, 2)


class Moods(nn.Module):
    """Its forward pass branches on values."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(math.prod(SHAPE), 9), nn.Linear(9, CLASSES)

    def forward(self, images):
        features = self.hidden(images.flatten(1)).tanh()
        return self.out(features if features.sum() > 0 else -2 * features)


class Partly(nn.Sequential):
    """A part of it branches on values."""

    def __init__(self):
        super().__init__(nn.Conv2d(2, 2, 3, padding=1), Moods(), nn.Tanh(), nn.Linear(CLASSES, CLASSES))


class InPlace(nn.Module):
    """Residual additions in place, into what the segment before gives and into the input."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(math.prod(SHAPE), math.prod(SHAPE)) for _ in range(3)])
        self.out = nn.Linear(math.prod(SHAPE), CLASSES)

    def forward(self, images):
        features = images.sub_(0.5).flatten(1)
        for layer in self.layers:
            features.add_(layer(features).tanh())
        return self.out(features)


class Folded(nn.Module):
    """Takes a parameter behind tracing's back, which would make a constant of it."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(math.prod(SHAPE)))
        self.out = nn.Linear(math.prod(SHAPE), CLASSES)

    def forward(self, images):
        return self.out(images.flatten(1) * (2 * dict(self.named_parameters())["scale"]))


class RootParameter(nn.Module):
    """A parameter that is in no layer of torch."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(9))
        self.hidden, self.out = nn.Linear(math.prod(SHAPE), 9), nn.Linear(9, CLASSES)

    def forward(self, images):
        return self.out((self.hidden(images.flatten(1)) + self.shift).relu())


def named(name, **settings):
    """A maker of one of the library's networks for the images of `images`."""
    return lambda: random_model(name, settings, SHAPE, CLASSES, int(torch.randint(1000, ())))


def gpt():
    """The library's transformer, for `sequences`."""
    return random_model("gpt", {"blocks": 2, "heads": 2, "width": WIDTH}, (LENGTH,), VOCABULARY, 0)


def pair(make, seed=0):
    """A module, and two models of it as (parameters, buffers), none of which has its weights.

    All floats are random, so no norm layer does nothing; masks stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, models = make(), []
        for _ in range(2):
            one = make()
            parameters = {name: 0.3 * torch.randn_like(tensor) for name, tensor in one.named_parameters()}
            buffers = {name: tensor.clone() for name, tensor in one.named_buffers()}
            for name, tensor in buffers.items():
                if name.endswith(("running_mean", "running_var")):
                    tensor.uniform_(0.5, 1.5)
            models.append((parameters, buffers))
    return module, *models


def images(count=23, batch_size=10, seed=0):
    draw = np.random.default_rng(seed)
    return EvaluationSet(
        inputs=torch.from_numpy(draw.integers(0, 256, (count, *SHAPE), dtype=np.uint8)),
        labels=torch.from_numpy(draw.integers(0, CLASSES, count)),
        mean=torch.tensor([0.4, 0.5]),
        std=torch.tensor([0.2, 0.3]),
        batch_size=batch_size,
    )


def sequences(count=23, batch_size=10):
    draw = np.random.default_rng(0)
    tokens = torch.from_numpy(draw.integers(0, VOCABULARY, (count, LENGTH + 1)))
    none = torch.empty(0)
    return EvaluationSet(tokens[:, :-1].int(), tokens[:, 1:].contiguous(), none, none, batch_size)


def samples_for(module):
    return sequences() if isinstance(module, Transformer | Counting | GPT) else images()
