"""A network in a file of the user's, as the study layer sees it: what is refused, and which code counts."""

import pytest
from broken_input import STUDY, Repository, refusal

from fedscape.study import digest, imports, own_modules, syntax, tracked
from fedscape.study.catalog import LIBRARY
from fedscape.study.own_modules import own_files
from fedscape.study.stages.every import STAGES
from fedscape.study.tracked import tracked as tracked_strings

NET = "from parts import blocks\n\n\nclass Net(blocks.Base):\n    pass\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a user, with a file that imports another, which imports a third."""
    monkeypatch.chdir(tmp_path)
    files = {
        "net.py": NET,
        "parts/__init__.py": "",
        "parts/blocks.py": "from torch.nn import Module as Base\nfrom . import sizes\n",
        "parts/sizes.py": "SIZE = 3\n",
        "other.py": "OTHER = 1\n",
    }
    for name, text in files.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
    forget()
    yield tmp_path
    forget()


def forget():
    for part in (digest, imports, own_modules, syntax, tracked):
        for function in vars(part).values():
            getattr(function, "cache_clear", str)()


def read(folder, **model):
    repository = folder / "repository"
    repository.mkdir(exist_ok=True)
    study = {**STUDY, "models": {**STUDY["models"], "convnet": model}}
    return Repository(repository).read(study)


def code(study):
    forget()
    run = study.runs[0]
    settings = STAGES["train"].settings(study, run.names)
    return tracked_strings("train", settings, LIBRARY.parents[1] / "workflow" / "scripts")[0]


def test_the_model_is_the_class_and_what_it_is_called_with(folder):
    study = read(folder, module="mine/net.py:Net", settings={"width": 3}).get("pilot", "paper")
    assert study.models["convnet"].keys == {
        "kind": "module",
        "module": "mine/net.py:Net",
        "settings": {"width": 3},
    }


def test_the_code_is_the_file_and_what_it_imports_from_its_folder(folder):
    names = {file.relative_to(folder / "mine").as_posix() for file in own_files(folder / "mine" / "net.py")}
    assert names == {"net.py", "parts/__init__.py", "parts/blocks.py", "parts/sizes.py"}
    study = read(folder, module="mine/net.py:Net").get("pilot", "paper")
    before = code(study)
    for name in ("net.py", "parts/blocks.py", "parts/sizes.py"):
        file = folder / "mine" / name
        text = file.read_text()
        file.write_text(f"{text}# a comment\n")
        assert code(study) == before
        file.write_text(f"{text}MORE = 1\n")
        assert code(study) != before
        file.write_text(text)
    (folder / "mine" / "other.py").write_text("OTHER = 2\n")
    assert code(study) == before


WRONG = {
    "a missing file": ({"module": "mine/nets.py:Net"}, "models.convnet.module: mine/nets.py not found"),
    "a missing class": (
        {"module": "mine/net.py:Nett"},
        "models.convnet.module: mine/net.py: unknown class 'Nett'; did you mean 'Net'? allowed: Net",
    ),
    "no class": (
        {"module": "mine/net.py"},
        "module must be a file and a class, as mine/net.py:Net, got 'mine/net.py'",
    ),
    "a dot": ({"module": "mine/net.v2.py:Net"}, "module must be a file and a class"),
    "no keyword": (
        {"module": "mine/net.py:Net", "settings": {"a-b": 1}},
        "settings: 'a-b' is no name of an argument",
    ),
    "a map": (
        {"module": "mine/net.py:Net", "settings": {"a": {"b": 1}}},
        "settings.a must be a number, text",
    ),
    "another key": ({"module": "mine/net.py:Net", "width": 3}, "unknown key 'width'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_a_line(folder, case):
    model, words = WRONG[case]
    assert words in refusal(lambda: read(folder, **model).get("pilot", "paper"))


@pytest.mark.parametrize(
    "source",
    [
        "from parts.blocks import Block as Other\n",
        "from parts.blocks import *\n",
        "class Net:\n    pass\n\n\nOther = Net\n",
        "try:\n    from fast import Other\nexcept ImportError:\n    from parts.blocks import Block\n",
        "import sys\n\nif sys.platform == 'linux':\n\n    class Other:\n        pass\n",
        "\ufeffclass Other:\n    pass\n",
    ],
)
def test_a_class_may_come_by_any_statement_at_top_level(folder, source):
    (folder / "mine" / "net.py").write_text(source)
    study = read(folder, module="mine/net.py:Other").get("pilot", "paper")
    assert study.models["convnet"].keys["module"] == "mine/net.py:Other"


UNREADABLE = [
    (b"class Net(:\n", ":1: invalid syntax"),
    (b"\xff\n", ":1: (unicode error)"),
    (b"x = 1\x00\n", ":1: source code string cannot contain null bytes"),
    (b"-" * 50_000 + b"1\n", "no text of Python (MemoryError)"),
]


@pytest.mark.parametrize("name", ["net.py", "parts/sizes.py"])
@pytest.mark.parametrize(("content", "words"), UNREADABLE)
def test_a_file_that_python_cannot_read_is_a_line(folder, name, content, words):
    (folder / "mine" / name).write_bytes(content)
    said = refusal(lambda: read(folder, module="mine/net.py:Net").get("pilot", "paper"))
    assert f"{name}" in said and words in said


def test_a_helper_called_as_a_module_of_python_s_is_a_line(folder):
    (folder / "mine" / "net.py").write_text("from queue import Block\n\n\nclass Net:\n    pass\n")
    (folder / "mine" / "queue.py").write_text("Block = 1\n")
    said = refusal(lambda: read(folder, module="mine/net.py:Net").get("pilot", "paper"))
    assert said.endswith("mine/queue.py: Python has another module called queue; rename it")


def test_an_import_from_above_the_folder_is_a_line(folder):
    (folder / "mine" / "net.py").write_text("from .parts import blocks\n\n\nclass Net:\n    pass\n")
    said = refusal(lambda: read(folder, module="mine/net.py:Net").get("pilot", "paper"))
    assert "net.py: `from .parts import` leads out of its package" in said
