"""The stage that averages pairs of a study's models layer by layer: closed forms, what is left out, resuming."""

import bowl
import numpy as np
import pandas as pd
import pytest
import torch
from stage_values import problem_of, runs_of
from torch import nn

from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.writer import shorten
from fedscape.columns.csvs import read_csv
from fedscape.connectivity import pairs as stage
from fedscape.connectivity.endpoints import ModelPair, RunModel
from fedscape.connectivity.layerwise import layerwise_barriers
from fedscape.connectivity.pairs import evaluate_pairs
from fedscape.connectivity.repair import repair, repaired
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import evaluate
from fedscape.evaluation.problem import open_problem
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.models.build import random_model
from fedscape.settings.connectivity import LayersSettings

ENDS = [np.array([np.zeros(bowl.SIZE), bowl.MINIMUM + shift]) for shift in (0.7, -0.4)]
KEYS = ["connectivity", "group", "between", "round", "to_round", "client", "to_client", "alignment"]
LAYER_COLUMNS = [
    *("split", "measure", "regime", "layer", "depth", "averaged", "rest", "draw"),
    *("value", "from_value", "to_value", "barrier", "ratio", "samples", "batch_norm"),
]
DISTANCE_COLUMNS = [
    *("layer", "depth", "parameters", "l2", "cosine", "l2_from_start", "cosine_from_start"),
    *("l2_to_start", "cosine_to_start", "units_moved"),
]


def measured(tmp_path, arguments, pairs, clients=(), **settings):
    outputs = {"out_layers": tmp_path / "layers.csv", "out_distances": tmp_path / "distances.csv"}
    evaluate_pairs(
        runs=runs_of(arguments, clients, connectivity="c", group="g"),
        pairs=pairs,
        problem=problem_of(arguments),
        settings=LayersSettings(**{"regimes": ["full", "single"], **settings}),
        resume=Resume(tmp_path / "resume", "f"),
        **outputs,
    )
    assert not (tmp_path / "resume").exists()
    return tuple(read_csv(path) for path in outputs.values())


def opened(arguments):
    return open_problem(problem_of(arguments))


def pair(run=0, to_run=1, **models):
    """The last models of two runs, or others of them: `round`, `client` of both, or `to_round`, `to_client`."""
    first = {key: value for key, value in models.items() if not key.startswith("to_")}
    second = first | {
        key.removeprefix("to_"): value for key, value in models.items() if key.startswith("to_")
    }
    return ModelPair(RunModel(run, **first), RunModel(to_run, **second))


def networks(tmp_path, model, settings, count=2):
    """Runs of a network that start and end at random weights."""
    arguments = bowl.world(tmp_path, [np.zeros((2, bowl.SIZE))] * count)
    for number, path in enumerate(arguments["trajectories"]):
        modules = [random_model(model, settings, (1, 4, 4), 2, 10 * number + row) for row in (0, 1)]
        rows = [nn.utils.parameters_to_vector(one.parameters()).detach().numpy() for one in modules]
        bowl.write_models(path, modules[0], np.stack(rows))
    return {**arguments, "model": model, "model_settings": settings}


def test_the_barrier_in_the_middle_of_a_quadratic(tmp_path):
    """L(mean) - mean of L = -(d^T A d) / 8; a network of one layer has one barrier, whichever regime."""
    arguments = bowl.world(tmp_path, ENDS)
    layers, distances = measured(tmp_path, arguments, [pair()])
    d = ENDS[0][-1] - ENDS[1][-1]
    expected = bowl.quadratic((ENDS[0][-1] + ENDS[1][-1]) / 2) - sum(bowl.quadratic(e[-1]) for e in ENDS) / 2
    loss = layers[layers["measure"] == "loss"]
    np.testing.assert_allclose(loss["barrier"], expected, rtol=1e-4)
    assert sorted(loss["regime"]) == ["full"] * 2 + ["single"] * 4
    whole = distances[distances["depth"] == -1].iloc[0]
    assert whole["l2"] == pytest.approx(np.linalg.norm(d), rel=1e-6)
    assert whole["l2_from_start"] == pytest.approx(np.linalg.norm(ENDS[0][-1]), rel=1e-6)
    assert whole["l2_to_start"] == pytest.approx(np.linalg.norm(ENDS[1][-1]), rel=1e-6)


def test_columns_name_both_ends(tmp_path):
    arguments = bowl.world(tmp_path, ENDS)
    layers, distances = measured(tmp_path, arguments, [pair(), pair(round=0)])
    identity = [*bowl.identity(), "to_partition", "to_init", "to_method", "to_seed", *KEYS]
    assert list(layers) == [*identity, *LAYER_COLUMNS]
    assert list(distances) == [*identity, *DISTANCE_COLUMNS]
    assert set(zip(layers["partition"], layers["to_partition"], strict=True)) == {("p0", "p1")}
    assert sorted(set(zip(layers["round"], layers["to_round"], strict=True))) == [(0, 0), (1, 1)]
    assert (layers[layers["round"] == 0]["barrier"] == 0).all(), "both runs start from the same weights"


def test_clients_of_a_round(tmp_path, caplog):
    arguments = bowl.world(tmp_path, ENDS[:1])
    models = np.random.default_rng(0).standard_normal((1, 3, bowl.SIZE))
    bowl.write_models(tmp_path / "run" / "trajectory.safetensors", bowl.Bowl(), ENDS[0], clients=models)
    path = tmp_path / "run" / "clients.safetensors"
    file = ClientModels.open(path)
    (number,) = file.rounds
    both = pair(0, 0, round=number, client=0, to_client=2)
    layers, _ = measured(tmp_path, arguments, [both], clients=[path], between="clients", regimes=["full"])
    row = layers[(layers["measure"] == "loss") & (layers["split"] == "train")].iloc[0]
    assert (row["client"], row["to_client"], row["between"]) == (0, 2, "clients")
    assert row["value"] == pytest.approx(bowl.quadratic((models[0, 0] + models[0, 2]) / 2), rel=1e-4)
    several = [both, pair(0, 0, round=number, client=0, to_client=7)]
    layers, _ = measured(tmp_path, arguments, several, clients=[path], between="clients", regimes=["full"])
    assert set(layers["to_client"]) == {2} and "client 7 did not take part in round 1" in caplog.text


def test_rows_are_those_of_the_library(tmp_path):
    """The stage adds names, and a matched model; the numbers are `layerwise_barriers`'."""
    arguments = networks(tmp_path, "convnet", {})
    regimes = ["full", "single", "shallow"]
    layers, _ = measured(tmp_path, arguments, [pair()], regimes=regimes, directions=1)
    problem = opened(arguments)
    ends = [Trajectory.open(path).state(1) for path in arguments["trajectories"]]
    data = {"train": problem.train, "test": problem.test}
    expected = pd.DataFrame(layerwise_barriers(problem.module, *ends, data, None, regimes, 0, 1))
    keys = ["split", "measure", "regime", "averaged", "depth", "rest", "draw"]
    for column in ("value", "barrier", "ratio", "samples"):
        np.testing.assert_allclose(
            layers.sort_values(keys)[column], expected.sort_values(keys)[column], rtol=1e-8
        )


def by_hand(arguments):
    """Training loss of the repaired mean of both networks."""
    problem = opened(arguments)
    one, other = (Trajectory.open(path).state(1)[0] for path in arguments["trajectories"])
    mean = {name: (one[name] + other[name]) / 2 for name in one}
    plain = evaluate(problem.module, mean, {}, problem.train).loss
    with repaired(problem.module, repair(problem.module, mean, one, other, problem.train)):
        found = evaluate(problem.module, mean, {}, problem.train).loss
    assert found != pytest.approx(plain, rel=1e-3)
    return found


def test_matched_units_and_repaired_activations(tmp_path):
    arguments = networks(tmp_path, "convnet", {})
    alignments = ["none", "repair", "weights", "weights-repair"]
    layers, distances = measured(tmp_path, arguments, [pair()], alignment=alignments)
    assert set(layers["alignment"]) == set(alignments)
    assert set(layers[layers["alignment"].isin(["repair", "weights-repair"])]["regime"]) == {"full"}
    ends = layers[(layers["measure"] == "loss") & (layers["split"] == "train") & (layers["regime"] == "full")]
    np.testing.assert_allclose(ends["to_value"], ends["to_value"].iloc[0], rtol=1e-5)  # the same function
    assert ends.set_index("alignment").loc["repair", "value"] == pytest.approx(by_hand(arguments), rel=1e-6)
    whole = distances[distances["depth"] == -1].set_index("alignment")
    assert whole.loc["weights", "units_moved"] > 0 and np.isnan(whole.loc["none", "units_moved"])
    assert whole.loc["weights", "l2"] < whole.loc["none", "l2"]
    assert np.isnan(whole.loc["weights", "l2_to_start"]) and whole.loc["none", "l2_to_start"] > 0


def test_groups_of_layers(tmp_path):
    arguments = networks(tmp_path, "cnn", {})
    groups = {"body": ["conv1", "conv2"], "head": ["hidden1", "hidden2", "classifier"]}
    layers, _ = measured(tmp_path, arguments, [pair()], groups=groups)
    assert set(layers["layer"].dropna()) == {"body", "head"}
    with pytest.raises(FedscapeError, match="hidden2"):
        measured(tmp_path, arguments, [pair()], groups={"body": ["conv1", "conv2"]})


def test_a_pair_is_left_out_where_a_run_diverged_before(tmp_path, caplog):
    arguments = bowl.world(tmp_path, ENDS)
    shorten(arguments["trajectories"][1], [0])
    rounds = [pair(round=number) for number in (0, 1)]
    layers, _ = measured(tmp_path, arguments, [*rounds, pair()])
    # The last finite round of a run that diverged is not its last one: it is measured where it is asked for.
    assert set(zip(layers["round"], layers["to_round"], strict=True)) == {(0, 0)}
    assert not layers.duplicated([*KEYS, "split", "measure", "regime", "depth", "rest"]).any()
    assert "diverged before round 1" in caplog.text and "diverged before round last" in caplog.text
    nothing, _ = measured(tmp_path, arguments, [pair()])
    assert nothing.empty and list(nothing)[-len(LAYER_COLUMNS) :] == LAYER_COLUMNS


def test_clients_are_evaluated_with_their_own_buffers(tmp_path):
    """The global model's running statistics are others."""
    arguments = networks(tmp_path, "resnet20", {"norm": "batch"}, count=1)
    module = random_model("resnet20", {"norm": "batch"}, (1, 4, 4), 2, 7)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(2.5)
    rows = np.stack([Trajectory.open(arguments["trajectories"][0]).parameters(number) for number in (0, 1)])
    others = np.zeros((2, sum(one.numel() for one in module.buffers() if one.is_floating_point())))
    path = tmp_path / "run0" / "trajectory.safetensors"
    bowl.write_models(path, module, rows, clients=rows[None], buffers=others + 1)
    both = pair(0, 0, round=1, client=0, to_client=1)
    clients = [path.with_name("clients.safetensors")]
    options = {"between": "clients", "regimes": ["full"], "batch_norm": "interpolate"}
    layers, _ = measured(tmp_path, arguments, [both], clients=clients, **options)
    row = layers[(layers["measure"] == "loss") & (layers["split"] == "train")].iloc[0]
    problem = opened(arguments)
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    for column, vector in (("from_value", rows[0]), ("to_value", rows[1]), ("value", rows.mean(axis=0))):
        nn.utils.vector_to_parameters(torch.from_numpy(vector), parameters.values())
        loss = evaluate(
            module, {name: one.detach() for name, one in parameters.items()}, buffers, problem.train
        )
        assert row[column] == pytest.approx(loss.loss, rel=1e-5)


@pytest.mark.parametrize("between", ["clients", "rounds"])
def test_what_a_diverged_run_has_not_reached_is_left_out(tmp_path, caplog, between):
    arguments = bowl.world(tmp_path, [np.zeros((3, bowl.SIZE))])
    path = tmp_path / "run0" / "trajectory.safetensors"
    shapes = ((3, bowl.SIZE), (2, 2, bowl.SIZE))
    rows, models = (np.random.default_rng(0).standard_normal(shape) for shape in shapes)
    bowl.write_models(path, bowl.Bowl(), rows, clients=models)
    clients = path.with_name("clients.safetensors")
    shorten(path, [0, 1])
    shorten(clients, [1])
    own = {"client": 0, "to_client": 1} if between == "clients" else {"round": 0}
    pairs = [pair(0, 0, **{"round": number, "to_round": number, **own}) for number in (1, 2)]
    files = [clients] if between == "clients" else []
    layers, _ = measured(tmp_path, arguments, pairs, clients=files, between=between, regimes=["full"])
    assert set(layers["to_round"]) == {1} and "diverged before round 2" in caplog.text


def test_a_job_killed_before_its_commit_measures_that_pair_again(tmp_path, monkeypatch):
    """Its rows are on disk already; they must not count twice."""
    arguments = networks(tmp_path, "cnn", {}, count=3)
    pairs = [pair(*runs) for runs in ((0, 1), (0, 2))]
    whole = measured(tmp_path, arguments, pairs)

    def dies(self, *progress, **files):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumeFolder, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            measured(tmp_path, arguments, pairs)
    assert list((tmp_path / "resume").glob("0-*.csv"))
    for one, other in zip(whole, measured(tmp_path, arguments, pairs), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_killed_job_goes_on_with_the_next_pair(tmp_path, monkeypatch):
    arguments = networks(tmp_path, "cnn", {}, count=3)
    pairs = [pair(*runs) for runs in ((0, 1), (0, 2), (1, 2))]
    whole = measured(tmp_path, arguments, pairs)
    calls = []

    def dies(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return layerwise_barriers(*given)

    monkeypatch.setattr(stage, "layerwise_barriers", dies)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, arguments, pairs)
    resumed = measured(tmp_path, arguments, pairs)
    assert len(calls) == 4, "two pairs, one killed, and that one again"
    for one, other in zip(whole, resumed, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_what_cannot_be_done_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "layerwise_barriers", None)
    arguments = networks(tmp_path, "resnet20", {"norm": "batch"})
    with pytest.raises(FedscapeError, match="ResNet has batch norm; recalibrate"):
        measured(tmp_path, arguments, [pair()], alignment=["none", "repair"])
