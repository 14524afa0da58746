"""The networks of the composition claims: a seed is the same alone and in a cohort, and cannot affect another."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit import Recipe
from memkit.models import CrossAttentionNetwork, MemoryNetwork, TwoStageNetwork
from memkit.tasks.binding import Rebinding
from memkit.tasks.binding.vocabulary import MEANS
from memkit.training.process import prepared_process
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.models.test_cohorts import TOLERANCE, TRAINED, losses

TASK = Rebinding()
NETWORKS: dict[str, tuple[type[nn.Module], dict[str, object]]] = {
    "memory-argmax": (MemoryNetwork, {"assign": "argmax"}),
    "memory-straight-through": (MemoryNetwork, {"assign": "straight-through"}),
    "memory-soft": (MemoryNetwork, {"assign": "soft"}),
    "memory-off": (MemoryNetwork, {"memory": False}),
    "cross-attention": (CrossAttentionNetwork, {"heads": 2}),
    "last-write": (TwoStageNetwork, {"extractor": "last-write", "binders": (MEANS,)}),
    "positional": (TwoStageNetwork, {"extractor": "positional", "binders": (MEANS,)}),
    "learnt": (TwoStageNetwork, {"extractor": "learnt"}),
}
SEEDS = [4, 7, 1, 12]


def network(name: str, seeds: list[int]) -> nn.Module:
    kind, options = NETWORKS[name]
    return kind(generators=[generator(s, "init") for s in seeds], width=16, **options, **TASK.sizes)


def gradients(model: nn.Module, at: int) -> dict[str, Tensor]:
    return {name: p.grad[at] for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_alone_is_the_seed_in_a_cohort(name: str) -> None:
    together, expected = network(name, SEEDS), []
    for at, seed in enumerate(SEEDS):
        alone = network(name, [seed])
        for part, parameter in together.named_parameters():
            assert parameter.shape[0] == len(SEEDS), part
            assert torch.equal(parameter[at], alone.get_parameter(part)[0]), part
        expected.append((losses(alone, [seed]), gradients(alone, 0)))
    got = losses(together, SEEDS)
    for at, (loss, gradient) in enumerate(expected):
        torch.testing.assert_close(got[at], loss[0], **TOLERANCE)
        torch.testing.assert_close(gradients(together, at), gradient, **TOLERANCE)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_diverged_seed_does_not_change_the_others(name: str) -> None:
    healthy, broken = network(name, SEEDS), network(name, SEEDS)
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter[1] = float("nan")
    expected, got = losses(healthy, SEEDS), losses(broken, SEEDS)
    assert got[1].isnan()
    for at in (0, 2, 3):
        assert torch.equal(got[at], expected[at])
        one, other = gradients(healthy, at), gradients(broken, at)
        assert all(torch.equal(gradient, other[part]) for part, gradient in one.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_trained_alone_is_the_seed_trained_in_a_cohort(name: str) -> None:
    kind, options = NETWORKS[name]
    recipe = Recipe(TASK, kind, options={**options, "width": 12}, optimizer="sgd", lr=0.5, steps=6, batch=8, clip=1.0)
    with prepared_process():
        (alone,) = train(recipe, [7])
        together = train(recipe, SEEDS)[1]
    assert together.seed == 7
    for part, tensor in alone.state.items():
        torch.testing.assert_close(together.state[part], tensor, **TRAINED, msg=part)
