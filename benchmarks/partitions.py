"""How skewed Hsu et al.'s partition is when classes run out: clients filled one after another, or in turn.

Prints, for several alpha, the mean total-variation distance between a client's classes and all classes: as
the drawn priors ask for it, as `data/partitions/dirichlet.py` realises it (one client after another), and as
dealing one sample in turn to every client would. CIFAR-10's class counts, 10 clients, 20 seeds.

    .venv/bin/python benchmarks/partitions.py
"""

import numpy as np
from measured import Options, Place, Table

from fedscape.data.partitions.dirichlet import draw_classes
from fedscape.jobs.streams import stream

CLASSES, CLIENTS = 10, 10
ALPHAS = (100.0, 10.0, 1.0, 0.5, 0.3, 0.1)


def dealt_in_turn(priors: np.ndarray, counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The alternative: one sample to each client per pass, in a new random order each time."""
    remaining, drawn = counts.copy(), np.zeros(priors.shape, dtype=np.int64)
    for _ in range(size):
        for client in rng.permutation(len(priors)):
            weights = np.where(remaining > 0, priors[client], 0.0)
            weights = weights if weights.sum() > 0 else remaining.astype(float)
            choice = np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")
            drawn[client, choice] += 1
            remaining[choice] -= 1
    return drawn


def distance(shares: np.ndarray, overall: np.ndarray) -> float:
    """Mean total-variation distance of rows [K, C] from `overall` [C]."""
    return float(np.abs(shares - overall).sum(axis=1).mean() / 2)


def main() -> None:
    parser = Options(__doc__, seeds=1, samples=500)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samples", type=int, default=5_000, help="of each class; CIFAR-10 has 5,000")
    given = parser.read()
    place = Place.here()
    print(f"{place}\n")
    counts = np.full(CLASSES, given.samples)
    overall = counts / counts.sum()
    size = counts.sum() // CLIENTS
    table = Table(place, "alpha", "asked", "one after another (ours)", "one sample in turn")
    for alpha in ALPHAS:
        rows = []
        for seed in range(given.seeds):
            priors = stream(seed, "priors").dirichlet(alpha * overall, size=CLIENTS)
            # In turn is slow in plain Python: a tenth of the samples has the same shares.
            in_turn = dealt_in_turn(priors, counts // 10, size // 10, stream(seed, "partition"))
            filled = draw_classes(priors, counts, size, stream(seed, "partition"))
            rows.append([distance(one, overall) for one in (priors, filled / size, in_turn / (size // 10))])
        table.row(f"{alpha:g}", *(f"{mean:.3f}" for mean in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
