"""A curriculum: binding tasks as the stages of one training; only the last stage is evaluated.

    stage 1   recognition   X means jump Y means walk what is X   → X    END  END
    stage 2   retrieval               X is jump Y is walk recall X → JUMP END  END
    stage 3   execution                    X means jump do X twice → JUMP JUMP END

    regime="staged"   one stage after another; each ends when it is mastered, or when training no longer improves
    regime="mixed"    the stage of each command is drawn according to ``shares``
    regime="single"   only the last stage

All stages share one vocabulary. In every regime, inputs are padded on the left and answers with END to the longest
length of any stage, so that a comparison of regimes differs in nothing else. The split is drawn once for all stages:
a (variable, action) combination that is held out is stated in no stage.
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
    """The stages of a training; the evaluated commands are those of the last stage.

    A stage ends when the mean accuracy over its last ``window`` batches is ``leave_at`` or more, or when this mean has
    not exceeded its best value for ``patience`` batches. The last stage does not end.

    Attributes:
        stages: binding tasks with the same vocabulary and the same share of held-out combinations.
        regime: "staged", "mixed" or "single"; see the top of this file.
        shares: how often the mixed regime draws each stage, relative to the others; () for equally often.
        leave_at: an accuracy; a command counts as right if its whole answer is right.
        window: a number of batches.
        patience: a number of batches.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Curriculum, Execution, Recognition
    >>> curriculum = Curriculum(stages=(Recognition(), Execution()), regime="staged")
    >>> sampler = curriculum.for_seed(generator(1, "split"))
    >>> inputs, targets = sampler(generator(1, "data"), 2)  # from the first stage, recognition
    >>> sampler.stage, curriculum.vocabulary.decode(inputs[0].tolist())
    (0, 'Y means look X means walk Z means jump what is Y')
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
                "stages must agree in (variables, actions, held_out), or one would state what another holds out; they "
                f"have {', '.join(map(str, sorted(splits)))}"
            )
        if self.regime not in ("staged", "mixed", "single"):
            raise ValueError(f"regime must be 'staged', 'mixed' or 'single', not {self.regime!r}")
        if self.shares and self.regime != "mixed":
            raise ValueError(f"shares are for regime='mixed'; leave them out with regime={self.regime!r}")
        if self.shares and (len(self.shares) != len(self.stages) or min(self.shares) < 0 or sum(self.shares) <= 0):
            raise ValueError(f"shares must be one number per stage, none negative and not all 0, not {self.shares}")
        if not 0 < self.leave_at <= 1:
            raise ValueError(f"leave_at must be an accuracy in (0, 1], not {self.leave_at}")
        for field in ("window", "patience"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be 1 batch or more, not {getattr(self, field)}")

    @property
    def vocabulary(self) -> Vocabulary:
        """The words and answers of all stages."""
        return self.stages[-1].vocabulary

    @property
    def sizes(self) -> dict[str, int]:
        """The keyword arguments that every model for this task takes: the largest value of each among the stages."""
        all_sizes = [stage.sizes for stage in self.stages]
        return {name: max(sizes[name] for sizes in all_sizes) for name in all_sizes[0]}

    def for_seed(self, generator: torch.Generator) -> CurriculumSampler:
        """Return a sampler of training commands at the start of its first stage; the generator draws only the split."""
        state = generator.get_state()
        return CurriculumSampler(self, [stage.for_seed(torch.Generator().set_state(state)) for stage in self.stages])

    def commands(self, generator: torch.Generator, subset: Subset = "all", *, pattern: str | None = None) -> Commands:
        """Return all commands of a subset of the last stage, padded as in training; see BindingTask.commands."""
        return self.pad(*self.stages[-1].commands(generator, subset, pattern=pattern))

    def pad(self, inputs: Tensor, targets: Tensor) -> Commands:
        """Pad a stage's commands to the longest length of any stage: inputs on the left, targets with END."""
        sizes = self.sizes
        inputs = F.pad(inputs, (sizes["length"] - inputs.shape[1], 0), value=PAD)
        return inputs, F.pad(targets, (0, sizes["positions"] - targets.shape[1]), value=END)


class CurriculumSampler:
    """The sampler of one seed, which moves through the curriculum: (generator, size) → a batch of commands.

    Attributes:
        stage: the index of the stage from which the next batch is drawn; meaningless in the mixed regime.
        left: for each stage that has ended, the total number of batches seen by then.
    """

    def __init__(self, curriculum: Curriculum, samplers: list[Sampler]) -> None:
        self.curriculum, self.samplers = curriculum, samplers
        self.stage = 0 if curriculum.regime == "staged" else len(samplers) - 1
        self.left: list[int] = []
        self._batches_seen = 0
        self._recent: deque[float] = deque(maxlen=curriculum.window)
        self._best, self._batches_since_best = -1.0, 0

    def __call__(self, generator: torch.Generator, size: int) -> Commands:
        """Return inputs [size, L] and targets [size, P] of the present stage, or of all stages in the mixed regime."""
        if self.curriculum.regime == "mixed":
            shares = torch.tensor(self.curriculum.shares or (1.0,) * len(self.samplers), dtype=torch.double)
            drawn = torch.multinomial(shares, size, replacement=True, generator=generator)
            sizes = drawn.bincount(minlength=len(self.samplers)).tolist()
        else:
            sizes = [size if stage == self.stage else 0 for stage in range(len(self.samplers))]
        parts = [
            self.curriculum.pad(*draw(generator, count))
            for draw, count in zip(self.samplers, sizes, strict=True)
            if count
        ]
        inputs, targets = zip(*parts, strict=True)
        return torch.cat(inputs), torch.cat(targets)

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        """Receive a model's outputs [B, P, answers] and the targets [B, P] of a batch, and end the stage if due."""
        self._batches_seen += 1
        if self.stage == len(self.samplers) - 1:
            return
        # NaN outputs are never right, so the stage of a diverged seed ends when its patience is exhausted.
        self._recent.append(float(exact_match(outputs, targets).double().mean()))
        if len(self._recent) < self.curriculum.window:
            return
        mean = sum(self._recent) / len(self._recent)
        if mean > self._best:
            self._best, self._batches_since_best = mean, 0
        else:
            self._batches_since_best += 1
        if mean >= self.curriculum.leave_at or self._batches_since_best >= self.curriculum.patience:
            self.stage += 1
            self.left.append(self._batches_seen)
            self._recent.clear()
            self._best, self._batches_since_best = -1.0, 0
