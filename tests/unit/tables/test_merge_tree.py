"""Merge trees of grids against counts of components by scipy and gudhi's numbers, and hollows by their depth."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_frames import NAN, measured, surface
from scipy.ndimage import gaussian_filter, generate_binary_structure, label

from fedscape.tables.merge_tree import merge_tree, noises
from fedscape.tables.surface_basins import basin_of, surface_basins
from fedscape.tables.surfaces import grids

# Of random grids, smooth or not, with ties and with holes.
GRIDS = [np.random.default_rng(seed).standard_normal((13, 9)).round(1) for seed in range(4)]
GRIDS += [
    np.where(np.random.default_rng(seed).random((13, 9)) < 0.1, np.nan, grid)
    for seed, grid in enumerate(GRIDS)
]
SHAPES = {4: generate_binary_structure(2, 1), 8: generate_binary_structure(2, 2)}


def pairs(heights, neighbours):
    """(minimum, saddle) of basins that join others, without those of no depth."""
    tree = merge_tree(np.asarray(heights, dtype=float), neighbours)
    found = [(heights[b.minimum], heights[b.saddle]) for b in tree.basins if b.saddle is not None]
    return sorted(pair for pair in found if pair[0] < pair[1])


def test_a_pass_between_diagonal_points_parts_basins_of_four_neighbours_only():
    """As gudhi 3.13 has it: cubical complexes of vertices have 4 neighbours, those of top cells 8."""
    heights = np.array([[1, 8, 7], [4, 20, 6], [6, 4, 5]])
    assert pairs(heights, 4) == [(4, 6)]
    assert pairs(heights, 8) == []


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("heights", GRIDS)
def test_below_every_level_there_are_as_many_basins_as_components(heights, neighbours):
    tree = merge_tree(heights, neighbours)
    bottoms = [heights[basin.minimum] for basin in tree.basins]
    assert bottoms == sorted(bottoms)
    for level in np.unique(heights[np.isfinite(heights)]):
        parts, components = label(np.nan_to_num(heights, nan=np.inf) <= level, SHAPES[neighbours])
        alive = [
            basin
            for basin in tree.basins
            if heights[basin.minimum] <= level < heights[basin.minimum] + basin.persistence
            and (basin.saddle is None or heights[basin.saddle] > level)
        ]
        assert len(alive) == components
        assert len({parts[basin.minimum] for basin in alive}) == components, "one in each"
        for basin in alive:
            assert heights[parts == parts[basin.minimum]].min() == heights[basin.minimum], "the elder lasts"


@pytest.mark.parametrize("neighbours", [4, 8])
def test_gudhi_finds_the_same_pairs(neighbours):
    gudhi = pytest.importorskip("gudhi")
    for heights in GRIDS[:4]:
        cells = {"vertices": heights} if neighbours == 4 else {"top_dimensional_cells": heights}
        complex_ = gudhi.CubicalComplex(**cells)
        complex_.compute_persistence()
        expected = [
            tuple(pair) for pair in complex_.persistence_intervals_in_dimension(0) if pair[1] < math.inf
        ]
        np.testing.assert_allclose(pairs(heights, neighbours), sorted(expected))


def test_each_point_lies_in_the_basin_that_the_steepest_way_down_leads_to():
    x = np.linspace(-1.5, 1.5, 31)
    double_well = (x[:, None] ** 2 - 1) ** 2 + 0.1 * x[:, None] + np.linspace(-1, 1, 9) ** 2
    tree = merge_tree(double_well, 8)
    assert len(tree.basins) == 2
    low, high = tree.basins
    assert x[low.minimum[0]] == pytest.approx(-1) and x[high.minimum[0]] == pytest.approx(1)
    assert high.joins == 0 and x[high.saddle[0]] == pytest.approx(0, abs=0.11)
    assert high.persistence == double_well[high.saddle] - double_well[high.minimum]
    ridge = high.saddle[0]
    assert (tree.owners[:ridge] == 0).all() and (tree.owners[ridge + 1 :] == 1).all()


def test_basins_no_deeper_than_noise_are_parts_of_those_that_they_join():
    heights = np.array([[0.0, 3.0, 1.0, 1.5, 1.2, 9.0, NAN, 2.0]])
    tree = merge_tree(heights, 4)
    assert [basin.minimum[1] for basin in tree.basins] == [0, 2, 4, 7]
    assert [round(basin.persistence, 9) for basin in tree.basins] == [math.inf, 2, 0.3, math.inf]
    assert [basin.joins for basin in tree.basins] == [0, 0, 1, 3]
    assert tree.owners.tolist() == [[0, 0, 1, 1, 2, 2, -1, 3]]
    assert tree.lasting([0.0] * 4) == [0, 1, 2, 3]
    assert tree.lasting([0.5] * 4) == [0, 1, 1, 3]
    assert tree.lasting([2.5] * 4) == [0, 0, 0, 3], "what joins nothing lasts"
    errors = np.full(heights.shape, 0.3)
    errors[0, 2] = NAN
    assert noises(tree, errors, 2) == pytest.approx([0.6, 0.6, 0.6 * math.sqrt(2), 0.6])


def test_a_hollow_that_is_filled_spills_into_the_basin_that_it_touches():
    """Not into that of the lowest minimum, which lies behind another one."""
    heights = np.array([[0.0, 5.0, 1.0, 7.0, 6.0, 9.0]])
    tree = merge_tree(heights, 4)
    assert [basin.minimum[1] for basin in tree.basins] == [0, 2, 4]
    assert [basin.joins for basin in tree.basins] == [0, 0, 1]
    assert tree.lasting([1.5] * 3) == [0, 1, 1]


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("seed", range(5))
def test_basins_stay_in_one_piece_when_shallow_ones_are_filled(seed, neighbours):
    heights = gaussian_filter(np.random.default_rng(seed).standard_normal((25, 25)), 1.2)
    tree = merge_tree(heights, neighbours)
    for noise in (0.1, 0.3, 0.6):
        into = tree.lasting([noise * heights.std()] * len(tree.basins))
        assert all(into[number] == number for number in into)
        owners = np.array(into)[tree.owners]
        assert {label(owners == basin, SHAPES[neighbours])[1] for basin in into} == {1}


def test_other_numbers_of_neighbours_are_refused():
    with pytest.raises(ValueError, match="neighbours must be 4 or 8, got 6"):
        merge_tree(np.zeros((2, 2)), 6)


# The measure


def hollows(frame, **settings):
    return measured("hollows", {"surface": frame}, **settings)


@pytest.mark.parametrize(("along_x", "along_y"), [(1, 1), (3, 2), (2, 5)])
@pytest.mark.parametrize("neighbours", [4, 8])
def test_hollows_are_counted(along_x, along_y, neighbours):
    waves = surface(
        lambda x, y: math.cos(2 * math.pi * along_x * x) + math.cos(2 * math.pi * along_y * y) + 2,
        x=(0, 1, 61), y=(0, 1, 51), loss_se=0.0,
    )  # fmt: skip
    assert hollows(waves, neighbours=neighbours) == along_x * along_y


def test_a_hollow_may_be_flat_or_beside_what_is_not_finite_but_not_on_the_border():
    flat = surface(lambda x, y: max(abs(x) - 0.15, 0) + abs(y), x=(-1, 1, 20), loss_se=0.0)
    assert hollows(flat) == 1
    assert math.isnan(hollows(surface(lambda x, y: (x - 3) ** 2 + y * y, loss_se=0.0)))
    assert math.isnan(hollows(surface(lambda *_: 0.0, loss_se=0.0)))
    bowl = surface(lambda x, y: x * x + y * y, loss_se=0.0)
    bowl.loc[(bowl["i"] == 9) & (bowl["j"] == 10), "loss"] = NAN
    assert hollows(bowl) == 1
    assert math.isnan(hollows(bowl.assign(loss=NAN))) and math.isnan(hollows(bowl.iloc[:0]))


def test_what_the_standard_error_explains_is_no_hollow():
    """A second well that is 0.2 deep, with errors of 0.1 at its bottom and at the pass."""
    wells = surface(lambda x, y: (x * x - 1) ** 2 + 0.4 * x + y * y, x=(-1.6, 1.6, 65))
    (depth,) = (basin.persistence for basin in merge_tree(grid_of(wells)).basins if basin.saddle)
    for error, expected in ((0.0, 2), (0.99 * depth / math.sqrt(8), 2), (1.01 * depth / math.sqrt(8), 1)):
        assert hollows(wells.assign(loss_se=error)) == expected
    assert hollows(wells.assign(loss_se=depth), errors=0) == 2
    assert hollows(wells.assign(loss_se=NAN)) == 2, "not known"


def test_basins_have_their_passes_and_models_lie_in_them():
    wells = surface(lambda x, y: (x * x - 1) ** 2 + 0.1 * x + y * y, x=(-1.6, 1.6, 65), loss_se=0.0)
    (grid,) = grids(wells).values()
    found = surface_basins(grid, 2.0, 8)
    low, high = found.basins.to_dict("records")
    assert (low["basin"], low["x"], low["persistence"]) == (0, pytest.approx(-1, abs=0.05), math.inf)
    assert math.isnan(low["pass_loss"]) and not low["on_border"]
    assert (high["x"], high["pass_x"]) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.1))
    assert high["persistence"] == pytest.approx(high["pass_loss"] - high["loss"])
    assert low["points"] + high["points"] == wells["loss"].size
    models = pd.DataFrame({"x": [-0.9, 1.1, 0.4, 9.0, NAN], "y": [0.1, 0.0, -0.9, 0.0, 0.0]})
    assert basin_of(grid, found.owners, models).tolist() == [0, 1, 1, -1, -1]
    shallow = surface_basins(grid, 2.0, 8).basins
    assert len(surface_basins(grids(wells.assign(loss_se=1.0))["g"], 2.0, 8).basins) == 1 < len(shallow)


def grid_of(frame):
    return frame.pivot(index="i", columns="j", values="loss").to_numpy()
