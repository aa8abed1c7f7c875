"""The bottom of a basin between the points of every lattice, against closed forms."""

import math

import numpy as np
import pytest

from fedscape.landscape.bottom import bottom

BOTTOMS = [(0.137, -0.242), (-0.03, 0.56), (0.0042, 0.0031), (-1.7, 0.9)]
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])


def quadratic(u, v):
    return 3 * u**2 + 2 * v**2 + 1.5 * u * v


def quartic(u, v):
    return u**4 + 3 * v**4 + 0.5 * u**2 * v**2


def both(u, v):
    return quadratic(u, v) + 40 * quartic(u, v) + 5 * u**3


def cosh(u, v):
    return math.cosh(u) + 2 * math.cosh(1.5 * v) + math.sin(u * v) ** 2


def counted(function):
    calls = []
    return calls, lambda x, y: calls.append((x, y)) or function(x, y)


@pytest.mark.parametrize("bowl", [quadratic, quartic, both, cosh])
@pytest.mark.parametrize("floor", [0.0, 2.3])
@pytest.mark.parametrize("place", BOTTOMS)
def test_a_shifted_and_turned_bowl_to_the_digits_that_are_printed(bowl, floor, place):
    def loss(x, y):
        return floor + bowl(*(TURN @ (np.array([x, y]) - place)))

    calls, asked = counted(loss)
    found = bottom(asked, step=0.2)
    away = math.hypot(found.x - place[0], found.y - place[1])
    # Rounding of the floor in float64 hides where a bottom without curvature is.
    hidden = 5e-5 if bowl is quartic and floor else 0
    assert away < 5e-5 * math.hypot(*place) + hidden, "as 4 digits are printed"
    assert away <= 2 * found.shift + hidden + 1e-15, "it says how well it knows"
    assert found.loss == pytest.approx(loss(*place), abs=1e-8) and len(calls) < 350


@pytest.mark.parametrize("place", BOTTOMS[:2])
def test_losses_rounded_to_float32_leave_the_digits(place):
    def loss(x, y):
        return float(np.float32(1.2 + quadratic(x - place[0], y - place[1])))

    found = bottom(loss, step=0.2)
    assert math.hypot(found.x - place[0], found.y - place[1]) < 5e-5 * math.hypot(*place)


def test_the_basin_of_the_start_counts_not_the_deepest_one():
    def loss(x, y):  # hollows at x = -1 and, deeper, at 1
        return (x**2 - 1) ** 2 - 0.2 * x + (y - 0.4) ** 2

    near = min(np.roots([4, 0, -4, -0.2]).real)
    found = bottom(lambda x, y: loss(x + near + 0.05, y), step=0.1)
    assert (found.x, found.y) == pytest.approx((-0.05, 0.4), abs=1e-6)


def test_no_bottom():
    assert bottom(lambda x, y: 9 - 3 * x + y, step=0.1) is None
    assert bottom(lambda *_: math.nan, step=0.1) is None
    flat = bottom(lambda *_: 1.0, step=0.1)
    assert (flat.x, flat.y, flat.loss, flat.shift) == (0, 0, 1, 0)


def test_beside_what_is_not_finite():
    def torn(x, y):
        return math.inf if x > 0.25 else quadratic(x - 0.137, y + 0.242)

    found = bottom(torn, step=0.2)
    assert (found.x, found.y) == pytest.approx((0.137, -0.242), abs=1e-5)
