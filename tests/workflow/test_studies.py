"""Every study, every stage, at scale `smoke`."""

from pathlib import Path

import pandas as pd
import pytest
from clone import Clone

STUDIES = sorted(
    path.stem for path in (Path(__file__).resolve().parents[2] / "config" / "studies").glob("*.yaml")
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone(tmp_path_factory.mktemp("smoke"))


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_runs_end_to_end(clone, study):
    clone.snakemake(study, "--cores", "all", "--config", "scale=smoke")
    folder = clone.folder / "results" / study / "smoke"
    assert list((folder / "figures").glob("*.png"))
    runs = pd.read_csv(folder / "tables" / "runs.csv")
    assert len(runs) == len(list((folder / "runs").rglob("final.safetensors")))
    for part_log in (folder / "logs" / "surface").glob("three_*.log"):  # its points come from other jobs
        assert "25 of 25 points are there already" in part_log.read_text()
    assert clone.pending(study, "--config", "scale=smoke") == {}
