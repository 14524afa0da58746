"""Each layer with a seed axis against torch's own layer, seed by seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from memkit.models import layers
from memkit.training.streams import generator

SEEDS = 3


def generators() -> list[torch.Generator]:
    return [generator(seed, "init") for seed in range(SEEDS)]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(SEEDS, *shape, generator=generator(0, "data"))


def put(target: torch.Tensor, source: torch.Tensor) -> None:
    with torch.no_grad():
        target.copy_(source)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (4, 6, 5)])
def test_linear(shape: tuple[int, ...]) -> None:
    layer, x = layers.Linear(generators(), 5, 7), drawn(*shape)
    for s in range(SEEDS):
        reference = nn.Linear(5, 7)
        put(reference.weight, layer.weight[s].T)
        put(reference.bias, layer.bias[s, 0])
        torch.testing.assert_close(layer(x)[s], reference(x[s]))


def test_embedding() -> None:
    layer = layers.Embedding(generators(), 11, 6)
    tokens = torch.randint(11, (SEEDS, 4, 3), generator=generator(0, "data"))
    for s in range(SEEDS):
        assert torch.equal(layer(tokens)[s], layer.weight[s][tokens[s]])


def test_weighted_rows_with_one_hot_weights_equals_an_embedding() -> None:
    table, tokens = drawn(11, 6), torch.randint(11, (SEEDS, 4, 3), generator=generator(0, "data"))
    got = layers.weighted_rows(layers.one_hot(tokens, table), table)
    for s in range(SEEDS):
        assert torch.equal(got[s], table[s][tokens[s]])


def test_layer_norm() -> None:
    layer, x = layers.LayerNorm(generators(), 6), drawn(4, 3, 6)
    put(layer.weight, drawn(6))
    put(layer.bias, -drawn(6))
    for s in range(SEEDS):
        expected = nn.functional.layer_norm(x[s], (6,), layer.weight[s], layer.bias[s])
        torch.testing.assert_close(layer(x)[s], expected)


def test_lstm() -> None:
    layer, x = layers.LSTM(generators(), 5, 6), drawn(4, 7, 5)
    for s in range(SEEDS):
        reference = nn.LSTM(5, 6, batch_first=True)
        # torch orders the gates i f g o, this layer i f o g.
        order = torch.tensor([0, 1, 3, 2])

        def reordered(weight: torch.Tensor, order: torch.Tensor = order) -> torch.Tensor:
            return weight.T.unflatten(0, (4, 6))[order].flatten(0, 1)

        put(reference.weight_ih_l0, reordered(layer.inward.weight[s]))
        put(reference.weight_hh_l0, reordered(layer.recurrent[s]))
        put(reference.bias_ih_l0, reordered(layer.inward.bias[s]).squeeze(1))
        put(reference.bias_hh_l0, torch.zeros(24))
        torch.testing.assert_close(layer(x)[s], reference(x[s])[0])


def test_attention() -> None:
    layer, x = layers.Attention(generators(), 8, 2), drawn(4, 5, 8)
    visible = torch.ones(SEEDS, 4, 5, dtype=torch.bool)
    visible[:, 1, :2] = False
    for s in range(SEEDS):
        reference = nn.MultiheadAttention(8, 2, batch_first=True)
        put(reference.in_proj_weight, layer.inward.weight[s].T)
        put(reference.in_proj_bias, layer.inward.bias[s, 0])
        put(reference.out_proj.weight, layer.outward.weight[s].T)
        put(reference.out_proj.bias, layer.outward.bias[s, 0])
        expected, _ = reference(x[s], x[s], x[s], key_padding_mask=~visible[s])
        torch.testing.assert_close(layer(x, visible)[s], expected)
        torch.testing.assert_close(layer(x, visible, last=True)[s], expected[:, -1:])


def test_attention_refuses_a_width_that_is_no_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads"):
        layers.Attention(generators(), 9, 2)
