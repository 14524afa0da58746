"""Stage 2, retrieval: which action was stored for the variable asked for?

    stored=1    input    X is jump recall X
                answer                    JUMP

    stored=2    input    X is jump Y is walk recall X
                answer                              JUMP

The variables of a command differ, and so do their actions: recalling any one of the stored actions scores 1 / stored.
With one stored variable, copying the only action solves the task; only with two is binding needed.
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
    """Commands that state ``V is A`` for each of ``stored`` variables, then ``recall V``; the answer is A.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Retrieval
    >>> task = Retrieval(stored=2)
    >>> inputs, targets = task.commands(generator(0, "split"))
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X is walk Y is jump recall X', 'WALK')
    """

    stored: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.stored <= min(self.variables, self.actions):
            raise ValueError(f"stored must be between 1 and the number of variables and of actions, not {self.stored}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for variables in permutations(range(self.variables), self.stored):
            for actions in permutations(range(self.actions), self.stored):
                bindings = tuple(zip(variables, actions, strict=True))
                tokens = [t for v, a in bindings for t in (words.variable(v), IS, words.action(a))]
                for asked, action in bindings:
                    yield Row(
                        tokens=(*tokens, RECALL, words.variable(asked)),
                        answers=(words.action_answer(action),),
                        stated=bindings,
                        asked=((asked, action),),
                    )
