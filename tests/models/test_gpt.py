"""The GPT: what each token can depend on, and that contexts influence each other through a memory only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models import parameters_per_seed
from memkit.models.gpt import GPT, States
from memkit.models.gpt_memory.span_memory import CandidateState
from memkit.training.streams import generator

TOKENS, BLOCK = 23, 6
SPANS = {"ahead": 2, "key": 6, "soft": 0}
MEMORIES: dict[str, dict[str, Any]] = {
    "slots": {"kind": "slots", "slots": 3, **SPANS},
    "delta": {"kind": "delta", **SPANS},
    "learnt": {"kind": "learnt", "slots": 3, "heads": 2},
    "linformer": {"kind": "linformer", "slots": 3, "lr": 0.5, "initial": 0.5},
    "documented": {"kind": "documented", "slots": 4, "updated": 2, "low_rank": 5},
}
EVERY = pytest.mark.parametrize("kind", MEMORIES)
# Cohorts of other sizes and single contexts may use another matrix kernel.
TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def gpt(kind: str | None = None, seeds: Sequence[int] = (0, 5), **options: Any) -> GPT:
    """Return a network in evaluation mode, with initial values that are large enough for every part to matter."""
    memory = None if kind is None else MEMORIES[kind]
    shape = {"tokens": TOKENS, "block": BLOCK, "width": 16, "layers": 3, "heads": 2, "initial": 0.4, **options}
    return GPT(generators=[generator(s, "init") for s in seeds], memory=memory, **shape).eval()


def contexts(count: int, seeds: Sequence[int] = (0, 5), episodes: int = 2, length: int = BLOCK) -> Tensor:
    """Return random contexts [S, B, N, L], different for each seed."""
    return torch.stack(
        [torch.randint(TOKENS, (episodes, count, length), generator=generator(s, "data")) for s in seeds]
    )


def changed(tokens: Tensor, context: int, at: int) -> Tensor:
    other = tokens.clone()
    other[:, :, context, at] = (other[:, :, context, at] + 1) % TOKENS
    return other


def close(one: States, other: States) -> None:
    assert one.keys() == other.keys()
    for name in one:
        for part, expected in zip(one[name], other[name], strict=True):
            torch.testing.assert_close(part, expected, **TOLERANCE)


def one_by_one(model: GPT, tokens: Tensor) -> States:
    """Return the memory states after running contexts through the whole network one by one."""
    states = model.empty(tokens)
    for at in range(tokens.shape[2]):
        _, states = model.run_blocks(tokens[:, :, at : at + 1], states, writing=True)
    return states


def test_logits_follow_the_equations() -> None:
    """Compare seed by seed and context by context, with attention written out."""
    model, tokens = gpt(expansion=3), contexts(3)
    logits = model(tokens)
    p = dict(model.named_parameters())

    def norm(name: str, s: int, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return x * p[f"{name}.weight"][s] + p[f"{name}.bias"][s]

    def linear(name: str, s: int, x: Tensor) -> Tensor:
        return x @ p[f"{name}.weight"][s] + p[f"{name}.bias"][s]

    for s in range(2):
        for b in range(2):
            for n in range(3):
                x = p["embedding.weight"][s][tokens[s, b, n]] + p["position"][s]
                for block in range(3):
                    at, heads = f"blocks.{block}", []
                    query, key, value = linear(f"{at}.inward", s, norm(f"{at}.before_attention", s, x)).chunk(3, -1)
                    for h in (slice(0, 8), slice(8, 16)):
                        scores = query[:, h] @ key[:, h].T / 8**0.5
                        seen = torch.ones(BLOCK, BLOCK).tril().bool()
                        heads.append(scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value[:, h])
                    x = x + linear(f"{at}.outward", s, torch.cat(heads, -1))
                    wide = F.gelu(linear(f"{at}.widen", s, norm(f"{at}.before_feedforward", s, x)))
                    x = x + linear(f"{at}.narrow", s, wide)
                expected = norm("last", s, x) @ p["embedding.weight"][s].T
                torch.testing.assert_close(logits[s, b, n], expected, **TOLERANCE)


@settings(max_examples=25)
@given(kind=st.sampled_from([None, *MEMORIES]), at=st.integers(0, BLOCK - 1))
def test_a_later_token_changes_no_earlier_logit(kind: str | None, at: int) -> None:
    model, tokens = gpt(kind, after=(1, 2)), contexts(3)
    states = model.remember(contexts(4, (1, 2)))
    before, after = (model.complete(states, t) for t in (tokens, changed(tokens, 1, at)))
    torch.testing.assert_close(after[:, :, 1, :at], before[:, :, 1, :at], **TOLERANCE)
    assert not torch.isclose(after[:, :, 1, at], before[:, :, 1, at], **TOLERANCE).all()


@pytest.mark.parametrize("kind", [None, *MEMORIES])
def test_contexts_that_only_read_are_independent(kind: str | None) -> None:
    model, tokens = gpt(kind, after=None), contexts(3)
    states = model.remember(contexts(4, (1, 2)))
    together = model.complete(states, tokens)
    alone = torch.cat([model.complete(states, tokens[:, :, n : n + 1]) for n in range(3)], 2)
    torch.testing.assert_close(together, alone, **TOLERANCE)


def test_without_a_memory_contexts_are_independent() -> None:
    model, tokens = gpt(), contexts(3)
    before, after = model(tokens), model(changed(tokens, 1, 0))
    assert torch.equal(after[:, :, [0, 2]], before[:, :, [0, 2]])
    assert not torch.equal(after[:, :, 1], before[:, :, 1])
    assert model.state_size == 0


@EVERY
def test_a_memory_passes_information_to_later_contexts_only(kind: str) -> None:
    model, tokens = gpt(kind), contexts(3)
    before, after = model(tokens), model(changed(tokens, 1, 1))
    torch.testing.assert_close(after[:, :, 0], before[:, :, 0], **TOLERANCE)
    assert not torch.isclose(after[:, :, 2], before[:, :, 2], rtol=1e-5, atol=1e-6).all()


@EVERY
def test_episodes_and_seeds_are_independent(kind: str) -> None:
    model, tokens = gpt(kind, written=3), contexts(4, episodes=3)
    other = tokens.clone()
    other[1, 2] = (other[1, 2] + 1) % TOKENS
    before, after = model(tokens), model(other)
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1, :2], before[1, :2])
    assert not torch.equal(after[1, 2], before[1, 2])


@settings(max_examples=20)
@given(
    kind=st.sampled_from([None, *MEMORIES]),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=5, unique=True),
    training=st.booleans(),
    data=st.data(),
)
def test_a_seed_alone_is_the_seed_in_any_cohort(
    kind: str | None, seeds: list[int], training: bool, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(seeds) - 1))
    results = []
    for cohort in (seeds, seeds[at : at + 1]):
        model, tokens = gpt(kind, cohort, written=4).train(training), contexts(6, cohort)
        logits = model(tokens)
        loss = F.cross_entropy(logits.movedim(-1, 1), tokens[:, :, 4:].roll(-1, -1), reduction="none")
        loss.sum().backward()
        results.append((model, logits.detach()))
    (together, logits), (alone, expected) = results
    torch.testing.assert_close(logits[at], expected[0], **TOLERANCE)
    for (name, one), many in zip(alone.named_parameters(), together.parameters(), strict=True):
        assert torch.equal(one[0], many[at]), "initialisation depends on the cohort"
        if one.grad is not None and many.grad is not None:
            torch.testing.assert_close(many.grad[at], one.grad[0], rtol=1e-3, atol=1e-4, msg=name)


def parameters(*, tokens: int, block: int, width: int, layers: int, expansion: int = 4) -> int:
    """Return the number of parameters of a GPT-2 without biases in its last layer, whose weights are the embedding."""

    def linear(inputs: int, outputs: int) -> int:
        return (inputs + 1) * outputs

    norm = 2 * width
    attention = linear(width, 3 * width) + linear(width, width)
    feedforward = linear(width, expansion * width) + linear(expansion * width, width)
    return (tokens + block) * width + layers * (2 * norm + attention + feedforward) + norm


def test_the_number_of_parameters_is_that_of_gpt_2() -> None:
    shapes: list[dict[str, int]] = [
        {"tokens": 11, "block": 7, "width": 8, "layers": 1},
        {"tokens": 23, "block": 5, "width": 16, "layers": 3},
        {"tokens": 5, "block": 9, "width": 4, "layers": 2, "expansion": 3},
    ]
    for shape in shapes:
        assert parameters_per_seed(gpt(**shape)) == parameters(**shape)  # type: ignore[arg-type]
    assert parameters(tokens=50_304, block=1024, width=768, layers=12) == 124_475_904


def test_initial_values_are_those_of_gpt_2() -> None:
    model = gpt(width=64, layers=2, tokens=200, block=100, initial=0.02)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.dim() == 2:
            assert (parameter == 1).all(), name
        else:
            added = "outward" in name or "narrow" in name
            assert float(parameter.detach().std()) == pytest.approx(0.02 / (math.sqrt(4) if added else 1), rel=0.05), (
                name
            )


@EVERY
def test_with_its_memory_off_it_equals_the_network_without_memory(kind: str) -> None:
    model, plain, tokens = gpt(kind, after=None), gpt(), contexts(3)
    around = {name: p for name, p in model.named_parameters() if not name.startswith("memories.")}
    for name, parameter in plain.named_parameters():
        assert torch.equal(around.pop(name), parameter)
    assert not around
    expected = plain(tokens)
    torch.testing.assert_close(model.complete({}, tokens), expected, **TOLERANCE)
    for network in (model, gpt(kind)):
        logits, states = network.stream(tokens, {})
        assert states == {} == network.remember(tokens, {})
        torch.testing.assert_close(logits, expected, **TOLERANCE)


@EVERY
@pytest.mark.parametrize("after", [(1,), (3,)])
def test_remembering_contexts_at_once_equals_one_by_one(kind: str, after: tuple[int, ...]) -> None:
    model, tokens = gpt(kind, after=after), contexts(5)
    once = model.remember(tokens)
    close(once, one_by_one(model, tokens))
    close(once, model.remember(tokens[:, :, 2:], model.remember(tokens[:, :, :2])))


@EVERY
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("updates", ["every block", "later half"])
def test_a_stream_completes_and_then_remembers(kind: str, shared: bool, updates: str) -> None:
    model, tokens = gpt(kind, after=None, shared=shared, updates=updates), contexts(3)
    states, expected = model.empty(tokens), []
    for n in range(3):
        expected.append(model.complete(states, tokens[:, :, n : n + 1]))
        states = model.remember(tokens[:, :, n : n + 1], states)
    logits, after = model.stream(tokens)
    assert torch.equal(logits, torch.cat(expected, 2))
    assert torch.equal(logits, model(tokens))
    close(after, states)
    close(after, one_by_one(model, tokens))


@EVERY
def test_asked_contexts_read_what_was_written(kind: str) -> None:
    model, tokens = gpt(kind, written=4), contexts(7)
    assert model(tokens).shape == (2, 2, 3, BLOCK, TOKENS)
    expected = model.complete(model.remember(tokens[:, :, :4]), tokens[:, :, 4:])
    assert torch.equal(model(tokens), expected)


def test_a_context_may_be_shorter_than_the_block() -> None:
    model, tokens = gpt("slots"), contexts(3)
    states = model.remember(tokens[..., :4])
    for length in range(1, BLOCK):
        short, whole = (model.complete(states, t) for t in (tokens[..., :length], tokens))
        torch.testing.assert_close(short, whole[..., :length, :], **TOLERANCE)


@pytest.mark.parametrize(("layers", "half"), [(1, {1}), (2, {2}), (3, {2, 3}), (4, {3, 4})])
def test_a_memory_is_written_after_the_blocks_that_update_it(layers: int, half: set[int]) -> None:
    every, later = (gpt("slots", after=None, layers=layers, updates=u) for u in ("every block", "later half"))
    tokens = contexts(2)
    for model, written in ((every, set(range(1, layers + 1))), (later, half)):
        states, empty = model.remember(tokens), model.empty(tokens)
        assert {int(name) for name in states if not torch.equal(states[name][0], empty[name][0])} == written


def test_a_memory_after_a_block_without_updates_is_not_written() -> None:
    model, tokens = gpt("slots", after=(1,), updates="later half"), contexts(2)
    close(model.remember(tokens), model.empty(tokens))
    close(one_by_one(model, tokens), model.empty(tokens))


@EVERY
def test_a_shared_memory_is_a_single_memory(kind: str) -> None:
    one, own, single = (gpt(kind, after=after, shared=s) for after, s in ((None, True), (None, False), ((2,), False)))
    assert list(one.memories) == ["all"] == list(one.remember(contexts(1)))
    assert list(own.memories) == ["1", "2", "3"]
    assert own.state_size == 3 * one.state_size == 3 * single.state_size > 0
    plain = parameters_per_seed(gpt())
    assert parameters_per_seed(own) - plain == 3 * (parameters_per_seed(one) - plain) > 0


def test_remembering_no_contexts_leaves_the_memory_unchanged() -> None:
    model, tokens = gpt("slots"), contexts(2)
    states = model.remember(tokens)
    close(model.remember(tokens[:, :, :0], states), states)


@pytest.mark.parametrize("kind", ["slots", "delta"])
@pytest.mark.parametrize("after", [(1,), None])
def test_a_stream_can_be_trained_past_the_soft_steps(kind: str, after: tuple[int, ...] | None) -> None:
    memory = {**MEMORIES[kind], "soft": 2}
    shape: dict[str, Any] = {"tokens": TOKENS, "block": BLOCK, "width": 16, "heads": 2, "after": after}
    model = GPT(generators=[generator(0, "init")], memory=memory, **shape)
    for step in range(1, 5):
        logits, states = model.stream(contexts(3, (step,)))
        logits.logsumexp(-1).sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        assert {isinstance(state, CandidateState) for state in states.values()} == {step <= 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "layers=0 must be positive"),
        ({"block": 0}, "block=0 must be at least 1 token"),
        ({"written": -1}, "written=-1 0 contexts or more"),
        ({"width": 15}, "width=15 a multiple of heads=2"),
        ({"after": ()}, r"after=\(\) must be blocks from 1 to 3"),
        ({"after": (0, 1)}, r"after=\(0, 1\) must be blocks from 1 to 3"),
        ({"after": (4,)}, r"after=\(4,\) must be blocks from 1 to 3"),
        ({"updates": "first half"}, "updates='first half' must be 'every block' or 'later half'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=rf"^GPT: .*{message}"):
        gpt(**options)


def test_an_input_without_a_context_to_predict_is_refused() -> None:
    model = gpt("slots", written=2)
    with pytest.raises(MemkitError, match=r"^an input of 2 contexts leaves none to predict: the first 2 are written$"):
        model(contexts(2))


def test_a_context_that_is_longer_than_the_block_is_refused() -> None:
    model = gpt("slots", written=1)
    with pytest.raises(MemkitError, match=r"^a context of 7 tokens is too long: the block has 6 tokens$"):
        model(contexts(2, length=BLOCK + 1))
