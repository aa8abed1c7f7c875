"""A plug-in holds what its role's contract says: a slip in it is one line, and nothing else is read of it."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from fedscape import fields
from fedscape.errors import FedscapeError
from fedscape.plugins import load
from fedscape.study.catalog import PACKAGES, constant, names, settings_class, source
from fedscape.study.contract_check import check_plugin
from fedscape.study.contracts import CONTRACTS
from fedscape.study.contracts_page import GUIDE, MARKED, with_contracts

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = [(role, name) for role in PACKAGES for name in names(role)]
PLANE = """
AXES = "pca"
CLIENTS = False
class Settings: pass
def marks(material, settings): pass
def plane(material, settings): return marks(material, settings)
"""
MEASURE = """
SOURCES = ("runs",)
class Settings: pass
def value(frames, settings): pass
"""


ALGORITHM = """
class Settings: pass
def loss(network, parameters, batch, client, context): pass
"""


def checked(role: str, text: str) -> None:
    check_plugin(role, Path("mine.py"), ast.parse(text))


@pytest.mark.parametrize(("role", "name"), PLUGINS)
def test_every_plugin_keeps_its_contract(role, name):
    settings_class(role, name)
    text = source(role, name).read_text(encoding="utf-8")
    for one in CONTRACTS[role].constants:
        assert (constant(role, name, one) is not None) <= (one in text)


@pytest.mark.parametrize(("role", "name"), PLUGINS)
def test_functions_have_the_parameters_that_the_contract_says(role, name):
    module = load(PACKAGES[role], name)
    for function, declared in CONTRACTS[role].functions.items():
        if hasattr(module, function):
            taken = inspect.signature(getattr(module, function)).parameters
            assert tuple(taken) == declared.parameters, function


@pytest.mark.parametrize(
    ("role", "text", "message"),
    [
        ("plane", PLANE + "FEWEST_RUN = 2", r"mine.py:7: unknown constant of a plane kind 'FEWEST_RUN'; did you "
         r"mean 'FEWEST_RUNS'\? allowed: AXES, CLIENTS, .*, or a name that the file itself uses"),
        ("plane", PLANE + "FEWEST_RUN = 2\nprint(FEWEST_RUN)", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "if True:\n  FEWEST_RUN: int = 2", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "_, FEWEST_RUN = 1, 2", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "COLOUR = 2", "unknown constant of a plane kind 'COLOUR'; allowed: AXES"),
        ("plane", PLANE + "MOST_RUNS = 'two'", r"mine.py:7: MOST_RUNS: got 'two', expected int"),
        ("plane", PLANE + "MOST_RUNS = 1 + some()", "MOST_RUNS needs a plain value on a line of its own"),
        ("plane", PLANE + "FEWEST_RUNS, MOST_RUNS = 1, 2", "FEWEST_RUNS needs a plain value on a line of its own"),
        ("plane", PLANE + "if True:\n  MOST_RUNS = 1", "MOST_RUNS needs a plain value"),
        ("plane", PLANE + "AXES = 'random'", "mine.py:7: AXES is given a value twice"),
        ("plane", PLANE + "MOST_RUNS = 1\nMOST_RUNS += 1", "MOST_RUNS needs a plain value"),
        ("plane", PLANE + "from elsewhere import MOST_RUNS", "MOST_RUNS needs a plain value"),
        ("plane", PLANE.replace("AXES = \"pca\"\n", ""), "mine.py: a plane kind needs a constant AXES, such as AXES = 'pca'"),
        ("plane", PLANE.replace("def plane(", "def plain("), "unknown function of a plane kind 'plain'; did you mean 'plane'"),
        ("plane", PLANE.replace("def marks(", "def _marks("), r"needs a function marks\(material, settings\)"),
        ("plane", PLANE.replace("marks(material, settings):", "marks(material):"),
         r"marks\(material\) is called with \(material, settings\)"),
        ("measure", MEASURE + "def standard_errors(frames, settings): pass", "did you mean 'standard_error'"),
        ("measure", MEASURE + "def median(frames): pass", "unknown function of a measure 'median'; allowed: value"),
        ("measure", MEASURE.replace("runs", "run"), "SOURCES: got .*'run'.*expected a tuple of 'runs', 'rounds'"),
        ("measure", MEASURE.replace('("runs",)', "'runs'"), "SOURCES: got 'runs', expected a tuple of"),
        ("measure", MEASURE + "CLIENTS = 1", "CLIENTS: got 1, expected bool"),
        ("measure", MEASURE.replace('("runs",)', "()"), r"SOURCES: got \(\), expected a tuple of 'runs'"),
        ("plane", PLANE + "MOST_RUNS = 0", "mine.py:7: MOST_RUNS: got 0, expected int"),
        ("plane", PLANE + "Fewest_runs = 2", "mine.py:7: unknown constant of a plane kind 'Fewest_runs'; did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "fewest_runs = 2\nprint(fewest_runs)", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "for FEWEST_RUN in (1, 2): pass", "mine.py:7: .*did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "with open('x') as FEWEST_RUN: pass", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE + "print(FEWEST_RUN := 2)", "did you mean 'FEWEST_RUNS'"),
        ("plane", PLANE.replace("def marks(material, settings): pass", "marks = 3"),
         r"mine.py:5: marks is called as marks\(material, settings\), got 3"),
        ("algorithm", ALGORITHM + "from fedscape.federated.algorithms.fedprox import adjust_gradient as adjust_grads",
         "mine.py:4: unknown function of an algorithm 'adjust_grads'; did you mean 'adjust_gradient'"),
        ("plane", PLANE.replace("class Settings: pass", "class Settings:\n  round: Moment = 'last'"),
         r"mine.py:5: Settings uses Moment, which the file does not import \(add `from fedscape.moment import Moment`\)"),
        ("plane", PLANE.replace("class Settings: pass", "@dataclass\nclass Settings: pass"),
         r"mine.py:4: Settings uses dataclass, .*`from dataclasses import dataclass`"),
        ("plane", PLANE.replace("class Settings: pass", "class Settings:\n  x: float = math.pi"), "add `import math`"),
        ("plane", PLANE.replace("class Settings: pass", "class Settings:\n  def check(self, training): pass"),
         "mine.py:5: unknown method of Settings of a plane kind 'check'"),
        ("algorithm", ALGORITHM.replace("class Settings: pass", "class Settings:\n  def chek(self, training): pass"),
         "mine.py:3: unknown method of Settings of an algorithm 'chek'; did you mean 'check'"),
        ("algorithm", ALGORITHM.replace("class Settings: pass", "class Settings:\n  def check(self): pass"),
         r"mine.py:3: check\(self\) is called with \(self, training\)"),
        ("measure", MEASURE + "MOST_RUNS = 1", "unknown constant of a measure 'MOST_RUNS'"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_with_the_nearest_name(role, text, message):
    with pytest.raises(FedscapeError, match=message) as error:
        checked(role, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "more",
    [
        "TINY = 1e-9\nprint(TINY)",
        "_COLUMNS = 3",
        "def helper(): pass\nhelper()",
        "def _helper(): pass",
        "class Helper: pass",
        "from elsewhere import HELPER",
        "MOST_RUNS: int | None = None",
        "def inner():\n  FEWEST_RUN = 3\ninner()",
        "for number in (1, 2): pass",
        "from elsewhere import marks as other_marks\nother_marks()",
    ],
)
def test_names_of_the_files_own_are_allowed(more):
    checked("plane", PLANE + more)


@pytest.mark.parametrize(
    "text",
    [
        "from fedscape.moment import Moment\n" + PLANE.replace(": pass", ":\n  round: Moment = 'last'", 1),
        PLANE.replace(": pass", ":\n  def width(self): return 1", 1) + "print(Settings().width())",
        PLANE.replace(": pass", ":\n  def __post_init__(self): pass", 1),
    ],
)
def test_settings_may_use_what_the_file_imports_and_have_methods_that_it_uses(text):
    checked("plane", text)


def test_only_declared_constants_can_be_asked_for():
    assert [constant("plane", kind, "FEWEST_RUNS") for kind in ("finals", "three-models")] == [2, 3]
    with pytest.raises(KeyError):
        constant("plane", "finals", "FEWEST_RUN")


@pytest.mark.parametrize("role", CONTRACTS)
def test_examples_of_constants_are_valid(role):
    for name, one in CONTRACTS[role].constants.items():
        with pytest.raises(FedscapeError, match=r"needs a (function|constant)"):
            checked(role, f"{name} = {one.example!r}")


def test_no_constant_and_no_function_is_read_that_no_contract_has():
    """By `constant(role, kind, NAME)`, `plugin.name`, `getattr(plugin, name)` and the like."""
    declared = {role: {*one.constants, *one.functions, "Settings"} for role, one in CONTRACTS.items()}
    everywhere = set().union(*declared.values())
    read = set()
    for file in (ROOT / "src" / "fedscape").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("plugin", "self.module"):
                read.add(node.attr)
            if not isinstance(node, ast.Call):
                continue
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            called, first = ast.unparse(node.func), ast.unparse(node.args[0]) if node.args else ""
            if called == "constant" and len(texts) == 2:
                assert texts[1] in declared[texts[0]], f"{file}:{node.lineno}"
            if called in ("getattr", "hasattr") and first in ("plugin", "self.module"):
                read |= {*texts[:1]}
            if called == "self._function":
                read |= {*texts[:1]}
    # Of a module of PyTorch, which the engine calls `self.module` as well, of a dict of settings, and of one setting.
    of_others = {"train", "to", "modules", "get_submodule", "state_dict", "__name__", "last_block", "items"}
    of_others |= {"rpartition"}
    assert read - everywhere <= of_others
    assert {"adjust_gradient", "FULL_GRADIENT", "standard_error", "INPUTS", "BY_LABEL"} <= read


def test_the_guide_has_every_contract():
    text = GUIDE.read_text(encoding="utf-8")
    assert [found[2] for found in MARKED.finditer(text)] == [
        "algorithm",
        *(r for r in PACKAGES if r != "algorithm"),
    ]
    assert with_contracts(text) == text, "run `make reference`"


def test_types_that_settings_share_are_used():
    used = " ".join(source(role, name).read_text(encoding="utf-8") for role, name in PLUGINS)
    shared = {name for name in vars(fields) if name[0].isupper()} - {"Literal"}
    assert all(len(re.findall(rf": (?:list\[)?{name}\b", used)) > 1 for name in shared)
