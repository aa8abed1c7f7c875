"""MOON: model-contrastive learning (Li, He & Song, Model-Contrastive Federated Learning, 2021, eqs. 3 and 4).

With z the client's representation of an image, z_glob the global model's and z_prev that of the client's own
model after its last participation, client k minimises

    CE + mu * ( -log e^{cos(z, z_glob)/tau} / (e^{cos(z, z_glob)/tau} + e^{cos(z, z_prev)/tau}) )

The representation is what enters the classifier. The paper puts a two-layer projection head before it, which
is part of the model here: `projection` of the models `resnet` and `cnn`. mu = 0 is FedAvg.

The paper does not say what z_prev is for a client that has no previous model. In round 1 nobody has one, and
the term is left out: with the initial model in its place, which is the global one, it is a constant. A client
that first takes part later compares with the run's initial model (`first_previous: initial`), as in the port
of the authors' code that FedAlign's paper uses; in theirs it is the network that the client was created with.

Other systems differ: FedAlign's port runs the reference models on batch statistics (`references: train`) and
with gradients that it throws away, which is why its paper finds MOON three times as slow as FedAvg.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, softplus

from fedscape.checkpoints.layout import Layout, buffers_of, parameters_of
from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, ClientResult, Context, Contribution, Gathered

INPUTS = "images"  # the only ones that it can take


@dataclass(frozen=True)
class Settings:
    """The contrastive term."""

    mu: float = 1.0  # its weight; the authors' best are 5 for CIFAR-10, 1 for CIFAR-100 and Tiny-ImageNet
    temperature: float = 0.5  # tau; the paper's choice
    # batch norm in the global and the previous model: their running statistics, or the batch's own
    references: Literal["eval", "train"] = "eval"
    # previous model of a client new after round 1: the run's initial one, or none, which leaves the term out
    first_previous: Literal["initial", "none"] = "initial"

    def __post_init__(self):
        if self.mu < 0:
            raise ValueError(f"mu must be >= 0, got {self.mu}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")

    def check(self, training):
        """Refuse rounds that do not start from a global model, which is one of the references."""
        if training.average_every != 1:
            raise ValueError("moon needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """The client's model after its last participation."""
    return {"parameters": layout.parameter_count, "buffers": layout.buffer_count}


def shared_state(layout: Layout) -> dict[str, int]:
    """The run's initial model, from the end of round 1 on."""
    return client_state(layout)


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    client: Client,
    context: Context[Settings],
) -> Tensor:
    """Mean cross-entropy and weighted contrastive term of a batch, a scalar."""
    settings = context.settings
    logits, representation, _ = network.traced(parameters, batch.inputs, network.classifier)
    cross = cross_entropy(logits, batch.labels)
    if settings.mu == 0:
        return cross
    batch.check_images("moon")
    if context.round == 1:
        return cross
    global_representation = _reference(
        context.start.parameters, context.start.buffers, network, batch, context
    )
    previous, present = client.state, client.known
    if settings.first_previous == "initial":
        previous = {
            name: torch.where(client.known > 0, vector, context.shared[name])
            for name, vector in client.state.items()
        }
        present = 1.0
    previous_representation = _reference(previous["parameters"], previous["buffers"], network, batch, context)
    to_previous = cosine_similarity(representation, previous_representation)
    to_global = cosine_similarity(representation, global_representation)
    # -log(e^a / (e^a + e^b)) = log(1 + e^(b - a))
    contrast = softplus((to_previous - to_global) / settings.temperature).mean()
    return cross + settings.mu * present * contrast


def _reference(
    parameters: Tensor, buffers: Tensor, network: Network, batch: Batch, context: Context[Settings]
) -> Tensor:
    """Representations [b, d] of the batch in a model [P], [B] that does not learn."""
    layout = context.layout
    return network.reference(
        parameters_of(parameters, layout),
        buffers_of(buffers, context.start.counters, layout),
        batch.inputs,
        network.classifier,
        training=context.settings.references == "train",
    )


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The client keeps its model until it takes part again."""
    return Contribution(state={"parameters": result.model.parameters, "buffers": result.model.buffers})


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mean model [P]; the server keeps the model that the run began with."""
    if context.round > 1:
        return gathered.parameters, context.shared
    initial = {"parameters": context.start.parameters, "buffers": context.start.buffers}
    return gathered.parameters, initial
