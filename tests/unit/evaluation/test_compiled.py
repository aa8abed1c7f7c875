"""The compiled evaluation step: equal to the other up to rounding, chosen where it pays, never mixed with it."""

import numpy as np
import pytest
import torch
from surface_helpers import counted_points, linear_plane, surface
from torch import nn

from fedscape.errors import FedscapeError
from fedscape.evaluation import compiled
from fedscape.evaluation.compiled import chosen_step, compiled_step, forward_flops, seconds_saved
from fedscape.evaluation.evaluate import EvaluationSet, evaluate_groups, evaluation_step
from fedscape.landscape import evaluator

MEASURES = "loss", "loss_se", "error", "error_se"


@pytest.fixture(autouse=True)
def fresh_compiler():
    """Dynamo compiles a function for eight kinds of input in a process; tests of others have theirs."""
    torch._dynamo.reset()


def tiny_network():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    return nn.Sequential(*layers).requires_grad_(False)


def tiny_data(count=25, batch_size=10):
    draw = np.random.default_rng(1)
    images = torch.from_numpy(draw.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8))
    labels = torch.from_numpy(draw.integers(0, 3, count))
    return EvaluationSet(images, labels, torch.full((1,), 0.4), torch.full((1,), 0.3), batch_size)


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-6), ("bf16", 1e-2)])
def test_both_ways_agree_and_what_fills_the_last_batch_does_not_count(precision, allowed):
    network, data = tiny_network(), tiny_data()
    step, groups = compiled_step(), torch.arange(25) % 3
    for scale in (1.0, 0.3):
        parameters = {name: scale * tensor for name, tensor in network.named_parameters()}
        given = network, parameters, dict(network.named_buffers()), data, groups, 3, precision
        for plain, fast in zip(evaluate_groups(*given), evaluate_groups(*given, step), strict=True):
            assert plain.samples == fast.samples
            for measure in MEASURES:
                expected = getattr(plain, measure)
                assert getattr(fast, measure) == pytest.approx(expected, rel=allowed, abs=allowed)


def test_a_surface_is_evaluated_one_way_throughout(tmp_path, monkeypatch, caplog):
    """Points of the other way are evaluated again, also where a job is resumed on another machine."""
    linear_plane(tmp_path)
    counted = counted_points(monkeypatch)
    asked = {"model": "linear", "grid": (3, 3)}
    plain = surface(tmp_path, **asked)
    assert set(plain["compiled"]) == {False} and len(counted) == 9, "`auto`: this is too small to repay it"
    fast = surface(tmp_path, **asked, compiled=True)
    assert set(fast["compiled"]) == {True} and len(counted) == 18
    assert "have changed since" in caplog.text
    np.testing.assert_allclose(fast["loss"], plain["loss"], rtol=1e-6)
    again = surface(tmp_path, **asked, compiled=True)
    assert len(counted) == 18 and again.equals(fast)
    # `auto` on a machine that cannot compile, of a job that was begun on one that can.
    monkeypatch.setattr(evaluator, "chosen_step", lambda *given: evaluation_step)
    other = surface(tmp_path, **asked)
    assert len(counted) == 27 and other.equals(plain)


def test_auto_is_decided_by_points_samples_and_cost():
    network, data = tiny_network(), tiny_data()
    multiplied = 16 * 4 * 9 + 64 * 3  # a 3 x 3 convolution of 16 pixels to 4 channels, and a matrix 64 x 3
    assert forward_flops(network, data) == 2 * multiplied
    saved = seconds_saved(network, data, 1e6)
    assert saved == pytest.approx(compiled.SAVED * 1e6 * 25 * 2 * multiplied / compiled.FLOPS_PER_SECOND)
    even = 1e6 * compiled.COMPILE_SECONDS / saved
    assert chosen_step("auto", network, data, "fp32", 0.99 * even) is evaluation_step
    assert chosen_step("auto", network, data, "fp32", 1.01 * even) is not evaluation_step
    assert chosen_step(False, network, data, "fp32", 1e30) is evaluation_step
    assert chosen_step(True, network, data, "fp32", 1) is not evaluation_step


def cannot_compile():
    def step(*given):
        raise RuntimeError("No working C++ compiler found")

    return step


def compiles_wrongly():
    return lambda *given: 1.001 * evaluation_step(*given)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (cannot_compile, r"PyTorch cannot compile this network \(No working C\+\+ compiler found\)"),
        (compiles_wrongly, r"a loss of \S+ where the uncompiled step has \S+; say `compiled: false`"),
    ],
)
def test_where_it_does_not_work_auto_does_without_and_true_is_one_line(monkeypatch, caplog, wrong, message):
    network, data = tiny_network(), tiny_data()
    monkeypatch.setattr(compiled, "compiled_step", wrong)
    assert chosen_step("auto", network, data, "fp32", 1e30) is evaluation_step
    assert "evaluated without" in caplog.text
    with pytest.raises(FedscapeError, match=f"compiled: {message}"):
        chosen_step(True, network, data, "fp32", 1)
