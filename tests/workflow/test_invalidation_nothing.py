"""What reruns nothing: other spellings, other layouts, what no job uses, the times of files."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from clone import EDITED, Clone
from edits import add, in_another_layout, more_code, new_file, put, reformatted, swap

from fedscape.study.catalog import PACKAGES, names, source

STUDY, OTHER, CONFIG = "config/studies/deep.yaml", "config/studies/broad.yaml", "config/config.yaml"

# Each alone reruns nothing, so a dry run may be asked about all of a table at once. Those of a text stand apart, since
# one of a value lays the text out anew.
TEXTS = {
    "a number's spelling": (STUDY, swap("local_epochs: 2, lr: 0.03}", "local_epochs: 2, lr: 3.0e-2}")),
    "a whole number for a float": (STUDY, swap("clients: 10, alpha: 1.0}", "clients: 10, alpha: 1}")),
    "an expectation's spelling": (STUDY, swap("expect: {above: 1}", "expect: {above: 1.0}")),
    "a grid's spelling": (STUDY, swap("finals-resnet20: {grid: 13}", "finals-resnet20: {grid: [13, 13]}")),
    "the order of keys": (STUDY, swap("{rounds: 20, local_epochs: 2,", "{local_epochs: 2, rounds: 20,")),
    "the order of sections": (STUDY, lambda text: _moved_last(text, "labels:")),
    "a comment in a study": (STUDY, swap("runs:\n", "# which runs\nruns:\n")),
}
EDITS = {
    "another layout, without comments and anchors": (STUDY, in_another_layout),
    "another scale": (STUDY, put({"scales/small/images": 700})),
    "a method that no run uses": (STUDY, add({"methods/other": {"algorithm": "fedavg", "rounds": 3}})),
    "a partition that no run uses": (STUDY, add({"partitions/other": {"scheme": "iid", "clients": 3}})),
    "another study": (OTHER, put({"methods/fedprox/mu": 2.0e-4})),
    "a new study": ("config/studies/mine.yaml", new_file((EDITED / "deep.yaml").read_text())),
    "where raw data lie": (CONFIG, put({"data_root": "elsewhere"})),
    "another data set": (CONFIG, add({"datasets/mine": {"kind": "digits"}})),
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
        return clone.pending("deep")


@pytest.mark.parametrize("edits", [TEXTS, EDITS], ids=["texts", "values, files and code"])
def test_edits_that_touch_no_job(marked, edits):
    if pending_after(marked, edits):
        alone = {name: pending_after(marked, {name: edit}) for name, edit in edits.items()}
        pytest.fail(f"these make something again: { {name: jobs for name, jobs in alone.items() if jobs} }")


def test_all_code_in_another_layout_without_comments_and_docstrings(marked):
    files = [*(marked.folder / "src").rglob("*.py"), *(marked.folder / "workflow" / "scripts").glob("*.py")]
    before = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            file.write_text(reformatted(before[file].decode()))
        assert sum(file.read_bytes() != before[file] for file in files) > 0.9 * len(files)
        assert marked.pending("deep") == {}
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
    assert marked.pending("deep") == {}


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
        study = marked.folder / STUDY
        study.write_text(put({"scales/quick/all_methods/lr": 0.06})(study.read_text()))
        git("commit", "--all", "--message", "another rule, another rate")
        assert "train" in marked.pending("deep")
        os.utime(file, (0, 0))
        git("checkout", "one")
        assert file.stat().st_mtime > 0, "the checkout has not written the file"
        assert marked.pending("deep") == {}
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
    assert marked.pending("deep", "--configfile", *(str(tmp_path / name) for name in order)) == {}
