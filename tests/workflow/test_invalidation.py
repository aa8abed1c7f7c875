"""The central promise: an edit makes again exactly the jobs that it touches. Edit -> jobs, by `snakemake -n`."""

import shutil
from pathlib import Path

import pytest

STUDY = "config/studies/pilot.yaml"
QUICK = "    all_methods: {rounds: 20, local_epochs: 2, lr: 0.03}"
ALPHAS = ("iid", "dir1.0", "dir0.5", "dir0.3", "dir0.1")
FINALS = ("iid", "dir1.0", "dir0.5", "dir0.1")
STARTS = ("random", "pretrained")
Run = tuple[str, str, str, str]  # model, partition, init, method

# The quick study, written down a second time by hand: its runs, what is made of which, and nothing else.
RUNS: set[Run] = {
    *(("convnet", p, init, "fedavg") for p in (*FINALS, "iid-b") for init in STARTS),
    *(("resnet20", p, init, "fedavg-short") for p in FINALS for init in STARTS),
    *(("convnet", p, "iid-round", "fedavg") for p in ALPHAS),
    ("convnet", "dir0.3", "random", "fedavg"),
    *(("convnet", "dir1.0", f"{init}-end", "fedavg-more") for init in ("pretrained", "iid-round")),
    *(("convnet", p, "random", f"fedavg-p{s}") for p in ("iid-50", "dir0.5-50") for s in (0.2, 0.5, 0.8)),
}
CONTINUED = {  # start -> the run that it continues
    "iid-round": ("convnet", "iid", "random", "fedavg"),
    "pretrained-end": ("convnet", "dir1.0", "pretrained", "fedavg"),
    "iid-round-end": ("convnet", "dir1.0", "iid-round", "fedavg"),
}


def runs(model="convnet", partition=None, init=None, method=None) -> set[Run]:
    """Runs by name; None means all names."""
    wanted = (model, partition, init, method)

    def fits(run: Run) -> bool:
        return all(want is None or name in ([want] if isinstance(want, str) else want)
                   for name, want in zip(run, wanted, strict=True))  # fmt: skip

    return {run for run in RUNS if fits(run)}


def groups(folder: str, each: dict[str, set[Run]]) -> dict[str, set[Run]]:
    return {f"{folder}/digits_{name}_seed0": members for name, members in each.items()}


PLANES = {
    **groups("planes/global-random", {"all": runs(partition=ALPHAS, init="random", method="fedavg")}),
    **groups("planes/global-pretrained", {"all": runs(partition=ALPHAS, init=("pretrained", "pretrained-end"))}),
    **groups("planes/global-iid-round", {"all": runs(init=("iid-round", "iid-round-end"))}),
    **groups("planes/single", {"all": runs(partition="dir0.3", init="random")}),
    **groups("planes/participation", {p: runs(partition=p) for p in ("iid-50", "dir0.5-50")}),
    **groups("planes/finals", {init: runs(partition=FINALS, init=init) for init in STARTS}),
    **groups("planes/finals-resnet20", {init: runs(model="resnet20", init=init) for init in STARTS}),
    **groups("planes/local-early", {"all": runs(partition="dir0.3", init="random")}),
    **groups("planes/local", {p: runs(partition=p, init="random", method="fedavg") for p in FINALS}),
}  # fmt: skip
PATHS = groups("connectivity/finals", {i: runs(partition=(*FINALS, "iid-b"), init=i) for i in STARTS})
BARRIERS = groups("connectivity/clients", {"all": runs(partition="dir0.1", init="random")})
HESSIANS = groups("curvature/start-and-end", {init: runs(partition=FINALS, init=init) for init in STARTS})
DRIFT = groups("drift/updates", {"convnet": runs()})
FIGURES = {  # figure -> the folder that it is drawn from
    "figure-1": "planes/global-iid-round",
    "figure-1-random": "planes/global-random",
    "figure-2a": "planes/single",
    "figure-2b": "planes/local-early",
    "figure-3a": "planes/finals/digits_random",
    "figure-3b": "planes/finals-resnet20/digits_random",
    "figure-3c": "connectivity/finals/digits_random",
    "figure-4": "planes/local/",
    "figure-5a": "planes/finals/digits_pretrained",
    "figure-5b": "planes/finals-resnet20/digits_pretrained",
    "figure-5c": "connectivity/finals/digits_pretrained",
    "figure-6a": "planes/global-pretrained",
    "figure-6b": "planes/global-iid-round",
    "figure-7": "planes/participation",
    "layers": "connectivity/clients",
    "accuracy": "tables",
    "loss": "tables",
}
# Folders that claims read.
CLAIMED = ("planes/global-pretrained", "planes/global-iid-round", "planes/finals", "planes/local", "tables")
TABLES = {"tables": {"tables/runs.csv"}}
CLAIMS = {"claims": {"tables/claims.csv"}}
NOTHING: dict[str, set[str]] = {}


def drawn(*names: str) -> set[str]:
    return {f"figures/{name}.png" for name in names}


def trained(*chosen: Run) -> set[str]:
    """First outputs of the training jobs of these runs."""
    return {
        f"runs/digits/{model}/{partition}/{init}/{method}/seed0/trajectory.safetensors"
        for model, partition, init, method in chosen
    }


def joined(*jobs: dict[str, set[str]]) -> dict[str, set[str]]:
    """All of these jobs."""
    return {rule: set().union(*(one.get(rule, ()) for one in jobs)) for one in jobs for rule in one}


def costed(jobs: dict[str, set[str]]) -> dict[str, set[str]]:
    """With the table of costs, which has a row for each long job."""
    long = {"train", "initial", "plane", "surface", "path", "barrier", "hessian"}
    return joined(jobs, {"costs": {"tables/costs.csv"}}) if long & set(jobs) else jobs


def shown(*folders: str) -> dict[str, set[str]]:
    """What only reads: figures and claims from files in these folders."""
    figures = {
        name for name, source in FIGURES.items() if any(folder.startswith(source) for folder in folders)
    }
    claimed = any(folder.startswith(source) for folder in folders for source in CLAIMED)
    return {**({"figures": drawn(*figures)} if figures else {}), **(CLAIMS if claimed else {})}


def tabled() -> dict[str, set[str]]:
    return joined(TABLES, shown("tables"))


def surfaces(*names: str) -> dict[str, set[str]]:
    """The surfaces of these entries (all if none is named), and what shows them."""
    folders = {folder for folder in PLANES if not names or folder.split("/")[1] in names}
    made = {f"{folder}/surface.csv" for folder in folders}
    exported = {f"{folder}/surface.vts" for folder in folders}
    return joined({"surface": made, "export": exported}, shown(*folders))


def planes(*names: str) -> dict[str, set[str]]:
    """The planes of these entries, and what follows."""
    laid = {f"{folder}/plane.safetensors" for folder in PLANES if folder.split("/")[1] in names}
    return joined({"plane": laid}, surfaces(*names))


def retrained(chosen: set[Run]) -> dict[str, set[str]]:
    """Training of these runs, of those that continue them, and all that looks at any of them."""
    initial = set()
    while True:
        started = {init for init, source in CONTINUED.items() if source in chosen and init not in initial}
        if not started:
            break
        initial |= started
        chosen = chosen | runs(init=tuple(started))

    def touched(folders: dict[str, set[Run]]) -> set[str]:
        return {folder for folder, members in folders.items() if members & chosen}

    looked_at = touched(PLANES)
    jobs = {
        "train": trained(*chosen),
        "initial": {f"initial/digits/convnet/{init}/seed0.safetensors" for init in initial},
        "plane": {f"{folder}/plane.safetensors" for folder in looked_at},
        "surface": {f"{folder}/surface.csv" for folder in looked_at},
        "export": {f"{folder}/surface.vts" for folder in looked_at},
        "path": {f"{folder}/path.csv" for folder in touched(PATHS)},
        "barrier": {f"{folder}/layers.csv" for folder in touched(BARRIERS)},
        "hessian": {f"{folder}/curvature.csv" for folder in touched(HESSIANS)},
        "drift": {f"{folder}/drift.csv" for folder in touched(DRIFT)},
        "costs": {"tables/costs.csv"},
    }
    return joined({rule: files for rule, files in jobs.items() if files},
                  tabled(), shown(*looked_at, *touched(PATHS), *touched(BARRIERS)))  # fmt: skip


def split_anew(*partitions: str) -> dict[str, set[str]]:
    """New partitions, and what follows."""
    made = {"partition": {f"partitions/digits/{name}/seed0.npz" for name in partitions}}
    return joined(made, retrained(runs(model=None, partition=partitions)), {"figures": drawn("partitions")})


def started_anew(*inits: str) -> dict[str, set[str]]:
    """New starts, and what follows."""
    made = {f"initial/digits/{model}/{init}/seed0.safetensors"
            for model in ("convnet", "resnet20") for init in inits}  # fmt: skip
    return joined({"initial": made}, retrained(runs(model=None, init=inits)))


def averaged() -> dict[str, set[str]]:
    """New layer-wise barriers, and what follows."""
    made = {"barrier": {f"{folder}/layers.csv" for folder in BARRIERS}}
    return joined(made, shown(*BARRIERS), tabled())


# The other two methods name their own lr at this scale.
COMMON_LR = ("fedavg", "fedavg-p0.2", "fedavg-p0.5", "fedavg-p0.8")

# file, old text, new text -> the jobs that a dry run then lists, and no others.
EDITS = {
    "a method's lr": (
        STUDY,
        "local_epochs: 2, lr: 0.03}",
        "local_epochs: 2, lr: 0.06}",
        retrained(runs(method=COMMON_LR)),
    ),
    "swapped values of two settings": (
        STUDY,
        "{rounds: 20, local_epochs: 2,",
        "{rounds: 2, local_epochs: 20,",
        retrained(RUNS),
    ),
    "a partition's alpha": (
        STUDY,
        "clients: 10, alpha: 0.5}",
        "clients: 10, alpha: 0.4}",
        split_anew("dir0.5"),
    ),
    "a start's seed": (STUDY, "{kind: random}", "{kind: random, seed: 7}", started_anew("random")),
    "a pre-training's epochs": (
        STUDY,
        "dataset: digits-proxy, epochs: 10",
        "dataset: digits-proxy, epochs: 9",
        started_anew("pretrained"),
    ),
    "a grid's size": (
        STUDY,
        "    all_planes: {grid: 21, coarse: 2}",
        "    all_planes: {grid: 23, coarse: 2}",
        surfaces(*(folder.split("/")[1] for folder in PLANES if "resnet" not in folder)),
    ),
    "one plane's margin": (
        STUDY,
        "    kind: finals\n",
        "    kind: finals\n    margin: 0.4\n",
        surfaces("finals"),
    ),
    "the round of a local plane": (STUDY, "    round: 0.1\n", "    round: last\n", planes("local-early")),
    "points on a path": (
        STUDY,
        "connectivity: {finals: {points: 21}}\n    curvature: {start-and-end: {samples: 512",
        "connectivity: {finals: {points: 23}}\n    curvature: {start-and-end: {samples: 512",
        joined({"path": {f"{folder}/path.csv" for folder in PATHS}}, shown(*PATHS), tabled()),
    ),
    "which clients are averaged": (
        STUDY,
        "    clients: [0, 1, 2]\n",
        "    clients: [0, 1]\n",
        averaged(),
    ),
    "an edit in what is averaged": (
        "src/fedscape/connectivity/mixtures.py",
        "import torch\n",
        "import torch\n\nEDITED = True\n",
        averaged(),
    ),
    "an edit in how paths are walked": (
        "src/fedscape/connectivity/path.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        joined({"path": {f"{folder}/path.csv" for folder in PATHS}}, shown(*PATHS), tabled()),
    ),
    "samples of a Hessian": (
        STUDY,
        "samples: 512",
        "samples: 256",
        joined({"hessian": {f"{folder}/curvature.csv" for folder in HESSIANS}}, tabled()),
    ),
    "a trace beside the eigenvalues": (
        STUDY,
        "    rounds: [0, last]\n    top: 1\n",
        "    rounds: [0, last]\n    top: 1\n    trace: auto\n",
        joined({"hessian": {f"{folder}/curvature.csv" for folder in HESSIANS}}, tabled()),
    ),
    "an edit in how traces are estimated": (
        "src/fedscape/curvature/traces.py",
        "import torch\n",
        "import torch\n\nEDITED = True\n",
        joined({"hessian": {f"{folder}/curvature.csv" for folder in HESSIANS}}, tabled()),
    ),
    "a plane that also says what clients lose": (
        STUDY,
        "    kind: trajectory\n    runs: [{partition: dir0.3",
        "    kind: trajectory\n    client_losses: true\n    runs: [{partition: dir0.3",
        surfaces("single"),
    ),
    "a surface that several jobs share": (
        STUDY,
        "    kind: trajectory\n    runs: [{partition: dir0.3",
        "    kind: trajectory\n    parts: 2\n    runs: [{partition: dir0.3",
        joined(
            {"surface_part": {f"planes/single/digits_all_seed0/parts/{i}-of-2.npz" for i in (1, 2)}},
            surfaces("single"),
        ),
    ),
    "what a run keeps of its clients": (
        STUDY,
        "    client_rounds: [1, 0.1, 0.3, last]\n",
        "    client_rounds: [1, 0.1, 0.3, last]\n    client_paths: true\n",
        retrained(runs()),
    ),
    "a figure's option": (
        STUDY,
        "    measure: test_accuracy\n",
        "    measure: validation_accuracy\n",
        {"figures": drawn("accuracy")},
    ),
    "a figure's title": (
        STUDY,
        "title: Test accuracy of",
        "title: Accuracy of",
        {"figures": drawn("accuracy")},
    ),
    "what figures call a run": (
        STUDY,
        'label: "IID"',
        'label: "same"',
        {"figures": drawn(*FIGURES, "partitions")},
    ),
    "the words of a claim": (STUDY, "\n  - claim: ", "\n  - claim: Truly, ", CLAIMS),
    "what a claim expects": (STUDY, "expect: {above: 1}", "expect: {above: 2}", CLAIMS),
    "an edit in a measure of claims": (
        "src/fedscape/tables/measures/final.py",
        "import pandas as pd\n",
        "import pandas as pd\n\nEDITED = True\n",
        CLAIMS,
    ),
    "an edit in the export": (
        "src/fedscape/export/paraview.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        {"export": {f"{folder}/surface.vts" for folder in PLANES}},
    ),
    "an added run": (
        STUDY,
        "      - {model: convnet, partition: dir0.3, init: random, method: fedavg}\n",
        "      - {model: convnet, partition: [dir0.3, iid-50], init: random, method: fedavg}\n",
        joined(
            {"train": trained(("convnet", "iid-50", "random", "fedavg")), "costs": {"tables/costs.csv"}},
            {"drift": {f"{folder}/drift.csv" for folder in DRIFT}},
            tabled(),
        ),
    ),
    "an added figure": (
        STUDY,
        "figures:\n  figure-1:",
        "figures:\n  more: {kind: curves, table: drift, measure: distance_start, where: {init: random}}\n  figure-1:",
        {"figures": drawn("more")},
    ),
    "a version number": (
        "src/fedscape/__init__.py",
        "__version__ =",
        '__version__ = "9"\n__version__ =',
        NOTHING,
    ),
    "a method that no run uses": (
        STUDY,
        "\nruns:",
        "  other: {algorithm: fedavg, rounds: 3}\n\nruns:",
        NOTHING,
    ),
    "a number's spelling": (STUDY, "local_epochs: 2, lr: 0.03}", "local_epochs: 2, lr: 3.0e-2}", NOTHING),
    "the order of keys": (STUDY, QUICK, "    all_methods: {lr: 0.03, local_epochs: 2, rounds: 20}", NOTHING),
    "a comment in a study": (STUDY, "runs:\n", "# which runs\nruns:\n", NOTHING),
    "another scale": (STUDY, "    images: 4000\n", "    images: 3000\n", NOTHING),
    "where raw data lie": ("config/config.yaml", "data_root: data ", "data_root: elsewhere ", NOTHING),
    "a comment in the engine": (
        "src/fedscape/federated/lanes.py",
        "import torch\n",
        "import torch  # fast\n",
        NOTHING,
    ),
    "a docstring in the engine": (
        "src/fedscape/federated/lanes.py",
        '"""Lanes: where',
        '"""Lanes: the place where',
        NOTHING,
    ),
    "an edit in the engine": (
        "src/fedscape/federated/aggregate.py",
        "import torch\n",
        "import torch\n\nEDITED = True\n",
        retrained(RUNS),
    ),
    "an edit in a client rule": (
        "src/fedscape/federated/algorithms/fedavg.py",
        "from torch import Tensor\n",
        "from torch import Tensor\n\nEDITED = True\n",
        joined(started_anew("pretrained"), retrained(RUNS)),
    ),
    "an edit in a client rule that no run uses": (
        "src/fedscape/federated/algorithms/moon.py",
        "from torch import Tensor\n",
        "from torch import Tensor\n\nEDITED = True\n",
        NOTHING,
    ),
    "an edit in a server rule that no run uses": (
        "src/fedscape/federated/servers/adam.py",
        "from torch import Tensor\n",
        "from torch import Tensor\n\nEDITED = True\n",
        NOTHING,
    ),
    "how clients train": (
        STUDY,
        "local_epochs: 2, lr: 0.03}",
        "local_epochs: 2, lr: 0.03, augmentation: {flip: 0.5}}",
        retrained(RUNS),
    ),
    "an edit in landscape/": (
        "src/fedscape/landscape/surface.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        surfaces(),
    ),
    "an edit in a plane kind": (
        "src/fedscape/landscape/planes/finals.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        planes("finals", "finals-resnet20"),
    ),
    "an edit in a figure kind": (
        "src/fedscape/figures/contour.py",
        "import pandas as pd\n",
        "import pandas as pd\n\nEDITED = True\n",
        {
            "figures": drawn(
                *(
                    name
                    for name, source in FIGURES.items()
                    if source.startswith("planes/") and "local" not in source
                )
            )
        },
    ),
    "an edit in a partition scheme": (
        "src/fedscape/data/partitions/dirichlet.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        split_anew("dir1.0", "dir0.5", "dir0.3", "dir0.1", "dir0.5-50"),
    ),
    "an edit in a partition scheme that no run uses": (
        "src/fedscape/data/partitions/shards.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        NOTHING,
    ),
    "a new plug-in": (
        "src/fedscape/data/partitions/mine.py",
        None,
        '"""Mine."""\nfrom dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Settings:\n    """None."""\n',
        NOTHING,
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_again_exactly_what_it_touches(made, edit):
    file, old, new, expected = EDITS[edit]
    path = made.folder / file
    before = path.read_bytes() if old is not None else None
    try:
        if old is None:
            path.write_text(new)
        else:
            made.replace(file, old, new)
        assert made.pending() == costed(expected)
    finally:
        path.unlink() if before is None else path.write_bytes(before)


def test_touching_everything_makes_nothing_again(made):
    for path in made.folder.rglob("*"):
        if (
            path.is_file()
            and not path.is_relative_to(made.folder / "results")
            and ".snakemake" not in path.parts
        ):
            path.touch()
    assert made.pending() == NOTHING


def test_a_deleted_output_is_made_again_and_nothing_else_where_its_bytes_are_the_same(made):
    figure = made.folder / "results/pilot/quick/figures/accuracy.png"
    kept = figure.with_suffix(".kept")
    shutil.move(figure, kept)
    try:
        assert made.pending() == {"figures": drawn("accuracy")}
    finally:
        kept.replace(figure)


def test_scripts_read_no_setting_behind_the_rules_back():
    scripts = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
    for script in scripts.glob("*.py"):
        assert "snakemake.config" not in script.read_text(), script
