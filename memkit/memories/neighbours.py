"""The neighbour memory: entries with a key, a value and a label, retrieved by the nearest keys.

    keys     [S, N, q]    by which entries are retrieved       S seeds, N places
    values   [S, N, v]    what is retrieved
    labels   [S, N]       the class of the example that the entry was made from
    born, uses, help, lot [S, N]: the record of an entry, see memkit/memories/eviction.py; lot is its random number

    retrieve    the k nearest entries, or k random ones                       → r = Σ_i w_i · value_i
    insert      m entries in the given order; existing and new entries compete for the places
    refresh     if a new entry is within `refresh_within` of the nearest entry of its class, it is, with probability
                `refresh`, not inserted. Instead, the existing entry moves towards it,
                key ← μ·key + (1 − μ)·new key, likewise its value, and becomes as young as the new entry

Only ``insert``, ``credit`` and ``clear`` change the memory; retrieval does not. State size: N·(q + v) numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.eviction import NEVER, POLICIES, RECORD_POLICIES, PolicySettings, Record, entries_to_keep
from memkit.memories.retrieval import METRICS, WEIGHTS, Metric, Weights, distances_to, mixture, nearest, rows, weigh
from memkit.training.streams import stream_seed

Which: TypeAlias = Literal["nearest", "random", "shuffled"]
WHICH: tuple[str, ...] = get_args(Which)
_RETRIEVAL_STREAMS = ("random retrieval", "shuffling")
"""Random streams of retrieval, which is repeatable in evaluation mode."""


class Retrieved(NamedTuple):
    """The result of queries [S, B, q].

    Attributes:
        value: [S, B, v], the weighted mean of the neighbours' values; 0 if there are none.
        indices: [S, B, k], of the entries.
        distances: [S, B, k]; inf where there are fewer than k entries.
        weights: [S, B, k], with sum 1, or 0 if there are no entries.
    """

    value: Tensor
    indices: Tensor
    distances: Tensor
    weights: Tensor


class NeighbourMemory(nn.Module):
    """A memory with a fixed number of places per seed; its whole state is in its buffers.

    Args:
        generators: one per seed. Random streams are derived from their initial seeds; nothing is drawn from them.
        key_width, value_width: q and v.
        capacity: N.
        k, metric, weights, temperature: see :mod:`memkit.memories.retrieval`.
        normalise: True to scale keys and queries to length 1.
        which: "nearest" entries; "random" entries, drawn with replacement; or "shuffled", the nearest entries, each
            with the value of another entry.
        eviction, ttl, age_weight: see :mod:`memkit.memories.eviction`. Probation, for policies that need one, lasts a
            quarter of the capacity, but at least 2 examples, since the last entry of a batch has age 1.
        refresh, refresh_within, refresh_momentum: the probability, the distance and μ of refreshing; see above.
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
        self._initial_seeds = [generator.initial_seed() for generator in generators]
        self._streams: dict[str, list[torch.Generator]] = {}
        seeds = len(self._initial_seeds)
        self.register_buffer("keys", torch.zeros(seeds, capacity, key_width))
        self.register_buffer("values", torch.zeros(seeds, capacity, value_width))
        self.register_buffer("labels", torch.zeros(seeds, capacity, dtype=torch.int64))
        self.register_buffer("born", torch.full((seeds, capacity), NEVER))
        self.register_buffer("uses", torch.zeros(seeds, capacity, dtype=torch.int64))
        self.register_buffer("help", torch.zeros(seeds, capacity))
        self.register_buffer("lot", torch.zeros(seeds, capacity))  # ``random_number`` of the eviction record
        self.register_buffer("offered", torch.zeros(seeds, dtype=torch.int64))
        self.register_buffer("inserted", torch.zeros(seeds, dtype=torch.int64))
        self.register_buffer("evicted", torch.zeros(seeds, dtype=torch.int64))

    @property
    def state_size(self) -> int:
        """The size of a full memory, N·(q + v) numbers."""
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
        """The number of examples offered since each entry was added: [S, N]; meaningless for empty places."""
        return self.offered.unsqueeze(1) - self.born

    @property
    def keeps_record(self) -> bool:
        """True if the eviction policy uses the record of entries, so that :meth:`credit` has to be called."""
        return self.eviction in RECORD_POLICIES

    def clear(self) -> None:
        """Empty all places, and reset all counters."""
        self.born.fill_(NEVER)
        for buffer in (self.uses, self.help, self.offered, self.inserted, self.evicted):
            buffer.zero_()

    def retrieve(self, queries: Tensor) -> Retrieved:
        """Return the neighbours of queries [S, B, q].

        In evaluation mode, the same queries retrieve the same entries, also with "random" and "shuffled".
        """
        queries, keys = self._normalised(queries), self._normalised(self.keys)
        if self.which == "random":
            indices = self._random_entries(queries.shape[1])
            distances = distances_to(queries, keys, indices, present=self.present, metric=self.metric)
        else:
            indices, distances = nearest(queries, keys, self.k, present=self.present, metric=self.metric)
        weights = weigh(distances, self.weights, temperature=self.temperature)
        values = rows(self.values, self._other_entries()) if self.which == "shuffled" else self.values
        return Retrieved(mixture(values, indices, weights), indices, distances, weights)

    def credit(self, retrieved: Retrieved, help: Tensor) -> None:
        """Record that entries were retrieved, and by how much this lowered the loss: help [S, B], in nats.

        The help is divided among the neighbours by their weights.
        """
        indices = retrieved.indices.flatten(1)
        is_used = retrieved.weights > 0
        self.uses.scatter_add_(1, indices, is_used.long().flatten(1))
        self.help.scatter_add_(1, indices, (retrieved.weights * help.unsqueeze(-1)).flatten(1))

    def insert(self, keys: Tensor, values: Tensor, labels: Tensor, accepted: Tensor | None = None) -> None:
        """Offer m entries to the memory: keys [S, m, q], values [S, m, v], labels [S, m].

        Args:
            accepted: bool [S, m], False for entries that must not be inserted; None to accept all.
        """
        seeds, m = labels.shape
        keys = self._normalised(keys)
        accepted = torch.ones_like(labels, dtype=torch.bool) if accepted is None else accepted
        random_numbers = self._draw_random_numbers(m) if self.eviction == "reservoir" else self.lot.new_zeros(seeds, m)
        born = self.offered.unsqueeze(1) + torch.arange(m, device=labels.device)
        now = int(self.offered.amax()) + m
        if self.refresh > 0:
            accepted = accepted & ~self._refresh_entries(keys, values, labels, born, accepted)
        self.offered += m
        record = Record(
            torch.cat([self.born, torch.where(accepted, born, NEVER)], 1),
            torch.cat([self.uses, torch.zeros_like(labels)], 1),
            torch.cat([self.help, torch.zeros_like(random_numbers)], 1),
            torch.cat([self.lot, random_numbers], 1),
        )
        settings = PolicySettings(now, self.ttl, self.age_weight, max(2, self.capacity // 4))
        kept = entries_to_keep(self.eviction, record, settings, self.capacity)
        kept_existing, kept_new = kept[:, : self.capacity], kept[:, self.capacity :]
        self.evicted += (self.present & ~kept_existing).sum(1)
        self.inserted += kept_new.sum(1)
        self.born.masked_fill_(~kept_existing, NEVER)
        # Free places are filled seed by seed, from the first place on.
        free_places, free_counts = (~kept_existing).nonzero()[:, 1], (~kept_existing).sum(1)
        seed, entry = kept_new.nonzero().unbind(1)
        place = free_places[(free_counts.cumsum(0) - free_counts)[seed] + (kept_new.cumsum(1) - 1)[seed, entry]]
        self.keys[seed, place], self.values[seed, place] = keys[seed, entry], values[seed, entry]
        self.labels[seed, place], self.born[seed, place] = labels[seed, entry], born[seed, entry]
        self.uses[seed, place], self.help[seed, place], self.lot[seed, place] = 0, 0.0, random_numbers[seed, entry]

    def _refresh_entries(self, keys: Tensor, values: Tensor, labels: Tensor, born: Tensor, accepted: Tensor) -> Tensor:
        """Move entries towards the new entries that refresh them, and return which those are: bool [S, m]."""
        random_numbers = torch.stack([torch.rand(labels.shape[1], generator=g) for g in self._generators("refresh")])
        refreshes = accepted & (random_numbers < self.refresh).to(accepted.device)
        nearest_place = torch.zeros_like(labels)
        for label in sorted({label for seed_labels in labels.tolist() for label in seed_labels}):
            same_class = self.present & (self.labels == label)
            neighbours = nearest(keys, self._normalised(self.keys), 1, present=same_class, metric=self.metric)
            nearest_place = torch.where(labels == label, neighbours.indices[..., 0], nearest_place)
            refreshes &= (labels != label) | (neighbours.distances[..., 0] <= self.refresh_within)
        seed, entry = refreshes.nonzero().unbind(1)
        places, inverse, counts = torch.unique(
            seed * self.capacity + nearest_place[seed, entry], return_inverse=True, return_counts=True
        )
        # If several new entries refresh the same entry, it moves towards their mean; the last one sets its age.
        last = inverse.argsort(stable=True)[counts.cumsum(0) - 1]
        self.born.view(-1)[places] = born[seed[last], entry[last]]
        for table, new in ((self.keys, keys), (self.values, values)):
            rows_of_all = table.view(-1, table.shape[-1])
            sums = rows_of_all.new_zeros(len(places), rows_of_all.shape[1]).index_add_(0, inverse, new[seed, entry])
            mean = sums / counts.unsqueeze(-1)
            rows_of_all[places] = self.refresh_momentum * rows_of_all[places] + (1 - self.refresh_momentum) * mean
        return refreshes

    def _normalised(self, keys: Tensor) -> Tensor:
        """Return keys scaled to length 1, if the memory normalises keys."""
        return F.normalize(keys, dim=-1) if self.normalise else keys

    def _random_entries(self, queries: int) -> Tensor:
        """Return random entries, drawn with replacement: [S, B, k]."""
        random_numbers = [torch.rand(queries, self.k, generator=g) for g in self._generators("random retrieval")]
        ranks = (torch.stack(random_numbers).to(self.born.device) * self.count.view(-1, 1, 1)).long()
        return rows(self._present_first(), ranks)

    def _other_entries(self) -> Tensor:
        """Return for each entry another random entry, or itself if it is the only one: [S, N]."""
        order, counts = self._present_first(), self.count.tolist()
        other = torch.arange(self.capacity, device=order.device).repeat(len(order), 1)
        for s, g in enumerate(self._generators("shuffling")):
            # A single cycle through all entries, so that no entry is mapped to itself.
            cycle = order[s, torch.randperm(counts[s], generator=g)]
            other[s, cycle] = cycle.roll(1)
        return other

    def _present_first(self) -> Tensor:
        """Return the places, with those that hold an entry first: [S, N]."""
        return self.present.long().argsort(dim=1, descending=True, stable=True)

    def _draw_random_numbers(self, m: int) -> Tensor:
        """Draw the random numbers of m new entries: [S, m]."""
        return torch.stack([torch.rand(m, generator=g) for g in self._generators("lots")]).to(self.lot.device)

    def _generators(self, purpose: str) -> list[torch.Generator]:
        """Return one generator per seed.

        In evaluation mode, retrieval starts its streams anew with each call, so that it can be repeated.
        """
        if not self.training and purpose in _RETRIEVAL_STREAMS:
            return [
                torch.Generator().manual_seed(stream_seed(seed, purpose, "evaluation")) for seed in self._initial_seeds
            ]
        if purpose not in self._streams:
            self._streams[purpose] = [
                torch.Generator().manual_seed(stream_seed(seed, purpose)) for seed in self._initial_seeds
            ]
        return self._streams[purpose]
