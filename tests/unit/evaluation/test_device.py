"""The device: which switches of PyTorch a precision turns. No GPU is needed for them."""

import os

import pytest
import torch

from fedscape.errors import FedscapeError
from fedscape.evaluation.device import prepare_device


@pytest.fixture
def switches():
    """Puts the process's switches back."""
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = torch.utils.deterministic.fill_uninitialized_memory
    holders = [
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cuda.matmul, "allow_tf32"),
    ]
    values = [getattr(holder, name) for holder, name in holders]
    yield
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    for (holder, name), value in zip(holders, values, strict=True):
        setattr(holder, name, value)


def test_no_variable_of_the_environment_has_a_say(switches, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    prepare_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "NVIDIA_TF32_OVERRIDE" not in os.environ


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tf32_only_where_it_is_asked_for(switches, monkeypatch, precision, tf32):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for before in (True, False):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = before
        torch.backends.cudnn.benchmark = True
        assert prepare_device("cuda:1", precision) == torch.device("cuda:1")
        assert torch.backends.cudnn.allow_tf32 is tf32
        assert torch.backends.cuda.matmul.allow_tf32 is tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()


def test_a_cpu_needs_no_switches(switches):
    torch.backends.cuda.matmul.allow_tf32 = True
    assert prepare_device("cpu", "fp32") == torch.device("cpu")
    assert torch.backends.cuda.matmul.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(FedscapeError, match="device cuda: PyTorch sees no CUDA device here; allowed is cpu"):
        prepare_device("cuda")
