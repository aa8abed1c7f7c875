"""What clients keep between rounds: two records a client, of which one counts, in a file with holes."""

import os
import signal
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import TRAINING, federation, images_and_labels, network, play

from fedscape.federated.algorithms import scaffold
from fedscape.federated.client_store import ClientStore
from fedscape.federated.lanes import Lanes

ENTRIES = {"a": (torch.float32, 3), "count": (torch.int64, 1), "b": (torch.float32, 2)}
CLIENTS = 5
RECORD = 4 * 3 + 8 + 4 * 2  # bytes


def store_at(path, slots=None, clients: int = CLIENTS, entries=ENTRIES):
    return closing(ClientStore(path, entries, clients, slots))


def vectors(value: float) -> dict[str, torch.Tensor]:
    count = torch.tensor([2**40 + int(value)])
    return {"a": torch.full((3,), float(value)), "count": count, "b": torch.tensor([value, -value]).float()}


def same(one: dict, other: dict) -> bool:
    assert one.keys() == other.keys() == ENTRIES.keys()
    return all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


NOTHING = {"a": torch.zeros(3), "count": torch.zeros(1, dtype=torch.int64), "b": torch.zeros(2)}


def test_what_is_written_counts_from_its_commit(tmp_path):
    with store_at(tmp_path / "s") as store:
        assert store and not store.lost
        for value in (1.0, 2.0, 3.0):
            before = store.read(1)
            store.write(1, vectors(value))
            store.write(1, vectors(value + 0.5))  # the last before a commit counts
            assert same(store.read(1), before)
            store.commit()
            assert same(store.read(1), vectors(value + 0.5))
        for other in (0, 2, 4):
            assert same(store.read(other), NOTHING) and not store.knows(other)
        assert store.knows(1)
        assert (store.slots > 0).tolist() == [False, True, False, False, False]


def test_a_store_without_entries_keeps_nothing(tmp_path):
    with store_at(tmp_path / "s", entries={}) as store:
        assert not store
        assert store.read(3) == {}
        store.commit()
    assert (tmp_path / "s").stat().st_size == 0


def test_what_was_read_may_be_changed_without_harm(tmp_path):
    with store_at(tmp_path / "s") as store:
        store.write(0, vectors(1.0))
        store.commit()
        for vector in store.read(0).values():
            vector.fill_(9)
        assert same(store.read(0), vectors(1.0))


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_a_kill_between_write_and_commit_leaves_the_last_commit(tmp_path, rounds):
    """Clients 0 and 1 write in every round; the process dies in the one after `rounds`, with client 0 done."""
    slots = tmp_path / "slots.pt"
    process = os.fork()
    if process == 0:
        store = ClientStore(tmp_path / "s", ENTRIES, CLIENTS)
        for number in range(1, rounds + 1):
            store.write(0, vectors(number))
            store.write(1, vectors(-number))
            store.commit()
            torch.save(store.slots, slots)
        store.write(0, vectors(99))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    with store_at(tmp_path / "s", torch.load(slots) if rounds else None) as store:
        assert not store.lost
        assert same(store.read(0), vectors(rounds) if rounds else NOTHING)
        assert same(store.read(1), vectors(-rounds) if rounds else NOTHING)
        store.write(0, vectors(7))
        store.commit()
        assert same(store.read(0), vectors(7))
        assert same(store.read(1), vectors(-rounds) if rounds else NOTHING)


def test_a_commit_whose_slots_were_not_saved_does_not_count(tmp_path):
    """The caller saves the slots after `commit`, and may be killed before it has."""
    with store_at(tmp_path / "s") as store:
        store.write(2, vectors(1))
        store.commit()
        saved = store.slots
        store.write(2, vectors(2))
        store.commit()
    with store_at(tmp_path / "s", saved) as store:
        assert same(store.read(2), vectors(1))


@pytest.mark.parametrize("damage", ["missing", "cut off", "too long"])
def test_a_damaged_file_is_lost_and_made_anew(tmp_path, damage):
    with store_at(tmp_path / "s") as store:
        store.write(2, vectors(1))
        store.commit()
        slots = store.slots
    whole = (tmp_path / "s").read_bytes()
    (tmp_path / "s").unlink()
    if damage != "missing":
        (tmp_path / "s").write_bytes(whole[:-1] if damage == "cut off" else whole + b"0")
    with store_at(tmp_path / "s", slots) as store:
        assert store.lost
    assert (tmp_path / "s").read_bytes() == bytes(2 * CLIENTS * RECORD)
    with store_at(tmp_path / "s") as store:
        assert not store.lost
        assert not any(store.knows(client) for client in range(CLIENTS))


def test_a_file_that_nobody_speaks_of_is_no_loss(tmp_path):
    """A kill before the first commit leaves one; a first round has nothing to lose."""
    with store_at(tmp_path / "s") as store:
        store.write(2, vectors(1))
    with store_at(tmp_path / "s") as store:
        assert not store.lost
        assert same(store.read(2), NOTHING)


def test_a_vector_of_the_wrong_length_is_refused(tmp_path):
    with store_at(tmp_path / "s") as store, pytest.raises(ValueError, match=r"client state a: shape \(4,\)"):
        store.write(0, vectors(1) | {"a": torch.zeros(4)})


def test_clients_that_never_take_part_take_no_space(tmp_path):
    clients, length = 1000, 10_000
    with store_at(tmp_path / "s", clients=clients, entries={"a": (torch.float32, length)}) as store:
        size, record = (tmp_path / "s").stat().st_size, 4 * length
        assert size == 2 * clients * record
        for client in (3, 500, 999):
            for value in (1, 2, 3):  # both of its records
                store.write(client, {"a": torch.full((length,), float(value))})
                store.commit()
        assert store.read(500)["a"].unique().tolist() == [3]
        assert store.read(499)["a"].unique().tolist() == [0]
    stat = (tmp_path / "s").stat()
    assert stat.st_size == size
    # Each record may touch a block more on either side.
    assert 6 * record <= 512 * stat.st_blocks <= 6 * (record + 2 * stat.st_blksize)


def test_a_large_population_writes_its_participants_only(tmp_path):
    """10,000 clients, of whom 20 take part in a round."""
    clients = [np.array([number % 50, (number + 1) % 50]) for number in range(10_000)]
    training = replace(TRAINING, rounds=3, local_epochs=1, batch_size=2, participation=0.002)
    lanes = Lanes(network("linear"), images_and_labels(50), training, lanes=10)
    population, taken_part = federation(tmp_path, lanes, clients, algorithm=scaffold), set()

    def watch(number, place, result):
        taken_part.add(result.client)

    played = play(population, rounds=3, watch=watch)
    assert [report.clients for report in played.reports] == [20, 20, 20]
    slots = population.store.slots
    assert set(slots.nonzero().flatten().tolist()) == taken_part
    file = tmp_path / "client-state.bin"
    records = np.memmap(file, np.float32, "r").reshape(10_000, 2, lanes.layout.parameter_count)
    written = {
        (int(client), int(record)) for client, record in zip(*records.any(axis=2).nonzero(), strict=True)
    }
    assert {client for client, _ in written} == taken_part
    assert {(client, int(slots[client]) - 1) for client in taken_part} <= written
    stat = file.stat()
    record = stat.st_size / 20_000
    assert 512 * stat.st_blocks <= len(written) * (record + 2 * stat.st_blksize) < stat.st_size / 20
    # The server's control variate is the mean of all clients', of whom most have none.
    total = records[np.arange(10_000), np.maximum(slots.numpy(), 1) - 1].sum(axis=0, dtype=np.float64)
    shared = played.states[-1].shared["control"].double().numpy()
    np.testing.assert_allclose(10_000 * shared, total, rtol=1e-4, atol=1e-4)
    assert np.abs(total).max() > 0.1
