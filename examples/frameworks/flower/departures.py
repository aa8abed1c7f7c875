"""How far runs of Flower's depart from the papers' rules, and why: python departures.py PROBLEM OUT.

Beside the papers' rules, rules with one change each say where a departure comes from: the framework does that
from which nothing departs but rounding. ../rules.py has the measure, and the rules of clients.
"""

import math
import sys
from pathlib import Path

import torch
from common import problem_in

from rules import departures, flat, rounds_of, trained

ROUNDS = (1, 20)


class Clients:
    """Clients of a problem."""

    def __init__(self, problem):
        self.problem, self.count = problem, problem.settings["clients"]
        self.weights = torch.tensor(problem.sizes) / sum(problem.sizes)
        self.steps = torch.tensor([len(problem.steps(1, client)) for client in range(self.count)])

    def change(self, weights, number, client, fixed=0.0):
        """What a client's steps add to the weights; fixed: what is added to its gradients."""
        return trained(self.problem, weights, number, client, fixed, 0.0) - weights

    def changes(self, weights, number):
        """Those of all clients [C, P]."""
        return torch.stack([self.change(weights, number, client) for client in range(self.count)])


def fedavg(clients, settings):
    return lambda weights, number: weights + clients.weights @ clients.changes(weights, number)


def fedavgm(clients, settings):
    velocity = 0.0

    def step(weights, number):
        nonlocal velocity
        velocity = settings["momentum"] * velocity + clients.weights @ clients.changes(weights, number)
        return weights + settings["server_lr"] * velocity

    return step


def adaptive(second_moment, momentum=True):
    """Algorithm 2 of Reddi et al. (2021), with v from 0 as in its authors' code."""

    def rule(clients, settings, first_v=0.0, correction=None):
        """correction: of the bias, by round + correction as exponent."""
        mean, square, beta1, beta2 = 0.0, first_v, settings["beta1"] * momentum, settings["beta2"]

        def step(weights, number):
            nonlocal mean, square
            change = clients.weights @ clients.changes(weights, number)
            mean = beta1 * mean + (1 - beta1) * change
            square = second_moment(square, change**2, beta2)
            rate = settings["server_lr"]
            if correction is not None:
                exponent = number + correction
                rate *= math.sqrt(1 - beta2**exponent) / (1 - beta1**exponent)
            return weights + rate * mean / (square.sqrt() + settings["tau"])

        return step

    return rule


fedadam = adaptive(lambda v, square, beta2: beta2 * v + (1 - beta2) * square)
fedyogi = adaptive(lambda v, square, beta2: v - (1 - beta2) * square * torch.sign(v - square))
fedadagrad = adaptive(lambda v, square, beta2: v + square, momentum=False)


def fednova(clients, settings, divided=False):
    """divided: whether the weights τ_eff p_i / τ_i are divided by their sum."""
    shares = (clients.weights @ clients.steps.float()) * clients.weights / clients.steps
    shares = shares / shares.sum() if divided else shares
    return lambda weights, number: weights + shares @ clients.changes(weights, number)


def scaffold(clients, settings, members=None, from_weights=False, by_size=False):
    """Option II; members: clients of each round.

    from_weights: whether the server's control variate starts as the weights of the start, and a client's as
    those that it gets first. by_size: whether changes of models and control variates count by samples.
    """
    start = flat(clients.problem.start)
    control = start if from_weights else torch.zeros_like(start)
    controls = {}

    def step(weights, number):
        nonlocal control
        sizes = clients.weights[members[number]] if by_size else torch.ones(len(members[number]))
        shares, changes, news = sizes / sizes.sum(), [], []
        for client in members[number]:
            own = controls.get(client, weights if from_weights else torch.zeros_like(weights))
            changes.append(clients.change(weights, number, client, control - own))
            span = clients.steps[client] * clients.problem.settings["lr"]
            controls[client] = own - control - changes[-1] / span
            news.append(controls[client] - own)
        control = control + shares @ torch.stack(news) * len(shares) / clients.count
        return weights + settings["server_lr"] * (shares @ torch.stack(changes))

    return step


RULES = {
    "fedavg": (fedavg, {}),
    "fedavgm": (fedavgm, {}),
    "fedadam": (
        fedadam,
        {
            "bias corrected, exponent t + 1": {"correction": 1},
            "bias corrected, exponent t": {"correction": 0},
            "v from τ²": {"first_v": 1e-6},
        },
    ),
    "fedyogi": (fedyogi, {"v from τ²": {"first_v": 1e-6}}),
    "fedadagrad": (fedadagrad, {"v from τ²": {"first_v": 1e-6}}),
    "fednova": (fednova, {"weights divided by their sum": {"divided": True}}),
    "scaffold": (
        scaffold,
        {
            "control variates from the weights": {"from_weights": True},
            "means by samples": {"by_size": True},
            "both": {"from_weights": True, "by_size": True},
        },
    ),
}
"""The paper's rule of each method, and its changes."""


def participants(path):
    """Clients of each round, from the lines that run_baseline.py wrote."""
    members = {}
    for number, client in (map(int, line.split()) for line in path.read_text().splitlines()):
        members.setdefault(number, []).append(client)
    return members


def main(folder, out):
    problem = problem_in(folder)
    methods = problem.settings["methods"]
    print("| run | rule | after round 1 | after round 20 |\n|---|---|---|---|")
    for path in sorted(Path(out).glob("*.safetensors")):
        method = path.stem.rpartition("-")[2]
        rule, variants = RULES.get(method, (None, {}))
        if rule is None:  # clients' models
            continue
        settings = methods.get(method, methods["fedadam"])
        given = {}
        if method == "scaffold":
            given["members"] = participants(path.with_name(f"{path.stem}-participants.txt"))
        run = rounds_of(path)
        for name, changes in {"the paper's": {}, **variants}.items():
            step, weights = rule(Clients(problem), settings, **given, **changes), [run[0]]
            for number in range(1, len(run)):
                weights.append(step(weights[-1], number))
            values = departures(run, weights)
            cells = [path.stem, name, *(f"{values[number - 1]:.1e}" for number in ROUNDS)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
