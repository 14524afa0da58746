"""Interventions on slot networks: stepping equals the closed form, and an edit has exactly its own effect."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fixtures.binding.causality import (
    addressed_apart,
    addressed_together,
    asking_for_the_other,
    other_emptied,
    own_emptied,
    share_apart,
    shuffled,
    slots_of_both_variables,
    swapped,
    two_least_read_slots,
    unread_swapped,
    with_other_answers,
)
from fixtures.binding.recipes import SEVERAL_VARIABLES
from memkit.memories import slots
from memkit.models import SlotNetwork
from memkit.models.interventions import Edited, Readdressed, final_read_address, most_read_slot
from memkit.models.slots import add_penalty_gradient, read_imbalance
from memkit.tasks.binding import Rebinding, Retrieval
from memkit.tasks.binding.vocabulary import DO, IS, MEANS, RECALL
from memkit.training.streams import generator

RULE = {"binders": (MEANS, IS), "queries": (DO, RECALL)}
WORDS = SEVERAL_VARIABLES.vocabulary


def network(task: Any, seeds: int = 2, **options: Any) -> SlotNetwork:
    """Return an untrained network with every parameter moved away from its initial value."""
    options = {"width": 8, "slots": 4, "addressing": "factorised", "memory": "overwriting", **options}
    generators = [generator(seed, "init") for seed in range(seeds)]
    model = SlotNetwork(generators=generators, **options, **task.sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator(0, "shift"))
    return model.eval()


def drawn(task: Any, seeds: int = 2, size: int = 6) -> Tensor:
    return torch.stack([task.for_seed(generator(s, "split"))(generator(s, "data"), size)[0] for s in range(seeds)])


def encode(*commands: str) -> Tensor:
    return torch.tensor([[WORDS.encode(command) for command in commands]])


@pytest.mark.parametrize("memory", ["static", "additive", "overwriting"])
@pytest.mark.parametrize("addressing", ["rule", "factorised", "unfactorised"])
@pytest.mark.parametrize("task", [Rebinding(), Retrieval(stored=2)], ids=["rebinding", "retrieval"])
def test_stepwise_equals_the_closed_form(task: Any, addressing: str, memory: str) -> None:
    rule = RULE if addressing == "rule" else {}
    model = network(task, addressing=addressing, memory=memory, sharpness=3.0, **rule)
    tokens = drawn(task)
    torch.testing.assert_close(model.stepwise(tokens), model(tokens), rtol=1e-5, atol=1e-5)


def by_hand(task: Retrieval) -> SlotNetwork:
    """Return a network with one slot per variable, hard addresses (e^-200 is 0) and orthogonal values of actions."""
    tokens = task.sizes["tokens"]
    model = network(task, 1, addressing="rule", width=tokens, slots=task.variables, direct=False, **RULE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.weight += torch.eye(tokens)
        model.addressing.value.weight += torch.eye(tokens)
        for i in range(task.variables):
            model.addressing.address.weight[0, task.vocabulary.variable(i), i] = 200.0
        for i in range(task.actions):
            model.decoder.weight[0, task.vocabulary.action(i), task.vocabulary.action_answer(i)] = 1.0
    return model


def answers_of(model: torch.nn.Module, *commands: str) -> list[str]:
    return [WORDS.decode_answer([answer]) for answer in model(encode(*commands)).argmax(-1)[0, :, 0].tolist()]


def test_effects_of_edits_on_a_network_with_weights_set_by_hand() -> None:
    model = by_hand(SEVERAL_VARIABLES)
    commands = "X is jump Y is walk recall X", "X is jump Y is walk recall Y", "V is run Z is look recall Z"
    tokens = encode(*commands)
    assert answers_of(model, *commands) == ["JUMP", "WALK", "LOOK"]
    assert [slot.tolist() for slot in slots_of_both_variables(model, tokens)] == [[[0, 1, 2]], [[1, 0, 4]]]
    assert answers_of(swapped(model), *commands) == ["WALK", "JUMP", "RUN"]
    unread = torch.stack(two_least_read_slots(model, tokens), -1)[0].tolist()
    assert all(not {own, other} & set(free) for free, own, other in zip(unread, (0, 1, 2), (1, 0, 4), strict=True))
    assert (
        answers_of(unread_swapped(model), *commands)
        == answers_of(other_emptied(model), *commands)
        == answers_of(model, *commands)
    )
    emptied = own_emptied(model)(tokens)
    torch.testing.assert_close(emptied, torch.zeros_like(emptied), atol=1e-6, rtol=0)
    # With another command's memory: a slot that it did not write is empty, the other two contain its values.
    order = torch.randperm(3, generator=torch.Generator().manual_seed(0)).tolist()
    memories = [{"X": "JUMP", "Y": "WALK"}] * 2 + [{"V": "RUN", "Z": "LOOK"}]
    expected = [memories[order[i]].get("XYZ"[i], "END") for i in range(3)]
    assert answers_of(shuffled(model), *commands) == expected
    assert share_apart(model, (tokens[0], torch.empty(0))) == 1.0


def test_the_last_write_wins_if_two_variables_share_an_address() -> None:
    model = by_hand(SEVERAL_VARIABLES)
    commands = "X is jump Y is walk recall X", "U is jump Z is walk recall Z", "V is run Z is look recall V"
    assert answers_of(addressed_apart(model), *commands) == ["JUMP", "WALK", "RUN"]
    assert answers_of(addressed_together(model), *commands) == ["WALK", "WALK", "LOOK"]


def test_distant_addresses_are_found_where_others_collide() -> None:
    model = by_hand(SEVERAL_VARIABLES)
    with torch.no_grad():  # all variables except V share one slot
        model.addressing.address.weight[0, :, 0] = model.addressing.address.weight[0, :, :4].sum(-1)
        model.addressing.address.weight[0, :, 1:4] = 0.0
    commands = "X is jump Y is walk recall X", "X is jump Y is walk recall Y"
    assert answers_of(model, *commands) == ["WALK", "WALK"]
    assert share_apart(model, (encode(*commands)[0], torch.empty(0))) == 0.0
    assert answers_of(addressed_apart(model), *commands) == ["JUMP", "WALK"]


def test_an_identity_edit_changes_no_logits() -> None:
    model, tokens = network(SEVERAL_VARIABLES), drawn(SEVERAL_VARIABLES)
    unchanged = Edited(model, lambda memory, own, other: memory, slots_of_both_variables)
    torch.testing.assert_close(unchanged(tokens), model(tokens), rtol=1e-5, atol=1e-5)
    assert torch.equal(Readdressed(model, lambda model, tokens: tokens)(tokens), model(tokens))


def test_an_edit_affects_reads_but_not_later_writes() -> None:
    """Every read is from the edited memory, but writes continue on the original."""
    model, tokens = network(Rebinding()), drawn(Rebinding())
    plan = model.plan(tokens)
    addresses = plan.read_address.unbind(2)
    reads = [slots.read(memory, at) for memory, at in zip(model.states(plan), addresses, strict=True)]
    doubled = Edited(model, lambda memory: 2 * memory, lambda model, tokens: ())
    expected = model.answer(2 * (plan.when @ torch.stack(reads, 2)), tokens)
    torch.testing.assert_close(doubled(tokens), expected, rtol=1e-5, atol=1e-5)


def test_edits_of_a_seed_do_not_depend_on_its_cohort() -> None:
    model, tokens = network(SEVERAL_VARIABLES, 3), drawn(SEVERAL_VARIABLES, 3)
    alone = network(SEVERAL_VARIABLES, 1)
    alone.load_state_dict({name: tensor[1:2] for name, tensor in model.state_dict().items()})
    for intervention in (swapped, own_emptied, shuffled, addressed_apart, addressed_together):
        together = intervention(model)(tokens)
        torch.testing.assert_close(intervention(alone)(tokens[1:2])[0], together[1], rtol=1e-5, atol=1e-6)


def test_the_other_variable_and_its_value() -> None:
    tokens = encode("X is jump Y is walk recall X", "V is run Z is look recall Z")
    assert torch.equal(
        asking_for_the_other(tokens), encode("X is jump Y is walk recall Y", "V is run Z is look recall V")
    )
    _, targets = with_other_answers(SEVERAL_VARIABLES, (tokens[0], torch.empty(0)))
    assert [WORDS.decode_answer(target) for target in targets.tolist()] == ["WALK", "RUN"]


def test_slot_read_is_the_argmax_of_address_read() -> None:
    model, tokens = network(SEVERAL_VARIABLES), drawn(SEVERAL_VARIABLES)
    address = final_read_address(model, tokens)
    assert torch.equal(address, model.plan(tokens).read_address[:, :, -1])
    assert torch.equal(most_read_slot(model, tokens), address.argmax(-1))


def test_read_imbalance_by_known_values() -> None:
    model, tokens = network(SEVERAL_VARIABLES, slots=4), drawn(SEVERAL_VARIABLES, size=4)
    plan = model.plan(tokens)

    def reading(*slot: int) -> Tensor:
        address = F.one_hot(torch.tensor(slot), 4).float().view(1, 4, 1, 4).expand(2, -1, tokens.shape[2], -1)
        return read_imbalance(plan._replace(read_address=address))

    torch.testing.assert_close(reading(0, 1, 2, 3), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(reading(2, 2, 2, 2), torch.full((2,), 3.0))
    torch.testing.assert_close(reading(0, 0, 1, 1), torch.ones(2))


def test_add_penalty_gradient_keeps_the_logits() -> None:
    x = torch.randn(2, 3, 1, 5, generator=generator(0, "x")).requires_grad_()
    y = torch.tensor([1.0, 2.0], requires_grad=True)
    output = add_penalty_gradient(x, 3 * y)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert torch.equal(x.grad, 2 * x.detach())  # type: ignore[arg-type]
    assert y.grad is not None
    assert y.grad.tolist() == [3, 3]


def test_balance_affects_training_only() -> None:
    plain, balanced = network(SEVERAL_VARIABLES), network(SEVERAL_VARIABLES, balance=0.5)
    tokens = drawn(SEVERAL_VARIABLES)
    gradients = []
    for model in (plain.train(), balanced.train()):
        logits = model(tokens)
        loss = logits.square().sum()
        loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    assert torch.equal(plain(tokens), balanced(tokens))
    penalty = 0.5 * read_imbalance(plain.plan(tokens)).sum()
    for p, got, without in zip(plain.parameters(), gradients[1], gradients[0], strict=True):
        (extra,) = torch.autograd.grad(penalty, p, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(got, without if extra is None else without + extra, rtol=1e-4, atol=1e-5)
