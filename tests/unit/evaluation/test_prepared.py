"""Samples of a user's own: what networks and losses take of them, and what is refused."""

import pytest
import torch
from broken_input import refusal
from torch import nn
from torch.utils.data import IterableDataset

from fedscape.errors import FedscapeError
from fedscape.evaluation.prepared import prepared_set

INPUTS = torch.linspace(-1, 1, 48).reshape(12, 4)
CLASSES = torch.arange(12) % 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.float32, torch.float64])
def test_whole_numbers_of_any_type_are_classes(kind):
    data = prepared_set("data", (INPUTS, CLASSES.to(kind)), network())
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.labels, CLASSES)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (CLASSES + 0.7, "data: targets are torch.float32, not all whole; cross-entropy takes whole numbers of classes, other targets need another loss"),
        (CLASSES.double().log(), "data: targets are torch.float64, not all whole; cross-entropy takes "),
        (torch.eye(3)[CLASSES], "data: targets [12, 3] beside outputs [12, 3]; cross-entropy takes targets [n, ...] beside outputs [n, classes, ...]"),
        (CLASSES + 1, "data: targets are 1 to 3; allowed are classes 0 to 2"),
        (CLASSES - 1, "data: targets are -1 to 1; allowed are classes 0 to 2"),
    ],
)  # fmt: skip
def test_targets_that_are_no_classes_are_refused(targets, message):
    with pytest.raises(FedscapeError) as refused:
        prepared_set("data", (INPUTS, targets), network())
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


class Endless(IterableDataset):
    """Samples without a length."""

    def __iter__(self):
        return iter(zip(INPUTS, CLASSES, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        INPUTS.numpy(),
        (INPUTS.numpy(), CLASSES.numpy()),
        (INPUTS, CLASSES, CLASSES),
        INPUTS,
        zip(INPUTS, CLASSES, strict=True),
        Endless(),
        None,
    ],
)
def test_what_is_no_source_of_samples_is_refused(source):
    said = refusal(prepared_set, "data", source, network())
    kind = type(source).__name__
    assert (
        said
        == f"data: got {kind}; allowed are a pair of tensors (inputs, targets), a Dataset with a length, a DataLoader"
    )


def test_a_network_that_cannot_take_the_samples_is_a_line():
    said = refusal(prepared_set, "data", (INPUTS[:, :3], CLASSES), network())
    assert said.startswith("data: the network cannot take inputs of shape [3] (RuntimeError: ")

    class Outputs(nn.Linear):
        def forward(self, input):
            return {"logits": super().forward(input)}

    said = refusal(prepared_set, "data", (INPUTS, CLASSES), Outputs(4, 3))
    assert said == "network: gives dict, expected a tensor of outputs"


@pytest.mark.parametrize("samples", [2, 5, 12])
@pytest.mark.parametrize("loss", [nn.MSELoss, nn.L1Loss])
def test_a_loss_that_is_a_sum_over_samples_is_refused(loss, samples):
    data = INPUTS[:samples], torch.ones(samples, 3)
    for reduction in ("mean", "none"):
        prepared_set("data", data, network(), loss(reduction=reduction))
    with pytest.raises(FedscapeError, match="loss: gave a sum over samples; allowed are their mean"):
        prepared_set("data", data, network(), loss(reduction="sum"))


@pytest.mark.parametrize("constant", [0.0, torch.nan, torch.inf])
def test_a_loss_of_which_nothing_can_be_told_is_no_sum(constant):
    prepared_set("data", (INPUTS, CLASSES), network(), lambda *_: torch.tensor(constant))
