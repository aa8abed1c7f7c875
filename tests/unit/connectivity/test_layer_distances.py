"""Distances between models, against NumPy on their concatenated weights."""

import numpy as np
import pytest
import torch

from fedscape.connectivity.layer_distances import distances

SHAPES = {"a.weight": (4, 3), "a.bias": (4,), "b.weight": (2, 4)}
ENDS = {"": (0, 1), "_from_start": (0, 2), "_to_start": (1, 3)}


def models(seed=0):
    """Both ends and their starts."""
    draw = np.random.default_rng(seed)
    return [
        {name: torch.from_numpy(np.float32(draw.normal(size=shape))) for name, shape in SHAPES.items()}
        for _ in range(4)
    ]


def vector(model, names):
    return np.concatenate([model[name].double().numpy().ravel() for name in names])


def test_distances_against_numpy():
    given = models()
    rows = distances(given[0], given[1], first_start=given[2], second_start=given[3])
    expected = {"": list(SHAPES), "a": ["a.weight", "a.bias"], "b": ["b.weight"]}
    assert [row["layer"] for row in rows] == list(expected)
    assert [row["depth"] for row in rows] == [-1, 0, 1]
    assert [row["parameters"] for row in rows] == [24, 16, 8]
    for row in rows:
        for ending, ends in ENDS.items():
            one, other = (vector(given[end], expected[row["layer"]]) for end in ends)
            assert row[f"l2{ending}"] == pytest.approx(np.linalg.norm(one - other), rel=1e-12)
            cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            assert row[f"cosine{ending}"] == pytest.approx(cosine, rel=1e-10)


def test_groups_and_buffers():
    """Names that are no parameters, as a layer's buffers, do not count."""
    first, second, *_ = models()
    layers = {"all": ("a.weight", "a.running_mean", "b.weight", "a.bias"), "none": ("c.running_mean",)}
    whole, group, none = distances(first, second, layers)
    assert {key: group[key] for key in ("l2", "cosine", "parameters")} == {
        key: pytest.approx(whole[key]) for key in ("l2", "cosine", "parameters")
    }
    assert (none["parameters"], none["l2"]) == (0, 0) and np.isnan(none["cosine"])


def test_no_start_no_numbers():
    first, second, start, _ = models()
    for row in distances(first, second, first_start=start):
        assert np.isnan([row["l2_to_start"], row["cosine_to_start"]]).all()
        assert np.isfinite([row["l2_from_start"], row["cosine_from_start"]]).all()


def test_a_cosine_with_zero_is_undefined():
    first, second, *_ = models()
    second["a.bias"], second["a.weight"] = torch.zeros(4), torch.zeros(4, 3)
    whole, of_zero, other = distances(first, second)
    assert np.isnan(of_zero["cosine"]) and np.isfinite([whole["cosine"], other["cosine"]]).all()
    assert of_zero["l2"] == pytest.approx(np.linalg.norm(vector(first, ["a.weight", "a.bias"])))


def test_models_that_are_equal_or_a_multiple():
    first = models()[0]
    assert {row["l2"] for row in distances(first, first)} == {0}
    scaled = {name: -1e30 * tensor for name, tensor in first.items()}
    for row in distances(first, scaled):
        assert row["cosine"] == pytest.approx(-1), "no overflow of float32"


def test_models_of_several_types():
    first, second, *_ = models()
    half = {name: tensor.bfloat16() for name, tensor in second.items()}
    rounded = {name: tensor.float() for name, tensor in half.items()}
    assert distances(first, half)[0]["l2"] == distances(first, rounded)[0]["l2"]
