"""Stage 1, recognition: which variable is asked for?

    input    X means jump Y means walk what is X
    answer                                      X

Two or three different variables with different actions; the one asked for is among them. The answer is the
last word, so this measures that a network reads at all, and nothing about binding.
3 variables × 5 actions: 240 commands with two bindings (padded on the left) and 1080 with three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.vocabulary import IS, MEANS, WHAT


@dataclass(frozen=True, kw_only=True)
class Recognition(BindingTask):
    """``V means A ... what is V`` → V, with two up to ``most`` (2 or 3) bindings."""

    most: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.most <= min(3, self.variables, self.actions):
            raise ValueError(f"most must be 2 or 3, and no more than there are variables, not {self.most}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for stored in range(2, self.most + 1):
            for chosen in permutations(range(self.variables), stored):
                for actions in permutations(range(self.actions), stored):
                    binds = tuple(zip(chosen, actions, strict=True))
                    stated = [t for v, a in binds for t in (words.variable(v), MEANS, words.action(a))]
                    for asked, action in binds:
                        yield Row(
                            tokens=(*stated, WHAT, IS, words.variable(asked)),
                            answers=(words.named(asked),),
                            binds=binds,
                            asks=((asked, action),),
                        )
