"""Versioned slots in MLX; equations, shapes and state size in memkit/memories/versions.py."""

from __future__ import annotations

import mlx.core as mx

from memkit.mlx.memories import slots


def reset(like: mx.array, count: int, versions: int) -> mx.array:
    """An empty memory for values like ``like`` [..., d]: zeros [..., versions, count, d]."""
    return mx.zeros((*like.shape[:-1], versions, count, like.shape[-1]), like.dtype)


def push(state: mx.array, address: mx.array, value: mx.array, gate: mx.array) -> mx.array:
    """The state [..., N, K, d] after one write, which makes what it replaces the slot's previous version."""
    weight = (gate[..., None] * address)[..., None, :, None]
    first = mx.broadcast_to(value[..., None, None, :], state[..., :1, :, :].shape)
    return state + weight * (mx.concatenate([first, state[..., :-1, :, :]], -3) - state)


def read(state: mx.array, address: mx.array, age: mx.array) -> mx.array:
    """Return the contents at an address, in the version of an age: [..., N, K, d], [..., K] and [..., N] → [..., d]."""
    return slots.read(slots.read(state, address[..., None, :]), age)


def recalled(
    write_address: mx.array, gate: mx.array, read_address: mx.array, when: mx.array, age: mx.array
) -> mx.array:
    """Return the same as :func:`memkit.mlx.memories.slots.recalled`, with ages of the reads [..., P, N]."""
    # [..., 1, T, 1, K] and [..., P, T, N, K]
    weight = (gate[..., None] * write_address)[..., None, :, None, :]
    reads = when[..., None, None] * age[..., None, :, None] * read_address[..., None, :, None, :]
    found = [reads[..., -1, :, :]]
    for step in reversed(range(reads.shape[-3] - 1)):
        older = mx.concatenate([found[-1][..., 1:, :], mx.zeros_like(found[-1][..., :1, :])], -2)
        found.append(reads[..., step, :, :] + found[-1] + weight[..., step + 1, :, :] * (older - found[-1]))
    later = mx.stack([step[..., 0, :] for step in found[::-1]], -2)
    return (later * weight.squeeze(-2)).sum(-1)
