"""Fine-tuning: what a memory competes with when a trained network is to learn from a few more examples.

    θ ← Adam(θ, ∂/∂θ mean loss over all the examples), `steps` times: all weights, or those of the last layer

What it then says is the answer; or that is mixed into what the network said before, by its doubt, see doubt.py.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.doubt import mixed_by_doubt
from memkit.models.feedforward import FeedForwardNetwork


class FineTuned(nn.Module):
    """A copy of a trained network that learns examples by gradient descent where a memory would store them.

    Args:
        network: left as it is.
        lr, steps: Adam's, on all the examples at once.
        last: only the last layer learns.
        mixed: how strongly the network's doubt lets through what was learnt; None: nothing is mixed.
    """

    seed_axis = True

    def __init__(
        self, network: FeedForwardNetwork, *, lr: float, steps: int, last: bool = False, mixed: float | None = None
    ) -> None:
        super().__init__()
        self.network, self.before, self.mixed = copy.deepcopy(network), network, mixed
        self.lr, self.steps, self.last = lr, steps, last

    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Learn images [S, B, H, W] and labels [S, B]."""
        learnt = list((self.network.output if self.last else self.network).parameters())
        optimiser = torch.optim.Adam(learnt, lr=self.lr)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimiser.zero_grad()
                losses = F.cross_entropy(self.network(inputs).flatten(0, 1), labels.flatten(), reduction="none")
                # The mean over a seed's examples, the sum over seeds: each weight belongs to one seed.
                losses.view_as(labels).mean(1).sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [S, B, H, W] → logits [S, B, classes]."""
        logits: Tensor = self.network(inputs)
        if self.mixed is None:
            return logits
        return mixed_by_doubt(self.before(inputs), torch.softmax(logits, -1), self.mixed).log()
