"""The papers' rules as plain loops, and how far runs of frameworks depart from them.

    python examples/frameworks/rules.py PROBLEM_FOLDER METHOD RUN.safetensors...

prints ||w - w_paper|| / ||w_paper - w_0|| of each run after rounds 1, 2, 5, 10 and 20. The rules are those of
the papers' algorithms, with all clients in each round, SGD without momentum, and K steps of a client i:

- fedavg (McMahan et al. 2017): w = sum p_i y_i, p_i = n_i / n.
- scaffold (Karimireddy et al. 2020, option II): steps along g + c - c_i; c_i+ = c_i - c + (w - y_i) / (K lr);
  w and c move by the plain mean over clients.
- feddyn (Acar et al. 2021, as its authors' code): steps along g + a_i (y - w + h_i) with
  a_i = alpha / (n_i N / n); h_i grows by y_i - w; w = mean y_i + mean h_i, the model that is sent.
- fednova (Wang et al. 2020): w moves by -(sum p_i K_i) sum p_i (w - y_i) / K_i.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from exchange import Problem
from net import Net
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call

SHOWN = (1, 2, 5, 10, 20)


def flat(state: dict[str, Tensor]) -> Tensor:
    """A state_dict as one vector, in the order of the network's entries."""
    return torch.cat([state[name].flatten() for name in Net().state_dict()])


def gradient(weights: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy of a batch."""
    network, weights = Net(), weights.clone().requires_grad_()
    shapes = [entry.shape for entry in network.state_dict().values()]
    parts = weights.split([shape.numel() for shape in shapes])
    state = {
        name: part.view(shape) for name, part, shape in zip(network.state_dict(), parts, shapes, strict=True)
    }
    loss = nn.functional.cross_entropy(functional_call(network, state, (inputs,)), labels)
    return torch.autograd.grad(loss, weights)[0]


def trained(problem: Problem, start: Tensor, number: int, client: int, fixed: Tensor, pull: float) -> Tensor:
    """A client's model after a round: SGD along the gradient + `fixed` + `pull` times the weights."""
    weights = start
    for inputs, labels in problem.steps(number, client):
        direction = gradient(weights, inputs, labels) + fixed + pull * weights
        weights = weights - problem.settings["lr"] * direction
    return weights


def trajectory(problem: Problem, method: str) -> Iterator[Tensor]:
    """The global models of rounds 0, 1, ... by a paper's rule."""
    lr, methods, count = (problem.settings[key] for key in ("lr", "methods", "clients"))
    shares = [size / sum(problem.sizes) for size in problem.sizes]
    weights = flat(problem.start)
    yield weights
    memory = [torch.zeros_like(weights)] * count  # c_i of SCAFFOLD, h_i of FedDyn
    control = torch.zeros_like(weights)  # c of SCAFFOLD
    pulls = [0.0] * count
    if method == "feddyn":
        pulls = [methods["feddyn"]["alpha"] / (share * count) for share in shares]
    for number in range(1, problem.settings["rounds"] + 1):
        fixed = {
            "scaffold": [control - own for own in memory],
            "feddyn": [pull * (own - weights) for pull, own in zip(pulls, memory, strict=True)],
        }.get(method, memory)
        models = [trained(problem, weights, number, i, fixed[i], pulls[i]) for i in range(count)]
        changes = [model - weights for model in models]
        steps = [len(problem.steps(number, i)) for i in range(count)]
        if method == "scaffold":
            own = [memory[i] - control - changes[i] / (steps[i] * lr) for i in range(count)]
            control = control + (sum(own) - sum(memory)) / count
            memory = own
            weights = weights + methods["scaffold"]["server_lr"] * sum(changes) / count
        elif method == "feddyn":
            memory = [own + change for own, change in zip(memory, changes, strict=True)]
            weights = (sum(models) + sum(memory)) / count
        elif method == "fednova":
            effective = sum(share * own for share, own in zip(shares, steps, strict=True))
            weights = weights + effective * sum(shares[i] * changes[i] / steps[i] for i in range(count))
        else:
            weights = sum(share * model for share, model in zip(shares, models, strict=True))
        yield weights


def rounds_of(path: Path) -> list[Tensor]:
    """The global models of a file with entries `<round>/<name>`."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(path).items():
        number, entry = name.split("/", 1)
        states.setdefault(int(number), {})[entry] = tensor
    return [flat(states[number]) for number in sorted(states)]


def departures(run: list[Tensor], paper: list[Tensor]) -> list[float]:
    """The departure of each round from 1."""
    pairs = list(zip(run, paper, strict=True))[1:]
    return [float((own - rule).norm() / (rule - paper[0]).norm()) for own, rule in pairs]


if __name__ == "__main__":
    rule = list(trajectory(Problem.read(Path(sys.argv[1])), sys.argv[2]))
    for file in map(Path, sys.argv[3:]):
        values = departures(rounds_of(file), rule)
        print(file.stem, *(f"round {i}: {values[i - 1]:.2e}" for i in SHOWN if i <= len(values)))
