"""A store of next tokens: every token that was read, retrieved by the tokens before it.

    entries   (key_i, y_i, s_i)                       one per token that was read, in the order of reading
    key       the n tokens before it, the last one first
    s_i       its surprise: nats of y_i under the language model that read it

    distance  d(q, key) = Σ_j c_j · 1[q_j ≠ key_j],   c_j ∝ decay^j, Σ_j c_j = 1      of one-hot tokens, weighted
    read      p_kNN(y) ∝ Σ_{i among the k nearest} exp(−d_i / τ) · 1[y_i = y]
    mix       p(y) = (1 − w)·p_LM(y) + w·p_kNN(y),    w = most · exp(−d_min / τ)

These are equations 2 and 3 of Khandelwal et al. 2020, Generalization through memorization: nearest neighbour language
models, with two changes. Keys are tokens and not hidden states; with decay up to 1/2, the key that shares the longest
ending with the query is always the nearest. And w, a constant there, falls with the distance of the nearest key: where
nothing similar was read, the language model's prediction is unchanged.

A store of limited capacity evicts: "none" takes nothing in once the store is full, "fifo" evicts the entry that was
read first, and "surprise" the entry of least surprise, among equals the older one.

These are functions of tensors: they keep no state, and the caller passes the store on. State size: N·(n + 2) numbers.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from memkit.errors import MemkitError, nearest

Eviction: TypeAlias = Literal["none", "fifo", "surprise"]
EVICTIONS: tuple[str, ...] = get_args(Eviction)

_NOTHING = -1
"""In a key, the place of a token that was not there. It is like no token, and not like itself."""
_PAIRS = 1 << 22
"""Keys times queries that are compared at once."""


class Entries(NamedTuple):
    """A store, or what is to be added to one; in the order of reading.

    Attributes:
        keys: tokens [N, n], −1 where there was none.
        values: tokens [N].
        surprises: nats [N].
    """

    keys: Tensor
    values: Tensor
    surprises: Tensor


class Found(NamedTuple):
    """A store's answer to Q queries.

    Attributes:
        probabilities: p_kNN, [Q, V]; 0 where the store is empty.
        weights: w, [Q]; 0 where the store is empty.
    """

    probabilities: Tensor
    weights: Tensor


def empty(n: int) -> Entries:
    """Return an empty store, for keys of n tokens."""
    return Entries(torch.zeros(0, n, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0))


def keys(tokens: Tensor, n: int) -> Tensor:
    """The n tokens up to and with each of a context, the last one first: [..., L] → [..., L, n]."""
    before = torch.nn.functional.pad(tokens, (n, 0), value=_NOTHING)
    return before.unfold(-1, n, 1)[..., 1:, :].flip(-1)


def append(store: Entries, new: Entries, *, capacity: int | None = None, eviction: Eviction = "fifo") -> Entries:
    """The store with more entries, and without those that had to go.

    Args:
        capacity: most entries; None: all of them stay.

    Raises:
        MemkitError: there is no such eviction.
    """
    if eviction not in EVICTIONS:
        raise MemkitError(f"eviction={eviction!r} is unknown{nearest(str(eviction), EVICTIONS)}")
    together = Entries(*(torch.cat(parts) for parts in zip(store, new, strict=True)))
    count = len(together.values)
    if capacity is None or count <= capacity:
        return together
    if eviction == "none":
        return Entries(*(part[:capacity] for part in together))
    if eviction == "fifo":
        return Entries(*(part[count - capacity :] for part in together))
    stay = together.surprises.argsort(stable=True)[count - capacity :].sort().values
    return Entries(*(part[stay] for part in together))


def permuted(store: Entries, generator: torch.Generator) -> Entries:
    """The store with its values in another order, its keys as they were."""
    order = torch.randperm(len(store.values), generator=generator)
    return store._replace(values=store.values[order])


def distances(queries: Tensor, keys: Tensor, *, decay: float) -> Tensor:
    """Queries [Q, n] and keys [N, n] → [Q, N], 0 to 1."""
    n = keys.shape[1]
    costs = decay ** torch.arange(n, dtype=torch.float64)
    costs = (costs / costs.sum()).float()
    alike = torch.zeros(len(queries), len(keys))
    for place in range(n):
        asked = queries[:, place].unsqueeze(1)
        alike.add_((asked == keys[:, place]) & (asked != _NOTHING), alpha=float(costs[place]))
    return (1 - alike).clamp_(min=0)


def read(store: Entries, queries: Tensor, *, tokens: int, k: int, decay: float, tau: float, most: float) -> Found:
    """Return a store's answer to queries [Q, n] over a vocabulary of V = ``tokens``."""
    probabilities, weights = torch.zeros(len(queries), tokens), torch.zeros(len(queries))
    if not len(store.values):
        return Found(probabilities, weights)
    at_once = max(1, _PAIRS // len(store.values))
    for first in range(0, len(queries), at_once):
        part = slice(first, first + at_once)
        near, places = distances(queries[part], store.keys, decay=decay).topk(min(k, len(store.values)), largest=False)
        shares = torch.softmax(-near / tau, -1)
        probabilities[part].scatter_add_(1, store.values[places], shares)
        weights[part] = most * torch.exp(-near[:, 0] / tau)
    return Found(probabilities, weights)


def mix(log_probabilities: Tensor, found: Found) -> Tensor:
    """log p of log p_LM and what was found, [Q, V] both."""
    weights = found.weights.unsqueeze(-1)
    # In logarithms, so that a language model's smallest probabilities are not lost.
    return torch.logaddexp(log_probabilities + torch.log1p(-weights), (weights * found.probabilities).log())
