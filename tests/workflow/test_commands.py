"""What a user types, from a clone."""

import json

import pandas as pd
import pytest
from safetensors.torch import load_file

from fedscape.columns.kinds import FILES
from fedscape.tables.read import read_table

IDENTITY = ["study", "scale", "dataset", "model", "partition", "init", "method", "seed"]


def test_a_second_call_has_nothing_to_do(made):
    *_, note, claims, page = made.snakemake("--cores", "all").stdout.splitlines()
    assert note.startswith("Nothing to be done") and " claims: " in claims
    assert page == "pilot at quick: results/pilot/quick/index.html"


def test_everything_the_readme_promises_is_there(made):
    folder = made.folder / "results" / "pilot" / "quick"
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert figures == {path.stem for path in (folder / "figures").glob("*.svg")}
    paper = ("1", "2a", "2b", "3a", "3b", "3c", "4", "5a", "5b", "5c", "6a", "6b", "7")
    assert {*(f"figure-{number}" for number in paper), "accuracy", "loss", "partitions"} <= figures
    surfaces = {path.parent for path in folder.glob("planes/*/*/surface.csv")}
    assert surfaces == {path.parent for path in folder.glob("planes/*/*/trajectories.vtp")} and surfaces
    for table in ("runs", "rounds", "barriers", "curvature", "drift"):
        frame = pd.read_csv(folder / "tables" / f"{table}.csv")
        assert list(frame.columns[: len(IDENTITY)]) == IDENTITY
        assert len(frame) > 0
    assert not list(folder.rglob("resume")), "a finished job leaves no resume folder"
    assert not list(folder.rglob("*.tmp"))


def test_every_csv_is_whole_and_has_the_columns_of_its_kind(made):
    folder = made.folder / "results" / "pilot" / "quick"
    for path in folder.rglob("*.csv"):
        # Tables of a paper have names of the study's own.
        kind = "partitions" if "partitions" in path.parts else path.stem if path.stem in FILES else "table"
        assert list(read_table(path, kind).columns) == FILES[kind].columns, path


def test_the_demo_learns(made):
    """No claim of the paper: digits are easy, so IID runs must end far above chance, and the others above it."""
    runs = pd.read_csv(made.folder / "results/pilot/quick/tables/runs.csv")
    assert (runs.loc[runs["partition"].isin(["iid", "iid-b"]), "test_accuracy"] > 0.9).all()
    everybody = runs["method"].isin(["fedavg", "fedavg-short"])
    assert (runs.loc[everybody, "test_accuracy"] > 0.1).all()
    assert not runs["diverged"].any()


def test_every_claim_is_measured_on_the_demo(made):
    claims = pd.read_csv(made.folder / "results/pilot/quick/tables/claims.csv")
    values = claims["values"].str.split(";").explode().str.strip()
    assert not values.isin(["not run", "diverged"]).any()
    # A minimum outside the picture is not measured; all other cases have a number.
    assert pd.to_numeric(values, errors="coerce").notna().mean() > 0.9
    assert claims["verdict"].str.startswith(("holds", "does not hold")).sum() >= 20


def test_a_final_model_is_a_plain_state_dict(made):
    run = made.folder / "results/pilot/quick/runs/digits/convnet/iid/random/fedavg/seed0"
    state = load_file(run / "final.safetensors")
    assert (
        sum(tensor.numel() for tensor in state.values())
        == json.loads((run / "run.json").read_text())["parameters"]
    )


def test_the_paper_scale_lists_all_its_jobs(made):
    jobs = made.pending("pilot", "--config", "scale=paper")
    assert len(jobs["train"]) == 38
    assert {
        "dataset",
        "partition",
        "initial",
        "plane",
        "surface",
        "path",
        "curvature",
        "drift",
        "tables",
        "claims",
        "export",
        "figure",
    } <= set(jobs)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--list"], "Train one run"),
        (["--list"], "no_such_target (Nothing to ask for"),
        (["--rulegraph"], "digraph"),
        (["-n", "--profile", "slurm", "--config", "scale=paper"], "38  train"),
        (["--lint"], "your workflow is in a good condition"),
        (["--unlock"], "Unlocked working directory"),
    ],
)
def test_commands_work_from_the_clone(made, arguments, expected):
    assert expected in made.snakemake(*arguments).stdout


def test_a_report_holds_the_figures(made):
    made.snakemake("--report", "report.html")
    assert "figure-3a" in (made.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config", "scale=papr"],
            "fedscape: config/config.yaml or --config: scale: unknown scale 'papr'; did you mean 'paper'?",
        ),
        (
            ["--config", "sclae=paper"],
            "fedscape: config/config.yaml or --config: unknown key 'sclae'; did you mean 'scale'?",
        ),
    ],
)
def test_a_slip_is_one_line_at_a_dry_run(made, arguments, message):
    done = made.snakemake("-n", *arguments, check=False)
    assert done.returncode != 0
    # Snakemake announces its profile and configuration first.
    assert done.stdout.splitlines()[-1].startswith(message)
    assert done.stdout.count("fedscape:") == 1
    assert "Traceback" not in done.stdout


def test_an_unknown_run_is_named(made):
    wanted = "results/pilot/quick/runs/digits/convnet/nowhere/random/fedavg/seed0/final.safetensors"
    done = made.snakemake("-n", wanted, check=False)
    assert done.returncode != 0
    assert "no 'nowhere' in this study" in done.stdout
