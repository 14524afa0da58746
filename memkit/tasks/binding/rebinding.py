"""Rebinding over time: the same variable is given another value, and must answer with the one it has now.

    rebindings=1    input    X means jump do X then X means walk do X
                    answer                JUMP                   WALK

A command's actions all differ. A memory that adds its writes up holds {jump, walk} at the end and cannot tell
which came last: 1/2 is its ceiling on the second action. 3 variables × 5 actions: 60 commands with one
rebinding, 180 with two, 360 with three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.vocabulary import DO, MEANS, THEN


@dataclass(frozen=True, kw_only=True)
class Rebinding(BindingTask):
    """``V means A do V``, then the same again with another action, ``rebindings`` (1 to 3) times."""

    rebindings: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.rebindings <= min(3, self.actions - 1):
            raise ValueError(f"rebindings must be 1 to 3, and fewer than the actions, not {self.rebindings}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for variable in range(self.variables):
            name = words.variable(variable)
            for actions in permutations(range(self.actions), self.rebindings + 1):
                parts = [t for a in actions for t in (name, MEANS, words.action(a), DO, name, THEN)]
                binds = tuple((variable, action) for action in actions)
                yield Row(
                    tokens=tuple(parts[:-1]),
                    answers=tuple(words.acted(action) for action in actions),
                    binds=binds,
                    asks=binds,
                )
