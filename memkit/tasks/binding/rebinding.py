"""Rebinding over time: a variable is bound to another value, and a network must then use its present value.

    rebindings=1    input    X means jump do X then X means walk do X
                    answer                JUMP                   WALK

The actions of a command all differ. A memory that adds up what is written holds {jump, walk} at the end and cannot tell
which came last: its accuracy on the second action is at most 1/2. 3 variables × 5 actions: 60 commands with one
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
    """Commands ``V means A do V``, then the same with another action, ``rebindings`` (1 to 3) times.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Rebinding
    >>> task = Rebinding()
    >>> inputs, targets = task.commands(generator(0, "split"))
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk do X then X means jump do X', 'WALK JUMP')
    """

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
                tokens = [t for a in actions for t in (name, MEANS, words.action(a), DO, name, THEN)]
                bindings = tuple((variable, action) for action in actions)
                yield Row(
                    tokens=tuple(tokens[:-1]),
                    answers=tuple(words.action_answer(action) for action in actions),
                    stated=bindings,
                    asked=bindings,
                )
