"""The nearest-neighbour baseline: the entries nearest in a hidden layer vote for their classes.

    v(c | x) = Σ_i w_i · 1[label_i = c]       over the k entries nearest to before(x), or in the pixels themselves
    p        = v,   or mixed into what the network says itself by its doubt, see doubt.py
    logits   = log(p + ε)

A trained :class:`FeedForwardNetwork`, and a memory whose values are labels. The layer is the penultimate one, if no
other is named. Nothing is trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.neighbours import NeighbourMemory
from memkit.memories.retrieval import Metric, Weights
from memkit.models.doubt import mixed_by_doubt
from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.models.layers import Generators

PIXELS = "pixels"
_FLOOR = 1e-3
"""ε: the probability, but for a constant factor, of a class that no neighbour has."""


class EmbeddingKNN(nn.Module):
    """A vote of the k nearest of ``capacity`` remembered examples, in a hidden layer of a trained network."""

    seed_axis = True

    def __init__(
        self,
        network: FeedForwardNetwork,
        generators: Generators,
        *,
        capacity: int,
        placement: str = "penultimate",
        mixed: float | None = None,
        k: int = 8,
        metric: Metric = "l2",
        weights: Weights = "inverse",
        eviction: str = "fifo",
    ) -> None:
        super().__init__()
        self.network, self.mixed = network, mixed
        self.layer = None if placement == PIXELS else layer_of(network, placement)
        height, width = network.inputs
        self.classes = network.output.weight.shape[-1]
        self.memory = NeighbourMemory(
            generators=generators,
            key_width=height * width if self.layer is None else network.width(self.layer),
            value_width=self.classes,
            capacity=capacity,
            k=k,
            metric=metric,
            weights=weights,
            eviction=eviction,
        )
        self.state_size = self.memory.state_size
        self.train(network.training)

    @torch.no_grad()
    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Insert examples: images [S, B, H, W], labels [S, B]."""
        self.memory.insert(self._seen(inputs), F.one_hot(labels, self.classes).float(), labels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [S, B, H, W] → logits [S, B, classes]."""
        votes = self.memory.retrieve(self._seen(inputs)).value
        if self.mixed is not None:
            votes = mixed_by_doubt(self.network(inputs), votes, self.mixed)
        return (votes + _FLOOR).log()

    def _seen(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(2) if self.layer is None else self.network.before(inputs, self.layer)
