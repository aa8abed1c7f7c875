"""All client rules in one table: each is FedAvg where it should be, differs where it should, goes with every
common setting and server rule, and does not care about lanes, the order of clients or interruptions.

`test_algorithms.py` and `test_algorithms_drift.py` check what is special about each.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from engine_helpers import PlainClient, owned
from small_federation import (
    GROUPED,
    RESIDUAL,
    SIZES,
    TRAINING,
    Played,
    gradient_of,
    loss_of,
    network,
    play,
    rule,
    samples,
)

import fedscape
from fedscape.checkpoints.layout import parameters_of
from fedscape.federated import algorithms, servers
from fedscape.federated.pruning import sparsity
from fedscape.jobs.resume import ResumeFolder
from fedscape.plugins import load
from fedscape.settings.training import (
    Augmentation,
    Epochs,
    Pruning,
    Schedule,
    SharpnessAware,
    TrainingSettings,
)


@dataclass(frozen=True)
class Method:
    """A client rule, for the tests below."""

    on: dict = field(default_factory=dict)  # settings with which it does what it is for
    off: dict | None = None  # arguments of `play` with which it is FedAvg, to the last bit with one lane
    refuses: tuple[str, ...] = ()  # of COMMON, those that it does not go with
    draws: bool = False  # whether clients draw something of their own beside the order of samples


# What sees to it that no common setting is left out when a rule is off.
BUSY = {
    "momentum": 0.9,
    "weight_decay": 1e-2,
    "participation": 0.75,
    "augmentation": Augmentation(crop=2, flip=0.5),
    "clip": 1.0,
    "lr": 0.01,
}
METHODS = {
    "fedavg": Method(),
    "fedprox": Method({"mu": 10.0}, BUSY | {"settings": {"mu": 0.0}}, ("sometimes", "never")),
    "moon": Method({"mu": 5.0}, BUSY | {"settings": {"mu": 0.0}}, ("sometimes", "never")),
    "mixup": Method({"gamma": 1.0}, BUSY | {"settings": {"gamma": 0.0}}, draws=True),
    "stochdepth": Method({"survival": 0.5}, BUSY | {"settings": {"survival": 1.0}}),
    "gradaug": Method({}, BUSY | {"settings": {"mu": 0.0}}),
    "fedalign": Method({}, BUSY | {"settings": {"mu": 0.0}}),
    # All control variates are zero in the first round.
    "scaffold": Method(
        {}, BUSY | {"rounds": 1}, ("adamw", "nesterov", "keep", "sometimes", "never", "pruning")
    ),
    "feddyn": Method({"alpha": 0.1}, None, ("sometimes", "never")),
    "fednova": Method({}, None, ("adamw", "nesterov", "keep", "sometimes", "never")),
    "mimelite": Method(
        {},
        BUSY | {"momentum": 0.0, "settings": {"beta": 0.0}},
        ("adamw", "momentum", "nesterov", "keep", "sometimes", "never"),
    ),
    # There is nothing to keep for a client where no layer has running statistics.
    "fedbn": Method({}, BUSY | {"model": GROUPED}, ("sometimes", "never")),
    "fedcm": Method(
        {"alpha": 0.5},
        BUSY | {"settings": {"alpha": 1.0}},
        ("adamw", "nesterov", "keep", "sometimes", "never", "pruning"),
    ),
    "fedlesam": Method({}, BUSY | {"settings": {"rho": 0.0}}, ("sometimes", "never", "sam")),
    "fedsmoo": Method({"rho": 0.02}, None, ("sometimes", "never", "sam")),
    "fedgloss": Method({"rho": 0.05}, None, ("sometimes", "never")),
    "feddecorr": Method({}, BUSY | {"settings": {"beta": 0.0}}),
}
PRUNING = Pruning(initial_sparsity=0.2, final_sparsity=0.6, begin=1, end=2, frequency=1, unit="round")
COMMON = {
    "adamw": {"optimiser": "adamw"},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "keep": {"momentum": 0.9, "optimiser_state": "keep"},
    "sometimes": {"average_every": 2},
    "never": {"average_every": "never"},
    "schedule": {"schedule": Schedule(kind="cosine", warmup_steps=3, warmup_lr=1e-4)},
    "epochs": {"local_epochs": Epochs([2, 3])},
    "images": {"augmentation": Augmentation(crop=2, flip=0.5, normalise="client"), "clip": 0.1},
    "pruning": {"pruning": PRUNING},
    "input variance": {"weights": "inverse-input-variance"},
    "update variance": {"weights": "inverse-update-variance", "local_epochs": 2},
    "sam": {"sam": SharpnessAware(rho=0.05)},
}
SERVERS = {"momentum": {}, "adam": {"bias_correction": True}, "yogi": {}, "adagrad": {}, "fedexp": {}}
SIDE_BY_SIDE = (2, 6, 4, 5, 3, 4, 16, 2, 12, 4, 3)
"""Samples of eleven clients, for many lanes: most batches of one size have company, some have none."""
ROUNDING = 1e-6
"""Parameters are about 0.1 and move by 1e-3; another order of sums changes some of them by about 1e-7."""

every_method = pytest.mark.parametrize("name", METHODS)


@cache
def usual(name: str, **changes) -> Played:
    """Two rounds of a method that is on."""
    return play(name, METHODS[name].on, weights="uniform", **changes)


def goes_with(name: str, common: str) -> bool:
    return common not in METHODS[name].refuses


def assert_same_states(one: Played, other: Played) -> None:
    """To the last bit."""
    for mine, theirs in zip(one.states, other.states, strict=True):
        for vector, its in zip(mine.model.vectors, theirs.model.vectors, strict=True):
            assert torch.equal(vector, its)


def assert_close_states(one: Played, other: Played) -> None:
    for mine, theirs in zip(one.states[1:], other.states[1:], strict=True):
        moved = (mine.model.parameters - one.states[0].model.parameters).abs().max()
        assert moved > 100 * ROUNDING, "or there would be nothing to see"
        difference = mine.model.parameters - theirs.model.parameters
        torch.testing.assert_close(difference, torch.zeros_like(difference), rtol=0, atol=ROUNDING)
        torch.testing.assert_close(mine.model.buffers, theirs.model.buffers, rtol=1e-4, atol=1e-5)
        for key, vector in mine.shared.items():
            torch.testing.assert_close(vector, theirs.shared[key], rtol=1e-3, atol=1e-4)


def test_every_rule_is_in_the_table():
    files = {path.stem for path in Path(algorithms.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in METHODS} == files


def test_every_server_rule_is_in_the_table():
    files = {path.stem for path in Path(servers.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(SERVERS) == files - {"average"}


# FedAvg itself


def test_a_full_batch_step_of_all_clients_is_gradient_descent():
    played = play("fedavg", model=GROUPED, batch_size=100, lr=0.1, lanes=2)
    module, data = network(GROUPED), samples(sum(SIZES))
    gradient = gradient_of(module, data, np.arange(sum(SIZES)))
    expected = played.parameters[0].clone()
    for number in (1, 2):
        expected -= 0.1 * gradient(expected)
        torch.testing.assert_close(played.parameters[number], expected, rtol=1e-5, atol=1e-6)


def test_one_client_that_keeps_its_optimiser_is_central_training():
    changes = {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-2, "lr": 0.01, "local_epochs": 2}
    played = play("fedavg", sizes=(11,), optimiser_state="keep", **changes)
    training = TrainingSettings(**vars(TRAINING) | changes)
    plain = PlainClient(network(), samples(11), training)
    for number in (1, 2):
        plain.train(owned(11)[0], number)
        for mine, its in zip(played.states[number].model.vectors, plain.model.vectors, strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


# Off, a rule is FedAvg; on, it is not


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.off])
def test_off_it_is_fedavg(name):
    arguments = METHODS[name].off | {"weights": "uniform"}
    assert_same_states(play(name, **arguments), play("fedavg", **arguments | {"settings": {}}))


@pytest.mark.parametrize(
    ("name", "settings", "base"),
    [("fedsmoo", {"rho": 0.0, "alpha": 0.1}, 0.1), ("fedgloss", {"rho": 0.0, "beta": 8.0}, 0.125)],
)
def test_without_a_perturbation_it_is_feddyn(name, settings, base):
    arguments = BUSY | {"sizes": (6, 6, 6, 6), "rounds": 3}
    assert_same_states(play(name, settings, **arguments), play("feddyn", {"alpha": base}, **arguments))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fednova_is_fedavg_where_all_clients_take_as_many_steps(momentum):
    arguments = {"sizes": (8, 8, 8), "local_epochs": 2, "momentum": momentum, "lanes": 3}
    assert_close_states(play("fednova", **arguments), play("fedavg", **arguments))


def test_the_first_round_of_feddyn_with_a_vanishing_alpha():
    """Clients do what FedAvg's do; the server, whose share of the rule has no alpha, goes further."""
    arguments = {"rounds": 1, "participation": 0.5, "weights": "uniform"}
    dynamic, plain = play("feddyn", {"alpha": 1e-9}, **arguments), play("fedavg", **arguments)
    for client, result in plain.results[0].items():
        its = dynamic.results[0][client].model.parameters
        torch.testing.assert_close(its, result.model.parameters, rtol=0, atol=ROUNDING)
    start, mean = plain.parameters
    expected = mean + len(plain.results[0]) / len(SIZES) * (mean - start)
    torch.testing.assert_close(dynamic.parameters[1], expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "fedavg"])
def test_on_it_is_not_fedavg(name):
    epochs = {"local_epochs": 3}  # a way on which drift builds up
    difference = usual(name, **epochs).parameters[2] - usual("fedavg", **epochs).parameters[2]
    assert difference.abs().max() > 10 * ROUNDING


@every_method
def test_it_learns(name):
    model = RESIDUAL | {"blocks": [1, 1]}
    played = play(
        name, METHODS[name].on, model=model, rounds=3, local_epochs=3, lr=0.05, lanes=4, sizes=(8, 7, 9)
    )
    assert loss_of(played, 3, model) < 0.9 * loss_of(played, 0, model)


# What must not matter


@every_method
@pytest.mark.parametrize("lanes", [2, 5, 10])
def test_lanes_do_not_matter(name, lanes):
    arguments = {
        "sizes": SIDE_BY_SIDE,
        "participation": 0.91,
        "augmentation": Augmentation(crop=2, flip=0.5),
        "weight_decay": 1e-2,
    }
    one, several = (
        usual(name, **arguments),
        play(name, METHODS[name].on, weights="uniform", lanes=lanes, **arguments),
    )
    assert_close_states(one, several)
    for after_one, after_several in zip(one.kept[-1], several.kept[-1], strict=True):
        for key, vector in after_one.items():
            torch.testing.assert_close(vector, after_several[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "adaptive"), [("fedavg", True), *((name, False) for name in METHODS if goes_with(name, "sam"))]
)
def test_lanes_do_not_matter_to_a_second_gradient(name, adaptive):
    arguments = {
        "sizes": SIDE_BY_SIDE,
        "augmentation": Augmentation(crop=2, flip=0.5),
        "sam": SharpnessAware(rho=0.5 if adaptive else 0.05, adaptive=adaptive),
        "weights": "uniform",
    }
    assert_close_states(*(play(name, METHODS[name].on, lanes=lanes, **arguments) for lanes in (1, 5)))


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_clients_own_mask_is_not_the_next_ones(lanes):
    """Pruning by steps draws a mask per client, in whatever lane it trains; short ones have none yet."""
    pruning = Pruning(initial_sparsity=0.3, final_sparsity=0.6, begin=2, end=4, frequency=1, unit="step")
    one, other = (
        play("fedavg", sizes=SIDE_BY_SIDE, pruning=pruning, rounds=1, lanes=count, reordered=order)
        for count, order in ((1, None), (lanes, lambda tasks: tasks[::-1]))
    )
    for client, result in one.results[0].items():
        its = other.results[0][client].model.parameters
        torch.testing.assert_close(its, result.model.parameters, rtol=0, atol=ROUNDING)
    zeros = [int((result.model.parameters == 0).sum()) for result in one.results[0].values()]
    assert len(set(zeros)) == 4, "the more steps, the sparser"


@every_method
def test_the_order_of_training_does_not_matter(name):
    backwards = play(name, METHODS[name].on, weights="uniform", reordered=lambda tasks: tasks[::-1])
    assert_close_states(usual(name), backwards)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.draws])
def test_the_numbers_of_clients_do_not_matter(name):
    """Full batches, so that nothing hangs on the order of samples, which is drawn by a client's number."""
    arguments = {"batch_size": 100, "local_epochs": 2, "lanes": 2}
    clients = owned(*SIZES)
    straight = play(name, METHODS[name].on, clients=clients, **arguments)
    assert_close_states(straight, play(name, METHODS[name].on, clients=clients[::-1], **arguments))


@every_method
def test_settings_that_say_nothing_change_nothing(name):
    """To the last bit, all at once."""
    nothing = {
        "clip": 1e9,
        "schedule": Schedule(kind="step", decay=1.0, decay_at=[0.5], warmup_steps=3, warmup_lr=TRAINING.lr),
        "local_epochs": Epochs([1, 1]),
        "precision": "tf32",
        "augmentation": Augmentation(crop=0, flip=0.0, brightness=0.0),
    }
    if goes_with(name, "pruning"):
        nothing["pruning"] = replace(PRUNING, initial_sparsity=0, final_sparsity=0)
    if goes_with(name, "sam"):
        nothing["sam"] = SharpnessAware(rho=0.0)
    assert_same_states(play(name, METHODS[name].on, weights="uniform", **nothing), usual(name))


@every_method
def test_weights_by_size_are_uniform_where_sizes_are_equal(name):
    one, other = (play(name, METHODS[name].on, sizes=(5, 5, 5), weights=kind) for kind in ("size", "uniform"))
    for mine, its in zip(one.states, other.states, strict=True):
        torch.testing.assert_close(mine.model.parameters, its.model.parameters, rtol=0, atol=1e-7)


# What goes together


@every_method
def test_what_it_refuses(name):
    settings = rule(name, **METHODS[name].on).settings
    refused = []
    for common, changes in COMMON.items():
        try:
            getattr(settings, "check", lambda training: None)(TrainingSettings(**vars(TRAINING) | changes))
        except ValueError as error:
            assert str(error).startswith(name)
            refused.append(common)
    assert set(refused) == set(METHODS[name].refuses)


TESTED_ELSEWHERE = ("nesterov", "pruning")  # with FedAvg, as a form of momentum; below
COMBINATIONS = [
    (name, common)
    for name in METHODS
    for common in COMMON
    if goes_with(name, common) and common not in TESTED_ELSEWHERE
]


@pytest.mark.parametrize(("name", "common"), COMBINATIONS)
def test_common_settings_work(name, common):
    """What they do is tested with FedAvg; here, that they do something, and when."""
    played, plain = play(name, METHODS[name].on, **{"weights": "uniform"} | COMMON[common]), usual(name)
    assert torch.isfinite(played.parameters).all()
    if common == "keep":
        plain = usual(name, momentum=0.9)
    first = torch.equal(played.parameters[1], plain.parameters[1])
    assert first == (common in ("keep", "sometimes", "never"))
    assert (played.parameters[2] - plain.parameters[2]).abs().max() > ROUNDING


@every_method
@pytest.mark.parametrize("server", SERVERS)
def test_server_rules_work(name, server):
    """The server sees what the method's own average would have been, and steps from there."""
    plugin, plain = load("federated.servers", server), usual(name, sizes=(5, 3))
    played = play(
        name,
        METHODS[name].on,
        weights="uniform",
        sizes=(5, 3),
        server=server,
        server_settings=SERVERS[server],
    )
    start, target = plain.parameters[:2]
    settings = plugin.Settings(**SERVERS[server])
    if hasattr(plugin, "extrapolate"):
        squares = [(result.model.parameters - start).square().sum() for result in plain.results[0].values()]
        target = plugin.extrapolate(settings, start, target, torch.stack(squares).mean())
    expected, _ = plugin.step(settings, start, target, {})
    assert torch.equal(played.parameters[1], expected)
    assert torch.isfinite(played.parameters[2]).all()
    assert not torch.equal(played.parameters[2], played.parameters[1])


@pytest.mark.parametrize("name", [name for name in METHODS if goes_with(name, "pruning")])
@pytest.mark.parametrize("unit", ["round", "step"])
def test_pruned_models_are_sparse(name, unit):
    settings = replace(PRUNING, unit=unit)
    played = play(name, METHODS[name].on, pruning=settings, local_epochs=2, sizes=(6, 3))
    steps = max(result.steps for result in played.results[0].values())
    for number in (1, 2):
        state = played.states[number]
        share = sparsity(settings, number if unit == "round" else number * steps)
        for key, weights in parameters_of(state.model.parameters, played.layout).items():
            if weights.ndim >= 2:
                zeros = int((weights == 0).sum())
                assert zeros == weights.numel() - max(1, round(weights.numel() * (1 - share))), key
    # No mask is due in the second round's steps, and clients stay within the one that they are handed.
    handed = played.states[1].kept
    for result in played.results[1].values():
        assert not result.model.parameters[~handed].any()


@every_method
def test_half_precision_is_close(name):
    single, half = usual(name), play(name, METHODS[name].on, weights="uniform", precision="bf16")
    changes = [played.parameters[1] - played.parameters[0] for played in (single, half)]
    cosine = torch.nn.functional.cosine_similarity(*changes, dim=0)
    assert cosine > 0.97
    assert half.parameters.dtype == torch.float32
    assert not torch.equal(*changes)
    assert half.reports[0].client_loss == pytest.approx(single.reports[0].client_loss, rel=0.02)


# Interruptions


def prepared(folder: Path) -> dict:
    """Inputs of a run in `folder`; its arguments."""
    small_run.prepare(folder, "resnet", model_settings=RESIDUAL)
    return {
        "model": "resnet",
        "model_settings": RESIDUAL,
        "client_paths": False,
        "rounds": 3,
        "local_epochs": 1,
    }


def contents(outputs: dict[str, Path]) -> dict[str, bytes]:
    return {name: outputs[name].read_bytes() for name in small_run.REPEATABLE}


@every_method
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path, monkeypatch, name):
    """Unequal participation: what clients and the server keep is older than a round for some."""
    changes = prepared(tmp_path) | {
        "algorithm": name,
        "algorithm_settings": METHODS[name].on,
        "server": "adam",
        "server_settings": {"bias_correction": True, "lr": 1e-3},
        "participation": 0.5,
        "lanes": 2,
        "batch_size": 16,
        "momentum": 0.9 if goes_with(name, "momentum") else 0.0,
        "optimiser_state": "keep" if goes_with(name, "keep") else "reset",
    }
    whole = small_run.run_once(tmp_path, out="whole", **changes)
    with monkeypatch.context() as patch:
        patch.setattr(
            ResumeFolder, "stop_requested", lambda self: "a test" if self.progress["round"] == 2 else None
        )
        with pytest.raises(SystemExit):
            small_run.run_once(tmp_path, **changes)
    assert contents(small_run.run_once(tmp_path, **changes)) == contents(whole)


def test_a_run_that_was_killed_keeps_what_clients_keep(tmp_path):
    """FedDyn with momentum that is kept and Adam on the server: everything that can be kept is."""
    changes = prepared(tmp_path) | {
        "algorithm": "feddyn",
        "server": "adam",
        "server_settings": {"lr": 1e-3},
        "optimiser_state": "keep",
        "batch_size": 16,
        "lanes": 1,
    }
    whole = small_run.run_once(tmp_path, out="whole", **changes)
    search = [Path(fedscape.__file__).parents[1], Path(__file__).parents[3]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, small_run.__file__, tmp_path, "1", json.dumps(changes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 3
    assert contents({name: tmp_path / "out" / file for name, file in small_run.OUTPUTS.items()}) == contents(
        whole
    )
