"""What a user sees of bad input: one line of ours below what Snakemake says of itself, and nothing written.

The messages themselves are tested in tests/unit/*/test_bad_*.py.
"""

import pytest
from clone import Clone

SETTINGS = "config/config.yaml"
SMALLEST = """
title: Mine
datasets: [digits]
seeds: [0]
models: {convnet: {}}
partitions: {iid: {scheme: iid, clients: 4}}
methods: {fedavg: {rounds: 2, lr: 0.1}}
"""
CASES = {
    "settings that are no YAML": (
        {SETTINGS: "study: [pilot\n"}, [],
        "config/config.yaml:2: expected ',' or ']', but got '<stream end>'",
    ),
    "a setting twice": (
        {SETTINGS: "study: pilot\nstudy: fedalign\nscale: quick\ndata_root: data\n"}, [],
        "config/config.yaml:2: key 'study' stands twice",
    ),
    "a setting twice in a file of one's own": (
        {"mine.yaml": "scale: smoke\nscale: quick\n"}, ["--configfile", "mine.yaml"],
        "mine.yaml:2: key 'scale' stands twice",
    ),
    "settings that are a template": (
        {SETTINGS: "__use_yte__: true\n__definitions__:\n  - open('results/owned', 'w')\n"}, [],
        "config/config.yaml: key '__use_yte__': templates run code; settings are plain YAML here",
    ),
    "a study above its folder": (
        {}, ["--config", "study=../pilot"],
        "config/config.yaml or --config: study: unknown study '../pilot'; did you mean 'pilot'?",
    ),
    "a study that is no YAML": (
        {"config/studies/mine.yaml": "title: 'mine\n"}, [],
        "config/studies/mine.yaml:2: found unexpected end of stream",
    ),
    "settings of another kind": (
        {}, ["--config", "scale=[]"], "config/config.yaml or --config: scale: got [], expected text",
    ),
    "a number that is not what it shows": (
        {"config/studies/mine.yaml": "title: mine\nseeds: [010]\n"}, [],
        "config/studies/mine.yaml:2: '010' is read as 8; write that, or put it in quotes if it is text",
    ),
    "a run that no study has": (
        {}, ["results/pilot/quick/runs/digits/convnet/nowhere/random/fedavg/seed0/final.safetensors"],
        "no 'nowhere' in this study; config/studies lists its names",
    ),
    "a path of a connection of another kind": (
        {}, ["results/layerwise/smoke/connectivity/layers-runs/nowhere/path.csv"],
        "fedscape: path: no 'layers-runs/nowhere' in this study",
    ),
    "a part of a surface that has not as many": (
        {}, ["results/pilot/quick/planes/global-random/digits_convnet_seed0/parts/7-of-9.npz"],
        "fedscape: surface_part: no 'global-random/digits_convnet_seed0/7/9' in this study",
    ),
    "a study that is misspelt": (
        {}, ["pilott"],
        "no study or rule 'pilott'; did you mean 'pilot'? studies: fedalign, flatness, frameworks, layerwise, pilot, pretraining, remedies",
    ),
    "a misspelt study's seed": ({}, ["pilott_seed0"], "no study or rule 'pilott'; did you mean 'pilot'?"),
    "a seed that a study has not": (
        {}, ["pilot_seed9"], "study 'pilot' has no seed 9 at scale 'quick'; it has: 0",
    ),
    "a scale that a study has not": (
        {"config/studies/mine.yaml": SMALLEST}, ["mine", "--config", "scale=paper"],
        "study 'mine' has no scale 'paper'; it has: quick",
    ),
    "the seed of a study without the scale": (
        {"config/studies/mine.yaml": SMALLEST}, ["mine_seed0", "--config", "scale=paper"],
        "study 'mine' has no scale 'paper'; it has: quick",
    ),
    "a stage that is misspelt": (
        {}, ["pilot", "--forcerun", "trian"], "no study or rule 'trian'; did you mean 'train'?",
    ),
    "a data set that nobody knows": (
        {}, ["results/data/nowhere/dataset.json"], "fedscape: dataset: no 'nowhere' in this study",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """A clone in which nothing has been made."""
    return Clone(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_at_a_dry_run(clone, case):
    files, arguments, message = CASES[case]
    before = {file: (clone.folder / file).read_bytes() for file in files if (clone.folder / file).exists()}
    try:
        for file, text in files.items():
            (clone.folder / file).write_text(text)
        refused(clone, message, "-n", *arguments)
    finally:
        for file in files:
            (clone.folder / file).unlink()
            if file in before:
                (clone.folder / file).write_bytes(before[file])


@pytest.mark.parametrize(
    "targets", [["pretraining", "--config", "scale=paper"], ["results/pretraining/paper/tables/runs.csv"]]
)
def test_weights_that_are_not_there_are_listed_at_a_dry_run(clone, targets):
    """Each file once, and the jobs all the same: who looks at what there is to do need not have them."""
    done = clone.snakemake("-n", *targets)
    lines = [line for line in done.stdout.splitlines() if line.startswith("fedscape: ")]
    wanted = {"pretrained": "resnet18-f37072fd.pth", "pretrained-writers": "squeezenet1_0-b66bff10.pth"}
    assert len(lines) == 2 and set(lines) == {
        f"fedscape: missing for a run: config/studies/pretraining.yaml: inits.{init}.file: weights/{file} "
        f"not found (looked for it in {clone.folder})"
        for init, file in wanted.items()
    }
    stages = {words[1] for line in done.stdout.splitlines() if (words := line.split())[0].isdecimal()}
    assert {"pretrain", "train"} <= stages


def test_weights_that_are_not_there_end_a_run_and_leave_no_lock(clone):
    """In one line that names them all, before anything is written."""
    arguments = ["--cores", "1", "pretraining", "--config", "scale=paper"]
    refused(clone, "weights/squeezenet1_0-b66bff10.pth not found", *arguments)
    refused(clone, "inits.pretrained.file: weights/resnet18-f37072fd.pth not found", *arguments)
    assert not list((clone.folder / ".snakemake" / "locks").glob("*"))


def test_bad_data_is_one_line_of_the_job(clone):
    pets = clone.folder / "data" / "pets"
    for name in ("cat", "dog"):
        (pets / name).mkdir(parents=True)
        (pets / name / "0.png").write_bytes(b"no image")
        (pets / name / "1.png").write_bytes(b"no image")
    (clone.folder / "mine.yaml").write_text(
        "datasets: {pets: {kind: image-folder, folder: pets, test_fraction: 0.5}}\n"
    )
    done = clone.snakemake(
        "--cores", "1", "results/data/pets/dataset.json", "--configfile", "mine.yaml", check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stdout
    (line,) = {line for line in done.stdout.splitlines() if line.startswith("fedscape: ")}
    assert "pets: cannot read image data/pets/cat/" in line and line.endswith("; replace or remove it")
    assert done.stdout.count("dataset failed; its log: results/data/logs/pets.log") == 1
    assert "RuleException" not in done.stdout and "WorkflowError" not in done.stdout
    assert (clone.folder / "results/data/logs/pets.log").read_text().endswith(f"{line}\n")
    assert not (clone.folder / "results/data/pets/dataset.json").exists()


def refused(clone: Clone, message: str, *arguments: str) -> None:
    done = clone.snakemake(*arguments, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout and done.stdout.count("fedscape: ") == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("fedscape: ") and message in last
    assert [path.name for path in (clone.folder / "results").iterdir()] == ["README.md"]
