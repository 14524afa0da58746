"""Slots in MLX; for equations, shapes and state size see memkit/memories/slots.py."""

from __future__ import annotations

from typing import Literal, TypeAlias

import mlx.core as mx

Writing: TypeAlias = Literal["additive", "overwriting"]


def reset(like: mx.array, slots: int) -> mx.array:
    """Return an empty memory, zeros [..., slots, d], for values shaped like ``like`` [..., d]."""
    return mx.zeros((*like.shape[:-1], slots, like.shape[-1]), like.dtype)


def write(state: mx.array, address: mx.array, value: mx.array, gate: mx.array, *, writing: Writing) -> mx.array:
    """Return the state [..., K, d] after writing a value [..., d] at an address [..., K], with a gate [...]."""
    weight, value = (gate[..., None] * address)[..., None], value[..., None, :]
    if writing == "additive":
        return state + weight * value
    if writing == "overwriting":
        return state + weight * (value - state)
    raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")


def read(state: mx.array, address: mx.array) -> mx.array:
    """Return the content at an address: state [..., K, d], address [..., K] → [..., d]."""
    return (address[..., None, :] @ state).squeeze(-2)


def write_weights(
    write_address: mx.array, gate: mx.array, read_address: mx.array, read_weights: mx.array, *, writing: Writing
) -> mx.array:
    """Return the weight of each write in each of P answers after T steps, in closed form: [..., P, T].

    Addresses are [..., T, K], gates [..., T], and the weights of the reads [..., P, T].
    """
    if writing not in ("additive", "overwriting"):
        raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")
    weight = (gate[..., None] * write_address)[..., None, :, :]
    weighted_reads = read_weights[..., None] * read_address[..., None, :, :]
    return (later_weights(weighted_reads, 1 - weight if writing == "overwriting" else None) * weight).sum(-1)


def later_weights(weighted_reads: mx.array, kept: mx.array | None) -> mx.array:
    """Return the weight of a slot's content in the reads of each step and all later steps: [..., P, T, K].

    ``kept`` [..., 1, T, K] is the share of its content that a slot keeps in a step; None if it keeps all.
    """
    reversed_weights = [weighted_reads[..., -1, :]]
    for step in reversed(range(weighted_reads.shape[-2] - 1)):
        reversed_weights.append(
            weighted_reads[..., step, :]
            + (reversed_weights[-1] if kept is None else kept[..., step + 1, :] * reversed_weights[-1])
        )
    return mx.stack(reversed_weights[::-1], -2)
