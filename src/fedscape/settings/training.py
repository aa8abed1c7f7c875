"""Training settings that every method has, whatever its algorithm. Kept apart from the engine, and free of
torch, so that a study is checked in milliseconds."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

SMALLEST_LR = 1.2e-38  # the type of weights loses digits below, and at last all of them


@dataclass(frozen=True)
class Epochs:
    """Clients that get through different amounts of work in a round (system heterogeneity)."""

    uniform: list[int]  # `[fewest, most]`, both included: epochs that a client draws anew in each round

    def __post_init__(self):
        if len(self.uniform) != 2 or not 1 <= self.uniform[0] <= self.uniform[1]:
            raise ValueError(f"uniform must be [fewest, most] with 1 <= fewest <= most, got {self.uniform}")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes over the rounds: a warm-up, then what `kind` says.

    Counted in a client's own steps, as if it took part in every round: after k of the K steps that it makes
    in round r of R, its progress is t = (r - 1 + k / K) / R.
    """

    # constant: lr; step: lr times `decay` for each of `decay_at` passed; cosine: lr (1 + cos(pi t)) / 2
    kind: Literal["constant", "step", "cosine"] = "constant"
    warmup_steps: int = 0  # a client's first steps, over which its rate rises linearly to lr
    warmup_lr: float = 0.0  # the rate that the rise starts from
    decay: float = 0.1  # factor of a step down
    decay_at: list[float] = field(default_factory=list)  # progress at each step down, as shares of all rounds

    def __post_init__(self):
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps must be >= 0, got {self.warmup_steps}")
        if self.warmup_lr < 0:
            raise ValueError(f"warmup_lr must be >= 0, got {self.warmup_lr}")
        if self.warmup_lr and not self.warmup_steps:
            raise ValueError("warmup_lr needs warmup_steps > 0")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if not all(a < b for a, b in pairwise([0, *self.decay_at, 1])):
            raise ValueError(f"decay_at must be ascending shares in (0, 1), got {self.decay_at}")
        if bool(self.decay_at) != (self.kind == "step"):
            raise ValueError(f"decay_at and kind step need each other, got {self.decay_at} and {self.kind}")


@dataclass(frozen=True)
class ResizedCrop:
    """A rectangle of random size and place, brought to the size that networks are shown."""

    # least and largest area as shares of the image's, between which it is uniform
    scale: list[float] = field(default_factory=lambda: [0.08, 1.0])
    # least and largest width over height, between which its logarithm is uniform
    ratio: list[float] = field(default_factory=lambda: [0.75, 1.3333333333333333])

    def __post_init__(self):
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be [least, largest] in (0, 1], got {self.scale}")
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be [least, largest] above 0, got {self.ratio}")


@dataclass(frozen=True)
class Augmentation:
    """What happens to the training images in each pass, in this order; nothing but `normalise` by default."""

    # a random part of the image in its place, cut with the border that a data set may have stored; null: none
    resized_crop: ResizedCrop | None = None
    resize: int | None = None  # side in pixels that images shrink to and grow back from; null: as they are
    crop: int = 0  # pixels of padding on each side, of which a window of the image's size is cut
    fill: Literal["zero", "reflect"] = "zero"  # the padding of `crop`: black, or the image mirrored
    flip: float = 0.0  # probability that left and right change places
    rotation: float = 0.0  # largest angle in degrees, uniform in both directions; black comes in at corners
    scale: float = 0.0  # zoom factor about the centre, uniform in 1 - scale to 1 + scale
    brightness: float = 0.0  # largest amount added or taken, as a share of the way from black to white
    # brightness, contrast and saturation, in random order: each multiplied by 1 - colour to 1 + colour
    colour: float = 0.0
    # whose mean and deviation clients normalise channels by: the data set's, as evaluations do, or their own
    normalise: Literal["dataset", "client"] = "dataset"

    def __post_init__(self):
        if self.resize is not None and self.resize < 1:
            raise ValueError(f"resize must be >= 1, got {self.resize}")
        if self.crop < 0:
            raise ValueError(f"crop must be >= 0, got {self.crop}")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip must be in [0, 1], got {self.flip}")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation must be in [0, 180], got {self.rotation}")
        if not 0 <= self.scale < 1:
            raise ValueError(f"scale must be in [0, 1), got {self.scale}")
        if not 0 <= self.brightness <= 1:
            raise ValueError(f"brightness must be in [0, 1], got {self.brightness}")
        if not 0 <= self.colour <= 1:
            raise ValueError(f"colour must be in [0, 1], got {self.colour}")


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Magnitude pruning with polynomial decay (Zhu & Gupta, To Prune, or Not to Prune, 2017): at time t the
    sparsity is final + (initial - final) (1 - (t - begin) / (end - begin))^3."""

    initial_sparsity: float = 0.3  # share of each kernel that is zero at `begin`
    final_sparsity: float = 0.8  # and from `end` on
    begin: int  # time of the first mask
    end: int  # time of the last mask, which stays
    frequency: int = 100  # time between two masks; final_sparsity is reached if it divides end - begin
    unit: Literal["round", "step"]  # what time counts: rounds, or a client's own steps; papers leave it open

    def __post_init__(self):
        if not 0 <= self.initial_sparsity <= self.final_sparsity < 1:
            raise ValueError(
                "sparsities must be 0 <= initial_sparsity <= final_sparsity < 1, "
                f"got {self.initial_sparsity} and {self.final_sparsity}"
            )
        if not 1 <= self.begin < self.end:
            raise ValueError(f"begin and end must be 1 <= begin < end, got {self.begin} and {self.end}")
        if not 1 <= self.frequency <= self.end - self.begin:
            raise ValueError(
                f"frequency must be from 1 to end - begin ({self.end - self.begin}), got {self.frequency}"
            )


@dataclass(frozen=True, kw_only=True)
class SharpnessAware:
    """Sharpness-aware minimisation: each step takes the gradient of its samples at w + e in place of w, where
    e goes uphill (Foret et al., Sharpness-Aware Minimization, 2021; Kwon et al., ASAM, 2021)."""

    # length of e; 0 is plain training. Papers have 0.05 to 0.1, and 0.5 to 1 for the adaptive form
    rho: float
    adaptive: bool = False  # ASAM: measure e relative to the weights' own sizes
    eta: float = 0.01  # of ASAM: added to these sizes, so that weights near 0 may move too

    def __post_init__(self):
        if not 0 <= self.rho < math.inf:
            raise ValueError(f"rho must be >= 0 and finite, got {self.rho}")
        if not 0 <= self.eta < math.inf:
            raise ValueError(f"eta must be >= 0 and finite, got {self.eta}")
        if self.eta != SharpnessAware.eta and not self.adaptive:
            raise ValueError(f"eta {self.eta} needs adaptive: true")


@dataclass(frozen=True)
class TrainingSettings:
    """How many rounds, who takes part, what happens to images and weights, and the clients' optimiser (SGD
    and AdamW as torch.optim defines them)."""

    rounds: int  # communication rounds; 0 keeps the start, for analyses that look at one model
    local_epochs: int | Epochs = 1  # passes over its own data that a client makes in a round
    batch_size: int = 32  # samples in a step; the last step of an epoch may have fewer
    optimiser: Literal["sgd", "adamw"] = "sgd"  # of the clients
    lr: float = 0.01  # clients' learning rate
    momentum: float = 0.0  # of SGD
    nesterov: bool = False  # Nesterov's form of the momentum
    # of AdamW: decay per step of the means of gradients and of their squares
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0  # SGD adds this times the weights to the gradient; AdamW shrinks them
    schedule: Schedule = Schedule()  # how lr goes over the rounds
    clip: float = 0.0  # largest norm of a client's gradient, all parameters together; 0: no limit
    drop_last: bool = False  # leave out an epoch's last batch if it is short
    participation: float = 1.0  # share of the clients that take part in a round, drawn anew each round
    # rounds from one averaging to the next; between them clients keep model, optimiser and schedule
    average_every: int | Literal["never"] = 1
    # momentum and moments: empty when a client starts from a global model, or as its last round left them
    optimiser_state: Literal["reset", "keep"] = "reset"
    # what a client counts for in the average (default: what the algorithm's paper does, else `size`)
    weights: Literal["size", "uniform", "inverse-input-variance", "inverse-update-variance"] = "size"
    augmentation: Augmentation = Augmentation()  # of the training images
    pruning: Pruning | None = None  # of the weights during training; null: none
    sam: SharpnessAware | None = None  # a second gradient in each step, uphill of the first; null: none
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"  # of convolutions and matrix products in training
    lanes: int | Literal["auto"] = "auto"  # clients that train side by side; `auto` follows measured figures
    evaluate_every: int = 1  # rounds between two evaluations; the first and last round always are

    def __post_init__(self):
        if self.rounds < 0:
            raise ValueError(f"rounds must be >= 0, got {self.rounds}")
        for name in ("local_epochs", "batch_size", "average_every", "lanes", "evaluate_every"):
            if isinstance(getattr(self, name), int) and getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.lr <= 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if self.lr < SMALLEST_LR:
            raise ValueError(f"lr must be at least {SMALLEST_LR}, below which 32 bits hold 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")
        for name in ("weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not 0 < self.participation <= 1:
            raise ValueError(f"participation must be in (0, 1], got {self.participation}")
        self._check_together()

    def _check_together(self) -> None:
        """Refuse settings that are possible one by one and mean nothing together."""
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(f"momentum needs optimiser sgd, got {self.optimiser}")
        if self.betas != [0.9, 0.999] and self.optimiser != "adamw":
            raise ValueError(f"betas need optimiser adamw, got {self.optimiser}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum > 0")
        if self.schedule.warmup_lr > self.lr:
            raise ValueError(f"schedule.warmup_lr must be <= lr ({self.lr}), got {self.schedule.warmup_lr}")
        if self.average_every != 1 and self.participation != 1:
            raise ValueError(
                f"average_every {self.average_every} needs participation 1, got {self.participation}"
            )
        if self.average_every != 1 and self.pruning:
            raise ValueError(
                f"average_every {self.average_every} goes without pruning, which needs an average"
            )
        if self.average_every != "never" and self.average_every > max(self.rounds, 1):
            raise ValueError(
                f"average_every must be `never` or <= rounds ({self.rounds}), got {self.average_every}"
            )
        if self.pruning and self.pruning.unit == "round" and self.pruning.end > self.rounds:
            raise ValueError(f"pruning.end must be <= rounds ({self.rounds}), got {self.pruning.end}")
