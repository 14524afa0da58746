"""Fine-tuning: the alternative to a memory when a trained network has to learn from a few more examples.

    θ ← Adam(θ, ∂/∂θ mean loss over all the examples), `steps` times: all weights, or those of the last layer

The prediction is that of the fine-tuned network, or its mixture with that of the original network by the original
network's uncertainty, see doubt.py.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.doubt import mix_by_uncertainty
from memkit.models.feedforward import FeedForwardNetwork


class FineTuned(nn.Module):
    """A copy of a trained network that learns examples by gradient descent, where a memory would store them.

    Args:
        network: the trained network; it is not changed.
        lr, steps: Adam's learning rate and number of steps, each on all the examples.
        last: True to train the last layer only.
        mixed: weight of the fine-tuned prediction per unit of the original network's uncertainty; None for no mixture.

    >>> import torch
    >>> from memkit.models import FeedForwardNetwork, FineTuned
    >>> generators = [torch.Generator().manual_seed(0)]
    >>> network = FeedForwardNetwork(generators=generators, inputs=(8, 8), classes=3, widths=(16,))
    >>> tuned = FineTuned(network, lr=0.01, steps=100)
    >>> images, labels = torch.rand(1, 6, 8, 8), torch.tensor([[0, 1, 2, 0, 1, 2]])
    >>> tuned.remember(images, labels)
    >>> tuned(images).argmax(-1)
    tensor([[0, 1, 2, 0, 1, 2]])
    """

    seed_axis = True

    def __init__(
        self, network: FeedForwardNetwork, *, lr: float, steps: int, last: bool = False, mixed: float | None = None
    ) -> None:
        super().__init__()
        self.network, self.before, self.mixed = copy.deepcopy(network), network, mixed
        self.lr, self.steps, self.last = lr, steps, last

    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Train on images [S, B, H, W] and labels [S, B]."""
        parameters = list((self.network.output if self.last else self.network).parameters())
        optimiser = torch.optim.Adam(parameters, lr=self.lr)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimiser.zero_grad()
                losses = F.cross_entropy(self.network(inputs).flatten(0, 1), labels.flatten(), reduction="none")
                # Mean over the examples of a seed, sum over seeds: each weight belongs to one seed only.
                losses.view_as(labels).mean(1).sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [S, B, classes] for images [S, B, H, W]."""
        logits: Tensor = self.network(inputs)
        if self.mixed is None:
            return logits
        return mix_by_uncertainty(self.before(inputs), torch.softmax(logits, -1), self.mixed).log()
