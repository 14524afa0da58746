"""Training in MLX: the steps of torch's trainer, separate initial values, and independence of seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from memkit import MemkitError, Recipe
from memkit.models import LSTMNetwork, SlotNetwork
from memkit.recipes import backends
from memkit.tasks.binding import Curriculum, Rebinding, Recognition, Retrieval
from memkit.tasks.binding.vocabulary import DO, MEANS
from memkit.tasks.scoring import accuracy
from memkit.training.trainer import train as train_in_torch
from tests.machines import toys

mx = pytest.importorskip("mlx.core")

from memkit.mlx import trainer as mlx  # noqa: E402
from memkit.mlx.bridge import FromMLX  # noqa: E402
from memkit.mlx.losses import cross_entropy  # noqa: E402
from tests.mlx import nets, twins  # noqa: E402

RULE = {"addressing": "rule", "binders": (MEANS,), "queries": (DO,)}
SLOTS = Recipe(
    Rebinding(), SlotNetwork, options={**RULE, "memory": "overwriting", "width": 16}, lr=1e-2, steps=12, backend="mlx"
)
FIXED = Recipe(toys.Halves(), nets.Fixed, lr=0.1, steps=7, batch=16, backend="mlx")
OWN = Recipe(toys.Halves(), nets.Perceptron, lr=0.05, steps=60, backend="mlx")


def close(one: Any, other: Any, **tolerance: float) -> None:
    assert set(one.state) == set(other.state)
    for name, tensor in one.state.items():
        torch.testing.assert_close(tensor, other.state[name], **tolerance)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "weight_decay": 0.3},
        {"optimizer": "adam"},
        {"optimizer": "adam", "weight_decay": 0.3},
        {"optimizer": "adamw", "weight_decay": 0.3},
        {"optimizer": "sgd", "clip": 0.05},
    ],
    ids=str,
)
def test_a_step_equals_that_of_torch(changes: dict[str, Any]) -> None:
    """From the same values on the same data with the same optimiser, weights and losses are the same."""
    theirs = train_in_torch(Recipe(toys.Halves(), twins.Fixed, lr=0.1, steps=7, batch=16).with_(**changes), [1, 2, 5])
    for ours, other in zip(mlx.train(FIXED.with_(**changes), [1, 2, 5]), theirs, strict=True):
        close(ours, other, rtol=1e-4, atol=1e-5)
        assert ours.seed == other.seed
        assert [step for step, _ in ours.history] == [step for step, _ in other.history]
        assert [loss for _, loss in ours.history] == pytest.approx([loss for _, loss in other.history], rel=1e-4)
        assert {**ours.metrics, "cpu_seconds": 0, "loss": 0} == {**other.metrics, "cpu_seconds": 0, "loss": 0}


@pytest.mark.parametrize(
    "recipe",
    [
        SLOTS,
        SLOTS.with_(model=LSTMNetwork, options={"width": 16}),
        SLOTS.with_(options={"addressing": "factorised", "assign": "gumbel", "width": 16, "slots": 4}),
        SLOTS.with_(options={"addressing": "factorised", "balance": 0.5, "width": 16, "slots": 4}),
        OWN,
    ],
    ids=lambda recipe: recipe.summary,
)
def test_a_seed_alone_is_the_seed_in_a_cohort(recipe: Recipe) -> None:
    together = mlx.train(recipe, [3, 4, 9])
    (alone,) = mlx.train(recipe, [4])
    close(alone, together[1], rtol=1e-3, atol=1e-4)
    assert [loss for _, loss in alone.history] == pytest.approx([loss for _, loss in together[1].history], rel=1e-2)


def test_runs_are_repeatable_and_have_their_own_initial_values() -> None:
    one, again = mlx.train(SLOTS, [3]), mlx.train(SLOTS, [3])
    close(one[0], again[0], rtol=0, atol=0)
    (other,) = mlx.train(SLOTS.with_(stream="b"), [3])
    assert not torch.equal(other.state["decoder.weight"], one[0].state["decoder.weight"])
    (ours,) = train_in_torch(SLOTS.with_(backend="torch"), [3])
    assert not torch.allclose(ours.state["decoder.weight"][0], one[0].state["decoder.weight"], atol=1e-2)


def test_slots_learn_and_the_trained_network_is_called_like_a_torch_network() -> None:
    recipe = SLOTS.with_(steps=150)
    (run,) = mlx.train(recipe, [3])
    model = backends.restore(recipe, 3, run.state)
    assert isinstance(model, FromMLX)
    assert not model.training
    assert accuracy(model, Rebinding().commands(torch.Generator().manual_seed(1), "all")) > 0.95
    assert accuracy(backends.build(recipe, 3), Rebinding().commands(torch.Generator().manual_seed(1), "all")) < 0.6


def test_a_custom_module_is_returned_unwrapped() -> None:
    before = mx.random.state[0].tolist()
    (run,) = backends.train(OWN, [3])
    model = backends.restore(OWN, 3, run.state)
    assert mx.random.state[0].tolist() == before, "the state of MLX's generator has changed"
    assert isinstance(model, nets.Perceptron)
    assert run.history[-1][1] < run.history[0][1] / 2


def test_a_curriculum_advances_by_the_network_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"variables": 3, "actions": 4, "held_out": 0.25}
    stages = (Recognition(most=2, **shape), Retrieval(stored=2, **shape))
    recipe = Recipe(
        Curriculum(stages=stages),
        SlotNetwork,
        options={"addressing": "factorised", "memory": "overwriting", "width": 32, "slots": 4},
        lr=1e-2,
        steps=60,
        backend="mlx",
    )
    lessons = recipe.task.for_seed(torch.Generator().manual_seed(1))
    monkeypatch.setattr(mlx, "sampler", lambda recipe, seed: lessons)
    mlx.train(recipe, [1])
    assert lessons.stage == 1
    assert 10 <= lessons.left[0] < 60, "the first stage ends by accuracy or by patience"


@dataclass(frozen=True)
class Recording(toys.Halves):
    """A task that records the batches that its samplers receive."""

    received = []  # type: ignore[var-annotated]  # noqa: RUF012

    def for_seed(self, generator: torch.Generator) -> Any:
        draw, received = super().for_seed(generator), self.received

        class Draws:
            finished = False

            def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
                drawn: tuple[Tensor, Tensor] = draw(generator, size)
                return drawn

            def saw(self, outputs: Tensor, targets: Tensor) -> None:
                received.append((outputs, targets))
                self.finished = len(received) >= 6

        return Draws()


def test_samplers_receive_each_batch_and_may_finish() -> None:
    Recording.received.clear()
    one, two = mlx.train(FIXED.with_(task=Recording()), [1, 2])
    assert [run.metrics["steps"] for run in (one, two)] == [4, 3]  # six batches in total, counted over both seeds
    outputs, targets = Recording.received[0]
    assert (outputs.shape, targets.shape) == ((16, 2), (16,))


def test_divergence_is_recorded() -> None:
    one, two = mlx.train(FIXED.with_(model=nets.Exploding), [1, 2])
    assert one.diverged == two.diverged == "the loss was nan at step 2"
    assert one.metrics["steps"] == 2
    assert not math.isfinite(one.metrics["loss"])


def test_targets_that_are_ignored_do_not_count() -> None:
    outputs = mx.array([[[2.0, 0.0], [0.0, 5.0]]])
    assert cross_entropy(outputs, mx.array([[0, -100]])).item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert cross_entropy(outputs, mx.array([[-100, -100]])).item() == 0


def test_progress_is_reported() -> None:
    reported: list[float] = []
    mlx.train(FIXED, [1], progress=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 1.0


@pytest.mark.parametrize(
    ("model", "message"),
    [(nets.Nothing, "Nothing has no parameters to train"), (nets.not_a_module, "it should make an mlx.nn.Module")],
    ids=["nothing", "no module"],
)
def test_models_that_cannot_be_trained_are_refused(model: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        mlx.train(FIXED.with_(model=model), [1])
