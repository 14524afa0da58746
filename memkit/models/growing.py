"""A feed-forward classifier that grows while it is trained, in width, in depth or both.

All tensors have their final size from the start. A unit that does not exist yet has zero weights, incoming and
outgoing; so it contributes nothing, gets no gradient, and stays zero. A layer that does not exist yet passes its input
on. So the network computes and learns the same as a small network built from the same generators.

    E [n + m, n]    splits m of n units in two:  c_j at (j, j), s_j at (j', j), c_j² + s_j² = 1; 1 for the other units
    widen  l        W_l ← W_l Eᵀ,  b_l ← b_l Eᵀ,  V ← E V + N     V: outgoing weights of the layer; N: noise, Nᵀ E = 0
    deepen l        W_l = 1, b_l = 0: relu(h) = h, as h is the output of a relu

    (rows are inputs, as in layers.py: z = h W + b)

E has one non-negative entry per row, so relu(z Eᵀ) = relu(z) Eᵀ. Since Eᵀ E = 1, the next layer gets h Eᵀ E V = h V. So
growth changes neither the function of the network nor the distances and angles between hidden states: a memory of
hidden states is carried over by k ← k Eᵀ, and retrieves the same entries. This is Net2Net (Chen, Goodfellow and Shlens
2016), except that the two halves of a unit are scaled to preserve lengths, whereas Net2Net copies them. The noise N has
opposite signs for the two halves, so that they can learn different things.

The optimiser's moments are carried over, transformed by E as the gradients are. New parameters without a past
(an added layer, or with "fresh" growth a unit) start with the mean square of the gradients in the layer that they copy
or belong to; with 0 instead, their first steps would be several times too large.
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
"""The step of a growth event that has not happened yet."""


class Widening(NamedTuple):
    """The matrix E of one layer of one seed; see the equations above.

    Attributes:
        seed: the index of the seed in the cohort.
        layer: the number of the hidden layer, not counting convolutions.
        parents, children: the units that are split, and the new units, [m].
        cosines, sines: the factors c of the parents and s of the children, [m].
    """

    seed: int
    layer: int
    parents: Tensor
    children: Tensor
    cosines: Tensor
    sines: Tensor

    def apply(self, states: Tensor, dim: int = -1, *, power: int = 1) -> None:
        """Replace states or weights x by x Eᵀ along an axis, in place; with power 2, for their squares."""
        units_last = states.movedim(dim, -1)
        original = units_last[..., self.parents]
        units_last[..., self.children] = original * self.sines**power
        units_last[..., self.parents] = original * self.cosines**power


class GrowingNetwork(FeedForwardNetwork):
    """A feed-forward network that grows according to its validation examples; see the equations above.

    The number of events so far is part of its state; the progress towards the next event is not. A restored network
    continues as if its last event had just happened.

    Args:
        widths: the final widths of the hidden layers.
        growth: the settings of a :class:`memkit.models.growth.Growth`.

    >>> import torch
    >>> from memkit.models import GrowingNetwork
    >>> growth = {"start": (4, 4), "events": 2, "schedule": "steps", "every": 100}
    >>> generators = [torch.Generator().manual_seed(0)]
    >>> network = GrowingNetwork(generators=generators, inputs=(8, 8), classes=3, widths=(16, 16), growth=growth)
    >>> [network.sizes_after(events) for events in (0, 1, 2)]
    [(4, 4), (10, 10), (16, 16)]
    >>> images = torch.rand(1, 5, 8, 8)
    >>> before = network(images)
    >>> splits = network.grow(seed=0, step=100, moments={})
    >>> torch.allclose(before, network(images), atol=1e-5)  # growth preserves the function
    True
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
        plan = Growth.of(growth, widths)
        small = FeedForwardNetwork(
            generators=generators, inputs=inputs, classes=classes, widths=plan.start, channels=channels
        )
        # The initial values drawn from these generators are overwritten.
        unused = [torch.Generator() for _ in generators]
        super().__init__(generators=unused, inputs=inputs, classes=classes, widths=widths, channels=channels)
        self.growth, self.widths = plan, tuple(widths)
        # The step of each event; NEVER if it has not happened yet.
        self.register_buffer("grown_at", torch.full((len(generators), plan.events), NEVER))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            for name, values in small.named_parameters():
                self.get_parameter(name)[tuple(slice(n) for n in values.shape)] = values
        self._streams = [torch.Generator().manual_seed(stream_seed(g.initial_seed(), "growth")) for g in generators]
        self._clocks = [Clock() for _ in generators]

    @property
    def events(self) -> Tensor:
        """The number of growth events so far, per seed: [S]."""
        return (self.grown_at != NEVER).sum(1)

    def sizes_after(self, events: int) -> tuple[int, ...]:
        """Return the widths of the hidden layers after a number of events."""
        return self.growth.widths_after(events, self.widths)

    def active_parameters(self) -> list[int]:
        """Return the number of parameters that each seed uses: those of existing units and layers."""
        return [self.parameters_after(events) for events in self.events.tolist()]

    def parameters_after(self, events: int) -> int:
        """Return the number of parameters in use after a number of events."""
        convolutional = sum(parameter[0].numel() for parameter in self.convolutions.parameters())
        sizes = (self._linear(0).weight.shape[1], *self.sizes_after(events), self.output.weight.shape[2])
        return convolutional + sum((n + 1) * m for n, m in pairwise(sizes))

    def tables(self) -> dict[str, list[dict[str, int | str]]]:
        """Return the growth of a network of one seed as a table."""
        return {"growth": self.timeline()}

    def timeline(self) -> list[dict[str, int | str]]:
        """Return one row per growth event: its step, and the widths and parameters before and after."""
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
        """Grow the seeds for which an event is due, and return which seeds have grown."""
        due = self.due_seeds(result)
        for seed, is_due in enumerate(due):
            if is_due:
                self.grow(seed, result.step, moments)
        return due

    def due_seeds(self, result: ValidationResult) -> list[bool]:
        """Return for which seeds an event is due; to be called exactly once per result."""
        has_events_left = (self.events < self.growth.events).tolist()
        clocks_due = [clock.is_due(self.growth, result, seed) for seed, clock in enumerate(self._clocks)]
        return [due and more for due, more in zip(clocks_due, has_events_left, strict=True)]

    @torch.no_grad()
    def grow(self, seed: int, step: int, moments: Moments) -> list[Widening]:
        """Apply the next growth event of a seed, changing parameters and moments in place.

        Returns:
            the widenings that were applied, for carrying states over; none with "fresh" growth
        """
        event = int(self.events[seed])
        before, after = self.sizes_after(event), self.sizes_after(event + 1)
        self.grown_at[seed, event] = step
        widths = [*before, *[before[-1]] * (len(after) - len(before))]
        for layer in range(len(before), len(after)):
            self._deepen(seed, layer, widths, moments)
        widenings: list[Widening] = []
        for layer, target in enumerate(after):
            while widths[layer] < target:
                added = target - widths[layer]
                if self.growth.how == "preserving":
                    added = min(added, widths[layer])  # a pass splits each unit at most once
                    widenings.append(self._split(seed, layer, added, widths, moments))
                else:
                    self._add(seed, layer, added, widths, moments)
                widths[layer] += added
        return widenings

    def _apply_hidden(self, number: int, h: Tensor) -> Tensor:
        """Apply a hidden layer; a layer that does not exist yet in a seed passes its input on."""
        exists = [number < len(self.sizes_after(events)) for events in self.events.tolist()]
        if not any(exists):
            return h
        output = super()._apply_hidden(number, h)
        return output if all(exists) else torch.where(torch.tensor(exists, device=h.device).view(-1, 1, 1), output, h)

    def _linear(self, layer: int) -> Linear:
        linear = self.hidden[layer]
        assert isinstance(linear, Linear)
        return linear

    def _incoming_and_outgoing(self, layer: int, widths: list[int]) -> tuple[Linear, int, Linear, int]:
        """Return the weights into a layer and out of it, each with the number of units at its other end."""
        incoming = self._linear(layer)
        inputs = widths[layer - 1] if layer else incoming.weight.shape[1]
        if layer == len(widths) - 1:
            return incoming, inputs, self.output, self.output.weight.shape[2]
        return incoming, inputs, self._linear(layer + 1), widths[layer + 1]

    def _split(self, seed: int, layer: int, added: int, widths: list[int], moments: Moments) -> Widening:
        """Split ``added`` units of a layer in two."""
        generator, width = self._streams[seed], widths[layer]
        incoming, _, outgoing, outputs = self._incoming_and_outgoing(layer, widths)
        device = incoming.weight.device
        parents = torch.randperm(width, generator=generator)[:added].to(device)
        # Angles from π/8 to 3π/8, so that neither half is much smaller than the other.
        angle = ((torch.rand(added, generator=generator) + 0.5) * (math.pi / 4)).to(device)
        children = torch.arange(width, width + added, device=device)
        widening = Widening(seed, layer, parents, children, angle.cos(), angle.sin())
        for tensor, dim in ((incoming.weight, 1), (incoming.bias, 1), (outgoing.weight, 0)):
            widening.apply(tensor[seed], dim)
            for power, moment in enumerate(moments.get(tensor, ()), 1):
                widening.apply(moment[seed], dim, power=power)
        weights = outgoing.weight[seed, :, :outputs]
        spread = self.growth.noise * weights[: width + added].square().mean().sqrt()
        noise = spread * torch.randn(added, outputs, generator=generator).to(device)
        weights[widening.parents] += widening.sines.unsqueeze(1) * noise
        weights[widening.children] -= widening.cosines.unsqueeze(1) * noise
        return widening

    def _add(self, seed: int, layer: int, added: int, widths: list[int], moments: Moments) -> None:
        """Add new units, drawn as for a new network; they change the function of the network."""
        generator, width = self._streams[seed], widths[layer]
        new = slice(width, width + added)
        incoming, inputs, outgoing, outputs = self._incoming_and_outgoing(layer, widths)
        for tensor, region, reference, fan_in in (
            (incoming.weight, (slice(inputs), new), (slice(inputs), slice(width)), inputs),
            (incoming.bias, (slice(1), new), (slice(1), slice(width)), inputs),
            (outgoing.weight, (new, slice(outputs)), (slice(width), slice(outputs)), width + added),
        ):
            _draw_uniform(tensor[seed][region], fan_in, generator)
            _initialise_moments(tensor, tensor, seed, region, reference, moments)

    def _deepen(self, seed: int, layer: int, widths: list[int], moments: Moments) -> None:
        """Add a layer that is as wide as the one below it."""
        generator, width = self._streams[seed], widths[layer]
        incoming, _, _, _ = self._incoming_and_outgoing(layer, widths)
        incoming_below, inputs, _, _ = self._incoming_and_outgoing(layer - 1, widths)
        square, row = (slice(width), slice(width)), (slice(1), slice(width))
        for tensor, copied, region, reference in (
            (incoming.weight, incoming_below.weight, square, (slice(inputs), slice(width))),
            (incoming.bias, incoming_below.bias, row, row),
        ):
            if self.growth.how == "fresh":
                _draw_uniform(tensor[seed][region], width, generator)
            _initialise_moments(tensor, copied, seed, region, reference, moments)
        if self.growth.how == "preserving":
            incoming.weight[seed][square] = torch.eye(width, device=incoming.weight.device)


@dataclass
class Clock:
    """The counters of a seed's growth schedule, since its last growth event or since the start.

    Attributes:
        epochs, step: the time of the last event.
        evaluations: the number of evaluations since then; for "plateau", since the loss last fell.
        best: the lowest validation loss since then, in nats.
    """

    epochs: float = 0.0
    step: int = 0
    evaluations: int = 0
    best: float = math.inf

    def is_due(self, growth: Growth, result: ValidationResult, seed: int) -> bool:
        """Count one more result, and return whether the next event is due.

        Raises:
            ValueError: the schedule counts epochs, and their length is unknown.
        """
        epochs, loss, accuracy = (values[seed] for values in (result.epochs, result.losses, result.accuracies))
        if growth.schedule == "epochs" and math.isnan(epochs):
            raise ValueError(
                "schedule='epochs' needs the length of an epoch: give the sampler a length (__len__), or use "
                "schedule='steps'"
            )
        has_improved = loss < self.best - growth.improvement
        self.evaluations = 0 if growth.schedule == "plateau" and has_improved else self.evaluations + 1
        self.best = min(self.best, loss)
        due = {
            "epochs": epochs - self.epochs >= growth.every - 1e-9,
            "steps": result.step - self.step >= growth.every,
            "plateau": self.evaluations >= growth.patience,
            "performance": self.evaluations >= growth.patience and accuracy < growth.target,
        }[growth.schedule]
        if due:
            self.epochs, self.step, self.evaluations, self.best = epochs, result.step, 0, math.inf
        return due


Region = tuple[slice, slice]


def _draw_uniform(weights: Tensor, fan_in: int, generator: torch.Generator) -> None:
    """Draw weights in place, like ``nn.Linear``."""
    bound = fan_in**-0.5
    weights.copy_(torch.rand(weights.shape, generator=generator) * 2 * bound - bound)


def _initialise_moments(
    new: nn.Parameter, old: nn.Parameter, seed: int, region: Region, reference: Region, moments: Moments
) -> None:
    """Initialise the optimiser's moments of new weights.

    The mean is 0; the mean square is that of a reference region, whose gradients are expected to be similar.
    """
    if new_moments := moments.get(new):
        first, second = new_moments
        mean_square = moments[old][1][seed][reference].mean()
        first[seed][region] = 0.0
        second[seed][region] = mean_square
