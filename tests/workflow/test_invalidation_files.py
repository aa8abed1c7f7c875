"""Files that change, go or come, and Snakemake's own options: what a dry run then lists, and no more."""

import shutil
from contextlib import contextmanager

import pytest
from clone import SHORT, Clone
from edits import add, below, put

from fedscape.jobs.recorded import STARTED, record_path

RESULTS = "results/deep/quick"
RUN = f"{RESULTS}/runs/digits/convnet/dir0.3/random/fedavg/seed0"
THIS_RUN = {"train": "convnet/dir0.3/random/fedavg/"}
STUDY = "config/studies/deep.yaml"


@contextmanager
def away(clone: Clone, *paths: str):
    """Files or folders are gone."""
    kept = clone.folder / "kept"
    kept.mkdir()
    for number, path in enumerate(paths):
        shutil.move(clone.folder / path, kept / str(number))
    try:
        yield
    finally:
        for number, path in enumerate(paths):
            shutil.move(kept / str(number), clone.folder / path)
        kept.rmdir()


@pytest.mark.parametrize(
    ("file", "touched"),
    [
        (f"{RUN}/final.safetensors", THIS_RUN),
        (f"{RESULTS}/planes/single/digits_all_seed0/trajectories.vtp", {"export": "/single/"}),
        (f"{RESULTS}/figures/figure-4.svg", {"figure": "figure-4[.]"}),
        (f"{RESULTS}/tables/claims.md", {"claims": "."}),
    ],
)
def test_a_deleted_result_is_made_again_with_what_reads_it(marked, file, touched):
    with away(marked, file):
        assert marked.pending("deep") == below(marked.jobs("deep"), touched)


@pytest.mark.parametrize(
    "file",
    [
        f"{RUN}/trajectory.safetensors",
        f"{RUN}/timing.csv",
        f"{RESULTS}/connectivity/finals/digits_random_seed0/barriers.csv",
        "results/data/digits-proxy/test-labels.npy",
    ],
)
def test_a_deleted_file_that_all_readers_have_read_is_made_when_it_is_wanted(marked, file):
    """As anywhere in Snakemake: what hangs below it is there, so nothing wants it until it is asked for."""
    with away(marked, file):
        assert marked.pending("deep") == {}
        assert any(SHORT.sub("", file) in outputs for outputs in _outputs(marked, file))


def _outputs(marked: Clone, file: str) -> list[str]:
    """Lines of a dry run for a file that name outputs."""
    return [line for line in marked.listing(file).splitlines() if line.lstrip().startswith("output:")]


def test_a_newer_file_of_the_same_content_makes_nothing_again(marked):
    for file in (
        f"{RUN}/rounds.csv",
        f"{RUN}/trajectory.safetensors",
        "results/data/digits/dataset.json",
    ):
        path = marked.folder / file
        path.write_bytes(path.read_bytes())
    for path in (marked.folder / RESULTS).glob("drift/*/*/drift.csv"):
        path.write_bytes(path.read_bytes())
    assert marked.pending("deep") == {}


def test_a_file_of_another_content_makes_again_what_reads_it(marked):
    path = marked.folder / RESULTS / "drift/updates/digits_convnet_seed0/drift.csv"
    before = path.read_bytes()
    try:
        path.write_bytes(before + b"more\n")
        assert marked.pending("deep") == below(marked.jobs("deep"), {"tables": "."})
    finally:
        path.write_bytes(before)


def test_other_arrays_make_again_all_that_is_computed_on_them(marked):
    """The file beside them has their md5s: another one is another file."""
    path = marked.folder / "results/data/digits/dataset.json"
    before = path.read_bytes()
    try:
        path.write_bytes(b'{"files": {"train-inputs.npy": {"md5": "00"}}}')
        first = ("partition", "initial", "pretrain")
        assert marked.pending("deep") == below(marked.jobs("deep"), dict.fromkeys(first, "."))
    finally:
        path.write_bytes(before)


def test_another_study_shares_the_prepared_data(marked):
    """Nothing is there of it but the data sets that `deep` has prepared."""
    with away(marked, "results/broad", "results/data/descriptions"):
        pending = marked.pending("broad")
    first = ("dataset", "partition", "initial", "pretrain")
    everything = below(marked.jobs("broad"), dict.fromkeys(first, "."))
    assert pending == everything | {"dataset": {"data/descriptions/dataset.json"}}


def test_forcerun_makes_a_rule_again_with_what_reads_it(marked):
    expected = below(marked.jobs("deep"), {"drift": "."})
    assert marked.pending("--forcerun", "drift", "--", "deep") == expected


def test_until_stops_at_a_rule(marked):
    with marked.edited(STUDY, put({"scales/quick/methods/fedavg-more/rounds": 9})):
        assert marked.pending("--until", "train", "--", "deep") == {
            "train": {
                f"runs/digits/convnet/dir1.0/{init}-end/fedavg-more/seed0/trajectory.safetensors"
                for init in ("pretrained", "iid-round")
            }
        }


def test_a_file_is_made_without_what_it_does_not_need(marked):
    with marked.edited(STUDY, add({"planes/finals/margin": 0.4})):
        assert marked.pending(f"{RESULTS}/figures/figure-4.png") == {}
        pending = marked.pending(f"{RESULTS}/figures/figure-3a.png")
    group = "planes/finals/digits_random_seed0"
    assert pending == {"surface": {f"{group}/surface.csv"}, "figure": {"figures/figure-3a.png"}}


def test_a_job_that_has_begun_and_not_ended_is_made_again(marked):
    marker = marked.folder / record_path(STARTED, f"{RUN}/rounds.csv")
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text('{"external_jobid": null}')
    try:
        assert marked.pending("deep") == below(marked.jobs("deep"), THIS_RUN)
    finally:
        marker.unlink()


def test_touch_takes_results_for_those_of_today(marked):
    """And the settings of before are then the ones that results were not made with."""
    with marked.edited(STUDY, add({"curvature/start-and-end/trace": "auto"})):
        changed = marked.pending("deep")
        assert changed == below(marked.jobs("deep"), {"curvature": "."})
        marked.touch("--", "deep")
        assert marked.pending("deep") == {}
    assert marked.pending("deep") == changed
    marked.touch("--", "deep")
    assert marked.pending("deep") == {}


def test_a_file_to_start_from(marked):
    """`torchvision` reads weights of the user's: their content counts, not their time."""
    study, weights = "config/studies/broad.yaml", marked.folder / "weights.safetensors"
    start = put({"inits/pretrained": {"kind": "torchvision", "file": weights.name}})
    weights.write_bytes(b"one")
    try:
        with marked.edited(study, start):
            again = below(marked.jobs("broad"), {"initial": "/pretrained/"})
            assert marked.pending("broad") == again
            marked.touch("--", "broad")
            weights.write_bytes(b"one")
            assert marked.pending("broad") == {}
            weights.write_bytes(b"two")
            assert marked.pending("broad") == again
    finally:
        weights.unlink()
        marked.touch("--", "broad")
