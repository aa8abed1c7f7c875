"""Runs of a study that were trained elsewhere: their files, jobs, and what is refused."""

import json
import struct

import pytest
from broken_input import STUDY, Repository, changed, refusal

from fedscape.study.grid import Run
from fedscape.study.jobs import check_job_names, jobs_of
from fedscape.study.resolved import resolved_text
from fedscape.study.stages.every import STAGES
from fedscape.study.study import UnknownName

ENTRY = {
    "models": "mine/round-*.pt",
    "clients": "mine/client-{client}/round-{round}.pt",
    "dataset": "digits",
    "model": "convnet",
    "partition": "iid",
    "seed": 0,
    "init": "theirs",
    "method": "flower",
}
OURS = {
    **{key: STUDY[key] for key in ("title", "datasets", "seeds", "models", "partitions", "inits", "methods")},
    "runs": STUDY["runs"],
    "scales": {"paper": {}, "smoke": {}},
}
RUN = Run("digits", "convnet", "iid", "theirs", "flower", 0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a user, with rounds 0 to 4, of which 2 is missing, and clients of round 4."""
    monkeypatch.chdir(tmp_path)
    names = [f"round-{number:02}" for number in (0, 1, 3, 4)] + ["round-last", "round-1-old"]
    names += [f"client-{client}/round-4" for client in (3, 0)]
    for name in names:
        file = tmp_path / "mine" / f"{name}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.fixture
def read(folder):
    """Reads the study with an entry of imported runs, after changes to that."""
    (folder / "repository").mkdir()
    repository = Repository(folder / "repository")

    def read(study=OURS, **changes):
        entry = {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}
        return repository.read({**study, "runs": [*study["runs"], entry]}).get("pilot", "paper")

    return read


def test_files_are_numbered_by_their_names(read):
    study = read()
    files = study.imports[RUN.path]
    assert files.rounds == (0, 1, 3, 4)
    assert files.models == tuple(f"mine/round-{number:02}.pt" for number in (0, 1, 3, 4))
    assert files.clients == ((4, 0), (4, 3))
    assert files.client_models == ("mine/client-0/round-4.pt", "mine/client-3/round-4.pt")
    assert RUN in study.runs and RUN not in study.trained_runs
    method = study.methods["flower"]
    assert method.rounds == 4 and not method.keeps(2) and method.client_rounds == [4]


def test_an_imported_run_is_a_job_of_its_stage_alone(read):
    study = read(map={"module.": "", "extra": None})
    jobs = [job for job in jobs_of(study) if job.wildcards.get("method") == "flower"]
    assert [job.rule for job in jobs] == ["import"]
    assert {"mine/round-00.pt", "mine/client-3/round-4.pt"} <= {*jobs[0].inputs}
    assert not [job for job in jobs_of(study) if job.rule == "initial" and "theirs" in job.outputs[0]]
    settings = STAGES["import"].settings(study, RUN.names)
    assert settings["names"] == [["extra", None], ["module", ""]]
    assert settings["rounds"] == [0, 1, 3, 4]
    check_job_names(STAGES["import"], study, RUN.names)
    with pytest.raises(UnknownName):
        STAGES["import"].settings(study, {**RUN.names, "init": "nowhere"})
    with pytest.raises(UnknownName):
        STAGES["train"].settings(study, RUN.names)
    assert "mine/round-00.pt" in resolved_text(study, {})


def test_settings_say_which_file_is_which_model(folder, read):
    """Two patterns may match the same files, with rounds and clients exchanged."""
    (folder / "mine" / "round-02.pt").touch()
    for client, number in ((1, 3), (3, 1)):
        (folder / f"{client}-{number}.pt").touch()
    settings = [
        STAGES["import"].settings(read(clients=pattern, models="mine/round-*.pt"), RUN.names)
        for pattern in ("{client}-{round}.pt", "{round}-{client}.pt")
    ]
    assert settings[0]["clients"] == settings[1]["clients"] == [[1, 3], [3, 1]]
    assert settings[0]["client_models"] == settings[1]["client_models"][::-1] == ["3-1.pt", "1-3.pt"]
    assert settings[0]["models"] == [f"mine/round-{number:02}.pt" for number in range(5)]


def test_analyses_see_imported_runs_by_their_labels(read):
    planes = {"both": {"kind": "trajectory", "runs": [{"init": "theirs"}], "each": ["method"], "grid": 5}}
    study = read({**OURS, "planes": planes})
    (group,) = study.analyses["planes"]["both"].groups.values()
    assert group == (RUN,)
    # What an entry of ours leaves out means the names that the study defines.
    assert not [run for run in study.trained_runs if run.method == "flower" or run.init == "theirs"]


def test_what_the_owner_measured_reaches_the_job_with_the_samples(read):
    bare = read()
    assert STAGES["import"].inputs(bare, RUN.names)["partition"] == []
    study = read(measured={"loss": 0.1, "round": 3})
    known = {"round": 3, "split": "test", "loss": 0.1, "accuracy": None, "tolerance": 0.001}
    assert STAGES["import"].settings(study, RUN.names)["measured"] == known
    assert STAGES["import"].inputs(study, RUN.names)["partition"].endswith("digits/iid/seed0.npz")
    assert read(measured={"accuracy": 1}).imports[RUN.path].measured.round == 4


def test_a_study_may_have_imported_runs_alone(folder, read):
    bare = {key: OURS[key] for key in ("title", "datasets", "models", "partitions", "scales")}
    study = read({**bare, "runs": []})
    assert study.runs == (RUN,)


def test_seeds_have_files_of_their_own(folder, read):
    for seed in (0, 1):
        (folder / "mine" / f"seed{seed}-round-1.pt").touch()
    study = read(seed=None, models="mine/seed{seed}-round-*.pt", clients=None)
    assert sorted(study.imports) == [RUN.path, RUN.path.replace("seed0", "seed1")]
    said = refusal(read, seed=None, clients=None)
    assert said.endswith("models: the same files for several runs; put {seed} where their names differ")
    both = {"seed": None, "models": "mine/seed{seed}-round-*.pt", "clients": None}
    assert "measured: is of one run, and the entry is of 2" in refusal(read, **both, measured={"loss": 1.0})


def write_header(path, names) -> None:
    header = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())


def test_a_file_may_hold_all_rounds(folder, read):
    write_header(folder / "all.safetensors", ["10/conv.weight", "9/conv.weight", "9/fc.weight"])
    files = read(models="all.safetensors", clients=None).imports[RUN.path]
    assert files.rounds == (9, 10) and files.models == ("all.safetensors",)
    write_header(folder / "all.safetensors", ["0/conv.weight", "00/conv.weight"])
    said = refusal(read, models="all.safetensors", clients=None)
    assert said.endswith("all.safetensors: round 0 is spelled in two ways")
    write_header(folder / "all.safetensors", ["conv.weight"])
    said = refusal(read, models="all.safetensors", clients=None)
    assert said.endswith("all.safetensors: expected entries called <round>/<entry>, got 'conv.weight'")


def write_own(path, kind, rounds, clients=()) -> None:
    """The header of a file of a run of ours, and the numbers of its clients."""
    body = struct.pack(f"<4x{len(clients) * 2}q", *(number for row in clients for number in row))
    shape = [len(clients), 2]
    header = {
        "__metadata__": {"kind": kind, "rounds": json.dumps(rounds), "layout": "{}"},
        "parameters": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "clients": {"dtype": "I64", "shape": shape, "data_offsets": [4, len(body)]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_the_files_of_a_run_of_ours_say_which_rounds_and_clients_they_hold(folder, read):
    write_own(folder / "trajectory.safetensors", "trajectory", [0, 2, 3])
    write_own(folder / "clients.safetensors", "clients", [3], [(1, 3)])
    files = read(models="trajectory.safetensors", clients="clients.safetensors").imports[RUN.path]
    assert files.rounds == (0, 2, 3) and files.clients == ((3, 1), (3, 3))
    said = refusal(read, models="clients.safetensors", clients=None)
    assert "clients.safetensors: holds a clients file's models, expected trajectory" in said
    (folder / "clients.safetensors").write_bytes((folder / "clients.safetensors").read_bytes()[:-8])
    said = refusal(read, models="trajectory.safetensors", clients="clients.safetensors")
    assert "clients.safetensors: not a whole file of models" in said


@pytest.mark.parametrize(
    ("rounds", "clients", "words"),
    [
        ([-3, 2], (1, 3), "trajectory.safetensors: a model of round -3; allowed are whole numbers from 0 to"),
        ([1.7, 3], (1, 3), "a model of round 1.7; allowed"),
        ([10**9], (1, 3), "a model of round 1000000000; allowed"),
        ([True], (1, 3), "a model of round True; allowed"),
        ([2, 3], (-1, 3), "clients.safetensors: a model of round 3 client -1; allowed"),
        ([2, 3], (3, 3), "clients.safetensors: not a whole file of models (a client twice in round 3)"),
    ],
)
def test_numbers_that_no_round_and_client_can_have_are_refused(folder, read, rounds, clients, words):
    write_own(folder / "trajectory.safetensors", "trajectory", rounds)
    write_own(folder / "clients.safetensors", "clients", [3], [clients])
    assert words in refusal(read, models="trajectory.safetensors", clients="clients.safetensors")


def test_a_round_that_stands_twice_in_a_name_is_the_same_twice(folder, read):
    for name in ("r1/x-1", "r1/x-2", "r2/x-2"):
        file = folder / "twice" / f"{name}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    files = read(models="twice/r{round}/x-{round}.pt", clients=None).imports[RUN.path]
    assert files.models == ("twice/r1/x-1.pt", "twice/r2/x-2.pt") and files.rounds == (1, 2)


def test_files_that_are_numbered_from_the_round_before_and_a_start_apart(folder, read):
    """As fluke names them: r0000_server.pth is the model after round 1."""
    fluke = folder / "fluke"
    fluke.mkdir()
    for name in ("init", "r0000_server", "r0001_server", "r0000_client_2", "r0000_client_3"):
        (fluke / f"{name}.pth").touch()
    keys = {"models": "fluke/r*_server.pth", "clients": "fluke/r*_client_*.pth", "offset": 1}
    files = read(**keys, start="fluke/init.pth").imports[RUN.path]
    assert files.rounds == (0, 1, 2) and files.clients == ((1, 2), (1, 3))
    assert files.models == ("fluke/init.pth", "fluke/r0000_server.pth", "fluke/r0001_server.pth")
    said = refusal(read, **keys)
    assert "clients of round 1 start from the global model of round 0, which is missing" in said
    assert "start: fluke/new.pth not found" in refusal(read, **keys, start="fluke/new.pth")
    both = refusal(read, start="fluke/init.pth")
    assert "start: both fluke/init.pth and mine/round-00.pt are round 0" in both
    assert "offset: mine/round-00.pt would be of round -1" in refusal(read, offset=-1)
    write_own(folder / "trajectory.safetensors", "trajectory", [0])
    together = {"models": "trajectory.safetensors", "clients": None}
    assert "offset: is for files of a model each" in refusal(read, **together, offset=1)
    assert "start: is for files of a model each" in refusal(read, **together, start="fluke/init.pth")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": "theirs/*.pt"}, "models: no file is called theirs/*.pt, with digits for the round"),
        ({"models": "mine/*/*.pt"}, "models: got 'mine/*/*.pt', expected a `*` each for the round, or none"),
        ({"models": "mine/round-*.pkl"}, "models: got 'mine/round-*.pkl', expected files that end in "),
        (
            {"models": "mine/round-01.pt"},
            "models: got 'mine/round-01.pt', expected `*` where its name has the round",
        ),
        ({"models": "all.safetensors"}, "models: all.safetensors not found; `*` stands for the round where "),
        (
            {"clients": "mine/*.pt"},
            "clients: got 'mine/*.pt', expected a `*` each for the round and the client",
        ),
        ({"init": None}, "key 'init' is missing, a name for it in paths and tables"),
        ({"method": "fedavg"}, "method: 'fedavg' is one of `methods`, by which runs are trained here; "),
        ({"method": "a/b"}, "method: name 'a/b' may hold only a-z, 0-9"),
        ({"method": "a.g1"}, "method: names that end in .g and a number are those of grid points"),
        ({"partition": "nowhere"}, "partition: unknown partition 'nowhere'; allowed: iid, dir"),
        ({"models": None}, "key 'clients' needs key 'models'"),
        ({"map": {"a": 5}}, "map.a: got 5, expected text or null"),
        ({"measured": {"round": 3}}, "measured: needs loss or accuracy, or both"),
        ({"measured": {"loss": 0.1, "round": 2}}, "measured.round: no model of round 2"),
        ({"measured": {"accuracy": 99}}, "accuracy must be >= 0 and <= 1, a share, got 99"),
        ({"measured": {"los": 0.1}}, "unknown key 'los'"),
    ],
)
def test_what_cannot_be_imported_is_said_in_a_line(read, changes, said):
    message = refusal(read, **changes)
    assert "runs[2]" in message or "runs.2" in message
    assert said in message


def test_files_that_do_not_go_together_are_refused(folder, read):
    mine = folder / "mine"
    (mine / "client-5").mkdir()
    (mine / "client-5" / "round-4.pt").touch()
    assert "client 5 of round 4, but the partition has 4 clients from 0" in refusal(read)
    (mine / "client-5" / "round-4.pt").unlink()
    (mine / "client-0" / "round-1.pt").touch()
    assert "1 models of clients in round 1 and 2 in round 4; each round has the same" in refusal(read)
    (mine / "client-0" / "round-1.pt").rename(mine / "client-0" / "round-3.pt")
    assert "clients of round 3 start from the global model of round 2, which is missing" in refusal(read)
    (mine / "client-0" / "round-3.pt").unlink()
    (mine / "round-4.pt").touch()
    assert "both mine/round-04.pt and mine/round-4.pt are round 4" in refusal(read)


def test_one_model_is_looked_at_alone(tmp_path):
    """A method with rounds 0 keeps the start; what needs more models says so."""
    repository = Repository(tmp_path)
    study = {key: OURS[key] for key in ("title", "datasets", "models", "partitions")} | {
        "methods": {"look": {"algorithm": "fedavg", "rounds": 0, "client_rounds": ["last"]}},
        "runs": [{"model": "cnn", "partition": "iid"}],
        "planes": {"any": {"kind": "random"}, "sharp": {"kind": "eigenvectors"}},
        "curvature": {"all": {"top": 1}},
        "drift": {"moves": {}},
        "scales": {"paper": {}, "smoke": {}},
    }
    read = repository.read(study).get("pilot", "paper")
    assert read.methods["look"].rounds == 0 and read.methods["look"].client_rounds == []
    assert {"train", "plane", "curvature"} <= {job.rule for job in jobs_of(read)}
    for plane, said in (
        ({"kind": "trajectory"}, "digits_all_seed0 has one model; use kind random or eigenvectors"),
        ({"kind": "clients", "round": "last"}, "round 0 is not among the client_rounds of look (none)"),
        ({"kind": "finals"}, "kind finals takes at least 2 run(s) a group"),
    ):
        assert said in refusal(repository.read, {**study, "planes": {"it": plane}})


def test_a_start_may_continue_an_imported_run_and_no_other(read):
    later = {"kind": "after-round", "init": "theirs", "partition": "iid", "method": "flower", "round": 3}
    entry = {"model": "convnet", "method": "fedavg", "partition": "iid", "seed": 0, "init": "on"}
    study = {**OURS, "inits": {**OURS["inits"], "on": later}, "runs": [*OURS["runs"][1:], entry]}
    assert RUN in read(study).runs
    other = changed(study, "inits/on/partition", "dir")
    assert "inits.on: no entry of runs imports digits/convnet/dir/theirs/flower/seed0" in refusal(read, other)
    gone = changed(study, "inits/on/round", 2)
    assert "inits.on.round: round 2 is not among the keep_rounds of flower" in refusal(read, gone)
