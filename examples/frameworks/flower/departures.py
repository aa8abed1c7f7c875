"""How far runs of Flower's depart from the papers' rules: python departures.py PROBLEM OUT.

The departure of a round is ||theirs - paper's|| / ||paper's - start|| over all parameters. The papers' rules
run here by hand, clients in float32 as the frameworks', the server in float64. Rules with one change each say
where a departure comes from: the framework does that from which nothing departs but rounding.
"""

import math
import sys
from pathlib import Path

import torch
from common import Problem
from net import Net
from safetensors.torch import load_file

ROUNDS = (1, 20)


def flat(state):
    return torch.cat([state[name].flatten().double() for name in Net().state_dict()])


class Clients:
    """Clients of the problem, that hand back models as flat float64 vectors."""

    def __init__(self, problem):
        self.problem, self.network = problem, Net()
        self.rate = problem.settings["lr"]
        self.weights = torch.from_numpy(problem.sizes / problem.sizes.sum())
        self.count = problem.settings["clients"]

    def steps(self, round_number, client):
        return sum(1 for _ in self.problem.batches(round_number, client))

    def trained(self, model, round_number, client, correction=None):
        """The model after a client's steps; correction: added to each gradient."""
        parameters = list(self.network.parameters())
        sizes = [value.numel() for value in parameters]
        parts = None if correction is None else correction.float().split(sizes)
        with torch.no_grad():
            for value, part in zip(parameters, model.float().split(sizes), strict=True):
                value.copy_(part.view_as(value))
        for images, labels in self.problem.batches(round_number, client):
            loss = torch.nn.functional.cross_entropy(self.network(images), labels)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for i, (value, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                    if parts is not None:
                        gradient = gradient + parts[i].view_as(gradient)
                    value.sub_(gradient, alpha=self.rate)
        return torch.cat([value.detach().flatten().double() for value in parameters])

    def every(self, model, round_number):
        """What all clients hand back [C, P]."""
        return torch.stack([self.trained(model, round_number, client) for client in range(self.count)])

    def mean_change(self, model, round_number):
        return self.weights @ (self.every(model, round_number) - model)


def fedavg(clients, settings):
    def step(model, round_number):
        return model + clients.mean_change(model, round_number)

    return step


def fedavgm(clients, settings):
    velocity = 0.0

    def step(model, round_number):
        nonlocal velocity
        velocity = settings["momentum"] * velocity + clients.mean_change(model, round_number)
        return model + settings["server_lr"] * velocity

    return step


def adaptive(second_moment, momentum=True):
    def rule(clients, settings, first_v=0.0, corrected_by=None):
        """corrected_by: what is added to the round's number in the exponent of the bias correction."""
        mean, square, beta1, beta2 = 0.0, first_v, settings["beta1"] * momentum, settings["beta2"]

        def step(model, round_number):
            nonlocal mean, square
            change = clients.mean_change(model, round_number)
            mean = beta1 * mean + (1 - beta1) * change
            square = second_moment(square, change**2, beta2)
            rate = settings["server_lr"]
            if corrected_by is not None:
                exponent = round_number + corrected_by
                rate *= math.sqrt(1 - beta2**exponent) / (1 - beta1**exponent)
            return model + rate * mean / (square.sqrt() + settings["tau"])

        return step

    return rule


fedadam = adaptive(lambda v, square, beta2: beta2 * v + (1 - beta2) * square)
fedyogi = adaptive(lambda v, square, beta2: v - (1 - beta2) * square * torch.sign(v - square))
fedadagrad = adaptive(lambda v, square, beta2: v + square, momentum=False)


def fednova(clients, settings, mean_of_scaled=False):
    """mean_of_scaled: whether the weights τ_eff p_i / τ_i are divided by their sum."""

    def step(model, round_number):
        steps = torch.tensor([clients.steps(round_number, i) for i in range(clients.count)]).double()
        weights = (clients.weights @ steps) * clients.weights / steps
        if mean_of_scaled:
            weights = weights / weights.sum()
        return model + weights @ (clients.every(model, round_number) - model)

    return step


def scaffold(clients, settings, participants=None, from_weights=False, by_size=False):
    """Option II; participants: clients of each round (from 1), all without it.

    from_weights: whether the server's control variate starts as the start's weights, and a client's as those
    of the model that it gets first. by_size: whether changes of models and control variates count by samples.
    """
    start = flat(clients.problem.start)
    control = start if from_weights else torch.zeros_like(start)
    controls = {}

    def step(model, round_number):
        nonlocal control
        members = participants[round_number] if participants else range(clients.count)
        sizes = clients.weights[list(members)] if by_size else torch.ones(len(members), dtype=torch.float64)
        weights = sizes / sizes.sum()
        moves, changes = [], []
        for client in members:
            own = controls.get(client, model if from_weights else torch.zeros_like(model))
            trained = clients.trained(model, round_number, client, control - own)
            span = clients.steps(round_number, client) * clients.rate
            controls[client] = own - control + (model - trained) / span
            moves.append(trained - model)
            changes.append(controls[client] - own)
        control = control + weights @ torch.stack(changes) * len(members) / clients.count
        return model + settings["server_lr"] * (weights @ torch.stack(moves))

    return step


TAU_SQUARED = "v from τ²"
RULES = {
    "fedavg": (fedavg, {}),
    "fedavgm": (fedavgm, {}),
    "fedadam": (
        fedadam,
        {
            "bias corrected, exponent t + 1": {"corrected_by": 1},
            "bias corrected, exponent t": {"corrected_by": 0},
        },
    ),
    "fedyogi": (fedyogi, {}),
    "fedadagrad": (fedadagrad, {}),
    "fednova": (fednova, {"weights divided by their sum": {"mean_of_scaled": True}}),
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


def run(problem, rule, settings, changes):
    """Models of all rounds."""
    model = flat(problem.start)
    step, models = rule(Clients(problem), settings, **changes), [model]
    for round_number in range(1, problem.settings["rounds"] + 1):
        models.append(step(models[-1], round_number))
    return models


def read(path, rounds):
    entries = load_file(path)
    return [
        flat({name: entries[f"{number}/{name}"] for name in Net().state_dict()})
        for number in range(rounds + 1)
    ]


def participants(path):
    """Clients of each round, from the lines that `run_baseline.py` wrote."""
    members = {}
    for number, client in (map(int, line.split()) for line in path.read_text().splitlines()):
        members.setdefault(number, []).append(client)
    return members


def departures(theirs, papers):
    return [
        float((theirs[number] - papers[number]).norm() / (papers[number] - papers[0]).norm())
        for number in ROUNDS
    ]


def main(problem_folder, out):
    torch.set_num_threads(1)
    problem = Problem(problem_folder)
    print("| run | rule | after round 1 | after round 20 |\n|---|---|---|---|")
    for path in sorted(Path(out).glob("*.safetensors")):
        method = path.stem.rpartition("-")[2]
        if method not in RULES:
            continue
        rule, variants = RULES[method]
        like_adam = method in ("fedyogi", "fedadagrad")
        settings = problem.settings["methods"]["fedadam" if like_adam else method]
        if like_adam or method == "fedadam":
            variants = {**variants, TAU_SQUARED: {"first_v": settings["tau"] ** 2}}
        common = {}
        if method == "scaffold":
            common["participants"] = participants(path.with_name(f"{path.stem}-participants.txt"))
        theirs = read(path, problem.settings["rounds"])
        for name, changes in {"the paper's": {}, **variants}.items():
            first, last = departures(theirs, run(problem, rule, settings, {**common, **changes}))
            print(f"| {path.stem} | {name} | {first:.1e} | {last:.1e} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
