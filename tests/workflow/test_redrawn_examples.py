"""An example: packed from a study that Snakemake made, and drawn again where nothing can be trained."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from clone import Clone

STUDY = "remedies"
EXAMPLE = f"docs/examples/{STUDY}-smoke"
NOBODY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")


def run(clone, *command: str) -> str:
    done = subprocess.run(
        command, cwd=clone.folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(clone.folder / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def committed(clone) -> str:
    """The commit of all that is in a clone."""
    run(clone, "git", "add", "--all")
    run(clone, "git", *NOBODY, "commit", "--quiet", "--message", "all")
    return run(clone, "git", "rev-parse", "HEAD").strip()


def fedscape(clone, *arguments: str) -> str:
    return run(clone, sys.executable, "-m", "fedscape.cli", *arguments)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(smoke, tmp_path_factory) -> tuple[Clone, str]:
    """A clone that has an example of a study and nothing else of it, and its commit; training is broken there."""
    smoke.snakemake(STUDY, "--cores", "all", "--config", "scale=smoke")
    clone = Clone(tmp_path_factory.mktemp("examples"))
    shutil.rmtree(clone.folder / "docs" / "examples")
    for script in ("train", "initial", "dataset", "partition"):
        (clone.folder / "workflow" / "scripts" / f"{script}.py").write_text("raise SystemExit('not here')\n")
    run(clone, "git", "init", "--quiet")
    commit = committed(clone)
    results = clone.folder / "results" / STUDY / "smoke"
    shutil.copytree(smoke.folder / "results" / STUDY / "smoke", results)
    for path in results.rglob("run.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "commit": commit, "dirty": False}))
    fedscape(clone, "pack", STUDY, "--config", "scale=smoke")
    shutil.rmtree(clone.folder / "results" / STUDY)
    fedscape(clone, "redraw", "--cores", "2")
    return clone, commit


def test_an_example_is_drawn_as_the_workflow_drew_the_study(smoke, drawn):
    clone, _ = drawn
    results, example = smoke.folder / "results" / STUDY / "smoke", clone.folder / EXAMPLE
    assert contents(example / "figures") == {
        path.relative_to(results / "figures"): path.read_bytes() for path in results.glob("figures/*.png")
    }
    tables = contents(example / "tables")
    assert {"runs.csv", "runs.md", "rounds.csv", "claims.csv", "claims.md", "costs.csv"} <= set(
        map(str, tables)
    )
    assert all(content == (results / "tables" / name).read_bytes() for name, content in tables.items())
    assert not (clone.folder / "results" / STUDY).exists()


def test_its_page_names_both_commits_and_stays_as_it_is(drawn):
    clone, commit = drawn
    page = clone.folder / EXAMPLE / "README.md"
    text = page.read_text()
    assert f"Trained at commit `{commit}`, drawn at commit `{commit}`. Python" in text
    heading = "## What holds, what does not, and why\n"
    page.write_text(text.replace(heading, f"{heading}\nThis and that.\n"))
    before = contents(clone.folder / EXAMPLE)
    assert committed(clone) != commit
    fedscape(clone, "redraw", EXAMPLE, "--cores", "2")
    assert contents(clone.folder / EXAMPLE) == before


def test_its_html_page_alone_is_written_from_what_is_drawn(drawn):
    clone, _ = drawn
    before = contents(clone.folder / EXAMPLE)
    for name in ("index.html", "plotly.min.js"):
        (clone.folder / EXAMPLE / name).unlink()
    fedscape(clone, "redraw", "--page", "--cores", "1")
    assert contents(clone.folder / EXAMPLE) == before


def test_a_seed_is_a_target(smoke):
    """What is measured on its runs, but neither tables nor figures, which wait for all seeds."""
    jobs = smoke.pending("fedalign_seed2", "--config", "scale=small")
    assert {"train", "curvature"} <= set(jobs) and not {"tables", "claims", "table", "figure", "costs"} & set(
        jobs
    )
    assert {path.rsplit("/", 2)[1] for path in jobs["train"]} == {"seed2"}
