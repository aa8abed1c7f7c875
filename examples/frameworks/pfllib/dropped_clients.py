"""PFLlib with clients that drop out (`-cdr 0.5`): what a server makes of the one model of two that comes in.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/dropped_clients.py

SCAFFOLD's and FedDyn's servers divide the sum over the clients that came in by the number that were asked. In
the papers the mean is over those that took part.
"""

import torch
from clients import give_samples, server_of, train_rounds
from flcore.servers.serveravg import FedAvg
from flcore.servers.serverdyn import FedDyn
from flcore.servers.serverscaffold import SCAFFOLD

if __name__ == "__main__":
    torch.manual_seed(0)
    give_samples([(torch.randn(4), torch.tensor(i)) for i in range(10)])
    print("A rate of 0: each client hands back what it got, and the global model should stay.")
    for rule in (FedAvg, FedDyn):
        server = server_of(rule, torch.nn.Linear(4, 10), client_drop_rate=0.5, local_learning_rate=0.0)
        before = server.global_model.weight.norm().item()
        train_rounds(server, 1)
        after = server.global_model.weight.norm().item()
        print(f"  {rule.__name__}: norm {before:.4f} before, {after:.4f} after")
    print("A rate of 0.1: how far the global model moves, in lengths of the change that came in.")
    for rule in (FedAvg, SCAFFOLD):
        server = server_of(rule, torch.nn.Linear(4, 10), client_drop_rate=0.5)
        before = server.global_model.weight.detach().clone()
        train_rounds(server, 1)
        (client,) = server.uploaded_ids
        moved, change = (
            (model.weight - before).norm().item()
            for model in (server.global_model, server.clients[client].model)
        )
        print(f"  {rule.__name__}: {moved / change:.4f}")
