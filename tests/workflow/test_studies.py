"""Every study, every stage, at scale `smoke`."""

import pandas as pd
import pytest
from clone import STUDIES


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_runs_end_to_end(smoke, study):
    smoke.snakemake(study, "--cores", "all", "--config", "scale=smoke")
    folder = smoke.folder / "results" / study / "smoke"
    assert list((folder / "figures").glob("*.png"))
    runs = pd.read_csv(folder / "tables" / "runs.csv")
    assert len(runs) == len(list((folder / "runs").rglob("final.safetensors")))
    for part_log in (folder / "logs" / "surface").glob("three_*.log"):  # its points come from other jobs
        assert "81 of 81 points are there already" in part_log.read_text()
    assert smoke.pending(study, "--config", "scale=smoke") == {}
