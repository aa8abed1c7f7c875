"""Plug-ins in `plugins/` of the folder that Snakemake works in."""

import os
import shutil
import sys

import pytest
from broken_input import refusal
from edited_study import ROOT
from own_project import MODEL, PARTS, PLUGINS, STUDY, forget_sources, write_project

from fedscape import plugins
from fedscape.plugins import PACKAGES, load
from fedscape.study import imports
from fedscape.study.campaign import read_campaign
from fedscape.study.catalog import check_own_plugins, names, settings_class, source
from fedscape.study.digest import code_digest
from fedscape.study.files import parsed_yaml
from fedscape.study.project import Project
from fedscape.study.tracked import tracked

SCRIPTS = ROOT / "workflow" / "scripts"
BROKEN = [
    ({"models/resnet.py": MODEL}, "plugins/models/resnet.py: fedscape has a file of this name for models; choose another name"),
    ({"models/mine.py": MODEL, "algorithms/fedavg.py": ""}, "plugins/algorithms/fedavg.py: fedscape has a file of this name for algorithms"),
    ({"model/mine.py": MODEL}, "plugins/model: unknown folder of plug-ins 'model'; did you mean 'models'?"),
    ({"mine.py": MODEL}, "plugins/mine.py: unknown folder of plug-ins 'mine.py'; allowed: datasets, partitions, models"),
    ({"models/my-net.py": MODEL}, "plugins/models/my-net.py: a plug-in's file is called by a-z, 0-9 and _, as my_model.py"),
    ({"models/Mine.py": MODEL}, "plugins/models/Mine.py: a plug-in's file is called by a-z, 0-9 and _"),
    ({"models/__init__.py": ""}, "plugins/models/__init__.py: never run"),
    ({**PLUGINS, "models/other.py": "def build(:\n"}, "plugins/models/other.py:1: invalid syntax"),
    ({**PLUGINS, "models/other.py": "-" * 50_000 + "1"}, "plugins/models/other.py: no text of Python (MemoryError)"),
    ({**PLUGINS, "models/other.py/a.txt": ""}, "plugins/models/other.py: no file"),
    ({"models/my_perceptron.py": MODEL.replace("def build", "def bild")}, "plugins/models/my_perceptron.py:21: unknown function of a model 'bild'; did you mean 'build'?"),
    ({"models/my_perceptron.py": MODEL.partition("def build")[0]}, "plugins/models/my_perceptron.py: a model needs a function build(settings, shape, classes)"),
    ({"models/my_perceptron.py": PARTS}, "plugins/models/my_perceptron.py: a model needs a class Settings"),
    ({}, "unknown model 'my-perceptron'; allowed: cnn"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project, where we are; Python and the study layer forget its plug-ins afterwards."""
    monkeypatch.chdir(write_project(tmp_path))
    for package in PACKAGES.values():
        parent = plugins.import_module(f"fedscape.{package}")
        monkeypatch.setattr(parent, "__path__", [*parent.__path__])
    before = {*sys.modules}
    forget_sources()
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]
    forget_sources()


def read(folder):
    """The project's campaign, as the Snakefile reads it."""
    forget_sources()
    return read_campaign(folder, Project(folder, ROOT).settings({}), ROOT)


def with_plugins(folder, files):
    """The project with these plug-ins in place of its own."""
    shutil.rmtree(folder / "plugins")
    return write_project(folder, files)


def test_a_plugin_is_found_by_its_file(project):
    assert names("model")[-1] == "my-perceptron" and "resnet" in names("model")
    assert source("model", "my-perceptron").as_posix() == "plugins/models/my_perceptron.py"
    assert settings_class("model", "my-perceptron")(hidden=2).hidden == 2
    study = read(project).get("mine")
    assert study.models["my-perceptron"].settings == {"hidden": 3}
    module = load("models.networks", "my-perceptron")
    network = module.build(module.Settings(5), (1, 8, 8), 10)
    assert [tuple(tensor.shape) for tensor in network.parameters()] == [(5, 64), (5,), (10, 5), (10,)]
    assert load("models.networks", "cnn").__file__ == str(ROOT / "src/fedscape/models/networks/cnn.py")


@pytest.mark.parametrize(
    ("files", "message"), BROKEN, ids=lambda value: ", ".join(value) if isinstance(value, dict) else ""
)
def test_a_slip_is_a_line(project, files, message):
    with_plugins(project, files)
    assert message in refusal(read, project)


def test_a_fifo_is_a_line_and_waits_for_nobody(project):
    os.mkfifo(project / "plugins" / "models" / "other.py")
    assert "plugins/models/other.py: no file" in refusal(read, project)


def test_a_setting_is_checked_as_any_plugin_s(project):
    study = project / "config" / "studies" / "mine.yaml"
    study.write_text(STUDY.replace("hidden: 3", "hidden: 0"))
    assert "models.my-perceptron: hidden must be >= 1, got 0" in refusal(read, project)


def test_columns_of_a_figure_kind_are_settings_of_its_own(project):
    kind = """from dataclasses import dataclass

SOURCES = ("table",)
COLUMNS = ("mesure",)


@dataclass(frozen=True)
class Settings:
    measure: str


def draw(frames, settings, labels=()):
    return None
"""
    write_project(project, {**PLUGINS, "figures/dots.py": kind})
    study = project / "config" / "studies" / "mine.yaml"
    study.write_text(STUDY.replace("kind: curves", "kind: dots"))
    said = refusal(read, project)
    assert said.endswith(
        "figure kind dots: COLUMNS: unknown setting 'mesure'; did you mean 'measure'? allowed: measure"
    )


def test_other_files_are_the_user_s_business(project):
    (project / "plugins" / "README.md").write_text("# Mine")
    (project / "plugins" / "models" / "weights.txt").write_text("none")
    (project / "plugins" / "__pycache__").mkdir()
    check_own_plugins()


def test_reading_a_plugin_runs_nothing_of_it_but_its_settings(project):
    trap = "open('owned', 'w').close()\n"
    with_plugins(project, {"models/my_perceptron.py": MODEL + trap, "models/parts.py": PARTS + trap})
    assert read(project).get("mine").runs
    assert not (project / "owned").exists()


def digest_of(stage):
    """The digest of the code of a job with the project's model."""
    forget_sources()
    settings = {"model": {"kind": "my-perceptron", "hidden": 3}}
    return tracked(stage, settings, SCRIPTS)[0]


def test_a_digest_covers_a_plugin_and_what_it_imports(project):
    before, without = digest_of("train"), code_digest([SCRIPTS / "train.py"])
    for name, text in PLUGINS.items():
        file = project / "plugins" / name
        file.write_text(text + "\n# a comment\n")
        assert digest_of("train") == before
        file.write_text(text + "\nSIZE = 1\n")
        assert digest_of("train") != before
        file.write_text(text)
    (project / "plugins" / "models" / "other.py").write_text(MODEL)
    assert digest_of("train") == before
    forget_sources()
    assert code_digest([SCRIPTS / "train.py"]) == without


def test_a_digest_knows_no_folder(project, tmp_path_factory, monkeypatch):
    before = digest_of("train")
    elsewhere = write_project(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.chdir(elsewhere)
    assert digest_of("train") == before
    file = elsewhere / "plugins" / "models" / "my_perceptron.py"
    assert imports.label(file) == "fedscape/models/networks/my_perceptron.py"  # as in the clone


def test_settings_are_the_clone_s_where_the_project_says_nothing(project):
    clone = parsed_yaml((ROOT / "config" / "config.yaml").read_text(), "clone")
    settings = Project(project, ROOT).settings({"datasets": {"own": {"kind": "cifar10"}}, "scale": "paper"})
    assert settings == {
        **clone, "study": "mine", "scale": "paper", "datasets": {**clone["datasets"], "own": {"kind": "cifar10"}},
    }  # fmt: skip
    assert Project(ROOT, ROOT).settings({"scale": "paper"}) == {"scale": "paper"}


def test_a_project_has_its_own_studies_alone(project, tmp_path_factory):
    assert [*Project(project, ROOT).studies] == ["mine"]
    bare = tmp_path_factory.mktemp("bare")
    assert "config/studies: no study here; `fedscape new NAME` writes one" in refusal(read, bare)
    (bare / "config" / "studies").mkdir(parents=True)
    assert "config/studies: no study here; `fedscape new NAME` writes one" in refusal(read, bare)
