"""A project of a user's own, outside the clone: made end to end, its plug-in edited, and with the clone as a module."""

import shutil

import pytest
from clone import ROOT, Clone
from own_project import MODEL, PARTS, write_project

FROM_CLONE = ("--snakefile", str(ROOT / "Snakefile"))
RUN = "runs/digits/my-perceptron/iid/random/fedavg/seed0"
MODULE = f"""\
module fedscape:
    snakefile: "{ROOT}/Snakefile"

use rule * from fedscape

rule lines:
    input: "results/mine/quick/tables/runs.csv"
    output: "lines"
    shell: "wc -l < {{input}} > {{output}}"

onstart:
    fedscape.onstart()
"""
PROFILE = ("--workflow-profile", str(ROOT / "profiles" / "default"))


class Project(Clone):
    """A folder with nothing of the clone's, and Snakemake in it."""

    def __init__(self, folder):
        self.folder = write_project(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A project whose study has been made."""
    project = Project(tmp_path_factory.mktemp("project") / "own")
    project.snakemake(*FROM_CLONE, "--cores", "2")
    return project


def test_a_study_with_a_plugin_is_made_from_the_folder(project):
    results = project.folder / "results" / "mine" / "quick"
    assert (results / "index.html").is_file() and (results / "figures" / "accuracy.png").is_file()
    assert (results / RUN / "rounds.csv").read_text().splitlines()[3].startswith("mine,quick,digits,")
    assert sorted(path.name for path in project.folder.iterdir() if path.name[0] != ".") == [
        "config", "plugins", "results",
    ]  # fmt: skip
    assert project.pending(*FROM_CLONE) == {}
    said = project.snakemake(*FROM_CLONE, "-n", "pilot", check=False)
    assert said.returncode == 1 and "no study or rule 'pilot'; studies: mine" in said.stdout


@pytest.mark.parametrize(("name", "text"), [("models/my_perceptron.py", MODEL), ("models/parts.py", PARTS)])
def test_an_edit_of_a_plugin_reruns_what_uses_it_and_nothing_else(project, name, text):
    with project.edited(f"plugins/{name}", lambda text: f"{text}\nSIZE = _SIZE = 1\nprint(SIZE)\n"):
        pending = project.pending(*FROM_CLONE)
        assert pending["train"] == {f"{RUN}/trajectory.safetensors"}
        assert pending["initial"] and pending["drift"]
        assert not {"dataset", "partition"} & {*pending}
    with project.edited(f"plugins/{name}", lambda text: f"# a comment\n{text}"):
        assert project.pending(*FROM_CLONE) == {}
    with project.edited("plugins/models/another.py", lambda _: text):
        assert project.pending(*FROM_CLONE) == {}


def test_a_slip_in_a_plugin_is_a_line(project):
    for file, change, message in (
        (
            "resnet.py",
            lambda _: MODEL,
            "resnet.py: fedscape has a file of this name for models; choose another",
        ),
        ("my_perceptron.py", lambda text: f"{text})", "my_perceptron.py:28: unmatched ')'"),
        ("my_perceptron.py", lambda text: text.partition("def build")[0], "a model needs a function build"),
    ):
        with project.edited(f"plugins/models/{file}", change):
            said = project.snakemake(*FROM_CLONE, "-n", check=False)
            assert said.returncode == 1 and message in said.stdout and "Traceback" not in said.stdout


def test_the_clone_is_a_module_of_the_user_s_workflow(project):
    snakefile = project.folder / "Snakefile"
    snakefile.write_text(MODULE)
    try:
        assert project.pending(*PROFILE, "mine") == {}
        assert project.pending(*PROFILE, "lines") == {"lines": {"lines"}}
        said = project.snakemake(*PROFILE, "-n", "mine_seed0", "--config", "scale=paper").stdout
        assert "not there yet" in said and "is not read" not in said
        assert "profiles/default is not read" in project.snakemake("-n", "mine").stdout
        shutil.rmtree(project.folder / "results" / "mine" / "quick" / "tables")
        project.snakemake(*PROFILE, "--cores", "1", "lines")
        assert (project.folder / "lines").read_text().strip() == "3"
        snakefile.write_text(MODULE.replace("use rule * from fedscape", "use rule * from fedscape as its_*"))
        said = project.snakemake("-n", check=False)
        assert said.returncode == 1 and "keeps its names, so leave out `as`" in said.stdout
    finally:
        snakefile.unlink()
