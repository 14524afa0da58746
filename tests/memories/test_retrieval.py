"""Retrieval against all distances, computed one by one in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from memkit.memories import retrieval
from memkit.memories.retrieval import METRICS, WEIGHTS, Metric, distances_to, mixture, nearest, weigh

BLOCK = retrieval._BLOCK
INF = math.inf


def all_distances(queries: Tensor, keys: Tensor, metric: Metric, present: Tensor) -> Tensor:
    """Return all distances [S, B, N]; inf where there is no entry."""
    name = {"l2": "euclidean", "cosine": "cosine"}[metric]
    each = [torch.tensor(cdist(q.double(), x.double(), name)) for q, x in zip(queries, keys, strict=True)]
    return torch.stack(each).masked_fill(~present.unsqueeze(1), INF)


def check(queries: Tensor, keys: Tensor, k: int, metric: Metric, present: Tensor | None = None) -> None:
    """Assert that the result is k different entries at the k smallest distances, in order."""
    result = nearest(queries, keys, k, present=present, metric=metric)
    here = torch.ones(keys.shape[:2], dtype=torch.bool) if present is None else present
    every = all_distances(queries, keys, metric, here)
    close = {"rtol": 1e-5, "atol": 2e-6, "check_dtype": False}
    torch.testing.assert_close(result.distances, every.sort(-1).values[..., :k], **close)
    torch.testing.assert_close(result.distances, every.gather(2, result.indices), **close)
    assert (result.distances[..., 1:] >= result.distances[..., :-1]).all()
    assert (result.indices.sort(-1).values.diff() > 0).all()
    again = distances_to(queries, keys, result.indices, present=present, metric=metric)
    torch.testing.assert_close(again, result.distances, rtol=1e-5, atol=2e-6)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Draw k and a number of entries: few, or about as many as are searched block by block."""
    k = draw(st.integers(1, 3))
    thresholds = st.sampled_from([BLOCK, 2 * BLOCK, 4 * BLOCK * k, 4 * BLOCK * k + BLOCK])
    around = st.builds(int.__add__, thresholds, st.integers(-2, 2))
    return k, max(k, draw(st.one_of(st.integers(1, 12), around, st.integers(4 * BLOCK * k, 8 * BLOCK * k))))


@given(
    size=sizes(),
    seeds=st.integers(1, 3),
    queries=st.integers(1, 5),
    width=st.integers(1, 6),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 2**31),
    share=st.sampled_from([None, 0.0, 0.02, 0.5, 0.99]),
    on_a_grid=st.booleans(),
)
def test_the_nearest_entries_are_found(
    size: tuple[int, int],
    seeds: int,
    queries: int,
    width: int,
    metric: Metric,
    seed: int,
    share: float | None,
    on_a_grid: bool,
) -> None:
    (k, entries), g = size, torch.Generator().manual_seed(seed)
    q, x = (torch.randn(seeds, n, width, generator=g) for n in (queries, entries))
    if on_a_grid:  # many ties, and many distances of 0; nothing at the origin, where there is no angle
        q, x = q.round() + 0.5, x.round() + 0.5
    present = None if share is None else torch.rand(seeds, entries, generator=g) < share
    check(q, x, k, metric, present)


@pytest.mark.parametrize("metric", METRICS)
def test_identical_entries_are_found_once_each(metric: Metric) -> None:
    for entries in (5, 4 * BLOCK * 3 + 7):
        check(torch.ones(2, 3, 4), torch.ones(2, entries, 4), 3, metric)


def test_the_nearest_may_lie_in_one_block_or_in_the_incomplete_last_block() -> None:
    k, count = 4, 4 * BLOCK * 4 + 5
    for nearest_ones in (range(BLOCK, BLOCK + k), range(count - k, count), range(0, count, count // k)):
        keys = torch.full((1, count, 1), 10.0)
        for distance, place in enumerate(list(nearest_ones)[:k]):
            keys[0, place] = distance / 8
        result = nearest(torch.zeros(1, 1, 1), keys, k)
        assert result.indices[0, 0].tolist() == list(nearest_ones)[:k]


def test_distances_are_exact_where_the_ranking_by_products_cancels() -> None:
    keys = torch.tensor([1000.0, 1000.25, 1000.5, 1001.0]).view(1, 4, 1)
    result = nearest(torch.tensor(1000.0).view(1, 1, 1), keys, 4)
    assert result.distances[0, 0].tolist() == [0.0, 0.25, 0.5, 1.0]


def test_splitting_the_scores_into_parts_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    q, x = torch.randn(2, 9, 3, generator=g), torch.randn(2, 40, 3, generator=g)
    whole = nearest(q, x, 2)
    monkeypatch.setattr(retrieval, "_SCORES", 100)
    assert torch.equal(nearest(q, x, 2).indices, whole.indices)


def test_a_seed_finds_its_own_entries_only() -> None:
    q = torch.zeros(2, 1, 1)
    keys = torch.tensor([[[0.0], [5.0]], [[5.0], [0.0]]])
    assert nearest(q, keys, 1).indices.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_places_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be 1 to 3, the number of places, not {k}"):
        nearest(torch.zeros(1, 1, 2), torch.zeros(1, 3, 2), k)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="metric must be one of l2, cosine, not 'l1'"):
        nearest(torch.zeros(1, 1, 2), torch.zeros(1, 3, 2), 1, metric="l1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weights must be one of uniform, inverse, softmax, not 'equal'"):
        weigh(torch.zeros(1, 1, 2), "equal")  # type: ignore[arg-type]


# --- weights ------------------------------------------------------------------------------------------------


def expected(distances: list[float], weights: str, temperature: float) -> list[float]:
    """Return the weights of one query, by the equations."""
    if all(d == INF for d in distances):
        return [0.0] * len(distances)
    if weights == "inverse" and 0.0 in distances:
        raw = [float(d == 0) for d in distances]
    elif weights == "inverse":
        raw = [1 / d for d in distances]
    elif weights == "uniform":
        raw = [float(d < INF) for d in distances]
    else:
        raw = [math.exp((min(distances) - d) / temperature) for d in distances]
    return [r / math.fsum(raw) for r in raw]


DISTANCES = st.one_of(st.floats(1e-6, 1e6), st.sampled_from([0.0, 1.0, INF]))


@given(
    rows=st.lists(st.lists(DISTANCES, min_size=4, max_size=4), min_size=1, max_size=4),
    weights=st.sampled_from(WEIGHTS),
    temperature=st.sampled_from([1e-3, 0.5, 1.0, 100.0]),
)
def test_weights_follow_the_equations(rows: list[list[float]], weights: retrieval.Weights, temperature: float) -> None:
    result = weigh(torch.tensor([rows], dtype=torch.float64), weights, temperature=temperature)
    for row, distances in zip(result[0].tolist(), rows, strict=True):
        assert row == pytest.approx(expected(distances, weights, temperature), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-30, 1.0, 1e30, 3e38])
@pytest.mark.parametrize("temperature", [1e-30, 1.0, 1e30])
def test_weights_sum_to_one_at_any_distance(weights: retrieval.Weights, scale: float, temperature: float) -> None:
    distances = torch.tensor([[[1.0, 1.0, 0.5, INF], [0.25, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]) * scale
    result = weigh(distances, weights, temperature=temperature)
    torch.testing.assert_close(result.sum(-1), torch.ones(1, 3))
    assert (result >= 0).all()
    assert result[0, 0, 3] == 0
    torch.testing.assert_close(result[0, 2], torch.full((4,), 0.25))


def test_with_a_small_temperature_the_nearest_has_all_the_weight() -> None:
    result = weigh(torch.tensor([[[0.1, 0.2, 0.3], [0.1, 0.1, 0.3]]]), "softmax", temperature=1e-38)
    assert result.tolist() == [[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]


def test_a_mixture_is_the_weighted_sum_of_the_values_of_each_seed() -> None:
    g = torch.Generator().manual_seed(0)
    values, indices = torch.randn(2, 5, 3, generator=g), torch.randint(5, (2, 4, 2), generator=g)
    weights = torch.rand(2, 4, 2, generator=g)
    result = mixture(values, indices, weights)
    assert result.shape == (2, 4, 3)
    for s in range(2):
        for b in range(4):
            total = sum(weights[s, b, i] * values[s, indices[s, b, i]] for i in range(2))
            torch.testing.assert_close(result[s, b], total)
