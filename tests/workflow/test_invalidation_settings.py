"""An edit of a study reruns exactly the jobs that it touches. Edit -> jobs, of the study `deep`."""

import pytest
from deep_study import (
    CLAIMS,
    DRIFT,
    FIGURES,
    PAGE,
    PLANES,
    RUNS,
    SPLITS,
    averaged,
    bent,
    collected,
    drawn,
    joined,
    planes,
    remodelled,
    retrained,
    runs,
    split_anew,
    started_anew,
    surfaces,
    tabled,
    trained,
    walked,
)  # fmt: skip
from edits import add, asks_snakemake, put, swap

STUDY = "config/studies/deep.yaml"
CONFIG = "config/config.yaml"
# The other two methods name their own lr at this scale.
COMMON_LR = ("fedavg", "fedavg-p0.2", "fedavg-p0.5", "fedavg-p0.8")


def study(values):
    """Other values in the study: path -> value."""
    return STUDY, put(values)


def study_with(values):
    """More keys in the study: path -> value."""
    return STUDY, add(values)


# edit -> the file and its change, the jobs that a dry run then lists, and no others.
EDITS = {
    # data
    "how many images": (*study_with({"scales/quick/images": 800}), split_anew(*SPLITS)),
    "how many test images": (*study_with({"scales/quick/test_images": 200}), split_anew(*SPLITS)),
    "a share for validation": (*study_with({"validation": 0.1}), split_anew(*SPLITS)),
    "what a proxy is read from": (
        CONFIG, put({"datasets/digits-proxy/part": "clients"}),
        joined({"dataset": {"data/digits-proxy/dataset.json"}}, started_anew("pretrained")),
    ),
    # partitions
    "a partition's alpha": (*study({"partitions/dir0.5/alpha": 0.4}), split_anew("dir0.5")),
    "a partition's number of clients": (*study({"partitions/dir0.5-50/clients": 40}), split_anew("dir0.5-50")),
    "a partition's seed": (*study({"partitions/iid-b/seed": 1002}), split_anew("iid-b")),
    "swapped values of two partitions": (
        *study({"partitions/dir0.5/alpha": 0.1, "partitions/dir0.1/alpha": 0.5}), split_anew("dir0.5", "dir0.1"),
    ),
    # starts and models
    "a start's seed": (*study_with({"inits/random/seed": 7}), started_anew("random")),
    "a pre-training's epochs": (*study({"scales/quick/inits/pretrained/epochs": 9}), started_anew("pretrained")),
    "the round that a start continues": (
        *study({"inits/iid-round/round": 2}),
        joined({"initial": {"initial/digits/convnet/iid-round/seed0.safetensors"}}, retrained(runs(init="iid-round"))),
    ),
    "a model's setting": (*study({"models/resnet20/norm": "group"}), remodelled("resnet20")),
    # methods
    "a method's lr": (*study({"scales/quick/all_methods/lr": 0.06}), retrained(runs(method=COMMON_LR))),
    "an amount": (*study({"scales/quick/all_methods/local_epochs": 1}), retrained(RUNS)),
    "swapped values of two settings": (
        *study({"scales/quick/all_methods/rounds": 2, "scales/quick/all_methods/local_epochs": 20}), retrained(RUNS),
    ),
    "one method's axis": (*study({"scales/quick/methods/fedavg-more/rounds": 9}), retrained(runs(method="fedavg-more"))),
    "one method's sample order": (*study({"methods/fedavg-more/order_seed": 2}), retrained(runs(method="fedavg-more"))),
    "how often a method is evaluated": (*study({"scales/quick/methods/fedavg-short/evaluate_every": 4}), retrained(runs("resnet20"))),
    "one method's server": (*study_with({"scales/quick/methods/fedavg-more/server": "momentum"}), retrained(runs(method="fedavg-more"))),
    "one method's weights": (*study_with({"scales/quick/methods/fedavg-more/weights": "uniform"}), retrained(runs(method="fedavg-more"))),
    "how clients train": (*study_with({"scales/quick/all_methods/augmentation": {"flip": 0.5}}), retrained(RUNS)),
    "what runs keep of their clients": (  # an anchor hands it to the methods that are made of this one
        STUDY, swap("    client_rounds: [1, 0.1, 0.3, last]\n", "    client_rounds: [1, 0.1, 0.3, last]\n    client_paths: true\n"),
        retrained(runs()),
    ),
    # planes and surfaces
    "a grid's size": (
        *study({"scales/quick/all_planes/grid": 23}),
        surfaces(*(folder.split("/")[1] for folder in PLANES if "resnet" not in folder)),
    ),
    "an error within which a surface is filled": (
        *study({"scales/quick/planes/finals-resnet20": {"grid": 13, "coarse": 1, "error": 0.01}}),
        surfaces("finals-resnet20"),
    ),
    "points that are filled in": (*study({"scales/quick/all_planes/coarse": 4}), surfaces()),
    "swapped values of two planes": (
        *study({"scales/quick/all_planes/grid": 13, "scales/quick/planes/finals-resnet20/grid": 21}), surfaces(),
    ),
    "one plane's margin": (*study_with({"planes/finals/margin": 0.4}), surfaces("finals")),
    "one plane's precision": (*study_with({"planes/finals/precision": "bf16"}), surfaces("finals")),
    "whether a plane's evaluation is compiled": (*study_with({"planes/finals/compiled": True}), surfaces("finals")),
    "one plane's samples": (*study_with({"planes/finals/samples": 500}), planes("finals")),
    "a plane's batch norm": (*study({"planes/finals-resnet20/batch_norm": "interpolate"}), planes("finals-resnet20")),
    "the round of a local plane": (*study({"planes/local-early/round": "last"}), planes("local-early")),
    "a plane that also says what clients lose": (*study_with({"planes/single/client_losses": True}), surfaces("single")),
    "a surface that several jobs share": (
        *study_with({"planes/single/parts": 2}),
        joined({"surface_part": {f"planes/single/digits_all_seed0/parts/{i}-of-2.npz" for i in (1, 2)}}, surfaces("single")),
    ),
    # connectivity, curvature, drift
    "points on a path": (*study({"scales/quick/connectivity/finals/points": 23}), walked("finals")),
    "a path's samples": (*study_with({"scales/quick/connectivity/finals/samples": 500}), walked("finals")),
    "a curve beside the paths": (
        *study_with({"connectivity/around": {
            "kind": "curve", "from": {"partition": "iid", "init": "random"}, "to": {"partition": "dir0.1", "init": "random"},
            "each": ["model"],
        }}),
        {"curve": {f"connectivity/around/digits_{model}_seed0/curve.csv" for model in ("convnet", "resnet20")}},
    ),
    "which clients are averaged": (*study({"connectivity/clients/clients": [0, 1]}), averaged()),
    "which layers are averaged": (*study_with({"connectivity/clients/regimes": ["full"]}), averaged()),
    "how units are matched": (*study_with({"connectivity/clients/alignment": ["none", "weights"]}), averaged()),
    "samples of a Hessian": (*study({"scales/quick/curvature/start-and-end/samples": 256}), bent()),
    "rounds of a Hessian": (*study({"curvature/start-and-end/rounds": [0, 0.5, "last"]}), bent()),
    "a trace beside the eigenvalues": (*study_with({"curvature/start-and-end/trace": "auto"}), bent()),
    "runs of a drift": (
        *study({"drift/updates/runs": [{"model": "convnet", "init": "random"}]}),
        joined({"drift": {f"{folder}/drift.csv" for folder in DRIFT}}, tabled()),
    ),
    "drift of other runs, too": (
        *study_with({"drift/more": {"runs": [{"model": "resnet20"}]}}),
        joined({"drift": {"drift/more/digits_all_seed0/drift.csv"}}, tabled()),
    ),
    # figures and claims
    "a figure's option": (*study({"figures/accuracy/measure": "validation_accuracy"}), {"figure": drawn("accuracy")}),
    "a figure's title": (*study({"figures/accuracy/title": "Accuracy"}), {"figure": drawn("accuracy")}),
    "a figure's runs": (*study({"figures/figure-4/where/partition": ["iid", "dir0.1"]}), {"figure": drawn("figure-4")}),
    "what figures call a run": (*study({"labels/1/label": "same"}), {"figure": drawn("figure-6a", "figure-6b")}),
    "what figures call a partition": (
        *study({"labels/0/label": "same"}),
        {"figure": drawn(*(name for name in FIGURES if name not in ("figure-2a", "figure-2b", "layers")), "partitions")},
    ),
    "an added figure": (
        *study_with({"figures/more": {"kind": "curves", "table": "drift", "measure": "distance_start", "where": {"init": "random"}}}),
        {"figure": drawn("more")},
    ),
    "a figure less": (*study_with({"scales/quick/figures/figure-4": None}), PAGE),
    "the order of entries, by which names have looks": (
        STUDY,
        swap("  convnet: {}\n  resnet20: {norm: batch}\n", "  resnet20: {norm: batch}\n  convnet: {}\n"),
        PAGE,
    ),
    "a figure's caption": (*study_with({"figures/accuracy/caption": "Mind the axis."}), PAGE),
    "the figure of a claim": (*study_with({"claims/0/figure": "accuracy"}), PAGE),
    "the words of a claim": (*study({"claims/0/claim": "Truly, the final loss rises"}), CLAIMS),
    "what a claim expects": (*study({"claims/1/expect": {"above": 2}}), CLAIMS),
    "what a claim is measured on": (*study({"claims/8/cases": [{"partition": "dir0.3", "init": "random"}]}), CLAIMS),
    "what a claim asks of its runs": (*study_with({"claims/0/learned": "any"}), CLAIMS),
    "a measure of a table": (*study({"tables/readings/columns/1/at": "last"}), {"table": {"tables/readings.csv"}}),
    # runs
    "an added run": (
        *study({"runs/3/partition": ["dir0.3", "iid-50"]}),
        joined(
            {"train": trained(("convnet", "iid-50", "random", "fedavg"))},
            {"drift": {f"{folder}/drift.csv" for folder in DRIFT}},
            tabled(),
        ),
    ),
    "runs of another model": (
        *study_with({"runs/6": {"model": "resnet20", "partition": ["dir0.3", "iid-b"], "init": "random", "method": "fedavg-short"}}),
        joined({"train": trained(*(("resnet20", partition, "random", "fedavg-short") for partition in ("dir0.3", "iid-b")))}, tabled()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_again_exactly_what_it_touches(marked, edit):
    file, change, expected = EDITS[edit]
    with marked.edited(file, change):
        assert marked.predicted("deep") == collected(expected)
        if asks_snakemake(EDITS, edit):
            assert marked.pending("deep") == collected(expected)
