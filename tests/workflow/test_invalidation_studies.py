"""An edit makes again exactly the jobs that it touches: what other studies have and the pilot has not.

A row names the jobs that the edit reaches by itself; those that read what these write follow from the list of
jobs (`fedscape.study.jobs`), which `test_jobs.py` holds against Snakemake's.
"""

import pytest
from edits import asks_snakemake, at_scale, below, more_code, renamed, swap

LAYERWISE_BARRIERS = "^connectivity/(same|different|low-same|low-different)-start/"
EVERY_SPLIT, ALL = {"partition": "."}, "."

# study -> edit -> file (None: the study's), its change, and rule -> pattern of the jobs that it reaches by itself.
EDITS = {
    "fedalign": {
        "an algorithm's setting": (None, swap("mu: 1.0e-4", "mu: 1.0e-3"), {"train": "/fedprox/"}),
        "an algorithm": ("src/fedscape/federated/algorithms/moon.py", more_code, {"train": "/moon(-no-head)?/"}),
        "a model's setting": (None, swap("<<: *resnet8, projection: 64", "<<: *resnet8, projection: 32"), {"initial": "/resnet8-head/"}),
        "a family of models": ("src/fedscape/models/networks/resnet.py", more_code, {"initial": ALL}),
        "a scale's partition": (None, at_scale("quick", "dir0.5: {clients: 8, min_size: 16}", "dir0.5: {clients: 8, min_size: 12}"), {"partition": "/dir0.5/"}),
        "another name for a partition": (None, renamed("homog", "even"), {"partition": "/even/", "figure": ALL, "claims": ALL, "table": "table-[26]|table-4"}),
        "a data set": ("src/fedscape/data/datasets/digits.py", more_code, {"dataset": "digits/"}),
        "a table's title": (None, swap("title: Accuracy and second-order metrics", "title: Accuracy"), {"table": "table-1[.]"}),
        "a published number": (None, swap("[52.9, 297, 6240, 11360, 0.98]", "[52.8, 297, 6240, 11360, 0.98]"), {"table": "table-1[.]"}),
        "how numbers of a table are shown": (None, swap("measure: final, column: best_test_accuracy, percent: true", "measure: final, column: best_test_accuracy"), {"table": "table-1[.]"}),
        "a measure of claims and tables": ("src/fedscape/tables/measures/trace.py", more_code, {"table": "table-1[.]", "claims": ALL}),
        "how tables are written": ("src/fedscape/tables/table.py", more_code, {"table": ALL}),
        "the order of kinds of samples": (None, swap("hessian_agreement: [paper, code]\n    data: [global, own]", "hessian_agreement: [paper, code]\n    data: [own, global]"), {"curvature": ALL}),
        "a plane kind": ("src/fedscape/landscape/planes/eigenvectors.py", more_code, {"plane": "/figure-1/"}),
        "an added run": (
            None, at_scale("quick", "      - {model: resnet8, partition: dir0.5, method: moon-no-head}\n", "      - {model: resnet8, partition: dir0.5, method: [moon-no-head, gradaug-n1]}\n"),
            {"train": "/gradaug-n1/", "table": "table-[27]"},
        ),
    },
    "pretraining": {
        "a server rule": ("src/fedscape/federated/servers/adam.py", more_code, {"train": "/(uneven-)?adam-"}),
        "what servers share": ("src/fedscape/federated/adaptive.py", more_code, {"train": "/(uneven-)?(adam|adagrad|yogi)-"}),
        "a point of a grid of server rates": (None, at_scale("quick", "server.lr: [0.5]", "server.lr: [0.6]"), {"train": "/avgm-sgd.g1/"}),
        "a point more of such a grid": (None, at_scale("quick", "server.lr: [0.5]", "server.lr: [0.5, 1.0]"), {"train": "/avgm-sgd.g2/"}),
        "by what a figure chooses": (None, swap("method: *all}\n    choose: validation_accuracy", "method: *all}\n    choose: validation_loss"), {"figure": "/ranking[.]"}),
        "by what a claim chooses": (None, swap("measure: rank-agreement\n    choose: validation_accuracy", "measure: rank-agreement\n    choose: validation_loss"), {"claims": ALL}),
        "by what a table chooses": (
            None, swap("across: partition\n    choose: validation_accuracy\n    percent: true", "across: partition\n    choose: validation_loss\n    percent: true"), {"table": "/gap[.]"},
        ),
        "how intervals are made": (None, swap("rounds: last-fifth\n    interval: bootstrap\n", "rounds: last-fifth\n"), {"table": "/ranking[.]"}),
        "the code of intervals": ("src/fedscape/tables/estimate.py", more_code, {"claims": ALL, "table": ALL, "figure": "/(gap|local-updates|heterogeneity|eigenvalues|ranking)[.]"}),
        "the share for validation": (None, swap("validation: 0.1 ", "validation: 0.2 "), EVERY_SPLIT),
        "a seed more": (None, at_scale("quick", "seeds: [0, 1]", "seeds: [0, 1, 2]"), {"partition": "seed2", "initial": "seed2", "pretrain": "seed2"}),
        "a start's learning rate": (None, at_scale("quick", "batch_size: 16, lr: 0.05, momentum: 0.9}", "batch_size: 16, lr: 0.04, momentum: 0.9}"), {"pretrain": "/pretrained/"}),
        "the seed of a start that all seeds share": (None, swap("pretrained-text: {kind: pretrained, seed: 0,", "pretrained-text: {kind: pretrained, seed: 1,"), {"pretrain": "/pretrained-text/"}),
        "how text is cut": ("config/config.yaml", swap("descriptions: {kind: sklearn-descriptions, part: clients}", "descriptions: {kind: sklearn-descriptions, part: clients, length: 16}"), {"dataset": "/descriptions/"}),
        "what a run keeps": (None, at_scale("quick", "keep_rounds: all, evaluate_every: 1}", "keep_rounds: {every: 5}, evaluate_every: 1}"), {"train": "/traced/"}),
        "how many clients take part": (None, at_scale("quick", "adam-users: {participation: 0.5,", "adam-users: {participation: 1.0,"), {"train": "/adam-users.g1/"}),
        "samples of a curvature": (None, swap("method: adam-users.g1}], samples: 512}", "method: adam-users.g1}], samples: 256}"), {"curvature": ALL}),
        "distances": ("src/fedscape/drift/drift.py", more_code, {"drift": ALL}),
        "a figure kind": ("src/fedscape/figures/kinds/finals.py", more_code, {"figure": "/(gap|local-updates|heterogeneity|eigenvalues)[.]"}),
    },
    "layerwise": {
        "rounds of a pair": (None, swap("rounds: [0.25, 0.5, 0.75]", "rounds: [0.25, 0.5]"), {"layers": "/epochs/"}),
        "which layers are averaged": (None, swap("regimes: [full]\n", "regimes: [full, single]\n"), {"layers": "/epochs/"}),
        "groups of layers": (None, swap("regimes: [full]\n", "regimes: [full]\n    groups: {head: [classifier]}\n"), {"layers": "/epochs/"}),
        "random directions": (None, at_scale("quick", "directions: 1}", "directions: 2}"), {"layers": LAYERWISE_BARRIERS}),
        "the order of random layers": (None, swap("order_seed: 111", "order_seed: 112"), {"layers": f"{LAYERWISE_BARRIERS}|^connectivity/matched/"}),
        "how units are matched": (None, swap("alignment: [none, weights, weights-repair]", "alignment: [none, weights]"), {"layers": "^connectivity/different-start/"}),
        "the code that matches units": ("src/fedscape/connectivity/matching.py", more_code, {"layers": ALL}),
        "when clients average": (None, swap("average_every: 20}", "average_every: 10}"), {"train": "/every-20/"}),
        "a schedule": (None, at_scale("quick", "schedule: {warmup_steps: 60}", "schedule: {warmup_steps: 50}"), {"train": ALL}),
        "a model of text": (None, swap("gpt: {blocks: 2, width: 64}", "gpt: {blocks: 2, width: 32}"), {"initial": "/gpt/"}),
        "a data set that this scale has not": ("src/fedscape/data/datasets/tinyshakespeare.py", more_code, {}),
        "a figure kind": ("src/fedscape/figures/kinds/heatmap.py", more_code, {"figure": "/(figure-1a|figure-([2-9]|1[01])|middle-out|aligned|low-single|clients-middle|directions|averaged)[.]"}),
        "rows that a figure draws": (None, swap("regime: full, alignment: none, measure: loss}", "regime: full, alignment: weights, measure: loss}"), {"figure": "/figure-1b[.]"}),
        "a measure of layers": ("src/fedscape/tables/measures/layer_barrier.py", more_code, {"claims": ALL, "table": ALL}),
    },
    "remedies": {
        "weights of clients": (None, swap("weights: inverse-input-variance", "weights: uniform"), {"train": "/input-variance/"}),
        "pruning": (None, swap("final_sparsity: 0.8", "final_sparsity: 0.7"), {"train": "/pruning/"}),
        "augmentation": (None, swap("brightness: 0.2", "brightness: 0.3"), {"train": "/preprocessing/"}),
        "swapped methods": (None, swap("input-variance: {<<: *none, weights: inverse-input-variance}", "input-variance: {<<: *none, weights: inverse-update-variance}", "update-variance: {<<: *none, weights: inverse-update-variance}", "update-variance: {<<: *none, weights: inverse-input-variance}"), {"train": "/(input|update)-variance/"}),
        "a measure of rounds": ("src/fedscape/tables/measures/rise.py", more_code, {"claims": ALL, "table": ALL}),
        "unequal work": (None, swap("{uniform: [1, 19]}", "{uniform: [1, 18]}"), {"train": "/unequal/"}),
        "a partition": (None, swap("iid:    {scheme: iid, clients: 10}", "iid:    {scheme: iid, clients: 9}"), {"partition": "/iid/"}),
        "a measure of drift": ("src/fedscape/tables/measures/client_drift.py", more_code, {"claims": ALL, "table": ALL}),
        "the methods of a figure": (None, swap("[none, input-variance, update-variance, preprocessing, pruning]", "[none, pruning]"), {"figure": "/loss[.]"}),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("study", "edit"), [(study, edit) for study, edits in EDITS.items() for edit in edits]
)
def test_an_edit_makes_again_exactly_what_it_touches(marked, study, edit):
    file, change, touched = EDITS[study][edit]
    with marked.edited(file or f"config/studies/{study}.yaml", change):
        expected = below(marked.jobs(study), touched)
        assert marked.predicted(study) == expected
        if asks_snakemake(EDITS[study], edit):
            assert marked.pending(study) == expected
