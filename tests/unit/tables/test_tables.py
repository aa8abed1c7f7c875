"""Tables of a study: every row of every run, one row per run, what runs cost."""

from pathlib import Path

import pandas as pd
import pytest
from layer_frames import distances_frame, layers_frame

from fedscape.columns.csvs import write_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.study.grid import Run
from fedscape.tables.collect import make_tables
from fedscape.tables.costs import make_costs
from fedscape.tables.read import run_paths

RUN = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid",
    "init": "random", "method": "fedavg", "seed": 0,
}  # fmt: skip


def round_row(number, test_accuracy, validation_accuracy=None, diverged=False, **names):
    measured = not diverged
    return {
        **RUN, **names, **dict.fromkeys(FILES["rounds"].measures), "round": number, "clients": 10 if number and measured else 0,
        "samples": 100 if number and measured else 0, "client_loss": 0.5 if number and measured else None,
        "train_loss": 2.0 - number / 10 if measured else None, "train_accuracy": 0.5 if measured else None,
        "validation_loss": None, "validation_accuracy": validation_accuracy, "test_loss": 0.25 if measured else None,
        "test_accuracy": test_accuracy, "diverged": diverged,
    }  # fmt: skip


JOINED = ("rounds", "barriers", "layers", "distances", "curvature", "drift")


def rounds_file(folder, name, rows):
    path = folder / name
    write_csv(path, pd.DataFrame(rows), FILES["rounds"].keys)
    return path


@pytest.fixture
def tables(tmp_path):
    """Make the tables of some files; gives the paths by name."""

    def make(rounds=(), grids=None, **csvs):
        out = {name: tmp_path / "out" / f"{name}.csv" for name in ("runs", *JOINED)}
        summary = tmp_path / "out" / "runs.md"
        csvs = {**dict.fromkeys(JOINED, ()), "rounds": rounds, **csvs}
        make_tables(csvs=csvs, grids=grids or {}, out=out, out_summary=summary)
        return {**out, "summary": summary}

    return make


def test_tables_spell_a_run_as_the_study_does():
    run = Run("digits", "convnet", "iid", "random", "fedavg", 0)
    other = Run("digits", "convnet", "dir0.1", "pretrained", "fedavg-p0.2", 12)
    ends = {f"to_{key}": getattr(other, key) for key in ("partition", "init", "method", "seed")}
    frame = pd.DataFrame([run.identity("pilot", "smoke") | ends])
    assert run_paths(frame).tolist() == [run.path]
    assert run_paths(frame, "to_").tolist() == [other.path]
    assert run_paths(frame.iloc[:0]).tolist() == []


def test_one_row_per_run_with_its_last_and_its_best_round(tables, tmp_path):
    rows = [round_row(0, 0.1), round_row(1, 0.8), round_row(2, 0.9), round_row(3, 0.9), round_row(4, 0.7)]
    out = tables([rounds_file(tmp_path, "rounds.csv", rows)])
    assert out["runs"].read_text() == (
        "study,scale,dataset,model,partition,init,method,seed,rounds,clients,samples,diverged,"
        "train_loss,train_accuracy,validation_loss,validation_accuracy,test_loss,test_accuracy,"
        "best_test_accuracy,best_round,chosen_on,grid\n"
        "pilot,smoke,digits,convnet,iid,random,fedavg,0,4,10,100,false,1.6,0.5,,,0.25,0.7,0.9,2,test_accuracy,\n"
        "\n"
    )


def test_best_round_is_chosen_on_the_validation_split_where_there_is_one(tables, tmp_path):
    rows = [round_row(0, 0.1, 0.1), round_row(1, 0.6, 0.9), round_row(2, 0.8, 0.7)]
    (run,) = read(tables([rounds_file(tmp_path, "rounds.csv", rows)])["runs"])
    assert (run["best_test_accuracy"], run["best_round"], run["chosen_on"]) == (0.6, 1, "validation_accuracy")


def test_a_diverged_run_ends_at_its_last_finite_round_and_prints_the_word(tables, tmp_path):
    rows = [round_row(0, 0.1), round_row(1, 0.3), round_row(2, None, diverged=True)]
    good = [round_row(0, 0.1, partition="dir0.1"), round_row(1, 0.5, partition="dir0.1")]
    out = tables([rounds_file(tmp_path, "a.csv", rows), rounds_file(tmp_path, "b.csv", good)])
    fine, diverged = read(out["runs"])
    assert (fine["partition"], fine["diverged"]) == ("dir0.1", False)
    assert (diverged["partition"], diverged["diverged"], diverged["rounds"]) == ("iid", True, 1)
    assert diverged["test_accuracy"] == 0.3
    lines = out["summary"].read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("| iid ")]
    assert "diverged" in line and "0.3" not in line
    assert (
        "study pilot, scale smoke, dataset digits, model convnet, init random, method fedavg, seed 0" in lines
    )


def test_files_are_joined_sorted_and_keep_every_digit(tables, tmp_path):
    later = rounds_file(tmp_path, "a.csv", [round_row(0, 0.123456789, partition="iid")])
    first = rounds_file(tmp_path, "b.csv", [round_row(0, 1 / 3, partition="dir0.1", seed=1)])
    joined = tables([later, first])["rounds"].read_text()
    header, *rows = first.read_text().splitlines()
    assert joined.splitlines() == [header, *rows[:-1], *later.read_text().splitlines()[1:]]


@pytest.mark.parametrize("name", ["barriers", "layers", "distances", "curvature", "drift"])
def test_a_stage_that_a_study_lacks_leaves_the_header(tables, tmp_path, name):
    out = tables([rounds_file(tmp_path, "rounds.csv", [round_row(0, 0.1)])])
    assert out[name].read_text() == ",".join(FILES[name].columns) + "\n\n"


def test_analysis_files_are_joined(tables, tmp_path):
    keys = {**RUN, "curvature": "ends", "group": "all"}
    paths = []
    for partition in ("iid", "dir0.1"):
        rows = [
            {**keys, "partition": partition, "round": r, "of": "global", "client": -1, "data": "global",
             "quantity": "eigenvalue", "index": 1, "layer": None, "definition": None, "radius": None, "estimator": "lanczos",
             "value": 3.5, "standard_error": None, "residual": 1e-4, "products": 9, "batch_norm": "keep", "samples": 64}
            for r in (2, 0)
        ]  # fmt: skip
        paths.append(tmp_path / f"{partition}.csv")
        write_csv(paths[-1], pd.DataFrame(rows), FILES["curvature"].keys)
    rounds = rounds_file(tmp_path, "rounds.csv", [round_row(0, 0.1)])
    table = read(tables([rounds], curvature=paths)["curvature"])
    assert [(row["partition"], row["round"]) for row in table] == [
        ("dir0.1", 0),
        ("dir0.1", 2),
        ("iid", 0),
        ("iid", 2),
    ]


def test_layers_stand_by_their_place_not_by_their_name(tables, tmp_path):
    names = ["stem", "conv", "10", "9"]
    layers = layers_frame(lambda *_: 0.5, names, rounds=[3], regimes=["full", "shallow", "deep"])
    write_csv(tmp_path / "layers.csv", layers, ["layer"])
    write_csv(tmp_path / "distances.csv", distances_frame(lambda *_: 0.5, names, rounds=[3]), ["layer"])
    rounds = rounds_file(tmp_path, "rounds.csv", [round_row(0, 0.1)])
    out = tables([rounds], layers=[tmp_path / "layers.csv"], distances=[tmp_path / "distances.csv"])
    found = pd.read_csv(out["distances"], dtype=str, keep_default_na=False)
    assert list(found.columns) == FILES["distances"].columns
    assert found["layer"].tolist() == ["", *names]
    found = pd.read_csv(out["layers"], dtype=str, keep_default_na=False)
    assert list(found.columns) == FILES["layers"].columns
    shallow = found[(found["regime"] == "shallow") & found["rest"].isin(["from", "both"])]
    assert shallow["layer"].tolist() == names and shallow["averaged"].tolist() == ["1", "2", "3", "4"]


def test_the_points_of_a_grid_have_their_values_beside_them(tables, tmp_path):
    rows = [round_row(1, 0.5, method=method) for method in ("fedavg", "tuned.g1", "tuned.g2")]
    grids = {"tuned.g1": "lr=0.1;mu=1.0", "tuned.g2": "lr=0.2;mu=1.0"}
    out = tables([rounds_file(tmp_path, "rounds.csv", rows)], grids=grids)
    found = pd.read_csv(out["runs"], keep_default_na=False).set_index("method")["grid"]
    assert found.to_dict() == {"fedavg": "", **grids}
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in out["summary"].read_text().splitlines()
    ]
    assert ["tuned.g2", "lr=0.2;mu=1.0"] in [line[:2] for line in cells]
    assert ["fedavg", ""] in [line[:2] for line in cells]


def test_the_summary_is_a_whole_table(tables, tmp_path):
    rows = [round_row(1, 0.5, partition=partition) for partition in ("iid", "dir0.1")]
    text = tables([rounds_file(tmp_path, "rounds.csv", rows)])["summary"].read_text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert (
        len(table) == 4
        and len({len(line) for line in table}) == 1
        and len({line.count("|") for line in table}) == 1
    )


def test_a_column_that_is_missing_is_named_with_its_file(tables, tmp_path):
    path = tmp_path / "rounds.csv"
    write_csv(path, pd.DataFrame([round_row(0, 0.1)]).drop(columns="test_loss"), FILES["rounds"].keys)
    with pytest.raises(FedscapeError, match=r"rounds\.csv: column test_loss is missing") as error:
        tables([path])
    assert "\n" not in str(error.value)


def benchmark(path, seconds, memory):
    """A file as Snakemake writes it; columns that it could not measure have a dash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tmean_load\tcpu_time\n{seconds}\t0:00:01\t{memory}\t-\t-\n")


def test_costs_add_up_rounds_and_join_the_benchmarks_of_all_long_jobs(tmp_path):
    timing = pd.DataFrame(
        {
            **RUN,
            "round": number,
            "training_seconds": seconds,
            "evaluation_seconds": 0.5,
            "peak_memory_mib": 100 + number,
        }
        for number, seconds in enumerate((0.0, 2.0, 4.0, 3.0))
    )
    write_csv(tmp_path / "timing.csv", timing, ["round"])
    results = tmp_path / "results" / "pilot" / "smoke"
    benchmarks = results / "benchmarks"
    benchmark(benchmarks / "train" / "digits_convnet_iid_random_fedavg_seed0.tsv", 14.5, 120.25)
    benchmark(benchmarks / "initial" / "digits_convnet_random_seed0.tsv", 3, "-")
    benchmark(benchmarks / "surface" / "paths_digits_all_seed0.tsv", 7, 90)
    benchmark(benchmarks / "surface_part" / "paths_digits_all_seed0_1-of-2.tsv", 5, 80)
    make_costs(
        study="pilot",
        scale="smoke",
        timings=[tmp_path / "timing.csv"],
        outputs={
            "initial": [results / "initial" / "digits" / "convnet" / "random" / "seed0.safetensors"],
            "plane": [results / "planes" / "paths" / "digits_all_seed0" / "plane.safetensors"],
            "surface": [results / "planes" / "paths" / "digits_all_seed0" / "surface.csv"],
        },
        benchmarks=benchmarks,
        out=tmp_path / "costs.csv",
    )
    group = "pilot,smoke,digits,*,*,*,*,0"
    assert (tmp_path / "costs.csv").read_text().splitlines() == [
        ",".join([*IDENTITY, "stage,name,group,part,rounds,seconds,evaluation_seconds,median_round_seconds"])
        + ",peak_memory_mib,median_training_seconds,job_seconds,job_peak_memory_mib",
        "pilot,smoke,digits,convnet,*,random,*,0,initial,,,,,,,,,,3,",
        f"{group},plane,paths,digits_all_seed0,,,,,,,,,",  # made before benchmarks were kept
        f"{group},surface,paths,digits_all_seed0,,,,,,,,7,90",
        f"{group},surface_part,paths,digits_all_seed0,1-of-2,,,,,,,5,80",
        "pilot,smoke,digits,convnet,iid,random,fedavg,0,train,,,,3,11,2,3.5,103,3,14.5,120.25",
        "",
    ]


def test_a_benchmark_that_is_none_is_named(tmp_path):
    (tmp_path / "plane").mkdir()
    (tmp_path / "plane" / "p_digits_all_seed0.tsv").write_text("")
    with pytest.raises(FedscapeError, match=r"p_digits_all_seed0\.tsv: no benchmark"):
        make_costs(
            study="pilot", scale="smoke", timings=[],
            outputs={"plane": [Path("planes/p/digits_all_seed0/plane.safetensors")]}, benchmarks=tmp_path, out=tmp_path / "costs.csv",
        )  # fmt: skip


def read(path):
    return pd.read_csv(path).to_dict("records")
