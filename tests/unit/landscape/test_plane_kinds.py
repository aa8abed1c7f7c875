"""Each kind of plane: a quadratic in closed form, and the identity that defines the kind."""

from dataclasses import replace
from pathlib import Path

import bowl
import normed
import numpy as np
import pytest
import torch
from plane_arguments import plane_arguments
from test_planes import plane_of, subspace_gap, walk

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.checkpoints.layout import parameters_of
from fedscape.checkpoints.writer import shorten
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.evaluate import evaluate
from fedscape.evaluation.problem import ProblemSpec, chosen_samples, open_problem, sample_owners
from fedscape.landscape.material import Mark, Material
from fedscape.plugins import Plugin

KINDS = {
    "trajectory": ({"centre": "mean"}, 3),
    "finals": ({}, 4),
    "clients": ({"round": 2}, 1),
    "three-models": ({}, 4),
    "random": ({"round": 1, "radius": 0.5}, 1),
    "eigenvectors": ({"round": 1, "radius": 0.5}, 1),
}
CLIENTS, POINTS, ROUNDS = 5, 2, 4


def bowls(folder, kind, settings=None):
    """A plane of a kind over bowls, its markers, and the model of each marker as the files hold it."""
    chosen, count = KINDS[kind]
    runs = [0.3 * walk(seed, ROUNDS) for seed in range(count)]
    draw = np.random.default_rng(9)
    clients = 0.4 * draw.standard_normal((ROUNDS - 1, CLIENTS, bowl.SIZE))
    paths = 0.4 * draw.standard_normal((ROUNDS - 1, CLIENTS, POINTS, bowl.SIZE))
    given = bowl.world(folder, runs)
    bowl.write_partition(folder / "partition.npz", np.arange(40), np.arange(10), clients=CLIENTS)
    if kind == "clients":
        (path,) = given["trajectories"]
        bowl.write_models(path, bowl.Bowl(), runs[0], clients, paths)
        given["clients"] = [path.with_name("clients.safetensors")]
    plane, markers = plane_of(folder, given, kind, chosen | (settings or {}))

    def model(row):
        if row.role == "client":
            return clients[row.round - 1, int(row.client)]
        if row.role == "path":
            return paths[row.round - 1, int(row.client), int(row.point) - 1]
        return runs[int(row.partition[1])][row.round]

    return plane, markers, [np.float32(model(row)).astype(np.float64) for row in markers.itertuples()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_bottom_of_a_rounds_basin_in_closed_form(tmp_path, kind):
    """On the plane the bowl is a quadratic of two coordinates, lowest where D A (c + D^T z - m) = 0."""
    plane, markers, _ = bowls(tmp_path, kind)
    columns = ["bottom_x", "bottom_y", "bottom_loss", "bottom_shift"]
    if kind != "clients":
        assert markers[columns].isna().all(axis=None)
        return
    centre, directions = plane.centre.double().numpy(), plane.directions.double().numpy()
    hessian = directions @ bowl.CURVATURE @ directions.T
    assert np.linalg.eigvalsh(hessian)[0] > 0
    place = np.linalg.solve(hessian, directions @ bowl.CURVATURE @ (bowl.MINIMUM - centre))
    assert (markers[columns].nunique() == 1).all()
    x, y, loss, shift = markers[columns].iloc[0]
    away = np.linalg.norm(place - (x, y))
    assert away < 5e-5 * np.linalg.norm(place) and away <= 2 * shift + 1e-6
    assert loss == pytest.approx(bowl.quadratic(centre + place @ directions), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_markers_on_a_rotated_bowl(tmp_path, kind):
    plane, markers, models = bowls(tmp_path, kind)
    centre, directions = plane.centre.double().numpy(), plane.directions.double().numpy()
    for row, theta in zip(markers.itertuples(), models, strict=True):
        coordinates = np.linalg.lstsq(directions.T, theta - centre)[0]
        below = centre + coordinates @ directions
        np.testing.assert_allclose((row.x, row.y), coordinates, atol=1e-7)
        if np.any(theta != centre):
            residual = np.linalg.norm(theta - below) / np.linalg.norm(theta - centre)
            assert row.residual == pytest.approx(residual, abs=1e-6)
        assert row.loss == row.loss_under_policy == pytest.approx(bowl.quadratic(theta), rel=1e-5)
        assert row.loss_at_projection == pytest.approx(bowl.quadratic(below), rel=1e-5)
        assert row.error == (bowl.quadratic(theta) > bowl.WRONG_ABOVE)
        if row.role in ("client", "path"):
            assert row.own_loss == pytest.approx(bowl.quadratic(theta), rel=1e-5)
    assert set(markers["axes"]) == {plane.axes}


@pytest.mark.parametrize("kind", KINDS)
def test_the_surface_on_a_rotated_bowl(tmp_path, kind):
    plane, _, _ = bowls(tmp_path, kind)
    centre, directions = plane.centre.double().numpy(), plane.directions.double().numpy()
    data, partition = tmp_path / "data", tmp_path / "partition.npz"
    problem = open_problem(ProblemSpec(Plugin("bowl"), data, partition))
    for x, y in ((0.0, 0.0), (0.3, -0.7), (-0.5, 0.2)):
        tensors = problem.tensors(plane.at(x, y), plane.buffers_at(x, y, "keep"), "keep")
        found = evaluate(problem.module, *tensors, problem.train).loss
        expected = bowl.quadratic(centre + x * directions[0] + y * directions[1])
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_gives_the_same_plane_again_with_what_it_knows_of_it(tmp_path, kind):
    plane, markers, _ = bowls(tmp_path, kind)
    again, same, _ = bowls(tmp_path, kind)
    assert (again.axes, again.box, again.curvature) == (plane.axes, plane.box, plane.curvature)
    assert again.explained == plane.explained and same.equals(markers)
    assert (plane.explained is None) == (plane.axes != "pca") == markers["explained_x"].isna().all()
    assert plane.box == ((-0.5, 0.5, -0.5, 0.5) if kind in ("random", "eigenvectors") else None)


def test_clients_plane_against_svd_around_the_aggregate(tmp_path):
    plane, markers, models = bowls(tmp_path, "clients")
    counts = markers["role"].value_counts().to_dict()
    assert counts == {"path": CLIENTS * POINTS, "client": CLIENTS, "start": 1, "aggregate": 1}
    assert markers[["round", "role"]].drop_duplicates().to_numpy().tolist() == [
        [1, "start"],
        [2, "aggregate"],
        [2, "client"],
        [2, "path"],
    ]
    aggregate = models[1]
    np.testing.assert_array_equal(plane.centre, aggregate)
    assert markers.loc[1, ["x", "y", "residual"]].tolist() == [0, 0, 0]
    spanning = [model for model, role in zip(models, markers["role"], strict=True) if role != "path"]
    _, singular, right = np.linalg.svd(np.array(spanning) - aggregate)
    assert subspace_gap(plane.directions.double().numpy(), right[:2]) < 1e-6
    np.testing.assert_allclose(plane.explained, singular[:2] ** 2 / np.sum(singular**2), rtol=1e-6)
    bare, few, _ = bowls(tmp_path, "clients", {"paths": False})
    assert "path" not in set(few["role"]) and torch.equal(bare.directions, plane.directions)
    _, last, _ = bowls(tmp_path, "clients", {"round": "last"})
    assert last["round"].unique().tolist() == [ROUNDS - 2, ROUNDS - 1]


def opened(given, model="normed"):
    """What the kinds of planes see of the runs in `given`."""
    arguments = plane_arguments(Path(), given | {"model": model})
    problem = open_problem(arguments["problem"])
    return Material(problem, Checkpoints.open(problem.module, arguments["runs"]), 0)


def loss_of(material, vector, buffers, rows=slice(None)):
    """Loss of a model on some of the train samples."""
    data = material.problem.train
    data = replace(data, inputs=data.inputs[rows], labels=data.labels[rows])
    return evaluate(material.problem.module, parameters_of(vector, material.layout), buffers, data).loss


@pytest.mark.parametrize(("samples", "without"), [(None, 0), (15, 0), (1, 2)])
def test_own_losses_equal_separate_evaluations(tmp_path, samples, without):
    """Of 15 samples every client has some; one sample leaves two of three clients without."""
    given = normed.world(tmp_path, 1) | {"samples": samples}
    _, markers = plane_of(tmp_path, given, "clients", {"round": 2})
    material = opened(given)
    (clients,), (trajectory,) = material.checkpoints.clients, material.checkpoints.trajectories
    chosen = chosen_samples(np.arange(40), samples, 0)
    with np.load(given["partition"]) as arrays:
        owner = np.searchsorted(arrays["offsets"], chosen, side="right") - 1
    owned = markers[markers["client"].notna()]
    known = owned.dropna(subset=["own_loss", "own_loss_at_start"])
    assert len(known) == (normed.CLIENTS - without) * (1 + normed.POINTS)
    for row in known.itertuples():
        client, mine = int(row.client), torch.from_numpy(owner == row.client)
        epoch = None if row.role == "client" else int(row.point)
        state = clients.parameters(2, client, epoch), clients.buffers(2, client, epoch)
        start = trajectory.parameters(1), trajectory.buffers(1)
        assert row.loss == pytest.approx(loss_of(material, *state), rel=1e-5)
        assert row.own_loss == pytest.approx(loss_of(material, *state, mine), rel=1e-5)
        assert row.own_loss_at_start == pytest.approx(loss_of(material, *start, mine), rel=1e-5)
    empty = owned[~owned["client"].isin(owner)]
    assert len(empty) == without * (1 + normed.POINTS)
    assert empty[["own_loss", "own_loss_at_start"]].isna().all(axis=None)
    rest = markers[markers["client"].isna()]
    assert rest[["own_loss", "own_loss_at_start"]].isna().all(axis=None)
    assert set(markers["samples"]) == {samples or 40}


def test_samples_and_their_owners():
    """Disjoint clients need not have all samples, nor only samples that were chosen."""
    clients = [np.array([2, 9]), np.array([4]), np.array([7, 30])]
    assert sample_owners(np.array([2, 3, 4, 7, 12]), clients).tolist() == [0, -1, 1, 2, -1]
    assert sample_owners(np.array([5, 6]), []).tolist() == [-1, -1]


@pytest.mark.parametrize("policy", ["keep", "interpolate", "recalibrate"])
@pytest.mark.parametrize("kind", ["trajectory", "clients"])
def test_loss_under_each_batch_norm_policy(tmp_path, kind, policy):
    """Every loss of a marker against an evaluation of its own parameters or the point below it."""
    given = normed.world(tmp_path, 1) | {"batch_norm": policy}
    settings = {"round": 2, "paths": False} if kind == "clients" else {}
    plane, markers = plane_of(tmp_path, given, kind, settings)
    material = opened(given)
    module, data = material.problem.module, material.problem.train
    for row in markers.itertuples():
        client = None if np.isnan(row.client) else int(row.client)
        mark = Mark(Checkpoint(0, row.round, client), row.role)
        vector, buffers = material.parameters(mark), material.buffers(mark)
        assert row.loss == pytest.approx(loss_of(material, vector, buffers), rel=1e-5)
        for loss, point in (
            (row.loss_under_policy, vector),
            (row.loss_at_projection, plane.at(row.x, row.y)),
        ):
            around = plane.buffers
            if policy == "recalibrate":
                around = recalibrated(module, parameters_of(point, plane.layout), around, data)
            if policy == "interpolate":
                moved = plane.floats + torch.tensor([row.x, row.y]).float() @ plane.buffer_directions
                around = {"1.running_mean": moved[:3], "1.running_var": moved[3:]}
                around["1.num_batches_tracked"] = torch.tensor(0)
            assert loss == pytest.approx(loss_of(material, point, around), rel=1e-5)
        if row.residual == 0 and policy != "recalibrate":
            assert row.loss_at_projection == row.loss == row.loss_under_policy, "the centre is itself"
    if policy != "interpolate":
        assert (abs(markers["loss_under_policy"] / markers["loss"] - 1) > 1e-3).sum() > 2
    assert set(markers["batch_norm"]) == {policy}


@pytest.mark.parametrize("kind", ["finals", "three-models"])
def test_three_models_lie_in_their_plane_with_their_own_buffers(tmp_path, kind):
    given = normed.world(tmp_path, 3) | {"batch_norm": "interpolate"}
    plane, markers = plane_of(tmp_path, given, kind)
    assert (markers["residual"] < 1e-6).all()
    for row, trajectory in zip(markers.itertuples(), opened(given).checkpoints.trajectories, strict=True):
        vector, buffers = trajectory.parameters(trajectory.last), trajectory.buffers(trajectory.last)
        torch.testing.assert_close(plane.at(row.x, row.y), vector, rtol=0, atol=1e-6)
        torch.testing.assert_close(plane.buffers_at(row.x, row.y, "interpolate"), buffers, rtol=0, atol=1e-6)
    for column in ("loss_under_policy", "loss_at_projection"):
        np.testing.assert_allclose(markers[column], markers["loss"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["trajectory", "clients"])
def test_buffers_move_as_the_mixture_that_the_directions_are(tmp_path, kind):
    """The mixture by a float64 pseudo-inverse of the models, applied to their buffers."""
    given = normed.world(tmp_path, 2 if kind == "trajectory" else 1)
    plane, _ = plane_of(tmp_path, given, kind)
    material = opened(given)
    last = normed.ROUNDS - 1
    kept = material.checkpoints
    models = [Checkpoint(run, number) for run in range(len(kept.trajectories)) for number in range(last + 1)]
    if kind == "clients":
        models = [Checkpoint(0, last), Checkpoint(0, last - 1)]
        models += [Checkpoint(0, last, client) for client in range(normed.CLIENTS)]
    centre = models.index(Checkpoint(0, last))
    rows = torch.stack([kept.parameters(model) for model in models]).double()
    floats = torch.stack([torch.cat(list(kept.buffers(model).values())[:2]) for model in models]).double()
    mixture = plane.directions.double() @ torch.linalg.pinv(rows - rows[centre])
    expected = mixture @ (floats - floats[centre])
    torch.testing.assert_close(plane.buffer_directions.double(), expected, rtol=0, atol=1e-6)
    assert plane.buffer_directions.abs().max() > 0.01


def test_clients_of_a_run_that_keeps_no_paths(tmp_path):
    given = bowl.world(tmp_path, [walk(0, 2)])
    (path,) = given["trajectories"]
    bowl.write_models(path, bowl.Bowl(), walk(0, 2), walk(1, 3)[None])
    bowl.write_partition(given["partition"], np.arange(40), np.arange(10), clients=3)
    given["clients"] = [path.with_name("clients.safetensors")]
    _, markers = plane_of(tmp_path, given, "clients")
    assert markers["role"].tolist() == ["start", "aggregate", "client", "client", "client"]


def test_variances_stop_at_zero_where_interpolation_goes_beyond_the_models(tmp_path):
    given = normed.world(tmp_path, 3)
    plane, _ = plane_of(tmp_path, given, "three-models")
    far = [plane.buffers_at(x, 0.0, "interpolate") for x in (-1e3, 1e3)]
    for buffers in far:
        assert (buffers["1.running_var"] >= 0).all() and buffers["1.running_var"].max() > 0
    assert min(buffers["1.running_mean"].min() for buffers in far) < 0, "means have no bound"
    for policy in ("keep", "recalibrate"):
        torch.testing.assert_close(plane.buffers_at(1e3, 1e3, policy), plane.buffers, rtol=0, atol=0)


def test_three_models_after_garipov(tmp_path):
    """The first model is the centre, the second lies on the x axis, the fourth off the plane."""
    plane, markers, models = bowls(tmp_path, "three-models")
    offsets = np.array(models) - models[0]
    np.testing.assert_array_equal(plane.centre, models[0])
    oracle = np.linalg.qr(offsets[1:3].T)[0].T
    assert subspace_gap(plane.directions.double().numpy(), oracle) < 1e-6
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-6)
    x, y = markers["x"], markers["y"]
    np.testing.assert_allclose(np.hypot(x, y)[:3], np.linalg.norm(offsets[:3], axis=1), rtol=1e-6)
    assert y[1] == pytest.approx(0, abs=1e-6) and x[1] > 0 and y[2] > 0
    assert (markers["residual"][:3] < 1e-6).all() and markers["residual"][3] > 0.1
    assert set(markers["round"]) == {ROUNDS - 1}


@pytest.mark.parametrize("left", [1, 2])
def test_three_models_of_which_some_diverged_keep_a_plane(tmp_path, left):
    given = normed.world(tmp_path, 3) | {"batch_norm": "interpolate"}
    for path in given["trajectories"][left:]:
        shorten(path, rounds=[0, 1])
    plane, markers = plane_of(tmp_path, given, "three-models")
    assert markers["role"].tolist() == ["global"] * left + ["diverged"] * (3 - left)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-6)
    assert (markers["residual"][:left] < 1e-6).all()
    np.testing.assert_allclose(markers["loss_at_projection"][:left], markers["loss"][:left], rtol=1e-5)
    assert (plane.buffer_directions[left - 1 :] == 0).all(), "a drawn direction moves no buffers"


def test_rounds_and_clients_that_are_not_kept_are_named(tmp_path):
    with pytest.raises(FedscapeError, match="round 7 is not kept; kept are 1, 2, 3"):
        bowls(tmp_path, "clients", {"round": 7})
    material = opened(normed.world(tmp_path, 1))
    with pytest.raises(FedscapeError, match="client 5 was not in round 1"):
        material.parameters(Mark(Checkpoint(0, 1, client=5), "client"))
