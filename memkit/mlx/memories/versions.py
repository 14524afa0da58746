"""Versioned slots in MLX; for equations, shapes and state size see memkit/memories/versions.py."""

from __future__ import annotations

import mlx.core as mx

from memkit.mlx.memories import slots


def reset(like: mx.array, count: int, versions: int) -> mx.array:
    """Return an empty memory, zeros [..., versions, count, d], for values shaped like ``like`` [..., d]."""
    return mx.zeros((*like.shape[:-1], versions, count, like.shape[-1]), like.dtype)


def push(state: mx.array, address: mx.array, value: mx.array, gate: mx.array) -> mx.array:
    """Return the state [..., N, K, d] after one write; replaced content becomes the previous version."""
    weight = (gate[..., None] * address)[..., None, :, None]
    first = mx.broadcast_to(value[..., None, None, :], state[..., :1, :, :].shape)
    return state + weight * (mx.concatenate([first, state[..., :-1, :, :]], -3) - state)


def read(state: mx.array, address: mx.array, age: mx.array) -> mx.array:
    """Return the content at an address [..., K], in versions weighted by age [..., N]: [..., N, K, d] → [..., d]."""
    return slots.read(slots.read(state, address[..., None, :]), age)


def write_weights(
    write_address: mx.array, gate: mx.array, read_address: mx.array, read_weights: mx.array, age: mx.array
) -> mx.array:
    """Return the same as :func:`memkit.mlx.memories.slots.write_weights`, with version weights ``age`` [..., P, N]."""
    # [..., 1, T, 1, K] and [..., P, T, N, K]
    weight = (gate[..., None] * write_address)[..., None, :, None, :]
    weighted_reads = read_weights[..., None, None] * age[..., None, :, None] * read_address[..., None, :, None, :]
    reversed_weights = [weighted_reads[..., -1, :, :]]
    for step in reversed(range(weighted_reads.shape[-3] - 1)):
        older = mx.concatenate([reversed_weights[-1][..., 1:, :], mx.zeros_like(reversed_weights[-1][..., :1, :])], -2)
        reversed_weights.append(
            weighted_reads[..., step, :, :]
            + reversed_weights[-1]
            + weight[..., step + 1, :, :] * (older - reversed_weights[-1])
        )
    later_weights = mx.stack([step[..., 0, :] for step in reversed_weights[::-1]], -2)
    return (later_weights * weight.squeeze(-2)).sum(-1)
