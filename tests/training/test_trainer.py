"""The same seed gives the same weights: when repeated, in any cohort, and whatever happens to the other seeds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from memkit import MemkitError, Recipe
from memkit.training.building import build, restore, sampler
from memkit.training.protocols import IGNORED
from memkit.training.streams import generator, stream_seed
from memkit.training.trained_run import TrainedRun
from memkit.training.trainer import _cross_entropy, train
from tests.machines import toys
from tests.machines.clocks import PATIENCE
from tests.machines.elsewhere import Elsewhere

COHORT = Recipe(toys.Halves(), toys.Cohort, steps=30, batch=16, lr=0.05)
ORDINARY = Recipe(toys.Halves(), toys.Ordinary, steps=30, batch=16, lr=0.05)
BOTH = pytest.mark.parametrize("recipe", [COHORT, ORDINARY], ids=["cohort", "ordinary"])
# A cohort's matrix products may run in a different kernel from those of one seed; the results then differ by the
# rounding of single precision over 30 steps.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def same(one: TrainedRun, other: TrainedRun) -> bool:
    """Return whether two runs have bitwise equal weights, including nan."""
    return one.state.keys() == other.state.keys() and all(
        torch.equal(t.view(-1).view(torch.uint8), other.state[name].view(-1).view(torch.uint8))
        for name, t in one.state.items()
    )


def close(one: TrainedRun, other: TrainedRun) -> bool:
    return all(torch.allclose(t, other.state[name], **TOLERANCE) for name, t in one.state.items())


@pytest.mark.parametrize(
    "recipe",
    [
        COHORT,
        ORDINARY,
        ORDINARY.with_(dropout=0.5),
        COHORT.with_(optimizer="sgd", clip=0.1),
        ORDINARY.with_(optimizer="adamw", weight_decay=0.1, clip=0.1),
    ],
    ids=["cohort", "ordinary", "dropout", "clipped cohort", "clipped ordinary"],
)
def test_the_same_seed_twice_gives_the_same_weights_to_the_bit(recipe: Recipe) -> None:
    first = train(recipe, [3, 5])
    torch.manual_seed(12345)  # the state of the global generator makes no difference
    torch.rand(7)
    second = train(recipe, [3, 5])
    assert [run.seed for run in second] == [3, 5]
    for one, other in zip(first, second, strict=True):
        assert same(one, other)
        assert one.history == other.history
    assert not same(*first)


@BOTH
def test_a_seed_in_a_cohort_equals_the_seed_alone(recipe: Recipe) -> None:
    together = {run.seed: run for run in train(recipe, [1, 2, 3, 4])}
    backwards = {run.seed: run for run in train(recipe, [4, 2])}
    for seed in (2, 4):
        (alone,) = train(recipe, [seed])
        assert close(together[seed], alone)
        assert close(backwards[seed], alone)
        assert together[seed].metrics["loss"] == pytest.approx(alone.metrics["loss"], rel=1e-4)
        assert together[seed].metrics["parameters"] == alone.metrics["parameters"]
    if recipe is ORDINARY:
        assert same(together[2], backwards[2]), "an ordinary module is always trained alone"


@pytest.mark.parametrize(
    "recipe", [COHORT, ORDINARY, ORDINARY.with_(dropout=0.5)], ids=["cohort", "ordinary", "dropout"]
)
def test_the_global_generator_is_left_unchanged(recipe: Recipe) -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    (run,) = train(recipe, [1])
    build(recipe, [2])
    restore(recipe, 1, run.state)
    assert torch.equal(torch.rand(3), expected)


@BOTH
def test_training_learns(recipe: Recipe) -> None:
    (run,) = train(recipe.with_(steps=300), [1])
    assert run.diverged == ""
    assert run.metrics["loss"] < 0.3 < run.history[0][1]
    model = restore(recipe, 1, run.state)
    assert not model.training
    x, y = sampler(recipe, 1)(generator(1, "held out"), 400)
    axis = recipe is COHORT
    with torch.no_grad():
        predictions = model(x[None] if axis else x).argmax(-1)
    accuracy = float((predictions == y).float().mean())
    assert accuracy > 0.9


@BOTH
def test_a_restored_model_is_the_trained_one(recipe: Recipe) -> None:
    for run in train(recipe, [1, 2]):
        state = restore(recipe, run.seed, run.state).state_dict()
        assert state.keys() == run.state.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in run.state.items())
        assert not any(t.requires_grad for t in run.state.values())


@BOTH
def test_history_and_metrics_are_recorded(recipe: Recipe) -> None:
    shares: list[float] = []
    runs = train(recipe.with_(steps=250), [1, 2], progress=shares.append)
    assert shares == sorted(shares)
    assert (min(shares) > 0, max(shares)) == (True, 1.0)
    for run in runs:
        steps = [step for step, _ in run.history]
        assert (steps[0], steps[-1]) == (1, 250)
        assert 100 <= len(steps) <= 130
        assert run.metrics["loss"] == run.history[-1][1]
        assert run.metrics["steps"] == 250
        assert run.metrics["cpu_seconds"] > 0
    width = 4
    assert runs[0].metrics["parameters"] == (2 + 1) * width + (width + 1) * 2 + (recipe is COHORT)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_equals_a_loop_with_torchs_optimiser(optimizer: str, decay: float) -> None:
    recipe = ORDINARY.with_(optimizer=optimizer, weight_decay=decay)
    (run,) = train(recipe, [1])
    model, draw, data = build(recipe, [1]), sampler(recipe, 1), generator(1, "data", "")
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    optimiser = kind(model.parameters(), lr=recipe.lr, weight_decay=decay)
    for _ in range(recipe.steps):
        inputs, targets = draw(data, recipe.batch)
        loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert run.metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(run.state[name], tensor, **TOLERANCE)


def test_parameters_of_several_types_train() -> None:
    (run,) = train(ORDINARY.with_(model=toys.Mixed, options={}), [1])
    start = build(ORDINARY.with_(model=toys.Mixed, options={}), [1]).state_dict()
    assert {tensor.dtype for tensor in run.state.values()} == {torch.float32, torch.float64}
    assert not any(torch.equal(tensor, start[name]) for name, tensor in run.state.items())


def test_training_does_not_load_torchs_compiler(elsewhere: Elsewhere) -> None:
    """Loading it takes longer than training a small recipe, in every process."""
    recipes = [recipe.to_json() for recipe in (COHORT, ORDINARY, COHORT.with_(optimizer="sgd", clip=1.0))]
    assert not elsewhere.call(toys.loads_the_compiler, recipes).result(PATIENCE)


# --- streams ------------------------------------------------------------------------------------------------


@BOTH
def test_another_stream_changes_initial_values_and_data_and_not_the_split(recipe: Recipe) -> None:
    other = recipe.with_(stream="second")
    first, second = build(recipe, [1]).state_dict(), build(other, [1]).state_dict()
    name = next(name for name in first if name.endswith("weight"))
    assert not torch.equal(first[name], second[name])
    # The labels of the points depend on the split.
    draws = [sampler(r, 1)(generator(1, "data", "x"), 200) for r in (recipe, other)]
    assert torch.equal(draws[0][1], draws[1][1])
    assert not torch.equal(sampler(recipe, 2)(generator(1, "data", "x"), 200)[1], draws[0][1])


def test_another_stream_draws_other_data() -> None:
    inputs: dict[str, Tensor] = {}

    for stream in ("", "second"):
        recipe = Recipe(toys.signs, toys.Cohort, stream=stream, steps=1, batch=4)

        class Spy(toys.Cohort):
            """A model that records its inputs."""

            def forward(self, x: Tensor, stream: str = stream) -> Tensor:
                inputs[stream] = x
                return super().forward(x)

        object.__setattr__(recipe, "model", Spy)
        train(recipe, [1])
    assert not torch.equal(inputs[""], inputs["second"])
    assert torch.equal(inputs[""][0], toys.signs(generator(1, "data", ""), 4)[0])


def test_initial_values_of_an_ordinary_module_come_from_the_seed() -> None:
    one, again, other = (build(ORDINARY, [seed]).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(1, "initial values", ""))
        assert torch.equal(toys.Ordinary().state_dict()["layers.0.weight"], one["layers.0.weight"])


# --- samplers with saw --------------------------------------------------------------------------------------


@BOTH
def test_a_sampler_receives_the_outputs_of_its_own_seed(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[tuple[Tensor, Tensor], Tensor, Tensor]] = []
    monkeypatch.setattr(
        toys.Receding, "saw", lambda self, outputs, targets: calls.append((self.drawn, outputs, targets))
    )
    recipe = recipe.with_(task=toys.Recedes(), steps=2)
    train(recipe, [1, 2])
    assert len(calls) == 4, "each sampler receives each of its batches"
    for (_, drawn), outputs, targets in calls:
        assert torch.equal(targets, drawn)
        assert (outputs.shape, outputs.requires_grad) == ((16, 2), False)
    # The first batch of each seed: a cohort's seeds alternate, ordinary modules train one after another.
    first_calls = {1: calls[0], 2: calls[1] if recipe.together else calls[2]}
    for seed, ((inputs, _), outputs, _) in first_calls.items():
        expected = build(recipe, [seed])(inputs[None] if recipe.together else inputs)
        torch.testing.assert_close(outputs, expected.detach().view(16, 2), **TOLERANCE)


@BOTH
def test_batches_that_depend_on_the_model_do_not_depend_on_the_cohort(recipe: Recipe) -> None:
    recedes = recipe.with_(task=toys.Recedes())
    together = train(recedes, [1, 2, 3])
    for run, independent in zip(together, train(recipe, [1, 2, 3]), strict=True):
        (alone,) = train(recedes, [run.seed])
        assert close(run, alone)
        assert not close(run, independent), "the outputs made a difference"


# --- divergence ---------------------------------------------------------------------------------------------


@BOTH
def test_divergence_is_recorded(recipe: Recipe) -> None:
    runs = train(recipe.with_(optimizer="sgd", lr=1e30, weight_decay=1e10), [1, 2])
    for run in runs:
        assert run.diverged.startswith("the loss was ") or run.diverged == "a weight was not finite at the end"
        assert run.metrics["steps"] < 30
        assert run.metrics["loss"] == run.history[-1][1] or math.isnan(run.metrics["loss"])
        assert not math.isfinite(run.metrics["loss"]), "the recorded loss is the one with which the seed diverged"


def test_a_seed_that_diverges_leaves_the_others_as_they_were() -> None:
    recipe = COHORT.with_(task=toys.Poisoned(seed=2), clip=1.0)
    healthy = COHORT.with_(task=toys.Poisoned(seed=999), clip=1.0)
    poisoned = {run.seed: run for run in train(recipe, [1, 2, 3])}
    untouched = {run.seed: run for run in train(healthy, [1, 2, 3])}
    assert poisoned[2].diverged == "the loss was nan at step 4"
    assert not untouched[2].diverged
    for seed in (1, 3):
        assert poisoned[seed].diverged == ""
        assert same(poisoned[seed], untouched[seed])
        assert poisoned[seed].history == untouched[seed].history


def test_a_weight_that_is_not_finite_at_the_end_is_divergence() -> None:
    # The loss of the only step is finite; the weights after it are not.
    (run,) = train(
        Recipe(toys.Squared(), toys.Cohort, steps=1, batch=4, optimizer="sgd", lr=1e38, weight_decay=1e38),
        [1],
    )
    assert run.diverged == "a weight was not finite at the end"
    assert math.isfinite(run.metrics["loss"])


# --- clipping -----------------------------------------------------------------------------------------------


@BOTH
def test_clipping_limits_each_seeds_gradient(recipe: Recipe) -> None:
    limit, lr = 0.01, 0.5
    one_step = recipe.with_(optimizer="sgd", steps=1, lr=lr)
    seeds = [1, 2, 3]
    for run, unclipped in zip(train(one_step.with_(clip=limit), seeds), train(one_step, seeds), strict=True):
        start = build(one_step, [run.seed]).state_dict()
        norms = [
            math.sqrt(sum(float((r.state[n] - start[n]).square().sum()) for n in start if n != "seen")) / lr
            for r in (run, unclipped)
        ]
        assert norms[0] == pytest.approx(limit, rel=1e-3)
        assert norms[1] > 10 * limit


def test_clipping_does_not_change_a_small_gradient() -> None:
    for one, other in zip(train(COHORT, [1, 2]), train(COHORT.with_(clip=1e6), [1, 2]), strict=True):
        assert same(one, other)


# --- losses -------------------------------------------------------------------------------------------------


def test_a_task_with_its_own_loss() -> None:
    (squared,) = train(COHORT.with_(task=toys.Squared()), [1])
    (entropy,) = train(COHORT, [1])
    assert not same(squared, entropy)
    batch = toys.Squared().for_seed(generator(1, "split"))(generator(1, "data", ""), 16)
    outputs = build(COHORT, [1])(batch[0][None])
    assert squared.history[0][1] == pytest.approx(float(toys.Squared().loss(outputs, batch[1][None]).detach()))
    (ordinary,) = train(ORDINARY.with_(task=toys.Squared()), [1])
    assert ordinary.diverged == ""


def test_a_loss_that_is_not_one_value_per_seed_is_refused() -> None:
    with pytest.raises(MemkitError, match=r"loss has the shape \(2, 16\); .* one loss per seed, \(2,\)"):
        train(COHORT.with_(task=toys.Unreduced()), [1, 2])


def test_a_value_that_is_not_a_model_is_refused() -> None:
    with pytest.raises(MemkitError, match=r"returned a value of type int; it must return a torch\.nn\.Module"):
        train(Recipe(toys.signs, toys.nothing, steps=1), [1])


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(MemkitError, match="Identity has no parameters to train"):
        train(Recipe(toys.signs, torch.nn.Identity, steps=1), [1])


def test_cross_entropy_leaves_out_ignored_targets() -> None:
    outputs = torch.randn(3, 4, 5, 7, generator=generator(0, "outputs"))
    targets = torch.randint(0, 7, (3, 4, 5), generator=generator(0, "targets"))
    targets[0, :, 2:] = IGNORED
    targets[1] = IGNORED
    found = _cross_entropy(outputs, targets, seed_axis=True)
    assert found.shape == (3,)
    expected = torch.nn.functional.cross_entropy(outputs[0, :, :2].flatten(0, -2), targets[0, :, :2].flatten())
    assert found[0] == pytest.approx(float(expected), rel=1e-5)
    assert found[1] == 0
    for i in (0, 2):
        assert float(_cross_entropy(outputs[i], targets[i], seed_axis=False)) == pytest.approx(
            float(found[i]), rel=1e-5
        )


def test_buffers_are_saved_separately_for_each_seed_of_a_cohort() -> None:
    (run,) = train(ORDINARY, [1])
    assert int(run.state["seen"]) == 30
    for run in train(COHORT, [1, 2]):
        shapes: dict[str, Any] = {name: tuple(t.shape) for name, t in run.state.items()}
        assert all(shape[0] == 1 for shape in shapes.values())
