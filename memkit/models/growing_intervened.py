"""A classifier that grows while it is trained, with a memory that changes a hidden state.

It is the network of intervened.py with a network of growing.py inside. When the memory's layer is widened, everything
that the memory stores about this layer is carried over, k ← k Eᵀ: keys, values and class centroids, and also the
weights of a learnt gate and of a projection. As lengths and angles are preserved, the memory retrieves the same entries
with the same effect. So the network with its memory computes the same function just after growth as just before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from memkit.models.growing import GrowingNetwork, Widening
from memkit.models.intervened import IntervenedNetwork
from memkit.models.intervened_settings import Intervention
from memkit.models.layers import Generators

if TYPE_CHECKING:
    from memkit.training.protocols import Moments, ValidationResult


class GrowingIntervenedNetwork(IntervenedNetwork):
    """A growing network with a neighbour memory at one of its hidden layers.

    Args:
        widths: the final widths of the hidden layers.
        growth: the settings of a :class:`memkit.models.growth.Growth`.
        intervention: the settings of an :class:`Intervention`; all dimensions of the state are affected.
        carry: True if the memory is carried over on growth. False leaves it as it is, with zeros for new units.

    >>> import torch
    >>> from memkit.models import GrowingIntervenedNetwork
    >>> network = GrowingIntervenedNetwork(
    ...     generators=[torch.Generator().manual_seed(0)], inputs=(8, 8), classes=3, widths=(16, 16),
    ...     growth={"start": (4, 4), "events": 2}, intervention={"capacity": 100},
    ... )
    >>> network(torch.rand(1, 5, 8, 8)).shape
    torch.Size([1, 5, 3])
    >>> network.active_parameters()  # of the small network: 64 · 4 + 4 + 4 · 4 + 4 + 4 · 3 + 3
    [295]
    """

    network: GrowingNetwork

    def __init__(
        self,
        *,
        generators: Generators,
        inputs: tuple[int, int],
        classes: int,
        growth: Mapping[str, Any],
        widths: tuple[int, ...] = (256, 128),
        channels: tuple[int, ...] = (),
        intervention: Mapping[str, Any] | None = None,
        carry: bool = True,
    ) -> None:
        nn.Module.__init__(self)
        settings = Intervention(**{"affected": None, **(intervention or {})})
        if settings.affected is not None or settings.query == "untouched":
            raise ValueError(
                f"affected={settings.affected} must be left out: all dimensions of a growing layer are affected, or "
                "the memory would have less effect after units are split"
            )
        if settings.chosen != "first":
            raise ValueError(
                f"chosen={settings.chosen!r} must be left out: it selects affected dimensions, and all dimensions of a "
                "growing layer are affected"
            )
        network = GrowingNetwork(
            generators=generators, inputs=inputs, classes=classes, growth=growth, widths=widths, channels=channels
        )
        self._initialise(network, settings, generators)
        self.carry = carry
        if len(network.growth.start) - 1 <= self._hidden < len(widths) - 1:
            raise ValueError(
                f"placement={settings.placement!r}: a layer will be added just above, whose relu would cut off "
                "negative values from the memory; use placement='penultimate', which stays the last layer, or a lower "
                "layer"
            )

    @property
    def _hidden(self) -> int:
        """The number of the memory's layer, not counting convolutions."""
        return self.layer - len(self.network.convolutions)

    def _width_after(self, events: int) -> int:
        """Return the width of the memory's layer after a number of events."""
        if self._hidden < 0:
            return self.network.width(self.layer)
        widths = self.network.sizes_after(events)
        return widths[min(self._hidden, len(widths) - 1)]

    def active_parameters(self) -> list[int]:
        """Return the number of parameters that each seed uses."""
        counts = self.network.active_parameters()
        if self.settings.gate != "learnt":
            return counts
        # The gate has a weight for each unit of the memory's layer, and a bias.
        return [
            n + self._width_after(events) + 1 for n, events in zip(counts, self.network.events.tolist(), strict=True)
        ]

    def tables(self) -> dict[str, list[dict[str, int | str]]]:
        """Return the growth of a network of one seed as a table."""
        return self.network.tables()

    def timeline(self) -> list[dict[str, int | str]]:
        """Return one row per growth event, as :meth:`memkit.models.growing.GrowingNetwork.timeline` does."""
        return self.network.timeline()

    @torch.no_grad()
    def validated(self, result: ValidationResult, moments: Moments) -> list[bool]:
        """Grow the seeds for which an event is due, with their memories, and return which seeds have grown."""
        due = self.network.due_seeds(result)
        for seed, is_due in enumerate(due):
            if is_due:
                self._grow(seed, result.step, moments)
        return due

    def _grow(self, seed: int, step: int, moments: Moments) -> None:
        widenings = self.network.grow(seed, step, moments)
        if not self.carry:
            return
        layer_count = len(self.network.sizes_after(int(self.network.events[seed])))
        # Layers that do not exist yet pass on the output of the last layer that does.
        layer = min(self._hidden, layer_count - 1)
        for widening in widenings:
            if widening.layer == layer:
                self._carry(widening, moments)

    def _carry(self, widening: Widening, moments: Moments) -> None:
        """Carry the memory of a seed over to its widened layer."""
        seed = widening.seed
        states = [self.memory.values, self.centroids]
        if self.settings.query == "full":
            states.append(self.memory.keys)
        for tensor in states:
            widening.apply(tensor[seed])
        if self.settings.query == "projection":
            widening.apply(self.projected[seed], 0)
        if self.settings.gate == "learnt":
            widening.apply(self.gate_weight[seed])
            for power, moment in enumerate(moments.get(self.gate_weight, ()), 1):
                widening.apply(moment[seed], power=power)
