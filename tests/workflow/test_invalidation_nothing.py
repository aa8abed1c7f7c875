"""What makes nothing again: other spellings, other layouts, what no job uses, the times of files."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from clone import STUDIES, Clone
from edits import at_scale, more_code, new_file, reformatted, swap

from fedscape.jobs.recorded import record_of
from fedscape.study.catalog import PACKAGES, names, source

STUDY, CONFIG = "config/studies/pilot.yaml", "config/config.yaml"

# Each alone makes nothing again, so a dry run may be asked about all of them at once.
EDITS = {
    "a number's spelling": (STUDY, at_scale("quick", "lr: 0.03}", "lr: 3.0e-2}")),
    "a whole number for a float": (STUDY, swap("clients: 10, alpha: 1.0}", "clients: 10, alpha: 1}")),
    "an expectation's spelling": (STUDY, swap("expect: {above: 1}", "expect: {above: 1.0}")),
    "a grid's spelling": (
        STUDY,
        at_scale("quick", "finals-resnet20: {grid: 13}", "finals-resnet20: {grid: [13, 13]}"),
    ),
    "the order of keys": (
        STUDY,
        at_scale("quick", "{rounds: 20, local_epochs: 2,", "{local_epochs: 2, rounds: 20,"),
    ),
    "the order of entries": (
        STUDY,
        swap("  convnet: {}\n  resnet20: {norm: batch}\n", "  resnet20: {norm: batch}\n  convnet: {}\n"),
    ),
    "the order of sections": (STUDY, lambda text: _moved_last(text, "labels:")),
    "a comment in a study": (STUDY, swap("runs:\n", "# which runs\nruns:\n")),
    "another scale": (STUDY, swap("    images: {cifar10: 4000,", "    images: {cifar10: 3000,")),
    "a method that no run uses": (STUDY, swap("\nruns:", "  other: {algorithm: fedavg, rounds: 3}\n\nruns:")),
    "a partition that no run uses": (STUDY, swap("\ninits:", "  other: {scheme: iid, clients: 3}\n\ninits:")),
    "a figure less": (STUDY, at_scale("quick", "figures: {figure-6b", "figures: {figure-4: null, figure-6b")),
    "another study": ("config/studies/fedalign.yaml", swap("mu: 1.0e-4", "mu: 2.0e-4")),
    "a new study": ("config/studies/mine.yaml", lambda text: (Path(__file__).parents[2] / STUDY).read_text()),
    "where raw data lie": (CONFIG, swap("data_root: data ", "data_root: elsewhere ")),
    "another data set": (CONFIG, swap("datasets: ", "datasets:\n  mine: {kind: digits} ")),
    **{
        f"a new {role}": (
            f"src/fedscape/{package.replace('.', '/')}/mine.py",
            new_file(source(role, names(role)[0]).read_text()),
        )
        for role, package in PACKAGES.items()
    },
    "a module that nothing imports": ("src/fedscape/federated/mine.py", new_file("VALUE = 1\n")),
    "a version number": (
        "src/fedscape/__init__.py",
        swap("__version__ =", '__version__ = "9"\n__version__ ='),
    ),
    "the command line": ("src/fedscape/command/status.py", more_code),
    # How a study becomes jobs is no part of any.
    "how runs are crossed": ("src/fedscape/study/grid.py", more_code),
    "the home of a stage": ("src/fedscape/study/stages/planes.py", more_code),
    "what a home is": ("src/fedscape/study/stages/stage.py", more_code),
    "how jobs are listed": ("src/fedscape/study/jobs.py", more_code),
    "what plug-ins may have": ("src/fedscape/study/contracts.py", more_code),
    "a job's memory": ("rules/train.smk", swap("8000 * attempt", "9000 * attempt")),
    "a job's threads": ("rules/drift.smk", swap("threads: 1", "threads: 2")),  # it computes with one
    "a rule's comment": ("rules/train.smk", swap("rule train:", "# longest of all\nrule train:")),
    "a conda file": ("envs/cpu.yaml", lambda text: text + "# newer\n"),
    "the profile": ("profiles/slurm/config.yaml", lambda text: text + "# mine\n"),
}


def _moved_last(text: str, head: str) -> str:
    """A section of a study, put after the others."""
    start = text.index(f"\n{head}\n")
    end = text.index("\n\n", start)
    return text[:start] + text[end:] + text[start:end] + "\n"


def pending_after(clone: Clone, edits: dict[str, tuple[str, Callable]]) -> dict:
    with ExitStack() as stack:
        for file, change in edits.values():
            stack.enter_context(clone.edited(file, change))
        return clone.pending("pilot")


def test_edits_that_touch_no_job(marked):
    if pending_after(marked, EDITS):
        alone = {name: pending_after(marked, {name: edit}) for name, edit in EDITS.items()}
        pytest.fail(f"these make something again: { {name: jobs for name, jobs in alone.items() if jobs} }")


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_predicted_from_is_what_snakemake_records(marked, study, monkeypatch):
    """The tables of edits rest on it: a job's strings and inputs, by the library, are those of its rule."""
    monkeypatch.chdir(marked.folder)
    for job in marked.recorded[study]:
        record = record_of(job["outputs"][0])
        if job["rule"] == "surface_part":  # its outputs are temporary
            assert record is None
        else:
            assert sorted(record.params) == sorted(job["strings"])
            assert {*record.inputs} == {*job["inputs"]}


def test_all_code_in_another_layout_without_comments_and_docstrings(marked):
    files = [*(marked.folder / "src").rglob("*.py"), *(marked.folder / "workflow" / "scripts").glob("*.py")]
    before = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            file.write_text(reformatted(before[file].decode()))
        assert sum(file.read_bytes() != before[file] for file in files) > 0.9 * len(files)
        assert marked.pending("pilot") == {}
    finally:
        for file in files:
            file.write_bytes(before[file])


def sources(clone: Clone) -> list[Path]:
    """All files but results and Snakemake's own."""
    return [
        path
        for path in clone.folder.rglob("*")
        if path.is_file()
        and not {"results", ".snakemake", ".git"} & set(path.relative_to(clone.folder).parts)
    ]


def test_touching_everything(marked):
    for path in sources(marked):
        path.touch()
    assert marked.pending("pilot") == {}


def test_a_branch_and_back(marked):
    """`git checkout` writes files anew whose content differs: their times are newer, their content the same."""

    def git(*arguments):
        author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        subprocess.run(["git", *author, *arguments], cwd=marked.folder, check=True, capture_output=True)

    file = marked.folder / "src/fedscape/federated/aggregate.py"
    try:
        git("init", "--initial-branch", "one")
        git("add", "src", "config", "rules", "workflow", "Snakefile")
        git("commit", "--message", "as it was")
        git("checkout", "-b", "other")
        file.write_text(more_code(file.read_text()))
        (marked.folder / STUDY).write_text(
            (marked.folder / STUDY).read_text().replace("lr: 0.03}", "lr: 0.06}")
        )
        git("commit", "--all", "--message", "another rule, another rate")
        assert "train" in marked.pending("pilot")
        os.utime(file, (0, 0))
        git("checkout", "one")
        assert file.stat().st_mtime > 0, "the checkout has not written the file"
        assert marked.pending("pilot") == {}
    finally:
        shutil.rmtree(marked.folder / ".git")


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_the_order_of_configuration_layers(marked, tmp_path, order):
    """The same settings from files given in either order."""
    texts = {
        "one": "data_root: elsewhere\ndatasets: {mine: {kind: digits}}\n",
        "two": "datasets: {yours: {kind: digits}}\nscale: quick\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert marked.pending("pilot", "--configfile", *(str(tmp_path / name) for name in order)) == {}
