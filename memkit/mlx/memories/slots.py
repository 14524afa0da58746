"""Slots in MLX; equations, shapes and state size in memkit/memories/slots.py."""

from __future__ import annotations

from typing import Literal, TypeAlias

import mlx.core as mx

Writing: TypeAlias = Literal["additive", "overwriting"]


def reset(like: mx.array, slots: int) -> mx.array:
    """An empty memory for values like ``like`` [..., d]: zeros [..., slots, d]."""
    return mx.zeros((*like.shape[:-1], slots, like.shape[-1]), like.dtype)


def write(state: mx.array, address: mx.array, value: mx.array, gate: mx.array, *, writing: Writing) -> mx.array:
    """The state [..., K, d] after one write of [..., d] at an address [..., K], as far as a gate [...] is open."""
    weight, value = (gate[..., None] * address)[..., None], value[..., None, :]
    if writing == "additive":
        return state + weight * value
    if writing == "overwriting":
        return state + weight * (value - state)
    raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")


def read(state: mx.array, address: mx.array) -> mx.array:
    """Return the contents at an address: [..., K, d] and [..., K] → [..., d]."""
    return (address[..., None, :] @ state).squeeze(-2)


def recalled(
    write_address: mx.array, gate: mx.array, read_address: mx.array, when: mx.array, *, writing: Writing
) -> mx.array:
    """Return how much of the write at each of T steps reaches each of P answers, in closed form: [..., P, T].

    Addresses [..., T, K], gates [..., T], weights of the reads [..., P, T].
    """
    if writing not in ("additive", "overwriting"):
        raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")
    weight = (gate[..., None] * write_address)[..., None, :, :]
    reads = when[..., None] * read_address[..., None, :, :]
    return (ahead(reads, 1 - weight if writing == "overwriting" else None) * weight).sum(-1)


def ahead(reads: mx.array, kept: mx.array | None) -> mx.array:
    """At every step, what is read from then on of that which stands in a slot: [..., P, T, K].

    ``kept`` [..., 1, T, K] is the share of a slot's content that a step leaves there; None: all of it.
    """
    found = [reads[..., -1, :]]
    for step in reversed(range(reads.shape[-2] - 1)):
        found.append(reads[..., step, :] + (found[-1] if kept is None else kept[..., step + 1, :] * found[-1]))
    return mx.stack(found[::-1], -2)
