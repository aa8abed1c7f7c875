"""The clients that take part in a round."""

import numpy as np

from fedscape.jobs.streams import stream


def participants_per_round(clients: int, participation: float) -> int:
    """Clients in a round: the share `participation` of them, rounded, at least one."""
    return max(1, round(participation * clients))


def participants(seed: int, round_number: int, clients: int, participation: float) -> np.ndarray:
    """Numbers of the clients in a round, int64, ascending: a uniform draw without replacement."""
    drawn = participants_per_round(clients, participation)
    if drawn == clients:
        return np.arange(clients)
    return np.sort(stream(seed, "sampling", round_number).choice(clients, drawn, replace=False))
