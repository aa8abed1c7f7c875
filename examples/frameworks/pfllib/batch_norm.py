"""Batch norm in PFLlib: running means of the global model after two rounds.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/batch_norm.py

Only parameters are averaged. FedAvg's and FedDyn's global model has the buffers of the client that came in
first, and SCAFFOLD's those of the start.
"""

import torch
from clients import give_samples, server_of, train_rounds
from flcore.servers.serveravg import FedAvg
from flcore.servers.serverdyn import FedDyn
from flcore.servers.serverscaffold import SCAFFOLD
from torch import nn

if __name__ == "__main__":
    torch.manual_seed(0)
    give_samples([(5 + torch.randn(4), torch.tensor(i % 10)) for i in range(20)])
    for rule in (FedAvg, FedDyn, SCAFFOLD):
        server = server_of(rule, nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 10)))
        train_rounds(server, 2)
        mean = server.global_model[0].running_mean.mean()
        own = [float(client.model[0].running_mean.mean()) for client in server.clients]
        print(f"{rule.__name__}: global {mean:.4f}, clients {own[0]:.4f} {own[1]:.4f}")
