"""The managed slot network: closed form and steps, alone and in a cohort, and the effects of its two switches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fixtures.binding import composition as sequences
from fixtures.binding import management as arms
from memkit import Recipe
from memkit.models import SlotNetwork, parameters_per_seed
from memkit.models.managed_slots import ManagedSlotNetwork, uncleared, unprotected
from memkit.tasks.binding.management import Management
from memkit.training.process import prepared_process
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.models.test_cohorts import TOLERANCE, TRAINED

TASK = Management(updates=1)
WORDS = TASK.vocabulary


def network(seeds: list[int], *, moved: bool = True, **options: Any) -> ManagedSlotNetwork:
    model = ManagedSlotNetwork(
        generators=[generator(s, "init") for s in seeds], **{"width": 8, "slots": 3, **options}, **TASK.sizes
    )
    if moved:
        with torch.no_grad():  # otherwise some start at 0
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn(parameter.shape[1:], generator=generator(0, "shift"))
    return model


def drawn(seeds: list[int]) -> Tensor:
    return torch.stack([TASK.for_seed(generator(s, "split"))(generator(s, "data"), 6)[0] for s in seeds])


def encode(*commands: str) -> Tensor:
    rows = [WORDS.encode(command) for command in commands]
    return torch.tensor([[[0] * (TASK.sizes["length"] - len(row)) + row for row in rows]])


@pytest.mark.parametrize("switches", [{}, {"clears": False}, {"protects": False}], ids=str)
@pytest.mark.parametrize("assign", ["soft", "straight-through"])
def test_stepwise_equals_the_closed_form(assign: str, switches: dict[str, bool]) -> None:
    model = network([0, 1, 2], assign=assign, closed=0.0, sharpness=3.0, **switches)
    tokens = drawn([0, 1, 2])
    torch.testing.assert_close(model.stepwise(tokens), model(tokens), rtol=1e-4, atol=1e-5)


def test_without_both_gates_it_equals_the_overwriting_slot_network() -> None:
    model = network([0, 1], moved=False, clears=False, protects=False)
    plain = SlotNetwork(
        generators=[generator(s, "init") for s in (0, 1)],
        width=8,
        slots=3,
        addressing="factorised",
        memory="overwriting",
        direct=False,
        **TASK.sizes,
    )
    own = dict(model.named_parameters())
    assert set(own) - {name for name, _ in plain.named_parameters()} == {"manage.weight", "manage.bias"}
    assert all(torch.equal(parameter, own[name]) for name, parameter in plain.named_parameters())
    tokens = drawn([0, 1])
    torch.testing.assert_close(model(tokens), plain(tokens), rtol=1e-4, atol=1e-5)


def test_a_seed_alone_is_the_seed_in_a_cohort() -> None:
    seeds = [4, 7, 1, 12]
    together, tokens = network(seeds, moved=False), drawn(seeds)
    for at, seed in enumerate(seeds):
        alone = network([seed], moved=False)
        for part, parameter in together.named_parameters():
            assert torch.equal(parameter[at], alone.get_parameter(part)[0]), part
        torch.testing.assert_close(together(tokens)[at], alone(tokens[at : at + 1])[0], **TOLERANCE)


def test_a_seed_trained_alone_is_the_seed_trained_in_a_cohort() -> None:
    recipe = Recipe(
        TASK, ManagedSlotNetwork, options={"width": 12}, optimizer="sgd", lr=0.5, steps=6, batch=8, clip=1.0
    )
    with prepared_process():
        (alone,) = train(recipe, [7])
        together = train(recipe, [4, 7, 1])[1]
    for part, tensor in alone.state.items():
        torch.testing.assert_close(together.state[part], tensor, **TRAINED, msg=part)


def test_a_diverged_seed_does_not_change_the_others() -> None:
    healthy, broken = network([0, 1, 2]), network([0, 1, 2])
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter[1] = float("nan")
    tokens = drawn([0, 1, 2])
    expected, got = healthy(tokens), broken(tokens)
    assert got[1].isnan().all()
    assert torch.equal(got[[0, 2]], expected[[0, 2]])


def by_hand() -> ManagedSlotNetwork:
    """Return a network with one slot per variable, hard addresses and gates, and orthogonal values of actions."""
    tokens = TASK.sizes["tokens"]
    model = network([0], moved=False, width=tokens, slots=TASK.variables)
    addressing = model.addressing
    variables = [WORDS.variable(i) for i in range(TASK.variables)]
    clear, protect = WORDS.managing("clear"), WORDS.managing("protect")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.weight += torch.eye(tokens)
        addressing.value.weight += torch.eye(tokens)
        addressing.choose_offset[..., 2, 0] = 500.0  # write to the variable two tokens back
        addressing.choose_offset[..., 0, 1:] = 500.0  # the value and the variable to read are the current token
        addressing.when_time[..., -1] = 500.0
        model.decoder.bias[..., 0] = 0.5
        model.manage.bias -= 100.0
        addressing.gate.bias -= 100.0
        for i, variable in enumerate(variables):
            addressing.address.weight[0, variable, i] = 200.0
            # `clear X`: X is the current token, `clear` the one before.
            model.manage.weight[0, variable] = 50.0
        model.manage.weight[0, tokens + clear, 0] = 100.0
        model.manage.weight[0, tokens + protect, 1] = 100.0
        for i in range(TASK.actions):
            addressing.gate.weight[0, WORDS.action(i)] = 200.0
            model.decoder.weight[0, WORDS.action(i), WORDS.action_answer(i)] = 1.0
    return model


def test_effects_of_both_switches_on_a_network_with_weights_set_by_hand() -> None:
    commands = (
        "X means jump Y means walk clear X recall X",
        "X means jump Y means walk clear X recall Y",
        "X means jump Y means walk protect X X means turn recall X",
        "X means jump Y means walk protect X Y means turn recall Y",
        "X means jump Y means walk protect X clear X recall X",
        "X means jump Y means walk X means turn recall X",
    )

    def answered(model: torch.nn.Module) -> list[str]:
        return WORDS.decode_answer(model(encode(*commands)).argmax(-1).flatten().tolist()).split()

    right = ["END", "WALK", "JUMP", "TURN", "END", "TURN"]
    assert answered(by_hand()) == right
    assert answered(unprotected(by_hand())) == [*right[:2], "TURN", *right[3:]]
    assert answered(uncleared(by_hand())) == ["JUMP", *right[1:4], "JUMP", right[5]]


def test_both_gates_start_closed_and_no_slots_are_refused() -> None:
    assert (network([0, 1], moved=False).manage.bias == -3).all()
    with pytest.raises(ValueError, match="slots must be at least 1, not 0"):
        network([0], slots=0)


def parameters(recipe: Recipe) -> int:
    return parameters_per_seed(recipe.model(generators=[generator(0, "init")], **recipe.task.sizes, **recipe.options))


MANAGEMENT = [arms.TRANSFORMER, arms.MANAGED, arms.OVERWRITING, arms.ADDITIVE, arms.LSTM]
SEQUENCING = [
    sequences.SEQUENCE_TRANSFORMER,
    sequences.SEQUENCE_LSTM,
    sequences.SEQUENCE_SLOTS,
    sequences.SEQUENCE_TWO_STAGE,
    sequences.SEQUENCE_CROSS_ATTENTION,
    sequences.SEQUENCE_MEMORY,
]


@pytest.mark.parametrize(
    ("recipes", "share"), [(MANAGEMENT, 0.05), (SEQUENCING, 0.1)], ids=["management", "sequencing"]
)
def test_arms_are_matched_in_parameters_and_budget(recipes: list[Recipe], share: float) -> None:
    transformer, *others = [parameters(recipe) for recipe in recipes]
    assert all(abs(count / transformer - 1) < share for count in others), (transformer, others)
    assert len({(recipe.task, recipe.steps, recipe.batch, recipe.optimizer) for recipe in recipes}) == 1
