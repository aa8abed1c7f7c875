"""One look for a name in all figures of a study: colour, marker and dash follow from the study alone."""

from itertools import pairwise

import pandas as pd
import pytest
import yaml
from drawn_figures import drawn, rounds_frame
from edited_study import ROOT, reader
from figure_frames import RUN
from matplotlib.colors import to_rgb

from fedscape.columns.identity import NAMES
from fedscape.errors import FedscapeError
from fedscape.figures import draw
from fedscape.figures.draw import selected
from fedscape.figures.labels import pair_labels, run_labels
from fedscape.figures.looks import (
    Labels,
    end_looks,
    line_looks,
    nth_look,
    run_looks,
    sequence_colour,
    value_looks,
)
from fedscape.figures.style import BLACK, COLOURS, save
from fedscape.plugins import Plugin
from fedscape.study.campaign import Campaign
from fedscape.study.looks import evenness
from fedscape.study.stages.figures import FIGURE, figure_runs
from fedscape.study.stages.training import TRAIN

STUDIES = [
    (name, scale)
    for name in ("pilot", "fedalign", "layerwise", "pretraining", "remedies", "flatness")
    for scale in ("smoke", "quick", "small", "paper")
    if (name, scale) != ("fedalign", "paper")  # on images that a user has to bring
]  # fmt: skip
SETTINGS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
ALPHAS = (0.01, 0.1, 0.3, 0.5, 1.0, 2.0, 12.0, 100.0)
STUDY = """
title: A study
datasets: [digits]
seeds: [0, 1]
models: {convnet: {}}
partitions:
  iid: {scheme: iid, clients: 4}
  dir0.1: {scheme: dirichlet, clients: 4, alpha: 0.1}
inits: {random: {kind: random}, other: {kind: random, seed: 7}}
methods: {a: {algorithm: fedavg, rounds: 4}, b: {algorithm: fedavg, rounds: 4, lr: 0.1}}
runs: [{partition: [iid, dir0.1], init: [random, other], method: [a, b]}]
planes: {whole: {kind: trajectory, runs: [{method: a}], each: [init]}}
labels: [{label: IID, where: {partition: iid}}, {label: Plain, where: {method: b}}]
figures:
  planes: {kind: contour, plane: whole}
  methods: {kind: curves, table: rounds, measure: test_loss, where: {partition: dir0.1, init: random}}
  both: {kind: curves, table: rounds, measure: test_loss, panels: init}
scales: {smoke: {}}
"""
MORE_METHODS = ("b: {algorithm: fedavg, rounds: 4, lr: 0.1}", "b: {algorithm: fedavg, rounds: 4, lr: 0.1}, c: {algorithm: fedavg, rounds: 9}")  # fmt: skip
MORE_PARTITIONS = ("alpha: 0.1}", "alpha: 0.1}\n  dir0.2: {scheme: dirichlet, clients: 4, alpha: 0.2}")
MORE_RUNS = ("method: [a, b]}]", "method: [a, b]}, {partition: dir0.2, init: random, method: c}]")


def of_runs(study, name, reverse=False):
    """The rows of the runs that a figure shows, with their groups, and its labels."""
    figure = study.figures[name]
    settings = FIGURE.settings(study, {"figure": name})
    rows = [run.identity(study.name, study.scale) for run in figure_runs(study, figure)]
    frame = pd.DataFrame(rows[::-1] if reverse else rows)
    frame["group"] = "all"
    sections = {"plane": "planes", "connectivity": "connectivity", "curvature": "curvature"}
    if figure.groups:
        groups = study.analyses[sections[figure.source]][figure.name].groups
        names = {run: group for group in figure.groups for run in groups[group] if not isinstance(run, tuple)}
        frame["group"] = [
            names.get(run, "all") for run in (figure_runs(study, figure)[:: -1 if reverse else 1])
        ]
    return frame, Labels.of(settings["labels"], settings["numbers"])


def pairs_of(study, figure):
    """The rows of the pairs of runs that a figure shows."""
    rows = []
    for group in figure.groups:
        for pair in study.analyses["connectivity"][figure.name].groups[group]:
            first, second = (run.identity(study.name, study.scale) for run in pair)
            rows.append({**first, "group": group, **{f"to_{key}": value for key, value in second.items()}})
    return selected(pd.DataFrame(rows), figure.where)


def looks_in(study, name, reverse=False):
    """The look of each name in a figure of runs; nothing for figures that draw no runs."""
    figure = study.figures[name]
    settings = figure.kind.settings
    frame, labels = of_runs(study, name, reverse)
    if figure.kind.kind in ("contour", "local"):
        within = ["group"]
    elif figure.kind.kind in ("curves", "spectrum"):
        if settings.get("lines") or (figure.kind.kind == "curves" and figure.name in ("layers", "distances")):
            return {}
        within = [settings["panels"]] if settings.get("panels") in NAMES else []
    elif figure.kind.kind == "finals":
        return value_looks(frame, settings["lines"], labels) if settings["lines"] else {}
    elif figure.kind.kind == "ranking":
        return value_looks(frame, "method", labels)
    elif figure.kind.kind == "interpolation":
        return end_looks(pairs_of(study, figure), ["group"], labels)
    else:
        return {}
    return run_looks(frame, run_labels(frame, NAMES, within, labels), NAMES, within, labels)


@pytest.mark.parametrize(("name", "scale"), STUDIES)
def test_a_name_looks_alike_in_all_figures_of_a_study(name, scale):
    study = Campaign(ROOT, SETTINGS).get(name, scale)
    looks: dict = {}
    for figure in study.figures:
        own = looks_in(study, figure)
        assert len(set(own.values())) == len(own), f"{figure}: names that look alike"
        assert own == looks_in(study, figure, reverse=True), f"{figure}: the order of rows matters"
        for label, look in own.items():
            assert looks.setdefault(label, look) == look, f"{figure}: {label} looks different"
    if name != "layerwise":
        assert looks


class TestOneStudy:
    @pytest.fixture
    def read(self, tmp_path):
        return reader(tmp_path, STUDY)

    def test_partitions_have_the_colours_of_a_sequence(self, read):
        looks = looks_in(read().get("pilot"), "planes")
        assert looks["IID"].colour == BLACK
        assert looks["dir0.1"].colour == sequence_colour(0.2)

    def test_colour_by_partition_marker_and_dash_by_method(self, read):
        looks = looks_in(read().get("pilot"), "both")
        assert set(looks) == {"iid, a", "iid, b", "dir0.1, a", "dir0.1, b"}
        for method in "ab":
            assert looks[f"iid, {method}"].colour == BLACK
            assert looks[f"dir0.1, {method}"].colour == sequence_colour(0.2)
            assert looks[f"iid, {method}"].marker == looks[f"dir0.1, {method}"].marker
            assert looks[f"iid, {method}"].line == looks[f"dir0.1, {method}"].line

    def test_what_is_declared_last_leaves_all_others_alone(self, read):
        before = read().get("pilot")
        after = read(MORE_METHODS, MORE_PARTITIONS, MORE_RUNS).get("pilot")
        assert set(after.runs) > set(before.runs)
        for figure in before.figures:
            old, new = looks_in(before, figure), looks_in(after, figure)
            assert {name: new[name] for name in old} == old

    def test_a_figure_knows_of_its_own_names_alone(self, read):
        """So that no other name can redraw it."""
        before = FIGURE.settings(read().get("pilot"), {"figure": "methods"})
        assert [label["label"] for label in before["labels"]] == ["Plain"]
        after = read(
            MORE_METHODS,
            MORE_PARTITIONS,
            MORE_RUNS,
            ("labels: [", "labels: [{label: Mild, where: {partition: dir0.2}}, "),
        )
        assert FIGURE.settings(after.get("pilot"), {"figure": "methods"}) == before

    def test_a_figure_may_be_for_print(self, read):
        study = read(("panels: init}", "panels: init, width: 170}")).get("pilot")
        assert FIGURE.settings(study, {"figure": "both"})["style"] == {"use": "print", "width": 170.0}
        assert FIGURE.settings(study, {"figure": "methods"})["style"] == {"use": "screen"}
        with pytest.raises(FedscapeError, match=r"figures\.both\.width: a figure for the screen has none"):
            read(("panels: init}", "panels: init, style: screen, width: 85}")).get("pilot")

    def test_no_figure_is_called_as_the_diagnostics_of_another(self, read):
        line = "  both: {kind: curves, table: rounds, measure: test_loss, panels: init}"
        for name in ("both-diagnostics", "diagnostics"):
            more = (line, f"{line}\n{line.replace('both', name)}")
            if name == "diagnostics":
                assert name in read(more).get("pilot").figures
                continue
            with pytest.raises(
                FedscapeError, match=r"figures\.both-diagnostics: in print its files"
            ) as error:
                read(more).get("pilot")
            assert "\n" not in str(error.value)

    def test_no_look_trains_anything_again(self, read):
        settings = TRAIN.settings(read().get("pilot"), read().get("pilot").runs[0].names)
        assert "numbers" not in settings


class TestSequence:
    def test_alpha_is_a_sequence(self):
        """Lightness falls and never repeats from small to large alphas, and IID is black."""
        parts = [evenness(Plugin("dirichlet", {"alpha": alpha})) for alpha in ALPHAS]
        assert all(low < high < 1 for low, high in pairwise(parts))
        assert evenness(Plugin("iid")) == 1
        colours = [to_rgb(sequence_colour(part)) for part in (*parts, 1.0)]
        lightness = [
            0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 for red, green, blue in colours
        ]
        assert all(light > dark for light, dark in pairwise(lightness))
        assert lightness[0] < 0.6, "too light for white paper"

    def test_schemes_without_a_number_are_outside_of_it(self):
        assert evenness(Plugin("natural")) is None
        few, many = (evenness(Plugin("shards", {"shards_per_client": number})) for number in (2, 5))
        assert few < many < 1


class TestRunLooks:
    def frame(self, *runs):
        return pd.DataFrame([{**RUN, **run} for run in runs])

    def test_runs_that_no_study_knows_are_drawn_by_their_names(self):
        frame = self.frame({"partition": "x10"}, {"partition": "x9"}, {"partition": "x9", "seed": 1})
        columns = ["partition"]
        looks = run_looks(frame, run_labels(frame, columns), columns)
        assert looks["x9"] == nth_look(0) and looks["x10"] == nth_look(1)

    def test_names_alike_in_the_study_are_told_apart(self):
        """A label about the third method, and one about the third start, in one figure."""
        frame = self.frame({"method": "a", "init": "x"}, {"method": "b", "init": "y"})
        labels = [{"label": "A", "where": {"method": "a"}}, {"label": "Y", "where": {"init": "y"}}]
        numbers = [
            ["method", "a", 2, None],
            ["init", "y", 2, None],
            ["method", "b", 0, None],
            ["init", "x", 0, None],
        ]
        looks = run_looks(frame, run_labels(frame, labels=labels), labels=Labels.of(labels, numbers))
        assert len(set(looks.values())) == 2
        assert looks["A"] == nth_look(2)

    def test_any_number_of_names_gets_looks(self):
        """Names that share a colour, more than it has markers and dashes; then more than there are looks."""
        runs = [{"method": f"m{number}"} for number in range(300)]
        numbers = [["method", run["method"], 0, None] for run in runs]
        most = 42 * len(COLOURS)
        for count in (42, 43, 300):
            frame = self.frame(*runs[:count])
            looks = run_looks(frame, frame["method"], ["method"], labels=Labels.of([], numbers))
            assert len(looks) == count and len(set(looks.values())) == min(count, most)
            assert len({look.colour for look in looks.values()}) == min(len(COLOURS), -(-count // 42))

    def test_nth_looks_differ_in_colour_and_marker_and_line(self):
        assert len({nth_look(number) for number in range(42)}) == 42
        first = [nth_look(number) for number in range(5)]
        assert all(len({getattr(look, part) for look in first}) == 5 for part in ("colour", "marker", "line"))
        assert {look.colour for look in first} < set(COLOURS)

    def test_lines_of_one_run_have_looks_of_their_values(self):
        frame = self.frame({"split": "test"}, {"split": "train"})
        names = pd.Series(["test samples", "training samples"])
        looks = line_looks(frame, names, "split", NAMES, [], [])
        assert looks == {"test samples": nth_look(1), "training samples": nth_look(0)}
        two = pd.concat([frame, frame.assign(partition="dir0.1")], ignore_index=True)
        names = two["partition"] + two["split"]
        of_two = line_looks(two, names, "split", NAMES, [], [])
        assert len(set(of_two.values())) == 4
        assert of_two["iidtest"].colour == of_two["iidtrain"].colour != of_two["dir0.1test"].colour

    def test_combinations_of_two_columns_differ_in_colour(self):
        rows = [{"of": of, "data": data} for of in ("client", "mean") for data in ("global", "own")]
        frame = self.frame(*rows)
        columns = [*NAMES, "of", "data"]
        looks = run_looks(frame, run_labels(frame, columns), columns)
        assert len({look.colour for look in looks.values()}) == len(rows)

    def test_an_end_that_differs_in_its_seed_keeps_its_colour(self):
        frame = self.frame({"partition": "iid"}).assign(to_seed=5, group="all")
        frame = frame.assign(**{f"to_{name}": frame[name] for name in NAMES})
        looks = end_looks(frame)
        assert set(looks) == set(pd.concat(pair_labels(frame))) == {"iid", "iid, other seed"}
        assert looks["iid"].colour == looks["iid, other seed"].colour
        assert looks["iid"].line != looks["iid, other seed"].line


NUMBERS = (
    ("partition", "dir0.6", 0, None), ("partition", "dir0.1", 1, None),
    ("method", "b", 0, None), ("method", "a", 1, None),
)  # fmt: skip


class TestOrder:
    def test_rows_have_the_order_of_the_study(self):
        labels = Labels.of((), NUMBERS)
        frame = pd.DataFrame(
            [(partition, method, round_) for partition in ("*", "dir0.1", "dir0.6") for method in "abc" for round_ in (0, 1)],
            columns=["partition", "method", "round"],
        )  # fmt: skip
        ordered = labels.in_order(frame)
        assert list(dict.fromkeys(zip(ordered["partition"], ordered["method"], strict=True))) == [
            (partition, method) for partition in ("dir0.6", "dir0.1", "*") for method in "bac"
        ]
        assert list(ordered["round"]) == [0, 1] * 9
        assert Labels.of(()).in_order(frame).equals(frame)

    def test_pairs_have_that_of_their_first_runs(self):
        labels = Labels.of((), NUMBERS)
        pairs = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
        ordered = labels.in_order(pd.DataFrame(pairs, columns=["method", "to_method"]))
        assert list(ordered.itertuples(index=False, name=None)) == [
            ("b", "b"),
            ("b", "a"),
            ("a", "b"),
            ("a", "a"),
        ]

    def test_panels_follow_it(self, tmp_path, monkeypatch):
        figures = []
        monkeypatch.setattr(
            draw, "save", lambda figure, *paths: figures.append(figure) or save(figure, *paths)
        )
        labels = Labels.of((), [["partition", "iid", 0, None], ["partition", "dir0.1", 1, None]])
        partitions = ("dir0.1", "iid")  # as the alphabet has them
        settings = {"measure": "test_accuracy", "panels": "partition"}
        drawn(tmp_path, "curves", settings, {"rounds": rounds_frame(partitions=partitions)}, labels=labels)
        assert [axes.get_title() for axes in figures[0].axes] == ["iid", "dir0.1"]
