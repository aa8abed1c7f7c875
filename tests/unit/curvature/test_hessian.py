"""The stage `curvature`: a known quadratic, networks with clients, what is left out or refused, resuming."""

import os
import signal

import bowl
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence
from stage_values import problem_of, runs_of

from fedscape.checkpoints.layout import layout_of, parameters_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.writer import shorten
from fedscape.columns.csvs import read_csv
from fedscape.columns.kinds import FILES
from fedscape.curvature import hessians as stage
from fedscape.curvature import measure
from fedscape.curvature.exact import exact_diagonal
from fedscape.curvature.hessian_agreement import agreement
from fedscape.curvature.hessians import evaluate_hessians
from fedscape.curvature.sharpness import PerturbedLoss, sharpness
from fedscape.data.partition import open_partition
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.eigenvalues import HessianProduct
from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.jobs.resume import Resume
from fedscape.models.build import random_model
from fedscape.settings.curvature import CurvatureSettings, DensitySettings, SharpnessSettings

NAMES = ["curvature", "group", "round", "of", "client", "data"]
ROUNDS, CLIENTS = 3, 3


def evaluate(tmp_path, arguments, clients=(), partitions=(), fingerprint="f", **settings):
    """The rows of both CSVs."""
    outputs = {f"out_{name}": tmp_path / f"{name}.csv" for name in ("curvature", "density")}
    evaluate_hessians(
        runs=runs_of(arguments, clients, partitions, curvature="h", group="g"),
        problem=problem_of(arguments),
        settings=CurvatureSettings(**{"top": 2, **settings}),
        resume=Resume(tmp_path / "resume", fingerprint),
        **outputs,
    )
    assert not (tmp_path / "resume").exists()
    return tuple(read_csv(path) for path in outputs.values())


def quadratics(count=2):
    return [0.3 * np.random.default_rng(seed).standard_normal((4, bowl.SIZE)) for seed in range(count)]


def networks(tmp_path, count=1, model="resnet", **settings):
    """Runs of a small network with batch norm, with the clients' models of round 1 and 2."""
    settings = settings or {"blocks": [1], "width": 2}
    arguments = bowl.world(tmp_path, [np.zeros((1, bowl.SIZE))] * count)
    arguments |= {"model": model, "model_settings": settings, "partition": tmp_path / "partition.npz"}
    bowl.write_partition(tmp_path / "partition.npz", np.arange(40), np.arange(10), clients=CLIENTS)
    partitions = []
    for number, path in enumerate(arguments["trajectories"]):
        module = random_model(model, settings, (1, 4, 4), 2, number)
        size, draw = layout_of(module).parameter_count, np.random.default_rng(number)
        rows = 0.4 * draw.standard_normal((ROUNDS, size))
        clients = rows[1:, None] + 0.1 * draw.standard_normal((ROUNDS - 1, CLIENTS, size))
        for name, tensor in module.named_buffers():
            tensor.fill_(0.5 if name.endswith("var") else 0)
        bowl.write_models(path, module, rows, clients=clients)
        # Every run has a partition of its own; clients of the second one have their samples in another order.
        partitions.append(path.with_name("partition.npz"))
        bowl.write_partition(partitions[-1], np.roll(np.arange(40), number), np.arange(10), clients=CLIENTS)
    files = [path.with_name("clients.safetensors") for path in arguments["trajectories"]]
    return arguments, {"clients": files, "partitions": partitions}


def test_eigenvalues_of_a_quadratic_are_the_same_everywhere(tmp_path):
    arguments = bowl.world(tmp_path, quadratics())
    found, density = evaluate(tmp_path, arguments, rounds=[0, "last"], top=3, bottom=1)
    assert list(found) == FILES["curvature"].columns
    assert list(found)[: len(bowl.identity()) + len(NAMES)] == [*bowl.identity(), *NAMES]
    assert len(found) == 2 * 2 * 4 and found["round"].unique().tolist() == [0, 3] and density.empty
    for _, rows in found.groupby(["partition", "round"]):
        values = rows.set_index("index")["value"]
        np.testing.assert_allclose(values[[1, 2, 3]], bowl.EIGENVALUES[:3], rtol=1e-4)
        assert values[-1] == pytest.approx(bowl.EIGENVALUES[-1], rel=1e-4)
        assert rows["index"].tolist() == [-1, 1, 2, 3]
    assert (found["residual"] < 1e-3).all() and (found["samples"] == 40).all()
    assert (found["of"] == "global").all() and (found["client"] == -1).all()
    assert (found[["quantity", "estimator"]] == ["eigenvalue", "lanczos"]).all(axis=None)
    assert (found["products"] > 0).all() and found[["layer", "definition"]].isna().all(axis=None)


@pytest.mark.parametrize("trace", ["hutchinson", "hutch++", "xtrace", "auto"])
def test_the_trace_of_a_quadratic_and_the_density(tmp_path, trace):
    """Its net is none of known layers, so `auto` estimates; six dimensions are fewer than the sketch's."""
    arguments = bowl.world(tmp_path, quadratics(1))
    options = {"top": 0, "trace": trace, "density": DensitySettings(steps=6, probes=3, width=0.01)}
    found, density = evaluate(tmp_path, arguments, **options)
    (row,) = found.to_dict("records")
    assert (row["quantity"], row["index"], row["samples"]) == ("trace", 0, 40)
    assert row["estimator"] == ("hutch++" if trace == "auto" else trace)
    assert abs(row["value"] - bowl.EIGENVALUES.sum()) < 5 * row["standard_error"] + 1e-5
    assert list(density) == [*bowl.identity(), *NAMES, "eigenvalue", "density", "products", "samples"]
    grid = density.sort_values("eigenvalue")
    assert np.trapezoid(grid["density"], grid["eigenvalue"]) == pytest.approx(1, abs=1e-3)
    assert grid["eigenvalue"].iloc[0] < -0.1 and grid["eigenvalue"].iloc[-1] > 3
    assert (density["products"] == 18).all()


def data_of(arguments, partition, client=None, samples=None):
    dataset = open_dataset(arguments["dataset_folder"])
    chosen = open_partition(partition, dataset)
    indices = chosen.train if client is None else chosen.clients[client]
    return EvaluationSet.from_dataset(dataset, "train", indices, torch.device("cpu"))


def test_every_model_is_measured_on_the_samples_that_its_row_names(tmp_path):
    """Against the library, by hand: global models and clients', on all samples and on the clients' own."""
    arguments, files = networks(tmp_path, count=2)
    options = {
        "of": ["global", "clients"],
        "data": ["global", "own"],
        "top": 1,
        "trace": "exact",
        "layers": True,
    }
    found, _ = evaluate(tmp_path, arguments, **files, **options, rounds=[1, "last"])
    assert len(found.groupby(["partition", *NAMES])) == 2 * 2 * (1 + 2 * CLIENTS)
    module = random_model("resnet", arguments["model_settings"], (1, 4, 4), 2, 0)
    layout = layout_of(module)
    for run, path in enumerate(arguments["trajectories"]):
        trajectory = Trajectory.open(path)
        clients = ClientModels.open(path.with_name("clients.safetensors"))
        rows = found[found["partition"] == f"p{run}"]
        cases = [(2, -1, "global"), (2, 0, "global"), (1, 2, "own")]
        for number, client, data in cases:
            if client == -1:
                point, buffers = trajectory.parameters(number), trajectory.buffers(number)
            else:
                point, buffers = clients.parameters(number, client), clients.buffers(number, client)
            samples = data_of(arguments, files["partitions"][run], client if data == "own" else None)
            diagonal = exact_diagonal(module, layout, point, buffers, samples)
            keys = (rows["round"] == number) & (rows["client"] == client) & (rows["data"] == data)
            here = rows[keys].set_index("quantity")
            assert here.loc["trace", "value"] == pytest.approx(float(diagonal.sum()), rel=1e-6)
            assert here.loc["trace", ["products", "samples"]].tolist() == [0, len(samples.labels)]
            layers = here.loc["layer-trace"]
            assert layers["value"].sum() == pytest.approx(float(diagonal.sum()), rel=1e-6)
            product = HessianProduct(module, layout, point, buffers, samples)
            dense = torch.stack([product(one) for one in torch.eye(product.size)])
            largest = np.linalg.eigvalsh((dense + dense.T).numpy() / 2)[-1]
            assert here.loc["eigenvalue", "value"] == pytest.approx(largest, rel=1e-4)
    assert layers["layer"].tolist() == list(
        dict.fromkeys(name.rpartition(".")[0] for name, _ in layout.parameters)
    )


def test_the_mean_of_the_clients_is_what_fedavg_hands_on(tmp_path):
    """By their samples, running statistics included; on all samples, and on those of each client."""
    arguments, files = networks(tmp_path)
    options = {"of": ["mean"], "data": ["global", "own"], "rounds": [1, 2], "top": 0}
    options["sharpness"] = SharpnessSettings(average=[0.1], adaptive_worst=[0.5], steps=3, draws=2)
    found, _ = evaluate(tmp_path, arguments, **files, **options)
    assert found["of"].eq("mean").all() and found["batch_norm"].eq("keep").all()
    keys = ["round", "client", "data", "quantity", "radius"]
    assert found.groupby(keys).size().eq(1).all() and len(found) == 2 * (1 + CLIENTS) * 2
    module = random_model("resnet", arguments["model_settings"], (1, 4, 4), 2, 0)
    layout = layout_of(module)
    (path,) = arguments["trajectories"]
    models = ClientModels.open(path.with_name("clients.safetensors"))
    sizes = [len(client) for client in partition_of(arguments, files).clients]
    parts = [models.parameters(2, client).double() * size for client, size in enumerate(sizes)]
    point = (sum(parts) / sum(sizes)).float()
    for client in (-1, 1):
        samples = data_of(arguments, files["partitions"][0], None if client == -1 else client)
        loss = PerturbedLoss(module, layout, point, models.buffers(2, 0), samples)
        row = found[(found["round"] == 2) & (found["client"] == client)].set_index("quantity")
        expected = sharpness(loss, "average", 0.1, options["sharpness"], 0)
        assert row.loc["average", "value"] == pytest.approx(expected.value, rel=1e-6)
        assert row.loc["average", "standard_error"] == pytest.approx(expected.standard_error, rel=1e-6)
        expected = sharpness(loss, "adaptive-worst", 0.5, options["sharpness"], 0)
        assert row.loc["adaptive-worst", "value"] == pytest.approx(expected.value, rel=1e-6)
        assert row.loc["adaptive-worst", "residual"] == pytest.approx(expected.residual, rel=1e-5)
        assert row["samples"].tolist() == [len(samples.labels)] * 2


def partition_of(arguments, files):
    return open_partition(files["partitions"][0], open_dataset(arguments["dataset_folder"]))


def test_statistics_measured_afresh_are_those_of_the_samples_looked_at(tmp_path):
    arguments, files = networks(tmp_path)
    options = {"of": ["clients"], "data": ["own"], "rounds": [1], "top": 0, "batch_norm": "recalibrate"}
    found, _ = evaluate(
        tmp_path, arguments, **files, **options, sharpness=SharpnessSettings(average=[0.1], draws=2)
    )
    assert found["batch_norm"].eq("recalibrate").all()
    module = random_model("resnet", arguments["model_settings"], (1, 4, 4), 2, 0)
    layout = layout_of(module)
    models = ClientModels.open(files["clients"][0])
    samples = data_of(arguments, files["partitions"][0], 1)
    point = models.parameters(1, 1)
    buffers = recalibrated(module, parameters_of(point, layout), models.buffers(1, 1), samples)
    loss = PerturbedLoss(module, layout, point, buffers, samples)
    expected = sharpness(loss, "average", 0.1, SharpnessSettings(draws=2), 0).value
    assert found.set_index("client").loc[1, "value"] == pytest.approx(expected, rel=1e-6)


def test_agreement_in_all_four_choices(tmp_path):
    arguments, files = networks(tmp_path, count=2)
    options = {"top": 0, "data": ["global", "own"], "hessian_agreement": ["paper", "code"], "rounds": [1, 2]}
    found, _ = evaluate(tmp_path, arguments, **files, **options)
    assert len(found) == 2 * 2 * 2 * 2 * 2, "runs, rounds, samples, definitions, H_N and H_D"
    assert set(found["of"]) == {"clients"} and set(found["client"]) == {-1}
    module = random_model("resnet", arguments["model_settings"], (1, 4, 4), 2, 0)
    layout = layout_of(module)
    sizes = [np.prod(shape, dtype=int) for _, shape in layout.parameters]
    clients = ClientModels.open(files["clients"][1])
    for data in ("global", "own"):
        diagonals = []
        for client in range(CLIENTS):
            samples = data_of(arguments, files["partitions"][1], client if data == "own" else None)
            given = layout, clients.parameters(2, client), clients.buffers(2, client), samples
            diagonals.append(exact_diagonal(module, *given).numpy())
        for definition in ("paper", "code"):
            expected = agreement(diagonals, sizes, definition)
            keys = {"partition": "p1", "round": 2, "data": data, "definition": definition}
            rows = found[(found[list(keys)] == list(keys.values())).all(axis=1)].set_index("quantity")
            assert rows.loc["H_N", "value"] == pytest.approx(expected.norm, rel=1e-4)
            assert rows.loc["H_D", "value"] == pytest.approx(expected.direction, rel=1e-8)
            assert set(rows["samples"]) == {40} and set(rows["estimator"]) == {"exact"}
    assert found["value"].nunique() == len(found), "no choice is another one"


def test_so_many_samples_of_each_client(tmp_path):
    arguments, files = networks(tmp_path)
    options = {"of": ["clients"], "data": ["global", "own"], "top": 1}
    found, _ = evaluate(tmp_path, {**arguments, "samples": 10}, **files, **{**options, "rounds": [1]})
    assert set(found["samples"]) == {10} and len(found) == 2 * CLIENTS
    assert found[found["data"] == "own"]["value"].nunique() == CLIENTS


def test_estimated_traces_of_layers(tmp_path):
    arguments, _ = networks(tmp_path, model="resnet", blocks=[1], width=2, norm="group", groups=2)
    found, _ = evaluate(tmp_path, arguments, top=0, trace="auto", layers=True, probes=8)
    rows = found.set_index("quantity")
    assert set(found["estimator"]) == {"hutchinson"} and set(found["products"]) == {8}
    assert rows.loc["layer-trace", "value"].sum() == pytest.approx(rows.loc["trace", "value"], rel=1e-6)
    assert (found["standard_error"] > 0).all()


def test_auto_is_exact_for_few_classes_only(tmp_path, monkeypatch):
    arguments, _ = networks(tmp_path)
    found, _ = evaluate(tmp_path, arguments, top=0, trace="auto")
    assert set(found["estimator"]) == {"exact"}
    monkeypatch.setattr(stage, "EXACT_CLASSES", 1)
    found, _ = evaluate(tmp_path, arguments, top=0, trace="auto")
    assert set(found["estimator"]) == {"hutch++"}


@pytest.mark.parametrize(
    ("options", "what"),
    [({"trace": "exact"}, "trace: exact"), ({"hessian_agreement": ["code"]}, "hessian_agreement")],
)
def test_what_cannot_be_exact_is_said_before_anything_is_computed(tmp_path, monkeypatch, options, what):
    monkeypatch.setattr(stage, "hessian_rows", None)
    arguments, files = networks(tmp_path, model="resnet", blocks=[1], width=2, norm="group", groups=2)
    with pytest.raises(FedscapeError, match=rf"{what} needs a network .* ResNet has GroupNorm \(norm\)"):
        evaluate(tmp_path, arguments, **files, **options)
    assert not (tmp_path / "resume").exists()


def test_a_model_without_eigenvalues_does_not_take_the_others_along(tmp_path, monkeypatch, caplog):
    find, calls = measure.top_eigenpairs, []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise ArpackNoConvergence("no convergence", np.empty(0), np.empty((0, 0)))
        return find(*args, **kwargs)

    monkeypatch.setattr(measure, "top_eigenpairs", fail_once)
    found, _ = evaluate(tmp_path, bowl.world(tmp_path, [np.zeros((2, bowl.SIZE))] * 2))
    assert found["value"].isna().tolist() == [True, True, False, False]
    assert "no eigenvalues found" in caplog.text


def test_a_share_of_the_rounds_is_one_whose_clients_are_kept(tmp_path):
    """Also where no global model of that round is kept."""
    arguments, files = networks(tmp_path)
    shorten(arguments["trajectories"][0], [0, 2])
    for of in ("clients", "mean"):
        found, _ = evaluate(
            tmp_path, arguments, **files, of=[of], rounds=[0.5, "last"], top=1, fingerprint=of
        )
        assert sorted(set(found["round"])) == [1, 2]


def test_clients_of_a_run_that_ended_early_are_left_out(tmp_path, caplog):
    arguments, files = networks(tmp_path, count=2)
    for path in (arguments["trajectories"][0], files["clients"][0]):
        shorten(path, [0] if "trajectory" in path.name else [])
    found, _ = evaluate(tmp_path, arguments, **files, of=["global", "clients"], top=1)
    assert found.groupby(["partition", "of"]).size().to_dict() == {
        ("p0", "global"): 1,
        ("p1", "client"): CLIENTS,
        ("p1", "global"): 1,
    }
    assert "no clients' models of round 0" in caplog.text


EVERYTHING = {
    "of": ["global", "clients", "mean"],
    "data": ["global", "own"],
    "rounds": [1, 2],
    "top": 1,
    "trace": "exact",
    "layers": True,
    "density": DensitySettings(steps=3, probes=2, width=0.1),
    "hessian_agreement": ["paper", "code"],
    "sharpness": SharpnessSettings(
        worst=[0.1], average=[0.1, 0.2], adaptive_worst=[0.5], rays=[0.1], steps=2, draws=2
    ),
    "batch_norm": "recalibrate",
}


def test_a_killed_job_goes_on_with_the_same_bytes(tmp_path, monkeypatch):
    """Killed by the system in the middle of a model, between its quantities, once after another."""
    arguments, files = networks(tmp_path)
    evaluate(tmp_path, arguments, **files, **EVERYTHING)
    outputs = [tmp_path / f"{name}.csv" for name in ("curvature", "density")]
    whole = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    look, killed = stage._model, 0

    def dies(after):
        calls = []

        def counted(*given):
            calls.append(given)
            if len(calls) > after:
                os.kill(os.getpid(), signal.SIGKILL)
            return look(*given)

        return counted

    while True:
        process = os.fork()
        if process == 0:
            stage._model = dies(31)
            evaluate(tmp_path, arguments, **files, **EVERYTHING)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status == 0:
            break
        killed += 1
        assert killed < 10 and not any(path.exists() for path in outputs)
    assert killed >= 3 and [path.read_bytes() for path in outputs] == whole


def test_another_fingerprint_starts_afresh(tmp_path, monkeypatch):
    arguments = bowl.world(tmp_path, quadratics())
    rows, calls = stage.hessian_rows, []

    def stops(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rows(*given)

    monkeypatch.setattr(stage, "hessian_rows", stops)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, arguments)
    evaluate(tmp_path, arguments, fingerprint="other")
    assert len(calls) == 2 + 2


def test_models_of_another_kind_are_refused(tmp_path):
    arguments, _ = networks(tmp_path)
    with pytest.raises(FedscapeError, match=r"trajectory\.safetensors: holds models of"):
        evaluate(tmp_path, {**arguments, "model_settings": {"blocks": [1], "width": 3}})


def test_rounds_by_number_share_and_name(tmp_path):
    arguments = bowl.world(tmp_path, quadratics(1))
    for moments, numbers in (([0, "last"], [0, 3]), ([0.3, 0.5, 1.0], [1, 3]), ([2, 25], [2])):
        rows, _ = evaluate(tmp_path, arguments, rounds=moments, top=1)
        assert rows["round"].tolist() == numbers, "a run that ended early has no round 25"
