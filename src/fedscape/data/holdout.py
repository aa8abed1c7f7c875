"""Stratified hold-out: a test set with the classes in the proportions of the whole."""

import numpy as np


def held_out(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask [n] of the samples to hold out: of each class, `share` of its samples, rounded, drawn by `rng`."""
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        mask[rng.permutation(members)[: round(share * len(members))]] = True
    return mask
