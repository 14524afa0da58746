"""Training: a cohort of seeds of one recipe, in one batched program if the model has a seed axis.

An ordinary module trains seed by seed, or receives a seed axis through vmap if its recipe says so.

Every seed has its own generators for the split, the initial values and the data, so its result does not depend on the
cohort in which it is trained. A seed whose loss becomes non-finite has diverged: this is recorded as a result, and the
other seeds are not affected.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.training.building import build_cohort, drawing_from, sampler
from memkit.training.learner import Learner
from memkit.training.protocols import (
    IGNORED,
    AfterBatch,
    AfterValidation,
    EndsEarly,
    TaskWithLoss,
    WithActiveParameters,
    state_size_of,
)
from memkit.training.stacked_modules import Stacked
from memkit.training.streams import generator
from memkit.training.trained_run import TrainedRun
from memkit.training.validation import validation_of

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_HISTORY_POINTS = 100
"""The approximate number of rows in a loss history."""


def train(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> list[TrainedRun]:
    """Train a recipe on some seeds.

    Args:
        seeds: distinct seeds, trained in one program if ``recipe.together`` is true, else one after another.
        device: "cpu", "cuda" or "mps". Random numbers are always drawn on the CPU.
        progress: called from time to time with the share of the training that is done, 0 to 1.

    Returns:
        One trained run per seed, in the order of the seeds.

    Raises:
        MemkitError: the recipe's model or task does not offer what this training needs.
    """
    cohorts = [list(seeds)] if recipe.together else [[seed] for seed in seeds]

    def report(share: float) -> None:
        if progress is not None:
            progress((len(runs) + share) / len(cohorts) if len(cohorts) > 1 else share)

    runs: list[TrainedRun] = []
    for cohort in cohorts:
        with drawing_from(cohort[0], "noise", recipe.stream, device=device):
            runs += _Cohort(recipe, cohort, device).train(report)
    return runs


@dataclass
class _Log:
    """The log of a seed during training; rows as in :class:`.trained_run.TrainedRun`."""

    history: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float, float]] = field(default_factory=list)
    diverged: str = ""


class _Cohort:
    """Seeds that train in one program; seeds that finish early leave it while the others continue.

    A seed is known by its index in ``seeds``. The model holds the seeds ``present``, row by row; a seed is done once it
    has an entry in ``runs``.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], device: str) -> None:
        self.started = time.process_time()
        self.recipe, self.seeds, self.device = recipe, seeds, device
        self.seed_axis = recipe.together
        self.learner = Learner.of(recipe, build_cohort(recipe, seeds).to(device).train())
        model = self.model = self.learner.model
        self.samplers = [sampler(recipe, seed) for seed in seeds]
        # Checked once: a check against a protocol takes an appreciable share of the time of a small model's step.
        self.notified_samplers = [draw if isinstance(draw, AfterBatch) else None for draw in self.samplers]
        self.ending_samplers = [draw if isinstance(draw, EndsEarly) else None for draw in self.samplers]
        self.streams = [generator(seed, "data", recipe.stream) for seed in seeds]
        self.loss_of = _loss(recipe, model)
        _refuse_hooks_under_vmap(model)
        self.notified_model = model if isinstance(model, AfterBatch) else None
        self.validation = validation_of(recipe, self.samplers, self.loss_of, device)
        self.changing_model = model if isinstance(model, AfterValidation) else None
        if self.changing_model is not None and self.validation is None:
            raise MemkitError(
                f"Recipe: {type(model).__name__} depends on validation results; set validate_every to the number of "
                "steps between two validations"
            )
        # Models that are notified of batches, and validation examples, identify seeds by their rows: such a cohort
        # keeps all its seeds until the end.
        self.can_shrink = self.seed_axis and not recipe.vmap and self.notified_model is None and self.validation is None
        self.logs = [_Log() for _ in seeds]
        self.runs: dict[int, TrainedRun] = {}
        self.present = list(range(len(seeds)))
        """The indices of the seeds that the model holds, row by row."""

    def train(self, progress: Callable[[float], None]) -> list[TrainedRun]:
        """Train all seeds, and return their trained runs in the order of the seeds."""
        steps = self.recipe.steps
        every = max(1, steps // _HISTORY_POINTS)
        for step in range(1, steps + 1):
            losses = self._step()
            for i, loss in zip(self.present, losses, strict=True):
                if not self.logs[i].diverged and not math.isfinite(loss):
                    self.logs[i].diverged = f"the loss was {loss} at step {step}"
            last = step == steps or all(self.logs[i].diverged or i in self.runs for i in self.present)
            ending = [i not in self.runs and (last or self._has_finished(i)) for i in self.present]
            is_logged = step % every == 0 or step == 1
            for i, loss, ends in zip(self.present, losses, ending, strict=True):
                if (is_logged or ends) and i not in self.runs:
                    self.logs[i].history.append((step, loss))
            if is_logged:
                progress(step / steps)
            self._validate(step, ending, last=last)
            if any(ending):
                self._record_runs(step, losses, ending)
                if len(self.runs) == len(self.seeds):
                    progress(1.0)
                    break
                self._shrink()
        return [self.runs[i] for i in range(len(self.seeds))]

    def _step(self) -> list[float]:
        """Take a step on one batch per present seed, and return the losses before the step."""
        present, recipe = self.present, self.recipe
        batches = [self.samplers[i](self.streams[i], recipe.batch) for i in present]
        if self.seed_axis:
            inputs = torch.stack([x for x, _ in batches]).to(self.device)
            targets = torch.stack([y for _, y in batches]).to(self.device)
        else:
            inputs, targets = (tensor.to(self.device) for tensor in batches[0])
        outputs = self.learner.model(inputs)
        losses = self.loss_of(outputs, targets)
        losses = losses if self.seed_axis else losses.mean().reshape(1)
        if losses.shape != (len(present),):
            raise MemkitError(
                f"Recipe: the task's loss has the shape {tuple(losses.shape)}; for a model with a seed axis "
                f"it should be one loss per seed, ({len(present)},)"
            )
        self.learner.clear_gradients()
        # The gradient of the sum keeps the seeds apart: each seed's parameters affect its own loss only.
        losses.sum().backward()  # type: ignore[no-untyped-call]
        outputs = outputs.detach()
        if self.notified_model is not None:
            self.notified_model.saw(outputs, targets)
        if recipe.clip is not None:
            self.learner.clip(recipe.clip, seeds=len(present) if self.seed_axis else None)
        self.learner.take_step()
        for row, i in enumerate(present):
            if (draw := self.notified_samplers[i]) is not None:
                draw.saw(*(tensor[row] if self.seed_axis else tensor for tensor in (outputs, targets)))
        values: list[float] = losses.tolist()
        return values

    def _has_finished(self, i: int) -> bool:
        draw = self.ending_samplers[i]
        return draw is not None and bool(draw.finished)

    def _validate(self, step: int, ending: Sequence[bool], *, last: bool) -> None:
        """Validate if a validation is due or a seed ends, and let the model change itself by the result."""
        if self.validation is None:
            return
        is_due = step % (self.recipe.validate_every or 1) == 0
        if not is_due and not any(ending):
            return
        result = self.validation.measure(self.model, step)
        logs = [log.validation for log in self.logs]
        # A seed that ends between two validations is validated at its end as well.
        selected = [i not in self.runs and (is_due or ends) for i, ends in zip(self.present, ending, strict=True)]
        result.append_to(logs, selected)
        # After the last step there are no training steps left for a change to take effect.
        if self.changing_model is not None and is_due and not last:
            changed = self.changing_model.validated(result, self.learner.moments)
            if any(changed):
                self.validation.measure(self.model, step).append_to(logs, changed)

    def _record_runs(self, step: int, losses: Sequence[float], ending: Sequence[bool]) -> None:
        """Record the trained runs of the seeds that end with this step."""
        cpu_seconds = (time.process_time() - self.started) / len(self.seeds)
        rows = len(self.present) if self.seed_axis else 1
        reasons = _reasons_of_divergence(self.learner.model, rows)
        sizes = _sizes(self.learner, rows)
        for row, i in enumerate(self.present):
            if not ending[row]:
                continue
            metrics = {"loss": losses[row], "steps": step, "parameters": sizes[row]}
            metrics["cpu_seconds"] = round(cpu_seconds, 3)
            if (state_size := state_size_of(self.model)) is not None:
                metrics["state_size"] = state_size
            self.runs[i] = TrainedRun(
                seed=self.seeds[i],
                state=_state(self.learner.model, row, seed_axis=self.seed_axis),
                metrics=metrics,
                history=tuple(self.logs[i].history),
                validation=tuple(self.logs[i].validation),
                diverged=self.logs[i].diverged or reasons[row],
            )

    def _shrink(self) -> None:
        """Remove the seeds that have ended from the model, once they are at least half of its seeds."""
        rows = [row for row, i in enumerate(self.present) if i not in self.runs]
        if self.can_shrink and len(rows) <= len(self.present) // 2:
            self.present = [self.present[row] for row in rows]
            seeds = [self.seeds[i] for i in self.present]
            self.learner = self.learner.with_rows(self.recipe, seeds, rows, self.device)


def _sizes(learner: Learner, seeds: int) -> list[int]:
    """Return the number of parameters that each seed uses."""
    if isinstance(learner.model, WithActiveParameters):
        return learner.model.active_parameters()
    return [sum(p.numel() for p in learner.parameters) // seeds] * seeds


def _refuse_hooks_under_vmap(model: nn.Module) -> None:
    for protocol, name in ((AfterBatch, "saw"), (AfterValidation, "validated")):
        if isinstance(model, Stacked) and isinstance(model.template, protocol):
            raise MemkitError(
                f"Recipe: vmap=True, but {type(model.template).__name__} has the method {name}(), which vmap cannot "
                "map; leave vmap out, and its seeds train one by one"
            )


def _state(model: nn.Module, row: int, *, seed_axis: bool) -> dict[str, Tensor]:
    """Return a copy of the state dict of the seed in one row of a model, on the CPU."""
    state = model.state_of(row) if isinstance(model, Stacked) else model.state_dict()
    if seed_axis and not isinstance(model, Stacked):
        state = {name: tensor[row : row + 1] for name, tensor in state.items()}
    return {name: tensor.detach().to("cpu").clone().contiguous() for name, tensor in state.items()}


def _loss(recipe: Recipe, model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the task's loss, or else the cross-entropy, as a function of outputs and targets.

    Outputs and targets have the seed axis if the recipe's seeds train together.
    """
    if not isinstance(recipe.task, TaskWithLoss):
        return functools.partial(_cross_entropy, seed_axis=recipe.together)
    loss = recipe.task.loss
    return model.loss_per_seed(loss) if isinstance(model, Stacked) else loss


def _cross_entropy(outputs: Tensor, targets: Tensor, *, seed_axis: bool) -> Tensor:
    """Return the mean cross-entropy in nats: [S, ..., C] and targets [S, ...] → [S]; a scalar without the seed axis."""
    losses = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none").view(
        targets.shape
    )
    counted = targets != IGNORED
    if not seed_axis:
        return losses.sum() / counted.sum().clamp(min=1)
    return losses.flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)


def _reasons_of_divergence(model: nn.Module, seeds: int) -> list[str]:
    """Return for each seed of a model the reason why its weights count as diverged, or ""."""
    diverged = [False] * seeds
    for p in model.parameters():
        for i, is_finite in enumerate(torch.isfinite(p.detach().reshape(seeds, -1)).all(1).tolist()):
            diverged[i] = diverged[i] or not is_finite
    return ["a weight was not finite at the end" if has_diverged else "" for has_diverged in diverged]
