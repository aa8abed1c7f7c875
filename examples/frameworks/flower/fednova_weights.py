"""The baseline `fednova` divides its weights by their sum, and restores its rate after a round.

    PYTHONPATH=baselines/fednova python fednova_weights.py     (in the baseline's environment, at its fdef7af)

Two clients hold as much data and take 1 and 9 steps, all with the gradient 1 and the rate 1. The paper moves
by τ_eff = 5 (equation 6). `aggregate`, made for numbers of examples, divides by the sum of the weights
τ_eff p_i / τ_i, and so moves by the harmonic mean of the steps.
"""

import numpy as np
from fednova import strategy as module
from fednova.utils import fit_config
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from omegaconf import OmegaConf

CONFIG = {"optimizer": {"lr": 1.0, "gmf": 0}, "lr_scheduling": True, "num_rounds": 100}


def step():
    """The move of the model."""
    strategy = module.FedNova(
        OmegaConf.create(CONFIG), initial_parameters=ndarrays_to_parameters([np.zeros(1)])
    )
    results = []
    for steps in (1, 9):
        metrics = {"tau": 0.5 * steps, "local_norm": steps, "weight": 0.5}
        gradients = ndarrays_to_parameters([np.full(1, float(steps))])
        results.append((None, FitRes(Status(Code.OK, ""), gradients, 1, metrics)))
    return -parameters_to_ndarrays(strategy.aggregate_fit(1, results, [])[0])[0].item()


print(f"moves by {step():.2f}; expected 5.00")
module.aggregate = lambda results: [sum(array * scale for (array,), scale in results)]
print(f"without the division: {step():.2f}")
rates = {number: fit_config(OmegaConf.create(CONFIG), number)["lr"] for number in (49, 50, 51, 75, 76)}
print(f"rates of rounds: {rates}; expected 0.1 from round 50 on and 0.01 from round 75 on")
