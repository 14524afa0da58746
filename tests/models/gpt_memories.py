"""Small memories of a GPT with several seeds, and hidden states for them; shared by the tests of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.models.gpt_memory import KINDS, MemoryLayer, State, memory_layer
from memkit.models.gpt_memory.span_memory import SpanMemory
from memkit.training.streams import generator

SEEDS, EPISODES, LENGTH, WIDTH = (0, 5), 3, 7, 12
SPANS = {"ahead": 3, "key": 5}
SETTINGS: dict[str, dict[str, Any]] = {
    "slots": {"slots": 3, **SPANS},
    "delta": SPANS,
    "learnt": {"slots": 3, "heads": 2},
    "linformer": {"slots": 3},
    "documented": {"slots": 4, "updated": 2, "low_rank": 5},
}
SIZES = {
    "slots": 3 * (5 + 3 * WIDTH + 2),
    "delta": 5 * 3 * WIDTH,
    "learnt": 3 * WIDTH,
    "linformer": 3 * WIDTH,
    "documented": 4 * (WIDTH + 1),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
BY_SPANS = pytest.mark.parametrize("kind", ["slots", "delta"])


def layer(kind: str, **options: Any) -> MemoryLayer:
    """Return a memory layer in evaluation mode."""
    settings = {"kind": kind, **SETTINGS[kind], **options}
    return memory_layer([generator(s, "init") for s in SEEDS], WIDTH, settings).eval()


def spans(kind: str, **options: Any) -> SpanMemory:
    made = layer(kind, **options)
    assert isinstance(made, SpanMemory)
    return made


def hidden(count: int, *names: str, length: int = LENGTH) -> Tensor:
    """Return random hidden states [S, B, N, L, d]."""
    return torch.randn(len(SEEDS), EPISODES, count, length, WIDTH, generator=generator(count, *names))


def after(memory: MemoryLayer, x: Tensor) -> State:
    return memory.written(memory.empty(EPISODES, x.device), x)


def close(one: State, other: State) -> None:
    for part, expected in zip(one, other, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


def linear(module: Any, s: int, x: Tensor) -> Tensor:
    mapped: Tensor = x @ module.weight[s] + module.bias[s, 0]
    return mapped


def normed(module: Any, s: int, x: Tensor) -> Tensor:
    scaled: Tensor = F.layer_norm(x, x.shape[-1:]) * module.weight[s] + module.bias[s]
    return scaled
