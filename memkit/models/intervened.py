"""A classifier with a memory that intervenes in a hidden state.

    h = before(x)                                   state of one hidden layer, memkit/models/feedforward.py
    r = Σ_i w_i · value_i                           of the neighbours of the query, memkit/memories/neighbours.py
    h' = intervene(h, r),   logits = after(h')      only the affected dimensions of h change

    target     what an entry says h should have been, made from the example's own loss L, label y and state h
               current    t = h
               gradient   t = h − η ∂L/∂h, or several such steps one after another
               centroid   t = c_y, the mean state of the class, c_y ← μ c_y + (1 − μ)·(its mean in the batch)
    value      delta      t − h is stored, and t̂ = h + r is proposed
               absolute   t is stored, and t̂ = r is proposed
    mode       gated      h' = h + α (t̂ − h)
               residual   h' = h + r          (of deltas, the same as overwrite)
               overwrite  h' = t̂
    gate α     constant; warmup: it grows from 0 over so many examples; uncertainty: α·H(p)/log C, p what the network
               says without the memory; learnt: σ(w·h + b), from b such that it starts at α
    query      full: h;   untouched: the dimensions that are not affected;   projection: h P, P random and fixed
    use        training, inference, both: when the memory is applied; never: it fills, and is never applied

The gradient is that of each example's own loss, not of the batch mean: a batch mean makes it as many times too small
as there are examples in the batch. In training an example is retrieved for before it is inserted; but from the second
epoch on it may find the entry that it left itself, made with its own label, if that is still there. Test examples have
no such entry: how much a network leans on its memory in training says nothing about how much the memory is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.neighbours import NeighbourMemory, Retrieved
from memkit.models.doubt import doubt
from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.models.intervened_settings import Intervention
from memkit.models.layers import Generators, constant, normal
from memkit.training.protocols import ExampleRecords
from memkit.training.streams import stream_seed

NOBODYS = -1


class Look(NamedTuple):
    """The memory's effect on some inputs; taking it leaves the memory unchanged.

    Attributes:
        off, on: logits without and with it, [S, B, classes].
        gate: α, [S, B].
        magnitude: ‖h' − h‖₂, [S, B].
        retrieved: what was found.
        labels: the classes of the neighbours, [S, B, k]; −1 where there were fewer than k.
    """

    off: Tensor
    on: Tensor
    gate: Tensor
    magnitude: Tensor
    retrieved: Retrieved
    labels: Tensor


class IntervenedNetwork(nn.Module):
    """A feed-forward classifier with a neighbour memory at one of its hidden layers; equations above.

    Its trained parameters are drawn first, and are those of the :class:`FeedForwardNetwork` of the same generators.
    In training it is told the labels by :meth:`saw`, after the backward pass, and remembers the batch.

    Args:
        intervention: the settings of an :class:`Intervention` that differ from the defaults.
    """

    seed_axis = True
    projected: Tensor
    dimensions: Tensor
    centroids: Tensor
    known: Tensor

    def __init__(
        self,
        *,
        generators: Generators,
        inputs: tuple[int, int],
        classes: int,
        widths: tuple[int, ...] = (256, 128),
        channels: tuple[int, ...] = (),
        intervention: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        network = FeedForwardNetwork(
            generators=generators, inputs=inputs, classes=classes, widths=widths, channels=channels
        )
        self._make(network, Intervention(**(intervention or {})), generators)

    @classmethod
    def around(
        cls, network: FeedForwardNetwork, intervention: Intervention, generators: Generators
    ) -> IntervenedNetwork:
        """A trained network, its weights shared, with an empty memory."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made._make(network, intervention, generators)
        return made.train(network.training)

    def _make(self, network: FeedForwardNetwork, intervention: Intervention, generators: Generators) -> None:
        self.network, self.settings = network, intervention
        self.layer = layer_of(network, intervention.placement)
        width, classes = network.width(self.layer), network.output.weight.shape[-1]
        affected = width if intervention.affected is None else intervention.affected
        if affected > width or (affected == width and intervention.query == "untouched"):
            raise ValueError(
                f"affected={affected} of the {width} dimensions at {intervention.placement!r}"
                + (" leaves none untouched" if affected == width else " are too many")
            )
        seeds = len(generators)
        orders = [
            torch.randperm(width, generator=g) if intervention.chosen == "random" else torch.arange(width)
            for g in _streams(generators, "affected dimensions")
        ]
        # [S, d]: the affected dimensions first, then the others.
        self.register_buffer("dimensions", torch.stack(orders))
        self.affected = affected
        key_width = {"full": width, "untouched": width - affected, "projection": intervention.projection}
        columns = intervention.projection if intervention.query == "projection" else 0
        projected = normal(_streams(generators, "projection"), width, columns, scale=intervention.projection**-0.5)
        self.register_buffer("projected", projected.detach())
        self.register_buffer("centroids", torch.zeros(seeds, classes, width))
        self.register_buffer("known", torch.zeros(seeds, classes, dtype=torch.bool))
        self.memory = NeighbourMemory(
            generators=generators,
            key_width=key_width[intervention.query],
            value_width=affected,
            **{
                name: getattr(intervention, name)
                for name in (
                    *("capacity", "k", "metric", "weights", "temperature", "normalise", "which", "eviction", "ttl"),
                    *("age_weight", "refresh", "refresh_within", "refresh_momentum"),
                )
            },
        )
        if intervention.gate == "learnt":
            self.gate_weight = constant(generators, 1, width)
            self.gate_bias = constant(generators, 1, value=math.log(intervention.alpha / (1 - intervention.alpha)))
        self.state_size = self.memory.state_size
        self._state: Tensor | None = None

    @property
    def applied(self) -> bool:
        """True where the memory is in use in the present mode, training or inference."""
        return self.settings.use in ("both", "training" if self.training else "inference")

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [S, B, H, W] → logits [S, B, classes]."""
        h = self.network.before(inputs, self.layer)
        if self.training:
            self._state = h.detach()
            self._seen: tuple[Retrieved, Tensor] | None = None
        if not self.applied:
            return self.network.after(h, self.layer)
        retrieved = self._retrieve(h)
        after, _ = self._intervene(h, retrieved)
        logits = self.network.after(after, self.layer)
        if self.training:
            self._seen = retrieved, logits.detach()
        return logits

    @torch.no_grad()
    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        """Remember the batch that was last passed forward in training, whose labels are the targets [S, B]."""
        assert self._state is not None, "in training, forward comes first"
        h, self._state = self._state, None
        # Entries are credited before the memory changes.
        if self.memory.keeps_record:
            retrieved, on = self._seen or (found := self._retrieve(h), self._with(h, found))
            off = _losses(self.network.after(h, self.layer), targets)
            self.memory.credit(retrieved, off - _losses(on, targets))
        self._remember(h, targets)

    def example_records(self, inputs: Tensor, targets: Tensor) -> ExampleRecords:
        """Return what the memory did to each of some examples, of a network of one seed.

        Args:
            inputs: [N, ...], on the CPU, as the network is.
            targets: classes [N].
        """
        from memkit.models.diagnostics import diagnose

        found = diagnose(self, (inputs, targets))
        columns = {name: values.tolist() for name, values in found.by_example().items()}
        # The names that other models' records use, here for the network with its memory.
        for name, used in (("prediction", "predicted_on"), ("confidence", "confidence_on"), ("loss", "loss_on")):
            columns[name] = columns[used]
        return ExampleRecords(columns={"example": list(range(len(targets))), **columns}, summary=found.summary())

    @torch.no_grad()
    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Insert examples without training on them: images [S, B, H, W], labels [S, B]."""
        self._remember(self.network.before(inputs, self.layer), labels)

    @torch.no_grad()
    def look(self, inputs: Tensor) -> Look:
        """Return the memory's effect on images [S, B, H, W], whether it is in use or not."""
        h = self.network.before(inputs, self.layer)
        retrieved = self._retrieve(h)
        after, gate = self._intervene(h, retrieved)
        labels = self.memory.labels.gather(1, retrieved.indices.flatten(1)).view_as(retrieved.indices)
        labels = torch.where(retrieved.distances.isfinite(), labels, NOBODYS)
        off, on = (self.network.after(state, self.layer) for state in (h, after))
        return Look(off, on, gate, (after - h).norm(dim=-1), retrieved, labels)

    def targets(self, h: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return target states [S, B, d] for examples with states h [S, B, d], and the examples' losses [S, B]."""
        settings = self.settings
        losses = _losses(self.network.after(h, self.layer), labels)
        if settings.target == "current":
            return h, losses
        if settings.target == "centroid":
            return self.centroids.gather(1, labels.unsqueeze(-1).expand(*labels.shape, h.shape[-1])), losses
        moves = torch.zeros_like(h).scatter_(2, self._affected(h), 1.0)
        target = h
        for _ in range(settings.steps):
            with torch.enable_grad():
                at = target.detach().requires_grad_()
                # The gradient of the sum gives every example the gradient of its own loss.
                loss = _losses(self.network.after(at, self.layer), labels).sum()
                (gradient,) = torch.autograd.grad(loss, at)
            target = target - settings.step_size * moves * gradient
        return target, losses

    def _remember(self, h: Tensor, labels: Tensor) -> None:
        if self.settings.target == "centroid":
            self._move_centroids(h, labels)
        target, losses = self.targets(h, labels)
        value = target - h if self.settings.value == "delta" else target
        wanted = losses > losses.mean(1, keepdim=True) if self.settings.insertion == "hard" else None
        self.memory.insert(self._query(h), value.gather(2, self._affected(h)), labels, wanted)

    def _move_centroids(self, h: Tensor, labels: Tensor) -> None:
        of_class = F.one_hot(labels, self.centroids.shape[1]).to(h.dtype)  # [S, B, C]
        counts = of_class.sum(1)
        here = counts > 0
        means = (of_class.transpose(1, 2) @ h) / counts.clamp(min=1).unsqueeze(-1)
        kept = self.settings.centroid_momentum * self.known.to(h.dtype)
        moved = kept.unsqueeze(-1) * self.centroids + (1 - kept).unsqueeze(-1) * means
        self.centroids.copy_(torch.where(here.unsqueeze(-1), moved, self.centroids))
        self.known |= here

    def _affected(self, h: Tensor) -> Tensor:
        """The affected dimensions, one row for every state: [S, B, a]."""
        return self.dimensions[:, None, : self.affected].expand(*h.shape[:2], -1)

    def _query(self, h: Tensor) -> Tensor:
        if self.settings.query == "full":
            return h
        if self.settings.query == "projection":
            return h @ self.projected
        return h.gather(2, self.dimensions[:, None, self.affected :].expand(*h.shape[:2], -1))

    def _retrieve(self, h: Tensor) -> Retrieved:
        with torch.no_grad():
            return self.memory.retrieve(self._query(h.detach()))

    def _intervene(self, h: Tensor, retrieved: Retrieved) -> tuple[Tensor, Tensor]:
        """h', and α [S, B]."""
        settings, at = self.settings, self._affected(h)
        own = h.gather(2, at)
        gate = self._gate(h)
        if settings.mode == "residual" or (settings.mode == "overwrite" and settings.value == "delta"):
            move = retrieved.value
        else:
            move = retrieved.value if settings.value == "delta" else retrieved.value - own
            if settings.mode == "gated":
                move = gate.unsqueeze(-1) * move
        found = retrieved.weights.sum(-1, keepdim=True) > 0  # an empty memory has no effect
        return h.scatter_add(2, at, torch.where(found, move, 0.0)), gate

    def _with(self, h: Tensor, retrieved: Retrieved) -> Tensor:
        return self.network.after(self._intervene(h, retrieved)[0], self.layer)

    def _gate(self, h: Tensor) -> Tensor:
        """α of every state: [S, B]."""
        settings = self.settings
        whole = h.new_full(h.shape[:2], settings.alpha if settings.mode == "gated" else 1.0)
        if settings.mode != "gated" or settings.gate == "constant":
            return whole
        if settings.gate == "warmup":
            share = (self.memory.offered / settings.warmup).clamp(max=1.0)
            return whole * share.unsqueeze(-1)
        if settings.gate == "learnt":
            return torch.sigmoid((h * self.gate_weight).sum(-1) + self.gate_bias)
        return whole * doubt(self.network.after(h, self.layer))


def _streams(generators: Generators, purpose: str) -> list[torch.Generator]:
    """Generators of their own, derived from others, from which nothing is drawn."""
    return [torch.Generator().manual_seed(stream_seed(g.initial_seed(), purpose)) for g in generators]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Each example's own cross-entropy: [S, B, classes] and [S, B] → [S, B]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
