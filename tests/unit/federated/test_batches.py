"""A client's batches: every sample once an epoch, and the same ones however many clients train at once."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from engine_helpers import TRAINING, images_and_labels, network, owned

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.algorithms import fedavg, mixup
from fedscape.federated.batches import (
    POSITIONS,
    BatchSource,
    ClientProgress,
    batch,
    client_task,
    stacked_batch,
)
from fedscape.federated.rule import Rule
from fedscape.settings.training import Augmentation, Epochs, ResizedCrop

EVERYTHING = Augmentation(
    resized_crop=ResizedCrop(),
    crop=2,
    flip=0.5,
    rotation=20.0,
    scale=0.2,
    brightness=0.1,
    resize=6,
    colour=0.4,
)
FEDAVG, MIXUP = Rule(fedavg, fedavg.Settings()), Rule(mixup, mixup.Settings(gamma=1.0))


def source_of(samples: int = 40, model: str = "linear", **changes: object) -> BatchSource:
    return BatchSource.of(network(model), images_and_labels(samples), replace(TRAINING, **changes))


def progress_of(
    source: BatchSource, positions, client: int = 0, number: int = 1, rule: Rule = FEDAVG, **seeds: int
) -> ClientProgress:
    seeds = {"seed": 0, "order_seed": 0, **seeds}
    task = client_task(source.training, rule.name, positions, **seeds, round_number=number, client=client)
    return ClientProgress(task, source, rule)


def steps_of(progress: ClientProgress) -> list[list[int]]:
    """The positions that each step takes, to the end."""
    found = []
    while not progress.finished:
        size, positions = progress.size, progress.samples()[POSITIONS].tolist()
        assert size == len(positions)
        found.append(positions)
        progress.done += 1
    return found


@pytest.mark.parametrize(
    ("model", "changes", "samples", "sizes"),
    [
        ("linear", {}, 13, [5, 5, 3]),
        ("linear", {}, 11, [5, 5, 1]),
        ("linear", {}, 3, [3]),
        ("linear", {"batch_size": 13}, 13, [13]),
        ("linear", {"drop_last": True}, 13, [5, 5]),
        ("linear", {"drop_last": True}, 10, [5, 5]),
        ("resnet20", {}, 13, [5, 5, 3]),
        ("resnet20", {}, 11, [5, 5]),
        ("resnet20", {"drop_last": True}, 11, [5, 5]),
    ],
)
def test_every_epoch_is_a_permutation_but_for_what_is_left_out(model, changes, samples, sizes):
    source, positions = source_of(model=model, **changes), np.arange(7, 7 + samples)
    progress = progress_of(source, positions)
    steps = steps_of(progress)
    assert [len(step) for step in steps] == sizes * TRAINING.local_epochs
    assert len(steps) == progress.steps == source.steps(progress.task)
    epochs = [list(chain(*steps[first : first + len(sizes)])) for first in range(0, len(steps), len(sizes))]
    for epoch in epochs:
        assert len(set(epoch)) == sum(sizes) == source.used_samples(samples)
        assert set(epoch) <= set(positions.tolist())
    assert len({tuple(epoch) for epoch in epochs}) == TRAINING.local_epochs
    left_out = {frozenset(positions.tolist()) - frozenset(epoch) for epoch in epochs}
    assert len(left_out) == (1 if sum(sizes) == samples else TRAINING.local_epochs)  # nobody for good


def test_orders_differ_by_client_round_and_seed_and_nothing_else():
    source, positions = source_of(), np.arange(20)
    first = steps_of(progress_of(source, positions))
    assert steps_of(progress_of(source, positions)) == first
    assert steps_of(progress_of(source, positions, seed=1)) == first
    assert steps_of(progress_of(source, positions, rule=MIXUP)) == first
    assert steps_of(progress_of(source_of(augmentation=EVERYTHING), positions)) == first
    for other in ({"client": 1}, {"number": 2}, {"order_seed": 1}):
        assert steps_of(progress_of(source, positions, **other)) != first


def test_a_batch_is_the_normalised_images_and_their_labels():
    source = source_of()
    data, progress = source.data, progress_of(source, np.arange(10, 23))
    for chosen in steps_of(progress_of(source, np.arange(10, 23))):
        found = batch(progress)
        torch.testing.assert_close(found.inputs, normalise(data.inputs[chosen], data.mean, data.std))
        assert torch.equal(found.labels, data.labels[chosen])
        assert found.draws == {}
        progress.done += 1


@pytest.mark.parametrize("normalise", ["dataset", "client"])
@pytest.mark.parametrize("augmentation", [Augmentation(), EVERYTHING])
def test_stacked_batches_are_the_clients_own(augmentation, normalise):
    source = source_of(augmentation=replace(augmentation, normalise=normalise))
    clients = owned(12, 12, 10)
    alone, together = (
        [progress_of(source, positions, client, rule=MIXUP) for client, positions in enumerate(clients)]
        for _ in range(2)
    )
    for _ in range(2):
        stacked = stacked_batch(together)
        for row, progress in enumerate(alone):
            own = batch(progress)
            torch.testing.assert_close(stacked.inputs[row], own.inputs, rtol=1e-6, atol=1e-6)
            assert torch.equal(stacked.labels[row], own.labels)
            assert own.draws.keys() == stacked.draws.keys() == {"share", "partners"}
            for name, drawn in own.draws.items():
                assert torch.equal(stacked.draws[name][row], drawn)
        for progress in (*alone, *together):
            progress.done += 1
    assert not torch.equal(stacked.draws["partners"][0], stacked.draws["partners"][1])


def test_the_rules_draws_do_not_depend_on_augmentation():
    plain, augmented = source_of(), source_of(augmentation=EVERYTHING)
    one, other = (batch(progress_of(source, np.arange(10), rule=MIXUP)) for source in (plain, augmented))
    assert torch.equal(one.draws["share"], other.draws["share"])
    assert one.draws["share"].dtype == torch.float32
    assert not torch.equal(one.inputs, other.inputs)


def test_a_client_may_be_normalised_by_itself():
    data = images_and_labels(40, shape=(2, 8, 8))
    data.inputs[:, 1] //= 3
    training = replace(TRAINING, batch_size=30, augmentation=Augmentation(normalise="client"))
    source = BatchSource(data, training, batch_statistics=False)
    images = batch(progress_of(source, np.arange(5, 35))).inputs.double()
    for channel in range(2):
        assert images[:, channel].mean().item() == pytest.approx(0, abs=1e-6)
        assert images[:, channel].std(correction=0).item() == pytest.approx(1, rel=1e-6)
    data.inputs[5:35, 1] = 17
    with pytest.raises(FedscapeError, match="normalise: client needs images that differ"):
        source.normalisation(np.arange(5, 35))


def test_local_epochs_are_drawn_for_each_client_and_round():
    source = source_of(local_epochs=Epochs([2, 5]))
    draws = {
        (client, number): progress_of(source, np.arange(10), client, number).task.epochs
        for client in range(20)
        for number in range(1, 21)
    }
    counts = np.bincount(list(draws.values()), minlength=7)
    # 400 draws of four values: 100 +- 9 each.
    assert counts[[0, 1, 6]].sum() == 0
    assert counts[2:6].min() > 60 and counts[2:6].max() < 140
    again = {key: progress_of(source, np.arange(10), *key, order_seed=3).task.epochs for key in draws}
    assert again == draws
    assert any(progress_of(source, np.arange(10), *key, seed=1).task.epochs != draws[key] for key in draws)
    for progress in (progress_of(source, np.arange(11), client, 1) for client in range(5)):
        assert progress.steps == 3 * draws[progress.task.client, 1] == len(steps_of(progress))
