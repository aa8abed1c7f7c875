"""The norm of the model in FL-bench's FedDyn, which lacks the rule's quadratic term.

    PYTHONPATH=CLONE:examples/frameworks python examples/frameworks/fl-bench/feddyn_quadratic.py

By the rule, a client minimises loss + alpha/2 ||y - w + h_i||², up to a constant. FL-bench 06e658b has of
the square the part alpha <y, h_i - w> alone (client/feddyn.py:31), which pulls without limit; alpha/2
||y||² is missing. The second run puts it back by a setting, `optimizer.weight_decay=alpha`, as the
algorithm's authors do.
"""

import sys

from small import federation
from src.server.feddyn import FedDynServer

ALPHA = 0.1
norms: list[float] = []
aggregate = FedDynServer.aggregate_client_updates


def noted(server: FedDynServer, packages: dict) -> None:
    """The norm of each round's model: noted."""
    aggregate(server, packages)
    square = sum(float(entry.detach().square().sum()) for entry in server.public_model_params.values())
    norms.append(square**0.5)


FedDynServer.aggregate_client_updates = noted
lines = []
for title, decay in (("as it is", 0), ("with weight_decay = alpha", ALPHA)):
    settings = {"+feddyn.alpha": ALPHA, "optimizer.weight_decay": decay, "common.local_epoch": 5}
    federation(**{"method": "feddyn", "common.global_epoch": 50, **settings})
    lines += [f"{title}: " + ", ".join(f"||w|| = {norms[i - 1]:.4g} after round {i}" for i in (1, 5, 20, 50))]
    norms.clear()
print("\n".join(lines), file=sys.stderr)
