"""Whole runs: what their files say, and that no interruption changes a byte of it."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from engine_helpers import assert_close_but_for_kinks
from small_run import (
    CLASSES,
    CLIENT_SIZES,
    IDENTITY,
    SHAPE,
    TRAINING,
    contents,
    prepare,
    run_once,
    stop_after_two_rounds,
)

import fedscape
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.columns.csvs import read_csv
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.federated import train
from fedscape.federated.algorithms import fedavg
from fedscape.federated.run_samples import RunSamples
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.models.build import random_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The outputs of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(folder)
    return run_once(folder)


@pytest.fixture
def folder(tmp_path):
    prepare(tmp_path)
    return tmp_path


def module() -> torch.nn.Module:
    return random_model(small_run.MODEL, {}, SHAPE, len(CLASSES), seed=0)


def test_only_the_outputs_are_left(whole):
    folder = whole["run"].parent
    assert sorted(path.name for path in folder.iterdir()) == sorted(small_run.OUTPUTS.values())


def test_trajectory_goes_from_the_start_to_the_final_model(whole):
    trajectory = Trajectory.open(whole["trajectory"])
    assert trajectory.rounds == tuple(range(TRAINING.rounds + 1))
    start, final = module(), module()
    final.load_state_dict(read_weights(whole["final"]))  # strict: a plain state_dict
    for number, network in ((0, start), (TRAINING.rounds, final)):
        parameters, buffers = trajectory.state(number)
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, (parameters | buffers)[name])
            assert tensor.dtype == (parameters | buffers)[name].dtype
    assert not torch.equal(trajectory.parameters(0), trajectory.parameters(1))


def test_client_models_average_to_the_next_global_model(whole):
    clients, trajectory = ClientModels.open(whole["clients"]), Trajectory.open(whole["trajectory"])
    assert clients.rounds == (1, 3)
    assert clients.participants == 3
    for number in clients.rounds:
        sizes = np.array(CLIENT_SIZES)[clients.clients(number)]
        models = [clients.parameters(number, client).double() for client in clients.clients(number)]
        mean = np.average(np.stack(models), axis=0, weights=sizes)
        np.testing.assert_allclose(trajectory.parameters(number).numpy(), mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_clients_path_is_what_fewer_epochs_give(folder, lanes):
    outputs = run_once(folder, out="whole", lanes=lanes)
    shorter = run_once(folder, out="shorter", lanes=lanes, local_epochs=1)
    paths, ends = ClientModels.open(outputs["clients"]), ClientModels.open(shorter["clients"])
    assert (paths.path_points, ends.path_points) == (TRAINING.local_epochs - 1, 0)
    # Round 1 starts from the same model with the same draws: its path passes through the shorter run's ends.
    for client in paths.clients(1):
        assert torch.equal(paths.parameters(1, client, epoch=1), ends.parameters(1, client))
        for name, buffer in ends.buffers(1, client).items():
            assert torch.equal(paths.buffers(1, client, epoch=1)[name], buffer)
    for client in paths.clients(3):
        assert not torch.equal(paths.parameters(3, client, epoch=1), paths.parameters(3, client))


def test_more_lanes_give_the_same_numbers_and_say_so(folder, whole):
    """In round 1; afterwards rounding makes its way through momentum and ReLUs."""
    one = run_once(folder, lanes=1)
    assert json.loads(one["run"].read_text())["lanes"] == 1
    assert json.loads(whole["run"].read_text())["lanes"] == 3  # the participants of a round
    alone, together = (Trajectory.open(outputs["trajectory"]) for outputs in (one, whole))
    assert_close_but_for_kinks(alone.parameters(1), together.parameters(1), rtol=0, atol=1e-3)
    columns = ["clients", "samples", "client_loss"]
    for name in columns:
        values = [read_csv(outputs["rounds"])[name][1] for outputs in (one, whole)]
        assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_rounds_table_says_what_the_models_do(whole):
    table = read_csv(whole["rounds"])
    assert list(table.columns) == [
        *IDENTITY,
        *("round", "clients", "samples", "client_loss", "train_loss", "train_accuracy"),
        *("validation_loss", "validation_accuracy", "test_loss", "test_accuracy", "diverged"),
        *("mean_update_norm", "gradient_diversity", "inverse_gradient_diversity", "mean_cosine"),
        "minimum_cosine",
    ]
    assert table["round"].tolist() == list(range(TRAINING.rounds + 1))
    assert table["clients"].tolist() == [0] + [3] * TRAINING.rounds
    assert table["client_loss"].isna().tolist() == [True] + [False] * TRAINING.rounds
    assert not table["diverged"].any()
    data = open_dataset(whole["run"].parent.parent / "data")
    test = EvaluationSet.from_dataset(data, "test", np.arange(small_run.TEST), "cpu")
    trajectory = Trajectory.open(whole["trajectory"])
    for row in table.itertuples():
        evaluation = evaluate(module(), *trajectory.state(row.round), test)
        assert row.test_loss == pytest.approx(evaluation.loss, rel=1e-6)
        assert row.test_accuracy == pytest.approx(evaluation.accuracy)
    clients = ClientModels.open(whole["clients"])
    for number in clients.rounds:
        assert table["samples"][number] == np.array(CLIENT_SIZES)[clients.clients(number)].sum()


def test_clocks_are_in_timing_and_run_only(whole):
    timing = read_csv(whole["timing"])
    assert list(timing.columns) == [
        *IDENTITY,
        *("round", "training_seconds", "evaluation_seconds", "peak_memory_mib"),
    ]
    assert len(timing) == TRAINING.rounds + 1
    assert (timing["training_seconds"][1:] > 0).all()
    description = json.loads(whole["run"].read_text())
    assert description["identity"] == IDENTITY
    assert description["parameters"] == Trajectory.open(whole["trajectory"]).layout.parameter_count
    assert description["training"]["lr"] == TRAINING.lr
    assert description["torch"] == torch.__version__
    assert {"commit", "dirty", "fedscape", "python", "packages", "device"} <= set(description)
    assert description["seconds"] == pytest.approx(
        (timing["training_seconds"] + timing["evaluation_seconds"]).sum(), abs=0.01
    )
    assert description["peak_memory_mib"] == pytest.approx(timing["peak_memory_mib"].max(), abs=0.1)


def test_processes_killed_at_any_write_give_the_same_bytes(folder, whole):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    search = [Path(fedscape.__file__).parents[1], Path(__file__).parents[3]]
    environment["PYTHONPATH"] = os.pathsep.join(map(str, search))
    seed = "2"  # nine kills: in rounds, between them, and while finishing
    command = [sys.executable, small_run.__file__, folder, seed]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 4
    assert contents({name: folder / "out" / file for name, file in small_run.OUTPUTS.items()}) == contents(
        whole
    )
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(small_run.OUTPUTS.values())


@pytest.mark.parametrize("where", ["aggregate", "loss"])
def test_sigterm_stops_at_the_last_round_and_the_next_call_goes_on(folder, whole, monkeypatch, where):
    leave = lambda gathered, context: (gathered.parameters, context.shared)  # noqa: E731
    original = getattr(fedavg, where, leave)

    def signalled(*arguments, **keywords):
        context = arguments[-1]
        if context.round == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **keywords)

    monkeypatch.setattr(fedavg, where, signalled, raising=False)
    # During the clients' work the round is given up; after it, it is committed first.
    done = {"aggregate": 2, "loss": 1}[where]
    message = f"stopped by SIGTERM: run again to continue from round {done}"
    with pytest.raises(SystemExit, match=message) as stopped:
        run_once(folder)
    assert stopped.value.code != 0
    monkeypatch.undo()
    assert contents(run_once(folder)) == contents(whole)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("state-0.safetensors", "cut"),
        ("trajectory.safetensors", "cut"),
        ("clients.safetensors", "missing"),
        ("rounds.csv", "cut"),
    ],
)
def test_a_damaged_resume_folder_starts_afresh(folder, whole, monkeypatch, capsys, file, damage):
    path = stop_after_two_rounds(folder, monkeypatch) / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    outputs = run_once(folder)
    assert "starting afresh" in capsys.readouterr().err
    assert contents(outputs) == contents(whole)


def test_a_resumed_run_says_so(folder, monkeypatch, capsys):
    stop_after_two_rounds(folder, monkeypatch)
    run_once(folder)
    said = capsys.readouterr().err
    assert "continuing after round 2" in said
    assert "round 3/4: client loss" in said


def test_a_second_process_is_refused(folder):
    with (
        ResumeFolder(Resume(folder / "out" / "resume", "test")),
        pytest.raises(FedscapeError, match="another process is working here"),
    ):
        run_once(folder)


def test_evaluation_can_be_rarer_and_models_fewer(folder, whole):
    outputs = run_once(folder, evaluate_every=3, keep_rounds={"every": 3})
    table, every = read_csv(outputs["rounds"]), read_csv(whole["rounds"])
    assert table["test_loss"].notna().tolist() == [True, False, False, True, True]
    for number in (0, 3, 4):
        assert table.loc[number].equals(every.loc[number])
    trajectory = Trajectory.open(outputs["trajectory"])
    assert trajectory.rounds == (0, 3, 4)
    assert torch.equal(trajectory.parameters(3), Trajectory.open(whole["trajectory"]).parameters(3))


def diverging(monkeypatch, number: int) -> None:
    """Make the loss NaN in round `number`."""
    original = fedavg.loss

    def loss(network, parameters, batch, client, context):
        value = original(network, parameters, batch, client, context)
        return value * float("nan") if context.round == number else value

    monkeypatch.setattr(fedavg, "loss", loss)


def test_a_run_that_diverges_ends_with_the_last_finite_round(folder, whole, monkeypatch, capsys):
    diverging(monkeypatch, 3)
    outputs = run_once(folder, keep_rounds={"every": 3})
    assert "diverged: round 3, client " in capsys.readouterr().err
    trajectory, finite = Trajectory.open(outputs["trajectory"]), Trajectory.open(whole["trajectory"])
    assert trajectory.rounds == (0, 2)
    assert torch.equal(trajectory.parameters(2), finite.parameters(2))
    assert ClientModels.open(outputs["clients"]).rounds == (1,)
    table = read_csv(outputs["rounds"])
    assert table["diverged"].tolist() == [False, False, False, True]
    assert table["round"].tolist() == [0, 1, 2, 3]
    assert table.iloc[-1][["client_loss", "train_loss", "test_accuracy"]].isna().all()
    final = module()
    final.load_state_dict(read_weights(outputs["final"]))
    flat = torch.cat([parameter.flatten() for parameter in final.parameters()])
    assert torch.equal(flat, finite.parameters(2))
    assert "client" in json.loads(outputs["run"].read_text())["diverged"]


@pytest.mark.parametrize(("every", "rounds"), [("never", 4), (3, 2)])
def test_an_average_that_nobody_goes_on_from_may_be_of_no_use(folder, monkeypatch, every, rounds):
    """All averages after the start have an infinite loss; only those that clients begin from end the run."""
    evaluate, seen = RunSamples.evaluate, []

    def evaluated(self, *arguments):
        seen.append(arguments)
        found = evaluate(self, *arguments)
        return (
            {split: replace(one, loss=math.inf) for split, one in found.items()} if len(seen) > 1 else found
        )

    monkeypatch.setattr(RunSamples, "evaluate", evaluated)
    outputs = run_once(folder, average_every=every, participation=1.0)
    table = read_csv(outputs["rounds"])
    finite = table[~table["diverged"]]
    assert finite["round"].iloc[-1] == rounds and finite["test_loss"].iloc[1:].eq(math.inf).all()
    assert bool(json.loads(outputs["run"].read_text())["diverged"]) is (every == 3)


def killed(*_):
    raise KeyboardInterrupt


def test_a_diverged_run_that_is_killed_ends_the_same(folder, monkeypatch):
    diverging(monkeypatch, 3)
    expected = contents(run_once(folder))
    for module, function in ((train, "write_weights"), (os, "link")):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, killed)
            with pytest.raises(KeyboardInterrupt):
                run_once(folder, out=function)
        assert contents(run_once(folder, out=function)) == expected


def test_a_learning_rate_far_too_large_diverges_at_once(folder):
    outputs = run_once(folder, lr=1e30)
    assert Trajectory.open(outputs["trajectory"]).rounds == (0,)
    assert ClientModels.open(outputs["clients"]).rounds == ()
    assert read_csv(outputs["rounds"])["diverged"].tolist() == [False, True]


def test_a_start_that_does_not_fit_is_named(folder):
    other = random_model("convnet", {}, SHAPE, len(CLASSES), seed=0)
    write_weights(folder / "initial.safetensors", other.state_dict())
    with pytest.raises(FedscapeError, match=r"initial\.safetensors: lacks "):
        run_once(folder)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), r"initial\.safetensors: a weight is NaN or infinite; delete the file"),
        # A logit that is always the smallest leaves every loss finite.
        (float("-inf"), r"initial\.safetensors: a weight is NaN or infinite; delete the file"),
        (3e38, "initial weights are of no use: the train loss"),
    ],
)
def test_a_start_that_is_not_finite_is_refused(folder, value, said):
    tensors = read_weights(folder / "initial.safetensors")
    tensors["classifier.bias"][0] = value
    if value > 0:
        tensors["classifier.weight"][:] = value
    write_weights(folder / "initial.safetensors", tensors)
    with pytest.raises(FedscapeError, match=said):
        run_once(folder)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_bytes_again_and_the_cpus_numbers(folder, whole):
    one, other = (run_once(folder, out=out, device="cuda") for out in ("one", "other"))
    assert contents(one) == contents(other)
    on_gpu, on_cpu = Trajectory.open(one["trajectory"]), Trajectory.open(whole["trajectory"])
    torch.testing.assert_close(on_gpu.parameters(1), on_cpu.parameters(1), rtol=0, atol=1e-3)
