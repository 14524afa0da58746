"""Feed-forward classifiers whose hidden layers can be got at: an MLP, or a small CNN with an MLP on top.

    input     x  [S, B, H, W]
    conv i    h ← maxpool₂(relu(W_i ∗ h + b_i))     3 × 3, padded: [S, B, C_i, H/2ⁱ, W/2ⁱ], flat as a hidden state
    hidden i  h ← relu(W_i h + b_i)                 [S, B, widths[i]]
    output    logits = V h + c                      [S, B, classes]

The hidden layers are called conv1, conv2, …, hidden1, hidden2, … in this order; ``before(x, l)`` is the state of the
l-th of them, counted from 0, as a vector, ``after(h, l)`` the logits that follow from it: after(before(x, l), l) is
forward(x).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import nearest
from memkit.models.layers import Generators, Linear, uniform

PLACEMENTS = ("early", "middle", "late", "penultimate")


class Convolution(nn.Module):
    """3 × 3, padded, as ``nn.Conv2d`` draws it; the seeds are groups of one convolution."""

    def __init__(self, generators: Generators, channels: int, out: int) -> None:
        super().__init__()
        bound = (9 * channels) ** -0.5
        self.weight = uniform(generators, out, channels, 3, 3, bound=bound)
        self.bias = uniform(generators, out, bound=bound)

    def forward(self, x: Tensor) -> Tensor:
        """[S, B, C, H, W] → [S, B, out, H, W]."""
        seeds, _, _, height, width = x.shape
        together = x.transpose(0, 1).flatten(1, 2)
        y = F.conv2d(together, self.weight.flatten(0, 1), self.bias.flatten(), padding=1, groups=seeds)
        return y.view(len(y), seeds, -1, height, width).transpose(0, 1)


class FeedForwardNetwork(nn.Module):
    """An MLP of some widths, after some convolutions where ``channels`` names any; equations above."""

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
        before = 1
        for out in channels:
            self.convolutions.append(Convolution(generators, before, out))
            before, height, width = out, height // 2, width // 2
            self.shapes.append((out, height, width))
        if not height * width:
            raise ValueError(f"an image of {inputs[0]} x {inputs[1]} pixels cannot be halved {len(channels)} times")
        sizes = (before * height * width, *widths)
        self.hidden = nn.ModuleList(Linear(generators, n, m) for n, m in pairwise(sizes))
        self.shapes += [(n,) for n in widths]
        self.output = Linear(generators, widths[-1], classes)

    @property
    def names(self) -> list[str]:
        """The hidden layers' names, in order."""
        convolutions = [f"conv{i}" for i in range(1, len(self.convolutions) + 1)]
        return convolutions + [f"hidden{i}" for i in range(1, len(self.hidden) + 1)]

    def width(self, layer: int) -> int:
        """The numbers of a hidden layer's state."""
        return torch.Size(self.shapes[layer]).numel()

    def before(self, x: Tensor, layer: int) -> Tensor:
        """The state of a hidden layer: [S, B, H, W] → [S, B, d]."""
        h = x.unsqueeze(2) if len(self.convolutions) else x.flatten(2)
        return self._run(h, 0, layer + 1)

    def after(self, h: Tensor, layer: int) -> Tensor:
        """The logits that follow from the state of a hidden layer: [S, B, d] → [S, B, classes]."""
        shaped = h.reshape(*h.shape[:2], *self.shapes[layer])
        logits: Tensor = self.output(self._run(shaped, layer + 1, len(self.shapes)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Images [S, B, H, W] → logits [S, B, classes]."""
        logits: Tensor = self.output(self.before(x, len(self.shapes) - 1))
        return logits

    def _run(self, h: Tensor, first: int, last: int) -> Tensor:
        for number, layer in enumerate((*self.convolutions, *self.hidden)):
            if first <= number < last:
                if isinstance(layer, Convolution):
                    pooled = F.max_pool2d(torch.relu(layer(h)).flatten(0, 1), 2)
                    h = pooled.view(*h.shape[:2], *pooled.shape[1:])
                else:
                    h = self._through(number - len(self.convolutions), h.flatten(2))
        return h.flatten(2)

    def _through(self, number: int, h: Tensor) -> Tensor:
        """The state after the hidden layer of that number, those of convolutions not counted."""
        return torch.relu(self.hidden[number](h))


def layer_of(network: FeedForwardNetwork, placement: str) -> int:
    """The number of a hidden layer, by its name or by where it lies.

    Of n hidden layers the early one is the first, the penultimate one the last (the layer before the output), the late
    one the last but one, and the middle one lies between: a name that would stand for the same layer as another one is
    refused.

    Raises:
        ValueError: there is no such layer, or too few for the names to differ.
    """
    names = network.names
    if placement in names:
        return names.index(placement)
    if placement not in PLACEMENTS:
        raise ValueError(f"placement={placement!r} is no layer{nearest(placement, (*PLACEMENTS, *names))}")
    n = len(names)
    needed = {"early": 2, "middle": 4, "late": 3, "penultimate": 1}[placement]
    if n < needed:
        raise ValueError(
            f"placement={placement!r} needs {needed} hidden layers, or it would be another one's place too; "
            f"this network has {', '.join(names)}"
        )
    return {"early": 0, "middle": (n - 1) // 2, "late": n - 2, "penultimate": n - 1}[placement]
