"""The published memory's share of the parameters is a constant, nearly all of it a projection that nothing uses."""

from __future__ import annotations

from typing import Any

import pytest

from memkit.models.gpt import GPT
from memkit.models.parameters import parameters_per_seed
from memkit.training.streams import generator

SLOTS = 8


def of_network(tokens: int, block: int, width: int, layers: int) -> int:
    """Parameters of a GPT with a tied head and four times as wide feed-forward layers."""
    attention = width * 3 * width + 3 * width + width * width + width
    feedforward = width * 4 * width + 4 * width + 4 * width * width + width
    norms = 2 * 2 * width
    return (tokens + block) * width + layers * (attention + feedforward + norms) + 2 * width


def used(width: int) -> int:
    """Numbers of the memory that take part: its slots, and the linear map of the cosines."""
    return SLOTS * width + (SLOTS * width + width)


def published(width: int) -> int:
    """Those, and a projection, a mask and a temperature that do not."""
    return used(width) + (width * width + width) + SLOTS + 1


def test_the_formula_counts_our_networks() -> None:
    sizes: dict[str, Any] = {"tokens": 11, "block": 6, "width": 8, "layers": 3}
    shape: dict[str, Any] = {"generators": [generator(0, "initial values")], "heads": 2, "after": None, "shared": True}
    bare, remembering = (GPT(memory=memory, **shape, **sizes) for memory in (None, {"kind": "linformer"}))
    assert parameters_per_seed(bare) == of_network(**sizes)
    # Slots are not learnt here: they are the memory's state.
    added = parameters_per_seed(remembering) - parameters_per_seed(bare)
    assert added + remembering.state_size == used(sizes["width"])


@pytest.mark.parametrize("block", [64, 256])
def test_the_reported_share_is_of_parameters_that_nothing_uses(block: int) -> None:
    width = 768
    rest = of_network(tokens=50304, block=block, width=width, layers=12)
    assert 100 * published(width) / (rest + published(width)) == pytest.approx(0.485, abs=0.001)
    assert round(100 * published(width) / rest, 2) == 0.49  # as reported
    assert 100 * used(width) / (rest + used(width)) < 0.011
    assert used(width) / published(width) < 0.022
