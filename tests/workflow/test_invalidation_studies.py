"""An edit reruns exactly the jobs that it touches: methods, servers, text and layers, of the study `broad`.

A row names the jobs that the edit reaches by itself; those that read what these write follow from the list of
jobs (`fedscape.study.jobs`), which `test_jobs.py` holds against Snakemake's.
"""

import pytest
from edits import add, asks_snakemake, below, more_code, put, renamed

STUDY, CONFIG = "config/studies/broad.yaml", "config/config.yaml"
EVERY_SPLIT, ALL = {"partition": "."}, "."
BY_FINALS = "/(gap|local-updates|eigenvalues)[.]"  # figures of the kind `finals`


def study(values):
    """Other values in the study: path -> value."""
    return STUDY, put(values)


def study_with(values):
    """More keys in the study: path -> value."""
    return STUDY, add(values)


# edit -> file, its change, and rule -> pattern of the jobs that it reaches by itself.
EDITS = {
    # client rules, models, data
    "an algorithm's setting": (*study({"methods/fedprox/mu": 1.0e-3}), {"train": "/fedprox/"}),
    "an algorithm": ("src/fedscape/federated/algorithms/moon.py", more_code, {"train": "/moon(-no-head)?/"}),
    "a model's setting": (*study({"models/resnet8-head/projection": 32}), {"initial": "/resnet8-head/"}),
    "a family of models": (
        "src/fedscape/models/networks/resnet.py", more_code,
        {"initial": "/(resnet8|resnet8-head|plain)/", "pretrain": "/resnet8/"},
    ),
    "a scale's partition": (*study({"scales/quick/partitions/dir0.5/min_size": 12}), {"partition": "/dir0.5/"}),
    "another name for a partition": (
        STUDY, renamed("homog", "even"),
        {"partition": "/even/", "figure": "/(?!one-layer|some-layers|surface)[^/]*[.]", "claims": ALL, "table": "/(heterogeneity|gap)[.]"},
    ),
    "a data set": ("src/fedscape/data/datasets/digits.py", more_code, {"dataset": "digits"}),
    "a data set that this scale has not": ("src/fedscape/data/datasets/tinyshakespeare.py", more_code, {}),
    "a model of text": (*study({"models/gpt/width": 32}), {"initial": "/gpt/", "pretrain": "/gpt/"}),
    "how text is cut": (CONFIG, add({"datasets/descriptions/length": 16}), {"dataset": "/descriptions/"}),
    "how images are normalised": (
        CONFIG, add({"datasets/digits-proxy/mean": [0.3], "datasets/digits-proxy/std": [0.4]}), {"dataset": "/digits-proxy/"},
    ),
    "the size of images": (CONFIG, add({"datasets/digits-proxy/resize": 12}), {"dataset": "/digits-proxy/"}),
    "the share for validation": (*study({"validation": 0.2}), EVERY_SPLIT),
    "a partition": (*study({"partitions/iid/clients": 9}), {"partition": "/iid/"}),
    "a seed more": (*study({"scales/quick/seeds": [0, 1, 2]}), {"partition": "seed2", "initial": "seed2", "pretrain": "seed2"}),
    "a start's learning rate": (*study({"inits/pretrained/lr": 0.04}), {"pretrain": "/pretrained/"}),
    "the seed of a start that all seeds share": (*study({"inits/pretrained-text/seed": 1}), {"pretrain": "/pretrained-text/"}),
    "an added run": (
        *study({"runs/2/method": ["moon-no-head", "gradaug-n1"]}),
        {"train": "/gradaug-n1/", "table": "/methods[.]"},
    ),
    # tables and claims
    "a table's title": (*study({"tables/accuracy/title": "Accuracy"}), {"table": "/accuracy[.]"}),
    "a published number": (*study({"tables/accuracy/published/FedAvg": [52.8, 6240]}), {"table": "/accuracy[.]"}),
    "how numbers of a table are shown": (*study({"tables/accuracy/columns/0/percent": False}), {"table": "/accuracy[.]"}),
    "a measure of claims and tables": ("src/fedscape/tables/measures/trace.py", more_code, {"table": "/accuracy[.]", "claims": ALL}),
    "how tables are written": ("src/fedscape/tables/table.py", more_code, {"table": ALL}),
    "by what a claim chooses": (*study({"claims/2/choose": "validation_loss"}), {"claims": ALL}),
    "by what a table chooses": (*study({"tables/gap/choose": "validation_loss"}), {"table": "/gap[.]"}),
    "how intervals are made": (*study({"tables/ranking/interval": "student"}), {"table": "/ranking[.]"}),
    "the code of intervals": ("src/fedscape/tables/estimate.py", more_code, {"claims": ALL, "table": ALL, "figure": "/(gap|local-updates|eigenvalues|ranking)[.]"}),
    "a measure of rounds": ("src/fedscape/tables/measures/rise.py", more_code, {"claims": ALL, "table": "/remedies[.]"}),
    "a measure of drift": ("src/fedscape/tables/measures/client_drift.py", more_code, {"claims": ALL, "table": "/remedies[.]"}),
    "a measure of layers": ("src/fedscape/tables/measures/layer_barrier.py", more_code, {"claims": ALL, "table": "/averages[.]"}),
    # analyses
    "the order of kinds of samples": (*study({"curvature/finals/data": ["own", "global"]}), {"curvature": "/finals/"}),
    "samples of a curvature": (*study({"curvature/start/samples": 256}), {"curvature": "/start/"}),
    "a plane kind": ("src/fedscape/landscape/planes/eigenvectors.py", more_code, {"plane": "/sharpest/"}),
    "distances": ("src/fedscape/drift/drift.py", more_code, {"drift": ALL}),
    "rounds of a pair": (*study({"connectivity/epochs/rounds": [0.25, 0.5]}), {"layers": "/epochs/"}),
    "which layers are averaged": (*study({"connectivity/epochs/regimes": ["full", "single"]}), {"layers": "/epochs/"}),
    "groups of layers": (*study_with({"connectivity/epochs/groups": {"head": ["classifier"]}}), {"layers": "/epochs/"}),
    "random directions": (
        *study({f"scales/quick/connectivity/{entry}/directions": 2 for entry in ("same-start", "different-start")}),
        {"layers": "/(same|different)-start/"},
    ),
    "the order of random layers": (
        *study({f"connectivity/{entry}/order_seed": 112 for entry in ("same-start", "different-start", "matched")}),
        {"layers": "/(same-start|different-start|matched)/"},
    ),
    "how units are matched": (*study({"connectivity/different-start/alignment": ["none", "weights"]}), {"layers": "/different-start/"}),
    "the code that matches units": ("src/fedscape/connectivity/matching.py", more_code, {"layers": ALL}),
    # server rules, grids, schedules
    "a server rule": ("src/fedscape/federated/servers/adam.py", more_code, {"train": "/(uneven-)?adam-"}),
    "what servers share": ("src/fedscape/federated/adaptive.py", more_code, {"train": "/(uneven-)?(adam|adagrad|yogi)-"}),
    "a point of a grid of server rates": (*study({"methods/avgm-sgd/grid/server.lr": [0.6]}), {"train": "/avgm-sgd.g1/"}),
    "a point more of such a grid": (*study({"methods/avgm-sgd/grid/server.lr": [0.5, 1.0]}), {"train": "/avgm-sgd.g2/"}),
    "what a run keeps": (*study({"scales/quick/methods/traced/keep_rounds": {"every": 5}}), {"train": "/traced/"}),
    "how many clients take part": (*study({"methods/adam-users/participation": 1.0}), {"train": "/adam-users.g1/"}),
    "when clients average": (*study({"methods/every-4/average_every": 5}), {"train": "/every-4/"}),
    "a schedule": (*study({"scales/quick/all_methods/schedule/warmup_steps": 50}), {"train": ALL}),
    # remedies of drift
    "weights of clients": (*study({"methods/input-variance/weights": "uniform"}), {"train": "/input-variance/"}),
    "pruning": (*study({"methods/pruning/pruning/final_sparsity": 0.7}), {"train": "/pruning/"}),
    "augmentation": (*study({"methods/preprocessing/augmentation/brightness": 0.3}), {"train": "/preprocessing/"}),
    "swapped methods": (
        *study({"methods/input-variance/weights": "inverse-update-variance", "methods/update-variance/weights": "inverse-input-variance"}),
        {"train": "/(input|update)-variance/"},
    ),
    "unequal work": (*study({"methods/unequal/local_epochs/uniform": [1, 18]}), {"train": "/unequal/"}),
    # figures
    "by what a figure chooses": (*study({"figures/ranking/choose": "validation_loss"}), {"figure": "/ranking[.]"}),
    "a figure kind of ends": ("src/fedscape/figures/kinds/finals.py", more_code, {"figure": BY_FINALS}),
    "a figure kind of layers": ("src/fedscape/figures/kinds/heatmap.py", more_code, {"figure": "/one-layer[.]"}),
    "rows that a figure draws": (*study({"figures/full-average/rows/alignment": "weights"}), {"figure": "/full-average[.]"}),
    "the methods of a figure": (*study({"figures/loss/where/method": ["none", "pruning"]}), {"figure": "/loss[.]"}),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_exactly_what_it_touches(marked, edit):
    file, change, touched = EDITS[edit]
    with marked.edited(file, change):
        expected = below(marked.jobs("broad"), touched)
        assert marked.predicted("broad") == expected
        if asks_snakemake(EDITS, edit):
            assert marked.pending("broad") == expected
