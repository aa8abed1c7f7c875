"""The two Dirichlet schemes: their limits, and what happens when classes run out or clients are full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_helpers import class_counts, split

from fedscape.data.partitions.dirichlet import draw_classes
from fedscape.data.partitions.dirichlet_per_class import masked
from fedscape.jobs.streams import stream

# The Dirichlet limits


@pytest.mark.parametrize("prior", ["global", "uniform"])
def test_hsu_large_alpha_is_uniform(prior):
    labels = np.repeat(np.arange(10), 1000)
    counts = class_counts(split("dirichlet", labels, 10, alpha=1e9, prior=prior), labels)
    deviation = np.sqrt(1000 * 0.1 * 0.9)  # of a binomial count
    assert np.abs(counts - 100).max() < 5 * deviation


def test_hsu_large_alpha_follows_the_global_prior():
    labels = np.repeat(np.arange(3), [6000, 3000, 1000])
    counts = class_counts(split("dirichlet", labels, 10, alpha=1e9), labels)
    assert np.abs(counts - [600, 300, 100]).max() < 5 * np.sqrt(1000 * 0.25)


@pytest.mark.parametrize("prior", ["global", "uniform"])
def test_hsu_priors_are_alpha_times_the_class_frequencies_or_times_one(prior):
    """The partition is the one that draw_classes makes of the priors in question, drawn first of all."""
    labels = np.repeat(np.arange(3), [600, 300, 100])
    rng = stream(5, "partition")
    base = np.array([0.6, 0.3, 0.1]) if prior == "global" else np.ones(3)
    expected = draw_classes(rng.dirichlet(0.7 * base, size=20), np.array([600, 300, 100]), 50, rng)
    parts = split("dirichlet", labels, 20, 5, alpha=0.7, prior=prior)
    assert np.array_equal(class_counts(parts, labels), expected)


def test_hsu_small_alpha_is_one_class_where_the_sizes_allow():
    labels = np.repeat(np.arange(3), 100)
    allowed = 0
    for seed in range(60):
        priors = stream(seed, "partition").dirichlet(np.full(3, 1e-9 / 3), size=3)
        if len(set(priors.argmax(axis=1))) < 3:
            continue  # two clients ask for all of one class
        allowed += 1
        counts = class_counts(split("dirichlet", labels, 3, seed, alpha=1e-9), labels)
        assert np.array_equal(counts.argmax(axis=1), priors.argmax(axis=1))
        assert (counts.max(axis=1) == 100).all()
    assert allowed > 5  # 6 in 27 are expected


def test_per_class_large_alpha_is_uniform():
    labels = np.repeat(np.arange(5), 200)
    counts = class_counts(split("dirichlet-per-class", labels, 4, alpha=1e12, balance=False), labels)
    assert np.abs(counts - 50).max() <= 1  # rounding
    counts = class_counts(split("dirichlet-per-class", labels, 4, alpha=1e12, balance=True), labels)
    assert (
        np.abs(counts - 50).max() <= 5
    )  # clients full by a rounded-up sample are left out of the last class


def test_per_class_small_alpha_gives_each_class_to_one_client():
    labels = np.repeat(np.arange(6), 100)
    counts = class_counts(
        split("dirichlet-per-class", labels, 2, alpha=1e-9, balance=False, min_size=1), labels
    )
    assert ((counts == 0) | (counts == 100)).all()


# Hsu: how classes run out


@given(
    counts=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    clients=st.integers(1, 8),
    alpha=st.sampled_from([1e-300, 1e-12, 1e-3, 0.1, 1.0, 1e3, 1e300]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_draw_classes_never_takes_more_than_there_is(counts, clients, alpha, seed):
    counts = np.array(counts)
    size = counts.sum() // clients
    rng = stream(seed, "partition")
    drawn = draw_classes(rng.dirichlet(np.full(len(counts), alpha), size=clients), counts, size, rng)
    assert (drawn.sum(axis=1) == size).all()
    assert (drawn.sum(axis=0) <= counts).all()
    assert (drawn >= 0).all()


def test_pure_priors_that_fit_give_pure_clients():
    drawn = draw_classes(np.eye(5), np.full(5, 40), 40, stream(0, "partition"))
    assert np.array_equal(drawn, 40 * np.eye(5))


def test_clients_are_filled_one_after_another():
    priors = np.tile([1.0, 0.0, 0.0], (10, 1))
    drawn = draw_classes(priors, np.array([105, 300, 600]), 100, stream(1, "partition"))
    assert drawn[:, 0].tolist() == [100, 5, 0, 0, 0, 0, 0, 0, 0, 0]


def test_what_the_clients_get_is_as_skewed_as_what_their_priors_ask_for():
    """Mean total-variation distance from the global classes, the pilot study's setting: it grows as alpha falls."""
    counts = np.full(10, 500)
    realised = []
    for alpha in (1.0, 0.5, 0.1):
        asked, got = [], []
        for seed in range(10):
            priors = stream(seed, "priors").dirichlet(alpha * counts / counts.sum(), size=10)
            drawn = draw_classes(priors, counts, 500, stream(seed, "partition"))
            asked.append(np.abs(priors - 0.1).sum(axis=1).mean() / 2)
            got.append(np.abs(drawn / 500 - 0.1).sum(axis=1).mean() / 2)
        assert np.mean(got) == pytest.approx(np.mean(asked), abs=0.05)
        realised.append(np.mean(got))
    assert realised == sorted(realised)


def test_priors_are_renormalised_over_the_classes_that_are_left():
    priors = np.tile([0.98, 0.015, 0.005], (4, 1))
    drawn = draw_classes(priors, np.array([100, 10_000, 10_000]), 1000, stream(2, "partition"))
    rest = drawn[:, 1:].sum(axis=0)
    assert rest[0] / rest.sum() == pytest.approx(0.75, abs=5 * np.sqrt(0.75 * 0.25 / 3900))


# The balance mask


def test_balance_mask_keeps_full_clients_out():
    shares = masked(np.array([0.5, 0.3, 0.2]), np.array([False, True, True]))
    assert shares.tolist() == pytest.approx([0, 0.6, 0.4])
    shares = masked(np.array([1.0, 0.0, 0.0]), np.array([False, True, True]))
    assert shares.tolist() == [0, 0.5, 0.5]  # no NaN where the open clients have no share


def test_balance_makes_sizes_more_even():
    labels = np.repeat(np.arange(10), 500)

    def spread(balance: bool) -> float:
        draws = [
            split("dirichlet-per-class", labels, 5, seed, alpha=0.3, balance=balance, min_size=1)
            for seed in range(20)
        ]
        return float(np.mean([np.std([len(part) for part in parts]) for parts in draws]))

    assert spread(True) < spread(False)
