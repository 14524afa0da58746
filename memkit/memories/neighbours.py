"""The neighbour memory: entries of a key, a value and a label, retrieved by the nearness of their keys.

    keys     [S, N, q]    where an entry is found       S seeds, N places
    values   [S, N, v]    what it says
    labels   [S, N]       the class of the example it was made of
    born, uses, help, lot [S, N]: its record, see memkit/memories/eviction.py

    retrieve    the k nearest entries, or k drawn at random                   → r = Σ_i w_i · value_i
    insert      m entries in the order given; entries and newcomers compete for the places
    refresh     a newcomer within `refresh_within` of the nearest entry of its own class is, with probability
                `refresh`, not inserted: that entry moves towards it,
                key ← μ·key + (1 − μ)·its key, value likewise, and is as young as it

Only ``insert`` and ``credit`` change the memory; looking leaves it as it was. State size: N·(q + v) numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.eviction import EARNED, NEVER, POLICIES, Record, Terms, staying
from memkit.memories.retrieval import METRICS, WEIGHTS, Metric, Weights, distances_to, mixture, nearest, rows, weigh
from memkit.training.streams import stream_seed

Which: TypeAlias = Literal["nearest", "random", "shuffled"]
WHICH: tuple[str, ...] = get_args(Which)
_LOOKING = ("random retrieval", "shuffling")


class Retrieved(NamedTuple):
    """The result of queries [S, B, q].

    Attributes:
        value: [S, B, v], the weighted mean of the neighbours' values; 0 where there were none.
        indices: [S, B, k], of the entries.
        distances: [S, B, k]; inf where there were fewer than k entries.
        weights: [S, B, k], which sum to 1, or to 0 where there were none.
    """

    value: Tensor
    indices: Tensor
    distances: Tensor
    weights: Tensor


class NeighbourMemory(nn.Module):
    """A memory of so many places for each of some seeds; all that it keeps is in its buffers.

    Args:
        generators: one a seed; its own streams are derived from them, and nothing is drawn from them.
        key_width, value_width: q and v.
        capacity: N.
        k, metric, weights, temperature: see :mod:`memkit.memories.retrieval`.
        normalise: keys and queries to length 1.
        which: "nearest" entries; "random" ones, drawn with replacement; or "shuffled", the nearest entries, each
            with the value of another.
        eviction, ttl, age_weight: see :mod:`memkit.memories.eviction`; the probation of policies that need one is a
            quarter of the capacity, but at least 2: what came last is 1 old.
        refresh, refresh_within, refresh_momentum: probability, distance and μ of refreshing; see above.
    """

    keys: Tensor
    values: Tensor
    labels: Tensor
    born: Tensor
    uses: Tensor
    help: Tensor
    lot: Tensor
    offered: Tensor
    inserted: Tensor
    evicted: Tensor

    def __init__(
        self,
        *,
        generators: Sequence[torch.Generator],
        key_width: int,
        value_width: int,
        capacity: int,
        k: int = 8,
        metric: Metric = "l2",
        weights: Weights = "inverse",
        temperature: float = 1.0,
        normalise: bool = False,
        which: Which = "nearest",
        eviction: str = "fifo",
        ttl: int = 0,
        age_weight: float = 0.5,
        refresh: float = 0.0,
        refresh_within: float = 0.0,
        refresh_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("metric", metric, METRICS),
            ("weights", weights, WEIGHTS),
            ("which", which, WHICH),
            ("eviction", eviction, tuple(POLICIES)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        if not 1 <= k <= capacity:
            raise ValueError(f"k must be 1 to {capacity}, the capacity, not {k}")
        if eviction == "ttl" and ttl < 1:
            raise ValueError(f"eviction='ttl' needs ttl, the age in examples at which entries leave, not {ttl}")
        self.capacity, self.k = capacity, k
        self.metric, self.weights, self.temperature, self.normalise = metric, weights, temperature, normalise
        self.which, self.eviction = which, eviction
        self.ttl, self.age_weight = ttl, age_weight
        self.refresh, self.refresh_within, self.refresh_momentum = refresh, refresh_within, refresh_momentum
        self._origins = [generator.initial_seed() for generator in generators]
        self._streams: dict[str, list[torch.Generator]] = {}
        seeds = len(self._origins)
        self.register_buffer("keys", torch.zeros(seeds, capacity, key_width))
        self.register_buffer("values", torch.zeros(seeds, capacity, value_width))
        self.register_buffer("labels", torch.zeros(seeds, capacity, dtype=torch.int64))
        self.register_buffer("born", torch.full((seeds, capacity), NEVER))
        self.register_buffer("uses", torch.zeros(seeds, capacity, dtype=torch.int64))
        self.register_buffer("help", torch.zeros(seeds, capacity))
        self.register_buffer("lot", torch.zeros(seeds, capacity))
        self.register_buffer("offered", torch.zeros(seeds, dtype=torch.int64))
        self.register_buffer("inserted", torch.zeros(seeds, dtype=torch.int64))
        self.register_buffer("evicted", torch.zeros(seeds, dtype=torch.int64))

    @property
    def state_size(self) -> int:
        """The numbers that a full memory holds: N·(q + v)."""
        return self.capacity * (self.keys.shape[2] + self.values.shape[2])

    @property
    def present(self) -> Tensor:
        """True for each place that holds an entry: bool [S, N]."""
        return self.born != NEVER

    @property
    def count(self) -> Tensor:
        """The number of entries: [S]."""
        return self.present.sum(1)

    @property
    def ages(self) -> Tensor:
        """The number of examples offered since each entry came: [S, N]; meaningless where there is no entry."""
        return self.offered.unsqueeze(1) - self.born

    @property
    def keeps_record(self) -> bool:
        """True where eviction judges entries by their record, so that :meth:`credit` has to be called."""
        return self.eviction in EARNED

    def clear(self) -> None:
        """Empty every place, and forget that anything was ever offered."""
        self.born.fill_(NEVER)
        for buffer in (self.uses, self.help, self.offered, self.inserted, self.evicted):
            buffer.zero_()

    def retrieve(self, queries: Tensor) -> Retrieved:
        """Return what queries [S, B, q] find; in evaluation the same queries find the same entries, also at random."""
        queries, keys = self._prepared(queries), self._prepared(self.keys)
        if self.which == "random":
            indices = self._drawn(queries.shape[1])
            distances = distances_to(queries, keys, indices, present=self.present, metric=self.metric)
        else:
            indices, distances = nearest(queries, keys, self.k, present=self.present, metric=self.metric)
        weights = weigh(distances, self.weights, temperature=self.temperature)
        values = rows(self.values, self._others()) if self.which == "shuffled" else self.values
        return Retrieved(mixture(values, indices, weights), indices, distances, weights)

    def credit(self, retrieved: Retrieved, help: Tensor) -> None:
        """Note in the entries' record that they were retrieved, and how much that lowered the loss: help [S, B].

        Each neighbour is credited with its share, by its weight.
        """
        flat = retrieved.indices.flatten(1)
        used = retrieved.weights > 0
        self.uses.scatter_add_(1, flat, used.long().flatten(1))
        self.help.scatter_add_(1, flat, (retrieved.weights * help.unsqueeze(-1)).flatten(1))

    def insert(self, keys: Tensor, values: Tensor, labels: Tensor, wanted: Tensor | None = None) -> None:
        """Offer m entries: keys [S, m, q], values [S, m, v], labels [S, m]; ``wanted`` bool [S, m], all if left out."""
        seeds, m = labels.shape
        keys = self._prepared(keys)
        wanted = torch.ones_like(labels, dtype=torch.bool) if wanted is None else wanted
        lots = self._lots(m) if self.eviction == "reservoir" else self.lot.new_zeros(seeds, m)
        born = self.offered.unsqueeze(1) + torch.arange(m, device=labels.device)
        now = int(self.offered.amax()) + m
        if self.refresh > 0:
            wanted = wanted & ~self._refreshed(keys, values, labels, born, wanted)
        self.offered += m
        record = Record(
            torch.cat([self.born, torch.where(wanted, born, NEVER)], 1),
            torch.cat([self.uses, torch.zeros_like(labels)], 1),
            torch.cat([self.help, torch.zeros_like(lots)], 1),
            torch.cat([self.lot, lots], 1),
        )
        terms = Terms(now, self.ttl, self.age_weight, max(2, self.capacity // 4))
        stay = staying(self.eviction, record, terms, self.capacity)
        old, new = stay[:, : self.capacity], stay[:, self.capacity :]
        self.evicted += (self.present & ~old).sum(1)
        self.inserted += new.sum(1)
        self.born.masked_fill_(~old, NEVER)
        # Empty places and those of entries that left are filled seed by seed, from the first place on.
        free, left = (~old).nonzero()[:, 1], (~old).sum(1)
        seed, entry = new.nonzero().unbind(1)
        place = free[(left.cumsum(0) - left)[seed] + (new.cumsum(1) - 1)[seed, entry]]
        self.keys[seed, place], self.values[seed, place] = keys[seed, entry], values[seed, entry]
        self.labels[seed, place], self.born[seed, place] = labels[seed, entry], born[seed, entry]
        self.uses[seed, place], self.help[seed, place], self.lot[seed, place] = 0, 0.0, lots[seed, entry]

    def _refreshed(self, keys: Tensor, values: Tensor, labels: Tensor, born: Tensor, wanted: Tensor) -> Tensor:
        """Move entries towards the newcomers that refresh them; which those were, bool [S, m]."""
        drawn = torch.stack([torch.rand(labels.shape[1], generator=g) for g in self._of("refresh")])
        alike = wanted & (drawn < self.refresh).to(wanted.device)
        place = torch.zeros_like(labels)
        for label in sorted({label for of_seed in labels.tolist() for label in of_seed}):
            same = self.present & (self.labels == label)
            found = nearest(keys, self._prepared(self.keys), 1, present=same, metric=self.metric)
            place = torch.where(labels == label, found.indices[..., 0], place)
            alike &= (labels != label) | (found.distances[..., 0] <= self.refresh_within)
        seed, entry = alike.nonzero().unbind(1)
        at, which, counts = torch.unique(
            seed * self.capacity + place[seed, entry], return_inverse=True, return_counts=True
        )
        # New examples that refresh the same entry count by their mean, and the youngest of them is the last.
        last = which.argsort(stable=True)[counts.cumsum(0) - 1]
        self.born.view(-1)[at] = born[seed[last], entry[last]]
        for table, new in ((self.keys, keys), (self.values, values)):
            whole = table.view(-1, table.shape[-1])
            total = whole.new_zeros(len(at), whole.shape[1]).index_add_(0, which, new[seed, entry])
            mean = total / counts.unsqueeze(-1)
            whole[at] = self.refresh_momentum * whole[at] + (1 - self.refresh_momentum) * mean
        return alike

    def _prepared(self, keys: Tensor) -> Tensor:
        return F.normalize(keys, dim=-1) if self.normalise else keys

    def _drawn(self, queries: int) -> Tensor:
        """Entries at random, with replacement: [S, B, k]."""
        drawn = [torch.rand(queries, self.k, generator=g) for g in self._of("random retrieval")]
        nth = (torch.stack(drawn).to(self.born.device) * self.count.view(-1, 1, 1)).long()
        return rows(self._present_first(), nth)

    def _others(self) -> Tensor:
        """For every entry another one, at random, if there is one: [S, N]."""
        order, counts = self._present_first(), self.count.tolist()
        other = torch.arange(self.capacity, device=order.device).repeat(len(order), 1)
        for s, g in enumerate(self._of("shuffling")):
            # One cycle through all entries: none stays in its place.
            cycle = order[s, torch.randperm(counts[s], generator=g)]
            other[s, cycle] = cycle.roll(1)
        return other

    def _present_first(self) -> Tensor:
        """The places, those that hold an entry first: [S, N]."""
        return self.present.long().argsort(dim=1, descending=True, stable=True)

    def _lots(self, m: int) -> Tensor:
        return torch.stack([torch.rand(m, generator=g) for g in self._of("lots")]).to(self.lot.device)

    def _of(self, purpose: str) -> list[torch.Generator]:
        """One generator a seed. What looks draws from its stream's start in evaluation: it finds the same again."""
        if not self.training and purpose in _LOOKING:
            return [torch.Generator().manual_seed(stream_seed(seed, purpose, "evaluation")) for seed in self._origins]
        if purpose not in self._streams:
            self._streams[purpose] = [torch.Generator().manual_seed(stream_seed(o, purpose)) for o in self._origins]
        return self._streams[purpose]
