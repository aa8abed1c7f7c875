"""One thread for all tests: a sum in another order has other bits, and several tests compare bits.

Tests with hypothesis look at the same examples each time; `--hypothesis-profile long` looks for others.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from hypothesis import settings

torch.set_num_threads(1)

# No deadline: the first example imports what the others find imported.
settings.register_profile("short", derandomize=True, deadline=None)
settings.register_profile("long", max_examples=5000, deadline=None)
settings.load_profile("short")
