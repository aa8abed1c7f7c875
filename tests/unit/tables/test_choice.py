"""Which point of a grid is reported: the best on held-out samples, for all seeds together."""

import pandas as pd
import pytest
from run_frames import runs_frame

from fedscape.plugins import Plugin
from fedscape.settings.claims import Case
from fedscape.tables.cases import measured
from fedscape.tables.comparison import best_grid_points, method_of


def points(values, seeds=(0, 1), column="validation_accuracy", **names):
    """Runs of a grid `tuned`; values: [points][seeds]."""
    return [
        {"method": f"tuned.g{i}", "seed": seed, column: value, **names}
        for i, of_point in enumerate(values, start=1)
        for seed, value in zip(seeds, of_point, strict=True)
    ]


def methods(frame):
    return sorted(set(frame["method"]))


def test_the_mean_over_seeds_chooses_not_the_luckiest_seed():
    frame = runs_frame(*points([[0.9, 0.1], [0.6, 0.6]]))
    assert methods(best_grid_points(frame, "validation_accuracy")) == ["tuned.g2"]
    assert len(best_grid_points(frame, "validation_accuracy")) == 2
    assert methods(
        best_grid_points(runs_frame(*points([[1, 2], [3, 4]], column="validation_loss")), "validation_loss")
    ) == ["tuned.g1"]


def test_the_test_set_has_no_say():
    frame = runs_frame(*points([[0.7, 0.7], [0.6, 0.6]]))
    frame["test_accuracy"] = [0.1, 0.1, 0.9, 0.9]
    assert methods(best_grid_points(frame, "validation_accuracy")) == ["tuned.g1"]


@pytest.mark.parametrize("key", ["dataset", "model", "partition", "init"])
def test_each_setting_has_a_choice_of_its_own(key):
    rows = points([[0.7, 0.7], [0.6, 0.6]], **{key: "a"}) + points([[0.5, 0.5], [0.6, 0.6]], **{key: "b"})
    found = best_grid_points(runs_frame(*rows), "validation_accuracy")
    assert (
        sorted(zip(found[key], found["method"], strict=True))
        == [("a", "tuned.g1")] * 2 + [("b", "tuned.g2")] * 2
    )


def test_methods_without_a_grid_stay_and_so_do_grids_of_others():
    rows = [*points([[0.1, 0.1], [0.2, 0.2]]), {"method": "plain"}, {"method": "plain.good"}]
    assert methods(best_grid_points(runs_frame(*rows), "validation_accuracy")) == [
        "plain",
        "plain.good",
        "tuned.g2",
    ]


def test_a_point_that_diverged_once_is_chosen_only_if_all_did():
    frame = runs_frame(*points([[0.9, 0.9], [0.2, 0.2]]))
    frame.loc[1, "diverged"] = True
    assert methods(best_grid_points(frame, "validation_accuracy")) == ["tuned.g2"]
    frame["diverged"] = "true"  # as a CSV may have it
    assert methods(best_grid_points(frame, "validation_accuracy")) == ["tuned.g1"]
    frame = runs_frame(*points([[None, 0.9], [0.2, 0.2]]))
    assert methods(best_grid_points(frame, "validation_accuracy")) == ["tuned.g2"]


def test_ties_go_to_the_first_point_by_its_number():
    frame = runs_frame(*points([[0.1, 0.1]] * 1 + [[0.5, 0.5]] * 10))
    assert methods(best_grid_points(frame.sample(frac=1, random_state=0), "validation_accuracy")) == [
        "tuned.g2"
    ]


def test_a_sweep_is_chosen_within_each_of_its_values():
    frame = runs_frame(*points([[0.1, 0.1], [0.2, 0.2], [0.4, 0.4], [0.3, 0.3]]))
    frame["along"] = [1, 1, 1, 1, 2, 2, 2, 2]
    assert methods(best_grid_points(frame, "validation_accuracy", ["along"])) == ["tuned.g2", "tuned.g3"]


def test_names_of_points():
    assert list(method_of(pd.Series(["a.g1", "a.g12", "a", "a.g", "b.g1.g2", "big"]))) == [
        "a",
        "a",
        "a",
        "a.g",
        "b.g1",
        "big",
    ]


FINAL = {"column": "test_accuracy", "choose": "validation_accuracy"}


def test_a_case_of_one_seed_reports_what_all_seeds_chose():
    frame = runs_frame(*points([[0.9, 0.1], [0.6, 0.6]]))
    frame["test_accuracy"] = [0.91, 0.11, 0.61, 0.62]
    frame.loc[1, "diverged"] = True  # of a point that is not chosen

    def value(seed, **settings):
        runs = list(frame.loc[frame["seed"] == seed, "run"])
        return measured(
            {"runs": frame, "rounds": frame.iloc[:0]},
            "",
            Case((seed,), runs, [], runs),
            Plugin("final", {**FINAL, **settings}),
        ).value

    assert value(0) == 0.61 and value(1) == 0.62
    assert value(0, choose=None) == pytest.approx((0.91 + 0.61) / 2)
    assert value(1, choose=None) == "diverged"


def test_what_is_measured_over_the_last_fifth_is_chosen_by_it():
    """Not by a last round in which the worse point happens to be ahead."""
    frame = runs_frame(*points([[0.9], [0.6]], seeds=(0,)))
    frame["test_accuracy"] = 0.0
    rounds = pd.DataFrame(
        [
            {"run": run, "round": number, "validation_accuracy": validation, "test_accuracy": test}
            for run, validations, test in zip(
                frame["run"], ([0.3, 0.3, 0.9], [0.6] * 3), (0.4, 0.5), strict=True
            )
            for number, validation in zip((82, 91, 100), validations, strict=True)
        ]
    )

    def value(which):
        case = Case((0,), list(frame["run"]), [], list(frame["run"]))
        frames = {"runs": frame, "rounds": rounds}
        return measured(frames, "", case, Plugin("final", {**FINAL, "rounds": which})).value

    assert value("last-fifth") == 0.5 and value("last") == 0.0
