"""How scores become addresses, and versions and gradients inside the slot network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fixtures.binding.recipes import SEVERAL_VARIABLES
from memkit import Recipe
from memkit.models import LSTMNetwork, SlotNetwork
from memkit.models.addressing import ASSIGNMENTS, COLD, HOT, SlotAssignment
from memkit.models.gradients import diagnose, gradients
from memkit.tasks.binding import Rebinding, Retrieval
from memkit.tasks.binding.history import History
from memkit.tasks.binding.vocabulary import DO, IS, MEANS, RECALL
from memkit.training.process import prepared_process
from memkit.training.streams import generator
from memkit.training.trainer import train

RULE = {"binders": (MEANS, IS), "queries": (DO, RECALL)}
SCORES = torch.tensor([[[0.0, 3.0, 1.0]], [[2.0, 0.0, -1.0]]])  # [S, B, K]


def network(seeds: int = 1, task: Any = SEVERAL_VARIABLES, **options: Any) -> SlotNetwork:
    options = {"width": 8, "slots": 4, "addressing": "factorised", "memory": "overwriting", **options}
    return SlotNetwork(generators=[generator(seed, "init") for seed in range(seeds)], **options, **task.sizes)


def assign(kind: Any, seeds: int = 2, anneal: int = 10) -> SlotAssignment:
    return SlotAssignment([generator(seed, "init") for seed in range(seeds)], kind=kind, anneal=anneal)


def commands(task: Any, seed: int = 0) -> tuple[Tensor, Tensor]:
    result: tuple[Tensor, Tensor] = task.commands(generator(seed, "split"), "train")
    return result


def test_addresses_by_known_values() -> None:
    hard = [[[0, 1, 0]], [[1, 0, 0]]]
    torch.testing.assert_close(assign("soft")(SCORES), torch.softmax(SCORES, -1))
    assert assign("argmax")(SCORES).tolist() == hard
    torch.testing.assert_close(assign("straight-through")(SCORES), torch.tensor(hard).float())
    torch.testing.assert_close(assign("gumbel").eval()(SCORES), torch.softmax(SCORES / COLD, -1))


@pytest.mark.parametrize("kind", ["soft", "straight-through", "gumbel"])
def test_the_gradient_is_that_of_softmax_and_argmax_has_none(kind: Any) -> None:
    weights = torch.randn(SCORES.shape, generator=generator(0, "weights"))
    scores = SCORES.clone().requires_grad_()
    (weights * assign(kind).eval()(scores)).sum().backward()
    expected = SCORES.clone().requires_grad_()
    (weights * torch.softmax(expected / (COLD if kind == "gumbel" else 1.0), -1)).sum().backward()
    torch.testing.assert_close(scores.grad, expected.grad)
    assert not assign("argmax")(scores).requires_grad


def test_gumbel_noise_samples_with_softmax_frequencies() -> None:
    chosen = assign("gumbel", 1)(torch.tensor([0.0, 1.0, 2.0]).expand(1, 20_000, 3)).argmax(-1)
    shares = torch.bincount(chosen.flatten(), minlength=3) / 20_000
    torch.testing.assert_close(shares, torch.softmax(torch.tensor([0.0, 1.0, 2.0]), -1), atol=0.015, rtol=0)


def test_the_temperature_falls_from_hot_to_cold_with_training_batches_only() -> None:
    module = assign("gumbel", anneal=4)
    temperatures = []
    for _ in range(6):
        temperatures.append(module.temperature)
        module(SCORES)
    assert temperatures == pytest.approx([HOT * (COLD / HOT) ** share for share in (0, 0.25, 0.5, 0.75, 1, 1)])
    module.eval()
    module(SCORES)
    assert module.batches == 6
    assert module.temperature == COLD


def test_the_noise_of_a_seed_does_not_depend_on_its_cohort() -> None:
    scores = torch.zeros(3, 5, 4)
    together, alone = assign("gumbel", 3), SlotAssignment([generator(1, "init")], kind="gumbel", anneal=10)
    for _ in range(3):
        many, one = together(scores), alone(scores[1:2])
        assert torch.equal(many[1], one[0])
        assert not torch.equal(many[0], many[1])


def test_initial_values_do_not_depend_on_the_kind() -> None:
    reference = network(2).state_dict()
    for kind in ASSIGNMENTS:
        assert all(torch.equal(reference[name], p) for name, p in network(2, assign=kind).state_dict().items())
    versioned = network(2, memory="versioned").state_dict()
    assert set(versioned) - set(reference) == {"age.weight", "age.bias"}
    assert all(torch.equal(reference[name], versioned[name]) for name in reference)


KINDS: dict[str, dict[str, Any]] = {
    **{kind: {"assign": kind} for kind in ASSIGNMENTS},
    "balanced": {"balance": 0.1, "sharpness": 4.0},
    "versioned": {"memory": "versioned"},
    "versioned-gumbel-rule": {"memory": "versioned", "assign": "gumbel", "addressing": "rule", **RULE},
    "unfactorised-straight-through": {"assign": "straight-through", "addressing": "unfactorised"},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_seed_trained_alone_is_the_seed_in_a_cohort(name: str) -> None:
    options = {"addressing": "factorised", "memory": "overwriting", "width": 12, **KINDS[name]}
    recipe = Recipe(Rebinding(), SlotNetwork, options=options, optimizer="sgd", lr=0.5, steps=6, batch=8, clip=1.0)
    with prepared_process():
        (alone,) = train(recipe, [7])
        cohorts = [train(recipe, seeds) for seeds in ([3, 7, 11, 2], [7, 5])]
    for runs in cohorts:
        (run,) = (run for run in runs if run.seed == 7)
        for part, tensor in run.state.items():
            torch.testing.assert_close(tensor, alone.state[part], rtol=1e-3, atol=1e-4, msg=part)


@pytest.mark.parametrize("addressing", ["rule", "factorised", "unfactorised"])
@pytest.mark.parametrize("task", [Rebinding(), History(stored=2, rebindings=2)], ids=["two answers", "history"])
def test_a_versioned_memory_stepwise_and_in_closed_form(task: Any, addressing: str) -> None:
    rule = RULE if addressing == "rule" else {}
    model = network(2, task, memory="versioned", versions=3, addressing=addressing, sharpness=3.0, **rule)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator(0, "shift"))
    tokens = torch.stack([task.for_seed(generator(s, "split"))(generator(s, "data"), 6)[0] for s in range(2)])
    torch.testing.assert_close(model.stepwise(tokens), model(tokens), rtol=1e-5, atol=1e-5)
    age = model.plan(tokens).age
    assert age is not None
    torch.testing.assert_close(age.sum(-1), torch.ones(2, 6, model.positions))
    assert model.contents(tokens).shape == (2, 6, 3, 4, 8)


def test_gradients_by_known_values() -> None:
    result = gradients(network(assign="argmax"), commands(SEVERAL_VARIABLES))
    assert result["addressing.address.weight"] == (0.0, 0.0)
    assert result["decoder.bias"].share == 1.0
    soft = network()
    result = gradients(soft, commands(SEVERAL_VARIABLES))
    assert all(gradient.norm > 0 for gradient in result.values())
    inputs, targets = commands(SEVERAL_VARIABLES)
    # d/db of the mean cross-entropy is the mean of softmax minus the one-hot answer.
    error = torch.softmax(soft(inputs[None])[0, :, 0], -1) - nn.functional.one_hot(
        targets[:, 0], soft.decoder.bias.shape[-1]
    )
    assert result["decoder.bias"].norm == pytest.approx(error.mean(0).norm().item(), rel=1e-4)
    assert all(parameter.grad is None for parameter in soft.parameters())


def test_a_diagnosis_describes_the_memory_after_a_forward_pass() -> None:
    model = network(width=2, slots=3)
    inputs, targets = commands(Retrieval(variables=5, actions=8, stored=2))
    result = diagnose(model, (inputs[:4], targets[:4]))
    assert not result.before.mean.any()
    assert not result.before.deviation.any()
    memory = model.contents(inputs[:4][None])[0]
    for k in range(3):
        assert result.after.mean[k].item() == pytest.approx(memory[:, k].mean().item(), abs=1e-6)
        assert result.after.deviation[k].item() == pytest.approx(memory[:, k].std(correction=0).item(), rel=1e-5)
    assert (result.after.deviation > 0).all()


def test_a_network_without_a_memory_is_refused() -> None:
    model = LSTMNetwork(generators=[generator(0, "init")], width=4, **SEVERAL_VARIABLES.sizes)
    with pytest.raises(TypeError, match=r"LSTMNetwork has no method contents\(tokens\)"):
        diagnose(model, commands(SEVERAL_VARIABLES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assign": "hard"}, "assign must be one of 'soft', 'argmax', 'straight-through', 'gumbel', not 'hard'"),
        ({"anneal": 0}, "anneal must be at least 1"),
        ({"versions": 1}, "versions must be at least 2"),
        ({"balance": -1.0}, "balance must be 0 or more"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**options)
