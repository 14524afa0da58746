"""A store of next tokens: each token that was read, retrieved by the tokens before it.

    entries   (key_i, y_i, s_i)                       one per token, in the order of reading
    key       the n tokens before it, the most recent first
    s_i       its surprise: nats of y_i under the language model that read it

    distance  d(q, key) = Σ_j c_j · 1[q_j ≠ key_j],   c_j ∝ decay^j, Σ_j c_j = 1      a weighted count of mismatches
    read      p_kNN(y) ∝ Σ_{i among the k nearest} exp(−d_i / τ) · 1[y_i = y]
    mix       p(y) = (1 − w)·p_LM(y) + w·p_kNN(y),    w = most · exp(−d_min / τ)

These are equations 2 and 3 of Khandelwal et al. 2020, Generalization through memorization: nearest neighbour language
models, with two changes. Keys are tokens, not hidden states; with decay up to 1/2, the key with the longest common
suffix is always the nearest. And w, constant in the paper, decreases with the distance of the nearest key: where
nothing similar was read, the prediction of the language model is unchanged.

A full store evicts: "none" adds nothing more, "fifo" evicts the entry that was read first, and "surprise" the entry
with the lowest surprise, or the older one of equals.

These are functions of tensors without state of their own: the caller passes the store on. State size: N·(n + 2)
numbers.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from memkit.errors import MemkitError, suggestion

Eviction: TypeAlias = Literal["none", "fifo", "surprise"]
EVICTIONS: tuple[str, ...] = get_args(Eviction)

_NOTHING = -1
"""In a key, the position of a token that does not exist. It matches no token, and not even itself."""
_PAIRS = 1 << 22
"""The maximum number of pairs of a key and a query that are compared at once."""


class Entries(NamedTuple):
    """A store, or entries to be added to one, in the order of reading.

    Attributes:
        keys: tokens [N, n], −1 where there is none.
        values: tokens [N].
        surprises: nats [N].
    """

    keys: Tensor
    values: Tensor
    surprises: Tensor


class StoreReading(NamedTuple):
    """The result of reading a store with Q queries.

    Attributes:
        probabilities: p_kNN, [Q, V]; 0 if the store is empty.
        weights: w, [Q]; 0 if the store is empty.
    """

    probabilities: Tensor
    weights: Tensor


def empty(n: int) -> Entries:
    """Return an empty store for keys of n tokens.

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> next_tokens.empty(4).keys.shape
    torch.Size([0, 4])
    """
    return Entries(torch.zeros(0, n, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0))


def context_keys(tokens: Tensor, n: int) -> Tensor:
    """Return the key at each token: the n tokens up to and including it, the most recent first: [..., L] → [..., L, n].

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> next_tokens.context_keys(torch.tensor([3, 1, 4]), 2)
    tensor([[ 3, -1],
            [ 1,  3],
            [ 4,  1]])
    """
    before = torch.nn.functional.pad(tokens, (n, 0), value=_NOTHING)
    return before.unfold(-1, n, 1)[..., 1:, :].flip(-1)


def append(store: Entries, new: Entries, *, capacity: int | None = None, eviction: Eviction = "fifo") -> Entries:
    """Return the store with new entries, and without those that are evicted.

    Args:
        capacity: the maximum number of entries; None for no limit.

    Raises:
        MemkitError: the eviction policy is unknown.

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> text = torch.tensor([3, 1, 4, 1])
    >>> store = next_tokens.Entries(next_tokens.context_keys(text[:-1], 2), text[1:], torch.tensor([2.0, 5.0, 1.0]))
    >>> next_tokens.append(next_tokens.empty(2), store, capacity=2, eviction="surprise").values  # tokens 1, 4 and 1
    tensor([1, 4])
    """
    if eviction not in EVICTIONS:
        raise MemkitError(f"eviction={eviction!r} is unknown{suggestion(str(eviction), EVICTIONS)}")
    combined = Entries(*(torch.cat(parts) for parts in zip(store, new, strict=True)))
    count = len(combined.values)
    if capacity is None or count <= capacity:
        return combined
    if eviction == "none":
        return Entries(*(part[:capacity] for part in combined))
    if eviction == "fifo":
        return Entries(*(part[count - capacity :] for part in combined))
    kept = combined.surprises.argsort(stable=True)[count - capacity :].sort().values
    return Entries(*(part[kept] for part in combined))


def permute_values(store: Entries, generator: torch.Generator) -> Entries:
    """Return the store with its values in a random order; the keys stay where they are.

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> text = torch.tensor([3, 1, 4, 1])
    >>> store = next_tokens.Entries(next_tokens.context_keys(text[:-1], 2), text[1:], torch.tensor([2.0, 5.0, 1.0]))
    >>> shuffled = next_tokens.permute_values(store, torch.Generator().manual_seed(0))
    >>> sorted(shuffled.values.tolist()), torch.equal(shuffled.keys, store.keys)
    ([1, 1, 4], True)
    """
    order = torch.randperm(len(store.values), generator=generator)
    return store._replace(values=store.values[order])


def distances(queries: Tensor, keys: Tensor, *, decay: float) -> Tensor:
    """Return the distances, 0 to 1, between queries [Q, n] and keys [N, n]: [Q, N].

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> queries, context_keys = torch.tensor([[1, 3]]), torch.tensor([[1, 3], [1, 2], [4, 3]])
    >>> next_tokens.distances(queries, context_keys, decay=0.5)
    tensor([[0.0000, 0.3333, 0.6667]])
    """
    n = keys.shape[1]
    costs = decay ** torch.arange(n, dtype=torch.float64)
    costs = (costs / costs.sum()).float()
    matches = torch.zeros(len(queries), len(keys))
    for position in range(n):
        query_tokens = queries[:, position].unsqueeze(1)
        matches.add_((query_tokens == keys[:, position]) & (query_tokens != _NOTHING), alpha=float(costs[position]))
    return (1 - matches).clamp_(min=0)


def read(
    store: Entries, queries: Tensor, *, tokens: int, k: int, decay: float, tau: float, most: float
) -> StoreReading:
    """Return the result of reading a store with queries [Q, n], over a vocabulary of V = ``tokens``.

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> text = torch.tensor([3, 1, 4, 1])
    >>> store = next_tokens.Entries(next_tokens.context_keys(text[:-1], 2), text[1:], torch.tensor([2.0, 5.0, 1.0]))
    >>> found = next_tokens.read(store, torch.tensor([[1, 3]]), tokens=5, k=1, decay=0.5, tau=0.1, most=0.9)
    >>> found.probabilities, found.weights  # 4 came after 3, 1
    (tensor([[0., 0., 0., 0., 1.]]), tensor([0.9000]))
    """
    probabilities, weights = torch.zeros(len(queries), tokens), torch.zeros(len(queries))
    if not len(store.values):
        return StoreReading(probabilities, weights)
    at_once = max(1, _PAIRS // len(store.values))
    for first in range(0, len(queries), at_once):
        part = slice(first, first + at_once)
        nearest_distances, nearest_indices = distances(queries[part], store.keys, decay=decay).topk(
            min(k, len(store.values)), largest=False
        )
        shares = torch.softmax(-nearest_distances / tau, -1)
        probabilities[part].scatter_add_(1, store.values[nearest_indices], shares)
        weights[part] = most * torch.exp(-nearest_distances[:, 0] / tau)
    return StoreReading(probabilities, weights)


def mix(log_probabilities: Tensor, found: StoreReading) -> Tensor:
    """Return log p of the mixture, [Q, V], from log p_LM [Q, V] and the result of a read.

    >>> import torch
    >>> from memkit.memories import next_tokens
    >>> found = next_tokens.StoreReading(torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]))
    >>> next_tokens.mix(torch.tensor([[0.5, 0.5]]).log(), found).exp()
    tensor([[0.2500, 0.7500]])
    """
    weights = found.weights.unsqueeze(-1)
    # In logarithms, so that the smallest probabilities of the language model are not lost.
    return torch.logaddexp(log_probabilities + torch.log1p(-weights), (weights * found.probabilities).log())
