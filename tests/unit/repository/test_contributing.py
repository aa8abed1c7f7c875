"""CONTRIBUTING.md's five steps, taken: an algorithm that is one new file is found, checked and run by name."""

import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest
import small_run
import torch
import yaml
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.readers import Trajectory
from fedscape.errors import FedscapeError
from fedscape.federated import algorithms
from fedscape.federated.rule import Rule
from fedscape.plugins import load
from fedscape.settings.plain import from_plain
from fedscape.settings.training import TrainingSettings
from fedscape.study import catalog
from fedscape.study.campaign import read_campaign
from fedscape.study.stages.every import STAGES

ROOT = Path(__file__).resolve().parents[3]
GUIDE = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
STEPS = GUIDE.partition("five steps")[2].partition("No list is to be edited")[0]
CONFIG = {**yaml.safe_load((ROOT / "config" / "config.yaml").read_text()), "study": "mine", "scale": "paper"}
RUN = {"dataset": "digits", "model": "convnet", "partition": "iid", "init": "random", "method": "mine"}

SETTINGS = '''@dataclass(frozen=True)
class Settings:
    """How certain clients may become."""

    my_setting: float = 0.0  # share of a label that is spread over all classes

    def __post_init__(self):
        if not 0 <= self.my_setting < 1:
            raise ValueError(f"my_setting must be in [0, 1), got {self.my_setting}")

    def check(self, training):
        if training.optimiser != "sgd":
            raise ValueError("my-algorithm needs optimiser sgd")
'''


@pytest.fixture
def my_algorithm(tmp_path, monkeypatch):
    """Steps 1 to 4, in a copy of the library: FedAvg with smoothed labels."""
    library = tmp_path / "library"
    shutil.copytree(catalog.LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    folder = library / "federated" / "algorithms"
    original = re.search(r"src/fedscape/(federated/algorithms/\w+\.py)", STEPS)[1]
    text = (library / original).read_text()
    of_fedavg = re.search(r"@dataclass.*?\nclass Settings:.*?\n(?=\n\n)", text, re.DOTALL)[0]
    text = text.replace(of_fedavg, SETTINGS)
    smoothed = "batch.labels, label_smoothing=context.settings.my_setting)"
    assert text.count("batch.labels)") == 1
    (folder / "my_algorithm.py").write_text(text.replace("batch.labels)", smoothed))
    monkeypatch.setattr(catalog, "LIBRARY", library)
    monkeypatch.setattr(algorithms, "__path__", [*algorithms.__path__, str(folder)])
    cached = (catalog.names, catalog.settings_class, catalog.constant)
    for function in cached:
        function.cache_clear()
    yield
    sys.modules.pop(f"{algorithms.__name__}.my_algorithm", None)
    for function in cached:
        function.cache_clear()


def study(folder: Path, **changes: object):
    """A study with step 5's method as the guide has it, but for some changes."""
    shutil.copytree(ROOT / "workflow" / "schemas", folder / "workflow" / "schemas", dirs_exist_ok=True)
    methods = yaml.safe_load(re.search(r"`(methods: \{.*?\}\})`", STEPS)[1])["methods"]
    methods["mine"] |= changes
    content = {
        "title": "Mine",
        "datasets": ["digits"],
        "models": {"convnet": {}},
        "partitions": {"iid": {"scheme": "iid", "clients": 4}},
        "inits": {"random": {"kind": "random"}},
        "methods": methods,
        "runs": [{key: value for key, value in RUN.items() if key != "dataset"}],
        "scales": {"paper": {}},
    }
    file = folder / "config" / "studies" / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return read_campaign(folder, CONFIG).get("mine", "paper")


def trained(folder: Path, settings: dict, out: str) -> Trajectory:
    """A run with a job's settings, on the small data set of the engine's tests."""
    algorithm = dict(settings["algorithm"])
    outputs = small_run.run_once(
        folder,
        model="convnet",
        out=out,
        algorithm=algorithm.pop("kind"),
        algorithm_settings=algorithm,
        client_paths=settings["client_paths"],
        **vars(from_plain(TrainingSettings, settings["training"])),
    )
    return Trajectory.open(outputs["trajectory"])


def test_an_algorithm_in_five_steps(tmp_path, my_algorithm):
    small_run.prepare(tmp_path, "convnet")
    wildcards = RUN | {"seed": "0"}
    settings = STAGES["train"].settings(study(tmp_path), wildcards)
    assert settings["algorithm"] == {"kind": "my-algorithm", "my_setting": 0.1}
    mine = trained(tmp_path, settings, "mine")
    assert mine.rounds == tuple(range(settings["training"]["rounds"] + 1))
    neutral = trained(
        tmp_path, STAGES["train"].settings(study(tmp_path, my_setting=0.0), wildcards), "neutral"
    )
    plain = trained(tmp_path, settings | {"algorithm": {"kind": "fedavg"}}, "plain")
    last = plain.rounds[-1]
    assert torch.equal(neutral.parameters(last), plain.parameters(last))
    assert not torch.equal(mine.parameters(last), plain.parameters(last))


def test_what_a_study_says_of_it_is_checked(tmp_path, my_algorithm):
    for changes, message in (
        ({"my_setting": 1.5}, r"mine.*: my_setting must be in \[0, 1\), got 1\.5"),
        ({"my_settnig": 0.1}, r"unknown key 'my_settnig'; did you mean 'my_setting'\?"),
        ({"optimiser": "adamw"}, r"methods\.mine: my-algorithm needs optimiser sgd"),
        ({"algorithm": "my-algoritm"}, r"did you mean 'my-algorithm'\?"),
    ):
        with pytest.raises(FedscapeError, match=message) as error:
            study(tmp_path, **changes)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\ndef loss", "FULL_GRADIENTS = True\n\n\ndef loss", "did you mean 'FULL_GRADIENT'"),
        ("\ndef loss", "WEIGHTS = 'equal'\n\n\ndef loss", "WEIGHTS: got 'equal', expected 'size', 'uniform'"),
        ("\ndef loss", "\ndef losses", "did you mean 'loss'"),
        ("my_setting: float", "my_setting: Share", "Settings: name 'Share' is not defined; read by itself"),
        ("\ndef loss", "\ndef loss loss", r"my_algorithm\.py:\d+: "),
    ],
)
def test_a_slip_in_its_file_is_one_line(tmp_path, my_algorithm, old, new, message):
    file = catalog.LIBRARY / "federated" / "algorithms" / "my_algorithm.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(FedscapeError, match=message) as error:
        study(tmp_path)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_its_loss_is_what_was_written(my_algorithm):
    plugin, generator = load("federated.algorithms", "my-algorithm"), torch.Generator().manual_seed(0)
    logits, labels = torch.randn(5, 3, generator=generator), torch.arange(5) % 3
    batch = type("Batch", (), {"inputs": logits, "labels": labels})
    context = type("Context", (), {"settings": plugin.Settings(my_setting=0.1)})
    smooth = 0.9 * torch.eye(3)[labels] + 0.1 / 3
    expected = -(smooth * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(plugin.loss(lambda _, images: images, {}, batch, None, context), expected)
    assert not torch.isclose(expected, cross_entropy(logits, labels))


def test_the_guide_names_every_function_of_a_rule():
    """With the parameters that the rules of the library have."""
    explained = dict(re.findall(r"`(\w+)\(([\w, ]+)\)`", STEPS))
    own = {"module", "settings", "name", "wants_full_gradient", "shares_draws"}
    functions = {name for name in vars(Rule) if not name.startswith("_")} - own
    assert set(explained) - {"check"} == functions
    files = [path.stem for path in Path(algorithms.__path__[0]).glob("*.py") if path.stem != "__init__"]
    rules = [load("federated.algorithms", file) for file in files]
    for name, parameters in explained.items():
        having = [getattr(rule.Settings if name == "check" else rule, name, None) for rule in rules]
        signatures = {", ".join(inspect.signature(one).parameters) for one in having if one}
        assert signatures == {parameters}, name


@pytest.mark.parametrize("constant", ["WEIGHTS", "FULL_GRADIENT"])
def test_the_guide_names_the_constants(constant):
    assert re.search(rf"`{constant} = ", STEPS)
    files = Path(algorithms.__path__[0]).glob("*.py")
    assert any(re.search(rf"^{constant} = ", file.read_text(), re.MULTILINE) for file in files)
