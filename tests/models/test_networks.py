"""What each network can see, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from memkit.models import LSTMNetwork, SlotNetwork, TransformerNetwork
from memkit.tasks.binding import Execution, Rebinding, Retrieval
from memkit.tasks.binding.vocabulary import DO, IS, MEANS, RECALL
from memkit.training.streams import generator

RULE = {"binders": (MEANS, IS), "queries": (DO, RECALL)}


def one(task: Retrieval | Execution | Rebinding, **options: object) -> SlotNetwork:
    return SlotNetwork(generators=[generator(0, "init")], width=16, **options, **task.sizes)  # type: ignore[arg-type]


def said(task: Retrieval | Execution | Rebinding, *commands: str) -> torch.Tensor:
    rows = [task.vocabulary.encode(command) for command in commands]
    length = task.sizes["length"]
    return torch.tensor([[[0] * (length - len(row)) + row for row in rows]])


def test_a_static_memory_addressed_by_rule_cannot_see_the_value() -> None:
    task = Retrieval()
    commands = said(task, "X is jump recall X", "X is run recall X")
    first, second = one(task, memory="static", **RULE)(commands)[0]
    assert torch.equal(first, second)
    first, second = one(task, memory="additive", **RULE)(commands)[0]
    assert not torch.equal(first, second)


def test_the_rule_writes_and_reads_where_the_published_model_did() -> None:
    task = Rebinding()
    model = one(task, memory="overwriting", **RULE)
    command = said(task, "X means jump do X then X means walk do X")
    plan = model.addressing(command, model.embedding(command))
    assert plan.gate[0, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]
    # The first answer is made of the read at the first `do X`, the second of the second's.
    assert plan.when[0, 0].argmax(-1).tolist() == [4, 10]
    assert torch.equal(plan.when.sum(-1), torch.ones(1, 1, 2))
    torch.testing.assert_close(plan.write_address[0, 0, 2], plan.read_address[0, 0, 4])


def test_one_read_serves_all_answers_of_an_execution() -> None:
    task = Execution()
    model = one(task, **RULE)
    command = said(task, "X means jump do X twice", "X means jump do X")
    plan = model.addressing(command, model.embedding(command))
    assert plan.when[0].argmax(-1).tolist() == [[4, 4, 4], [5, 5, 5]]


@pytest.mark.parametrize("addressing", ["factorised", "unfactorised"])
def test_learnt_addresses_and_times_are_distributions(addressing: str) -> None:
    task = Rebinding()
    model = one(task, addressing=addressing, slots=5)
    command = said(task, "X means jump do X then X means walk do X")
    plan = model.addressing(command, model.embedding(command))
    for weights in (plan.write_address, plan.read_address, plan.when):
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert ((plan.gate > 0) & (plan.gate < 1)).all()


def test_a_factorised_address_does_not_depend_on_the_value() -> None:
    """With the offset chosen sharply, `X is jump` and `X is run` go to the same place."""
    task = Retrieval()
    model = one(task, addressing="factorised", slots=5)
    factorised = model.addressing
    with torch.no_grad():
        factorised.choose_offset[0, 0, 0, 2, 0] = 1e4  # always the token two back
    command = said(task, "X is jump recall X", "X is run recall X")
    plan = factorised(command, model.embedding(command))
    assert torch.equal(plan.write_address[0, 0, 2], plan.write_address[0, 1, 2])


def test_the_future_is_not_seen() -> None:
    """Reads up to a token do not change with what comes after it."""
    task = Retrieval(stored=2)
    for options in ({"addressing": "factorised"}, {"addressing": "unfactorised"}, RULE):
        model = one(task, memory="overwriting", **options)
        commands = said(task, "X is jump Y is run recall X", "X is jump Y is walk recall Y")
        first, second = model.reads(model.addressing(commands, model.embedding(commands)))[0]
        torch.testing.assert_close(first[:5], second[:5])


def test_the_transformer_does_not_look_at_padding() -> None:
    task = Execution()
    model = TransformerNetwork(generators=[generator(0, "init")], width=16, heads=2, **task.sizes)
    command = said(task, "X means jump do X")
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
