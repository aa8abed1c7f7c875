"""One thread for all tests: a sum in another order has other bits, and several tests compare bits."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import torch

torch.set_num_threads(1)
