"""Files of strangers run no code, and write nothing outside the folder that is theirs."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from broken_input import STUDY, Repository, refusal
from small_run import write_noise, write_partition

from fedscape.checkpoints.state_dicts import read_weights
from fedscape.data.partition import open_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.data.sources.cifar import ArrayUnpickler
from fedscape.data.storage import open_dataset
from fedscape.files import atomic, write_text
from fedscape.landscape.points import saved_points
from fedscape.plugins import Plugin
from fedscape.study.files import read_yaml


class Touch:
    """A pickle of this makes a file where it is loaded."""

    def __init__(self, path, call=os.mkdir):
        self.path, self.call = str(path), call

    def __reduce__(self):
        return self.call, (self.path,)


@pytest.fixture
def trap(tmp_path):
    """What would be there if code had run."""
    path = tmp_path / "owned"
    yield path
    assert not path.exists()


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Touch(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_for_weights_runs_nothing(tmp_path, trap, protocol):
    for suffix in ("pt", "pth", "safetensors"):
        path = tmp_path / f"mine.{suffix}"
        path.write_bytes(pickle.dumps({"a": Touch(trap)}, protocol=protocol))
        assert f"{path}: " in refusal(read_weights, path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_with_code_runs_nothing(tmp_path, trap, zipped):
    path = tmp_path / "mine.pth"
    torch.save({"0.weight": torch.zeros(2), "more": Touch(trap)}, path, _use_new_zipfile_serialization=zipped)
    assert f"{path}: not a whole file of weights (" in refusal(read_weights, path)


def test_a_program_of_torchs_runs_nothing(tmp_path, trap):
    path = tmp_path / "mine.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mine/constants.pkl", pickle.dumps(Touch(trap), protocol=2))
        archive.writestr("mine/data.pkl", pickle.dumps(Touch(trap), protocol=2))
        archive.writestr("mine/version", "3\n")
    assert f"{path}: not a whole file of weights (" in refusal(read_weights, path)


def test_arrays_with_objects_run_nothing(tmp_path, trap):
    write_noise(tmp_path / "data")
    write_partition(tmp_path / "p.npz")
    data = open_dataset(tmp_path / "data")
    objects = np.array([Touch(trap)], dtype=object)
    np.savez(tmp_path / "objects.npz", train=objects, fingerprint=objects)
    assert "Object arrays cannot be loaded" in refusal(open_partition, tmp_path / "objects.npz", data)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"train": Touch(trap)}))
    assert "not a whole partition file" in refusal(open_partition, tmp_path / "pickle.npz", data)
    assert saved_points(tmp_path / "objects.npz", "x", 1) == {}
    for file in ("train-inputs.npy", "test-labels.npy"):
        write_noise(tmp_path / "data")
        np.save(tmp_path / "data" / file, objects)
        description = tmp_path / "data" / "dataset.json"
        recorded = json.loads(description.read_text())
        recorded["files"][file]["bytes"] = (tmp_path / "data" / file).stat().st_size
        description.write_text(json.dumps(recorded))
        assert f"{file}: not a whole .npy array (" in refusal(open_dataset, tmp_path / "data")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.mkdir [{}]",
        "a: !!python/object/new:os.mkdir [{}]",
        "a: !!python/name:os.mkdir",
        "a: !!python/module:os",
        "!!python/object/apply:os.mkdir [{}]: a",
        "a: &a !!python/tuple [1]\nb: *a",
    ],
)
def test_a_study_runs_nothing(tmp_path, trap, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text.format(trap))
    assert refusal(read_yaml, path).startswith(f"{path}:1: ")


def test_templates_in_a_study_are_text(tmp_path, trap):
    """Snakemake's own reader of configuration files would run them; studies are not read by it."""
    code = f"?__import__('os').mkdir('{trap}')"
    repository = Repository(tmp_path)
    assert repository.read({**STUDY, "title": code}).get("pilot", "paper").title == code
    assert "unknown key '__use_yte__'" in refusal(repository.read, {**STUDY, "__use_yte__": True})


def test_a_link_in_place_of_a_temporary_file_leads_nowhere(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    path = tmp_path / "results" / "a.txt"
    path.parent.mkdir()
    with atomic(path) as temporary:
        name = temporary.name  # it holds the number of the process: a stranger may have made a link for each
        temporary.write_text("")
    (path.parent / name).symlink_to(mine)
    write_text(path, "theirs")
    assert (path.read_text(), mine.read_text()) == ("theirs", "mine")


# What SECURITY.md warns of: if one of these ends to be so, the warning can go


def snakemake(folder, *arguments) -> None:
    subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments], cwd=folder, capture_output=True, check=False
    )


def test_a_snakemake_folder_is_code(tmp_path):
    plugin = tmp_path / ".snakemake" / "pip-deployments" / "snakemake_executor_plugin_theirs"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(f"import os; os.mkdir({str(tmp_path / 'sprung')!r})\n")
    snakemake(tmp_path, "--version")
    assert (tmp_path / "sprung").exists()


def test_a_configfile_is_code(tmp_path):
    (tmp_path / "Snakefile").write_text("")
    code = f"__use_yte__: true\n__definitions__:\n  - import os; os.mkdir({str(tmp_path / 'sprung')!r})\n"
    (tmp_path / "theirs.yaml").write_text(code)
    snakemake(tmp_path, "-n", "--configfile", "theirs.yaml")
    assert (tmp_path / "sprung").exists()


# CIFAR's files are pickles: checked by md5, and then still read by an unpickler that knows arrays alone

GADGETS = {
    "a function": lambda trap: Touch(trap),
    "eval": lambda trap: Touch(f"__import__('os').mkdir({str(trap)!r})", eval),
    "a class": lambda trap: io.BytesIO,
    "within an array": lambda trap: np.array([Touch(trap)], dtype=object),
    "numpy's own": lambda trap: np.load,
}


@pytest.mark.parametrize("gadget", GADGETS)
@pytest.mark.parametrize("protocol", range(6))
def test_a_cifar_file_runs_nothing(trap, gadget, protocol):
    content = pickle.dumps({"data": GADGETS[gadget](trap)}, protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match=r"it names .*; allowed are numpy's arrays"):
        ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()


def test_a_cifar_file_may_hold_arrays_as_old_and_new_numpy_writes_them():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = pickle.dumps({"data": array, "labels": [1, 2], "name": "a"}, protocol=4)
    for spelled in (content, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray", 1)):
        # The old name is one letter shorter, which its length in front of it says.
        old = spelled.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
        loaded = ArrayUnpickler(io.BytesIO(_framed(old)), encoding="latin1").load()
        assert np.array_equal(loaded["data"], array) and loaded["labels"] == [1, 2]


def _framed(content: bytes) -> bytes:
    """A pickle of protocol 4 says how long it is: as it is after an edit."""
    return content[:3] + (len(content) - 11).to_bytes(8, "little") + content[11:]


@pytest.mark.parametrize("how", ["above", "absolute", "through a link", "a hard link"])
def test_an_archive_writes_nothing_outside_its_folder(tmp_path, monkeypatch, how):
    """Even where its md5 were right: torchvision unpacks it, and what it holds is not what it should be."""
    from torchvision.datasets import CIFAR10

    root, outside = tmp_path / "data", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "precious").write_text("mine")
    archive = root / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:

        def add(name, content=b"theirs", **about):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in about.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))

        if how == "through a link":
            add("link", b"", type=tarfile.SYMTYPE, linkname=str(outside))
            add("link/precious")
        elif how == "a hard link":
            add("link", b"", type=tarfile.LNKTYPE, linkname="../outside/precious")
            add("link")
        else:
            add({"above": "../outside/precious", "absolute": f"{outside}/precious"}[how])
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda *_: True)
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: False)
    said = refusal(prepare_dataset, "cifar10", Plugin("cifar10"), root, tmp_path / "out")
    assert "data_batch_1 not found and the download failed (" in said or "truncated or wrong" in said
    assert (outside / "precious").read_text() == "mine" and len(list(outside.iterdir())) == 1
