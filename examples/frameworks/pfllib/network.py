"""A network as PFLlib's main.py takes it: its classifier is called `fc`, and its class can be pickled."""

from torch import Tensor, nn


class Network(nn.Module):
    """The study's network with the classifier called `fc`, and as many hidden units as asked for."""

    def __init__(self, hidden: int = 32):
        super().__init__()
        self.hidden = nn.Linear(64, hidden)
        self.fc = nn.Linear(hidden, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 10] of images [n, 1, 8, 8]."""
        return self.fc(self.hidden(images.flatten(1)).relu())
