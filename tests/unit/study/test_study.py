"""Study files: what they mean, and that a slip in one is one clear line."""

import shutil
from pathlib import Path

import pytest
import yaml
from edited_study import ROOT, reader

from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.plain import from_plain
from fedscape.settings.training import Epochs, Schedule, TrainingSettings
from fedscape.study import catalog
from fedscape.study.campaign import missing_file
from fedscape.study.encoding import decode, encode
from fedscape.study.files import merged
from fedscape.study.grid import Run
from fedscape.study.methods import build_methods
from fedscape.study.stages.every import STAGES

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def campaign(tmp_path):
    """Read the pilot study after an edit of its text, as if it were the only one."""
    return reader(tmp_path, (ROOT / "config" / "studies" / "pilot.yaml").read_text(), CONFIG)


OWN_RULE = '''"""A client rule with aggregation weights and a check of its own."""

from dataclasses import dataclass

{contract}


@dataclass(frozen=True)
class Settings:
    strength: float = 0.5

    def check(self, training):
        if training.optimiser != "sgd" and self.strength:
            raise ValueError(f"strength {{self.strength}} needs optimiser sgd, got {{training.optimiser}}")
'''

OWN_CONTRACTS = {
    "algorithms": 'from fedscape.federated.algorithms.fedavg import loss\n\nWEIGHTS = "uniform"',
    "servers": "from fedscape.federated.servers.average import step",
}


@pytest.fixture
def own_rule(tmp_path, monkeypatch):
    """The library with a client rule `own-rule` more, and a server rule of the same text."""
    library = tmp_path / "library"
    shutil.copytree(catalog.LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    for package, contract in OWN_CONTRACTS.items():
        (library / "federated" / package / "own_rule.py").write_text(OWN_RULE.format(contract=contract))
    monkeypatch.setattr(catalog, "LIBRARY", library)
    cached = (catalog.names, catalog.settings_class, catalog.constant)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


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
    "unknown key of a training setting": (
        ("    lr: 0.01\n", "    lr: 0.01\n    augmentation: {crp: 4}\n"),
        "methods.fedavg.augmentation: unknown key 'crp'; did you mean 'crop'?",
    ),
    "wrong type in a training setting": (
        ("    lr: 0.01\n", "    lr: 0.01\n    augmentation: {crop: 4.5}\n"),
        "methods.fedavg.augmentation.crop: got 4.5, expected a whole number",
    ),
    "impossible value in a training setting": (
        ("    lr: 0.01\n", "    lr: 0.01\n    schedule: {kind: step, decay_at: [0.5, 1.5]}\n"),
        "methods.fedavg.schedule: decay_at must be ascending shares in (0, 1), got [0.5, 1.5]",
    ),
    "a word for keys and values": (
        ("    lr: 0.01\n", "    lr: 0.01\n    schedule: cosine\n"),
        "methods.fedavg.schedule: got 'cosine', expected keys and values (kind, ",
    ),
    "no number of epochs": (
        ("    local_epochs: 5\n", "    local_epochs: {unifrom: [1, 5]}\n"),
        "methods.fedavg.local_epochs: unknown key 'unifrom'; did you mean 'uniform'?",
    ),
    "settings that exclude each other": (
        ("    lr: 0.01\n", "    lr: 0.01\n    optimiser: adamw\n"),
        "methods.fedavg: momentum needs optimiser sgd, got adamw",
    ),
    "pruning past the end": (
        ("    lr: 0.01\n", "    lr: 0.01\n    pruning: {begin: 50, end: 101, frequency: 1, unit: round}\n"),
        "methods.fedavg: pruning.end must be <= rounds (100), got 101",
    ),
    "paths of clients that differ in length": (
        ("    local_epochs: 5\n", "    local_epochs: {uniform: [1, 5]}\n    client_paths: true\n"),
        "methods.fedavg.client_paths: needs local_epochs that are a number, got {'uniform': [1, 5]}",
    ),
    "a grid over a key of a training setting": (
        ("    lr: 0.01\n", "    lr: 0.01\n    grid: {crop: [2, 4]}\n"),
        "methods.fedavg (grid point 1): unknown key 'crop'",
    ),
    "unknown scheme": (
        ("scheme: dirichlet,", "scheme: dirichlte,"),
        "unknown partition 'dirichlte'; did you mean 'dirichlet'?",
    ),
    "unknown model": (
        ("- {model: resnet20, partition", "- {model: resnet21, partition"),
        "runs[1].model: unknown model 'resnet21'; did you mean 'resnet20'?",
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
        ("plane: global-iid-round", "plane: global-iid-rounds"),
        "figures.figure-1.plane: unknown name 'global-iid-rounds'; did you mean 'global-iid-round'?",
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
        ("images: {cifar10: 4000,", "images: {cifar10: 70000,"),
        "(scale small): images: got 70000, but cifar10 has 50000",
    ),
    "round past the end": (
        ("client_rounds: [1, 0.1, 0.3, last]", "client_rounds: [101]"),
        "methods.fedavg.client_rounds: round 101 is past the end, the method has 100 rounds",
    ),
    "comma in a name": (
        ("  iid-b: ", "  'iid,b': "),
        "partitions: name 'iid,b' may hold only a-z, 0-9, '.' and '-'",
    ),
    "slash in a name": (("  iid-b: ", "  iid/b: "), "partitions: name 'iid/b' may hold only"),
    "images to a network for text": (
        ("  resnet20: {norm: batch}", "  resnet20: {kind: gpt}"),
        "runs: cifar10/resnet20: cifar10 holds images, which resnet20 does not take",
    ),
    "even number of points": (
        ("points: 31", "points: 30"),
        "connectivity.finals.points: got 30, must be odd",
    ),
    "key twice": (("seeds: [0]", "seeds: [0]\nseeds: [1]"), "key 'seeds' stands twice"),
    "models of different shape": (
        ("dir0.1], model: convnet, init: [random", "dir0.1], init: [random"),
        "holds models of different shape (convnet, resnet20); add `model` to `each`",
    ),
    "selection without runs": (
        (
            "where: {init: iid-round, partition: *order",
            "where: {init: iid-round, model: resnet20, partition: *order",
        ),
        "figures.figure-1.where: selects no run",
    ),
    "two sources": (
        ("    plane: global-iid-round\n", "    plane: global-iid-round\n    table: rounds\n"),
        "figures.figure-1: name one source",
    ),
    "cycle of starts": (
        ("kind: after-round, init: random", "kind: after-round, init: iid-round"),
        "starts form a cycle: iid-round -> iid-round",
    ),
    "a fraction for a whole number": (
        ("clients: 10, alpha: 0.1", "clients: 10.0, alpha: 0.1"),
        "partitions.dir0.1.clients: got 10.0, expected a whole number",
    ),
    "no finite number": (("lr: 0.01\n", "lr: .nan\n"), ".nan is no finite number"),
    "a seed that is text": (
        ("init: iid-round, method: fedavg}", "init: iid-round, method: fedavg, seed: abc}"),
        "runs.2.seed: got 'abc', not one of the allowed forms: a seed or a list of seeds",
    ),
    "a seed that no run has": (
        ("init: iid-round, method: fedavg}", "init: iid-round, method: fedavg, seed: 7}"),
        "runs[2].seed: unknown seed '7'; allowed: 0",
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
        ("    test_images: 1000\n", "    test_images: 1000\n    models: {resnet21: null}\n"),
        "scales.small.models: unknown name 'resnet21'; did you mean 'resnet20'?",
    ),
    "a moment that is none": (
        ("client_rounds: [1, 0.1, 0.3, last]", "client_rounds: [first]"),
        "got 'first', not one of the allowed forms: a round, a fraction of all rounds such as 0.3, or `last`",
    ),
    "start from a round that is not kept": (
        ("    client_rounds: [1, 0.1, 0.3, last]", "    keep_rounds: {every: 5}"),
        "inits.iid-round.round: round 1 is not among the keep_rounds of fedavg",
    ),
    "a plane that a figure's kind does not draw": (
        ("    plane: local-early\n", "    plane: single\n"),
        "figures.figure-2b.plane: kind local does not draw planes of kind trajectory; allowed: clients",
    ),
    "a round whose clients are not kept": (
        ("    round: 0.3\n", "    round: 0.4\n"),
        "planes.local.round: round 40 is not among the client_rounds of fedavg (1, 10, 30, 100)",
    ),
    "a plane through too many runs": (
        ("    each: [partition]\n    round: 0.3", "    round: 0.3"),
        "planes.local: kind clients takes at most 1 run(s) a group, but group cifar10_all_seed0 has 4",
    ),
    "a plane through too few runs": (
        (
            "    kind: trajectory\n    runs: [{partition: dir0.3",
            "    kind: three-models\n    runs: [{partition: dir0.3",
        ),
        "planes.single: kind three-models takes at least 3 run(s) a group, but group cifar10_all_seed0 has 1",
    ),
    "buffers between no models": (
        (
            "    kind: trajectory\n    runs: [{partition: dir0.3",
            "    kind: random\n    batch_norm: interpolate\n    runs: [{partition: dir0.3",
        ),
        "planes.single.batch_norm: interpolate needs a plane laid through models; kind random has none",
    ),
    "clients of several partitions": (
        ("    kind: finals\n", "    kind: finals\n    client_losses: true\n"),
        "planes.finals.client_losses: group cifar10_random_seed0 has several partitions (dir0.1, dir0.5, dir1.0, iid)",
    ),
    "a coarse grid that does not fit": (
        ("    kind: finals\n", "    kind: finals\n    coarse: 3\n"),
        "planes.finals.coarse: got 3, must divide the steps of the grid (50)",
    ),
    "an error beside a coarse grid": (
        ("    kind: finals\n", "    kind: finals\n    coarse: 2\n    error: 0.01\n"),
        "planes.finals.error: got 0.01 beside coarse 2, which chooses the points, too",
    ),
    "an error of nothing": (
        ("    kind: finals\n", "    kind: finals\n    error: 0\n"),
        "planes.finals.error: got 0, must be > 0",
    ),
    "more parts than columns": (
        ("    kind: finals\n", "    kind: finals\n    parts: 52\n"),
        "planes.finals.parts: got 52, more than the grid has columns",
    ),
    "a label for no run": (
        ('label: "IID", where: {partition: [iid,', 'label: "IID", where: {partition: [idi,'),
        "labels[4].where.partition: unknown partition 'idi'; did you mean 'iid'?",
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


def test_client_losses_need_one_split(campaign):
    plane = "    runs: [{partition: dir0.3, model: convnet, init: random}]\n    grid: 51\n  participation"
    together = plane.replace("grid: 51", "seeds: together\n    client_losses: true\n    grid: 51")
    with pytest.raises(FedscapeError, match=r"single\.client_losses: group cifar10_all has several seeds"):
        campaign(("seeds: [0]", "seeds: [0, 1]"), (plane, together))


def test_a_label_outlives_the_names_that_a_scale_leaves_out(campaign):
    smaller = (
        "    methods: {fedavg-more: {rounds: 1}}",
        "    methods: {fedavg-more: {rounds: 1}, fedavg-p0.2: null}",
    )
    assert "fedavg-p0.2" not in campaign(smaller).get("pilot", "smoke").methods


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
    partitions = ["iid", "iid-b", "dir1.0", "dir0.5", "dir0.1", "dir0.3", *["iid-50"] * 3, *["dir0.5-50"] * 3]
    partitions += ["prior1.0", "prior0.5", "prior0.1"]
    assert [run.partition for run in convnet] == partitions
    assert len(paper.runs) == 2 * 5 + 2 * 4 + 5 + 1 + 2 + 2 * 3 + 2 * 3
    # What an after-round start continues is trained even where no entry asks for it.
    entry = (
        "{model: convnet, partition: [iid, dir1.0, dir0.5, dir0.3, dir0.1], init: iid-round, method: fedavg}"
    )
    with_source = "{model: convnet, partition: dir0.1, init: late, method: fedavg}"
    late = "  late: {kind: after-round, init: random, partition: dir0.2, method: fedavg, round: last}\n"
    third = "  dir0.2: {scheme: dirichlet, clients: 10, alpha: 0.2}\n"
    edits = (
        (entry, f"{entry}\n  - {with_source}"),
        ("  iid-round:", f"{late}  iid-round:"),
        ("  dir0.1:", f"{third}  dir0.1:"),
    )
    runs = campaign(*edits).get("pilot", "paper").runs
    assert Run("cifar10", "convnet", "dir0.2", "random", "fedavg", 0) in runs
    assert len(runs) == len(paper.runs) + 2


def test_settings_for_all_reach_entries_that_only_the_scale_has_and_yield_to_their_names(campaign):
    old = "    all_planes: {grid: 21, coarse: 2}\n    planes: {iid-round-by-prior: null, finals-resnet20: {grid: 13}}\n"
    new = "    all_planes: {grid: 23}\n    planes: {iid-round-by-prior: null, extra: {kind: finals, runs: [{init: random}], each: [model]}, finals: {grid: 9}}\n"
    planes = campaign((old, new)).get("pilot", "quick").analyses["planes"]
    grids = {name: planes[name].settings.grid for name in ("single", "finals", "extra")}
    assert grids == {"single": [23, 23], "finals": [9, 9], "extra": [23, 23]}


def test_client_rounds_keep_the_model_that_they_start_from(campaign):
    thinned = (
        "    client_rounds: [1, 0.1, 0.3, last]",
        "    keep_rounds: [1, 0.1, 0.25, 0.3, 0.5, 0.75]\n    client_rounds: [1, 0.1, 0.3]",
    )
    methods = campaign(thinned).get("pilot", "paper").methods
    assert methods["fedavg"].keep_rounds == [0, 1, 9, 10, 25, 29, 30, 50, 75, 100]


def test_yaml_merge_keys_work(campaign):
    merge = (
        "  prior0.5: {scheme: dirichlet, clients: 10, alpha: 0.5}",
        "  prior0.5: {<<: *base, alpha: 0.5}",
    )
    anchor = ("  prior1.0: {scheme", "  prior1.0: &base {scheme")
    partition = campaign(merge, anchor).get("pilot", "quick").partitions["prior0.5"]
    assert (partition.scheme.settings["alpha"], partition.clients) == (0.5, 10)


def test_a_scale_merges_maps_replaces_lists_and_leaves_out_null(campaign):
    assert merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}
    assert merged({"a": {"b": {"x": 1}, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}
    quick = campaign().get("pilot", "quick")
    assert set(quick.datasets) == {"digits", "digits-proxy"}
    assert quick.methods["fedavg"].training.batch_size == 16
    assert quick.methods["fedavg"].training.rounds < 100


def test_all_methods_leaves_an_axis_alone(campaign):
    axis = (
        "    client_rounds: [1, 0.1, 0.3, last]",
        "    client_rounds: [1, 0.1, 0.3, last]\n    axis: [local_epochs]",
    )
    assert campaign(axis).get("pilot", "quick").methods["fedavg"].training.local_epochs == 5
    named = (
        "    all_methods: {rounds: 20, local_epochs: 2, lr: 0.03}\n    methods: {",
        "    methods: {fedavg: {rounds: 20, local_epochs: 3}, ",
    )
    assert campaign(axis, named).get("pilot", "quick").methods["fedavg"].training.local_epochs == 3


def test_rounds_may_be_fractions(campaign):
    study = campaign()
    assert study.get("pilot", "paper").methods["fedavg"].client_rounds == [1, 10, 30, 100]
    planes = {"local": "paper", "local-early": "quick"}
    rounds = [
        STAGES["plane"].settings(study.get("pilot", scale), {"name": name, "group": group})["plane"]["round"]
        for name, scale in planes.items()
        for group in list(study.get("pilot", scale).analyses["planes"][name].groups)[:1]
    ]
    assert rounds == [30, 2]
    assert study.get("pilot", "paper").inits["iid-round"].start.settings["round"] == 1


def test_a_grid_makes_a_method_for_each_point(campaign):
    grid = "fedavg-more: {rounds: 10, grid: {lr: [0.1, 0.01], batch_size: [8, 16]}}"
    study = campaign(("fedavg-more: {rounds: 10, lr: 0.003}", grid)).get("pilot", "quick")
    points = [f"fedavg-more.g{number}" for number in (1, 2, 3, 4)]
    assert [name for name in study.methods if name.startswith("fedavg-more")] == points
    assert [study.methods[point].training.lr for point in points] == [0.1, 0.1, 0.01, 0.01]
    assert {run.method for run in study.runs if run.init == "pretrained-end"} == set(points)


def test_a_grid_takes_a_setting_with_keys_as_one_value(campaign):
    grid = "grid: {augmentation: [{}, {crop: 4, flip: 0.5}], local_epochs: [2, {uniform: [1, 3]}]}"
    line = ("  fedavg-p0.2: {<<: *fedavg, ", f"  fedavg-p0.2: {{<<: *fedavg, {grid}, ")
    no_paths = ("client_rounds: [1, last], client_paths: true}", "client_rounds: [1, last]}")
    methods = campaign(line, no_paths).get("pilot", "paper").methods
    training = [methods[f"fedavg-p0.2.g{number}"].training for number in (1, 2, 3, 4)]
    crops = [(settings.augmentation.crop, settings.augmentation.flip) for settings in training]
    assert crops == [(0, 0.0), (0, 0.0), (4, 0.5), (4, 0.5)]
    assert [settings.local_epochs for settings in training] == [2, Epochs([1, 3])] * 2


def test_a_scale_changes_a_key_of_a_training_setting_and_leaves_the_others(campaign):
    study = (
        ("    lr: 0.01\n", "    lr: 0.01\n    augmentation: {crop: 4, flip: 0.5, resize: 24}\n"),
        (
            "    all_methods: {rounds: 20, local_epochs: 2, lr: 0.03}\n    methods: {",
            "    all_methods: {rounds: 20, lr: 0.03, local_epochs: {uniform: [1, 3]}, augmentation: {crop: 1}}\n"
            "    methods: {fedavg-p0.2: {augmentation: {resize: null}}, ",
        ),
    )
    methods = campaign(*study).get("pilot", "quick").methods
    changed, named = (methods[name].training.augmentation for name in ("fedavg-p0.5", "fedavg-p0.2"))
    assert (changed.crop, changed.flip, changed.resize) == (1, 0.5, 24)
    assert (named.crop, named.flip, named.resize) == (1, 0.5, None)
    assert methods["fedavg"].training.local_epochs == Epochs([1, 3])


def test_training_settings_reach_the_job_as_they_were_checked(campaign):
    line = ("    lr: 0.01\n", "    lr: 0.01\n    schedule: {kind: cosine, warmup_steps: 5}\n    clip: 10\n")
    study = campaign(line).get("pilot", "paper")
    run = next(run for run in study.runs if run.method == "fedavg")
    settings = STAGES["train"].settings(study, {"model": run.model, "method": run.method, "seed": "0"})
    training = from_plain(TrainingSettings, decode(encode(settings))["training"])
    assert training.schedule == Schedule(kind="cosine", warmup_steps=5)
    assert (training.rounds, training.clip, training.pruning) == (100, 10.0, None)


def varied(settings: str) -> tuple[str, str]:
    """An edit that adds settings to a method of the pilot study."""
    line = "  fedavg-p0.2: {<<: *fedavg, "
    return line, f"{line}{settings}, "


def test_an_algorithm_may_weigh_clients_in_its_own_way(campaign, own_rule):
    def weights(settings: str) -> str:
        return campaign(varied(settings)).get("pilot", "paper").methods["fedavg-p0.2"].training.weights

    assert weights("algorithm: own-rule") == "uniform"
    assert weights("algorithm: own-rule, weights: size") == "size"
    assert weights("server: own-rule") == "size"


@pytest.mark.parametrize("rule", ["algorithm: own-rule", "server: {kind: own-rule}"])
def test_a_rule_may_refuse_training_settings(campaign, own_rule, rule):
    message = r"methods\.fedavg-p0\.2: strength 0\.5 needs optimiser sgd, got adamw$"
    with pytest.raises(FedscapeError, match=message):
        campaign(varied(f"{rule}, momentum: 0, optimiser: adamw"))
    campaign(varied(rule))


def test_a_rule_checks_with_its_own_settings(campaign, own_rule):
    neutral = varied("algorithm: own-rule, strength: 0, momentum: 0, optimiser: adamw")
    method = campaign(neutral).get("pilot", "paper").methods["fedavg-p0.2"]
    assert method.algorithm == Plugin("own-rule", {"strength": 0.0})


def test_a_server_rule_needs_an_average_in_every_round():
    with pytest.raises(
        FedscapeError, match=r"^here\.server: average_every 2 needs server average, got momentum$"
    ):
        build_methods("fedavg", {"rounds": 4, "average_every": 2, "server": "momentum"}, "here")
    build_methods("fedavg", {"rounds": 4, "average_every": 2}, "here")


def test_a_pinned_seed_reaches_the_split_and_nothing_else(campaign):
    study = campaign().get("pilot", "quick")
    wildcards = {"dataset": "digits", "seed": "0"}
    pinned = STAGES["partition"].settings(study, {**wildcards, "partition": "iid-b"})
    free = STAGES["partition"].settings(study, {**wildcards, "partition": "iid"})
    assert (pinned["partition_seed"], pinned["seed"]) == (1001, 0)
    assert free["partition_seed"] == 0


@pytest.mark.parametrize("kind", ["checkpoint", "torchvision"])
def test_a_file_of_weights_that_is_not_there_is_named(campaign, tmp_path, kind):
    """It is no mistake of the study's: who lacks it can look at what there is to do."""
    file = tmp_path / "weights.pth"
    study = campaign(("{kind: random}", f"{{kind: {kind}, file: {file}}}")).get("pilot", "quick")
    place = f"config/studies/pilot.yaml: inits.random.file: {file} not found (looked for it in {Path.cwd()})"
    assert missing_file(study, "random") == place
    assert missing_file(study, "pretrained") is None, "a start that needs none"
    file.touch()
    assert missing_file(study, "random") is None


def test_the_name_of_a_file_that_is_not_there_is_one_line(campaign):
    study = campaign(("{kind: random}", '{kind: checkpoint, file: "a\\nb.pt"}')).get("pilot", "quick")
    assert "inits.random.file: a\\nb.pt not found" in missing_file(study, "random")


@pytest.mark.parametrize("kind", ["checkpoint", "torchvision"])
def test_the_file_that_a_start_is_taken_from_is_an_input(campaign, tmp_path, kind):
    """So Snakemake compares its content, and a job that was stopped starts afresh where it is another."""
    file = tmp_path / "weights.pth"
    file.touch()
    study = campaign(("{kind: random}", f"{{kind: {kind}, file: {file}}}")).get("pilot", "quick")
    wildcards = {"dataset": "digits", "model": "convnet", "init": "random", "seed": "0"}
    assert STAGES["initial"].inputs(study, wildcards)["source"] == [str(file)]
    assert STAGES["initial"].settings(study, wildcards)["initial"] == {"kind": kind, "file": str(file)}
