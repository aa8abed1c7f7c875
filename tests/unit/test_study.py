"""Study files: what they mean, and that a slip in one is one clear line."""

import shutil
from pathlib import Path

import pytest
import yaml

from fedscape.errors import FedscapeError
from fedscape.study.campaign import read_campaign
from fedscape.study.files import merged
from fedscape.study.grid import Run
from fedscape.study.reference import README, with_reference
from fedscape.study.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def campaign(tmp_path):
    """Read the pilot study after an edit of its text, as if it were the only one."""
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    file = tmp_path / "config" / "studies" / "pilot.yaml"
    file.parent.mkdir(parents=True)
    original = (ROOT / "config" / "studies" / "pilot.yaml").read_text()

    def read(*edits, config=CONFIG):
        text = original
        for old, new in edits:
            assert old in text, f"the study file no longer has {old!r}: mend this test"
            text = text.replace(old, new, 1)
        file.write_text(text)
        return read_campaign(tmp_path, config)

    return read


REFUSED = {
    "unknown key": (
        ("title:", "titel:"),
        "config/studies/pilot.yaml: unknown key 'titel'; did you mean 'title'? allowed:",
    ),
    "unknown key of a plug-in": (
        ("alpha: 1.0}", "alfa: 1.0}"),
        "partitions.dir1.0: unknown key 'alfa'; did you mean 'alpha'?",
    ),
    "unknown training setting": (
        ("batch_size: 16\n", "batchsize: 16\n"),
        "methods.fedavg: unknown key 'batchsize'; did you mean 'batch_size'?",
    ),
    "unknown scheme": (
        ("scheme: dirichlet", "scheme: dirichlte"),
        "unknown partition 'dirichlte'; did you mean 'dirichlet'?",
    ),
    "unknown model": (
        ("model: [convnet, resnet20]", "model: [convnet, resnet21]"),
        "runs[0].model: unknown model 'resnet21'; did you mean 'resnet20'?",
    ),
    "unknown data set": (
        ("datasets: [cifar10]", "datasets: [cifar11]"),
        "datasets: unknown data set 'cifar11'; did you mean 'cifar10'?",
    ),
    "unknown algorithm": (
        ("algorithm: fedavg", "algorithm: fedavgg"),
        "methods.fedavg.algorithm: unknown algorithm 'fedavgg'; did you mean 'fedavg'?",
    ),
    "unknown plane of a figure": (
        ("plane: trajectories", "plane: trajectory"),
        "figures.figure-1.plane: unknown name 'trajectory'; did you mean 'trajectories'?",
    ),
    "wrong type": (
        ("rounds: 100", "rounds: many"),
        "methods.fedavg.rounds: got 'many', expected a whole number",
    ),
    "number read as text": (
        ("lr: 0.01\n", "lr: 1e-2\n"),
        "methods.fedavg.lr: '1e-2' is text (write 0.01; YAML reads numbers in quotes and 1e-1 as text), expected a number",
    ),
    "impossible alpha": (("alpha: 0.5}", "alpha: 0}"), "partitions.dir0.5: alpha must be"),
    "impossible participation": (
        ("momentum: 0.9\n    client", "participation: 1.5\n    client"),
        "participation must be in (0, 1], got 1.5",
    ),
    "more clients than samples": (
        ("clients: 10, alpha: 0.1", "clients: 60000, alpha: 0.1"),
        "partitions.dir0.1.clients: 60000 clients, but cifar10 has 50000 training samples",
    ),
    "more images than there are": (
        ("images: 4000", "images: 70000"),
        "(scale small): images: got 70000, but cifar10 has 50000",
    ),
    "round past the end": (
        ("client_rounds: [1, 0.3, last]", "client_rounds: [101]"),
        "methods.fedavg.client_rounds: round 101 is past the end, the method has 100 rounds",
    ),
    "comma in a name": (
        ("  iid-b: ", "  'iid,b': "),
        "partitions: name 'iid,b' may hold only a-z, 0-9, '.' and '-'",
    ),
    "slash in a name": (("  iid-b: ", "  iid/b: "), "partitions: name 'iid/b' may hold only"),
    "even number of points": (
        ("points: 31", "points: 30"),
        "connectivity.finals.points: got 30, must be odd",
    ),
    "key twice": (("seeds: [0]", "seeds: [0]\nseeds: [1]"), "key 'seeds' stands twice"),
    "models of different shape": (
        (
            "    each: [model, init]\n    grid: 51\n    batch_norm",
            "    each: [init]\n    grid: 51\n    batch_norm",
        ),
        "holds models of different shape (convnet, resnet20); add `model` to `each`",
    ),
    "selection without runs": (
        (
            "where: {init: iid-round, partition: &order",
            "where: {init: iid-round, model: resnet20, partition: &order",
        ),
        "figures.figure-1.where: selects no run",
    ),
    "two sources": (
        ("    plane: trajectories\n    where", "    plane: trajectories\n    table: rounds\n    where"),
        "figures.figure-1: name one source",
    ),
    "circle of starts": (
        ("kind: after-round, init: random", "kind: after-round, init: iid-round"),
        "starts go round in a circle: iid-round -> iid-round",
    ),
    "a fraction for a whole number": (
        ("clients: 10, alpha: 0.1", "clients: 10.0, alpha: 0.1"),
        "partitions.dir0.1.clients: got 10.0, expected a whole number",
    ),
    "no finite number": (("lr: 0.01\n", "lr: .nan\n"), ".nan is no finite number"),
    "a seed that is text": (
        ("init: iid-round, method: fedavg}\n\n", "init: iid-round, method: fedavg, seed: abc}\n\n"),
        "runs.1.seed: got 'abc', not one of the allowed forms: a seed or a list of seeds",
    ),
    "a seed that no run has": (
        ("init: iid-round, method: fedavg}\n\n", "init: iid-round, method: fedavg, seed: 7}\n\n"),
        "runs[1].seed: unknown seed '7'; allowed: 0",
    ),
    "a figure from the wrong source": (
        ("    table: rounds\n", "    plane: finals\n"),
        "figures.accuracy: kind curves is drawn from table, got plane",
    ),
    "a grid over what is no setting": (
        ("    lr: 0.01\n", "    lr: 0.01\n    grid: {client_rounds: [[1], [2]]}\n"),
        "methods.fedavg.grid: 'client_rounds' cannot vary in a grid",
    ),
    "an unknown axis": (
        ("    lr: 0.01\n", "    lr: 0.01\n    axis: [local_epoch]\n"),
        "methods.fedavg.axis: unknown key 'local_epoch'; did you mean 'local_epochs'?",
    ),
    "an entry left out that is not there": (
        ("    models: {resnet20: null}", "    models: {resnet21: null}"),
        "scales.small.models: unknown name 'resnet21'; did you mean 'resnet20'?",
    ),
    "a file of weights that is not there": (
        ("{kind: random}", "{kind: checkpoint, file: nowhere.pt}"),
        "inits.random.file: nowhere.pt not found",
    ),
    "a moment that is none": (
        ("client_rounds: [1, 0.3, last]", "client_rounds: [first]"),
        "got 'first', not one of the allowed forms: a round, a fraction of all rounds such as 0.3, or `last`",
    ),
    "start from a round that is not kept": (
        ("    client_rounds: [1, 0.3, last]", "    keep_rounds: {every: 5}"),
        "inits.iid-round.round: round 1 is not among the keep_rounds of fedavg",
    ),
    "no YAML": (("seeds: [0]", "seeds: [0"), "pilot.yaml:"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line(campaign, case):
    edit, message = REFUSED[case]
    with pytest.raises(FedscapeError) as error:
        campaign(edit)
    assert message in str(error.value)
    assert "pilot.yaml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": "huge"}, "--config: scale: unknown scale 'huge'; allowed: paper, small, quick, smoke"),
        ({"study": "pilots"}, "--config: study: unknown study 'pilots'; did you mean 'pilot'?"),
        ({"speed": 3}, "--config: unknown key 'speed'"),
        ({"datasets": {"mine": {"kind": "image-folder"}}}, "datasets.mine"),
    ],
)
def test_bad_user_settings_are_refused_in_one_line(campaign, change, message):
    edit = ("datasets: [cifar10]", "datasets: [mine]") if "datasets" in change else ("title", "title")
    with pytest.raises(FedscapeError) as error:
        campaign(edit, config={**CONFIG, **change})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_runs_are_cross_products_and_start_sources_are_added(campaign):
    paper = campaign().get("pilot", "paper")
    convnet = [run for run in paper.runs if run.model == "convnet" and run.init == "random"]
    assert [run.partition for run in convnet] == ["iid", "iid-b", "dir1.0", "dir0.5", "dir0.1"]
    assert len(paper.runs) == 2 * 5 * 2 + 4
    # What an after-round start continues is trained even where no entry asks for it.
    entry = "{model: convnet, partition: [iid, dir1.0, dir0.5, dir0.1], init: iid-round, method: fedavg}"
    with_source = "{model: convnet, partition: dir0.1, init: late, method: fedavg}"
    late = "  late: {kind: after-round, init: random, partition: dir0.3, method: fedavg, round: last}\n"
    third = "  dir0.3: {scheme: dirichlet, clients: 10, alpha: 0.3}\n"
    edits = (
        (entry, f"{entry}\n  - {with_source}"),
        ("  iid-round:", f"{late}  iid-round:"),
        ("  dir0.1:", f"{third}  dir0.1:"),
    )
    runs = campaign(*edits).get("pilot", "paper").runs
    assert Run("cifar10", "convnet", "dir0.3", "random", "fedavg", 0) in runs
    assert len(runs) == len(paper.runs) + 2


def test_settings_for_all_reach_entries_that_only_the_scale_has_and_yield_to_their_names(campaign):
    extra = "    all_planes: {grid: 21}\n    planes: {extra: {kind: finals, each: [model, init]}, finals: {grid: 9}}\n"
    planes = (
        campaign(("    all_planes: {grid: 21}\n", extra.replace("21", "23"))).get("pilot", "quick").planes
    )
    grids = {name: plane.settings["grid"] for name, plane in planes.items()}
    assert grids == {"trajectories": [23, 23], "finals": [9, 9], "extra": [23, 23]}


def test_client_rounds_keep_the_model_that_they_start_from(campaign):
    thinned = (
        "    client_rounds: [1, 0.3, last]",
        "    keep_rounds: [1, 0.5]\n    client_rounds: [1, 0.3]",
    )
    assert campaign(thinned).get("pilot", "paper").methods["fedavg"].keep_rounds == [0, 1, 29, 50, 100]


def test_yaml_merge_keys_work(campaign):
    merge = ("  dir0.5: {scheme: dirichlet, clients: 10, alpha: 0.5}", "  dir0.5: {<<: *base, alpha: 0.5}")
    anchor = ("  dir1.0: {scheme", "  dir1.0: &base {scheme")
    partition = campaign(merge, anchor).get("pilot", "quick").partitions["dir0.5"]
    assert (partition.scheme["alpha"], partition.clients) == (0.5, 10)


def test_a_scale_merges_maps_replaces_lists_and_leaves_out_null(campaign):
    assert merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}
    assert merged({"a": {"b": {"x": 1}, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}
    quick = campaign().get("pilot", "quick")
    assert set(quick.datasets) == {"digits", "digits-proxy"}
    assert list(quick.models) == ["convnet"]
    assert quick.methods["fedavg"].training["batch_size"] == 16
    assert quick.methods["fedavg"].training["rounds"] < 100


def test_all_methods_leaves_an_axis_alone(campaign):
    axis = (
        "    client_rounds: [1, 0.3, last]",
        "    client_rounds: [1, 0.3, last]\n    axis: [local_epochs]",
    )
    assert campaign(axis).get("pilot", "quick").methods["fedavg"].training["local_epochs"] == 5
    named = (
        "all_methods: {rounds: 20, local_epochs: 3, lr: 0.03}",
        "methods: {fedavg: {rounds: 20, local_epochs: 3}}",
    )
    assert campaign(axis, named).get("pilot", "quick").methods["fedavg"].training["local_epochs"] == 3


def test_rounds_may_be_fractions(campaign):
    study = campaign()
    assert study.get("pilot", "paper").methods["fedavg"].client_rounds == [1, 30, 100]
    assert study.get("pilot", "paper").inits["iid-round"].start["round"] == 1


def test_a_grid_makes_a_method_for_each_point(campaign):
    grid = ("    lr: 0.01\n", "    grid: {lr: [0.1, 0.01], batch_size: [8, 16]}\n")
    after = ("partition: iid, method: fedavg, round: 1", "partition: iid, method: fedavg.g1, round: 1")
    study = campaign(grid, after).get("pilot", "quick")
    assert list(study.methods) == ["fedavg.g1", "fedavg.g2", "fedavg.g3", "fedavg.g4"]
    assert [one.training["lr"] for one in study.methods.values()] == [0.1, 0.1, 0.01, 0.01]
    assert {run.method for run in study.runs} == set(study.methods)


def test_a_pinned_seed_reaches_the_split_and_nothing_else(campaign):
    study = campaign().get("pilot", "quick")
    wildcards = {"dataset": "digits", "seed": "0"}
    pinned = STAGES["partition"](study, {**wildcards, "partition": "iid-b"})
    free = STAGES["partition"](study, {**wildcards, "partition": "iid"})
    assert (pinned["partition_seed"], pinned["seed"]) == (1001, 0)
    assert free["partition_seed"] == 0


def test_the_key_reference_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert text == with_reference(text), "run `make reference`"
