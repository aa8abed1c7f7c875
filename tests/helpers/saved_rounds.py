"""What a framework saved of two rounds and two clients, read as a study reads it."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from broken_input import STUDY, Repository
from safetensors.numpy import load_file
from small_run import IDENTITY, OUTPUTS, write_noise

from fedscape.checkpoints.imported import ImportedFiles, import_run
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.plugins import Plugin
from fedscape.settings.imports import ImportedModels
from fedscape.study.study import ImportedRun

ENTRY = {
    "models": "mine/round-*.safetensors",
    "clients": "mine/round-*/client-*.safetensors",
    "dataset": "digits",
    "model": "small",
    "partition": "iid",
    "seed": 0,
    "init": "theirs",
    "method": "fedavg",
}


def imported_run(folder: Path, model: dict, changes: dict) -> tuple[ImportedRun, Trajectory, ClientModels]:
    """The run of a study, its files as the study finds them, and the models that the import writes.

    folder: the working folder. model: the entry of `models`. changes: of the run's entry.
    """
    (folder / "repository").mkdir()
    study = {key: STUDY[key] for key in ("title", "datasets", "partitions")}
    study |= {
        "models": {"small": model},
        "scales": {"paper": {}, "smoke": {}},
        "runs": [{**ENTRY, **changes}],
    }
    (files,) = Repository(folder / "repository").read(study).get("pilot", "paper").imports.values()
    write_noise(folder / "data", classes=tuple("abcdefghij"))
    outputs = {name: folder / "out" / file for name, file in OUTPUTS.items()}
    outputs["run"].parent.mkdir()
    import_run(
        identity=IDENTITY,
        model=Plugin("module", model),
        dataset=folder / "data",
        files=ImportedFiles(files.models, files.client_models),
        imported=ImportedModels(
            list(files.rounds), [list(key) for key in files.clients], [list(pair) for pair in files.names]
        ),
        outputs=RunOutputs(**outputs),
        fingerprint="0",
    )
    return files, Trajectory.open(outputs["trajectory"]), ClientModels.open(outputs["clients"])


def check_import(
    folder: Path,
    saved: Path,
    network: Path,
    model: dict,
    entries: list[str],
    names: dict[str, str] | None = None,
) -> None:
    """Compare a run that is imported with its files, number by number.

    folder: the working folder. saved: of the framework's files. network: file of the class that `model`, a
    study's entry of `models`, names. entries: what the files call its
    parameters, in its order. names: `map` of the study's run.
    """
    shutil.copytree(saved, "mine")
    shutil.copy(network, network.name)
    files, trajectory, clients = imported_run(folder, model, {"map": names} if names else {})
    assert files.rounds == (0, 1, 2)
    assert files.clients == tuple((number, client) for number in (1, 2) for client in (0, 1))
    models = [(trajectory, (number,)) for number in files.rounds] + [(clients, key) for key in files.clients]
    vectors = []
    for (reader, numbers), path in zip(models, (*files.models, *files.client_models), strict=True):
        state = load_file(path)
        vectors.append(reader.parameters(*numbers).numpy())
        assert vectors[-1].tolist() == np.concatenate([state[name].ravel() for name in entries]).tolist()
    assert len({tuple(vector) for vector in vectors}) == len(vectors)
    start, first, second, *of_clients = vectors
    for mean, pair in ((first, of_clients[:2]), (second, of_clients[2:])):
        assert np.abs(np.mean(pair, axis=0) - mean).max() < 1e-6 < np.abs(mean - start).max()


def saved_models(folder: Path) -> dict[str, float]:
    """The entry `w` of each model below a folder, by name."""
    files = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder).with_suffix("")): load_file(path)["w"].item() for path in files}


def stand_in(monkeypatch, name: str, content: dict[str, object]) -> None:
    """A module of a framework that is not installed, with its packages."""
    packages = name.split(".")
    for depth in range(1, len(packages)):
        monkeypatch.setitem(sys.modules, ".".join(packages[:depth]), ModuleType(packages[depth - 1]))
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


def example(path: Path, monkeypatch) -> ModuleType:
    """A module of an example."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
