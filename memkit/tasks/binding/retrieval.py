"""Stage 2, retrieval: which action was stored for the variable asked for?

    stored=1    input    X is jump recall X
                answer                    JUMP

    stored=2    input    X is jump Y is walk recall X
                answer                              JUMP

Variables in a command differ, and so do their actions: who recalls any of the stored actions blindly scores
1 / stored. With one stored variable, copying the only action in sight solves it; binding needs two.
3 variables × 5 actions: 15 commands with one stored, 240 with two. 8 × 12 with two: 14,784.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.vocabulary import IS, RECALL


@dataclass(frozen=True, kw_only=True)
class Retrieval(BindingTask):
    """``V is A`` × ``stored``, then ``recall V`` → A."""

    stored: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.stored <= min(self.variables, self.actions):
            raise ValueError(f"stored must be between 1 and the number of variables and of actions, not {self.stored}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for chosen in permutations(range(self.variables), self.stored):
            for actions in permutations(range(self.actions), self.stored):
                binds = tuple(zip(chosen, actions, strict=True))
                stated = [t for v, a in binds for t in (words.variable(v), IS, words.action(a))]
                for asked, action in binds:
                    yield Row(
                        tokens=(*stated, RECALL, words.variable(asked)),
                        answers=(words.acted(action),),
                        binds=binds,
                        asks=((asked, action),),
                    )
