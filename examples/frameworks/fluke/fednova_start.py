"""fluke's FedNova moves the model when no client does.

    python examples/frameworks/fluke/fednova_start.py

Two clients with 1 and 3 local steps at rate 0 hand the model back as they got it, so that by the paper's
rule, w - tau_eff sum p_i (w - y_i) / a_i, it stays 1. fluke 0.8.1 computes tau_eff sum p_i y_i / a_i alone
(algorithms/fednova.py, `aggregate`), whose weights sum to 2.5 (1/4 / 1 + 3/4 / 3) = 1.25 here. The last
line adds (1 - 1.25) w.
"""

from fluke.algorithms.fednova import FedNova
from mended import MendedFedNova
from small import federation

CLIENTS = [([1.0], [0.0]), ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])]

for kind in (FedNova, MendedFedNova):
    built = federation(kind, CLIENTS, optimizer={"name": "SGD", "lr": 0.0})
    built.run(3, 1.0)
    print(f"{kind.__name__}: w after 3 rounds in which nobody trained: {built.server.model.w.item():.6f}")
