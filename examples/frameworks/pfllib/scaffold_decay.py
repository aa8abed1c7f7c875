"""PFLlib's SCAFFOLD with a rate that decays (`-ld True`): the control variate of a client after one step.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/scaffold_decay.py

After one local step, option II of the paper, c_i - c + (x - y) / (K lr), is the gradient of that step. PFLlib
divides by the rate of the start, while the optimiser steps by the rate of the round.
"""

import torch
from clients import arguments, give_samples
from flcore.clients.clientscaffold import clientSCAFFOLD
from torch import nn

if __name__ == "__main__":
    torch.manual_seed(0)
    give_samples([(torch.randn(4), torch.tensor(i)) for i in range(10)])
    for decay in (False, True):
        settings = arguments(nn.Linear(4, 10), learning_rate_decay=decay, learning_rate_decay_gamma=0.5)
        client = clientSCAFFOLD(settings, 0, 10, 10, train_slow=False, send_slow=False)
        for number in (1, 2):
            client.set_parameters(settings.model, [torch.zeros_like(p) for p in settings.model.parameters()])
            client.client_c = [torch.zeros_like(p) for p in settings.model.parameters()]
            client.train()
            ratio = float(client.client_c[0].norm() / client.model.weight.grad.norm())
            print(f"decay {decay}, round {number}: |c_i| / |gradient| = {ratio:.4f}")
