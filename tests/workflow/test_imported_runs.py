"""Runs that were trained elsewhere, from end to end: a run of ours, exported and imported, is the same run."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from clone import Clone

from fedscape.checkpoints.layout import parameters_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import write_weights

RUN = Path("runs/digits/net/iid/random/fedavg/seed0")
ASKED = ("mine", "--config", "study=mine", "scale=smoke")
SHARED = {
    "title": "Mine",
    "datasets": ["digits"],
    "images": 100,
    "test_images": 50,
    "models": {"net": {"module": "code/net.py:Net"}},
    "partitions": {"iid": {"scheme": "iid", "clients": 2}},
    "planes": {
        "course": {"kind": "trajectory", "grid": 5},
        "round": {"kind": "clients", "round": "last", "grid": 5},
        "bowl": {"kind": "eigenvectors", "round": "last", "grid": 5, "samples": 50},
    },
    "connectivity": {
        "layers": {"kind": "layers", "between": "clients", "rounds": ["last"], "regimes": ["full", "single"]},
        "steps": {"kind": "layers", "between": "rounds", "rounds": ["last"], "regimes": ["full"]},
    },
    "curvature": {"sharp": {"top": 1, "samples": 50, "density": {"steps": 5}}},
    "drift": {"moves": {}},
    "figures": {
        "surface": {"kind": "contour", "plane": "course"},
        "layers": {"kind": "heatmap", "connectivity": "layers", "regimes": ["single"]},
    },
    "scales": {"smoke": {}},
}
OURS = {"methods": {"fedavg": {"rounds": 2, "lr": 0.1, "batch_size": 16, "client_rounds": ["last"]}}}
THEIRS = {
    "runs": [
        {
            "models": "mine/round-*.safetensors",
            "clients": "mine/round-*/client-*.pt",
            "map": {"module": ""},
            "init": "random",
            "method": "fedavg",
        }
    ]
}
NET = """from torch import nn
from blocks import block


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(block(1, 4), block(4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        return self.head(self.layers(images))
"""
BLOCK = """from torch import nn


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())
"""
ANALYSES = ("planes", "connectivity", "curvature", "drift")


def write_study(clone: Clone, keys: dict) -> None:
    file = clone.folder / "config" / "studies" / "mine.yaml"
    file.write_text(yaml.safe_dump({**SHARED, **keys}, sort_keys=False))


def export(run: Path, folder: Path) -> None:
    """Write the models of a run as other systems do."""
    trajectory, clients = (
        Trajectory.open(run / "trajectory.safetensors"),
        ClientModels.open(run / "clients.safetensors"),
    )
    for number in trajectory.rounds:
        parameters, buffers = trajectory.state(number)
        write_weights(folder / f"round-{number}.safetensors", {**parameters, **buffers})
    for number in clients.rounds:
        (folder / f"round-{number}").mkdir()
        for client in clients.clients(number).tolist():
            parameters = parameters_of(clients.parameters(number, client), clients.layout)
            state = {**parameters, **clients.buffers(number, client)}
            names = {f"module.{name}": tensor.clone() for name, tensor in state.items()}
            torch.save({"state_dict": names}, folder / f"round-{number}" / f"client-{client}.pt")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """A clone in which a study has been made, its run trained there, and again with that run imported."""
    clone = Clone(tmp_path_factory.mktemp("imported") / "clone")
    results = clone.folder / "results" / "mine"
    (clone.folder / "code").mkdir()
    (clone.folder / "code" / "net.py").write_text(NET)
    (clone.folder / "code" / "blocks.py").write_text(BLOCK)
    write_study(clone, OURS)
    clone.snakemake("--cores", "1", *ASKED)
    export(results / "smoke" / RUN, clone.folder / "mine")
    results.rename(clone.folder / "ours")
    write_study(clone, THEIRS)
    clone.snakemake("--cores", "1", *ASKED)
    return clone


def test_an_imported_run_of_ours_has_the_same_bytes_in_every_analysis(clone):
    ours, theirs = clone.folder / "ours" / "smoke", clone.folder / "results" / "mine" / "smoke"
    files = [file for name in ANALYSES for file in (ours / name).rglob("*") if file.is_file()]
    files += [ours / RUN / f"{name}.safetensors" for name in ("trajectory", "clients", "final")]
    names = ("course", "round", "bowl", "layers", "steps", "sharp", "moves")
    assert {name for file in files for name in names if name in file.parts} == {*names}
    for file in files:
        name = file.relative_to(ours)
        assert (theirs / name).read_bytes() == file.read_bytes(), name
    runs = pd.read_csv(theirs / "tables" / "runs.csv")
    assert runs["rounds"].tolist() == [2] and runs["test_loss"].isna().all()
    assert "imported" in (theirs / "tables" / "runs.md").read_text()
    assert list((theirs / "figures").glob("*.png")) and (theirs / "index.html").is_file()


def test_a_changed_file_reruns_what_depends_on_it_and_nothing_else(clone):
    assert clone.pending(*ASKED) == {}
    file, kept = clone.folder / "mine" / "round-1.safetensors", clone.folder / "kept"
    shutil.copy2(file, kept)
    shutil.copy(clone.folder / "mine" / "round-0.safetensors", file)
    pending = clone.pending(*ASKED)
    assert pending["import"] == {f"{RUN}/trajectory.safetensors"}
    assert not {"dataset", "partition", "train", "initial"} & {*pending}
    assert {"plane", "surface", "curvature", "drift", "tables"} <= {*pending}
    shutil.copy2(kept, file)
    assert clone.pending(*ASKED) == {}
    write_study(clone, {"runs": [{**THEIRS["runs"][0], "map": {"module": "", "extra": None}}]})
    assert "import" in clone.pending(*ASKED)
    write_study(clone, THEIRS)
    mine = clone.folder / "mine"
    shutil.copy2(mine / "round-2.safetensors", mine / "round-3.safetensors")
    shutil.copytree(mine / "round-2", mine / "round-3")
    assert "import" in clone.pending(*ASKED)


def test_an_edit_of_the_network_reruns_what_is_built_of_it(clone):
    before = clone.pending(*ASKED)
    for file, text in (("net.py", NET), ("blocks.py", BLOCK)):
        with clone.edited(f"code/{file}", lambda _, text=text: f"{text}# more\n"):
            assert clone.pending(*ASKED) == before
        with clone.edited(f"code/{file}", lambda _, text=text: f"{text}MORE = 1\n"):
            pending = clone.pending(*ASKED)
            assert {"import", "surface", "curvature"} <= {*pending}
            assert not {"dataset", "partition"} & {*pending}


def test_a_loss_that_the_owner_measured_is_that_of_the_import_or_ends_it(clone):
    rounds = pd.read_csv(clone.folder / "ours" / "smoke" / RUN / "rounds.csv").set_index("round")
    loss = float(rounds.loc[2, "test_loss"])
    job = ("--cores", "1", f"results/mine/smoke/{RUN}/final.safetensors", *ASKED[1:])
    for known, returned in ((loss, 0), (2 * loss, 1)):
        measured = {"loss": known, "round": 2}
        write_study(clone, {"runs": [{**THEIRS["runs"][0], "measured": measured}]})
        assert clone.snakemake(*job, check=False).returncode == returned
    said = (clone.folder / "results/mine/smoke/logs/import").rglob("*.log")
    (line,) = [line for log in said for line in log.read_text().splitlines() if "was measured as" in line]
    assert f"round-2.safetensors: test loss of round 2 is {loss:.6g} here, on 50 samples" in line
    write_study(clone, THEIRS)


def test_without_its_files_a_study_is_refused_in_a_line(clone):
    (clone.folder / "mine").rename(clone.folder / "elsewhere")
    said = clone.snakemake("-n", *ASKED, check=False)
    assert said.returncode == 1
    assert (
        "runs[0].models: no file is called mine/round-*.safetensors, with digits for the round" in said.stdout
    )
    assert "Traceback" not in said.stdout
