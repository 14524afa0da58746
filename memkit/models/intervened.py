"""A classifier with a memory that changes a hidden state.

    h = before(x)                                   state of one hidden layer, memkit/models/feedforward.py
    r = Σ_i w_i · value_i                           over the nearest entries, memkit/memories/neighbours.py
    h' = intervene(h, r),   logits = after(h')      only the affected dimensions of h change

    target     the state t that an example should have had, from its own loss L, its label y and its state h
               current    t = h
               gradient   t = h − η ∂L/∂h, or several such steps in sequence
               centroid   t = c_y, the mean state of the class, c_y ← μ c_y + (1 − μ)·(its mean in the batch)
    value      delta      stores t − h, and proposes t̂ = h + r
               absolute   stores t, and proposes t̂ = r
    mode       gated      h' = h + α (t̂ − h)
               residual   h' = h + r          (with deltas, the same as overwrite)
               overwrite  h' = t̂
    gate α     constant; warmup: grows from 0 over a number of examples; uncertainty: α·H(p)/log C, with p the
               prediction without the memory; learnt: σ(w·h + b), where b starts such that the gate is α
    query      full: h;   untouched: the dimensions that are not affected;   projection: h P, with P random and fixed
    use        training, inference or both: when the memory is applied; never: it is filled, but never applied

The gradient is that of each example's own loss, not of the batch mean, which would be smaller by a factor of the batch
size. In training, the memory is read for a batch before the batch is inserted. But from the second epoch on, an example
may retrieve its own earlier entry, which was made with its label. Test examples have no such entry. So how much a
network relies on its memory in training does not show how useful the memory is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.neighbours import NeighbourMemory, Retrieved
from memkit.models.doubt import normalised_entropy
from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.models.intervened_settings import Intervention
from memkit.models.layers import Generators, constant, normal
from memkit.training.protocols import ExampleRecords
from memkit.training.streams import stream_seed

NO_LABEL = -1
"""The label in place of a neighbour that does not exist."""


class MemoryEffect(NamedTuple):
    """The effect of the memory on some inputs.

    Attributes:
        off, on: logits without and with the memory, [S, B, classes].
        gate: α, [S, B].
        magnitude: ‖h' − h‖₂, [S, B].
        retrieved: the neighbours.
        labels: the classes of the neighbours, [S, B, k]; −1 where there were fewer than k.
    """

    off: Tensor
    on: Tensor
    gate: Tensor
    magnitude: Tensor
    retrieved: Retrieved
    labels: Tensor


class IntervenedNetwork(nn.Module):
    """A feed-forward classifier with a neighbour memory at one of its hidden layers; see the equations above.

    Its trained parameters are drawn first, and equal those of a :class:`FeedForwardNetwork` from the same generators.
    In training, :meth:`saw` receives the labels after the backward pass, and stores the batch.

    Args:
        intervention: the settings of an :class:`Intervention` that differ from the defaults.

    >>> import torch
    >>> from memkit.models import IntervenedNetwork
    >>> settings = {"capacity": 100, "k": 4, "affected": None}
    >>> network = IntervenedNetwork(
    ...     generators=[torch.Generator().manual_seed(0)], inputs=(8, 8), classes=3, widths=(16,), intervention=settings
    ... ).eval()
    >>> images, labels = torch.rand(1, 20, 8, 8), torch.randint(3, (1, 20))
    >>> network.remember(images, labels)
    >>> effect = network.measure_effect(images)
    >>> effect.off.shape, effect.on.shape, torch.equal(effect.on, network(images))
    (torch.Size([1, 20, 3]), torch.Size([1, 20, 3]), True)
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
        self._initialise(network, Intervention(**(intervention or {})), generators)

    @classmethod
    def around(
        cls, network: FeedForwardNetwork, intervention: Intervention, generators: Generators
    ) -> IntervenedNetwork:
        """Return a trained network with an empty memory; the weights are shared."""
        wrapped = cls.__new__(cls)
        nn.Module.__init__(wrapped)
        wrapped._initialise(network, intervention, generators)
        return wrapped.train(network.training)

    def _initialise(self, network: FeedForwardNetwork, intervention: Intervention, generators: Generators) -> None:
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
        # [S, d]: the affected dimensions, then the others.
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
        self._last_states: Tensor | None = None

    @property
    def applied(self) -> bool:
        """True if the memory is used in the current mode, training or inference."""
        return self.settings.use in ("both", "training" if self.training else "inference")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [S, B, classes] for images [S, B, H, W]."""
        h = self.network.before(inputs, self.layer)
        if self.training:
            self._last_states = h.detach()
            self._last_retrieval: tuple[Retrieved, Tensor] | None = None
        if not self.applied:
            return self.network.after(h, self.layer)
        retrieved = self._retrieve(h)
        after, _ = self._intervene(h, retrieved)
        logits = self.network.after(after, self.layer)
        if self.training:
            self._last_retrieval = retrieved, logits.detach()
        return logits

    @torch.no_grad()
    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        """Store the last training batch of :meth:`forward`, whose labels are the targets [S, B]."""
        assert self._last_states is not None, "saw() must follow forward() in training mode"
        h, self._last_states = self._last_states, None
        # Entries are credited before the memory changes.
        if self.memory.keeps_record:
            retrieved, logits_on = self._last_retrieval or (
                retrieved_now := self._retrieve(h),
                self._logits_with_memory(h, retrieved_now),
            )
            losses_off = _losses(self.network.after(h, self.layer), targets)
            self.memory.credit(retrieved, losses_off - _losses(logits_on, targets))
        self._remember(h, targets)

    def example_records(self, inputs: Tensor, targets: Tensor) -> ExampleRecords:
        """Return the effect of the memory on each of some examples, for a network of one seed.

        Args:
            inputs: [N, ...], on the CPU like the network.
            targets: classes [N].
        """
        from memkit.models.diagnostics import diagnose

        diagnosis = diagnose(self, (inputs, targets))
        columns = {name: values.tolist() for name, values in diagnosis.by_example().items()}
        # Records of other models use these names; here they stand for the network with its memory.
        for name, source in (("prediction", "predicted_on"), ("confidence", "confidence_on"), ("loss", "loss_on")):
            columns[name] = columns[source]
        return ExampleRecords(columns={"example": list(range(len(targets))), **columns}, summary=diagnosis.summary())

    @torch.no_grad()
    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Store examples without training on them: images [S, B, H, W], labels [S, B]."""
        self._remember(self.network.before(inputs, self.layer), labels)

    @torch.no_grad()
    def measure_effect(self, inputs: Tensor) -> MemoryEffect:
        """Return the memory's effect on images [S, B, H, W], whether the memory is in use or not.

        The memory is not changed.
        """
        h = self.network.before(inputs, self.layer)
        retrieved = self._retrieve(h)
        after, gate = self._intervene(h, retrieved)
        labels = self.memory.labels.gather(1, retrieved.indices.flatten(1)).view_as(retrieved.indices)
        labels = torch.where(retrieved.distances.isfinite(), labels, NO_LABEL)
        off, on = (self.network.after(state, self.layer) for state in (h, after))
        return MemoryEffect(off, on, gate, (after - h).norm(dim=-1), retrieved, labels)

    def targets(self, h: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the target states [S, B, d] and losses [S, B] of examples with states h [S, B, d]."""
        settings = self.settings
        losses = _losses(self.network.after(h, self.layer), labels)
        if settings.target == "current":
            return h, losses
        if settings.target == "centroid":
            return self.centroids.gather(1, labels.unsqueeze(-1).expand(*labels.shape, h.shape[-1])), losses
        affected = torch.zeros_like(h).scatter_(2, self._affected(h), 1.0)
        target = h
        for _ in range(settings.steps):
            with torch.enable_grad():
                state = target.detach().requires_grad_()
                # The gradient of the sum gives every example the gradient of its own loss.
                loss = _losses(self.network.after(state, self.layer), labels).sum()
                (gradient,) = torch.autograd.grad(loss, state)
            target = target - settings.step_size * affected * gradient
        return target, losses

    def _remember(self, h: Tensor, labels: Tensor) -> None:
        if self.settings.target == "centroid":
            self._move_centroids(h, labels)
        target, losses = self.targets(h, labels)
        value = target - h if self.settings.value == "delta" else target
        accepted = losses > losses.mean(1, keepdim=True) if self.settings.insertion == "hard" else None
        self.memory.insert(self._query(h), value.gather(2, self._affected(h)), labels, accepted)

    def _move_centroids(self, h: Tensor, labels: Tensor) -> None:
        """Move the class centroids towards the mean states of the classes in the batch."""
        one_hot_labels = F.one_hot(labels, self.centroids.shape[1]).to(h.dtype)  # [S, B, C]
        counts = one_hot_labels.sum(1)
        has_examples = counts > 0
        means = (one_hot_labels.transpose(1, 2) @ h) / counts.clamp(min=1).unsqueeze(-1)
        momentum = self.settings.centroid_momentum * self.known.to(h.dtype)
        updated = momentum.unsqueeze(-1) * self.centroids + (1 - momentum).unsqueeze(-1) * means
        self.centroids.copy_(torch.where(has_examples.unsqueeze(-1), updated, self.centroids))
        self.known |= has_examples

    def _affected(self, h: Tensor) -> Tensor:
        """Return the indices of the affected dimensions, one row per state: [S, B, a]."""
        return self.dimensions[:, None, : self.affected].expand(*h.shape[:2], -1)

    def _query(self, h: Tensor) -> Tensor:
        """Return the query of states h [S, B, d]: [S, B, q]."""
        if self.settings.query == "full":
            return h
        if self.settings.query == "projection":
            return h @ self.projected
        return h.gather(2, self.dimensions[:, None, self.affected :].expand(*h.shape[:2], -1))

    def _retrieve(self, h: Tensor) -> Retrieved:
        with torch.no_grad():
            return self.memory.retrieve(self._query(h.detach()))

    def _intervene(self, h: Tensor, retrieved: Retrieved) -> tuple[Tensor, Tensor]:
        """Return h' [S, B, d] and α [S, B]."""
        settings, affected = self.settings, self._affected(h)
        current = h.gather(2, affected)
        gate = self._gate_values(h)
        if settings.mode == "residual" or (settings.mode == "overwrite" and settings.value == "delta"):
            change = retrieved.value
        else:
            change = retrieved.value if settings.value == "delta" else retrieved.value - current
            if settings.mode == "gated":
                change = gate.unsqueeze(-1) * change
        has_neighbours = retrieved.weights.sum(-1, keepdim=True) > 0  # an empty memory has no effect
        return h.scatter_add(2, affected, torch.where(has_neighbours, change, 0.0)), gate

    def _logits_with_memory(self, h: Tensor, retrieved: Retrieved) -> Tensor:
        """Return the logits with the memory applied: [S, B, classes]."""
        return self.network.after(self._intervene(h, retrieved)[0], self.layer)

    def _gate_values(self, h: Tensor) -> Tensor:
        """Return α for each state: [S, B]."""
        settings = self.settings
        full = h.new_full(h.shape[:2], settings.alpha if settings.mode == "gated" else 1.0)
        if settings.mode != "gated" or settings.gate == "constant":
            return full
        if settings.gate == "warmup":
            progress = (self.memory.offered / settings.warmup).clamp(max=1.0)
            return full * progress.unsqueeze(-1)
        if settings.gate == "learnt":
            return torch.sigmoid((h * self.gate_weight).sum(-1) + self.gate_bias)
        return full * normalised_entropy(self.network.after(h, self.layer))


def _streams(generators: Generators, purpose: str) -> list[torch.Generator]:
    """Return generators that are derived from the seeds of others; nothing is drawn from the originals."""
    return [torch.Generator().manual_seed(stream_seed(g.initial_seed(), purpose)) for g in generators]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each example: logits [S, B, classes], labels [S, B] → [S, B]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
