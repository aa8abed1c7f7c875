"""What the owner of an imported run has measured is what is measured here, or the import fails."""

from pathlib import Path

import pandas as pd
import pytest
from broken_input import refusal
from small_run import IDENTITY, OUTPUTS, prepare, run_once

from fedscape.checkpoints.imported import ImportedFiles
from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import write_weights
from fedscape.evaluation import imported_run
from fedscape.evaluation.imported_run import import_measured_run
from fedscape.plugins import Plugin
from fedscape.settings.imports import ImportedModels, MeasuredResult

SMALL = {"blocks": [1, 1, 1], "width": 4}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """The folder of a run of ours, with a file of each model, and what was measured in training."""
    folder = tmp_path_factory.mktemp("trained")
    prepare(folder, "resnet", model_settings=SMALL)
    files = run_once(folder, "resnet", model_settings=SMALL, client_paths=False, rounds=3)
    trajectory = Trajectory.open(files["trajectory"])
    for number in trajectory.rounds:
        parameters, buffers = trajectory.state(number)
        write_weights(folder / f"{number}.safetensors", {**parameters, **buffers})
    return folder, pd.read_csv(files["rounds"]).set_index("round")


def import_(folder: Path, partition: str | None = "partition.npz", **known) -> None:
    files = {name: folder / "imported" / file for name, file in OUTPUTS.items()}
    import_measured_run(
        identity=IDENTITY,
        model=Plugin("resnet", SMALL),
        dataset=folder / "data",
        partition=folder / partition if partition and known else None,
        files=ImportedFiles([folder / f"{number}.safetensors" for number in (0, 1, 2)], []),
        imported=ImportedModels([0, 1, 2], [], [], MeasuredResult(**known) if known else None),
        outputs=RunOutputs(**files),
        fingerprint="0",
    )


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("number", [1, 2])
def test_what_was_measured_is_what_is_measured_here(trained, split, number):
    folder, rounds = trained
    loss, accuracy = rounds.loc[number, [f"{split}_loss", f"{split}_accuracy"]]
    import_(folder, round=number, split=split, loss=loss, accuracy=accuracy)
    import_(folder, round=number, split=split, loss=loss * 1.0009)
    said = refusal(import_, folder, round=number, split=split, loss=loss * 1.0011)
    assert said.startswith(
        f"{folder / str(number)}.safetensors: {split} loss of round {number} is {loss:.6g}"
    )
    assert f"was measured as {loss * 1.0011:.6g} (tolerance 0.001); is the data set normalised" in said
    assert f"{split} accuracy of round" in refusal(import_, folder, round=number, split=split, accuracy=0.987)
    import_(folder, round=number, split=split, loss=loss * 1.05, tolerance=0.1)


def test_without_it_nothing_is_evaluated(trained, monkeypatch):
    monkeypatch.setattr(imported_run, "evaluate", None)  # which nobody can call
    import_(trained[0])


def test_it_is_never_left_unchecked(trained):
    with pytest.raises(ValueError, match="checked on the samples of a partition, and there is none"):
        import_(trained[0], partition=None, round=1, split="test", loss=1.0)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "needs loss or accuracy"),
        ({"loss": -1.0}, "loss must be >= 0"),
        ({"loss": float("nan")}, "loss must be >= 0"),
        ({"accuracy": 97.0}, "accuracy must be >= 0 and <= 1, a share, got 97.0"),
        ({"loss": 1.0, "tolerance": 0.0}, "tolerance must be > 0 and < 1"),
    ],
)
def test_impossible_results_are_refused(known, words):
    with pytest.raises(ValueError, match=words):
        MeasuredResult(round=1, split="test", **known)
