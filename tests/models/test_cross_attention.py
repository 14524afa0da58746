"""The cross-attention binder: it can bind, and information reaches an answer through its attention only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit.models import CrossAttentionNetwork
from memkit.tasks.binding import Retrieval
from memkit.training.streams import generator

TASK = Retrieval(stored=2)
WORDS = TASK.vocabulary


def encode(*commands: str) -> Tensor:
    return torch.tensor([[WORDS.encode(command) for command in commands]])


def network(**options: int) -> CrossAttentionNetwork:
    return CrossAttentionNetwork(generators=[generator(0, "init")], **options, **TASK.sizes)


def test_with_weights_set_by_hand_it_finds_a_binding_and_copies_its_value() -> None:
    """With the name two tokens back and the query at the last token, the network can retrieve."""
    size = len(WORDS.words)
    model = network(width=size, heads=1)
    model.blocks = nn.ModuleList()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.weight[0] = torch.eye(size)
        model.query.weight[0] = 100.0 * torch.eye(size)
        model.key.weight[0, :, :size] = torch.eye(size)
        model.offset[0, 0, 0, 2] = 100.0
        model.value.weight[0] = torch.eye(size)
        for action in range(WORDS.actions):
            model.decoder.weight[0, WORDS.action(action), WORDS.action_answer(action)] = 1.0
    commands = encode("X is jump Y is walk recall X", "X is jump Y is walk recall Y", "Z is run X is look recall Z")
    assert model.attention(commands)[0].argmax(-1).tolist() == [[[3]], [[6]], [[3]]]  # entry 0 is "no word"
    answered = model(commands).argmax(-1)[0].tolist()
    assert [WORDS.decode_answer(answer) for answer in answered] == ["JUMP", "WALK", "RUN"]


def test_attention_is_a_distribution_that_ignores_padding() -> None:
    model = network(width=8)
    tokens = torch.cat([torch.zeros(1, 1, 4, dtype=torch.long), encode("X is jump recall")], -1)
    weights = model.attention(tokens)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1, 4, 1))
    assert not weights[..., 1:5].any()
    assert (weights[..., 5:] > 0).all()


def test_an_answer_depends_on_values_of_single_words_only() -> None:
    model = network(width=8)
    with torch.no_grad():
        model.value.weight.zero_()
        model.value.bias.zero_()
        model.no_value.zero_()
    first, second = model(encode("X is jump Y is walk recall X", "Z is run Y is walk recall Y"))[0]
    assert torch.equal(first, second)


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(ValueError, match="layers must be at least 1"):
        network(layers=0)
