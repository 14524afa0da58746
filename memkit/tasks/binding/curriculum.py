"""A curriculum: binding tasks as stages of one training, the last of which is what counts.

    stage 1   recognition   X means jump Y means walk what is X   → X    END  END
    stage 2   retrieval               X is jump Y is walk recall X → JUMP END  END
    stage 3   execution                    X means jump do X twice → JUMP JUMP END

    regime="staged"   one stage after another: each is left when it is mastered, or when it goes no further
    regime="mixed"    every command is of a stage drawn by ``shares``
    regime="single"   the last stage alone

All stages have one vocabulary. Their inputs are padded on the left and their answers with END, to the longest among
them, in every regime: so what is compared differs in its regime and in nothing else. The split is drawn once for all
stages, so that a (variable, action) combination which one stage holds out is stated in none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.tasks.binding.table import BindingTask, Commands, Sampler, Subset
from memkit.tasks.binding.vocabulary import END, PAD, Vocabulary
from memkit.tasks.scoring import exact_match

Regime: TypeAlias = Literal["staged", "mixed", "single"]


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """Stages that training goes through; what is evaluated is the last one's commands.

    A stage is left when the mean accuracy of its last ``window`` batches is ``leave_at`` or more, or when that mean
    has not exceeded its best for ``patience`` batches. The last stage is never left.

    Attributes:
        stages: binding tasks of one vocabulary, with one share of combinations held out.
        regime: one of those drawn above.
        shares: how often a mixed regime draws each stage, relative to the others; () for all alike.
        leave_at: an accuracy, a command counting as right when its whole answer is.
        window: batches.
        patience: batches.
    """

    stages: tuple[BindingTask, ...]
    regime: Regime = "staged"
    shares: tuple[float, ...] = ()
    leave_at: float = 0.8
    window: int = 10
    patience: int = 100

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("stages must be one task or more, not none")
        splits = {(stage.variables, stage.actions, stage.held_out) for stage in self.stages}
        if len(splits) > 1:
            raise ValueError(
                "stages must agree in (variables, actions, held_out), or what one holds out another would state; "
                f"not {', '.join(map(str, sorted(splits)))}"
            )
        if self.regime not in ("staged", "mixed", "single"):
            raise ValueError(f"regime must be 'staged', 'mixed' or 'single', not {self.regime!r}")
        if self.shares and self.regime != "mixed":
            raise ValueError(f"shares are for regime='mixed'; leave them out with {self.regime!r}")
        if self.shares and (len(self.shares) != len(self.stages) or min(self.shares) < 0 or sum(self.shares) <= 0):
            raise ValueError(f"shares must be a number a stage, none below 0 and one above, not {self.shares}")
        if not 0 < self.leave_at <= 1:
            raise ValueError(f"leave_at must be an accuracy in (0, 1], not {self.leave_at}")
        for field in ("window", "patience"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be 1 batch or more, not {getattr(self, field)}")

    @property
    def vocabulary(self) -> Vocabulary:
        return self.stages[-1].vocabulary

    @property
    def sizes(self) -> dict[str, int]:
        """The keyword arguments that every model for this task takes: each the largest among the stages."""
        every = [stage.sizes for stage in self.stages]
        return {name: max(sizes[name] for sizes in every) for name in every[0]}

    def for_seed(self, generator: torch.Generator) -> Lessons:
        """A sampler of training commands, at the beginning of its first stage; the generator draws the split only."""
        same = generator.get_state()
        return Lessons(self, [stage.for_seed(torch.Generator().set_state(same)) for stage in self.stages])

    def commands(self, generator: torch.Generator, subset: Subset = "all", *, pattern: str | None = None) -> Commands:
        """Every command of a subset of the last stage, once, padded as in training: see BindingTask.commands."""
        return self.padded(*self.stages[-1].commands(generator, subset, pattern=pattern))

    def padded(self, inputs: Tensor, targets: Tensor) -> Commands:
        """A stage's commands as long as the longest of any stage: inputs from the left, targets with END."""
        sizes = self.sizes
        inputs = F.pad(inputs, (sizes["length"] - inputs.shape[1], 0), value=PAD)
        return inputs, F.pad(targets, (0, sizes["positions"] - targets.shape[1]), value=END)


class Lessons:
    """A seed's way through a curriculum: ``lessons(generator, size)`` → a batch of commands.

    Attributes:
        stage: the index of the stage that the next batch is drawn from; of a mixed regime, of no meaning.
        left: the batches it had seen, in all, when it left each stage.
    """

    def __init__(self, curriculum: Curriculum, samplers: list[Sampler]) -> None:
        self.curriculum, self.samplers = curriculum, samplers
        self.stage = 0 if curriculum.regime == "staged" else len(samplers) - 1
        self.left: list[int] = []
        self._seen = 0
        self._recent: deque[float] = deque(maxlen=curriculum.window)
        self._best, self._waited = -1.0, 0

    def __call__(self, generator: torch.Generator, size: int) -> Commands:
        """Inputs [size, L] and targets [size, P] of the present stage, or of all of them."""
        if self.curriculum.regime == "mixed":
            shares = torch.tensor(self.curriculum.shares or (1.0,) * len(self.samplers), dtype=torch.double)
            drawn = torch.multinomial(shares, size, replacement=True, generator=generator)
            sizes = drawn.bincount(minlength=len(self.samplers)).tolist()
        else:
            sizes = [size if stage == self.stage else 0 for stage in range(len(self.samplers))]
        parts = [
            self.curriculum.padded(*draw(generator, count))
            for draw, count in zip(self.samplers, sizes, strict=True)
            if count
        ]
        inputs, targets = zip(*parts, strict=True)
        return torch.cat(inputs), torch.cat(targets)

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        """Take a model's outputs [B, P, answers] for the last batch's targets [B, P]; go to the next stage if due."""
        self._seen += 1
        if self.stage == len(self.samplers) - 1:
            return
        # NaN outputs are never right, so a seed that has diverged leaves the stage when its patience runs out.
        self._recent.append(float(exact_match(outputs, targets).double().mean()))
        if len(self._recent) < self.curriculum.window:
            return
        mean = sum(self._recent) / len(self._recent)
        self._best, self._waited = (mean, 0) if mean > self._best else (self._best, self._waited + 1)
        if mean >= self.curriculum.leave_at or self._waited >= self.curriculum.patience:
            self.stage += 1
            self.left.append(self._seen)
            self._recent.clear()
            self._best, self._waited = -1.0, 0
