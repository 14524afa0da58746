"""A feed-forward classifier that grows while it is trained, in width, in depth, or both.

Its tensors have the size of the end from the beginning. A unit that has not been grown has no weights, neither in
nor out; so it says nothing, gets no gradient, and stays so. A layer that has not been grown passes on what it is
given. So the network is, and learns as, the smaller one that is drawn from the same generators.

    E [n + m, n]    two units from each of m of the n:  c_j at (j, j), s_j at (j', j), c_j² + s_j² = 1; 1 at the others
    widen  l        W_l ← W_l Eᵀ,  b_l ← b_l Eᵀ,  V ← E V + N     V the weights that leave the layer, Nᵀ E = 0
    deepen l        W_l = 1, b_l = 0: relu(h) = h of what was rectified before

    (rows are inputs, as in layers.py: z = h W + b)

E has one entry a row, and none below 0, so relu(z Eᵀ) = relu(z) Eᵀ, and Eᵀ E = 1: what follows finds h Eᵀ E V = h V.
The network computes the same, and the distances and angles between hidden states are the same: a memory of hidden
states is carried over by k ← k Eᵀ, and finds what it found. That is Net2Net (Chen, Goodfellow and Shlens 2016), but the
two halves of a unit are scaled to keep lengths, where there they are copies. N, noise that the two halves have with
opposite signs, tells them apart.

The optimiser's moments are carried over: they are those of the same gradients, seen through E. What has no past (a
layer that is added, with "fresh" growth a unit) is given the mean square of the gradients in the layer that it copies,
or in its own: with none, its first steps would be several times too long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.growth import Growth
from memkit.models.layers import Generators, Linear
from memkit.training.streams import stream_seed

if TYPE_CHECKING:
    from memkit.training.protocols import Moments, ValidationResult

NEVER = -1


class Widening(NamedTuple):
    """E for one layer of one seed.

    Attributes:
        seed: its place in the cohort.
        layer: of the hidden layers, those of convolutions not counted.
        parents, children: the units that are split, and the new ones, [m].
        cosines, sines: what each parent and each child has of the unit, [m].
    """

    seed: int
    layer: int
    parents: Tensor
    children: Tensor
    cosines: Tensor
    sines: Tensor

    def apply(self, states: Tensor, dim: int = -1, *, power: int = 1) -> None:
        """x ← x Eᵀ along an axis, in place: of states, or of weights; with power 2, of their squares."""
        along = states.movedim(dim, -1)
        split = along[..., self.parents]
        along[..., self.children] = split * self.sines**power
        along[..., self.parents] = split * self.cosines**power


class GrowingNetwork(FeedForwardNetwork):
    """A feed-forward network that grows by its validation examples; equations above.

    How it has grown is in its state, when it grows next is not: a network that was restored grows on as if it had just
    begun to wait.

    Args:
        widths: of the hidden layers in the end.
        growth: the settings of a :class:`memkit.models.growth.Growth`.
    """

    grown_at: Tensor

    def __init__(
        self,
        *,
        generators: Generators,
        inputs: tuple[int, int],
        classes: int,
        growth: Mapping[str, Any],
        widths: tuple[int, ...] = (256, 128),
        channels: tuple[int, ...] = (),
    ) -> None:
        planned = Growth.of(growth, widths)
        small = FeedForwardNetwork(
            generators=generators, inputs=inputs, classes=classes, widths=planned.start, channels=channels
        )
        # The values that these draw are overwritten.
        idle = [torch.Generator() for _ in generators]
        super().__init__(generators=idle, inputs=inputs, classes=classes, widths=widths, channels=channels)
        self.growth, self.widths = planned, tuple(widths)
        # When each event happened, in steps; NEVER: not yet.
        self.register_buffer("grown_at", torch.full((len(generators), planned.events), NEVER))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            for name, its in small.named_parameters():
                self.get_parameter(name)[tuple(slice(n) for n in its.shape)] = its
        self._streams = [torch.Generator().manual_seed(stream_seed(g.initial_seed(), "growth")) for g in generators]
        self._clocks = [Clock() for _ in generators]

    @property
    def events(self) -> Tensor:
        """The number of times that each seed has grown: [S]."""
        return (self.grown_at != NEVER).sum(1)

    def sizes_after(self, events: int) -> tuple[int, ...]:
        """The widths of the hidden layers after so many events."""
        return self.growth.widths_after(events, self.widths)

    def active_parameters(self) -> list[int]:
        """Return the number of parameters that each seed uses: those of the units and layers that have been grown."""
        return [self.parameters_after(events) for events in self.events.tolist()]

    def parameters_after(self, events: int) -> int:
        """Return the number of parameters that are used after a number of events."""
        fixed = sum(parameter[0].numel() for parameter in self.convolutions.parameters())
        sizes = (self._linear(0).weight.shape[1], *self.sizes_after(events), self.output.weight.shape[2])
        return fixed + sum((n + 1) * m for n, m in pairwise(sizes))

    def tables(self) -> dict[str, list[dict[str, int | str]]]:
        """Return the growth of a network of one seed, as a table."""
        return {"growth": self.timeline()}

    def timeline(self) -> list[dict[str, int | str]]:
        """Return a row for each event of growth: its step, and widths and parameters before and after."""
        rows: list[dict[str, int | str]] = []
        for event, step in enumerate(self.grown_at[0].tolist()):
            if step != NEVER:
                row: dict[str, int | str] = {"event": event + 1, "step": step}
                for when, events in (("before", event), ("after", event + 1)):
                    row[f"widths {when}"] = " × ".join(map(str, self.sizes_after(events)))
                    row[f"parameters {when}"] = self.parameters_after(events)
                rows.append(row)
        return rows

    def validated(self, result: ValidationResult, moments: Moments) -> list[bool]:
        """Grow the seeds for which an event is due; which those were."""
        grown = self.due(result)
        for seed, now in enumerate(grown):
            if now:
                self.grow(seed, result.step, moments)
        return grown

    def due(self, result: ValidationResult) -> list[bool]:
        """For which seeds an event is due, by a look at the validation examples; each is to be told of once."""
        waiting = (self.events < self.growth.events).tolist()
        due = [clock.due(self.growth, result, seed) for seed, clock in enumerate(self._clocks)]
        return [now and left for now, left in zip(due, waiting, strict=True)]

    @torch.no_grad()
    def grow(self, seed: int, step: int, moments: Moments) -> list[Widening]:
        """The next event of a seed: parameters and moments are changed in place; what became of which layer's states.

        With "fresh" growth no state is carried over, and nothing is returned.
        """
        event = int(self.events[seed])
        before, after = self.sizes_after(event), self.sizes_after(event + 1)
        self.grown_at[seed, event] = step
        now = [*before, *[before[-1]] * (len(after) - len(before))]
        for layer in range(len(before), len(after)):
            self._deepen(seed, layer, now, moments)
        carried: list[Widening] = []
        for layer, width in enumerate(after):
            while now[layer] < width:
                more = width - now[layer]
                if self.growth.how == "preserving":
                    more = min(more, now[layer])  # each unit is split once; if that is not enough, all are split again
                    carried.append(self._split(seed, layer, more, now, moments))
                else:
                    self._add(seed, layer, more, now, moments)
                now[layer] += more
        return carried

    def _through(self, number: int, h: Tensor) -> Tensor:
        """Apply a layer as in a network that does not grow; a layer that has not been grown passes its input on."""
        there = [number < len(self.sizes_after(events)) for events in self.events.tolist()]
        if not any(there):
            return h
        after = super()._through(number, h)
        return after if all(there) else torch.where(torch.tensor(there, device=h.device).view(-1, 1, 1), after, h)

    def _linear(self, layer: int) -> Linear:
        found = self.hidden[layer]
        assert isinstance(found, Linear)
        return found

    def _sides(self, layer: int, now: list[int]) -> tuple[Linear, int, Linear, int]:
        """The weights that enter a layer and how many units they come from, those that leave it and to how many."""
        own = self._linear(layer)
        entering = now[layer - 1] if layer else own.weight.shape[1]
        if layer == len(now) - 1:
            return own, entering, self.output, self.output.weight.shape[2]
        return own, entering, self._linear(layer + 1), now[layer + 1]

    def _split(self, seed: int, layer: int, more: int, now: list[int], moments: Moments) -> Widening:
        """Make two of some units."""
        g, width = self._streams[seed], now[layer]
        into, _, out, leaving = self._sides(layer, now)
        device = into.weight.device
        parents = torch.randperm(width, generator=g)[:more].to(device)
        # Between an eighth and three eighths of a half turn: neither half is much smaller than the other.
        angle = ((torch.rand(more, generator=g) + 0.5) * (math.pi / 4)).to(device)
        children = torch.arange(width, width + more, device=device)
        made = Widening(seed, layer, parents, children, angle.cos(), angle.sin())
        for tensor, dim in ((into.weight, 1), (into.bias, 1), (out.weight, 0)):
            made.apply(tensor[seed], dim)
            for power, moment in enumerate(moments.get(tensor, ()), 1):
                made.apply(moment[seed], dim, power=power)
        weights = out.weight[seed, :, :leaving]
        spread = self.growth.noise * weights[: width + more].square().mean().sqrt()
        noise = spread * torch.randn(more, leaving, generator=g).to(device)
        weights[made.parents] += made.sines.unsqueeze(1) * noise
        weights[made.children] -= made.cosines.unsqueeze(1) * noise
        return made

    def _add(self, seed: int, layer: int, more: int, now: list[int], moments: Moments) -> None:
        """Add units as if the network began: they change what it computes."""
        g, width = self._streams[seed], now[layer]
        new = slice(width, width + more)
        into, entering, out, leaving = self._sides(layer, now)
        for tensor, part, whole, fan in (
            (into.weight, (slice(entering), new), (slice(entering), slice(width)), entering),
            (into.bias, (slice(1), new), (slice(1), slice(width)), entering),
            (out.weight, (new, slice(leaving)), (slice(width), slice(leaving)), width + more),
        ):
            _draw(tensor[seed][part], fan, g)
            _begin(tensor, tensor, seed, part, whole, moments)

    def _deepen(self, seed: int, layer: int, now: list[int], moments: Moments) -> None:
        """Open a layer as wide as the one below it."""
        g, width = self._streams[seed], now[layer]
        own, _, _, _ = self._sides(layer, now)
        below, entering, _, _ = self._sides(layer - 1, now)
        square, row = (slice(width), slice(width)), (slice(1), slice(width))
        for tensor, old, part, whole in (
            (own.weight, below.weight, square, (slice(entering), slice(width))),
            (own.bias, below.bias, row, row),
        ):
            if self.growth.how == "fresh":
                _draw(tensor[seed][part], width, g)
            _begin(tensor, old, seed, part, whole, moments)
        if self.growth.how == "preserving":
            own.weight[seed][square] = torch.eye(width, device=own.weight.device)


@dataclass
class Clock:
    """When a seed grows next: what it has seen since it last did.

    Attributes:
        epochs, step: when that was.
        looks: how many looks ago; on a plateau, how many since the loss last fell.
        best: the lowest validation loss since then, in nats.
    """

    epochs: float = 0.0
    step: int = 0
    looks: int = 0
    best: float = math.inf

    def due(self, growth: Growth, result: ValidationResult, seed: int) -> bool:
        """Count one more look, and return whether the next event is due."""
        epochs, loss, accuracy = (of[seed] for of in (result.epochs, result.losses, result.accuracies))
        if growth.schedule == "epochs" and math.isnan(epochs):
            raise ValueError(
                "growth by epochs has to know how long an epoch is: give what draws the examples a length, or take "
                "schedule='steps'"
            )
        fell = loss < self.best - growth.improvement
        self.looks = 0 if growth.schedule == "plateau" and fell else self.looks + 1
        self.best = min(self.best, loss)
        due = {
            "epochs": epochs - self.epochs >= growth.every - 1e-9,
            "steps": result.step - self.step >= growth.every,
            "plateau": self.looks >= growth.patience,
            "performance": self.looks >= growth.patience and accuracy < growth.target,
        }[growth.schedule]
        if due:
            self.epochs, self.step, self.looks, self.best = epochs, result.step, 0, math.inf
        return due


Part = tuple[slice, slice]


def _draw(weights: Tensor, inputs: int, g: torch.Generator) -> None:
    """Draw weights in place, as ``nn.Linear`` draws them."""
    bound = inputs**-0.5
    weights.copy_(torch.rand(weights.shape, generator=g) * 2 * bound - bound)


def _begin(new: nn.Parameter, old: nn.Parameter, seed: int, part: Part, whole: Part, moments: Moments) -> None:
    """Give new weights, which have no past, moments: no mean, and the mean square of what stands for them."""
    if of_new := moments.get(new):
        first, second = of_new
        mean_square = moments[old][1][seed][whole].mean()
        first[seed][part] = 0.0
        second[seed][part] = mean_square
