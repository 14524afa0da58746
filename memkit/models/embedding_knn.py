"""The nearest-neighbour baseline: the nearest entries in a hidden layer vote for their classes.

    v(c | x) = Σ_i w_i · 1[label_i = c]       over the k entries nearest to before(x), or nearest in pixel space
    p        = v,   or v mixed with the network's own prediction by its uncertainty, see doubt.py
    logits   = log(p + ε)

It consists of a trained :class:`FeedForwardNetwork` and a memory whose values are labels. Nothing is trained. The
default layer is the penultimate one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.neighbours import NeighbourMemory
from memkit.memories.retrieval import Metric, Weights
from memkit.models.doubt import mix_by_uncertainty
from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.models.layers import Generators

PIXELS = "pixels"
_FLOOR = 1e-3
"""ε: up to normalisation, the probability of a class that no neighbour has."""


class EmbeddingKNN(nn.Module):
    """A vote of the k nearest of ``capacity`` stored examples, in a hidden layer of a trained network.

    >>> import torch
    >>> from memkit.models import EmbeddingKNN, FeedForwardNetwork
    >>> generators = [torch.Generator().manual_seed(0)]
    >>> network = FeedForwardNetwork(generators=generators, inputs=(8, 8), classes=3, widths=(16,))
    >>> knn = EmbeddingKNN(network, generators, capacity=100, k=1)
    >>> images, labels = torch.rand(1, 20, 8, 8), torch.randint(3, (1, 20))
    >>> knn.remember(images, labels)
    >>> bool((knn(images).argmax(-1) == labels).all())  # the nearest neighbour of a stored image is the image itself
    True
    """

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
        """Store examples: images [S, B, H, W], labels [S, B]."""
        self.memory.insert(self._features(inputs), F.one_hot(labels, self.classes).float(), labels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [S, B, classes] for images [S, B, H, W]."""
        votes = self.memory.retrieve(self._features(inputs)).value
        if self.mixed is not None:
            votes = mix_by_uncertainty(self.network(inputs), votes, self.mixed)
        return (votes + _FLOOR).log()

    def _features(self, inputs: Tensor) -> Tensor:
        """Return the hidden states of images, or their pixels: [S, B, d]."""
        return inputs.flatten(2) if self.layer is None else self.network.before(inputs, self.layer)
