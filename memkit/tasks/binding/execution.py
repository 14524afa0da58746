"""Stage 3, execution: carry out the bound action once, twice or three times.

    input    X means jump do X           Y means turn do Y twice    Z means look do Z thrice
    answer   JUMP END  END               TURN TURN END              LOOK LOOK LOOK

There are as many answer positions as the longest answer needs; the published model had two, so that ``thrice`` could
never be right. In training, a share ``modified`` of the commands has a modifier, ``twice`` and ``thrice`` equally
often; the table holds each command once. 3 variables × 5 actions × 3: 45 commands.
Patterns: ``once``, ``twice``, ``thrice``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.vocabulary import DO, MEANS, THRICE, TWICE


@dataclass(frozen=True, kw_only=True)
class Execution(BindingTask):
    """Commands ``V means A do V [twice|thrice]``, whose answer is A once, twice or three times.

    Attributes:
        modified: the share of training commands with a modifier.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Execution
    >>> task = Execution()
    >>> inputs, targets = task.commands(generator(0, "split"), pattern="twice")
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk do X twice', 'WALK WALK END')
    """

    modified: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.modified < 1:
            raise ValueError(f"modified must be a share between 0 and 1, not {self.modified}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        modifiers = (
            ("once", (), 1, 1 - self.modified),
            ("twice", (TWICE,), 2, self.modified / 2),
            ("thrice", (THRICE,), 3, self.modified / 2),
        )
        for variable in range(self.variables):
            for action in range(self.actions):
                for pattern, modifier, times, weight in modifiers:
                    name = words.variable(variable)
                    yield Row(
                        tokens=(name, MEANS, words.action(action), DO, name, *modifier),
                        answers=(words.action_answer(action),) * times,
                        stated=((variable, action),),
                        asked=((variable, action),),
                        weight=weight,
                        pattern=pattern,
                    )
