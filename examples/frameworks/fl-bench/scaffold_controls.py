"""The control variates c_i that FL-bench's SCAFFOLD hands to its clients.

    PYTHONPATH=CLONE:examples/frameworks python examples/frameworks/fl-bench/scaffold_controls.py

By the paper, client i starts a round with the c_i that it computed at the end of its last one. FL-bench
06e658b computes it (client/scaffold.py:45, `self.c_local = c_plus`), but the client's package has its
change alone (`c_delta`), and the server keeps sending the zeros it began with (server/scaffold.py:29 and
34). The second run adds each client's change to the server's list.
"""

import sys

from mended import keep_controls
from small import federation
from src.client.scaffold import SCAFFOLDClient

received: list[str] = []
set_parameters = SCAFFOLDClient.set_parameters


def noted(client: SCAFFOLDClient, package: dict) -> None:
    """What a client starts from: noted."""
    set_parameters(client, package)
    square = sum(float(control.square().sum()) for control in package["c_local"])
    received.append(f"client {client.client_id}: ||c_i|| = {square**0.5:.3f}")


SCAFFOLDClient.set_parameters = noted
lines = []
for title, change in (("as it is", None), ("with the changes kept", keep_controls)):
    if change:
        change()
    federation(**{"method": "scaffold", "common.global_epoch": 3})
    lines += [f"{title}, round {i + 1}: " + ", ".join(sorted(received[4 * i : 4 * i + 4])) for i in range(3)]
    received.clear()
print("\n".join(lines), file=sys.stderr)
