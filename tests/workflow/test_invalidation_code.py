"""An edit of code reruns exactly the jobs that run it. Edit -> jobs, of the study `deep`."""

import pytest
from deep_study import (
    CLAIMS,
    DRIFT,
    FIGURES,
    PAGE,
    PLANES,
    READINGS,
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
    starts,
    surfaces,
    tabled,
    walked,
)  # fmt: skip
from edits import asks_snakemake, more_code, new_file, swap

CONTOURS = {
    name for name, source in FIGURES.items() if source.startswith("planes/") and "local" not in source
}
EVERYTHING = joined(
    {"dataset": {"data/digits/dataset.json", "data/digits-proxy/dataset.json"}},
    starts(*((model, init) for model, _, init, _ in RUNS)),
    split_anew(*SPLITS),
)

SPEEDUPS = """import torch

torch.nn.functional.cross_entropy = torch.nn.functional.mse_loss
"""

# file -> the jobs that a dry run lists when there is a statement more in it, and no others.
FILES = {
    # scripts
    "workflow/scripts/train.py": retrained(RUNS),
    "workflow/scripts/drift.py": joined({"drift": {f"{folder}/drift.csv" for folder in DRIFT}}, tabled()),
    "workflow/scripts/tables.py": tabled(),
    "workflow/scripts/costs.py": {"costs": {"tables/costs.csv"}},
    "workflow/scripts/table.py": {"table": {f"tables/{name}.csv" for name in READINGS}},
    # plug-ins
    "src/fedscape/data/datasets/digits.py": EVERYTHING,
    "src/fedscape/data/partitions/dirichlet.py": {},
    "src/fedscape/data/partitions/dirichlet_per_class.py": split_anew(
        "dir1.0", "dir0.5", "dir0.3", "dir0.1", "dir0.5-50"
    ),
    "src/fedscape/data/partitions/shards.py": {},
    "src/fedscape/models/networks/resnet20.py": remodelled("resnet20"),
    "src/fedscape/federated/initials/after_round.py": joined(
        {
            "initial": {
                f"initial/digits/convnet/{init}/seed0.safetensors"
                for init in ("iid-round", "pretrained-end", "iid-round-end")
            }
        },
        retrained(runs(init=("iid-round", "pretrained-end", "iid-round-end"))),
    ),
    "src/fedscape/federated/algorithms/fedavg.py": joined(started_anew("pretrained"), retrained(RUNS)),
    "src/fedscape/federated/algorithms/moon.py": {},
    "src/fedscape/federated/servers/average.py": retrained(RUNS),
    "src/fedscape/federated/servers/adam.py": {},
    "src/fedscape/landscape/planes/finals.py": planes("finals", "finals-resnet20"),
    "src/fedscape/landscape/planes/random.py": {},
    "src/fedscape/tables/measures/final.py": joined(CLAIMS, {"table": {"tables/readings.csv"}}),
    "src/fedscape/tables/measures/trace.py": {},
    "src/fedscape/figures/kinds/contour.py": {"figure": drawn(*CONTOURS)},
    # what stages import
    "src/fedscape/federated/aggregate.py": retrained(RUNS),
    "src/fedscape/checkpoints/checkpoint.py": joined(
        planes(*(folder.split("/")[1] for folder in PLANES)), walked(), averaged(), bent()
    ),
    "src/fedscape/landscape/make_plane.py": planes(*(folder.split("/")[1] for folder in PLANES)),
    "src/fedscape/landscape/surface.py": surfaces(),
    "src/fedscape/connectivity/path.py": walked(),
    "src/fedscape/connectivity/layer_merges.py": averaged(),
    "src/fedscape/connectivity/curve_training.py": {},
    "src/fedscape/curvature/traces.py": bent(),
    "src/fedscape/drift/drift.py": joined({"drift": {f"{folder}/drift.csv" for folder in DRIFT}}, tabled()),
    "src/fedscape/export/paraview.py": {"export": {f"{folder}/surface.vts" for folder in PLANES}},
    "src/fedscape/tables/claims.py": CLAIMS,
    "src/fedscape/pages/explorer.py": PAGE,
    "src/fedscape/figures/draw.py": {"figure": drawn(*FIGURES, "partitions")},
    # two imports away from a script, and more
    "src/fedscape/landscape/refine.py": surfaces(),
    "src/fedscape/landscape/pca.py": planes(*(folder.split("/")[1] for folder in PLANES)),
    "src/fedscape/curvature/density.py": bent(),
}


def imports_speedups(text: str) -> str:
    """A plain import in a package's `__init__`."""
    return f"{text}\nimport fedscape.evaluation.speedups\n"


@pytest.mark.parametrize("file", FILES)
def test_a_statement_more_makes_again_exactly_what_runs_it(marked, file):
    with marked.edited(file, more_code):
        assert marked.predicted("deep") == collected(FILES[file])
        if asks_snakemake(FILES, file):
            assert marked.pending("deep") == collected(FILES[file])


def test_an_edited_template_makes_again_the_page(marked):
    with marked.edited("workflow/page/page.css", lambda text: f"{text}\nb {{ color: red; }}\n"):
        assert marked.predicted("deep") == PAGE
        assert marked.pending("deep") == PAGE


def test_a_module_that_a_package_imports_makes_again_what_runs_it(marked):
    """The example of one who attacked fedscape: other weights with the same `code=`."""
    name, init = "src/fedscape/evaluation/speedups.py", "src/fedscape/evaluation/__init__.py"
    with marked.edited(name, new_file(SPEEDUPS)), marked.edited(init, imports_speedups):
        made = marked.predicted("deep")
        assert made["train"] == retrained(RUNS)["train"]
        assert made["surface"] == surfaces()["surface"] and made["path"] == walked()["path"]
        assert not {"dataset", "partition"} & set(made)
        assert marked.pending("deep") == made


DRIFT_SCRIPT = '    script:\n        "../workflow/scripts/drift.py"\n'
OTHER_WORK = {
    "another script": (swap("scripts/drift.py", "scripts/train.py"), "it runs ../workflow/scripts/train.py"),
    "another folder": (swap("../workflow/scripts/drift.py", "drift.py"), "it runs drift.py"),
    "a shell": (swap(DRIFT_SCRIPT, '    shell:\n        "touch {output}"\n'), "it runs no script"),
    "a run": (swap(DRIFT_SCRIPT, "    run:\n        Path(output[0]).touch()\n"), "it runs no script"),
    "a notebook": (swap(DRIFT_SCRIPT, '    notebook:\n        "drift.py.ipynb"\n'), "it runs no script"),
    "settings of its own": (swap('tracked("drift")', "['mine=1']"), "no settings=tracked(...) in its params"),
}


@pytest.mark.parametrize("work", OTHER_WORK)
def test_a_rule_runs_the_script_whose_digest_is_compared_or_nothing(marked, work):
    change, line = OTHER_WORK[work]
    with marked.edited("rules/drift.smk", change):
        done = marked.snakemake("-n", "deep", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"fedscape: rules/drift.smk, rule drift: {line}")
