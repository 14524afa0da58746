"""Exact retrieval of nearest neighbours, batched over queries and seeds.

    S seeds   B queries   N entries   d their width   k neighbours

    l2        δ(q, x) = ‖q − x‖₂
    cosine    δ(q, x) = 1 − q·x / (‖q‖‖x‖)

    uniform   w_i = 1/k       inverse   w_i ∝ 1/δ_i       softmax   w_i ∝ exp(−δ_i / τ)

Every entry is compared, none is passed over. Neighbours are ranked by ‖x‖² − 2 q·x, which is one matrix product; the
distances that are returned are computed again from the k that were found, without the cancellation in it. What a seed
finds does not depend on the other seeds.
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

_BLOCK = 8
"""Entries of which the nearest one is found first: the k nearest lie in the k blocks whose nearest are nearest."""
_ENTRIES = 20 << 10
"""Entries that are compared at once; more of them are taken part by part."""
_SCORES = 128 * _ENTRIES
"""Scores that are held at once, 10 MiB: those of so many queries, or seeds."""
_ROWS = 1 << 12
"""Entries that are looked up at once, so that they stay in the processor's cache: 2 MiB at d = 128."""


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
    count = keys.shape[1]
    if present is not None:
        # A memory that is not full yet has its entries in front: places after the last one are not searched.
        ends = (present * torch.arange(1, count + 1, device=keys.device)).amax(1).clamp(min=k).tolist()
        if len(set(ends)) > 1:
            # Which of equally near entries are found depends on the end, so it must not be another seed's.
            seeds = zip(*(torch.split(whole, 1) for whole in (queries, keys, present)), strict=True)
            each = [nearest(q, x, k, present=here, metric=metric) for q, x, here in seeds]
            return Found(torch.cat([found.indices for found in each]), torch.cat([found.distances for found in each]))
        count = ends[0]
    wanted, among = queries.detach(), keys.detach()[:, :count]
    if metric == "cosine":
        wanted, among = F.normalize(wanted, dim=-1), F.normalize(among, dim=-1)
    norms = torch.linalg.vector_norm(among, dim=-1, keepdim=True).square_()
    if present is not None:
        norms.masked_fill_(~present[:, :count, None], torch.inf)
    room = norms.new_empty(min(len(keys) * count * queries.shape[1], max(_SCORES, _ENTRIES)))
    indices = _ranked(wanted, among, norms, k, room)[1].mT
    distances = distances_to(queries, keys, indices, present=present, metric=metric)
    # Without rounding in the distances, the order may differ.
    distances, order = distances.sort(dim=-1, stable=True)
    return Found(indices.gather(2, order), distances)


def distances_to(
    queries: Tensor, keys: Tensor, indices: Tensor, *, present: Tensor | None = None, metric: Metric = "l2"
) -> Tensor:
    """The distances of queries [S, B, d] to some of the keys [S, N, d], by indices [S, B, k]: [S, B, k]."""
    at_once = max(1, _ROWS // max(1, len(keys) * indices.shape[2]))
    if queries.shape[1] <= at_once:
        distances = _apart(queries, rows(keys, indices), metric)
    else:
        parts = zip(torch.split(queries, at_once, 1), torch.split(indices, at_once, 1), strict=True)
        distances = torch.cat([_apart(some, rows(keys, places), metric) for some, places in parts], 1)
    if present is not None:
        distances = distances.masked_fill(~rows(present, indices), torch.inf)
    return distances


def rows(table: Tensor, indices: Tensor) -> Tensor:
    """Each seed's rows of a table [S, N, ...] by indices [S, ...]: [S, ..., ...]."""
    if len(table) > 1:
        first = torch.arange(len(table), device=table.device) * table.shape[1]
        indices = indices + first.view(-1, *[1] * (indices.dim() - 1))
    chosen: Tensor = table.flatten(0, 1).index_select(0, indices.flatten())
    return chosen.view(*indices.shape, *table.shape[2:])


def weigh(distances: Tensor, weights: Weights, *, temperature: float = 1.0) -> Tensor:
    """Return the neighbours' weights: distances [..., k] → [..., k], sums to 1, or all 0 where all distances are inf.

    With ``inverse``, neighbours at distance 0 take all the weight in equal parts.
    """
    here = distances.isfinite()
    if weights == "uniform":
        raw = here.to(distances.dtype)
    elif weights == "inverse":
        # Relative to the least distance, since 1/δ may overflow.
        raw = torch.where(distances == 0, 1.0, distances.amin(-1, keepdim=True) / distances).nan_to_num(0.0)
    elif weights == "softmax":
        raw = torch.exp((distances.amin(-1, keepdim=True) - distances) / temperature).nan_to_num(0.0)
    else:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    return raw / raw.sum(-1, keepdim=True).clamp(min=torch.finfo(raw.dtype).tiny)


def mixture(values: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """The mean value of neighbours: values [S, N, v], indices and weights [S, B, k] → [S, B, v]."""
    return (weights.unsqueeze(2) @ rows(values, indices)).squeeze(2)


def _ranked(queries: Tensor, keys: Tensor, norms: Tensor, k: int, room: Tensor) -> tuple[Tensor, Tensor]:
    """The k smallest ‖x‖² − 2 q·x and where they are: [S, k, B] both, in any order; all of them if N < k.

    Args:
        queries, keys, norms: [S, B, d], [S, N, d] and ‖x‖² [S, N, 1].
        room: for the scores that are held at once. New room for each part would take longer than to look through it.
    """
    (seeds, count, _), number = keys.shape, queries.shape[1]
    if count > _ENTRIES:
        size = -(-count // -(-count // _ENTRIES))
        starts = range(0, count, size + -size % _BLOCK)
        ends = (*starts[1:], count)
        found = [_ranked(queries, keys[:, a:z], norms[:, a:z], k, room) for a, z in zip(starts, ends, strict=True)]
        places = torch.cat([part + a for (_, part), a in zip(found, starts, strict=True)], 1)
        scores, chosen = torch.cat([part for part, _ in found], 1).topk(k, 1, largest=False)
        return scores, places.gather(1, chosen)
    if seeds * count * number > len(room):
        if seeds > 1:
            dim, at_once = 0, max(1, len(room) // (count * number))
            parts = zip(*(torch.split(whole, at_once) for whole in (queries, keys, norms)), strict=True)
            found = [_ranked(q, x, n, k, room) for q, x, n in parts]
        else:
            dim, at_once = 2, len(room) // count
            at_once -= at_once % 32 if at_once > 32 else 0  # a register that is partly filled takes as long
            found = [_ranked(some, keys, norms, k, room) for some in torch.split(queries, at_once, 1)]
        return torch.cat([scores for scores, _ in found], dim), torch.cat([places for _, places in found], dim)
    # [S, N, B]: with the entries first the product is faster, and so is the search for the nearest of every block.
    scores = room[: seeds * count * number].view(seeds, count, number)
    return _smallest(torch.baddbmm(norms, keys, queries.mT, alpha=-2, out=scores), k)


def _apart(queries: Tensor, entries: Tensor, metric: Metric) -> Tensor:
    """Distances of queries [S, B, d] to k entries each [S, B, k, d], which are overwritten: [S, B, k]."""
    if metric == "cosine":
        queries, entries = F.normalize(queries, dim=-1), F.normalize(entries, dim=-1)
    lengths: Tensor = torch.linalg.vector_norm(entries.sub_(queries.unsqueeze(2)), dim=-1)
    return lengths if metric == "l2" else lengths.square() / 2


def _smallest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest scores and their places, in any order: [S, N, B] → [S, k, B] both; all of them if N < k.

    To find the nearest in every block reads the scores once and keeps up with memory; only k blocks are looked
    through, and those are chosen in the same way: to choose among all is several times slower than this.
    """
    count = scores.shape[1]
    if count < 2 * _BLOCK * k:
        smallest, places = scores.topk(min(k, count), 1, largest=False, sorted=False)
        return smallest, places
    whole = count - count % _BLOCK
    nearest = scores[:, :whole].view(len(scores), -1, _BLOCK, scores.shape[2]).amin(2)
    _, blocks = _smallest(nearest, k)
    inside = torch.arange(_BLOCK, device=scores.device).unsqueeze(1)
    places = torch.add(inside, blocks.unsqueeze(2), alpha=_BLOCK).flatten(1, 2)
    if whole < count:
        rest = torch.arange(whole, count, device=scores.device).view(1, -1, 1)
        places = torch.cat([places, rest.expand(len(scores), -1, scores.shape[2])], 1)
    smallest, chosen = scores.gather(1, places).topk(k, 1, largest=False, sorted=False)
    return smallest, places.gather(1, chosen)
