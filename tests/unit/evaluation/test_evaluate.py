"""Evaluation against one plain PyTorch pass; recalibration against a pass in train mode."""

import dataclasses
from dataclasses import replace

import bowl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import buffers_of, flatten, layout_of, parameters_of
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.evaluate import (
    CPU_BATCH,
    GPU_BATCH,
    EvaluationSet,
    evaluate,
    evaluate_groups,
    normalise,
)
from fedscape.evaluation.problem import ProblemSpec, chosen_samples, open_problem
from fedscape.jobs.streams import stream
from fedscape.models.build import random_model
from fedscape.plugins import Plugin

SHAPE = (2, 8, 8)


def samples(count=53, batch_size=20):
    draw = np.random.default_rng(0)
    return EvaluationSet(
        inputs=torch.from_numpy(draw.integers(0, 256, (count, *SHAPE), dtype=np.uint8)),
        labels=torch.from_numpy(draw.integers(0, 10, count)),
        mean=torch.tensor([0.4, 0.5]),
        std=torch.tensor([0.2, 0.3]),
        batch_size=batch_size,
    )


def tensors(network):
    """The network's own tensors as evaluation takes them."""
    layout = layout_of(network)
    parameters, floats, counters = flatten(network.state_dict(), layout)
    return parameters_of(parameters, layout), buffers_of(floats, counters, layout)


def resnet(seed=0):
    """A network whose running statistics are neither its start's nor a batch's."""
    network = random_model("resnet20", {}, SHAPE, 10, seed)
    with torch.no_grad():
        network(torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(0)))
    return network


def test_groups_of_one_pass_equal_passes_of_their_own():
    data, network = samples(), resnet()
    groups = torch.arange(53) % 4 - 1  # a quarter of the samples is in no group; group 3 is empty
    together, *found = evaluate_groups(network, *tensors(network), data, groups, count=4)
    assert dataclasses.astuple(together) == pytest.approx(
        dataclasses.astuple(evaluate(network, *tensors(network), data)), rel=1e-12
    )
    assert [one.samples for one in found] == [13, 13, 13, 0]
    for group, one in enumerate(found[:3]):
        rows = groups == group
        own = replace(data, inputs=data.inputs[rows], labels=data.labels[rows])
        expected = evaluate(network, *tensors(network), own)
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(expected), rel=1e-6)
    assert np.isnan([found[3].loss, found[3].error]).all()


def test_half_precision_is_near_and_not_equal():
    data, network = samples(), resnet()
    exact, half = (evaluate(network, *tensors(network), data, precision) for precision in ("fp32", "bf16"))
    assert half.loss == pytest.approx(exact.loss, rel=0.03)
    assert half.loss != exact.loss


def test_evaluation_is_one_plain_pass():
    data, network = samples(), resnet().eval()
    pixels = (data.inputs.double() / 255 - data.mean.double().view(1, 2, 1, 1)) / data.std.double().view(
        1, 2, 1, 1
    )
    with torch.no_grad():
        logits = network.double()(pixels)
    losses = cross_entropy(logits, data.labels, reduction="none").numpy()
    wrong = (logits.argmax(dim=1) != data.labels).numpy()
    found = evaluate(resnet(1), *tensors(resnet()), data)
    assert found.samples == 53
    assert found.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert found.error == wrong.mean() and found.accuracy == 1 - wrong.mean()
    assert found.loss_se == pytest.approx(losses.std(ddof=1) / 53**0.5, rel=1e-4)
    assert found.error_se == pytest.approx(wrong.std(ddof=1) / 53**0.5)


def test_batches_do_not_matter_and_the_short_one_weighs_its_samples():
    network = resnet()
    whole = evaluate(network, *tensors(network), samples(batch_size=53))
    for batch_size in (1, 20, 52):
        parts = evaluate(network, *tensors(network), samples(batch_size=batch_size))
        assert dataclasses.astuple(parts) == pytest.approx(dataclasses.astuple(whole), rel=1e-5)


def test_evaluation_leaves_the_network_as_it_was():
    network = resnet().train()
    network.stages[1][0].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluate(network, *tensors(resnet(1)), samples())
    recalibrated(network, *tensors(resnet(1)), samples())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert (
        network.training and network.stages[0][2].norm1.training and not network.stages[1][0].norm1.training
    )
    assert network.norm.momentum == 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stays_so(value):
    network = random_model("convnet", {}, SHAPE, 10, seed=0)
    parameters, buffers = tensors(network)
    parameters["17.bias"][3] = value
    found = evaluate(network, parameters, buffers, samples())
    assert not np.isfinite(found.loss) and np.isnan(found.loss_se)
    if np.isnan(value):
        assert found.error == 1


def test_a_missing_tensor_is_an_error():
    network = resnet()
    parameters, buffers = tensors(network)
    del buffers["norm.running_mean"]
    with pytest.raises(RuntimeError, match=r"norm\.running_mean"):
        evaluate(network, parameters, buffers, samples())


def test_recalibration_is_a_cumulative_pass_in_train_mode():
    """PyTorch's own cumulative average (momentum=None) weighs batches the same: equal ones here."""
    data, network = samples(count=2 * CPU_BATCH), resnet()
    found = recalibrated(network, *tensors(network), data)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    network.train()
    with torch.no_grad():
        for rows in stream(0, "recalibration").permutation(2 * CPU_BATCH).reshape(2, CPU_BATCH):
            network(normalise(data.inputs[rows], data.mean, data.std))
    assert set(found) == {name for name, _ in network.named_buffers()}
    for name, tensor in network.named_buffers():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


def test_recalibrated_means_are_those_of_all_samples():
    """A first layer sees the data themselves: its mean must not depend on how they fall into batches."""
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(128, 10))
    parameters, buffers = tensors(network)
    buffers["0.running_mean"].fill_(float("nan"))
    data = samples(count=2 * CPU_BATCH + 1)
    found = recalibrated(network, parameters, buffers, data)
    mean = normalise(data.inputs, data.mean, data.std).mean(dim=(0, 2, 3))
    torch.testing.assert_close(found["0.running_mean"], mean)
    assert found["0.num_batches_tracked"] == 3
    assert buffers["0.running_mean"].isnan().all(), "the buffers handed in are left alone"


def test_recalibration_does_not_hang_on_the_order_of_the_samples():
    """Sorted classes, each with a brightness of its own: nearly all of the variance lies between them."""
    count = 8 * CPU_BATCH
    mixed = replace(samples(count=count), labels=torch.arange(count) % 10)
    brightness = 20 * mixed.labels[:, None, None, None]
    mixed = replace(mixed, inputs=(mixed.inputs // 16 + brightness).to(torch.uint8))
    order = mixed.labels.argsort(stable=True)
    ordered = replace(mixed, inputs=mixed.inputs[order], labels=mixed.labels[order])
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(128, 10))
    variance = normalise(mixed.inputs, mixed.mean, mixed.std).var(dim=(0, 2, 3))
    for data in (mixed, ordered):
        found = recalibrated(network, *tensors(network), data)["0.running_var"]
        torch.testing.assert_close(found, variance, rtol=0.01, atol=0)
    deep = resnet()
    losses = []
    for data in (mixed, ordered):
        parameters, buffers = tensors(deep)
        losses.append(evaluate(deep, parameters, recalibrated(deep, parameters, buffers, data), mixed).loss)
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_recalibration_takes_the_same_batches_on_every_device():
    """A GPU evaluates more samples at a time; statistics must not depend on it."""
    network, sizes = resnet(), (CPU_BATCH, GPU_BATCH)
    sets = [samples(count=2 * CPU_BATCH, batch_size=size) for size in sizes]
    one, other = (recalibrated(network, *tensors(network), data) for data in sets)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_policy_none_without_running_statistics(tmp_path):
    arguments = bowl.world(tmp_path, [np.zeros((2, bowl.SIZE))])
    files = arguments["dataset_folder"], arguments["partition"]
    with_norm = open_problem(ProblemSpec(Plugin("resnet20"), *files))
    without = open_problem(ProblemSpec(Plugin("resnet20", {"norm": "group"}), *files))
    assert [with_norm.policy(one) for one in ("keep", "recalibrate")] == ["keep", "recalibrate"]
    assert without.policy("recalibrate") == "none"
    parameters, floats, counters = flatten(with_norm.module.state_dict(), with_norm.layout)
    buffers = buffers_of(floats, counters, with_norm.layout)
    kept = with_norm.tensors(parameters, buffers, "keep")[1]
    assert all(torch.equal(kept[name], buffers[name]) for name in buffers)
    fresh = with_norm.tensors(parameters, buffers, "recalibrate")[1]
    oracle = recalibrated(
        with_norm.module, parameters_of(parameters, with_norm.layout), buffers, with_norm.train
    )
    assert all(torch.equal(fresh[name], oracle[name]) for name in buffers)


def test_subset_is_fixed_by_its_seed():
    indices = np.arange(100, 200)
    assert chosen_samples(indices, None, 0) is indices
    assert chosen_samples(indices, 100, 0) is indices and chosen_samples(indices, 500, 0) is indices
    chosen = chosen_samples(indices, 30, 0)
    assert len(set(chosen)) == 30 and set(chosen) <= set(indices) and (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, chosen_samples(indices, 30, 0))
    assert set(chosen) != set(chosen_samples(indices, 30, 1))


def test_a_set_takes_its_samples_from_the_right_split(tmp_path):
    bowl.write_images(tmp_path, train=40, test=10)
    dataset = open_dataset(tmp_path)
    for split, arrays in (("train", dataset.train_inputs), ("test", dataset.test_inputs)):
        data = EvaluationSet.from_dataset(dataset, split, np.array([2, 7]), "cpu")
        np.testing.assert_array_equal(data.inputs, arrays[[2, 7]])
        assert data.labels.tolist() == [0, 0] and data.mean.tolist() == pytest.approx(dataset.mean)


def test_images_that_are_floats_are_refused():
    """They would be divided by 255: the trace of a Hessian came out at 7.8 in place of 12.6, without a word."""
    with pytest.raises(FedscapeError, match="takes uint8, 0 to 255"):
        EvaluationSet(
            torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), torch.zeros(1), torch.ones(1)
        )
