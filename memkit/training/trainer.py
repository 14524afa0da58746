"""Training: a cohort of seeds of one recipe, in one batched program where the model carries a seed axis.

An ordinary module trains seed by seed, or is given a seed axis by vmap where its recipe says so.

Every seed has generators of its own for the split, the initial values and the data, so its result does not
depend on the cohort it is trained in. A seed whose loss becomes non-finite has diverged: that is a result, it
is recorded, and it leaves the other seeds as they were.
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


def train(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> list[TrainedRun]:
    """Train a recipe on some seeds.

    Args:
        seeds: distinct seeds; in one program, or one after another, as ``recipe.together`` says.
        device: where to train, "cpu", "cuda" or "mps". Random numbers are always drawn on the CPU.
        progress: called now and then with the share that is done, 0 to 1.
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
    """The log of a seed while it trains; rows as in :class:`.trained_run.TrainedRun`."""

    history: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float, float]] = field(default_factory=list)
    diverged: str = ""


class _Cohort:
    """Seeds that train in one program; those that have learnt enough leave it, and the others go on."""

    def __init__(self, recipe: Recipe, seeds: Sequence[int], device: str) -> None:
        self.started = time.process_time()
        self.recipe, self.seeds, self.device = recipe, seeds, device
        self.axis = recipe.together
        self.learner = Learner.of(recipe, build_cohort(recipe, seeds).to(device).train())
        model = self.model = self.learner.model
        self.samplers = [sampler(recipe, seed) for seed in seeds]
        # Asked once: a check against a protocol takes an appreciable part of the time of a small model's step.
        self.told = [draw if isinstance(draw, AfterBatch) else None for draw in self.samplers]
        self.ends_early = [draw if isinstance(draw, EndsEarly) else None for draw in self.samplers]
        self.streams = [generator(seed, "data", recipe.stream) for seed in seeds]
        self.loss_of = _loss(recipe, model)
        _refuse_hooks_under_vmap(model)
        self.remembers = model if isinstance(model, AfterBatch) else None
        self.validation = validation_of(recipe, self.samplers, self.loss_of, device)
        self.grows = model if isinstance(model, AfterValidation) else None
        if self.grows is not None and self.validation is None:
            raise MemkitError(
                f"Recipe: {type(model).__name__} goes by its validation examples; say with validate_every after how "
                "many steps they are looked at"
            )
        # A memory that fills and the validation examples know the seeds by their places, so these cohorts stay whole.
        self.parts = self.axis and not recipe.vmap and self.remembers is None and self.validation is None
        self.logs = [_Log() for _ in seeds]
        self.runs: dict[int, TrainedRun] = {}
        self.present = list(range(len(seeds)))
        """Of the seeds, those that the model holds, in its order."""

    def train(self, progress: Callable[[float], None]) -> list[TrainedRun]:
        """Train all seeds, and return what each left, in their order."""
        steps = self.recipe.steps
        every = max(1, steps // _HISTORY_POINTS)
        for step in range(1, steps + 1):
            losses = self._step()
            for i, loss in zip(self.present, losses, strict=True):
                if not self.logs[i].diverged and not math.isfinite(loss):
                    self.logs[i].diverged = f"the loss was {loss} at step {step}"
            last = step == steps or all(self.logs[i].diverged or i in self.runs for i in self.present)
            ending = [i not in self.runs and (last or self._has_finished(i)) for i in self.present]
            noted = step % every == 0 or step == 1
            for i, loss, ends in zip(self.present, losses, ending, strict=True):
                if (noted or ends) and i not in self.runs:
                    self.logs[i].history.append((step, loss))
            if noted:
                progress(step / steps)
            self._look(step, ending, last=last)
            if any(ending):
                self._end(step, losses, ending)
                if len(self.runs) == len(self.seeds):
                    progress(1.0)
                    break
                self._part()
        return [self.runs[i] for i in range(len(self.seeds))]

    def _step(self) -> list[float]:
        """Take a step on a batch of every seed that is present; return their losses before it."""
        present, recipe = self.present, self.recipe
        batches = [self.samplers[i](self.streams[i], recipe.batch) for i in present]
        if self.axis:
            inputs = torch.stack([x for x, _ in batches]).to(self.device)
            targets = torch.stack([y for _, y in batches]).to(self.device)
        else:
            inputs, targets = (tensor.to(self.device) for tensor in batches[0])
        outputs = self.learner.model(inputs)
        losses = self.loss_of(outputs, targets)
        losses = losses if self.axis else losses.mean().reshape(1)
        if losses.shape != (len(present),):
            raise MemkitError(
                f"Recipe: the task's loss has the shape {tuple(losses.shape)}; for a model with a seed axis "
                f"it should be one loss a seed, ({len(present)},)"
            )
        self.learner.clear_gradients()
        # The sum keeps the seeds apart: each parameter slice gets the gradient of its own seed's loss alone.
        losses.sum().backward()  # type: ignore[no-untyped-call]
        outputs = outputs.detach()
        if self.remembers is not None:
            self.remembers.saw(outputs, targets)
        if recipe.clip is not None:
            self.learner.clip(recipe.clip, seeds=len(present) if self.axis else None)
        self.learner.take_step()
        for row, i in enumerate(present):
            if (draw := self.told[i]) is not None:
                draw.saw(*(tensor[row] if self.axis else tensor for tensor in (outputs, targets)))
        values: list[float] = losses.tolist()
        return values

    def _has_finished(self, i: int) -> bool:
        draw = self.ends_early[i]
        return draw is not None and bool(draw.finished)

    def _look(self, step: int, ending: Sequence[bool], *, last: bool) -> None:
        """Look at the validation examples where that is due, and let the model grow by what is seen."""
        if self.validation is None:
            return
        looking = step % (self.recipe.validate_every or 1) == 0
        if not looking and not any(ending):
            return
        result = self.validation.measure(self.model, step)
        rows = [log.validation for log in self.logs]
        # A seed that finishes between two looks gets a look of its own.
        wanted = [i not in self.runs and (looking or ends) for i, ends in zip(self.present, ending, strict=True)]
        result.note(rows, wanted)
        # After the last step no training is left for what would be grown.
        if self.grows is not None and looking and not last:
            changed = self.grows.validated(result, self.learner.moments)
            if any(changed):
                self.validation.measure(self.model, step).note(rows, changed)

    def _end(self, step: int, losses: Sequence[float], ending: Sequence[bool]) -> None:
        """Take down what the seeds that end have learnt."""
        share = (time.process_time() - self.started) / len(self.seeds)
        held = len(self.present)
        broken = _non_finite(self.learner.model, held if self.axis else 1)
        sizes = _sizes(self.learner, held if self.axis else 1)
        for row, i in enumerate(self.present):
            if not ending[row]:
                continue
            metrics = {"loss": losses[row], "steps": step, "parameters": sizes[row], "cpu_seconds": round(share, 3)}
            if (state_size := state_size_of(self.model)) is not None:
                metrics["state_size"] = state_size
            self.runs[i] = TrainedRun(
                seed=self.seeds[i],
                state=_state(self.learner.model, row, axis=self.axis),
                metrics=metrics,
                history=tuple(self.logs[i].history),
                validation=tuple(self.logs[i].validation),
                diverged=self.logs[i].diverged or broken[row],
            )

    def _part(self) -> None:
        """Leave out the seeds that have ended, once they are half of those that the model holds."""
        left = [row for row, i in enumerate(self.present) if i not in self.runs]
        if self.parts and len(left) <= len(self.present) // 2:
            self.present = [self.present[row] for row in left]
            seeds = [self.seeds[i] for i in self.present]
            self.learner = self.learner.of_rows(self.recipe, seeds, left, self.device)


def _sizes(learner: Learner, seeds: int) -> list[int]:
    """Return the number of parameters that each seed uses."""
    if isinstance(learner.model, WithActiveParameters):
        return learner.model.active_parameters()
    return [sum(p.numel() for p in learner.parameters) // seeds] * seeds


def _refuse_hooks_under_vmap(model: nn.Module) -> None:
    for kind, name in ((AfterBatch, "saw"), (AfterValidation, "validated")):
        if isinstance(model, Stacked) and isinstance(model.template, kind):
            raise MemkitError(
                f"Recipe: vmap=True, but {type(model.template).__name__} is told by {name}() how training goes, which "
                "vmap cannot map; leave vmap out, and its seeds train one by one"
            )


def _state(model: nn.Module, at: int, *, axis: bool) -> dict[str, Tensor]:
    """The state dict of the seed at that place, with memory of its own."""
    state = model.state_of(at) if isinstance(model, Stacked) else model.state_dict()
    if axis and not isinstance(model, Stacked):
        state = {name: tensor[at : at + 1] for name, tensor in state.items()}
    return {name: tensor.detach().to("cpu").clone().contiguous() for name, tensor in state.items()}


def _loss(recipe: Recipe, model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """The task's loss, or cross-entropy: of outputs and targets, with the seed axis if they have one."""
    if not isinstance(recipe.task, TaskWithLoss):
        return functools.partial(_cross_entropy, seed_axis=recipe.together)
    own = recipe.task.loss
    return model.each(own) if isinstance(model, Stacked) else own


def _cross_entropy(outputs: Tensor, targets: Tensor, *, seed_axis: bool) -> Tensor:
    """Mean cross-entropy of each seed: [S, ..., C] and targets [S, ...] → [S]; without the axis, a scalar."""
    losses = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none").view(
        targets.shape
    )
    counted = targets != IGNORED
    if not seed_axis:
        return losses.sum() / counted.sum().clamp(min=1)
    return losses.flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)


def _non_finite(model: nn.Module, seeds: int) -> list[str]:
    """Return, for each seed that a model holds, why its weights show that it has diverged; else ""."""
    bad = [False] * seeds
    for p in model.parameters():
        for i, finite in enumerate(torch.isfinite(p.detach().reshape(seeds, -1)).all(1).tolist()):
            bad[i] = bad[i] or not finite
    return ["a weight was not finite at the end" if b else "" for b in bad]
