"""The memories of a GPT: their states and reads against the equations, and gradients of their parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.memories import linformer
from memkit.models.gpt_memory import KINDS, memory_layer
from memkit.models.gpt_memory.documented import DocumentedMemory
from memkit.models.gpt_memory.learnt import LearntSlots
from memkit.models.gpt_memory.linformer import LinformerMemory
from memkit.training.streams import generator
from tests.models.gpt_memories import (
    EPISODES,
    EVERY,
    LENGTH,
    SEEDS,
    SETTINGS,
    SIZES,
    WIDTH,
    after,
    close,
    hidden,
    layer,
    linear,
    normed,
)


def test_all_kinds_are_tested() -> None:
    assert KINDS.keys() == SETTINGS.keys() == SIZES.keys()


@EVERY
def test_state_size_is_the_size_of_a_state(kind: str) -> None:
    memory, x = layer(kind), hidden(4)
    for state in (memory.empty(EPISODES, x.device), after(memory, x)):
        assert all(part.shape[:2] == (len(SEEDS), EPISODES) for part in state)
        assert sum(part[0, 0].numel() for part in state) == memory.state_size == SIZES[kind]


@EVERY
def test_parameters_and_buffers_have_a_seed_axis(kind: str) -> None:
    memory = layer(kind)
    assert all(p.shape[0] == len(SEEDS) for p in (*memory.parameters(), *memory.buffers()))


@EVERY
def test_writing_does_not_change_the_given_state(kind: str) -> None:
    memory, x = layer(kind), hidden(3)
    empty = memory.empty(EPISODES, x.device)
    copies = [part.clone() for part in empty]
    state = memory.written(empty, x)
    assert all(torch.equal(part, copy) for part, copy in zip(empty, copies, strict=True))
    assert not all(torch.equal(part, copy) for part, copy in zip(state, copies, strict=True))


@EVERY
@pytest.mark.parametrize("training", [False, True])
def test_contexts_are_written_one_after_another(kind: str, training: bool) -> None:
    options = {"soft": 0} if kind in ("slots", "delta") else {}
    memory, x = layer(kind, **options).train(training), hidden(5)
    state = memory.empty(EPISODES, x.device)
    for n in range(5):
        state = memory.written(state, x[:, :, n : n + 1])
    close(state, after(memory, x))


@EVERY
def test_contexts_are_read_independently(kind: str) -> None:
    memory, x = layer(kind), hidden(3, "asked")
    state = after(memory, hidden(4))
    read = memory.read(state, x)
    assert read.shape == x.shape
    for n in range(3):
        torch.testing.assert_close(read[:, :, n : n + 1], memory.read(state, x[:, :, n : n + 1]))


@EVERY
def test_reads_depend_on_what_was_written(kind: str) -> None:
    memory, x = layer(kind), hidden(2, "asked")
    one, other = (memory.read(after(memory, hidden(4, name)), x) for name in ("one", "other"))
    assert not torch.isclose(one, other, rtol=1e-5, atol=1e-6).all()


@pytest.mark.parametrize(
    ("kind", "phase"),
    [*((kind, phase) for kind in KINDS for phase in ("entries", "evaluation")), ("slots", "soft"), ("delta", "soft")],
)
def test_a_gradient_reaches_every_parameter(kind: str, phase: str) -> None:
    memory = layer(kind, **({"soft": 9 * (phase == "soft")} if kind in ("slots", "delta") else {}))
    memory.train(phase != "evaluation")
    # Enough contexts for a documented memory to write to a slot that is not empty.
    x, asked = hidden(5).requires_grad_(), hidden(2, "asked")
    F.mse_loss(memory.read(after(memory, x), asked), hidden(2, "target")).backward()
    # A constant added to the scores of all slots does not change the softmax.
    dead = {"project.bias"} if kind == "documented" else set()
    for name, parameter in memory.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name not in dead:
            assert parameter.grad.flatten(1).abs().amax(1).min() > 1e-9, name
    assert x.grad is not None
    assert x.grad.isfinite().all()
    if kind != "linformer":
        assert x.grad.any()


@EVERY
def test_seeds_and_episodes_are_independent(kind: str) -> None:
    memory, x, asked = layer(kind), hidden(4), hidden(2, "asked")
    other = x.clone()
    other[1, 2] += 1
    other[1, 2, 0, 0] *= -3
    one, two = (memory.read(after(memory, written), asked) for written in (x, other))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1, :2], two[1, :2])
    assert not torch.equal(one[1, 2], two[1, 2])


@pytest.mark.parametrize("kind", ["delta", "learnt", "documented"])
def test_values_without_keys_cannot_be_permuted(kind: str) -> None:
    memory = layer(kind)
    message = f"{type(memory).__name__} has no separate keys and values, so its values cannot be permuted"
    with pytest.raises(MemkitError, match=f"^{message}$"):
        memory.permute_values(after(memory, hidden(4)), torch.tensor([1, 2, 0]))


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ({"kind": "slot"}, r"^memory=\{'kind': 'slot'\} must have a kind; did you mean 'slots'\?$"),
        ({"slots": 8}, r"^memory=\{'slots': 8\} must have a kind; known: delta, .*, slots$"),
        (
            {"kind": "slots", "slotz": 8},
            r"^a memory of kind 'slots' has no setting 'slotz'; did you mean 'slots'\?$",
        ),
        ({"kind": "delta", "slots": 8}, "^a memory of kind 'delta' has no setting 'slots'; did you mean 'soft'"),
        ({"kind": "slots", "width": 8}, "^a memory of kind 'slots' has no setting 'width'"),
        ({"kind": "slots", "slots": 0}, "^SlotMemory: slots=0 must be at least 1$"),
        ({"kind": "delta", "ahead": 0}, "^DeltaMemory: ahead=0 must be at least 1$"),
        ({"kind": "delta", "key": 0}, "^DeltaMemory: key=0 must be at least 1$"),
        ({"kind": "learnt", "heads": 5}, "^LearntSlots: .* width=12 a multiple of heads=5$"),
        ({"kind": "learnt", "slots": 0}, "^LearntSlots: slots=0 must be at least 1"),
        ({"kind": "linformer", "norm": "layr"}, r"^LinformerMemory: norm='layr' is unknown; did you mean 'layer'\?$"),
        ({"kind": "linformer", "temperature": 0}, "^LinformerMemory: .* temperature=0 greater than 0$"),
        ({"kind": "linformer", "lr": -1}, "^LinformerMemory: .* lr=-1 0 or more"),
        ({"kind": "documented", "updated": 17}, "^DocumentedMemory: updated=17 must be from 1 to slots=16$"),
    ],
)
def test_a_wrong_setting_is_named(memory: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        memory_layer([generator(0, "init")], WIDTH, memory)


def test_a_linformer_memory_is_written_and_read_as_published() -> None:
    memory, x, asked = layer("linformer", lr=0.4, norm="layer", temperature=0.2), hidden(3), hidden(1, "asked")
    assert isinstance(memory, LinformerMemory)
    (slots,) = state = after(memory, x)
    read = memory.read(state, asked)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            expected = memory.first[s]
            for n in range(3):
                expected = linformer.write(expected, x[s, b, n], lr=0.4, norm="layer", temperature=0.2)
            torch.testing.assert_close(slots[s, b], expected, rtol=1e-4, atol=1e-5)
            for t in range(LENGTH):
                cosines = F.cosine_similarity(asked[s, b, 0, t], expected, dim=-1)
                expected_read = linear(memory.outward, s, cosines)
                torch.testing.assert_close(read[s, b, 0, t], expected_read, rtol=1e-4, atol=1e-5)


def test_a_documented_memory_writes_the_least_written_slots() -> None:
    memory, x, asked = layer("documented"), hidden(3), hidden(1, "asked")
    assert isinstance(memory, DocumentedMemory)
    slots, uses = state = after(memory, x)
    assert uses.unique(dim=1).tolist() == [[[2, 2, 1, 1]]] * len(SEEDS)
    read = memory.read(state, asked)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            expected = torch.zeros(4, WIDTH)
            for n, chosen in enumerate(([0, 1], [2, 3], [0, 1])):
                mean = x[s, b, n].mean(0)
                for k in chosen:
                    gate_inputs = torch.cat([linear(memory.old, s, expected[k]), mean])
                    gate = torch.sigmoid(linear(memory.gate, s, gate_inputs))
                    expected[k] = gate * linear(memory.summary, s, mean) + (1 - gate) * expected[k]
            torch.testing.assert_close(slots[s, b], expected, rtol=1e-4, atol=1e-5)
            for t in range(LENGTH):
                query, keys = linear(memory.query, s, asked[s, b, 0, t]), linear(memory.project, s, expected)
                weights = (keys @ query / WIDTH**0.5).softmax(0)
                expected_read = weights @ linear(memory.value, s, expected)
                torch.testing.assert_close(read[s, b, 0, t], expected_read, rtol=1e-4, atol=1e-5)


def test_learnt_slots_are_written_and_read_by_attention() -> None:
    memory, x, asked = layer("learnt", heads=1), hidden(2), hidden(1, "asked")
    assert isinstance(memory, LearntSlots)
    (slots,) = state = after(memory, x)
    read = memory.read(state, asked)

    def attend(module: Any, s: int, one: Tensor, gate_inputs: Tensor) -> Tensor:
        key, value = linear(module.key_value, s, gate_inputs).chunk(2, -1)
        weights = (linear(module.query, s, one) @ key.T / WIDTH**0.5).softmax(-1)
        return linear(module.outward, s, weights @ value)

    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            expected = memory.first[s]
            for n in range(2):
                normalised, y = normed(memory.before_slots, s, expected), normed(memory.before_tokens, s, x[s, b, n])
                gate_inputs = attend(memory.writing, s, normalised, torch.cat([normalised, y]))
                gate = torch.sigmoid(linear(memory.gate, s, torch.cat([normalised, gate_inputs], -1)))
                expected = (1 - gate) * expected + gate * gate_inputs
            torch.testing.assert_close(slots[s, b], expected, rtol=1e-4, atol=1e-5)
            y = normed(memory.before_tokens, s, asked[s, b, 0])
            expected_read = attend(memory.reading, s, y, normed(memory.before_slots, s, expected))
            torch.testing.assert_close(read[s, b, 0], expected_read, rtol=1e-4, atol=1e-5)
