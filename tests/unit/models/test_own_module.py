"""A network in a file of the user's: built, with what is wrong with it in one line."""

import sys

import pytest
import torch
from torch import nn

from fedscape.checkpoints.layout import layout_of
from fedscape.errors import FedscapeError
from fedscape.models.build import random_model

NET = """from torch import nn
from parts.blocks import block


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = block(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images):
        return self.head(self.body(images))
"""
BLOCK = """from torch import nn


def block(width):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
SHAPE = (1, 8, 8)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes files below the working folder; what is imported of them is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = {*sys.modules}

    def write(net: str, name: str = "net", **others: str) -> None:
        for path, text in {name: net, "parts/blocks": BLOCK, **others}.items():
            file = tmp_path / "mine" / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    yield write
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def build(name: str = "mine/net.py:Net", shape=SHAPE, classes=10, **settings) -> nn.Module:
    return random_model("module", {"module": name, **settings}, shape, classes, seed=0)


def test_a_class_is_called_and_found_with_the_files_beside_it(written):
    written(NET)
    path = [*sys.path]
    network = build()
    assert sys.path == path
    layout = layout_of(network)
    assert layout.parameter_count == 10 * 4 + 2 * 4 + 4 * 10 + 10
    assert (layout.buffer_count, layout.counter_count) == (8, 1)
    assert network.training and network(torch.zeros(3, *SHAPE)).shape == (3, 10)
    assert layout_of(build(settings={"width": 6})).parameter_count == 10 * 6 + 2 * 6 + 6 * 10 + 10
    assert all(map(torch.equal, network.parameters(), build().parameters()))


def test_a_file_of_a_package_is_imported_as_a_part_of_it(written):
    relative = NET.replace("from parts.blocks", "from .parts.blocks")
    written(relative, __init__="")
    assert layout_of(build()).parameter_count == 98


def test_a_network_of_tokens_gives_a_row_for_each(written):
    text = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.table = nn.Embedding(7, 7)\n\n    def forward(self, tokens):\n"
    written(text + "        return self.table(tokens).transpose(1, 2)\n")
    assert build(shape=(5,), classes=7)(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 7, 5)
    written(text + "        return self.table(tokens)\n", "wrong")
    with pytest.raises(FedscapeError, match=r"wrong.py:Net: gives \(2, 5, 7\) .* expected .*\(2, 7, 5\)"):
        build("mine/wrong.py:Net", shape=(5,), classes=7)


def test_networks_of_two_folders_have_each_their_own_helpers(written):
    written(NET)
    written(NET, "../other/net", **{"../other/parts/blocks": BLOCK.replace("(1, width, 3)", "(1, width, 5)")})
    assert layout_of(build()).parameter_count == 98
    assert layout_of(build("other/net.py:Net")).parameter_count == 98 + 4 * 16
    assert layout_of(build()).parameter_count == 98


def test_numbers_are_of_32_bits(written):
    written(NET.replace("(width, 10)", "(width, 10).double()"))
    assert {tensor.dtype for tensor in build().parameters()} == {torch.float32}


WRONG = {
    "no such package": (
        NET.replace("parts.blocks", "nobodys"),
        "cannot be imported (net.py:2: ModuleNotFoundError: No module named 'nobodys')",
    ),
    "an error in the constructor": (
        NET.replace("super().__init__()", "1 / 0"),
        "cannot be called (net.py:7: ZeroDivisionError: division by zero)",
    ),
    "an argument without a default": (
        NET.replace("width=4", "width"),
        "cannot be called (TypeError: Net.__init__() missing 1 required",
    ),
    "no module": (
        NET + "\n\nclass Net:\n    pass\n",
        "gives Net, no torch.nn.Module",
    ),
    "other inputs": (
        NET.replace("self.head = nn.Linear(width", "self.head = nn.Linear(5"),
        "cannot take samples of shape (1, 8, 8) (net.py:12: RuntimeError: addmm: mat1 and mat2 shapes",
    ),
    "other classes": (
        NET.replace("(width, 10)", "(width, 9)"),
        "gives (2, 9) for 2 samples, expected logits (2, 10): samples, classes",
    ),
    "several outputs": (
        NET.replace("return self.head(self.body(images))", "return images, images"),
        "gives tuple for 2 samples",
    ),
    "a frozen parameter": (
        NET.replace("nn.Linear(width, 10)", "nn.Linear(width, 10).requires_grad_(False)"),
        "head.weight is frozen",
    ),
    "a mask": (
        NET.replace(
            "self.head = ",
            "self.register_buffer('mask', __import__('torch').ones(3) > 0)\n        self.head = ",
        ),
        "mask is torch.bool, expected floating or whole numbers",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_class_that_cannot_be_used_is_a_line(written, case):
    text, words = WRONG[case]
    written(text)
    with pytest.raises(FedscapeError) as error:
        build()
    assert str(error.value).startswith("mine/net.py:Net: ") and words in str(error.value)


def test_a_name_that_python_has_otherwise_is_a_line(written):
    written(NET, "torch")
    with pytest.raises(
        FedscapeError, match=r"mine/torch\.py: Python has another module called torch; rename"
    ):
        build("mine/torch.py:Net")
