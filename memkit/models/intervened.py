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
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError, nearest
from memkit.memories.eviction import POLICIES
from memkit.memories.neighbours import WHICH, NeighbourMemory, Retrieved
from memkit.memories.retrieval import METRICS, WEIGHTS
from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.models.layers import Generators, constant, normal
from memkit.streams import stream_seed

NOBODYS = -1

CHOICES: Mapping[str, tuple[str, ...]] = {
    "query": ("full", "untouched", "projection"),
    "chosen": ("first", "random"),
    "target": ("current", "gradient", "centroid"),
    "value": ("delta", "absolute"),
    "mode": ("gated", "residual", "overwrite"),
    "gate": ("constant", "warmup", "uncertainty", "learnt"),
    "use": ("training", "inference", "both", "never"),
    "which": WHICH,
    "metric": METRICS,
    "weights": WEIGHTS,
    "insertion": ("always", "hard"),
    "eviction": tuple(POLICIES),
}


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """How a memory intervenes: where, with what, how strongly, when; and what it keeps.

    Attributes:
        placement: a hidden layer: "early", "middle", "late", "penultimate", or its name ("hidden1").
        query, projection: what of the state entries are found by, and the width of a projection.
        affected, chosen: how many dimensions of the state change, None being all; the first ones, or random ones.
        target, value, mode, gate, use: see above.
        alpha: α. warmup: the examples over which it grows.
        step_size, steps: η of one example's own loss, and how many such steps.
        centroid_momentum: μ of the centroids.
        which, metric, normalise, k, weights, temperature: see :class:`NeighbourMemory`.
        capacity: places of the memory.
        insertion: "always", or "hard": only examples whose loss is above their batch's mean.
        eviction, ttl, age_weight: see :mod:`memkit.memories.eviction`.
        refresh, refresh_within, refresh_momentum: see :mod:`memkit.memories.neighbours`.
    """

    placement: str = "penultimate"
    query: str = "full"
    projection: int = 32
    affected: int | None = 64
    chosen: str = "first"
    target: str = "gradient"
    value: str = "delta"
    mode: str = "gated"
    gate: str = "constant"
    alpha: float = 0.4
    warmup: int = 0
    use: str = "both"
    step_size: float = 1.0
    steps: int = 1
    centroid_momentum: float = 0.95
    which: str = "nearest"
    metric: str = "l2"
    normalise: bool = False
    k: int = 8
    weights: str = "inverse"
    temperature: float = 1.0
    capacity: int = 1000
    insertion: str = "always"
    eviction: str = "fifo"
    ttl: int = 0
    age_weight: float = 0.5
    refresh: float = 0.0
    refresh_within: float = 0.0
    refresh_momentum: float = 0.9

    def __post_init__(self) -> None:
        def check(ok: bool, message: str) -> None:
            if not ok:
                raise MemkitError(f"Intervention: {message}")

        for name, known in CHOICES.items():
            value = getattr(self, name)
            check(value in known, f"{name}={value!r} is unknown{nearest(str(value), known)}")
        for name in ("projection", "k", "capacity", "steps"):
            value = getattr(self, name)
            check(_whole(value) and value >= 1, f"{name}={value!r} must be a positive whole number")
        check(
            self.affected is None or (_whole(self.affected) and self.affected >= 1),
            f"affected={self.affected!r} must be a positive whole number, or None for all dimensions",
        )
        for name in ("warmup", "ttl"):
            value = getattr(self, name)
            check(_whole(value) and value >= 0, f"{name}={value!r} must be a whole number of examples, 0 or more")
        for name in ("alpha", "centroid_momentum", "age_weight", "refresh", "refresh_momentum"):
            value = getattr(self, name)
            check(_real(value) and 0 <= value <= 1, f"{name}={value!r} must lie between 0 and 1")
        for name in ("step_size", "temperature"):
            value = getattr(self, name)
            check(_real(value) and value > 0, f"{name}={value!r} must be a positive number")
        check(
            _real(self.refresh_within) and self.refresh_within >= 0,
            f"refresh_within={self.refresh_within!r} must be a distance, 0 or more",
        )
        check(self.k <= self.capacity, f"k={self.k} neighbours cannot be found among capacity={self.capacity} entries")
        check(
            not (self.target == "current" and self.value == "delta"),
            "the delta of a state to itself is nothing; with target='current' take value='absolute'",
        )
        check(self.gate == "constant" or self.mode == "gated", f"mode={self.mode!r} has no gate to be {self.gate!r}")
        check(self.gate != "warmup" or self.warmup > 0, "gate='warmup' needs warmup, the examples it takes")
        check(self.eviction != "ttl" or self.ttl > 0, "eviction='ttl' needs ttl, the age in examples")
        check(
            self.query != "untouched" or self.affected is not None,
            "query='untouched' needs dimensions that are not affected; set affected below the width of the layer",
        )
        check(
            self.gate != "learnt" or 0 < self.alpha < 1,
            f"gate='learnt' starts at alpha, which must lie between 0 and 1, not be {self.alpha}",
        )
        check(
            self.gate != "learnt" or self.use in ("training", "both"),
            f"gate='learnt' learns only where the memory is applied in training, not with use={self.use!r}",
        )

    def with_(self, **changes: Any) -> Intervention:
        """A copy with other settings.

        Raises:
            MemkitError: a name is none of them.
        """
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise MemkitError(f"Intervention has no setting {name!r}{nearest(name, known)}")
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain types, for a recipe's options; settings at their default are left out."""
        defaults = {f.name: f.default for f in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


class Look(NamedTuple):
    """What the memory does to some inputs; nothing of it changes the memory.

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
        """Whether the memory takes part now."""
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
    def saw(self, targets: Tensor) -> None:
        """The labels [S, B] of the batch that was last passed forward in training: it is remembered."""
        assert self._state is not None, "in training, forward comes first"
        h, self._state = self._state, None
        # What the memory holds is credited before it changes.
        if self.memory.keeps_record:
            retrieved, on = self._seen or (found := self._retrieve(h), self._with(h, found))
            off = _losses(self.network.after(h, self.layer), targets)
            self.memory.credit(retrieved, off - _losses(on, targets))
        self._remember(h, targets)

    @torch.no_grad()
    def remember(self, inputs: Tensor, labels: Tensor) -> None:
        """Insert examples without training on them: images [S, B, H, W], labels [S, B]."""
        self._remember(self.network.before(inputs, self.layer), labels)

    @torch.no_grad()
    def look(self, inputs: Tensor) -> Look:
        """What the memory does to images [S, B, H, W], whether it is in use or not."""
        h = self.network.before(inputs, self.layer)
        retrieved = self._retrieve(h)
        after, gate = self._intervene(h, retrieved)
        labels = self.memory.labels.gather(1, retrieved.indices.flatten(1)).view_as(retrieved.indices)
        labels = torch.where(retrieved.distances.isfinite(), labels, NOBODYS)
        off, on = (self.network.after(state, self.layer) for state in (h, after))
        return Look(off, on, gate, (after - h).norm(dim=-1), retrieved, labels)

    def targets(self, h: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What the states [S, B, d] of examples should have been, [S, B, d], and the examples' losses [S, B]."""
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
                # The sum leaves every example the gradient of its own loss.
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
        found = retrieved.weights.sum(-1, keepdim=True) > 0  # an empty memory says nothing
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
        logs = torch.log_softmax(self.network.after(h, self.layer), -1)
        return whole * -(logs.exp() * logs).sum(-1) / math.log(logs.shape[-1])


def _streams(generators: Generators, purpose: str) -> list[torch.Generator]:
    """Generators of their own, derived from others, from which nothing is drawn."""
    return [torch.Generator().manual_seed(stream_seed(g.initial_seed(), purpose)) for g in generators]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Each example's own cross-entropy: [S, B, classes] and [S, B] → [S, B]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
