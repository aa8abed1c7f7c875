"""Training settings that every method has, whatever its algorithm. Kept apart from the engine, and free of
torch, so that a study is checked in milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """How many rounds, who takes part, and the clients' optimiser (SGD as torch.optim.SGD defines it)."""

    rounds: int  # communication rounds
    local_epochs: int = 1  # passes over its own data that a client makes in a round
    batch_size: int = 32  # samples in a step; the last step of an epoch may have fewer
    lr: float = 0.01  # clients' learning rate
    momentum: float = 0.0  # of the clients' SGD; its buffer is empty at the start of each round
    nesterov: bool = False  # Nesterov's form of the momentum
    weight_decay: float = 0.0  # L2 penalty, added to the gradient of each parameter
    drop_last: bool = False  # leave out an epoch's last batch if it is short
    participation: float = 1.0  # share of the clients that take part in a round, drawn anew each round
    evaluate_every: int = 1  # rounds between two evaluations; the first and last round always are

    def __post_init__(self):
        for name in ("rounds", "local_epochs", "batch_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.lr <= 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum > 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if not 0 < self.participation <= 1:
            raise ValueError(f"participation must be in (0, 1], got {self.participation}")
