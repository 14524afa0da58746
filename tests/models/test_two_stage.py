"""The two-stage compiler on commands that are written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from memkit.models import TwoStageNetwork
from memkit.models.two_stage import ExtractedCommand, LearntExtractor, extract_by_rule
from memkit.tasks.binding import Rebinding, Retrieval, Vocabulary
from memkit.tasks.binding.vocabulary import IS, MEANS
from memkit.training.streams import generator

WORDS = Vocabulary(3, 5)
BINDERS = (MEANS, IS)


def encode(*commands: str) -> Tensor:
    rows = [WORDS.encode(command) for command in commands]
    length = max(map(len, rows))
    return torch.tensor([[[0] * (length - len(row)) + row for row in rows]])


def shown(tokens: Tensor, compiled: ExtractedCommand) -> list[str]:
    """Return what the executor gets as text, with a dot for each removed token."""
    resolved = (compiled.source @ tokens.unsqueeze(-1).float()).squeeze(-1).round().long()
    return [
        " ".join(WORDS.words[token] if kept > 0.5 else "." for token, kept in zip(row, keep, strict=True))
        for row, keep in zip(resolved[0].tolist(), compiled.keep[0].tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("command", "last_write", "positional"),
    [
        ("X means jump do X twice", ". . . do jump twice", ". . . do jump twice"),
        ("X is jump Y is walk recall X", ". . . . . . recall jump", ". . . . . . recall jump"),
        (
            "X means jump Y means run do Y and X then Z",
            ". . . . . . do run and jump then Z",
            ". . . . . . do run and jump then Z",
        ),
        (
            "X means jump do X then X means walk do X",
            ". . . do walk then . . . do walk",
            ". . . do jump then . . . do walk",
        ),
        ("do X then X means walk do X", "do walk then . . . do walk", "do X then . . . do walk"),
    ],
)
def test_the_rules_compile_a_command(command: str, last_write: str, positional: str) -> None:
    tokens = encode(command)
    assert shown(tokens, extract_by_rule(tokens, binders=BINDERS, extraction="last-write")) == [last_write]
    assert shown(tokens, extract_by_rule(tokens, binders=BINDERS, extraction="positional")) == [positional]


def test_padding_and_other_commands_of_the_batch_do_not_matter() -> None:
    tokens = encode("X is jump recall X", "Y means look do Y then Y means run do Y")
    seen = shown(tokens, extract_by_rule(tokens, binders=BINDERS, extraction="positional"))
    assert seen == [" ".join(["<pad>"] * 6 + [". . . recall jump"]), ". . . do look then . . . do run"]


def test_the_learnt_extractor_can_implement_the_positional_rule() -> None:
    """With weights set by hand: a value follows a binder, and tokens next to a binder are removed."""
    size = len(WORDS.words)
    tagger = LearntExtractor([generator(0, "init")], width=size, hidden=2)
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter.zero_()
        look = tagger.look.weight.view(5, size, 2)  # the tokens t − 2 ... t + 2
        for binder in BINDERS:
            look[1, binder, 0] = 20.0
            look[1:4, binder, 1] = 20.0
        tagger.look.bias.fill_(-10.0)
        tagger.tag.weight[0] = torch.tensor([[20.0, 0.0], [0.0, -20.0]])
        tagger.offset[0, 0, 0, 2] = 100.0
        tagger.name.weight[0, :, :size] = 40.0 * torch.eye(size)
        tagger.bias.fill_(-20.0)
    tokens = encode("X means jump do X then X means walk do X", "X is jump Y is walk recall X")
    learnt, rule = (
        tagger(tokens, torch.eye(size).unsqueeze(0)),
        extract_by_rule(tokens, binders=BINDERS, extraction="positional"),
    )
    left_in = rule.keep.bool()
    torch.testing.assert_close(learnt.keep, rule.keep, rtol=0, atol=1e-4)
    torch.testing.assert_close(learnt.source[left_in], rule.source[left_in], rtol=0, atol=1e-4)


def test_learnt_sources_are_distributions_over_tokens_up_to_the_current_one() -> None:
    tagger = LearntExtractor([generator(seed, "init") for seed in (0, 1)], width=8, hidden=4)
    tokens = encode("X means jump do X then X means walk do X").expand(2, -1, -1)
    compiled = tagger(tokens, torch.randn(2, len(WORDS.words), 8, generator=generator(0, "words")))
    assert (compiled.source >= 0).all()
    torch.testing.assert_close(compiled.source.sum(-1), torch.ones(2, 1, 11))
    assert not compiled.source.triu(1).any()


def network(**options: object) -> TwoStageNetwork:
    sizes = Rebinding().sizes
    return TwoStageNetwork(generators=[generator(0, "init")], width=8, **options, **sizes)  # type: ignore[arg-type]


def test_the_executor_gets_bindings_through_the_table_only() -> None:
    """With a last-write table, neither overwritten values nor names reach the executor."""
    model = network(extractor="last-write", binders=BINDERS)
    first, second, third = model(
        encode(
            "X means jump do X then X means walk do X",
            "X means run do X then X means walk do X",
            "Y means run do Y then Y means walk do Y",
        )
    )[0]
    # On some processors, the rounding of a row of a product depends on its position.
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(second, third)
    model.extractor = "positional"
    first, second = model(
        encode("X means jump do X then X means walk do X", "X means run do X then X means walk do X")
    )[0]
    assert not torch.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extractor": "rule"}, "extractor must be 'last-write', 'positional' or 'learnt'"),
        ({"extractor": "positional"}, "needs the tokens `binders`"),
        ({"extractor": "learnt", "layers": 0}, "layers must be at least 1"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoStageNetwork(generators=[generator(0, "init")], **options, **Retrieval().sizes)  # type: ignore[arg-type]
