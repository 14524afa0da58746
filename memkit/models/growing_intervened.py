"""A classifier that grows while it is trained, with a memory that intervenes in a hidden state.

A network of growing.py in the place of that of intervened.py. What the memory holds of a hidden layer is carried over
when that layer is widened, k ← k Eᵀ: keys, values, the centroids of the classes; so are the weights of a learnt gate
and of a projection. As lengths and angles stay the same, the memory finds what it found, and says what it said: with
its memory, too, the network computes the same just after growth as just before.
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
        widths: of the hidden layers in the end.
        growth: the settings of a :class:`memkit.models.growth.Growth`.
        intervention: those of an :class:`Intervention`; all dimensions of the state are affected.
        carry: whether the memory is carried over; if not, it is left as it was, and says of new units that they are 0.
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
                f"affected={settings.affected}: of a layer that grows all dimensions are affected, or the memory would "
                "say less after its units are split; leave affected out"
            )
        if settings.chosen != "first":
            raise ValueError(
                f"chosen={settings.chosen!r} says which dimensions are affected, and of a layer that grows all are; "
                "leave it out"
            )
        network = GrowingNetwork(
            generators=generators, inputs=inputs, classes=classes, growth=growth, widths=widths, channels=channels
        )
        self._make(network, settings, generators)
        self.carry = carry
        if len(network.growth.start) - 1 <= self._hidden < len(widths) - 1:
            raise ValueError(
                f"placement={settings.placement!r}: a layer will be added just above, and would cut off what the "
                "memory moves below 0; take placement='penultimate', which stays above all layers, or a layer further "
                "down"
            )

    @property
    def _hidden(self) -> int:
        """The memory's layer, those of convolutions not counted."""
        return self.layer - len(self.network.convolutions)

    def _width_after(self, events: int) -> int:
        """The units of the memory's layer, after so many events."""
        if self._hidden < 0:
            return self.network.width(self.layer)
        widths = self.network.sizes_after(events)
        return widths[min(self._hidden, len(widths) - 1)]

    def active_parameters(self) -> list[int]:
        """Return the number of parameters that each seed uses."""
        used = self.network.active_parameters()
        if self.settings.gate != "learnt":
            return used
        # The gate has a weight for every unit of the memory's layer, and a bias.
        return [n + self._width_after(events) + 1 for n, events in zip(used, self.network.events.tolist(), strict=True)]

    def tables(self) -> dict[str, list[dict[str, int | str]]]:
        """See :meth:`memkit.models.growing.GrowingNetwork.tables`."""
        return self.network.tables()

    def timeline(self) -> list[dict[str, int | str]]:
        """See :meth:`memkit.models.growing.GrowingNetwork.timeline`."""
        return self.network.timeline()

    @torch.no_grad()
    def validated(self, result: ValidationResult, moments: Moments) -> list[bool]:
        """Grow the seeds for which an event is due, and their memories with them; which those were."""
        grown = self.network.due(result)
        for seed, now in enumerate(grown):
            if now:
                self._grow(seed, result.step, moments)
        return grown

    def _grow(self, seed: int, step: int, moments: Moments) -> None:
        carried = self.network.grow(seed, step, moments)
        if not self.carry:
            return
        layers = len(self.network.sizes_after(int(self.network.events[seed])))
        # Layers that have not been grown pass on the output of the last layer that has.
        layer = min(self._hidden, layers - 1)
        for widening in carried:
            if widening.layer == layer:
                self._carry(widening, moments)

    def _carry(self, widening: Widening, moments: Moments) -> None:
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
