"""What the answers of each network can depend on, and which options are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from memkit.memories import slots
from memkit.models import LSTMNetwork, SlotNetwork, TransformerNetwork
from memkit.models.addressing import FactorisedAddressing, RuleAddressing, UnfactorisedAddressing
from memkit.models.layers import split_positions
from memkit.tasks.binding import Execution, Rebinding, Retrieval
from memkit.tasks.binding.vocabulary import DO, IS, MEANS, RECALL
from memkit.training.streams import generator

RULE = {"binders": (MEANS, IS), "queries": (DO, RECALL)}


def one(task: Retrieval | Execution | Rebinding, **options: object) -> SlotNetwork:
    return SlotNetwork(generators=[generator(0, "init")], width=16, **options, **task.sizes)  # type: ignore[arg-type]


def encode(task: Retrieval | Execution | Rebinding, *commands: str) -> torch.Tensor:
    rows = [task.vocabulary.encode(command) for command in commands]
    length = task.sizes["length"]
    return torch.tensor([[[0] * (length - len(row)) + row for row in rows]])


def test_a_static_memory_addressed_by_rule_cannot_see_the_value() -> None:
    task = Retrieval()
    commands = encode(task, "X is jump recall X", "X is run recall X")
    first, second = one(task, memory="static", **RULE)(commands)[0]
    assert torch.equal(first, second)
    first, second = one(task, memory="additive", **RULE)(commands)[0]
    assert not torch.equal(first, second)


def test_the_rule_uses_the_positions_of_the_published_model() -> None:
    task = Rebinding()
    model = one(task, memory="overwriting", **RULE)
    command = encode(task, "X means jump do X then X means walk do X")
    plan = model.addressing(command, model.embedding.weight)
    assert plan.gate[0, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]
    # The first answer uses the read at the first `do X`, and the second that at the second.
    assert plan.when[0, 0].argmax(-1).tolist() == [4, 10]
    assert torch.equal(plan.when.sum(-1), torch.ones(1, 1, 2))
    torch.testing.assert_close(plan.write_address[0, 0, 2], plan.read_address[0, 0, 4])


def test_one_read_serves_all_answers_of_an_execution() -> None:
    task = Execution()
    model = one(task, **RULE)
    command = encode(task, "X means jump do X twice", "X means jump do X")
    plan = model.addressing(command, model.embedding.weight)
    assert plan.when[0].argmax(-1).tolist() == [[4, 4, 4], [5, 5, 5]]


@pytest.mark.parametrize("addressing", ["factorised", "unfactorised"])
def test_learnt_addresses_and_times_are_distributions(addressing: str) -> None:
    task = Rebinding()
    model = one(task, addressing=addressing, slots=5)
    command = encode(task, "X means jump do X then X means walk do X")
    plan = model.addressing(command, model.embedding.weight)
    for weights in (plan.write_address, plan.read_address, plan.when):
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert ((plan.gate > 0) & (plan.gate < 1)).all()


def test_a_factorised_address_does_not_depend_on_the_value() -> None:
    """With a sharp choice of the offset, `X is jump` and `X is run` have the same write address."""
    task = Retrieval()
    model = one(task, addressing="factorised", slots=5)
    factorised = model.addressing
    with torch.no_grad():
        factorised.choose_offset[0, 0, 0, 2, 0] = 1e4  # always the token two positions back
    command = encode(task, "X is jump recall X", "X is run recall X")
    plan = factorised(command, model.embedding.weight)
    assert torch.equal(plan.write_address[0, 0, 2], plan.write_address[0, 1, 2])


def test_later_tokens_do_not_change_earlier_operations() -> None:
    """The operations up to a token do not change with later tokens."""
    task = Retrieval(stored=2)
    for options in ({"addressing": "factorised"}, {"addressing": "unfactorised"}, RULE):
        model = one(task, memory="overwriting", **options)
        commands = encode(task, "X is jump Y is run recall X", "X is jump Y is walk recall Y")
        plan = model.addressing(commands, model.embedding.weight)
        every = torch.eye(plan.when.shape[-1]).expand(1, 2, -1, -1)
        first, second = model.read(plan._replace(when=every))[0]
        torch.testing.assert_close(first[:5], second[:5])


def step_by_step(model: SlotNetwork, tokens: torch.Tensor) -> torch.Tensor:
    """Return logits computed from the equations, with a memory that is written and read token by token."""
    words, addressing = model.embedding.weight, model.addressing
    plan = addressing(tokens, words)
    nothing = torch.zeros_like(model.embedding(tokens[:, :, :1]))
    e = torch.cat([nothing, nothing, model.embedding(tokens)], 2)
    # [S, B, L, 3, d], the current token first.
    recent = torch.stack([e[:, :, 2 - o : e.shape[2] - o] for o in range(3)], 3)
    if isinstance(addressing, RuleAddressing):
        keys = values = recent[:, :, :, 0]
        address = torch.softmax(addressing.sharpness * addressing.address(keys), -1)
        torch.testing.assert_close(plan.read_address, address)
    elif isinstance(addressing, FactorisedAddressing):
        scores = torch.stack([addressing.choose(x) for x in recent.unbind(3)], 3)
        scores = torch.where(recent.any(-1, keepdim=True), scores, 0.0) + addressing.choose_offset
        to, values, whom = (torch.softmax(scores, 3).transpose(3, 4) @ recent).unbind(3)
        for keys, actual in ((to, plan.write_address), (whom, plan.read_address)):
            torch.testing.assert_close(actual, torch.softmax(addressing.sharpness * addressing.address(keys), -1))
    else:
        assert isinstance(addressing, UnfactorisedAddressing)
        values = recent.flatten(3)
        for linear, actual in (
            (addressing.write_address, plan.write_address),
            (addressing.read_address, plan.read_address),
        ):
            torch.testing.assert_close(actual, torch.softmax(addressing.sharpness * linear(values), -1))
    if not isinstance(addressing, RuleAddressing):
        flat = recent.flatten(3)
        torch.testing.assert_close(plan.gate, torch.sigmoid(addressing.gate(flat)).squeeze(-1))
        when = addressing.when(flat).transpose(2, 3) + addressing.when_time
        torch.testing.assert_close(plan.when, torch.softmax(when, -1))
    values, reads = addressing.value(values), []
    state = slots.reset(values[:, :, 0], plan.write_address.shape[-1])
    for t in range(tokens.shape[-1]):
        if model.memory == "static":
            state = model.constant.expand(-1, tokens.shape[1], -1, -1)
        else:
            written = (plan.write_address[:, :, t], values[:, :, t], plan.gate[:, :, t])
            state = slots.write(state, *written, writing=model.memory)
        reads.append(slots.read(state, plan.read_address[:, :, t]))
    logits: torch.Tensor = model.decoder(plan.when @ torch.stack(reads, 2))
    if model.direct is None:
        return logits
    return logits + split_positions(model.direct(model.embedding(tokens[:, :, -1])), model.positions)


@pytest.mark.parametrize("memory", ["static", "additive", "overwriting"])
@pytest.mark.parametrize("addressing", ["rule", "factorised", "unfactorised"])
@pytest.mark.parametrize("task", [Rebinding(), Retrieval(stored=2)], ids=["rebinding", "retrieval"])
def test_the_closed_form_equals_the_equations(task: Rebinding | Retrieval, addressing: str, memory: str) -> None:
    kind: dict[str, Any] = {"addressing": addressing, "memory": memory, "sharpness": 3.0, **RULE}
    generators = [generator(seed, "init") for seed in range(3)]
    model = SlotNetwork(generators=generators, width=8, slots=3, direct=memory != "static", **kind, **task.sizes)
    with torch.no_grad():  # otherwise many start at 0
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator(0, "shift"))
    tokens = torch.stack([task.for_seed(generator(s, "split"))(generator(s, "data"), 6)[0] for s in range(3)])
    torch.testing.assert_close(model(tokens), step_by_step(model, tokens), rtol=1e-4, atol=1e-5)


def test_computing_the_last_block_for_the_last_token_only_changes_nothing() -> None:
    task = Retrieval(stored=2)
    model = TransformerNetwork(generators=[generator(0, "init")], width=16, heads=2, **task.sizes)
    tokens = encode(task, "X is jump Y is run recall X", "Y is walk X is run recall Y")
    x, visible = model.embedding(tokens) + model.position, tokens != 0
    for block in model.blocks:
        x = block(x, visible, last=False)
    logits = split_positions(model.decoder(model.last(x[:, :, -1])), 1)
    torch.testing.assert_close(model(tokens), logits)


def test_the_transformer_ignores_padding() -> None:
    task = Execution()
    model = TransformerNetwork(generators=[generator(0, "init")], width=16, heads=2, **task.sizes)
    command = encode(task, "X means jump do X")
    before = model(command)
    with torch.no_grad():
        model.embedding.weight[0, 0] += 5.0
    assert torch.equal(model(command), before)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SlotNetwork, {"memory": "dynamic"}, "memory must be 'static'"),
        (SlotNetwork, {"slots": 0}, "slots must be at least 1"),
        (SlotNetwork, {"addressing": "given"}, "addressing must be 'rule'"),
        (SlotNetwork, {"addressing": "rule"}, "needs the tokens `binders` and `queries`"),
        (LSTMNetwork, {"layers": 0}, "layers must be at least 1"),
        (TransformerNetwork, {"layers": 0}, "layers must be at least 1"),
        (TransformerNetwork, {"width": 30, "heads": 4}, "width must be a multiple of heads"),
    ],
)
def test_a_wrong_option_is_named(kind: type, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(generators=[generator(0, "init")], **options, **Retrieval().sizes)
