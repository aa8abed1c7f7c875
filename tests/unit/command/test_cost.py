"""`fedscape cost`: what jobs compute, and what that takes, against counts by hand."""

import csv
import json
from dataclasses import replace

import pytest
from command_files import ROOT, RUN, job_of, repository, tiny

from fedscape.cli import main
from fedscape.command import work
from fedscape.command.data_sizes import input_shape
from fedscape.command.prices import CPU, HELD, PRICE_COLUMNS, read_prices
from fedscape.command.work import (
    DIAGONAL,
    MEMORY,
    PRODUCTS,
    STEPS_PER_PRODUCT,
    WEIGHT_BYTES,
    Workload,
    model_label,
    work_of,
)
from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import Job, jobs_of, levels

PRICES = [
    ("step", "convnet", "1x8x8", CPU, 0.01),
    ("evaluation", "convnet", "1x8x8", CPU, 0.001),
    ("parameters", "convnet", "1x8x8", CPU, 100),
    ("method", "moon", "", CPU, 2.0),
    ("job", "train", "", CPU, 5.0),
    ("train-memory", "convnet", "1x8x8", CPU, 2e9),
    ("evaluation-memory", "convnet", "1x8x8", CPU, 1e9),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository with a short table of costs."""
    root = repository(tmp_path / "clone")
    monkeypatch.chdir(root)
    with (root / "config" / "costs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(PRICE_COLUMNS)
        writer.writerows([*row, "2026-11-22", "a machine", "by hand"] for row in PRICES)
    return root


def test_a_run_is_counted_by_rounds_epochs_and_samples(here):
    work = work_of(tiny(here), "train", job_of(here, "train", partition="iid").names)
    assert (work.model, work.shape, work.method) == ("convnet", "1x8x8", "fedavg")
    assert work.steps == 20 * 2 * 899
    assert work.evaluations == (20 + 2) * (899 + 299)
    assert work.vectors == len({0, 5, 10, 15, 20}) + 1  # the trajectory, and final.safetensors


def test_a_surface_is_counted_by_points_and_its_parts_share_them(here):
    study = tiny(here)
    parts = [work_of(study, job.rule, job.names) for job in jobs_of(study) if job.rule == "surface_part"]
    assert sum(work.evaluations for work in parts) == 25 * 899
    assert work_of(study, "surface", job_of(here, "surface").names).evaluations == 0


CURVATURE = """
curvature:
  all: {{rounds: [1, 2], samples: 100, {entry}}}
"""


@pytest.mark.parametrize(
    ("entry", "products"),
    [
        ("top: 2", 2 * PRODUCTS * 100),
        ("top: 0, bottom: 1, trace: hutchinson, probes: 7", (PRODUCTS + 7) * 100),
        # Half of four clients take part in a round, and have a quarter of 899 samples each.
        ("top: 1, of: [global, clients]", 3 * PRODUCTS * 100),
        ("top: 1, samples: 500, of: [clients], data: [own]", 2 * PRODUCTS * 899 / 4),
        ("top: 1, of: [clients], data: [own, global]", 2 * PRODUCTS * 2 * 100),
        ("top: 1, hessian_agreement: [paper]", PRODUCTS * 100 + 2 * DIAGONAL * 100),
    ],
)
def test_curvature_is_counted_by_the_models_that_are_looked_at(here, entry, products):
    file = here / "config" / "studies" / "tiny.yaml"
    text = file.read_text().replace("keep_rounds: {every: 5}", "participation: 0.5, client_rounds: [1, 2]")
    entry = CURVATURE.format(entry=entry).replace(
        "samples: 100, top: 1, samples: 500", "samples: 500, top: 1"
    )
    file.write_text(text.replace("drift: {moves: {}}", f"drift: {{moves: {{}}}}{entry}"))
    study = tiny(here)
    job = next(job for job in jobs_of(study) if job.rule == "curvature")
    runs = 2  # iid and dir0.1 share a group
    assert work_of(study, job.rule, job.names).steps == runs * 2 * STEPS_PER_PRODUCT * products


@pytest.mark.parametrize(
    ("entry", "pairs", "used"),
    [
        ("from: {partition: iid}, to: {partition: dir0.1}", 1, 899),
        ("between: clients, clients: [0, 1, 2], rounds: [1, 2], samples: 100", 2 * 2 * 3, 100),
    ],
)
def test_curves_are_counted_by_their_epochs_and_points(here, entry, pairs, used):
    file = here / "config" / "studies" / "tiny.yaml"
    text = file.read_text().replace("keep_rounds: {every: 5}", "client_rounds: [1, 2]")
    curve = f"\nconnectivity:\n  c: {{kind: curve, epochs: 3, points: 5, {entry}}}\n"
    file.write_text(text.replace("drift: {moves: {}}", f"drift: {{moves: {{}}}}{curve}"))
    work = work_of(tiny(here), "curve", job_of(here, "curve").names)
    assert (work.steps, work.method, work.vectors) == (pairs * 3 * used, "fedavg", pairs)
    # Both lines, twice over: statistics are measured anew at each point.
    assert work.evaluations == pairs * 2 * 5 * 2 * (used + 299)


def test_a_stage_that_is_not_counted_is_not_known(here, monkeypatch, capsys):
    monkeypatch.setattr(
        work, "_COUNTS", {name: count for name, count in work._COUNTS.items() if name != "drift"}
    )
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    text = capsys.readouterr().out
    assert "Left out (+): what drift computes, which command/work.py does not count." in text
    (line,) = [line.split() for line in text.splitlines() if line.startswith("drift")]
    assert line[2] == line[4] == line[5] == "unknown"


def test_a_second_gradient_is_counted(here):
    file = here / "config" / "costs.csv"
    file.write_text(file.read_text() + "setting,sam,,cpu,1.9,,,\n")
    prices = read_prices()
    plain = Workload("convnet", "1x8x8", "moon", steps=1000)
    twice = replace(plain, sharpness_aware=True)
    own = prices.seconds("surface", plain, CPU)
    assert prices.seconds("surface", twice, CPU) == pytest.approx(1.9 * own)


def test_hours_are_work_times_price(here):
    prices = read_prices()
    work = Workload("convnet", "1x8x8", "fedavg", steps=1000, evaluations=2000, vectors=3)
    assert prices.seconds("train", work, CPU) == pytest.approx(5 + 10 + 2)
    moon = Workload("convnet", "1x8x8", "moon", steps=1000, evaluations=2000)
    assert prices.seconds("train", moon, CPU) == pytest.approx(5 + 20 + 2)
    assert prices.bytes(work, WEIGHT_BYTES) == 3 * 100 * 4
    assert prices.seconds("train", Workload("resnet20", "1x8x8", steps=1), CPU) is None
    assert prices.seconds("train", work, "a GPU") is None and prices.devices() == []


def test_memory_is_that_of_the_largest_job(here, capsys):
    prices = read_prices()
    training, evaluation, products = (Workload("convnet", "1x8x8", memory=kind) for kind in MEMORY)
    assert prices.memory(training, WEIGHT_BYTES) == 2e9
    assert prices.memory(evaluation, WEIGHT_BYTES) == 1e9 + HELD * 100 * WEIGHT_BYTES
    assert prices.memory(products, WEIGHT_BYTES) is None
    assert prices.memory(replace(training, model="resnet20"), WEIGHT_BYTES) is None
    study = tiny(here)
    kinds = {job.rule: work_of(study, job.rule, job.names).memory for job in jobs_of(study)}
    assert (kinds["train"], kinds["plane"], kinds["drift"]) == ("train-memory", "evaluation-memory", "")
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    shown = {line.split()[0]: line.split()[-2] for line in capsys.readouterr().out.splitlines() if line}
    assert (shown["train"], shown["plane"], shown["drift"], shown["all"]) == ("2.0", "1.0", "-", "2.0")
    assert main(["cost", "tiny", "--config", "scale=paper"]) == 0
    shown = {line.split()[0]: line.split()[-2] for line in capsys.readouterr().out.splitlines() if line}
    assert shown["train"] == shown["all"] == "unknown"


def test_the_memory_of_a_run_is_known_before_its_data_set_is_prepared(here):
    study = read_study(
        ROOT, {**read_yaml(ROOT / "config/config.yaml"), "study": "fedalign", "scale": "paper"}
    )
    job = next(job for job in jobs_of(study) if job.wildcards.get("method") == "gradaug-224")
    work = work_of(study, job.rule, job.names)
    assert "imagenet-200" in work.unknown and work.shape == "3x224x224" and work.model.startswith("resnet")


def test_runs_of_this_clone_come_before_the_table(here):
    training = {"rounds": 20, "local_epochs": 2, "participation": 0.5, "evaluate_every": 1}
    run = {
        "identity": {"dataset": "digits"}, "model": {"kind": "convnet"}, "algorithm": {"kind": "moon"},
        "training": training, "samples": 800, "rounds": 20, "parameters": 7, "device": "a GPU",
        "seconds": 66.0, "evaluation_seconds": 2.0,
    }  # fmt: skip
    for path, content in (
        (here / RUN / "run.json", run),
        (here / RUN.replace("iid", "dir0.1") / "run.json", {"seconds": "made before these numbers"}),
        (here / "results/data/digits/dataset.json", {"shape": [1, 8, 8], "train": 899, "test": 200}),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    prices = read_prices()
    assert prices.own == 1 and prices.devices() == ["a GPU"]
    steps = 800 * 0.5 * 2 * 20
    assert prices.values["step", "convnet", "1x8x8", "a GPU"] == pytest.approx(
        64 / steps / 2
    )  # MOON's factor
    assert prices.values["evaluation", "convnet", "1x8x8", "a GPU"] == pytest.approx(2 / (22 * 1000))


def short_run(here, partition: str, **seconds: float) -> None:
    """A finished run of three rounds and its timing, as training leaves them."""
    run = {
        "identity": {"dataset": "digits"}, "model": {"kind": "cnn"}, "algorithm": {"kind": "fedavg"},
        "training": {"local_epochs": 2, "participation": 1.0, "evaluate_every": 1},
        "samples": 100, "rounds": 3, "parameters": 7, "device": CPU, "threads": 1,
        "seconds": 6.0, "evaluation_seconds": 1.0, **seconds,
    }  # fmt: skip
    folder = here / RUN.replace("iid", partition)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "timing.csv").write_text(
        "round,training_seconds,evaluation_seconds\n0,0,0.7\n1,3,0.1\n2,0.5,0.1\n3,0.5,0.1\n"
    )


def test_a_run_counts_however_short_and_without_its_first_round(here, capsys):
    data = here / "results/data/digits/dataset.json"
    data.parent.mkdir(parents=True)
    data.write_text(json.dumps({"shape": [1, 8, 8], "train": 899, "test": 20}))
    assert ("step", "cnn", "1x8x8", CPU) not in read_prices().values
    short_run(here, "iid")
    prices = read_prices()
    assert (prices.own, prices.own_seconds) == (1, 5.0)
    assert prices.values["step", "cnn", "1x8x8", CPU] == pytest.approx(0.5 / (100 * 2))
    assert prices.values["evaluation", "cnn", "1x8x8", CPU] == pytest.approx(0.1 / (100 + 20))
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    assert (
        "Measured on runs of this clone (up to 1 of a network, of 5.0 s or more)" in capsys.readouterr().out
    )
    # A run that is long enough counts alone.
    short_run(here, "dir0.1", seconds=61.0, evaluation_seconds=1.0)
    prices = read_prices()
    assert prices.values["step", "cnn", "1x8x8", CPU] == pytest.approx(60 / (3 * 100 * 2))
    assert prices.own_seconds == 60
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    assert "(up to 2 of a network); else" in capsys.readouterr().out


def test_what_is_not_known_is_said(here, capsys):
    assert main(["cost", "tiny", "--config", "scale=paper"]) == 0
    text = capsys.readouterr().out
    assert "tiny at paper: 16 jobs" in text
    assert "GPU hours are unknown" in text and "extrapolated" in text and "a machine, 2026-11-22" in text
    assert "no seconds a sample of convnet at 3x32x32" in text
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    assert "Left out" not in capsys.readouterr().out


def test_what_a_study_took_stands_beside_by_rule(here, capsys):
    tables = here / "results/tiny/smoke/tables"
    tables.mkdir(parents=True)
    rows = [
        ("train", "random", 7200, 3600),  # was started twice: its last process took an hour
        ("train", "random", 3600, 3700),
        ("initial", "random", "", 36),
        ("surface", "*", "", ""),  # made before benchmarks were kept
    ]
    with (tables / "costs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("stage", "init", "seconds", "job_seconds"))
        writer.writerows(rows)
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 0
    took = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines() if line}
    assert took["train"] == f"{(7200 + 3700) / 3600:.2f}"
    assert took["initial"] == "0.01" and took["surface"] == took["drift"] == "-"
    assert took["all"] == f"{(7200 + 3700 + 36) / 3600:.2f}+"


def test_levels_count_the_longest_chain_of_jobs_in_a_queue():
    def job(rule, output, *inputs):
        return Job(rule, {}, (output,), inputs, "")

    chain = [job("dataset", "d"), job("pretrain", "i", "d"), job("train", "t", "d", "i")]
    assert levels(chain) == 2  # the data set is prepared where Snakemake runs
    assert levels([*chain, job("initial", "j", "t"), job("train", "u", "j"), job("figure", "f", "u")]) == 3
    assert levels([]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,value\n", "its columns must be kind, name"),
        (
            f"{','.join(PRICE_COLUMNS)}\nstep,convnet,1x8x8,cpu,fast,,,\n",
            "config/costs.csv:2: value 'fast' is no number",
        ),
        (f"{','.join(PRICE_COLUMNS)}\nstop,convnet,1x8x8,cpu,1,,,\n", "config/costs.csv:2: kind 'stop'"),
    ],
)
def test_a_table_that_is_none_is_named(here, capsys, text, message):
    (here / "config" / "costs.csv").write_text(text)
    assert main(["cost", "tiny", "--config", "scale=smoke"]) == 1
    assert message in capsys.readouterr().err


def test_a_network_is_labelled_by_what_is_not_its_default():
    assert model_label({"kind": "convnet"}) == "convnet"
    assert model_label({"kind": "resnet20", "norm": "batch", "groups": 8}) == "resnet20"
    assert model_label({"kind": "resnet20", "norm": "group", "groups": 8}) == 'resnet20(norm="group")'


def test_shapes_are_those_of_prepared_data_where_there_are_any(here):
    study = tiny(here)
    assert input_shape(study, "digits") == (1, 8, 8)
    path = here / "results/data/digits/dataset.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"shape": [3, 4, 4]}))
    assert input_shape(study, "digits") == (3, 4, 4)
