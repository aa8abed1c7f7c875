"""Measures of layer-wise barriers and distances, against barriers in closed form."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_frames import NAN, measured
from layer_frames import NAMES, distances_frame, layers_frame, with_runs

from fedscape.tables.layers import cells, of_rests

EIGHT = [f"layer{i}" for i in range(8)]


def barrier(frame, **settings):
    return measured("layer-barrier", {"layers": with_runs(frame)}, **settings)


def distance(frame, **settings):
    return measured("layer-distance", {"distances": with_runs(frame)}, **settings)


def middle(averaged, number=0, rest="both"):
    """Half the round for each of the layers 3 and 4, and nothing for any other."""
    return number / 2 * len(averaged & {3, 4})


class TestBarrier:
    FRAME = layers_frame(middle, EIGHT, rounds=[0, 10])

    def test_the_full_barrier_of_the_last_round(self):
        assert barrier(self.FRAME) == 10
        assert barrier(self.FRAME, rounds="mean") == 5 and barrier(self.FRAME, rounds="min") == 0

    def test_single_layers_as_a_share_of_the_full_barrier(self):
        share = {"regime": "single", "column": "share"}
        assert barrier(self.FRAME, statistic="max", **share) == 0.5
        assert barrier(self.FRAME, statistic="mean", **share) == 2 * 0.5 / 8
        assert barrier(self.FRAME, statistic="averageable", **share) == 6 / 8
        # Depths 0, 1/7, ..., 1: the shallowest alone, the deepest alone, and the fourth of them.
        for layers, found in (([0, 0], 0), ([1, 1], 0), ([0.4, 0.5], 0.5), ([0, 0.4], 0)):
            assert barrier(self.FRAME, layers=layers, statistic="max", **share) == found

    @pytest.mark.parametrize(
        ("regime", "layers", "largest"),
        [
            ("shallow", [0, 0.375], 0), ("shallow", [0.5, 0.5], 0.5), ("shallow", [0.625, 1], 1), ("deep", [0, 0.375], 0),
            ("deep", [0.5, 0.5], 0.5), ("outside-in", [0, 0.75], 0), ("outside-in", [0.875, 0.875], 0.5),
        ],
    )  # fmt: skip
    def test_layers_that_add_up_are_chosen_by_their_share(self, regime, layers, largest):
        assert barrier(self.FRAME, regime=regime, layers=layers, column="share", statistic="max") == largest

    @pytest.mark.parametrize(
        ("regime", "threshold", "share"),
        [("shallow", 0.1, 3 / 8), ("shallow", 0.5, 4 / 8), ("deep", 0.1, 3 / 8), ("outside-in", 0.1, 6 / 8), ("deep", 1.0, 1)],
    )  # fmt: skip
    def test_how_many_layers_can_be_averaged(self, regime, threshold, share):
        found = barrier(
            self.FRAME, regime=regime, column="share", statistic="averageable", threshold=threshold
        )
        assert found == share

    def test_layers_behind_the_first_that_fails_do_not_count(self):
        frame = layers_frame(lambda a, r, rest: 1.0 if len(a) in (2, 4) else 0.0, rounds=[1])
        assert barrier(frame, regime="shallow", statistic="averageable") == 1 / 4

    def test_the_worse_end_tells_how_many_can_be_averaged(self):
        frame = layers_frame(lambda a, r, rest: 1.0 if rest == "both" or (rest, len(a)) == ("to", 3) else 0.0)
        for rest, share in (("from", 3 / 4), ("to", 2 / 4), ("both", 2 / 4)):
            assert barrier(frame, regime="shallow", statistic="averageable", rest=rest) == share

    def test_the_least_that_adding_a_layer_changes(self):
        heights = {"from": [0.0, 3.0, 2.5], "to": [1.0, 1.0, 5.0], "both": [4.0]}
        frame = layers_frame(lambda a, r, rest: 4.0 if rest == "both" else heights[rest][len(a) - 1])
        step = {"regime": "shallow", "statistic": "lowest-step"}
        assert barrier(frame, **step) == -1.0  # from 5 with rest "to" to 4 of all
        assert barrier(frame, rest="from", **step) == -0.5
        assert barrier(frame, layers=[0, 0.5], **step) == 0
        with pytest.raises(ValueError, match="not regime single"):
            barrier(frame, regime="single", statistic="lowest-step")

    @pytest.mark.parametrize(
        ("threshold", "share"), [(0.1, 3.2), (0.25, 3.5), (0.5, 4.0), (0.75, 4.5), (1.0, 8.0)]
    )
    def test_reach_counts_fractions_of_a_layer(self, threshold, share):
        # Barriers of 1, 2, ..., 8 layers: nothing three times, then half, then all of the full one.
        reach = {"regime": "shallow", "column": "share", "statistic": "reach"}
        assert barrier(self.FRAME, threshold=threshold, **reach) == pytest.approx(share / 8)

    def test_reach_begins_at_no_layers_and_no_barrier(self):
        frame = layers_frame(lambda a, r, rest: 4.0 * len(a), rounds=[1])
        found = [barrier(frame, regime="deep", statistic="reach", threshold=t) for t in (-1.0, 0.0, 1.0, 6.0)]
        assert found == [0, 0, 1 / 16, 6 / 16]
        with pytest.raises(ValueError, match="statistic reach needs layers that add up, not regime single"):
            barrier(frame, regime="single", statistic="reach")

    def test_the_mean_of_both_rests_is_what_a_heat_map_shows(self):
        # One model is worse than the other: none of the layers averaged is above the mean of the ends, or below.
        frame = layers_frame(
            lambda a, r, rest: {"from": -1.0, "to": 1.0, "both": 0.0}[rest] + (1 in a) * 2.0, rounds=[1]
        )
        share = {"regime": "shallow", "layers": [0, 0.25], "column": "share", "statistic": "max"}
        assert barrier(frame, **share) == 0.5 and barrier(frame, rest="mean", **share) == 0
        step = {"regime": "shallow", "statistic": "lowest-step"}
        assert barrier(frame, **step) == -1 and barrier(frame, rest="mean", **step) == 0
        grid = cells(of_rests(frame[frame["regime"] == "shallow"]), ["averaged"], "barrier")
        found = [barrier(frame, regime="shallow", layers=[k / 4, k / 4], rest="mean") for k in range(1, 5)]
        assert found == grid["mean"].tolist()

    def test_columns_compare_with_both_ends(self):
        frame = layers_frame(
            lambda a, r, rest: -1.5, rounds=[1]
        )  # the ends are 1 and 3: their mixture is 0.5
        found = {
            column: barrier(frame, column=column) for column in ("barrier", "ratio", "rise", "value", "ends")
        }
        assert found == {"barrier": -1.5, "ratio": -0.75, "rise": -0.5, "value": 0.5, "ends": 2.0}
        better = layers_frame(
            lambda a, r, rest: -0.5, rounds=[1]
        )  # below their mean, but not below the first
        assert barrier(better) < 0 < barrier(better, column="rise")

    def test_error_and_the_test_split(self):
        frame = layers_frame(middle, EIGHT, [1], splits=("train", "test"), measures=("loss", "error"))
        frame.loc[(frame["split"] == "test") & (frame["measure"] == "error"), "barrier"] = 0.25
        assert barrier(frame, of="error", split="test") == 0.25
        assert barrier(frame) == barrier(frame, of="error") == 1.0

    def test_pairs_are_averaged_before_the_extreme_is_taken(self):
        # One layer each has a barrier: what a heat map shows has half of it in both.
        pairs = [
            layers_frame(
                lambda a, r, rest, k=k: float(k in a), regimes=["full", "single"], client=0, to_client=k
            )
            for k in (1, 2)
        ]
        assert barrier(pd.concat(pairs), regime="single", statistic="max") == 0.5
        assert barrier(pd.concat(pairs)) == 1.0

    def test_models_are_told_apart_and_each_counts_once(self):
        few = layers_frame(lambda a, r, rest: float(0 in a), model="a", rounds=[1])
        many = layers_frame(lambda a, r, rest: float(7 in a), EIGHT, model="b", rounds=[1])
        shallow = {"regime": "shallow", "column": "share", "statistic": "averageable"}
        assert (barrier(few, **shallow), barrier(many, **shallow)) == (0, 7 / 8)
        assert barrier(pd.concat([few, many]), **shallow) == 7 / 16

    def test_the_last_round_is_each_pairs_own(self):
        short = layers_frame(lambda a, r, rest: float(r), rounds=[0, 1], method="short", to_method="short")
        long = layers_frame(lambda a, r, rest: float(r), rounds=[0, 9])
        assert barrier(pd.concat([short, long])) == 5

    def test_alignments_are_told_apart(self):
        frame = pd.concat(
            [self.FRAME, layers_frame(lambda a, r, rest: 2.0, EIGHT, [10], alignment="weights")]
        )
        assert (barrier(frame), barrier(frame, alignment="weights")) == (10, 2)

    def test_a_share_of_no_barrier_is_not_measured(self):
        none = layers_frame(lambda a, r, rest: -1.0 if len(a) == 4 else 0.5)
        assert math.isnan(barrier(none, regime="single", column="share"))
        # Round 0, where both models are the same, is left out of the mean; the last one is not.
        assert barrier(self.FRAME, regime="single", column="share", statistic="max", rounds="mean") == 0.5

    def test_a_share_of_next_to_no_barrier_is_left_out_where_asked(self):
        # Of a full average, the error rises by 0, 4 and 8 points; its loss by the same, in nats.
        def height(averaged, number, rest):
            return number / 100 if len(averaged) == 4 else 0.03

        frame = layers_frame(height, rounds=[0, 4, 8], measures=("loss", "error"))
        share = {"regime": "single", "column": "share", "rounds": "max", "statistic": "max"}
        for of in ("loss", "error"):
            assert barrier(frame, of=of, **share) == pytest.approx(0.75)
            assert barrier(frame, of=of, least_error=0.05, **share) == pytest.approx(0.375)
            assert math.isnan(barrier(frame, of=of, least_error=0.1, **share))
        # What is no share is looked at wherever it stands.
        assert barrier(frame, regime="single", least_error=0.1) == pytest.approx(0.03)

    def test_rounds_before_the_first_that_counts_are_left_out(self):
        frame = layers_frame(lambda a, r, rest: float(r), rounds=[0, 1, 5])
        assert [barrier(frame, rounds="min", since=since) for since in (0, 1, 2)] == [0, 1, 5]
        assert math.isnan(barrier(frame, since=6))

    def test_models_that_learned_nothing_are_not_measured(self):
        frame = layers_frame(middle, EIGHT, [0, 10], measures=("loss", "error"))  # errors of 0.2 and 0.4
        assert barrier(frame, learned_error=0.35) == 10
        assert math.isnan(barrier(frame, learned_error=0.25))
        late = pd.concat(
            [
                frame[frame["round"] == 10].assign(from_value=0.1),
                frame[frame["round"] == 0].assign(from_value=0.9),
            ]
        )
        assert barrier(late, learned_error=0.25) == 10  # at the last round they have
        assert math.isnan(barrier(self.FRAME, learned_error=1.0))  # no errors to tell by

    def test_what_is_not_there_or_not_finite_is_not_measured(self):
        assert math.isnan(barrier(self.FRAME[:0]))
        assert math.isnan(barrier(self.FRAME, regime="random"))
        assert math.isnan(barrier(self.FRAME, split="test"))
        assert math.isnan(
            barrier(self.FRAME[self.FRAME["regime"] == "single"], regime="single", column="share")
        )
        gone = self.FRAME.assign(barrier=self.FRAME["barrier"].where(self.FRAME["depth"] != 5))
        for statistic in ("mean", "max", "averageable"):
            assert math.isnan(barrier(gone, regime="single", statistic=statistic))
        # A pair that ends before the others: their mean at the last round would flatter.
        pair = layers_frame(middle, EIGHT, [0], to_client=1)
        assert math.isnan(barrier(pd.concat([self.FRAME, pair]), rounds="mean"))

    @pytest.mark.parametrize("layers", [[0.5], [0.5, 0.2], [-0.1, 1], [0, 1.1], []])
    def test_impossible_ranges_are_refused(self, layers):
        with pytest.raises(ValueError, match="layers must be"):
            barrier(self.FRAME, layers=layers)


class TestDistance:
    FRAME = distances_frame(lambda place, number: 0.5 if place < 0 else place / 10 + number)

    def test_over_layers_or_whole(self):
        assert distance(self.FRAME) == pytest.approx(10.15)
        assert distance(self.FRAME, statistic="min") == 10 and distance(self.FRAME, statistic="max") == 10.3
        assert distance(self.FRAME, statistic="whole") == 0.5
        assert distance(self.FRAME, statistic="whole", column="l2") == 5
        assert distance(self.FRAME, column="cosine_to_start") == 0.25

    def test_over_rounds(self):
        assert distance(self.FRAME, rounds="mean") == pytest.approx(5.15)
        assert distance(self.FRAME, rounds="min") == pytest.approx(0.15)

    def test_pairs_are_averaged_layer_by_layer(self):
        other = distances_frame(lambda place, number: float(place), to_seed=1)
        both = pd.concat([distances_frame(lambda place, number: -float(place)), other])
        assert distance(both, statistic="max") == distance(both, statistic="min") == 0

    def test_the_shallow_third_over_the_deep_one(self):
        # Ten layers: the first four and the last four at depths of at most 0.34, at least 0.66.
        frame = distances_frame(
            lambda place, number: 1 - (place + 1) / 100, [f"layer{i}" for i in range(10)], [3]
        )
        thirds = [sum(range(1, 5)) / 4, sum(range(7, 11)) / 4]
        assert distance(frame, statistic="shallow-to-deep") == pytest.approx(thirds[0] / thirds[1])
        lengths = [10 - one / 10 for one in thirds]
        assert distance(frame, statistic="shallow-to-deep", column="l2") == pytest.approx(
            lengths[0] / lengths[1]
        )
        same = distances_frame(lambda place, number: 1.0, rounds=[3])
        assert math.isnan(distance(same, statistic="shallow-to-deep"))

    def test_what_is_not_there_is_not_measured(self):
        assert math.isnan(distance(self.FRAME[:0]))
        assert math.isnan(distance(self.FRAME, alignment="weights"))
        gone = self.FRAME.assign(cosine=self.FRAME["cosine"].where(self.FRAME["depth"] != 2))
        assert math.isnan(distance(gone)) and distance(gone, statistic="whole") == 0.5


class TestCells:
    def test_a_mixture_of_all_layers_counts_for_either_rest(self):
        rows = layers_frame(lambda a, r, rest: 0.0, rounds=[0], regimes=["shallow"])
        assert len(rows) == 2 * len(NAMES) - 1
        for rest in ("from", "to"):
            found = of_rests(rows, [rest])
            assert found["averaged"].tolist() == [1, 2, 3, 4] and set(found["rest"]) == {rest}
        assert len(of_rests(rows)) == 2 * len(NAMES)

    def test_mean_and_range_where_all_have_a_value(self):
        rows = pd.DataFrame({"at": [0, 0, 1, 1, 2], "barrier": [1.0, 3.0, 1.0, NAN, 5.0]})
        found = cells(rows, ["at"], "barrier")
        assert found["at"].tolist() == [0, 1, 2]
        assert np.array_equal(found.loc[0, ["mean", "min", "max"]], [2.0, 1.0, 3.0])
        assert found.loc[1:, ["mean", "min", "max"]].isna().all(axis=None)  # NaN; a pair that is missing
        assert cells(rows[:0], ["at"], "barrier").empty
