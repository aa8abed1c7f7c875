"""Partition files: which samples are used, the shared train set, the class counts, broken files."""

import numpy as np
import pandas as pd
import pytest

from fedscape.data.partition import make_partition, open_partition
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples

IDENTITY = {
    "study": "pilot",
    "scale": "smoke",
    "dataset": "toy",
    "model": "convnet",
    "partition": "dir0.5",
    "init": "random",
    "method": "fedavg",
    "seed": 3,
}


def toy(folder, clients: np.ndarray | None = None):
    """200 train and 40 test images of 4 classes; image i shows its own number."""
    images = Inputs.of(np.arange(240, dtype=np.uint8).reshape(240, 1, 1, 1))
    train = Inputs.of(np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1))
    test = Inputs(40, images.shape, lambda: (block[200:] for block in images.blocks()))
    raw = Raw(("a", "b", "c", "never, ever"), train, np.arange(200) % 3, test, np.arange(40) % 3, clients)
    write_dataset(folder, "toy", "image-folder", raw)
    return folder


@pytest.fixture
def make(tmp_path):
    dataset = toy(tmp_path / "data")

    def make(name="one", **changes):
        used = {"seed": 3, "images": 150, "test_images": 30, "validation": 0.1}
        scheme = Plugin(changes.pop("scheme", "dirichlet"), changes.pop("settings", {"alpha": 0.5}))
        samples = UsedSamples(**{key: changes.pop(key, value) for key, value in used.items()})
        values = {
            "dataset": dataset,
            "scheme": scheme,
            "clients": 4,
            "partition_seed": 3,
            "samples": samples,
            "identity": IDENTITY,
            "npz": tmp_path / f"{name}.npz",
            "csv": tmp_path / f"{name}.csv",
        }
        values |= changes
        make_partition(**values)
        return open_partition(tmp_path / f"{name}.npz", open_dataset(values["dataset"]))

    return make


def test_train_validation_and_test(make):
    partition = make()
    assert (len(partition.train), len(partition.validation), len(partition.test)) == (135, 15, 30)
    for indices in (partition.train, partition.validation, partition.test, *partition.clients):
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
    assert not np.intersect1d(partition.train, partition.validation).size
    assert max(partition.train.max(), partition.validation.max()) < 200
    assert partition.test.max() < 40
    together = np.concatenate(partition.clients)
    assert len(partition.clients) == 4
    assert len(np.unique(together)) == len(together) == 135 // 4 * 4
    assert np.isin(together, partition.train).all()


def test_all_images_without_limits(make):
    partition = make(images=None, test_images=None, validation=0.0)
    assert np.array_equal(partition.train, np.arange(200))
    assert np.array_equal(partition.test, np.arange(40))
    assert len(partition.validation) == 0


@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("iid", {}),
        ("shards", {}),
        ("quantity", {"beta": 1.0}),
        ("labels-per-client", {"labels": 2}),
        ("dirichlet-per-class", {"alpha": 1.0}),
    ],
)
def test_partitions_of_one_seed_share_their_train_set(make, scheme, settings):
    one, other = make("one"), make("other", scheme=scheme, settings=settings, partition_seed=9)
    for key in ("train", "validation", "test"):
        assert np.array_equal(getattr(one, key), getattr(other, key))
    assert not np.array_equal(one.train, make("third", seed=4).train)


def test_larger_subsets_contain_smaller_ones(make):
    small, large = make("small", images=50, validation=0.0), make("large", images=100, validation=0.0)
    assert np.isin(small.train, large.train).all()


def test_same_seed_same_bytes(make, tmp_path):
    for name in ("one", "two"):
        make(name)
    make("three", partition_seed=4)
    for suffix in ("npz", "csv"):
        one, two, three = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two", "three"))
        assert one == two
        assert one != three


def test_class_counts(make, tmp_path):
    partition = make()
    table = pd.read_csv(tmp_path / "one.csv")
    assert list(table.columns) == [*IDENTITY, "client", "class", "class_name", "samples"]
    assert (table[["model", "init", "method"]] == "*").all(axis=None)
    assert (table["partition"] == "dir0.5").all()
    assert table[["client", "class"]].to_numpy().tolist() == [[k, c] for k in range(4) for c in range(4)]
    assert table["class_name"].tolist() == ["a", "b", "c", "never, ever"] * 4
    for client, indices in enumerate(partition.clients):
        samples = table[table["client"] == client]["samples"].tolist()
        assert samples == [int((indices % 3 == c).sum()) for c in range(4)]  # image i is of class i mod 3


def test_natural_clients_follow_their_images(tmp_path, make):
    natural = np.arange(200) // 50
    partition = make(dataset=toy(tmp_path / "natural", natural), scheme="natural", clients=None, settings={})
    assert len(partition.clients) == 4
    for number, indices in enumerate(partition.clients):
        assert (indices // 50 == number).all()
    assert np.array_equal(np.sort(np.concatenate(partition.clients)), partition.train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 201}, "images: 201, but the data set has 200; allowed are 1 to 200"),
        ({"images": 0}, "images: 0"),
        ({"test_images": 41}, "test_images: 41, but the data set has 40"),
        ({"validation": 1.0}, "validation: 1.0; allowed is a share from 0 to below 1"),
        ({"images": 2, "validation": 0.9}, "validation: 0.9 of 2 images leaves none"),
        ({"clients": 136}, "clients: 136 for 135 train samples"),
        ({"clients": None}, "clients: is missing"),
        ({"scheme": "natural", "settings": {}}, "no natural clients"),
        ({"scheme": "quantity", "settings": {"beta": 1e-9}}, "in 1000 draws"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(make, tmp_path, changes, message):
    with pytest.raises(FedscapeError, match=message) as error:
        make("bad", **changes)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("partition dir0.5 (")
    assert not list(tmp_path.glob("*bad*"))


def test_empty_client_is_named(make, monkeypatch):
    from fedscape.data.partitions import iid

    monkeypatch.setattr(iid, "split", lambda *arguments: [np.arange(3), np.zeros(0, dtype=np.int64)])
    with pytest.raises(FedscapeError, match="client 1 of 2 got no sample"):
        make(scheme="iid", settings={})


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_truncated_partition_is_named(make, tmp_path, kept):
    make()
    path = tmp_path / "one.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FedscapeError, match=r"one\.npz: not a whole partition file") as error:
        open_partition(path, open_dataset(tmp_path / "data"))
    assert "\n" not in str(error.value)


def test_missing_partition_is_named(make, tmp_path):
    with pytest.raises(FedscapeError, match=r"none\.npz: partition not found"):
        open_partition(tmp_path / "none.npz", open_dataset(tmp_path / "data"))
