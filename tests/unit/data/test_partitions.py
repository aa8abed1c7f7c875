"""Partition schemes: what must hold for every draw, and the limits where the answer is known."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partition_helpers import class_counts, split

from fedscape.data.sizes import ATTEMPTS, cut, repeated
from fedscape.errors import FedscapeError
from fedscape.plugins import load

SCHEMES = {
    "iid": {},
    "dirichlet": {"alpha": 0.3},
    "dirichlet-per-class": {"alpha": 0.5, "min_size": 1},
    "shards": {"shards_per_client": 2},
    "labels-per-client": {"labels": 2},
    "quantity": {"beta": 0.5, "min_size": 1},
}
bounded = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@st.composite
def label_columns(draw, smallest_class: int = 1):
    """Labels in random order; classes of any sizes, and one class number that no sample has."""
    sizes = draw(st.lists(st.integers(smallest_class, 60), min_size=2, max_size=6))
    numbers = [number + (number > 1) for number in range(len(sizes))]
    labels = np.repeat(np.asarray(numbers, dtype=np.int64), sizes)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(labels)


# What holds for every scheme


@pytest.mark.parametrize("scheme", SCHEMES)
@given(labels=label_columns(smallest_class=8), clients=st.integers(1, 6), seed=st.integers(0, 2**32))
@bounded
def test_every_sample_at_most_once_and_no_client_empty(scheme, labels, clients, seed):
    try:
        parts = split(scheme, labels, clients, seed, **SCHEMES[scheme])
    except FedscapeError:
        assert scheme in ("dirichlet-per-class", "quantity")  # only bounded draws may give up
        return
    assert len(parts) == clients
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert together.min() >= 0
    assert together.max() < len(labels)
    for part in parts:
        assert len(part) > 0
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_same_stream_same_partition(scheme):
    labels = np.tile(np.arange(5), 40)
    draws = [split(scheme, labels, 4, seed, **SCHEMES[scheme]) for seed in (7, 7, 8)]
    assert all(np.array_equal(a, b) for a, b in zip(draws[0], draws[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(draws[0], draws[2], strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_impossible_numbers_of_clients_are_refused(scheme):
    labels = np.tile(np.arange(2), 10)
    for clients in (0, -1, 21):
        with pytest.raises(FedscapeError, match=f"clients: {clients} for 20 train samples"):
            split(scheme, labels, clients, **SCHEMES[scheme])
    with pytest.raises(FedscapeError, match="clients: is missing"):
        split(scheme, labels, None, **SCHEMES[scheme])


@pytest.mark.parametrize(
    ("scheme", "values", "message"),
    [
        ("dirichlet", {"alpha": 0}, "alpha must be > 0 and finite, got 0"),
        ("dirichlet", {"alpha": 1e-320}, "alpha must be > 0 and finite, got 1e-320"),
        ("dirichlet", {"alpha": float("nan")}, "alpha must be > 0"),
        ("dirichlet", {"alpha": 1.0, "prior": "flat"}, "prior must be global or uniform, got flat"),
        ("dirichlet-per-class", {"alpha": float("inf")}, "alpha must be > 0 and finite, got inf"),
        ("dirichlet-per-class", {"alpha": 1.0, "min_size": 0}, "min_size must be >= 1, got 0"),
        ("shards", {"shards_per_client": 0}, "shards_per_client must be >= 1, got 0"),
        ("labels-per-client", {"labels": 0}, "labels must be >= 1, got 0"),
        ("quantity", {"beta": -1}, "beta must be > 0 and finite, got -1"),
        ("quantity", {"beta": 1.0, "min_size": 0}, "min_size must be >= 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(scheme, values, message):
    with pytest.raises(ValueError, match=message):
        load("data.partitions", scheme).Settings(**values)


# Sizes


@given(labels=label_columns(), clients=st.integers(1, 9), seed=st.integers(0, 2**32))
@bounded
def test_sizes_iid_and_hsu(labels, clients, seed):
    if clients > len(labels):
        return
    sizes = [len(part) for part in split("iid", labels, clients, seed)]
    assert sum(sizes) == len(labels)
    assert max(sizes) - min(sizes) <= 1
    for prior in ("global", "uniform"):
        parts = split("dirichlet", labels, clients, seed, alpha=0.1, prior=prior)
        assert {len(part) for part in parts} == {len(labels) // clients}


@given(labels=label_columns(smallest_class=30), seed=st.integers(0, 2**32), balance=st.booleans())
@bounded
def test_per_class_and_quantity_use_all_samples_and_keep_the_minimum(labels, seed, balance):
    for parts in (
        split("dirichlet-per-class", labels, 3, seed, alpha=5.0, balance=balance, min_size=7),
        split("quantity", labels, 3, seed, beta=5.0, min_size=7),
    ):
        assert sum(len(part) for part in parts) == len(labels)
        assert min(len(part) for part in parts) >= 7


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 10**6))
@bounded
def test_cut_gives_whole_sizes_near_the_shares(shares, samples):
    if sum(shares) == 0:
        return
    shares = np.array(shares) / sum(shares)
    sizes = cut(shares, samples)
    assert sizes.sum() == samples
    assert (sizes >= 0).all()
    assert np.abs(sizes - shares * samples).max() <= 1 + 1e-6


def test_draws_are_bounded_and_the_error_says_how_many():
    tries = []

    def draw() -> np.ndarray:
        tries.append(1)
        return np.array([4, 46])

    with pytest.raises(FedscapeError, match=f"in {ATTEMPTS} draws the smallest of 2 clients never had 5"):
        repeated(draw, clients=2, samples=50, min_size=5)
    assert len(tries) == ATTEMPTS
    tries.clear()
    with pytest.raises(FedscapeError, match="min_size: 30 for each of 2 clients needs 60 train samples"):
        repeated(draw, clients=2, samples=50, min_size=30)
    assert not tries  # what cannot be is not tried


def test_hopeless_alpha_gives_up_with_a_clear_error():
    labels = np.repeat(np.arange(2), 500)  # two classes, each at one client: eight of ten stay empty
    with pytest.raises(FedscapeError, match="never had 10 of 1000 samples"):
        split("dirichlet-per-class", labels, 10, alpha=1e-9, balance=False)
    with pytest.raises(FedscapeError, match="never had 10 of 1000 samples"):
        split("quantity", labels, 10, beta=1e-9)


def test_quantity_limits():
    labels = np.tile(np.arange(4), 250)
    sizes = [len(part) for part in split("quantity", labels, 8, beta=1e12)]
    assert max(sizes) - min(sizes) <= 2  # each end of a cut is rounded down
    parts = split("quantity", labels, 2, 3, beta=0.5)
    counts = class_counts(parts, labels)
    expected = counts.sum(axis=1, keepdims=True) / 4  # classes stay alike whatever the size
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + 1).all()


# Shards, labels per client, natural clients


@given(labels=label_columns(smallest_class=8), clients=st.integers(1, 5), shards=st.integers(1, 3))
@bounded
def test_shards_are_equal_and_span_few_classes(labels, clients, shards):
    parts = split("shards", labels, clients, shards_per_client=shards)
    assert {len(part) for part in parts} == {shards * (len(labels) // (clients * shards))}


def test_shards_as_in_the_paper():
    """McMahan et al. 2017: 100 clients, 200 shards of 300 of MNIST, most clients with two digits."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 600))
    counts = class_counts(split("shards", labels, 100), labels)
    assert set(counts.ravel()) <= {0, 30, 60}  # class sizes are multiples of a shard: each shard one class


def test_shards_left_over_samples_are_of_any_class():
    labels = np.repeat(np.arange(4), 25)  # 100 samples, 33 shards of 3: one sample left out
    left_out = set()
    for seed in range(40):
        used = np.concatenate(split("shards", labels, 11, seed, shards_per_client=3))
        left_out |= set(labels[np.setdiff1d(np.arange(100), used)].tolist())
    assert left_out == {0, 1, 2, 3}


def test_more_shards_than_samples_are_refused():
    with pytest.raises(FedscapeError, match="3 for 5 clients are 15 shards, there are 10 train samples"):
        split("shards", np.tile([0, 1], 5), 5, shards_per_client=3)


@given(
    clients=st.integers(1, 12),
    labels_each=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    unit=st.integers(12, 30),
)
@bounded
def test_labels_per_client_are_exact(clients, labels_each, seed, unit):
    labels = np.repeat(np.arange(5), unit)
    counts = class_counts(split("labels-per-client", labels, clients, seed, labels=labels_each), labels)
    assert ((counts > 0).sum(axis=1) == labels_each).all()
    for client in range(clients):
        assert counts[client, client % 5] > 0
    for column in counts.T:  # all of a class that has holders, evenly
        held = column[column > 0]
        assert held.sum() in (0, unit)
        assert len(held) == 0 or held.max() - held.min() <= 1


def test_labels_per_client_refuses_what_cannot_be():
    labels = np.repeat(np.arange(3), 4)
    with pytest.raises(FedscapeError, match="labels: 4 per client, but the train set has 3 classes"):
        split("labels-per-client", labels, 2, labels=4)
    with pytest.raises(FedscapeError, match="class 0 has 4 train samples for the 5 clients"):
        split("labels-per-client", labels, 5, labels=3)


def test_iid_deals_the_same_samples_to_as_many_clients_as_there_are_by_nature():
    natural = np.array([7, 3, 7, 3, 11, 7], dtype=np.int32)
    parts = split("iid", np.zeros(6, dtype=np.int64), None, natural=natural)
    assert [len(part) for part in parts] == [2, 2, 2]
    assert sorted(np.concatenate(parts)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(FedscapeError, match="give the number of clients"):
        split("iid", np.zeros(6, dtype=np.int64), None)


def test_natural_clients():
    natural = np.array([7, 3, 7, 3, 11, 7], dtype=np.int32)
    labels = np.zeros(6, dtype=np.int64)
    parts = split("natural", labels, None, natural=natural)
    assert [part.tolist() for part in parts] == [[1, 3], [0, 2, 5], [4]]
    chosen = split("natural", labels, 2, natural=natural)
    everyone = [part.tolist() for part in parts]
    assert len(chosen) == 2
    assert all(part.tolist() in everyone for part in chosen)
    with pytest.raises(FedscapeError, match="clients: 4, but the train set has 1 to 3 natural clients"):
        split("natural", labels, 4, natural=natural)
    with pytest.raises(FedscapeError, match="no natural clients"):
        split("natural", labels, None)
