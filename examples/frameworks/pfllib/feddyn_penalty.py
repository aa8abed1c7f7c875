"""PFLlib's FedDyn: how far one step of its penalty alone takes a client back to the global model.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/feddyn_penalty.py

The penalty of the paper (Acar et al. 2021, Algorithm 1), alpha / 2 ||w - w_t||^2, has the gradient
alpha (w - w_t), so a step of rate lr takes alpha * lr of the way back, however long that is. Here the loss is
zero, so that the penalty stands alone.
"""

import torch
from clients import arguments, give_samples
from flcore.clients.clientdyn import clientDyn

ALPHA, RATE = 1.0, 0.1

if __name__ == "__main__":
    give_samples([(torch.zeros(4), torch.tensor(0))] * 10)
    settings = arguments(torch.nn.Linear(4, 10), alpha=ALPHA, local_learning_rate=RATE)
    print("distance before   step back   step of the paper's rule")
    for distance in (0.1, 1.0, 10.0, 100.0):
        client = clientDyn(settings, 0, 10, 10, train_slow=False, send_slow=False)
        client.set_parameters(settings.model)
        client.loss = lambda outputs, labels: 0.0 * outputs.sum()
        with torch.no_grad():
            client.model.weight[0, 0] += distance
            before = client.model.weight.clone()
        client.train()
        step = (client.model.weight - before).norm().item()
        print(f"{distance:15.1f}   {step:9.4f}   {ALPHA * RATE * distance:9.4f}")
