"""What an example keeps, and when it is refused: `fedscape pack` and `redraw` on made-up results."""

import gzip
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from command_files import ROOT, repository, tiny

from fedscape.cli import main
from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.examples import pack, redraw, store
from fedscape.examples.page import with_part
from fedscape.regular import LARGEST
from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of
from fedscape.study.kept import drawing_jobs, drawn_from, measured_files

COMMIT = {"commit": "a" * 40, "dirty": False}
VERSIONS = {"fedscape": "1", "python": "3", "packages": {"torch": "2"}, "torch": "2", "device": "cpu"}
PAGE = Path("x/README.md")
DATA = "docs/examples/tiny-smoke/data"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone at a commit, with a study of two seeds."""
    root = repository(tmp_path / "clone")
    study = root / "config/studies/tiny.yaml"
    study.write_text(study.read_text() + "seeds: [0, 1]\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(pack, "commit", lambda: COMMIT)
    return root


def make(folder, *seeds):
    """Write the files that training and measuring these seeds would leave."""
    study = tiny(folder)
    for path, seed in measured_files(study).items():
        if seed in seeds:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(f"{path}\n\n")
    for run in study.runs:
        if run.seed in seeds:
            target = folder / study.folder / "runs" / run.path
            (target / "run.json").write_text(json.dumps({**COMMIT, **VERSIONS}))
            names = [study.name, study.scale, run.dataset, run.model, run.partition, run.init, run.method]
            row = [*names, run.seed, 1, 2.0, 0.5, 100.0]
            write_csv(target / "timing.csv", pd.DataFrame([row], columns=FILES["timing"].columns), ["round"])


def packed(*arguments):
    return main(["pack", "tiny", "--config", "scale=smoke", *arguments])


def kept(data):
    return {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def refused(capsys, arguments):
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0].removeprefix("fedscape: ")


def test_a_study_parts_into_what_is_measured_and_what_is_drawn(clone):
    study = tiny(clone)
    measured, drawing = measured_files(study), drawing_jobs(study)
    assert set(drawn_from(drawing)) <= {*measured, f"{study.folder}/tables/costs.csv"}
    everything = {path for job in jobs_of(study) for path in job.outputs if path.endswith(".csv")}
    drawn = {path for job in drawing for path in job.outputs}
    assert everything - drawn - set(measured) == {f"{study.folder}/tables/costs.csv"}
    for run in study.runs:
        assert measured[f"{study.folder}/runs/{run.path}/rounds.csv"] == run.seed
    assert set(measured.values()) == {0, 1}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")))
def test_every_figure_table_and_claim_is_drawn_from_csvs_that_are_kept(name):
    config = {**read_yaml(ROOT / "config" / "config.yaml"), "study": name, "scale": "small"}
    study = read_study(ROOT, config)
    read = set(drawn_from(drawing_jobs(study)))
    assert read and read <= {*measured_files(study), f"{study.folder}/tables/costs.csv"}


def test_a_pack_holds_the_csvs_as_they_were_and_the_same_bytes_twice(clone, capsys):
    make(clone, 0, 1)
    assert packed() == 0
    expected = measured_files(tiny(clone))
    assert f"{len(expected)} of {len(expected)} files" in capsys.readouterr().out
    first = kept(clone / DATA)
    for path in expected:
        name = path.removeprefix("results/tiny/smoke/")
        assert gzip.decompress(first[Path(f"{name}.gz")]) == (clone / path).read_bytes()
    assert packed() == 0
    assert kept(clone / DATA) == first


def test_seeds_that_are_packed_one_by_one_are_as_those_packed_at_once(clone, tmp_path, capsys):
    make(clone, 0)
    assert packed() == 0
    assert capsys.readouterr().out.endswith(", of seed 1\n")
    assert packed("--missing") == 0
    named = capsys.readouterr().out.splitlines()
    assert named == [path for path, seed in measured_files(tiny(clone)).items() if seed == 1]
    shutil.rmtree(clone / "results")  # another machine
    make(clone, 1)
    assert packed() == 0
    assert "not there yet" not in capsys.readouterr().out
    make(clone, 0)
    assert packed("--to", str(tmp_path)) == 0
    assert kept(clone / DATA) == kept(tmp_path / "tiny-smoke" / "data")
    costs = gzip.decompress((clone / DATA / "tables" / "costs.csv.gz").read_bytes())
    assert costs.count(b",train,") == len(tiny(clone).runs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": None}, "trained outside a git clone"),
        ({"dirty": True}, "trained with changes that commit"),
        ({"commit": "b" * 40}, "and this clone is at aaaa"),
    ],
)
def test_runs_without_one_commit_are_refused(clone, capsys, change, message):
    make(clone, 0, 1)
    run = next((clone / "results").rglob("run.json"))
    run.write_text(json.dumps({**COMMIT, **VERSIONS, **change}))
    assert message in refused(capsys, ["pack", "tiny", "--config", "scale=smoke"])
    assert not (clone / DATA).exists()


def test_a_clone_with_changes_does_not_pack(clone, capsys, monkeypatch):
    make(clone, 0, 1)
    monkeypatch.setattr(pack, "commit", lambda: {**COMMIT, "dirty": True})
    assert "differs from its commit" in refused(capsys, ["pack", "tiny", "--config", "scale=smoke"])


def test_csvs_of_another_commit_are_not_mixed_in(clone, capsys, monkeypatch):
    make(clone, 0, 1)
    assert packed() == 0
    for run in (clone / "results").rglob("run.json"):
        run.write_text(json.dumps({**VERSIONS, "commit": "c" * 40, "dirty": False}))
    monkeypatch.setattr(pack, "commit", lambda: {"commit": "c" * 40, "dirty": False})
    message = refused(capsys, ["pack", "tiny", "--config", "scale=smoke"])
    assert message.endswith("remove its folder `data` to replace it")


def test_more_than_an_example_takes_is_refused(clone, capsys, monkeypatch):
    make(clone, 0, 1)
    monkeypatch.setattr(store, "LIMIT", 1_000)
    assert "an example takes at most 1,000" in refused(capsys, ["pack", "tiny", "--config", "scale=smoke"])
    assert not (clone / DATA).exists()


def test_a_csv_that_is_missing_ends_before_anything_is_drawn(clone, capsys):
    make(clone, 0, 1)
    assert packed() == 0
    lost = next((clone / DATA).rglob("rounds.csv.gz"))
    lost.unlink()
    message = refused(capsys, ["redraw", "docs/examples/tiny-smoke"])
    assert lost.relative_to(clone).as_posix() in message and "is drawn from it (1 of " in message


def test_an_example_that_is_made_seed_by_seed_is_left_as_it_is_until_it_is_whole(clone, capsys):
    make(clone, 0)
    assert packed() == 0
    before = kept(clone / "docs/examples/tiny-smoke")
    capsys.readouterr()
    for only_page in ([], ["--page"]):
        assert main(["redraw", *only_page]) == 0
        said = capsys.readouterr().out
        assert said.startswith("docs/examples/tiny-smoke: left as it is, ") and "not kept yet" in said
    assert kept(clone / "docs/examples/tiny-smoke") == before


def test_csvs_are_not_drawn_under_other_settings(clone, capsys):
    make(clone, 0, 1)
    assert packed() == 0
    study = clone / "config/studies/tiny.yaml"
    before = study.read_text()
    study.write_text(before.replace("lr: 0.1,", "lr: 0.2,"))
    message = refused(capsys, ["redraw", "docs/examples/tiny-smoke"])
    assert "methods.fedavg.training.lr is 0.2" in message and message.endswith("were made with 0.1")
    # What has come since, and what only is drawn otherwise, is no matter.
    study.write_text(
        before.replace("test_accuracy}", "test_accuracy, title: New}").replace("drift: {moves: {}}", "")
    )
    store.Example(clone / "docs/examples/tiny-smoke").check_settings(tiny(clone))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "not a whole compressed file"),
        (gzip.compress(b"a" * 100, mtime=0)[:-9], "not a whole compressed file"),
        (gzip.compress(bytes(LARGEST + 1), mtime=0), "larger than"),
    ],
    ids=["no gzip", "cut off", "too large"],  # the same in every process that collects tests
)
def test_a_damaged_csv_is_named(clone, capsys, content, message):
    make(clone, 0, 1)
    assert packed() == 0
    damaged = next((clone / DATA).rglob("drift.csv.gz"))
    damaged.write_bytes(content)
    line = refused(capsys, ["redraw", "docs/examples/tiny-smoke"])
    assert damaged.relative_to(clone).as_posix() in line and message in line


def test_redrawing_replaces_the_page_and_leaves_what_else_lies_beside_it(clone, monkeypatch):
    def draw(example, study, jobs, drawn, scratch, cores):
        page = scratch / study.folder / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("new")

    make(clone, 0, 1)
    assert packed() == 0
    folder = clone / "docs/examples/tiny-smoke"
    mine, old = ["notes.html", "table.js"], ["index.html", "plotly.min.js"]
    for name in [*mine, *old]:
        (folder / name).write_text("old")
    monkeypatch.setattr(redraw, "_draw", draw)
    monkeypatch.setattr(redraw, "write_page", lambda *_: None)
    assert main(["redraw", str(folder)]) == 0
    assert all((folder / name).read_text() == "old" for name in mine)
    assert (folder / "index.html").read_text() == "new" and not (folder / "plotly.min.js").exists()


@pytest.mark.parametrize("text", ["", "made_with: {}", "made_with: {commit: 1}", "a: [", "made_with: *a"])
def test_settings_that_are_none_are_named(clone, capsys, text):
    (clone / DATA).mkdir(parents=True)
    (clone / DATA / "config.yaml").write_text(text)
    assert f"{DATA}/config.yaml" in refused(capsys, ["redraw"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["redraw"], "no example keeps CSVs"),
        (["redraw", "docs/examples/tiny-smoke"], "no CSVs are kept here; `fedscape pack tiny` brings them"),
        (["redraw", "docs"], "an example's folder is called {study}-{scale}"),
        (["pack", "tiny", "--config", "scale=smoke"], "no run of tiny at scale smoke is there"),
    ],
)
def test_what_is_not_there_is_named(clone, capsys, arguments, message):
    assert message in refused(capsys, arguments)


def test_a_part_of_a_page_is_replaced_and_the_prose_stays():
    page = with_part("# Mine\n\nProse.\n", "made", "one", PAGE)
    assert page.startswith("# Mine\n\nProse.\n\n<!-- made: begin")
    assert with_part(f"{page}More.\n", "made", "two", PAGE) == f"{page}More.\n".replace("\none\n", "\ntwo\n")


@pytest.mark.parametrize("mark", ["begin", "end"])
def test_prose_is_not_lost_where_a_mark_is(mark):
    lines = with_part("Prose.\n", "made", "one", PAGE).splitlines()
    broken = "\n".join(line for line in lines if f"made: {mark}" not in line)
    with pytest.raises(FedscapeError, match=r"^x/README\.md: no '<!-- made: begin"):
        with_part(broken, "made", "two", PAGE)


@pytest.mark.parametrize("cores", ["0", "-1", "two", ""])
def test_cores_that_there_cannot_be_are_a_line(capsys, cores):
    assert main(["redraw", f"--cores={cores}"]) == 1
    assert (
        capsys.readouterr().err
        == f"fedscape: --cores: got {cores!r}; allowed: all, or a whole number from 1\n"
    )
