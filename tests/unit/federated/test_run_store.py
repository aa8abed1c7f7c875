"""What a run remembers from round to round comes back, whenever it is stopped, killed or damaged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from engine_helpers import network
from small_run import CLIENT_SIZES, KINDS, SMALL, contents, prepare, run_once, stop_after_two_rounds

import fedscape
from fedscape.checkpoints.layout import layout_of
from fedscape.checkpoints.readers import Trajectory
from fedscape.federated.algorithms import scaffold
from fedscape.federated.rounds import GlobalState
from fedscape.federated.run_store import STATE_SLOTS, RunStore
from fedscape.federated.state import ModelState
from fedscape.jobs.resume import Resume, ResumeFolder

ENTRIES = {"rule.control": (torch.float32, 195)}
MODULE = network("linear")


def state_of(value: float, kept: bool = True) -> GlobalState:
    """A state that cannot be mistaken for another's."""
    state = ModelState.of(MODULE)
    return GlobalState(
        ModelState(state.parameters + value, state.buffers, state.counters),
        server={"first": torch.full((195,), value), "step.count": torch.tensor(value)},
        shared={"first": torch.full((195,), -value), "control": torch.full((3,), value)},
        kept=state.parameters > 0 if kept else None,
    )


def assert_equal(found: GlobalState, expected: GlobalState) -> None:
    assert found.server.keys() == expected.server.keys() and found.shared.keys() == expected.shared.keys()
    for name, value in expected.server.items():
        assert torch.equal(found.server[name], value)
    for name, value in expected.shared.items():
        assert torch.equal(found.shared[name], value)
    assert torch.equal(found.model.parameters, expected.model.parameters)
    assert (found.kept is None) == (expected.kept is None)
    if expected.kept is not None:
        assert found.kept.dtype == torch.bool and torch.equal(found.kept, expected.kept)


def opened(folder: ResumeFolder) -> RunStore:
    return RunStore(
        folder, layout_of(MODULE), kept=[0, 1, 2, 3], kept_clients=[], participants=2,
        client_entries=ENTRIES, clients=5,
    )  # fmt: skip


def commit(store: RunStore, number: int, state: GlobalState, clients: tuple[int, ...] = ()) -> None:
    """A round in which these clients keep its number."""
    for client in clients:
        store.client_state.write(client, {"rule.control": torch.full((195,), float(number))})
    store.commit(number, state, {"round": number}, {"round": number})


def controls(store: RunStore) -> list[float]:
    return [store.client_state.read(client)["rule.control"].unique().item() for client in range(5)]


@pytest.mark.parametrize("last", [0, 1, 2, 3])
@pytest.mark.parametrize("kept", [True, False])
def test_the_committed_state_comes_back(tmp_path, last, kept):
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        assert (store.state, store.round) == (None, -1)
        for number in range(last + 1):
            commit(store, number, state_of(number, kept), clients=(number, number + 1))
        expected = controls(store)
        store.client_state.write(
            0, {"rule.control": torch.full((195,), 99.0)}
        )  # of a round that is not committed
        store.close()
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        assert store.round == last
        assert_equal(store.state, state_of(last, kept))
        assert controls(store) == expected == [*range(last + 1), last, *[0] * (3 - last)]
        known = [store.client_state.knows(client) for client in range(5)]
        assert known == [client <= last + 1 for client in range(5)]
        store.close()


def test_a_round_that_was_not_committed_leaves_the_one_before(tmp_path, monkeypatch):
    """The kill comes when all of the round is on disk but the commit itself."""
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        for number in range(3):
            commit(store, number, state_of(number), clients=(1,))
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(folder, "commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            commit(store, 3, state_of(3), clients=(1, 2))
        store.close()
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        assert_equal(store.state, state_of(2))
        assert controls(store) == [0, 2, 0, 0, 0]
        commit(store, 3, state_of(3), clients=(1, 2))
        assert controls(store) == [0, 3, 3, 0, 0]
        store.close()


@pytest.mark.parametrize("file", ["client-state.bin", STATE_SLOTS[0]])
def test_a_store_that_lost_a_file_starts_afresh(tmp_path, capsys, file):
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        for number in range(3):
            commit(store, number, state_of(number), clients=(1,))
        store.close()
    (tmp_path / "resume" / file).unlink()
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        store = opened(folder)
        assert (store.state, store.round) == (None, -1)
        assert controls(store) == [0] * 5 and not store.client_state.slots.any()
        commit(store, 0, state_of(0))
        store.close()
    assert "starting afresh" in capsys.readouterr().err


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    """A kind of run, and the bytes that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(folder, **SMALL)
    return request.param, contents(run_once(folder, **KINDS[request.param]))


@pytest.fixture
def inputs(tmp_path):
    prepare(tmp_path, **SMALL)
    return tmp_path


def test_a_run_that_remembers_goes_on_with_the_same_bytes(inputs, whole, monkeypatch, capsys):
    kind, expected = whole
    stop_after_two_rounds(inputs, monkeypatch, **KINDS[kind])
    assert contents(run_once(inputs, **KINDS[kind])) == expected
    assert "continuing after round 2" in capsys.readouterr().err


def test_a_run_whose_clients_memory_is_cut_off_starts_afresh(inputs, whole, monkeypatch, capsys):
    kind, expected = whole
    path = stop_after_two_rounds(inputs, monkeypatch, **KINDS[kind]) / "client-state.bin"
    parameters = Trajectory.open(path.parent / "trajectory.safetensors").layout.parameter_count
    assert path.stat().st_size >= 2 * len(CLIENT_SIZES) * 4 * parameters
    os.truncate(path, path.stat().st_size - 1)
    assert contents(run_once(inputs, **KINDS[kind])) == expected
    assert "starting afresh" in capsys.readouterr().err


def test_a_run_that_remembers_survives_kills(inputs, whole):
    kind, expected = whole
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    search = [Path(fedscape.__file__).parents[1], Path(__file__).parents[3]]
    environment["PYTHONPATH"] = os.pathsep.join(map(str, search))
    command = [sys.executable, small_run.__file__, inputs, "3", json.dumps(KINDS[kind])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 4
    assert contents({name: inputs / "out" / file for name, file in small_run.OUTPUTS.items()}) == expected


def test_a_diverged_run_that_remembers_ends_the_same_after_a_kill(inputs, monkeypatch):
    original = scaffold.loss

    def loss(network, parameters, batch, client, context):
        value = original(network, parameters, batch, client, context)
        return value * float("nan") if context.round == 3 else value

    monkeypatch.setattr(scaffold, "loss", loss)
    arguments = KINDS["remembering"]
    outputs = run_once(inputs, **arguments)
    assert Trajectory.open(outputs["trajectory"]).rounds == (0, 1, 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run_once(inputs, out="killed", **arguments)
    assert contents(run_once(inputs, out="killed", **arguments)) == contents(outputs)


def test_a_pruned_run_is_sparse_to_its_end(inputs):
    """Momentum of the server and models that clients kept bring nothing back."""
    trajectory = Trajectory.open(run_once(inputs, **KINDS["remembering"])["trajectory"])
    shares = []
    for number in range(5):
        sizes = [
            (tensor.numel(), int(tensor.count_nonzero()))
            for tensor in trajectory.state(number)[0].values()
            if tensor.ndim >= 2
        ]
        shares.append(1 - np.sum(sizes, axis=0)[1] / np.sum(sizes, axis=0)[0])
    # Sparsity s(t) = 0.8 - 0.5 (1 - (t - 1) / 3)^3 from round 1 on; each kernel's count is rounded.
    assert shares == pytest.approx([0, 0.3, 0.8 - 0.5 * 8 / 27, 0.8 - 0.5 / 27, 0.8], abs=2e-3)
