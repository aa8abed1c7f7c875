"""FedAvg: local SGD and a weighted mean (McMahan et al., Communication-Efficient Learning of Deep Networks
from Decentralized Data, 2017, algorithm 1).

Client k starts from the global model w_t and takes local steps on its own samples D_k, batch b by batch b:

    w <- w - lr * grad( 1/|b| * sum_{(x, y) in b} CE(f_w(x), y) )

The server averages what the clients S_t of the round hand back, with their numbers of samples n_k:

    w_{t+1} = sum_{k in S_t} n_k w_k / sum_{k in S_t} n_k
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context


@dataclass(frozen=True)
class Settings:
    """FedAvg has no settings beyond those of all methods."""


def loss(
    network: Network, parameters: Mapping[str, Tensor], batch: Batch, client: Client, context: Context
) -> Tensor:
    """The loss that a client minimises on a batch: mean cross-entropy, a scalar; pure in `parameters`."""
    return cross_entropy(network(parameters, batch.inputs), batch.labels)
