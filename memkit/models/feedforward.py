"""Feed-forward classifiers with accessible hidden states: an MLP, or a small CNN with an MLP on top.

    input     x  [S, B, H, W]
    conv i    h ← maxpool₂(relu(W_i ∗ h + b_i))     3 × 3, padded: [S, B, C_i, H/2ⁱ, W/2ⁱ]; flattened as a hidden state
    hidden i  h ← relu(W_i h + b_i)                 [S, B, widths[i]]
    output    logits = V h + c                      [S, B, classes]

The hidden layers are named conv1, conv2, …, hidden1, hidden2, … in this order, and numbered from 0. ``before(x, l)`` is
the state of layer l as a vector, and ``after(h, l)`` the logits that follow from this state, so that
after(before(x, l), l) equals forward(x).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import suggestion
from memkit.models.layers import Generators, Linear, uniform

PLACEMENTS = ("early", "middle", "late", "penultimate")


class Convolution(nn.Module):
    """A padded 3 × 3 convolution, initialised like ``nn.Conv2d``; the seeds are groups of one convolution."""

    def __init__(self, generators: Generators, channels: int, out: int) -> None:
        super().__init__()
        bound = (9 * channels) ** -0.5
        self.weight = uniform(generators, out, channels, 3, 3, bound=bound)
        self.bias = uniform(generators, out, bound=bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x [S, B, C, H, W]: [S, B, out, H, W]."""
        seeds, _, _, height, width = x.shape
        grouped = x.transpose(0, 1).flatten(1, 2)
        outputs = F.conv2d(grouped, self.weight.flatten(0, 1), self.bias.flatten(), padding=1, groups=seeds)
        return outputs.view(len(outputs), seeds, -1, height, width).transpose(0, 1)


class FeedForwardNetwork(nn.Module):
    """An MLP with hidden layers of the given ``widths``, after convolutions if ``channels`` names any; see above.

    >>> import torch
    >>> from memkit.models import FeedForwardNetwork
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = FeedForwardNetwork(generators=generators, inputs=(8, 8), classes=3, widths=(16, 12))
    >>> images = torch.rand(2, 5, 8, 8)  # 2 seeds, 5 images of 8 × 8 pixels
    >>> network(images).shape
    torch.Size([2, 5, 3])
    >>> network.before(images, layer=1).shape  # the state of hidden2
    torch.Size([2, 5, 12])
    """

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
        inputs: tuple[int, int],
        classes: int,
        widths: tuple[int, ...] = (256, 128),
        channels: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        if not widths:
            raise ValueError("widths must name at least one hidden layer, as in (256, 128)")
        self.inputs = tuple(inputs)
        height, width = inputs
        self.shapes: list[tuple[int, ...]] = []
        self.convolutions = nn.ModuleList()
        channels_in = 1
        for channels_out in channels:
            self.convolutions.append(Convolution(generators, channels_in, channels_out))
            channels_in, height, width = channels_out, height // 2, width // 2
            self.shapes.append((channels_out, height, width))
        if not height * width:
            raise ValueError(f"an image of {inputs[0]} x {inputs[1]} pixels cannot be halved {len(channels)} times")
        sizes = (channels_in * height * width, *widths)
        self.hidden = nn.ModuleList(Linear(generators, n, m) for n, m in pairwise(sizes))
        self.shapes += [(n,) for n in widths]
        self.output = Linear(generators, widths[-1], classes)

    @property
    def names(self) -> list[str]:
        """The names of the hidden layers, in order."""
        convolutions = [f"conv{i}" for i in range(1, len(self.convolutions) + 1)]
        return convolutions + [f"hidden{i}" for i in range(1, len(self.hidden) + 1)]

    def width(self, layer: int) -> int:
        """Return the size of the state of a hidden layer."""
        return torch.Size(self.shapes[layer]).numel()

    def before(self, x: Tensor, layer: int) -> Tensor:
        """Return the state of a hidden layer for images [S, B, H, W]: [S, B, d]."""
        h = x.unsqueeze(2) if len(self.convolutions) else x.flatten(2)
        return self._apply_layers(h, 0, layer + 1)

    def after(self, h: Tensor, layer: int) -> Tensor:
        """Return the logits [S, B, classes] that follow from the state of a hidden layer [S, B, d]."""
        shaped = h.reshape(*h.shape[:2], *self.shapes[layer])
        logits: Tensor = self.output(self._apply_layers(shaped, layer + 1, len(self.shapes)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [S, B, classes] for images [S, B, H, W]."""
        logits: Tensor = self.output(self.before(x, len(self.shapes) - 1))
        return logits

    def _apply_layers(self, h: Tensor, first: int, last: int) -> Tensor:
        """Apply the layers from ``first`` up to, but not including, ``last``."""
        for number, layer in enumerate((*self.convolutions, *self.hidden)):
            if first <= number < last:
                if isinstance(layer, Convolution):
                    pooled = F.max_pool2d(torch.relu(layer(h)).flatten(0, 1), 2)
                    h = pooled.view(*h.shape[:2], *pooled.shape[1:])
                else:
                    h = self._apply_hidden(number - len(self.convolutions), h.flatten(2))
        return h.flatten(2)

    def _apply_hidden(self, number: int, h: Tensor) -> Tensor:
        """Apply a fully connected hidden layer; ``number`` does not count convolutions."""
        return torch.relu(self.hidden[number](h))


def layer_of(network: FeedForwardNetwork, placement: str) -> int:
    """Return the number of a hidden layer, by its name or its place.

    Of n hidden layers, "early" is the first, "penultimate" the last (the layer before the output), "late" the last but
    one, and "middle" lies between. A place that would coincide with another place is refused.

    Raises:
        ValueError: there is no such layer, or there are too few layers for the places to differ.
    """
    names = network.names
    if placement in names:
        return names.index(placement)
    if placement not in PLACEMENTS:
        raise ValueError(f"placement={placement!r} is not a hidden layer{suggestion(placement, (*PLACEMENTS, *names))}")
    n = len(names)
    needed = {"early": 2, "middle": 4, "late": 3, "penultimate": 1}[placement]
    if n < needed:
        raise ValueError(
            f"placement={placement!r} needs {needed} hidden layers, or it would coincide with another place; "
            f"this network has {', '.join(names)}"
        )
    return {"early": 0, "middle": (n - 1) // 2, "late": n - 2, "penultimate": n - 1}[placement]
