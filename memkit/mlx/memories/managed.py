"""Managed slots in MLX; for equations, shapes and state size see memkit/memories/managed.py."""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx

from memkit.mlx.memories import slots


class State(NamedTuple):
    """The contents of the slots [..., K, d], and the protection of each [..., K]."""

    contents: mx.array
    protection: mx.array


def reset(like: mx.array, count: int) -> State:
    """Return an empty, unprotected memory of ``count`` slots for values shaped like ``like`` [..., d]."""
    contents = slots.reset(like, count)
    return State(contents, contents[..., 0])


def clear(state: State, address: mx.array, gate: mx.array) -> State:
    """Return the state with the content at an address cleared, as far as the gate is open."""
    return state._replace(contents=state.contents * (1 - gate[..., None] * address)[..., None])


def write(state: State, address: mx.array, value: mx.array, gate: mx.array) -> State:
    """Return the state after a write, which has less effect on protected slots."""
    unprotected = address * (1 - state.protection)
    return state._replace(contents=slots.write(state.contents, unprotected, value, gate, writing="overwriting"))


def protect(state: State, address: mx.array, gate: mx.array) -> State:
    """Return the state with the content at an address protected, as far as the gate is open."""
    more = gate[..., None] * address * (1 - state.protection)
    return state._replace(protection=state.protection + more)


def read(state: State, address: mx.array) -> mx.array:
    """Return the content at an address [..., K]: [..., d]."""
    return slots.read(state.contents, address)


def write_weights(
    write_address: mx.array,
    gate: mx.array,
    clearing: mx.array,
    protecting: mx.array,
    read_address: mx.array,
    read_weights: mx.array,
) -> mx.array:
    """Return the weight of each write in each of P answers, in closed form, as in memkit/memories/managed.py."""
    before = mx.cumprod(1 - protecting, -2)[..., :-1, :]
    unprotected = mx.concatenate([mx.ones_like(before[..., :1, :]), before], -2)
    weight = (gate[..., None] * write_address * unprotected)[..., None, :, :]
    weighted_reads = read_weights[..., None] * read_address[..., None, :, :]
    kept = (1 - weight) * (1 - clearing[..., None, :, :])
    return (slots.later_weights(weighted_reads, kept) * weight).sum(-1)
