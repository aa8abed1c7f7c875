"""The central promise: an edit makes again exactly the jobs that it touches. Edit -> jobs, by `snakemake -n`."""

import shutil
from pathlib import Path

import pytest

STUDY = "config/studies/pilot.yaml"
QUICK = "    all_methods: {rounds: 20, local_epochs: 3, lr: 0.03}"
PARTITIONS = ("iid", "iid-b", "dir1.0", "dir0.5", "dir0.1")
INITS = ("random", "pretrained", "iid-round")


def group(init: str) -> str:
    return f"digits_convnet_{init}_seed0"


def trained(*partitions: str, inits=INITS) -> set[str]:
    """First outputs of the training jobs of these partitions."""
    return {
        f"runs/digits/convnet/{partition}/{init}/fedavg/seed0/trajectory.safetensors"
        for partition in partitions
        for init in inits
        if (partition, init) != ("iid-b", "iid-round")
    }


def planes(file: str, *names: str) -> set[str]:
    inits = {"trajectories": INITS, "finals": ("random", "pretrained")}
    return {f"planes/{name}/{group(init)}/{file}" for name in names for init in inits[name]}


def drawn(*names: str) -> set[str]:
    return {f"figures/{name}.png" for name in names}


ON_PLANES = ("figure-1", "figure-1-random", "figure-3a", "figure-5a")
ON_PATHS = ("figure-3c", "figure-5c")
ON_TABLES = ("accuracy", "loss")
PATHS = {f"connectivity/finals/{group(init)}/path.csv" for init in INITS}
HESSIANS = {f"curvature/start-and-end/{group(init)}/hessian.csv" for init in INITS}
DRIFT = {"drift/updates/digits_convnet_seed0/drift.csv"}
TABLES = {"tables": {"tables/runs.csv"}, "costs": {"tables/costs.csv"}}
LOOKED_AT = {
    "plane": planes("plane.safetensors", "trajectories", "finals"),
    "surface": planes("surface.csv", "trajectories", "finals"),
    "path": PATHS,
    "hessian": HESSIANS,
    "drift": DRIFT,
    **TABLES,
    "figures": drawn(*ON_PLANES, *ON_PATHS, *ON_TABLES),
}
SHARED_ROUND = {"initial/digits/convnet/iid-round/seed0.safetensors"}
NOTHING: dict[str, set[str]] = {}

# file, old text, new text -> the jobs that a dry run then lists, and no others.
EDITS = {
    "a method's lr": (
        STUDY,
        "lr: 0.03}",
        "lr: 0.06}",
        {"train": trained(*PARTITIONS), "initial": SHARED_ROUND, **LOOKED_AT},
    ),
    "swapped values of two settings": (
        STUDY,
        "{rounds: 20, local_epochs: 3,",
        "{rounds: 3, local_epochs: 20,",
        {"train": trained(*PARTITIONS), "initial": SHARED_ROUND, **LOOKED_AT},
    ),
    "a partition's alpha": (
        STUDY,
        "clients: 10, alpha: 0.5}",
        "clients: 10, alpha: 0.4}",
        {
            "partition": {"partitions/digits/dir0.5/seed0.npz"},
            "train": trained("dir0.5"),
            **LOOKED_AT,
            "figures": LOOKED_AT["figures"] | drawn("partitions"),
        },
    ),
    "a start's seed": (
        STUDY,
        "{kind: random}",
        "{kind: random, seed: 7}",
        {
            "initial": SHARED_ROUND | {"initial/digits/convnet/random/seed0.safetensors"},
            "train": trained(*PARTITIONS, inits=("random", "iid-round")),
            "plane": {job for job in LOOKED_AT["plane"] if "pretrained" not in job},
            "surface": {job for job in LOOKED_AT["surface"] if "pretrained" not in job},
            "path": {job for job in PATHS if "pretrained" not in job},
            "hessian": {job for job in HESSIANS if "pretrained" not in job},
            "drift": DRIFT,
            **TABLES,
            "figures": drawn("figure-1", "figure-1-random", "figure-3a", "figure-3c", *ON_TABLES),
        },
    ),
    "a pre-training's epochs": (
        STUDY,
        "dataset: digits-proxy, epochs: 10",
        "dataset: digits-proxy, epochs: 9",
        {
            "initial": {"initial/digits/convnet/pretrained/seed0.safetensors"},
            "train": trained(*PARTITIONS, inits=("pretrained",)),
            "plane": {job for job in LOOKED_AT["plane"] if "pretrained" in job},
            "surface": {job for job in LOOKED_AT["surface"] if "pretrained" in job},
            "path": {job for job in PATHS if "pretrained" in job},
            "hessian": {job for job in HESSIANS if "pretrained" in job},
            "drift": DRIFT,
            **TABLES,
            "figures": drawn("figure-5a", "figure-5c", *ON_TABLES),
        },
    ),
    "a grid's size": (
        STUDY,
        "    all_planes: {grid: 21}",
        "    all_planes: {grid: 23}",
        {"surface": LOOKED_AT["surface"], "figures": drawn(*ON_PLANES)},
    ),
    "one plane's margin": (
        STUDY,
        "    kind: finals\n",
        "    kind: finals\n    margin: 0.4\n",
        {"surface": planes("surface.csv", "finals"), "figures": drawn("figure-3a", "figure-5a")},
    ),
    "points on a path": (
        STUDY,
        "connectivity: {finals: {points: 21}}",
        "connectivity: {finals: {points: 23}}",
        {
            "path": PATHS,
            "tables": TABLES["tables"],
            "figures": drawn(*ON_PATHS, *ON_TABLES),
        },
    ),
    "samples of a Hessian": (
        STUDY,
        "samples: 512",
        "samples: 256",
        {"hessian": HESSIANS, "tables": TABLES["tables"], "figures": drawn(*ON_TABLES)},
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
    "an added run": (
        STUDY,
        "[iid, dir1.0, dir0.5, dir0.1], init: iid-round, method: fedavg}\n    connectivity: {finals: {points: 21}}",
        "[iid, iid-b, dir1.0, dir0.5, dir0.1], init: iid-round, method: fedavg}\n    connectivity: {finals: {points: 21}}",
        {
            "train": {"runs/digits/convnet/iid-b/iid-round/fedavg/seed0/trajectory.safetensors"},
            "path": {f"connectivity/finals/{group('iid-round')}/path.csv"},
            "drift": DRIFT,
            **TABLES,
            "figures": drawn(*ON_TABLES),
        },
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
    "a number's spelling": (STUDY, "lr: 0.03}", "lr: 3.0e-2}", NOTHING),
    "the order of keys": (STUDY, QUICK, "    all_methods: {lr: 0.03, local_epochs: 3, rounds: 20}", NOTHING),
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
        {"train": trained(*PARTITIONS), "initial": SHARED_ROUND, **LOOKED_AT},
    ),
    "an edit in landscape/": (
        "src/fedscape/landscape/surface.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        {"surface": LOOKED_AT["surface"], "figures": drawn(*ON_PLANES)},
    ),
    "an edit in a plane kind": (
        "src/fedscape/landscape/planes/finals.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        {
            "plane": planes("plane.safetensors", "finals"),
            "surface": planes("surface.csv", "finals"),
            "figures": drawn("figure-3a", "figure-5a"),
        },
    ),
    "an edit in a figure kind": (
        "src/fedscape/figures/contour.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        {"figures": drawn(*ON_PLANES)},
    ),
    "an edit in a partition scheme": (
        "src/fedscape/data/partitions/dirichlet.py",
        "import numpy as np\n",
        "import numpy as np\n\nEDITED = True\n",
        {
            "partition": {f"partitions/digits/{name}/seed0.npz" for name in ("dir1.0", "dir0.5", "dir0.1")},
            "train": trained("dir1.0", "dir0.5", "dir0.1"),
            **LOOKED_AT,
            "figures": LOOKED_AT["figures"] | drawn("partitions"),
        },
    ),
    "an edit in a model that no run uses": (
        "src/fedscape/models/resnet20.py",
        "from torch import",
        "EDITED = True\nfrom torch import",
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
        assert made.pending() == expected
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
