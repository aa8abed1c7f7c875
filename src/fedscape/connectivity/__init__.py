"""Straight paths between models, averages of some of their layers, and the barriers on them.

For a notebook: any two state_dicts of a module, layer by layer (`layerwise_table`), how far they are apart
(`distances`), and the second one with its units matched to the first's (`permutations_of`, `match_weights`,
`permuted`) or the mean's activations repaired (`repair`, `repaired`).
"""

from fedscape.connectivity.barriers import Barrier, barrier
from fedscape.connectivity.layer_distances import distances
from fedscape.connectivity.layer_groups import chosen_layers, layers_of
from fedscape.connectivity.layerwise import layerwise_barriers, layerwise_table, model_of
from fedscape.connectivity.matching import match_weights, permuted, units_moved
from fedscape.connectivity.permutations import permutations_of
from fedscape.connectivity.repair import repair, repaired

__all__ = [
    "Barrier",
    "barrier",
    "chosen_layers",
    "distances",
    "layers_of",
    "layerwise_barriers",
    "layerwise_table",
    "match_weights",
    "model_of",
    "permutations_of",
    "permuted",
    "repair",
    "repaired",
    "units_moved",
]
