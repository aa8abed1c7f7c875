"""Studies that are YAML and no studies: an entry of every kind, wrong in every way that its kind allows.

`test_study.py`, `test_claims_study.py`, `test_tables_study.py`, `test_curvature_study.py` and
`test_connections.py` have slips of their own; here are those that nobody makes on purpose.
"""

import os
from itertools import product

import pytest
from broken_input import GONE, STUDY, USER, Repository, changed, refusal

from fedscape.study.jobs import jobs_of

NAMES = ["a/b", "a b", "A", "a" * 33, "a\n", "", ".", "..", "-a", "a,b", "é", "a\\b", "~", "$(id)"]
SECTIONS = {
    "models": {"kind": "cnn"},
    "partitions": {"scheme": "iid", "clients": 2},
    "inits": {"kind": "random"},
    "methods": {"algorithm": "fedavg", "rounds": 2},
    "planes": {"kind": "random"},
    "connectivity": STUDY["connectivity"]["line"],
    "curvature": {},
    "drift": {},
    "figures": STUDY["figures"]["counts"],
    "tables": STUDY["tables"]["table-1"],
}

# place, value, and what is said after the file's name: kinds of values
VALUES = [
    ("title", GONE, "key 'title' is missing"),
    ("title", ["a"], "title: got ['a'], expected text"),
    ("datasets", [], "datasets: got [], needs 1 or more"),
    ("datasets", ["digits", "digits"], "datasets: got ['digits', 'digits'], holds something twice"),
    ("datasets", "digits", "datasets: got 'digits', expected a list"),
    ("seeds", [True], "seeds.0: got True, expected a whole number"),
    ("seeds", [-1], "seeds.0: got -1, must be >= 0"),
    ("models", None, "models: got None, expected keys and values"),
    ("models", {}, "runs[0].model: unknown model 'convnet'; allowed: none"),
    ("models/convnet", ["a"] * 1000, "models.convnet: got ['a', 'a', "),
    ("models/convnet", {"kind": ["cnn"]}, "models.convnet.kind: got ['cnn'], expected text"),
    ("models/convnet", {"widht": 1}, "models.convnet: unknown key 'widht'; allowed: kind"),
    ("validation", 1, "validation: got 1, must be < 1"),
    ("validation", 0.9999, "partitions.iid.clients: 4 clients, but digits has 0 training samples here"),
    ("images", {"mnist": 5}, "images: unknown data set 'mnist'; allowed: digits"),
    ("images", [5], "images: got [5], not one of the allowed forms: a whole number from 1, or `{data set: number}`"),
    ("test_images", 300, "test_images: got 300, but digits has 299"),
    ("partitions/iid/clients", 0, "partitions.iid.clients: got 0, must be >= 1"),
    ("partitions/dir/alpha", None, "partitions.dir.alpha: got None, expected a number"),
    ("partitions/dir/beta", 1, "partitions.dir: unknown key 'beta'; allowed: scheme, clients, seed, alpha"),
    ("inits/random", {"kind": "checkpoint"}, "inits.random: key 'file' is missing"),
    ("inits/random", {"kind": "checkpoint", "file": 5}, "inits.random.file: got 5, expected text"),
    ("inits/random", {"kind": "checkpoint", "file": "a.pkl"}, "inits.random: file must be a .safetensors, .pt or .pth, got a.pkl"),
    ("inits/pretrained/dataset", "nowhere", "inits.pretrained.dataset: unknown data set 'nowhere'; allowed: cifar10, "),
    ("inits/pretrained/epochs", 0, "inits.pretrained: epochs must be >= 1, got 0"),
    ("inits/later/method", "nobody", "inits.later.method: unknown method 'nobody'; allowed: fedavg, tuned.g1, tuned.g2"),
    ("inits/later/partition", "nowhere", "inits.later.partition: unknown partition 'nowhere'; allowed: iid, dir"),
    ("inits/later/round", -1, "inits.later: round must be >= 0 or last, got -1"),
    ("methods/fedavg/lr", True, "methods.fedavg.lr: got True, expected a number"),
    ("methods/fedavg/client_paths", "yes", "methods.fedavg.client_paths: got 'yes', expected true or false"),
    ("methods/fedavg/server", {"lr": 1}, "methods.fedavg.server: got {'lr': 1}, not one of the allowed forms: The server rule"),
    ("methods/fedavg/server", {"kind": 5}, "methods.fedavg.server: unknown server '5'; allowed: adagrad, adam, "),
    ("methods/fedavg/keep_rounds", {"every": 0}, "methods.fedavg.keep_rounds: got {'every': 0}, not one of the allowed forms: `all`, "),
    ("methods/fedavg/client_rounds", [1.5], "methods.fedavg.client_rounds.0: got 1.5, not one of the allowed forms: a round, "),
    ("methods/tuned/mu", -1, "methods.tuned (grid point 1): mu must be >= 0, got -1.0"),
    ("methods/tuned/grid", {"lr": []}, "methods.tuned.grid.lr: got [], needs 1 or more"),
    ("methods/tuned/grid", {"lr": [0.1, 0]}, "methods.tuned (grid point 2): lr must be > 0, got 0.0"),
    ("methods/tuned/grid", {"server.": [0]}, "methods.tuned (grid point 1).server: unknown key ''; allowed: lr, "),
    ("runs", [], "runs: got [], needs 1 or more"),
    ("runs", {}, "runs: got {}, expected a list"),
    ("runs/0", 5, "runs.0: got 5, expected keys and values"),
    ("runs/0/models", "convnet", "runs[0].models: got 'convnet', expected files that end in .safetensors, .pt, .pth"),
    ("runs/0/model", [], "runs.0.model: got [], not one of the allowed forms: a name or a list of names"),
    ("planes/finals/gird", 5, "planes.finals: unknown key 'gird'; did you mean 'grid'? allowed: kind, runs, each, seeds, grid, "),
    ("planes/finals/from", {}, "planes.finals: unknown key 'from'; "),
    ("planes/finals/grid", [3], "planes.finals.grid: got [3], not one of the allowed forms: Points a side, or `[x, y]`"),
    ("planes/finals/each", ["seed"], "planes.finals.each.0: unknown value 'seed'; allowed: model, partition, init, method"),
    ("planes/local/round", "first", "planes.local.round: got 'first', expected a whole number or a number or one of last"),
    ("connectivity/line/from", GONE, "connectivity.line: key 'from' is missing"),
    ("connectivity/line/to", {"partition": "iid"}, "connectivity.line: no pair of runs of this scale matches `from` and `to` (both have one data set and one model, and no run is a pair with itself)"),
    ("connectivity/line/regimes", ["full"], "connectivity.line: unknown key 'regimes'; allowed: kind, from, to, "),
    ("connectivity/layers/groups", {"a b": ["x"]}, "connectivity.layers.groups: name 'a b' may hold only a-z"),
    ("connectivity/layers/clients", [0, 0], "connectivity.layers.clients: got [0, 0], holds something twice"),
    ("curvature/sharp/density", {"steps": 1}, "curvature.sharp.density: got {'steps': 1}, not one of the allowed forms"),
    ("drift/moves", 5, "drift.moves: got 5, expected keys and values"),
    ("figures/surface/plane", GONE, "figures.surface: name one source, one of plane, connectivity, curvature, table, partitions; got none"),
    ("figures/surface/levles", 5, "figures.surface: unknown key 'levles'; "),
    ("figures/accuracy/table", "costs", "figures.accuracy.table: unknown value 'costs'; allowed: runs, rounds, "),
    ("figures/accuracy/measure", "test_acuracy", "figures.accuracy.measure: unknown column 'test_acuracy'; did you mean 'test_accuracy'? allowed: "),
    ("figures/accuracy/rows", {"quantity": "trace"}, "figures.accuracy.rows: unknown column 'quantity'; "),
    ("figures/accuracy/lines", "layer", "figures.accuracy.lines: unknown column 'layer'; "),
    ("figures/counts/partitions", [], "figures.counts.partitions: got [], needs 1 or more"),
    ("labels/0/label", "", "labels.0.label: got '', needs 1 or more"),
    ("claims/0/expect", {"order": "increasing", "above": 1}, "claims.0.expect: got {'order': 'increasing', 'above': 1}, takes at most 1"),
    ("claims/0/plane", "finals", "claims[0]: takes no 'plane' (measure final)"),
    ("tables/table-1/published", {"iid": ["52"]}, "tables.table-1.published.iid.0: '52' is text (write 52; YAML reads numbers in quotes and 1e-1 as text), expected a number or null"),
    ("tables/table-1/columns", [], "tables.table-1.columns: got [], not one of the allowed forms: a key of runs"),
    ("scales", {}, "scales: got {}, needs 1 or more"),
    # values that are no use to anybody, and more of something than anybody can wait for
    ("inits/later/round", 1e308, "inits.later.round: got 1e+308, must be at most 3.4e+38 in size"),
    ("inits/later/round", 1e30, "inits.later.round: got 1e+30, expected a whole number, a share of all rounds in (0, 1], or last"),
    ("inits/later/round", 0.0, "inits.later.round: got 0.0, expected a whole number, a share"),
    ("inits/later/round", 10**10, "inits.later.round: got 10000000000, must be at most 1000000000 in size"),
    ("planes/local/round", 1.5, "planes.local.round: got 1.5, expected a whole number, a share"),
    ("figures/line/title", "x" * 301, "figures.line.title: got 'xxx"),
    ("methods/fedavg/rounds", 10**9 + 1, "methods.fedavg.rounds: got 1000000001, must be at most 1000000000 in size"),
    ("methods/fedavg", {"rounds": 10**9, "keep_rounds": {"every": 1}}, "methods.fedavg.keep_rounds: 1000000001 models (`all` keeps any number), at most 10000 are possible"),
    ("methods/fedavg/lr", 1e300, "methods.fedavg.lr: got 1e+300, must be at most 3.4e+38 in size"),
    ("methods/fedavg/lr", 1e-46, "methods.fedavg: lr must be at least 1.2e-38, below which 32 bits hold 0, got 1e-46"),
    ("methods/tuned/mu", 1e39, "methods.tuned (grid point 1).mu: got 1e+39, must be at most 3.4e+38 in size"),
    ("methods/tuned/grid", {"lr": [0.1] * 1000, "mu": [0.1] * 1000}, "methods.tuned.grid: 1000000 points, at most 1000 are possible"),
    ("methods", {f"m{i}": {"algorithm": "fedavg", "rounds": 2, "grid": {"lr": [1] * 1000}} for i in range(10)}, "methods: 3000 methods, at most 2000 are possible"),
    ("partitions/iid/clients", 10**10, "partitions.iid.clients: got 10000000000, must be <= 1000000000"),
    ("seeds", list(range(1001)), "takes at most 1000"),
    ("seeds", [{"a": i} for i in range(9000)], "seeds: got [{'a': 0}, "),
    ("runs", [{"seed": [0] * 1000, "model": ["cnn"] * 1000}], "runs: 18000000 runs, at most 20000 are possible"),
    ("planes/finals/grid", 1000, "planes.finals.grid: got 1000, not one of the allowed forms: Points a side, or `[x, y]`, at most 501 each"),
    ("planes/finals/margin", 1e300, "planes.finals.margin: got 1e+300, must be <= 1000"),
    ("connectivity/line/points", 10**6 + 1, "connectivity.line.points: got 1000001, must be <= 10001"),
    ("connectivity/layers/directions", 10**9, "connectivity.layers.directions: got 1000000000, must be <= 10000"),
    ("curvature/sharp/top", 10**9, "curvature.sharp.top: got 1000000000, must be <= 10000"),
    ("curvature/sharp/density", {"steps": 10**9}, "curvature.sharp.density: got {'steps': 1000000000}, not one of the allowed forms"),
    ("labels/0/label", "x" * 201, "takes at most 200 characters"),
    ("claims/0/claim", "x" * 1001, "takes at most 1000 characters"),
    ("scales", {"huge": {}}, "scales: unknown value 'huge'; allowed: smoke, quick, small, paper"),
    ("scales/smoke", None, "scales.smoke: got None, expected keys and values"),
    ("scales/smoke/all_methods", {"rounds": None}, "(scale smoke): methods.fedavg.rounds: got None, expected a whole number"),
    ("scales/smoke/methods", {"fedavg": 5}, "(scale smoke): methods.fedavg: got 5, expected keys and values"),
    ("scales/smoke/methods", {"fedavg": None}, "(scale smoke): inits.later.method: unknown method 'fedavg'; allowed: tuned.g1, tuned.g2"),
    ("scales/smoke/runs", [], "(scale smoke): runs: got [], needs 1 or more"),
    ("scales/smoke/datasets", ["nothing"], "(scale smoke): datasets: unknown data set 'nothing'; allowed: cifar10, "),
]  # fmt: skip

# Kinds are files that are found by name: none but these files can be named.
KINDS = {
    "models/convnet/kind": "model",
    "partitions/iid/scheme": "partition",
    "inits/random/kind": "initial",
    "methods/fedavg/algorithm": "algorithm",
    "methods/tuned/server/kind": "server",
    "planes/finals/kind": "plane",
    "figures/surface/kind": "figure",
    "claims/0/measure": "measure",
    "tables/table-1/columns/0/measure": "measure",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("bad"))


def test_the_study_itself_is_read(repository):
    assert repository.read().every == [("pilot", "paper"), ("pilot", "smoke")]


@pytest.mark.parametrize(("place", "value", "message"), VALUES)
def test_a_wrong_value_is_named_with_its_place(repository, place, value, message):
    said = refusal(repository.read, changed(STUDY, place, value))
    assert said.startswith("config/studies/pilot.yaml") and message in said


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"table": "curvature", "column": "value"}, "ends.rounds: last-fifth is of table runs, and this is curvature; allowed: last"),
        ({"table": "runs", "column": "best_test_accuracy"}, "ends.column: best_test_accuracy is not by round, and rounds is last-fifth"),
    ],
)  # fmt: skip
def test_a_mean_over_rounds_is_of_what_has_rounds(repository, entry, message):
    ends = {"kind": "finals", "along": "partition", "rounds": "last-fifth"}
    assert repository.read({**STUDY, "figures": {"ends": {**ends, "table": "runs"}}}).every
    said = refusal(repository.read, {**STUDY, "figures": {"ends": {**ends, **entry}}})
    assert said.endswith(f": figures.{message}")


def test_what_tells_runs_apart_is_a_name_of_theirs_or_a_setting_that_all_of_them_try_out(repository):
    def study(along, table="runs", **where):
        return {
            **STUDY,
            "figures": {"ends": {"kind": "finals", "table": table, "along": along, "where": where}},
        }

    def allowed(*tried):
        return ", ".join(["allowed: dataset, model, partition, init, method, seed", *tried])

    assert repository.read(study("lr", method="tuned")).every  # it has a grid, fedavg has none
    said = refusal(repository.read, study("lr"))
    assert said.endswith(f"figures.ends.along: unknown name 'lr'; {allowed()}")
    said = refusal(repository.read, study("lrr", method="tuned"))
    assert said.endswith(f"figures.ends.along: unknown name 'lrr'; did you mean 'lr'? {allowed('lr')}")
    said = refusal(repository.read, study("lr", table="rounds", method="tuned"))
    assert said.endswith(f"figures.ends.along: unknown name 'lr'; {allowed()}")


@pytest.mark.parametrize(("section", "name"), [*product(SECTIONS, ["../x"]), *product(["partitions"], NAMES)])
def test_a_name_cannot_leave_its_folder(repository, section, name):
    study = {**STUDY, section: {**STUDY[section], name: SECTIONS[section]}}
    shown = name.replace("\n", "\\n")
    assert refusal(repository.read, study) == (
        f"config/studies/pilot.yaml: {section}: name '{shown}' may hold only a-z, 0-9, '.' and '-', starts with a "
        "letter or digit, and has at most 32 of them"
    )


def test_a_study_without_runs_is_refused(repository):
    study = changed(changed(STUDY, "runs", [{}]), "models", {})
    assert refusal(repository.read, study) == (
        "config/studies/pilot.yaml (scale paper): runs: there are none, since the study has no model"
    )


def test_starts_may_follow_one_another_but_not_without_end(repository):
    def study(length):
        inits = {"i0": {"kind": "random"}}
        for n in range(length):
            inits[f"i{n + 1}"] = {
                "kind": "after-round",
                "init": f"i{n}",
                "partition": "iid",
                "method": "fedavg",
                "round": 2,
            }
        small = {key: STUDY[key] for key in ("title", "datasets", "models", "partitions", "methods")}
        run = {"model": "cnn", "partition": "iid", "init": f"i{length}", "method": "fedavg"}
        return {**small, "inits": inits, "runs": [run], "scales": {"smoke": {}}}

    read = repository.read(study(100)).get("pilot", "smoke")
    assert len(read.runs) == 101 and len(jobs_of(read)) > 202
    assert "starts that continue one another, at most 100 are possible" in refusal(
        repository.read, study(101)
    )
    assert "starts that continue one another, at most 100" in refusal(repository.read, study(900))


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        ("planes", {"kind": "random", "runs": [{}] * 100, "each": ["method"], "grid": 5}, "planes: too many selections (10000)"),
        ("claims", {**STUDY["claims"][0], "cases": [{"partition": "iid"}] * 100}, "claims: too many selections (10000)"),
        ("tables", {**STUDY["tables"]["table-1"], "rows": [{"label": str(i)} for i in range(50)], "columns": [{"label": str(i)} for i in range(50)]}, "tables: too many selections (250000)"),
        ("connectivity", {"kind": "path", "from": {}, "to": {}, "seeds": "together", "points": 5}, "pairs of runs, at most 100000 are possible"),
    ],
)  # fmt: skip
def test_selections_are_not_compared_with_every_run_without_end(repository, section, entry, message):
    small = {key: STUDY[key] for key in ("title", "datasets", "models", "partitions", "inits", "methods")}
    entries = [entry] * 100 if section == "claims" else {f"e{i}": entry for i in range(100)}
    many = {"seeds": list(range(1000)), "runs": [{"init": "random", "partition": "iid"}], section: entries}
    said = refusal(repository.read, {**small, **many, "scales": {"smoke": {}}})
    assert said.startswith("config/studies/pilot.yaml (scale smoke): ") and message in said


def test_names_that_are_no_file_name_together_are_refused(repository):
    a = "a" * 32
    study = {
        "title": "A study", "datasets": [a], "models": {a: {"kind": "cnn"}}, "seeds": [2**63 - 1],
        "partitions": {a: STUDY["partitions"]["iid"]}, "inits": {a: {"kind": "random"}},
        "methods": {a: {"algorithm": "fedavg", "rounds": 2}}, "runs": [{}], "scales": {"smoke": {}},
    }  # fmt: skip
    config = {**USER, "datasets": {a: {"kind": "digits"}}}
    assert repository.read(study, config).every == [("pilot", "smoke")]
    entry = {"kind": "trajectory", "each": ["model", "partition", "init", "method"], "grid": 5}
    said = refusal(repository.read, {**study, "planes": {a: entry}}, config)
    assert (
        f"planes.{a}: its files would have names of " in said
        and "at most 255 are possible; shorten one" in said
    )


def test_the_longest_name_of_all_parts_is_a_file_name(repository):
    long = "a" * 32
    study = {**STUDY, "partitions": {**STUDY["partitions"], long: SECTIONS["partitions"]}}
    assert long in repository.read(study).get("pilot", "paper").partitions
    # A log is called after an analysis, its group (data set, four names, seed) and a part; methods have `.g12`.
    assert len("_".join([long] * 6 + [".g123", "seed18446744073709551616", "100-of-100.log"])) <= 255


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *product(KINDS, ["../finals"]),
        *product(["models/convnet/kind"], ["cnn/x", "cnn.py", "__init__", "", ".", "os", "models.cnn"]),
    ],
)
def test_a_kind_is_a_plug_in_of_its_role(repository, place, kind):
    said = refusal(repository.read, changed(STUDY, place, kind))
    assert said.startswith("config/studies/pilot.yaml (scale paper): ")
    assert f"unknown {KINDS[place]} '{kind}';" in said and "allowed: " in said


@pytest.mark.parametrize(
    "name", ["..x", "a-b", "a.b", "A", "é", "a" * 33, "all", "train", "dataset", "data", "a\nb"]
)
def test_a_study_is_one_word(tmp_path, name):
    repository = Repository(tmp_path)
    (repository.studies / f"{name}.yaml").write_text("title: x\n")
    if name.startswith("."):  # hidden: editors keep drafts under such names
        assert repository.read().targets == ["pilot"]
        return
    said = refusal(repository.read)
    assert (
        said.startswith("config/studies/")
        and "a study's name is one word of a-z and 0-9, at most 32 of them, and none of all, " in said
    )


@pytest.mark.parametrize("kind", ["folder", "dangling link", "bytes", "fifo", "device"])
def test_a_study_that_cannot_be_read_is_named(tmp_path, kind):
    repository = Repository(tmp_path)
    file = repository.studies / "mine.yaml"
    if kind == "folder":
        file.mkdir()
    elif kind == "dangling link":
        file.symlink_to("nowhere.yaml")
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(b"\xff\xfe\0")
    assert refusal(repository.read).startswith(f"{file}: ")
