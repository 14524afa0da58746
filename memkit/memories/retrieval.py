"""Exact retrieval of nearest neighbours, batched over queries and seeds.

    S seeds   B queries   N entries   d their width   k neighbours

    l2        δ(q, x) = ‖q − x‖₂
    cosine    δ(q, x) = 1 − q·x / (‖q‖‖x‖)

    uniform   w_i = 1/k       inverse   w_i ∝ 1/δ_i       softmax   w_i ∝ exp(−δ_i / τ)

Every entry is compared, none is passed over. Neighbours are ranked by ‖x‖² − 2 q·x, which is one matrix product; the
distances that are returned are computed again from the k that were found, without the cancellation in it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Metric: TypeAlias = Literal["l2", "cosine"]
Weights: TypeAlias = Literal["uniform", "inverse", "softmax"]
METRICS: tuple[str, ...] = get_args(Metric)
WEIGHTS: tuple[str, ...] = get_args(Weights)

_BLOCK = 32
"""Entries of which the nearest one is found first: the k nearest lie in the k blocks whose nearest are nearest."""
_SCORES = 1 << 21
"""Scores that are held at once, 8 MiB: more would not stay in the processor's cache."""


class Found(NamedTuple):
    """The neighbours of queries, nearest first.

    Attributes:
        indices: [S, B, k], into the N entries.
        distances: [S, B, k]; inf where there were fewer than k entries.
    """

    indices: Tensor
    distances: Tensor


def nearest(queries: Tensor, keys: Tensor, k: int, *, present: Tensor | None = None, metric: Metric = "l2") -> Found:
    """The k nearest entries of every query: queries [S, B, d] and keys [S, N, d].

    Args:
        present: bool [S, N], the places that hold an entry; all, if it is left out.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    if not 1 <= k <= keys.shape[1]:
        raise ValueError(f"k must be 1 to {keys.shape[1]}, the number of places, not {k}")
    if metric == "cosine":
        queries, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
    norms = keys.square().sum(-1)
    if present is not None:
        norms = norms.masked_fill(~present, torch.inf)
    rows = max(1, _SCORES // keys.shape[1])
    found = []
    for q, x, n in zip(queries, keys, norms, strict=True):
        columns = x.T
        parts = [_smallest(torch.addmm(n, part, columns, alpha=-2), k) for part in q.split(rows)]
        found.append(torch.cat(parts))
    indices = torch.stack(found)
    distances = distances_to(queries, keys, indices, present=present, metric=metric)
    # By the distances without rounding in them the order may be another one.
    distances, order = distances.sort(dim=-1, stable=True)
    return Found(indices.gather(2, order), distances)


def distances_to(
    queries: Tensor, keys: Tensor, indices: Tensor, *, present: Tensor | None = None, metric: Metric = "l2"
) -> Tensor:
    """The distances of queries [S, B, d] to some of the keys [S, N, d], by indices [S, B, k]: [S, B, k]."""
    if metric == "cosine":
        queries, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
    lengths = (rows(keys, indices) - queries.unsqueeze(2)).square().sum(-1)
    distances = lengths.sqrt() if metric == "l2" else lengths / 2
    if present is not None:
        distances = distances.masked_fill(~rows(present, indices), torch.inf)
    return distances


def rows(table: Tensor, indices: Tensor) -> Tensor:
    """Each seed's rows of a table [S, N, ...] by indices [S, ...]: [S, ..., ...]."""
    seed = torch.arange(len(table), device=table.device).view(-1, *[1] * (indices.dim() - 1))
    return table[seed, indices]


def weigh(distances: Tensor, weights: Weights, *, temperature: float = 1.0) -> Tensor:
    """How much each neighbour counts: distances [..., k] → weights that sum to 1, or are all 0 where all are inf.

    A neighbour at distance 0 counts alone by ``inverse``, together with others at 0.
    """
    here = distances.isfinite()
    if weights == "uniform":
        raw = here.to(distances.dtype)
    elif weights == "inverse":
        # Over the least of them, since 1/δ may be more than a number can hold.
        raw = torch.where(distances == 0, 1.0, distances.amin(-1, keepdim=True) / distances).nan_to_num(0.0)
    elif weights == "softmax":
        raw = torch.exp((distances.amin(-1, keepdim=True) - distances) / temperature).nan_to_num(0.0)
    else:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    return raw / raw.sum(-1, keepdim=True).clamp(min=torch.finfo(raw.dtype).tiny)


def mixture(values: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """The mean value of neighbours: values [S, N, v], indices and weights [S, B, k] → [S, B, v]."""
    return (weights.unsqueeze(2) @ rows(values, indices)).squeeze(2)


def _smallest(scores: Tensor, k: int) -> Tensor:
    """The places of the k smallest of each row, smallest first: [B, N] → [B, k].

    To find the nearest in every block reads the scores once and keeps up with memory; only k blocks are looked
    through: a third of the time of a partial sort of all scores at 20,000 entries (benchmarks/retrieval.py).
    """
    count = scores.shape[1]
    if count < 4 * _BLOCK * k:
        return scores.topk(k, largest=False).indices
    whole = count - count % _BLOCK
    blocks = scores[:, :whole].view(len(scores), -1, _BLOCK)
    first = blocks.amin(-1).topk(k, largest=False).indices.sort().values
    inside = torch.arange(_BLOCK, device=scores.device)
    places = (first.unsqueeze(-1) * _BLOCK + inside).flatten(1)
    if whole < count:
        rest = torch.arange(whole, count, device=scores.device).expand(len(scores), -1)
        places = torch.cat([places, rest], 1)
    chosen: Tensor = places.gather(1, scores.gather(1, places).topk(k, largest=False).indices)
    return chosen
