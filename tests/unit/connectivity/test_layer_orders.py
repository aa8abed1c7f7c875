"""Orders of layers: permutations, and which layers their first steps have."""

import pytest

from fedscape.connectivity.layer_orders import ORDERS, order
from fedscape.errors import FedscapeError


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("count", [1, 2, 3, 8, 21])
def test_orders_are_permutations(kind, count):
    assert sorted(order(kind, count, seed=3)) == list(range(count))


def test_shallow_and_deep():
    assert order("shallow", 4) == [0, 1, 2, 3]
    assert order("deep", 4) == [3, 2, 1, 0]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 21])
def test_middle_out_grows_around_the_middle_in_turns(count):
    found = order("middle-out", count)
    assert found[0] == count // 2
    for step in range(1, count + 1):
        first, last = min(found[:step]), max(found[:step])
        assert last - first == step - 1, "without holes"
        assert -1 <= (count // 2 - first) - (last - count // 2) <= 1
    assert order("middle-out", 5) == [2, 1, 3, 0, 4]
    assert order("middle-out", 6) == [3, 2, 4, 1, 5, 0]


@pytest.mark.parametrize("count", [4, 9, 21])
def test_outside_in_has_the_shallowest_and_the_deepest(count):
    found = order("outside-in", count)
    for k in range(1, count // 2 + 1):
        assert set(found[: 2 * k]) == {*range(k), *range(count - k, count)}
    assert order("outside-in", 5) == [0, 4, 1, 3, 2]


def test_random_depends_on_the_seed_alone():
    assert order("random", 21, 0) == order("random", 21, 0) != order("random", 21, 1)


def test_unknown_orders_are_refused():
    with pytest.raises(
        FedscapeError, match=r"^no order 'deepest' of layers; there are shallow, deep, random, "
    ):
        order("deepest", 3)
