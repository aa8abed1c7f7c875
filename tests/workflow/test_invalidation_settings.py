"""An edit of a study makes again exactly the jobs that it touches. Edit -> jobs, on the study pilot at quick."""

import pytest
from edits import asks_snakemake, at_scale, swap
from quick_pilot import (
    CLAIMS,
    DRIFT,
    FIGURES,
    PLANES,
    RUNS,
    SPLITS,
    averaged,
    bent,
    costed,
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

STUDY = "config/studies/pilot.yaml"
CONFIG = "config/config.yaml"
# The other two methods name their own lr at this scale.
COMMON_LR = ("fedavg", "fedavg-p0.2", "fedavg-p0.5", "fedavg-p0.8")


def quick(*pairs):
    """Texts below `quick` for others."""
    return STUDY, at_scale("quick", *pairs)


def study(*pairs):
    """Texts of the study, their first occurrence, for others."""
    return STUDY, swap(*pairs)


# edit -> the file and its change, the jobs that a dry run then lists, and no others.
EDITS = {
    # data
    "how many images": (*quick("[digits]\n", "[digits]\n    images: 800\n"), split_anew(*SPLITS)),
    "how many test images": (*quick("[digits]\n", "[digits]\n    test_images: 200\n"), split_anew(*SPLITS)),
    "a share for validation": (*study("seeds: [0]\n", "seeds: [0]\nvalidation: 0.1\n"), split_anew(*SPLITS)),
    "what a proxy is read from": (
        CONFIG, swap("digits-proxy: {kind: digits, part: proxy}", "digits-proxy: {kind: digits, part: clients}"),
        joined({"dataset": {"data/digits-proxy/dataset.json"}}, started_anew("pretrained")),
    ),
    # partitions
    "a partition's alpha": (*study("clients: 10, alpha: 0.5}", "clients: 10, alpha: 0.4}"), split_anew("dir0.5")),
    "a partition's number of clients": (*study("50, alpha: 0.5}", "40, alpha: 0.5}"), split_anew("dir0.5-50")),
    "a partition's seed": (*study("seed: 1001}", "seed: 1002}"), split_anew("iid-b")),
    "swapped values of two partitions": (
        *study("dir0.5: {scheme: dirichlet-per-class, clients: 10, alpha: 0.5}", "dir0.5: {scheme: dirichlet-per-class, clients: 10, alpha: 0.1}",
               "dir0.1: {scheme: dirichlet-per-class, clients: 10, alpha: 0.1}", "dir0.1: {scheme: dirichlet-per-class, clients: 10, alpha: 0.5}"),
        split_anew("dir0.5", "dir0.1"),
    ),
    # starts and models
    "a start's seed": (*study("{kind: random}", "{kind: random, seed: 7}"), started_anew("random")),
    "a pre-training's epochs": (*quick("epochs: 10,", "epochs: 9,"), started_anew("pretrained")),
    "the round that a start goes on from": (
        *study("method: fedavg, round: 1}", "method: fedavg, round: 2}"),
        joined({"initial": {"initial/digits/convnet/iid-round/seed0.safetensors"}}, retrained(runs(init="iid-round"))),
    ),
    "a model's setting": (*study("resnet20: {norm: batch}", "resnet20: {norm: group}"), remodelled("resnet20")),
    # methods
    "a method's lr": (*quick("local_epochs: 2, lr: 0.03}", "local_epochs: 2, lr: 0.06}"), retrained(runs(method=COMMON_LR))),
    "an amount": (*quick("local_epochs: 2,", "local_epochs: 1,"), retrained(RUNS)),
    "swapped values of two settings": (*quick("{rounds: 20, local_epochs: 2,", "{rounds: 2, local_epochs: 20,"), retrained(RUNS)),
    "one method's axis": (*quick("rounds: 10, lr: 0.003}", "rounds: 9, lr: 0.003}"), retrained(runs(method="fedavg-more"))),
    "one method's sample order": (*study("order_seed: 1,", "order_seed: 2,"), retrained(runs(method="fedavg-more"))),
    "how often a method is evaluated": (*quick("evaluate_every: 2}", "evaluate_every: 4}"), retrained(runs("resnet20"))),
    "one method's server": (*quick("rounds: 10, lr: 0.003}", "rounds: 10, lr: 0.003, server: momentum}"), retrained(runs(method="fedavg-more"))),
    "one method's weights": (*quick("rounds: 10, lr: 0.003}", "rounds: 10, lr: 0.003, weights: uniform}"), retrained(runs(method="fedavg-more"))),
    "how clients train": (*quick("lr: 0.03}", "lr: 0.03, augmentation: {flip: 0.5}}"), retrained(RUNS)),
    "what runs keep of their clients": (
        *study("    client_rounds: [1, 0.1, 0.3, last]\n", "    client_rounds: [1, 0.1, 0.3, last]\n    client_paths: true\n"),
        retrained(runs()),
    ),
    # planes and surfaces
    "a grid's size": (
        *quick("all_planes: {grid: 21, coarse: 2}", "all_planes: {grid: 23, coarse: 2}"),
        surfaces(*(folder.split("/")[1] for folder in PLANES if "resnet" not in folder)),
    ),
    "points that are filled in": (*quick("all_planes: {grid: 21, coarse: 2}", "all_planes: {grid: 21, coarse: 4}"), surfaces()),
    "swapped values of two planes": (
        *quick("all_planes: {grid: 21, coarse: 2}", "all_planes: {grid: 13, coarse: 2}", "finals-resnet20: {grid: 13}}", "finals-resnet20: {grid: 21}}"),
        surfaces(),
    ),
    "one plane's margin": (*study("    kind: finals\n", "    kind: finals\n    margin: 0.4\n"), surfaces("finals")),
    "one plane's precision": (*study("    kind: finals\n", "    kind: finals\n    precision: bf16\n"), surfaces("finals")),
    "one plane's samples": (*study("    kind: finals\n", "    kind: finals\n    samples: 500\n"), planes("finals")),
    "a plane's batch norm": (*study("    batch_norm: recalibrate\n", "    batch_norm: interpolate\n"), planes("finals-resnet20")),
    "the round of a local plane": (*study("    round: 0.1\n", "    round: last\n"), planes("local-early")),
    "a plane that also says what clients lose": (
        *study("    kind: trajectory\n    runs: [{partition: dir0.3", "    kind: trajectory\n    client_losses: true\n    runs: [{partition: dir0.3"),
        surfaces("single"),
    ),
    "a surface that several jobs share": (
        *study("    kind: trajectory\n    runs: [{partition: dir0.3", "    kind: trajectory\n    parts: 2\n    runs: [{partition: dir0.3"),
        joined({"surface_part": {f"planes/single/digits_all_seed0/parts/{i}-of-2.npz" for i in (1, 2)}}, surfaces("single")),
    ),
    # connectivity, curvature, drift
    "points on a path": (*quick("{finals: {points: 21}", "{finals: {points: 23}"), walked("finals")),
    "a path's samples": (*quick("{finals: {points: 21}", "{finals: {points: 21, samples: 500}"), walked("finals")),
    "which clients are averaged": (*study("    clients: [0, 1, 2]\n", "    clients: [0, 1]\n"), averaged()),
    "which layers are averaged": (*study("    clients: [0, 1, 2]\n", "    clients: [0, 1, 2]\n    regimes: [full]\n"), averaged()),
    "how units are matched": (*study("    clients: [0, 1, 2]\n", "    clients: [0, 1, 2]\n    alignment: [none, weights]\n"), averaged()),
    "samples of a Hessian": (*quick("samples: 512", "samples: 256"), bent()),
    "rounds of a Hessian": (*study("    rounds: [0, last]\n    top: 1\n", "    rounds: [0, 0.5, last]\n    top: 1\n"), bent()),
    "a trace beside the eigenvalues": (*study("    top: 1\n", "    top: 1\n    trace: auto\n"), bent()),
    "runs of a drift": (
        *study("  updates:\n    runs: [{model: convnet}]", "  updates:\n    runs: [{model: convnet, init: random}]"),
        joined({"drift": {f"{folder}/drift.csv" for folder in DRIFT}}, tabled()),
    ),
    "drift of other runs, too": (
        *study("\ndrift:\n", "\ndrift:\n  more: {runs: [{model: resnet20}]}\n"),
        joined({"drift": {"drift/more/digits_all_seed0/drift.csv"}}, tabled()),
    ),
    # figures and claims
    "a figure's option": (*study("    measure: test_accuracy\n", "    measure: validation_accuracy\n"), {"figure": drawn("accuracy")}),
    "a figure's title": (*study("title: Test accuracy of", "title: Accuracy of"), {"figure": drawn("accuracy")}),
    "a figure's runs": (*study("plane: local\n    where: {partition: *order}", "plane: local\n    where: {partition: [iid, dir0.1]}"), {"figure": drawn("figure-4")}),
    "what figures call a run": (*study('label: "IID"', 'label: "same"'), {"figure": drawn(*FIGURES, "partitions")}),
    "an added figure": (
        *study("figures:\n  figure-1:", "figures:\n  more: {kind: curves, table: drift, measure: distance_start, where: {init: random}}\n  figure-1:"),
        {"figure": drawn("more")},
    ),
    "a figure less": (*quick("figures: {figure-6b", "figures: {figure-4: null, figure-6b"), {}),
    "the words of a claim": (*study("\n  - claim: ", "\n  - claim: Truly, "), CLAIMS),
    "what a claim expects": (*study("expect: {above: 1}", "expect: {above: 2}"), CLAIMS),
    "what a claim is measured on": (*study("cases: [{partition: dir0.3}]", "cases: [{partition: dir0.3, init: random}]"), CLAIMS),
    "a measure of a table": (
        *study("measure: deviation, at: mean, plane: global-iid-round", "measure: deviation, at: last, plane: global-iid-round"),
        {"table": {"tables/readings.csv"}},
    ),
    # runs
    "an added run": (
        *study("&mid {model: convnet, partition: dir0.3,", "&mid {model: convnet, partition: [dir0.3, iid-50],"),
        joined(
            {"train": trained(("convnet", "iid-50", "random", "fedavg"))},
            {"drift": {f"{folder}/drift.csv" for folder in DRIFT}},
            tabled(),
        ),
    ),
    "runs of another model": (
        *quick("*after-iid,", "{model: resnet20, partition: [dir0.3, iid-b], init: random, method: fedavg-short}, *after-iid,"),
        joined({"train": trained(*(("resnet20", partition, "random", "fedavg-short") for partition in ("dir0.3", "iid-b")))}, tabled()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_again_exactly_what_it_touches(marked, edit):
    file, change, expected = EDITS[edit]
    with marked.edited(file, change):
        assert marked.predicted("pilot") == costed(expected)
        if asks_snakemake(EDITS, edit):
            assert marked.pending("pilot") == costed(expected)
