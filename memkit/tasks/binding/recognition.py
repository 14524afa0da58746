"""Stage 1, recognition: which variable is asked for?

    input    X means jump Y means walk what is X
    answer                                      X

A command binds two or three different variables to different actions, and asks for one of these variables. The answer
is the last word, so this task measures whether a network reads its input, and nothing about binding.
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
    """Commands ``V means A ... what is V`` with two to ``most`` (2 or 3) bindings; the answer is V.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Recognition
    >>> task = Recognition(most=2)
    >>> inputs, targets = task.commands(generator(0, "split"))
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk Y means jump what is X', 'X')
    """

    most: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.most <= min(3, self.variables, self.actions):
            raise ValueError(
                f"most must be 2 or 3, and at most the number of variables and of actions, not {self.most}"
            )

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for stored in range(2, self.most + 1):
            for variables in permutations(range(self.variables), stored):
                for actions in permutations(range(self.actions), stored):
                    bindings = tuple(zip(variables, actions, strict=True))
                    tokens = [t for v, a in bindings for t in (words.variable(v), MEANS, words.action(a))]
                    for asked, action in bindings:
                        yield Row(
                            tokens=(*tokens, WHAT, IS, words.variable(asked)),
                            answers=(words.variable_answer(asked),),
                            stated=bindings,
                            asked=((asked, action),),
                        )
