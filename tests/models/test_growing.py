"""A growing network: before growth, at each event, the optimiser's moments, schedules and training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from memkit import MemkitError
from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.growing import NEVER, GrowingNetwork, Widening
from memkit.models.parameters import parameters_per_seed
from memkit.training.building import build, restore
from memkit.training.process import prepared_process
from memkit.training.protocols import ValidationResult
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.models.growing import SIZES, TASK, evaluation_of, images, network, recipe

EXACT = {"rtol": 0.0, "atol": 1e-5}


def grow(model: GrowingNetwork, seed: int = 0, step: int = 7, moments: Any = None) -> list[Widening]:
    return model.grow(seed, step, {} if moments is None else moments)


def shaken(model: nn.Module) -> None:
    """Return the network with larger weights and non-zero biases, as after training; zeros stay 0."""
    with torch.no_grad():
        for number, p in enumerate(model.parameters()):
            noise = torch.randn(p.shape, generator=generator(number, "shaking"))
            p.copy_(torch.where(p == 0, p, 3 * p + 0.1 * noise))


# --- before growth ------------------------------------------------------------------------------------------


def test_it_starts_equal_to_the_small_network_of_the_same_generators() -> None:
    model = network((3, 8))
    small = FeedForwardNetwork(generators=[generator(s, "init") for s in (3, 8)], widths=(4, 3), **SIZES)
    torch.testing.assert_close(model(images(2)), small(images(2)), **EXACT)
    for name, tensor in small.named_parameters():
        assert torch.equal(model.get_parameter(name)[tuple(map(slice, tensor.shape))], tensor)
    assert parameters_per_seed(model) == parameters_per_seed(small)


def test_until_it_grows_it_trains_like_the_small_network() -> None:
    """This holds with weight decay and clipping too: the optimiser does not affect missing units."""
    never = recipe(growth={"every": 1000}).with_(optimizer="adamw", weight_decay=0.1, clip=1.0)
    small = never.with_(model=FeedForwardNetwork, options={"widths": (6, 5)})
    for run, other in zip(train(never, [1, 2]), train(small, [1, 2]), strict=True):
        assert run.metrics["parameters"] == other.metrics["parameters"]
        torch.testing.assert_close(torch.tensor(run.history), torch.tensor(other.history), **EXACT)
        for name, tensor in other.state.items():
            own = run.state[name]
            inside = tuple(map(slice, tensor.shape))
            torch.testing.assert_close(own[inside], tensor, **EXACT)
            outside = own.clone()
            outside[inside] = 0
            assert not outside.any(), f"{name}: what has not been grown has stayed 0"


# --- growth --------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    start=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    more=st.lists(st.integers(0, 15), min_size=3, max_size=3),
    layers=st.integers(0, 2),
    events=st.integers(1, 4),
    noise=st.sampled_from([0.0, 0.1, 1.0]),
    channels=st.sampled_from([(), (2,)]),
    seed=st.integers(0, 1000),
)
def test_growth_preserves_the_function(
    start: list[int],
    more: list[int],
    layers: int,
    events: int,
    noise: float,
    channels: tuple[int, ...],
    seed: int,
) -> None:
    end = [n + m for n, m in zip(start, more, strict=False)]
    end += [end[-1]] * layers
    if end == start:
        end[-1] += 1
    model = GrowingNetwork(
        generators=[generator(seed, "init"), generator(seed, "another")],
        widths=tuple(end),
        channels=channels,
        growth={"start": tuple(start), "events": events, "noise": noise},
        **SIZES,
    )
    shaken(model)
    x = images(2)
    logits, last = model(x), len(model.shapes) - 1
    state = model.before(x, last)
    for event in range(events):
        grow(model, 1, step=event)
        torch.testing.assert_close(model(x), logits, **EXACT)
        # Distances and angles between hidden states are preserved, for a memory that retrieves by either.
        now = model.before(x, last)
        torch.testing.assert_close(torch.cdist(now, now), torch.cdist(state, state), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(now @ now.mT, state @ state.mT, rtol=1e-4, atol=1e-4)
    assert model.grown_at.tolist() == [[NEVER] * events, list(range(events))], "the other seed has not grown"
    assert model.sizes_after(events) == tuple(end)


def test_after_all_events_it_has_its_final_size() -> None:
    model = network()
    end = FeedForwardNetwork(generators=[generator(0, "init")], widths=(9, 8, 8), **SIZES)
    counts = [parameters_per_seed(model)]
    for _ in range(2):
        grow(model)
        counts.append(parameters_per_seed(model))
    assert counts == [16 * 4 + 4 + 4 * 3 + 3 + 3 * 3 + 3, model.parameters_after(1), parameters_per_seed(end)]
    assert all(p.any(dim=-1).all() for name, p in model.named_parameters() if name.endswith("weight")), "in use"


def test_fresh_growth_changes_the_function() -> None:
    for widths in ((4, 3, 3), (9, 8)):
        model = network(widths=widths, events=1, how="fresh")
        shaken(model)
        before = model(images())
        assert grow(model) == []
        assert (model(images()) - before).abs().max() > 0.1


def test_fresh_weights_have_the_distribution_of_a_new_network() -> None:
    model = network(widths=(400, 300), start=(200, 100), events=1, how="fresh")
    old = {name: p.detach().clone() for name, p in model.named_parameters()}
    grow(model)
    new_in, new_out = model.hidden[0].weight[0, :, 200:400], model.hidden[1].weight[0, 200:400, :100]
    for weights, fan in ((new_in, 16), (new_out, 400)):
        assert weights.abs().max() <= fan**-0.5
        torch.testing.assert_close(weights.std(), torch.tensor((3 * fan) ** -0.5), rtol=0.05, atol=0.0)
    assert torch.equal(model.hidden[0].weight[:, :, :200], old["hidden.0.weight"][:, :, :200]), "existing weights stay"


def test_many_fresh_units_have_the_same_distribution() -> None:
    model = network(widths=(40, 3), start=(4, 3), events=1, how="fresh")
    grow(model)
    leaving = model.hidden[1].weight[0, 4:40]
    assert (leaving.abs().view(4, -1).amax(1) > 0.8 * 40**-0.5).all()
    assert leaving.abs().max() <= 40**-0.5


def test_the_halves_of_a_unit_diverge() -> None:
    """Without noise and with plain gradient descent, the two halves of a unit would stay multiples of each other."""

    def directions(noise: float) -> Tensor:
        model = network(widths=(8, 3), start=(4, 3), events=1, noise=noise)
        (net,) = grow(model)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(20):
            optimiser.zero_grad()
            model(images())[0, :, 0].square().mean().backward()
            optimiser.step()
        weight = model.hidden[0].weight[0]
        return torch.cosine_similarity(weight[:, net.parents], weight[:, net.children], dim=0)

    torch.testing.assert_close(directions(0.0), torch.ones(4), **EXACT)
    assert directions(0.5).min() < 0.999


def test_growth_is_random_per_seed() -> None:
    model = network((0, 1, 0))
    first, second, third = (grow(model, seed)[0] for seed in range(3))
    assert not torch.equal(first.cosines, second.cosines)
    assert torch.equal(first.cosines, third.cosines)


def test_a_layer_that_does_not_exist_in_a_seed_is_not_trained() -> None:
    model = network((0, 1), events=1)
    grow(model, 1)
    model(images(2)).square().sum().backward()
    gradient = model.hidden[2].weight.grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[1].any()


# --- the optimiser ------------------------------------------------------------------------------------------


def moments_of(model: GrowingNetwork) -> dict[nn.Parameter, tuple[Tensor, Tensor]]:
    """Return the moments as after one step: the gradient and its square."""
    own = list(model.parameters())
    gradients = torch.autograd.grad(model(images()).square().sum(), own, allow_unused=True, materialize_grads=True)
    return {p: (g.clone(), g.square()) for p, g in zip(own, gradients, strict=True)}


def test_moments_are_carried_over() -> None:
    """Without noise, the gradient just after growth is that of just before, transformed by E; so are its moments."""
    model = network(widths=(8, 6), start=(4, 3), events=1, noise=0.0)
    shaken(model)
    moments = moments_of(model)
    grow(model, moments=moments)
    for p, (first, second) in moments_of(model).items():
        torch.testing.assert_close(moments[p][0], first, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(moments[p][1], second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["preserving", "fresh"])
def test_a_new_layer_starts_with_the_mean_square_of_the_layer_it_copies(how: str) -> None:
    model = network(widths=(4, 3, 3), events=1, how=how)
    shaken(model)
    moments = {p: (torch.ones_like(first), second) for p, (first, second) in moments_of(model).items()}
    grow(model, moments=moments)
    for name in ("weight", "bias"):
        new, old = (getattr(model.hidden[layer], name) for layer in (2, 1))
        first, second = moments[new]
        assert not first.any()
        torch.testing.assert_close(second, moments[old][1].mean().expand(second.shape))


def test_fresh_units_start_with_the_mean_square_of_their_layer() -> None:
    model = network(widths=(8, 3), start=(4, 3), events=1, how="fresh")
    shaken(model)
    moments = {p: (torch.ones_like(first), second) for p, (first, second) in moments_of(model).items()}
    old = {p: second.clone() for p, (_, second) in moments.items()}
    grow(model, moments=moments)
    for p, new, there in (
        (model.hidden[0].weight, (0, slice(None), slice(4, 8)), (0, slice(None), slice(4))),
        (model.hidden[0].bias, (0, 0, slice(4, 8)), (0, 0, slice(4))),
        (model.hidden[1].weight, (0, slice(4, 8)), (0, slice(4))),
    ):
        first, second = moments[p]
        assert not first[new].any()
        torch.testing.assert_close(second[new], old[p][there].mean().expand(second[new].shape))
        assert torch.equal(second[there], old[p][there])
        assert (first[there] == 1).all()


def test_growth_keeps_tensors_on_their_device() -> None:
    """The meta device refuses tensors from other devices."""
    for how in ("preserving", "fresh"):
        model = network(how=how).to("meta")
        with torch.no_grad():
            model._split(0, 0, 2, [4, 3], {}) if how == "preserving" else model._add(0, 0, 2, [4, 3], {})
            model._deepen(0, 2, [4, 3, 3], {})


# --- schedules ----------------------------------------------------------------------------------------------


def steps_of(model: GrowingNetwork, evaluations: list[ValidationResult]) -> list[int]:
    return [evaluation.step for evaluation in evaluations if model.validated(evaluation, {})[0]]


def test_the_schedules_steps_and_epochs() -> None:
    evaluations = [evaluation_of(step, epochs=step / 10) for step in range(5, 100, 5)]
    assert steps_of(network(schedule="steps", every=12), evaluations) == [15, 30], (
        "at the first evaluation after it is due"
    )
    assert steps_of(network(schedule="epochs", every=2), evaluations) == [20, 40]
    assert steps_of(network(schedule="epochs", every=2, events=9), evaluations) == [20, 40, 60, 80]


def test_the_schedule_plateau() -> None:
    losses = [1.0, 0.8, 0.79, 0.79, 0.5, 0.49, 0.48, 0.47, 0.1]
    evaluations = [evaluation_of(step, loss) for step, loss in enumerate(losses)]
    assert steps_of(network(schedule="plateau", patience=2, improvement=0.05, events=5), evaluations) == [3, 6]
    assert steps_of(network(schedule="plateau", patience=2, events=5), evaluations) == []


def test_after_fresh_growth_a_plateau_needs_a_new_minimum() -> None:
    losses = [1.0, 0.9, 0.9, 0.9, 2.5, 2.0, 1.6, 1.3, 1.3, 1.3]
    evaluations = [evaluation_of(step, loss) for step, loss in enumerate(losses)]
    assert steps_of(network(schedule="plateau", patience=2, events=5), evaluations) == [3, 9]


def test_the_schedule_performance() -> None:
    accuracies = [0.1, 0.2, 0.3, 0.4, 0.9, 0.8, 0.8]
    evaluations = [evaluation_of(step, accuracy=accuracy) for step, accuracy in enumerate(accuracies)]
    assert steps_of(network(schedule="performance", target=0.5, patience=2, events=5), evaluations) == [1, 3]


def test_growth_by_epochs_needs_the_length_of_an_epoch() -> None:
    with pytest.raises(ValueError, match=r"give the sampler a length \(__len__\), or use schedule='steps'"):
        network().validated(evaluation_of(1, epochs=math.nan), {})


def test_growth_needs_validation_examples() -> None:
    with pytest.raises(MemkitError, match="GrowingNetwork depends on validation results; set validate_every"):
        train(recipe().with_(validate_every=None), [0])


# --- in training --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["preserving", "fresh"])
def test_training_records_growth_events(how: str) -> None:
    (run,) = train(recipe(growth={"how": how}), [0])
    rows = [row for row in run.validation if row[0] in (8, 16)]
    assert [row[0] for row in rows] == [8, 8, 16, 16], "before and after"
    rises = [after[1] - before[1] for before, after in (rows[:2], rows[2:])]
    assert (max(map(abs, rises)) < 1e-5) is (how == "preserving")
    model: Any = restore(recipe(growth={"how": how}), 0, run.state)
    assert model.timeline() == [
        {
            "event": 1,
            "step": 8,
            "widths before": "6 × 5",
            "parameters before": 64 * 6 + 6 + 6 * 5 + 5 + 5 * 10 + 10,
            "widths after": "11 × 9 × 9",
            "parameters after": 64 * 11 + 11 + 11 * 9 + 9 + 9 * 9 + 9 + 9 * 10 + 10,
        },
        {
            "event": 2,
            "step": 16,
            "widths before": "11 × 9 × 9",
            "parameters before": model.parameters_after(1),
            "widths after": "16 × 12 × 12",
            "parameters after": run.metrics["parameters"],
        },
    ]


def test_it_does_not_grow_after_the_last_step() -> None:
    (run,) = train(recipe(growth={"every": 24}), [0])
    assert (run.state["grown_at"] == NEVER).all()
    assert [step for step, _, _ in run.validation] == [4, 8, 12, 16, 20, 24]


@settings(max_examples=6)
@given(
    growth=st.sampled_from(
        [
            {"every": 4},
            {"schedule": "plateau", "patience": 1, "improvement": 0.05},
            {"schedule": "performance", "patience": 1, "target": 0.35},
            {"how": "fresh"},
        ]
    ),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True),
)
def test_a_seed_trained_alone_is_the_seed_in_any_cohort(growth: dict[str, Any], seeds: list[int]) -> None:
    """This holds although seeds grow at different times."""
    plan = recipe(growth=growth)
    with prepared_process():
        for run in train(plan, seeds):
            (alone,) = train(plan, [run.seed])
            assert torch.equal(run.state["grown_at"], alone.state["grown_at"])
            for name, tensor in alone.state.items():
                torch.testing.assert_close(run.state[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_seeds_of_a_cohort_grow_independently() -> None:
    plan = recipe(growth={"schedule": "plateau", "patience": 1, "improvement": 0.05}).with_(steps=80)
    times = {tuple(run.state["grown_at"].flatten().tolist()) for run in train(plan, range(8))}
    assert len(times) > 1


def test_a_trained_run_is_restored_at_its_size() -> None:
    for every in (8, 1000):
        (run,) = train(recipe(growth={"every": every}), [5])
        model = restore(recipe(growth={"every": every}), 5, run.state)
        assert parameters_per_seed(model) == run.metrics["parameters"]
    assert parameters_per_seed(build(recipe(), [5])) == 64 * 6 + 6 + 6 * 5 + 5 + 5 * 10 + 10


def test_the_task_matches_its_description() -> None:
    assert TASK.sizes == {"inputs": (8, 8), "classes": 10}
