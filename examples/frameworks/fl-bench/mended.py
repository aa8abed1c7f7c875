"""The paper's rule put back into FL-bench's SCAFFOLD from outside, in one line."""

from collections.abc import Mapping

from src.server.scaffold import SCAFFOLDServer


def keep_controls() -> None:
    """Let SCAFFOLD's server keep the control variates that clients send the changes of."""
    aggregate = SCAFFOLDServer.aggregate_client_updates

    def aggregated(server: SCAFFOLDServer, packages: Mapping[int, dict]) -> None:
        aggregate(server, packages)
        for client, package in packages.items():
            server.c_local[client] = [
                old + change for old, change in zip(server.c_local[client], package["c_delta"], strict=True)
            ]

    SCAFFOLDServer.aggregate_client_updates = aggregated
