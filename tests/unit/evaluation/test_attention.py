"""Hessians of networks with fused attention, which has no second derivative of its own."""

import torch
from torch import nn

from fedscape.evaluation.eigenvalues import HessianProduct, state_of
from fedscape.evaluation.evaluate import EvaluationSet


class Attention(nn.Module):
    """A layer of torch's own over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True, activation="gelu")
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return self.head(self.encoder(images[:, 0]).mean(dim=1))


def test_a_product_is_the_hessian_of_the_loss():
    torch.manual_seed(0)
    network = Attention().eval()
    images = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8)
    labels = torch.randint(0, 3, (6,))
    data = EvaluationSet(images, labels, torch.tensor([0.5]), torch.tensor([0.25]))
    layout, point, buffers = state_of(network)
    point = point.double()
    product = HessianProduct(network, layout, point, buffers, data)
    vector = torch.randn(len(point), dtype=torch.float64)
    # A central difference of gradients, whose error is of the square of the step.
    step = 1e-4
    ahead, behind = (
        next(
            HessianProduct(network, layout, point + sign * step * vector, buffers, data)._gradients()
        ).detach()
        for sign in (1, -1)
    )
    torch.testing.assert_close(product(vector), (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-6)
