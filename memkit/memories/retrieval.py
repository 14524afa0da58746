"""Exact nearest-neighbour search, batched over queries and seeds.

    S seeds   B queries   N entries   d their width   k neighbours

    l2        δ(q, x) = ‖q − x‖₂
    cosine    δ(q, x) = 1 − q·x / (‖q‖‖x‖)

    uniform   w_i = 1/k       inverse   w_i ∝ 1/δ_i       softmax   w_i ∝ exp(−δ_i / τ)

Every entry is compared. Neighbours are ranked by ‖x‖² − 2 q·x, which takes one matrix product; the distances of the k
neighbours are then computed directly, since that formula suffers from cancellation. The result of a seed does not
depend on the other seeds.
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
"""Entries per block. The k nearest entries lie in the k blocks with the smallest minimum distances."""
_ENTRIES = 20 << 10
"""The maximum number of entries that are compared at once; more are split into parts."""
_SCORES = 128 * _ENTRIES
"""The maximum number of scores in memory at once (10 MiB); more queries or seeds are split into parts."""
_ROWS = 1 << 12
"""The number of entries that are looked up at once, so that they stay in the processor's cache (2 MiB at d = 128)."""


class Neighbours(NamedTuple):
    """The neighbours of queries, nearest first.

    Attributes:
        indices: [S, B, k], into the N entries.
        distances: [S, B, k]; inf where there were fewer than k entries.
    """

    indices: Tensor
    distances: Tensor


def nearest(
    queries: Tensor, keys: Tensor, k: int, *, present: Tensor | None = None, metric: Metric = "l2"
) -> Neighbours:
    """Return the k nearest entries of each query: queries [S, B, d], keys [S, N, d].

    Args:
        present: bool [S, N], True for places that hold an entry; None if all do.

    Raises:
        ValueError: the metric is unknown, or k is not from 1 to N.

    >>> import torch
    >>> from memkit.memories import retrieval
    >>> keys = torch.tensor([[[0.0], [1.0], [5.0]]])  # 1 seed, 3 entries of width 1
    >>> neighbours = retrieval.nearest(torch.tensor([[[2.0]]]), keys, 2)
    >>> neighbours.indices, neighbours.distances
    (tensor([[[1, 0]]]), tensor([[[1., 2.]]]))
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    if not 1 <= k <= keys.shape[1]:
        raise ValueError(f"k must be 1 to {keys.shape[1]}, the number of places, not {k}")
    count = keys.shape[1]
    if present is not None:
        # In a memory that is not full yet, the entries come first: places after the last entry are not searched.
        ends = (present * torch.arange(1, count + 1, device=keys.device)).amax(1).clamp(min=k).tolist()
        if len(set(ends)) > 1:
            # The choice among equally near entries depends on the end, so each seed must use its own.
            seeds = zip(*(torch.split(tensor, 1) for tensor in (queries, keys, present)), strict=True)
            parts = [nearest(q, x, k, present=present_here, metric=metric) for q, x, present_here in seeds]
            return Neighbours(
                torch.cat([part.indices for part in parts]), torch.cat([part.distances for part in parts])
            )
        count = ends[0]
    detached_queries, searched_keys = queries.detach(), keys.detach()[:, :count]
    if metric == "cosine":
        detached_queries, searched_keys = F.normalize(detached_queries, dim=-1), F.normalize(searched_keys, dim=-1)
    norms = torch.linalg.vector_norm(searched_keys, dim=-1, keepdim=True).square_()
    if present is not None:
        norms.masked_fill_(~present[:, :count, None], torch.inf)
    buffer = norms.new_empty(min(len(keys) * count * queries.shape[1], max(_SCORES, _ENTRIES)))
    indices = _smallest_scores(detached_queries, searched_keys, norms, k, buffer)[1].mT
    distances = distances_to(queries, keys, indices, present=present, metric=metric)
    # The order may differ from that of the scores, which were rounded.
    distances, order = distances.sort(dim=-1, stable=True)
    return Neighbours(indices.gather(2, order), distances)


def distances_to(
    queries: Tensor, keys: Tensor, indices: Tensor, *, present: Tensor | None = None, metric: Metric = "l2"
) -> Tensor:
    """Return the distances of queries [S, B, d] to the keys [S, N, d] of some indices [S, B, k]: [S, B, k].

    >>> import torch
    >>> from memkit.memories import retrieval
    >>> keys = torch.tensor([[[0.0], [1.0], [5.0]]])
    >>> retrieval.distances_to(torch.tensor([[[2.0]]]), keys, torch.tensor([[[2, 0]]]))
    tensor([[[3., 2.]]])
    """
    at_once = max(1, _ROWS // max(1, len(keys) * indices.shape[2]))
    if queries.shape[1] <= at_once:
        distances = _distances(queries, rows(keys, indices), metric)
    else:
        parts = zip(torch.split(queries, at_once, 1), torch.split(indices, at_once, 1), strict=True)
        distances = torch.cat([_distances(part, rows(keys, part_indices), metric) for part, part_indices in parts], 1)
    if present is not None:
        distances = distances.masked_fill(~rows(present, indices), torch.inf)
    return distances


def rows(table: Tensor, indices: Tensor) -> Tensor:
    """Return rows of each seed's table: table [S, N, ...], indices [S, ...] → [S, ..., ...].

    >>> import torch
    >>> from memkit.memories import retrieval
    >>> retrieval.rows(torch.tensor([[10, 20, 30]]), torch.tensor([[2, 0]]))
    tensor([[30, 10]])
    """
    if len(table) > 1:
        offset = torch.arange(len(table), device=table.device) * table.shape[1]
        indices = indices + offset.view(-1, *[1] * (indices.dim() - 1))
    selected: Tensor = table.flatten(0, 1).index_select(0, indices.flatten())
    return selected.view(*indices.shape, *table.shape[2:])


def weigh(distances: Tensor, weights: Weights, *, temperature: float = 1.0) -> Tensor:
    """Return the weights of neighbours, from their distances: [..., k] → [..., k].

    Weights sum to 1, or are all 0 if all distances are inf. With "inverse", neighbours at distance 0 share all
    the weight equally.

    Raises:
        ValueError: the kind of weights is unknown.

    >>> import torch
    >>> from memkit.memories import retrieval
    >>> retrieval.weigh(torch.tensor([1.0, 3.0]), "inverse")
    tensor([0.7500, 0.2500])
    """
    is_entry = distances.isfinite()
    if weights == "uniform":
        raw = is_entry.to(distances.dtype)
    elif weights == "inverse":
        # Relative to the smallest distance, since 1/δ may overflow.
        raw = torch.where(distances == 0, 1.0, distances.amin(-1, keepdim=True) / distances).nan_to_num(0.0)
    elif weights == "softmax":
        raw = torch.exp((distances.amin(-1, keepdim=True) - distances) / temperature).nan_to_num(0.0)
    else:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    return raw / raw.sum(-1, keepdim=True).clamp(min=torch.finfo(raw.dtype).tiny)


def mixture(values: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of neighbours' values: values [S, N, v], indices and weights [S, B, k] → [S, B, v].

    >>> import torch
    >>> from memkit.memories import retrieval
    >>> values = torch.tensor([[[10.0], [20.0], [30.0]]])
    >>> retrieval.mixture(values, torch.tensor([[[2, 0]]]), torch.tensor([[[0.5, 0.5]]]))
    tensor([[[20.]]])
    """
    return (weights.unsqueeze(2) @ rows(values, indices)).squeeze(2)


def _smallest_scores(queries: Tensor, keys: Tensor, norms: Tensor, k: int, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the k smallest scores ‖x‖² − 2 q·x and their indices, [S, k, B] each, in any order; all of them if N < k.

    Args:
        queries, keys, norms: [S, B, d], [S, N, d] and ‖x‖² [S, N, 1].
        buffer: for the scores. Allocating a new one for each part would take longer than searching it.
    """
    (seeds, count, _), query_count = keys.shape, queries.shape[1]
    if count > _ENTRIES:
        size = -(-count // -(-count // _ENTRIES))
        starts = range(0, count, size + -size % _BLOCK)
        ends = (*starts[1:], count)
        parts_found = [
            _smallest_scores(queries, keys[:, a:z], norms[:, a:z], k, buffer) for a, z in zip(starts, ends, strict=True)
        ]
        indices = torch.cat([part + a for (_, part), a in zip(parts_found, starts, strict=True)], 1)
        scores, selected = torch.cat([part for part, _ in parts_found], 1).topk(k, 1, largest=False)
        return scores, indices.gather(1, selected)
    if seeds * count * query_count > len(buffer):
        if seeds > 1:
            dim, at_once = 0, max(1, len(buffer) // (count * query_count))
            parts = zip(*(torch.split(tensor, at_once) for tensor in (queries, keys, norms)), strict=True)
            parts_found = [_smallest_scores(q, x, n, k, buffer) for q, x, n in parts]
        else:
            dim, at_once = 2, len(buffer) // count
            at_once -= at_once % 32 if at_once > 32 else 0  # a partly filled register takes as long as a full one
            parts_found = [
                _smallest_scores(query_part, keys, norms, k, buffer) for query_part in torch.split(queries, at_once, 1)
            ]
        return torch.cat([scores for scores, _ in parts_found], dim), torch.cat(
            [indices for _, indices in parts_found], dim
        )
    # [S, N, B]: with entries first, the product is faster, and so is the search for the nearest entry of each block.
    scores = buffer[: seeds * count * query_count].view(seeds, count, query_count)
    return _smallest(torch.baddbmm(norms, keys, queries.mT, alpha=-2, out=scores), k)


def _distances(queries: Tensor, entries: Tensor, metric: Metric) -> Tensor:
    """Return the distances of queries [S, B, d] to their k entries [S, B, k, d], which are overwritten: [S, B, k]."""
    if metric == "cosine":
        queries, entries = F.normalize(queries, dim=-1), F.normalize(entries, dim=-1)
    lengths: Tensor = torch.linalg.vector_norm(entries.sub_(queries.unsqueeze(2)), dim=-1)
    return lengths if metric == "l2" else lengths.square() / 2


def _smallest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k smallest scores [S, N, B] and their indices, [S, k, B] each, in any order; all of them if N < k.

    Finding the smallest score of each block reads all scores once, at the speed of memory. Then only the k best blocks
    are searched, and these are found by the same method. A top-k over all scores would be several times slower.
    """
    count = scores.shape[1]
    if count < 2 * _BLOCK * k:
        smallest, indices = scores.topk(min(k, count), 1, largest=False, sorted=False)
        return smallest, indices
    in_blocks = count - count % _BLOCK
    block_minima = scores[:, :in_blocks].view(len(scores), -1, _BLOCK, scores.shape[2]).amin(2)
    _, blocks = _smallest(block_minima, k)
    within_block = torch.arange(_BLOCK, device=scores.device).unsqueeze(1)
    indices = torch.add(within_block, blocks.unsqueeze(2), alpha=_BLOCK).flatten(1, 2)
    if in_blocks < count:
        rest = torch.arange(in_blocks, count, device=scores.device).view(1, -1, 1)
        indices = torch.cat([indices, rest.expand(len(scores), -1, scores.shape[2])], 1)
    smallest, selected = scores.gather(1, indices).topk(k, 1, largest=False, sorted=False)
    return smallest, indices.gather(1, selected)
