"""The curriculum: when a stage ends, which stage is drawn, and that held-out combinations are never stated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit import Recipe
from memkit.models import SlotNetwork
from memkit.tasks.binding import BindingTask, Curriculum, Execution, Recognition, Retrieval
from memkit.tasks.binding.curriculum import CurriculumSampler
from memkit.tasks.binding.vocabulary import END, PAD
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.tasks.interpreter import interpret

BATCH = 8
"""The number of commands per batch."""


def stages(**fields: Any) -> tuple[BindingTask, ...]:
    return Recognition(most=2, **fields), Retrieval(stored=2, **fields), Execution(**fields)


STAGED = Curriculum(stages=stages(held_out=0.2), window=3, leave_at=0.75, patience=4)


def sampler_of(curriculum: Curriculum, seed: int = 0) -> CurriculumSampler:
    return curriculum.for_seed(generator(seed, "split"))


def right(targets: Tensor, share: float) -> Tensor:
    """Return outputs that answer a share of the commands, and are wrong at one position of the others."""
    outputs = F.one_hot(targets, 20).float()
    wrong = round(len(targets) * (1 - share))
    outputs[:wrong, -1] = outputs[:wrong, -1].roll(1, -1)
    return outputs


def stages_after(sampler: CurriculumSampler, shares: list[float]) -> list[int]:
    """Return the stage after each batch, for a model that answers these shares of the batches."""
    found = []
    for share in shares:
        _, targets = sampler(generator(0, "data"), BATCH)
        sampler.saw(right(targets, share), targets)
        found.append(sampler.stage)
    return found


def kinds(curriculum: Curriculum, inputs: Tensor) -> list[int]:
    """Return the stage of each command, by its words: `what is`, `recall` or `do`."""
    words = [curriculum.vocabulary.decode(row.tolist()).split() for row in inputs]
    return [0 if "what" in row else 1 if "recall" in row else 2 for row in words]


# --- when a stage ends --------------------------------------------------------------------------------------


def test_a_stage_ends_as_soon_as_the_mean_of_its_last_batches_is_high_enough() -> None:
    # Means of three: 2/3, 2/3, 1. Batches of the first stage do not count for the second.
    assert stages_after(sampler_of(STAGED), [0, 1, 1, 0, 1, 1, 1, 1, 1]) == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert stages_after(sampler_of(STAGED), [1] * 8) == [0, 0, 1, 1, 1, 2, 2, 2]
    assert stages_after(sampler_of(STAGED), [0.75, 0.75, 0.625, 0.875]) == [0, 0, 0, 1]


def test_a_stage_ends_as_soon_as_it_has_not_improved_for_long_enough() -> None:
    # The first mean of three is the best; the stage ends four batches later.
    assert stages_after(sampler_of(STAGED), [0.5] * 8) == [0] * 6 + [1, 1]
    # The best mean is that of the fifth batch; the stage ends four batches later.
    assert stages_after(sampler_of(STAGED), [0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0]) == [0] * 8 + [1, 1]
    # A stage does not end while it improves.
    assert stages_after(sampler_of(STAGED), [i / 40 for i in range(0, 30, 5)]) == [0] * 6


def stage_ends_by_definition(curriculum: Curriculum, shares: list[float]) -> list[int]:
    """Return the number of batches after which each stage ends, computed from all means of a stage."""
    ends, begun = [], 0
    for end in range(1, len(shares) + 1):
        stage = shares[begun:end]
        window = curriculum.window
        means = [sum(stage[i : i + window]) / window for i in range(len(stage) - window + 1)]
        if means and len(ends) < len(curriculum.stages) - 1:
            since_best = len(means) - 1 - means.index(max(means))
            if means[-1] >= curriculum.leave_at or since_best >= curriculum.patience:
                ends.append(end)
                begun = end
    return ends


@given(
    rights=st.lists(st.integers(0, BATCH), max_size=30),
    window=st.integers(1, 4),
    patience=st.integers(1, 6),
    leave_at=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
@settings(deadline=None)
def test_stages_end_as_defined(rights: list[int], window: int, patience: int, leave_at: float) -> None:
    curriculum = replace(STAGED, window=window, patience=patience, leave_at=leave_at)
    sampler = sampler_of(curriculum)
    shares = [right / BATCH for right in rights]
    stages_after(sampler, shares)
    assert sampler.left == stage_ends_by_definition(curriculum, shares)
    assert sampler.stage == len(sampler.left)


def test_nan_outputs_are_not_right() -> None:
    sampler = sampler_of(STAGED)
    for _ in range(7):
        _, targets = sampler(generator(0, "data"), BATCH)
        sampler.saw(torch.full((*targets.shape, 20), torch.nan), targets)
    assert sampler.left == [7], "by patience"


def test_every_sampler_begins_with_the_first_stage() -> None:
    stages_after(sampler_of(STAGED), [1] * 8)
    assert sampler_of(STAGED).stage == 0


# --- what is drawn ------------------------------------------------------------------------------------------


def test_the_staged_regime_draws_from_the_present_stage() -> None:
    sampler = sampler_of(STAGED)
    for stage in range(3):
        assert sampler.stage == stage
        assert set(kinds(STAGED, sampler(generator(0, "data"), 64)[0])) == {stage}
        stages_after(sampler, [1] * 3)


def test_the_single_regime_draws_as_the_last_task_does() -> None:
    single = replace(STAGED, regime="single")
    sampler = sampler_of(single)
    drawn = sampler(generator(0, "data"), 64)
    expected = STAGED.stages[-1].for_seed(generator(0, "split"))(generator(0, "data"), 64)
    assert all(torch.equal(*pair) for pair in zip(drawn, single.pad(*expected), strict=True))
    assert stages_after(sampler, [1] * 5) == [2] * 5
    assert sampler.left == []


@pytest.mark.parametrize(
    ("shares", "expected"), [((), (1 / 3, 1 / 3, 1 / 3)), ((1, 0, 3), (1 / 4, 0, 3 / 4))], ids=["equal", "given"]
)
def test_the_mixed_regime_draws_stages_by_their_shares(shares: tuple[float, ...], expected: tuple[float, ...]) -> None:
    mixed = replace(STAGED, regime="mixed", shares=shares)
    sampler = sampler_of(mixed)
    stages_after(sampler, [1] * 10)
    inputs, targets = sampler(generator(0, "data"), 20_000)
    assert len(inputs) == len(targets) == 20_000
    found = torch.tensor(kinds(mixed, inputs)).bincount(minlength=3) / len(inputs)
    assert found.tolist() == pytest.approx(expected, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    variables=st.integers(3, 5),
    actions=st.integers(3, 8),
    share=st.floats(0.1, 0.3),
    regime=st.sampled_from(["staged", "mixed", "single"]),
)
def test_a_combination_that_is_held_out_is_stated_in_no_stage(
    seed: int, variables: int, actions: int, share: float, regime: Any
) -> None:
    share = min(share, ((variables - 1) * (actions - 1) - 1) / (variables * actions))
    shape = {"variables": variables, "actions": actions, "held_out": share}
    curriculum = Curriculum(stages=stages(**shape), regime=regime, window=1)
    words = curriculum.vocabulary
    held_out, _ = curriculum.commands(generator(seed, "split"), "held_out")
    missing = set().union(*(interpret(words.decode(row.tolist()))[2] for row in held_out))
    assert len(missing) == round(share * variables * actions) > 0
    sampler, data = sampler_of(curriculum, seed), generator(seed, "data")
    for _ in range(3):
        inputs, targets = sampler(data, 64)
        for row, target in zip(inputs, targets, strict=True):
            answer, stated, _ = interpret(words.decode(row.tolist()))
            assert not stated & missing
            assert words.decode_answer(target.tolist()).split()[: len(answer)] == answer
        sampler.saw(right(targets, 1), targets)


def test_all_stages_are_padded_to_one_shape() -> None:
    sizes = STAGED.sizes
    assert (sizes["length"], sizes["positions"]) == (9, 3)
    sampler = sampler_of(STAGED)
    for _ in STAGED.stages:
        inputs, targets = sampler(generator(0, "data"), 64)
        assert (inputs.shape, targets.shape) == ((64, 9), (64, 3))
        padding = (inputs == PAD).int()
        assert (padding[:, 1:] <= padding[:, :-1]).all(), "there is a word before the padding"
        assert (inputs[:, -1] != PAD).all()
        stages_after(sampler, [1] * 3)
    inputs, targets = sampler_of(STAGED)(generator(0, "data"), 64)
    assert (targets[:, 1:] == END).all(), "recognition has one answer"


@pytest.mark.parametrize("subset", ["train", "held_out", "all"])
def test_the_commands_are_those_of_the_last_stage_padded(subset: Any) -> None:
    last = STAGED.stages[-1].commands(generator(4, "split"), subset)
    inputs, targets = STAGED.commands(generator(4, "split"), subset)
    assert torch.equal(inputs[:, -6:], last[0])
    assert (inputs[:, :-6] == PAD).all()
    assert torch.equal(targets, last[1])
    thrice, _ = STAGED.commands(generator(4, "split"), subset, pattern="thrice")
    assert len(thrice) * 3 == len(inputs)


# --- in training --------------------------------------------------------------------------------------------

RECIPE = Recipe(
    Curriculum(stages=stages(), window=3, leave_at=0.5, patience=6),
    SlotNetwork,
    options={"addressing": "factorised", "memory": "overwriting", "width": 16},
    lr=1e-2,
    steps=40,
)


def test_a_seed_alone_goes_through_the_stages_as_in_a_cohort() -> None:
    together = train(RECIPE, [1, 2, 3])
    for run in together:
        (alone,) = train(RECIPE, [run.seed])
        for name, tensor in alone.state.items():
            torch.testing.assert_close(run.state[name], tensor, rtol=1e-4, atol=1e-5)


def test_training_goes_through_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    samplers: list[CurriculumSampler] = []
    init = CurriculumSampler.__init__
    monkeypatch.setattr(CurriculumSampler, "__init__", lambda self, *args: samplers.append(self) or init(self, *args))
    train(RECIPE, [1, 2, 3])
    assert len(samplers) == 3
    assert all(sampler.stage == len(sampler.left) > 0 for sampler in samplers), "every seed has advanced"
    assert len({tuple(sampler.left) for sampler in samplers}) > 1, "each at its own pace"


def test_a_recipe_with_a_curriculum_can_be_recreated_from_its_json() -> None:
    recipe = RECIPE.with_(task=replace(STAGED, regime="mixed", shares=(1.0, 0.0, 3.0)))
    again = Recipe.from_json(recipe.to_json())
    assert again.task == recipe.task
    assert again.digest == recipe.digest != RECIPE.digest
    assert {"memkit.tasks.binding.curriculum", "memkit.tasks.binding.recognition"} <= set(recipe.modules)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": ()}, "stages must be one task or more"),
        (
            {"stages": (Retrieval(held_out=0.2), Execution())},
            r"stages must agree .* they have \(3, 5, 0.0\), \(3, 5, 0.2\)",
        ),
        ({"stages": (Retrieval(actions=6), Execution())}, "stages must agree"),
        ({"regime": "blocked"}, "regime must be 'staged', 'mixed' or 'single', not 'blocked'"),
        ({"shares": (1, 1, 1)}, "shares are for regime='mixed'"),
        ({"regime": "mixed", "shares": (1, 1)}, "shares must be one number per stage"),
        ({"regime": "mixed", "shares": (1, 1, -1)}, "shares must be one number per stage"),
        ({"regime": "mixed", "shares": (0, 0, 0)}, "shares must be one number per stage"),
        ({"leave_at": 80}, "leave_at must be an accuracy"),
        ({"window": 0}, "window must be 1 batch or more"),
        ({"patience": 0}, "patience must be 1 batch or more"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        replace(STAGED, **changes)
    assert "\n" not in str(caught.value)
