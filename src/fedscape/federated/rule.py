"""A client rule as the engine sees it: the functions of a file in `algorithms/`, and their arguments.

Only `loss` is required. Vectors are flat, [P] for a model's parameters; `loss` sees one client, whatever
the number of lanes; `adjust_gradient`, `gradient_point` and `perturbation` see all lanes at once, so that
they must treat each row by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.errors import FedscapeError
from fedscape.federated.state import ModelState
from fedscape.settings.training import TrainingSettings

Vectors = Mapping[str, Tensor]
Own = TypeVar("Own")  # a rule's Settings


class Batch(NamedTuple):
    """The samples of one client's step."""

    inputs: Tensor  # images float32 [b, C, H, W], normalised and augmented; or tokens int64 [b, T]
    labels: Tensor  # int64 [b], or [b, T]
    draws: Vectors  # the rule's random numbers for this step and client

    def check_images(self, rule: str) -> None:
        """Refuse sequences of tokens, for a rule that changes inputs in a way that only images allow."""
        if not self.inputs.is_floating_point():
            raise FedscapeError(f"{rule} is for images, and these samples are sequences of tokens")


class Client(NamedTuple):
    """A client as its rule sees it; for what sees all lanes stacked to [lanes, 1] and [lanes, n]."""

    share: Tensor  # n_k N / n: its samples, relative to the mean over all clients of the federation
    known: Tensor  # 1 if it keeps something from an earlier round, else 0
    state: Vectors  # what it keeps between rounds, float32; zeros before its first


@dataclass(frozen=True)
class Context(Generic[Own]):
    """The round that clients take part in, the same for all of them; not to be changed."""

    settings: Own  # the rule's own Settings
    training: TrainingSettings
    round: int  # 1 for the first
    clients: int  # N, in the federation
    start: ModelState  # the round's global model w_t
    layout: Layout
    shared: Vectors  # what the rule keeps on the server, float32
    drawn: Any = None  # what the rule's `shared_draws` gave, for the step at hand


@dataclass(frozen=True)
class ClientResult:
    """The result of a client's training. Its tensors lie in the lane: copy them before its next client."""

    client: int
    samples: int  # the client has
    loss: float  # mean of the rule's loss over the samples of all local steps, each before its step
    model: ModelState
    steps: int  # local steps taken
    rates: tuple[float, ...]  # their learning rates
    gradient_weight: float  # of all its gradients in its change: rates, and the momentum of SGD
    moments: Vectors  # the optimiser's state by name, [P] each
    path: tuple[ModelState, ...] = ()  # copies of the model after each epoch but the last, if asked for
    gradient_sum: Tensor | None = None  # [P] over the steps, before `adjust_gradient`, where weights need it
    gradient_squares: float = 0.0  # sum of their squared norms
    start_gradient: Tensor | None = None  # [P] of its mean loss at the start, for FULL_GRADIENT rules
    state: Vectors = field(default_factory=dict)  # the client's, as its rule's `perturbation` left it


@dataclass(frozen=True)
class Contribution:
    """Vectors that a client keeps, and those that it hands to the server beside its model."""

    state: Vectors = field(default_factory=dict)  # float32, as `client_state` says
    means: Vectors = field(default_factory=dict)  # to be averaged with the aggregation weights
    sums: Vectors = field(default_factory=dict)  # to be added up over the participants


@dataclass(frozen=True)
class Gathered:
    """Means and sums over a round's participants."""

    model: ModelState  # weighted mean of theirs; counters are the largest
    means: Vectors
    sums: Vectors

    @property
    def parameters(self) -> Tensor:
        """[P] of the mean model."""
        return self.model.parameters


@dataclass(frozen=True)
class Rule:
    """An algorithm file with its settings; functions that it lacks do what FedAvg does."""

    module: ModuleType
    settings: Any  # of the class `Settings` in the file

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return self.module.__name__.rpartition(".")[2]

    @property
    def wants_full_gradient(self) -> bool:
        """Whether clients' starts come with the gradient of all their samples."""
        return getattr(self.module, "FULL_GRADIENT", False)

    @property
    def shares_draws(self) -> bool:
        """Whether clients must take the same step at the same time, since its draws change shapes."""
        return hasattr(self.module, "shared_draws")

    def _function(self, name: str, default: Callable) -> Callable:
        return getattr(self.module, name, default)

    @property
    def loss(self) -> Callable[..., Tensor]:
        """(network, parameters, batch, client, context) -> what a client minimises, a scalar."""
        return self.module.loss

    def step_draws(self, generator: np.random.Generator, samples: int) -> dict[str, np.ndarray]:
        """A client's own random numbers of a step."""
        return self._function("step_draws", lambda *_: {})(self.settings, generator, samples)

    def shared_draws(self, generator: np.random.Generator, network) -> object:
        """Random numbers that all clients share at a step, plain Python values."""
        return self.module.shared_draws(self.settings, generator, network)

    @property
    def adjust_gradient(self) -> Callable[..., Tensor] | None:
        """(gradient, parameters, client, context) -> gradient, all [lanes, P]; None to leave it."""
        return getattr(self.module, "adjust_gradient", None)

    @property
    def gradient_point(self) -> Callable[..., Tensor] | None:
        """(parameters, client, context) -> where a step's only gradient is taken; None: at the model."""
        return getattr(self.module, "gradient_point", None)

    @property
    def perturbation(self) -> Callable[..., tuple[Tensor, Vectors]] | None:
        """(gradient, parameters, client, context) -> perturbation, client's next vectors; None: as `sam`."""
        return getattr(self.module, "perturbation", None)

    def client_state(self, layout: Layout) -> dict[str, int]:
        """Names and lengths of the vectors that a client keeps."""
        return self._function("client_state", lambda _: {})(layout)

    def shared_state(self, layout: Layout) -> dict[str, int]:
        """Names and lengths of the vectors that the rule keeps on the server."""
        return self._function("shared_state", lambda _: {})(layout)

    def start(self, client: Client, context: Context) -> ModelState:
        """The model that a client starts from."""
        return self._function("start", lambda _, context: context.start)(client, context)

    def after_client(self, result: ClientResult, client: Client, context: Context) -> Contribution:
        """The vectors that a client keeps and hands over once it has trained."""
        return self._function("after_client", lambda *_: Contribution())(result, client, context)

    def aggregate(self, gathered: Gathered, context: Context) -> tuple[Tensor, Vectors]:
        """The clients' aggregate [P], and the rule's next state on the server."""
        if not hasattr(self.module, "aggregate"):
            return gathered.parameters, context.shared
        return self.module.aggregate(gathered, context)
