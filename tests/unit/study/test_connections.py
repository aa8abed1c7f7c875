"""Connections of a study: which pairs of models they join, and what is refused."""

import pytest
from edited_study import CONFIG, ROOT, reader

from fedscape.errors import FedscapeError
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.stage import group_files
from fedscape.study.tracked import tracked

STUDY = """\
title: T
datasets: [digits]
seeds: [0, 1]
models: {convnet: {}}
partitions: {iid: {scheme: iid, clients: 3}, whole: {scheme: iid, clients: 1}}
inits: {random: {kind: random}}
methods:
  a: &a {algorithm: fedavg, rounds: 6, keep_rounds: [1, 3], client_rounds: [1, last]}
  b: {<<: *a, order_seed: 7}
  c: {<<: *a, rounds: 12, keep_rounds: all}
runs: [{}]
connectivity:
  runs: {kind: layers, from: {partition: whole, method: a}, to: {method: [b, c]}, rounds: [0, 0.5, last]}
  clients: {kind: layers, between: clients, runs: [{partition: iid, method: a}], rounds: [last], clients: [0, 1, 2]}
  rounds: {kind: layers, between: rounds, runs: [{partition: iid, method: a}], rounds: [1, last]}
  lines: {kind: path, from: {method: a, partition: iid}, to: {method: b, partition: iid}}
  bent: {kind: curve, between: clients, runs: [{partition: iid, method: a}], clients: [0, 2], lr: 1, form: chain}
scales: {smoke: {}}
"""
TEXT = (
    "datasets: [digits]\nseeds: [0, 1]\nmodels: {convnet: {}}",
    "datasets: [sklearn-descriptions]\nmodels: {gpt: {}}",
)
SEED0 = {"name": "", "group": "digits_all_seed0"}


@pytest.fixture
def campaign(tmp_path):
    return reader(tmp_path, STUDY, CONFIG)


def pairs(study, name):
    return with_runs(STAGES["layers"].settings(study, {**SEED0, "name": name}))


def with_runs(settings):
    """The pairs of an entry, with their runs in place of their positions among all."""
    runs = settings["runs"]
    return [{**pair, **{end: runs[pair[end]] for end in ("from", "to")}} for pair in settings["pairs"]]


def ends(pair):
    return pair["from"]["method"], pair["to"]["method"], pair["round"], pair["to_round"]


def test_two_runs_are_joined_at_each_round(campaign):
    found = pairs(campaign().get("pilot"), "runs")
    partitions = {one["to"]["partition"] for one in found}
    assert partitions == {"iid", "whole"}  # `to` does not name one
    whole = [ends(one) for one in found if one["to"]["partition"] == "whole"]
    # A fraction of all rounds is another round in a longer run; `last` is left to the run itself.
    assert whole == [
        ("a", "b", 0, 0), ("a", "b", 3, 3), ("a", "b", "last", "last"),
        ("a", "c", 0, 0), ("a", "c", 3, 6), ("a", "c", "last", "last"),
    ]  # fmt: skip
    assert all(one["client"] is one["to_client"] is None for one in found)
    assert all(one["from"]["seed"] == one["to"]["seed"] == 0 for one in found)


def test_two_runs_that_both_ends_name_are_one_pair(campaign):
    every = "{method: [a, b, c], partition: iid}"
    study = campaign(
        ("from: {method: a, partition: iid}, to: {method: b, partition: iid}", f"from: {every}, to: {every}")
    )
    settings = STAGES["path"].settings(study.get("pilot"), {**SEED0, "name": "lines"})
    methods = [run["method"] for run in settings["runs"]]
    assert [(methods[start], methods[end]) for start, end in settings["pairs"]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_fractions_that_are_the_same_round_are_one_pair(campaign):
    several = ("rounds: [0, 0.5, last]", "rounds: [0.01, 0.16, 0.5, 6, last]")
    kept = ("keep_rounds: [1, 3]", "keep_rounds: all")
    found = [ends(one)[2:] for one in pairs(campaign(several, kept).get("pilot"), "runs")]
    assert found[:3] == [(1, 1), (3, 3), ("last", "last")]


def clients_of(study, name):
    return STAGES["layers"].inputs(study, {**SEED0, "name": name})["clients"]


def test_every_pair_of_clients_of_a_round(campaign):
    study = campaign().get("pilot")
    found = pairs(study, "clients")
    assert [(one["client"], one["to_client"]) for one in found] == [(0, 1), (0, 2), (1, 2)]
    assert {one["round"] for one in found} == {one["to_round"] for one in found} == {6}
    folder = "results/pilot/smoke/runs/digits/convnet/iid/random/a/seed0"
    assert clients_of(study, "clients") == [f"{folder}/clients.safetensors"]
    assert clients_of(study, "rounds") == []


def test_a_round_and_the_one_before(campaign):
    # Round 5 is kept because the clients of round 6 start from it.
    found = [ends(one) for one in pairs(campaign().get("pilot"), "rounds")]
    assert found == [("a", "a", 0, 1), ("a", "a", 5, 6)]


def test_a_curve_joins_what_layers_join(campaign):
    study = campaign().get("pilot")
    settings = STAGES["curve"].settings(study, {**SEED0, "name": "bent"})
    (pair,) = with_runs(settings)
    assert (pair["client"], pair["to_client"], pair["round"], pair["from"]["method"]) == (0, 2, 6, "a")
    own = {key: settings[key] for key in ("form", "between", "epochs", "points", "samples")}
    assert own == {"form": "chain", "between": "clients", "epochs": 50, "points": 61, "samples": None}
    assert repr(settings["lr"]) == "1.0", "one spelling, however it was written"
    assert len(STAGES["curve"].inputs(study, {**SEED0, "name": "bent"})["clients"]) == 1


def test_files_of_each_kind(campaign):
    study = campaign().get("pilot")
    groups = ["digits_all_seed0", "digits_all_seed1"]
    folder = "results/pilot/smoke/connectivity"
    lines = [f"{folder}/lines/{group}/barriers.csv" for group in groups]
    assert group_files(STAGES["path"], "barriers", study) == lines
    layers = [
        f"{folder}/{name}/{group}/layers.csv" for name in ("runs", "clients", "rounds") for group in groups
    ]
    assert group_files(STAGES["layers"], "layers", study) == layers


def test_groups_of_layers_keep_their_order_and_may_hold_dots(campaign, tmp_path):
    groups = "groups: {z.1: ['0'], a: ['2', '4']}"
    study = campaign(("a}], rounds: [1, last]", "a}], rounds: [1, last], " + groups)).get("pilot")
    settings = STAGES["layers"].settings(study, {**SEED0, "name": "rounds"})
    assert settings["groups"] == [["z.1", ["0"]], ["a", ["2", "4"]]]
    assert any("z.1" in string for string in tracked("layers", settings, ROOT / "workflow" / "scripts"))


REFUSED = {
    "clients between runs": (
        ("kind: layers, between: rounds,", "kind: layers, between: rounds, clients: [0, 1],"),
        "connectivity.rounds: key 'clients' needs between: clients, got rounds",
    ),
    "text for a network of images": (
        ("datasets: [digits]", "datasets: [sklearn-descriptions]"),
        "runs: sklearn-descriptions/convnet: sklearn-descriptions holds tokens, which convnet does not take",
    ),
    "augmented text": (
        TEXT,
        ("order_seed: 7}", "order_seed: 7, augmentation: {flip: 0.5}}"),
        "runs: sklearn-descriptions/b: augmentation is for images, not for tokens",
    ),
    "text dealt by label": (
        TEXT,
        ("whole: {scheme: iid, clients: 1}", "whole: {scheme: dirichlet, alpha: 1, clients: 2}"),
        "runs: sklearn-descriptions/whole: whole deals by label, of which a sequence has many",
    ),
    "a method for images": (
        TEXT,
        ("c: {<<: *a,", "c: {<<: *a, algorithm: mixup,"),
        "runs: sklearn-descriptions/c: mixup is for images, not for tokens",
    ),
    "key of the other kind": (
        ("kind: layers, between: rounds,", "kind: layers, between: rounds, points: 3,"),
        "connectivity.rounds: unknown key 'points'; did you mean",
    ),
    "statistics of a curve": (
        ("kind: curve, between: clients,", "kind: curve, between: clients, batch_norm: keep,"),
        "connectivity.bent: unknown key 'batch_norm'",
    ),
    "a curve without a middle": (
        ("kind: curve, between: clients,", "kind: curve, between: clients, points: 4,"),
        "connectivity.bent.points: got 4, must be odd",
    ),
    "clients of a curve that are not there": (
        ("clients: [0, 2]", "clients: [0, 3]"),
        "connectivity.bent.clients: no client 3, partition iid has clients 0 to 2",
    ),
    "no such form": (
        ("form: chain", "form: spline"),
        "connectivity.bent.form",
    ),
    "figure of straight lines": (
        ("scales:", "figures: {f: {kind: interpolation, connectivity: bent}}\nscales:"),
        "figures.f.connectivity: figure kind interpolation is for connections of kind path, got curve",
    ),
    "measure of curves on a straight line": (
        (
            "scales:",
            "claims: [{claim: C, source: S, measure: curve-barrier, connectivity: lines, cases: [{}], "
            "expect: {above: 0}}]\nscales:",
        ),
        "claims[0].connectivity: measure curve-barrier is for connections of kind curve, got path",
    ),
    "a share of midpoints": (
        (
            "scales:",
            "claims: [{claim: C, source: S, measure: curve-barrier, connectivity: bent, line: left, "
            "height: midpoint, cases: [{}], expect: {above: 0}}]\nscales:",
        ),
        "line left is a share of sup",
    ),
    "runs and both ends": (
        ("kind: layers, from:", "kind: layers, runs: [{}], from:"),
        "connectivity.runs: unknown key 'runs'",
    ),
    "one end": (
        (", to: {method: b, partition: iid}}", "}"),
        "connectivity.lines: key 'to' is missing",
    ),
    "round that is not kept": (
        ("rounds: [0, 0.5, last]", "rounds: [2]"),
        "connectivity.runs.rounds: round 2 is not among the keep_rounds of a",
    ),
    "clients that are not kept": (
        ("rounds: [last], clients: [0, 1, 2]", "rounds: [3]"),
        "connectivity.clients.rounds: round 3 is not among the client_rounds of a (1, 6)",
    ),
    "client that is not there": (
        ("clients: [0, 1, 2]}", "clients: [0, 3]}"),
        "connectivity.clients.clients: no client 3, partition iid has clients 0 to 2",
    ),
    "nothing before the start": (
        ("a}], rounds: [1, last]}", "a}], rounds: [0]}"),
        "connectivity.rounds.rounds: the round before round 0 is not among the keep_rounds of a",
    ),
    "round whose predecessor is not kept": (
        ("a}], rounds: [1, last]}", "a}], rounds: [3]}"),
        "connectivity.rounds.rounds: the round before round 3",
    ),
    "no such run": (
        ("runs: [{partition: iid, method: a}], rounds: [1, last]", "runs: [{partition: iid, method: d}]"),
        "connectivity.rounds.runs[0].method: unknown method 'd'",
    ),
    "no such regime": (
        ("a}], rounds: [1, last]}", "a}], rounds: [1, last], regimes: [shalow]}"),
        "connectivity.rounds.regimes",
    ),
    "figure of the other kind": (
        ("scales:", "figures: {f: {kind: interpolation, connectivity: runs}}\nscales:"),
        "figures.f.connectivity: figure kind interpolation is for connections of kind path, got layers",
    ),
    "measure of the other kind": (
        (
            "scales:",
            "claims: [{claim: C, source: S, measure: barrier, connectivity: runs, cases: [{}], expect: {above: 0}}]"
            "\nscales:",
        ),
        "claims[0].connectivity: measure barrier is for connections of kind path, got layers",
    ),
}


@pytest.mark.parametrize("slip", REFUSED)
def test_what_cannot_be_joined_is_refused_in_one_line(campaign, slip):
    *edits, message = REFUSED[slip]
    with pytest.raises(FedscapeError) as error:
        campaign(*edits)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
